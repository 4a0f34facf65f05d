"""What a gated layer's products cost, from the share of its outputs that were open."""

from __future__ import annotations

from ..tables.cost import Cost
from .bits import Bits
from .gate import Gate
from .split import Shape


def gated_cost(
    gate: Gate, shape: Shape, base: Cost | None, rest: Cost | None, open_share: float
) -> Cost | None:
    """The power of one product of the ungated layer, on average, where both are known.

    Every product is formed by the base's circuit and, for the open share of outputs, by
    that of the rest: a split of bits forms it on both, a split of channels on one.

    Args:
        gate, shape: of the layer.
        base, rest: of one product of each circuit.
        open_share: of the outputs.

    Returns:
        None where a power is missing or the two are of different origin.

    Example:
        >>> cost = Cost("mine", power=1.0)
        >>> from axsim.gating.channels import Channels
        >>> gated_cost(Gate(Channels(4)), Shape(8, 8), cost, cost, 0.5).power
        0.625
    """
    if base is None or rest is None or not base.comparable(rest):
        return None
    if base.power is None or rest.power is None:
        return None
    bits = isinstance(gate.split, Bits)
    first = 1.0 if bits else gate.split.base_work(shape)
    second = 1.0 if bits else 1 - first
    power = first * base.power + second * open_share * rest.power
    return Cost(base.origin, power, units=base.units, basis=f"{base.basis}; gated")
