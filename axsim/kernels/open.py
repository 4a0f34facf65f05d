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


class Goal(NamedTuple):
    """Sums to complete where a mask says so; tensors as they lie in memory.

    Args:
        base: float32 or float64, what the sums so far stand for; overwritten.
        total: int32 or int64, these sums.
        mask: bool, which of them are to be completed.
        units: float32 or float64 [O], what a sum counts for.
        shift: the power of two that what is added counts for.
        image, output: elements from one image and from one output to the next.
    """

    base: Any
    total: Any
    mask: Any
    units: Any
    shift: int
    image: int
    output: int


class Space(NamedTuple):
    """What a thread needs.

    Args:
        seen, wanted: flags of pixels and of lanes.
        runs: the first lanes of open runs.
        codes: these runs side by side.
        sums, window: of a block.
        places: int64[lanes, 3], where stretches of a block's lanes are in the output,
            their first lane and their length.
    """

    seen: Any
    wanted: Any
    runs: Any
    codes: Bytes
    sums: Any
    window: Any
    places: Any


class Block(NamedTuple):
    """One block of open runs.

    Args:
        unit, group: of the layout.
        output, outputs: the first, and how many.
        vectors: of lanes.
        stretches: how many `places` there are.
        apart: whether its codes had to be moved.
    """

    unit: int
    group: int
    output: int
    outputs: int
    vectors: int
    stretches: int
    apart: bool


@compiled
def space_for(g: Grid, steps: int, width: int, lane: int) -> Space:
    """Room for blocks of `width` lanes of so many bytes."""
    return Space(
        np.empty(g.out[1] * g.out[2], np.bool_),
        np.empty(g.run + SIDE, np.bool_),
        np.empty(g.run // SIDE + 2, np.int64),
        np.empty((steps + 1) * width * lane, np.uint8),
        np.empty((SIDE, width + ROW_GAP), np.int32),
        np.empty(width, np.int32),
        np.empty((width, 3), np.int64),
    )


@compiled
def compute_open(
    engine: Any, packed: Any, g: Grid, work: Any, taps: Any, lanes: Bytes, planes: Any,
    spans: Any, constants: Any, goal: Goal, how: Finish, space: Space, unit0: int,
    first: int, last: int,
) -> None:  # fmt: skip
    """Tasks of a pass, counted over units, groups and blocks of 16 outputs."""
    outputs, group_bytes = len(goal.units) // work.groups, work.unit // work.groups
    parts, most = (outputs + SIDE - 1) // SIDE, len(space.window) // SIDE
    for task in range(first, last):
        rest, part = divmod(task, parts)
        unit, group = divmod(rest, work.groups)
        o0 = group * outputs + part * SIDE
        rows = min(SIDE, outputs - part * SIDE)
        at = unit * work.unit + group * group_bytes
        count = _find_runs(goal, g, unit0 + unit, o0, rows, space)
        for begin in range(0, count, most):
            runs = space.runs[begin : min(count, begin + most)]
            used = (len(runs) * SIDE + work.vector - 1) // work.vector
            apart = runs[-1] - runs[0] != SIDE * (len(runs) - 1)
            stretches = _place(goal, g, unit0 + unit, runs, space.places)
            block = Block(unit, group, o0, rows, used, stretches, apart)
            if len(planes):
                plane = planes[unit * work.groups + group]
                for i in range(len(runs)):
                    own = space.window[i * SIDE : (i + 1) * SIDE]
                    sum_window(plane, runs[i], taps, own, SIDE)
            if apart:
                _move_runs(engine, lanes, at, runs, work.lane, space)
                _serve_outputs(
                    packed, space.codes, 0, block, work, spans, constants, goal, how,
                    space,
                )  # fmt: skip
            else:
                _serve_outputs(
                    engine, lanes, at + runs[0] * work.lane, block, work, spans,
                    constants, goal, how, space,
                )  # fmt: skip


@compiled
def _serve_outputs(
    engine: Any, lanes: Bytes, at: int, block: Block, work: Any, spans: Any,
    constants: Any, goal: Goal, how: Finish, space: Space,
) -> None:  # fmt: skip
    """Computes the outputs of a block that are wanted somewhere in it."""
    row, width = 0, block.vectors * work.vector
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
            accumulate(
                engine, lanes, at, o0, count, k0, k1, shift, space.sums, block.vectors
            )
        for o in range(count):
            zero = how.zeros[o0 + o] if len(how.zeros) else np.int32(0)
            _complete(goal, places, o0 + o, space.sums[o], zero, space.window)
        row = max(end, row + work.together)


@compiled
def _find_runs(
    goal: Goal, g: Grid, unit: int, output: int, outputs: int, space: Space
) -> int:
    """Lists the runs that cover all lanes wanted by any of some outputs."""
    wanted = space.wanted
    wanted[:] = False
    image, d0, h0 = corner(g, unit)
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
    lane = count = 0
    while lane < g.run:
        if wanted[lane]:
            space.runs[count] = lane
            count += 1
            lane += SIDE
        else:
            lane += 1
    return count


@compiled
def _place(goal: Goal, g: Grid, unit: int, runs: Any, places: Any) -> int:
    """Lists the stretches of runs that are outputs, and returns their number."""
    image, _, _ = corner(g, unit)
    count = 0
    for i in range(len(runs)):
        position, end = runs[i], min(runs[i] + SIDE, g.run)
        lane = i * SIDE - position
        if g.images > 1:
            for n in range(position, min(end, g.batch - image)):
                places[count] = (image + n) * goal.image, lane + n, 1
                count += 1
            continue
        row = row_at(g, unit, position)
        while position < end:
            length = min(g.out[2] - row.w, end - position) if row.kept else 0
            if length > 0:
                pixel = (row.d * g.out[1] + row.h) * g.out[2] + row.w
                places[count, 0] = image * goal.image + pixel
                places[count, 1] = lane + position
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
    unit = goal.units[output]
    for i in range(len(places)):
        at, lane = places[i, 0] + output * goal.output, places[i, 1]
        for j in range(places[i, 2]):
            found = np.int64(sums[lane + j])
            if zero:
                found -= np.int64(zero) * window[lane + j]
            whole = goal.total[at + j] + (found << goal.shift)
            real = goal.base.dtype.type(whole) * unit
            goal.base[at + j] = real if goal.mask[at + j] else goal.base[at + j]


@compiled
def _move_runs(
    engine: Any, lanes: Bytes, at: int, runs: Any, lane: int, space: Space
) -> None:
    """Puts what each step reads of the runs side by side."""
    source, target = lanes.ctypes.data + at, space.codes.ctypes.data
    pitch, steps = len(space.window) * lane, len(engine.offsets)
    for i in range(len(runs)):
        to = target + i * SIDE * lane
        _move(lane, source + runs[i] * lane, engine.offsets.ctypes.data, steps, to, pitch)


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

            return lambda: emit.loop(builder, constant(0), steps, [], step)

        emit.switch(builder, lane, {size: case(size) for size in (1, 4)})
        return context.get_dummy_value()

    return signature, generate
