"""Shipped tables near a multiplier, the better ones first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..tables.catalogue import ShippedEntry, shipped_entry, shipped_names

if TYPE_CHECKING:
    from ..tables.cost import Cost
    from ..tables.multiplier import Multiplier


@dataclass(frozen=True)
class Neighbour:
    """A shipped table beside a multiplier.

    Args:
        entry: what the catalogue says of it.
        better: whether it has less error at no more power, or no more error at less.
        remark: the comparison in words.
        distance: in doublings of error and of power.
    """

    entry: ShippedEntry
    better: bool
    remark: str
    distance: float


def neighbours(mul: Multiplier, count: int = 6) -> list[Neighbour]:
    """Shipped tables of the same operands: better ones, then the nearest others.

    Power counts only where it was obtained as this multiplier's was.

    Args:
        mul: any multiplier; the table itself is left out.
        count: how many at most, >= 1.
    """
    entries = (shipped_entry(name) for name in shipped_names())
    found = [
        _compare(mul, entry)
        for entry in entries
        if (entry.bits, entry.signed) == (mul.bits, mul.signed)
        and entry.sha256 != mul.sha256
    ]
    return sorted(found, key=lambda each: (not each.better, each.distance))[:count]


def mae_percent(entry: ShippedEntry) -> float:
    """Mean absolute error in percent of the product range."""
    return 100 * entry.figures["mae"] / (1 << sum(entry.bits))


def _compare(mul: Multiplier, entry: ShippedEntry) -> Neighbour:
    error, other = mul.metrics().mae, entry.figures["mae"]
    power, other_power = _powers(mul.cost, entry.cost)
    # Below one unit in every product, errors differ less than their ratio says.
    distance = abs(math.log2((other + 1) / (error + 1)))
    words = [_ratio(other, error, "the MAE")]
    if power is None or other_power is None:
        return Neighbour(entry, False, words[0], distance)
    words.append(_ratio(other_power, power, "the power"))
    better = other <= error and other_power <= power
    better = better and (other < error or other_power < power)
    if power > 0 and other_power > 0:
        distance += abs(math.log2(other_power / power))
    return Neighbour(entry, better, " at ".join(words), distance)


def _powers(
    ours: Cost | None, theirs: Cost | None
) -> tuple[float | None, float | None]:
    if ours is None or theirs is None or not ours.comparable(theirs):
        return None, None
    return ours.power, theirs.power


def _ratio(value: float, base: float, what: str) -> str:
    if value == base:
        return f"{what} alike" if value else f"{what} alike, 0"
    if not base:
        return f"{what} {value:.3g} instead of 0"
    return f"{value / base:.3g} × {what}"
