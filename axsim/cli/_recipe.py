"""The options by which a sweep puts each of its tables under a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

import axsim as ax

from ._answers import Answers


@dataclass(frozen=True, kw_only=True)
class TableRecipe:
    """How a table is connected, and where; called with one, it gives the rules.

    The options are those of `axsim eval`, but for the table itself.
    """

    row: Annotated[str | None, "Operand of the rows: activation or weight."] = None
    signs: Annotated[
        str | None, "int8 codes on an unsigned table: sign-magnitude or shift."
    ] = None
    pad: Annotated[str | None, "What a padded tap gives: code or skip."] = None
    recipe: Annotated[
        tuple[str, ...], "Such as tfapprox:profile=tf2; several are united."
    ] = ()
    only: Annotated[str | None, "Pattern of layers to convert; others stay."] = None
    exact: Annotated[tuple[str, ...], "Pattern of layers that stay exact."] = ()
    calibrate: Annotated[int, "Training images from which ranges are taken."] = 512

    def __post_init__(self) -> None:
        if self.calibrate < 1:
            raise typer.BadParameter(f"--calibrate {self.calibrate}; at least 1.")

    def __call__(self, mul: ax.Multiplier) -> Any:
        """The rules for a table."""
        return self._answers(mul.name).rules(mul) or mul

    @property
    def words(self) -> str:
        """The options as they are written on a command line."""
        return self._answers("TABLE").words.removeprefix("--multiplier TABLE").strip()

    def _answers(self, multiplier: str) -> Answers:
        return Answers(
            multiplier=multiplier,
            row=self.row,
            signs=self.signs,
            pad=self.pad,
            recipe=self.recipe,
            only=self.only,
            exact=self.exact,
        )
