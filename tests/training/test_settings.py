from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from axsim import TrainingError, TrainSettings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs=0; it is a whole number of at least 1."),
        ({"batch_size": 2.5}, "batch_size=2.5; it is a whole number of at least 1."),
        ({"crop_size": 0}, "crop_size=0; it is a whole number of at least 1."),
        ({"lr": 0.0}, "lr=0.0; it is above 0."),
        ({"lr": float("nan")}, "lr=nan; it is above 0."),
        ({"clip_norm": -1.0}, "clip_norm=-1.0; it is above 0."),
        ({"momentum": 1.0}, "momentum=1.0; it is at least 0 and below 1."),
        ({"weight_decay": -0.1}, "weight_decay=-0.1; it is at least 0."),
        (
            {"optimizer": "adam"},
            "optimizer='adam'; it is one of sgd, adamw.",
        ),
        (
            {"precision": "fp8"},
            "precision='fp8'; it is one of fp32, bf16, fp16.",
        ),
        (
            {"optimizer": "adamw", "nesterov": True},
            "nesterov=True; it needs optimizer='sgd' and momentum above 0.",
        ),
        (
            {"milestones": (3,)},
            "milestones=(3,); schedule='cosine' has none.",
        ),
        (
            {"schedule": "steps"},
            "milestones=(); schedule='steps' needs at least one.",
        ),
        (
            {"schedule": "steps", "milestones": (8, 4)},
            "milestones=(8, 4); they are epochs above 0 that rise.",
        ),
        (
            {"epochs": 2, "warmup_epochs": 3},
            "warmup_epochs=3; the run has 2 epochs.",
        ),
    ],
)
def test_what_is_not_allowed_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError) as caught:
        TrainSettings(**given)
    assert str(caught.value) == message


def test_a_run_goes_on_only_with_its_own_settings() -> None:
    settings = TrainSettings(schedule="steps", milestones=(2, 4), lr=0.1)
    saved = json.loads(json.dumps(settings.as_json()))
    dataclasses.replace(settings, workers=2, save_steps=5).check_same(saved)
    with pytest.raises(TrainingError, match=r"resume: lr=0\.2 was 0\.1; seed=1 was 0"):
        dataclasses.replace(settings, lr=0.2, seed=1).check_same(saved)
