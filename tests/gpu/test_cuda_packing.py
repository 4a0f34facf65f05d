"""Codes of a few bits and masks on a real device: the bytes of the CPU."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
import torch
from torch import Tensor

from axsim.cuda.devices import why_no_device
from axsim.errors import BackendError
from axsim.kernels.mask import pack_mask, unpack_mask
from axsim.kernels.pack import Rounding, block_extremes, pack, rows_of, unpack
from axsim.memory.codec import Bits, Codec, Hints, Norm
from axsim.memory.codecs.batch_norm import BatchNormCodes
from axsim.memory.codecs.bit_mask import BitMask
from axsim.memory.codecs.fixed_point import FixedPoint
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.codecs.rectified import Rectified
from axsim.memory.codecs.zero_value import ZeroValue
from axsim.memory.policies.greedy import Greedy
from axsim.memory.policy import Slot
from axsim.memory.store import Store

MISSING = why_no_device(torch.device("cuda:0"))
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
LAYOUTS = (torch.contiguous_format, torch.channels_last)
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
KEY = 0xFEDCBA9876543210
SHAPE = (5, 7, 61, 83)


def values(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = 10.0 ** (seed % 7 - 3)
    return (torch.randn(shape, generator=generator) * scale + seed % 5).to(dtype)


def same(found: Tensor, expected: Tensor) -> bool:
    found = found.cpu()
    as_bytes = [t.contiguous().view(torch.uint8) for t in (found, expected)]
    return found.dtype == expected.dtype and as_bytes[0].equal(as_bytes[1])


def check(
    x: Tensor,
    bits: int | Tensor,
    dim: int | None = None,
    rounding: Rounding = "stochastic",
    inverse: Tensor | None = None,
    zero: Tensor | None = None,
) -> None:
    rows, there = rows_of(x, dim), x.cuda()
    expected = pack(
        x, bits, rows, rounding=rounding, key=KEY, inverse=inverse, zero=zero
    )
    found = pack(
        there, bits, rows, rounding=rounding, key=KEY, inverse=inverse, zero=zero
    )
    assert same(found.words, expected.words)
    assert same(found.ranges, expected.ranges)
    assert int(found.nonfinite) == expected.nonfinite == 0
    step = None if inverse is None else 1 / inverse
    how = {"ranges": None if inverse is not None else expected.ranges, "step": step}
    above = rounding == "positive"
    out = unpack(
        expected.words, bits, rows, torch.empty_like(x), **how, zero=zero,
        positive=above,
    )  # fmt: skip
    how = {"ranges": None if inverse is not None else found.ranges, "step": step}
    out_there = torch.empty_like(there)
    unpack(found.words, bits, rows, out_there, **how, zero=zero, positive=above)
    assert same(out_there, out)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_width(bits: int, rounding: Rounding, dtype: torch.dtype) -> None:
    bits = max(bits, 2) if rounding == "positive" else bits
    check(values(bits, 1_000_003, dtype=dtype), bits, rounding=rounding)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 255, 256, 257, 65_537])
def test_sizes(size: int) -> None:
    for bits in 1, 7:
        check(values(size, size), bits)


@pytest.mark.parametrize("constant", [0.0, -0.0, 3.7, -3.7, 1e-40, 3e38])
def test_constant_groups(constant: float) -> None:
    check(torch.full((1000,), constant), 2)


@pytest.mark.parametrize(("dim", "layout"), [*product([None, 0, 1], LAYOUTS)])
def test_rows(dim: int | None, layout: torch.memory_format) -> None:
    x = values(4, *SHAPE).contiguous(memory_format=layout)
    check(x, 3, dim)
    widths = torch.arange(1, 1 + rows_of(x, dim).count).to(torch.uint8)
    check(x, widths, dim)
    extremes = block_extremes(x.cuda(), rows_of(x, dim))
    assert same(extremes, block_extremes(x, rows_of(x, dim)))


@pytest.mark.parametrize("bits", [1, 4, 9, 17, 24])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_rows_with_steps(bits: int, rounding: Rounding) -> None:
    inverse = (torch.rand(SHAPE[1]) + 0.5) * 2.0 ** (bits - 2)
    zero = torch.full((SHAPE[1],), float(1 << (bits - 1)))
    check(values(3, *SHAPE), bits, 1, rounding, inverse, zero)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_blocks_that_are_not_finite_are_counted(bad: float) -> None:
    x = torch.zeros(100_000, device="cuda")
    x[700] = x[701] = x[90_000] = bad
    assert int(pack(x, 4, rows_of(x), rounding="nearest").nonfinite) == 2


CODED: list[tuple[Codec, Bits]] = [
    (GroupAffine(), 2), (Rectified(), 2), (FixedPoint(signed=True), 8),
    (BatchNormCodes(), 4),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "bits"), CODED, ids=str)
def test_what_is_not_finite_decodes_to_nan(codec: Codec, bits: Bits) -> None:
    x = torch.randn(8, 3, 32, 32, device="cuda")
    x[3, 1, 5, 5] = float("nan")
    norm = Norm(torch.ones(3, device="cuda"), torch.zeros(3, device="cuda"))
    out = codec.encode(x, bits, Hints(norm=norm)).decode()
    assert out[3, 1, 5, 5].isnan()
    clean = codec.encode(x.nan_to_num(), bits, Hints(norm=norm)).decode()
    assert clean.isfinite().all()


@pytest.mark.parametrize(("codec", "bits"), CODED, ids=str)
def test_nothing_waits_to_pack(codec: Codec, bits: Bits) -> None:
    x = torch.randn(8, 3, 32, 32, device="cuda")
    norm = Norm(torch.ones(3, device="cuda"), torch.zeros(3, device="cuda"))
    codec.encode(x, bits, Hints(norm=norm)).decode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        codec.encode(x, bits, Hints(norm=norm)).decode()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_bits_for_each_sample_are_allocated_and_used_without_a_wait() -> None:
    x, policy, store = torch.randn(8, 3, 32, 32, device="cuda"), Greedy(2), Store()
    slot = Slot("conv", "matmul_in")
    store.save(x, slot, GroupAffine(), policy).load()
    torch.cuda.set_sync_debug_mode("error")
    try:
        handle = store.save(x, slot, GroupAffine(), policy)
        out = handle.load()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert handle.entry.place.packed().payload[0].numel() == 16 * 96
    assert out.isfinite().all()


def test_steps_of_batch_norms_are_those_of_the_cpu() -> None:
    generator = torch.Generator().manual_seed(0)
    norm = Norm(*torch.randn(2, 100_000, generator=generator).unbind())
    there = Norm(norm.weight.cuda(), norm.bias.cuda())
    x = torch.randn(4, 100_000, generator=generator)
    for bits in range(1, 9):
        codes = BatchNormCodes().encode(x, bits, Hints(norm=norm))
        found = BatchNormCodes().encode(x.cuda(), bits, Hints(norm=there))
        assert same(found.payload[0], codes.payload[0])
        assert same(found.decode(), codes.decode())


@pytest.mark.parametrize("size", [0, 1, 31, 33, 256, 300, 1_000_003])
@pytest.mark.parametrize("dtype", [*FLOATS, torch.uint8, torch.bool])
def test_masks(size: int, dtype: torch.dtype) -> None:
    x = values(3, size).clamp(min=0).to(dtype)
    words = pack_mask(x.cuda())
    assert same(words, pack_mask(x))
    worth = 1.25 if dtype.is_floating_point else 1
    out = unpack_mask(words, torch.empty_like(x, device="cuda"), worth)
    assert same(out, unpack_mask(words.cpu(), torch.empty_like(x), worth))


CODECS: list[tuple[Codec, Bits]] = [
    (GroupAffine(), 2),
    (GroupAffine(), torch.tensor([1, 2, 4, 8, 3], dtype=torch.uint8)),
    (FixedPoint("stochastic"), 5),
    (FixedPoint(), torch.tensor([2, 3, 4, 5, 6, 7, 8], dtype=torch.uint8)),
    (ZeroValue(), 6),
    (BatchNormCodes(), 4),
    (Rectified(), 3),
    (BitMask(), 0),
]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("codec", "bits"), CODECS, ids=str)
def test_codecs(codec: Codec, bits: Bits, relu: bool) -> None:
    x, channels = values(4, *SHAPE), SHAPE[1]
    x = x.relu() * (values(1, *SHAPE) > 0) if relu else x
    norm = torch.linspace(-2, 2, channels), torch.linspace(1, -1, channels)
    hints = Hints(key=KEY, norm=Norm(*norm))
    expected = codec.encode(x, bits, hints)
    there = Hints(key=KEY, norm=Norm(*(t.cuda() for t in norm)))
    found = codec.encode(x.cuda(), bits, there)
    assert (found.why_raw, found.nbytes) == (expected.why_raw, expected.nbytes)
    # The words; factors beside them come from torch.
    assert same(found.payload[0], expected.payload[0])
    assert found.decode().is_cuda
    torch.testing.assert_close(found.decode().cpu(), expected.decode())


def test_another_stream_and_no_wait_to_unpack() -> None:
    x = values(2, 300_000)
    packed = pack(x, 3, rows_of(x), rounding="stochastic", key=KEY)
    expected = unpack(packed.words, 3, rows_of(x), x.clone(), ranges=packed.ranges)
    kept, ranges, out = packed.words.cuda(), packed.ranges.cuda(), x.cuda()
    words = torch.zeros_like(kept)
    unpack(words, 3, rows_of(out), out, ranges=ranges)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.cuda.stream(stream):
            # The copy waits behind a long sleep; a kernel elsewhere would not.
            torch.cuda._sleep(200_000_000)  # pyright: ignore[reportPrivateUsage]
            words.copy_(kept)
            unpack(words, 3, rows_of(out), out, ranges=ranges)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    stream.synchronize()
    assert same(out, expected)


def test_words_elsewhere_are_turned_away() -> None:
    x = values(1, 300)
    packed = pack(x, 3, rows_of(x), rounding="nearest")
    with pytest.raises(BackendError, match="words is on 'cpu'"):
        unpack(packed.words, 3, rows_of(x), x.cuda(), ranges=packed.ranges)
    with pytest.raises(BackendError, match="ranges is on 'cpu'"):
        unpack(packed.words.cuda(), 3, rows_of(x), x.cuda(), ranges=packed.ranges)
    with pytest.raises(BackendError, match="words is on 'cpu'"):
        unpack_mask(pack_mask(x), x.cuda())
