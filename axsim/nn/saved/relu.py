"""ReLU keeps which elements are positive, and nothing else."""

from __future__ import annotations

from torch import Tensor, nn

from ...memory.codecs.batch_norm import BatchNormCodes
from ...memory.kept import Kept
from ...memory.masks import keep_mask
from ...memory.store import Handle
from .keeper import Keeper
from .layer import SavingLayer

NORM = BatchNormCodes()


class SavedReLU(SavingLayer, nn.ReLU):
    """`torch.nn.ReLU` that keeps a bit of each element; its gradient is exact.

    Behind a batch norm that keeps codes of its output, these codes are the mask, and
    what the layer behind the ReLU multiplies.
    """

    reads = "mask"

    def forward(self, input: Tensor) -> Tensor:
        codes = None if self.keeper is None else self.keeper.store.find(input)
        if self.keeper is None or codes is None:
            return super().forward(input)
        with self.keeper.around(self.training, lambda t: _mask(codes, t)):
            y = self.exactly(input)
        self.keeper.store.link(y, codes.view(NORM.rectified))
        return y

    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        return keep_mask(keeper.store, keeper.slot, t)


def _mask(codes: Handle, t: Tensor) -> Kept:
    dtype = t.dtype
    return codes.view(lambda packed: NORM.mask(packed).to(dtype))
