"""What autograd holds in place of a tensor that a layer keeps in a way of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from ..errors import TrainingError
from .codec import Form, form_of


class Kept(Protocol):
    """Something that becomes a tensor again, as often as it is asked to."""

    def load(self) -> Tensor:
        """The tensor that backward reads."""
        ...


class Alias:
    """The tensor itself, refused where it was changed in the meantime."""

    def __init__(self, x: Tensor) -> None:
        # Without its history: an operation that held its own output would never die.
        self._tensor = x.detach()
        self._version = x._version

    def load(self) -> Tensor:
        """The tensor."""
        check_version(self._tensor, self._version)
        return self._tensor


class Blank:
    """Nothing but the form of a tensor of which backward reads only that."""

    def __init__(self, x: Tensor) -> None:
        self._form: Form = form_of(x)
        self._device = x.device

    def load(self) -> Tensor:
        """A tensor of the form, its elements not set."""
        return self._form.empty(self._device)


class Later:
    """A place for what is known only when the operation is over."""

    kept: Kept

    def load(self) -> Tensor:
        """The tensor that was put here."""
        return self.kept.load()


def check_version(x: Tensor, version: int) -> None:
    """Refuses a tensor that was changed in place after it was kept.

    Raises:
        TrainingError: saying so, as torch does for what it keeps itself.
    """
    if x._version != version:
        raise TrainingError(
            f"a tensor of shape {tuple(x.shape)} that backward needs was changed in "
            f"place: it is at version {x._version}, kept was version {version}. Change "
            "a copy of it, or call backward first."
        )


def checkpointed() -> bool:
    """Whether activation checkpointing drops what is saved now, to compute it again."""
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]
    return hooks is not None and hooks[0].__module__ == "torch.utils.checkpoint"


def load(kept: Kept) -> Tensor:
    """The unpack hook for everything that this file describes."""
    return kept.load()


class saving(saved_tensors_hooks):
    """A context: operations keep what a function makes of the tensors they save.

    Args:
        pack: the function. It is let go at the end, although the graph holds its hooks
            for as long as it lives: with the function it would hold the tensors.
    """

    def __init__(self, pack: Callable[[Tensor], Kept]) -> None:
        self._pack = [pack]
        now = self._pack
        super().__init__(lambda t: now[0](t), load)

    def __exit__(self, *args: object) -> None:
        super().__exit__(*args)
        self._pack.clear()


def same(x: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same numbers in the same memory, maybe reshaped."""
    return (
        x.data_ptr() == other.data_ptr()
        and x.numel() == other.numel()
        and x.dtype == other.dtype
    )


def parameter_of(x: Tensor) -> nn.Parameter | None:
    """The parameter that a tensor is, is a view of, or was cast from; else None.

    Under autocast a weight's copy shares no memory with it; its history tells.
    """
    for found in (x, x._base):
        if isinstance(found, nn.Parameter):
            return found
    node = x.grad_fn
    while node is not None and len(node.next_functions) == 1:
        if node.name().rstrip("0123456789") not in PASSIVE:
            return None
        node = node.next_functions[0][0]
    found = getattr(node, "variable", None)
    return found if isinstance(found, nn.Parameter) else None


# Operations that give the same numbers in another type, shape or order.
PASSIVE = frozenset(
    f"{name}Backward"
    for name in (
        "ToCopy", "T", "Transpose", "View", "UnsafeView", "Expand", "Permute",
        "Unsqueeze", "Squeeze", "Slice", "Select", "Alias", "AsStrided", "Clone",
        "ReshapeAlias", "Split", "Unbind", "Chunk",
    )
)  # fmt: skip
