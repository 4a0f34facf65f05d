"""`axsim sweep`: a trained network under many tables."""

from __future__ import annotations

import os
import shlex
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer

import axsim as ax

from ..console import complain, say
from ._options import take, with_options
from ._pairs import parse_pairs
from ._recipe import TableRecipe


@with_options(TableRecipe)
def sweep(
    model: Annotated[
        str,
        typer.Option(help="A network of axsim, torchvision:NAME or module:factory."),
    ],
    data: Annotated[str, typer.Option(help="digits, cifar10:/path and the like.")],
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]...",
            help="Shipped names, patterns such as 'mul8u_*', files, folders or globs; "
            "by default every shipped table.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="A file, or 'shipped'; by default the network as built."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="File of rows; where it exists the sweep goes on.")
    ] = Path("runs.jsonl"),
    processes: Annotated[
        int, typer.Option(min=0, help="Processes that evaluate; 0 is this one.")
    ] = 0,
    batch_size: Annotated[int, typer.Option(help="Samples a batch.")] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    report: Annotated[
        Path | None, typer.Option(help="Also write an HTML page.")
    ] = None,
    model_option: Annotated[
        list[str] | None, typer.Option(help="Such as classes=100; repeatable.")
    ] = None,
    data_option: Annotated[
        list[str] | None, typer.Option(help="Such as fold=1; repeatable.")
    ] = None,
    **given: Any,
) -> None:
    """Evaluate a network under many tables and rank them."""

    recipe: TableRecipe = take(TableRecipe, given)
    muls = ax.load_multipliers(tables) if tables else ax.multipliers()
    # Options that make no rules are no fault of a table, to be told in its row.
    recipe(muls[0])
    net = ax.build_network(model, **parse_pairs(model_option or []))
    if weights is not None:
        file = ax.shipped_weights(model) if weights == "shipped" else weights
        ax.load_weights(net, file)
    options = parse_pairs(data_option or [])
    command = shlex.join(["axsim", *sys.argv[1:]])
    try:
        with _executor(processes) as executor:
            runs = ax.sweep(
                net,
                muls,
                ax.load_data(data, "test", **options),
                calibration=recipe.calibrate,
                recipe=recipe,
                out=out,
                executor=executor,
                batch_size=batch_size,
                device=device,
                words={"model": model, "recipe": recipe.words, "command": command},
            )
    except KeyboardInterrupt:
        complain(f"interrupted; go on with the same command ({out})")
        raise typer.Exit(130) from None
    _show(runs, out, report, command)
    if len(runs.failed) == len(runs):
        complain("every table failed; the rows above say why")
        raise typer.Exit(1)


def _show(runs: ax.Runs, out: Path, report: Path | None, command: str) -> None:
    say(runs)
    say(f"\nrows are in {out}")
    if report is None:
        say(f"next: axsim report {out}")
    else:
        say(f"wrote {ax.report(runs, report, command=command)}")


def _executor(processes: int) -> AbstractContextManager[Executor | None]:
    """Processes that share the cores; none for 0."""
    if processes < 1:
        return nullcontext()
    import torch

    threads = max((os.cpu_count() or 1) // processes, 1)
    return ProcessPoolExecutor(
        processes,
        # Threads of torch do not survive a fork.
        mp_context=get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(threads,),
    )
