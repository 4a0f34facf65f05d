"""What the name of a table says about its operands, by EvoApproxLib's convention."""

from __future__ import annotations

import re
from dataclasses import dataclass

CONVENTION = re.compile(r"mul(\d{1,3})(?:x(\d{1,3}))?([us])_")


@dataclass(frozen=True)
class Stated:
    """Operand widths and signedness as a name states them."""

    bits: tuple[int, int]
    signed: bool


def stated_operands(name: str) -> Stated | None:
    """The operands that a name states, None where it follows no convention.

    Example:
        >>> stated_operands("mul8x4u_0AB")
        Stated(bits=(8, 4), signed=False)
    """
    match = CONVENTION.match(name)
    if match is None:
        return None
    width_a, width_b, sign = match.groups()
    return Stated((int(width_a), int(width_b or width_a)), sign == "s")


def conventional_prefix(bits: tuple[int, int], signed: bool) -> str:
    """How the name of a table with these operands begins.

    Example:
        >>> conventional_prefix((8, 4), signed=False)
        'mul8x4u_'
    """
    width = f"{bits[0]}" if bits[0] == bits[1] else f"{bits[0]}x{bits[1]}"
    return f"mul{width}{'s' if signed else 'u'}_"
