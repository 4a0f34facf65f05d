"""What training with activations in few bits costs in accuracy.

On the digits test predictions are pooled over 5 folds and 3 seeds, as for every digits
figure; on CIFAR-10, where its files are, over 3 seeds: `--data cifar10:/path`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch

from ... import kernels, recipes
from ...console import text_table
from ...errors import DataError
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
from ...zoo.data.dataset import ArrayDataset
from ...zoo.data.sources import load_data
from ...zoo.networks.factory import build_network
from ..pooled import Case, Difference, Pooled, paired_difference, pooled_runs
from .kernels import use_threads

NETWORK, FLOAT = "digits_conv4", "float32"
SETTINGS = TrainSettings(epochs=15, batch_size=64, lr=0.05)

CIFAR_NETWORK = "cifar_resnet20"
CIFAR_SETTINGS = TrainSettings(epochs=60, flip=True, crop_pad=4)


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
# Those whose loss of accuracy has a bound, and the one that keeps least.
CIFAR_WAYS = {name: WAYS[name] for name in ("4 bits", "2 bits", "rectified 2 bits")}


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
    network: str = NETWORK
    data: str = "the digits"

    def __str__(self) -> str:
        head = ("activations", "accuracy %", "points to float32 (95 %)")
        rows = [
            (line.name, f"{100 * line.accuracy:.2f}", line.difference or "")
            for line in self.lines
        ]
        return (
            f"{text_table(rows, head, left=['activations'])}\n\n"
            f"{self.network} on {self.data}, {self.epochs} epochs: "
            f"{self.images:,} test images, each for {self.seeds} seeds, compared "
            f"paired. {self.device}, "
            f"threads: {self.threads}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    *,
    data: str | None = None,
    folds: int = 5,
    seeds: int = 3,
    settings: TrainSettings | None = None,
    ways: Mapping[str, Recipe] | None = None,
) -> Convergence:
    """Trains with torch's own activations and in every way, and compares.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        data: "cifar10:/path" or another set of images of its size, for ResNet-20;
            None for the digits.
        folds, seeds: of the pooled predictions; only the digits have folds.
        settings: of each training.
        ways: recipes of activations by name.
    """
    network, name, parts = NETWORK, "the digits", None
    if data is not None:
        parts = [(_images(data, "train"), _images(data, "test"))]
        network, name = CIFAR_NETWORK, data.partition(":")[0]
    chosen = settings or (SETTINGS if data is None else CIFAR_SETTINGS)
    chosen = replace(chosen, device=device)
    ways = ways or (WAYS if data is None else CIFAR_WAYS)
    with use_threads(threads):
        train_all = partial(answers, chosen, ways, network=network)
        pooled = pooled_runs(train_all, folds, seeds, parts)
    return Convergence(
        kernels.device_name(device), threads, pooled[FLOAT].correct.shape[1], seeds,
        chosen.epochs, tuple(_line(way, pooled) for way in pooled), network, name,
    )  # fmt: skip


def _images(data: str, split: str) -> ArrayDataset:
    found = load_data(data, split)
    if not isinstance(found, ArrayDataset):
        raise DataError(
            f"data={data!r} is a folder of images; give a set whose images lie in one "
            "file, such as 'cifar10:/path'."
        )
    return found


def answers(
    settings: TrainSettings,
    ways: Mapping[str, Recipe],
    case: Case,
    network: str = NETWORK,
) -> dict[str, Evaluation]:
    """All ways on one fold with one seed, from the same weights.

    Args:
        settings: of each training, but for the seed.
        ways: recipes of activations by name.
        case: the fold and the seed.
        network: of the zoo.
    """
    torch.manual_seed(case.seed)
    fresh = build_network(network)
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
