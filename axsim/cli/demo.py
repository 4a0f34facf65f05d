"""`axsim demo`: the main job on what is shipped, offline."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Annotated

import typer

import axsim as ax

from ..console import say

MODEL = "digits_resnet"


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo"),
) -> None:
    """Evaluate the shipped trained network under every shipped table."""
    import torch

    # Images of 8x8 pixels are so little work that threads would wait for each other.
    torch.set_num_threads(1)
    net = ax.load_weights(ax.build_network(MODEL), ax.shipped_weights(MODEL))
    rows = out / "runs.jsonl"
    kept = len(ax.Runs.read(rows)) if rows.exists() else 0
    runs = ax.sweep(
        net,
        ax.multipliers(),
        ax.load_data("digits", "test"),
        out=rows,
        words={"model": MODEL, "command": "axsim demo"},
    )
    say(runs)
    page = ax.report(runs, out / "report.html", command="axsim demo")
    picture = out / "pareto.png"
    ax.plot.pareto(runs).get_figure(root=True).savefig(picture, dpi=150)
    if kept:
        say(f"\n{kept} rows were there already; delete {rows} to compute them anew")
    used = resource.getrusage(resource.RUSAGE_SELF)
    say(f"\n{used.ru_utime + used.ru_stime:.0f} s of computing, loading included")
    say(f"wrote {rows}, {page} and {picture}")
    say(
        "next: open the page; axsim sweep --help; axsim report 'mul8u_*' for the tables"
    )
