"""`--gate`: the two gating recipes by short names."""

from __future__ import annotations

import re

from ..errors import ConversionError, close_names

RECIPES = {"pg": "precision_gating", "cg": "channel_gating"}


def gate_recipe(text: str) -> str:
    """The recipe that a gate on the command line stands for, as `--recipe` has it.

    Raises:
        ConversionError: for another name.

    Example:
        >>> gate_recipe("pg:bits=3,msb=2")
        'precision_gating:activation_bits=3,msb=2'
    """
    name, colon, rest = text.strip().partition(":")
    if name not in RECIPES:
        raise ConversionError(
            f"--gate {text}: {name!r} is no gate; choose pg (precision gating) or cg "
            f"(channel gating), such as pg:bits=3,msb=2.{close_names(name, RECIPES)}"
        )
    return RECIPES[name] + colon + re.sub(r"(^|,)bits=", r"\1activation_bits=", rest)
