"""Layers that answer the fourth question alone, and what stands for them."""

from __future__ import annotations

from torch import nn

from .dropout import SavedDropout, SavedDropout1d, SavedDropout2d, SavedDropout3d
from .layer import SavingLayer
from .norm import (
    SavedBatchNorm1d,
    SavedBatchNorm2d,
    SavedBatchNorm3d,
    SavedSyncBatchNorm,
)
from .pool import (
    SavedAdaptiveAvgPool1d,
    SavedAdaptiveAvgPool2d,
    SavedAdaptiveAvgPool3d,
    SavedAvgPool1d,
    SavedAvgPool2d,
    SavedAvgPool3d,
    SavedMaxPool1d,
    SavedMaxPool2d,
    SavedMaxPool3d,
)
from .relu import SavedReLU
from .transposed import SavedConvTranspose1d, SavedConvTranspose3d

SAVING: dict[type[nn.Module], type[SavingLayer]] = {
    nn.ReLU: SavedReLU,
    nn.Dropout: SavedDropout,
    nn.Dropout1d: SavedDropout1d,
    nn.Dropout2d: SavedDropout2d,
    nn.Dropout3d: SavedDropout3d,
    nn.BatchNorm1d: SavedBatchNorm1d,
    nn.BatchNorm2d: SavedBatchNorm2d,
    nn.BatchNorm3d: SavedBatchNorm3d,
    nn.SyncBatchNorm: SavedSyncBatchNorm,
    nn.ConvTranspose1d: SavedConvTranspose1d,
    nn.ConvTranspose3d: SavedConvTranspose3d,
    nn.MaxPool1d: SavedMaxPool1d,
    nn.MaxPool2d: SavedMaxPool2d,
    nn.MaxPool3d: SavedMaxPool3d,
    nn.AvgPool1d: SavedAvgPool1d,
    nn.AvgPool2d: SavedAvgPool2d,
    nn.AvgPool3d: SavedAvgPool3d,
    nn.AdaptiveAvgPool1d: SavedAdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d: SavedAdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d: SavedAdaptiveAvgPool3d,
}
