"""Pooling keeps where its maxima were, or nothing at all."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ...memory.codec import Hints, Window
from ...memory.codecs.window_index import LARGEST_WINDOW, WindowIndex
from ...memory.kept import Alias, Blank, Kept
from .keeper import Keeper
from .layer import SavingLayer

INDEX = WindowIndex()


class _MaxPool(SavingLayer):
    """Keeps a place in the window for each output; the gradient is exact."""

    reads = "index"
    dims: int
    kernel_size: Any
    stride: Any
    padding: Any
    dilation: Any

    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        if t.dtype != torch.int64:
            return Blank(t)
        settings = (self.kernel_size, self.stride, self.padding, self.dilation)
        window = Window(
            tuple(x.shape[-self.dims :]), *(self._each(value) for value in settings)
        )
        if prod(window.kernel) > LARGEST_WINDOW:
            return Alias(t)
        return keeper.keep_exactly(t, INDEX, "index", 0, Hints(window=window))

    def _each(self, value: Any) -> tuple[int, ...]:
        return (value,) * self.dims if isinstance(value, int) else tuple(value)


class SavedMaxPool1d(_MaxPool, nn.MaxPool1d):
    """`torch.nn.MaxPool1d` that keeps a place in the window for each output."""

    # torch pools it as a plane of height 1, whose places are the same.
    dims = 1


class SavedMaxPool2d(_MaxPool, nn.MaxPool2d):
    """`torch.nn.MaxPool2d` that keeps a place in the window for each output."""

    dims = 2


class SavedMaxPool3d(_MaxPool, nn.MaxPool3d):
    """`torch.nn.MaxPool3d` that keeps a place in the window for each output."""

    dims = 3


class _AvgPool(SavingLayer):
    """Keeps nothing: its backward pass reads but the shape of the input."""

    reads = "other"

    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        return Blank(t)


class SavedAvgPool1d(_AvgPool, nn.AvgPool1d):
    """`torch.nn.AvgPool1d` that keeps nothing."""


class SavedAvgPool2d(_AvgPool, nn.AvgPool2d):
    """`torch.nn.AvgPool2d` that keeps nothing."""


class SavedAvgPool3d(_AvgPool, nn.AvgPool3d):
    """`torch.nn.AvgPool3d` that keeps nothing."""


class SavedAdaptiveAvgPool1d(_AvgPool, nn.AdaptiveAvgPool1d):
    """`torch.nn.AdaptiveAvgPool1d` that keeps nothing."""


class SavedAdaptiveAvgPool2d(_AvgPool, nn.AdaptiveAvgPool2d):
    """`torch.nn.AdaptiveAvgPool2d` that keeps nothing."""


class SavedAdaptiveAvgPool3d(_AvgPool, nn.AdaptiveAvgPool3d):
    """`torch.nn.AdaptiveAvgPool3d` that keeps nothing."""
