"""Bit masks."""

from __future__ import annotations

from math import ceil

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.memory.codecs.bit_mask import BitMask

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool)


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 1000),
)
def test_a_mask_is_exact(shape: list[int], dtype: torch.dtype, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-2, 3, shape, generator=generator).clamp(min=0).to(dtype)
    packed = BitMask().encode(x)
    assert packed.nbytes == 4 * ceil(x.numel() / 32)
    out = packed.decode()
    assert out.dtype == torch.bool
    assert torch.equal(out, x > 0)


def test_the_smallest_numbers_and_the_odd_ones() -> None:
    nan, inf = float("nan"), float("inf")
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        tiny = torch.finfo(dtype).smallest_normal
        x = torch.tensor([tiny, -tiny, 0.0, -0.0, nan, inf, -inf, tiny / 2, 1e-300])
        x = x.to(dtype) if dtype != torch.float64 else x.double()
        assert torch.equal(BitMask().encode(x).decode(), x > 0)


def test_layout_is_kept() -> None:
    x = torch.randn(2, 3, 5, 7).contiguous(memory_format=torch.channels_last)
    out = BitMask().encode(x).decode()
    assert out.stride() == x.stride()
    assert torch.equal(out, x > 0)
    gaps = torch.randn(9, 9)[:, ::2]
    assert torch.equal(BitMask().encode(gaps).decode(), gaps > 0)
