"""Looking for the files of a data set, and saying what is expected where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError


def find_folder(
    path: str | Path, candidates: Sequence[str], needed: Sequence[str], layout: str
) -> Path:
    """The first of some folders below a path that holds what is needed.

    Args:
        path: where the user says the data set is.
        candidates: folders below it, `"."` for the path itself.
        needed: names, any of which shows that this is the folder.
        layout: what is expected and where to get it, for the message.

    Raises:
        DataError: with the layout, where there is no such folder.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"{root} {what}. {layout}")
    for candidate in candidates:
        if any((root / candidate / name).exists() for name in needed):
            return root / candidate
    held = sorted(entry.name for entry in root.iterdir())
    shown = ", ".join(held[:5]) + (", …" if len(held) > 5 else "")
    raise DataError(f"{root} holds {shown or 'nothing'}. {layout}")


def read_file(path: Path, limit: int, layout: str) -> bytes:
    """The content of a file of at most `limit` bytes."""
    try:
        size = path.stat().st_size
        if size > limit:
            raise DataError(
                f"{path} has {size:,} bytes and was not read; at most {limit:,} are "
                f"expected. {layout}"
            )
        return path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem}. {layout}") from problem
