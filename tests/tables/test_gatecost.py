"""The unit-gate model: what gates cost, and how that ranks published circuits."""

from __future__ import annotations

import csv
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim.errors import TableError
from axsim.tables.catalogue import data_folder
from axsim.tables.designs import build_design, find_design
from axsim.tables.gatecost import BASIS, GateCost, gate_cost, model_cost
from axsim.tables.netlist import Bus, Net, build_netlist

# Published circuits that a design equals bit for bit (or transposed), one for each
# content; the products that are always 0 are left out.
TWINS = {
    "mul8x2u_106": "mul8x2u_exact",
    "mul8x3u_0KE": "mul8x3u_exact",
    "mul8x4u_2UU": "mul8x4u_exact",
    "mul8x5u_4E8": "mul8x5u_exact",
    "mul8x6u_049": "mul8x6u_exact",
    "mul8x7u_0V5": "mul8x7u_exact",
    "mul7u_01L": "mul7u_exact",
    "mul8u_1JFF": "mul8u_exact",
    "mul8s_1KV8": "mul8s_exact",
    "mul8s_1KR8": "mul8s_narrow_a1_b0",
    "mul8s_1KTY": "mul8s_narrow_a3_b0",
    "mul8s_1KR3": "mul8s_narrow_a6_b0",
    "mul8s_1L2H": "mul8s_narrow_a1_b1",
    "mul8s_1L2D": "mul8s_narrow_a2_b2",
    "mul8s_1L1G": "mul8s_narrow_a3_b3",
    "mul8s_1KVA": "mul8s_trunc_2",
    "mul8s_1KVB": "mul8s_trunc_3",
    "mul8s_1KX2": "mul8s_trunc_4",
    "mul8s_1KR6": "mul8s_bam_h1_v3",
    "mul8s_1KRC": "mul8s_bam_h1_v4",
    "mul8s_1KVL": "mul8s_bam_h2_v5",
    "mul8u_Y48": "mul8u_loa_2",
}
FIGURES = {"power": "power_mW", "area": "area_um2", "delay": "delay_ns"}

Values = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def registry() -> dict[str, dict[str, str]]:
    path = data_folder() / "registry.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["name"]: row for row in csv.DictReader(stream)}


def ranks(values: Values) -> Values:
    """Ranks from 0, ties sharing the mean of theirs."""
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return below + (equal - 1) / 2


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_has_the_content_of_the_published_circuit(
    name: str, registry: dict[str, dict[str, str]]
) -> None:
    mul = build_design(TWINS[name])
    assert registry[name]["sha256_int32le"] in (mul.sha256, mul.swapped().sha256)


@pytest.mark.parametrize("figure", FIGURES)
def test_the_stated_rank_correlation_is_the_one_measured(
    figure: str, registry: dict[str, dict[str, str]]
) -> None:
    published = np.array([float(registry[name][FIGURES[figure]]) for name in TWINS])
    costs = [model_cost(find_design(twin).netlist()) for twin in TWINS.values()]
    modelled = np.array([getattr(cost, figure) for cost in costs], np.float64)
    correlation = np.corrcoef(ranks(published), ranks(modelled))[0, 1]
    assert f"{figure} {correlation:.3f}" in BASIS
    assert f" over {len(TWINS)} " in BASIS


def test_gates_cost_what_the_model_says() -> None:
    def describe(a: Bus, b: Bus) -> list[Net]:
        either = a[0] ^ b[0]
        return [either, ~(either & a[1])]

    # p = 1/2 switches half the time, p = 1/4 three times in eight.
    cost = gate_cost(build_netlist(describe, (2, 2)))
    assert cost == GateCost(area=3, delay=3, energy=2 * 0.5 + 1 * 2 * 0.25 * 0.75)


def test_wires_and_inverters_are_free() -> None:
    cost = gate_cost(build_netlist(lambda a, b: [a[0], ~b[3]]))
    assert cost == GateCost(area=0, delay=0, energy=0.0)


def test_operand_histograms_decide_how_often_gates_switch() -> None:
    netlist = build_netlist(lambda a, b: [a[0] & b[0]], (2, 2))
    even_a, odd_a, odd_b = [1, 0, 1, 0], [0, 1, 0, 3], [0, 2, 0, 2]
    assert gate_cost(netlist, a=even_a).energy == 0
    assert gate_cost(netlist, a=odd_a, b=odd_b).energy == 0
    assert gate_cost(netlist, a=odd_a).energy == pytest.approx(0.5)
    assert gate_cost(netlist, b=[3, 1, 0, 0]).energy == pytest.approx(2 * 1 / 8 * 7 / 8)


@given(st.integers(0, 2**32 - 1))
def test_histograms_weigh_pairs_as_counting_them_does(seed: int) -> None:
    draw = np.random.default_rng(seed)
    a, b = draw.integers(0, 5, 16), draw.integers(0, 5, 16)
    a[0], b[0] = 1, 1
    netlist = find_design("mul4u_exact").netlist()
    pairs = np.outer(a, b) / (a.sum() * b.sum())
    high = [
        float((netlist.node_bits(netlist.first_gate + i) * pairs).sum())
        for i in range(len(netlist.gates))
    ]
    energy = sum(
        (2 if gate.is_xor else 1) * 2 * p * (1 - p)
        for gate, p in zip(netlist.gates, high, strict=True)
    )
    assert gate_cost(netlist, a, b).energy == pytest.approx(energy)


def test_a_histogram_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(TableError, match=r"histogram b has shape \(16,\)"):
        gate_cost(find_design("mul8u_trunc_8").netlist(), b=np.ones(16))


def test_uniform_histograms_change_nothing() -> None:
    netlist = find_design("mul8x4u_trunc_3").netlist()
    counted = gate_cost(netlist, np.ones(256), np.ones(16))
    assert counted.energy == pytest.approx(gate_cost(netlist).energy)


def test_the_exact_array_is_the_unit_of_all_widths_and_signs() -> None:
    cost = build_design("mul8u_exact").cost
    assert cost is not None
    assert (cost.power, cost.area, cost.delay) == (1.0, 1.0, 1.0)
    narrow = build_design("mul8x4u_exact").cost
    assert narrow is not None and narrow.comparable(cost)
    assert narrow.area == pytest.approx(184 / 424, abs=1e-4)  # 32 AND, 20 FA, 4 HA


@pytest.mark.parametrize("family", ["mul8u_trunc_", "mul8s_trunc_", "mul8u_bam_h1_v"])
def test_dropping_more_columns_never_costs_more(family: str) -> None:
    last = 7 if "s_" in family else 14
    costs = [gate_cost(find_design(f"{family}{k}").netlist()) for k in range(1, last)]
    for before, after in pairwise(costs):
        assert after.area < before.area
        assert after.energy < before.energy
        assert after.delay <= before.delay


def test_the_card_says_where_the_cost_comes_from() -> None:
    card = str(build_design("mul8u_trunc_6"))
    assert "unit-gate model" in card and "rank correlation" in card
