"""`ax.plot`: every plot by its name, found in the file of `plots/` that bears it.

A new plot is a new file there, with a function of the same name; matplotlib is
loaded when the first plot is used.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import close_names


def __getattr__(name: str) -> Any:
    if name not in __dir__():
        hint = "" if name.startswith("_") else close_names(name, __dir__())
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{hint}")
    return getattr(import_module(f".plots.{name}", __package__), name)


def __dir__() -> list[str]:
    return sorted(
        file.stem for file in Path(__file__).with_name("plots").glob("[a-z]*.py")
    )
