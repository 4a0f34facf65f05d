"""Small vision transformers (2010.11929), with the mean over all patches at the end."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.gelu = nn.GELU()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each behind a layer norm and added to its input."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, hidden)

    def forward(self, x: Tensor) -> Tensor:  # (N, patches, width)
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Patches, positions, blocks.

    Args:
        size: height and width of the images, a multiple of `patch`.
        patch: height and width of a patch.
        width: numbers for each patch, a multiple of `heads`.
        depth: blocks.
        heads: of each attention.
        classes: outputs.
        channels: of the input.
    """

    def __init__(
        self,
        size: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        *,
        classes: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, patch, patch)
        self.flatten = nn.Flatten(2)
        self.positions = nn.Parameter(torch.empty(1, (size // patch) ** 2, width))
        nn.init.trunc_normal_(self.positions, std=0.02)
        blocks = (Block(width, heads, 2 * width) for _ in range(depth))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, size, size)
        x = self.flatten(self.stem(x)).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(x)).mean(1))


def cifar_vit(*, classes: int = 10, channels: int = 3) -> VisionTransformer:
    """Six blocks of width 192 over 64 patches of 4x4, for 32x32 images."""
    return VisionTransformer(32, 4, 192, 6, 3, classes=classes, channels=channels)


def digits_vit(*, classes: int = 10, channels: int = 1) -> VisionTransformer:
    """Two blocks of width 48 over 16 patches of 2x2, for 8x8 images."""
    return VisionTransformer(8, 2, 48, 2, 4, classes=classes, channels=channels)


NETWORKS = {"cifar_vit": cifar_vit, "digits_vit": digits_vit}
