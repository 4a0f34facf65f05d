"""From whole sums to real numbers, while they are still in the cache.

    y = float32(T - zero_w * sum(q_a) + constant) * scale + bias

with one rounding of the exact whole number, one of the product and one of the sum:
the arithmetic of torch's float32, step by step. sum(q_a) runs over the numbers that
the codes under an output's window stand for.
"""

# pyright: basic

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .compiled import compiled
from .reals import bits_of

# Lanes of a channel that are summed at a time; codes and sums stay in the cache.
PIECE = 4096

Reals = npt.NDArray[np.float32]


class Finish(NamedTuple):
    """What turns the sums of an output into real numbers.

    Args:
        scale: float32[O]; empty where sums stay whole.
        bias: float32[O], added last; empty for none.
        constant: int64[O], added to the sums.
        zeros: int32[O], the zero points of the weights; empty where all are 0.
        sign: half the number of codes where activations are signed, else 0.
    """

    scale: Reals
    bias: Reals
    constant: npt.NDArray[np.int64]
    zeros: npt.NDArray[np.int32]
    sign: int


@lru_cache(maxsize=1024)
def stay_whole(outputs: int) -> Finish:
    """Sums as they are."""
    none = np.empty(0, np.float32)
    zeros = np.empty(0, np.int32)
    return Finish(none, none, np.zeros(outputs, np.int64), zeros, 0)


@compiled
def sum_channels(
    lanes: Any, planes: Any, channel: int, per_group: int, sign: int, first: int,
    last: int,
) -> None:  # fmt: skip
    """planes[group, lane] = sum of the numbers of a group's channels, by pieces.

    Args:
        lanes: codes, channel after channel, groups and units one after the other.
        planes: int32[groups of all units, at least `channel`], written.
        channel: lanes of a channel.
        per_group: channels of a group.
        sign: see `Finish`.
        first, last: of the pieces, counted over groups.
    """
    pieces = (channel + PIECE - 1) // PIECE
    for task in range(first, last):
        group, piece = divmod(task, pieces)
        start = piece * PIECE
        total = planes[group, start : min(channel, start + PIECE)]
        # A signed number is its code with the top bit flipped, less `sign`.
        total[:] = -sign * per_group
        for c in range(per_group):
            codes = lanes[(group * per_group + c) * channel + start :]
            for i in range(len(total)):
                total[i] += np.int32(codes[i] ^ np.uint8(sign))


@compiled
def sum_window(plane: Any, start: int, taps: Any, window: Any, count: int) -> None:
    """window[lane] = sum over the taps of what lies under them in a plane."""
    own = window[:count]
    own[:] = 0
    for tap in range(len(taps)):
        source = plane[start + taps[tap] : start + taps[tap] + count]
        for i in range(count):
            own[i] += source[i]


@compiled
def finish(
    sums: Any, rows: int, count: int, window: Any, how: Finish, first: int
) -> None:
    """Replaces whole sums by the bits of real numbers, for outputs from `first` on.

    Args:
        sums: int32[outputs, lanes], contiguous; `rows` by `count` of them.
        window: int32[lanes], sum(q_a) of each; not read where zero points are 0.
    """
    corrected, biased = len(how.zeros) > 0, len(how.bias) > 0
    for row in range(rows):
        own, o = sums[row, :count], first + row
        if corrected:
            zero = how.zeros[o]
            for i in range(count):
                own[i] -= zero * window[i]
        scale = how.scale[o]
        if biased:
            bias = how.bias[o]
            for i in range(count):
                own[i] = bits_of(np.float32(own[i]) * scale + bias)
        else:
            for i in range(count):
                own[i] = bits_of(np.float32(own[i]) * scale)
