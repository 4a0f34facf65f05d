"""Exact multipliers: the array, and two trees that give the same products sooner."""

from __future__ import annotations

from ..netlist import Bus, Net
from ..partial_products import add_rows, columns_of, dadda, partial_products, wallace
from .family import Family
from .operand import IntArray, Operand


def array_circuit(a: Bus, b: Bus) -> list[Net]:
    return add_rows(partial_products(a, b))


def wallace_circuit(a: Bus, b: Bus) -> list[Net]:
    return wallace(columns_of(partial_products(a, b)))


def dadda_circuit(a: Bus, b: Bus) -> list[Net]:
    return dadda(columns_of(partial_products(a, b)))


def product(a: Operand, b: Operand) -> IntArray:
    return a.value * b.value


FAMILIES = (
    Family(
        name="exact",
        summary="Exact array multiplier; Baugh-Wooley where signed.",
        citation="C. R. Baugh, B. A. Wooley, A Two's Complement Parallel Array "
        "Multiplication Algorithm, IEEE Trans. Computers, 1973",
        circuit=array_circuit,
        product=product,
        signs="us",
        shipped=(
            "mul8u_exact",
            "mul8s_exact",
            "mul8x4u_exact",
            "mul4u_exact",
        ),
    ),
    Family(
        name="wallace",
        summary="Exact Wallace tree.",
        citation="C. S. Wallace, A Suggestion for a Fast Multiplier, IEEE Trans. "
        "Electronic Computers, 1964",
        circuit=wallace_circuit,
        product=product,
        signs="us",
    ),
    Family(
        name="dadda",
        summary="Exact Dadda tree.",
        citation="L. Dadda, Some Schemes for Parallel Multipliers, Alta Frequenza, "
        "1965",
        circuit=dadda_circuit,
        product=product,
        signs="us",
    ),
)
