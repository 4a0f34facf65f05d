"""The first layers of axsim's own convolutional networks."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def conv_bn_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution named `conv`, its batch norm `bn` and `relu`."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            bn=nn.BatchNorm2d(outputs),
            relu=nn.ReLU(),
        )
    )
