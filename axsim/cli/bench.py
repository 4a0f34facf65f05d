"""`axsim bench`: how fast something is on this machine."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

import axsim

from ..console import say
from ..errors import BackendError, close_names


def bench(
    subject: Annotated[str, typer.Argument(help="What to measure, such as kernels.")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 1,
    out: Annotated[
        Path | None, typer.Option("--json", help="Also write the numbers to a file.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--out", help="Where trained networks are kept.")
    ] = Path("runs/bench"),
    model: Annotated[
        str | None, typer.Option(help="A network of the zoo, for bench network.")
    ] = None,
    multipliers: Annotated[
        list[str] | None,
        typer.Option("--multiplier", help="A table, for bench network; repeatable."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images of a batch, for bench network.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Such as cifar10:/path, for bench convergence or gates."),
    ] = None,
) -> None:
    """Measure the speed of one subject and print it as a table."""
    known = subjects()
    if subject not in known:
        raise BackendError(
            f"there is nothing to measure called {subject!r}; there are "
            f"{', '.join(known)}.{close_names(subject, known)}"
        )
    run = import_module(f"axsim.analysis.bench.{subject}").run
    taken = _settings(subject)
    kept: dict[str, Any] = {"folder": folder} if "folder" in taken else {}
    asked = {"model": model, "multipliers": multipliers, "batch": batch, "data": data}
    for name, value in asked.items():
        if value is None:
            continue
        if name not in taken:
            takers = [f"'axsim bench {s}'" for s in known if name in _settings(s)]
            raise BackendError(
                f"bench {subject} takes no --{name.removesuffix('s')}; only "
                f"{' and '.join(takers)} {'do' if takers[1:] else 'does'}."
            )
        kept[name] = value
    result = run(device, threads, **kept)
    say(result)
    if out is not None:
        out.write_text(json.dumps(result.to_dict(), indent=1) + "\n")
        say(f"wrote {out}")


def subjects() -> list[str]:
    """Names of what can be measured: the files of analysis/bench that have a `run`."""
    folder = Path(axsim.__file__).parent / "analysis" / "bench"
    files = sorted(folder.glob("[a-z]*.py"))
    return [file.stem for file in files if "\ndef run(" in file.read_text()]


def _settings(subject: str) -> Mapping[str, inspect.Parameter]:
    """What the measurement of a subject takes."""
    run = import_module(f"axsim.analysis.bench.{subject}").run
    return inspect.signature(run).parameters
