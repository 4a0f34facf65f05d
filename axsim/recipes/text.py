"""Recipes as they are written on a command line: `name:value,key=value`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..errors import ConversionError, close_names
from ..nn.recipe import Recipe, recipe
from ..nn.spec import Exact, Product, Rule

REQUIRED = inspect.Parameter.empty
PACKAGE = __name__.rpartition(".")[0]
SHORT = {"cg": "channel_gating", "pg": "precision_gating"}
# Recipes that are all about one question, and can be named by it.
ABOUT = {
    "gate": ("cg", "channel_gating", "pg", "precision_gating"),
    "saved": ("acgc", "actnn", "blpa", "gact", "rectified"),
}


@dataclass(frozen=True)
class RecipeText:
    """A recipe as it is written: `name:value,key=value`.

    Args:
        text: as written, with its option.
        function: of that name in `axsim.recipes`.
        values, named: its arguments.
    """

    text: str
    function: Callable[..., Recipe]
    values: tuple[object, ...]
    named: dict[str, object]

    @property
    def takes_product(self) -> bool:
        """Whether the recipe has a multiplier, its parameter `mul`."""
        return "mul" in self._parameters

    def build(self, product: Product | None) -> Recipe:
        """The recipe's rules.

        Raises:
            ConversionError: where it needs a multiplier, or its arguments do not fit.
        """
        named = dict(self.named)
        if self.takes_product and product is not None:
            named["mul"] = product
        elif self.takes_product and self._parameters["mul"].default is REQUIRED:
            raise ConversionError(
                f"{self.text} is about a multiplier; name it with --multiplier."
            )
        try:
            inspect.signature(self.function).bind(*self.values, **named)
        except TypeError as problem:
            own = [str(p) for p in self._parameters.values() if p.name != "mul"]
            raise ConversionError(
                f"{self.text}: {problem}. It takes {', '.join(own)}; write "
                "NAME:value,key=value."
            ) from problem
        return self.function(*self.values, **named)

    @property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.function).parameters


def find_recipe(text: str, option: str = "recipe") -> RecipeText:
    """What a text such as `tfapprox:profile=tf2` names.

    Args:
        text: as written.
        option: "recipe" for any recipe; "gate" or "saved" for those about that.

    Raises:
        ConversionError: where there is no such recipe.

    Example:
        >>> find_recipe("tfapprox:profile=adapt").named
        {'profile': 'adapt'}
    """
    name, _, rest = text.strip().partition(":")
    known = recipes()
    choices = ABOUT.get(option, tuple(known))
    if name not in choices:
        raise ConversionError(
            f"--{option} {text}: there is no recipe {name!r}; there are "
            f"{', '.join(choices)}.{close_names(name, choices)}"
        )
    values: list[object] = []
    named: dict[str, object] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if equals:
            named[key.strip()] = _read_value(value.strip())
        else:
            values.append(_read_value(part.strip()))
    return RecipeText(f"--{option} {text}", known[name], tuple(values), named)


def recipes() -> dict[str, Callable[..., Any]]:
    """The functions of `axsim.recipes` by name, and by short name."""
    own = {
        name: each
        for name, each in vars(import_module(PACKAGE)).items()
        if inspect.isfunction(each) and not name.startswith("_")
    }
    short = {name: own[long] for name, long in SHORT.items()}
    return dict(sorted((own | short).items()))


def restrict(
    parts: Iterable[Recipe | Iterable[Rule]], only: str | None, exact: Iterable[str]
) -> Recipe:
    """Recipes united, for some of the layers.

    Args:
        parts: recipes, or lists of rules.
        only: the pattern of layers that they are for; None for all.
        exact: patterns of layers that stay exact whatever the rules say.
    """
    first = tuple(Rule(pattern, Exact()) for pattern in exact)
    return Recipe(
        (*first, *(_narrowed(rule, only) for rule in group))
        for part in parts
        for group in recipe(part)
    )


def _narrowed(rule: Rule, only: str | None) -> Rule:
    if only is None:
        return rule
    pattern = only if rule.pattern == ".*" else f"(?=(?:{only})$)(?:{rule.pattern})"
    return Rule(pattern, rule.spec)


def _read_value(text: str) -> object:
    """A number, or a word of Python, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
