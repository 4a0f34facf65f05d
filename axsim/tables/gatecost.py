"""What a circuit costs in the unit-gate model: area, delay and switching energy.

An AND, OR, NAND or NOR of two inputs has area 1 and delay 1, an XOR or XNOR 2 and 2,
an inverter nothing (A. Tyagi, "A Reduced-Area Scheme for Carry-Select Adders", IEEE
Trans. Computers, 1993). Energy is the area of each gate times the probability
2 p (1 - p) that its output changes between two independent operand pairs; glitches,
wires and leakage are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from .cost import MODEL_UNITS, Cost
from .metrics import Weights, pair_weights
from .netlist import Netlist, build_netlist
from .partial_products import add_rows, partial_products

ORIGIN = "axsim unit-gate model"
# Recomputed by the tests; the only published circuits that a design equals bit for bit
# are arrays, so nothing is known about the ranks of logarithmic or segment designs.
# Among them the model's share of the exact array's power is up to twice the published.
BASIS = (
    "relative to the exact unsigned 8x8 array; for ranking, not for ratios: rank "
    "correlation with published PDK45 figures over 22 array circuits: power 0.997, "
    "area 0.987, delay 0.776"
)
XOR_SIZE, AND_SIZE = 2, 1


@dataclass(frozen=True)
class GateCost:
    """Unit gates of a circuit, gate delays of its longest path, switched unit gates."""

    area: int
    delay: int
    energy: float


def gate_cost(
    netlist: Netlist, a: npt.ArrayLike | None = None, b: npt.ArrayLike | None = None
) -> GateCost:
    """Area, delay and switching energy of a circuit, in unit gates.

    Args:
        netlist: any circuit.
        a: counts of each raw code of the first operand; None for uniform.
        b: counts of each raw code of the second operand; None for uniform.

    Raises:
        TableError: if a histogram does not fit its operand.

    Example:
        >>> from axsim.tables.netlist import build_netlist
        >>> gate_cost(build_netlist(lambda a, b: [a[0] ^ b[0]], (2, 2)))
        GateCost(area=2, delay=2, energy=1.0)
    """
    sizes = np.array([_size(gate.is_xor) for gate in netlist.gates], np.int64)
    high = _high_probability(netlist, a, b)
    return GateCost(
        area=int(sizes.sum()),
        delay=_longest_path(netlist),
        energy=float(np.sum(sizes * 2 * high * (1 - high))),
    )


def model_cost(
    netlist: Netlist, a: npt.ArrayLike | None = None, b: npt.ArrayLike | None = None
) -> Cost:
    """The same relative to the exact unsigned 8x8 array multiplier.

    The reference is one for all widths and signs, so that costs compare across them;
    with histograms it is the reference under uniform operands nevertheless.

    Example:
        >>> from axsim.tables.netlist import build_netlist
        >>> model_cost(build_netlist(lambda a, b: [a[0]])).area
        0.0
    """
    own, exact = gate_cost(netlist, a, b), _exact_array()
    return Cost(
        origin=ORIGIN,
        power=round(own.energy / exact.energy, 4),
        area=round(own.area / exact.area, 4),
        delay=round(own.delay / exact.delay, 4),
        units=MODEL_UNITS,
        basis=BASIS,
    )


@cache
def _exact_array() -> GateCost:
    return gate_cost(build_netlist(lambda a, b: add_rows(partial_products(a, b))))


def _size(is_xor: bool) -> int:
    return XOR_SIZE if is_xor else AND_SIZE


def _longest_path(netlist: Netlist) -> int:
    arrival = [0] * netlist.first_gate
    for gate in netlist.gates:
        latest = max(arrival[gate.left >> 1], arrival[gate.right >> 1])
        arrival.append(latest + _size(gate.is_xor))
    return max((arrival[literal >> 1] for literal in netlist.outputs), default=0)


def _high_probability(
    netlist: Netlist, a: npt.ArrayLike | None, b: npt.ArrayLike | None
) -> Weights:
    """How probable it is that each gate's output is 1."""
    weights = pair_weights((1 << netlist.bits[0], 1 << netlist.bits[1]), a, b, None)
    if weights is None:
        ones = np.bitwise_count(netlist.values[netlist.first_gate :])
        return ones.sum(axis=1, dtype=np.int64) / (1 << sum(netlist.bits))
    share = weights / weights.sum()
    gates = range(netlist.first_gate, netlist.first_gate + len(netlist.gates))
    return np.array([np.vdot(netlist.node_bits(node), share) for node in gates])
