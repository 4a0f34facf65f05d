"""Splits: which products make the base of a layer, and which the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..quant.scheme import Scheme
from .digits import Digits


@dataclass(frozen=True)
class Shape:
    """What a split must know of a layer.

    Args:
        channels: of the input.
        outputs: of the layer.
        groups: of a convolution.
        codes: of the input; None where it stays real.
        name: how errors call the layer.
    """

    channels: int
    outputs: int
    groups: int = 1
    codes: Scheme | None = None
    name: str = "the layer"


@dataclass(frozen=True)
class Part:
    """One sum of a layer: some digits of its inputs, or some of its input channels.

    Args:
        outputs: first output and the one behind the last.
        channels: input channels that are summed over; None for all.
        digits: of the input's codes; None for the whole codes.
    """

    outputs: tuple[int, int]
    channels: tuple[int, ...] | None = None
    digits: Digits | None = None


class Split(ABC):
    """A frozen description of base and rest, which together are the whole layer."""

    @abstractmethod
    def base(self, shape: Shape) -> tuple[Part, ...]:
        """What is always computed; the parts' outputs lie side by side."""

    @abstractmethod
    def rest(self, shape: Shape) -> tuple[Part, ...]:
        """What is computed where the gate is open."""

    @abstractmethod
    def check(self, shape: Shape) -> None:
        """Refuses a layer that cannot be split so.

        Raises:
            ConversionError: with the reason.
        """

    @abstractmethod
    def base_work(self, shape: Shape) -> float:
        """The base's share of the layer's work: of bits, or of products."""
