"""Circuits of gates: folding, sharing, dead gates, and products of all pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim.tables.multiplier import exact_products
from axsim.tables.netlist import ONE, ZERO, Bus, Net, Netlist, build_netlist
from axsim.tables.partial_products import add_rows, partial_products

WIDTHS = st.tuples(st.integers(2, 8), st.integers(2, 8))


def evaluate(netlist: Netlist, a: int, b: int) -> int:
    """The slow twin: one pair of operands, one gate after the other."""
    inputs = [a >> i & 1 for i in range(netlist.bits[0])]
    inputs += [b >> i & 1 for i in range(netlist.bits[1])]
    nodes = [0, *inputs]
    for gate in netlist.gates:
        left = nodes[gate.left >> 1] ^ gate.left & 1
        right = nodes[gate.right >> 1] ^ gate.right & 1
        nodes.append(left ^ right if gate.is_xor else left & right)
    bits = [nodes[literal >> 1] ^ literal & 1 for literal in netlist.outputs]
    value = sum(bit << i for i, bit in enumerate(bits))
    return value - (bits[-1] << len(bits)) if netlist.signed else value


def any_gates(a: Bus, b: Bus, recipe: Sequence[tuple[int, int, int]]) -> list[Net]:
    """A random circuit: each step combines two earlier nets, some of them inverted."""
    nets = [ZERO, ONE, *a, *b]
    for kind, left, right in recipe:
        x, y = nets[left % len(nets)], nets[right % len(nets)]
        nets.append([x & y, x | y, x ^ y, ~x & y, x ^ ~y, x & ~y][kind % 6])
    return nets[-6:]


STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 99), st.integers(0, 99)),
    min_size=6,
    max_size=40,
)


@given(WIDTHS, st.booleans(), STEPS, st.integers(0, 255), st.integers(0, 255))
def test_any_circuit_gives_what_its_gates_give_pair_by_pair(
    bits: tuple[int, int],
    signed: bool,
    steps: list[tuple[int, int, int]],
    a: int,
    b: int,
) -> None:
    netlist = build_netlist(lambda x, y: any_gates(x, y, steps), bits, signed)
    a, b = a % (1 << bits[0]), b % (1 << bits[1])
    assert netlist.table()[a, b] == evaluate(netlist, a, b)


@given(STEPS, st.integers(0, 15), st.integers(0, 15))
def test_folding_keeps_what_the_expression_means(
    steps: list[tuple[int, int, int]], a: int, b: int
) -> None:
    netlist = build_netlist(lambda x, y: any_gates(x, y, steps), (4, 4))
    values = [0, 1, *(a >> i & 1 for i in range(4)), *(b >> i & 1 for i in range(4))]
    for kind, left, right in steps:
        x, y = values[left % len(values)], values[right % len(values)]
        values.append(
            [x & y, x | y, x ^ y, (1 - x) & y, 1 - (x ^ y), x & (1 - y)][kind]
        )
    assert netlist.table()[a, b] == sum(bit << i for i, bit in enumerate(values[-6:]))


@pytest.mark.parametrize(
    "write",
    [
        lambda x, y: x & ZERO,
        lambda x, y: x & ONE,
        lambda x, y: x | ONE,
        lambda x, y: x ^ x,
        lambda x, y: x ^ ~x,
        lambda x, y: x ^ ONE,
        lambda x, y: x & ~x,
        lambda x, y: ~(~x & ~x),
        lambda x, y: x & (~x & y),
        lambda x, y: x & ~(~x & y),
        lambda x, y: ONE ^ ZERO,
    ],
)
def test_what_needs_no_gate_gets_none(write: Callable[[Net, Net], Net]) -> None:
    assert build_netlist(lambda a, b: [write(a[0], b[0])]).gates == ()


def test_equal_gates_are_shared_whatever_their_order() -> None:
    netlist = build_netlist(lambda a, b: [a[0] & b[0], b[0] & a[0], ~(a[0] & b[0])])
    assert len(netlist.gates) == 1
    assert netlist.outputs[0] == netlist.outputs[1] == netlist.outputs[2] ^ 1


def test_an_inverted_input_of_xor_becomes_an_inverted_output() -> None:
    netlist = build_netlist(lambda a, b: [~a[0] ^ b[0], a[0] ^ ~b[0], a[0] ^ b[0]])
    assert len(netlist.gates) == 1


def test_an_and_of_an_and_with_its_own_input_is_simplified() -> None:
    netlist = build_netlist(lambda a, b: [a[0] & (a[0] & b[0]), a[0] & ~(a[0] & b[0])])
    kinds = [gate.is_xor for gate in netlist.gates]
    assert kinds == [False, False]  # a & b and a & ~b, one gate each


def test_gates_that_reach_no_output_are_dropped() -> None:
    def describe(a: Bus, b: Bus) -> list[Net]:
        unused = a[1] ^ (a[2] & b[2])
        return [a[0] & b[0], (unused & ZERO) | (a[3] & b[3])]

    netlist = build_netlist(describe)
    assert len(netlist.gates) == 2
    assert netlist.table()[0b1001, 0b1001] == 3


@given(WIDTHS, st.booleans())
def test_an_array_multiplies_exactly(bits: tuple[int, int], signed: bool) -> None:
    netlist = build_netlist(lambda a, b: add_rows(partial_products(a, b)), bits, signed)
    assert np.array_equal(netlist.table(), exact_products(bits, (signed, signed)))


def test_the_exact_array_has_the_adders_of_the_textbook() -> None:
    gates = build_netlist(lambda a, b: add_rows(partial_products(a, b))).gates
    # n² ANDs, n(n - 2) full adders of 2 XOR and 3 AND/OR, n half adders of 1 and 1.
    assert sum(gate.is_xor for gate in gates) == 2 * 48 + 8
    assert sum(not gate.is_xor for gate in gates) == 64 + 3 * 48 + 8
