"""Where the error of a multiplier sits: the arrays behind the plots of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import TableError
from ..tables.metrics import IntTable
from ..tables.multiplier import operand_values

if TYPE_CHECKING:
    from ..tables.multiplier import Multiplier

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

OPERANDS = ("activation", "weight")
BINS = 65


@dataclass(frozen=True, eq=False)
class ErrorMap:
    """`error[i, j]` is the error of `a[i]` times `b[j]`, both in ascending order."""

    a: IntTable
    b: IntTable
    error: IntTable


@dataclass(frozen=True, eq=False)
class ErrorHistogram:
    """The `share` of all products whose error lies between two `edges`."""

    edges: Floats  #: half-integers, one more than bins; one bin is centred on 0
    share: Floats


@dataclass(frozen=True, eq=False)
class RelativeError:
    """`mean[i, j]` is |error| / |exact| over all operands of magnitudes a[i], b[j]."""

    a: list[tuple[int, int]]  #: smallest and largest magnitude of each class
    b: list[tuple[int, int]]
    mean: Floats


@dataclass(frozen=True, eq=False)
class ConditionalError:
    """Mean and spread of the error for each value of one operand, ascending."""

    values: IntTable
    mean: Floats
    deviation: Floats  #: standard deviation over the other operand

    @property
    def removable(self) -> float:
        """Share of the mean squared error that subtracting `mean` would remove."""
        kept, removed = np.mean(self.deviation**2), np.mean(self.mean**2)
        return float(removed / (kept + removed)) if kept + removed else 0.0


def error_map(mul: Multiplier) -> ErrorMap:
    """The error by operand values; a table itself is in the order of raw codes.

    Example:
        >>> mul = Multiplier.from_function(lambda a, b: a * b, signed=True, bits=(2, 2))
        >>> error_map(mul).a
        array([-2, -1,  0,  1], dtype=int32)
    """
    a, b = _values(mul)
    rows, columns = np.argsort(a), np.argsort(b)
    return ErrorMap(a[rows], b[columns], mul.error[np.ix_(rows, columns)])


def error_histogram(mul: Multiplier, bins: int = BINS) -> ErrorHistogram:
    """How often errors of each size occur, every operand pair alike.

    Args:
        mul: any multiplier.
        bins: the most bins to use, at least 3; each is a whole number wide.

    Raises:
        TableError: for fewer bins.
    """
    if bins < 3:
        raise TableError(f"error_histogram: bins={bins}; at least 3 are needed.")
    error = mul.error.astype(np.int64)
    low, high = min(int(error.min()), 0), max(int(error.max()), 0)
    # One bin is lost to rounding at each end, as 0 stays in the middle of its bin.
    width = -(-(high - low + 1) // max(bins - 2, 1)) if high - low + 1 > bins else 1
    index = (error + width // 2) // width
    first = (low + width // 2) // width
    counts = np.bincount((index - first).ravel())
    starts = (np.arange(len(counts) + 1) + first) * width - width // 2
    edges = starts.astype(np.float64) - 0.5
    return ErrorHistogram(edges, counts / error.size)


def relative_error(mul: Multiplier) -> RelativeError:
    """Mean relative error by the magnitudes of both operands, in powers of two.

    Products with 0 have no relative error and are left out.
    """
    a, b = (np.abs(values) for values in _values(mul))
    rows, columns = (magnitude_classes(*operand)
                     for operand in zip(mul.bits, mul.signed, strict=True))  # fmt: skip
    relative = np.abs(mul.error) / np.maximum(np.abs(mul.exact), 1)
    mean = [[_mean_within(relative, a, row, b, column) for column in columns]
            for row in rows]  # fmt: skip
    return RelativeError(rows, columns, np.array(mean))


def magnitude_classes(bits: int, signed: bool) -> list[tuple[int, int]]:
    """Powers of two that divide an operand's magnitudes; the most negative value
    of a signed operand joins the class below it.

    Example:
        >>> magnitude_classes(3, signed=False), magnitude_classes(3, signed=True)
        ([(1, 1), (2, 3), (4, 7)], [(1, 1), (2, 4)])
    """
    octaves = max(bits - signed, 1)
    classes = [(1 << k, (2 << k) - 1) for k in range(octaves)]
    if signed and bits > 1:
        classes[-1] = (classes[-1][0], 1 << (bits - 1))
    return classes


def conditional_error(mul: Multiplier, given: str = "weight") -> ConditionalError:
    """Mean error for each weight (or activation) over all values of the other.

    Args:
        mul: any multiplier.
        given: the operand that is held, "weight" or "activation".

    Raises:
        TableError: for another `given`.
    """
    if given not in OPERANDS:
        raise TableError(
            f"conditional_error: given={given!r}; choose 'weight' or 'activation'."
        )
    found = error_map(mul)
    axis, values = (0, found.b) if given == "weight" else (1, found.a)
    error = found.error.astype(np.float64)
    return ConditionalError(values, error.mean(axis=axis), error.std(axis=axis))


def _values(mul: Multiplier) -> tuple[IntTable, IntTable]:
    (bits_a, bits_b), (signed_a, signed_b) = mul.bits, mul.signed
    return operand_values(bits_a, signed_a), operand_values(bits_b, signed_b)


def _mean_within(
    values: Floats,
    a: IntTable,
    row: tuple[int, int],
    b: IntTable,
    column: tuple[int, int],
) -> float:
    rows = (a >= row[0]) & (a <= row[1])
    columns = (b >= column[0]) & (b <= column[1])
    return float(values[np.ix_(rows, columns)].mean())
