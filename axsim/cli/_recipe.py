"""The options by which a sweep puts each of its tables under a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import axsim as ax

from ._answers import Answers


@dataclass(frozen=True, kw_only=True)
class TableRecipe(Answers):
    """How a table is connected, and where; called with one, it gives the rules.

    The options are those of `axsim eval`, but for those that a sweep answers itself.
    """

    multiplier: str | None = field(default="TABLE", init=False)
    gradient: str | None = field(default=None, init=False)
    bits: int | None = field(default=None, init=False)
    saved: str | None = field(default=None, init=False)

    def __call__(self, mul: ax.Multiplier) -> Any:
        """The rules for a table."""
        return self.rules(mul)
