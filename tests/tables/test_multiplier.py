"""The multiplier itself: what it accepts, what it says, what it keeps."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim.errors import TableError
from axsim.tables.cost import Cost
from axsim.tables.multiplier import Multiplier, exact_products, operand_values
from tests.conftest import random_multiplier

widths = st.integers(1, 8)
signs = st.tuples(st.booleans(), st.booleans())


def exact(**options: Any) -> Multiplier:
    return Multiplier.from_function(lambda a, b: a * b, **options)


@given(widths, st.booleans())
def test_operand_values_are_the_codes_of_two_s_complement(
    bits: int, signed: bool
) -> None:
    values = operand_values(bits, signed)
    assert [int(v) % (1 << bits) for v in values] == list(range(1 << bits))
    low, high = (
        (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    )
    assert (values.min(), values.max()) == (low, high)


@given(st.tuples(widths, widths), signs)
def test_an_exact_multiplier_has_no_error(
    bits: tuple[int, int], signed: tuple[bool, bool]
) -> None:
    mul = exact(signed=signed, bits=bits)
    assert mul.bits == bits
    assert not mul.error.any()
    assert mul.rank == 0
    assert mul.zero_preserving
    assert mul.is_symmetric == (bits[0] == bits[1] and signed[0] == signed[1])
    assert mul == Multiplier(exact_products(bits, signed), signed)


def test_entries_are_indexed_by_raw_bytes_activation_first() -> None:
    mul = Multiplier.from_function(lambda a, b: 1000 * a + b, signed=(True, False))
    assert mul.table[255, 3] == -997  # activation -1, weight 3
    assert mul.table[3, 255] == 3255
    assert mul.operands == "signed 8 x unsigned 8"


def test_a_scalar_function_is_called_pair_by_pair() -> None:
    def scalar(a: int, b: int) -> int:
        return a * b if a > b else max(a, b)

    mul = Multiplier.from_function(scalar, signed=False, bits=(4, 4))
    assert mul.table[5, 3] == 15
    assert mul.table[3, 5] == 5


def test_a_function_that_misreads_arrays_is_not_believed() -> None:
    def odd(a: Any, b: Any) -> Any:
        # On arrays `np.max` takes the largest of all, on numbers the one.
        return np.max(a) * b

    mul = Multiplier.from_function(odd, signed=False, bits=(4, 4))
    assert mul == exact(signed=False, bits=(4, 4))


def test_a_function_of_arrays_only_is_called_with_arrays() -> None:
    mul = Multiplier.from_function(
        lambda a, b: np.bitwise_or(a, 1) * b * np.ones_like(a.ravel()[:1]), signed=False
    )
    assert mul.table[4, 7] == 35


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a, b: "x", r"returned 'x'; it must return one whole number"),
        (lambda a, b: [1, 2], r"returned \[1, 2\]; it must return one whole number"),
        (lambda a, b: 1 // 0, r"raised ZeroDivisionError"),
        (lambda a, b: a / 2, r"entry \[1, 0\] is 0.5; a table holds whole numbers"),
        (lambda a, b: a * float("nan"), r"is nan; a table holds whole numbers"),
        (lambda a, b: a << 40, r"values run from 0 to \d+; a table holds int32"),
    ],
)
def test_functions_that_make_no_table(function: Any, message: str) -> None:
    with pytest.raises(TableError, match=message):
        Multiplier.from_function(function, signed=False, bits=(2, 2))


@pytest.mark.parametrize(
    "bits", [(9, 8), (0, 8), 8, (8,), (8, 8, 8), (8.0, 8.0), "88", None]
)
def test_widths_are_two_numbers_from_1_to_8(bits: Any) -> None:
    with pytest.raises(TableError, match=r"bits=.*; operands have 1 to 8 bits each"):
        exact(signed=False, bits=bits)


@pytest.mark.parametrize(
    "signed", ["no", None, 1, ("s", "u"), (True,), (True, False, True), (None, True)]
)
def test_what_is_no_truth_value_is_no_signedness(signed: Any) -> None:
    """A word would pass for True, None for False: both give wrong products."""
    message = r"signed=.*; choose True or False, or a pair such as \(True, False\)"
    for build in (Multiplier, lambda t, s: Multiplier.from_array(t, signed=s)):
        with pytest.raises(TableError, match=message):
            build(np.zeros((4, 4), int), signed)


def test_one_signedness_serves_both_operands_however_it_is_given() -> None:
    build: Any = Multiplier
    table = np.arange(4).reshape(2, 2)
    mixed = build(table, (True, False))
    assert build.from_array(table, signed=[True, False]) == mixed
    assert build(table, (np.True_, np.False_)) == mixed
    assert build(table.tolist(), (True, False)) == mixed
    assert build(table, True).signed == (True, True)


def test_half_precision_tables_are_read_without_a_warning() -> None:
    table = np.arange(16, dtype=np.float16).reshape(4, 4)
    assert Multiplier.from_array(table, signed=False).table[3, 3] == 15


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((256, 255), int), r"has \(256, 255\)"),
        (np.zeros(65536, int), r"has \(65536,\)"),
        (np.zeros((1, 256), int), r"widths 1 to 8"),
        (np.zeros((512, 512), int), r"widths 1 to 8"),
        (np.full((4, 4), 2**31), r"values run from 2147483648 to 2147483648"),
        (np.full((4, 4), -(2.0**40)), r"a table holds int32"),
        (np.full((4, 4), np.inf), r"entry \[0, 0\] is inf"),
        (np.full((4, 4), "1"), r"dtype <U1"),
        (np.full((4, 4), None), r"dtype object"),
        (np.full((4, 4), 1j), r"dtype complex128"),
    ],
)
def test_arrays_that_are_no_table(table: Any, message: str) -> None:
    with pytest.raises(TableError, match=message):
        Multiplier.from_array(table, signed=False, name="mine")


def test_the_table_is_a_read_only_copy() -> None:
    given_table = np.zeros((4, 4), np.int32)
    mul = Multiplier.from_array(given_table, signed=False)
    given_table[0, 0] = 7
    assert mul.table[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        mul.table[0, 0] = 1


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_are_equal_and_stay_read_only(duplicate: Any) -> None:
    mul = Multiplier.from_array(
        np.eye(4, dtype=int), signed=True, name="eye", cost=Cost("here", power=1.0)
    )
    other = duplicate(mul)
    assert other == mul
    assert hash(other) == hash(mul)
    assert (other.name, other.cost) == ("eye", mul.cost)
    assert not other.table.flags.writeable


def test_equality_is_of_content_and_signedness() -> None:
    table = np.zeros((4, 4), int)
    one = Multiplier.from_array(table, signed=False, name="one")
    assert one == Multiplier.from_array(table, signed=False, name="two")
    assert one != Multiplier.from_array(table, signed=True)
    assert one != Multiplier.from_array(table + 1, signed=False)
    assert one != "one"


@given(st.integers(0, 1000), signs)
def test_swapping_exchanges_the_operands(seed: int, signed: tuple[bool, bool]) -> None:
    mul = random_multiplier(seed, (5, 3), signed)
    swapped = mul.swapped()
    assert swapped.table[6, 19] == mul.table[19, 6]
    assert swapped.signed == signed[::-1]
    assert swapped.bits == (3, 5)
    assert np.array_equal(swapped.error, mul.error.T)
    assert swapped.swapped() == mul
    assert swapped.swapped().name == mul.name


def test_zero_preserving_looks_at_both_operands() -> None:
    table = np.outer(range(4), range(4))
    table[2, 0] = 1
    assert not Multiplier.from_array(table, signed=False).zero_preserving
    assert not Multiplier.from_array(table.T, signed=False).zero_preserving


def test_an_error_beyond_int32_is_refused() -> None:
    extreme = Multiplier.from_array(
        np.full((256, 256), 2**31 - 1), signed=True, name="big"
    )
    with pytest.raises(TableError, match=r"big: errors run from .* beyond int32"):
        _ = extreme.error


def test_the_card_answers_the_next_question() -> None:
    mul = Multiplier.from_function(
        lambda a, b: a * b & ~15,
        signed=False,
        name="cut",
        cost=Cost("here", power=0.5, basis="guessed by me"),
    )
    card = str(mul)
    assert "cut: unsigned 8x8 multiplier, function <lambda>" in card
    assert "WCE 15" in card
    assert "symmetric, 0 times anything is 0, rank of the error" in card
    assert "cost      power 0.5 mW (here)\n            guessed by me\n" in card
    assert "no known circuit has this table (sha256 " in card
    assert card.endswith(
        'next      ax.plot.error_heatmap(mul), ax.report(mul, "page.html")'
    )


def test_the_card_of_an_odd_table_names_what_is_odd() -> None:
    card = str(random_multiplier(3))
    assert "asymmetric (operand order matters)" in card
    assert "products with 0 are not all 0 (M[0,0] = " in card
    assert "unknown: nobody published one" in card
    assert "none: every product is exact" in str(exact(signed=False))
