"""Group codes: size, bias, variance, error bound; when the tensor itself is kept."""

from __future__ import annotations

from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from axsim.errors import OperandError
from axsim.memory.codec import Hints
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.stream import Stream

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
DRAWS = 1500


def step_bound(x: Tensor, bits: int) -> float:
    """The largest step that the docstring allows, over groups of 256."""
    groups = x.float().reshape(-1).split(256)
    top = 2**bits - 1
    return max(
        ((g.max() - g.min() + g.min().abs() / 128) / top * 129 / 128).item()
        for g in groups
    )


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    scale=st.integers(32, 400),
    bits=st.integers(1, 8),
    dtype=st.sampled_from(DTYPES),
    stochastic=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_round_trip(
    shape: list[int],
    scale: int,
    bits: int,
    dtype: torch.dtype,
    stochastic: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(*shape, scale, generator=generator) + seed % 3).to(dtype)
    codec = GroupAffine("stochastic" if stochastic else "nearest")
    packed = codec.encode(x, bits, Hints(seed))
    n, size = x.numel(), x.element_size()
    coded = 4 * bits * ceil(n / 32) + 4 * ceil(n / 256)
    assert packed.nbytes == (n * size if n < 256 else coded)
    out = packed.decode()
    assert (out.dtype, out.shape, out.stride()) == (dtype, x.shape, x.stride())
    if packed.why_raw:
        assert packed.why_raw == "small"
        assert torch.equal(out, x)
        return
    assert torch.equal(out, packed.decode())
    rounding = torch.finfo(dtype).eps * x.abs().max().item()
    bound = step_bound(x, bits) * (1 if stochastic else 0.5) + rounding
    assert (out.double() - x.double()).abs().max() <= bound * (1 + 1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layouts_are_kept(layout: torch.memory_format) -> None:
    x = torch.randn(2, 3, 17, 19).contiguous(memory_format=layout)
    out = GroupAffine("nearest").encode(x, 8).decode()
    assert out.stride() == x.stride()
    assert (out - x).abs().max() < 0.02


def test_gaps_in_memory_are_closed() -> None:
    x = torch.randn(40, 80)[:, ::2]
    out = GroupAffine("nearest").encode(x, 8).decode()
    assert out.is_contiguous()
    assert (out - x).abs().max() < 0.02
    spread = torch.ones(3, 1).expand(3, 500)
    assert torch.equal(GroupAffine().encode(spread, 2).decode(), spread)


def test_nothing_and_little_are_kept_as_they_are() -> None:
    for x in (torch.empty(0, 3), torch.randn(7), torch.tensor(1.5)):
        packed = GroupAffine().encode(x, 2)
        assert packed.why_raw == "small"
        assert packed.nbytes == 4 * x.numel()
        assert torch.equal(packed.decode(), x)


DISTRIBUTIONS = {
    "normal": torch.randn(64, 256, generator=torch.Generator().manual_seed(1)),
    "shifted": 10 + torch.randn(64, 256, generator=torch.Generator().manual_seed(2)),
    "rectified": torch.randn(
        64, 256, generator=torch.Generator().manual_seed(3)
    ).relu(),
}


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_codes_are_unbiased_and_their_variance_is_known(name: str, bits: int) -> None:
    x, codec, stream = DISTRIBUTIONS[name], GroupAffine(), Stream(bits)
    total, squares = torch.zeros(2, *x.shape, dtype=torch.float64)
    for _ in range(DRAWS):
        error = (codec.encode(x, bits, Hints(stream.key())).decode() - x).double()
        total += error
        squares += error * error
    rms = (squares / DRAWS).mean().sqrt()
    # The mean magnitude of a normal variable is 0.8 of its deviation.
    assert (total / DRAWS).abs().mean() <= 1.3 * 0.8 * rms / DRAWS**0.5
    low, step = codec.encode(x, bits).payload[1].double().unbind(1)
    level = (x.view(-1, 256).double() - low[:, None]) / step[:, None]
    part = level - level.floor()
    variance = (part * (1 - part) * step[:, None] ** 2).view_as(x)
    assert 0.97 <= (squares / DRAWS).mean() / variance.mean() <= 1.03
    spread = x.view(-1, 256).amax(1) - x.view(-1, 256).amin(1)
    if name == "normal":
        uniform = (spread / (2**bits - 1)).double().square().mean() / 6
        # At 2 bits the parts are not quite uniform, and the range is rounded outwards.
        assert variance.mean() / uniform == pytest.approx(1, abs=0.03)
    assert (variance <= (step**2 / 4)[:, None]).all()


def test_zero_stays_zero_where_it_is_the_minimum() -> None:
    x = torch.randn(8, 1000).relu()
    for bits in range(1, 9):
        for key in range(20):
            out = GroupAffine().encode(x, bits, Hints(key)).decode()
            assert (out[x == 0] == 0).all()


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 3.14159, -1e-3, 1e30, 1e-42])
def test_a_constant_group_errs_no_more_than_its_metadata(value: float) -> None:
    x = torch.full((512,), value)
    for bits in (1, 4, 8):
        out = GroupAffine().encode(x, bits).decode()
        bound = abs(value) / 128 * 129 / 128 / (2**bits - 1)
        assert (out - x).abs().max() <= max(bound, 2.0**-126)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_kept_as_it_is(bad: float) -> None:
    x = torch.randn(3000)
    x[1234] = bad
    packed = GroupAffine().encode(x, 4)
    assert packed.why_raw == "not finite"
    assert packed.nbytes == 12000
    assert torch.equal(packed.decode().nan_to_num(), x.nan_to_num())


def test_float64_beyond_float32_is_kept_as_it_is() -> None:
    x = torch.full((1000,), 1e300, dtype=torch.float64)
    assert GroupAffine().encode(x, 4).why_raw == "not finite"


def test_samples_that_codes_would_not_make_smaller_are_kept() -> None:
    bits = torch.full((300,), 2, dtype=torch.uint8)
    packed = GroupAffine().encode(torch.randn(300, 2), bits)
    assert (packed.why_raw, packed.nbytes) == ("small", 2400)


def test_every_sample_can_have_its_own_bits() -> None:
    x = torch.randn(4, 3, 10, 10)
    bits = torch.tensor([1, 2, 8, 4], dtype=torch.uint8)
    packed = GroupAffine("nearest").encode(x, bits)
    units, groups = ceil(300 / 32), ceil(300 / 256)
    assert packed.nbytes == 4 * units * 15 + 4 * 4 * groups + 4
    error = (packed.decode() - x).flatten(1).abs().amax(1)
    for sample, b, found in zip(x, bits.tolist(), error, strict=True):
        assert found <= step_bound(sample, b) / 2


def test_a_key_decides_the_codes() -> None:
    x = torch.randn(2000)
    first, again, other = (
        GroupAffine().encode(x, 2, Hints(key)).decode() for key in (5, 5, 6)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_global_generators_are_untouched() -> None:
    before = torch.get_rng_state()
    GroupAffine().encode(torch.linspace(0, 1, 1000), 2, Hints(Stream().key())).decode()
    assert torch.equal(torch.get_rng_state(), before)


def test_other_widths_are_refused() -> None:
    with pytest.raises(OperandError, match="bits=9; GroupAffine has codes of 1 to 8"):
        GroupAffine().encode(torch.zeros(512), 9)
    with pytest.raises(OperandError, match="bits=0"):
        GroupAffine().encode(torch.zeros(2, 512), torch.tensor([0, 2]))
