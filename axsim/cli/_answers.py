"""The options by which a command converts a network, and the rules they stand for."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

import axsim as ax

from ..errors import ConversionError, close_names
from ..nn.recipe import Recipe, recipe
from ..quant.scheme import PerAxis, Scheme
from ._gate import gate_recipe
from ._pairs import parse_value

EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What is to be approximated, and how; by default nothing is."""

    multiplier: Annotated[str | None, "Table under the layers: name or file."] = None
    row: Annotated[str | None, "Operand of the rows: activation or weight."] = None
    signs: Annotated[
        str | None, "int8 codes on an unsigned table: sign-magnitude or shift."
    ] = None
    pad: Annotated[str | None, "What a padded tap gives: code or skip."] = None
    gradient: Annotated[str | None, "Of a product: ste, slopes or table."] = None
    bits: Annotated[int | None, "Codes of this width; on exact products alone."] = None
    recipe: Annotated[
        tuple[str, ...], "Such as tfapprox:profile=tf2; several are united."
    ] = ()
    gate: Annotated[
        str | None, "pg:bits=3,msb=2,target=1,weight=1e-3 or cg:parts=4."
    ] = None
    only: Annotated[str | None, "Pattern of layers to convert; others stay."] = None
    exact: Annotated[tuple[str, ...], "Pattern of layers that stay exact."] = ()
    calibrate: Annotated[int, "Training images from which ranges are taken."] = 512

    def __post_init__(self) -> None:
        if self.calibrate < 1:
            raise typer.BadParameter(f"--calibrate {self.calibrate}; at least 1.")
        if self.bits is not None and self.multiplier is not None:
            raise typer.BadParameter(
                f"--bits {self.bits} is for exact products; a table has codes of its "
                "own width. Leave out --bits, or name a narrower table."
            )
        if self.multiplier is None:
            self._refuse(("row", "signs", "pad", "gradient"), "--multiplier")
        asked = self.multiplier, self.bits, self.gate, *self.recipe
        if not any(asked):
            self._refuse(("only", "exact"), "--multiplier, --bits, --recipe or --gate")

    def _refuse(self, names: Iterable[str], needed: str) -> None:
        """Options that say nothing without others."""
        for name in names:
            if getattr(self, name):
                raise typer.BadParameter(f"--{name} needs {needed}.")

    @property
    def words(self) -> str:
        """The options as they are written on a command line."""
        given: list[str] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                values = value if isinstance(value, tuple) else (value,)
                given += [w for each in values for w in (f"--{field.name}", str(each))]
        return shlex.join(given)

    def rules(self) -> Recipe | None:
        """The rules for `approximate`; None where nothing is to be converted."""
        product = self._product()
        parts: list[Recipe] = []
        texts = [part for text in self.recipe for part in text.split("|")]
        texts += [] if self.gate is None else [gate_recipe(self.gate)]
        used = False
        for text in texts:
            found = find_recipe(text)
            parts.append(found.build(product))
            used = used or found.takes_product
        if self.bits is not None:
            parts.append(recipe(ax.LayerSpec(quant=_codes(self.bits))))
        if product is not None and not used:
            quant = _signed_codes() if self.signs else None
            parts.append(recipe(ax.LayerSpec(quant, product)))
        if not parts:
            return None
        united = Recipe(group for part in parts for group in part)
        return restrict(united, self.only, self.exact)

    def _product(self) -> ax.Product | None:
        if self.multiplier is None:
            return None
        named = {
            name: value
            for name in ("row", "signs", "pad", "gradient")
            if (value := getattr(self, name)) is not None
        }
        return ax.Product(ax.load_multiplier(self.multiplier), **named)


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

    def build(self, product: ax.Product | None) -> Recipe:
        """The recipe's rules.

        Raises:
            ConversionError: where it needs a multiplier, or its arguments do not fit.
        """
        named = dict(self.named)
        signature = inspect.signature(self.function)
        if self.takes_product and product is not None:
            named["mul"] = product
        elif self.takes_product and signature.parameters["mul"].default is EMPTY:
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
            named[key.strip()] = parse_value(value.strip())
        else:
            values.append(parse_value(part.strip()))
    return RecipeText(text, known[name], tuple(values), named)


def recipes() -> dict[str, Callable[..., Any]]:
    """The functions of `axsim.recipes` by name."""
    return {
        name: each
        for name, each in sorted(vars(ax.recipes).items())
        if inspect.isfunction(each) and not name.startswith("_")
    }


def restrict(rules: Recipe, only: str | None, exact: Iterable[str]) -> Recipe:
    """The rules for some of the layers.

    Args:
        rules: a recipe.
        only: the pattern of layers that they are for; None for all.
        exact: patterns of layers that stay exact whatever the rules say.
    """
    first = tuple(ax.Rule(pattern, ax.Exact()) for pattern in exact)
    return Recipe(
        (*first, *(_narrowed(rule, only) for rule in group)) for group in rules
    )


def _narrowed(rule: ax.Rule, only: str | None) -> ax.Rule:
    if only is None:
        return rule
    pattern = only if rule.pattern == ".*" else f"(?=(?:{only})$)(?:{rule.pattern})"
    return ax.Rule(pattern, rule.spec)


def _codes(bits: int) -> ax.Quant:
    """Affine codes of activations and symmetric ones of weights, per channel."""
    return ax.Quant(
        Scheme(bits=bits),
        Scheme(bits=bits, signed=True, symmetric=True, granularity=PerAxis(0)),
    )


def _signed_codes() -> ax.Quant:
    """Codes that give an unsigned table's sign policy something to do."""
    return ax.Quant(Scheme.for_activation(True), Scheme.for_weight(True))
