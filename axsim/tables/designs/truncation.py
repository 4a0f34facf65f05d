"""Truncated multipliers: the lowest columns of partial products are not formed.

What they would have added is lost, replaced by a constant, or estimated from the
highest dropped column.
"""

from __future__ import annotations

import numpy as np

from ..components import add, constant
from ..netlist import ZERO, Bus, Net
from ..partial_products import add_rows, partial_products
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape


def dropped_sum(a: Operand, b: Operand, k: int) -> IntArray:
    """What the columns below k hold."""
    return np.sum(
        [
            (a[i] & b[j]) << (i + j)
            for i in range(len(a))
            for j in range(len(b))
            if i + j < k
        ],
        axis=0,
    )


def truncated_circuit(a: Bus, b: Bus, k: int) -> list[Net]:
    return add_rows(partial_products(a, b, lambda i, j: i + j >= k))


def truncated_product(a: Operand, b: Operand, k: int) -> IntArray:
    return a.value * b.value - dropped_sum(a, b, k)


def expected_loss(bits: tuple[int, int], k: int) -> int:
    """The mean of the dropped columns, to the nearest multiple of 2^k.

    Every partial product below the first sign bit is 1 for a quarter of the pairs.
    """
    quarters = sum(
        1 << (i + j) for i in range(bits[0]) for j in range(bits[1]) if i + j < k
    )
    return (quarters + (2 << k)) >> (k + 2) << k


def constant_circuit(a: Bus, b: Bus, k: int) -> list[Net]:
    width = len(a) + len(b)
    correction = constant(expected_loss((len(a), len(b)), k), width)
    rows = partial_products(a, b, lambda i, j: i + j >= k)
    return add_rows([correction, *rows])


def constant_product(a: Operand, b: Operand, k: int) -> IntArray:
    correction = expected_loss((len(a), len(b)), k)
    return a.value * b.value - dropped_sum(a, b, k) + correction


def variable_circuit(a: Bus, b: Bus, k: int) -> list[Net]:
    """Each bit of column k - 1 enters column k once more, as a carry of its row."""
    width = len(a) + len(b)
    total = [ZERO] * width
    for row in partial_products(a, b, lambda i, j: i + j >= k - 1):
        kept = [ZERO] * k + row[k:]
        upper = add(total[k:], kept[k:], row[k - 1], width - k)
        total = [ZERO] * k + upper
    return total


def variable_product(a: Operand, b: Operand, k: int) -> IntArray:
    highest = dropped_sum(a, b, k) - dropped_sum(a, b, k - 1)
    return a.value * b.value - dropped_sum(a, b, k) + 2 * highest


def _columns(shape: Shape) -> tuple[int, int]:
    """Columns with sign bits stay where operands are signed."""
    return 1, min(shape.a, shape.b) - 1 if shape.signed else shape.a + shape.b - 1


def _half_of_columns(shape: Shape) -> tuple[int, int]:
    return 1, min(shape.a, shape.b) - 1


FAMILIES = (
    Family(
        name="trunc",
        summary="Truncated array: the k lowest columns are not formed.",
        citation="M. J. Schulte, E. E. Swartzlander, Truncated Multiplication with "
        "Correction Constant, VLSI Signal Processing VI, 1993 (without the constant)",
        circuit=truncated_circuit,
        product=truncated_product,
        parameters=(Parameter("the number k of dropped columns", _columns),),
        signs="us",
        shipped=(
            "mul8u_trunc_2",
            "mul8u_trunc_4",
            "mul8u_trunc_6",
            "mul8u_trunc_7",
            "mul8u_trunc_8",
            "mul8u_trunc_9",
            "mul8u_trunc_10",
            "mul8u_trunc_11",
            "mul8u_trunc_12",
            "mul8s_trunc_2",
            "mul8s_trunc_3",
            "mul8s_trunc_4",
            "mul8s_sm_trunc_8",
            "mul8x4u_trunc_4",
            "mul4u_trunc_3",
        ),
    ),
    Family(
        name="trunccc",
        summary="Truncated array with the mean of the dropped columns added back.",
        citation="M. J. Schulte, E. E. Swartzlander, Truncated Multiplication with "
        "Correction Constant, VLSI Signal Processing VI, 1993",
        circuit=constant_circuit,
        product=constant_product,
        parameters=(Parameter("the number k of dropped columns", _half_of_columns),),
        signs="us",
        shipped=(
            "mul8u_trunccc_5",
            "mul8u_trunccc_7",
            "mul8s_trunccc_6",
        ),
    ),
    Family(
        name="truncvc",
        summary="Truncated array that adds its highest dropped column to the next one.",
        citation="E. J. King, E. E. Swartzlander, Data-Dependent Truncation Scheme for "
        "Parallel Multipliers, Asilomar Conf. Signals, Systems and Computers, 1997",
        circuit=variable_circuit,
        product=variable_product,
        parameters=(Parameter("the number k of dropped columns", _half_of_columns),),
        signs="us",
        shipped=(
            "mul8u_truncvc_4",
            "mul8u_truncvc_7",
            "mul8s_truncvc_6",
        ),
    ),
)
