"""Multipliers whose lowest columns are ORed instead of added."""

from __future__ import annotations

import numpy as np

from ..components import any_of
from ..netlist import Bus, Net
from ..partial_products import add_rows, columns_of, partial_products
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape


def circuit(a: Bus, b: Bus, k: int) -> list[Net]:
    lower = columns_of(partial_products(a, b, lambda i, j: i + j < k))[:k]
    upper = add_rows(partial_products(a, b, lambda i, j: i + j >= k))[k:]
    return [*map(any_of, lower), *upper]


def product(a: Operand, b: Operand, k: int) -> IntArray:
    total = a.value * b.value
    for column in range(k):
        pairs = [(i, column - i) for i in range(len(a)) if 0 <= column - i < len(b)]
        bits = np.array([a[i] & b[j] for i, j in pairs])
        total = total + ((bits.any(axis=0) - bits.sum(axis=0)) << column)
    return total


def _columns(shape: Shape) -> tuple[int, int]:
    return 2, min(shape.a, shape.b) - 1 if shape.signed else shape.a + shape.b - 2


FAMILIES = (
    Family(
        name="loa",
        summary="Lower-part OR: each of the k lowest columns is the OR of its bits.",
        citation="H. R. Mahdiani, A. Ahmadi, S. M. Fakhraie, C. Lucas, Bio-Inspired "
        "Imprecise Computational Blocks for Efficient VLSI Implementation of "
        "Soft-Computing Applications, IEEE Trans. Circuits and Systems I, 2010 (its "
        "lower-part-OR adder, applied to columns of partial products)",
        circuit=circuit,
        product=product,
        parameters=(Parameter("the number k of ORed columns", _columns),),
        signs="us",
        shipped=(
            "mul8u_loa_2",
            "mul8u_loa_3",
            "mul8u_loa_4",
            "mul8u_loa_6",
            "mul8u_loa_8",
            "mul8u_loa_10",
            "mul8u_loa_12",
            "mul8s_loa_7",
            "mul8s_sm_loa_9",
            "mul8x4u_loa_4",
            "mul4u_loa_3",
        ),
    ),
)
