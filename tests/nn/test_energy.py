"""Energy: sums by hand, and what is said where a figure is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import axsim as ax
from axsim.nn.cost import Energy, Item, energy_of, format_energy
from axsim.tables.cost import MODEL_UNITS, Cost
from axsim.tables.registry import circuit_names

MODEL = Cost("a model", power=0.5, units=MODEL_UNITS)
PUBLISHED = circuit_names()["mul8u_17KS"].cost  # 0.104 mW; the exact 1JFF has 0.391


def test_energy_is_products_times_power() -> None:
    energy = energy_of({"a": 1000, "b": 200}, {"a": PUBLISHED, "b": PUBLISHED})
    assert energy.value == pytest.approx(1200 * 0.104)
    assert energy.relative == pytest.approx(0.104 / 0.391)
    assert (energy.unit, energy.share) == ("mW × products", 1.0)
    assert str(energy) == (
        "energy a sample: 124.8 mW × products (EvoApproxLib, PDK45), 26.6 % of exact "
        "multipliers'"
    )


def test_closed_gates_take_no_energy_but_count_as_products() -> None:
    energy = energy_of({"a": 100, "b": 100}, {"a": MODEL, "b": MODEL}, {"a": 0.5})
    assert energy.value == 75.0
    assert energy.relative == pytest.approx(75 / 200)


def test_origins_are_never_added_up() -> None:
    energy = energy_of({"a": 10, "b": 10}, {"a": MODEL, "b": PUBLISHED})
    assert energy.value is None and energy.relative is None and energy.unit == ""
    assert str(energy) == (
        "energy a sample: not added up, the powers are from a model and EvoApproxLib, "
        "PDK45"
    )


def test_what_has_no_power_is_named() -> None:
    unknown = replace(MODEL, power=None)
    costs = {"a": MODEL, "b": unknown, "c": None}
    energy = energy_of({"a": 50, "b": 30, "c": 15, "d": 5, "e": 0}, costs)
    assert energy.unpriced == ("b", "c", "d")
    assert (energy.value, energy.share) == (25.0, 0.5)
    assert str(energy).endswith("no power is known for 50.0 % of the products: b, c, d")
    assert energy_of({"c": 15}, costs).value is None


def test_an_origin_without_an_exact_circuit_has_no_relative_figure() -> None:
    own = Cost("my synthesis", power=0.3)
    energy = Energy((Item("a", 100, own),))
    assert energy.value == 30.0 and energy.relative is None
    assert str(energy) == "energy a sample: 30 mW × products (my synthesis)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0, "0"), (12.3456, "12.35"), (2e6, "2,000,000")],
)
def test_energies_in_tables(value: float | None, shown: str) -> None:
    assert format_energy(value) == shown


def test_a_converted_network_knows_its_energy() -> None:
    mul = ax.load_multiplier("mul8u_trunc_6")
    assert mul.cost is not None and mul.cost.power is not None
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    rules = [ax.Rule("2", ax.Exact()), ax.Rule(".*", mul)]
    net = ax.approximate(model, rules, calibration=[torch.ones(2, 4)])
    energy = ax.plan(net).energy
    assert energy.value == pytest.approx(32 * mul.cost.power)
    assert energy.relative == pytest.approx(mul.cost.power)
    assert energy.unpriced == ("2",)
    shown = ax.summary(net)
    assert [line.energy for line in shown.lines] == [energy.value, None]
    assert str(shown).splitlines()[-1] == str(energy)
