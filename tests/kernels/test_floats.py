"""Products of floats: their chunks are exact, whatever torch is told or forked into."""

from __future__ import annotations

import multiprocessing
from math import prod

import numpy as np
import pytest
import torch
from cases import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.kernels import floats, ops, reference
from axsim.kernels.contract import Convolution
from axsim.kernels.table import table_of
from axsim.kernels.terms import terms_of

pytestmark = pytest.mark.usefixtures("plain_cpu")
MUL = tables()["rank_4_s8"]


@given(
    st.sampled_from(["exact_u8", "exact_s4", "rank_4_s8", "truncated_u8"]),
    st.integers(1, 700), st.integers(1, 3), st.integers(1, 9), st.sampled_from([1, 4]),
)  # fmt: skip
@settings(deadline=None)
def test_no_chunk_can_reach_2_to_the_24(
    name: str, channels: int, batch: int, side: int, groups: int
) -> None:
    table, three = table_of(tables()[name]), (side, side, 1)
    shape = Convolution(
        batch, groups * channels, groups * 5, three, three, (1,) * 3, (0,) * 3,
        (1,) * 3, groups,
    )  # fmt: skip
    chunks, maps = floats.chunks_of(table, shape), floats.maps_of(table)
    seen = set[tuple[int, int]]()
    for chunk in chunks:
        highest = 0
        for plane in chunk.planes:
            own = {(plane.term, c) for c in range(plane.first, plane.last)}
            assert not own & seen
            seen |= own
            sizes = (np.abs(maps.codes[plane.term]), np.abs(maps.weights[plane.term]))
            highest += prod(int(s.max()) for s in sizes) * len(own) * side * side
        assert highest < 1 << 24
    assert len(seen) == len(table.derived(terms_of)) * channels


def test_largest_codes_add_up_exactly() -> None:
    codes = torch.full((3, 20_001), 255, dtype=torch.uint8)
    found = ops.lut_matmul(codes, codes, tables()["exact_u8"], "factored")
    assert (found == 255 * 255 * 20_001).all()


def product(seed: int) -> bool:
    generator = torch.Generator().manual_seed(seed)
    x, w = (
        torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        for shape in ((16, 9, 11, 11), (16, 9, 3, 3))
    )
    found = ops.lut_conv2d(x, w, MUL, padding=1, backend="factored").numpy()
    expected = reference.lut_conv(x.numpy(), w.numpy(), MUL, padding=1)
    return np.array_equal(found, expected)


def test_autocast_and_low_precision_change_nothing() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu"):
            assert product(0)
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_forked_child_does_not_wait_for_threads_it_lacks() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert product(0)
        with multiprocessing.get_context("fork").Pool(2) as children:
            found = children.map_async(product, range(4))
            assert all(found.get(timeout=60))
    finally:
        torch.set_num_threads(before)


def test_a_large_image_of_many_groups_is_refused() -> None:
    shape = Convolution(1, 64, 64, (512, 512), (3, 3), (1, 1), (0, 0), (1, 1), 64)
    reason = floats.why_not(table_of(tables()["exact_u8"]), shape, False)
    assert reason is not None and "takes 127 MiB as floats; at most 8" in reason


def test_a_table_of_many_factors_is_refused_with_its_rank() -> None:
    table = table_of(tables()["random_s16"])
    shape = Convolution(1, 1, 1, (1,), (1,), (1,), (0,), (1,), 1)
    reason = floats.why_not(table, shape, False)
    assert reason is not None and "the error has rank 256; at most 11 pays" in reason
