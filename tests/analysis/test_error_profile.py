"""The arrays behind the plots of one table, against slow loops over its products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim import Multiplier, TableError
from axsim.analysis.error_profile import (
    conditional_error,
    error_histogram,
    error_map,
    magnitude_classes,
    relative_error,
)
from axsim.tables.multiplier import operand_values
from tests.conftest import random_multiplier


@st.composite
def multipliers(draw: st.DrawFn) -> Multiplier:
    bits = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    signed = draw(st.tuples(st.booleans(), st.booleans()))
    spread = draw(st.sampled_from([0, 1, 7, 500]))
    return random_multiplier(draw(st.integers(0, 99)), bits, signed, spread)


def errors(mul: Multiplier) -> dict[tuple[int, int], int]:
    """The error of each pair of operand values, from the raw table, pair by pair."""
    (bits_a, bits_b), (signed_a, signed_b) = mul.bits, mul.signed
    return {
        (int(a), int(b)): int(mul.table[i, j]) - int(a) * int(b)
        for i, a in enumerate(operand_values(bits_a, signed_a))
        for j, b in enumerate(operand_values(bits_b, signed_b))
    }


@given(multipliers())
def test_the_map_is_in_the_order_of_values(mul: Multiplier) -> None:
    found, expected = error_map(mul), errors(mul)
    assert (np.diff(found.a) == 1).all() and (np.diff(found.b) == 1).all()
    for i, a in enumerate(found.a):
        for j, b in enumerate(found.b):
            assert found.error[i, j] == expected[int(a), int(b)]


@given(multipliers(), st.integers(3, 70))
def test_the_histogram_counts_every_product_once(mul: Multiplier, bins: int) -> None:
    found, values = error_histogram(mul, bins), [*errors(mul).values()]
    assert len(found.share) <= bins
    for low, high, share in zip(
        found.edges[:-1], found.edges[1:], found.share, strict=True
    ):
        assert share == sum(low < value < high for value in values) / len(values)
    assert found.share.sum() == pytest.approx(1)
    widths = np.diff(found.edges)
    assert (widths == widths[0]).all() and widths[0] == int(widths[0])


@given(multipliers())
def test_zero_is_in_the_middle_of_its_bin(mul: Multiplier) -> None:
    edges = error_histogram(mul).edges
    at = np.searchsorted(edges, 0.0)
    assert abs(edges[at - 1] + edges[at]) <= 1


def test_a_histogram_needs_three_bins() -> None:
    with pytest.raises(TableError, match="bins=2; at least 3"):
        error_histogram(random_multiplier(0), bins=2)


@given(multipliers())
def test_relative_error_averages_over_classes_of_magnitude(mul: Multiplier) -> None:
    found, expected = relative_error(mul), errors(mul)
    for i, (low_a, high_a) in enumerate(found.a):
        for j, (low_b, high_b) in enumerate(found.b):
            cell = [
                abs(error) / abs(a * b)
                for (a, b), error in expected.items()
                if low_a <= abs(a) <= high_a and low_b <= abs(b) <= high_b
            ]
            assert found.mean[i, j] == pytest.approx(np.mean(cell))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", range(1, 9))
def test_the_classes_hold_every_magnitude_but_zero(bits: int, signed: bool) -> None:
    classes = magnitude_classes(bits, signed)
    covered = [m for low, high in classes for m in range(low, high + 1)]
    magnitudes = {abs(int(v)) for v in operand_values(bits, signed)} - {0}
    assert covered == sorted(magnitudes)


@given(multipliers(), st.sampled_from(["weight", "activation"]))
def test_conditional_error_averages_over_the_other_operand(
    mul: Multiplier, held: str
) -> None:
    found, expected = conditional_error(mul, held), errors(mul)
    position = 1 if held == "weight" else 0
    for value, mean, deviation in zip(
        found.values, found.mean, found.deviation, strict=True
    ):
        column = [e for pair, e in expected.items() if pair[position] == value]
        assert mean == pytest.approx(np.mean(column))
        assert deviation == pytest.approx(np.std(column))


@given(multipliers())
def test_correcting_the_mean_removes_what_it_says(mul: Multiplier) -> None:
    found = conditional_error(mul)
    error = error_map(mul).error.astype(float)
    mse = np.mean(error**2)
    corrected = np.mean((error - found.mean) ** 2)
    expected = 1 - corrected / mse if mse else 0
    assert found.removable == pytest.approx(expected, abs=1e-9)


def test_another_operand_is_refused() -> None:
    with pytest.raises(TableError, match="given='bias'; choose 'weight' or"):
        conditional_error(random_multiplier(0), "bias")
