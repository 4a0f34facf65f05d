"""Precision gating: the most significant bits of the activations come first."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from ..errors import ConversionError
from ..quant.scheme import Scheme
from ..tables.multiplier import Multiplier, operand_values
from .digits import Digits
from .split import Part, Shape, Split


@dataclass(frozen=True)
class Bits(Split):
    """Base: the `msb` high bits of every activation; rest: its low bits.

    Args:
        msb: high bits, at least 1 and fewer than the codes have; the sign of signed
            codes counts as one of them.

    Raises:
        ConversionError: for fewer than 1.

    Example:
        >>> print(Bits(2))
        high 2 bits first
    """

    msb: int

    def __post_init__(self) -> None:
        if not isinstance(self.msb, Integral) or self.msb < 1:
            raise ConversionError(
                f"Bits: msb={self.msb!r}; the base needs at least 1 bit of the codes, "
                "a whole number."
            )

    def base(self, shape: Shape) -> tuple[Part, ...]:
        """The high digits, for all outputs."""
        return (self._part(shape, high=True),)

    def rest(self, shape: Shape) -> tuple[Part, ...]:
        """The low digits, for all outputs."""
        return (self._part(shape, high=False),)

    def check(self, shape: Shape) -> None:
        """Refuses inputs without codes, codes too narrow, and codes with a zero point.

        Raises:
            ConversionError: with the reason.
        """
        scheme = shape.codes
        if scheme is None:
            raise ConversionError(
                f"{shape.name!r} has a gate that splits bits but no codes to split; "
                "answer quant=, or a multiplier, or use ax.recipes.precision_gating."
            )
        least = self.msb + 1
        if scheme.bits < least:
            raise ConversionError(
                f"{shape.name!r} has codes of {scheme.bits} bits and msb={self.msb}; "
                f"the rest needs a bit too. Use codes of at least {least} bits or "
                f"msb below {scheme.bits}."
            )
        if scheme.signed and self.msb < 2:
            raise ConversionError(
                f"{shape.name!r} has signed codes and msb=1, which is the sign alone; "
                "choose msb of at least 2."
            )
        if not scheme.symmetric:
            raise ConversionError(
                f"{shape.name!r} has codes {scheme}; bits are split where code 0 is "
                f"the value 0. Use Scheme({scheme.bits}, symmetric=True) for inputs "
                "that are never negative, or signed symmetric codes."
            )

    def base_work(self, shape: Shape) -> float:
        """Bits of the base over bits of the codes."""
        return self.msb / shape.codes.bits if shape.codes else 1.0

    def __str__(self) -> str:
        return f"high {self.msb} bits first"

    def _part(self, shape: Shape, high: bool) -> Part:
        if shape.codes is None:
            raise ConversionError(f"{shape.name!r} has no codes whose bits to split.")
        digits = Digits(shape.codes.bits - self.msb, high)
        return Part((0, shape.outputs), digits=digits)


def composite(
    base: Multiplier, rest: Multiplier, scheme: Scheme, msb: int
) -> Multiplier:
    """The one table that an always open gate on two tables computes with.

    Args:
        base: its rows are codes of the high digits.
        rest: its rows are codes of the low digits; the same weights as `base`.
        scheme: of the whole activations.
        msb: bits of the base.

    Example:
        >>> unsigned = {"signed": False, "bits": (2, 4)}
        >>> high = Multiplier.from_function(lambda a, b: a * b, **unsigned)
        >>> low = Multiplier.from_function(lambda a, b: 0 * b, **unsigned)
        >>> composite(high, low, Scheme(3, symmetric=True), msb=2).table[7, 5]
        np.int32(30)
    """
    dropped = scheme.bits - msb
    values = operand_values(scheme.bits, scheme.signed)
    size, sign = np.abs(values), np.sign(values)
    rows = sign * (size >> dropped), sign * (size & ((1 << dropped) - 1))
    tables = [mul.table.astype(np.int64)[row % len(mul.table)]
              for mul, row in zip((base, rest), rows, strict=True)]  # fmt: skip
    table = (tables[0] << dropped) + tables[1]
    signed = (scheme.signed, base.signed[1])
    name = f"{base.name}+{rest.name}"
    return Multiplier(table, signed, name, f"high {msb} of {scheme.bits} bits first")
