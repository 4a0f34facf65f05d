"""What a product's gradient is in training: exact, slopes of the table, differences.

With T(a, w) = table[a, w] the gradient of a layer needs ∂T/∂a and ∂T/∂w. All choices
have one form,

    ∂T/∂a = alpha[w] + sum_r p_r(a) q_r(w),    ∂T/∂w = beta[a] + sum_r s_r(a) t_r(w),

so a backward pass is an ordinary convolution on mapped operands, and one more for each
term of the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..tables.multiplier import Multiplier, operand_values
from .spec import Gradient

Floats = npt.NDArray[np.float32]
# Differences are taken over this many codes to each side: single steps of a table of
# integers are mostly rounding.
REACH = 4
# Terms whose singular value is below this share of the exact slope's are left out; a
# gradient is a direction for stochastic descent, not a result.
TOLERANCE = 1e-3


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
        over_a=_terms(differences(error, a), a),
        over_w=_terms(differences(error.T, w).T, w),
    )


def differences(
    error: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Smoothed differences of each column over the operand of the rows.

    The central difference over up to `REACH` neighbours to each side, fewer at the
    ends, in the order of the operand's values.
    """
    order = np.argsort(values)
    rows = error[order]
    place = np.arange(len(rows))
    low, high = np.maximum(place - REACH, 0), np.minimum(place + REACH, len(rows) - 1)
    slope = np.empty_like(rows)
    slope[order] = (rows[high] - rows[low]) / (high - low)[:, None]
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
    kept = sizes > TOLERANCE * scale
    if not kept.any():
        return None
    return ((left[:, : len(sizes)] * sizes)[:, kept].T.astype(np.float32),
            right[: len(sizes)][kept].astype(np.float32))  # fmt: skip
