"""Observers: how the range of values that codes cover is found from data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from ..errors import OperandError
from .scheme import Scheme

State = tuple[Tensor, ...]
Range = tuple[Tensor, Tensor]


class Observer(ABC):
    """A frozen description of how to find a range; what it has seen is a `State`.

    A state is a tuple of tensors, each with one entry, or one for each index of the
    observed axis, along its first dimension.
    """

    @abstractmethod
    def measure(self, x: Tensor, axis: int | None) -> State:
        """The state after one tensor, for all of it or for each index of an axis."""

    @abstractmethod
    def add(self, old: State, new: State) -> State:
        """The state after both, where `new` came later."""

    @abstractmethod
    def range(self, state: State, scheme: Scheme) -> Range:
        """The lowest and highest value that codes of this scheme should cover."""

    def unite(self, states: Sequence[State]) -> State:
        """One state of what several processes saw, the same on each of them."""
        return reduce(self.add, states)


@dataclass(frozen=True)
class MinMax(Observer):
    """All values seen; what the batches were makes no difference.

    Example:
        >>> MinMax().measure(torch.tensor([[1.0, -2.0], [3.0, 0.5]]), axis=0)
        (tensor([-2.0000,  0.5000]), tensor([1., 3.]))
    """

    def measure(self, x: Tensor, axis: int | None) -> State:
        """The lowest and highest value."""
        return extremes(x, axis)

    def add(self, old: State, new: State) -> State:
        """The lower low and the higher high."""
        return torch.minimum(old[0], new[0]), torch.maximum(old[1], new[1])

    def range(self, state: State, scheme: Scheme) -> Range:
        """The lowest and highest value."""
        return state[0], state[1]


@dataclass(frozen=True)
class MovingAverage(Observer):
    """A running average of every batch's lowest and highest value.

    The result depends on the batches and their order. Several processes count alike.

    Args:
        momentum: weight of each new batch, above 0, at most 1.

    Raises:
        OperandError: for another momentum.

    Example:
        >>> batches = [torch.tensor([-1.0, 1.0]), torch.tensor([-2.0, 3.0])]
        >>> average = MovingAverage(momentum=0.5)
        >>> average.add(*(average.measure(batch, None) for batch in batches))
        (tensor(-1.5000), tensor(2.))
    """

    momentum: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.momentum <= 1:
            raise OperandError(
                f"momentum={self.momentum}; the weight of a new batch is above 0 and "
                "at most 1."
            )

    def measure(self, x: Tensor, axis: int | None) -> State:
        """The lowest and highest value of the batch."""
        return extremes(x, axis)

    def add(self, old: State, new: State) -> State:
        """The average, moved towards the new batch."""
        return tuple(a + self.momentum * (b - a) for a, b in zip(old, new, strict=True))

    def range(self, state: State, scheme: Scheme) -> Range:
        """The averages."""
        return state[0], state[1]

    def unite(self, states: Sequence[State]) -> State:
        """The mean of the processes' averages."""
        lows, highs = zip(*states, strict=True)
        return torch.stack(lows).mean(0), torch.stack(highs).mean(0)


def extremes(x: Tensor, axis: int | None) -> Range:
    """Float32 minimum and maximum, NaN where there is one."""
    if axis is None:
        low, high = torch.aminmax(x.detach())
    else:
        rows = x.detach().movedim(axis, 0).flatten(1)
        low, high = rows.aminmax(dim=1)
    return low.float(), high.float()


def shape_range(ends: Range, scheme: Scheme) -> Range:
    """Ends with one entry a channel, without the dimension where there is one scale."""
    return ends if scheme.axis is not None else (ends[0][0], ends[1][0])
