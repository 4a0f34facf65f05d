"""Open tiles alone: 16 neighbouring lanes by 16 outputs, where any output is wanted.

The open runs of 16 lanes of what an engine would read are put side by side, so that it
computes them as it computes any block; a run is moved once for 16 outputs. Outputs
that no run of a block wants are left out.
"""

# pyright: basic

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from . import emit
from .compiled import compiled
from .emit import I8, I32, constant
from .engine import accumulate
from .finish import Finish, sum_window
from .layout import Bytes, Grid
from .store import corner, next_row, row_at

SIDE = 16
# What a row of sums is longer than its lanes: a power of two would put every row on
# the same few cache lines, and engines may write a vector too much.
ROW_GAP = 16
# Lanes of a task, and the share of wanted lanes above which all of a unit are computed.
LANES, MOST = 16384, 0.6
# Tasks that several threads share evenly.
TASKS_PER_THREAD = 4


class Goal(NamedTuple):
    """Sums to complete where a mask says so; tensors as they lie in memory.

    Args:
        base: float32 or float64, what the sums so far stand for; overwritten.
        total: int32 or int64, these sums; empty where `base` tells them, as float32
            tells whole numbers below 2^23 that it has been scaled by `units` since.
        mask: bool, which of them are to be completed.
        units: float32 or float64 [O], what a sum counts for.
        shift: the power of two that what is added counts for.
        step: and the one that `base` counts in.
        image, output: elements from one image and from one output to the next.
    """

    base: Any
    total: Any
    mask: Any
    units: Any
    shift: int
    step: int
    image: int
    output: int


class Space(NamedTuple):
    """What a thread needs.

    Args:
        seen, wanted: flags of pixels and of lanes.
        found: int64[open runs of a task, 2], unit and first lane.
        runs: where the codes of a block's runs begin.
        places: int64[lanes, 3], where stretches of a block's lanes are in the output,
            their first lane and their length.
        codes: a block's runs side by side.
        sums, window: of a block.
    """

    seen: Any
    wanted: Any
    found: Any
    runs: Any
    places: Any
    codes: Bytes
    sums: Any
    window: Any


class Block(NamedTuple):
    """A block of open runs.

    Args:
        output, outputs: the first, and how many.
        runs, stretches: how many of `runs` and `places` there are.
    """

    output: int
    outputs: int
    runs: int
    stretches: int


@compiled
def space_for(g: Grid, steps: int, width: int, lane: int) -> Space:
    """Room for blocks of `width` lanes of so many bytes."""
    return Space(
        np.empty(g.out[1] * g.out[2], np.bool_),
        np.empty(g.run + SIDE, np.bool_),
        np.empty((_most_together(g) * (g.run // SIDE + 1), 2), np.int64),
        np.empty(width // SIDE, np.int64),
        np.empty((width, 3), np.int64),
        np.empty((steps + 1) * width * lane, np.uint8),
        np.empty((SIDE, width + ROW_GAP), np.int32),
        np.empty(width, np.int32),
    )


@compiled
def open_tasks(g: Grid, groups: int, outputs: int, units: int, threads: int) -> int:
    """How many tasks so many units of a pass make."""
    parts = groups * ((outputs + SIDE - 1) // SIDE)
    return parts * -(-units // _together(g, parts * units, threads))


@compiled
def _together(g: Grid, count: int, threads: int) -> int:
    """Units of a task: their open runs fill blocks together.

    count: of tasks of one unit each.
    """
    most = count // (threads * TASKS_PER_THREAD) if threads > 1 else count
    return max(1, min(most, _most_together(g)))


@compiled
def _most_together(g: Grid) -> int:
    return max(1, LANES // max(1, g.run))


@compiled
def compute_open(
    engine: Any, packed: Any, g: Grid, work: Any, taps: Any, lanes: Bytes, planes: Any,
    spans: Any, constants: Any, goal: Goal, how: Finish, space: Space, unit0: int,
    units: int, threads: int, first: int, last: int,
) -> None:  # fmt: skip
    """Tasks of a pass, counted over units, groups and blocks of 16 outputs."""
    outputs = len(goal.units) // work.groups
    parts = (outputs + SIDE - 1) // SIDE
    together = _together(g, work.groups * parts * units, threads)
    each, most = max(1, work.vector // SIDE), len(space.runs)
    for task in range(first, last):
        rest, part = divmod(task, parts)
        some, group = divmod(rest, work.groups)
        o0 = group * outputs + part * SIDE
        rows, count = min(SIDE, outputs - part * SIDE), 0
        for unit in range(some * together, min(units, (some + 1) * together)):
            count = _find_runs(goal, g, unit0, unit, o0, rows, space, count)
        # Blocks of nearly as many vectors; one of few would waste its rows.
        blocks, vectors = (count + most - 1) // most, (count + each - 1) // each
        for block in range(blocks):
            begin = vectors * block // blocks * each
            end = min(count, vectors * (block + 1) // blocks * each)
            found = space.found[begin:end]
            stretches = _describe(
                goal, g, work, taps, planes, unit0, group, found, space
            )
            runs = space.runs[: len(found)]
            codes, source, at = lanes, engine, runs[0]
            # Neighbours are computed where they are.
            if runs[-1] - at != SIDE * work.lane * (len(runs) - 1):
                _move_runs(engine, lanes, runs, work.lane, space)
                codes, source, at = space.codes, packed, 0
            own = Block(o0, rows, len(runs), stretches)
            _serve_outputs(
                source, codes, at, own, work, spans, constants, goal, how, space
            )


@compiled
def _describe(
    goal: Goal, g: Grid, work: Any, taps: Any, planes: Any, unit0: int, group: int,
    found: Any, space: Space,
) -> int:  # fmt: skip
    """Fills `runs`, `places` and `window` for a block; how many places there are."""
    stretches = 0
    for i in range(len(found)):
        unit, lane, start = found[i, 0], found[i, 1], i * SIDE
        at = unit * work.unit + group * (work.unit // work.groups)
        space.runs[i] = at + lane * work.lane
        stretches = _place(goal, g, unit0 + unit, lane, start, space, stretches)
        if len(planes):
            window = space.window[start : start + SIDE]
            plane = planes[unit * work.groups + group]
            sum_window(plane, lane, taps, window, SIDE)
    return stretches


@compiled
def _move_runs(engine: Any, lanes: Bytes, runs: Any, lane: int, space: Space) -> None:
    """Puts what each step reads of the runs side by side."""
    pitch, steps = len(space.window) * lane, len(engine.offsets)
    for i in range(len(runs)):
        to = space.codes.ctypes.data + i * SIDE * lane
        start = lanes.ctypes.data + runs[i]
        _move(lane, start, engine.offsets.ctypes.data, steps, to, pitch)


@compiled
def _serve_outputs(
    engine: Any, lanes: Bytes, at: int, block: Block, work: Any, spans: Any,
    constants: Any, goal: Goal, how: Finish, space: Space,
) -> None:  # fmt: skip
    """Computes the outputs of a block that are wanted somewhere in it."""
    vectors = (block.runs * SIDE + work.vector - 1) // work.vector
    row, width = 0, vectors * work.vector
    places = space.places[: block.stretches]
    while row < block.outputs:
        end = row
        while end < block.outputs and _is_wanted(
            goal, places, block.output + end, min(work.together, block.outputs - end)
        ):
            end += work.together
        end = min(end, block.outputs)
        o0, count = block.output + row, end - row
        for o in range(count):
            space.sums[o, :width] = constants[o0 + o]
        for span in range(len(spans) if count else 0):
            k0, k1, shift = spans[span]
            accumulate(engine, lanes, at, o0, count, k0, k1, shift, space.sums, vectors)
        for o in range(count):
            zero = how.zeros[o0 + o] if len(how.zeros) else np.int32(0)
            _complete(goal, places, o0 + o, space.sums[o], zero, space.window)
        row = max(end, row + work.together)


@compiled
def _find_runs(
    goal: Goal, g: Grid, unit0: int, unit: int, output: int, outputs: int,
    space: Space, count: int,
) -> int:  # fmt: skip
    """Adds the runs of a unit that any of some outputs wants; how many there are then.

    unit0, unit: the first unit of the pass, and which one of the pass it is.
    """
    wanted = space.wanted
    wanted[:] = False
    image, d0, h0 = corner(g, unit0 + unit)
    if g.images > 1:
        for i in range(min(g.images, g.batch - image)):
            at = (image + i) * goal.image + output * goal.output
            for o in range(outputs):
                wanted[i] |= goal.mask[at + o * goal.output]
    else:
        for d in range(min(g.band[0], g.out[0] - d0)):
            height = min(g.band[1], g.out[1] - h0)
            pixel = ((d0 + d) * g.out[1] + h0) * g.out[2]
            at = image * goal.image + output * goal.output + pixel
            seen = space.seen[: height * g.out[2]]
            seen[:] = goal.mask[at : at + len(seen)]
            for o in range(1, outputs):
                own = goal.mask[at + o * goal.output :]
                for i in range(len(seen)):
                    seen[i] |= own[i]
            for h in range(height):
                lane = (d * g.grid[1] + h) * g.grid[2]
                row = seen[h * g.out[2] : (h + 1) * g.out[2]]
                wanted[lane : lane + g.out[2]] = row
    # Where most are wanted, take all: neighbours need not be moved.
    everything = np.count_nonzero(wanted) > MOST * g.run
    lane = 0
    while lane < g.run:
        if wanted[lane] or everything:
            space.found[count, 0] = unit
            space.found[count, 1] = lane
            count += 1
            lane += SIDE
        else:
            lane += 1
    return count


@compiled
def _place(
    goal: Goal, g: Grid, unit: int, first: int, start: int, space: Space, count: int
) -> int:
    """Adds the outputs of a run to `places`, and returns how many there are then.

    first, start: the run's first lane in the unit and in the block.
    """
    places, (image, _, _) = space.places, corner(g, unit)
    position, end = first, min(first + SIDE, g.run)
    if g.images > 1:
        for n in range(position, min(end, g.batch - image)):
            places[count, 0] = (image + n) * goal.image
            places[count, 1] = start + n - first
            places[count, 2] = 1
            count += 1
        return count
    row = row_at(g, unit, position)
    while position < end:
        length = min(g.out[2] - row.w, end - position) if row.kept else 0
        if length > 0:
            pixel = (row.d * g.out[1] + row.h) * g.out[2] + row.w
            places[count, 0] = image * goal.image + pixel
            places[count, 1] = start + position - first
            places[count, 2] = length
            count += 1
        position += g.grid[2] - row.w
        row = next_row(g, unit, row)
    return count


@compiled
def _is_wanted(goal: Goal, places: Any, output: int, outputs: int) -> bool:
    """Whether any of some outputs is wanted in a block."""
    for o in range(output, output + outputs):
        for i in range(len(places)):
            at = places[i, 0] + o * goal.output
            if goal.mask[at : at + places[i, 2]].any():
                return True
    return False


@compiled
def _complete(
    goal: Goal, places: Any, output: int, sums: Any, zero: Any, window: Any
) -> None:
    """Writes what the completed sums of one output stand for."""
    unit, told = goal.units[output], not len(goal.total)
    inverse = 1 / (np.float64(unit) * (1 << goal.step))
    for i in range(len(places)):
        at, lane = places[i, 0] + output * goal.output, places[i, 1]
        for j in range(places[i, 2]):
            found = np.int64(sums[lane + j])
            if zero:
                found -= np.int64(zero) * window[lane + j]
            if told:
                held = np.int64(np.rint(goal.base[at + j] * inverse)) << goal.step
            else:
                held = np.int64(goal.total[at + j])
            whole = held + (found << goal.shift)
            real = goal.base.dtype.type(whole) * unit
            goal.base[at + j] = real if goal.mask[at + j] else goal.base[at + j]


@emit.intrinsic
def _move(context, lane, source, offsets, steps, target, pitch):
    """target[k * pitch] = source[offsets[k]], 16 lanes of 1 or 4 bytes; by address."""
    signature = types.void(*[types.intp] * 6)

    def generate(context, builder, signature, arguments):
        lane, source, offsets, steps, target, pitch = arguments

        def case(size):
            kind = ir.VectorType(I8, SIDE * size)

            def step(k, held):
                at = emit.pointer(builder, offsets, builder.mul(k, constant(4)), I32)
                offset = builder.sext(builder.load(at), emit.I64)
                codes = builder.load(
                    emit.pointer(builder, source, offset, kind), align=1
                )
                to = emit.pointer(builder, target, builder.mul(k, pitch), kind)
                builder.store(codes, to, align=1)
                return []

            def generate() -> None:
                emit.loop(builder, constant(0), steps, [], step)

            return generate

        emit.switch(builder, lane, {size: case(size) for size in (1, 4)})
        return context.get_dummy_value()

    return signature, generate
