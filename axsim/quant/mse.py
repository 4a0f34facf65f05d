"""MSE: the range whose codes lie nearest to the values, in the mean square."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import OperandError
from .codes import code_values, nearest_codes
from .histogram import Histogram, check_bins, count, join
from .observers import Observer, Range, State, shape_range
from .params import choose_params
from .scheme import Scheme

# Of improving one end, then the other; more hardly ever change an end.
ROUNDS = 2


@dataclass(frozen=True)
class MSE(Observer):
    """The range with the smallest mean squared error of its codes.

    Ends are tried at equal steps from 0 to the lowest and highest value: both at once,
    and for codes that are not signed symmetric then one after the other, twice. The
    error is that of the bins' centres in a histogram, so it is the true one up to a
    bin's width, 2/bins of the largest magnitude's next power of two. How the values
    came in batches makes no difference.

    Args:
        steps: between 0 and each end, 2 or more.
        bins: of the histogram, a power of two, 16 or more.

    Raises:
        OperandError: for other settings.

    Example:
        >>> values = torch.cat([torch.linspace(-1, 1, 4000), torch.tensor([9.0])])
        >>> scheme, observer = Scheme(4, signed=True, symmetric=True), MSE()
        >>> observer.range(observer.measure(values, None), scheme)
        (tensor(-1.), tensor(1.1250))
    """

    steps: int = 64
    bins: int = 2048

    def __post_init__(self) -> None:
        check_bins(self.bins)
        if self.steps < 2:
            raise OperandError(
                f"steps={self.steps}; the search needs 2 or more between 0 and an end."
            )

    def measure(self, x: Tensor, axis: int | None) -> State:
        """The histogram of the values."""
        return count(x, axis, self.bins)

    def add(self, old: State, new: State) -> State:
        """The histogram of both."""
        return join(Histogram(*old), Histogram(*new))

    def range(self, state: State, scheme: Scheme) -> Range:
        """The best range tried."""
        histogram = Histogram(*state)
        low, high = histogram.low.clamp(max=0), histogram.high.clamp(min=0)
        zero = torch.zeros_like(low)
        if scheme.signed and scheme.symmetric:
            end = torch.maximum(-low, high)
            best = self._best(histogram, scheme, (zero, zero), (-end, end))
            return shape_range(best, scheme)
        best = self._best(histogram, scheme, (zero, zero), (low, high))
        for _ in range(ROUNDS):
            best = self._best(histogram, scheme, (best[0], zero), (zero, high))
            best = self._best(histogram, scheme, (zero, best[1]), (low, zero))
        return shape_range(best, scheme)

    def _best(
        self, histogram: Histogram, scheme: Scheme, fixed: Range, shrunk: Range
    ) -> Range:
        """The best of the ranges fixed + share * shrunk; of equals, the widest."""

        def range_at(share: float | Tensor) -> Range:
            low, high = (a + share * b for a, b in zip(fixed, shrunk, strict=True))
            return torch.maximum(low, histogram.low), torch.minimum(
                high, histogram.high
            )

        best = torch.ones_like(histogram.low)
        least = squared_error(histogram, *range_at(best), scheme)
        for step in range(self.steps - 1, 0, -1):
            share = step / self.steps
            error = squared_error(histogram, *range_at(share), scheme)
            best = torch.where(error < least, share, best)
            least = torch.minimum(error, least)
        return range_at(best)


def squared_error(
    histogram: Histogram, low: Tensor, high: Tensor, scheme: Scheme
) -> Tensor:
    """float64[channels], summed over all values, of codes for low … high."""
    scale, zero_point = (t[:, None] for t in choose_params(low, high, scheme))
    centres = histogram.centres
    codes = nearest_codes(centres, 1.0 / scale, zero_point, scheme.rounding)
    codes = codes.clamp_(scheme.quant_min, scheme.quant_max)
    distance = code_values(codes, scale, zero_point, torch.float32) - centres
    return (distance.double().square() * histogram.counts).sum(1)
