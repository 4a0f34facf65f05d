"""The loops all CPU paths share: units, runs, blocks of lanes, blocks of outputs.

Units are served by passes, and a pass in three stages: codes are laid out (and, once,
weights prepared); they are laid out again and summed over channels, where that is
wanted; outputs are computed. All threads go through the stages together in one call.
"""

# pyright: basic

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import pool, stages
from .compiled import allocating, compiled
from .contract import INT32_MAX
from .engine import accumulate, prepare, turn
from .finish import PIECE, Finish, finish, sum_channels, sum_window
from .lanes import LAY, Block, Lanes
from .layout import (
    SLACK,
    Bytes,
    Grid,
    channel_block,
    fill,
    grid_from,
    grid_of,
    scratch_bytes,
    working_space,
)
from .open import ROW_GAP, compute_open, open_tasks, space_for
from .store import Place, add, store

if TYPE_CHECKING:
    from .cpu import Call

# Outputs whose sums a block keeps at hand.
OUTPUT_BLOCK = 64
# Fewer outputs than these would load codes more often than use them.
LEAST_OUTPUTS, TASKS_PER_THREAD = 16, 16
# Nanoseconds to write a byte of the second layout.
TURN = 0.03
# Layouts held at a time.
PASS_BYTES = 8 << 20
LAY_OUT, AGAIN, COMPUTE = range(3)

Spans = npt.NDArray[np.int64]


def spans(terms: int, peak: int, wide: bool) -> Spans:
    """Stretches of the sum (first step, last step, shift) that int32 can hold."""
    length = max(1, INT32_MAX // max(peak, 1)) if wide else terms
    return np.array([(k, min(k + length, terms), 0) for k in range(0, terms, length)])


class Second(NamedTuple):
    """A second layout made of the first, for engines whose lanes are not one byte.

    Args:
        unit: its bytes of a unit; groups of channels lie side by side.
        lane: its bytes of a lane.
        parts: of a unit, to be turned one by one.
        weights: parts to prepare, once.
        cost: nanoseconds to prepare a part.
        together: outputs that the engine serves at a time.
    """

    unit: int
    lane: int
    parts: int
    weights: int
    cost: float
    together: int = 1


class Numbers(NamedTuple):
    """What the kernels take besides a `Grid`.

    Args:
        units, per_pass: all of them, and those of a pass.
        layouts, parts, weights: tasks of a unit's layouts and of preparing weights.
        groups: of the convolution.
        unit, lane: bytes of a unit and of a lane that engines read.
        vector, vectors, blocks, outputs: lanes of a vector, vectors of a block, blocks
            of a run, outputs of a block.
        most, together: vectors of a block at most, outputs served at a time.
    """

    units: int
    per_pass: int
    layouts: int
    parts: int
    weights: int
    groups: int
    unit: int
    lane: int
    vector: int
    vectors: int
    blocks: int
    outputs: int
    most: int
    together: int


class Work(NamedTuple):
    """A convolution without its codes.

    Args:
        grid: int64, the numbers of the layout's `Grid` one after the other.
        phases, starts, taps: of the layout.
        numbers: of its tasks.
        listed: int64, the same one after the other.
        unit, channel: bytes of the first layout.
        passes: their number.
        nanoseconds: of all, roughly.
    """

    grid: npt.NDArray[np.int64]
    phases: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    taps: npt.NDArray[np.int64]
    numbers: Numbers
    listed: npt.NDArray[np.int64]
    unit: int
    channel: int
    passes: int
    nanoseconds: float


@lru_cache(maxsize=1024)
def plan(lanes: Lanes, block: Block, second: Second | None, threads: int) -> Work:
    """How so many threads share a convolution.

    Args:
        lanes, block: the layout; how the engine takes lanes.
        second: of engines that need one.
        threads: at most.
    """
    grid, phases = grid_of(lanes)
    shape, (vectors, blocks) = lanes.shape, block.cut(lanes.run)
    own = second or Second(lanes.unit, 1, 0, 0, 0.0)
    sums = 4 * shape.groups * lanes.channel
    per_pass = min(lanes.units, max(1, PASS_BYTES // max(lanes.unit, own.unit, sums)))
    outputs = shape.outputs // shape.groups
    tasks = per_pass * len(lanes.starts) * blocks * shape.groups
    steps = shape.terms * block.depth / block.bytes_per_lane
    computing = len(lanes.starts) * blocks * vectors * steps * block.step
    each = lanes.unit * LAY + own.unit * TURN + computing * shape.outputs
    numbers = Numbers(
        lanes.units, per_pass, -(-grid.channels // channel_block(grid)), own.parts,
        own.weights, shape.groups, own.unit, own.lane, block.vector, vectors, blocks,
        _output_block(tasks, outputs, threads), block.most, own.together,
    )  # fmt: skip
    return Work(
        np.hstack(grid), phases, lanes.starts, lanes.taps, numbers,
        np.array(numbers), lanes.unit, lanes.channel, -(-lanes.units // per_pass),
        lanes.units * each + own.weights * own.cost,
    )  # fmt: skip


def _output_block(tasks: int, outputs: int, threads: int) -> int:
    """Fewer outputs to a block where threads would share few tasks unevenly."""
    wanted = TASKS_PER_THREAD * threads if threads > 1 else 0
    rows = OUTPUT_BLOCK
    while rows > LEAST_OUTPUTS and tasks * -(-outputs // rows) < wanted:
        rows //= 2
    return rows


def convolve(
    engine: Any, work: Work, call: Call, spans: Spans, base: Any, out: Any
) -> None:
    """Runs an engine over all units.

    Args:
        engine: see `engine.accumulate`.
        work: from `plan`.
        call: the operands.
        spans: stretches of the sum.
        base: int64[O], added to every sum.
        out: int32 or int64 [N, O, D, H, W], contiguous; written, unless the call has
            a goal.
    """
    size, packed = work.numbers, None
    if call.goal is not None:
        pitch = size.most * size.vector * size.lane
        steps = np.arange(len(engine.offsets), dtype=np.int32)
        packed = engine._replace(offsets=steps * np.int32(pitch))
    first = size.per_pass * work.unit + SLACK
    second = size.per_pass * size.unit + SLACK if size.parts else 0
    corrected = size.per_pass * size.groups if len(call.finish.zeros) else 0
    planes = np.empty((corrected, work.channel + SLACK), np.int32)
    threads = pool.threads_for(work.nanoseconds)
    with working_space(first, second) as (lanes, codes):
        codes = codes if size.parts else lanes
        _share(
            threads, engine, work.grid, work.phases, work.starts, work.taps,
            work.listed, call.x, lanes, codes, planes, spans, base, out, call.pad,
            call.finish, call.goal, packed, stages.board(3 * work.passes), threads,
        )  # fmt: skip


@compiled
def _numbers_from(n: Any) -> Numbers:
    return Numbers(
        n[0],
        n[1],
        n[2],
        n[3],
        n[4],
        n[5],
        n[6],
        n[7],
        n[8],
        n[9],
        n[10],
        n[11],
        n[12],
        n[13],
    )


@allocating
def _serve(
    engine: Any, grid: Any, phases: Any, starts: Any, taps: Any, numbers: Any,
    x: Bytes, lanes: Bytes, codes: Bytes, planes: Any, spans: Spans, base: Any,
    out: Any, pad: int, how: Finish, goal: Any, packed: Any, board: Any, threads: int,
) -> None:  # fmt: skip
    """One thread's share."""
    g, work = grid_from(grid), _numbers_from(numbers)
    groups, width = work.groups, work.vector * work.vectors
    outputs = out.shape[1] // groups
    sums = np.empty((min(work.outputs, outputs + 3), width + ROW_GAP), np.int32)
    window = np.empty(width if len(planes) else 0, np.int32)
    scratch = np.empty(scratch_bytes(g), np.uint8)
    pieces = groups * ((g.channel + PIECE - 1) // PIECE) if len(planes) else 0
    parts = (outputs + work.outputs - 1) // work.outputs
    each = len(starts) * work.blocks * groups * parts
    if goal is not None:
        space = space_for(g, work.most * work.vector, work.lane)
    for stage in range(len(board) // stages.WORDS):
        unit, kind = stage // 3 * work.per_pass, stage % 3
        units = min(work.per_pass, work.units - unit)
        extra = work.weights if stage == 0 else units * pieces if kind == AGAIN else 0
        tasks = extra + units * (work.layouts, work.parts, each)[kind]
        if goal is not None and kind == COMPUTE:
            tasks = open_tasks(g, groups, outputs, units, threads)
        first, last = stages.take(board, stage, tasks, threads)
        while first < last:
            before, a, b = min(last, extra), max(first, extra) - extra, last - extra
            if kind == LAY_OUT:
                prepare(engine, base, first, before)
                fill(x, lanes, g, phases, pad, unit, a, b, scratch)
            elif kind == AGAIN:
                per_group = g.channels // groups
                sum_channels(
                    lanes, planes, g.channel, per_group, how.sign, first, before
                )
                turn(engine, lanes, codes, a, b)
            elif goal is not None:
                compute_open(
                    engine, packed, g, work, taps, codes, planes, spans, base, goal,
                    how, space, unit, units, threads, a, b,
                )  # fmt: skip
            else:
                _compute(
                    engine, g, work, starts, taps, codes, planes, spans, base, out,
                    how, sums, window, unit, a, b,
                )  # fmt: skip
            stages.report(board, stage, last - first)
            first, last = stages.take(board, stage, tasks, threads)
        stages.wait(board, stage, tasks)


_share = pool.together(_serve)


@compiled
def _compute(
    engine: Any, g: Grid, work: Numbers, starts: Any, taps: Any, lanes: Bytes,
    planes: Any, spans: Spans, base: Any, out: Any, how: Finish, sums: Any,
    window: Any, unit0: int, first: int, last: int,
) -> None:  # fmt: skip
    """Tasks of a pass, counted over units, groups, runs, their blocks, and outputs."""
    groups, vector = work.groups, work.vector
    width = vector * work.vectors
    outputs, group_bytes = out.shape[1] // groups, work.unit // groups
    parts = (outputs + work.outputs - 1) // work.outputs
    for task in range(first, last):
        rest, part = divmod(task, parts)
        rest, block = divmod(rest, work.blocks)
        rest, run = divmod(rest, len(starts))
        unit, group = divmod(rest, groups)
        start = starts[run] * g.images + block * width
        count = min(width, starts[run] * g.images + g.run - start)
        at = unit * work.unit + group * group_bytes + start * work.lane
        used = (count + vector - 1) // vector
        rows = min(work.outputs, outputs - part * work.outputs)
        o0 = group * outputs + part * work.outputs
        place = Place(unit0 + unit, start, count, o0, rows)
        if out.itemsize == 4:
            for o in range(rows):
                sums[o, : used * vector] = base[o0 + o]
            for span in range(len(spans)):
                k0, k1, shift = spans[span]
                accumulate(engine, lanes, at, o0, rows, k0, k1, shift, sums, used)
            if len(planes):
                plane = planes[unit * groups + group]
                sum_window(plane, start, taps, window, used * vector)
            if len(how.scale):
                finish(sums, rows, used * vector, window, how, o0)
            store(sums, out, g, place)
        else:
            for span in range(len(spans)):
                k0, k1, shift = spans[span]
                sums[:rows, : used * vector] = 0
                accumulate(engine, lanes, at, o0, rows, k0, k1, 0, sums, used)
                add(sums, base, out, g, place, shift, span == 0)
