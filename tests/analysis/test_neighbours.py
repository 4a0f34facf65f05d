"""Neighbours in the shipped catalogue, against all its tables loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

import axsim as ax
from axsim.analysis.neighbours import mae_percent, neighbours
from axsim.tables.cost import MODEL_UNITS, Cost


@pytest.fixture(scope="module")
def shipped() -> list[ax.Multiplier]:
    return ax.multipliers("mul8u_*")


def test_better_ones_are_those_that_beat_it_and_come_first(
    shipped: list[ax.Multiplier],
) -> None:
    for mul in shipped:
        assert mul.cost is not None and mul.cost.power is not None
        found = neighbours(mul, count=len(shipped))
        assert mul.name not in {each.entry.name for each in found}
        assert len(found) == len(shipped) - 1
        flags = [each.better for each in found]
        assert flags == sorted(flags, reverse=True)
        ours = (mul.metrics().mae, mul.cost.power)
        for each in found:
            other = ax.load_multiplier(each.entry.name)
            assert other.cost is not None and other.cost.power is not None
            theirs = (other.metrics().mae, other.cost.power)
            beaten = theirs != ours and all(
                x <= y for x, y in zip(theirs, ours, strict=True)
            )
            assert each.better == beaten


def test_a_dearer_copy_of_a_table_finds_better_ones(
    shipped: list[ax.Multiplier],
) -> None:
    origin = shipped[0].cost.origin if shipped[0].cost else ""
    wasteful = ax.Multiplier.from_function(
        lambda a, b: a * b & ~255, signed=False, name="wasteful",
        cost=Cost(origin, power=2.0, units=MODEL_UNITS),
    )  # fmt: skip
    found = neighbours(wasteful)
    assert found[0].better
    assert "× the MAE at" in found[0].remark and "× the power" in found[0].remark


def test_costs_of_another_origin_do_not_count(shipped: list[ax.Multiplier]) -> None:
    foreign = replace(shipped[0], cost=Cost("a foundry", power=1e6))
    assert not any(each.better for each in neighbours(foreign))
    assert all("power" not in each.remark for each in neighbours(foreign))


def test_only_tables_of_the_same_operands_are_neighbours() -> None:
    narrow = ax.Multiplier.from_function(
        lambda a, b: a * b & ~7, signed=False, bits=(4, 4)
    )
    assert {each.entry.bits for each in neighbours(narrow)} == {(4, 4)}
    odd = ax.Multiplier.from_function(lambda a, b: a * b, signed=False, bits=(3, 2))
    assert neighbours(odd) == []


def test_percent_is_that_of_the_loaded_table(shipped: list[ax.Multiplier]) -> None:
    for each in neighbours(shipped[0], count=3):
        table = ax.load_multiplier(each.entry.name)
        assert mae_percent(each.entry) == pytest.approx(table.metrics().mae_percent)
