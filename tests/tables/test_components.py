"""Parts of circuits: each does on all operands what it does on integers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from axsim.tables.components import (
    add,
    any_of,
    constant,
    encode,
    leading_one,
    mux,
    negate_if,
    select,
    shift_by_one_hot,
    shift_left,
    subtract,
)
from axsim.tables.netlist import Bus, Net, build_netlist

CASES: dict[
    str, tuple[Callable[[Bus, Bus], Sequence[Net]], Callable[[int, int], int]]
] = {
    "add": (lambda a, b: add(a, b), lambda a, b: a + b),
    "add with carry": (
        lambda a, b: add(a, b[1:], b[0]),
        lambda a, b: a + (b >> 1) + b % 2,
    ),
    "add modulo": (lambda a, b: add(a, b, width=5), lambda a, b: (a + b) % 32),
    "subtract": (lambda a, b: subtract(a, b), lambda a, b: (a - b) % 32),
    "negate": (
        lambda a, b: negate_if(b[0], a),
        lambda a, b: (-a if b & 1 else a) % 32,
    ),
    "mux": (
        lambda a, b: [mux(a[0], x, y) for x, y in zip(a, b, strict=True)],
        lambda a, b: b if a & 1 else a,
    ),
    "any": (lambda a, b: [any_of(a), any_of([])], lambda a, b: int(a > 0)),
    "shift": (lambda a, b: shift_left(a, b[:3], 12), lambda a, b: a << (b & 7)),
    "shift cut": (lambda a, b: shift_left(a, b, 9), lambda a, b: (a << b) % 512),
    "leading one": (lambda a, b: leading_one(a), lambda a, b: 1 << a.bit_length() >> 1),
    "position": (
        lambda a, b: encode(leading_one(a)),
        lambda a, b: max(a.bit_length() - 1, 0),
    ),
    "one-hot shift": (
        lambda a, b: shift_by_one_hot(a, leading_one(b)),
        lambda a, b: a * (1 << b.bit_length() >> 1),
    ),
    "select": (
        lambda a, b: select([a[0] & ~a[1], a[1]], [b[1:3], b]),
        lambda a, b: b if a & 2 else (b >> 1 & 3 if a & 1 else 0),
    ),
    "constant": (lambda a, b: constant(-3, 6), lambda a, b: 61),
}


@pytest.mark.parametrize("name", CASES)
def test_a_part_does_what_it_does_on_integers(name: str) -> None:
    write, value = CASES[name]
    expected = [[value(a, b) for b in range(32)] for a in range(32)]
    assert np.array_equal(build_netlist(write, (5, 5)).table(), expected)
