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
from .compiled import allocating, compiled
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
# Codes that stay in the caches while all outputs read them.
CHUNK_BYTES = 24 << 10
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
        codes: what a chunk of steps reads of a block's runs, side by side.
        asked: which outputs of a block are wanted.
        sums, window: of a block.
    """

    seen: Any
    wanted: Any
    found: Any
    runs: Any
    places: Any
    codes: Bytes
    asked: Any
    sums: Any
    window: Any


class Block(NamedTuple):
    """A block of open runs.

    Args:
        output, outputs: the first, and how many.
        runs, stretches: how many of `runs` and `places` there are.
        apart: whether the runs are not neighbours.
    """

    output: int
    outputs: int
    runs: int
    stretches: int
    apart: bool


@allocating
def space_for(g: Grid, width: int, lane: int) -> Space:
    """Room for blocks of `width` lanes of so many bytes."""
    return Space(
        np.empty(g.out[1] * g.out[2], np.bool_),
        np.empty(g.run + SIDE, np.bool_),
        np.empty((_most_together(g) * (g.run // SIDE + 1), 2), np.int64),
        np.empty(width // SIDE, np.int64),
        np.empty((width, 3), np.int64),
        np.empty(CHUNK_BYTES + 2 * width * lane, np.uint8),
        np.empty(SIDE, np.bool_),
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
            # Neighbours are computed where they are.
            apart = _are_apart(runs, SIDE * work.lane)
            own = Block(o0, rows, len(runs), stretches, apart)
            _serve_outputs(
                engine, packed, lanes, own, work, spans, constants, goal, how, space
            )


@compiled
def _are_apart(runs: Any, size: int) -> bool:
    """Whether runs of so many bytes are not neighbours.

    Each pair counts: the last run of a unit may reach into the next unit, and a gap
    further on make up for it.
    """
    for i in range(1, len(runs)):
        if runs[i] - runs[i - 1] != size:
            return True
    return False


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
def _move_runs(
    engine: Any, lanes: Bytes, runs: Any, lane: int, space: Space, first: int, last: int
) -> None:
    """Puts what some steps read of the runs side by side."""
    pitch, offsets = len(space.window) * lane, engine.offsets.ctypes.data + 4 * first
    for i in range(len(runs)):
        to = space.codes.ctypes.data + i * SIDE * lane
        start = lanes.ctypes.data + runs[i]
        _move(lane, start, offsets, last - first, to, pitch)


@compiled
def _serve_outputs(
    engine: Any, packed: Any, lanes: Bytes, block: Block, work: Any, spans: Any,
    constants: Any, goal: Goal, how: Finish, space: Space,
) -> None:  # fmt: skip
    """Computes the outputs of a block that are wanted somewhere in it."""
    vectors = (block.runs * SIDE + work.vector - 1) // work.vector
    pitch, width = len(space.window) * work.lane, vectors * work.vector
    chunk = max(1, CHUNK_BYTES // pitch)
    places, runs = space.places[: block.stretches], space.runs[: block.runs]
    _fetch(goal, places, block)
    for row in range(0, block.outputs, work.together):
        o0, count = block.output + row, min(work.together, block.outputs - row)
        space.asked[row : row + count] = _is_wanted(goal, places, o0, count)
        for o in range(count):
            space.sums[row + o, :width] = constants[o0 + o]
    for span in range(len(spans)):
        k0, k1, shift = spans[span]
        for first in range(k0, k1, chunk):
            last = min(k1, first + chunk)
            codes, source, at = lanes, engine, runs[0]
            if block.apart:
                _move_runs(engine, lanes, runs, work.lane, space, first, last)
                codes, source, at = space.codes, packed, -first * pitch
            _sum_asked(source, codes, at, block, first, last, shift, space, vectors)
    for row in range(block.outputs):
        if space.asked[row]:
            o = block.output + row
            zero = how.zeros[o] if len(how.zeros) else np.int32(0)
            _complete(goal, places, o, space.sums[row], zero, space.window)


@compiled
def _sum_asked(
    engine: Any, codes: Bytes, at: int, block: Block, first: int, last: int, shift: int,
    space: Space, vectors: int,
) -> None:  # fmt: skip
    """Adds some steps to the sums of the outputs that are wanted, in stretches."""
    row = 0
    while row < block.outputs:
        end = row
        while end < block.outputs and space.asked[end]:
            end += 1
        if end > row:
            o0, sums = block.output + row, space.sums[row:]
            accumulate(
                engine, codes, at, o0, end - row, first, last, shift, sums, vectors
            )
        row = end + 1


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
            seen[:] = False
            for o in range(outputs):
                own = goal.mask[at + o * goal.output :]
                for i in range(len(seen)):
                    seen[i] |= own[i]
            for h in range(height):
                lane = (d * g.grid[1] + h) * g.grid[2]
                for w in range(g.out[2]):
                    wanted[lane + w] = seen[h * g.out[2] + w]
    # Where most are wanted, take all: neighbours need not be moved.
    lane, total = 0, 0
    for flag in wanted:
        total += flag
    everything = total > MOST * g.run
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
def _fetch(goal: Goal, places: Any, block: Block) -> None:
    """Has the outputs of a block on their way to the cache while it is computed."""
    for o in range(block.output, block.output + block.outputs):
        for i in range(len(places)):
            at = places[i, 0] + o * goal.output
            _fetch_line(goal.base.ctypes.data + at * goal.base.itemsize)


@compiled
def _is_wanted(goal: Goal, places: Any, output: int, outputs: int) -> bool:
    """Whether any of some outputs is wanted in a block."""
    for o in range(output, output + outputs):
        for i in range(len(places)):
            at = places[i, 0] + o * goal.output
            for j in range(at, at + places[i, 2]):
                if goal.mask[j]:
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
def _fetch_line(context, address):
    """Has the cache line of an address on its way to the cache."""

    def generate(context, builder, signature, arguments):
        place = emit.pointer(builder, arguments[0], constant(0), I8)
        kinds = [I8.as_pointer(), I32, I32, I32]
        call = emit.declare(builder, "llvm.prefetch.p0i8", ir.VoidType(), kinds)
        builder.call(call, [place, *(ir.Constant(I32, n) for n in (1, 2, 1))])
        return context.get_dummy_value()

    return types.void(types.intp), generate


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
