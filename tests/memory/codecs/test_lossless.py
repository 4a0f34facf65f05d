"""Raw codes."""

from __future__ import annotations

from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import OperandError
from axsim.memory.codecs.lossless import Lossless
from axsim.quant.codes import Codes, encode
from axsim.quant.scheme import Scheme


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    bits=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_codes_come_back(shape: list[int], bits: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 1 << bits, shape, generator=generator, dtype=torch.uint8)
    packed = Lossless().encode(codes, bits)
    assert packed.nbytes == 4 * bits * ceil(codes.numel() / 32)
    assert torch.equal(packed.decode(), codes)


def test_what_a_fake_quantised_layer_saves() -> None:
    scheme = Scheme(4, signed=True, symmetric=True)
    x, scale, zero = torch.randn(6, 50), torch.tensor(0.3), torch.tensor(0)
    codes = Codes(encode(x, scale, zero, scheme), scale, zero, scheme)
    packed = Lossless().encode(codes.raw, scheme.bits)
    kept = codes._replace(raw=packed.decode())
    assert torch.equal(kept.values(), codes.values())
    assert packed.bits_per_element < 4.3


def test_messages() -> None:
    codes = torch.tensor([1, 4], dtype=torch.uint8)
    with pytest.raises(OperandError, match=r"a code of 4; 2 bits hold 0 to 3\. Use"):
        Lossless().encode(codes, 2)
    with pytest.raises(OperandError, match=r"torch.int64 codes and bits=3; raw codes"):
        Lossless().encode(codes.long(), 3)
