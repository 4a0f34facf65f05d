"""The options by which a command converts a network, and the rules they stand for."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import typer

import axsim as ax


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
        str | None, "Such as pg:bits=3,msb=2,target=1,weight=1e-3 or cg:parts=4."
    ] = None
    saved: Annotated[
        str | None, "What backward passes remember: actnn:L3, blpa:bits=4, acgc, gact."
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
        asked = self.multiplier, self.bits, self.gate, self.saved, *self.recipe
        if not any(asked):
            needed = "--multiplier, --bits, --recipe, --gate or --saved"
            self._refuse(("only", "exact"), needed)

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

    def rules(self, table: ax.Multiplier | None = None) -> Any:
        """The rules for `approximate`; None where nothing is to be converted.

        Args:
            table: the multiplier itself, where it was loaded already.
        """
        product = self._product(table)
        parts: list[Any] = []
        # Patterns of the layers whose multiplier a recipe has connected.
        connected: list[str] = []
        for named in self._named():
            rules = named.build(product)
            parts.append(rules)
            if named.takes_product:
                connected += [rule.pattern for group in rules for rule in group]
        if self.bits is not None:
            parts.append([ax.Rule(".*", ax.LayerSpec(quant=_codes(self.bits)))])
        if product is not None and ".*" not in connected:
            others = f"(?!(?:{'|'.join(connected)})$).*" if connected else ".*"
            quant = _signed_codes() if self.signs else None
            parts.append([ax.Rule(others, ax.LayerSpec(quant, product))])
        if not parts:
            return None
        return ax.recipes.text.restrict(parts, self.only, self.exact)

    def _named(self) -> Iterator[Any]:
        """The recipes by name, of each option that takes them."""
        options = (
            ("recipe", self.recipe),
            ("gate", (self.gate,)),
            ("saved", (self.saved,)),
        )
        for option, texts in options:
            for text in filter(None, texts):
                for part in ax.recipes.text.split_outside(text, "|"):
                    yield ax.recipes.text.find_recipe(part.strip(), option)

    def _product(self, table: ax.Multiplier | None) -> ax.Product | None:
        if self.multiplier is None:
            return None
        named = {
            name: value
            for name in ("row", "signs", "pad", "gradient")
            if (value := getattr(self, name)) is not None
        }
        return ax.Product(table or ax.load_multiplier(self.multiplier), **named)


def _codes(bits: int) -> ax.Quant:
    """Affine codes of activations and symmetric ones of weights, per channel."""
    weight = replace(ax.Scheme.for_weight(signed=True), bits=bits)
    return ax.Quant(ax.Scheme(bits=bits), weight)


def _signed_codes() -> ax.Quant:
    """Codes that give an unsigned table's sign policy something to do."""
    return ax.Quant(ax.Scheme.for_activation(True), ax.Scheme.for_weight(True))
