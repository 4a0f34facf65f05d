"""Lattice reduction of integer matrices; the one place that uses python-flint."""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .metrics import IntTable
from .rank import pivot_rows

if TYPE_CHECKING:
    Indices = npt.NDArray[np.intp]

INT32 = np.iinfo(np.int32)
PROBES = 4


def independent_rows(matrix: IntTable) -> IntTable:
    """A largest set of linearly independent rows."""
    return matrix[pivot_rows(matrix)]


def factor_rows(matrix: IntTable) -> tuple[IntTable, IntTable] | None:
    """U and B with U @ B == matrix: B a reduced basis of the lattice of its rows.

    The rows go to LLL as they are: it removes their dependencies itself, and a
    Hermite form first would take minutes and end in larger entries. None if an
    entry leaves int32.
    """
    from flint import fmpz_mat

    rows = np.unique(matrix, axis=0)
    reduced = _to_numpy(fmpz_mat(rows[rows.any(axis=1)].tolist()).lll())
    basis = _fitting(reduced[reduced.any(axis=1)])
    if basis is None:
        return None
    pivots = pivot_rows(np.ascontiguousarray(basis.T))
    # U·B = M on the pivot columns decides U; every row lies in the lattice, so the
    # solution is whole.
    unique, row_of = np.unique(matrix, axis=0, return_inverse=True)
    numerators, denominator = _solve(
        basis[:, pivots].T, unique[:, pivots].T
    ).numer_denom()
    u = _fitting(_to_numpy(numerators)) if denominator == 1 else None
    return None if u is None else (np.ascontiguousarray(u.T[row_of]), basis)


def relation_bits(matrix: IntTable, basis: IntTable) -> int:
    """Size of the numbers that express further rows by the basis, in bits.

    Rows of real multipliers are related by small numbers; those of a product of
    random matrices by determinants, and LLL must wade through all their bits.
    """
    kept = {row.tobytes() for row in basis}
    others = [row for row in np.unique(matrix, axis=0) if row.tobytes() not in kept]
    others = [row for row in others if row.any()][:PROBES]
    if not others:
        return 0
    columns = pivot_rows(np.ascontiguousarray(basis.T))
    solved = _solve(basis[:, columns].T, np.array(others)[:, columns].T)
    entries = solved.tolist()
    return max(
        lcm(*(int(row[probe].q) for row in entries)).bit_length()
        for probe in range(len(others))
    )


def _solve(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Any:
    """The rational X with left @ X == right, for a square regular left."""
    from flint import fmpz_mat

    return fmpz_mat(left.tolist()).solve(fmpz_mat(right.tolist()))


def _to_numpy(matrix: Any) -> npt.NDArray[Any]:
    return np.array([[int(x) for x in row] for row in matrix.tolist()])


def _fitting(values: npt.NDArray[Any]) -> IntTable | None:
    """The values as int32, or None where one does not fit."""
    fits = values.max() <= INT32.max and values.min() >= INT32.min
    return values.astype(np.int32) if fits else None
