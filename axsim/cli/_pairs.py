"""`name=value` on the command line, for the options of networks and data sets."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import typer


def parse_pairs(texts: Iterable[str]) -> dict[str, object]:
    """Options from texts such as `classes=100`; what is no number or word of Python
    is text.

    Example:
        >>> parse_pairs(["classes=100", "weights=DEFAULT"])
        {'classes': 100, 'weights': 'DEFAULT'}
    """
    pairs: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals):
            raise typer.BadParameter(f"{text!r} is no pair such as classes=100.")
        try:
            pairs[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            pairs[name] = value
    return pairs
