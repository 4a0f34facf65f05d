"""The kernels of masks make what the general ones make."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import OperandError
from axsim.kernels.mask import pack_mask, unpack_mask
from axsim.kernels.pack import pack, rows_of

TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.bool)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1200), st.sampled_from(TYPES), st.integers(0, 99))
def test_masks_are_codes_of_one_bit(size: int, dtype: torch.dtype, seed: int) -> None:
    x = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    if size > 5:
        x[:5] = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
    x = x.to(dtype) if dtype.is_floating_point else (x > 0).to(dtype)
    one = torch.ones(1)
    words = pack(x, 1, rows_of(x), rounding="above", inverse=one, zero=one).words
    found = pack_mask(x)
    assert torch.equal(found, words)
    assert torch.equal(unpack_mask(found, torch.empty_like(x)), (x > 0).to(dtype))


def test_masks_have_a_worth_and_keep_the_order_of_memory() -> None:
    x = torch.randn(2, 5, 7, 9).to(memory_format=torch.channels_last)
    out = unpack_mask(pack_mask(x), torch.empty_like(x), 1.25)
    assert torch.equal(out, 1.25 * (x > 0))


def test_what_has_gaps_is_refused() -> None:
    with pytest.raises(OperandError, match="leave gaps in memory"):
        pack_mask(torch.randn(8, 8)[:, ::2])
