"""`ax.report`: multipliers as one HTML page that opens anywhere, offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from ..errors import TableError
from ..tables.multiplier import Multiplier
from . import comparison
from .page import Html, join, page, tag
from .table_section import table_section


def report(
    subject: Multiplier | Iterable[Multiplier],
    path: str | Path,
    *,
    command: str | None = None,
) -> Path:
    """Writes a self-contained page on one multiplier, or on several compared.

    Args:
        subject: a multiplier, or at least one.
        path: the `.html` file to write; its folder is created if missing.
        command: how to make the page again, as it shall be printed on it.

    Returns:
        The path.

    Raises:
        TableError: if the path is not one of an `.html` file that can be written, or
            anything but multipliers was given.

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
    muls = [subject] if isinstance(subject, Multiplier) else list(subject)
    _check_multipliers(muls)
    made_by = command or f'ax.report(..., "{target.name}")'
    content = table_section(muls[0]) if len(muls) == 1 else _several(muls)
    title = muls[0].name if len(muls) == 1 else f"{len(muls)} multipliers compared"
    document = page(title, tag("h1", title), content, _footer(made_by))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(document, encoding="utf-8")
    except OSError as problem:
        raise TableError(f"report: {target} cannot be written: {problem}.") from problem
    return target


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
