"""`axsim tables`: the shipped multiplier tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import axsim as ax

from ..console import say, text_table

tables = typer.Typer(help="List the shipped multiplier tables, or build them anew.")


@tables.command("list")
def list_tables(
    pattern: Annotated[str, typer.Argument(help="Shell pattern of names.")] = "*",
) -> None:
    """Show the shipped tables with their error and modelled cost."""
    found = ax.multipliers(pattern)
    rows = [
        (mul.name, f"{mul.metrics().mae:.5g}", mul.metrics().wce,
         f"{mul.metrics().mre_percent:.3g}", f"{mul.metrics().bias:+.4g}", mul.rank,
         *_cost_cells(mul))
        for mul in sorted(found, key=lambda mul: mul.metrics().mae)
    ]  # fmt: skip
    head = ("name", "MAE", "WCE", "MRE %", "bias", "rank", "power", "area", "delay")
    say(text_table(rows, head, left=["name"]))
    costs = [mul.cost for mul in found if mul.cost]
    if costs:
        say(f"\npower, area and delay: {costs[0].units[0]}; {costs[0].origin}, "
            f"{costs[0].basis}")  # fmt: skip
    say("next: axsim report NAME")


@tables.command("build")
def build(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(
        "multipliers"
    ),
) -> None:
    """Build every shipped table, the index and the factors from the designs."""
    files = ax.build_catalogue(out)
    say(f"wrote {len(files)} files to {out}/")


def _cost_cells(mul: ax.Multiplier) -> tuple[str, str, str]:
    if mul.cost is None:
        return "-", "-", "-"
    power, area, delay = (
        "-" if value is None else f"{value:.3f}"
        for value in (mul.cost.power, mul.cost.area, mul.cost.delay)
    )
    return power, area, delay
