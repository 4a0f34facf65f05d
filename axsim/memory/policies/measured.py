"""Bits by measured sensitivity, for any network (GACT)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...errors import OperandError
from ..allocation import FEWEST, MOST, allocate
from ..codec import Bits
from ..policy import Policy, Slot


class Measured(Policy):
    """Measures what one bit of each tensor does to the gradients, then allocates.

    For every slot, two backward passes with that slot at 1 bit and all else at 8
    differ by noise alone: half their squared distance is the variance that slot
    causes, and (2^b - 1)^2 less of it remains at b bits. A third pass, all at 8 bits,
    gives what the others cause, which is taken off.

    Args:
        average: bits an element, 1 to 8.
        interval: steps from one measurement to the next.

    Raises:
        OperandError: for settings out of range.

    Example:
        >>> policy = Measured(4)
        >>> policy.bits(Slot("fc"), torch.zeros(2, 3)), policy.due
        (4, True)
    """

    def __init__(self, average: float, interval: int = 1000) -> None:
        if not FEWEST <= average <= MOST or interval < 1:
            raise OperandError(
                f"average={average}, interval={interval}; a budget is {FEWEST} to "
                f"{MOST} bits an element, an interval 1 step or more."
            )
        self.average = average
        self.interval = interval
        self._steps = 0
        self._sizes: dict[str, int] = {}
        self._chosen: dict[str, int] = {}
        self._tried: str | None = None
        self._measured = -interval

    @property
    def due(self) -> bool:
        """Whether it is time to measure."""
        return self._steps - self._measured >= self.interval

    def bits(self, slot: Slot, x: Tensor) -> Bits:
        """The width of a slot; the average until something was measured."""
        self._sizes[slot.name] = x.numel()
        if self._tried is not None:
            return FEWEST if slot.name == self._tried else MOST
        return self._chosen.get(slot.name, int(self.average))

    def end_step(self) -> None:
        """Counts the steps."""
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Steps, the sizes of slots, and what was chosen when."""
        return {"steps": self._steps, "sizes": dict(self._sizes),
                "chosen": dict(self._chosen), "measured": self._measured}  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self._steps, self._measured = state["steps"], state["measured"]
        self._sizes, self._chosen = dict(state["sizes"]), dict(state["chosen"])

    def measure(self, gradients: Callable[[], Tensor]) -> dict[str, float]:
        """Finds the variance that every slot causes at 1 bit, and allocates anew.

        Args:
            gradients: runs forward and backward on one batch, each time with other
                rounding, and returns all gradients as one vector.

        Returns:
            The variance of each slot.
        """
        try:
            base = self._variance("", gradients)
            names = list(self._sizes)
            found = [self._variance(name, gradients) for name in names]
        finally:
            self._tried = None
        cost = (torch.stack(found) - base).clamp(min=0)
        sizes = torch.tensor([float(self._sizes[name]) for name in names])
        bits = allocate(cost, sizes, self.average * sizes.sum())
        self._chosen = dict(zip(names, bits.tolist(), strict=True))
        self._measured = self._steps
        return dict(zip(names, cost.tolist(), strict=True))

    def _variance(self, name: str, gradients: Callable[[], Tensor]) -> Tensor:
        self._tried = name
        return (gradients() - gradients()).double().square().sum() / 2
