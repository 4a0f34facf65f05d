"""ResNet-18, 50 and 152 (1512.03385); torchvision's checkpoints fit, key by key."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from .blocks import BasicBlock, Bottleneck, ResidualBlock, make_stage
from .initialise import initialise
from .sizes import check_input_size


class ResNet(nn.Module):
    """Four stages of blocks with projection shortcuts.

    Args:
        block: basic or bottleneck.
        counts: blocks in each stage.
        classes: outputs.
        input_size: 224 for ImageNet's stem; 32 for a 3x3 stem without pooling.
    """

    def __init__(
        self,
        block: type[ResidualBlock],
        counts: tuple[int, int, int, int],
        classes: int,
        input_size: int,
    ) -> None:
        super().__init__()
        small = check_input_size(input_size) == 32
        stem = (3, 1, 1) if small else (7, 2, 3)
        self.conv1 = nn.Conv2d(3, 64, *stem, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        wide = block.expansion
        self.layer1 = make_stage(block, 64, 64, counts[0], 1)
        self.layer2 = make_stage(block, 64 * wide, 128, counts[1], 2)
        self.layer3 = make_stage(block, 128 * wide, 256, counts[2], 2)
        self.layer4 = make_stage(block, 256 * wide, 512, counts[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512 * wide, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.flatten(self.avgpool(x)))


def resnet(
    block: type[ResidualBlock],
    counts: tuple[int, int, int, int],
    *,
    classes: int = 1000,
    input_size: int = 224,
) -> ResNet:
    """A network for ImageNet, or with `input_size=32` for CIFAR."""
    return ResNet(block, counts, classes, input_size)


NETWORKS = {
    "resnet18": partial(resnet, BasicBlock, (2, 2, 2, 2)),
    "resnet50": partial(resnet, Bottleneck, (3, 4, 6, 3)),
    "resnet152": partial(resnet, Bottleneck, (3, 8, 36, 3)),
}
