"""Exact integer factors of a table, so that matrix units can stand in for look-ups.

With E = U·B in integers, a sum of products over k of E[a_k, b_k] is the inner product
of the rows U[a_k] with the columns B[:, b_k]: an ordinary integer matrix product, R
times as deep. Small entries fit the digits that matrix units multiply.
"""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import BackendError, TableError
from . import lattice
from .catalogue import stored_factors
from .metrics import IntTable

if TYPE_CHECKING:
    from .multiplier import Content, Multiplier

CACHE_SIZE = 64
# LLL cost grows with rank and with the size of the relations between the rows; see
# `lattice.relation_bits`. Beyond this it would take seconds, for ranks that no
# matrix product can use.
EFFORT_LIMIT = 1_000_000
BOTH_SIDES_UP_TO = 100_000

_cache: OrderedDict[tuple[Content, str], Factors] = OrderedDict()


@dataclass(frozen=True, eq=False, repr=False)
class Factors:
    """`u @ b` equals the error (or the table) of a multiplier exactly.

    Args:
        u: int32[2^bits_a, R], one row for each activation code.
        b: int32[R, 2^bits_b], one column for each weight code.
        of: what they multiply to, "error" or "table".
    """

    u: IntTable
    b: IntTable
    of: str = "error"

    @property
    def rank(self) -> int:
        """Number of terms R."""
        return self.u.shape[1]

    @cached_property
    def widths(self) -> tuple[str, str]:
        """Narrowest exact digits of `u` and `b`: int8, fp16, 2x int8 or int32."""
        return digit_width(self.u), digit_width(self.b)

    def product(self) -> npt.NDArray[np.int64]:
        """`u @ b`, exact: in float64 where every partial sum stays below 2^53."""
        bound = self.rank * _peak(self.u) * _peak(self.b)
        if bound < 1 << 53:
            return (self.u.astype(np.float64) @ self.b).astype(np.int64)
        return self.u.astype(np.int64) @ self.b.astype(np.int64)

    def __str__(self) -> str:
        return (
            f"exact factors of the {self.of}: rank {self.rank}, "
            f"|U| <= {_peak(self.u)} ({self.widths[0]}), "
            f"|B| <= {_peak(self.b)} ({self.widths[1]})"
        )

    __repr__ = __str__


def digit_width(values: npt.NDArray[np.integer]) -> str:
    """The narrowest digits that hold every value exactly.

    Example:
        >>> digit_width(np.array([-128, 127])), digit_width(np.array([2048]))
        ('int8', 'fp16')
    """
    if not values.size or (values.min() >= -128 and values.max() <= 127):
        return "int8"
    # 65504 is the largest half; beyond it the conversion would overflow.
    if _peak(values) <= 65504 and np.array_equal(values.astype(np.float16), values):
        return "fp16"
    # high * 256 + low with both digits int8.
    if values.min() >= -128 * 256 - 128 and values.max() <= 127 * 256 + 127:
        return "2x int8"
    return "int32"


def factorise(mul: Multiplier, of: str = "error") -> Factors:
    """Exact integer factors of a multiplier's error or table, checked and cached.

    The number of terms is the true rank, except for tables whose rows have relations
    too large to reduce within a second (none of the known circuits): those get one
    term for each distinct row.

    Args:
        mul: any multiplier.
        of: "error" (approximate minus exact) or "table".

    Raises:
        TableError: for another `of`.
        BackendError: if the table is not a shipped one and python-flint is missing.
    """
    if of not in ("error", "table"):
        raise TableError(f"factors: of={of!r}; choose 'error' or 'table'.")
    key = (mul.content, of)
    if key not in _cache:
        matrix = mul.error if of == "error" else mul.table
        stored = stored_factors(mul) if of == "error" else None
        factors = Factors(*(stored or reduce_matrix(matrix, mul.name)), of)
        if not np.array_equal(factors.product(), matrix):
            raise TableError(
                f"{mul.name}: the factors found do not multiply to its {of}; if they "
                "come from the catalogue, rebuild it with `axsim tables build`."
            )
        _cache[key] = factors
        if len(_cache) > CACHE_SIZE:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]


def reduce_matrix(matrix: IntTable, name: str) -> tuple[IntTable, IntTable]:
    """Factors by lattice reduction of the rows, or of the columns where better."""
    if not matrix.any():
        rows, columns = matrix.shape
        return np.zeros((rows, 0), np.int32), np.zeros((0, columns), np.int32)
    if importlib.util.find_spec("flint") is None:
        raise BackendError(
            f"{name} is not a shipped table: its exact factors need python-flint. "
            'Install it with `pip install "axsim[factors]"`.'
        )
    trivial = _distinct(matrix)
    basis = lattice.independent_rows(matrix)
    effort = lattice.relation_bits(matrix, basis) * len(basis) ** 2
    if effort > EFFORT_LIMIT:
        return trivial
    found = [lattice.factor_rows(matrix)]
    if effort <= BOTH_SIDES_UP_TO:
        columns = lattice.factor_rows(np.ascontiguousarray(matrix.T))
        found.append(columns and (columns[1].T.copy(), columns[0].T.copy()))
    return min([trivial, *filter(None, found)], key=_size)


def _distinct(matrix: IntTable) -> tuple[IntTable, IntTable]:
    """The trivial factors: a selection of the distinct rows (or columns)."""
    rows, row_of = np.unique(matrix, axis=0, return_inverse=True)
    columns, column_of = np.unique(matrix, axis=1, return_inverse=True)
    if len(rows) <= columns.shape[1]:
        return np.eye(len(rows), dtype=np.int32)[row_of], rows
    chosen = np.eye(columns.shape[1], dtype=np.int32)[:, column_of]
    return columns, np.ascontiguousarray(chosen)


def _size(factors: tuple[IntTable, IntTable]) -> tuple[int, int, int]:
    """What to prefer: fewer terms, then fewer int8 digits, then small entries."""
    digits = {"int8": 1, "fp16": 2, "2x int8": 2, "int32": 4}
    peaks = _peak(factors[0]) * _peak(factors[1])
    width = digits[digit_width(factors[0])] * digits[digit_width(factors[1])]
    return factors[0].shape[1], width, peaks


def _peak(values: npt.NDArray[np.integer]) -> int:
    return int(np.abs(values.astype(np.int64)).max()) if values.size else 0
