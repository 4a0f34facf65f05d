"""Channel gating: a share of the input channels comes first."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from ..errors import ConversionError
from .split import Part, Shape, Split


@dataclass(frozen=True)
class Channels(Split):
    """Base: one of `parts` equal groups of input channels; rest: all others.

    Args:
        parts: into how many groups the input channels are cut, at least 2.
        grouped: whether each of as many groups of outputs has a base of its own, as
            in a grouped convolution; else the first group serves all outputs.
        shuffle: whether the groups interleave: of 8 channels in 4 parts the groups are
            then (0, 2), (4, 6), (1, 3), (5, 7). The layer as a whole stays the same.

    Raises:
        ConversionError: for fewer than 2 parts.

    Example:
        >>> print(Channels(4, grouped=True))
        1 of 4 channel groups first, grouped
    """

    parts: int = 4
    grouped: bool = False
    shuffle: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.parts, Integral) or self.parts < 2:
            raise ConversionError(
                f"Channels: parts={self.parts!r}; give a whole number of 2 or more: "
                "with fewer nothing is left for the rest."
            )

    def base(self, shape: Shape) -> tuple[Part, ...]:
        """One group of channels: for all outputs, or one for each group of them."""
        groups = self._groups(shape)
        return tuple(
            Part(outputs, groups[index])
            for index, outputs in enumerate(self._outputs(shape))
        )

    def rest(self, shape: Shape) -> tuple[Part, ...]:
        """The other groups of channels."""
        groups = self._groups(shape)
        return tuple(
            Part(outputs, tuple(sorted(c for j, group in enumerate(groups)
                                       if j != index for c in group)))
            for index, outputs in enumerate(self._outputs(shape))
        )  # fmt: skip

    def check(self, shape: Shape) -> None:
        """Refuses grouped convolutions, and channels that the parts do not divide.

        Raises:
            ConversionError: with the reason.
        """
        if shape.groups != 1:
            raise ConversionError(
                f"{shape.name!r} has groups={shape.groups}; a channel gate splits the "
                "channels of ungrouped layers only. Leave it out with a rule."
            )
        sizes = {"input channels": shape.channels}
        sizes |= {"outputs": shape.outputs} if self.grouped else {}
        for what, count in sizes.items():
            if count % self.parts:
                raise ConversionError(
                    f"{shape.name!r} has {count} {what}, which {self.parts} parts do "
                    "not divide; choose parts that do, or leave the layer out with a "
                    "rule."
                )

    def base_work(self, shape: Shape) -> float:
        """One part of all products."""
        return 1 / self.parts

    def __str__(self) -> str:
        words = [f"1 of {self.parts} channel groups first"]
        words += ["grouped"] * self.grouped + ["shuffled"] * self.shuffle
        return ", ".join(words)

    def _groups(self, shape: Shape) -> list[tuple[int, ...]]:
        order = range(shape.channels)
        size = shape.channels // self.parts
        if self.shuffle:
            order = [i * size + j for j in range(size) for i in range(self.parts)]
        return [tuple(order[g * size : (g + 1) * size]) for g in range(self.parts)]

    def _outputs(self, shape: Shape) -> list[tuple[int, int]]:
        if not self.grouped:
            return [(0, shape.outputs)]
        size = shape.outputs // self.parts
        return [(g * size, (g + 1) * size) for g in range(self.parts)]
