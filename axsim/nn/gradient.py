"""What a product's gradient is in training: exact, or slopes of the table.

With T(a, w) = table[a, w] the gradient of a layer needs ∂T/∂a and ∂T/∂w. All choices
have one form,

    ∂T/∂a = alpha[w] + sum_r p_r(a) q_r(w),    ∂T/∂w = beta[a] + sum_r s_r(a) t_r(w),

so a backward pass is an ordinary convolution on mapped operands, and one more for each
term of the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..tables.multiplier import Multiplier, operand_values
from .spec import Gradient

Floats = npt.NDArray[np.float32]
# Local slopes reach over this share of an operand's codes to each side, 16 of 256.
# Coarse tables are made of steps about as wide: a slope over less is 0 on the steps and
# huge between them, and descent with it stands still (mul8u_drum_3 is left at 25 %
# accuracy after 4 epochs with 4 codes to each side, and reaches 98 % with 16).
REACH = 16
# Terms whose singular value is below this share of the exact slope's are left out; a
# gradient is a direction for stochastic descent, not a result.
TOLERANCE = 1e-2
# Each term is one more convolution in the backward pass; the largest are kept, so that
# a step takes less than four times one of float32 whatever the table is.
MOST = 2


@dataclass(frozen=True)
class ProductGradient:
    """The gradient of a table, by raw codes.

    Args:
        alpha: float32[2^bits_b], ∂T/∂a by the weight's code.
        beta: float32[2^bits_a], ∂T/∂w by the activation's code.
        over_a: p and q, float32[R, 2^bits_a] and [R, 2^bits_b].
        over_w: s and t, likewise.
    """

    alpha: Floats
    beta: Floats
    over_a: tuple[Floats, Floats] | None = None
    over_w: tuple[Floats, Floats] | None = None


@lru_cache(maxsize=64)
def product_gradient(mul: Multiplier, kind: Gradient) -> ProductGradient:
    """The gradient of this kind for a table.

    Args:
        mul: the table, indexed by raw codes.
        kind: "ste", "slopes" or "table".
    """
    a, w = (
        operand_values(*o).astype(np.float64)
        for o in zip(mul.bits, mul.signed, strict=True)
    )
    table = mul.table.astype(np.float64)
    if kind == "slopes":
        return ProductGradient(_slopes(a, table).astype(np.float32),
                               _slopes(w, table.T).astype(np.float32))  # fmt: skip
    exact = ProductGradient(w.astype(np.float32), a.astype(np.float32))
    if kind == "ste":
        return exact
    error = mul.error.astype(np.float64)
    return ProductGradient(
        exact.alpha,
        exact.beta,
        over_a=_terms(local_slopes(error, a), a),
        over_w=_terms(local_slopes(error.T, w).T, w),
    )


class GradientTerms(NamedTuple):
    """A gradient whose two sums have all their terms, and equally many.

    Args:
        p, q: float32[R + 1, 2^bits_a] and [R + 1, 2^bits_b], the first 1 and alpha.
        s, t: likewise, the first beta and 1.
    """

    p: Floats
    q: Floats
    s: Floats
    t: Floats


@lru_cache(maxsize=64)
def gradient_terms(mul: Multiplier, kind: Gradient) -> GradientTerms:
    """The gradient of this kind for a table, as sums; missing terms are 0."""
    found = product_gradient(mul, kind)
    sums = found.over_a, found.over_w
    count = max(len(each[0]) if each else 0 for each in sums)

    def rows(first: Floats, others: Floats | None) -> Floats:
        known = 1 if others is None else 1 + len(others)
        whole = np.zeros((1 + count, len(first)), np.float32)
        whole[0], whole[1:known] = first, 0 if others is None else others
        return whole

    (p, q), (s, t) = (each or (None, None) for each in sums)
    ones_a, ones_w = np.ones_like(found.beta), np.ones_like(found.alpha)
    return GradientTerms(
        rows(ones_a, p), rows(found.alpha, q), rows(found.beta, s), rows(ones_w, t)
    )


def local_slopes(
    error: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Least-squares slope of each column around each row, over the rows' operand.

    The line is fitted to the row and its neighbours in the order of the operand's
    values, as many to each side as `REACH` says and fewer at the ends.
    """
    order = np.argsort(values)
    place = np.arange(len(order))
    reach = max(1, len(order) // REACH)
    low, high = np.maximum(place - reach, 0), np.minimum(place + reach, place[-1])

    def window(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sums over each row's neighbours; whole numbers, so nothing is rounded."""
        total = np.concatenate([np.zeros_like(rows[:1]), rows.cumsum(axis=0)])
        return total[high + 1] - total[low]

    count, centre = high - low + 1, (low + high) / 2
    # The sum of (k - centre)^2 over consecutive k.
    spread = count * (count**2 - 1) / 12
    rows = error[order]
    rise = window(rows * place[:, None]) - centre[:, None] * window(rows)
    slope = np.empty_like(rows)
    slope[order] = rise / spread[:, None]
    return slope


def _slopes(
    values: npt.NDArray[np.float64], table: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Least-squares slope of each column over the operand of the rows."""
    centred = values - values.mean()
    return centred @ (table - table.mean(axis=0)) / (centred @ centred)


def _terms(
    matrix: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> tuple[Floats, Floats] | None:
    """The matrix as a sum of outer products, without the terms that do not matter."""
    left, sizes, right = np.linalg.svd(matrix)
    scale = np.linalg.norm(values) * np.sqrt(len(values))
    # Largest first.
    count = min(int((sizes > TOLERANCE * scale).sum()), MOST)
    if not count:
        return None
    return ((left[:, :count] * sizes[:count]).T.astype(np.float32),
            right[:count].astype(np.float32))  # fmt: skip
