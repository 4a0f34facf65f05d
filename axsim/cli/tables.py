"""`axsim tables`: the shipped multiplier tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import axsim as ax

from ..console import say, text_table

tables = typer.Typer(
    help="List the shipped multiplier tables, or build them anew.",
    no_args_is_help=True,
)


@tables.command("list")
def list_tables(
    pattern: Annotated[str, typer.Argument(help="Shell pattern of names.")] = "*",
) -> None:
    """Show the shipped tables with their error and modelled cost."""
    say(listing(ax.multipliers(pattern)))
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


def listing(muls: list[ax.Multiplier]) -> str:
    """Multipliers by mean absolute error, and where their costs come from."""
    rows = [
        (mul.name, f"{m.mae:.5g}", m.wce, f"{m.mre_percent:.3g}", f"{m.bias:+.4g}",
         mul.rank, *_cost_cells(mul))
        for mul in sorted(muls, key=lambda mul: mul.metrics().mae)
        for m in [mul.metrics()]
    ]  # fmt: skip
    head = ("name", "MAE", "WCE", "MRE %", "bias", "rank", "power", "area", "delay")
    sources = dict.fromkeys(
        f"power, area and delay in {', '.join(dict.fromkeys(cost.units))}: "
        f"{cost.origin}; {cost.basis}"
        for cost in (mul.cost for mul in muls)
        if cost
    )
    return "\n".join([text_table(rows, head, left=["name"]), "", *sources])


def _cost_cells(mul: ax.Multiplier) -> tuple[str, str, str]:
    if mul.cost is None:
        return "-", "-", "-"
    power, area, delay = (
        "-" if value is None else f"{value:.3f}"
        for value in (mul.cost.power, mul.cost.area, mul.cost.delay)
    )
    return power, area, delay
