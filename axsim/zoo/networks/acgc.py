"""AC-GC's CIFAR networks: bottlenecks without a ReLU after the addition.

Its rules name the stages res2 to res5.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from .blocks import Bottleneck, make_stage
from .initialise import initialise
from .stem import conv_bn_relu


class AcgcResNet(nn.Module):
    """A 3x3 stem and four stages of bottlenecks, for 32x32 images.

    Args:
        counts: blocks in each stage.
        classes: outputs.
        channels: of the input.
    """

    def __init__(
        self, counts: tuple[int, int, int, int], classes: int, channels: int
    ) -> None:
        super().__init__()
        self.stem = conv_bn_relu(channels, 64)
        self.res2 = make_stage(Bottleneck, 64, 64, counts[0], 1, last="none")
        self.res3 = make_stage(Bottleneck, 256, 128, counts[1], 2, last="none")
        self.res4 = make_stage(Bottleneck, 512, 256, counts[2], 2, last="none")
        self.res5 = make_stage(Bottleneck, 1024, 512, counts[3], 2, last="none")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(2048, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.res5(self.res4(self.res3(self.res2(self.stem(x)))))
        return self.head(self.flatten(self.pool(x)))


def acgc_resnet(
    counts: tuple[int, int, int, int], *, classes: int = 10, channels: int = 3
) -> AcgcResNet:
    """A network for CIFAR-10 or, with `classes=100`, CIFAR-100."""
    return AcgcResNet(counts, classes, channels)


NETWORKS = {
    "acgc_resnet50": partial(acgc_resnet, (3, 4, 6, 3)),
    "acgc_resnet101": partial(acgc_resnet, (3, 4, 23, 3)),
    "acgc_resnet152": partial(acgc_resnet, (3, 8, 36, 3)),
}
