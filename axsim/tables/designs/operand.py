"""The operands that arithmetic definitions compute with: all values at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..multiplier import operand_values

IntArray = npt.NDArray[np.int64]


class Shape(NamedTuple):
    """The widths of operands `a` and `b` in bits, and whether they are signed."""

    a: int
    b: int
    signed: bool

    def __str__(self) -> str:
        return f"{'signed' if self.signed else 'unsigned'} {self.a}x{self.b}"


class Operand:
    """All values of one operand, shaped so that `a` and `b` broadcast to all pairs."""

    def __init__(self, value: IntArray, bits: int, signed: bool) -> None:
        self.value = value
        self.bits = bits
        self.signed = signed

    def __len__(self) -> int:
        return self.bits

    def __getitem__(self, i: int) -> IntArray:
        """Bit i of every value (of its two's complement), 0 or 1."""
        return self.value >> i & 1


def operand_grid(shape: Shape) -> tuple[Operand, Operand]:
    """Operands `a` (a column) and `b` (a row) that run through all raw codes."""
    a, b = (
        operand_values(n, shape.signed).astype(np.int64) for n in (shape.a, shape.b)
    )
    return (
        Operand(a[:, None], shape.a, shape.signed),
        Operand(b[None, :], shape.b, shape.signed),
    )


def floor_log2(value: IntArray) -> IntArray:
    """The position of the highest set bit, 0 for 0.

    Example:
        >>> floor_log2(np.array([0, 1, 7, 8]))
        array([0, 0, 2, 3])
    """
    return np.array([value >> i > 0 for i in range(1, 17)]).sum(axis=0, dtype=np.int64)
