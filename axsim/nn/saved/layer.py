"""What the layers have in common that answer the fourth question alone."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...kernels.pack import unpack_codes
from ...memory.codec import Packed
from ...memory.codecs.bit_mask import BitMask
from ...memory.kept import Alias, Kept
from ...memory.policy import Kind
from ..layer import ApproxLayer
from .keeper import Keeper

MASK = BitMask()
# A mask of fewer elements takes a word all the same.
WORD = 32


class SavingLayer(ApproxLayer):
    """A layer without products: torch's own, but for what it keeps.

    Attributes:
        kind: what its backward pass reads.
    """

    questions = frozenset({"saved"})
    kind: ClassVar[Kind]

    def build_sites(self, name: str) -> None:
        """None: it has no products."""

    @abstractmethod
    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        """What is kept of a tensor `t` that the operation on input `x` saves."""

    def forward(self, input: Tensor, *args: Any, **settings: Any) -> Any:
        keeper = self.keeper
        if keeper is None:
            return self.exactly(input, *args, **settings)
        with keeper.around(self.training, lambda t: self.pack(keeper, t, input)):
            return self.exactly(input, *args, **settings)


def masked(keeper: Keeper, t: Tensor, worth: Tensor | None = None) -> Kept:
    """The mask of a tensor, which comes back as `worth` where it was above 0.

    Args:
        keeper: of the layer.
        t: of any type.
        worth: 1 where it is left out.
    """
    if t.numel() < WORD:
        return Alias(t)
    handle = keeper.keep_exactly(t, MASK, "mask", 1)
    if t.dtype == torch.bool:
        return handle
    dtype = t.dtype

    def read(packed: Packed) -> Tensor:
        mask = packed.form.empty(packed.payload[0].device, dtype)
        unpack_codes(packed.payload[0], 1, mask)
        return mask if worth is None else mask.mul_(worth)

    return handle.view(read)
