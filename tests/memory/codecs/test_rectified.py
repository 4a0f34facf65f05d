"""Codes of a ReLU's output: size, bias, variance, exact zeros; views of them."""

from __future__ import annotations

from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import OperandError
from axsim.memory.codec import Hints, Norm
from axsim.memory.codecs.rectified import Rectified
from axsim.memory.stream import Stream

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
CODEC = Rectified()


@settings(max_examples=30, deadline=None)
@given(
    channels=st.integers(1, 4),
    side=st.integers(4, 25),
    bits=st.integers(2, 8),
    dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    seed=st.integers(0, 1000),
)
def test_zeros_are_exact_and_the_rest_errs_less_than_a_step(
    channels: int, side: int, bits: int, dtype: torch.dtype,
    layout: torch.memory_format, seed: int,
) -> None:  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, channels, side, side, generator=generator) + seed % 3
    x = x.to(dtype).contiguous(memory_format=layout)
    packed = CODEC.encode(x, bits, Hints(seed))
    each = 3 * side * side
    coded = channels * 4 * (bits * ceil(each / 32) + ceil(each / 256))
    raw = x.numel() * x.element_size()
    assert packed.nbytes == (coded if coded < raw else raw)
    assert torch.equal(CODEC.mask(packed), x > 0)
    if packed.why_raw:
        assert packed.why_raw == "small"
        return
    out = packed.decode()
    assert (out.dtype, out.shape, out.stride()) == (dtype, x.shape, x.stride())
    assert torch.equal(out, packed.decode())
    # Positive values may decode to what rounds to 0 in no type but by their own size.
    assert (out[x <= 0] == 0).all()
    largest = x.max().item()
    step = largest / (2**bits - 2) * 129 / 128 + largest / 128
    rounding = torch.finfo(dtype).eps * largest
    assert (out - x.clamp(min=0)).abs().max() <= step * (1 + 1e-5) + rounding


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_are_unbiased_and_their_variance_is_known(bits: int) -> None:
    draws, stream = 1000, Stream(bits)
    generator = torch.Generator().manual_seed(1)
    x = (torch.randn(64, 4, 64, generator=generator) + 0.3).relu()
    total, squares = torch.zeros(2, *x.shape, dtype=torch.float64)
    for _ in range(draws):
        error = (CODEC.encode(x, bits, Hints(stream.key())).decode() - x).double()
        total += error
        squares += error * error
    rms = (squares[x > 0] / draws).mean().sqrt()
    assert (total / draws)[x > 0].abs().mean() <= 1.3 * 0.8 * rms / draws**0.5
    assert (total[x == 0] == 0).all()
    low, step = CODEC.encode(x, bits).payload[1].double().unbind(1)
    blocks = x.movedim(1, 0).reshape(-1, 256).double()
    part = (blocks - low[:, None]) / step[:, None]
    part = part - part.floor()
    variance = part * (1 - part) * step[:, None] ** 2
    expected = variance[blocks > 0].sum().item()
    assert squares.sum().item() / draws == pytest.approx(expected, rel=0.03)
    # Levels reach from the smallest to the largest value, and not to 0.
    span = blocks.amax(1) - blocks.where(blocks > 0, 9).amin(1)
    assert (step * (2**bits - 2) <= span * 1.02 + 2.0**-8).all()


def test_the_smallest_numbers_are_positive() -> None:
    x = torch.full((1, 2, 300), 1e-45)
    x[:, 1] = -1e-45
    packed = CODEC.encode(x, 2)
    assert not packed.why_raw
    assert torch.equal(CODEC.mask(packed), x > 0)


def test_what_is_not_finite_is_kept_and_rectified() -> None:
    x = torch.randn(2, 3, 200)
    x[0, 0, 0] = float("inf")
    packed = CODEC.encode(x.relu(), 2)
    assert packed.why_raw == "not finite"
    assert torch.equal(packed.decode(), x.relu())
    assert torch.equal(CODEC.mask(packed), x > 0)
    assert CODEC.encode(torch.empty(0, 3)).why_raw == "small"


def test_the_normalised_input_where_the_relu_is_open_and_its_mean_elsewhere() -> None:
    torch.manual_seed(0)
    weight = torch.tensor([1.0, -0.5, 2.0, 0.3, 1e-6])
    bias = torch.tensor([0.0, 0.4, -1.0, 5.0, 1.0])
    x = torch.randn(16, 5, 20, 20)
    hat = (x - x.mean((0, 2, 3), keepdim=True)) / x.std(
        (0, 2, 3), correction=0, keepdim=True
    )
    z = hat * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)
    packed = CODEC.encode(z.relu(), 8)
    found = CODEC.normalised(packed, Norm(weight, bias))
    assert found[:, 4].abs().max() <= 16
    found, hat, z = found[:, :4], hat[:, :4], z[:, :4]
    error = (found - hat)[z > 0].abs()
    assert error.max() < 0.3 and error.mean() < 0.02
    for c in range(3):
        stopped = hat[:, c][z[:, c] <= 0]
        values = found[:, c][z[:, c] <= 0]
        assert (values == values[0]).all()
        assert values[0] == pytest.approx(stopped.mean().item(), abs=0.02)
    # Nothing is stopped where the bias is far above.
    assert (z[:, 3] > 0).all()


def test_other_widths_are_refused() -> None:
    with pytest.raises(OperandError, match="bits=1; Rectified has codes of 2 to 8"):
        CODEC.encode(torch.zeros(2, 512), 1)
    each = torch.full((2,), 2, dtype=torch.uint8)
    with pytest.raises(OperandError, match=r"one width for all. Use .* Fixed\(2\)"):
        CODEC.encode(torch.zeros(2, 512), each)
