"""Percentile: a range that leaves out the few largest values."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..errors import OperandError
from .histogram import Histogram, check_bins, count, join
from .observers import Observer, Range, State, shape_range
from .scheme import Scheme


@dataclass(frozen=True)
class Percentile(Observer):
    """The range that holds a given percentage of the values.

    Signed symmetric codes count magnitudes; other codes cut both ends, each by what
    the percentage leaves. The end is that of a histogram's bin, so it is at most one
    bin too wide, 2/bins of the largest magnitude's next power of two. How the values
    came in batches makes no difference.

    Args:
        percentile: of the values, above 50, at most 100.
        bins: of the histogram, a power of two, 16 or more.

    Raises:
        OperandError: for other settings.

    Example:
        >>> import torch
        >>> observer = Percentile(99.0)
        >>> state = observer.measure(torch.arange(1000.0), None)
        >>> observer.range(state, Scheme())
        (tensor(10.), tensor(989.2500))
    """

    percentile: float = 99.99
    bins: int = 8192

    def __post_init__(self) -> None:
        check_bins(self.bins)
        if not 50 < self.percentile <= 100:
            raise OperandError(
                f"percentile={self.percentile}; the share of values that the range "
                "holds is above 50 and at most 100."
            )

    def measure(self, x: Tensor, axis: int | None) -> State:
        """The histogram of the values."""
        return count(x, axis, self.bins)

    def add(self, old: State, new: State) -> State:
        """The histogram of both."""
        return join(Histogram(*old), Histogram(*new))

    def range(self, state: State, scheme: Scheme) -> Range:
        """The ends of the bins that hold the percentage, inside the values seen."""
        histogram = Histogram(*state)
        counts, width = histogram.counts, histogram.width[:, 0]
        half = counts.shape[1] // 2
        if scheme.signed and scheme.symmetric:
            magnitudes = counts[:, half:] + counts[:, :half].flip(1)
            high = (self._first_bin(magnitudes) + 1) * width
            low = -high
        else:
            high = (self._first_bin(counts) + 1 - half) * width
            low = (half - 1 - self._first_bin(counts.flip(1))) * width
        return shape_range(histogram.clip(low, high), scheme)

    def _first_bin(self, counts: Tensor) -> Tensor:
        """Index of the first bin at which the counts so far reach the percentage."""
        seen = counts.cumsum(1).double()
        return (100 * seen < self.percentile * seen[:, -1:]).sum(1)
