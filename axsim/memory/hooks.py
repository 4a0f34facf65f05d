"""Saved-tensor hooks for operations that no layer stands for, and for whole programs.

Hooks alone see tensors and not what they are for; a function mode beside them tells
which operation is running and on what.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..kernels.pack import BLOCK
from .codec import Codec
from .codecs.group_affine import GroupAffine
from .kept import Alias, Kept, parameter_of, same, saving
from .masks import keep_mask
from .policies.fixed import Fixed
from .policy import Policy, Slot
from .saved import EIGHT, EXACT
from .store import Store

RELU = frozenset({"relu", "relu_"})
DROPOUT = frozenset({"dropout", "dropout_"})
# What layers on codes keep, whole or packed: small already, and counted.
CODES = frozenset({torch.uint8, torch.int32})
# Their backward passes take exponentials: an error would be a factor.
LOGARITHMS = frozenset({"cross_entropy", "log_softmax", "kl_div"})
# What attention saves (queries, keys, values, outputs, sums) must stay consistent.
ATTENTION = "scaled_dot_product_attention"
# With heads in a dimension of their own, which is what it hands to the above.
HEADS, HEADS_FIRST = "multi_head_attention_forward", 4


class Operation(TorchFunctionMode):
    """The operation that is running: its name, its place in the step, its operands."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.first: Tensor | None = None
        self.weights: list[torch.Size] = []
        self._count = Counter[str]()
        self._number = 0

    def begin(self) -> None:
        """Counts operations from the first again."""
        self._count.clear()

    @property
    def slot(self) -> Slot:
        """The operation's place, the same in every step."""
        return Slot(f"{self.name or 'operation'}.{self._number}")

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = func.__name__
        if name == "__get__" or not torch.is_grad_enabled():
            return func(*args, **(kwargs or {}))
        tensors = [t for t in args if isinstance(t, Tensor)]
        self.name, self._number = name, self._count[name]
        self._count[name] += 1
        self.first = tensors[0] if tensors else None
        self.weights = [t.shape for t in tensors if isinstance(t, nn.Parameter)]
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.name, self.first, self.weights = "", None, []


class Tape:
    """What operations saved; prints as a table of them.

    Args:
        store: that keeps the tensors.
        codec: of floating tensors.
        policy: chooses the bits.

    Attributes:
        stored_bytes: kept for all tensors that were saved.
        exact_bytes: that torch itself would have kept for them.
    """

    def __init__(self, store: Store, codec: Codec, policy: Policy) -> None:
        self.store = store
        self.codec = codec
        self.policy = policy
        self.running = Operation()

    @property
    def stored_bytes(self) -> int:
        return sum(line.kept for line in self.store.ledger.lines)

    @property
    def exact_bytes(self) -> int:
        return sum(line.exact for line in self.store.ledger.lines)

    @contextmanager
    def recording(self) -> Generator[None]:
        """Operations inside save to the store."""
        self.running.begin()
        with self.running, saving(self.pack):
            yield

    def pack(self, t: Tensor) -> Kept:
        """What is kept of a tensor; weights, statistics and integers as they are.

        Of integers codes alone are counted: others are inputs, such as indices.
        """
        running = self.running
        if t.dtype == torch.bool or running.name in RELU:
            return keep_mask(self.store, running.slot, t)
        if t.dtype in CODES and t.numel() >= BLOCK:
            return self.store.save(t, running.slot, EXACT, EIGHT)
        if not t.is_floating_point() or t.numel() < BLOCK or t.dim() < 2:
            return Alias(t)
        if running.name in DROPOUT:
            return keep_mask(self.store, running.slot, t, t.amax().item())
        if self._is_weight(t) or self._is_delicate(t):
            return Alias(t)
        return self.store.save(t, running.slot, self.codec, self.policy)

    def _is_weight(self, t: Tensor) -> bool:
        if parameter_of(t) is not None:
            return True
        # Autocast's copy of a frozen weight has neither its memory nor a history.
        first, shapes = self.running.first, self.running.weights
        as_saved = t.shape in shapes or t.shape[::-1] in shapes
        return as_saved and first is not None and not same(t, first)

    def _is_delicate(self, t: Tensor) -> bool:
        """Statistics of norms, logarithms, and what must stay as attention made it."""
        name, first = self.running.name, self.running.first
        if name.endswith("norm"):
            return first is not None and t.numel() < first.numel()
        inside = name == HEADS and (t.dim() == HEADS_FIRST or not t.requires_grad)
        made = t.grad_fn is not None and "Attention" in t.grad_fn.name()
        return inside or made or name == ATTENTION or name in LOGARITHMS

    def __str__(self) -> str:
        kept, exact = self.stored_bytes, self.exact_bytes
        ratio = exact / max(1, kept)
        return f"{self.store}\nsaved: {kept:,} bytes, {ratio:.1f}x less than {exact:,}"


@contextmanager
def compressed_activations(
    bits: int = 2,
    *,
    codec: Codec | None = None,
    policy: Policy | None = None,
    seed: int = 0,
    swap: bool = False,
    errors: bool = False,
) -> Generator[Tape]:
    """Keeps what any operation saves for its backward pass in few bits.

    No conversion is needed, and any network works; but layers that `ax.approximate`
    gives an answer to know more of their tensors. ReLU and dropout keep a bit of each
    element and have exact gradients. Weights, statistics, integers, tensors of fewer
    than 256 elements and what attention saves inside are kept as they are.

    Args:
        bits: of a code, 1 to 8.
        codec: of floating tensors; groups with stochastic rounding where left out.
        policy: chooses the bits, instead of `bits`.
        seed: of the rounding; use another one in each step.
        swap: keep codes in the host's memory, where the device is a GPU.
        errors: measure how far codes are from the tensors.

    Raises:
        OperandError: for bits that the codec does not have.

    Example:
        >>> net = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))
        >>> with compressed_activations(bits=2) as tape:
        ...     loss = net(torch.randn(128, 64)).sum()
        >>> tape.exact_bytes // tape.stored_bytes
        15
        >>> loss.backward()
        >>> tape.store.ledger.kept
        0
    """
    codec = codec or GroupAffine()
    if policy is None and codec.widths:
        codec.check_bits(bits)
    store = Store(seed, swap, errors=errors)
    tape = Tape(store, codec, policy or Fixed(bits))
    with tape.recording():
        yield tape
