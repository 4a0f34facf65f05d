"""PACT: forward, gradients and its two step sizes, from the formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from axsim.errors import OperandError
from axsim.quant.pact import PactQuantizer, Step
from axsim.quant.sign_magnitude import sign_magnitude


def values(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(quantizer: PactQuantizer, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor, float]:
    """Output, gradient of x and gradient of alpha."""
    leaf = x.clone().requires_grad_()
    y = quantizer(leaf)
    y.backward(g)
    assert leaf.grad is not None
    assert quantizer.alpha.grad is not None
    return y.detach(), leaf.grad, float(quantizer.alpha.grad)


def test_step_of_alpha_by_hand() -> None:
    x = torch.tensor([-1.0, 0.0, 0.4, 1.6, 3.0, 7.0])
    g = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    y, dx, dalpha = run(PactQuantizer(bits=2, alpha=3.0), x, g)
    assert y.tolist() == [0, 0, 0, 2, 3, 3]
    # x = alpha passes its gradient to both, as the paper has it.
    assert dx.tolist() == [0, 2, 4, 8, 16, 0]
    assert dalpha == 48


def test_step_of_the_maximum_by_hand() -> None:
    quantizer = PactQuantizer(bits=2, alpha=6.0, step="max")
    x = torch.tensor([-1.0, 0.0, 0.4, 1.6, 3.0])
    y, dx, dalpha = run(quantizer, x, torch.ones(5))
    # Nothing reaches alpha: the step is a third of the largest value, and the
    # sign-magnitude quantiser passes nothing at zero.
    assert torch.allclose(y, torch.tensor([0.0, 0.0, 0.0, 2.0, 3.0]), atol=1e-6)
    assert dx.tolist() == [0, 0, 1, 1, 1]
    assert dalpha == 0
    y, dx, dalpha = run(quantizer, torch.tensor([1.0, 6.0, 8.0]), torch.ones(3))
    assert torch.allclose(y, torch.tensor([0.0, 6.0, 6.0]), atol=1e-6)
    assert dx.tolist() == [1, 1, 0]
    assert dalpha == 1


@pytest.mark.parametrize("bits", [1, 3, 8])
@pytest.mark.parametrize("step", ["alpha", "max"])
def test_equals_the_closed_form(step: Step, bits: int) -> None:
    x, g, alpha = values(1, 5, 400) * 3, values(2, 5, 400), 1.75
    y, dx, dalpha = run(PactQuantizer(bits, alpha, step), x, g)
    levels = 2**bits - 1
    clipped = x.clamp(0, alpha)
    top = alpha if step == "alpha" else float(clipped.max()) + 1e-7
    expected = (clipped.double() / top * levels).round() * top / levels
    # A tie may fall either way in float32.
    assert ((y - expected).abs() > 1e-5).double().mean() < 1e-3
    assert torch.equal(dx, torch.where((x >= 0) & (x <= alpha), g, 0))
    assert dalpha == pytest.approx(float(g[x > alpha].double().sum()), rel=1e-5)


@pytest.mark.parametrize("step", ["alpha", "max"])
def test_codes_stand_for_the_output(step: Step) -> None:
    x, quantizer = values(3, 1000) * 4, PactQuantizer(4, 2.5, step)
    codes = quantizer.codes(x)
    assert torch.equal(codes.values(), quantizer(x))
    assert codes.raw.max() == 15
    assert not codes.scale.requires_grad
    scale, zero_point = quantizer.params(x)
    assert torch.equal(scale, codes.scale)
    assert zero_point == 0


def test_maximum_equals_clip_then_sign_magnitude() -> None:
    x = values(4, 100)
    y = PactQuantizer(3, 0.7, "max")(x)
    assert torch.equal(y, sign_magnitude(x.clamp(0, 0.7), 3))


def test_only_the_step_of_the_maximum_depends_on_the_batch() -> None:
    x = values(5, 8, 30).abs()
    steps: dict[Step, bool] = {"alpha": True, "max": False}
    for step, same in steps.items():
        quantizer = PactQuantizer(4, 6.0, step)
        parts = torch.cat([quantizer(row) for row in x.split(1)])
        assert torch.equal(parts, quantizer(x)) == same


def test_a_clip_that_training_drove_below_zero_stays_finite() -> None:
    quantizer = PactQuantizer(4)
    with torch.no_grad():
        quantizer.alpha.fill_(-1.0)
    assert bool(quantizer(values(6, 10)).isfinite().all())
    assert bool(quantizer.codes(values(6, 10)).values().isfinite().all())


def test_alpha_learns() -> None:
    quantizer, x = PactQuantizer(4, alpha=1.0), values(7, 1000).abs() * 2
    optimiser = torch.optim.SGD(quantizer.parameters(), lr=0.5)
    before = (quantizer(x) - x).square().mean()
    for _ in range(30):
        optimiser.zero_grad()
        (quantizer(x) - x).square().mean().backward()
        optimiser.step()
    assert (quantizer(x) - x).square().mean() < 0.2 * before


def test_modes_print_and_travel() -> None:
    quantizer = PactQuantizer(4, 2.5, name="act1")
    assert quantizer.mode == "learnable"
    assert repr(quantizer) == (
        "PactQuantizer('act1': uint4 symmetric per tensor, 0 … 15, "
        "learnable: alpha 2.5, step from alpha)"
    )
    other = PactQuantizer(4)
    other.load_state_dict(quantizer.state_dict())
    assert other.alpha == 2.5
    wider = PactQuantizer(5, name="act1")
    with pytest.raises(OperandError, match="'act1' has scheme"):
        wider.load_state_dict(quantizer.state_dict())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0.0}, "alpha=0.0; the first clip is finite and above 0"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"step": "mean"}, "step='mean'; choose 'alpha' or 'max'"),
        ({"bits": 9}, "bits=9; unsigned codes"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OperandError, match=message):
        PactQuantizer(**settings)
