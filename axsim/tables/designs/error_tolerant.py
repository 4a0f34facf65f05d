"""The error-tolerant multiplier: high halves multiplied, low halves only inspected."""

from __future__ import annotations

import numpy as np

from ..components import any_of, gate_with, mux
from ..netlist import ZERO, Bus, Net
from ..partial_products import add_rows, partial_products
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape


def circuit(a: Bus, b: Bus, s: int) -> list[Net]:
    """One multiplier for the high parts, or for the low ones where both highs are 0."""
    small = ~any_of([*a[s:], *b[s:]])
    x, y = (_choose(small, operand, s) for operand in (a, b))
    product = add_rows(partial_products(Bus(x, False), Bus(y, False)))
    low = [
        mux(small, guess, exact)
        for guess, exact in zip(_filled(a, b, s), product, strict=False)
    ]
    return low + gate_with(~small, product)


def _choose(small: Net, x: Bus, s: int) -> list[Net]:
    low = x[:s] + [ZERO] * (len(x) - 2 * s)
    return [mux(small, high, low_bit) for high, low_bit in zip(x[s:], low, strict=True)]


def _filled(a: Bus, b: Bus, s: int) -> list[Net]:
    """From the top down, ones from the first place on where an operand has a one."""
    found, filled = ZERO, list[Net]()
    for i in reversed(range(s)):
        found = found | a[i] | b[i]
        filled.append(found)
    return [found] * s + filled[::-1]


def product(a: Operand, b: Operand, s: int) -> IntArray:
    low = (1 << s) - 1
    either = (a.value | b.value) & low
    # The ones from bit n of the low parts on fill s + n + 1 bits of their product.
    ones = np.where(either > 0, (1 << s + _length(either)) - 1, 0)
    guess = ((a.value >> s) * (b.value >> s) << 2 * s) + ones
    return np.where((a.value | b.value) <= low, a.value * b.value, guess)


def _length(value: IntArray) -> IntArray:
    """The number of bits up to the highest one."""
    return np.sum([value >= 1 << i for i in range(8)], axis=0)


def _low_widths(shape: Shape) -> tuple[int, int]:
    return 1, min(shape.a, shape.b) // 2


FAMILIES = (
    Family(
        name="etm",
        summary="Error-tolerant: high parts multiplied, the product of the s low bits "
        "filled with ones from the first one on; exact where both high parts are 0.",
        citation="K. Y. Kyaw, W. L. Goh, K. S. Yeo, Low-Power High-Speed Multiplier "
        "for Error-Tolerant Application, IEEE Int. Conf. Electron Devices and "
        "Solid-State Circuits, 2010 (s is half the width)",
        circuit=circuit,
        product=product,
        parameters=(Parameter("the number s of low bits", _low_widths),),
        shipped=(
            "mul8u_etm_2",
            "mul8u_etm_4",
            "mul8s_sm_etm_4",
        ),
    ),
)
