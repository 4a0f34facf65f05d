"""MobileNetV2 (1801.04381); for ImageNet, torchvision's checkpoints fit, key by key."""

from __future__ import annotations

from torch import Tensor, nn

from .initialise import initialise
from .sizes import check_input_size

# Expansion, channels, blocks, stride of the first block: the paper's table 2.
SETTINGS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _conv(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Widen by 1x1, a depthwise 3x3, narrow by 1x1 without activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.conv = nn.Sequential(
            *([_conv(inputs, hidden)] if expansion != 1 else []),
            _conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    """Inverted residuals between a 3x3 and a 1x1 convolution.

    Args:
        classes: outputs.
        input_size: 224; or 32, which leaves out the first two strides.
    """

    def __init__(self, classes: int, input_size: int) -> None:
        super().__init__()
        small = check_input_size(input_size) == 32
        self.features = nn.Sequential(_conv(3, 32, 3, 1 if small else 2))
        inputs = 32
        for expansion, outputs, blocks, stride in SETTINGS:
            for block in range(blocks):
                first = 1 if block or (small and outputs == 24) else stride
                self.features.append(
                    InvertedResidual(inputs, outputs, first, expansion)
                )
                inputs = outputs
        self.features.append(_conv(inputs, 1280))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.flatten(self.pool(self.features(x))))


def mobilenetv2(*, classes: int = 1000, input_size: int = 224) -> MobileNetV2:
    """A network for ImageNet, or with `input_size=32` for CIFAR."""
    return MobileNetV2(classes, input_size)


NETWORKS = {"mobilenetv2": mobilenetv2}
