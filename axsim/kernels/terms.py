"""A table as a sum of products of bytes, for instructions that multiply bytes.

    table[a, b] = base[b] + sum_t 2^shift_t * codes_t[a] * weights_t[b]

The terms come from table = exact product + error, the error being U·B in integers
(`Multiplier.factors`), and from cutting entries that leave a byte into base-256
digits. `vpdpbusd` multiplies an unsigned byte by a signed one. A constant added to a
code's factor costs only a constant for each output, so codes take whichever signedness
the weights leave them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..tables.multiplier import Multiplier, operand_values
from .table import Table

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Term:
    """One product of bytes.

    Args:
        codes: uint8[256], the byte of each activation code.
        weights: uint8[256], the byte of each weight code.
        shift: the product counts 2^shift times.
        signed_codes: whether the codes' byte is the signed one, or the weights'.
    """

    codes: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.uint8]
    shift: int
    signed_codes: bool

    def product(self) -> Integers:
        """int64[256, 256]: what the term adds to the table."""
        kinds = (np.int8, np.uint8) if self.signed_codes else (np.uint8, np.int8)
        codes, weights = self.codes.view(kinds[0]), self.weights.view(kinds[1])
        return np.outer(codes.astype(np.int64), weights.astype(np.int64)) << self.shift


@dataclass(frozen=True, eq=False)
class Terms:
    """All terms, those with equal shift and signedness side by side, and the base."""

    terms: tuple[Term, ...]
    base: Integers

    def product(self) -> Integers:
        """What terms and base make together: the table."""
        total = np.broadcast_to(self.base, (256, 256)).copy()
        for term in self.terms:
            total += term.product()
        return total


def terms_of(table: Table) -> Terms:
    """The table's terms, checked entry by entry.

    Raises:
        BackendError: if the error's factors need python-flint and it is missing.
    """
    base, terms = np.zeros(256, np.int64), list[Term]()
    for u, b in _outer_products(table.mul):
        for shift, digit, signed_codes in _weight_digits(b):
            low = int(u.min())
            base += low * digit << shift
            for i, codes in enumerate(_code_digits(u - low)):
                at = shift + 8 * i
                if signed_codes:
                    # codes = (codes - 128) + 128, the first a signed byte.
                    base += 128 * digit << at
                codes = (codes - 128 * signed_codes).astype(np.uint8)
                terms.append(Term(codes, digit.astype(np.uint8), at, signed_codes))
    terms.sort(key=lambda term: (term.signed_codes, term.shift))
    found = Terms(tuple(terms), base)
    rows, columns = table.entries
    if not np.array_equal(found.product()[:rows, :columns], table.mul.table):
        raise ArithmeticError(f"the terms of {table.mul.name} do not add up to it")
    return found


def _outer_products(mul: Multiplier) -> Iterator[tuple[Integers, Integers]]:
    """Vectors over the 256 codes of each operand whose outer products add up."""
    values = [
        operand_values(bits, signed)
        for bits, signed in zip(mul.bits, mul.signed, strict=True)
    ]
    factors = mul.factors()
    yield _over_bytes(values[0]), _over_bytes(values[1])
    for u, b in zip(factors.u.T, factors.b, strict=True):
        yield _over_bytes(u), _over_bytes(b)


def _over_bytes(values: npt.NDArray[np.int32]) -> Integers:
    """Values of all 256 bytes, 0 where the operand has no such code."""
    wide = np.zeros(256, np.int64)
    wide[: len(values)] = values
    return wide


def _weight_digits(b: Integers) -> Iterator[tuple[int, Integers, bool]]:
    """(shift, digit, whether the codes must be signed), adding up to `b`."""
    if b.min() >= 0 and 127 < b.max() < 256:
        yield 0, b, True
        return
    shift = 0
    while b.any() or not shift:
        digit = ((b + 128) & 255) - 128
        yield shift, digit, False
        b, shift = (b - digit) >> 8, shift + 8


def _code_digits(u: Integers) -> Iterator[Integers]:
    """Unsigned digits of non-negative values, lowest first."""
    while True:
        yield u & 255
        u = u >> 8
        if not u.any():
            return
