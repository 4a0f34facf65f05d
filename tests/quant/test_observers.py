"""Observers that keep two numbers: all values, and an average over batches."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import OperandError
from axsim.quant.observers import MinMax, MovingAverage, Observer, State
from axsim.quant.scheme import Scheme


def watch(observer: Observer, batches: list[torch.Tensor], axis: int | None) -> State:
    states = [observer.measure(batch, axis) for batch in batches]
    seen = states[0]
    for state in states[1:]:
        seen = observer.add(seen, state)
    return seen


@pytest.mark.parametrize("axis", [None, 1, 2])
@settings(max_examples=30, deadline=None)
@given(cuts=st.sets(st.integers(1, 11)), seed=st.integers(0, 99))
def test_min_max_does_not_depend_on_batches(
    axis: int | None, cuts: set[int], seed: int
) -> None:
    x = torch.randn(12, 3, 5, generator=torch.Generator().manual_seed(seed))
    sizes = [b - a for a, b in pairwise([0, *sorted(cuts), 12])]
    state = watch(MinMax(), [*x.split(sizes)][::-1], axis)
    low, high = MinMax().range(state, Scheme())
    dims = [d for d in range(3) if d != axis]
    assert torch.equal(low, x.amin(dims))
    assert torch.equal(high, x.amax(dims))


def test_moving_average_by_hand() -> None:
    batches = [torch.tensor([-4.0, 8.0]), torch.tensor([0.0, 0.0]), torch.ones(2)]
    seen = watch(MovingAverage(0.25), batches, None)
    # -4, then 3/4 of it, then 3/4 of that plus 1/4; likewise from 8.
    assert [t.item() for t in seen] == [-3 * 0.75 + 0.25, 6 * 0.75 + 0.25]


def test_moving_average_of_processes_is_their_mean() -> None:
    observer = MovingAverage()
    states = [observer.measure(torch.tensor([-k, 2.0 * k]), None) for k in (1, 2, 6)]
    low, high = observer.unite(states)
    assert (low.item(), high.item()) == (-3.0, 6.0)


@pytest.mark.parametrize("momentum", [0.0, -1.0, 1.5, float("nan")])
def test_momentum_is_a_share(momentum: float) -> None:
    with pytest.raises(OperandError, match=f"momentum={momentum}; the weight"):
        MovingAverage(momentum)


def test_half_precision_is_measured_in_float32() -> None:
    low, high = MinMax().measure(torch.ones(2, dtype=torch.bfloat16), None)
    assert low.dtype == high.dtype == torch.float32
