"""Stages that several threads go through together, without the GIL.

A stage is a number of tasks. Threads take ranges of them, and none begins the next
stage before all tasks of this one are done. Nobody waits for a thread that has not
come: one that comes late finds the stages before it finished. A *board* holds the two
counters of every stage, tasks taken and tasks done.
"""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from . import emit
from .compiled import compiled
from .emit import I64, constant

# A cache line for each counter, and the words of a stage.
LINE = 64
WORDS = 2 * LINE // 8
# How often to look before the processor is offered to another thread.
PATIENCE = 2000

_yield = types.ExternalFunction("sched_yield", types.int32())


def board(stages: int) -> npt.NDArray[np.int64]:
    """The counters of so many stages, all 0."""
    return np.zeros(stages * WORDS, np.int64)


@compiled
def take(board: Any, stage: int, tasks: int, threads: int) -> tuple[int, int]:
    """The next range of a stage's tasks; an empty one when all are taken.

    Ranges fall in size: few are taken, and all threads end together.
    """
    taken = board.ctypes.data + 2 * LINE * stage
    first = _read(taken)
    while first < tasks:
        last = first + max(1, (tasks - first) // (2 * threads))
        seen = _exchange(taken, first, last)
        if seen == first:
            return first, last
        first = seen
    return tasks, tasks


@compiled
def report(board: Any, stage: int, tasks: int) -> None:
    """Counts tasks of a stage as done."""
    _add(board.ctypes.data + 2 * LINE * stage + LINE, tasks)


@compiled
def wait(board: Any, stage: int, tasks: int) -> None:
    """Returns when all tasks of a stage are done."""
    done = board.ctypes.data + 2 * LINE * stage + LINE
    looks = 0
    while _read(done) < tasks:
        looks += 1
        if looks > PATIENCE:
            _yield()


@compiled
def count_up(counter: Any, number: int) -> None:
    """Adds to the first element of an int64 array that other threads add to as well."""
    _add(counter.ctypes.data, number)


@emit.intrinsic
def _read(context, address):
    """The number at an address, and all that was written before it."""

    def generate(context, builder, signature, arguments):
        place = emit.pointer(builder, arguments[0], constant(0), I64)
        return builder.load_atomic(place, "acquire", 8)

    return types.intp(types.intp), generate


@emit.intrinsic
def _exchange(context, address, expected, new):
    """Writes `new` if `expected` is found; returns what was found."""

    def generate(context, builder, signature, arguments):
        address, expected, new = arguments
        place = emit.pointer(builder, address, constant(0), I64)
        found = builder.cmpxchg(place, expected, new, "acq_rel", "acquire")
        return builder.extract_value(found, 0)

    return types.intp(types.intp, types.intp, types.intp), generate


@emit.intrinsic
def _add(context, address, number):
    """Adds to the number at an address, after all that was written before."""

    def generate(context, builder, signature, arguments):
        place = emit.pointer(builder, arguments[0], constant(0), I64)
        return builder.atomic_rmw("add", place, arguments[1], "release")

    return types.intp(types.intp, types.intp), generate
