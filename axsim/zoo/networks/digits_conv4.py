"""Four convolutions with batch norm: a quick, discriminating test of training."""

from __future__ import annotations

from torch import Tensor, nn

from .initialise import initialise
from .stem import conv_bn_relu


class DigitsConv4(nn.Module):
    """Two convolutions at 8x8, two at 4x4, and a linear layer.

    Args:
        classes: outputs.
        channels: of the input.
    """

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = conv_bn_relu(channels, 32)
        self.layer1 = conv_bn_relu(32, 32)
        self.layer2 = conv_bn_relu(32, 64, stride=2)
        self.layer3 = conv_bn_relu(64, 64)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(64, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        return self.head(self.flatten(self.pool(x)))


def digits_conv4(*, classes: int = 10, channels: int = 1) -> DigitsConv4:
    """The network for 8x8 digits."""
    return DigitsConv4(classes, channels)


NETWORKS = {"digits_conv4": digits_conv4}
