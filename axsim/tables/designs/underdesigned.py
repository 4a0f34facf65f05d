"""Multipliers built recursively from 2x2 blocks that give 3 * 3 = 7."""

from __future__ import annotations

from itertools import product as pairs

import numpy as np

from ..components import Nets, add, at
from ..netlist import ZERO, Bus, Net
from ..partial_products import add_rows, partial_products
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape


def circuit(a: Bus, b: Bus, d: int) -> list[Net]:
    """The sum of the products of the operands' halves, down to blocks of 2x2 bits."""
    if max(len(a), len(b)) <= 2:
        return _block(a, b) if d > 0 else add_rows(partial_products(a, b))
    total = [ZERO] * (len(a) + len(b))
    for (x, low_x), (y, low_y) in pairs(_halves(a), _halves(b)):
        shift = low_x + low_y
        part = circuit(x, y, d - shift // 2)
        total[shift:] = add(total[shift:], part, width=len(total) - shift)
    return total


def _block(a: Nets, b: Nets) -> list[Net]:
    """A 2x2 product in three bits: 3 * 3 is 7, which saves the carry."""
    a0, a1, b0, b1 = at(a, 0), at(a, 1), at(b, 0), at(b, 1)
    return [a0 & b0, (a1 & b0) | (a0 & b1), a1 & b1]


def _halves(x: Bus) -> list[tuple[Bus, int]]:
    """An operand in two parts of whole digits, with the weight of each."""
    if len(x) <= 2:
        return [(x, 0)]
    cut = (len(x) + 2) // 4 * 2
    return [(Bus(x[:cut], x.signed), 0), (Bus(x[cut:], x.signed), cut)]


def product(a: Operand, b: Operand, d: int) -> IntArray:
    """a * b less 2 * 4^(i+j) for every two digits, base 4, that are both 3."""
    total = a.value * b.value
    for i, j in pairs(range(0, len(a), 2), range(0, len(b), 2)):
        both_three = (a.value >> i & 3 == 3) & (b.value >> j & 3 == 3)
        total = total - np.where(both_three & (i + j < 2 * d), 2 << (i + j), 0)
    return total


def _diagonals(shape: Shape) -> tuple[int, int]:
    """Sums i + j of the positions of two base-4 digits."""
    return 1, (shape.a + 1) // 2 + (shape.b + 1) // 2 - 1


FAMILIES = (
    Family(
        name="udm",
        summary="Underdesigned: 2x2 blocks with 3 * 3 = 7 on the d lowest diagonals.",
        citation="P. Kulkarni, P. Gupta, M. Ercegovac, Trading Accuracy for Power with "
        "an Underdesigned Multiplier Architecture, Int. Conf. VLSI Design, 2011 (every "
        "block: the largest d)",
        circuit=circuit,
        product=product,
        parameters=(Parameter("the number d of approximate diagonals", _diagonals),),
        shipped=(
            "mul8u_udm_4",
            "mul8u_udm_7",
            "mul8s_sm_udm_7",
            "mul8x4u_udm_5",
            "mul4u_udm_3",
        ),
    ),
)
