"""What the products of a network cost: their number times the power of one.

All multipliers of an accelerator run on one clock, so the energy of a product is
proportional to the power of its circuit, and that of a sample to

    sum over places of products x open share x power.

Adders, memory and wires are no part of it. Figures of different origins are never
added, and products of circuits without a published or modelled power stay apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..tables.cost import MODEL_UNITS, Cost
from ..tables.registry import circuit_names

# The exact circuit beside which the published figures stand.
PUBLISHED_EXACT = "mul8u_1JFF"


@dataclass(frozen=True)
class Item:
    """The products of one place.

    Args:
        name: of the layer or site.
        products: for one sample.
        cost: of one product; None where nobody gave one.
        share: of the products that are formed at all, 0 to 1.
    """

    name: str
    products: int
    cost: Cost | None
    share: float = 1.0

    @property
    def energy(self) -> float | None:
        """Products times power; None without a power."""
        if self.cost is None or self.cost.power is None:
            return None
        return self.products * self.share * self.cost.power


@dataclass(frozen=True)
class Energy:
    """The energy of one sample, as far as it is known.

    Args:
        items: every place where products are formed.

    Example:
        >>> half = Cost("a model", power=0.5, units=MODEL_UNITS)
        >>> energy = Energy((Item("stem", 100, half), Item("head", 300, None)))
        >>> energy.value, energy.share
        (50.0, 0.25)
    """

    items: tuple[Item, ...] = ()

    @property
    def value(self) -> float | None:
        """Products times power, in `unit`; None where nothing is priced or origins mix.

        Products without a price are not in it: `share` says how many are.
        """
        if not self._is_summable:
            return None
        return sum(item.energy or 0.0 for item in self.items)

    @property
    def unit(self) -> str:
        """What `value` counts; empty where it is None."""
        return _unit(self._costs[0]) if self._is_summable else ""

    @property
    def relative(self) -> float | None:
        """The value over that of exact 8x8 multipliers of the same origin.

        Products that a gate leaves out count among the exact ones. None where no value
        or no exact circuit of that origin is known.
        """
        value, power = self.value, _exact_power(self._costs)
        full = sum(item.products for item in self._priced)
        return None if value is None or not power or not full else value / full / power

    @property
    def origins(self) -> tuple[str, ...]:
        """Who measured or modelled the powers."""
        return tuple(dict.fromkeys(cost.origin for cost in self._costs))

    @property
    def share(self) -> float:
        """Share of all products whose power is known, 0 to 1."""
        total = sum(item.products for item in self.items)
        return sum(item.products for item in self._priced) / total if total else 0.0

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The places that form products at a power that nobody gave."""
        known = {item.name for item in self._priced}
        return tuple(i.name for i in self.items if i.products and i.name not in known)

    def __str__(self) -> str:
        if not self._priced:
            return "energy a sample: unknown, no multiplier here has a power"
        if self.value is None:
            origins = " and ".join(self.origins)
            return f"energy a sample: not added up, the powers are from {origins}"
        text = f"energy a sample: {format_energy(self.value)} {self.unit}"
        text += f" ({self.origins[0]})"
        if self.relative is not None:
            text += f", {100 * self.relative:.1f} % of exact multipliers'"
        if not self.unpriced:
            return text
        places = [name.removesuffix(".site") for name in self.unpriced]
        shown = ", ".join(places[:3]) + (", …" if places[3:] else "")
        apart = f"{100 * (1 - self.share):.1f} %"
        return f"{text}; no power is known for {apart} of the products: {shown}"

    @property
    def _is_summable(self) -> bool:
        costs = self._costs
        return bool(costs) and all(cost.comparable(costs[0]) for cost in costs)

    @property
    def _priced(self) -> list[Item]:
        return [i for i in self.items if i.products and i.energy is not None]

    @property
    def _costs(self) -> list[Cost]:
        return [item.cost for item in self._priced if item.cost is not None]


def energy_of(
    products: Mapping[str, int],
    costs: Mapping[str, Cost | None],
    shares: Mapping[str, float] | None = None,
) -> Energy:
    """The energy of one sample.

    Args:
        products: for one sample, by place.
        costs: of one product there; places left out have none.
        shares: of the products that a gate lets through, 0 to 1, where there is one.

    Example:
        >>> energy_of({"fc": 10}, {"fc": Cost("mine", power=2.0)}, {"fc": 0.5}).value
        10.0
    """
    open_shares = shares or {}
    return Energy(
        tuple(
            Item(name, count, costs.get(name), open_shares.get(name, 1.0))
            for name, count in products.items()
        )
    )


def format_energy(value: float | None) -> str:
    """An energy as tables show it, "-" for None."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _unit(cost: Cost) -> str:
    modelled = cost.units == MODEL_UNITS
    return "exact 8x8 products" if modelled else f"{cost.units[0]} × products"


def _exact_power(costs: list[Cost]) -> float | None:
    """The power of the exact 8x8 multiplier of the same origin."""
    if not costs:
        return None
    if costs[0].units == MODEL_UNITS:
        return 1.0
    published = circuit_names()[PUBLISHED_EXACT].cost
    return published.power if published.comparable(costs[0]) else None
