"""Who chooses the bits of saved tensors, and what it may look at."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

from .codec import Bits

Kind = Literal["matmul_in", "norm_in", "mask", "index", "other"]


@dataclass(frozen=True)
class Slot:
    """A place in a network where a tensor is saved: whose it is and what for.

    Args:
        name: of the layer; the same in every step, and no other slot's.
        kind: what the layer does with the tensor in its backward pass.
        kernel, stride: of a convolution; empty for other layers.
        groups: of a convolution.
    """

    name: str
    kind: Kind = "other"
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    groups: int = 1

    @property
    def taps(self) -> int:
        """Weights that one input channel and one output channel share."""
        return prod(self.kernel)

    @property
    def strides(self) -> int:
        """Input pixels for each output pixel."""
        return prod(self.stride)


@dataclass(frozen=True)
class Gradients:
    """What a layer's backward pass shows to a policy; None where it has none.

    Args:
        output: with respect to the layer's output.
        weight: with respect to its weight.
        input: with respect to its input.
        scale: a batch norm's weight.
        inverse_std: a batch norm's 1 / deviation, of each channel.
    """

    output: Tensor
    weight: Tensor | None = None
    input: Tensor | None = None
    scale: Tensor | None = None
    inverse_std: Tensor | None = None


@runtime_checkable
class Policy(Protocol):
    """Chooses the bits of every saved tensor; several layers share one.

    Attributes:
        total: sum of the widths of samples that `bits` gave last, where they lie on a
            GPU that need not be waited for; None leaves it to be found out.

    Example:
        >>> class Halves(Policy):
        ...     def bits(self, slot: Slot, x: Tensor) -> Bits:
        ...         return 8 if slot.kind == "norm_in" else 4
    """

    total: int | None = None

    @abstractmethod
    def bits(self, slot: Slot, x: Tensor) -> Bits:
        """Bits for a tensor that is about to be saved.

        Args:
            slot: where.
            x: the tensor.

        Returns:
            One width, or uint8 with one for each sample or channel, as the codec asks.
        """

    def wants(self, slot: Slot) -> bool:
        """Whether this step's gradients of a slot are to be observed."""
        return False

    def observe(
        self, slot: Slot, load: Callable[[], Tensor], gradients: Gradients
    ) -> None:
        """Takes note of a backward pass.

        Args:
            slot: where the tensor was saved.
            load: gives what came back of it.
            gradients: of the layer.
        """

    def join(self, slot: Slot, owner: Slot) -> None:
        """Is told that a slot's tensor is the one kept for another slot."""

    def begin_step(self, indices: Tensor) -> None:
        """Is told which samples of the data set the next batch has, int64[N]."""

    def end_step(self) -> None:
        """Is told that a training step is over."""

    def state_dict(self) -> dict[str, Any]:
        """What it remembers of the steps so far: plain values, lists and tensors."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave, to go on with an interrupted run."""
