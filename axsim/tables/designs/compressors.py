"""Trees of approximate 4:2 compressors, which give up the third bit of a sum of four.

All bits of the k lowest columns that a stage has to remove in threes go through an
approximate compressor without carry in or out; everything else through exact adders.
Columns are lowered to 8, 4 and 2 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..components import full_adder, half_adder
from ..netlist import Bus, Net
from ..partial_products import (
    Bit,
    add_two_rows,
    columns_of,
    lower,
    partial_products,
)
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape

Adder = Callable[..., tuple[Bit, Bit]]


def momeni(x1: Net, x2: Net, x3: Net, x4: Net) -> tuple[Net, Net]:
    return ~(x1 ^ x2) | ~(x3 ^ x4), (x1 | x2) & (x3 | x4)


def yang(x1: Net, x2: Net, x3: Net, x4: Net) -> tuple[Net, Net]:
    either, other = x1 ^ x2, x3 ^ x4
    all_four = (x1 & x2) & (x3 & x4)
    return (either ^ other) | all_four, (either & other) | (x1 & x2) | (x3 & x4)


def lin(x1: Net, x2: Net, x3: Net, x4: Net) -> tuple[Net, Net]:
    either, other = x1 ^ x2, x3 ^ x4
    return either ^ other, (either & other) | (x1 & x2) | (x3 & x4)


def venkatachalam(x1: Net, x2: Net, x3: Net, x4: Net) -> tuple[Net, Net]:
    first, second = x1 & x2, x3 & x4
    return (x1 ^ x2) | (x3 ^ x4) | (first & second), first | second


def _momeni_value(x1: IntArray, x2: IntArray, x3: IntArray, x4: IntArray) -> IntArray:
    """None counts as one; two ones of the same pair, and four, count one too few."""
    pairs = np.sort([x1 + x2, x3 + x4], axis=0)
    same = (pairs[0] == 0) & (pairs[1] == 2)
    total = pairs.sum(axis=0)
    return total + (total == 0) - same - (total == 4)


def _yang_value(x1: IntArray, x2: IntArray, x3: IntArray, x4: IntArray) -> IntArray:
    """Four count as three."""
    return np.minimum(x1 + x2 + x3 + x4, 3)


def _lin_value(x1: IntArray, x2: IntArray, x3: IntArray, x4: IntArray) -> IntArray:
    """Four count as two."""
    total = x1 + x2 + x3 + x4
    return np.where(total == 4, 2, total)


def _venkatachalam_value(
    x1: IntArray, x2: IntArray, x3: IntArray, x4: IntArray
) -> IntArray:
    """One of each pair, and four, count one too few."""
    one_each = (x1 + x2 == 1) & (x3 + x4 == 1)
    total = x1 + x2 + x3 + x4
    return total - one_each - (total == 4)


def circuit(compressor: Adder[Net], a: Bus, b: Bus, k: int) -> list[Net]:
    columns = columns_of(partial_products(a, b))
    adders = {2: half_adder, 3: full_adder, 4: compressor}
    return add_two_rows(_lowered(columns, k, adders))


def product(value: Callable[..., IntArray], a: Operand, b: Operand, k: int) -> IntArray:
    """The sum of the two rows that the tree leaves, its adders as arithmetic."""
    columns = [
        [a[w - j] & b[j] for j in range(len(b)) if 0 <= w - j < len(a)]
        for w in range(len(a) + len(b))
    ]
    adders = {
        2: partial(_split, _sum),
        3: partial(_split, _sum),
        4: partial(_split, value),
    }
    rows = _lowered(columns, k, adders)
    parts = (bit << w for w, column in enumerate(rows) for bit in column)
    return sum(parts, np.zeros((), np.int64))


def _sum(*bits: IntArray) -> IntArray:
    return np.sum(bits, axis=0)


def _split(
    value: Callable[..., IntArray], *bits: IntArray
) -> tuple[IntArray, IntArray]:
    total = value(*bits)
    return total & 1, total >> 1


def _lowered(
    columns: list[list[Bit]], k: int, adders: dict[int, Adder[Bit]]
) -> list[list[Bit]]:
    def pick(weight: int, excess: int) -> tuple[int, Adder[Bit]]:
        count = min(excess + 1, 4 if weight < k else 3)
        return count, adders[count]

    for target in (8, 4, 2):
        columns = lower(columns, target, pick)
    return columns


def _columns(shape: Shape) -> tuple[int, int]:
    """No column above is high enough for a compressor."""
    return 3, max(3, shape.a + shape.b - 3)


def _family(
    name: str,
    who: str,
    effect: str,
    citation: str,
    parts: tuple[Adder[Net], Callable[..., IntArray]],
    shipped: Sequence[str],
) -> Family:
    return Family(
        name=name,
        summary=f"Dadda-like tree with {who} 4:2 compressors below column k: {effect}.",
        citation=citation,
        circuit=partial(circuit, parts[0]),
        product=partial(product, parts[1]),
        parameters=(Parameter("the number k of approximate columns", _columns),),
        shipped=tuple(shipped),
    )


FAMILIES = (
    _family(
        "momeni",
        "Momeni's second",
        "none counts as one, and three pairs count one too few",
        "A. Momeni, J. Han, P. Montuschi, F. Lombardi, Design and Analysis of "
        "Approximate Compressors for Multiplication, IEEE Trans. Computers, 2015",
        (momeni, _momeni_value),
        ["mul8u_momeni_8"],
    ),
    _family(
        "yang",
        "Yang's",
        "four count as three",
        "Z. Yang, J. Han, F. Lombardi, Approximate Compressors for Error-Resilient "
        "Multiplier Design, IEEE Int. Symp. Defect and Fault Tolerance, 2015",
        (yang, _yang_value),
        ["mul8u_yang_6", "mul8u_yang_8", "mul8u_yang_13"],
    ),
    _family(
        "lin",
        "Lin's",
        "four count as two",
        "C.-H. Lin, I.-C. Lin, High Accuracy Approximate Multiplier with Error "
        "Correction, IEEE Int. Conf. Computer Design, 2013",
        (lin, _lin_value),
        ["mul8u_lin_6", "mul8u_lin_13"],
    ),
    _family(
        "venkatachalam",
        "Venkatachalam's",
        "one of each pair, and four, count one too few",
        "S. Venkatachalam, S.-B. Ko, Design of Power and Area Efficient Approximate "
        "Multipliers, IEEE Trans. VLSI Systems, 2017 (the compressor)",
        (venkatachalam, _venkatachalam_value),
        ["mul8u_venkatachalam_6", "mul8u_venkatachalam_8", "mul8u_venkatachalam_10"],
    ),
)
