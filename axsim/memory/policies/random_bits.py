"""Bits drawn by chance, the yardstick of every other policy."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..codec import Bits
from ..policy import Policy, Slot
from ..stream import Stream


class RandomBits(Policy):
    """Draws the bits of every tensor from a range, all alike.

    Args:
        low, high: the range, both ends included.
        seed: of its own stream.
    """

    def __init__(self, low: int = 1, high: int = 8, seed: int = 0) -> None:
        self.low, self.high, self.seed = low, high, seed
        self._stream = Stream(seed)

    def bits(self, slot: Slot, x: Tensor) -> Bits:
        """A width, another one every time."""
        return self.low + self._stream.key() % (self.high - self.low + 1)

    def state_dict(self) -> dict[str, Any]:
        """How many were drawn."""
        return {"drawn": self._stream.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self._stream.drawn = state["drawn"]
