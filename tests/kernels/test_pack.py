"""Packing and unpacking against a slow twin, to the byte."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packing import pack_row
from torch import Tensor

from axsim.errors import BackendError, OperandError
from axsim.kernels.noise import draw, mixed
from axsim.kernels.pack import (
    Rounding,
    Rows,
    Words,
    block_extremes,
    memory_of,
    pack,
    rows_of,
    unpack,
)

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
LAYOUTS = (torch.contiguous_format, torch.channels_last)
SIZES = st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 20)] * 2)


def values_of(seed: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    return (x * 10 ** (seed % 7 - 3.0) + seed % 5).to(dtype)


def decoded(
    packed: Words, bits: int | Tensor, rows: Rows, like: Tensor, above: bool = False
) -> Tensor:
    out = torch.empty_like(like)
    return unpack(packed.words, bits, rows, out, ranges=packed.ranges, positive=above)


def rows_by_index(x: Tensor, dim: int | None) -> list[Tensor]:
    """The rows by plain indexing: a dim's slices in the order of memory."""
    memory = sorted(range(x.dim()), key=lambda d: (-x.stride(d), d))
    if dim is None:
        return [x.permute(memory).reshape(-1)]
    rest = [d for d in memory if d != dim]
    return list(x.permute(dim, *rest).reshape(x.shape[dim], -1))


@settings(max_examples=60, deadline=None)
@given(
    shape=SIZES,
    bits=st.integers(1, 8),
    dim=st.sampled_from([None, 0, 1]),
    dtype=st.sampled_from(FLOATS),
    layout=st.sampled_from(LAYOUTS),
    rounding=st.sampled_from(get_args(Rounding)),
    key=st.integers(0, 2**64 - 1),
)
def test_ranges_and_codes_equal_the_slow_twin(
    shape: tuple[int, ...],
    bits: int,
    dim: int | None,
    dtype: torch.dtype,
    layout: torch.memory_format,
    rounding: Rounding,
    key: int,
) -> None:
    x = values_of(key % 1000, shape, dtype).contiguous(memory_format=layout)
    rows, above = rows_of(x, dim), rounding == "positive"
    bits = max(bits, 2) if above else bits
    packed = pack(x, bits, rows, rounding=rounding, key=key)
    words: list[int] = []
    ranges: list[Any] = []
    expected: list[Tensor] = []
    for row in rows_by_index(x, dim):
        reals = row.float().numpy()
        own, spans, values = pack_row(reals, bits, rounding, key, len(ranges))
        words += own
        ranges += spans
        expected.append(torch.from_numpy(values).to(dtype))
    assert packed.nonfinite == 0
    assert packed.words.numpy().view(np.uint32).tolist() == words
    assert packed.ranges.float().tolist() == [list(map(float, r)) for r in ranges]
    out = decoded(packed, bits, rows, x, above)
    assert out.stride() == x.stride()
    for found, twin in zip(rows_by_index(out, dim), expected, strict=True):
        assert torch.equal(found, twin)


@settings(max_examples=30, deadline=None)
@given(
    shape=SIZES,
    bits=st.integers(1, 17),
    dtype=st.sampled_from(FLOATS),
    layout=st.sampled_from(LAYOUTS),
    seed=st.integers(0, 1000),
)
def test_rows_with_steps_equal_the_slow_twin(
    shape: tuple[int, ...],
    bits: int,
    dtype: torch.dtype,
    layout: torch.memory_format,
    seed: int,
) -> None:
    x = values_of(seed, shape, dtype).contiguous(memory_format=layout)
    rows, channels = rows_of(x, 1), shape[1]
    inverse = torch.rand(channels) + 0.5
    zero = torch.full((channels,), float(1 << (bits - 1)))
    packed = pack(x, bits, rows, rounding="nearest", inverse=inverse, zero=zero)
    words: list[int] = []
    for c, row in enumerate(rows_by_index(x, 1)):
        scaled = (inverse.numpy()[c], zero.numpy()[c])
        words += pack_row(row.float().numpy(), bits, "nearest", 0, 0, scaled)[0]
    assert packed.words.numpy().view(np.uint32).tolist() == words
    assert packed.ranges.numel() == 0


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(0, 1100),
    bits=st.integers(1, 8),
    threads=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_whole_numbers_come_back(size: int, bits: int, threads: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 1 << bits, (size,), generator=generator, dtype=torch.uint8)
    before, one = torch.get_num_threads(), torch.ones(1)
    torch.set_num_threads(threads)
    try:
        packed = pack(x, bits, rows_of(x), rounding="nearest", inverse=one)
        out = unpack(packed.words, bits, rows_of(x), torch.empty_like(x), step=one)
    finally:
        torch.set_num_threads(before)
    assert packed.words.numel() == bits * -(-size // 32)
    assert torch.equal(out, x)


def test_each_row_can_have_its_own_width() -> None:
    x = torch.randn(5, 300)
    bits = torch.tensor([1, 8, 3, 2, 5], dtype=torch.uint8)
    rows = rows_of(x, 0)
    packed = pack(x, bits, rows, rounding="nearest")
    out = decoded(packed, bits, rows, x)
    single = [
        pack(row, int(b), rows_of(row), rounding="nearest")
        for row, b in zip(x, bits, strict=True)
    ]
    assert torch.equal(packed.words, torch.cat([s.words for s in single]))
    for row, b, s, found in zip(x, bits, single, out, strict=True):
        expected = decoded(s, int(b), rows_of(row), row)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", FLOATS)
def test_blocks_that_are_not_finite_are_counted(bad: float, dtype: torch.dtype) -> None:
    x = torch.zeros(1000, dtype=dtype)
    x[700] = x[701] = bad
    for inverse in (None, torch.ones(1)):
        packed = pack(x, 4, rows_of(x), rounding="nearest", inverse=inverse)
        assert packed.nonfinite == 1 and packed.refused
    # Their codes give NaN, and spare the other blocks.
    packed = pack(x, 4, rows_of(x), rounding="nearest")
    nan = decoded(packed, 4, rows_of(x), x).isnan()
    assert nan[512:768].all() and not nan[:512].any() and not nan[768:].any()
    # What is not positive has a code of its own, whatever it is.
    packed = pack(x, 4, rows_of(x), rounding="positive")
    assert packed.nonfinite == (bad != -float("inf"))
    assert pack(-x, 4, rows_of(x), rounding="positive").nonfinite == (
        bad != float("inf")
    )
    x[800] = 3
    packed = pack(x.abs(), 4, rows_of(x), rounding="positive")
    out = decoded(packed, 4, rows_of(x), x, above=True)
    assert out[512:768].isnan().all()
    assert out[800] == 3 and out[768:800].eq(0).all()


def test_a_range_beyond_float32_counts_as_not_finite() -> None:
    x = torch.tensor([-3e38, 3e38])
    assert pack(x, 4, rows_of(x), rounding="nearest").nonfinite == 1


def test_half_precision_never_decodes_to_infinity() -> None:
    x = torch.full((256,), 65504.0, dtype=torch.float16)
    x[0] = -65504
    packed = pack(x, 2, rows_of(x), rounding="nearest")
    out = decoded(packed, 2, rows_of(x), x)
    assert out.isfinite().all()
    assert out[1:].eq(65504).all()


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_extremes_of_blocks(dim: int | None) -> None:
    x = torch.randn(3, 4, 10, 13).contiguous(memory_format=torch.channels_last)
    rows = torch.stack(rows_by_index(x, dim))
    found = block_extremes(x, rows_of(x, dim))
    expected = [[[p.min().item(), p.max().item()] for p in r.split(256)] for r in rows]
    assert found.tolist() == expected


def correlations_of(rows: Any) -> Any:
    """Those between all pairs of rows, each about standard normal by chance."""
    pairs = np.triu_indices(len(rows), 1)
    return np.asarray(np.corrcoef(rows))[pairs] * np.sqrt(rows.shape[1])


def test_noise_is_uniform_and_independent() -> None:
    draws = np.empty((4000, 256), np.float32)
    for block in range(4000):
        draw(np.uint64(7), block, draws[block])
    u = draws / 65536
    n = u.size
    assert abs(u.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    assert abs(u.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / n)
    counts = np.histogram(u, 256, (0, 1))[0]
    assert ((counts - n / 256) ** 2 / (n / 256)).sum() < 255 + 5 * np.sqrt(510)
    centred = (u - 0.5) * np.sqrt(12)
    for shift, axis in (1, 0), (1, 1), (128, 1):
        product = centred * np.roll(centred, shift, axis)
        assert abs(product.mean()) < 4 / np.sqrt(n)
    # Places of a block do not depend on each other: no correlation stands out.
    correlations = correlations_of(centred.T)
    assert np.abs(correlations).max() < 6
    assert abs(correlations.std() - 1) < 0.02


def test_keys_make_different_noise() -> None:
    streams = np.empty((64, 256), np.float32)
    for key in range(64):
        draw(np.uint64(key), 0, streams[key])
    assert len(np.unique(streams.astype(int))) > 12000
    correlations = correlations_of(streams)
    assert np.abs(correlations).max() < 5


def test_rows_cover_memory_once() -> None:
    x = torch.zeros(2, 3, 4, 5)
    assert rows_of(x, 0) == Rows(2, 60, 1)
    assert rows_of(x, 1) == Rows(3, 20, 2)
    last = x.contiguous(memory_format=torch.channels_last)
    assert rows_of(last, 0) == Rows(2, 60, 1)
    assert rows_of(last, 1) == Rows(3, 1, 40)


def test_messages() -> None:
    x = torch.zeros(4, 4)
    with pytest.raises(OperandError, match=r"bits=\[0\]; a packed code has 1 to 24"):
        pack(x, 0, rows_of(x), rounding="nearest")
    with pytest.raises(OperandError, match=r"torch\.int64 elements.*x\.float\(\)"):
        memory_of(x.long())
    with pytest.raises(OperandError, match=r"leave gaps in memory.*contiguous"):
        memory_of(x[:, :2])
    with pytest.raises(BackendError, match=r"device 'meta'; codes are packed on the"):
        memory_of(x.to("meta"))


def test_keys_are_splitmix64() -> None:
    # Published first outputs of the generator for the seed 1234567.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    found = [int(mixed(np.uint64(1234567), np.uint64(i))) for i in range(3)]
    assert found == published
