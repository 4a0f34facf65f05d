"""The plain path, for any machine: a table row per weight, a load per product."""

# pyright: basic

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from numba import types
from numba.extending import overload

from . import columns
from .contract import Convolution
from .convolve import convolve, plan, spans
from .engine import accumulate
from .lanes import CALL, Block, estimate, lay_out
from .layout import Bytes
from .table import Table

if TYPE_CHECKING:
    from .cpu import Call

# Lanes per vector only sets the grain at which blocks are cut.
VECTOR = 8
BLOCK = Block(VECTOR, most=64, step=2.0, overhead=1.0)


class Gather(NamedTuple):
    """rows: int32[weight code, activation code]; weights: [O, K]; offsets: [K]."""

    rows: npt.NDArray[np.int32]
    weights: Bytes
    offsets: npt.NDArray[np.int32]


def why_not(table: Table, shape: Convolution, wide: bool) -> str | None:
    """Serves everything."""
    del table, shape, wide
    return None


def cost(table: Table, shape: Convolution) -> float:
    """Estimated nanoseconds."""
    del table
    return CALL + estimate(lay_out(shape, BLOCK), BLOCK, shape.terms)


def run(call: Call, sums: Any) -> None:
    """Writes sums[N, O, D, H, W]."""
    shape = call.shape
    if columns.serves(call):
        columns.run(call, call.table.derived(_rows), sums)
        return
    lanes = lay_out(shape, BLOCK, call.goal is not None)
    engine = Gather(call.table.derived(_rows), call.w, lanes.offsets)
    work = plan(lanes, BLOCK, None, torch.get_num_threads())
    stretches = spans(shape.terms, call.table.peak, call.wide)
    convolve(engine, work, call, stretches, call.finish.constant, sums)


def _rows(table: Table) -> npt.NDArray[np.int32]:
    return np.ascontiguousarray(table.square.T)


@overload(accumulate)
def _accumulate_by_loads(
    engine, lanes, base, first, count, step0, step1, shift, sums, vectors
):
    if not (isinstance(engine, types.NamedTuple) and engine.instance_class is Gather):
        return None

    def loop(engine, lanes, base, first, count, step0, step1, shift, sums, vectors):
        width = vectors * VECTOR
        for o in range(count):
            codes, total = engine.weights[first + o], sums[o, :width]
            k = step0
            # Four rows at a time: the sum is loaded and stored once for four products.
            while k + 4 <= step1:
                r0, r1 = engine.rows[codes[k]], engine.rows[codes[k + 1]]
                r2, r3 = engine.rows[codes[k + 2]], engine.rows[codes[k + 3]]
                x0 = lanes[base + engine.offsets[k] :]
                x1 = lanes[base + engine.offsets[k + 1] :]
                x2 = lanes[base + engine.offsets[k + 2] :]
                x3 = lanes[base + engine.offsets[k + 3] :]
                for i in range(width):
                    total[i] += r0[x0[i]] + r1[x1[i]] + r2[x2[i]] + r3[x3[i]]
                k += 4
            while k < step1:
                row, x = engine.rows[codes[k]], lanes[base + engine.offsets[k] :]
                for i in range(width):
                    total[i] += row[x[i]]
                k += 1

    return loop
