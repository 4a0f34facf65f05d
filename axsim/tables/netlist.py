"""Circuits of two-input gates, written as Boolean expressions of nets.

A circuit is an XOR-AND graph: every gate is an AND or an XOR of two nets, and any net
may be used inverted. AND, OR, NAND and NOR are thereby one gate each, and inverters
are free, as in the unit-gate model by which circuits are costed. Constants are folded
and equal gates shared while the circuit is written; gates that reach no output are
dropped when it is finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from .metrics import IntTable

Words = npt.NDArray[np.unsignedinteger]
Describe = Callable[["Bus", "Bus"], Sequence["Net"]]


class Gate(NamedTuple):
    """One gate: its kind, and its inputs as literals (2 * node + inverted)."""

    is_xor: bool
    left: int
    right: int


class Net:
    """A wire of a circuit being written; combine nets with `&`, `|`, `^` and `~`."""

    __slots__ = ("literal", "sheet")

    def __init__(self, sheet: _Sheet | None, literal: int) -> None:
        self.sheet = sheet
        self.literal = literal

    def __and__(self, other: Net) -> Net:
        low, high = sorted((self.literal, other.literal))
        if low == 0 or high == low ^ 1:
            return ZERO
        if low == 1 or low == high:
            return other if self.literal == low else self
        return _sheet(self, other).and_gate(low, high)

    def __xor__(self, other: Net) -> Net:
        inverted = (self.literal ^ other.literal) & 1
        low, high = sorted((self.literal & ~1, other.literal & ~1))
        sheet = self.sheet or other.sheet
        if low == high:
            return ONE if inverted else ZERO
        if low == 0:
            return Net(sheet, high | inverted)
        return Net(sheet, _sheet(self, other).gate(Gate(True, low, high)) | inverted)

    def __invert__(self) -> Net:
        return Net(self.sheet, self.literal ^ 1)

    def __or__(self, other: Net) -> Net:
        return ~(~self & ~other)


ZERO = Net(None, 0)
ONE = Net(None, 1)


class Bus(Sequence[Net]):
    """An operand of a circuit: its nets, least significant first, and its sign."""

    def __init__(self, nets: Sequence[Net], signed: bool) -> None:
        self.nets = list(nets)
        self.signed = signed

    @overload
    def __getitem__(self, index: int) -> Net: ...
    @overload
    def __getitem__(self, index: slice) -> list[Net]: ...
    def __getitem__(self, index: int | slice) -> Net | list[Net]:
        return self.nets[index]

    def __len__(self) -> int:
        return len(self.nets)


class _Sheet:
    """Where the gates of a circuit are written down, each once."""

    def __init__(self, inputs: int) -> None:
        self.first = inputs + 1  # node 0 is the constant, then come the inputs
        self.gates: list[Gate] = []
        self._literal: dict[Gate, int] = {}

    def gate(self, gate: Gate) -> int:
        """The literal of this gate, shared with an equal one if there is one."""
        if gate not in self._literal:
            self._literal[gate] = 2 * (self.first + len(self.gates))
            self.gates.append(gate)
        return self._literal[gate]

    def and_gate(self, low: int, high: int) -> Net:
        """An AND of two literals, where one input being an AND of the other is seen.

        x & (x & r) = x & r,  x & (~x & r) = 0,  x & ~(x & r) = x & ~r,
        x & ~(~x & r) = x: what constants leave behind in adders.
        """
        for x, y in ((low, high), (high, low)):
            inner = self._and_inputs(y)
            for own, rest in (inner, inner[::-1]) if inner else ():
                if own == x:
                    return self._net(x) & ~self._net(rest) if y & 1 else self._net(y)
                if own == x ^ 1:
                    return self._net(x) if y & 1 else ZERO
        return self._net(self.gate(Gate(False, low, high)))

    def _and_inputs(self, literal: int) -> tuple[int, int] | None:
        index = (literal >> 1) - self.first
        if index < 0 or self.gates[index].is_xor:
            return None
        return self.gates[index].left, self.gates[index].right

    def _net(self, literal: int) -> Net:
        return Net(self, literal)


def _sheet(*nets: Net) -> _Sheet:
    """The sheet that nets other than constants are written on."""
    return next(net.sheet for net in nets if net.sheet is not None)


@dataclass(frozen=True)
class Netlist:
    """A finished multiplier circuit: only gates that an output depends on.

    Node 0 is constant 0, then come the bits of `a`, the bits of `b` and the gates, in
    an order in which every gate follows its inputs.

    Args:
        bits: operand widths.
        signed: whether operands and product are two's complement.
        gates: the gates, as literals (2 * node + inverted).
        outputs: literals of the product's bits, least significant first.

    Example:
        >>> circuit = build_netlist(lambda a, b: [a[0] & b[0]], (2, 2))
        >>> circuit.table()[1]
        array([0, 1, 0, 1], dtype=int32)
    """

    bits: tuple[int, int]
    signed: bool
    gates: tuple[Gate, ...]
    outputs: tuple[int, ...]

    @property
    def first_gate(self) -> int:
        """The node number of the first gate."""
        return sum(self.bits) + 1

    @cached_property
    def values(self) -> Words:
        """What every node carries: one bit for each operand pair, packed in words."""
        inputs = _input_words(self.bits)
        values = np.empty(
            (self.first_gate + len(self.gates), inputs.shape[1]), inputs.dtype
        )
        values[0] = 0
        values[1 : self.first_gate] = inputs
        for node, gate in enumerate(self.gates, self.first_gate):
            left, right = _read(values, gate.left), _read(values, gate.right)
            operation = np.bitwise_xor if gate.is_xor else np.bitwise_and
            operation(left, right, out=values[node])
        return values

    def node_bits(self, node: int) -> npt.NDArray[np.uint8]:
        """What one node carries as 0 and 1, `uint8[2^bits_a, 2^bits_b]`."""
        return _unpack(self.values[node]).reshape(1 << self.bits[0], 1 << self.bits[1])

    def table(self) -> IntTable:
        """All products, `int32[2^bits_a, 2^bits_b]`, by one pass over the gates."""
        table = np.zeros(1 << sum(self.bits), np.int32)
        for position, literal in enumerate(self.outputs):
            bit = _unpack(_read(self.values, literal)).astype(np.int32)
            is_sign = self.signed and position == len(self.outputs) - 1
            table += (-bit if is_sign else bit) << position
        return table.reshape(1 << self.bits[0], 1 << self.bits[1])


def build_netlist(
    describe: Describe, bits: tuple[int, int] = (8, 8), signed: bool = False
) -> Netlist:
    """The circuit that `describe(a, b)` writes when it is given two operands.

    Args:
        describe: takes the two operands as `Bus` and returns the nets of the product,
            least significant first; where signed, the last one is the sign.
        bits: operand widths, 2 to 8.
        signed: whether operands and product are two's complement.

    Example:
        >>> build_netlist(lambda a, b: [a[0] ^ b[0]], (2, 2)).gates
        (Gate(is_xor=True, left=2, right=6),)
    """
    sheet = _Sheet(sum(bits))
    inputs = [Net(sheet, 2 * node) for node in range(1, sum(bits) + 1)]
    outputs = describe(Bus(inputs[: bits[0]], signed), Bus(inputs[bits[0] :], signed))
    return _sweep(sheet, bits, signed, [net.literal for net in outputs])


def _sweep(
    sheet: _Sheet, bits: tuple[int, int], signed: bool, outputs: list[int]
) -> Netlist:
    """The circuit without its dead gates, nodes renumbered."""
    live = sorted(_reached(sheet, outputs))
    number = {node: node for node in range(sheet.first)}
    number |= {node: sheet.first + place for place, node in enumerate(live)}

    def renumber(literal: int) -> int:
        return 2 * number[literal >> 1] + (literal & 1)

    gates = (sheet.gates[node - sheet.first] for node in live)
    return Netlist(
        bits,
        signed,
        tuple(Gate(g.is_xor, renumber(g.left), renumber(g.right)) for g in gates),
        tuple(map(renumber, outputs)),
    )


def _reached(sheet: _Sheet, outputs: list[int]) -> Iterator[int]:
    """The gate nodes that the outputs depend on."""
    seen = {literal >> 1 for literal in outputs}
    for node in range(sheet.first + len(sheet.gates) - 1, sheet.first - 1, -1):
        if node in seen:
            gate = sheet.gates[node - sheet.first]
            seen |= {gate.left >> 1, gate.right >> 1}
            yield node


def _input_words(bits: tuple[int, int]) -> Words:
    """The operand bits of all pairs (a, b), pair number a * 2^bits_b + b, packed."""
    pairs = np.arange(1 << sum(bits), dtype=np.uint32)
    positions = [*range(bits[1], sum(bits)), *range(bits[1])]
    rows = np.array([(pairs >> position) & 1 for position in positions], np.uint8)
    packed = np.packbits(rows, axis=1, bitorder="little")
    return packed.view(np.uint64) if packed.shape[1] % 8 == 0 else packed


def _read(values: Words, literal: int) -> Words:
    value = values[literal >> 1]
    return ~value if literal & 1 else value


def _unpack(words: Words) -> npt.NDArray[np.uint8]:
    return np.unpackbits(words.view(np.uint8), bitorder="little")
