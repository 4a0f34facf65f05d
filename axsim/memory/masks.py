"""Tensors of which only the sign or one value matters, as a bit of each element."""

from __future__ import annotations

import torch
from torch import Tensor

from .codecs.bit_mask import BitMask
from .kept import Alias, Kept
from .policies.fixed import Fixed
from .policy import Slot
from .store import Store

MASK, ONE = BitMask(), Fixed(1)
# A mask of fewer elements takes a word all the same.
WORD = 32


def keep_mask(store: Store, slot: Slot, t: Tensor, worth: float = 1) -> Kept:
    """Keeps which elements are above 0; they come back as `worth`, all others as 0.

    Args:
        store: that keeps it.
        slot: whose it is.
        t: of any type, which is the type that comes back.
        worth: a number of that type.
    """
    if t.numel() < WORD:
        return Alias(t)
    handle = store.save(t, slot, MASK, ONE)
    dtype = t.dtype
    if dtype == torch.bool:
        return handle
    return handle.view(lambda packed: MASK.scaled(packed, dtype, worth))
