"""Retraining with two kinds of gradient: straight-through, and the table's slopes.

One fold of the digits, several seeds; both kinds begin with the same float32 networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ... import kernels
from ...console import progress, text_table
from ...nn.convert import approximate
from ...nn.spec import Gradient, Product
from ...tables.files import load_multiplier
from ...training.evaluation import Evaluation, evaluate
from ...training.loop import train
from ...zoo.data.digits import digits_folds
from ..pooled import Case, Difference, Pooled, paired_difference
from ..trained import EPOCHS, NETWORK, trained_digits
from .kernels import use_threads
from .retraining import CALIBRATION, RETRAIN

# So coarse that converted networks guess, and retrained ones stay below float32.
TABLES = ("mul8u_trunc_10", "mul8u_bam_h5_v9", "mul8u_drum_3")
SEEDS = 5
PLAIN, LOCAL = "ste", "table"
KINDS: tuple[Gradient, ...] = (PLAIN, LOCAL)


@dataclass(frozen=True)
class Line:
    """One table.

    Args:
        table: its name.
        converted: accuracy before retraining, 0 to 1.
        accuracies: after it, for each kind of gradient.
        difference: of the table's slopes to straight-through, in points.
    """

    table: str
    converted: float
    accuracies: tuple[float, ...]
    difference: Difference


@dataclass(frozen=True)
class Gradients:
    """All tables; prints as a table."""

    device: str
    threads: int
    images: int
    seeds: int
    epochs: int
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        head = ("multiplier", "converted %", *(f"{kind} %" for kind in KINDS),
                "table - ste, points (95 %)")  # fmt: skip
        rows = [
            (line.table, *(f"{100 * share:.2f}" for share in
                           (line.converted, *line.accuracies)), line.difference)
            for line in self.lines
        ]  # fmt: skip
        return (
            f"{text_table(rows, head, left=['multiplier'])}\n\n"
            f"{NETWORK} on the digits: {self.images} test images of one fold, each for "
            f"{self.seeds} seeds, compared paired; retrained for {self.epochs} epochs. "
            f"{self.device}, threads: {self.threads}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    folder: Path = Path("runs/bench"),
    *,
    tables: tuple[str, ...] = TABLES,
    seeds: int = SEEDS,
    epochs: tuple[int, int] = (EPOCHS, RETRAIN.epochs),
) -> Gradients:
    """Retrains with each coarse table, with each kind of gradient, for each seed.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        folder: where trained float32 networks are kept for the next time.
        tables: names of multipliers.
        seeds: how many.
        epochs: of the float32 training and of the retraining.
    """
    parts = digits_folds(0)
    cases = [Case(0, seed, *parts) for seed in range(seeds)]
    jobs = [(table, case) for table in tables for case in cases]
    with use_threads(threads):
        told = [
            _answer(table, case, folder, device, epochs)
            for table, case in progress(jobs, "tables and seeds")
        ]
    lines = [
        _line(table, told[k * seeds : (k + 1) * seeds])
        for k, table in enumerate(tables)
    ]
    # Its interval knows that all tables were asked about the same images.
    lines.append(_line("all of them", told))
    name = kernels.device_name(device)
    return Gradients(name, threads, len(parts[1]), seeds, epochs[1], tuple(lines))


def _answer(
    table: str, case: Case, folder: Path, device: str, epochs: tuple[int, int]
) -> list[Evaluation]:
    """What the converted network says, and then the retrained ones."""
    net = trained_digits(case, folder, device, epochs[0])
    calibration = [case.train.images[:CALIBRATION].to(device)]
    settings = replace(RETRAIN, epochs=epochs[1], seed=case.seed, device=device)
    found: list[Evaluation] = []
    for kind in KINDS:
        product = Product(load_multiplier(table), gradient=kind)
        coarse = approximate(net, product, calibration=calibration)
        if not found:
            found.append(evaluate(coarse, case.test))
        train(coarse, case.train, settings)
        found.append(evaluate(coarse, case.test))
    return found


def _line(table: str, told: Sequence[Sequence[Evaluation]]) -> Line:
    before, *after = (
        Pooled(np.stack([each.correct for each in of_seeds]))
        for of_seeds in zip(*told, strict=True)
    )
    plain, local = (after[KINDS.index(kind)] for kind in (PLAIN, LOCAL))
    return Line(
        table,
        before.accuracy,
        tuple(each.accuracy for each in after),
        paired_difference(local, plain),
    )
