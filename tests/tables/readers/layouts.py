"""Tables written by hand in the formats that axsim only reads."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from axsim.tables.files import load_multiplier
from axsim.tables.multiplier import Multiplier, operand_values

Table = npt.NDArray[Any]


def as_header(table: Table, declaration: str = "const int16_t lut[256][256]") -> str:
    """A C header as AdaPT ships it."""
    rows = ",\n".join(f"{{{', '.join(map(str, row))}}}" for row in table.tolist())
    return f"#include <stdint.h>\n{declaration} = {{\n{rows}\n}};\n"


def as_rows(table: Table, separator: str = " ") -> str:
    return "".join(f"{separator.join(map(str, row))}\n" for row in table.tolist())


def as_pairs(table: Table, signed: tuple[bool, bool] = (False, False)) -> str:
    """Lines `a b value`, the operands as the values that they stand for."""
    rows, columns = table.shape
    a = operand_values(rows.bit_length() - 1, signed[0]).tolist()
    b = operand_values(columns.bit_length() - 1, signed[1]).tolist()
    return "".join(
        f"{a[i]} {b[j]} {table[i, j]}\n" for i in range(rows) for j in range(columns)
    )


def load_content(content: str | bytes, name: str, **arguments: Any) -> Multiplier:
    """Loads a file of this name with this content."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_multiplier(path, **arguments)


def random_table(
    bits: tuple[int, int] = (8, 8), low: int = 0, high: int = 65535, seed: int = 0
) -> Table:
    shape = (1 << bits[0], 1 << bits[1])
    return np.random.default_rng(seed).integers(low, high + 1, shape)
