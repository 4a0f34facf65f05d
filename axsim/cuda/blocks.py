# pyright: basic
"""Where the blocks of 256 elements of a tensor's rows lie in memory."""

from __future__ import annotations

import numpy as np

from .inlined import quotient
from .intrinsics import inlined

BLOCK = 256


@inlined
def row_of(task, count, run, each):
    """The row of a block; where rows jump through memory, tasks go down them first."""
    row = quotient(task, each)
    if run < BLOCK:
        row = np.int32(task - quotient(task, count) * np.int32(count))
    return row


@inlined
def part_of(task, count, run, each):
    """Which of its row's blocks a block is."""
    part = np.int32(task - quotient(task, each) * np.int32(each))
    if run < BLOCK:
        part = quotient(task, count)
    return part


@inlined
def blocks_of(run, runs):
    """How many blocks a row has."""
    return np.int64((np.int64(run) * runs + (BLOCK - 1)) // BLOCK)


@inlined
def runs_before(part, run, runs):
    """Whole runs of a row in front of its block `part`."""
    done = np.int64(0)
    if runs > 1:
        done = np.int64((np.int64(part) * BLOCK) // run)
    return done


@inlined
def place_of(i, part, done, row, count, run):
    """Where element i of a block lies in memory."""
    at = np.int64(np.int64(part) * BLOCK - done * run + i)
    jump = np.int64(0)
    if at >= run:
        jump = np.int64(1)
        if run < BLOCK:
            jump = np.int64(quotient(at, run))
    return np.int64(((done + jump) * count + row) * run + (at - jump * run))
