"""`axsim report`: the card of a table, or the runs of a sweep, and a page."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

import axsim as ax

from ..console import say, text_table
from .convert import parse_bits


def report(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE...",
            help="Shipped names, patterns such as 'mul8u_*', files, folders or globs; "
            "or one .jsonl file of a sweep.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The .html file; by default NAME.html, or report.html."),
    ] = None,
    signed: Annotated[
        bool | None,
        typer.Option(
            "--signed/--unsigned",
            help="Whether operands are two's complement; by default names say so.",
        ),
    ] = None,
    bits: Annotated[
        str | None,
        typer.Option(help="Operand widths such as 8x4; by default names or files."),
    ] = None,
    allow_compile: Annotated[
        bool,
        typer.Option("--allow-compile", help="Compile and run .c models."),
    ] = False,
) -> None:
    """Show a table, several compared, or a sweep; write a page."""
    command = shlex.join(["axsim", *sys.argv[1:]])
    if len(tables) == 1 and tables[0].endswith(".jsonl"):
        file = Path(tables[0])
        runs = ax.Runs.read(file)
        say(runs)
        _say_page(
            ax.report(runs, out or file.with_suffix(".html").name, command=command)
        )
        return
    muls = ax.load_multipliers(
        tables,
        signed=signed,
        bits=None if bits is None else parse_bits(bits),
        allow_compile=allow_compile,
    )
    say(muls[0] if len(muls) == 1 else _compared(muls))
    _say_page(ax.report(muls, out or _page_name(muls), command=command))


def _say_page(page: Path) -> None:
    say(f"\nwrote {page} ({page.stat().st_size / 1000:,.0f} kB)")


def _page_name(muls: list[ax.Multiplier]) -> str:
    if len(muls) > 1:
        return "report.html"
    return re.sub(r"[^\w.-]", "_", muls[0].name) + ".html"


def _compared(muls: list[ax.Multiplier]) -> str:
    """All tables by error, and below whose costs these are."""
    ordered = sorted(muls, key=lambda mul: mul.metrics().mae_percent)
    rows = [
        (mul.name, mul.operands, f"{m.mae_percent:.3g}", f"{m.wce_percent:.3g}",
         f"{m.bias_percent:+.3g}", f"{m.mre_percent:.3g}", mul.rank, _power(mul))
        for mul in ordered for m in [mul.metrics()]
    ]  # fmt: skip
    head = ("name", "operands", "MAE %", "WCE %", "bias %", "MRE %", "rank", "power")
    origins = dict.fromkeys(mul.cost.origin for mul in muls if mul.cost)
    below = f"\npower by: {'; '.join(origins)}" if origins else ""
    return text_table(rows, head, left=["name", "operands"]) + below


def _power(mul: ax.Multiplier) -> str:
    if mul.cost is None or mul.cost.power is None:
        return "unknown"
    return f"{mul.cost.power:.3g} {mul.cost.units[0]}"
