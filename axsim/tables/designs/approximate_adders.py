"""Arrays of approximate mirror adders: full adders with transistors left out.

Five cells of one paper replace the full adders of an array multiplier below column k;
half adders, which begin a row, stay exact. The inputs of a cell are the running sum,
the partial product and the carry of the row, in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..components import full_adder, half_adder
from ..netlist import Bus, Net
from ..partial_products import partial_products
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape

Cell = Callable[[Net, Net, Net], tuple[Net, Net]]


def ama1(a: Net, b: Net, c: Net) -> tuple[Net, Net]:
    return c & ~(a ^ b), b | (a & c)


def ama2(a: Net, b: Net, c: Net) -> tuple[Net, Net]:
    carry = full_adder(a, b, c)[1]
    return ~carry, carry


def ama3(a: Net, b: Net, c: Net) -> tuple[Net, Net]:
    carry = b | (a & c)
    return ~carry, carry


def ama4(a: Net, b: Net, c: Net) -> tuple[Net, Net]:
    return c & (~a | b), a


def ama5(a: Net, b: Net, c: Net) -> tuple[Net, Net]:
    return b, a


# Each cell beside its truth table: sums and carries for a b c = 000, 001 ... 111.
CELLS: dict[str, tuple[Cell, str, str]] = {
    "ama1": (ama1, "01000001", "00110111"),
    "ama2": (ama2, "11101000", "00010111"),
    "ama3": (ama3, "11001000", "00110111"),
    "ama4": (ama4, "01010001", "00001111"),
    "ama5": (ama5, "00110011", "00001111"),
}


def circuit(cell: Cell, a: Bus, b: Bus, k: int) -> list[Net]:
    rows = partial_products(a, b)
    total = rows[0]
    for j, row in enumerate(rows[1:], 1):
        total[j], carry = half_adder(total[j], row[j])
        for i in range(j + 1, j + len(a)):
            adder = cell if i < k else full_adder
            total[i], carry = adder(total[i], row[i], carry)
        total[j + len(a)] = carry
    return total


def product(sums: str, carries: str, a: Operand, b: Operand, k: int) -> IntArray:
    """The same array, bit by bit, from the truth table of the cell."""
    cell = np.array([[int(s), int(c)] for s, c in zip(sums, carries, strict=True)])
    none = np.zeros((), np.int64)
    total = [a[i] & b[0] for i in range(len(a))] + [none] * len(b)
    for j in range(1, len(b)):
        carry = none
        for i in range(len(a)):
            x, y = total[i + j], a[i] & b[j]
            if 0 < i and i + j < k:
                total[i + j], carry = np.moveaxis(cell[4 * x + 2 * y + carry], -1, 0)
            else:
                total[i + j], carry = (x + y + carry) & 1, (x + y + carry) >> 1
        total[j + len(a)] = carry
    return sum((bit << weight for weight, bit in enumerate(total)), none)


def _columns(shape: Shape) -> tuple[int, int]:
    return 3, shape.a + shape.b - 1


def _family(name: str, shipped: tuple[str, ...]) -> Family:
    cell, sums, carries = CELLS[name]
    return Family(
        name=name,
        summary=f"Array with approximate mirror adders {name[-1]} below column k.",
        citation="V. Gupta, D. Mohapatra, A. Raghunathan, K. Roy, Low-Power Digital "
        "Signal Processing Using Approximate Adders, IEEE Trans. Computer-Aided Design "
        "of Integrated Circuits and Systems, 2013",
        circuit=partial(circuit, cell),
        product=partial(product, sums, carries),
        parameters=(Parameter("the number k of approximate columns", _columns),),
        shipped=shipped,
    )


SHIPPED = {
    "ama1": ("mul8u_ama1_8",),
    "ama2": ("mul8u_ama2_6",),
    "ama3": ("mul8u_ama3_6",),
    "ama4": ("mul8u_ama4_8",),
    "ama5": (
        "mul8u_ama5_6",
        "mul8u_ama5_8",
        "mul8u_ama5_9",
        "mul8u_ama5_10",
        "mul8u_ama5_12",
        "mul8s_sm_ama5_8",
    ),
}
FAMILIES = tuple(_family(name, SHIPPED[name]) for name in CELLS)
