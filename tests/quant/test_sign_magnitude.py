"""The sign-magnitude quantiser of precision gating, by its formulas."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import OperandError
from axsim.quant.sign_magnitude import sign_magnitude, split_signs


def test_golden_of_four_bits_is_itself() -> None:
    x = torch.tensor([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0])
    codes = split_signs(x, bits=4)
    assert codes.magnitude.tolist() == [15, 9, 3, 3, 9, 15]
    assert codes.negative.tolist() == [True] * 3 + [False] * 3
    assert torch.allclose(sign_magnitude(x, 4), x, rtol=0, atol=2e-7)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30),
    st.integers(1, 8),
)
def test_every_value_is_its_nearest_level(x: list[float], bits: int) -> None:
    codes = split_signs(torch.tensor(x), bits)
    top = 2**bits - 1
    largest = max(abs(Fraction(v)) for v in x) + Fraction(1, 10**7)
    for value, code in zip(x, codes.magnitude.tolist(), strict=True):
        exact = abs(Fraction(value)) / largest * top
        # A float32 quotient near a tie may fall on either side.
        assert abs(exact - code) <= Fraction(1, 2) + Fraction(top, 10**6)
    values = codes.values()
    assert torch.equal(values, sign_magnitude(torch.tensor(x), bits))
    signs = torch.tensor(x).sign()
    assert bool(((values.sign() == signs) | (values == 0)).all())


def test_two_bits_have_seven_levels() -> None:
    values = sign_magnitude(torch.linspace(-1, 1, 1001), bits=2)
    assert len(values.unique()) == 7


def test_halves_go_to_the_even_magnitude() -> None:
    # S is 3 here: the margin is below float32's resolution.
    x = torch.tensor([0.5, -1.5, 2.5, -3.0])
    assert split_signs(x, bits=2).magnitude.tolist() == [0, 2, 2, 3]


def test_gradient_is_one_except_at_zero() -> None:
    x = torch.tensor([-2.0, 0.0, 1e-9, 3.0], requires_grad=True)
    sign_magnitude(x, 3).backward(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [1, 0, 3, 4]


def test_all_zero_and_nan() -> None:
    assert sign_magnitude(torch.zeros(3), 8).tolist() == [0, 0, 0]
    assert bool(sign_magnitude(torch.tensor([1.0, torch.nan]), 8).isnan().all())


def test_type_of_the_values_is_that_of_x() -> None:
    x = torch.tensor([0.25, -1.0], dtype=torch.bfloat16)
    assert sign_magnitude(x, 8).dtype == torch.bfloat16


def test_magnitudes_fit_a_byte() -> None:
    with pytest.raises(OperandError, match="bits=9; a magnitude has 1 to 8 bits"):
        split_signs(torch.ones(1), 9)
