"""What a CPU path supplies to the common loops over units, runs and blocks."""

from __future__ import annotations

from typing import Any


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
