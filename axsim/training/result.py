"""What came of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..console import text_table

# A longer run is shown by about as many of its epochs.
LINES = 20


@dataclass(frozen=True)
class Epoch:
    """One pass over the data.

    Args:
        epoch: from 1.
        lr: learning rate of its last step.
        loss: mean loss of its samples, each at the weights it was seen with.
        accuracy: share of right answers likewise, 0 to 1.
        valid_loss: mean loss of the validation set after it, where there was one.
        valid_accuracy: share of right answers likewise.
        seconds: it took, with validation.
    """

    epoch: int
    lr: float
    loss: float
    accuracy: float
    valid_loss: float | None
    valid_accuracy: float | None
    seconds: float


@dataclass(frozen=True)
class TrainResult:
    """The epochs of a run; printed, it is a table of them.

    Args:
        history: from the first epoch, those before an interruption too.
    """

    history: tuple[Epoch, ...]

    @property
    def best(self) -> Epoch | None:
        """The first epoch of the highest validation accuracy, where there is one."""
        return best_of(self.history)

    def __str__(self) -> str:
        every = math.ceil(len(self.history) / LINES)
        shown = [
            each
            for each in self.history
            if each.epoch % every == 0 or each in (self.history[-1], self.best)
        ]
        rows = [
            (each.epoch, f"{each.lr:.3g}", f"{each.loss:.4f}", _percent(each.accuracy),
             _number(each.valid_loss), _percent(each.valid_accuracy),
             f"{each.seconds:.1f}")
            for each in shown
        ]  # fmt: skip
        head = ("epoch", "lr", "loss", "accuracy %", "valid loss", "valid %", "seconds")
        return text_table(rows, head)


def best_of(history: tuple[Epoch, ...] | list[Epoch]) -> Epoch | None:
    """The first epoch of the highest validation accuracy, where there is one."""
    judged = [each for each in history if each.valid_accuracy is not None]
    return max(judged, key=lambda each: each.valid_accuracy or 0.0, default=None)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"
