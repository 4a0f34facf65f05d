"""Transposed convolutions of one and three dimensions keep their input in codes.

They have no form on a multiplier; that of two dimensions is a layer with a weight like
every other.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ...memory.kept import Kept
from ...memory.policy import Slot
from .keeper import Keeper
from .layer import SavingLayer
from .product import ProductInput, keep_input


class _Transposed(SavingLayer):
    """Keeps its input as the answer's codec has it; the weight gradient reads that."""

    reads = "matmul_in"
    weight: Tensor
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    groups: int

    def slot(self, name: str) -> Slot:
        """The layer's place, with what policies ask of a convolution."""
        return Slot(name, self.reads, self.kernel_size, self.stride, self.groups)

    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        return ProductInput(keeper, self, x).pack(t)

    def forward(self, input: Tensor, *args: Any, **settings: Any) -> Tensor:
        if self.keeper is None:
            return self.exactly(input, *args, **settings)
        return keep_input(
            self.keeper, self, lambda: self.exactly(input, *args, **settings), input
        )


class SavedConvTranspose1d(_Transposed, nn.ConvTranspose1d):  # pyright: ignore[reportIncompatibleMethodOverride]
    """`torch.nn.ConvTranspose1d` with its input in codes."""


class SavedConvTranspose3d(_Transposed, nn.ConvTranspose3d):  # pyright: ignore[reportIncompatibleMethodOverride]
    """`torch.nn.ConvTranspose3d` with its input in codes."""
