"""Gradients against their closed forms, and values against the codes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from axsim.quant.blocks import BLOCK
from axsim.quant.codes import Codes, encode
from axsim.quant.params import choose_params
from axsim.quant.scheme import PerAxis, Scheme
from axsim.quant.straight_through import clip, fake_quantise

SCHEMES = [
    Scheme(),
    Scheme(bits=3, rounding="half_up"),
    Scheme(bits=4, signed=True, symmetric=True, narrow=True),
    Scheme(bits=5, signed=True, granularity=PerAxis(1)),
]


def values(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tight(x: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Parameters of a range that leaves out a good part of the values."""
    rows = x.flatten() if scheme.axis is None else x.movedim(scheme.axis, 0).flatten(1)
    low, high = rows.amin(-1), rows.amax(-1)
    return choose_params(0.4 * low, 0.5 * high, scheme)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("shape", [(4, 6, 5), (2, 3, BLOCK // 4)], ids=str)
def test_values_are_those_of_the_codes(scheme: Scheme, shape: tuple[int, ...]) -> None:
    x = values(1, *shape)
    params = tight(x, scheme)
    codes = Codes(encode(x, *params, scheme), *params, scheme)
    assert torch.equal(fake_quantise(x, *params, scheme), codes.values())
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        y = fake_quantise(x.to(dtype), *params, scheme)
        again = encode(x.to(dtype), *params, scheme)
        assert y.dtype == dtype
        assert torch.equal(y, Codes(again, *params, scheme).values(dtype))


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("shape", [(4, 6, 5), (2, 3, BLOCK // 4)], ids=str)
def test_gradient_passes_inside_the_codes_only(
    scheme: Scheme, shape: tuple[int, ...]
) -> None:
    x, g = values(2, *shape).requires_grad_(), values(3, *shape)
    scale, zero = tight(x.detach(), scheme)
    fake_quantise(x, scale, zero, scheme).backward(g)
    # The closed form in real numbers: half a step beyond the last code still rounds
    # to it. Which side of that edge float32 sees is left open.
    share = () if scheme.axis is None else (1, -1, 1)
    steps = x.detach().double() / scale.double().reshape(share) + zero.reshape(share)
    beyond = torch.maximum(scheme.quant_min - steps, steps - scheme.quant_max) - 0.5
    assert 0.2 < (beyond < 0).double().mean() < 0.99
    clear = beyond.abs() > 1e-5
    assert clear.double().mean() > 0.999
    assert x.grad is not None
    assert torch.equal(x.grad[clear], torch.where(beyond < 0, g, 0)[clear])


def test_mask_equals_pytorchs_where_there_are_no_ties() -> None:
    x = values(4, 10_000).requires_grad_()
    torch.fake_quantize_per_tensor_affine(x, 0.01, 100, 0, 255).sum().backward()
    assert x.grad is not None
    theirs = x.grad.clone()
    x.grad.zero_()
    fake_quantise(x, torch.tensor(0.01), torch.tensor(100), Scheme()).sum().backward()
    assert 0 < theirs.sum() < 10_000
    assert torch.equal(x.grad, theirs)


def test_both_end_codes_pass_gradient() -> None:
    scheme, x = Scheme(bits=2), torch.tensor([-0.6, -0.5, 0.0, 3.0, 3.49, 3.5, 9.0])
    fake_quantise(x.requires_grad_(), torch.tensor(1.0), torch.tensor(0), scheme).sum(
    ).backward()  # fmt: skip
    # -0.5 rounds to the even 0, 3.5 to the even 4, which is no code.
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 0, 0]


def test_nan_stays_visible_and_passes_no_gradient() -> None:
    x = torch.tensor([torch.nan, 1.0], requires_grad=True)
    y = fake_quantise(x, torch.tensor(0.5), torch.tensor(0), Scheme())
    y.backward(torch.ones(2))
    assert y.isnan().tolist() == [True, False]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1]


def test_gradient_of_the_gradient_is_the_same_mask() -> None:
    x = torch.tensor([0.2, 9.0], requires_grad=True)
    g = torch.tensor([2.0, 3.0], requires_grad=True)
    y = fake_quantise(x, torch.tensor(0.5), torch.tensor(0), Scheme(bits=2))
    (first,) = torch.autograd.grad(y, x, g, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), g)
    assert second.tolist() == [1, 0]


@pytest.mark.parametrize(("inclusive", "expected"), [(False, 1.0), (True, 2.0)])
def test_clip_by_hand(inclusive: bool, expected: float) -> None:
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0], requires_grad=True)
    alpha = torch.tensor(1.0, requires_grad=True)
    y = clip(x, alpha, inclusive)
    y.sum().backward()
    assert y.tolist() == [0, 0, 0.5, 1, 1]
    assert x.grad is not None
    assert alpha.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    assert alpha.grad.item() == expected


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), start=st.floats(0.1, 2.0))
def test_clip_is_differentiable_away_from_its_corners(seed: int, start: float) -> None:
    x = values(seed, 4, 5).double()
    x = x[(x.abs() > 1e-3) & ((x - start).abs() > 1e-3)].requires_grad_()
    alpha = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(clip, (x, alpha))


def test_clip_of_half_precision_keeps_a_float32_alpha() -> None:
    # 2051 would round to 2052 in half precision.
    x = torch.tensor([2050.0, 2052.0], dtype=torch.float16, requires_grad=True)
    alpha = torch.tensor(2051.0, requires_grad=True)
    y = clip(x, alpha)
    y.sum().backward()
    assert y.dtype == torch.float16
    assert x.grad is not None
    assert alpha.grad is not None
    assert (x.grad.tolist(), alpha.grad.item()) == ([1, 0], 1)
    assert alpha.grad.dtype == torch.float32


# torch's own tracer makes an instance of every autograd function it meets.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_in_one_graph() -> None:
    scheme = Scheme(bits=4, signed=True, granularity=PerAxis(0))
    x = values(5, 3, 7)
    params = tight(x, scheme)

    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        return fake_quantise(x, *params, scheme), encode(x, *params, scheme)

    compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
    results: list[list[Tensor]] = []
    for function in (both, compiled):
        leaf = x.clone().requires_grad_()
        y, raw = function(leaf)
        y.square().sum().backward()
        assert leaf.grad is not None
        results.append([y.detach(), raw, leaf.grad])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
