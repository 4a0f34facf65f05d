"""Indices of pooling layers."""

from __future__ import annotations

from math import ceil, prod

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn.functional import max_pool1d, max_pool2d, max_pool3d

from axsim.errors import OperandError
from axsim.memory.codec import Hints, Window
from axsim.memory.codecs.window_index import WindowIndex

POOLS = {1: max_pool1d, 2: max_pool2d, 3: max_pool3d}


@settings(max_examples=60, deadline=None)
@given(dims=st.sampled_from([1, 2, 3]), data=st.data())
def test_indices_come_back(dims: int, data: st.DataObject) -> None:
    def each(low: int, high: int) -> tuple[int, ...]:
        return data.draw(st.tuples(*[st.integers(low, high)] * dims))

    size, kernel, stride, dilation = each(3, 10), each(1, 4), each(1, 3), each(1, 2)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    for s, k, p, d in zip(size, kernel, padding, dilation, strict=True):
        assume(s + 2 * p >= d * (k - 1) + 1)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    x = torch.randn(2, 3, *size, generator=generator)
    _, index = POOLS[dims](
        x, kernel, stride, padding, dilation, ceil_mode=False, return_indices=True
    )
    window = Window(size, kernel, stride, padding, dilation)
    packed = WindowIndex().encode(index, hints=Hints(window=window))
    bits = max(1, (prod(kernel) - 1).bit_length())
    assert packed.nbytes == 4 * bits * ceil(index.numel() / 32)
    out = packed.decode()
    assert out.dtype == torch.int64
    assert torch.equal(out, index)


def test_channels_last_is_kept() -> None:
    x = torch.randn(2, 5, 8, 8).contiguous(memory_format=torch.channels_last)
    _, index = max_pool2d(x, 3, 2, 1, return_indices=True)
    window = Window((8, 8), (3, 3), (2, 2), (1, 1), (1, 1))
    packed = WindowIndex().encode(index, hints=Hints(window=window))
    assert torch.equal(packed.decode(), index)
    assert packed.decode().stride() == index.stride()


def test_messages() -> None:
    index = torch.zeros(1, 1, 2, 2, dtype=torch.int64)
    with pytest.raises(OperandError, match=r"window=None; .*Hints\(window=Window"):
        WindowIndex().encode(index)
    window = Window((32, 32), (17, 17), (1, 1), (0, 0), (1, 1))
    with pytest.raises(OperandError, match="at most 256 elements"):
        WindowIndex().encode(index, hints=Hints(window=window))
