"""Energy of one sample: products times the cost of the table that forms them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..errors import ConversionError
from ..nn.plan import plan
from ..nn.summary import summary


@dataclass(frozen=True)
class Energy:
    """What the products of one sample cost, as far as somebody published it.

    Args:
        products: that are formed on tables; those of layers left exact have no cost.
        amount: the sum of products times power, in `unit`; None where a table has no
            power or powers of different origins meet.
        unit: such as "mW × products", or "exact 8x8 products" of a modelled cost.
        origin: of the power.
    """

    products: int
    amount: float | None
    unit: str
    origin: str

    def __str__(self) -> str:
        if self.amount is None:
            return "unknown"
        large = self.amount >= 1e4
        return (
            f"{self.amount:,.0f} {self.unit}"
            if large
            else f"{self.amount:.4g} {self.unit}"
        )


def energy_of(net: nn.Module) -> Energy | None:
    """The energy of one sample; None where `net` is no converted network.

    Example:
        >>> import axsim as ax
        >>> mul = ax.load_multiplier("mul8u_trunc_6")
        >>> net = nn.Sequential(nn.Linear(4, 2))
        >>> net = ax.approximate(net, mul, calibration=[torch.ones(1, 4)])
        >>> print(energy_of(net))
        5.574 exact 8x8 products
    """
    try:
        plan(net)
    except ConversionError:
        return None
    # A layer left in floats, or on exact codes, has no circuit whose cost is known.
    lines = [line for line in summary(net).lines if line.multiplier != "exact"]
    products = sum(line.products for line in lines)
    used = [line for line in lines if line.products]
    priced = [(n.products, n.cost) for n in used if n.cost and n.cost.power is not None]
    if not priced or len(priced) < len(used):
        return Energy(products, None, "", "")
    first = priced[0][1]
    if not all(first.comparable(cost) for _, cost in priced):
        return Energy(products, None, "", "")
    amount = sum(count * (cost.power or 0.0) for count, cost in priced)
    return Energy(products, amount, energy_unit(first.units[0]), first.origin)


def energy_unit(power: str) -> str:
    """The unit of products times power.

    Example:
        >>> energy_unit("mW"), energy_unit("× exact 8x8")
        ('mW × products', 'exact 8x8 products')
    """
    if power.startswith("× "):
        return f"{power.removeprefix('× ')} products"
    return f"{power} × products"
