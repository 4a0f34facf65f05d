"""What a gated layer needs to compute some outputs alone: gather, and add where open."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compiled import compiled


def gather_windows(windows: Tensor, pixels: Tensor) -> Tensor:
    """What some output pixels see, side by side as a convolution of one tap reads it.

    Args:
        windows: uint8 view [..., ...]: first the dimensions of the output's pixels,
            then as many or more of what each sees, in one storage.
        pixels: int64[M], which pixels, counted over the leading dimensions.

    Returns:
        uint8[K, M].

    Example:
        >>> x = torch.arange(5, dtype=torch.uint8)
        >>> pairs = x.as_strided((4, 2), (1, 1))
        >>> gather_windows(pairs, torch.tensor([3, 0])).tolist()
        [[3, 0], [4, 1]]
    """
    lead = (windows.dim() + 1) // 2 - (windows.dim() % 2 == 1)
    sizes, steps = windows.shape, windows.stride()
    places = torch.unravel_index(pixels, sizes[:lead])
    origins = torch.stack([p * s for p, s in zip(places, steps[:lead], strict=True)])
    taps = _offsets(sizes[lead:], steps[lead:])
    start = origins.sum(0).numpy() + windows.storage_offset()
    count = windows.untyped_storage().nbytes()
    memory = windows.as_strided((count,), (1,), 0).numpy()
    out = np.empty((len(taps), len(start)), np.uint8)
    _copy(memory, start, taps, out)
    return torch.from_numpy(out)


def add_open(
    total: Tensor,
    found: Tensor,
    mask: Tensor,
    rows: Tensor,
    columns: Tensor,
    shift: int,
) -> None:
    """Adds sums, times a power of two, to the open ones of some outputs, in place.

    Args:
        total: int32 or int64, contiguous: of all outputs.
        found: int[len(columns), len(rows)].
        mask: bool, contiguous, shaped like `total`.
        rows, columns: int64, whose sums are the places in `total`'s memory.
        shift: the power.
    """
    _add(
        total.view(-1).numpy(), found.numpy(), mask.view(-1).numpy(), rows.numpy(),
        columns.numpy(), shift,
    )  # fmt: skip


def _offsets(sizes: torch.Size, steps: tuple[int, ...]) -> Any:
    """Places in memory of a view's elements, in order."""
    places = np.zeros(1, np.int64)
    for size, step in zip(sizes, steps, strict=True):
        places = (places[:, None] + np.arange(size) * step).reshape(-1)
    return places


@compiled
def _copy(memory: Any, start: Any, taps: Any, out: Any) -> None:
    for tap in range(len(taps)):
        offset = taps[tap]
        for pixel in range(len(start)):
            out[tap, pixel] = memory[start[pixel] + offset]


@compiled
def _add(
    total: Any, found: Any, mask: Any, rows: Any, columns: Any, shift: int
) -> None:
    for c in range(len(columns)):
        for r in range(len(rows)):
            place = rows[r] + columns[c]
            if mask[place]:
                total[place] += found[c, r] << shift
