"""Progress bars, tables and messages: the one place that prints."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Item = TypeVar("Item")


def say(text: object) -> None:
    """Prints plain text to standard output."""
    sys.stdout.write(f"{text}\n")


def complain(text: object) -> None:
    """Prints plain text to standard error."""
    sys.stderr.write(f"{text}\n")


def progress(
    items: Iterable[Item], what: str, total: int | None = None
) -> Iterator[Item]:
    """The items again, with a progress bar on standard error once they take a while.

    Args:
        items: what to go through.
        what: the label of the bar.
        total: how many items there are, where `len` does not say.

    Example:
        >>> list(progress([1, 2], "counting"))
        [1, 2]
    """
    # A pipe or a log file wants no bar.
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import track

    yield from track(items, description=what, total=total, console=_standard_error(),
                     transient=True)  # fmt: skip


def text_table(
    rows: Iterable[Sequence[object]], head: Sequence[str], left: Sequence[str] = ()
) -> str:
    """Rows as aligned text: numbers to the right, words (columns `left`) to the left.

    Args:
        rows: one sequence of cells for each line.
        head: the column titles.
        left: titles of the columns that hold words.

    Example:
        >>> print(text_table([("a", 1.5)], ("name", "value"), left=["name"]))
        name  value
        ----  -----
        a       1.5
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [[*head], *cells]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        aligned = (
            cell.ljust(width) if title in left else cell.rjust(width)
            for cell, width, title in zip(row, widths, head, strict=True)
        )
        return "  ".join(aligned).rstrip()

    rule = ["-" * width for width in widths]
    return "\n".join(line(row) for row in [[*head], rule, *cells])


def _standard_error() -> Console:
    from rich.console import Console

    return Console(stderr=True)
