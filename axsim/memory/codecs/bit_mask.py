"""Which elements are positive, or true: one bit each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...kernels.mask import pack_mask, unpack_mask
from ..codec import NO_HINTS, Bits, Codec, Form, Hints, Packed, dense, form_of


@dataclass(frozen=True)
class BitMask(Codec):
    """Keeps which elements are above 0, which is all that ReLU and dropout need.

    Exact, in 4 * ceil(n / 32) bytes.

    Example:
        >>> packed = BitMask().encode(torch.tensor([0.5, -1.0, 0.0]))
        >>> packed.decode(), packed.nbytes
        (tensor([ True, False, False]), 4)
    """

    lossless = True

    def encode(self, x: Tensor, bits: Bits = 0, hints: Hints = NO_HINTS) -> Packed:
        """Packs x > 0; NaN is not."""
        x = dense(x > 0 if x.dtype == torch.float64 else x)
        form = Form(*form_of(x)[:2], torch.bool)
        return Packed(self, (pack_mask(x),), form, bits=1)

    def decode(self, packed: Packed) -> Tensor:
        """The mask, as bool."""
        mask = packed.form.empty(packed.payload[0].device)
        return unpack_mask(packed.payload[0], mask)

    def scaled(self, packed: Packed, dtype: torch.dtype, worth: float = 1) -> Tensor:
        """The mask as numbers: `worth` where it is set, else 0."""
        wide = torch.float32 if dtype == torch.float64 else dtype
        mask = packed.form.empty(packed.payload[0].device, wide)
        unpack_mask(packed.payload[0], mask, 1 if wide != dtype else worth)
        return mask if wide == dtype else mask.double().mul_(worth)
