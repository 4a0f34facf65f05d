"""The plain path for narrow codes: a load looks one code up for 16 outputs.

For a step of the sum and 16 outputs, the products with all codes below 32 are a small
table, a row of 16 numbers for each code. A vector addition takes such a row; that is
16 products for two loads, on any machine. The tables are made for every block of lanes,
which must be large to be worth it.
"""

# pyright: basic

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from numba import types
from numba.extending import overload

from . import emit
from .compiled import compiled
from .convolve import convolve, plan, spans
from .emit import I8, I32, INTS, constant
from .engine import accumulate
from .lanes import Block, lay_out
from .layout import Bytes

if TYPE_CHECKING:
    from .cpu import Call

# Lanes are served by fours.
VECTOR = 4
BLOCK = Block(VECTOR, most=512, step=0.15, overhead=32.0)
OUTPUTS, ENTRIES, ANY = 16, 32, 256
# Steps whose tables are in L1 together, in rows of 64 bytes.
ROWS = 384


class Columns(NamedTuple):
    """rows: int32[weight code, activation code]; weights: [O, K]; offsets: [K].

    entries: codes looked up, a power of two.
    """

    rows: npt.NDArray[np.int32]
    weights: Bytes
    offsets: npt.NDArray[np.int32]
    entries: int


def serves(call: Call) -> bool:
    """Whether codes are narrow, and outputs enough for a row."""
    shape = call.shape
    return call.bound < ENTRIES and shape.outputs // shape.groups >= OUTPUTS // 2


def run(call: Call, rows: npt.NDArray[np.int32], sums: Any) -> None:
    """Writes sums[N, O, D, H, W]."""
    shape = call.shape
    lanes = lay_out(shape, BLOCK, call.goal is not None)
    engine = Columns(rows, call.w, lanes.offsets, call.bound + 1)
    work = plan(lanes, BLOCK, None, torch.get_num_threads())
    stretches = spans(shape.terms, call.table.peak, call.wide)
    convolve(engine, work, call, stretches, call.finish.constant, sums)


# It makes arrays of its own.
@overload(accumulate, jit_options={"_nrt": True})  # pyright: ignore[reportArgumentType]
def _accumulate_by_columns(
    engine, lanes, base, first, count, step0, step1, shift, sums, vectors
):
    if not (isinstance(engine, types.NamedTuple) and engine.instance_class is Columns):
        return None

    def loop(engine, lanes, base, first, count, step0, step1, shift, sums, vectors):
        width, most = vectors * VECTOR, max(1, ROWS // engine.entries)
        # Lanes that are no output may hold any byte, which reads behind the tables.
        space = np.empty((most * engine.entries + ANY) * OUTPUTS, np.int32)
        start = (-space.ctypes.data % 64) // 4
        table = space[start : start + most * engine.entries * OUTPUTS]
        totals = np.empty((width, OUTPUTS), np.int32)
        for o in range(0, count, OUTPUTS):
            outputs = min(OUTPUTS, count - o)
            totals[:] = 0
            for k in range(step0, step1, most):
                steps = min(most, step1 - k)
                _fill(engine, first + o, outputs, k, steps, table)
                _add_columns(
                    table.ctypes.data, 64 * engine.entries,
                    engine.offsets.ctypes.data + 4 * k, steps,
                    lanes.ctypes.data + base, totals.ctypes.data, vectors,
                )  # fmt: skip
            for j in range(outputs):
                own = sums[o + j]
                for lane in range(width):
                    own[lane] += totals[lane, j]

    return loop


@compiled
def _fill(
    engine: Any, first: int, outputs: int, step: int, steps: int, table: Any
) -> None:
    """The products of some steps: [step, code, output], 0 for missing outputs."""
    entries = engine.entries
    for j in range(OUTPUTS):
        for k in range(steps):
            at = k * entries * OUTPUTS + j
            if j < outputs:
                row = engine.rows[engine.weights[first + j, step + k]]
                for code in range(entries):
                    table[at + code * OUTPUTS] = row[code]
            else:
                for code in range(entries):
                    table[at + code * OUTPUTS] = np.int32(0)


@emit.intrinsic
def _add_columns(context, table, size, offsets, steps, lanes, totals, count):
    """Adds `steps` rows to each of 4 * `count` totals; arguments are addresses.

    `size` is that of a step's table in bytes.
    """
    signature = types.void(*[types.intp] * 7)

    def generate(context, builder, signature, arguments):
        table, size, offsets, steps, lanes, totals, count = arguments

        def block(index, held):
            here = builder.add(lanes, builder.mul(index, constant(VECTOR)))
            place = builder.add(totals, builder.mul(index, constant(64 * VECTOR)))
            targets = [
                emit.pointer(builder, place, constant(64 * v), INTS)
                for v in range(VECTOR)
            ]

            def step(k, held):
                at = emit.pointer(builder, offsets, builder.mul(k, constant(4)), I32)
                codes = builder.add(here, builder.sext(builder.load(at), emit.I64))
                own = builder.add(table, builder.mul(k, size))
                results = []
                for v in range(VECTOR):
                    at = emit.pointer(builder, codes, constant(v), I8)
                    code = builder.zext(builder.load(at), emit.I64)
                    offset = builder.mul(code, constant(64))
                    row = emit.pointer(builder, own, offset, INTS)
                    results.append(builder.add(held[v], builder.load(row, align=64)))
                return results

            before = [builder.load(target, align=4) for target in targets]
            after = emit.loop(builder, constant(0), steps, before, step)
            for target, value in zip(targets, after, strict=True):
                builder.store(value, target, align=4)
            return []

        emit.loop(builder, constant(0), count, [], block)
        return context.get_dummy_value()

    return signature, generate
