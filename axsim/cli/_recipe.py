"""Recipes on the command line: from a multiplier to the rules of a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import typer

import axsim as ax

from ..errors import ConversionError, close_names

Recipe = Callable[[ax.Multiplier], Any]


def parse_recipe(text: str) -> Recipe:
    """A profile of `ax.recipes.tfapprox`, or a function of a module: `mine:rules`.

    Raises:
        ConversionError: where there is none.
    """
    profiles = ax.recipes.PROFILES
    if text in profiles:
        return partial(ax.recipes.tfapprox, profile=text)
    source, _, member = text.partition(":")
    if not (source and member):
        raise ConversionError(
            f"recipe {text!r} is none of the profiles {', '.join(profiles)}, and no "
            f"module:function such as mine:rules.{close_names(text, profiles)}"
        )
    try:
        found = getattr(import_module(source), member)
    except (ImportError, AttributeError) as problem:
        raise ConversionError(
            f"recipe {text!r} is not found ({problem}). The folder of {source!r} must "
            "be on PYTHONPATH, and the function in it."
        ) from problem
    if not callable(found):
        raise ConversionError(
            f"recipe {text!r} is a {type(found).__name__}; needed is a function from a "
            "multiplier to rules."
        )
    return found


def choose_recipe(
    recipe: str | None, exact: str | None
) -> tuple[Recipe, dict[str, str]]:
    """The recipe of `--recipe` or `--exact`, and what rows call it."""
    if recipe and exact:
        raise typer.BadParameter("--recipe says it all; leave --exact out.")
    if recipe:
        return parse_recipe(recipe), {"recipe": recipe}
    if exact:
        return partial(_leave_exact, exact), {"recipe": f"exact: {exact}"}
    return _every_layer, {"recipe": ""}


def _every_layer(mul: ax.Multiplier) -> ax.Multiplier:
    return mul


def _leave_exact(pattern: str, mul: ax.Multiplier) -> list[ax.Rule]:
    return [ax.Rule(pattern, ax.Exact()), ax.Rule(".*", mul)]
