"""Eight-bit floating numbers."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.memory.codecs.fp8 import Fp8

BOUNDS = {"e4m3": (1 / 16, 2.0**-16), "e5m2": (1 / 8, 2.0**-30)}
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    kind=st.sampled_from(["e4m3", "e5m2"]),
    dtype=st.sampled_from(DTYPES),
    exponent=st.integers(-30, 4),
    seed=st.integers(0, 1000),
)
def test_round_trip(
    shape: list[int],
    kind: Literal["e4m3", "e5m2"],
    dtype: torch.dtype,
    exponent: int,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(shape, generator=generator) * 2.0**exponent).to(dtype)
    packed = Fp8(kind).encode(x)
    assert packed.nbytes == x.numel() + 4
    out = packed.decode()
    assert (out.dtype, out.shape) == (dtype, x.shape)
    if not x.numel():
        return
    relative, absolute = BOUNDS[kind]
    magnitude = x.abs().double()
    tiny = torch.finfo(dtype).tiny
    bound = torch.maximum(relative * magnitude, absolute * magnitude.max()) + tiny
    assert ((out.double() - x.double()).abs() <= bound).all()


@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-38, 3.4e38])
def test_extremes(value: float) -> None:
    x = torch.tensor([value, -value])
    out = Fp8().encode(x).decode()
    assert (out - x).abs().max() <= max(value / 16, 2.0**-136)


def test_layout_is_kept_and_what_is_not_finite() -> None:
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert Fp8().encode(x).decode().stride() == x.stride()
    x[0, 0, 0, 0] = float("nan")
    assert Fp8().encode(x).why_raw == "not finite"
