"""Layouts: every tap of every lane reads the code that the convolution needs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cases import CONVS, ConvCase, random_cases

from axsim.kernels.contract import Convolution, describe_convolution
from axsim.kernels.factored import MOST, VECTOR
from axsim.kernels.lanes import Block, Lanes, estimate, lay_out, three_dimensional
from axsim.kernels.layout import (
    HELD_BYTES,
    LINE,
    Bytes,
    channel_block,
    fill,
    free_working_space,
    grid_of,
    scratch_bytes,
    transpose,
    unite,
    working_space,
)
from axsim.kernels.shuffle import BLOCK

PAD = 201
SHAPES = [case for case in [*CONVS, *random_cases(60, seed=9)]
          if isinstance(case, ConvCase) and case.x[0]]  # fmt: skip


def shape_of(case: ConvCase) -> Convolution:
    settings = {k: v for k, v in case.settings.items() if k != "pad_code"}
    return describe_convolution(case.x, case.w, **settings)


@pytest.mark.parametrize("case", SHAPES, ids=str)
@pytest.mark.parametrize("images", [1, 8])
@pytest.mark.parametrize("band", [None, 2])
def test_taps_of_lanes_read_what_the_convolution_reads(
    case: ConvCase, images: int, band: int | None
) -> None:
    shape = three_dimensional(shape_of(case))
    rows = (shape.out[0], shape.out[1])
    lanes = Lanes(
        shape, images, rows if band is None else (1, min(band, rows[1])), True
    )
    x = case.operands()[0].reshape(shape.batch, -1).copy()
    grid, phases = grid_of(lanes)
    laid = np.zeros(lanes.units * lanes.unit + 64, np.uint8)
    blocks = -(-shape.channels // channel_block(grid))
    scratch = np.empty(scratch_bytes(grid), np.uint8)
    fill(x, laid, grid, phases, PAD, 0, 0, lanes.units * blocks, scratch)
    padded = np.pad(
        x.reshape(shape.batch, shape.channels, *shape.size),
        [(0, 0), (0, 0), *((p, p) for p in shape.padding)],
        constant_values=PAD,
    )
    generator = np.random.default_rng(0)
    for _ in range(40):
        n, c = (int(generator.integers(s)) for s in (shape.batch, shape.channels))
        out = [int(generator.integers(s)) for s in shape.out]
        t = int(generator.integers(len(lanes.taps)))
        tap = np.unravel_index(t, shape.kernel)
        at = [o * s + int(k) * d for o, s, k, d in
              zip(out, shape.stride, tap, shape.dilation, strict=True)]  # fmt: skip
        band_d, d = divmod(out[0], lanes.band[0])
        band_h, h = divmod(out[1], lanes.band[1])
        group, image = divmod(n, images)
        unit = (group * lanes.bands[0] + band_d) * lanes.bands[1] + band_h
        position = (d * lanes.grid[1] + h) * lanes.grid[2] + out[2]
        place = unit * lanes.unit + c * lanes.channel + int(lanes.taps[t])
        assert laid[place + position * images + image] == padded[(n, c, *at)]


def test_transposes_any_size() -> None:
    for tall, wide in [(1, 1), (8, 8), (19, 37), (3, 70), (64, 5)]:
        rows = np.arange(tall * wide, dtype=np.uint8).reshape(tall, wide)
        out = np.zeros(wide * 80, np.uint8)
        transpose(rows, out, 80)
        assert (out.reshape(wide, 80)[:, :tall] == rows.T).all()


def test_union_bounds_every_code() -> None:
    assert unite(np.array([1, 4, 64], np.uint8)) == 69
    assert unite(np.zeros(0, np.uint8)) == 0


def test_blocks_of_a_run_are_nearly_equal() -> None:
    block = Block(vector=64, most=4, step=1, overhead=1)
    assert block.cut(64) == (1, 1)
    assert block.cut(257) == (3, 2)
    assert block.cut(1024) == (4, 4)


def test_small_maps_share_vectors_and_large_ones_do_not() -> None:
    small = describe_convolution((64, 64, 7, 7), (64, 64, 3, 3), padding=1)
    large = describe_convolution((4, 64, 56, 56), (64, 64, 3, 3), padding=1)
    assert lay_out(small, BLOCK).images >= 8
    assert lay_out(large, BLOCK).images == 1


def test_a_layout_stays_small_whatever_the_shape() -> None:
    shape = describe_convolution((256, 64, 224, 224), (64, 64, 3, 3), padding=1)
    deep = Block(VECTOR, MOST, step=1, overhead=1, depth=16, bytes_per_lane=4)
    for block in (BLOCK, deep):
        lanes = lay_out(shape, block)
        assert lanes.unit * block.depth <= 8 << 20
        assert estimate(lanes, block, 1.0) > 0


def _space(*sizes: int) -> list[Bytes]:
    with working_space(*sizes) as found:
        return found


def test_working_space_is_used_again_by_its_own_thread_only() -> None:
    free_working_space()
    first, second = _space(100, 64)
    assert (len(first), len(second)) == (100, 64)
    assert not first.ctypes.data % LINE and not second.ctypes.data % LINE
    assert second.ctypes.data - first.ctypes.data >= len(first)
    again, _ = _space(50, 30)
    assert again.ctypes.data == first.ctypes.data
    with ThreadPoolExecutor(1) as pool:
        (other,) = pool.submit(_space, 50).result()
    assert not np.shares_memory(other, first)


def test_much_working_space_is_not_kept() -> None:
    free_working_space()
    (small,) = _space(10)
    (large,) = _space(HELD_BYTES + 1)
    (later,) = _space(10)
    assert not np.shares_memory(large, later) and np.shares_memory(small, later)


def test_working_space_is_not_given_twice() -> None:
    free_working_space()
    _space(100)
    with working_space(100) as (outer,):
        (inner,) = _space(100)
    assert not np.shares_memory(outer, inner)
    # An interrupted caller leaves helpers behind, which go on.
    with pytest.raises(KeyboardInterrupt), working_space(100) as (left,):
        raise KeyboardInterrupt
    assert not np.shares_memory(left, _space(100)[0])
