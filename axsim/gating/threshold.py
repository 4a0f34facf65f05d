"""The learned gate: open where the base is above its output's threshold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConversionError
from .decision import Decision
from .split import Shape


@dataclass(frozen=True)
class Threshold(Decision):
    """Open where score > threshold, with a threshold for each output channel.

    In the backward pass the gate is s = sigmoid(alpha * (score - threshold)), and its
    derivative counts everywhere, or (`sparse`) only where s >= 1/2.

    Args:
        alpha: steepness of the sigmoid, above 0.
        start: first threshold, one for all outputs or one for each.
        normalise: judge the base normalised by channel, as a batch norm without scale
            and shift does: over the batch in training, by running statistics else.
        sparse: leave out the gradient where the gate is closed.
        target: where the gate loss pulls the thresholds.
        weight: of the gate loss; 0 for none.
        squared: weight * sum((threshold - target)^2), as the papers have it, instead
            of the unsquared weight * ||threshold - target||, as precision gating's
            own code does.

    Raises:
        ConversionError: for settings out of range.

    Example:
        >>> gate = Threshold(target=1.0, weight=0.5)
        >>> gate.penalty(torch.tensor([1.0, 1.0, -2.0])).item()
        1.5
    """

    alpha: float = 5.0
    start: float | tuple[float, ...] = 0.0
    normalise: bool = False
    sparse: bool = False
    target: float = 0.0
    weight: float = 0.0
    squared: bool = False

    has_slope = True

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise ConversionError(
                f"Threshold: alpha={self.alpha}; the steepness of the sigmoid is "
                "finite and above 0."
            )
        starts = self.start if isinstance(self.start, tuple) else (self.start,)
        if not all(start == start for start in starts):
            raise ConversionError(
                f"Threshold: start={self.start}; no score is above NaN. Give numbers, "
                "or decide=Closed() for a gate that is never open."
            )
        if not abs(self.target) < float("inf"):
            raise ConversionError(
                f"Threshold: target={self.target}; the gate loss needs a finite one."
            )
        if not 0 <= self.weight < float("inf"):
            raise ConversionError(
                f"Threshold: weight={self.weight}; the gate loss counts 0 or more."
            )

    def open(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        """score > threshold, exactly: a sigmoid would round to 1/2 just above it."""
        return score > present(threshold)

    def slope(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        """alpha s (1 - s), only where s >= 1/2 if sparse."""
        s = torch.sigmoid(self.alpha * (score - present(threshold)))
        slope = self.alpha * s * (1 - s)
        reached = self.reaches(score, threshold)
        return slope if reached is None else slope * reached

    def reaches(self, score: Tensor, threshold: Tensor | None) -> Tensor | None:
        """Everywhere, or where s >= 1/2."""
        return score >= present(threshold) if self.sparse else None

    def first(self, shape: Shape) -> Tensor:
        """The thresholds to begin with.

        Raises:
            ConversionError: where there are not as many as outputs.
        """
        if not isinstance(self.start, tuple):
            return torch.full((shape.outputs,), float(self.start))
        if len(self.start) != shape.outputs:
            raise ConversionError(
                f"{shape.name!r} has {shape.outputs} outputs, but start= holds "
                f"{len(self.start)} thresholds; give one for each output, or a single "
                "number for all."
            )
        return torch.tensor(self.start)

    def penalty(self, threshold: Tensor | None) -> Tensor | None:
        """The gate loss of one layer."""
        if not self.weight or threshold is None:
            return None
        away = threshold - self.target
        if self.squared:
            return self.weight * away.square().sum()
        return self.weight * torch.linalg.vector_norm(away)

    def __str__(self) -> str:
        words = ["normalised"] * self.normalise + ["sparse"] * self.sparse
        return ", ".join(["threshold", *words])


def present(threshold: Tensor | None) -> Tensor:
    """A threshold that the caller knows to be there."""
    if threshold is None:
        raise ConversionError("a threshold gate without thresholds; give one a layer.")
    return threshold
