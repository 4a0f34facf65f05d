"""Zero-value compression."""

from __future__ import annotations

from math import ceil

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.memory.codec import Hints
from axsim.memory.codecs.fixed_point import FixedPoint
from axsim.memory.codecs.zero_value import ZeroValue


@settings(max_examples=80, deadline=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    density=st.floats(0, 1),
    each=st.booleans(),
    signed=st.booleans(),
    stochastic=st.booleans(),
    layout=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_values_are_those_of_the_codec_inside(
    shape: list[int],
    density: float,
    each: bool,
    signed: bool,
    stochastic: bool,
    layout: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator)
    x = x if signed else x.abs()
    x = x * (torch.rand(shape, generator=generator) < density)
    if layout and x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    channels = shape[1] if len(shape) > 1 else 1
    widths = torch.randint(2, 18, (channels,), generator=generator).to(torch.uint8)
    bits = widths if each else int(widths[0])
    inside = FixedPoint("stochastic" if stochastic else "nearest")
    plain = inside.encode(x, bits, Hints(seed))
    packed = ZeroValue(inside).encode(x, bits, Hints(seed))
    values = plain.decode()
    assert torch.equal(packed.decode(), values)
    assert packed.decode().stride() == x.stride()
    own = widths if each else widths[:1].expand(channels)
    counts = (values.movedim(1, 0) if x.dim() > 1 else values[None]).flatten(1)
    counts = (counts != 0).sum(1)
    codes = sum(
        4 * int(b) * ceil(int(counts[own == b].sum()) / 32) for b in own.unique()
    )
    metadata = 4 * channels + each * channels
    size = 4 * ceil(x.numel() / 32) + codes + metadata
    assert packed.nbytes == min(size, plain.nbytes)


def test_half_types_and_bad_values() -> None:
    x = torch.randn(2, 3, 20, 20).relu().half()
    packed = ZeroValue().encode(x, 8)
    assert packed.bits_per_element < 6
    assert torch.equal(packed.decode(), FixedPoint().encode(x, 8).decode())
    x[0, 0, 0, 0] = float("inf")
    assert ZeroValue().encode(x, 8).why_raw == "not finite"
    assert not ZeroValue().unbiased
