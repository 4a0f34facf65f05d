"""Error figures of a multiplier, by the conventions of EvoApproxLib."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import TableError

IntTable = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Metrics:
    """How far the products of a table lie from the exact ones.

    The error is approximate minus exact. `ep`, `mre` and `wcre` are fractions; MRE
    and WCRE leave out the pairs whose exact product is 0. Percentages of the other
    figures divide by the number of operand pairs, 2^(bits_a + bits_b).
    """

    mae: float  #: mean absolute error
    wce: int  #: worst-case absolute error
    bias: float  #: mean error
    mse: float  #: mean squared error
    variance: float  #: of the error, mse - bias²
    ep: float  #: share of pairs with any error
    mre: float  #: mean of |error| / |exact|
    wcre: float  #: largest |error| / |exact|
    full_scale: int = 1 << 16  #: what a percentage of an error divides by

    @property
    def mae_percent(self) -> float:
        return 100 * self.mae / self.full_scale

    @property
    def wce_percent(self) -> float:
        return 100 * self.wce / self.full_scale

    @property
    def bias_percent(self) -> float:
        return 100 * self.bias / self.full_scale

    @property
    def ep_percent(self) -> float:
        return 100 * self.ep

    @property
    def mre_percent(self) -> float:
        return 100 * self.mre

    @property
    def wcre_percent(self) -> float:
        return 100 * self.wcre

    def __str__(self) -> str:
        return (
            f"MAE {self.mae:.5g} ({self.mae_percent:.3g} %), "
            f"WCE {self.wce} ({self.wce_percent:.3g} %), bias {self.bias:.5g}, "
            f"EP {self.ep_percent:.2f} %, MRE {self.mre_percent:.2f} %, "
            f"WCRE {self.wcre_percent:.2f} %, MSE {self.mse:.5g}, "
            f"variance {self.variance:.5g}"
        )


def measure(
    error: IntTable, exact: IntTable, weights: Weights | None = None
) -> Metrics:
    """Error figures of a table, every pair alike or weighted by how often it occurs.

    Args:
        error: approximate minus exact, int32[2^bits_a, 2^bits_b].
        exact: the exact products, same shape.
        weights: non-negative share of each operand pair; any total.

    Example:
        >>> measure(np.array([[0, 1]]), np.array([[0, 2]])).mre
        0.5
    """
    if weights is None:
        return _measure_uniform(error, exact)
    share = weights / weights.sum()
    occurring = share > 0
    absolute = np.abs(error.astype(np.float64))
    bias = float(np.sum(share * error))
    mse = float(np.sum(share * absolute**2))
    relative_share = np.where(exact != 0, share, 0.0)
    relative = absolute / np.maximum(np.abs(exact), 1)
    total = float(relative_share.sum())
    return Metrics(
        mae=float(np.sum(share * absolute)),
        wce=int(absolute[occurring].max()),
        bias=bias,
        mse=mse,
        # The centred sum: mse - bias² would cancel, and could turn negative.
        variance=float(np.sum(share * (error - bias) ** 2)),
        ep=float(np.sum(share[error != 0])),
        mre=float(np.sum(relative_share * relative)) / total if total else 0.0,
        wcre=float(relative[relative_share > 0].max()) if total else 0.0,
        full_scale=error.size,
    )


def _measure_uniform(error: IntTable, exact: IntTable) -> Metrics:
    """The same with equal weights: integer sums, so the figures are exactly rounded."""
    absolute = np.abs(error.astype(np.int64))
    count = error.size
    total, squares = int(error.sum(dtype=np.int64)), _sum_of_squares(absolute)
    nonzero = exact != 0
    relative = absolute[nonzero] / np.abs(exact[nonzero].astype(np.float64))
    return Metrics(
        mae=int(absolute.sum()) / count,
        wce=int(absolute.max()),
        bias=total / count,
        mse=squares / count,
        variance=(count * squares - total * total) / (count * count),
        ep=int(np.count_nonzero(absolute)) / count,
        mre=float(relative.mean()) if relative.size else 0.0,
        wcre=float(relative.max()) if relative.size else 0.0,
        full_scale=count,
    )


def _sum_of_squares(absolute: npt.NDArray[np.int64]) -> int:
    """Exact for any table: 2^16 squares of int32 pass int64, those of halves do not."""
    high, low = absolute >> 16, absolute & 0xFFFF
    return (
        (int(np.dot(high.ravel(), high.ravel())) << 32)
        + (int(np.dot(high.ravel(), low.ravel())) << 17)
        + int(np.dot(low.ravel(), low.ravel()))
    )


def pair_weights(
    shape: tuple[int, int],
    a: npt.ArrayLike | None,
    b: npt.ArrayLike | None,
    joint: npt.ArrayLike | None,
) -> Weights | None:
    """Weights of operand pairs from two histograms or a joint one, if any is given."""
    if joint is not None:
        if a is not None or b is not None:
            raise TableError(
                "metrics: give either joint= or the histograms a= and b=, not both."
            )
        return _histogram("joint", joint, shape)
    if a is None and b is None:
        return None
    rows = np.ones(shape[0]) if a is None else _histogram("a", a, shape[:1])
    columns = np.ones(shape[1]) if b is None else _histogram("b", b, shape[1:])
    return np.outer(rows, columns)


def _histogram(name: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Weights:
    try:
        weights = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise TableError(
            f"metrics: histogram {name} is no array: {problem}."
        ) from problem
    if weights.shape != shape:
        raise TableError(
            f"metrics: histogram {name} has shape {weights.shape}, the table needs "
            f"{shape}: one count for each raw operand code."
        )
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise TableError(
            f"metrics: histogram {name} must hold finite counts >= 0, not all zero."
        )
    # Scaled, so that products and sums of extreme counts stay within float64.
    return weights / weights.max()
