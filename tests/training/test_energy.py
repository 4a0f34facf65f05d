"""Energy of a sample: products times power, where somebody published it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import axsim as ax
from axsim.tables.cost import MODEL_UNITS, Cost
from axsim.training.energy import energy_of

EXACT = ax.Multiplier.from_function(lambda a, b: a * b, signed=False, name="own")


def priced(power: float | None, origin: str = "here") -> ax.Multiplier:
    return replace(EXACT, cost=Cost(origin, power=power))


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


def converted(*rules: ax.Rule) -> nn.Module:
    return ax.approximate(network(), rules, calibration=[torch.randn(4, 1, 4, 4)])


CONV, LINEAR = 2 * 4 * 9, 8 * 3


def test_products_times_power() -> None:
    found = energy_of(converted(ax.Rule(".*", priced(0.25))))
    assert found is not None
    assert found.products == CONV + LINEAR
    assert found.amount == (CONV + LINEAR) * 0.25
    assert (found.unit, found.origin) == ("mW × products", "here")
    assert str(found) == "24 mW × products"


def test_each_layer_has_its_own_table() -> None:
    rules = ax.Rule("0", priced(0.5)), ax.Rule("2", priced(2.0))
    found = energy_of(converted(*rules))
    assert found is not None and found.amount == CONV * 0.5 + LINEAR * 2


def test_layers_left_exact_have_no_circuit() -> None:
    found = energy_of(converted(ax.Rule("0", ax.Exact()), ax.Rule(".*", priced(2.0))))
    assert found is not None
    assert (found.products, found.amount) == (LINEAR, LINEAR * 2)


@pytest.mark.parametrize(
    "other", [EXACT, priced(None), priced(1.0, "there")], ids=["none", "area", "other"]
)
def test_what_is_not_known_is_not_made_up(other: ax.Multiplier) -> None:
    found = energy_of(converted(ax.Rule("0", other), ax.Rule("2", priced(2.0))))
    assert found is not None
    assert found.amount is None and found.products == CONV + LINEAR
    assert str(found) == "unknown"


def test_a_float_network_has_no_energy() -> None:
    assert energy_of(network()) is None


def test_evaluate_says_it() -> None:
    mul = replace(EXACT, cost=Cost("a model", power=0.5, units=MODEL_UNITS))
    net = converted(ax.Rule(".*", mul))
    data = TensorDataset(torch.randn(6, 1, 4, 4), torch.arange(6) % 3)
    found = ax.evaluate(net, data)
    assert found.energy == energy_of(net)
    head, _, row = str(found).splitlines()
    assert "energy a sample" in head and "48 exact 8x8 products" in row
    float_head = str(ax.evaluate(network(), data)).splitlines()[0]
    assert "energy" not in float_head
