"""The range that holds a percentage of the values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import OperandError
from axsim.quant.percentile import Percentile
from axsim.quant.scheme import PerAxis, Scheme

SYMMETRIC = Scheme(signed=True, symmetric=True)


@settings(max_examples=60, deadline=None)
@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=200),
    percentile=st.sampled_from([60.0, 90.0, 99.0, 99.99, 100.0]),
)
def test_equals_sorting_up_to_a_bin(x: list[float], percentile: float) -> None:
    observer = Percentile(percentile, bins=1024)
    state = observer.measure(torch.tensor(x), None)
    bin_width = 2 * 128 / 1024
    rank = math.ceil(len(x) * percentile / 100 - 1e-9) - 1

    low, high = observer.range(state, SYMMETRIC)
    end = sorted(map(abs, x))[rank]
    assert end <= max(-low.item(), high.item()) + 1e-6 or end == max(-low, high)
    assert max(-low.item(), high.item(), 0) <= end + bin_width

    low, high = observer.range(state, Scheme())
    assert 0 <= high.item() - sorted(x)[rank] <= bin_width
    assert 0 <= sorted(x, reverse=True)[rank] - low.item() <= bin_width


def test_all_of_the_values_is_min_max() -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    observer = Percentile(100.0)
    for scheme in (Scheme(), SYMMETRIC):
        low, high = observer.range(observer.measure(x, None), scheme)
        assert (low, high) == (x.min(), x.max())


def test_outliers_are_left_out_and_one_sided_values_stay_so() -> None:
    x = torch.cat([torch.linspace(0, 1, 9999), torch.tensor([1000.0])])
    observer = Percentile()
    low, high = observer.range(observer.measure(x, None), Scheme())
    assert low.item() == 0
    assert high.item() == 1024 / 4096 * 5


def test_counts_beyond_float32_are_compared_exactly() -> None:
    counts = torch.zeros(1, 16, dtype=torch.int64)
    ends = torch.tensor([0.0]), torch.tensor([8.0])
    for short, end in ((0, 1.0), (1, 2.0)):
        counts[0, 8:11] = torch.tensor([99_990_000 - short, 9_999 + short, 1])
        state = (counts, torch.zeros(1, dtype=torch.int32), *ends)
        assert Percentile(99.99, bins=16).range(state, Scheme())[1] == end


def test_an_axis_has_a_range_for_each_index() -> None:
    scheme = Scheme(granularity=PerAxis(1))
    x = torch.stack([torch.arange(100.0), -torch.arange(100.0)], dim=1)
    observer = Percentile(90.0)
    low, high = observer.range(observer.measure(x, 1), scheme)
    # Values 0 … 99: ninety of them lie up to 89, ninety from 10 on.
    assert high.tolist() == [89 + 128 / 4096, -10]
    assert low.tolist() == [10.0, -89 - 128 / 4096]


@pytest.mark.parametrize("percentile", [50.0, 100.1, float("nan")])
def test_percentage_is_more_than_half(percentile: float) -> None:
    with pytest.raises(OperandError, match=f"percentile={percentile}; the share"):
        Percentile(percentile)
