"""The rank of an integer matrix, by elimination modulo primes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Below 2^22, so that a sum of PANEL products of residues stays exact in float64.
PRIMES = (4194301, 4194287)
PANEL = 32

Residues = npt.NDArray[np.float64]


def integer_rank(matrix: npt.NDArray[np.integer]) -> int:
    """Rank of an integer matrix over the rationals.

    The rank modulo a prime never exceeds the true rank and falls short of it only
    if the prime divides every minor of that size; two large primes are tried.

    Example:
        >>> integer_rank(np.outer([1, 2, 3], [4, 5, 6]))
        1
    """
    wide = np.asarray(matrix, dtype=np.int64)
    if not wide.any():
        return 0
    rows = _distinct_rows(wide)
    small = _distinct_rows(np.ascontiguousarray(rows.T))
    return max(len(_pivots_modulo(small, prime)) for prime in PRIMES)


def pivot_rows(matrix: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Indices, ascending, of a largest set of linearly independent rows.

    Example:
        >>> pivot_rows(np.array([[1, 2], [2, 4], [0, 1]]))
        array([0, 2])
    """
    wide = np.asarray(matrix, dtype=np.int64)
    found = max((_pivots_modulo(wide, prime) for prime in PRIMES), key=len)
    return np.sort(found)


def _distinct_rows(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The non-zero rows, each once: repeats are common in tables and cost time."""
    seen = {row.tobytes(): row for row in matrix if row.any()}
    return np.array(list(seen.values()))


def _pivots_modulo(matrix: npt.NDArray[np.int64], prime: int) -> npt.NDArray[np.intp]:
    """Rows that Gaussian elimination takes as pivots, in column panels.

    Each panel updates the columns to its right at once, by one product.
    """
    work = np.remainder(matrix, prime).astype(np.float64)
    origin = np.arange(len(work))
    rank = 0
    for start in range(0, work.shape[1], PANEL):
        panel = work[rank:, start : start + PANEL]
        order, lower, found = _eliminate(panel.copy(), prime)
        origin[rank:] = origin[rank:][order]
        rest = work[rank:, start + PANEL :][order]
        # Rows of the rest that belong to pivots are solved against the unit lower
        # triangle, the others reduced by one product.
        for i in range(1, found):
            rest[i] = _reduce(rest[i] - lower[i, :i] @ rest[:i], prime)
        rest[found:] = _reduce(
            rest[found:] - lower[found:, :found] @ rest[:found], prime
        )
        work[rank:, start + PANEL :] = rest
        rank += found
        if rank == len(work):
            break
    return origin[:rank]


def _eliminate(
    panel: Residues, prime: int
) -> tuple[npt.NDArray[np.intp], Residues, int]:
    """Row order, multipliers and number of pivots of one panel."""
    order = np.arange(len(panel))
    lower = np.zeros((len(panel), panel.shape[1]))
    found = 0
    for column in range(panel.shape[1]):
        candidates = np.flatnonzero(panel[found:, column])
        if not len(candidates):
            continue
        pivot = found + candidates[0]
        for rows in (panel, lower, order):
            rows[[found, pivot]] = rows[[pivot, found]]
        inverse: int = pow(int(panel[found, column]), -1, prime)
        factor = _reduce(panel[found + 1 :, column] * inverse, prime)
        lower[found + 1 :, found] = factor
        panel[found + 1 :] = _reduce(
            panel[found + 1 :] - factor[:, None] * panel[found], prime
        )
        found += 1
        if found == len(panel):
            break
    return order, lower, found


def _reduce(values: Residues, prime: int) -> Residues:
    """Residues in [0, prime) of exact float64 integers."""
    return values - prime * np.floor(values / prime)
