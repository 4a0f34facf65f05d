"""Error against cost of many multipliers, and which of them nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import TableError, close_names

if TYPE_CHECKING:
    from ..tables.cost import Cost
    from ..tables.multiplier import Multiplier

COSTS = ("power", "area", "delay")
# What a table can be judged by, 0 for an exact one, and how an axis calls it.
QUALITIES = {
    "mae_percent": "mean absolute error (% of the product range)",
    "wce_percent": "worst-case error (% of the product range)",
    "mre_percent": "mean relative error (%)",
    "ep_percent": "products with an error (%)",
    "mae": "mean absolute error",
    "wce": "worst-case error",
    "mse": "mean squared error",
    "variance": "variance of the error",
}
NAMED = 5


class Priced(Protocol):
    """A multiplier, or a run under one."""

    @property
    def name(self) -> str: ...
    @property
    def cost(self) -> Cost | None: ...


@dataclass(frozen=True, eq=False)
class Tradeoff:
    """The numbers behind a Pareto plot, one entry for each multiplier drawn."""

    names: list[str]
    cost: npt.NDArray[np.float64]
    quality: npt.NDArray[np.float64]  #: an error, or of runs an accuracy in percent
    exact: npt.NDArray[np.bool_]
    front: npt.NDArray[np.intp]  #: whom nothing beats, by rising cost
    unit: str
    origin: str
    left_out: int  #: multipliers whose cost has another origin, runs that failed


def pareto_front(cost: npt.ArrayLike, error: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Indices, by rising cost, of the points that no other point beats.

    A point beats another if it is no worse in both and better in one; less is better.

    Example:
        >>> pareto_front([1, 2, 2], [5, 3, 4])
        array([0, 1])
    """
    x, y = np.asarray(cost, np.float64), np.asarray(error, np.float64)
    order = np.lexsort((y, x))
    kept: list[int] = []
    for point in order:
        if kept and y[point] >= y[kept[-1]]:
            last = kept[-1]
            if (x[point], y[point]) != (x[last], y[last]):
                continue
        kept.append(int(point))
    return np.array(kept, np.intp)


def tradeoff(
    muls: Sequence[Multiplier],
    cost: str = "power",
    quality: str = "mae_percent",
    origin: str | None = None,
) -> Tradeoff:
    """Error and cost of multipliers whose costs can be compared.

    Args:
        muls: at least one multiplier.
        cost: "power", "area" or "delay".
        quality: an error figure of `Multiplier.metrics()`, see `QUALITIES`.
        origin: keep only the multipliers whose cost has this origin.

    Raises:
        TableError: for another `cost` or `quality`, and naming the tables, where one
            has no such cost, costs have different origins or operands other widths.
    """
    check_choice("cost", cost, COSTS)
    check_choice("quality", quality, QUALITIES)
    chosen = [mul for mul in muls if origin in (None, mul.cost and mul.cost.origin)]
    if not chosen:
        raise TableError(_nothing_left(muls, origin))
    _check_widths(chosen)
    costs = comparable_costs(chosen, cost)
    x = np.array([getattr(each, cost) for each in costs], np.float64)
    y = np.array([getattr(mul.metrics(), quality) for mul in chosen], np.float64)
    return Tradeoff(
        names=[mul.name for mul in chosen],
        cost=x,
        quality=y,
        exact=np.array([mul.metrics().ep == 0 for mul in chosen]),
        front=pareto_front(x, y),
        unit=costs[0].units[COSTS.index(cost)],
        origin=costs[0].origin,
        left_out=len(muls) - len(chosen),
    )


def comparable(muls: Sequence[Multiplier]) -> list[list[Multiplier]]:
    """Multipliers that have a cost, in groups of one width and comparable costs."""
    groups: dict[object, list[Multiplier]] = {}
    for mul in muls:
        if mul.cost is not None:
            key = (mul.bits, mul.cost.origin, mul.cost.units)
            groups.setdefault(key, []).append(mul)
    return [*groups.values()]


def listed(names: Sequence[str]) -> str:
    """A few names, and how many there are besides.

    Example:
        >>> listed(["a", "b"])
        "'a', 'b'"
    """
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(repr, names[:NAMED])) + more


def comparable_costs(muls: Sequence[Priced], cost: str) -> list[Cost]:
    """The costs of all, if each has the figure and all were obtained in one way."""
    costs = [
        mul.cost for mul in muls if mul.cost and getattr(mul.cost, cost) is not None
    ]
    if len(costs) < len(muls):
        lacking = [mul.name for mul in muls
                   if mul.cost is None or getattr(mul.cost, cost) is None]  # fmt: skip
        raise TableError(
            f"pareto: no {cost} is known for {listed(lacking)}. Leave these out, give "
            "them a sourced `cost=`, or choose the origin= of those that have one: "
            f"{_origins(muls) or 'none has'}."
        )
    if not all(costs[0].comparable(other) for other in costs):
        raise TableError(
            "pareto: costs of different origins or units do not compare: "
            f"{_who_says(muls)}. Choose one with origin=, or leave the others out."
        )
    return costs


def _check_widths(muls: Sequence[Multiplier]) -> None:
    """A narrower multiplier is cheaper and exact, but does not do the same work."""
    widths: dict[str, list[str]] = {}
    for mul in muls:
        widths.setdefault(f"{mul.bits[0]}x{mul.bits[1]}", []).append(mul.name)
    if len(widths) > 1:
        groups = [f"{bits} ({listed(names)})" for bits, names in widths.items()]
        raise TableError(
            "pareto: multipliers of different widths do not compete: "
            f"{'; '.join(groups)}. Choose those of one width."
        )


def _who_says(muls: Sequence[Priced]) -> str:
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for mul in muls:
        if mul.cost is not None:
            key = (mul.cost.origin, mul.cost.units)
            groups.setdefault(key, []).append(mul.name)
    return "; ".join(
        f"{origin!r} in {', '.join(dict.fromkeys(units))} ({listed(names)})"
        for (origin, units), names in groups.items()
    )


def _origins(muls: Sequence[Priced]) -> str:
    return listed([*dict.fromkeys(mul.cost.origin for mul in muls if mul.cost)])


def _nothing_left(muls: Sequence[Multiplier], origin: str | None) -> str:
    if not muls:
        return "pareto: no multipliers were given."
    return (
        f"pareto: no cost has origin={origin!r}; found: "
        f"{_origins(muls) or 'no cost at all'}."
    )


def check_choice(
    argument: str, value: str, known: Sequence[str] | dict[str, str]
) -> None:
    if value not in known:
        raise TableError(
            f"pareto: {argument}={value!r}; choose one of {', '.join(known)}."
            f"{close_names(value, known, 1)}"
        )
