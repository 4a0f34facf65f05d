"""Progress bars, tables and messages: the one place that prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

# Told how much is done, of how much in all (0 where unknown), and a note.
Show = Callable[[int, int, str], None]
Item = TypeVar("Item")

# Whether a bar of `progress_bar` is on the screen now.
_SHOWN = ContextVar("shown", default=False)


def say(text: object) -> None:
    """Prints plain text to standard output; of several processes, the first does."""
    if _is_first():
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
    # A pipe or a log file wants no bar, one of several processes shows it, and two at
    # a time would overwrite each other.
    if _SHOWN.get() or not (sys.stderr.isatty() and _is_first()):
        yield from items
        return
    from rich.progress import track

    yield from track(items, description=what, total=total, console=_standard_error(),
                     transient=True)  # fmt: skip


@contextmanager
def progress_bar(what: str) -> Generator[Show]:
    """A bar on standard error with a note and the time left, where somebody watches.

    Args:
        what: the label of the bar.

    Example:
        >>> with progress_bar("training") as show:
        ...     show(1, 2, "loss 0.31")
    """
    if _SHOWN.get() or not (sys.stderr.isatty() and _is_first()):
        yield lambda done, total, note: None
        return
    from rich import progress as rich

    columns = [rich.TextColumn(what), rich.BarColumn(), rich.MofNCompleteColumn(),
               rich.TextColumn("{task.fields[note]}", markup=False),
               rich.TimeRemainingColumn()]  # fmt: skip
    with rich.Progress(*columns, console=_standard_error(), transient=True) as bar:
        tasks: list[TaskID] = []

        def show(done: int, total: int, note: str) -> None:
            # Begun where a resumed run is, or the time left would be too short.
            if not tasks:
                tasks.append(bar.add_task(what, completed=done, note=note))
            bar.update(tasks[0], completed=done, total=total or None, note=note)

        token = _SHOWN.set(True)
        try:
            yield show
        finally:
            _SHOWN.reset(token)


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


def _is_first() -> bool:
    # torchrun numbers the processes that it starts.
    return os.environ.get("RANK", "0") == "0"


def _standard_error() -> Console:
    from rich.console import Console

    return Console(stderr=True)
