"""Batch norms keep codes of their input, or of their output (BLPA)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...memory.codec import Hints, Norm, Packed
from ...memory.codecs.batch_norm import BatchNormCodes
from ...memory.codecs.identity import Identity
from ...memory.kept import Alias, Kept, Later, same
from ...memory.policy import Gradients
from ...memory.store import Handle
from .keeper import Keeper
from .layer import SavingLayer
from .successor import Successor

NORM, EXACT = BatchNormCodes(), Identity()


class _Call:
    """What one call of a batch norm saves.

    Args:
        keeper: of the layer.
        x: its input.
    """

    def __init__(self, keeper: Keeper, x: Tensor) -> None:
        self.keeper = keeper
        self.x = x
        # Mean and 1 / deviation of the batch are the last of these.
        self.statistics = list[Tensor]()
        self.handle: Handle | None = None
        self.later: Later | None = None
        self.offered: Later | None = None

    def pack(self, t: Tensor) -> Kept:
        """The input as the `norm` codec has it, weight and statistics as they are."""
        if not same(t, self.x):
            if t.dim() == 1 and not isinstance(t, nn.Parameter):
                self.statistics.append(t.detach())
            return Alias(t)
        codec = self.keeper.saved.norm
        if isinstance(codec, BatchNormCodes):
            # Its output is not known yet.
            self.later = Later()
            return self.later
        self.handle = self.keeper.keep(t, codec)
        if self.keeper.saved.relu is None:
            return self.handle
        # A ReLU behind may keep codes that say as much.
        self.offered = Later()
        self.offered.kept = self.handle
        return self.offered


class _BatchNorm(SavingLayer):
    """Keeps its input as the answer's `norm` codec has it; statistics stay exact."""

    reads = "norm_in"
    weight: Any
    bias: Any
    checked = False

    def forward(self, input: Tensor) -> Tensor:
        if self.keeper is None:
            return self.exactly(input)
        call = _Call(self.keeper, input)
        with self.keeper.around(self.training, call.pack):
            y = self.exactly(input)
        if call.later is not None:
            call.later.kept = self._output_codes(call, y)
        statistics = [t for t in call.statistics if t.is_floating_point()]
        self.keeper.watch(y, call.handle, _sort(self.weight, statistics))
        if call.offered is not None and call.handle is not None:
            self._offer(call.keeper, call.handle, call.offered, input, y, statistics)
        return y

    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        return _Call(keeper, x).pack(t)

    def _offer(
        self, keeper: Keeper, handle: Handle, place: Later, x: Tensor, y: Tensor,
        statistics: list[Tensor],
    ) -> None:  # fmt: skip
        """Lets the codes of a ReLU behind take the place of the input's."""
        if isinstance(self, nn.SyncBatchNorm):
            # Its sums run over all processes, of which this one knows its own.
            return
        mean, inverse = statistics[-2:]
        norm = self._norm(mean)
        name = keeper.slot.name
        successor = Successor(name, norm, (mean, inverse), x, place)
        keeper.store.offer(y, handle, keeper.saved.norm, successor.take)
        if not self.checked and y.grad_fn is not None:
            y.grad_fn.register_hook(self._checked_by(successor))

    def _checked_by(self, successor: Successor) -> Callable[[Any, Any], None]:
        """A hook; what reads a layer's output stays the same: once is enough."""

        def check(inputs: Any, outputs: Any) -> None:
            self.checked = self.checked or successor.check(outputs[0])

        return check

    def _norm(self, mean: Tensor) -> Norm:
        if self.weight is None:
            return Norm(torch.ones_like(mean), torch.zeros_like(mean))
        return Norm(self.weight, self.bias)

    def _output_codes(self, call: _Call, y: Tensor) -> Handle:
        """Codes of the output, read as the input that they were made of."""
        mean, inverse = [t for t in call.statistics if t.is_floating_point()][-2:]
        hints = Hints(norm=self._norm(mean))
        codes = call.keeper.keep(y, call.keeper.saved.norm, hints)
        if codes.raw:
            return call.keeper.keep_exactly(call.x, EXACT, self.reads, 0)
        call.keeper.store.link(y, codes)
        shape = [-1, *[1] * (y.dim() - 2)]
        mean, inverse, dtype = mean.view(shape), inverse.view(shape), call.x.dtype

        def read(packed: Packed) -> Tensor:
            return NORM.normalised(packed).div_(inverse).add_(mean).to(dtype)

        return codes.view(read)


def _sort(weight: Tensor | None, statistics: list[Tensor]) -> Any:
    def sort(inputs: Any, outputs: Any) -> Gradients:
        inverse = statistics[-1]
        scale = torch.ones_like(inverse) if weight is None else weight
        over_weight = torch.zeros_like(inverse) if weight is None else inputs[1]
        return Gradients(outputs[0], over_weight, inputs[0], scale, inverse)

    return sort


class SavedBatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` with its input in codes."""


class SavedBatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` with its input in codes."""


class SavedBatchNorm3d(_BatchNorm, nn.BatchNorm3d):
    """`torch.nn.BatchNorm3d` with its input in codes."""


class SavedSyncBatchNorm(_BatchNorm, nn.SyncBatchNorm):
    """`torch.nn.SyncBatchNorm` with its input in codes."""
