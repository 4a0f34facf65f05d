"""The greedy allocation against all allocations there are."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from axsim.memory.allocation import allocate, variance

COSTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=6)


def least_variance(cost: Tensor, weight: Tensor, budget: float) -> float:
    """By trying everything."""
    grid = torch.tensor(list(product(range(1, 9), repeat=len(cost))))
    allowed = grid[(grid * weight).sum(1) <= budget]
    return (cost / (2 ** allowed.double() - 1) ** 2).sum(1).min().item()


@settings(max_examples=25, deadline=None)
@given(costs=COSTS, average=st.floats(1, 8))
def test_greedy_is_the_best_for_equal_weights(
    costs: list[float], average: float
) -> None:
    costs = costs[:5]
    cost, weight = torch.tensor(costs).double(), torch.ones(len(costs))
    budget = average * len(costs)
    bits = allocate(cost, weight, budget)
    assert bits.dtype == torch.uint8
    assert 1 <= bits.min() <= bits.max() <= 8
    assert bits.sum() <= budget
    best = least_variance(cost, weight, budget)
    assert variance(cost, bits).item() == pytest.approx(best, rel=1e-9, abs=1e-12)


def test_greedy_is_the_best_for_six_items() -> None:
    generator = torch.Generator().manual_seed(0)
    for sigma in (1, 2):
        for _ in range(3):
            cost = (sigma * torch.randn(6, generator=generator)).exp().double()
            bits = allocate(cost, torch.ones(6), 12)
            best = least_variance(cost, torch.ones(6), 12)
            assert variance(cost, bits).item() == pytest.approx(best, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(costs=COSTS, average=st.floats(1, 8), data=st.data())
def test_greedy_is_the_best_for_the_budget_it_uses(
    costs: list[float], average: float, data: st.DataObject
) -> None:
    costs = costs[:5]
    cost = torch.tensor(costs).double()
    sizes = st.lists(st.integers(1, 50), min_size=len(costs), max_size=len(costs))
    weight = torch.tensor(data.draw(sizes)).double()
    budget = average * weight.sum().item()
    bits = allocate(cost, weight, budget)
    used = (weight * bits).sum().item()
    # What is left over is less than the bit that went last.
    assert used <= budget
    assert used > budget - weight.max() or bits.max() == 8
    best = least_variance(cost, weight, used)
    assert variance(cost, bits).item() == pytest.approx(best, rel=1e-9, abs=1e-12)


@given(
    count=st.integers(1, 200), bits=st.integers(1, 8), cost=st.sampled_from([0.0, 3.0])
)
def test_equal_costs_get_equal_bits(count: int, bits: int, cost: float) -> None:
    found = allocate(torch.full((count,), cost), torch.ones(count), bits * count)
    assert found.tolist() == [bits] * count


def test_what_is_left_over_is_spread_fairly() -> None:
    found = allocate(torch.zeros(8), torch.ones(8), 20)
    assert sorted(found.tolist()) == [2] * 4 + [3] * 4


def test_a_budget_below_one_bit_gives_one() -> None:
    assert allocate(torch.ones(3), torch.ones(3), 1).tolist() == [1, 1, 1]


def test_adaptive_bits_lower_the_variance_as_published() -> None:
    generator = torch.Generator().manual_seed(3)
    for sigma, published in (1, 0.79), (2, 0.21):
        cost = (sigma * torch.randn(20000, generator=generator)).exp().double()
        bits = allocate(cost, torch.ones(20000), 40000)
        uniform = variance(cost, torch.full((20000,), 2))
        assert (variance(cost, bits) / uniform).item() == pytest.approx(
            published, abs=0.04
        )
