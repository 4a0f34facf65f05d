"""`axsim demo`: the main job on what is shipped, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import axsim as ax

from ..console import say
from .tables import listing


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo"),
) -> None:
    """Report on every shipped multiplier: table, plot and page."""
    muls = ax.multipliers()
    say(listing(muls))
    page = ax.report(muls, out / "report.html", command="axsim demo")
    axes = ax.plot.pareto([mul for mul in muls if mul.bits == (8, 8)])
    picture = out / "pareto.png"
    axes.get_figure(root=True).savefig(picture, dpi=150)
    say(f"\nwrote {page} and {picture}")
    say("next: open the page; axsim report NAME; axsim report your/tables/*.bin")
