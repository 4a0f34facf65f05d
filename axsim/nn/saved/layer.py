"""What the layers have in common that answer the fourth question alone."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from ...memory.kept import Kept
from ...memory.policy import Kind, Slot
from ..layer import ApproxLayer
from .keeper import Keeper


class SavingLayer(ApproxLayer):
    """A layer without products: torch's own, but for what it keeps.

    Attributes:
        reads: what its backward pass reads.
    """

    questions = frozenset({"saved"})
    reads: ClassVar[Kind]

    def build_sites(self, name: str) -> None:
        """None: it has no products."""

    def slot(self, name: str) -> Slot:
        """The layer's place, and what is read there."""
        return Slot(name, self.reads)

    @abstractmethod
    def pack(self, keeper: Keeper, t: Tensor, x: Tensor) -> Kept:
        """What is kept of a tensor `t` that the operation on input `x` saves."""

    def forward(self, input: Tensor, *args: Any, **settings: Any) -> Any:
        keeper = self.keeper
        if keeper is None:
            return self.exactly(input, *args, **settings)
        with keeper.around(self.training, lambda t: self.pack(keeper, t, input)):
            return self.exactly(input, *args, **settings)
