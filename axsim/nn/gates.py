"""The gates of a converted network: where they are, and what they saved."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ..gating.bits import Bits
from ..gating.cost import gated_cost
from ..gating.report import GateLine
from ..gating.unit import GateUnit
from ..tables.cost import Cost

Costs = Mapping[str, Cost | None]


def gates_of(net: nn.Module) -> dict[str, GateUnit]:
    """The gates, by the names of their layers; of scores, of the site in attention."""
    return {
        name.rpartition(".")[0]: module
        for name, module in net.named_modules()
        if isinstance(module, GateUnit)
    }


def gate_line(
    name: str, unit: GateUnit, products: Mapping[str, int], all_processes: bool
) -> GateLine:
    """What one gate counted.

    Args:
        name: of its layer.
        unit: the gate.
        products: for one sample, by layer, or by site where there is one.
        all_processes: sum the counts over the processes.
    """
    shape, split = unit.shape, unit.gate.split
    whole = shape.codes.bits if shape.codes else 0
    return GateLine(
        name,
        str(unit.gate),
        products.get(_place(name, products), 0),
        split.base_work(shape),
        unit.meter.read(all_processes),
        (whole, split.msb) if isinstance(split, Bits) else None,
    )


def gated_costs(gates: Mapping[str, GateUnit], costs: Costs) -> dict[str, Cost | None]:
    """The costs of a product, at gated sites that of what is formed of one on average.

    Args:
        gates: by their layers' names.
        costs: of one product at each site.
    """
    found = dict(costs)
    for name, unit in gates.items():
        place = _place(name, costs)
        if (base := costs.get(place)) is not None:
            rest = unit.gate.rest.cost if unit.gate.rest else base
            share = 1 - unit.meter.read().sparsity
            found[place] = gated_cost(unit.gate, unit.shape, base, rest, share)
    return found


def _place(gated: str, known: Mapping[str, object]) -> str:
    """Where the products of a gate are formed: at the site of its layer, or at it."""
    site = f"{gated}.site".lstrip(".")
    return site if site in known else gated
