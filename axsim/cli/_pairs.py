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
        pairs[name] = parse_value(value)
    return pairs


def parse_value(text: str) -> object:
    """A number, or a word of Python, or the text itself.

    Example:
        >>> [parse_value(text) for text in ("4", "0.5", "True", "L3")]
        [4, 0.5, True, 'L3']
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
