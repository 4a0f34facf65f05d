"""Codes of a batch norm's output: exact mask, error bound, three views."""

from __future__ import annotations

from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from axsim.errors import OperandError
from axsim.memory.codec import Hints, Norm, Packed
from axsim.memory.codecs.batch_norm import BatchNormCodes

LAYOUTS = (torch.contiguous_format, torch.channels_last)
CHANNELS = 9


def encoded(
    bits: int, shift: Tensor, weight: Tensor, seed: int = 0, **kind: torch.memory_format
) -> tuple[Packed, Tensor, Tensor]:
    """Codes of weight * (x + shift), with x normalised and z."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, CHANNELS, 7, 11, generator=generator)
    norm = Norm(weight, shift * weight.abs())
    z = torch.nn.functional.batch_norm(x, None, None, *norm, training=True)
    z = z.contiguous(**kind)
    hat = torch.nn.functional.batch_norm(x, None, None, training=True)
    return BatchNormCodes().encode(z, bits, Hints(norm=norm)), hat, z


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(1, 8),
    seed=st.integers(0, 1000),
    layout=st.sampled_from(LAYOUTS),
    reach=st.sampled_from([2.5, 20.0]),
)
def test_the_mask_is_exact_and_the_error_bounded(
    bits: int, seed: int, layout: torch.memory_format, reach: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shift = reach * (2 * torch.rand(CHANNELS, generator=generator) - 1)
    weight = 3 ** torch.randn(CHANNELS, generator=generator)
    weight[::3] *= -1
    packed, hat, z = encoded(bits, shift, weight, seed, memory_format=layout)
    codec = BatchNormCodes()
    assert packed.nbytes == CHANNELS * (4 * bits * ceil(6 * 77 / 32) + 8)
    # The mask holds for every weight and shift.
    assert torch.equal(codec.mask(packed), z > 0)
    assert torch.equal(packed.decode() > 0, z > 0)
    assert torch.equal(codec.rectified(packed), packed.decode().relu())
    assert packed.decode().stride() == z.stride()
    width = 6 / 2**bits
    if reach > 2.5 or bits < 3:
        return
    inside = hat.abs() <= 3 - width
    error = (codec.normalised(packed) - hat)[inside].abs()
    assert error.max() <= width / 2 + 1e-5
    size = weight.abs().view(-1, 1, 1)
    assert ((packed.decode() - z) / size)[inside].abs().max() <= width / 2 + 1e-5


def test_errors_are_those_published() -> None:
    zeros = torch.zeros(CHANNELS)
    for bits, published in (4, 0.108), (8, 0.0068):
        packed, hat, _ = encoded(bits, zeros, torch.ones(CHANNELS))
        inside = hat.abs() <= 3
        error = (BatchNormCodes().normalised(packed) - hat)[inside]
        assert error.square().mean().sqrt() == pytest.approx(published, rel=0.03)


@pytest.mark.parametrize("shift", [-50.0, -4.0, 4.0, 50.0])
def test_far_shifts_keep_the_mask(shift: float) -> None:
    shifts = torch.full((CHANNELS,), shift)
    packed, _, z = encoded(8, shifts, torch.ones(CHANNELS))
    assert torch.equal(BatchNormCodes().mask(packed), z > 0)
    assert BatchNormCodes().normalised(packed).abs().max() <= 3


def test_a_weight_of_zero_keeps_the_mask() -> None:
    z = torch.full((4, 3, 5), 0.25)
    z[:, 1] = -0.25
    z[:, 2] = 0.0
    norm = Norm(torch.zeros(3), z[0, :, 0].clone())
    packed = BatchNormCodes().encode(z, 4, Hints(norm=norm))
    assert torch.equal(BatchNormCodes().mask(packed), z > 0)
    assert BatchNormCodes().normalised(packed).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_types_are_kept(dtype: torch.dtype) -> None:
    z = torch.randn(8, 4, 5, 5).to(dtype)
    norm = Norm(torch.full((4,), 0.01), torch.zeros(4))
    packed = BatchNormCodes().encode(z, 8, Hints(norm=norm))
    assert packed.decode().dtype == dtype
    assert torch.equal(BatchNormCodes().mask(packed), z > 0)


def test_not_finite_and_messages() -> None:
    z = torch.tensor([[1.0], [float("inf")]])
    hints = Hints(norm=Norm(torch.ones(1), torch.zeros(1)))
    assert BatchNormCodes().encode(z, 4, hints).why_raw == "not finite"
    with pytest.raises(OperandError, match=r"need its weight and bias.*Hints\(norm="):
        BatchNormCodes().encode(z, 4)
    with pytest.raises(OperandError, match="bits=9; BatchNormCodes has codes of 1 to"):
        BatchNormCodes().encode(z, 9, hints)
