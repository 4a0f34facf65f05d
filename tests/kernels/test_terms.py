"""Terms: products of bytes that add up to the table, whatever its factors."""

from __future__ import annotations

import numpy as np
import pytest
from cases import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.kernels.quads import quads_of
from axsim.kernels.table import Table, table_of
from axsim.kernels.terms import Term, terms_of
from axsim.tables.multiplier import Multiplier

LOW_RANK = ["exact_u8", "exact_s8", "exact_s8u8", "exact_s4", "exact_u7u5", "rank_1_u8",
            "rank_4_s8", "rank_9_u8", "truncated_u8"]  # fmt: skip


def add_up(terms: tuple[Term, ...], table: Table) -> None:
    rows, columns = table.entries
    total = sum(term.product() for term in terms)
    assert np.array_equal(np.asarray(total)[:rows, :columns], table.mul.table)


@pytest.mark.parametrize("name", LOW_RANK)
def test_terms_add_up_in_both_orders(name: str) -> None:
    for table in (table_of(tables()[name]), table_of(tables()[name]).swapped):
        add_up(terms_of(table), table)


@pytest.mark.parametrize("name", ["exact_u8", "exact_s8", "exact_s8u8"])
def test_an_exact_multiplier_is_one_product_of_bytes(name: str) -> None:
    assert len(terms_of(table_of(tables()[name]))) == 1


@given(st.integers(-(2**30), 2**30), st.integers(1, 2000), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_factors_beyond_a_byte_are_cut_into_digits(
    offset: int, scale: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    u = generator.integers(-scale, scale, 256)
    b = generator.integers(-scale // 2, scale // 2 + 1, 256)
    exact = Multiplier.from_function(lambda a, b: a * b, signed=False).table
    table = exact.astype(np.int64) + np.outer(u, b)
    table += np.sign(offset) * (abs(offset) % 1000)
    mul = Multiplier.from_array(table, signed=False)
    add_up(terms_of(Table(mul)), Table(mul))


def test_quads_keep_channels_of_one_term_together() -> None:
    quads = quads_of(table_of(tables()["rank_1_u8"]), 8)
    whole = quads.sources[quads.runs > 0]
    assert (np.diff(whole, axis=1) == 1).all()
    assert sum(count for count, _ in quads.segments) == len(quads.sources)
