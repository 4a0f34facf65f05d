"""How a converted network computes, in words that a run can compare."""

from __future__ import annotations

from torch import nn

from ..errors import TrainingError
from ..nn.layer import ApproxLayer

Answered = dict[str, dict[str, str]]


def answers_of(model: nn.Module) -> Answered:
    """The answers to each layer's questions; none for an exact network."""
    return {
        name: {key: str(each) for key, each in module.spec.answers().items()}
        for name, module in model.named_modules()
        if isinstance(module, ApproxLayer)
    }


def check_answers(model: nn.Module, saved: Answered) -> None:
    """Refuses to go on with a network that is converted in another way.

    Args:
        model: that is to be trained.
        saved: what `answers_of` gave when the run began.

    Raises:
        TrainingError: with the first layer that differs.
    """
    now = answers_of(model)
    for name in dict.fromkeys((*now, *saved)):
        if now.get(name) != saved.get(name):
            here, there = (_words(each.get(name)) for each in (now, saved))
            raise TrainingError(
                f"resume: {name!r} has {here}, and had {there}. Convert the network as "
                "it was when the run began, or start another in a folder of its own."
            )


def _words(answers: dict[str, str] | None) -> str:
    if answers is None:
        return "no answers"
    return ", ".join(f"{key} {each}" for key, each in answers.items())
