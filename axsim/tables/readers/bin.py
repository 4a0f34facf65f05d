"""`.bin`: the raw table, little-endian, row by row, without a header."""

from __future__ import annotations

import numpy as np

from ...errors import TableError
from . import TEXT, TEXT_LIMIT, Numbers, TableFile

SAMPLE = 4096  # so many bytes of text in a row are no table of products


def read(file: TableFile) -> Numbers:
    """Reads 16- or 32-bit entries, told apart by the size for the known widths."""
    count = file.count
    article = "an" if file.operands.startswith("8") else "a"
    needed = (
        f"{article} {file.operands} table needs {2 * count:,} (16-bit) or "
        f"{4 * count:,} (32-bit)"
    )
    # The limit is that of text, so that a misnamed text table is still seen as one.
    content = file.read_bytes(TEXT_LIMIT, needed)
    fits = len(content) in (2 * count, 4 * count)
    if (not fits or len(content) >= SAMPLE) and not content.translate(None, TEXT):
        raise TableError(
            f"{file.name} has {len(content):,} bytes of plain text; {needed}. A text "
            "table is called .txt, a C array .h."
        )
    if not fits:
        raise TableError(
            f"{file.name} has {len(content):,} bytes; {needed}. Other widths are read "
            "with bits=(a, b), or a name such as mul8x4u_."
        )
    narrow = "<i2" if any(file.signed) else "<u2"
    dtype = narrow if len(content) == 2 * count else "<i4"
    return np.frombuffer(content, dtype).reshape(file.shape)
