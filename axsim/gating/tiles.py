"""Tiles: blocks of 16 output pixels by 16 output channels, as hardware skips them.

A single closed output saves nothing on a machine that computes blocks. The share of
blocks that are closed as a whole bounds what can be skipped there.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ..kernels.compiled import compiled

SIDE = 16
# Times this, the eight bytes of a word add up in its highest one.
BYTES = 0x0101010101010101


def count_open(mask: Tensor, axis: int) -> tuple[int | Tensor, int, int | Tensor]:
    """How many flags a mask has set, how many tiles it has, how many of them are open.

    Args:
        mask, axis: as in `open_runs`.

    Example:
        >>> import torch
        >>> count_open(torch.eye(17, dtype=torch.bool), axis=1)
        (17, 4, 2)
    """
    pixels = prod(mask.shape[2:]) if axis == 1 and mask.numel() else 0
    on_cpu = mask.device.type == "cpu"
    if on_cpu and mask.is_contiguous() and pixels and pixels % SIDE == 0:
        # Sixteen flags are two words of 64 bits; NumPy has them begin at any byte.
        words = mask.view(*mask.shape[:2], pixels).numpy().view(np.int64)
        images, outputs, width = words.shape
        tiles = images * (width // 2) * -(-outputs // SIDE)
        flags, opened = _count(words, np.empty(width, np.int64))
        return int(flags), tiles, int(opened)
    tiles = open_tiles(open_runs(mask, axis))
    flags, opened = mask.sum(), tiles.sum()
    if on_cpu:
        flags, opened = int(flags), int(opened)
    return flags, tiles.numel(), opened


@compiled
def _count(words: Any, sums: Any) -> tuple[Any, Any]:
    """Set flags and open tiles of flags [images, channels, words of 8].

    sums: int64[words], overwritten.
    """
    images, outputs, width = words.shape
    flags, opened = 0, 0
    for image in range(images):
        for first in range(0, outputs, SIDE):
            sums[:] = 0
            # Each byte of a word counts up to 16 flags.
            for o in range(first, min(outputs, first + SIDE)):
                own = words[image, o]
                for i in range(width):
                    sums[i] += own[i]
            for i in range(width):
                flags += np.int64(np.uint64(sums[i] * BYTES) >> np.uint64(56))
            for i in range(0, width, 2):
                opened += (sums[i] | sums[i + 1]) != 0
    return flags, opened


def open_runs(mask: Tensor, axis: int) -> Tensor:
    """Which runs of 16 pixels, counted over all images, have an open output.

    Args:
        mask: bool, of any dimensions.
        axis: the dimension of the output channels.

    Returns:
        bool[ceil(M / 16), O]; the last run may be shorter.

    Example:
        >>> import torch
        >>> open_runs(torch.eye(17, dtype=torch.bool), axis=1).sum(1).tolist()
        [16, 1]
    """
    last = mask.movedim(axis, -1)
    rows = last.reshape(prod(last.shape[:-1]), mask.shape[axis])
    padded = F.pad(rows, (0, 0, 0, -len(rows) % SIDE))
    return padded.view(len(padded) // SIDE, SIDE, rows.shape[1]).any(1)


def open_tiles(runs: Tensor) -> Tensor:
    """Which tiles have an open output, from the runs of their channels.

    Args:
        runs: bool[R, O].

    Returns:
        bool[R, ceil(O / 16)]; the last column of tiles may be narrower.
    """
    outputs = runs.shape[1]
    padded = F.pad(runs, (0, -outputs % SIDE))
    return padded.view(len(runs), padded.shape[1] // SIDE, SIDE).any(2)
