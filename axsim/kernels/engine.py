"""What a CPU path supplies to the common loops over units, runs and blocks.

An engine is a named tuple of tables, weights and offsets. One that has a field
`again` lays codes out a second time and prepares its weights; `prepare`, `turn` and
their counts are its own then, and nothing for all others.
"""

# pyright: basic

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import overload


def accumulate(
    engine: Any,
    lanes: Any,
    base: int,
    first: int,
    count: int,
    step0: int,
    step1: int,
    shift: int,
    sums: Any,
    vectors: int,
) -> None:
    """Adds products of one block of lanes to its sums; each engine overloads it.

    Args:
        engine: a named tuple: tables, laid-out weights, offsets of the steps.
        lanes: uint8, the laid-out codes.
        base: where the block's first lane starts.
        first, count: the outputs to serve, rows 0 to `count` of `sums`.
        step0, step1: the steps of the sum to take.
        shift: the sums are shifted left by so many bits before they are added.
        sums: int32[outputs, lanes of a block]; arithmetic modulo 2^32.
        vectors: how many vectors of lanes the block has.
    """
    raise TypeError("accumulate runs only inside compiled kernels")


def prepare(engine: Any, base: Any, first: int, last: int) -> None:
    """Prepares a range of the engine's weights; adds what they imply to `base`."""
    raise TypeError("prepare runs only inside compiled kernels")


def turn(engine: Any, lanes: Any, codes: Any, first: int, last: int) -> None:
    """Lays a range of the parts of a pass out again, from `lanes` to `codes`."""
    raise TypeError("turn runs only inside compiled kernels")


def _is_plain(engine: Any) -> bool:
    return isinstance(engine, types.NamedTuple) and "again" not in engine.fields


@overload(prepare)
def _prepare_nothing(engine, base, first, last):
    if _is_plain(engine):
        return lambda engine, base, first, last: None
    return None


@overload(turn)
def _turn_nothing(engine, lanes, codes, first, last):
    if _is_plain(engine):
        return lambda engine, lanes, codes, first, last: None
    return None
