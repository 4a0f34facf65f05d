"""Histograms whose counts depend on the values alone."""

from __future__ import annotations

import math
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import OperandError
from axsim.quant.histogram import count, join, power_of_two

FLOATS = st.floats(-(2.0**120), 2.0**120, width=32)
LISTS = st.lists(FLOATS | st.floats(-4, 4, width=32), min_size=1, max_size=30)


def slow(values: list[float], bins: int) -> tuple[int, list[int]]:
    """The readable truth: exponent and counts, in Python's exact arithmetic."""
    largest = max(abs(v) for v in values)
    exponent = -100
    while largest >= math.ldexp(1.0, exponent):
        exponent += 1
    exponent -= bins.bit_length() - 2
    counts = [0] * bins
    for value in values:
        k = math.floor(math.ldexp(abs(value), -exponent))
        counts[bins // 2 + (k if value >= 0 else -1 - k)] += 1
    return exponent, counts


@settings(max_examples=60, deadline=None)
@given(values=LISTS, bins=st.sampled_from([16, 64, 1024]))
def test_equals_the_slow_twin(values: list[float], bins: int) -> None:
    histogram = count(torch.tensor(values), None, bins)
    exponent, counts = slow(values, bins)
    assert histogram.exponent.tolist() == [exponent]
    assert histogram.counts.tolist() == [counts]
    assert histogram.low.item() == min(values)
    assert histogram.high.item() == max(values)


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(LISTS, min_size=2, max_size=5), data=st.data())
def test_batches_and_their_order_make_no_difference(
    batches: list[list[float]], data: st.DataObject
) -> None:
    whole = count(torch.tensor([*chain(*batches)]), None, 64)
    order = data.draw(st.permutations(batches))
    parts = [count(torch.tensor(batch), None, 64) for batch in order]
    joined = parts[0]
    for part in parts[1:]:
        joined = join(joined, part)
    assert all(torch.equal(a, b) for a, b in zip(joined, whole, strict=True))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_is_one_histogram_for_each_index(axis: int) -> None:
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(7))
    x = x * torch.tensor([1e-4, 1.0, 3.0, 1e6])[:, None]
    both = join(count(x, axis, 32), count(2 * x, axis, 32))
    for i in range(x.shape[axis]):
        values = x.select(axis, i).flatten()
        alone = count(torch.cat([values, 2 * values]), None, 32)
        for got, expected in zip(both, alone, strict=True):
            assert torch.equal(got[i], expected[0])


def test_zeros_lie_in_the_bin_that_begins_at_zero() -> None:
    histogram = count(torch.zeros(5), None, 16)
    assert histogram.counts[0, 8] == 5
    grown = join(histogram, count(torch.tensor([1e30]), None, 16))
    assert grown.counts[0, 8] == 5


def test_nan_and_infinity_show_in_the_extremes() -> None:
    for value in (torch.nan, torch.inf, -torch.inf):
        histogram = count(torch.tensor([1.0, value]), None, 16)
        assert not bool((histogram.low.isfinite() & histogram.high.isfinite()).all())
        assert int(histogram.counts.sum()) == 2


def test_centres_and_width() -> None:
    histogram = count(torch.tensor([7.0]), None, 16)
    assert histogram.width.tolist() == [[1.0]]
    assert histogram.centres[0, [0, 8, 15]].tolist() == [-7.5, 0.5, 7.5]


def test_powers_of_two_are_exact() -> None:
    exponents = torch.arange(-126, 128, dtype=torch.int32)
    assert power_of_two(exponents).tolist() == [2.0 ** int(e) for e in exponents]


@pytest.mark.parametrize("bins", [0, 8, 100])
def test_bins_are_a_power_of_two(bins: int) -> None:
    from axsim.quant.mse import MSE
    from axsim.quant.percentile import Percentile

    for observer in (MSE, Percentile):
        with pytest.raises(OperandError, match=f"bins={bins}; pairs of bins"):
            observer(bins=bins)
