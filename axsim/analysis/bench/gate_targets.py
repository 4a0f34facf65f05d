"""What a higher target of the gate loss buys: closed outputs, and at what accuracy.

The loss pulls each threshold towards its target; the further away, the fewer outputs
are above it. Every target begins with the same network, trained in float32, and is then
trained for a few epochs more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from ... import recipes
from ...console import progress, text_table
from ...gating.report import GateReport
from ...nn.convert import approximate
from ...nn.plan import plan
from ...nn.recipe import Recipe
from ...training.evaluation import evaluate
from ...training.loop import train
from ...training.settings import TrainSettings
from ...zoo.data.digits import digits_folds
from ..pooled import Case
from ..trained import EPOCHS, trained_digits
from .kernels import use_threads

TARGETS = (0.0, 1.0, 4.0)
WEIGHT = 0.05
MORE = TrainSettings(epochs=20, lr=0.1, decay_vectors=False)


@dataclass(frozen=True)
class Line:
    """One target.

    Args:
        target: of the thresholds.
        sparsity: share of closed outputs on the test images.
        bits: of an activation of gated layers, on average.
        accuracy: share of right answers, 0 to 1.
    """

    target: float
    sparsity: float
    bits: float
    accuracy: float


@dataclass(frozen=True)
class TargetsBench:
    """All targets; prints as a table."""

    lines: tuple[Line, ...]
    weight: float
    seeds: int
    epochs: int

    def __str__(self) -> str:
        head = ("target", "closed %", "bits", "accuracy %")
        rows = [
            (f"{n.target:g}", f"{100 * n.sparsity:.1f}", f"{n.bits:.2f}",
             f"{100 * n.accuracy:.2f}")
            for n in self.lines
        ]  # fmt: skip
        table = text_table(rows, head)
        return (
            f"{table}\n\ndigits_resnet, precision gating 3/2, gate loss "
            f"times {self.weight:g}: one fold of the digits, {self.seeds} seeds, "
            f"{self.epochs} epochs after float32."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    folder: Path = Path("runs/bench"),
    targets: tuple[float, ...] = TARGETS,
    weight: float = WEIGHT,
    seeds: int = 3,
    first_epochs: int = EPOCHS,
    more: TrainSettings = MORE,
) -> TargetsBench:
    """Trains one network for each target and seed.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        folder: where the float networks are kept.
        targets, weight: of the gate loss.
        seeds: 0 to this less 1 are used.
        first_epochs: of the float networks.
        more: how networks are trained behind gates.
    """
    reports: dict[float, list[tuple[float, GateReport]]] = {t: [] for t in targets}
    with use_threads(threads):
        for seed in progress(range(seeds), "seeds"):
            case = Case(0, seed, *digits_folds(0))
            net = trained_digits(case, folder, epochs=first_epochs)
            how = replace(more, seed=seed, device=device)
            for target, found in reports.items():
                rules = recipes.precision_gating(3, 8, 2, target=target, weight=weight)
                found.append(_trained(net, case, rules, how))
    lines = (_line(target, found) for target, found in reports.items())
    return TargetsBench(tuple(lines), weight, seeds, more.epochs)


def _trained(
    net: nn.Module, case: Case, rules: Recipe, how: TrainSettings
) -> tuple[float, GateReport]:
    """Accuracy on the test images, and what the gates counted there."""
    made = approximate(net, rules, calibration=[case.train.images[:1]])
    train(made, case.train, how, progress=_quiet)
    plan(made).reset_gates()
    found = evaluate(made, case.test, device=how.device, progress=_quiet)
    return found.accuracy, plan(made).gate_report()


def _line(target: float, found: Iterable[tuple[float, GateReport]]) -> Line:
    """Means over the seeds, which all have as many outputs."""
    accuracies, reports = zip(*found, strict=True)
    share = 1 / len(reports)
    return Line(
        target,
        share * sum(report.sparsity for report in reports),
        share * sum(report.average_bits or 0.0 for report in reports),
        share * sum(accuracies),
    )


def _quiet(done: int, total: int, note: str) -> None:
    """No bar for each of many trainings."""
