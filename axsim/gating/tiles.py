"""Tiles: blocks of 16 output pixels by 16 output channels, as hardware skips them.

A single closed output saves nothing on a machine that computes blocks. The share of
blocks that are closed as a whole bounds what can be skipped there.
"""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 16


def open_runs(mask: Tensor, axis: int) -> Tensor:
    """Which runs of 16 pixels, counted over all images, have an open output.

    Args:
        mask: bool, of any dimensions.
        axis: the dimension of the output channels.

    Returns:
        bool[ceil(M / 16), O]; the last run may be shorter.

    Example:
        >>> open_runs(torch.eye(17, dtype=torch.bool), axis=1).sum(1).tolist()
        [16, 1]
    """
    pixels = prod(mask.shape[2:]) if axis == 1 else 0
    if mask.numel() and pixels and pixels % SIDE == 0 and mask.is_contiguous():
        # Sixteen flags are two words of 64 bits.
        words = mask.view(*mask.shape[:2], pixels).view(torch.int64)
        runs = words.view(*mask.shape[:2], -1, 2)
        opened = (runs[..., 0] | runs[..., 1]) != 0
        return opened.movedim(1, -1).reshape(-1, mask.shape[1])
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
