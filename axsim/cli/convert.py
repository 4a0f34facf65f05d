"""`axsim convert`: a table file in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import axsim as ax

from ..console import say


def convert(
    src: Annotated[
        str,
        typer.Argument(
            help="A .bin, .npy, .npz, .h, .txt or .c file, or a shipped name."
        ),
    ],
    dst: Annotated[Path, typer.Argument(help="The .bin or .npy file to write.")],
    signed: Annotated[
        bool | None,
        typer.Option(
            "--signed/--unsigned",
            help="Operands are two's complement or not; by default as the name says.",
        ),
    ] = None,
    bits: Annotated[
        str | None,
        typer.Option(help="Operand widths such as 8x4; by default as the name says."),
    ] = None,
    allow_compile: Annotated[
        bool,
        typer.Option("--allow-compile", help="Compile and run a .c model from SRC."),
    ] = False,
) -> None:
    """Convert a multiplier table to .bin or .npy."""
    mul = ax.load_multiplier(
        src,
        signed=signed,
        bits=None if bits is None else parse_bits(bits),
        allow_compile=allow_compile,
    )
    written = mul.save(dst)
    say(mul)
    say(f"written: {written}, {written.stat().st_size:,} bytes")


def parse_bits(text: str) -> tuple[int, int]:
    """Operand widths from text such as `8x4`.

    Example:
        >>> parse_bits("8x4")
        (8, 4)
    """
    a, _, b = text.partition("x")
    if not (a.isdecimal() and b.isdecimal()):
        raise typer.BadParameter(f"{text!r} is no pair of widths such as 8x4.")
    return int(a), int(b)
