"""What `print(ax.summary(net))` shows: a line for each layer of a converted network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..console import text_table
from ..gating.unit import GateUnit
from ..quant.magnitudes import Magnitudes
from ..tables.cost import Cost
from .cost import Energy, Item, format_energy
from .fold import Folded
from .layer import ApproxLayer
from .plan import plan
from .site import Site


@dataclass(frozen=True)
class Line:
    """One place where products are formed.

    Args:
        name: dotted name.
        kind: of the layer.
        codes: of activations and weights.
        multiplier: the table and how it is connected, or "exact".
        products: for one sample; 0 where no sample was run.
        cost: of one product, None where nobody gave one.
        energy: of the products, None where no cost is known.
        gate: what decides which products are formed; empty where all are.
        saved: how its input is kept for backward; empty where torch keeps it.
    """

    name: str
    kind: str
    codes: str
    multiplier: str
    products: int
    cost: Cost | None
    energy: float | None = None
    gate: str = ""
    saved: str = ""


@dataclass(frozen=True)
class Summary:
    """The layers of a converted network, printed as a table."""

    lines: tuple[Line, ...]
    unreached: tuple[str, ...]
    energy: Energy
    folded: Folded

    @property
    def products(self) -> int:
        """Products for one sample, in all."""
        return sum(line.products for line in self.lines)

    def __repr__(self) -> str:
        return (
            f"<Summary: {len(self.lines)} layers, {self.products:,} products a sample>"
        )

    def __str__(self) -> str:
        rows = [
            (line.name, line.kind, line.codes, line.multiplier, f"{line.products:,}",
             format_energy(line.energy))
            for line in self.lines
        ]  # fmt: skip
        head = ("layer", "kind", "codes", "multiplier", "products", "energy")
        for answer in ("gate", "saved"):
            cells = [getattr(line, answer) for line in self.lines]
            if any(cells):
                head = (*head, answer)
                both = zip(rows, cells, strict=True)
                rows = [(*row, cell or "-") for row, cell in both]
        parts = [text_table(rows, head, left=(*head[:4], "gate", "saved"))]
        share = sum(n.products for n in self.lines if n.multiplier != "exact")
        total = self.products
        if total:
            counted = " in these layers" if self.unreached else ""
            parts.append(
                f"{total:,} products a sample{counted}, {100 * share / total:.1f} % on "
                "a table"
            )
            parts.append(str(self.energy))
        if str(self.folded):
            parts.append(str(self.folded))
        parts.extend(f"not reached, exact: {where}" for where in self.unreached)
        return "\n".join(parts)


def summary(net: nn.Module) -> Summary:
    """A line for each layer of a network that `approximate` returned.

    Raises:
        ConversionError: for another network.
    """
    known = plan(net)
    items = {item.name: item for item in known.energy.items}
    lines: list[Line] = []
    for name, module in net.named_modules():
        if isinstance(module, Site):
            item = items.get(name, Item(name, 0, module.product.table.cost))
            lines.append(_of_site(net, item, module))
        elif name in known.exact:
            count = known.products.get(name, 0)
            kind, gate = type(module).__name__, _gate_of(module)
            lines.append(Line(name, kind, _levels_of(module), "exact", count, None,
                              gate=gate, saved=_saved_of(module)))  # fmt: skip
    return Summary(tuple(lines), known.unreached, known.energy, known.folded)


def _of_site(net: nn.Module, item: Item, site: Site) -> Line:
    name = item.name
    owner, _, last = name.rpartition(".")
    if last == "site":
        name = owner
    else:
        owner = owner.removesuffix("sites").removesuffix(".")
    kind = type(net.get_submodule(owner)).__name__
    schemes = (site.input_quantizer.scheme, site.weight_quantizer.scheme)
    codes = " x ".join(f"{'' if s.signed else 'u'}int{s.bits}" for s in schemes)
    gate = _gate_of(net.get_submodule(owner) if last == "site" else site)
    return Line(name, kind, codes, str(site.product), item.products, item.cost,
                item.energy, gate, _saved_of(site))  # fmt: skip


def _levels_of(layer: nn.Module) -> str:
    answer = layer.spec.quant if isinstance(layer, ApproxLayer) else None
    return str(answer) if isinstance(answer, Magnitudes) else "float"


def _saved_of(module: nn.Module) -> str:
    keeper = getattr(module, "keeper", None)
    if keeper is None:
        return ""
    return "its codes" if isinstance(module, Site) else str(keeper.saved)


def _gate_of(layer: nn.Module) -> str:
    unit = getattr(layer, "gate", None)
    return str(unit.gate) if isinstance(unit, GateUnit) else ""
