"""The learning rate of a step, a function of the step alone."""

from __future__ import annotations

import math

from .settings import TrainSettings


def learning_rate(settings: TrainSettings, step: int, steps: int) -> float:
    """The rate of a step; nothing is remembered, so a run can go on anywhere.

    Args:
        settings: of the run.
        step: of the whole run, from 0.
        steps: of one epoch.

    Example:
        >>> [learning_rate(TrainSettings(epochs=2, lr=1), k, 5) for k in (0, 5)]
        [1.0, 0.5]
    """
    warm = settings.warmup_epochs * steps
    rise = min(1.0, (step + 1) / warm) if warm else 1.0
    return settings.lr * rise * _fall(settings, step, steps)


def _fall(settings: TrainSettings, step: int, steps: int) -> float:
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / (settings.epochs * steps)))
    passed = sum(step // steps >= milestone for milestone in settings.milestones)
    return settings.factor**passed
