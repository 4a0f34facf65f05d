"""Logarithmic multipliers: add approximate logarithms, take the approximate power.

Mitchell reads x = 2^k (1 + f) as the binary logarithm k + f. A logarithm is held as one
word: its fraction of w bits, then its characteristic k.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..components import (
    Nets,
    add,
    any_of,
    at,
    encode,
    gate_with,
    leading_one,
    select,
    shift_left,
)
from ..netlist import ONE, Bus, Net
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape, floor_log2
from .segments import dynamic_value

Adder = Callable[[Nets, Nets], list[Net]]


def logarithm(x: Nets, w: int) -> list[Net]:
    """The word of log2(x), its fraction cut to w bits; 0 for 0."""
    leading = leading_one(x)
    below = [[at(x, k - p) for p in range(w, 0, -1)] for k in range(len(x))]
    return [*select(leading, below), *encode(leading)]


def power(log: Nets, w: int, width: int) -> list[Net]:
    """2^k (1 + f) for the word of a logarithm, cut to a whole number."""
    return shift_left([*log[:w], ONE], log[w:], width + w)[w:]


def multiply_logarithms(a: Bus, b: Bus, w: int, adder: Adder) -> list[Net]:
    """The power of a sum of logarithms, 0 where an operand is."""
    total = adder(logarithm(a, w), logarithm(b, w))
    return gate_with(any_of(a) & any_of(b), power(total, w, len(a) + len(b)))


def mitchell_circuit(a: Bus, b: Bus) -> list[Net]:
    return multiply_logarithms(a, b, fraction_bits(a, b), add)


def mitchell_product(a: Operand, b: Operand) -> IntArray:
    return mitchell_value(a.value, b.value)


def mitchell_value(x: IntArray, y: IntArray) -> IntArray:
    """2^(p+q) (1 + f + g) for x = 2^p (1 + f), y = 2^q (1 + g).

    Where f + g reaches 1, 2^(p+q+1) (f + g).
    """
    first, second = 1 << floor_log2(x), 1 << floor_log2(y)
    both = first * second
    fractions = (x - first) * second + (y - second) * first
    power_of_two = np.where(fractions < both, both + fractions, 2 * fractions)
    return np.where(x * y == 0, 0, power_of_two)


def set_one_circuit(a: Bus, b: Bus, m: int) -> list[Net]:
    def adder(x: Nets, y: Nets) -> list[Net]:
        return [ONE] * m + add(x[m:], y[m:], x[m - 1] & y[m - 1])

    return multiply_logarithms(a, b, fraction_bits(a, b), adder)


def lower_or_circuit(a: Bus, b: Bus, m: int) -> list[Net]:
    def adder(x: Nets, y: Nets) -> list[Net]:
        lower = [p | q for p, q in zip(x[:m], y[:m], strict=True)]
        return lower + add(x[m:], y[m:], x[m - 1] & y[m - 1])

    return multiply_logarithms(a, b, fraction_bits(a, b), adder)


def approximate_sum_product(ones: bool, a: Operand, b: Operand, m: int) -> IntArray:
    """The words of the logarithms through the published adder, low part 1 or ORed."""
    w, low = fraction_bits(a, b), (1 << m) - 1
    x, y = (_log_word(operand.value, w) for operand in (a, b))
    carry = x >> (m - 1) & y >> (m - 1) & 1
    total = ((x >> m) + (y >> m) + carry << m) | (low if ones else (x | y) & low)
    characteristic, mantissa = total >> w, (total & (1 << w) - 1) | 1 << w
    return np.where(a.value * b.value == 0, 0, mantissa << characteristic >> w)


def _log_word(value: IntArray, w: int) -> IntArray:
    k = floor_log2(value)
    return k << w | (value - (1 << k) << w) >> k


def dynamic_range_circuit(a: Bus, b: Bus, t: int) -> list[Net]:
    def shortened(x: Bus) -> list[Net]:
        word = logarithm(x, t - 1)
        return [word[0] | any_of(leading_one(x)[t:]), *word[1:]]

    total = add(shortened(a), shortened(b))
    return gate_with(any_of(a) & any_of(b), power(total, t - 1, len(a) + len(b)))


def dynamic_range_product(a: Operand, b: Operand, t: int) -> IntArray:
    """Mitchell's product of the unbiased segments of t bits."""
    (x, s), (y, r) = (dynamic_value(operand, t, True) for operand in (a, b))
    return mitchell_value(x << s, y << r)


def fraction_bits(a: Bus | Operand, b: Bus | Operand) -> int:
    """As many as the longer operand can have below its leading one."""
    return max(len(a), len(b)) - 1


def _low_bits(shape: Shape) -> tuple[int, int]:
    return 1, max(shape.a, shape.b) - 1


def _segment_widths(shape: Shape) -> tuple[int, int]:
    return 2, max(shape.a, shape.b) - 1


LIU = (
    "W. Liu, J. Xu, D. Wang, C. Wang, P. Montuschi, F. Lombardi, Design and Evaluation "
    "of Approximate Logarithmic Multipliers for Low Power Error-Tolerant Applications, "
    "IEEE Trans. Circuits and Systems I, 2018"
)
FAMILIES = (
    Family(
        name="mitchell",
        summary="Mitchell's logarithmic multiplier: log2(1 + f) is taken as f.",
        citation="J. N. Mitchell, Computer Multiplication and Division Using Binary "
        "Logarithms, IRE Trans. Electronic Computers, 1962",
        circuit=mitchell_circuit,
        product=mitchell_product,
        shipped=(
            "mul8u_mitchell",
            "mul8s_sm_mitchell",
            "mul8x4u_mitchell",
            "mul4u_mitchell",
        ),
    ),
    Family(
        name="almsoa",
        summary="Mitchell with a set-one adder: the m low bits of the sum of "
        "logarithms are 1.",
        citation=LIU,
        circuit=set_one_circuit,
        product=partial(approximate_sum_product, True),
        parameters=(Parameter("the number m of low bits set", _low_bits),),
        shipped=(
            "mul8u_almsoa_3",
            "mul8u_almsoa_5",
        ),
    ),
    Family(
        name="almloa",
        summary="Mitchell with a lower-part-OR adder for the m low bits of the sum "
        "of logarithms.",
        citation=LIU,
        circuit=lower_or_circuit,
        product=partial(approximate_sum_product, False),
        parameters=(Parameter("the number m of low bits ORed", _low_bits),),
        shipped=("mul8u_almloa_5",),
    ),
    Family(
        name="dralm",
        summary="Mitchell on unbiased dynamic segments of t bits.",
        citation="P. Yin, C. Wang, H. Waris, W. Liu, Y. Han, F. Lombardi, Design and "
        "Analysis of Energy-Efficient Dynamic Range Approximate Logarithmic "
        "Multipliers for Machine Learning, IEEE Trans. Sustainable Computing, 2021",
        circuit=dynamic_range_circuit,
        product=dynamic_range_product,
        parameters=(Parameter("the segment width t", _segment_widths),),
        shipped=(
            "mul8u_dralm_3",
            "mul8u_dralm_4",
            "mul8u_dralm_5",
            "mul8s_sm_dralm_4",
        ),
    ),
)
