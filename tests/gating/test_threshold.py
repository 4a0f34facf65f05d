"""The learned gate: where it opens, its surrogate slope, its loss."""

from __future__ import annotations

import math

import pytest
import torch

from axsim.errors import ConversionError
from axsim.gating.oracles import Closed, Open, Random
from axsim.gating.sigmoid import SigmoidThreshold
from axsim.gating.split import Shape
from axsim.gating.threshold import Threshold

BELOW, AT, ABOVE = -0.25, 0.0, 0.25


def test_at_the_threshold_the_gate_is_closed_and_its_slope_counts() -> None:
    score, limit = torch.tensor([BELOW, AT, ABOVE]), torch.zeros(1)
    s = torch.sigmoid(2 * score)
    slope = 2 * s * (1 - s)
    for sparse in (False, True):
        gate = Threshold(alpha=2.0, sparse=sparse)
        assert gate.open(score, limit).tolist() == [False, False, True]
        counted = torch.tensor([float(not sparse), 1.0, 1.0])
        torch.testing.assert_close(gate.slope(score, limit), slope * counted)


def test_a_score_barely_above_the_threshold_opens() -> None:
    # sigmoid(5e-8) rounds to 1/2 in float32; the decision is on the score itself.
    gate, score = Threshold(alpha=5.0), torch.tensor([1e-8, -1e-8])
    assert torch.sigmoid(5 * score[0]).item() == 0.5
    assert gate.open(score, torch.zeros(1)).tolist() == [True, False]


def test_a_sigmoid_that_rounds_to_one_half_is_closed() -> None:
    score = torch.tensor([-1e-3, -1e-9, 0.0, 1e-9, 1e-3])
    for sparse in (False, True):
        gate = SigmoidThreshold(alpha=5.0, sparse=sparse)
        assert gate.open(score, torch.zeros(1)).tolist() == [False] * 4 + [True]
        counts = gate.slope(score, torch.zeros(1)) > 0
        assert counts.tolist() == [not sparse, *[True] * 4]


def test_the_gate_loss_pulls_as_published() -> None:
    # Unsquared: weight / sqrt(C) for each of C channels, whatever the distance.
    threshold = torch.zeros(64, requires_grad=True)
    loss = Threshold(target=1.0, weight=1e-3).penalty(threshold)
    assert loss is not None
    loss.backward()
    assert threshold.grad is not None
    torch.testing.assert_close(threshold.grad, torch.full((64,), -1.25e-4))
    squared = Threshold(target=0.5, weight=1e-4, squared=True)
    found = squared.penalty(torch.tensor([0.0, 2.5]))
    assert found is not None
    assert found.item() == pytest.approx(1e-4 * (0.25 + 4.0))


def test_at_its_target_the_loss_has_no_slope() -> None:
    threshold = torch.full((4,), 2.0, requires_grad=True)
    loss = Threshold(target=2.0, weight=1.0).penalty(threshold)
    assert loss is not None
    loss.backward()
    assert threshold.grad is not None
    assert threshold.grad.tolist() == [0.0] * 4


def test_without_weight_there_is_no_loss() -> None:
    assert Threshold().penalty(torch.ones(3)) is None
    assert Open().penalty(None) is None


def test_oracles_open_as_they_say() -> None:
    score = torch.randn(100, 100)
    assert bool(Open().open(score, None).all())
    assert not bool(Closed().open(score, None).any())
    torch.manual_seed(0)
    share = Random(0.3).open(score, None).float().mean().item()
    assert abs(share - 0.3) < 4 * math.sqrt(0.21 / score.numel())


def test_first_thresholds_fit_the_outputs() -> None:
    shape = Shape(4, 3, name="conv1")
    assert Threshold(start=-6.0).first(shape).tolist() == [-6.0] * 3
    assert Threshold(start=(1.0, 2.0, 3.0)).first(shape).tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ConversionError, match=r"'conv1' has 3 outputs.*2 thresholds"):
        Threshold(start=(1.0, 2.0)).first(shape)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Threshold(alpha=0), "alpha=0; the steepness"),
        (lambda: Threshold(weight=-1), "weight=-1; the gate loss counts 0 or more"),
        (lambda: Random(1.5), "share=1.5; the share of open outputs is 0 to 1"),
    ],
)
def test_settings_out_of_range_are_refused(make: object, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        make()  # pyright: ignore[reportCallIssue]
