"""Partial products of two operands, and the arrays and trees that add them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .components import Nets, add, constant, full_adder, half_adder
from .netlist import ZERO, Bus, Net

Keep = Callable[[int, int], bool]
Rows = list[list[Net]]
Columns = list[list[Net]]
Bit = TypeVar("Bit")
Pick = Callable[[int, int], tuple[int, Callable[..., tuple[Bit, Bit]]]]


def keep_all(i: int, j: int) -> bool:
    """No partial product is left out."""
    return True


def partial_products(a: Bus, b: Bus, keep: Keep = keep_all) -> Rows:
    """The rows `a * b[j]`, each as wide as the product; signed ones by Baugh-Wooley.

    C. R. Baugh, B. A. Wooley, "A Two's Complement Parallel Array Multiplication
    Algorithm", IEEE Trans. Computers, 1973. With m bits in a and n in b, the products
    with exactly one sign bit are inverted and 2^(m+n-1) + 2^(m-1) + 2^(n-1) added.

    Args:
        keep: whether the product of bits `a[i]` and `b[j]` is formed.
    """
    width = len(a) + len(b)
    rows = [[ZERO] * width for _ in b]
    for j, row in enumerate(rows):
        for i in filter(lambda i: keep(i, j), range(len(a))):
            bit = a[i] & b[j]
            lone_sign = a.signed and ((i == len(a) - 1) != (j == len(b) - 1))
            row[i + j] = ~bit if lone_sign else bit
    if a.signed:
        signs = (1 << (width - 1)) + (1 << (len(a) - 1)) + (1 << (len(b) - 1))
        # First, where an array adds it to bits that are still constant 0.
        rows.insert(0, constant(signs, width))
    return rows


def add_rows(rows: Sequence[Nets]) -> list[Net]:
    """The rows added one after the other by ripple adders: the array multiplier."""
    total = list(rows[0])
    for row in rows[1:]:
        total = add(total, row, width=len(total))
    return total


def columns_of(rows: Sequence[Nets]) -> Columns:
    """The same bits by weight, constant zeros left out."""
    return [
        [bit for bit in column if bit.literal != ZERO.literal]
        for column in zip(*rows, strict=True)
    ]


def dadda(columns: Columns) -> list[Net]:
    """The sum of all columns, as few adders as possible in each stage.

    L. Dadda, "Some Schemes for Parallel Multipliers", Alta Frequenza, 1965.
    """
    for target in _dadda_heights(max(map(len, columns))):
        columns = lower(columns, target, lambda _, excess: _adder(excess))
    return add_two_rows(columns)


def _dadda_heights(height: int) -> list[int]:
    """2, 3, 4, 6, 9 ... below the height, largest first."""
    heights = [2]
    while heights[-1] * 3 // 2 < height:
        heights.append(heights[-1] * 3 // 2)
    return [h for h in reversed(heights) if h < height]


def _adder(excess: int) -> tuple[int, Callable[..., tuple[Net, Net]]]:
    return (3, full_adder) if excess > 1 else (2, half_adder)


def lower(columns: list[list[Bit]], target: int, pick: Pick[Bit]) -> list[list[Bit]]:
    """One stage of a tree: adders until no column is higher than the target.

    Args:
        columns: the bits of each weight, nets or anything else that adders take.
        target: the height to reach.
        pick: `pick(weight, excess)` gives the number of inputs and the adder, which
            returns a bit of the same weight and a carry, for a column that is too
            high by `excess`.
    """
    queues = [*map(list, columns), []]
    for weight in range(len(columns)):
        while (excess := len(queues[weight]) - target) > 0:
            count, adder = pick(weight, excess)
            bit, carry = adder(*queues[weight][:count])
            queues[weight] = [*queues[weight][count:], bit]
            queues[weight + 1].append(carry)
    return queues[:-1]


def wallace(columns: Columns) -> list[Net]:
    """The sum of all columns, as many adders as fit in each stage.

    C. S. Wallace, "A Suggestion for a Fast Multiplier", IEEE Trans. Electronic
    Computers, 1964.
    """
    while max(map(len, columns)) > 2:
        columns = _compress(columns)
    return add_two_rows(columns)


def _compress(columns: Columns) -> Columns:
    """One stage: threes to full adders, a pair that is left over to a half adder."""
    compressed: Columns = [[] for _ in range(len(columns) + 1)]
    for weight, column in enumerate(columns):
        if len(column) < 3:
            compressed[weight] += column
            continue
        for start in range(0, len(column), 3):
            group = column[start : start + 3]
            if len(group) == 1:
                compressed[weight].append(group[0])
                continue
            bit, carry = full_adder(*group) if len(group) == 3 else half_adder(*group)
            compressed[weight].append(bit)
            compressed[weight + 1].append(carry)
    return compressed[: len(columns)]


def add_two_rows(columns: Columns) -> list[Net]:
    """The sum of columns of at most two bits, by a ripple adder."""
    rows = [
        [column[r] if r < len(column) else ZERO for column in columns] for r in (0, 1)
    ]
    return add(rows[0], rows[1], width=len(columns))
