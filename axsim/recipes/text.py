"""Recipes as they are written on a command line: `name:value,key=value`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import NoneType
from typing import Any, get_args, get_type_hints

from ..errors import ConversionError, close_names
from ..nn.recipe import Recipe, recipe
from ..nn.spec import Exact, Product, Rule

PLAIN = {bool, int, float, str, NoneType}
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
            bound = inspect.signature(self.function).bind(*self.values, **named)
        except TypeError as problem:
            own = [str(p) for p in self._parameters.values() if p.name != "mul"]
            raise ConversionError(
                f"{self.text}: {problem}. It takes {', '.join(own)}; write "
                "NAME:value,key=value."
            ) from problem
        for name, value in bound.arguments.items():
            self._check_type(name, value)
        return self.function(*self.values, **named)

    def _check_type(self, name: str, value: object) -> None:
        """Refuses a word for a number and the like; what is no plain type passes."""
        hint = get_type_hints(self.function)[name]
        kinds = set(get_args(hint)) or {hint}
        fits = type(value) in kinds or (float in kinds and type(value) is int)
        if kinds <= PLAIN and not fits:
            raise ConversionError(
                f"{self.text}: {name}={value!r} is of type {type(value).__name__}; "
                f"it takes {self._parameters[name].annotation}."
            )

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
    for part in filter(None, split_outside(rest, ",")):
        key, equals, value = part.partition("=")
        if equals:
            named[key.strip()] = _read_value(value.strip())
        else:
            values.append(_read_value(part.strip()))
    return RecipeText(f"--{option} {text}", known[name], tuple(values), named)


def split_outside(text: str, mark: str) -> list[str]:
    """The parts of a text between marks that stand in no brackets.

    Example:
        >>> split_outside("cg:gated=(a|b),parts=2|actnn:L2", "|")
        ['cg:gated=(a|b),parts=2', 'actnn:L2']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == mark and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


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
