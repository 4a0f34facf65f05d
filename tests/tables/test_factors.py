"""Rank and exact integer factors, against python-flint and by multiplying out."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from flint import fmpz_mat
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import BackendError, TableError
from axsim.tables import factors as factors_module
from axsim.tables.catalogue import shipped_names, shipped_table
from axsim.tables.factors import Factors, digit_width, reduce_matrix
from axsim.tables.files import load_multiplier
from axsim.tables.multiplier import Multiplier
from axsim.tables.rank import integer_rank, pivot_rows


def planted(seed: int, shape: tuple[int, int], rank: int, size: int) -> np.ndarray:
    """An integer matrix of at most this rank."""
    generator = np.random.default_rng(seed)
    left = generator.integers(-size, size + 1, (shape[0], rank))
    return left @ generator.integers(-size, size + 1, (rank, shape[1]))


@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(0, 90),
    st.sampled_from([1, 3, 1000]),
)
def test_rank_is_the_true_rank(
    seed: int, shape: tuple[int, int], rank: int, size: int
) -> None:
    matrix = planted(seed, shape, rank, size)
    true_rank = fmpz_mat(matrix.tolist()).rank()
    assert integer_rank(matrix) == true_rank
    rows = pivot_rows(matrix)
    assert len(rows) == true_rank
    if true_rank:
        assert fmpz_mat(matrix[rows].tolist()).rank() == true_rank


def test_rank_sees_through_multiples_of_one_prime() -> None:
    """A matrix that vanishes modulo the first prime is not of rank 0."""
    assert integer_rank(np.eye(5, dtype=np.int64) * 4194301) == 5
    assert integer_rank(np.zeros((4, 4), int)) == 0


@settings(max_examples=25)
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    st.integers(0, 12),
    st.sampled_from([1, 4, 90]),
)
def test_factors_multiply_to_the_error(
    seed: int, bits: tuple[int, int], rank: int, size: int
) -> None:
    shape = (1 << bits[0], 1 << bits[1])
    error = planted(seed, shape, rank, size)
    exact = np.outer(np.arange(shape[0]), np.arange(shape[1]))
    mul = Multiplier.from_array(exact + error, signed=False)
    found = mul.factors()
    assert np.array_equal(found.u.astype(np.int64) @ found.b, error)
    assert found.rank == integer_rank(error) == mul.rank


def test_lattice_reduction_finds_small_factors_of_small_ones() -> None:
    error = planted(5, (256, 256), 6, 2)
    u, b = reduce_matrix(error.astype(np.int32), "planted")
    assert abs(u).max() <= 4
    assert abs(b).max() <= 4


def test_factors_of_the_table_itself() -> None:
    mul = Multiplier.from_function(lambda a, b: a * b, signed=True)
    assert mul.factors().rank == 0
    assert mul.factors().product().shape == (256, 256)
    whole = mul.factors("table")
    assert whole.rank == 1
    assert np.array_equal(whole.product(), mul.table)
    assert whole.widths == ("int8", "int8")
    with pytest.raises(TableError, match="of='both'; choose 'error' or 'table'"):
        mul.factors("both")


def test_a_table_with_no_structure_still_has_factors() -> None:
    table = np.random.default_rng(0).integers(-(2**30), 2**30, (256, 256))
    found = Multiplier.from_array(table, signed=False).factors("table")
    assert np.array_equal(found.product(), table)
    assert found.rank == 256


def test_relations_too_large_for_reduction_fall_back_to_distinct_rows() -> None:
    """Reducing a product of random matrices of rank 100 would take seconds."""
    table = planted(0, (256, 256), 100, 3)
    mul = Multiplier.from_array(table, signed=False)
    found = mul.factors("table")
    assert np.array_equal(found.product(), table)
    assert found.rank == 256
    assert integer_rank(table) == 100


def test_equal_tables_share_their_factors() -> None:
    table = np.outer(range(16), range(16)) // 3
    one = Multiplier.from_array(table, signed=False).factors()
    assert Multiplier.from_array(table, signed=False).factors() is one
    assert Multiplier.from_array(table, signed=True).factors() is not one


def test_tables_of_one_hash_but_other_widths_do_not() -> None:
    """The hash is of the bytes: those of 8x4 and 4x8 zeros are the same."""
    for shape in ((256, 16), (16, 256)):
        zero = Multiplier.from_array(np.zeros(shape, int), signed=False)
        assert zero.factors("table").product().shape == shape


def test_wrong_factors_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = np.ones((16, 1), np.int32), np.ones((1, 16), np.int32)
    monkeypatch.setattr(factors_module, "stored_factors", lambda mul: wrong)
    mul = Multiplier.from_array(np.outer(range(16), range(16)) // 5, signed=False)
    with pytest.raises(TableError, match="do not multiply to its error"):
        mul.factors()


def test_without_python_flint_the_next_step_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    mul = Multiplier.from_array(np.outer(range(16), range(16)) // 7, signed=False)
    with pytest.raises(BackendError, match=r"pip install \"axsim\[factors\]\""):
        mul.factors()


@pytest.mark.parametrize(
    ("values", "width"),
    [
        ([], "int8"),
        ([-128, 127], "int8"),
        ([128], "fp16"),
        ([2048, 9984], "fp16"),
        ([2049], "2x int8"),
        ([-32896, 32639], "2x int8"),
        ([32640 + 1], "int32"),
        ([10**6], "int32"),
    ],
)
def test_digit_widths(values: list[int], width: str) -> None:
    assert digit_width(np.array(values, dtype=np.int32)) == width


def test_printing_factors_names_rank_and_digits() -> None:
    text = str(Factors(np.full((4, 1), 300, np.int32), np.ones((1, 4), np.int32)))
    assert text == (
        "exact factors of the error: rank 1, |U| <= 300 (fp16), |B| <= 1 (int8)"
    )


def test_factors_of_the_real_tables(evoapprox: Path) -> None:
    for path in sorted(evoapprox.glob("*.bin")):
        mul = load_multiplier(path)
        found = mul.factors()
        assert np.array_equal(found.u.astype(np.int64) @ found.b, mul.error)
        assert found.rank == mul.rank


@pytest.mark.parametrize("name", shipped_names())
def test_factors_of_every_shipped_table(name: str) -> None:
    mul = shipped_table(name)
    found = mul.factors()
    assert np.array_equal(found.u.astype(np.int64) @ found.b, mul.error)
    assert found.rank == integer_rank(mul.error) == mul.rank
