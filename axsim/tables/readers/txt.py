"""`.txt`: one row of products per line, or one line `a b value` per operand pair."""

from __future__ import annotations

import re
from itertools import islice

import numpy as np
import numpy.typing as npt

from ...errors import TableError
from . import Numbers, TableFile

EXPECTED = (
    "a .txt table has 256 rows of 256 numbers (2^a of 2^b for other widths), or one "
    "line 'a b value' for each pair of operands"
)
MOST_LINES = (1 << 16) + 1  # one for a heading, which is then named
COMMENT = re.compile("#.*")
#: Separators besides white space.
SEPARATORS = str.maketrans(",;", "  ")


def read(file: TableFile) -> Numbers:
    """Reads either layout; `#` begins a comment."""
    lines = _lines(file)
    widths = np.array([len(line) for line in lines])
    width = int(widths[0])
    if (widths != width).any():
        ragged = int(np.argmax(widths != width))
        raise TableError(
            f"{file.name}: line {ragged + 1} of the table has {widths[ragged]} "
            f"numbers, line 1 has {width}; {EXPECTED}."
        )
    values = np.array([_number(file, token) for line in lines for token in line])
    if width == 3:
        return _pairs(file, values.reshape(-1, 3))
    table = values.reshape(-1, width)
    file.check_shape(table.shape)
    return table


def _lines(file: TableFile) -> list[list[str]]:
    """The numbers of each line that has some, as text."""
    text = COMMENT.sub("", file.read_text(EXPECTED)).translate(SEPARATORS)
    filled = (line.split() for line in text.splitlines() if line and not line.isspace())
    lines = [*islice(filled, MOST_LINES + 1)]
    if not lines:
        raise TableError(f"{file.name} holds no numbers; {EXPECTED}.")
    if len(lines) > MOST_LINES:
        raise TableError(
            f"{file.name} has more than {1 << 16:,} lines of numbers; {EXPECTED}."
        )
    return lines


def _number(file: TableFile, token: str) -> float:
    """One number as float64, which holds every int32 exactly."""
    try:
        return float(token)
    except ValueError as problem:
        raise TableError(
            f"{file.name}: {token[:40]!r} is not a number; {EXPECTED}."
        ) from problem


def _pairs(file: TableFile, triples: Numbers) -> Numbers:
    """The table from lines `a b value`: every pair of operands exactly once."""
    if len(triples) != file.count:
        raise TableError(
            f"{file.name} has {len(triples):,} lines 'a b value'; {file.operands} "
            f"operands need {file.count:,}, one for each pair. Other widths are read "
            "with bits=(a, b), or a name such as mul8x4u_."
        )
    index = _codes(file, triples, 0) * file.shape[1] + _codes(file, triples, 1)
    seen = np.bincount(index, minlength=file.count)
    if (seen != 1).any():
        twice = int(np.argmax(seen > 1))
        a, b = divmod(twice, file.shape[1])
        raise TableError(
            f"{file.name} lists the operand codes {a} {b} {seen[twice]} times; each "
            "pair must stand there exactly once."
        )
    table = np.empty(file.count)
    table[index] = triples[:, 2]
    return table.reshape(file.shape)


def _codes(file: TableFile, triples: Numbers, operand: int) -> npt.NDArray[np.intp]:
    """Raw codes of one operand, which may be written as codes or as signed values."""
    values = triples[:, operand]
    side, signed = file.shape[operand], file.signed[operand]
    low = -(side // 2) if signed else 0
    # Written so that NaN is refused too.
    fits = (values >= low) & (values < side) & (values == np.trunc(values))
    if not fits.all():
        line = int(np.argmin(fits))
        raise TableError(
            f"{file.name}: operand {'ab'[operand]} in line {line + 1} of the table is "
            f"{values[line]:g}; {file.widths[operand]} bits allow {low} to {side - 1}."
        )
    return values.astype(np.intp) % side
