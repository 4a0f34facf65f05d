"""The published circuits of EvoApproxLib: figures and content hashes, no tables."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache

from .catalogue import data_folder
from .cost import Cost
from .multiplier import Content

ORIGIN = "EvoApproxLib"


@dataclass(frozen=True)
class Circuit:
    """One published circuit.

    Args:
        name: of version 1 of the library.
        name_2022: what version 2022 calls the same table, where that is known.
        mae, rank: of its error.
        cost: published power, area and delay.
    """

    name: str
    name_2022: str
    mae: float
    rank: int
    cost: Cost


@cache
def circuits() -> dict[Content, tuple[Circuit, ...]]:
    """The circuits by content; two tables have two circuits each."""
    found: dict[Content, tuple[Circuit, ...]] = {}
    path = data_folder() / "registry.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            signed = row["sign"] == "s"
            bits = (int(row["bits_a"]), int(row["bits_b"]))
            key = (row["sha256_int32le"], bits, (signed, signed))
            found[key] = (*found.get(key, ()), _circuit(row))
    return found


@cache
def circuit_names() -> dict[str, Circuit]:
    """The circuits by their name in version 1, which no two share."""
    return {circuit.name: circuit for same in circuits().values() for circuit in same}


@cache
def later_names() -> dict[str, Circuit]:
    """The circuits by their name in version 2022, where that is known."""
    return {c.name_2022: c for c in circuit_names().values() if c.name_2022}


def _circuit(row: dict[str, str]) -> Circuit:
    prefix = row["name"].partition("_")[0]
    later = row["name_in_v2022"]
    return Circuit(
        name=row["name"],
        name_2022=f"{prefix}_{later}" if later else "",
        mae=float(row["MAE"]),
        rank=int(row["rank_error"]),
        cost=Cost(
            f"{ORIGIN}, PDK45",
            power=float(row["power_mW"]),
            area=float(row["area_um2"]),
            delay=float(row["delay_ns"]),
        ),
    )
