"""Scales and zero points: PyTorch's formulas, and ranges nobody expects."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.quant.codes import decode, encode
from axsim.quant.params import choose_params
from axsim.quant.scheme import SMALLEST_SCALE, PerAxis, Scheme

# Short of the largest float32, beyond which the end of a range may round.
FLOATS = st.floats(-(2.0**126), 2.0**126, width=32)
SCHEMES = [
    Scheme(),
    Scheme(bits=2),
    Scheme(signed=True),
    Scheme(symmetric=True),
    Scheme(signed=True, symmetric=True),
    Scheme(bits=3, signed=True, symmetric=True, narrow=True),
    Scheme(signed=True, symmetric=True, clips_half_step=True),
    Scheme(rounding="half_up"),
    Scheme(limits=(1, 100)),
]


def observer(name: str, **settings: Any) -> Any:
    module = pytest.importorskip("torch.ao.quantization.observer")
    if not hasattr(module, name):
        pytest.skip(f"torch.ao.quantization.observer has no {name} any more")
    return getattr(module, name)(**settings)


def columns(seed: int) -> torch.Tensor:
    """Rows of wildly different ranges, one-sided ones among them."""
    rows = torch.randn(4000, 32, generator=torch.Generator().manual_seed(seed))
    rows *= torch.logspace(-6, 4, 4000)[:, None]
    rows[::5] = rows[::5].abs()
    rows[1::5] = -rows[1::5].abs()
    return rows


@pytest.mark.parametrize("eps", [2.0**-12, 2.0**-40])
def test_affine_equals_pytorchs_observer(eps: float) -> None:
    rows = columns(1)
    theirs = observer(
        "PerChannelMinMaxObserver",
        dtype=torch.quint8,
        qscheme=torch.per_channel_affine,
        quant_min=0,
        quant_max=255,
        eps=eps,
    )
    theirs(rows)
    scale, zero_point = theirs.calculate_qparams()
    ours = choose_params(rows.amin(1), rows.amax(1), Scheme(eps=eps))
    assert torch.equal(ours[0], scale)
    assert torch.equal(ours[1], zero_point.int())


@pytest.mark.parametrize(
    "scheme",
    [
        Scheme(signed=True, symmetric=True, clips_half_step=True),
        Scheme(signed=True, symmetric=True, narrow=True),
    ],
)
def test_symmetric_equals_pytorchs_observer(scheme: Scheme) -> None:
    rows = columns(2)
    theirs = observer(
        "PerChannelMinMaxObserver",
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        quant_min=scheme.quant_min,
        quant_max=scheme.quant_max,
        eps=scheme.eps,
    )
    theirs(rows)
    scale, zero_point = theirs.calculate_qparams()
    ours = choose_params(rows.amin(1), rows.amax(1), scheme)
    assert torch.equal(ours[0], scale)
    assert torch.equal(ours[1], zero_point.int())


def test_the_larger_side_decides_a_symmetric_scale() -> None:
    low, high = torch.tensor([-128.0, -1.0, 0.0]), torch.tensor([1.0, 127.0, 254.0])
    scale, _ = choose_params(low, high, Scheme(signed=True, symmetric=True))
    assert scale.tolist() == [1.0, 1.0, 2.0]
    scale, _ = choose_params(low, high, Scheme(symmetric=True))
    assert scale.tolist() == torch.tensor([1 / 255, 127 / 255, 254 / 255]).tolist()


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@settings(max_examples=60, deadline=None)
@given(ends=st.tuples(FLOATS, FLOATS))
def test_the_range_is_covered_and_zero_is_exact(
    scheme: Scheme, ends: tuple[float, float]
) -> None:
    low, high = min(ends), max(ends)
    scale, zero_point = choose_params(torch.tensor(low), torch.tensor(high), scheme)
    step, zero = float(scale), int(zero_point)
    assert step >= SMALLEST_SCALE
    assert math.isfinite(step)
    assert scheme.quant_min <= zero <= scheme.quant_max
    reach = [(code - zero) * step for code in (scheme.quant_min, scheme.quant_max)]
    # Unsigned codes around 0 hold no negative value by definition; the rounded zero
    # point, or the half step that clips, may cost each end half a step.
    slack = step * 0.5 * (1 + 1e-4)
    assert reach[1] >= high - slack
    if scheme.quant_min < 0 or not scheme.symmetric:
        assert reach[0] <= low + slack
    x = torch.tensor([0.0, low, high])
    values = decode(encode(x, scale, zero_point, scheme), scale, zero_point, scheme)
    assert values[0] == 0.0
    assert bool(values.isfinite().all())


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("value", [0.0, 1e-45, -1e-45, 2.5, -2.5, 1e38, -1e38])
def test_a_constant_tensor_keeps_its_value_to_half_a_step(
    scheme: Scheme, value: float
) -> None:
    x = torch.full((3,), value)
    params = choose_params(x.min(), x.max(), scheme)
    error = (decode(encode(x, *params, scheme), *params, scheme) - x).abs()
    unseen = scheme.symmetric and not scheme.signed and value < 0
    assert unseen or bool((error <= params[0] * 0.5001).all())


def test_a_range_wider_than_the_largest_float32() -> None:
    scale, zero_point = choose_params(torch.tensor(-3e38), torch.tensor(3e38), Scheme())
    assert float(scale) == pytest.approx(6e38 / 255, rel=1e-6)
    assert zero_point == 128


def test_half_up_zero_point_is_exact_just_below_a_half() -> None:
    # Adding a half to this quotient in float32 would give 1.
    low = torch.tensor(0.5).nextafter(torch.tensor(0.0)).neg()
    scale, zero_point = choose_params(
        low, torch.tensor(254.5), Scheme(rounding="half_up")
    )
    assert (scale, zero_point) == (1.0, 0)


def test_infinite_and_nan_ranges_never_look_plausible() -> None:
    low = torch.tensor([0.0, -math.inf, math.nan])
    high = torch.tensor([math.inf, 1.0, 1.0])
    for scheme in (Scheme(granularity=PerAxis(0)), Scheme(signed=True, symmetric=True)):
        scale, zero_point = choose_params(low, high, scheme)
        assert not scale.isfinite().any()
        assert bool((zero_point >= scheme.quant_min).all())
        assert bool((zero_point <= scheme.quant_max).all())


def test_a_range_without_zero_is_widened_or_shifted() -> None:
    # TensorFlow's documentation: 0 < min gives 0 … max - min, max < 0 min - max … 0.
    low, high = torch.tensor([100.0, -3.0, -1.0]), torch.tensor([355.0, -2.49, 1.55])
    scale, zero_point = choose_params(low, high, Scheme(nudge="shift"))
    torch.testing.assert_close(scale, torch.tensor([1.0, 0.002, 0.01]))
    assert zero_point.tolist() == [0, 255, 100]
    scale, zero_point = choose_params(low, high, Scheme())
    torch.testing.assert_close(scale, torch.tensor([355 / 255, 3 / 255, 0.01]))
    assert zero_point.tolist() == [0, 255, 100]


@given(FLOATS)
def test_a_constant_has_no_length_to_keep(value: float) -> None:
    end = torch.tensor(value)
    shifted = choose_params(end, end, Scheme(nudge="shift"))
    assert torch.equal(
        torch.stack(shifted), torch.stack(choose_params(end, end, Scheme()))
    )
