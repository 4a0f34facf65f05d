"""Signed operands for any unsigned design: multiply magnitudes, then set the sign."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..components import at, negate_if
from ..netlist import Bus, Net
from .operand import IntArray, Operand


def by_magnitude(
    circuit: Callable[..., Sequence[Net]], a: Bus, b: Bus, *values: int
) -> list[Net]:
    """The circuit between two absolute values and a conditional negation.

    The magnitude of n bits holds 2^(n-1), so the lowest value is multiplied like any.
    """
    product = circuit(_absolute(a), _absolute(b), *values)
    word = [at(product, i) for i in range(len(a) + len(b))]
    return negate_if(a[-1] ^ b[-1], word)


def _absolute(x: Bus) -> Bus:
    return Bus(negate_if(x[-1], x), signed=False)


def product_by_magnitude(
    product: Callable[..., IntArray], a: Operand, b: Operand, *values: int
) -> IntArray:
    """What the same computes: sign(a) sign(b) product(|a|, |b|)."""
    x, y = (Operand(np.abs(o.value), len(o), signed=False) for o in (a, b))
    negative = (a.value < 0) != (b.value < 0)
    return np.where(negative, -product(x, y, *values), product(x, y, *values))
