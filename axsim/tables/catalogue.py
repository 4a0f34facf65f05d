"""The shipped tables. A seam only: the shipped designs replace it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import TableError, close_names
from .cost import Cost
from .multiplier import Multiplier


@dataclass(frozen=True)
class ShippedEntry:
    """What the index says of one shipped table."""

    name: str
    bits: tuple[int, int]
    signed: tuple[bool, bool]
    rank: int | None
    cost: Cost | None


@cache
def data_folder() -> Path:
    """The `multipliers/` folder of the wheel or of the checkout."""
    package = Path(__file__).resolve().parent.parent
    wheel = package / "_multipliers"
    return wheel if wheel.is_dir() else package.parent / "multipliers"


def shipped_names() -> tuple[str, ...]:
    """The names of all shipped tables."""
    return ()


def find_shipped(sha256: str) -> ShippedEntry | None:
    """The shipped table with this content, if there is one."""
    return None


def shipped_table(name: str) -> Multiplier:
    """The shipped table of this name."""
    raise TableError(
        f"there is no shipped table {name!r}.{close_names(name, shipped_names())}"
    )
