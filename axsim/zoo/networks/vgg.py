"""VGG (1409.1556); for ImageNet, torchvision's checkpoints fit, key by key."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from .initialise import initialise
from .sizes import check_input_size

WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Five groups of 3x3 convolutions, each ending in a max pooling.

    Args:
        counts: convolutions in each group.
        classes: outputs.
        input_size: 224 for three large linear layers; 32 for a single one.
        batch_norm: whether each convolution has one; torchvision's `vgg16_bn`.
    """

    def __init__(
        self,
        counts: tuple[int, int, int, int, int],
        classes: int,
        input_size: int,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        small = check_input_size(input_size) == 32
        self.features = _features(counts, batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1 if small else 7)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(512, classes) if small else _classifier(classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


def _features(counts: tuple[int, ...], batch_norm: bool) -> nn.Sequential:
    layers = nn.Sequential()
    inputs = 3
    for width, count in zip(WIDTHS, counts, strict=True):
        for _ in range(count):
            layers.append(nn.Conv2d(inputs, width, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU())
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return layers


def _classifier(classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(4096, classes),
    )


def vgg(
    counts: tuple[int, int, int, int, int],
    *,
    classes: int = 1000,
    input_size: int = 224,
    batch_norm: bool = True,
) -> VGG:
    """A network for ImageNet, or with `input_size=32` for CIFAR."""
    return VGG(counts, classes, input_size, batch_norm)


NETWORKS = {
    "vgg11": partial(vgg, (1, 1, 2, 2, 2)),
    "vgg16": partial(vgg, (2, 2, 3, 3, 3)),
    "vgg19": partial(vgg, (2, 2, 4, 4, 4)),
}
