"""Gates that know nothing: references that a learned gate is held against."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConversionError
from .decision import Decision


@dataclass(frozen=True)
class Open(Decision):
    """Always open: the layer is the ungated one."""

    def open(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        return torch.ones_like(score, dtype=torch.bool)

    def __str__(self) -> str:
        return "always open"


@dataclass(frozen=True)
class Closed(Decision):
    """Never open: the layer is its base."""

    def open(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        return torch.zeros_like(score, dtype=torch.bool)

    def __str__(self) -> str:
        return "always closed"


@dataclass(frozen=True)
class Random(Decision):
    """Open for a share of the outputs, drawn anew each time from torch's stream.

    Args:
        share: of open outputs, 0 to 1.

    Raises:
        ConversionError: for another share.
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConversionError(
                f"Random: share={self.share}; the share of open outputs is 0 to 1."
            )

    def open(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        return torch.rand(score.shape, device=score.device) < self.share

    def __str__(self) -> str:
        return f"open at random, {100 * self.share:g} %"
