"""The same bits for everything."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..codec import Bits
from ..policy import Policy, Slot


@dataclass(frozen=True)
class Fixed(Policy):
    """Gives every tensor the same bits.

    Args:
        width: the bits.
    """

    width: int

    def bits(self, slot: Slot, x: Tensor) -> Bits:
        """The width."""
        return self.width
