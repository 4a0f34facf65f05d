"""Multipliers that leave out whole regions of partial products.

Broken-array: the first h rows and the v lowest columns. Perforated: k successive rows
from row j on. Operand-truncated: the lowest bits of either operand.
"""

from __future__ import annotations

import numpy as np

from ..netlist import ZERO, Bus, Net
from ..partial_products import add_rows, partial_products
from .family import Family, Parameter
from .operand import IntArray, Operand, Shape


def broken_circuit(a: Bus, b: Bus, h: int, v: int) -> list[Net]:
    return add_rows(partial_products(a, _cleared(b, 0, h), lambda i, j: i + j >= v))


def broken_product(a: Operand, b: Operand, h: int, v: int) -> IntArray:
    rows = a.value * (b.value & -1 << h)
    lost = [(a.value & (1 << max(v - j, 0)) - 1) * b[j] << j for j in range(h, len(b))]
    return rows - np.sum(lost, axis=0)


def perforated_circuit(a: Bus, b: Bus, j: int, k: int) -> list[Net]:
    return add_rows(partial_products(a, _cleared(b, j, k)))


def perforated_product(a: Operand, b: Operand, j: int, k: int) -> IntArray:
    return a.value * (b.value & ~(((1 << k) - 1) << j))


def narrowed_circuit(a: Bus, b: Bus, dropped_a: int, dropped_b: int) -> list[Net]:
    return add_rows(
        partial_products(_cleared(a, 0, dropped_a), _cleared(b, 0, dropped_b))
    )


def narrowed_product(
    a: Operand, b: Operand, dropped_a: int, dropped_b: int
) -> IntArray:
    return (a.value >> dropped_a) * (b.value >> dropped_b) << (dropped_a + dropped_b)


def _cleared(x: Bus, start: int, count: int) -> Bus:
    """The operand with some of its bits constant 0: their gates fold away."""
    nets = [ZERO if start <= i < start + count else bit for i, bit in enumerate(x)]
    return Bus(nets, x.signed)


def _below_a(shape: Shape, *earlier: int) -> tuple[int, int]:
    return 0, shape.a - 1


def _below_b(shape: Shape, *earlier: int) -> tuple[int, int]:
    return 0, shape.b - 1


def _first_row(shape: Shape) -> tuple[int, int]:
    return 0, shape.b - 1 - shape.signed


def _rows_from(shape: Shape, j: int) -> tuple[int, int]:
    """Up to the last row, but not the row of a sign."""
    return 1, shape.b - j - shape.signed


def _columns(shape: Shape, h: int) -> tuple[int, int]:
    """Columns with sign bits stay where operands are signed."""
    return 0, min(shape.a, shape.b) - 1 if shape.signed else shape.a + shape.b - 2


FAMILIES = (
    Family(
        name="bam",
        summary="Broken array: the first h rows and the v lowest columns are left out.",
        citation="H. R. Mahdiani, A. Ahmadi, S. M. Fakhraie, C. Lucas, Bio-Inspired "
        "Imprecise Computational Blocks for Efficient VLSI Implementation of "
        "Soft-Computing Applications, IEEE Trans. Circuits and Systems I, 2010",
        circuit=broken_circuit,
        product=broken_product,
        parameters=(
            Parameter("the horizontal break h", _below_b, "h"),
            Parameter("the vertical break v", _columns, "v"),
        ),
        signs="us",
        shipped=(
            "mul8u_bam_h1_v6",
            "mul8u_bam_h2_v5",
            "mul8u_bam_h3_v7",
            "mul8u_bam_h5_v9",
            "mul8u_bam_h6_v10",
            "mul8s_bam_h2_v5",
            "mul8s_bam_h3_v6",
            "mul8x4u_bam_h1_v3",
        ),
    ),
    Family(
        name="perf",
        summary="Perforated: k successive rows from row j on are left out.",
        citation="G. Zervakis, K. Tsoumanis, S. Xydis, D. Soudris, K. Pekmestzi, "
        "Design-Efficient Approximate Multiplication Circuits Through Partial Product "
        "Perforation, IEEE Trans. VLSI Systems, 2016",
        circuit=perforated_circuit,
        product=perforated_product,
        parameters=(
            Parameter("the first perforated row j", _first_row, "j"),
            Parameter("the number k of perforated rows", _rows_from, "k"),
        ),
        signs="us",
        shipped=(
            "mul8u_perf_j1_k2",
            "mul8s_perf_j1_k3",
        ),
    ),
    Family(
        name="narrow",
        summary="Operand truncation: the lowest bits of either operand are ignored.",
        citation="H. Jiang, F. J. H. Santiago, H. Mo, L. Liu, J. Han, Approximate "
        "Arithmetic Circuits: A Survey, Characterization, and Recent Applications, "
        "Proc. IEEE, 2020",
        circuit=narrowed_circuit,
        product=narrowed_product,
        parameters=(
            Parameter("the number of ignored bits of a", _below_a, "a"),
            Parameter("the number of ignored bits of b", _below_b, "b"),
        ),
        signs="us",
        shipped=(
            "mul8u_narrow_a1_b1",
            "mul8u_narrow_a2_b2",
            "mul8s_narrow_a1_b1",
            "mul8s_narrow_a2_b2",
            "mul8s_narrow_a3_b3",
            "mul8s_narrow_a4_b4",
            "mul8s_narrow_a5_b5",
        ),
    ),
)
