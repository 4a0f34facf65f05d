"""What training with activations in few bits costs in accuracy, on the digits.

Test predictions are pooled over 5 folds and 3 seeds, as for every digits figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch

from ... import kernels, recipes
from ...console import text_table
from ...memory.codecs.group_affine import GroupAffine
from ...memory.policies.fixed import Fixed
from ...memory.saved import Saved
from ...nn.convert import approximate
from ...nn.plan import plan
from ...nn.recipe import Recipe, recipe
from ...nn.spec import LayerSpec
from ...training.evaluation import Evaluation, evaluate
from ...training.loop import train
from ...training.settings import TrainSettings
from ...zoo.networks.factory import build_network
from ..pooled import Case, Difference, Pooled, paired_difference, pooled_runs
from .kernels import use_threads

NETWORK, FLOAT = "digits_conv4", "float32"
SETTINGS = TrainSettings(epochs=15, batch_size=64, lr=0.05)


def few_bits(codec: GroupAffine, bits: int) -> Recipe:
    """Inputs of all products and batch norms in the same few bits."""
    return recipe(LayerSpec(saved=Saved(codec, codec, Fixed(bits))))


STOCHASTIC, NEAREST = GroupAffine(), GroupAffine("nearest")
WAYS: dict[str, Recipe] = {
    "8 bits": few_bits(STOCHASTIC, 8),
    "4 bits": few_bits(STOCHASTIC, 4),
    "2 bits": few_bits(STOCHASTIC, 2),
    "1 bit": few_bits(STOCHASTIC, 1),
    "1 bit, nearest": few_bits(NEAREST, 1),
    "actnn L3": recipes.actnn("L3"),
    "rectified 2 bits": recipes.rectified(2),
    "blpa 4 bits": recipes.blpa(4),
    "acgc autoquant": recipes.acgc("autoquant"),
    "gact L2": recipes.gact("L2", interval=100),
}


@dataclass(frozen=True)
class Line:
    """One way of keeping activations.

    Args:
        name: of it.
        accuracy: share of right answers, 0 to 1.
        difference: to float32, in points; None for float32 itself.
    """

    name: str
    accuracy: float
    difference: Difference | None


@dataclass(frozen=True)
class Convergence:
    """The accuracy of all ways; prints as a table."""

    device: str
    threads: int
    images: int
    seeds: int
    epochs: int
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        head = ("activations", "accuracy %", "points to float32 (95 %)")
        rows = [
            (line.name, f"{100 * line.accuracy:.2f}", line.difference or "")
            for line in self.lines
        ]
        return (
            f"{text_table(rows, head, left=['activations'])}\n\n"
            f"{NETWORK} on the digits, {self.epochs} epochs: {self.images:,} test "
            f"images, each for {self.seeds} seeds, compared paired. {self.device}, "
            f"threads: {self.threads}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    *,
    folds: int = 5,
    seeds: int = 3,
    settings: TrainSettings = SETTINGS,
    ways: Mapping[str, Recipe] = WAYS,
) -> Convergence:
    """Trains with torch's own activations and in every way, and compares.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        folds, seeds: of the pooled predictions.
        settings: of each training.
        ways: recipes of activations by name.
    """
    settings = replace(settings, device=device)
    with use_threads(threads):
        pooled = pooled_runs(partial(answers, settings, ways), folds, seeds)
    lines = tuple(_line(name, pooled) for name in pooled)
    images = pooled[FLOAT].correct.shape[1]
    name = kernels.device_name(device)
    return Convergence(name, threads, images, seeds, settings.epochs, lines)


def answers(
    settings: TrainSettings, ways: Mapping[str, Recipe], case: Case
) -> dict[str, Evaluation]:
    """All ways on one fold with one seed, from the same weights.

    Args:
        settings: of each training, but for the seed.
        ways: recipes of activations by name.
        case: the fold and the seed.
    """
    torch.manual_seed(case.seed)
    fresh = build_network(NETWORK)
    settings = replace(settings, seed=case.seed)
    nets = {name: approximate(fresh, way) for name, way in ways.items()}
    for net in nets.values():
        train(net, case.train, settings, plan=plan(net))
    train(fresh, case.train, settings)
    return {FLOAT: evaluate(fresh, case.test)} | {
        name: evaluate(net, case.test) for name, net in nets.items()
    }


def _line(name: str, pooled: Mapping[str, Pooled]) -> Line:
    difference = paired_difference(pooled[name], pooled[FLOAT])
    return Line(name, pooled[name].accuracy, None if name == FLOAT else difference)
