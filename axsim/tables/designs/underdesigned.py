"""Multipliers built recursively from 2x2 blocks that give 3 * 3 = 7."""

from __future__ import annotations

from itertools import product as pairs

import numpy as np

from ..components import Nets, add, at
from ..netlist import ZERO, Bus, Net
from ..partial_products import add_rows, partial_products
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape


def circuit(a: Bus, b: Bus, k: int) -> list[Net]:
    """The sum of the products of the operands' halves, down to blocks of 2x2 bits."""
    if max(len(a), len(b)) <= 2:
        return _block(a, b) if k > 0 else add_rows(partial_products(a, b))
    total = [ZERO] * (len(a) + len(b))
    for (x, low_x), (y, low_y) in pairs(_halves(a), _halves(b)):
        shift = low_x + low_y
        part = circuit(x, y, k - shift)
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


def product(a: Operand, b: Operand, k: int) -> IntArray:
    """a * b less 2 * 4^(i+j) for every two digits, base 4, that are both 3."""
    total = a.value * b.value
    for i, j in pairs(range(0, len(a), 2), range(0, len(b), 2)):
        both_three = (a.value >> i & 3 == 3) & (b.value >> j & 3 == 3)
        total = total - np.where(both_three & (i + j < k), 2 << (i + j), 0)
    return total


def _columns(shape: Shape) -> tuple[int, int]:
    """Odd numbers would repeat even ones, but are harmless."""
    return 1, shape.a + shape.b - 3


FAMILIES = (
    Family(
        name="udm",
        summary="Underdesigned: 2x2 blocks with 3 * 3 = 7 where they start below "
        "column k.",
        citation="P. Kulkarni, P. Gupta, M. Ercegovac, Trading Accuracy for Power with "
        "an Underdesigned Multiplier Architecture, Int. Conf. VLSI Design, 2011 (every "
        "block: the largest k)",
        circuit=circuit,
        product=product,
        parameters=(
            Parameter("the column k below which blocks are approximate", _columns),
        ),
        shipped=("mul8u_udm_13",),
    ),
)
