"""Dropout keeps which elements it kept."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...memory.kept import Kept
from ...memory.masks import keep_mask
from .keeper import Keeper
from .layer import SavingLayer


class _Dropout(SavingLayer):
    """A bit for each number that was drawn; the gradient is exact."""

    reads = "mask"
    p: float

    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        if t.dtype == torch.bool or self.p == 1:
            return keep_mask(keeper.store, keeper.slot, t)
        # As torch itself makes the factor of what is kept.
        return keep_mask(
            keeper.store, keeper.slot, t, t.new_ones(()).div_(1 - self.p).item()
        )


class SavedDropout(_Dropout, nn.Dropout):
    """`torch.nn.Dropout` that keeps a bit of each element."""


class SavedDropout1d(_Dropout, nn.Dropout1d):
    """`torch.nn.Dropout1d` that keeps a bit of each channel."""


class SavedDropout2d(_Dropout, nn.Dropout2d):
    """`torch.nn.Dropout2d` that keeps a bit of each channel."""


class SavedDropout3d(_Dropout, nn.Dropout3d):
    """`torch.nn.Dropout3d` that keeps a bit of each channel."""
