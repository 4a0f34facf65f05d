"""Pre-activation residual networks (1603.05027) with BLPA's shortcuts.

Every convolution but the first follows a batch norm and a ReLU of its own, so that one
code of the batch norm's input can serve all three.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn

from .blocks import ChannelPad
from .initialise import initialise
from .sizes import check_input_size


class PreactBottleneck(nn.Module):
    """Batch norm, ReLU and convolution, three times.

    A shortcut that changes the shape starts behind the first ReLU, is averaged over the
    stride and padded with channels of zeros; any other starts at the block's input.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu3 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        same = stride == 1 and inputs == outputs
        pad = nn.Sequential(nn.AvgPool2d(stride), ChannelPad(outputs - inputs))
        self.downsample = None if same else pad

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu1(self.bn1(x))
        identity = x if self.downsample is None else self.downsample(active)
        out = self.conv2(self.relu2(self.bn2(self.conv1(active))))
        return self.conv3(self.relu3(self.bn3(out))) + identity


class PreactResNet(nn.Module):
    """A stem, stages whose width doubles, a last batch norm and ReLU.

    Args:
        counts: blocks in each stage.
        width: of the first stage's 3x3 convolutions.
        classes: outputs.
        input_size: 32 for a 3x3 stem, 224 for ImageNet's.
    """

    def __init__(
        self, counts: tuple[int, ...], width: int, classes: int, input_size: int
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(_stem(width, input_size))
        self.stages = [f"stage{index + 1}" for index in range(len(counts))]
        inputs = width
        for index, (name, count) in enumerate(zip(self.stages, counts, strict=True)):
            stage = _stage(inputs, width << index, count, 2 if index else 1)
            self.add_module(name, stage)
            inputs = (width << index) * PreactBottleneck.expansion
        self.bn = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(inputs, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return self.head(self.flatten(self.pool(self.relu(self.bn(x)))))


def _stage(inputs: int, width: int, count: int, stride: int) -> nn.Sequential:
    outputs = width * PreactBottleneck.expansion
    first = PreactBottleneck(inputs, width, stride)
    rest = (PreactBottleneck(outputs, width, 1) for _ in range(count - 1))
    return nn.Sequential(first, *rest)


def _stem(width: int, input_size: int) -> OrderedDict[str, nn.Module]:
    if check_input_size(input_size) == 32:
        return OrderedDict(conv=nn.Conv2d(3, width, 3, padding=1, bias=False))
    return OrderedDict(
        conv=nn.Conv2d(3, width, 7, 2, padding=3, bias=False),
        pool=nn.MaxPool2d(3, 2, padding=1),
    )


def preact_cifar(depth: int, *, classes: int = 10) -> PreactResNet:
    """A network of depth 9 * blocks + 2 for 32x32 images."""
    return PreactResNet(3 * ((depth - 2) // 9,), 16, classes, 32)


def preact_imagenet(counts: tuple[int, ...], *, classes: int = 1000) -> PreactResNet:
    """A network for 224x224 images."""
    return PreactResNet(counts, 64, classes, 224)


NETWORKS = {
    "preact_resnet56": partial(preact_cifar, 56),
    "preact_resnet164": partial(preact_cifar, 164),
    "preact_resnet152": partial(preact_imagenet, (3, 8, 36, 3)),
}
