"""What a family of designs is: one way to multiply, with numbers to choose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ...errors import TableError
from ..netlist import Net
from .operand import IntArray, Shape


@dataclass(frozen=True)
class Parameter:
    """A number that a family leaves to choose, spelled `<prefix><number>` in names.

    Args:
        meaning: what it says about the design, for messages and listings.
        limits: `limits(shape, *earlier)` gives its least and largest value, where the
            parameters before it have the values `earlier`.
        prefix: letters before the number, empty where no confusion is possible.
    """

    meaning: str
    limits: Callable[..., tuple[int, int]]
    prefix: str = ""


@dataclass(frozen=True)
class Family:
    """One published way to multiply: its circuit beside its arithmetic definition.

    Args:
        name: the word for it in design names, lower case without underscores.
        summary: one sentence.
        citation: authors, title, venue and year.
        circuit: `circuit(a, b, *values)` writes it with the nets of two `Bus`.
        product: `product(a, b, *values)` computes it on the integers of two `Operand`.
        parameters: the numbers to choose, in the order of `values`.
        signs: the operands it is defined for, "u" (unsigned), "s" (signed) or "us".
        shipped: full names of the designs of this family that axsim ships.
    """

    name: str
    summary: str
    citation: str
    circuit: Callable[..., Sequence[Net]]
    product: Callable[..., IntArray]
    parameters: tuple[Parameter, ...] = ()
    signs: str = "u"
    shipped: tuple[str, ...] = ()

    def spell(self, values: Sequence[int]) -> str:
        """The family and its numbers as they stand in a name, such as `bam_h2_v5`."""
        spelled = (
            p.prefix + str(v) for p, v in zip(self.parameters, values, strict=True)
        )
        return "_".join([self.name, *spelled])

    def read(
        self, design: str, spelled: Sequence[str], shape: Shape
    ) -> tuple[int, ...]:
        """The numbers in a name, checked.

        Raises:
            TableError: if they are not spelled as they should be or out of range.
        """
        patterns = [f"{p.prefix}(0|[1-9][0-9]*)" for p in self.parameters]
        found = re.fullmatch("_".join(patterns), "_".join(spelled))
        if not found:
            raise TableError(f"design {design!r}: {self._usage(shape)}.")
        values = tuple(map(int, found.groups()))
        for i, parameter in enumerate(self.parameters):
            low, high = parameter.limits(shape, *values[:i])
            if not low <= values[i] <= high:
                raise TableError(
                    f"design {design!r}: {parameter.meaning} is {values[i]}; for "
                    f"{shape} operands{' and these others' if i else ''} it must "
                    f"be {low} to {high}."
                )
        return values

    def legal_values(self, shape: Shape) -> Iterator[tuple[int, ...]]:
        """All choices of its numbers for operands of this shape."""
        chosen: list[tuple[int, ...]] = [()]
        for parameter in self.parameters:
            chosen = [
                (*earlier, value)
                for earlier in chosen
                for low, high in [parameter.limits(shape, *earlier)]
                for value in range(low, high + 1)
            ]
        yield from chosen

    def _usage(self, shape: Shape) -> str:
        if not self.parameters:
            return f"'{self.name}' takes no parameters"
        example = self.spell(next(self.legal_values(shape)))
        meanings = ", ".join(p.meaning for p in self.parameters)
        return f"'{self.name}' takes {meanings}, spelled for example '{example}'"
