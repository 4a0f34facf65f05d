"""Codes against a scalar twin, PyTorch's own operator, and every layout and type."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import OperandError
from axsim.quant.blocks import BLOCK
from axsim.quant.codes import Codes, decode, encode, integers, raw_codes
from axsim.quant.params import choose_params
from axsim.quant.scheme import PerAxis, Scheme

SCHEMES = [
    Scheme(),
    Scheme(bits=1),
    Scheme(bits=5, signed=True),
    Scheme(signed=True, symmetric=True),
    Scheme(bits=2, signed=True, symmetric=True, narrow=True),
    Scheme(limits=(0, 127)),
    Scheme(rounding="half_up"),
    Scheme(bits=4, signed=True, rounding="half_up"),
]


def scalar_code(x: float, scale: float, zero_point: int, scheme: Scheme) -> int:
    """The readable truth: one float32 product, then whole numbers."""
    with np.errstate(over="ignore"):
        steps = np.float32(x) * (np.float32(1) / np.float32(scale))
    if not np.isfinite(steps):
        return scheme.quant_max if steps > 0 else scheme.quant_min
    if scheme.rounding == "half_up":
        whole = int(np.floor(steps + np.float32(0.5)))
    else:
        whole = round(Fraction(float(steps)))
    return min(max(whole + zero_point, scheme.quant_min), scheme.quant_max)


def values(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equals_the_scalar_twin(scheme: Scheme, data: st.DataObject) -> None:
    scale = data.draw(st.floats(2.0**-126, 2.0**100, width=32))
    zero_point = data.draw(st.integers(scheme.quant_min, scheme.quant_max))
    steps = st.floats(-300, 300, width=32).map(lambda v: float(np.float32(v * scale)))
    ties = st.integers(-300, 300).map(lambda k: float(np.float32((k + 0.5) * scale)))
    anything = st.floats(width=32, allow_nan=False)
    x = data.draw(st.lists(steps | ties | anything, min_size=1, max_size=20))
    params = torch.tensor(scale), torch.tensor(zero_point, dtype=torch.int32)
    raw = encode(torch.tensor(x), *params, scheme)
    assert integers(raw, scheme).tolist() == [
        scalar_code(v, scale, zero_point, scheme) for v in x
    ]
    assert int(raw.max()) < 1 << scheme.bits


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@settings(max_examples=60, deadline=None)
@given(scale=st.floats(2.0**-100, 2.0**100, width=32), data=st.data())
def test_values_are_exact_products_and_encode_to_themselves(
    scheme: Scheme, scale: float, data: st.DataObject
) -> None:
    zero = data.draw(st.integers(scheme.quant_min, scheme.quant_max))
    codes = torch.arange(scheme.quant_min, scheme.quant_max + 1)
    params = torch.tensor(scale), torch.tensor(zero, dtype=torch.int32)
    raw = raw_codes(codes, scheme)
    assert torch.equal(integers(raw, scheme).long(), codes)
    wide = decode(raw, *params, scheme, torch.float64)
    assert wide.tolist() == [(int(code) - zero) * scale for code in codes]
    narrow = decode(raw, *params, scheme)
    assert torch.equal(narrow, wide.float())
    assert torch.equal(encode(narrow, *params, scheme), raw)


def pytorchs(name: str) -> Any:
    """PyTorch's decomposed operator; its home is going away."""
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    try:
        return getattr(torch.ops.quantized_decomposed, name)
    except AttributeError:
        pytest.skip(f"torch.ops.quantized_decomposed has no {name} any more")


@pytest.mark.parametrize(
    ("scheme", "dtype"),
    [
        (Scheme(), torch.uint8),
        (Scheme(limits=(0, 127)), torch.uint8),
        (Scheme(signed=True), torch.int8),
        (Scheme(signed=True, symmetric=True, narrow=True), torch.int8),
    ],
    ids=str,
)
def test_equals_pytorchs_operator_on_millions_of_values(
    scheme: Scheme, dtype: torch.dtype
) -> None:
    quantise = pytorchs("quantize_per_tensor")
    for seed in range(4):
        x = values(seed, 1 << 20)
        scale, zero = choose_params(0.3 * x.min(), 0.9 * x.max(), scheme)
        # Ties, and their neighbours on both sides, as far as float32 has them.
        ties = (torch.arange(-300, 300) + 0.5) * scale
        x = torch.cat([x, ties, ties.nextafter(x.max()), ties.nextafter(x.min())])
        limits = scheme.quant_min, scheme.quant_max
        theirs = quantise(x, float(scale), int(zero), *limits, dtype)
        assert torch.equal(integers(encode(x, scale, zero, scheme), scheme), theirs)


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_equals_pytorchs_operator_per_channel(axis: int) -> None:
    quantise = pytorchs("quantize_per_channel")
    scheme = Scheme(signed=True, granularity=PerAxis(axis))
    x = values(axis, 64, 32, 9, 16)
    rows = x.movedim(axis, 0).flatten(1)
    scale, zero = choose_params(0.8 * rows.amin(1), 0.8 * rows.amax(1), scheme)
    theirs = quantise(x, scale, zero, axis, -128, 127, torch.int8)
    assert torch.equal(integers(encode(x, scale, zero, scheme), scheme), theirs)


def test_dividing_by_the_scale_is_another_rounding() -> None:
    # Why the reciprocal is part of the contract: here it lands on a tie, and the
    # quotient beside it.
    x, scale = values(0, 1 << 22), torch.tensor(0.0137)
    divided = ((x / scale).round() + 100).clamp(0, 255).to(torch.uint8)
    ours = encode(x, scale, torch.tensor(100), Scheme())
    assert 0 < int((divided != ours).sum()) < 50


def layouts() -> dict[str, torch.Tensor]:
    """More than one block each, and not a multiple of a block."""
    x = values(5, 3, 7, 129, 131)
    return {
        "contiguous": x,
        "channels last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.transpose(1, 3),
        "sliced": values(6, 3, 7, 129, 262)[..., ::2],
        "expanded": values(7, 1, 7, 129, 131).expand(3, -1, -1, -1),
        "permuted": values(8, 700, 2, 601).permute(2, 0, 1),
        "grown dimension of one": values(9, 400, 1, 700).transpose(0, 2),
    }


@pytest.mark.parametrize("layout", layouts())
def test_layout_makes_no_difference(layout: str) -> None:
    x, scheme = layouts()[layout], Scheme()
    assert x.numel() > BLOCK
    params = torch.tensor(0.02), torch.tensor(99)
    raw = encode(x, *params, scheme)
    plain = ((x * (1.0 / params[0])).round() + 99).clamp(0, 255).to(torch.uint8)
    assert torch.equal(raw, plain)
    assert torch.equal(decode(raw, *params, scheme), (plain.float() - 99) * 0.02)
    if layout == "channels last":
        assert raw.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("scheme", [Scheme(), Scheme(granularity=PerAxis(0))], ids=str)
def test_other_types_use_float32_arithmetic(dtype: torch.dtype, scheme: Scheme) -> None:
    x = (values(3, 5, 70_000) * 3).to(dtype)
    scale = (
        torch.full((5,), 0.0173) if scheme.axis is not None else torch.tensor(0.0173)
    )
    zero = torch.full_like(scale, 120, dtype=torch.int32)
    raw = encode(x, scale, zero, scheme)
    assert torch.equal(raw, encode(x.float(), scale, zero, scheme))
    back = decode(raw, scale, zero, scheme, dtype)
    assert back.dtype == dtype
    wide = torch.promote_types(dtype, torch.float32)
    step = scale.to(wide) if scheme.axis is None else scale.to(wide)[:, None]
    assert torch.equal(back, ((raw.to(wide) - 120) * step).to(dtype))


def test_codes_by_hand() -> None:
    x = torch.tensor([-1.0, -0.25, 0.25, 0.75, 1.25, 100.0, -100.0])
    scale, zero = torch.tensor(0.5), torch.tensor(1)
    # Steps -2, -0.5, 0.5, 1.5, 2.5: halves go to the even neighbour, then 1 is added.
    raw = encode(x, scale, zero, Scheme(bits=4, signed=True))
    assert raw.tolist() == [0b1111, 1, 1, 3, 3, 7, 0b1000]
    assert encode(x, scale, zero, Scheme(bits=3)).tolist() == [0, 1, 1, 3, 3, 7, 0]
    half_up = Scheme(bits=4, signed=True, rounding="half_up")
    assert encode(x, scale, zero, half_up).tolist() == [0b1111, 1, 2, 3, 4, 7, 0b1000]


def test_infinities_saturate_and_nan_becomes_byte_zero() -> None:
    x = torch.tensor([torch.inf, -torch.inf, torch.nan]).repeat(1, 40)
    for scheme, ends in ((Scheme(), [255, 0]), (Scheme(signed=True), [127, 128])):
        raw = encode(x, torch.tensor(0.1), torch.tensor(7), scheme)
        assert raw[0].tolist() == [*ends, 0] * 40


def test_no_gradient_and_no_elements() -> None:
    scale, zero = torch.tensor(0.1), torch.tensor(0)
    x = torch.ones(3, requires_grad=True)
    assert not encode(x, scale, zero, Scheme()).requires_grad
    assert encode(torch.ones(0, 4), scale, zero, Scheme()).shape == (0, 4)


def test_bundle_gives_integers_and_values() -> None:
    scheme = Scheme(bits=4, signed=True)
    raw = torch.tensor([15, 7], dtype=torch.uint8)
    codes = Codes(raw, torch.tensor(0.5), torch.tensor(1), scheme)
    assert codes.integers().tolist() == [-1, 7]
    assert codes.values().tolist() == [-1.0, 3.0]
    assert codes.values(torch.float16).dtype == torch.float16


@pytest.mark.parametrize(
    ("scheme", "count", "message"),
    [
        (Scheme(), 3, "does not fit 3 scales .* need one\\."),
        (Scheme(granularity=PerAxis(1)), 2, "need one for each index of dimension 1"),
        (Scheme(granularity=PerAxis(2)), 3, r"shape \(2, 3\) does not fit 3 scales"),
    ],
)
def test_parameters_must_fit(scheme: Scheme, count: int, message: str) -> None:
    with pytest.raises(OperandError, match=message):
        encode(torch.ones(2, 3), torch.ones(count), torch.zeros(count), scheme)
