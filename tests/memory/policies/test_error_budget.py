"""AC-GC's budget: the realised error of weight gradients stays inside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d

from axsim.errors import OperandError
from axsim.memory.codecs.fixed_point import FixedPoint
from axsim.memory.policies.error_budget import ErrorBudget
from axsim.memory.policy import Gradients, Slot

CONV = Slot("conv", "matmul_in", kernel=(3, 3), stride=(2, 2))
NORM = Slot("norm", "norm_in")


def products(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 6, 12, 12, generator=generator).relu()
    w = torch.randn(5, 6, 3, 3, generator=generator, requires_grad=True)
    y = conv2d(x, w, stride=2, padding=1)
    return x, w, torch.randn(y.shape, generator=generator)


def gradient_of(x: Tensor, w: Tensor, dy: Tensor) -> Tensor:
    y = conv2d(x, w, stride=2, padding=1)
    return torch.autograd.grad(y, w, dy)[0]


def observed(policy: ErrorBudget, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, w, dy = products(seed)
    dw = gradient_of(x, w, dy)
    policy.observe(CONV, lambda: x, Gradients(dy, dw))
    return x, w, dy, dw


def test_the_tolerance_is_the_formula() -> None:
    policy = ErrorBudget(0.5)
    x, _, dy, dw = observed(policy, 0)
    expected = (0.5 * (dw**2).sum() / (2 * x.numel() * 9 / 4 * (dy**2).sum())).sqrt()
    found = policy.tolerance(CONV, x)
    assert found is not None
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("squared", [1.0, 1e-2, 1e-4])
def test_the_realised_error_is_inside_the_budget(squared: float) -> None:
    policy = ErrorBudget(squared)
    for seed in range(5):
        x, w, dy, dw = observed(policy, seed)
        policy.end_step()
        tolerance = policy.tolerance(CONV, x)
        packed = FixedPoint().encode(x, policy.bits(CONV, x))
        assert tolerance is not None
        assert (packed.decode() - x).abs().max() <= tolerance
        error = gradient_of(packed.decode(), w, dy) - dw
        assert (error**2).sum() / (dw**2).sum() <= squared


def test_less_budget_costs_more_bits() -> None:
    widths: list[float] = []
    for squared in (1.0, 1e-2, 1e-4):
        policy = ErrorBudget(squared)
        x, *_ = observed(policy, 0)
        bits = policy.bits(CONV, x)
        assert isinstance(bits, Tensor)
        widths.append(bits.float().mean().item())
    # A hundredth of the budget is a tenth of the step.
    assert widths[1] - widths[0] == pytest.approx(3.32, abs=0.5)
    assert widths[2] - widths[1] == pytest.approx(3.32, abs=0.5)


def test_the_tolerance_of_a_batch_norm_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 3, 6, 6, generator=generator, requires_grad=True)
    scale = torch.tensor([0.5, 1.0, 2.0], requires_grad=True)
    z = batch_norm(x, None, None, scale, torch.zeros(3), training=True)
    dz = torch.randn(z.shape, generator=generator) * (z > 0)
    dx, dg = torch.autograd.grad(z, (x, scale), dz)
    inverse = (x.detach().var((0, 2, 3), unbiased=False) + 1e-5).rsqrt()
    policy = ErrorBudget(0.25)
    seen = Gradients(dz, weight=dg, input=dx, scale=scale, inverse_std=inverse)
    policy.observe(NORM, lambda: x, seen)
    found = policy.tolerance(NORM, x)
    assert found is not None
    for c in range(3):
        part = dz[:, c]
        a = (
            inverse[c] ** 2 * part.count_nonzero() ** 2 * (part**2).max()
            * (x[:, c].abs().max() / 2) ** 2
        )  # fmt: skip
        below = 3 * scale[c] ** 2 * inverse[c] ** 4 * (a + dg[c] ** 2)
        squared = 0.25 * (dx**2).sum() * 4 * 36 / below
        expected = max(squared.item(), 2.0**-16) ** 0.5
        assert found[c].item() == pytest.approx(expected, rel=1e-4)


def test_statistics_are_sampled_and_reduced() -> None:
    policy = ErrorBudget(interval=3, history=2)
    sampled = list[int]()
    for step in range(10):
        if policy.wants(CONV):
            sampled.append(step)
        policy.end_step()
    assert sampled == [0, 2, 5, 8]
    assert not policy.wants(Slot("relu", "mask"))

    def tolerance(reduction: str, sizes: list[float]) -> float:
        budget = ErrorBudget(history=2, reduction=reduction)  # pyright: ignore[reportArgumentType]
        for size in sizes:
            gradients = Gradients(torch.ones(1), torch.tensor([size**0.5]))
            budget.observe(CONV, lambda: torch.ones(2), gradients)
        found = budget.tolerance(CONV, torch.ones(2))
        assert found is not None
        return found.item() ** 2 * 2 * 2 * 9 / 4

    # The oldest of three samples no longer counts.
    assert tolerance("mean", [100.0, 2.0, 4.0]) == pytest.approx(3)
    assert tolerance("max", [100.0, 2.0, 4.0]) == pytest.approx(4)
    assert tolerance("median", [100.0, 2.0, 4.0]) == pytest.approx(2)


def test_layers_that_share_an_input_count_together() -> None:
    policy, other = ErrorBudget(), Slot("other", "matmul_in", (1, 1), (1, 1))
    x = torch.ones(10)
    policy.observe(CONV, lambda: x, Gradients(torch.ones(4), torch.ones(2)))
    policy.observe(other, lambda: x, Gradients(torch.ones(3), torch.ones(5)))
    policy.join(other, CONV)
    found = policy.tolerance(CONV, x)
    assert found is not None
    assert found.item() ** 2 == pytest.approx((2 + 5) / (2 * 10 * (9 / 4 * 4 + 3)))


def test_gradients_that_overflowed_are_no_sample() -> None:
    policy = ErrorBudget()
    x, _, dy, dw = observed(policy, 0)
    before = policy.tolerance(CONV, x)
    policy.observe(CONV, lambda: x, Gradients(dy * float("inf"), dw))
    assert before is not None
    assert torch.equal(before, policy.tolerance(CONV, x) or torch.empty(0))


def test_the_first_step_is_as_good_as_exact() -> None:
    x, w, dy = products(0)
    bits = ErrorBudget().bits(CONV, x)
    assert bits == 17
    error = gradient_of(FixedPoint().encode(x, bits).decode(), w, dy)
    exact = gradient_of(x, w, dy)
    assert (error - exact).norm() / exact.norm() < 1e-4


def test_messages() -> None:
    with pytest.raises(OperandError, match="squared_error=0, interval=100, history=10"):
        ErrorBudget(0)
    with pytest.raises(OperandError, match="reduction='min'; choose one of 'mean', 'm"):
        ErrorBudget(reduction="min")  # pyright: ignore[reportArgumentType]
