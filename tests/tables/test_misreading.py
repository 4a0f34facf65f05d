"""Tables read with other operands than they have, and tables that only look odd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from axsim import AxsimWarning, Multiplier
from axsim.tables.catalogue import multipliers
from axsim.tables.designs import build_design, find_design
from axsim.tables.files import load_multiplier
from axsim.tables.metrics import IntTable
from axsim.tables.misreading import misreading

UNSIGNED = build_design("mul8u_drum_4")
SIGNED = build_design("mul8s_drum_4")


def as_int16(table: IntTable) -> IntTable:
    return table.astype(np.int16).astype(np.int32)


def as_uint16(table: IntTable) -> IntTable:
    return table.astype(np.uint16).astype(np.int32)


def swapped(table: IntTable) -> IntTable:
    return table.astype(np.int16).byteswap().astype(np.int32)


def from_lowest(table: IntTable) -> IntTable:
    """Row and column 0 for -128, as ApproxTorch and inspectnn index signed tables."""
    order = [*range(128, 256), *range(128)]
    return table[np.ix_(order, order)]


@pytest.mark.parametrize(
    ("table", "signed", "advice"),
    [
        (as_int16(UNSIGNED.table), True, "operands are unsigned: pass signed=False"),
        (as_int16(UNSIGNED.table), False, "negative entries are 16-bit words: add"),
        (as_uint16(SIGNED.table), False, "operands are signed: pass signed=True"),
        (SIGNED.table, False, "operands are signed: pass signed=True"),
        (from_lowest(SIGNED.table), True, "rows and columns begin with the lowest"),
        (from_lowest(SIGNED.table), False, "rows and columns begin with the lowest"),
        (swapped(SIGNED.table), True, "two bytes of its entries are exchanged"),
        (as_uint16(swapped(UNSIGNED.table)), False, "two bytes of its entries"),
        (UNSIGNED.table << 14, False, "more than twice the largest of its exact"),
    ],
)
def test_a_table_read_wrongly_is_told_how_it_was_meant(
    table: IntTable, signed: bool, advice: str
) -> None:
    found = misreading(Multiplier.from_array(table, signed=signed))
    assert found is not None and advice in found


def test_the_advice_for_rows_from_the_lowest_operand_restores_the_table() -> None:
    table = from_lowest(SIGNED.table)
    advice = misreading(Multiplier.from_array(table, signed=True))
    assert advice and "pass signed=True and numpy.roll(table, (128, 128), (0, 1))" in (
        advice
    )
    restored = Multiplier.from_array(np.roll(table, (128, 128), (0, 1)), signed=True)
    assert restored == SIGNED


def test_no_shipped_table_seems_misread() -> None:
    assert [mul.name for mul in multipliers() if misreading(mul)] == []


@pytest.mark.parametrize(
    "name",
    ["mul8u_trunc_15", "mul2u_trunc_3", "mul8s_sm_ama2_15", "mul8s_sm_momeni_13"],
)
def test_the_coarsest_multipliers_do_not_seem_misread(name: str) -> None:
    design = find_design(name)
    table = design.definition()
    assert misreading(Multiplier.from_array(table, signed=design.shape.signed)) is None


def test_operands_of_mixed_sign_are_left_alone() -> None:
    assert misreading(Multiplier(SIGNED.table, (True, False))) is None


def test_loading_warns_and_says_what_to_pass(tmp_path: Path) -> None:
    path = SIGNED.save(tmp_path / "table.bin")
    message = (
        r"table \(.*table\.bin\) is probably not what it was read as: its MAE is \d+, "
        r"but 2\d\d\.?\d* if its operands are signed: pass signed=True \(--signed\)\."
    )
    with pytest.warns(AxsimWarning, match=message):
        load_multiplier(path, signed=False)
