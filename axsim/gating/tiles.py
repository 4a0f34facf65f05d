"""Tiles: blocks of 16 output pixels by 16 output channels, as hardware skips them.

A single closed output saves nothing on a machine that computes blocks. The share of
blocks that are closed as a whole bounds what can be skipped there.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

SIDE = 16


def tile_open(mask: Tensor) -> Tensor:
    """Which tiles have an open output.

    Args:
        mask: bool[M, O], outputs in rows of pixels.

    Returns:
        bool[ceil(M / 16), ceil(O / 16)]; tiles at the edge are smaller.

    Example:
        >>> tile_open(torch.eye(17, dtype=torch.bool)).tolist()
        [[True, False], [False, True]]
    """
    rows, outputs = mask.shape
    padded = F.pad(mask, (0, -outputs % SIDE, 0, -rows % SIDE))
    return padded.view(-(-rows // SIDE), SIDE, -(-outputs // SIDE), SIDE).any(3).any(1)


def rows_of(mask: Tensor, axis: int) -> Tensor:
    """A mask over outputs as rows of pixels, its output channels last.

    Args:
        mask: bool, of any dimensions.
        axis: the dimension of the output channels.
    """
    return mask.movedim(axis, -1).reshape(-1, mask.shape[axis])
