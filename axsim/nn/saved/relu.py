"""ReLU keeps which elements are positive, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...memory.codec import Packed
from ...memory.codecs.batch_norm import BatchNormCodes
from ...memory.codecs.rectified import Rectified
from ...memory.kept import Kept
from ...memory.masks import keep_mask
from ...memory.store import Handle
from .keeper import Keeper
from .layer import SavingLayer

NORM = BatchNormCodes()


class SavedReLU(SavingLayer, nn.ReLU):
    """`torch.nn.ReLU` that keeps a bit of each element; its gradient is exact.

    Behind a batch norm that keeps codes of its output, these codes are the mask, and
    what the layer behind the ReLU multiplies. Where the answer has a codec for ReLUs,
    codes of the output are the mask, what the layer behind multiplies, and what a batch
    norm in front needs.
    """

    reads = "mask"

    def forward(self, input: Tensor) -> Tensor:
        codes = None if self.keeper is None else self.keeper.store.find(input)
        if self.keeper is None or codes is None:
            codec = None if self.keeper is None else self.keeper.saved.relu
            if self.keeper is None or codec is None:
                return super().forward(input)
            return self._coded(input, self.keeper, codec)
        with self.keeper.around(self.training, lambda t: _mask(codes, t)):
            y = self.exactly(input)
        self.keeper.store.link(y, codes.view(NORM.rectified))
        return y

    def _coded(self, input: Tensor, keeper: Keeper, codec: Rectified) -> Tensor:
        """The output, whose codes are kept instead of a mask."""
        offered, kept = keeper.store.offered(input), list[Handle]()

        def pack(t: Tensor) -> Kept:
            kept.append(keeper.keep(t, codec))
            return _view(kept[0], codec.mask, t.dtype)

        with keeper.around(self.training, pack):
            y = self.exactly(input)
        if kept and not kept[0].raw:
            keeper.store.link(y, kept[0])
            if offered is not None:
                offered(kept[0])
        return y

    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        return keep_mask(keeper.store, keeper.slot, t)


def _mask(codes: Handle, t: Tensor) -> Kept:
    return _view(codes, NORM.mask, t.dtype)


def _view(
    codes: Handle, mask: Callable[[Packed], Tensor], dtype: torch.dtype
) -> Handle:
    """A mask in the type that torch expects of the ReLU's output."""
    return codes.view(lambda packed: mask(packed).to(dtype))
