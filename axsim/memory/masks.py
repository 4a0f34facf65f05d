"""Tensors of which only the sign or one value matters, as a bit of each element."""

from __future__ import annotations

import torch
from torch import Tensor

from ..kernels.pack import unpack_codes
from .codec import Packed
from .codecs.bit_mask import BitMask
from .kept import Alias, Kept
from .policies.fixed import Fixed
from .policy import Slot
from .store import Store

MASK, ONE = BitMask(), Fixed(1)
# A mask of fewer elements takes a word all the same.
WORD = 32


def keep_mask(store: Store, slot: Slot, t: Tensor, worth: Tensor | None = None) -> Kept:
    """Keeps which elements are above 0; they come back as `worth`, all others as 0.

    Args:
        store: that keeps it.
        slot: whose it is.
        t: of any type, which is the type that comes back.
        worth: 1 where it is left out.
    """
    if t.numel() < WORD:
        return Alias(t)
    handle = store.save(t, slot, MASK, ONE)
    dtype = t.dtype
    if dtype == torch.bool:
        return handle

    def read(packed: Packed) -> Tensor:
        mask = packed.form.empty(packed.payload[0].device, dtype)
        if dtype == torch.float64:
            return mask.copy_(packed.decode()).mul_(1 if worth is None else worth)
        unpack_codes(packed.payload[0], 1, mask)
        return mask if worth is None else mask.mul_(worth)

    return handle.view(read)
