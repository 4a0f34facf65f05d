"""One pass each from real numbers to raw codes and from exact sums to real numbers.

The arithmetic is that of `quant`, float32 step by step, so that results are equal bit
for bit: code = min(max(round(x * inverse) + zero, low), high).
"""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compiled import compiled
from .pool import over_ranges
from .stages import count_up

# Elements a task takes on, and nanoseconds one takes, roughly.
PIECE, TIME = 1 << 15, 0.25


def encode(
    x: Tensor,
    inverse: float,
    zero: float,
    limits: tuple[int, int],
    mask: int,
    half_up: bool,
    inside: Tensor | None,
) -> tuple[Tensor, bool]:
    """Raw codes of a dense float32 tensor on the CPU with one scale.

    Args:
        x: any dense layout; the result has the same.
        inverse: float32 reciprocal of the scale.
        zero: the zero point.
        limits: smallest and largest code.
        mask: bits of a raw code.
        half_up: round by floor(v + 1/2) instead of to even.
        inside: bool like `x`, written with where the code before the clamp was one;
            None to leave it.

    Returns:
        The codes, and whether `x` holds no NaN, which has none.
    """
    raw = torch.empty_like(x, dtype=torch.uint8)
    source, codes = _flat(x, x), _flat(raw, x)
    within = codes if inside is None else _flat(inside.view(torch.uint8), x)
    low, high = np.float32(limits[0]), np.float32(limits[1])
    settings = np.float32(inverse), np.float32(zero), low, high, mask, half_up

    lost = np.zeros(1, np.int64)
    _encode_all(
        -(-x.numel() // PIECE), x.numel() * TIME, source, codes, within, *settings,
        inside is not None, lost,
    )  # fmt: skip
    return raw, not lost[0]


def is_dense(x: Tensor) -> bool:
    """Whether the elements fill one stretch of memory, in any order of dimensions."""
    return x.permute(_order(x)).is_contiguous()


def _order(x: Tensor) -> list[int]:
    return sorted(range(x.dim()), key=x.stride, reverse=True)


def _flat(t: Tensor, like: Tensor) -> Any:
    return t.permute(_order(like)).view(-1).numpy()


@compiled
def _encode_pieces(
    first, last, x, codes, within, inverse, zero, low, high, mask, half_up,
    wants_inside, lost,
):  # fmt: skip
    """Encodes pieces first ... last - 1; adds those with a NaN to lost[0]."""
    for piece in range(first, last):
        own = slice(piece * PIECE, (piece + 1) * PIECE)
        found = _encode(
            x[own], codes[own], within[own], inverse, zero, low, high, mask, half_up,
            wants_inside,
        )  # fmt: skip
        if found:
            count_up(lost, 1)


@compiled
def _encode(x, codes, within, inverse, zero, low, high, mask, half_up, wants_inside):
    lost = np.int32(0)
    for i in range(x.size):
        step = x[i] * inverse
        step = np.floor(step + np.float32(0.5)) if half_up else np.rint(step)
        code = step + zero
        if wants_inside:
            within[i] = (code >= low) & (code <= high)
        # NaN fails both comparisons and becomes raw code 0.
        lost |= np.int32(code != code)
        code = min(max(code, low), high) if code == code else np.float32(0)
        codes[i] = np.uint8(np.int32(code) & mask)
    return lost


_encode_all = over_ranges(_encode_pieces)
