"""Padded taps that do not count: their share, taken off again.

Paths look every padded tap up as code 0. What that adds to an output depends on which
of its taps are padded, not on the input, so it is computed once per such pattern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .contract import Convolution

if TYPE_CHECKING:
    from .cpu import Call


def remove_padded_taps(call: Call, sums: Any) -> None:
    """Subtracts table[0, w] of every padded tap from sums[N, O, D, H, W]."""
    shape, table = call.shape, call.table
    places, pattern_of, patterns = _patterns(shape)
    if not len(places):
        return
    weights = call.w.reshape(shape.outputs, shape.channels // shape.groups, -1)
    # shape: (O, taps)
    shares = table.square[0].astype(np.int64)[weights].sum(axis=1)
    excess = (shares @ patterns.T.astype(np.int64))[:, pattern_of]
    flat = sums.reshape(shape.batch, shape.outputs, -1)
    flat[:, :, places] -= excess.astype(flat.dtype)


@lru_cache(maxsize=64)
def _patterns(
    shape: Convolution,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Outputs with padded taps, the pattern of each, and the taps of each pattern."""
    padded = np.zeros((*shape.out, *shape.kernel), np.bool_)
    for axis in range(len(shape.out)):
        own = _padded_along(shape, axis)
        place = [1] * padded.ndim
        place[axis], place[axis + len(shape.out)] = own.shape
        padded |= own.reshape(place)
    flat = padded.reshape(int(np.prod(shape.out)), -1)
    places = np.flatnonzero(flat.any(axis=1))
    patterns, pattern_of = np.unique(flat[places], axis=0, return_inverse=True)
    return places, pattern_of.reshape(-1), patterns


def _padded_along(shape: Convolution, axis: int) -> npt.NDArray[np.bool_]:
    """[outputs, taps] of one axis: whether the tap lies outside the input."""
    outputs = np.arange(shape.out[axis])[:, None] * shape.stride[axis]
    taps = np.arange(shape.kernel[axis]) * shape.dilation[axis]
    at = outputs + taps - shape.padding[axis]
    return (at < 0) | (at >= shape.size[axis])
