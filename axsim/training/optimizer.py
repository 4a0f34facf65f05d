"""Optimisers, and their state as named tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import TrainingError
from .settings import TrainSettings


class NamedOptimizer:
    """An optimiser whose state is kept under the names of the parameters.

    Args:
        model: its parameters that require a gradient are trained.
        settings: of the run; the learning rate is set before each step.

    Raises:
        TrainingError: where nothing is to be trained.
    """

    def __init__(self, model: nn.Module, settings: TrainSettings) -> None:
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if not trained:
            raise TrainingError(
                f"train: no parameter of {type(model).__name__} requires a gradient; "
                "there is nothing to train."
            )
        vectors = [n for n, p in trained.items() if p.ndim < 2]
        spared = [] if settings.decay_vectors else vectors
        decayed = [n for n in trained if n not in spared]
        self.names = [*decayed, *spared]
        self.parameters = [trained[n] for n in self.names]
        groups = [
            {"params": [trained[n] for n in names], "weight_decay": decay}
            for names, decay in [(decayed, settings.weight_decay), (spared, 0.0)]
            if names
        ]
        self.torch = _build(groups, settings)

    def set_rate(self, rate: float) -> None:
        """Gives all parameters this learning rate."""
        for group in self.torch.param_groups:
            group["lr"] = rate

    def state(self) -> dict[str, Tensor]:
        """What the optimiser remembers, under `parameter/slot`."""
        remembered: dict[int, dict[str, Tensor]] = self.torch.state_dict()["state"]
        return {
            f"{self.names[index]}/{slot}": tensor
            for index, slots in remembered.items()
            for slot, tensor in slots.items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes over what `state` gave."""
        index = {name: i for i, name in enumerate(self.names)}
        remembered: dict[int, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            name, _, slot = key.rpartition("/")
            remembered.setdefault(index[name], {})[slot] = tensor
        groups = self.torch.state_dict()["param_groups"]
        self.torch.load_state_dict({"state": remembered, "param_groups": groups})


def _build(groups: list[Any], settings: TrainSettings) -> torch.optim.Optimizer:
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr)
    return torch.optim.SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
    )
