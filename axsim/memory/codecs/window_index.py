"""Which element of its window a pooling layer took."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from ...errors import OperandError
from ..codec import NO_HINTS, Bits, Codec, Hints, Packed, Window, form_of
from .lossless import Lossless

# Places fit in a byte.
LARGEST_WINDOW = 256


@dataclass(frozen=True)
class WindowIndex(Codec):
    """Keeps the place inside the window instead of the place in the input's plane.

    Exact, in 4 * bits * ceil(n / 32) bytes for n outputs, with the fewest bits that
    count the window's elements: 2 for 2x2, 4 for 3x3.

    Example:
        >>> layer = torch.nn.MaxPool2d(2, return_indices=True)
        >>> _, indices = layer(torch.randn(1, 1, 4, 4))
        >>> window = Window((4, 4), (2, 2), (2, 2), (0, 0), (1, 1))
        >>> packed = WindowIndex().encode(indices, hints=Hints(window=window))
        >>> torch.equal(packed.decode(), indices), packed.nbytes
        (True, 8)
    """

    lossless = True

    def encode(self, x: Tensor, bits: Bits = 0, hints: Hints = NO_HINTS) -> Packed:
        """Packs the indices that `max_pool(..., return_indices=True)` returns.

        Args:
            x: int64[..., *outputs], places in the input's plane.
            hints: the window.

        Raises:
            OperandError: without a window, or for one of more than 256 elements.
        """
        window = hints.window
        if window is None or prod(window.kernel) > LARGEST_WINDOW:
            raise OperandError(
                f"window={window}; indices of pooling need Hints(window=Window(...)) "
                f"of at most {LARGEST_WINDOW} elements."
            )
        places = _places(x.detach(), window)
        width = max(1, (prod(window.kernel) - 1).bit_length())
        coded = Lossless().encode(places, width)
        form = form_of(x)._replace(stride=coded.form.stride)
        return Packed(self, coded.payload, form, width, Hints(window=window))

    def decode(self, packed: Packed) -> Tensor:
        """The places in the input's plane, int64."""
        window = packed.hints.window
        if window is None:
            raise OperandError("codes without the window they were made with.")
        places = Lossless().decode(packed).long()
        index = torch.zeros_like(places)
        for d, size in enumerate(window.size):
            inner = prod(window.kernel[d + 1 :])
            offset = places // inner % window.kernel[d] * window.dilation[d]
            index = index * size + _corners(places, window, d) + offset
        return index


def _places(index: Tensor, window: Window) -> Tensor:
    """uint8: the place inside the window of a place in the plane."""
    places = torch.zeros_like(index)
    for d, size in enumerate(window.size):
        inner = prod(window.size[d + 1 :])
        offset = index // inner % size - _corners(index, window, d)
        places = places * window.kernel[d] + offset // window.dilation[d]
    return places.to(torch.uint8)


def _corners(x: Tensor, window: Window, d: int) -> Tensor:
    """Where the window of every output begins along one dimension of the plane."""
    dim = x.dim() - len(window.size) + d
    outputs = torch.arange(x.shape[dim], device=x.device)
    corners = outputs * window.stride[d] - window.padding[d]
    return corners.view([-1 if i == dim else 1 for i in range(x.dim())])
