"""Parts that circuits are made of: adders, selectors, shifters, leading ones.

A word is a sequence of nets, least significant first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from .netlist import ONE, ZERO, Net

Nets = Sequence[Net]


def half_adder(x: Net, y: Net) -> tuple[Net, Net]:
    """Sum and carry of two bits."""
    return x ^ y, x & y


def full_adder(x: Net, y: Net, carry: Net) -> tuple[Net, Net]:
    """Sum and carry of three bits: 7 unit gates, 4 delays to the sum."""
    either = x ^ y
    return either ^ carry, (x & y) | (either & carry)


def at(word: Nets, position: int) -> Net:
    """A bit of a word, 0 outside it."""
    return word[position] if 0 <= position < len(word) else ZERO


def constant(value: int, width: int) -> list[Net]:
    """A word that holds a fixed value, modulo 2^width."""
    return [ONE if value >> i & 1 else ZERO for i in range(width)]


def add(x: Nets, y: Nets, carry: Net = ZERO, width: int | None = None) -> list[Net]:
    """A ripple-carry adder; without `width`, one bit longer than its inputs."""
    total: list[Net] = []
    for i in range(max(len(x), len(y)) + 1 if width is None else width):
        bit, carry = full_adder(at(x, i), at(y, i), carry)
        total.append(bit)
    return total


def subtract(x: Nets, y: Nets) -> list[Net]:
    """x - y modulo 2^len(x)."""
    inverted = [~at(y, i) for i in range(len(x))]
    return add(x, inverted, ONE, len(x))


def negate_if(negative: Net, x: Nets) -> list[Net]:
    """-x in two's complement where `negative`, else x."""
    return add([bit ^ negative for bit in x], [], negative, len(x))


def mux(select: Net, zero: Net, one: Net) -> Net:
    """`one` where `select`, else `zero`."""
    return (select & one) | (~select & zero)


def any_of(word: Nets) -> Net:
    """Whether a bit of the word is set, by a balanced tree of ORs."""
    level = list(word)
    while len(level) > 1:
        level = [reduce(or_, level[i : i + 2]) for i in range(0, len(level), 2)]
    return level[0] if level else ZERO


def gate_with(enable: Net, x: Nets) -> list[Net]:
    """The word where `enable`, else 0."""
    return [enable & bit for bit in x]


def shift_left(x: Nets, amount: Nets, width: int) -> list[Net]:
    """x * 2^amount modulo 2^width: a barrel shifter, one stage per bit of `amount`."""
    word = [at(x, i) for i in range(width)]
    for stage, select in enumerate(amount):
        step = 1 << stage
        word = [mux(select, word[i], at(word, i - step)) for i in range(width)]
    return word


def leading_one(x: Nets) -> list[Net]:
    """The highest set bit alone: a one-hot word, all 0 where x is 0."""
    found, one_hot = ZERO, list[Net]()
    for bit in reversed(x):
        one_hot.append(bit & ~found)
        found = found | bit
    return one_hot[::-1]


def encode(one_hot: Nets) -> list[Net]:
    """The position of the set bit of a one-hot word, 0 where there is none."""
    width = (len(one_hot) - 1).bit_length()
    return [
        any_of([bit for position, bit in enumerate(one_hot) if position >> i & 1])
        for i in range(width)
    ]


def select(one_hot: Nets, words: Sequence[Nets]) -> list[Net]:
    """The word whose selector is set, by ANDs and ORs; 0 where none is."""
    width = max(map(len, words))
    return [
        any_of([s & at(word, i) for s, word in zip(one_hot, words, strict=True)])
        for i in range(width)
    ]


def shift_by_one_hot(x: Nets, one_hot: Nets) -> list[Net]:
    """x times a power of two that is given as a one-hot word."""
    width = len(x) + len(one_hot) - 1
    return [
        any_of([at(x, i - j) & bit for j, bit in enumerate(one_hot)])
        for i in range(width)
    ]
