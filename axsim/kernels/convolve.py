"""The loops all CPU paths share: units, runs, blocks of lanes, blocks of outputs."""

# pyright: basic

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from . import pool
from .compiled import compiled
from .contract import INT32_MAX
from .engine import accumulate
from .lanes import LAY, Block, Lanes
from .layout import SLACK, Bytes, Grid, channel_block, fill, grid_of
from .store import Place, add, store

# Outputs whose sums a block keeps at hand, and what a row of sums is longer than its
# lanes: a power of two would put every row on the same few cache lines.
OUTPUT_BLOCK = 64
ROW_GAP = 16
# Fewer outputs than these would load codes more often than use them.
LEAST_OUTPUTS, TASKS_PER_THREAD = 16, 16
# Nanoseconds to write a byte of the second layout.
TURN = 0.03
# Layouts held at a time. A pass more costs one hand-over to the threads.
PASS_BYTES = 8 << 20

Spans = npt.NDArray[np.int64]


def spans(terms: int, peak: int, wide: bool) -> Spans:
    """Stretches of the sum (first step, last step, shift) that int32 can hold."""
    length = max(1, INT32_MAX // max(peak, 1)) if wide else terms
    return np.array([(k, min(k + length, terms), 0) for k in range(0, terms, length)])


@dataclass(frozen=True, eq=False)
class Second:
    """A second layout made of the first, for engines whose lanes are not one byte.

    Args:
        unit: its bytes of a unit; groups of channels lie side by side.
        lane: its bytes of a lane.
        tasks: parts of a unit.
        work: takes both layouts and a range of parts, counted over units.
    """

    unit: int
    lane: int
    tasks: int
    work: Callable[[Bytes, Bytes, int, int], None]


def convolve(
    engine: Any,
    block: Block,
    lanes: Lanes,
    x: Bytes,
    spans: Spans,
    bias: Any,
    pad: int,
    out: Any,
    second: Second | None = None,
) -> None:
    """Runs an engine over all units.

    Args:
        engine, block: see `engine.accumulate`; how the engine takes lanes.
        x: [N, C * D * H * W], contiguous.
        bias: int64[O], added to every sum.
        pad: code of padded taps.
        out: int32 or int64 [N, O, D, H, W], contiguous; written.
    """
    vectors, blocks = block.cut(lanes.run)
    grid, phases = grid_of(lanes)
    unit_bytes, lane_bytes = (second.unit, second.lane) if second else (lanes.unit, 1)
    per_pass = min(lanes.units, max(1, PASS_BYTES // max(lanes.unit, unit_bytes)))
    buffer = np.empty(per_pass * lanes.unit + SLACK, np.uint8)
    codes = np.empty(per_pass * unit_bytes + SLACK, np.uint8) if second else buffer
    layouts = -(-grid.channels // channel_block(grid))
    groups = lanes.shape.groups
    tasks = len(lanes.starts) * blocks * groups
    rows = _output_block(per_pass * tasks, lanes.shape.outputs // groups)
    parts = -(-(lanes.shape.outputs // groups) // rows)
    tasks *= parts
    steps = int((spans[:, 1] - spans[:, 0]).sum()) * lanes.shape.outputs / groups
    computing = tasks / parts * vectors * steps * block.step
    for unit in range(0, lanes.units, per_pass):
        units = min(per_pass, lanes.units - unit)

        def lay(first: int, last: int, unit: int = unit) -> None:
            fill(x, buffer, grid, phases, pad, unit, first, last)

        def work(first: int, last: int, unit: int = unit) -> None:
            compute(
                engine, codes, grid, lanes.starts, spans, bias, out, groups, unit_bytes,
                lane_bytes, block.vector, vectors, blocks, rows, unit, first, last,
            )  # fmt: skip

        pool.run(lay, units * layouts, units * lanes.unit * LAY)
        if second:
            turn = partial(second.work, buffer, codes)
            pool.run(turn, units * second.tasks, units * second.unit * TURN)
        pool.run(work, units * tasks, units * computing)


def _output_block(tasks: int, outputs: int) -> int:
    """Fewer outputs to a block where threads would share few tasks unevenly."""
    threads, rows = torch.get_num_threads(), OUTPUT_BLOCK
    wanted = TASKS_PER_THREAD * threads if threads > 1 else 0
    while rows > LEAST_OUTPUTS and tasks * -(-outputs // rows) < wanted:
        rows //= 2
    return rows


@compiled
def compute(
    engine: Any, lanes: Bytes, g: Grid, starts: Any, spans: Spans, bias: Any, out: Any,
    groups: int, unit_bytes: int, lane_bytes: int, vector: int, vectors: int,
    blocks: int, output_block: int, unit0: int, first: int, last: int,
) -> None:  # fmt: skip
    """Tasks of a pass, counted over units, groups, runs, their blocks, and outputs."""
    width = vector * vectors
    outputs, group_bytes = out.shape[1] // groups, unit_bytes // groups
    parts = (outputs + output_block - 1) // output_block
    sums = np.empty((min(output_block, outputs + 3), width + ROW_GAP), np.int32)
    for task in range(first, last):
        rest, part = divmod(task, parts)
        rest, block = divmod(rest, blocks)
        rest, run = divmod(rest, len(starts))
        unit, group = divmod(rest, groups)
        start = starts[run] * g.images + block * width
        count = min(width, starts[run] * g.images + g.run - start)
        base = unit * unit_bytes + group * group_bytes + start * lane_bytes
        used = (count + vector - 1) // vector
        rows = min(output_block, outputs - part * output_block)
        o0 = group * outputs + part * output_block
        place = Place(unit0 + unit, start, count, o0, rows)
        if out.itemsize == 4:
            for o in range(rows):
                sums[o, : used * vector] = bias[o0 + o]
            for span in range(len(spans)):
                k0, k1, shift = spans[span]
                accumulate(engine, lanes, base, o0, rows, k0, k1, shift, sums, used)
            store(sums, out, g, place)
        else:
            for span in range(len(spans)):
                k0, k1, shift = spans[span]
                sums[:rows, : used * vector] = 0
                accumulate(engine, lanes, base, o0, rows, k0, k1, 0, sums, used)
                add(sums, bias, out, g, place, shift, span == 0)
