"""The `axsim` command: one file per subcommand, found by its name."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path

import typer

from .. import __version__
from ..console import complain
from ..errors import AxsimError, AxsimWarning


def commands() -> list[str]:
    """Names of the subcommands: the files of this folder."""
    files = sorted(Path(__file__).parent.glob("[a-z]*.py"))
    return [file.stem for file in files]


def build_app() -> typer.Typer:
    """The command line application; commands import what is heavy when they run."""
    app = typer.Typer(
        name="axsim",
        help="Simulate approximate arithmetic in neural networks.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def about(  # pyright: ignore[reportUnusedFunction]
        version: bool = typer.Option(
            False, "--version", is_eager=True, callback=_show_version, help="Show it."
        ),
    ) -> None:
        del version

    for name in commands():
        module = import_module(f".{name}", __name__)
        attached = getattr(module, name)
        if isinstance(attached, typer.Typer):
            app.add_typer(attached, name=name)
        else:
            app.command(name)(attached)
    return app


def main() -> None:
    """Runs the command line; errors of axsim are shown as a line, not a traceback."""
    warnings.showwarning = _show_warning
    # Torch's threads wait for the next work at full speed, with GNU's OpenMP for
    # milliseconds; here for 0.3 ms, after which others have the cores. Read when
    # torch loads.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal without µ, or a file name that is no text, is no reason to end.
            stream.reconfigure(errors="replace")
    try:
        build_app()(prog_name="axsim")
    except AxsimError as problem:
        complain(f"{type(problem).__name__}: {problem}")
        sys.exit(2)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"axsim {__version__}")
        raise typer.Exit


_default_showwarning = warnings.showwarning


def _show_warning(
    message: Warning | str, category: type[Warning], *where: object
) -> None:
    """Warnings of axsim as one line; everything else as Python shows it."""
    if issubclass(category, AxsimWarning):
        complain(f"warning: {message}")
    else:
        _default_showwarning(message, category, *where)  # pyright: ignore[reportArgumentType]
