"""The threshold gate as published code decides: by a sigmoid that is rounded."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .threshold import Threshold, present


@dataclass(frozen=True)
class SigmoidThreshold(Threshold):
    """Open where sigmoid(alpha * (score - threshold)) > 1/2 in the score's own type.

    In float32 the sigmoid is 1/2 up to about 1e-7 around the threshold, where the gate
    stays closed: sums of few levels that cancel land there, whatever their rounding.
    For the same reason a little more of the slope counts if `sparse`.

    Example:
        >>> score = torch.tensor([1e-8, 1e-3])
        >>> SigmoidThreshold().open(score, torch.zeros(1)).tolist()
        [False, True]
    """

    def open(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        """s > 1/2."""
        return self._sigmoid(score, threshold) > 0.5

    def reaches(self, score: Tensor, threshold: Tensor | None) -> Tensor | None:
        """Everywhere, or where s >= 1/2."""
        return self._sigmoid(score, threshold) >= 0.5 if self.sparse else None

    def _sigmoid(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        return torch.sigmoid(self.alpha * (score - present(threshold)))

    def __str__(self) -> str:
        return f"{super().__str__()}, by sigmoid"
