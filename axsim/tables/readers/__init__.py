"""Readers of table files: one module per format, called as its extension.

A module offers `read(file: TableFile)` and returns the table as a two-dimensional
array of numbers; whether they make a multiplier is checked where one is built.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ...errors import TableError

Numbers = npt.NDArray[Any]
#: Bytes that plain text is made of.
TEXT = bytes([*range(32, 127), *b"\t\n\v\f\r"])
#: No sensible text table is larger: 65,536 lines of three long numbers take 5 MB.
TEXT_LIMIT = 8 << 20


@dataclass(frozen=True)
class TableFile:
    """A table file and what is known about it before it is read.

    Args:
        path: an existing regular file.
        signed: whether each operand is two's complement.
        bits: operand widths where the user or the name states them.
        allow_compile: whether code in the file may be compiled and run.
    """

    path: Path
    signed: tuple[bool, bool]
    bits: tuple[int, int] | None = None
    allow_compile: bool = False

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def widths(self) -> tuple[int, int]:
        """The operand widths; 8x8 where neither format nor name tells."""
        return self.bits or (8, 8)

    @property
    def operands(self) -> str:
        """The operand widths in words."""
        return f"{self.widths[0]}x{self.widths[1]}"

    @property
    def count(self) -> int:
        """The number of operand pairs."""
        return 1 << sum(self.widths)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of a table with these operand widths."""
        return 1 << self.widths[0], 1 << self.widths[1]

    def read_bytes(self, limit: int, expected: str) -> bytes:
        """The content, read only if it has at least one byte and at most `limit`."""
        size = self.path.stat().st_size
        if size == 0:
            raise TableError(f"{self.name} is empty; {expected}.")
        if size > limit:
            raise TableError(
                f"{self.name} has {size:,} bytes and was not read; {expected}."
            )
        with self.path.open("rb") as stream:
            return stream.read(limit)

    def read_text(self, expected: str) -> str:
        """The content as text, without a byte-order mark."""
        content = self.read_bytes(
            TEXT_LIMIT, f"{expected}, in at most {TEXT_LIMIT:,} bytes"
        )
        if b"\0" in content:
            raise TableError(
                f"{self.name} is not plain text; {expected}. A binary table is called "
                ".bin or .npy; text must be UTF-8, not UTF-16."
            )
        return content.decode("utf-8-sig", errors="replace")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuses a table whose shape is not the one the user or the name states."""
        if self.bits is not None and shape != self.shape:
            raise TableError(
                f"{self.name} holds an array of shape {shape}; {self.operands} "
                f"operands, as its name or bits= says, need {self.shape}. Rename it or "
                "pass the right bits=(a, b)."
            )


def extensions() -> tuple[str, ...]:
    """The extensions that have a reader."""
    return tuple(sorted(f".{module.name}" for module in pkgutil.iter_modules(__path__)))


@cache
def find_reader(extension: str) -> Callable[[TableFile], Numbers] | None:
    """The reader of an extension, None where there is none."""
    if extension not in extensions():
        return None
    return import_module(extension, __name__).read
