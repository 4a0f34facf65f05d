"""`.h`: a table as the initialiser of a C array, read as numbers and never compiled.

AdaPT and TransAxx ship such files: `const int16_t lut[256][256] = {{...}, ...};`,
indexed by the two's-complement bytes of the operands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from ...errors import TableError
from . import Numbers, TableFile

EXPECTED = "a .h table holds one array of numbers, name[256][256] = {{...}, ...}"
COMMENT = re.compile(r"/\*|//")
# Possessive repeats: a hostile file must not make the search step back.
OPENING = re.compile(r"=\s*+\{")
DECLARED = re.compile(r"(\w++)\s*+((?:\[[^\[\]]*+\]\s*+)++)$")
BRACE = re.compile(r"[{}]")
ROW = re.compile(r"\{([^{}]*+)\}")
NUMBER = re.compile(r"[-+]? ?(?:0[xX][0-9a-fA-F]{1,15}|(?!0\d)\d{1,18})[uUlL]{0,3}")
SHORT = re.compile(r"\b(?:int16_t|short)\b")
MOST_NAMED = 5
BEFORE = 300  # how far before its initialiser a declaration is looked for


def read(file: TableFile) -> Numbers:
    """Reads the only initialised array of a C header."""
    text = strip_comments(file.read_text(EXPECTED))
    arrays = [*islice(_arrays(file, text), MOST_NAMED + 1)]
    if len(arrays) != 1:
        names = [name for name, _, _ in arrays]
        more = ", ..." if len(arrays) > MOST_NAMED else ""
        found = f"several arrays ({', '.join(names[:MOST_NAMED])}{more})"
        found = found if arrays else "no initialised array"
        raise TableError(
            f"{file.name} holds {found}; {EXPECTED}. Keep the one you want in a file "
            "of its own."
        )
    _, declaration, body = arrays[0]
    table = _table(file, body)
    file.check_shape(table.shape)
    if any(file.signed) and SHORT.search(declaration):
        # In C, 0xFFFF in an int16_t is -1.
        table = np.where((table > 32767) & (table < 65536), table - 65536, table)
    return table


def strip_comments(text: str) -> str:
    """C source without its comments, in one pass over the text."""
    parts: list[str] = []
    position = 0
    while match := COMMENT.search(text, position):
        parts.append(text[position : match.start()])
        closing = "*/" if match[0] == "/*" else "\n"
        end = text.find(closing, match.end())
        position = len(text) if end < 0 else end + len(closing)
    parts.append(text[position:])
    return " ".join(parts)


def _arrays(file: TableFile, text: str) -> Iterator[tuple[str, str, str]]:
    """Name, declaration and initialiser of every initialised array."""
    position = 0
    while opening := OPENING.search(text, position):
        position = _closing(text, opening.end())
        before = text[max(0, opening.start() - BEFORE) : opening.start()]
        declaration = re.split(r"[;}]", before)[-1]
        declared = DECLARED.search(declaration)
        name = declared[1] if declared else "without a name"
        if position > len(text):
            raise TableError(
                f"{file.name}: the array {name} does not end; the file is truncated."
            )
        yield name, declaration, text[opening.end() : position - 1]


def _closing(text: str, start: int) -> int:
    """The position after the brace that closes the one before `start`.

    Past the end of the text where none does.
    """
    depth = 1
    for brace in BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return len(text) + 1


def _table(file: TableFile, body: str) -> Numbers:
    """The numbers of an initialiser: rows in braces, or one flat list."""
    if "{" not in body:
        flat = _numbers(file, body)
        if len(flat) != file.count:
            raise TableError(
                f"{file.name} lists {len(flat):,} numbers; {file.operands} operands "
                f"need {file.count:,}. Is it truncated? Other widths "
                "are read with bits=(a, b), or a name such as mul8x4u_."
            )
        return flat.reshape(file.shape)
    outside = ROW.sub("", body).strip(", \t\r\n")
    if outside.replace(",", "").strip():
        raise TableError(
            f"{file.name}: {outside[:40]!r} stands between the rows; {EXPECTED}."
        )
    rows = [_numbers(file, row) for row in ROW.findall(body)]
    ragged = next((i for i, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if ragged is not None:
        raise TableError(
            f"{file.name}: row {ragged} has {len(rows[ragged])} numbers, row 0 has "
            f"{len(rows[0])}; {EXPECTED}."
        )
    return np.array(rows)


def _numbers(file: TableFile, row: str) -> npt.NDArray[np.int64]:
    tokens = [token.strip() for token in row.split(",")]
    if tokens and not tokens[-1]:
        tokens.pop()  # a trailing comma
    wrong = next((token for token in tokens if not NUMBER.fullmatch(token)), None)
    if wrong is not None:
        raise TableError(f"{file.name}: {wrong[:40]!r} is not a whole number.")
    plain = (token.rstrip("uUlL").replace(" ", "") for token in tokens)
    return np.array([int(token, 0) for token in plain], dtype=np.int64)
