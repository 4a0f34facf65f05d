"""What `test_simulator.py` runs in a process where Numba simulates the GPU.

The kernels of the CPU say what the bytes must be; slow twins check those elsewhere.
"""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from axsim.cuda import mask as device_mask
from axsim.cuda import pack as device
from axsim.kernels.mask import pack_mask, unpack_mask
from axsim.kernels.pack import (
    Rounding,
    Words,
    block_extremes,
    elements_of,
    pack,
    rows_of,
    unpack,
)
from axsim.memory.codec import Bits, Codec, Hints, Norm
from axsim.memory.codecs.batch_norm import BatchNormCodes
from axsim.memory.codecs.bit_mask import BitMask
from axsim.memory.codecs.fixed_point import FixedPoint
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.codecs.rectified import Rectified
from axsim.memory.codecs.zero_value import ZeroValue

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
KEY = 0xFEDCBA9876543210


def values(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = 10.0 ** (seed % 7 - 3)
    return (torch.randn(shape, generator=generator) * scale + seed % 5).to(dtype)


def same_bytes(found: Tensor, expected: Tensor) -> bool:
    if (found.dtype, found.stride()) != (expected.dtype, expected.stride()):
        return False
    first, second = (elements_of(t)[0].view(torch.uint8) for t in (found, expected))
    return first.equal(second)


def check(
    x: Tensor,
    bits: int | Tensor,
    dim: int | None = None,
    rounding: Rounding = "stochastic",
    inverse: Tensor | None = None,
    zero: Tensor | None = None,
) -> None:
    """Codes, ranges and values are those of the CPU, to the byte."""
    rows, mode = rows_of(x, dim), ROUNDINGS.index(rounding)
    expected = pack(
        x, bits, rows, rounding=rounding, key=KEY, inverse=inverse, zero=zero
    )
    words, ranges, wrong = device.encode(
        *elements_of(x), bits, rows, mode, KEY, inverse, zero
    )
    assert int(wrong) == expected.nonfinite
    assert words.equal(expected.words)
    assert same_bytes(ranges, expected.ranges)
    check_values(x, bits, dim, expected, inverse, zero, rounding == "positive")


def check_values(
    x: Tensor,
    bits: int | Tensor,
    dim: int | None,
    packed: Words,
    inverse: Tensor | None,
    zero: Tensor | None,
    above: bool = False,
) -> None:
    step = None if inverse is None else 1 / inverse
    how: dict[str, Any] = {
        "ranges": packed.ranges, "step": step, "zero": zero, "positive": above
    }  # fmt: skip
    if step is not None:
        how["ranges"] = None
    rows = rows_of(x, dim)
    expected = unpack(packed.words, bits, rows, torch.empty_like(x), **how)
    out = torch.empty_like(x)
    device.decode(packed.words, *elements_of(out), bits, rows, **how)
    assert same_bytes(out, expected)


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_width(bits: int) -> None:
    check(values(300 + bits, seed=bits), bits)


@pytest.mark.parametrize("bits", [2, 7])
@pytest.mark.parametrize("rounding", ["nearest", "above", "positive"])
def test_every_rounding(bits: int, rounding: Rounding) -> None:
    check(values(300, seed=bits), bits, rounding=rounding)


def test_no_positive_numbers_and_few() -> None:
    x = -values(600, seed=3).abs()
    x[300] = 1.5
    x[310] = 1e-40
    for at in (0, 255, 256, 599):
        x[at] = 0.0
    check(x, 2, rounding="positive")


@pytest.mark.parametrize("size", [1, 31, 32, 33, 255, 256, 257, 511, 513])
def test_odd_sizes(size: int) -> None:
    check(values(size, seed=size), 7)


@pytest.mark.parametrize("dtype", FLOATS[1:])
@pytest.mark.parametrize("bits", [1, 4, 5])
def test_types_of_16_bits(dtype: torch.dtype, bits: int) -> None:
    check(values(333, seed=bits, dtype=dtype), bits)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_largest_numbers_do_not_become_infinite(dtype: torch.dtype) -> None:
    x = torch.zeros(40, dtype=dtype)
    x[3], x[5] = torch.finfo(dtype).max / 4, torch.finfo(dtype).max / 2
    check(x, 3)
    if dtype == torch.float16:
        x[3], x[5] = -65504, 65504
        check(x, 2, rounding="nearest")


@pytest.mark.parametrize("constant", [0.0, -0.0, 3.7, -3.7, 1e-40, 3e38])
def test_constant_groups(constant: float) -> None:
    check(torch.full((270,), constant), 2)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_blocks_that_are_not_finite_are_counted(bad: float) -> None:
    x = values(600)
    x[300] = x[301] = bad
    x[550] = -bad
    rows = rows_of(x)
    wrong = device.encode(*elements_of(x), 4, rows, 0, KEY, None, None)[2]
    assert int(wrong) == 2
    given = torch.ones(1), torch.zeros(1)
    wrong = device.encode(*elements_of(x), 4, rows, 1, KEY, *given)[2]
    assert int(wrong) == 2
    check(x, 4)
    check(x, 4, rounding="positive")


def test_a_range_beyond_float32_is_not_finite() -> None:
    x = torch.tensor([-3e38, 3e38])
    wrong = device.encode(*elements_of(x), 4, rows_of(x), 1, KEY, None, None)[2]
    assert int(wrong) == 1


LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize(("dim", "layout"), [*product([None, 0, 1], LAYOUTS)])
def test_rows(dim: int | None, layout: torch.memory_format) -> None:
    x = values(2, 3, 9, 11, seed=4).contiguous(memory_format=layout)
    check(x, 3, dim)
    widths = torch.tensor([1, 8, 5][: rows_of(x, dim).count], dtype=torch.uint8)
    check(x, widths, dim)


@pytest.mark.parametrize("bits", [1, 9, 24])
def test_rows_with_steps(bits: int) -> None:
    x = values(6, 2, 5, 9, seed=3)
    inverse = torch.tensor([0.7, 1.9]) * 2.0 ** (bits - 2)
    zero = torch.full((2,), float(1 << (bits - 1)))
    for rounding in ROUNDINGS:
        check(x, bits, 1, rounding, inverse, zero)


def test_long_runs_and_single_elements() -> None:
    check(values(2, 2, 300, seed=8), 2, 1)
    check(values(600, 2, seed=8), 6, 1)


def test_whole_numbers_and_no_numbers() -> None:
    for x in (torch.arange(290) % 8 > 3, (torch.arange(290) % 8).to(torch.uint8)):
        check(x, 3, rounding="nearest", inverse=torch.ones(1))
    check(torch.empty(0), 3)


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_extremes(dim: int | None) -> None:
    x = values(3, 2, 10, 13, seed=5)
    x[0, 0, 0] = -0.0
    rows, expected = rows_of(x, dim), block_extremes(x, rows_of(x, dim))
    found = device.measure(*elements_of(x), rows)
    assert same_bytes(found.view(expected.shape), expected)


@pytest.mark.parametrize("size", [1, 31, 33, 256, 300, 257 + 32])
@pytest.mark.parametrize("dtype", [*FLOATS, torch.uint8, torch.bool])
def test_masks(size: int, dtype: torch.dtype) -> None:
    x = values(size, seed=size).sub(size % 5).clamp(min=0).to(dtype)
    if dtype.is_floating_point:
        x[0] = float("nan")
    words = device_mask.encode(*elements_of(x))
    assert words.equal(pack_mask(x))
    worth = 1.25 if dtype.is_floating_point else 1
    expected, out = unpack_mask(words, torch.empty_like(x), worth), torch.empty_like(x)
    device_mask.decode(words, *elements_of(out), worth)
    assert same_bytes(out, expected)


CODECS: list[tuple[Codec, Bits]] = [
    (GroupAffine(), 2),
    (GroupAffine(), torch.tensor([3, 8], dtype=torch.uint8)),
    (FixedPoint("stochastic"), 5),
    (FixedPoint(), torch.tensor([4, 7], dtype=torch.uint8)),
    (ZeroValue(), 6),
    (BatchNormCodes(), 4),
    (Rectified(), 2),
    (BitMask(), 0),
]


@pytest.mark.parametrize(("codec", "bits"), CODECS, ids=str)
def test_tensors_on_a_gpu_are_handed_over(
    codec: Codec, bits: Bits, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = values(2, 2, 10, 13, seed=3).clamp(min=-1e-1)
    x[0, :, :8] = 0
    hints = Hints(key=KEY, norm=Norm(torch.tensor([1.5, 0.5]), torch.zeros(2)))
    expected = codec.encode(x, bits, hints)
    values_expected = expected.decode()
    assert not expected.why_raw
    launches: list[str] = []
    for room in device, device_mask:
        monkeypatch.setattr(room, "launch", counted(room.launch, launches))
    monkeypatch.setattr(Tensor, "is_cuda", property(lambda _: True))
    found = codec.encode(x, bits, hints)
    for part, twin in zip(found.payload, expected.payload, strict=True):
        assert (part.dtype, part.tolist()) == (twin.dtype, twin.tolist())
    assert same_bytes(found.decode(), values_expected)
    assert any(name.startswith("encode") for name in launches)
    assert any(name.startswith("decode") for name in launches)


def counted(launch: Any, launches: list[str]) -> Any:
    """The launch, with the names of the kernels that it ran written down."""

    def launch_and_count(kernel: Any, *arguments: Any) -> None:
        launches.append(kernel.name)
        launch(kernel, *arguments)

    return launch_and_count
