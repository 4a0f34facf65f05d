"""Some outputs of a layer alone: what they see, gathered, and their sums, added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compiled import compiled


class Windows:
    """What every output pixel sees.

    Args:
        view: uint8[..., ...]: the dimensions of the output's pixels, then those of
            what each sees; of a matrix, rows and columns. In one storage.

    Example:
        >>> x = torch.arange(5, dtype=torch.uint8)
        >>> Windows(x.as_strided((4, 2), (1, 1))).gather(torch.tensor([3, 0])).tolist()
        [[3, 0], [4, 1]]
    """

    def __init__(self, view: Tensor) -> None:
        lead = view.dim() // 2
        sizes, steps = view.shape, view.stride()
        count = view.untyped_storage().nbytes()
        self.memory: Any = view.as_strided((count,), (1,), 0).numpy()
        self.origins = _places(sizes[:lead], steps[:lead]) + view.storage_offset()
        self.taps = _places(sizes[lead:], steps[lead:])

    def gather(self, pixels: Tensor) -> Tensor:
        """uint8[K, M]: what M pixels see, side by side, as one tap reads it.

        Args:
            pixels: int64[M], counted over all pixels.
        """
        starts = self.origins[pixels.numpy()]
        out = np.empty((len(self.taps), len(starts)), np.uint8)
        _copy(self.memory, starts, self.taps, out)
        return torch.from_numpy(out)


@dataclass(frozen=True)
class Goal:
    """Outputs whose sums are to be completed; all contiguous and of one shape.

    Args:
        base: float32 or float64, what the sums so far stand for; overwritten.
        total: int32 or int64, these sums.
        mask: bool, which outputs are to be completed.
        units: like `base`, what a sum counts for, for each output channel.
    """

    base: Tensor
    total: Tensor
    mask: Tensor
    units: Tensor

    def add(
        self, found: Tensor, pixels: Tensor, channels: Tensor, depth: int, shift: int
    ) -> None:
        """Adds sums, times a power of two, to those outputs that the mask names.

        Args:
            found: int[len(channels), len(pixels)].
            pixels: int64, places in memory of these pixels in channel 0.
            channels: int64, which output channels.
            depth: places from one channel to the next.
            shift: the power.
        """
        _add(
            self.base.view(-1).numpy(), self.total.view(-1).numpy(), found.numpy(),
            self.mask.view(-1).numpy(), pixels.numpy(), channels.numpy(), depth,
            self.units.numpy(), shift,
        )  # fmt: skip


def _places(sizes: torch.Size, steps: tuple[int, ...]) -> Any:
    """Places in memory of a view's elements, in order."""
    places = np.zeros(1, np.int64)
    for size, step in zip(sizes, steps, strict=True):
        places = (places[:, None] + np.arange(size) * step).reshape(-1)
    return places


@compiled
def _copy(memory: Any, starts: Any, taps: Any, out: Any) -> None:
    for tap in range(len(taps)):
        offset = taps[tap]
        for pixel in range(len(starts)):
            out[tap, pixel] = memory[starts[pixel] + offset]


@compiled
def _add(
    base: Any, total: Any, found: Any, mask: Any, pixels: Any, channels: Any,
    depth: int, units: Any, shift: int,
) -> None:  # fmt: skip
    for c in range(len(channels)):
        unit = units[channels[c]]
        for p in range(len(pixels)):
            place = pixels[p] + channels[c] * depth
            if mask[place]:
                whole = total[place] + (found[c, p] << shift)
                base[place] = units.dtype.type(whole) * unit
