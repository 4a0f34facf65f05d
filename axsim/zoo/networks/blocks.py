"""Residual blocks (1512.03385) and the shortcuts around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

# Where a block's last ReLU stands: He's original has it after the addition, channel
# gating's "post-activation" network before it, AC-GC's network nowhere.
LastReLU = Literal["after", "before", "none"]
Shortcut = Callable[[int, int, int], nn.Module]


class Subsample(nn.Module):
    """Every `stride`-th pixel."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :: self.stride, :: self.stride]


class ChannelPad(nn.Module):
    """Adds channels of zeros, half of them before and half behind."""

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        before = self.extra // 2
        return F.pad(x, (0, 0, 0, 0, before, self.extra - before))


def padding_shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Option A: no parameters."""
    return nn.Sequential(Subsample(stride), ChannelPad(outputs - inputs))


def projection_shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Option B: a 1x1 convolution with batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
    )


class ResidualBlock(nn.Module):
    """What basic and bottleneck blocks share: the shortcut and the last ReLU."""

    expansion: int

    def __init__(
        self, inputs: int, width: int, stride: int, shortcut: Shortcut, last: LastReLU
    ) -> None:
        super().__init__()
        outputs = width * self.expansion
        same = stride == 1 and inputs == outputs
        self.downsample = None if same else shortcut(inputs, outputs, stride)
        self.relu = nn.ReLU()
        self.last = last

    def join(self, x: Tensor, out: Tensor) -> Tensor:
        """The block's output from its input and what its convolutions made of it."""
        identity = x if self.downsample is None else self.downsample(x)
        if self.last == "before":
            return self.relu(out) + identity
        return self.relu(out + identity) if self.last == "after" else out + identity


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions; one ReLU module serves the whole block."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, shortcut: Shortcut, last: LastReLU
    ) -> None:
        super().__init__(inputs, width, stride, shortcut, last)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.join(x, self.bn2(self.conv2(out)))


class Bottleneck(ResidualBlock):
    """1x1, 3x3 (which has the stride) and 1x1 convolution."""

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int, shortcut: Shortcut, last: LastReLU
    ) -> None:
        super().__init__(inputs, width, stride, shortcut, last)
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.join(x, self.bn3(self.conv3(out)))


def make_stage(
    block: type[ResidualBlock],
    inputs: int,
    width: int,
    count: int,
    stride: int,
    shortcut: Shortcut = projection_shortcut,
    last: LastReLU = "after",
) -> nn.Sequential:
    """Blocks in a row, of which the first may change the shape."""
    outputs = width * block.expansion
    first = block(inputs, width, stride, shortcut, last)
    rest = (block(outputs, width, 1, shortcut, last) for _ in range(count - 1))
    return nn.Sequential(first, *rest)
