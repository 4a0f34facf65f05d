"""Recipes as they are written on a command line: `name:value,key=value`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..errors import ConversionError, close_names
from ..nn.recipe import Recipe, recipe
from ..nn.spec import Exact, Product, Rule

PACKAGE = __name__.rpartition(".")[0]


REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class RecipeText:
    """A recipe as it is written: `name:value,key=value`.

    Args:
        text: as written.
        function: of that name in `axsim.recipes`.
        values, named: its arguments.
    """

    text: str
    function: Callable[..., Recipe]
    values: tuple[object, ...]
    named: dict[str, object]

    @property
    def takes_product(self) -> bool:
        """Whether the recipe is about a multiplier, its parameter `mul`."""
        return "mul" in inspect.signature(self.function).parameters

    def build(self, product: Product | None) -> Recipe:
        """The recipe's rules.

        Raises:
            ConversionError: where it needs a multiplier, or its arguments do not fit.
        """
        named = dict(self.named)
        signature = inspect.signature(self.function)
        if self.takes_product and product is not None:
            named["mul"] = product
        elif self.takes_product and signature.parameters["mul"].default is REQUIRED:
            raise ConversionError(
                f"--recipe {self.text} is about a multiplier; name it with "
                "--multiplier."
            )
        try:
            signature.bind(*self.values, **named)
        except TypeError as problem:
            own = [str(p) for p in signature.parameters.values() if p.name != "mul"]
            raise ConversionError(
                f"--recipe {self.text}: {problem}. It takes {', '.join(own)}; write "
                "NAME:value,key=value."
            ) from problem
        return self.function(*self.values, **named)


def find_recipe(text: str) -> RecipeText:
    """What a text such as `tfapprox:profile=tf2` names.

    Raises:
        ConversionError: where there is no such recipe.

    Example:
        >>> find_recipe("tfapprox:profile=adapt").named
        {'profile': 'adapt'}
    """
    name, _, rest = text.strip().partition(":")
    known = recipes()
    if name not in known:
        raise ConversionError(
            f"--recipe {text}: there is no recipe {name!r}; there are "
            f"{', '.join(known)}.{close_names(name, known)}"
        )
    values: list[object] = []
    named: dict[str, object] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if equals:
            named[key.strip()] = _read_value(value.strip())
        else:
            values.append(_read_value(part.strip()))
    return RecipeText(text, known[name], tuple(values), named)


def recipes() -> dict[str, Callable[..., Any]]:
    """The functions of `axsim.recipes` by name."""
    return {
        name: each
        for name, each in sorted(vars(import_module(PACKAGE)).items())
        if inspect.isfunction(each) and not name.startswith("_")
    }


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
