from __future__ import annotations

import math

import pytest

from axsim import TrainSettings
from axsim.training.schedule import learning_rate


def rates(settings: TrainSettings, steps: int) -> list[float]:
    total = settings.epochs * steps
    return [learning_rate(settings, step, steps) for step in range(total)]


def test_cosine_falls_from_the_rate_to_nearly_0() -> None:
    found = rates(TrainSettings(epochs=4, lr=0.2), 5)
    expected = [0.2 * math.cos(math.pi * k / 40) ** 2 for k in range(20)]
    assert found == pytest.approx(expected)


def test_steps_drop_before_their_epochs() -> None:
    settings = TrainSettings(
        epochs=4, lr=1, schedule="steps", milestones=(1, 3), factor=0.5
    )
    assert rates(settings, 2) == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_warm_up_rises_to_the_schedule_and_may_end_inside_an_epoch() -> None:
    settings = TrainSettings(epochs=2, lr=1, schedule="constant", warmup_epochs=1.25)
    assert rates(settings, 4) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
