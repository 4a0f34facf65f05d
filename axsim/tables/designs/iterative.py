"""The iterative logarithmic multiplier: each step takes up what the last left."""

from __future__ import annotations

import numpy as np

from ..components import Nets, add, leading_one, shift_by_one_hot
from ..netlist import ZERO, Bus, Net
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape, floor_log2


def circuit(a: Bus, b: Bus, n: int) -> list[Net]:
    total = [ZERO] * (len(a) + len(b))
    x, y = list(a), list(b)
    for _ in range(n + 1):
        leading_x, leading_y = leading_one(x), leading_one(y)
        rest_x, rest_y = _without(x, leading_x), _without(y, leading_y)
        # x y = x 2^l + 2^k (y - 2^l) + (x - 2^k) (y - 2^l), the last left to later.
        step = add(shift_by_one_hot(x, leading_y), shift_by_one_hot(rest_y, leading_x))
        total = add(total, step, width=len(total))
        x, y = rest_x, rest_y
    return total


def _without(x: Nets, leading: Nets) -> list[Net]:
    return [bit & ~top for bit, top in zip(x, leading, strict=True)]


def product(a: Operand, b: Operand, n: int) -> IntArray:
    """a * b less the product of the operands without their n + 1 highest ones."""
    return a.value * b.value - _residue(a.value, n + 1) * _residue(b.value, n + 1)


def _residue(value: IntArray, steps: int) -> IntArray:
    for _ in range(steps):
        value = np.where(value > 0, value - (1 << floor_log2(value)), 0)
    return value


def _corrections(shape: Shape) -> tuple[int, int]:
    return 0, min(shape.a, shape.b) - 2


FAMILIES = (
    Family(
        name="ilm",
        summary="Iterative logarithmic multiplier with n correction steps.",
        citation="Z. Babić, A. Avramović, P. Bulić, An Iterative Logarithmic "
        "Multiplier, Microprocessors and Microsystems, 2011",
        circuit=circuit,
        product=product,
        parameters=(Parameter("the number n of corrections", _corrections),),
        shipped=(
            "mul8u_ilm_0",
            "mul8u_ilm_1",
        ),
    ),
)
