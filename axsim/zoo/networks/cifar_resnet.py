"""The residual networks of CIFAR (1512.03385, 4.2), and a small one for digits."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from ...quant.pact import PactClip
from .blocks import BasicBlock, LastReLU, make_stage, padding_shortcut
from .initialise import initialise
from .stem import conv_bn_relu


class CifarResNet(nn.Module):
    """A 3x3 stem and three stages of basic blocks with parameter-free shortcuts.

    Args:
        blocks: blocks in each stage, at least 1; the depth is 6 * blocks + 2.
        classes: outputs.
        channels: of the input.
        widths: channels of each stage.
        last: where each block's last ReLU stands; `"before"` the addition is the
            post-activation network of channel gating.
        pact: the first clip of PACT's activations, which then stand for the ReLUs, one
            for the stem and one for each block; None for ReLUs.
    """

    def __init__(
        self,
        blocks: int,
        classes: int,
        channels: int,
        widths: tuple[int, int, int],
        last: LastReLU,
        pact: float | None = None,
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.stem = conv_bn_relu(channels, first)
        stage = partial(
            make_stage, BasicBlock, count=blocks, shortcut=padding_shortcut, last=last
        )
        self.stage1 = stage(inputs=first, width=first, stride=1)
        self.stage2 = stage(inputs=first, width=second, stride=2)
        self.stage3 = stage(inputs=second, width=third, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(third, classes)
        initialise(self)
        if pact is not None:
            _clip_activations(self, pact)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.head(self.flatten(self.pool(x)))


def _clip_activations(net: nn.Module, alpha: float) -> None:
    """Exchanges every ReLU, which serves a whole block, for PACT's clip."""
    for module in [*net.modules()]:
        if isinstance(getattr(module, "relu", None), nn.ReLU):
            module.relu = PactClip(alpha)


def cifar_resnet(
    depth: int,
    *,
    classes: int = 10,
    channels: int = 3,
    last: LastReLU = "after",
    pact: float | None = None,
) -> CifarResNet:
    """A network of depth 8, 14, 20, … for 32x32 images."""
    blocks = (depth - 2) // 6
    return CifarResNet(blocks, classes, channels, (16, 32, 64), last, pact)


def digits_resnet(
    *, classes: int = 10, channels: int = 1, pact: float | None = None
) -> CifarResNet:
    """ResNet-8 for 8x8 images."""
    return CifarResNet(1, classes, channels, (16, 32, 64), "after", pact)


NETWORKS = {
    f"cifar_resnet{depth}": partial(cifar_resnet, depth) for depth in range(8, 63, 6)
} | {"digits_resnet": digits_resnet}
