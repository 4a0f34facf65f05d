"""Signed multipliers by radix-4 Booth digits: exact, broken, or with simpler encoders.

The digit b[2j-1] + b[2j] - 2 b[2j+1] selects the row 0, a or 2 a, inverted where the
digit is negative; a bit of its own then completes it to -a or -2 a.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ..components import at, constant
from ..netlist import ZERO, Bus, Net
from ..partial_products import columns_of, dadda
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape


class Digit(NamedTuple):
    """A Booth digit: whether it is +-1, +-2, below 0; its highest bit in b."""

    one: Net
    two: Net
    negative: Net
    top: Net


Encoder = Callable[[Digit, Net, Net], Net]


def recode(b: Bus) -> list[Digit]:
    """The digits of a signed operand, least significant first."""
    digits: list[Digit] = []
    for j in range(0, len(b), 2):
        below, middle, top = at(b, j - 1), b[j], b[min(j + 1, len(b) - 1)]
        one = below ^ middle
        two = ~one & (middle ^ top)
        digits.append(Digit(one, two, top & ~(middle & below), top))
    return digits


def exact_bit(digit: Digit, bit: Net, below: Net) -> Net:
    """A bit of the row, from that bit of `a` and the one below it."""
    return ((digit.one & bit) | (digit.two & below)) ^ digit.negative


def first_bit(digit: Digit, bit: Net, below: Net) -> Net:
    """The paper's R4ABE1: 2 a is taken as a."""
    return (digit.one | digit.two) & (bit ^ digit.top)


def second_bit(digit: Digit, bit: Net, below: Net) -> Net:
    """The paper's R4ABE2: 0 and 2 a are taken as a."""
    return bit ^ digit.top


def no_bit(digit: Digit, bit: Net, below: Net) -> Net:
    return ZERO


def circuit(encoder: Encoder, a: Bus, b: Bus, k: int) -> list[Net]:
    """Rows whose bits below column k the given encoder forms, in a Dadda tree.

    The sign of a row is inverted and a constant added, which spares its extension.
    """
    width, top = len(a) + len(b), len(a)
    rows: list[list[Net]] = [[ZERO] * width]
    for j, digit in enumerate(recode(b)):
        row = [ZERO] * width
        for i in range(min(top + 1, width - 2 * j)):
            form = encoder if i + 2 * j < k else exact_bit
            bit = form(digit, at(a, min(i, top - 1)), at(a, i - 1))
            row[i + 2 * j] = ~bit if i == top else bit
        dropped = encoder is no_bit and 2 * j < k
        rows[0][2 * j] = ZERO if dropped else digit.negative
        rows.append(row)
    signs = -sum(1 << (top + 2 * j) for j in range(len(rows) - 1))
    return dadda(columns_of([*rows, constant(signs, width)]))


def product(encoder: Encoder, a: Operand, b: Operand, k: int) -> IntArray:
    """The sum of the rows d a, their lowest bits as the encoder has them."""
    total = np.zeros((), np.int64)
    for j in range(0, len(b), 2):
        digit = (b[j - 1] if j else 0) + b[j] - 2 * b[j + 1]
        completion = np.where(digit < 0, 1, 0)
        low = (1 << max(k - j, 0)) - 1
        row = digit * a.value - completion
        formed = row & ~low | _low_bits(encoder, a.value, b[j + 1], digit, row) & low
        if encoder is no_bit and j < k:
            completion = 0
        total = total + (formed + completion << j)
    return total


def _low_bits(
    encoder: Encoder, a: IntArray, top: IntArray, digit: IntArray, row: IntArray
) -> IntArray:
    """A whole row as the encoder would form it."""
    simple = np.where(top == 1, ~a, a)
    if encoder is first_bit:
        return np.where(digit != 0, simple, 0)
    return simple if encoder is second_bit else np.zeros_like(row)


def _columns_from_0(shape: Shape) -> tuple[int, int]:
    return 0, min(shape.a, shape.b)


def _columns(shape: Shape) -> tuple[int, int]:
    return 1, min(shape.a, shape.b)


LIU = (
    "W. Liu, L. Qian, C. Wang, H. Jiang, J. Han, F. Lombardi, Design of Approximate "
    "Radix-4 Booth Multipliers for Error-Tolerant Computing, IEEE Trans. Computers, "
    "2017"
)
FAMILIES = (
    Family(
        name="booth",
        summary="Broken Booth: radix-4 rows without their k lowest columns; exact for "
        "k = 0.",
        citation="F. Farshchi, M. S. Abrishami, S. M. Fakhraie, New Approximate "
        "Multiplier for Low Power Digital Signal Processing, Int. Symp. Computer "
        "Architecture and Digital Systems, 2013 (bits that complete a negative row are "
        "dropped with their column)",
        circuit=partial(circuit, no_bit),
        product=partial(product, no_bit),
        parameters=(Parameter("the number k of dropped columns", _columns_from_0),),
        signs="s",
        shipped=(
            "mul8s_booth_4",
            "mul8s_booth_6",
            "mul8s_booth_8",
        ),
    ),
    Family(
        name="abm1",
        summary="Radix-4 Booth with the first approximate encoder in the k lowest "
        "columns.",
        citation=LIU,
        circuit=partial(circuit, first_bit),
        product=partial(product, first_bit),
        parameters=(Parameter("the number k of approximate columns", _columns),),
        signs="s",
        shipped=(
            "mul8s_abm1_6",
            "mul8s_abm1_8",
        ),
    ),
    Family(
        name="abm2",
        summary="Radix-4 Booth with the second approximate encoder in the k lowest "
        "columns.",
        citation=LIU,
        circuit=partial(circuit, second_bit),
        product=partial(product, second_bit),
        parameters=(Parameter("the number k of approximate columns", _columns),),
        signs="s",
        shipped=(
            "mul8s_abm2_6",
            "mul8s_abm2_8",
        ),
    ),
)
