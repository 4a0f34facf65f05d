"""Fixed-point codes: error bound, size, signedness, tolerance."""

from __future__ import annotations

from math import ceil, prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from axsim.errors import OperandError
from axsim.memory.codec import Hints
from axsim.memory.codecs.fixed_point import FixedPoint
from axsim.memory.stream import Stream

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LAYOUTS = (torch.contiguous_format, torch.channels_last)


def activations(seed: int, shape: tuple[int, ...], signed: bool) -> Tensor:
    """Channels of very different size, as after a few layers."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    sizes = 4 ** torch.randn(shape[1], generator=generator)
    x = x * sizes.view(-1, *[1] * (len(shape) - 2))
    return x if signed else x.relu()


def per_channel(x: Tensor) -> Tensor:
    return x.movedim(1, 0).flatten(1)


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 7)] * 2, *[st.integers(0, 12)] * 2),
    bits=st.integers(2, 17),
    signed=st.booleans(),
    stochastic=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from(LAYOUTS),
    seed=st.integers(0, 1000),
)
def test_round_trip(
    shape: tuple[int, ...],
    bits: int,
    signed: bool,
    stochastic: bool,
    dtype: torch.dtype,
    layout: torch.memory_format,
    seed: int,
) -> None:
    x = activations(seed, shape, signed).to(dtype).contiguous(memory_format=layout)
    codec = FixedPoint("stochastic" if stochastic else "nearest")
    packed = codec.encode(x, bits, Hints(seed))
    each, channels = prod(shape) // shape[1], shape[1]
    size = channels * (4 * bits * ceil(each / 32) + 4)
    assert packed.nbytes == (size if each else 0)
    out = packed.decode()
    assert (out.dtype, out.stride()) == (dtype, x.stride())
    if not x.numel():
        return
    assert (out[x == 0] == 0).all()
    top = 2.0 ** (bits - 1) - 1 if (x < 0).any() else 2.0**bits - 1
    size = per_channel(x).double().abs().amax(1)
    error = per_channel(out.double() - x.double()).abs().amax(1)
    own = size * (2.0**-22 + torch.finfo(dtype).eps)
    assert (error <= size / top * (1 if stochastic else 0.5) + own + 1e-37).all()


@settings(max_examples=60, deadline=None)
@given(
    signed=st.booleans(),
    stochastic=st.booleans(),
    exponent=st.floats(-14, 0),
    each=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_error_is_above_the_tolerance(
    signed: bool, stochastic: bool, exponent: float, each: bool, seed: int
) -> None:
    x = activations(seed, (3, 5, 6, 7), signed)
    size = per_channel(x).abs().amax(1)
    tolerance = 2.0**exponent * (size * (1 + torch.rand(5)) if each else size.min())
    codec = FixedPoint("stochastic" if stochastic else "nearest")
    bits = codec.bits_for(x, tolerance)
    packed = codec.encode(x, bits, Hints(seed))
    units = ceil(x.numel() / 5 / 32)
    assert packed.nbytes == 4 * units * int(bits.sum()) + 5 * 4 + 5
    error = per_channel(packed.decode() - x).abs().amax(1)
    reached = bits < 17
    assert (error <= tolerance)[reached].all()
    # One bit less would not do: the step of the widest rounding error says so.
    fewer = bits.float() - 1
    top = 2 ** (fewer - 1 if (x < 0).any() else fewer) - 1
    worst = size / top * (1 if stochastic else 0.5)
    assert (worst > tolerance * 0.9)[bits > 2].all()


def test_signed_codes_do_not_saturate() -> None:
    x = torch.tensor([[-1.0], [1.0], [0.0]])
    out = FixedPoint().encode(x, 3).decode()
    assert torch.equal(out, x)


def test_no_code_is_wasted() -> None:
    x = torch.linspace(0, 1, 5000)[:, None]
    for bits in (2, 5, 8):
        assert FixedPoint().encode(x, bits).decode().unique().numel() == 2**bits
        centred = FixedPoint().encode(x - 0.5, bits).decode()
        assert centred.unique().numel() == 2**bits - 1


def test_stochastic_rounding_is_unbiased() -> None:
    x, stream, draws = activations(5, (8, 4, 10, 10), True), Stream(), 1500
    total, squares = torch.zeros(2, *x.shape, dtype=torch.float64)
    codec = FixedPoint("stochastic")
    assert codec.unbiased
    for _ in range(draws):
        error = (codec.encode(x, 4, Hints(stream.key())).decode() - x).double()
        total += error
        squares += error * error
    bias = per_channel(total / draws).abs().mean(1)
    rms = per_channel(squares / draws).mean(1).sqrt()
    assert (bias <= 1.3 * 0.8 * rms / draws**0.5).all()
    assert not FixedPoint().unbiased


def test_vectors_have_one_step() -> None:
    x = torch.linspace(-1, 1, 100)
    packed = FixedPoint().encode(x, 8)
    assert packed.nbytes == 4 * 8 * 4 + 4
    assert (packed.decode() - x).abs().max() <= 0.5 / 127 + 1e-6


def test_all_zero_and_not_finite() -> None:
    zeros = torch.zeros(2, 3, 40)
    assert torch.equal(FixedPoint().encode(zeros, 4).decode(), zeros)
    zeros[1, 2, 3] = float("nan")
    packed = FixedPoint().encode(zeros, 4)
    assert packed.why_raw == "not finite"
    assert packed.decode().isnan().sum() == 1


@pytest.mark.parametrize("bits", [1, 18])
def test_other_widths_are_refused(bits: int) -> None:
    with pytest.raises(OperandError, match=f"bits={bits}; FixedPoint has codes of 2 t"):
        FixedPoint().encode(torch.ones(2, 2), bits)
