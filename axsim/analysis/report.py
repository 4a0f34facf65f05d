"""`ax.report`: multipliers or runs as one HTML page that opens anywhere, offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from ..errors import TableError
from ..tables.multiplier import Multiplier
from . import comparison
from .page import Html, join, page, tag
from .runs import Runs
from .runs_section import runs_section
from .runs_section import title as title_of_runs
from .table_section import table_section


def report(
    subject: Multiplier | Iterable[Multiplier] | Runs,
    path: str | Path,
    *,
    command: str | None = None,
) -> Path:
    """Writes a self-contained page on a multiplier, on several, or on a sweep.

    Args:
        subject: a multiplier, or at least one, or the runs of a sweep.
        path: the `.html` file to write; its folder is created if missing.
        command: how to make the page again, as it shall be printed on it.

    Returns:
        The path.

    Raises:
        TableError: if the path is not one of an `.html` file that can be written, or
            anything but multipliers or runs was given.

    Example:
        >>> mul = Multiplier.from_function(lambda a, b: a * b & ~7, signed=False)
        >>> report(mul, "mul8u_mine.html")  # doctest: +SKIP
        PosixPath('mul8u_mine.html')
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise TableError(
            f"report: {target.name!r} does not end in .html, and might be a table; "
            f"write to {target.with_suffix('.html').name!r}."
        )
    made_by = command or f'ax.report(..., "{target.name}")'
    title, content = _of_runs(subject) if isinstance(subject, Runs) else _of(subject)
    document = page(title, tag("h1", title), content, _footer(made_by))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(document, encoding="utf-8")
    except OSError as problem:
        raise TableError(f"report: {target} cannot be written: {problem}.") from problem
    return target


def _of_runs(runs: Runs) -> tuple[str, Html]:
    """Title and content of the page on a sweep, or on several."""
    groups = runs.groups()
    if not groups:
        raise TableError("report: there are no runs; sweep at least one multiplier.")
    if len(groups) == 1:
        return title_of_runs(runs), runs_section(runs)
    sections = (
        tag("section", tag("h1", title_of_runs(each)), runs_section(each))
        for each in groups
    )
    return f"{len(groups)} sweeps", join(sections)


def _of(subject: Multiplier | Iterable[Multiplier]) -> tuple[str, Html]:
    """Title and content of the page on one multiplier, or on several."""
    muls = [subject] if isinstance(subject, Multiplier) else list(subject)
    _check_multipliers(muls)
    if len(muls) == 1:
        return muls[0].name, table_section(muls[0])
    return f"{len(muls)} multipliers compared", _several(muls)


def _check_multipliers(given: Sequence[object]) -> None:
    if not given:
        raise TableError("report: no multipliers were given; name at least one.")
    for each in given:
        if not isinstance(each, Multiplier):
            raise TableError(
                f"report: {each!r} is a {type(each).__name__}, not a multiplier; load "
                "tables with ax.load_multiplier or ax.load_multipliers."
            )


def _several(muls: Sequence[Multiplier]) -> Html:
    ordered = comparison.by_error(muls)
    return join(
        [
            comparison.overview(ordered),
            tag("h2", "Each table"),
            comparison.details(ordered),
        ]
    )


def _footer(command: str) -> Html:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return tag(
        "footer",
        tag("p", "Made by ", tag("code", command)),
        tag("p", f"axsim {__version__}, {now}", class_="muted"),
    )
