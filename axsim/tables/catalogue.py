"""The shipped tables: their index, their files and the factors stored beside them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import TableError, close_names
from .cost import MODEL_UNITS, Cost
from .metrics import IntTable

if TYPE_CHECKING:
    from .multiplier import Content, Multiplier

INDEX = "index.toml"
FACTORS = "factors.npz"


@dataclass(frozen=True)
class ShippedEntry:
    """What the index says of one shipped table."""

    name: str
    family: str
    about: str
    sha256: str
    bits: tuple[int, int]
    signed: tuple[bool, bool]
    rank: int
    figures: dict[str, float]  #: mae, wce, bias, mse, variance, ep, mre, wcre
    cost: Cost | None

    @property
    def content(self) -> Content:
        """As `Multiplier.content`."""
        return self.sha256, self.bits, self.signed


def data_folder() -> Path:
    """The shipped `multipliers/`: inside an installed wheel, else of the checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_multipliers"
    return installed if installed.is_dir() else package.parent / "multipliers"


def shipped_names(pattern: str = "*") -> list[str]:
    """Names of the shipped tables that match a shell pattern, in the index's order.

    Example:
        >>> shipped_names("mul8u_exact*")
        ['mul8u_exact']
    """
    return [name for name in _sections() if fnmatchcase(name, pattern)]


def shipped_entry(name: str) -> ShippedEntry:
    """What the index says of one shipped table.

    Raises:
        TableError: for an unknown name; near ones are listed.
    """
    if name not in _sections():
        raise TableError(
            f"{name!r} is neither a file nor a shipped table."
            f"{close_names(name, _sections())} `axsim tables list` shows all "
            f"{len(_sections())}."
        )
    return _entry(name)


def shipped_table(name: str) -> Multiplier:
    """A shipped multiplier, with its modelled cost.

    Raises:
        TableError: for an unknown name, or if the file is not the one of the index.
    """
    from .multiplier import Multiplier

    entry = shipped_entry(name)
    path = data_folder() / f"{name}.bin"
    sides = (1 << entry.bits[0], 1 << entry.bits[1])
    # Two bytes an entry, always: `axsim tables build` ships nothing wider.
    raw = np.fromfile(path, dtype="<i2" if any(entry.signed) else "<u2")
    whole = raw if raw.size == sides[0] * sides[1] else np.zeros(sides, np.uint16)
    mul = Multiplier(
        whole.astype(np.int32).reshape(sides),
        entry.signed,
        name,
        f"shipped: {entry.about}",
        entry.cost,
    )
    if mul.sha256 != entry.sha256:
        raise TableError(
            f"{path} is not the table that {INDEX} describes; "
            "reinstall axsim, or run `axsim tables build` in a checkout."
        )
    return mul


def find_shipped(mul: Multiplier) -> ShippedEntry | None:
    """The shipped table of this content, if there is one."""
    candidates = map(_entry, _by_hash().get(mul.sha256, ()))
    return next((e for e in candidates if e.content == mul.content), None)


def multipliers(pattern: str = "*") -> list[Multiplier]:
    """The shipped multipliers whose names match a shell pattern.

    Raises:
        TableError: if none does.

    Example:
        >>> [mul.name for mul in multipliers("mul8u_exact")]
        ['mul8u_exact']
    """
    names = shipped_names(pattern)
    if not names:
        raise TableError(
            f"no shipped table matches {pattern!r}.{close_names(pattern, _sections())} "
            "`axsim tables list` shows all."
        )
    return [shipped_table(name) for name in names]


def stored_factors(mul: Multiplier) -> tuple[IntTable, IntTable] | None:
    """The factors of a shipped table's error, as stored; None for any other table."""
    path = data_folder() / FACTORS
    if find_shipped(mul) is None or not path.exists():
        return None
    with np.load(path, allow_pickle=False) as store:
        key = factor_key(mul)
        if f"{key}_u" not in store:
            return None
        return store[f"{key}_u"].astype(np.int32), store[f"{key}_b"].astype(np.int32)


def factor_key(mul: Multiplier) -> str:
    """What the factors of a table are stored under: its content and signedness."""
    signs = "".join("su"[not signed] for signed in mul.signed)
    return f"{mul.sha256[:16]}_{signs}"


def forget_index() -> None:
    """Reads the index afresh next time, after it was rebuilt."""
    for cached in (_sections, _entry, _by_hash):
        cached.cache_clear()


@cache
def _sections() -> dict[str, str]:
    """The index cut at its headings: parsing it all would take longer than a table."""
    path = data_folder() / INDEX
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    return {
        match[1]: match[2]
        for match in re.finditer(r"^\[(.+)\]\n((?:.+\n)*)", text, re.M)
    }


@cache
def _by_hash() -> dict[str, tuple[str, ...]]:
    """Names by hash, which tables of other widths or signs may share."""
    found: dict[str, tuple[str, ...]] = {}
    for name, body in _sections().items():
        if match := re.search(r'^sha256 = "(\w+)"', body, re.M):
            found[match[1]] = (*found.get(match[1], ()), name)
    return found


@cache
def _entry(name: str) -> ShippedEntry:
    fields: dict[str, Any] = tomllib.loads(_sections()[name])
    cost = fields.get("cost")
    return ShippedEntry(
        name=name,
        family=fields["family"],
        about=fields["about"],
        sha256=fields["sha256"],
        bits=(fields["bits"][0], fields["bits"][1]),
        signed=(fields["signed"][0], fields["signed"][1]),
        rank=fields["rank"],
        figures=fields["error"],
        cost=Cost(units=MODEL_UNITS, **cost) if cost else None,
    )
