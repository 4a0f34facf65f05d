"""How codes, weights and outputs lie in memory: one implicit matrix product for all."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from ..errors import BackendError
from .launch import refuse_while_capturing

# A tap that is skipped has this code; every image of a table ends in zeros there.
SKIPPED = 256
# Addresses are 32 bits; the margin lets a last tile run past the end.
LARGEST = (1 << 31) - (1 << 16)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Product:
    """Sums over taps and channels, for every pixel of every image and every output.

    A matrix product is the case of one pixel to an image and one tap. The code of
    image i, pixel p, tap t and channel c (of a group) is
    `codes[i * image + (group * channels + c) * channel + reach[t, p]]`, or `pad`
    where `reach` is negative.

    Args:
        codes: uint8, contiguous.
        weights: uint8[groups * outputs, channels, taps], any strides.
        reach: int32[taps, pixels].
        images, channels, groups, outputs: their numbers; the last two per group.
        image, channel: steps in `codes`.
        pad: code of a padded tap, or SKIPPED.
        sums: int32 or int64, contiguous; receives the result.
        steps: in `sums`, from image to image, output to output, pixel to pixel.
    """

    codes: torch.Tensor
    weights: torch.Tensor
    reach: torch.Tensor
    images: int
    channels: int
    groups: int
    outputs: int
    image: int
    channel: int
    pad: int
    sums: torch.Tensor
    steps: tuple[int, int, int]

    @property
    def taps(self) -> int:
        return self.reach.shape[0]

    @property
    def pixels(self) -> int:
        return self.reach.shape[1]

    @property
    def length(self) -> int:
        """Rows of the implicit matrix of codes."""
        return self.images * self.pixels

    @property
    def terms(self) -> int:
        """Products in one sum."""
        return self.taps * self.channels

    @property
    def wide(self) -> bool:
        return self.sums.dtype == torch.int64


def parts(product: Product) -> Iterator[Product]:
    """The product in slices of images whose addresses fit 32 bits; mostly just one."""
    largest = max(product.image, product.pixels)
    count = LARGEST // largest
    if count < 1:
        raise BackendError(
            f"one image has {largest:,} codes or pixels; kernels address up to "
            f"{LARGEST:,}. Split the layer."
        )
    for start in range(0, product.images, count):
        images = min(count, product.images - start)
        yield replace(
            product,
            images=images,
            codes=product.codes.view(-1)[start * product.image :],
            sums=product.sums.view(-1)[start * product.steps[0] :],
        )


def reach(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    device: torch.device,
) -> torch.Tensor:
    """Where each tap of each output pixel lies in its plane, int32[taps, pixels]."""
    found = _reach(size, kernel, stride, padding, dilation, str(device))
    return held_by_graph(found)


@functools.lru_cache(maxsize=128)
def _reach(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    device: str,
) -> torch.Tensor:
    refuse_while_capturing("a convolution of this shape")
    spans = zip(size, kernel, stride, padding, dilation, strict=True)
    axes = [
        np.arange(k)[:, None] * d
        + np.arange((n + 2 * p - d * (k - 1) - 1) // s + 1) * s
        - p
        for n, k, s, p, d in spans
    ]
    taps, pixels = prod(kernel), prod(axis.shape[1] for axis in axes)
    offsets: npt.NDArray[np.int64] = np.zeros((1, 1), np.int64)
    inside: npt.NDArray[np.bool_] = np.ones((1, 1), np.bool_)
    for axis, n in zip(axes, size, strict=True):
        shape = (inside.shape[0] * axis.shape[0], inside.shape[1] * axis.shape[1])
        fits = (axis >= 0) & (axis < n)
        offsets = (offsets[:, None, :, None] * n + axis[None, :, None, :]).reshape(
            shape
        )
        inside = (inside[:, None, :, None] & fits[None, :, None, :]).reshape(shape)
    found = np.where(inside, offsets, -1).astype(np.int32).reshape(taps, pixels)
    return settled(torch.from_numpy(found).to(device))


def settled(made: torch.Tensor) -> torch.Tensor:
    """What is about to be kept, once it is there: other streams will read it."""
    if made.is_cuda:
        torch.cuda.current_stream(made.device).synchronize()
    return made


_held: dict[int, object] = {}


def held_by_graph(found: Found) -> Found:
    """What a cache found, kept for ever where a CUDA graph records its addresses."""
    if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
        _held[id(found)] = found
    return found


def packed_weights(product: Product) -> torch.Tensor:
    """The weights eight outputs wide: uint8[groups, ceil(outputs / 8), terms, 8]."""
    taps, channels, outputs = product.taps, product.channels, product.outputs
    weights = product.weights.reshape(product.groups, outputs, channels, taps)
    if outputs % 8:
        missing = -outputs % 8
        weights = torch.nn.functional.pad(weights, (0, 0, 0, 0, 0, missing))
    eights = weights.reshape(product.groups, -1, 8, channels, taps)
    return eights.permute(0, 1, 4, 3, 2).contiguous().flatten(2, 3)


def add_shift(product: Product, shift: int) -> None:
    """Adds what 16-bit images of a table leave out: `shift` for every real tap."""
    if shift == 0:
        return
    if product.pad != SKIPPED:
        product.sums.add_(shift * product.terms)
        return
    real = (product.reach >= 0).sum(0, dtype=product.sums.dtype) * product.channels
    product.sums.view(product.images, -1, product.pixels).add_(real * shift)


def tiles(count: int, size: int) -> int:
    """How many tiles cover it."""
    return -(-count // size)
