"""What a coarse table costs a trained network, and what retraining brings back.

Every figure is of the digits: test predictions pooled over 5 folds and 3 seeds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ... import kernels
from ...console import text_table
from ...nn.convert import approximate
from ...nn.spec import Product
from ...tables.files import load_multiplier
from ...training.evaluation import Evaluation, evaluate
from ...training.loop import train
from ...training.settings import TrainSettings
from ..pooled import Case, Difference, Pooled, paired_difference, pooled_runs
from ..trained import EPOCHS, NETWORK, trained_digits
from .kernels import use_threads

EXACT = "mul8u_exact"
COARSE = "mul8u_trunc_9"
FLOAT = "float32"
RETRAIN = TrainSettings(epochs=10, batch_size=64, lr=0.02)
# Training images from which ranges are taken.
CALIBRATION = 512


@dataclass(frozen=True)
class Line:
    """One way of computing.

    Args:
        name: the multiplier, and whether the network was retrained with it.
        accuracy: share of right answers, 0 to 1.
        difference: to float32, in points; None for float32 itself.
        seconds: of the longest retraining; None where nothing was retrained.
    """

    name: str
    accuracy: float
    difference: Difference | None
    seconds: float | None


@dataclass(frozen=True)
class Retraining:
    """The accuracy of all ways; prints as a table."""

    device: str
    threads: int
    network: str
    images: int
    seeds: int
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        head = ("products", "accuracy %", "points to float32 (95 %)", "seconds")
        rows = [
            (line.name, f"{100 * line.accuracy:.2f}", line.difference or "",
             "" if line.seconds is None else f"{line.seconds:.0f}")
            for line in self.lines
        ]  # fmt: skip
        return (
            f"{text_table(rows, head, left=['products'])}\n\n"
            f"{self.network} on the digits: {self.images:,} test images, each for "
            f"{self.seeds} seeds, compared paired; retrained for {RETRAIN.epochs} "
            f"epochs, seconds of the longest. {self.device}, threads: {self.threads}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    folder: Path = Path("runs/bench"),
    *,
    folds: int = 5,
    seeds: int = 3,
    epochs: tuple[int, int] = (EPOCHS, RETRAIN.epochs),
) -> Retraining:
    """Compares float32, an exact table, a coarse one, and retraining with it.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        folder: where trained networks are kept for the next time.
        folds, seeds: of the pooled predictions.
        epochs: of the float32 training and of the retraining.
    """
    seconds: list[float] = []
    with use_threads(threads):
        answer = partial(_answer, folder=folder, device=device, epochs=epochs,
                         seconds=seconds)  # fmt: skip
        pooled = pooled_runs(answer, folds, seeds)
    lines = [_line(name, pooled, max(seconds)) for name in pooled]
    images = pooled[FLOAT].correct.shape[1]
    name = kernels.device_name(device)
    return Retraining(name, threads, NETWORK, images, seeds, tuple(lines))


def _answer(
    case: Case, folder: Path, device: str, epochs: tuple[int, int], seconds: list[float]
) -> Mapping[str, Evaluation]:
    """All ways on one fold with one seed."""
    net = trained_digits(case, folder, device, epochs[0])
    calibration = [case.train.images[:CALIBRATION].to(device)]
    exact, coarse = (
        approximate(net, Product(load_multiplier(name)), calibration=calibration)
        for name in (EXACT, COARSE)
    )
    found = {
        FLOAT: evaluate(net, case.test),
        EXACT: evaluate(exact, case.test),
        COARSE: evaluate(coarse, case.test),
    }
    began = time.perf_counter()
    settings = replace(RETRAIN, epochs=epochs[1], seed=case.seed, device=device)
    train(coarse, case.train, settings)
    seconds.append(time.perf_counter() - began)
    return {**found, f"{COARSE}, retrained": evaluate(coarse, case.test)}


def _line(name: str, pooled: Mapping[str, Pooled], seconds: float) -> Line:
    difference = paired_difference(pooled[name], pooled[FLOAT])
    return Line(
        name,
        pooled[name].accuracy,
        None if name == FLOAT else difference,
        seconds if "retrained" in name else None,
    )
