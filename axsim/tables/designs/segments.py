"""Multipliers of segments: a few bits of each operand, multiplied exactly.

The segment begins at the leading one (dynamic) or at one of two or three fixed places
(static).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ..components import (
    Nets,
    add,
    any_of,
    encode,
    leading_one,
    select,
    shift_left,
)
from ..netlist import ONE, ZERO, Bus, Net
from ..partial_products import add_rows, partial_products
from .family import Family, Parameter
from .magnitude import by_magnitude, product_by_magnitude
from .operand import IntArray, Operand, Shape, floor_log2


def dynamic_segment(x: Bus, k: int, unbiased: bool) -> tuple[list[Net], list[Net]]:
    """The k bits from the leading one down, and how far right they were shifted.

    A value below 2^k is its own segment. An unbiased segment that lost bits ends in 1,
    the middle of what it stands for.
    """
    at_or_above = leading_one(x)[k:]
    whole = ~any_of(at_or_above)
    places = [whole, *at_or_above]
    segment = select(places, [x[s : s + k] for s in range(len(places))])
    if unbiased:
        segment[0] = segment[0] | ~whole
    return segment, encode(places)


def dynamic_value(x: Operand, k: int, unbiased: bool) -> tuple[IntArray, IntArray]:
    """The same on integers."""
    shift = np.maximum(floor_log2(x.value) - (k - 1), 0)
    return x.value >> shift | ((shift > 0) & unbiased), shift


def drum_circuit(a: Bus, b: Bus, k: int) -> list[Net]:
    if a.signed:
        return by_magnitude(drum_circuit, a, b, k)
    return _multiply_shifted(a, b, *(dynamic_segment(x, k, True) for x in (a, b)))


def drum_product(a: Operand, b: Operand, k: int) -> IntArray:
    if a.signed:
        return product_by_magnitude(drum_product, a, b, k)
    (x, s), (y, t) = (dynamic_value(operand, k, True) for operand in (a, b))
    return x * y << (s + t)


def dsm_circuit(a: Bus, b: Bus, k: int) -> list[Net]:
    return _multiply_shifted(a, b, *(dynamic_segment(x, k, False) for x in (a, b)))


def dsm_product(a: Operand, b: Operand, k: int) -> IntArray:
    (x, s), (y, t) = (dynamic_value(operand, k, False) for operand in (a, b))
    return x * y << (s + t)


def _multiply_shifted(
    a: Bus, b: Bus, first: tuple[Nets, Nets], second: tuple[Nets, Nets]
) -> list[Net]:
    (x, s), (y, t) = first, second
    product = add_rows(partial_products(Bus(x, False), Bus(y, False)))
    return shift_left(product, add(s, t), len(a) + len(b))


def static_circuit(middle: bool, a: Bus, b: Bus, m: int) -> list[Net]:
    (x, places_x), (y, places_y) = (_static_segment(o, m, middle) for o in (a, b))
    product = add_rows(partial_products(Bus(x, False), Bus(y, False)))
    for operand, places in ((a, places_x), (b, places_y)):
        shifts = _shifts(len(operand), m, middle)
        shifted = [[ZERO] * shift + product for shift in shifts]
        product = select(places, shifted)
    return product


def _static_segment(x: Bus, m: int, middle: bool) -> tuple[list[Net], list[Net]]:
    """The lowest segment with nothing set above it, and which one that is."""
    places, too_low = list[Net](), ONE
    for shift in _shifts(len(x), m, middle):
        more = any_of(x[shift + m :])
        places.append(too_low & ~more)
        too_low = too_low & more
    segments = [x[shift : shift + m] for shift in _shifts(len(x), m, middle)]
    return select(places, segments), places


def static_product(middle: bool, a: Operand, b: Operand, m: int) -> IntArray:
    total = np.ones((), np.int64)
    for x in (a, b):
        shifts = _shifts(len(x), m, middle)
        shift = np.select([x.value < 1 << (s + m) for s in shifts], shifts)
        total = total * (x.value >> shift << shift)
    return total


def _shifts(bits: int, m: int, middle: bool) -> list[int]:
    """Where the segments begin: at the bottom, perhaps halfway, and at the top."""
    top = bits - m
    return [0, top // 2, top] if middle else [0, top]


def _dynamic_widths(shape: Shape) -> tuple[int, int]:
    return 1, max(shape.a, shape.b) - 1


def _static_widths(shape: Shape) -> tuple[int, int]:
    return 1, min(shape.a, shape.b) - 1


def _widths_with_middle(shape: Shape) -> tuple[int, int]:
    return 1, min(shape.a, shape.b) - 2


NARAYANAMOORTHY = (
    "S. Narayanamoorthy, H. A. Moghaddam, Z. Liu, T. Park, N. S. Kim, Energy-Efficient "
    "Approximate Multiplication for Digital Signal Processing and Classification "
    "Applications, IEEE Trans. VLSI Systems, 2015"
)
FAMILIES = (
    Family(
        name="drum",
        summary="Unbiased dynamic segments: k bits from the leading one on, the last "
        "one set; on magnitudes where signed.",
        citation="S. Hashemi, R. I. Bahar, S. Reda, DRUM: A Dynamic Range Unbiased "
        "Multiplier for Approximate Applications, IEEE/ACM Int. Conf. Computer-Aided "
        "Design, 2015",
        circuit=drum_circuit,
        product=drum_product,
        parameters=(Parameter("the segment width k", _dynamic_widths),),
        signs="us",
        shipped=(
            "mul8u_drum_3",
            "mul8u_drum_4",
            "mul8u_drum_5",
            "mul8u_drum_6",
            "mul8s_drum_3",
            "mul8s_drum_4",
            "mul8s_drum_6",
            "mul8x4u_drum_3",
        ),
    ),
    Family(
        name="dsm",
        summary="Dynamic segments: the k bits from the leading one on, the rest cut.",
        citation=f"{NARAYANAMOORTHY} (the method it is compared with)",
        circuit=dsm_circuit,
        product=dsm_product,
        parameters=(Parameter("the segment width k", _dynamic_widths),),
        shipped=("mul8u_dsm_5",),
    ),
    Family(
        name="ssm",
        summary="Static segments: the upper m bits, or the lower where no others are "
        "set.",
        citation=NARAYANAMOORTHY,
        circuit=partial(static_circuit, False),
        product=partial(static_product, False),
        parameters=(Parameter("the segment width m", _static_widths),),
        shipped=(
            "mul8u_ssm_4",
            "mul8u_ssm_5",
            "mul8u_ssm_6",
            "mul8s_sm_ssm_5",
        ),
    ),
    Family(
        name="essm",
        summary="Enhanced static segments: m bits at the top, halfway or the bottom.",
        citation=NARAYANAMOORTHY,
        circuit=partial(static_circuit, True),
        product=partial(static_product, True),
        parameters=(Parameter("the segment width m", _widths_with_middle),),
        shipped=(
            "mul8u_essm_4",
            "mul8u_essm_5",
        ),
    ),
)
