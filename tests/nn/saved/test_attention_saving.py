"""Attention in real numbers: torch's results, and codes by what a tensor is for."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.memory.codecs.fixed_point import FixedPoint
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.ledger import Line
from axsim.memory.policies.fixed import Fixed

EXACT = ax.Saved()
TWO_BITS = ax.Saved(GroupAffine(), GroupAffine(), Fixed(2))
CASES: list[dict[str, Any]] = [
    {"need": True, "dropout": 0.0},
    {"need": True, "dropout": 0.3},
    {"need": False, "dropout": 0.0},
    {"need": False, "dropout": 0.3},
    {"need": True, "dropout": 0.0, "bias": False, "cross": True},
]


class Attention(nn.Module):
    def __init__(self, need: bool, cross: bool = False, **settings: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.heads = nn.MultiheadAttention(32, 4, batch_first=True, **settings)
        self.need, self.cross = need, cross

    def forward(self, x: Tensor) -> Tensor:
        other = x.flip(1)[:, 2:] if self.cross else x
        return self.heads(x, other, other, need_weights=self.need)[0]


def image(dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 16, 32, generator=generator, dtype=dtype)


def converted(net: nn.Module, saved: ax.Saved) -> nn.Module:
    return ax.approximate(net, ax.LayerSpec(saved=saved))


def gradients(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    leaf = x.clone().requires_grad_()
    torch.manual_seed(5)
    y = net(leaf)
    names = ["x", *(name for name, _ in net.named_parameters())]
    g = torch.sin(torch.arange(float(y.numel()))).view(y.shape)
    found = torch.autograd.grad(y, [leaf, *net.parameters()], g)
    return {"y": y, **dict(zip(names, found, strict=True))}


def lines_of(net: nn.Module) -> dict[str, Line]:
    return {n.slot.split(".")[-1]: n for n in ax.plan(net).store.ledger.lines}


@pytest.mark.parametrize("case", CASES)
def test_an_exact_answer_changes_nothing(case: dict[str, Any]) -> None:
    net = Attention(**case)
    kept = converted(net, EXACT)
    assert type(kept.heads).__name__ == "ApproxMultiheadAttention"
    found, expected = gradients(kept, image()), gradients(net, image())
    for name, value in expected.items():
        assert torch.equal(found[name], value)
    assert lines_of(kept)
    gc.collect()
    assert ax.plan(kept).store.ledger.kept == 0


@pytest.mark.parametrize("case", CASES)
def test_codes_leave_output_and_its_bias_exact(case: dict[str, Any]) -> None:
    net = Attention(**case)
    kept = converted(net, TWO_BITS)
    found, expected = gradients(kept, image()), gradients(net, image())
    assert torch.equal(found["y"], expected["y"])
    if "heads.out_proj.bias" in expected:
        name = "heads.out_proj.bias"
        assert torch.equal(found[name], expected[name])
    assert not torch.equal(
        found["heads.out_proj.weight"], expected["heads.out_proj.weight"]
    )
    lines, fused = lines_of(kept), not case["need"] and not case["dropout"]
    assert lines["projections"].bits == pytest.approx(2.125, rel=0.02)
    # The mixture and the heads that a fused kernel reads stay what they are.
    exactly = torch.equal(found["x"], expected["x"])
    assert exactly == fused
    if fused:
        assert set(lines) == {"projections", "fused"}
        assert lines["fused"].bits == 32
        return
    assert lines["heads"].bits == pytest.approx(2.125, rel=0.02)
    assert lines["weights"].bits == pytest.approx(8.125, rel=0.02)
    assert ("dropout" in lines) == bool(case["dropout"])
    if case["dropout"]:
        assert lines["dropout"].bits == 1


def test_many_draws_average_to_the_gradient() -> None:
    net = Attention(need=True)
    kept, draws = converted(net, TWO_BITS), 150
    expected = gradients(net, image())
    each = [gradients(kept, image()) for _ in range(draws)]
    for name in ("heads.out_proj.weight", "heads.in_proj_weight", "x"):
        found = torch.stack([g[name] for g in each])
        error = (found.mean(0) - expected[name]).norm() / expected[name].norm()
        chance = (found.var(0).sum() / draws).sqrt() / expected[name].norm()
        # Eight bits of the softmax's result leave a bias far below the noise.
        assert error < 1.3 * chance + 0.002


def test_sixteen_bits_are_as_good_as_exact() -> None:
    net = Attention(need=True)
    kept = converted(net, ax.Saved(FixedPoint(), policy=Fixed(16)))
    found, expected = gradients(kept, image()), gradients(net, image())
    for name, value in expected.items():
        # The weights of values have 8 bits whatever the policy says.
        assert (found[name] - value).norm() <= 0.02 * value.norm() + 1e-5


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: Attention(need=True), (2, 3, 32)),
        (lambda: Attention(need=False), (1, 3, 32)),
        (lambda: nn.ConvTranspose1d(2, 3, 3, stride=2), (2, 2, 5)),
        (lambda: nn.ConvTranspose3d(2, 2, 2, stride=2), (1, 2, 2, 3, 2)),
    ],
)
def test_gradients_are_derivatives(layer: Any, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = converted(nn.Sequential(layer()), EXACT).double()
    x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, x, eps=1e-6, atol=1e-5, rtol=1e-3)


def test_products_of_layers_without_a_multiplier_are_still_told() -> None:
    net = nn.Sequential(nn.ConvTranspose1d(2, 3, 3), nn.Flatten(), nn.Linear(21, 2))
    kept = ax.approximate(
        net, ax.LayerSpec(saved=EXACT), calibration=[torch.randn(1, 2, 5)]
    )
    assert ax.plan(kept).unreached == ("0: convolution",)
