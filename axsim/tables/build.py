"""Making the shipped tables anew: every file of `multipliers/` that is derived."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..console import progress
from ..errors import TableError
from .catalogue import FACTORS, INDEX, factor_key, forget_index
from .cost import Cost
from .designs import build_design, find_design, shipped_names
from .factors import Factors, reduce_matrix
from .metrics import IntTable, Metrics
from .multiplier import Multiplier

HEAD = "# Made by `axsim tables build`; edit the designs, not this file.\n"
FIGURES = ("mae", "wce", "bias", "mse", "variance", "ep", "mre", "wcre")


def build_catalogue(
    folder: str | Path, names: Iterable[str] | None = None
) -> list[Path]:
    """Writes tables, index and factors of the shipped designs; returns the files.

    The result is the same byte for byte whenever the designs are the same.

    Args:
        folder: where to write; created if missing.
        names: designs to build; by default all that the families ship.

    Raises:
        TableError: if two names describe one table, or the folder cannot be written.
        BackendError: if python-flint is missing, which finds the factors.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise TableError(f"{target} cannot be made a folder: {problem}.") from problem
    chosen = list(shipped_names() if names is None else names)
    written: list[Path] = []
    sections: list[str] = []
    factors: dict[str, npt.NDArray[np.integer]] = {}
    owners: dict[tuple[str, tuple[bool, bool]], str] = {}
    for name in progress(chosen, "building tables"):
        mul = build_design(name)
        other = owners.setdefault((mul.sha256, mul.signed), name)
        if other != name:
            raise TableError(f"{name} and {other} are one table; ship one of them.")
        found = Factors(*reduce_matrix(mul.error, name))
        key = factor_key(mul)
        factors |= {f"{key}_u": _narrow(found.u), f"{key}_b": _narrow(found.b)}
        sections.append(_section(mul, found))
        written.append(mul.save(target / f"{name}.bin"))
    (target / INDEX).write_text(HEAD + "\n" + "\n".join(sections), encoding="utf-8")
    np.savez(target / FACTORS, **factors)  # pyright: ignore[reportArgumentType]
    forget_index()
    return [*written, target / INDEX, target / FACTORS]


def _section(mul: Multiplier, factors: Factors) -> str:
    """One table's part of the index."""
    family = find_design(mul.name).family
    lines = {
        "family": _text(family.name),
        "about": _text(mul.source),
        "citation": _text(family.citation),
        "bits": f"[{mul.bits[0]}, {mul.bits[1]}]",
        "signed": f"[{_truth(mul.signed[0])}, {_truth(mul.signed[1])}]",
        "sha256": _text(mul.sha256),
        "rank": str(mul.rank),
        "factors": f"[{_text(factors.widths[0])}, {_text(factors.widths[1])}]",
        "error": _figures(mul.metrics()),
    }
    if mul.cost is not None:
        lines["cost"] = _cost(mul.cost)
    body = "".join(f"{key} = {value}\n" for key, value in lines.items())
    return f"[{mul.name}]\n{body}"


def _figures(metrics: Metrics) -> str:
    # Ten digits: more would show how a machine sums, not what the table is.
    figures = (f"{key} = {getattr(metrics, key):.10g}" for key in FIGURES)
    return f"{{ {', '.join(figures)} }}"


def _cost(cost: Cost) -> str:
    figures = {key: getattr(cost, key) for key in ("power", "area", "delay")}
    known = [
        f"{key} = {value:.6g}" for key, value in figures.items() if value is not None
    ]
    words = [f"origin = {_text(cost.origin)}", f"basis = {_text(cost.basis)}"]
    return f"{{ {', '.join([*known, *words])} }}"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _narrow(values: IntTable) -> npt.NDArray[np.integer]:
    """The same values in the smallest integers that hold them, to ship less."""
    for kind in (np.int8, np.int16):
        limits = np.iinfo(kind)
        if not values.size or (
            values.min() >= limits.min and values.max() <= limits.max
        ):
            return values.astype(kind)
    return values
