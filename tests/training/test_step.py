from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from blobs import build, make_blobs
from torch import Tensor, nn

from axsim import TrainSettings
from axsim.training.meter import Meter
from axsim.training.optimizer import NamedOptimizer
from axsim.training.processes import Processes
from axsim.training.settings import Precision
from axsim.training.step import Plan, Step

ALONE = Processes(0, 1, torch.device("cpu"))
IMAGES, LABELS = make_blobs(11).tensors


def gradient(weight: float = 1.0, plan: Plan | None = None, **given: Any) -> Tensor:
    """The gradient of a step, found from what plain descent at rate 1 changes."""
    net = build()
    before = nn.utils.parameters_to_vector(net.parameters()).clone()
    settings = TrainSettings(weight_decay=0, momentum=0, **given)
    step = Step(net, NamedOptimizer(net, settings), settings, ALONE, plan)
    step(IMAGES, LABELS, weight, 1.0, Meter(ALONE.device))
    return (before - nn.utils.parameters_to_vector(net.parameters())).detach()


def true_gradient(smoothing: float = 0.0) -> Tensor:
    net = build()
    F.cross_entropy(net(IMAGES), LABELS, label_smoothing=smoothing).backward()
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


def assert_close(a: Tensor, b: Tensor, tolerance: float = 1e-6) -> None:
    assert torch.allclose(a, b, rtol=0, atol=tolerance)


@pytest.mark.parametrize("parts", [1, 2, 4, 8, 100])
def test_sub_batches_add_up_to_the_gradient_of_the_batch(parts: int) -> None:
    """11 samples part unevenly: every sample counts alike all the same."""
    assert_close(gradient(sub_batches=parts), true_gradient())


def test_the_weight_of_a_share_scales_its_gradient() -> None:
    assert_close(gradient(weight=0.25), true_gradient() / 4)


def test_a_share_for_form_changes_and_counts_nothing() -> None:
    net, meter = build(), Meter(ALONE.device)
    settings = TrainSettings(weight_decay=0)
    step = Step(net, NamedOptimizer(net, settings), settings, ALONE, None)
    step(IMAGES, LABELS, 0.0, 1.0, meter)
    for a, b in zip(net.parameters(), build().parameters(), strict=True):
        assert torch.equal(a, b)
    assert meter.read() == (0, 0, 0)


def test_labels_are_smoothed() -> None:
    assert_close(gradient(label_smoothing=0.2), true_gradient(0.2))


def test_a_long_gradient_is_shortened_and_a_short_one_is_not() -> None:
    true = true_gradient()
    length = float(true.norm())
    assert_close(gradient(clip_norm=length / 3), true / 3)
    assert_close(gradient(clip_norm=length * 3), true)


@pytest.mark.parametrize(("precision", "bits"), [("bf16", 8), ("fp16", 11)])
def test_half_precision_is_near_and_not_equal(precision: Precision, bits: int) -> None:
    true = true_gradient()
    found = gradient(precision=precision)
    assert not torch.equal(found, gradient())
    assert_close(found, true, tolerance=8 * 2.0**-bits * float(true.abs().max()))


def test_a_plan_adds_its_penalty_once_a_batch_and_hears_of_the_step() -> None:
    class Shrink:
        """A penalty with the gradient 1 for every bias of the head."""

        steps = 0
        net: nn.Module

        def penalty(self) -> Tensor:
            return self.net.get_parameter("5.bias").sum()

        def after_step(self) -> None:
            self.steps += 1

    plan, net = Shrink(), build()
    plan.net = net
    settings = TrainSettings(weight_decay=0, momentum=0, sub_batches=3)
    step = Step(net, NamedOptimizer(net, settings), settings, ALONE, plan)
    meter = Meter(ALONE.device)
    step(IMAGES, LABELS, 1.0, 1.0, meter)
    change = build().get_parameter("5.bias") - net.get_parameter("5.bias")
    assert_close(change, true_gradient()[-3:] + 1)
    assert plan.steps == 1
    # What is counted is the loss of the task.
    loss, correct, seen = meter.read()
    logits = build()(IMAGES).detach()
    assert loss == pytest.approx(11 * float(F.cross_entropy(logits, LABELS)))
    assert (correct, seen) == (int((logits.argmax(1) == LABELS).sum()), 11)
