"""Multipliers of rounded operands: powers of two (RoBA) or odd numbers (TOSAM)."""

from __future__ import annotations

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
    shift_by_one_hot,
    shift_left,
    subtract,
)
from ..netlist import ONE, ZERO, Bus, Net
from ..partial_products import add_rows, partial_products
from .family import Family, Parameter
from .magnitude import by_magnitude, product_by_magnitude
from .operand import IntArray, Operand, Shape, floor_log2


def roba_circuit(a: Bus, b: Bus) -> list[Net]:
    """r b + s a - r s, for the powers of two r and s nearest to a and b."""
    if a.signed:
        return by_magnitude(roba_circuit, a, b)
    width = len(a) + len(b)
    r, s = nearest_power(a), nearest_power(b)
    total = add(shift_by_one_hot(b, r), shift_by_one_hot(a, s), width=width)
    return subtract(total, shift_by_one_hot(r, s))


def nearest_power(x: Bus) -> list[Net]:
    """One-hot: up where the bit below the leading one is set, but 3 goes to 2."""
    leading = leading_one(x)
    up = [ZERO, ZERO, *(leading[k] & x[k - 1] for k in range(2, len(x)))]
    stay = [one & ~moved for one, moved in zip(leading, up, strict=True)]
    return [at(stay, k) | at(up, k - 1) for k in range(len(x) + 1)]


def roba_product(a: Operand, b: Operand) -> IntArray:
    if a.signed:
        return product_by_magnitude(roba_product, a, b)
    r, s = nearest_power_value(a.value), nearest_power_value(b.value)
    return r * b.value + s * a.value - r * s


def nearest_power_value(x: IntArray) -> IntArray:
    """The nearest power of two, the greater of two that are equally near; 3 gives 2."""
    below = 1 << floor_log2(x)
    nearest = np.where(2 * x >= 3 * below, 2 * below, below)
    return np.where(x == 3, 2, np.where(x == 0, 0, nearest))


def tosam_circuit(a: Bus, b: Bus, h: int, t: int) -> list[Net]:
    """2^(p+q) (1 + f + g + f' g'): f, g cut to t bits, f', g' to h bits and a half."""
    scale = max(t, 2 * h + 2)
    (p, f), (q, g) = _normalised(a, t), _normalised(b, t)
    short_f, short_g = ([ONE, *part[t - h :]] for part in (f, g))
    small = add_rows(partial_products(Bus(short_f, False), Bus(short_g, False)))
    linear = [ZERO] * (scale - t) + add(f, g)
    total = add([ZERO] * (scale - 2 * h - 2) + small, linear, width=scale + 2)
    whole = add(total[scale:], [ONE], width=2)
    width = len(a) + len(b)
    shifted = shift_left([*total[:scale], *whole], add(p, q), width + scale)
    return gate_with(any_of(a) & any_of(b), shifted[scale:])


def _normalised(x: Nets, t: int) -> tuple[list[Net], list[Net]]:
    """The position of the leading one and the t bits below it."""
    leading = leading_one(x)
    below = [[at(x, k - p) for p in range(t, 0, -1)] for k in range(len(x))]
    return encode(leading), select(leading, below)


def tosam_product(a: Operand, b: Operand, h: int, t: int) -> IntArray:
    scale = max(t, 2 * h + 2)
    p, q = floor_log2(a.value), floor_log2(b.value)
    f, g = _fraction(a.value, t), _fraction(b.value, t)
    # h bits and a half: odd numbers of h + 1 bits.
    short = (2 * (f >> (t - h)) + 1) * (2 * (g >> (t - h)) + 1)
    sum_of_terms = (
        (1 << scale) + (f + g << (scale - t)) + (short << (scale - 2 * h - 2))
    )
    return np.where(a.value * b.value == 0, 0, sum_of_terms << (p + q) >> scale)


def _fraction(value: IntArray, bits: int) -> IntArray:
    k = floor_log2(value)
    return (value - (1 << k) << bits) >> k


def _multiplied_bits(shape: Shape) -> tuple[int, int]:
    return 0, max(shape.a, shape.b) - 2


def _added_bits(shape: Shape, h: int) -> tuple[int, int]:
    return h + 1, max(shape.a, shape.b) - 1


FAMILIES = (
    Family(
        name="roba",
        summary="Rounding-based: the product of the differences to the nearest powers "
        "of two is left out; on magnitudes where signed.",
        citation="R. Zendegani, M. Kamal, M. Bahadori, A. Afzali-Kusha, M. Pedram, "
        "RoBA Multiplier: A Rounding-Based Approximate Multiplier for High-Speed yet "
        "Energy-Efficient Digital Signal Processing, IEEE Trans. VLSI Systems, 2017",
        circuit=roba_circuit,
        product=roba_product,
        signs="us",
        shipped=(
            "mul8u_roba",
            "mul8s_roba",
        ),
    ),
    Family(
        name="tosam",
        summary="Below the leading ones, t bits are added and h bits, rounded to odd, "
        "multiplied.",
        citation="S. Vahdat, M. Kamal, A. Afzali-Kusha, M. Pedram, TOSAM: An "
        "Energy-Efficient Truncation- and Rounding-Based Scalable Approximate "
        "Multiplier, IEEE Trans. VLSI Systems, 2019",
        circuit=tosam_circuit,
        product=tosam_product,
        parameters=(
            Parameter("the number h of multiplied bits", _multiplied_bits, "h"),
            Parameter("the number t of added bits", _added_bits, "t"),
        ),
        shipped=(
            "mul8u_tosam_h0_t3",
            "mul8u_tosam_h1_t5",
            "mul8u_tosam_h2_t6",
            "mul8u_tosam_h3_t7",
            "mul8s_sm_tosam_h1_t5",
        ),
    ),
)
