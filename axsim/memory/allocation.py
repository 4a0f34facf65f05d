"""Dividing a budget of bits so that the variance of gradients is least (ActNN)."""

from __future__ import annotations

import torch
from torch import Tensor

FEWEST, MOST = 1, 8


def allocate(cost: Tensor, weight: Tensor, budget: Tensor | float) -> Tensor:
    """Bits b that make sum(cost / (2^b - 1)^2) small while sum(weight * b) <= budget.

    Everything starts at 8 bits; the bit that does least damage for its weight goes
    first, until the budget holds. Because the damage of a bit grows as bits go, that
    is one sort, and nothing waits for the device. With equal weights the result is the
    best there is; with others it is the best for the budget that it uses.

    Args:
        cost: of each item, 0 or more.
        weight: what a bit of each item costs, above 0.
        budget: for all; below sum(weight) every item gets 1 bit.

    Returns:
        uint8, 1 to 8 for each item. Items of equal cost differ by one bit at most.

    Example:
        >>> cost = torch.tensor([1.0, 1.0, 100.0])
        >>> allocate(cost, torch.ones(3), budget=8)
        tensor([2, 2, 4], dtype=torch.uint8)
    """
    cost, weight = cost.double(), weight.double()
    # Rows are the bit that goes, the 8th first, so that ties take it from everyone.
    bits = torch.arange(MOST, FEWEST, -1, device=cost.device)[:, None].double()
    damage = 1 / (2 ** (bits - 1) - 1) ** 2 - 1 / (2**bits - 1) ** 2
    order = (damage * (cost / weight)).flatten().argsort(stable=True)
    freed = weight.repeat(MOST - FEWEST)[order]
    before = MOST * weight.sum() - (freed.cumsum(0) - freed)
    gone = torch.zeros_like(freed).index_put_((order,), (before > budget).double())
    return (MOST - gone.view(MOST - FEWEST, -1).sum(0)).to(torch.uint8)


def variance(cost: Tensor, bits: Tensor) -> Tensor:
    """The sum that `allocate` makes small."""
    return (cost / (2 ** bits.double() - 1) ** 2).sum()
