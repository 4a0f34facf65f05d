"""Decisions: where a gate opens, judged by what the base came to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from .split import Shape


class Decision(ABC):
    """A frozen description of a gate; a new one is one file.

    Attributes:
        normalise: whether it judges the base normalised by channel.
        has_slope: whether it passes a gradient to the base, which takes the rest.
    """

    normalise: ClassVar[bool] | bool = False
    has_slope: ClassVar[bool] = False

    @abstractmethod
    def open(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        """Where the rest is added.

        Args:
            score: float, the base in real numbers, without bias.
            threshold: in the shape that broadcasts against `score`.

        Returns:
            bool, shaped like `score`.
        """

    def slope(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        """The surrogate of the derivative of `open` by the score."""
        return score.new_zeros(())

    def reaches(self, score: Tensor, threshold: Tensor | None) -> Tensor | None:
        """Where the slope is not 0; None for everywhere."""
        return None

    def first(self, shape: Shape) -> Tensor | None:
        """Thresholds to begin training with, one for each output; None for none."""
        return None

    def penalty(self, threshold: Tensor | None) -> Tensor | None:
        """What a layer adds to the loss of training; None for nothing."""
        return None
