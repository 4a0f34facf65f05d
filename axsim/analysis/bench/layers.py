"""The layer shapes that kernels are measured on, taken from well-known networks."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True)
class Layer:
    """One convolution, or a matrix product where `size` is 1 and there are many images.

    Args:
        network, name: where it occurs.
        batch, channels, outputs, size, kernel: of square inputs and kernels.
        stride, padding, groups: of the convolution.
    """

    network: str
    name: str
    batch: int
    channels: int
    outputs: int
    size: int = 1
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def x(self) -> tuple[int, int, int, int]:
        """Shape of the input."""
        return self.batch, self.channels, self.size, self.size

    @property
    def w(self) -> tuple[int, int, int, int]:
        """Shape of the weights."""
        return self.outputs, self.channels // self.groups, self.kernel, self.kernel

    @property
    def out(self) -> int:
        """Side of the output."""
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def products(self) -> int:
        """Products in one pass."""
        return self.batch * self.out**2 * prod(self.w)


LAYERS = (
    Layer("CIFAR ResNet", "16, 32x32", 128, 16, 16, 32, 3, padding=1),
    Layer("CIFAR ResNet", "16 to 32, stride 2", 128, 16, 32, 32, 3, 2, 1),
    Layer("CIFAR ResNet", "32, 16x16", 128, 32, 32, 16, 3, padding=1),
    Layer("CIFAR ResNet", "64, 8x8", 128, 64, 64, 8, 3, padding=1),
    Layer("ResNet-50", "stem 7x7", 8, 3, 64, 224, 7, 2, 3),
    Layer("ResNet-50", "64, 56x56", 8, 64, 64, 56, 3, padding=1),
    Layer("ResNet-50", "64 to 256, 56x56", 8, 64, 256, 56),
    Layer("ResNet-50", "128, 28x28", 16, 128, 128, 28, 3, padding=1),
    Layer("ResNet-50", "256, 14x14", 32, 256, 256, 14, 3, padding=1),
    Layer("ResNet-50", "1024 to 256, 14x14", 32, 1024, 256, 14),
    Layer("ResNet-50", "512, 7x7", 32, 512, 512, 7, 3, padding=1),
    Layer("ResNet-50", "512, 7x7, one image", 1, 512, 512, 7, 3, padding=1),
    Layer("MobileNet", "depthwise 32, 112x112", 2, 32, 32, 112, 3, 1, 1, 32),
    Layer("MobileNet", "depthwise 512, 14x14", 8, 512, 512, 14, 3, 1, 1, 512),
    Layer("MobileNet", "pointwise 32 to 64, 112x112", 2, 32, 64, 112),
    Layer("MobileNet", "pointwise 512, 14x14", 8, 512, 512, 14),
    Layer("ViT-B", "768 to 2304, 197 tokens", 197, 768, 2304),
    Layer("ViT-B", "3072 to 768, 197 tokens", 197, 3072, 768),
    Layer("ViT-B", "head, one token", 1, 768, 1000),
)
