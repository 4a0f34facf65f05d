"""Whether a table makes far more sense read in another way than it was.

A file seldom says whether its operands are signed, with which operand its rows begin
or in which order its bytes stand. The exact products tell: no multiplier is so wrong
that another reading comes several times nearer to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .metrics import IntTable
from .multiplier import Multiplier, exact_products

# Zeros, the coarsest multiplier, are up to 4 times nearer to signed products than to
# unsigned ones, and a quarter of the largest product away from these.
FACTOR = 5


class _Reading(NamedTuple):
    """What the table may be instead, in words that end in the next step."""

    words: str
    mae: float


def misreading(mul: Multiplier) -> str | None:
    """How the table was probably meant, None where it is plausible as it is.

    Args:
        mul: a table as it was read from a file, operands both signed or both not.

    Example:
        >>> signed = Multiplier(exact_products((8, 8), (True, True)), (False, False))
        >>> misreading(signed)[:64]
        'its MAE is 16256, but 0 if its operands are signed: pass signed='
    """
    own, largest = _distance(mul.table, mul.exact), int(np.abs(mul.exact).max())
    if not own or mul.signed[0] != mul.signed[1]:
        return None
    nearest = min(_other_readings(mul), key=lambda reading: reading.mae, default=None)
    if nearest and nearest.mae * FACTOR < min(own, largest):
        return f"its MAE is {own:.5g}, but {nearest.mae:.5g} if {nearest.words}"
    if own > 2 * largest:
        return (
            f"its MAE is {own:.5g}, more than twice the largest of its exact products, "
            f"{largest}: it is probably damaged, or no table of {mul.operands} products"
        )
    return None


def _other_readings(mul: Multiplier) -> Iterator[_Reading]:
    """Readings of the same 16-bit words, where they are that."""
    if mul.table.min() < -0x8000 or mul.table.max() > 0xFFFF:
        return
    is_signed = mul.signed[0]
    word = mul.table & 0xFFFF
    signed_word = (word ^ 0x8000) - 0x8000
    unsigned = exact_products(mul.bits, (False, False))
    signed = exact_products(mul.bits, (True, True))
    yield _Reading(
        "its operands are unsigned: pass signed=False (--unsigned)"
        if is_signed
        else "its negative entries are 16-bit words: add 65536 to them",
        _distance(word, unsigned),
    )
    if not is_signed:
        yield _Reading(
            "its operands are signed: pass signed=True (--signed)",
            _distance(signed_word, signed),
        )
    half = (len(word) // 2, len(word[0]) // 2)
    lowest_first = "its rows and columns begin with the lowest operand, not with 0: "
    yield _Reading(
        f"{lowest_first}pass signed=True and numpy.roll(table, {half}, (0, 1)) to "
        "Multiplier.from_array",
        _distance(np.roll(signed_word, half, (0, 1)), signed),
    )
    swapped = (word & 0xFF) << 8 | word >> 8
    yield _Reading(
        "the two bytes of its entries are exchanged: pass numpy.fromfile(path, "
        "'>i2' or '>u2') to Multiplier.from_array",
        _distance((swapped ^ 0x8000) - 0x8000, signed)
        if is_signed
        else _distance(swapped, unsigned),
    )


def _distance(table: IntTable, exact: IntTable) -> float:
    return float(np.abs(table.astype(np.int64) - exact).mean())
