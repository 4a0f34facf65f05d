"""Histograms that do not depend on how the data came in batches.

Bin k >= 0 covers [k, k+1) * 2^exponent and bin -1-k is its mirror image. The exponent
is the smallest at which all values fit. When a larger value comes, pairs of
neighbouring bins become one. Powers of two divide exactly, so counts are a function of
the set of values alone: the order of batches, and the process that saw them, make no
difference.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import OperandError
from .blocks import BLOCK
from .observers import Range, extremes

# Ranges of values below it share one grid of bins.
SMALLEST = 2.0**-101
# No float32 reaches 2^128; what infinities report is undefined.
LARGEST_EXPONENT = 128
# Shifting a bin's index this far leaves 0 or -1 for any number of bins in use.
LARGEST_SHIFT = 31


class Histogram(NamedTuple):
    """Counts of values; entries along the first dimension as for the observed axis.

    Args:
        counts: int64[channels, bins].
        exponent: int32[channels], the width of a bin is 2^exponent.
        low, high: float32[channels], the lowest and highest value.
    """

    counts: Tensor
    exponent: Tensor
    low: Tensor
    high: Tensor

    @property
    def width(self) -> Tensor:
        """float32[channels, 1], of a bin."""
        return power_of_two(self.exponent)[:, None]

    @property
    def centres(self) -> Tensor:
        """float32[channels, bins], the middle of every bin."""
        half = self.counts.shape[1] // 2
        steps = torch.arange(-half, half, device=self.counts.device)
        return (steps + 0.5) * self.width

    def clip(self, low: Tensor, high: Tensor) -> Range:
        """A range limited to the values seen."""
        return torch.maximum(low, self.low), torch.minimum(high, self.high)


def check_bins(bins: int) -> None:
    """Raises an OperandError unless a histogram can have so many bins."""
    if bins < 16 or bins & (bins - 1):
        raise OperandError(
            f"bins={bins}; pairs of bins are merged as the range grows, so it must be "
            "a power of two, 16 or more."
        )


def count(x: Tensor, axis: int | None, bins: int) -> Histogram:
    """The histogram of one tensor, or of each index of an axis.

    Args:
        x: real values, not empty; NaN and infinities show in `low` and `high` only.
        axis: None for one histogram.
        bins: a power of two, 16 or more.

    Example:
        >>> histogram = count(torch.tensor([-0.5, 0.1, 0.2, 3.0]), None, bins=16)
        >>> histogram.width, histogram.counts[0, 6:15]
        (tensor([[0.5000]]), tensor([1, 0, 2, 0, 0, 0, 0, 0, 1]))
    """
    values = x.detach().float()
    rows = values.reshape(1, -1) if axis is None else values.movedim(axis, 0).flatten(1)
    low, high = extremes(rows, 0)
    largest = torch.maximum(-low, high)
    # The exponent of 0 would be reported as 0.
    _, exponent = torch.frexp(largest.clamp(min=SMALLEST))
    exponent = exponent.clamp(max=LARGEST_EXPONENT) - (bins.bit_length() - 2)
    inverse = power_of_two(-exponent)[:, None]
    counts = torch.zeros(len(rows), bins, dtype=torch.int64, device=x.device)
    for piece in rows.split(max(1, BLOCK // len(rows)), dim=1):
        counts += _tally(piece, inverse, bins)
    return Histogram(counts, exponent, low, high)


def join(one: Histogram, other: Histogram) -> Histogram:
    """The histogram of the values of both."""
    exponent = torch.maximum(one.exponent, other.exponent)
    return Histogram(
        _coarsen(one, exponent) + _coarsen(other, exponent),
        exponent,
        torch.minimum(one.low, other.low),
        torch.maximum(one.high, other.high),
    )


def power_of_two(exponent: Tensor) -> Tensor:
    """Exactly 2^exponent in float32, for exponents of normal numbers.

    Example:
        >>> power_of_two(torch.tensor([-2, 3], dtype=torch.int32))
        tensor([0.2500, 8.0000])
    """
    return ((exponent + 127) << 23).view(torch.float32)


def _tally(rows: Tensor, inverse: Tensor, bins: int) -> Tensor:
    """int64[channels, bins], how many values of each row lie in each bin."""
    index = (rows * inverse).trunc_().sub_((rows < 0).float())
    # NaN must not become a wild index; `low` and `high` are what tells of it.
    index = index.nan_to_num_(0.0).clamp_(-bins // 2, bins // 2 - 1)
    first = torch.arange(len(index), device=index.device, dtype=torch.int32) * bins
    flat = index.to(torch.int32).add_(first[:, None] + bins // 2).flatten()
    counts = torch.bincount(flat, minlength=len(index) * bins)
    return counts.view(len(index), bins)


def _coarsen(histogram: Histogram, exponent: Tensor) -> Tensor:
    """Counts with bins of width 2^exponent."""
    counts = histogram.counts
    half = counts.shape[1] // 2
    shift = (exponent - histogram.exponent).clamp(max=LARGEST_SHIFT)[:, None]
    old = torch.arange(-half, half, device=counts.device, dtype=torch.int32)
    new = (old >> shift) + half
    return torch.zeros_like(counts).scatter_add_(1, new.long(), counts)
