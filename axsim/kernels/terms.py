"""A table as a sum of products of bytes, for instructions that multiply bytes.

    table[a, b] = sum_t 2^shift_t * (codes_t[a] + offset_t) * weights_t[b]

The terms come from table = exact product + error, the error being U·B in integers
(`Multiplier.factors`), and from cutting entries that leave a byte into base-256
digits. `vpdpbusd` multiplies an unsigned byte by a signed one. The offset of a code's
factor costs only a constant for each output, so codes take whichever signedness the
weights leave them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..tables.multiplier import operand_values
from .table import Table

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Term:
    """One product of bytes.

    Args:
        codes: uint8[256], the byte of each activation code.
        weights: uint8[256], the byte of each weight code.
        offset: added to the code's byte, at no cost per product.
        shift: the product counts 2^shift times.
        signed_codes: whether the codes' byte is the signed one, or the weights'.
    """

    codes: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.uint8]
    offset: int
    shift: int
    signed_codes: bool

    def values(self) -> tuple[Integers, Integers]:
        """int64[256] each: the bytes of codes and weights as numbers."""
        kinds = (np.int8, np.uint8) if self.signed_codes else (np.uint8, np.int8)
        codes, weights = self.codes.view(kinds[0]), self.weights.view(kinds[1])
        return codes.astype(np.int64), weights.astype(np.int64)

    def product(self) -> Integers:
        """int64[256, 256]: what the term adds to the table."""
        codes, weights = self.values()
        return np.outer(codes + self.offset, weights) << self.shift


def terms_of(table: Table) -> tuple[Term, ...]:
    """The table's terms, checked entry by entry; equal signedness and shift adjoin.

    Raises:
        BackendError: if the error's factors need python-flint and it is missing.
    """
    terms = [
        term
        for u, b in _outer_products(table)
        for shift, digit, signed in _weight_digits(b)
        for term in _code_terms(u, digit, shift, signed)
    ]
    rows, columns = table.entries
    total = np.sum([term.product() for term in terms], axis=0)
    if not np.array_equal(total[:rows, :columns], table.mul.table):
        raise ArithmeticError(f"the terms of {table.mul.name} do not add up to it")
    return tuple(sorted(terms, key=lambda term: (term.signed_codes, term.shift)))


def too_many(table: Table, most: int) -> str | None:
    """Why a table has more terms than pay; None where it does not."""
    if table.mul.rank > most - 1:
        return f"the error has rank {table.mul.rank}; at most {most - 1} pays."
    if len(table.derived(terms_of)) > most:
        return f"the factors need more than {most} products of bytes."
    return None


def _outer_products(table: Table) -> Iterator[tuple[Integers, Integers]]:
    """Vectors over the 256 codes of each operand whose outer products add up."""
    mul = table.mul
    values = [
        operand_values(bits, signed)
        for bits, signed in zip(mul.bits, mul.signed, strict=True)
    ]
    if table.origin is None:
        factors = mul.factors()
        u, b = factors.u.T, factors.b
    else:
        # Found once for both orders of the operands.
        factors = table.origin.mul.factors()
        u, b = factors.b, factors.u.T
    yield _over_bytes(values[0]), _over_bytes(values[1])
    for codes, weights in zip(u, b, strict=True):
        yield _over_bytes(codes), _over_bytes(weights)


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


def _code_terms(
    u: Integers, digit: Integers, shift: int, signed: bool
) -> Iterator[Term]:
    """Terms for the unsigned digits of `u` less its lowest value."""
    offset, rest = int(u.min()), u - u.min()
    while True:
        codes = (rest & 255) - 128 * signed
        yield Term(
            codes.astype(np.uint8),
            digit.astype(np.uint8),
            offset + 128 * signed,
            shift,
            signed,
        )
        rest, offset, shift = rest >> 8, 0, shift + 8
        if not rest.any():
            return
