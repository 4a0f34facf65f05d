"""The byte shuffle (AVX-512 VBMI): 64 table look-ups by two register permutations.

A weight's row of the table is held in registers as byte planes (low, high). `vpermi2b`
looks 64 codes up among 128 entries; two of them and a choice by the code's top bit
give one plane of 64 products. Planes are summed in 16-bit lanes without widening
(Σ raw, and Σ raw >> 8 for the odd bytes); the even bytes are raw - (odd << 8) modulo
2^16. After at most 256 steps the sums move to 32 bits.

Where all codes are below 128 one permutation serves a plane and no choice is needed;
below 64 one `vpermb`; below 32 see `narrow`.
"""

# pyright: basic

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir
from numba import types
from numba.extending import overload

from ..errors import BackendError
from . import emit, features, narrow
from .contract import Convolution
from .convolve import convolve, plan, spans
from .emit import BYTES, I8, I32, WORDS, constant, splat
from .engine import accumulate
from .lanes import CALL, Block, estimate, lay_out
from .layout import Bytes, aligned
from .table import Table

if TYPE_CHECKING:
    from .cpu import Call

VECTOR = 64
# 4 vectors with 4 sums each and the 8 registers of a row leave 8 of 32 to work with.
# Loading a row costs the time of about two vectors.
BLOCK = Block(VECTOR, most=4, step=1.05, overhead=1.5)
ONE_PLANE = Block(VECTOR, most=4, step=0.62, overhead=1.5)
# 256 bytes of 255 stay below 2^16.
STEPS = 256
ENTRIES = (64, 128, 256)


class Shuffle(NamedTuple):
    """planes: of every weight code, aligned; weights: [O, K]; offsets: [K]."""

    planes: Bytes
    entries: int
    count: int
    weights: Bytes
    offsets: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Planes:
    """A table as byte planes: `table[a, b] = base[b] + sum_p planes[b, p, a] << 8p`."""

    planes: Bytes
    entries: int
    count: int
    base: npt.NDArray[np.int64]

    def bias(self, weights: Bytes) -> npt.NDArray[np.int64]:
        """What the bases add to each output of weights[O, K]."""
        if (self.base == self.base[0]).all():
            return np.full(len(weights), weights.shape[1] * self.base[0])
        return narrow.bias_of(weights, self.base[None], 1)


def why_not(table: Table, shape: Convolution, wide: bool) -> str | None:
    """Why this machine or this table cannot be served; None where they can."""
    del shape, wide
    if not features.has("avx512vbmi"):
        return (
            f"{features.cpu_name()} has no AVX-512 VBMI, which the byte shuffle needs."
        )
    if table.derived(_planes_of[256]) is None:
        return (
            "products of one weight differ by 2^16 or more; the byte shuffle holds 16 "
            "bits of them."
        )
    return None


def cost(table: Table, shape: Convolution) -> float:
    """Estimated nanoseconds, for the largest codes that the table has."""
    if _takes_quads(shape) and narrow.residual_for(table, table.entries[0] - 1):
        return CALL + narrow.cost(shape)
    planes = table.derived(_planes_of[256])
    block = BLOCK if planes and planes.count == 2 else ONE_PLANE
    return CALL + estimate(lay_out(shape, BLOCK), block, shape.terms)


def run(call: Call, sums: Any) -> None:
    """Writes sums[N, O, D, H, W]."""
    shape = call.shape
    residual = narrow.residual_for(call.table, call.bound)
    if residual and _takes_quads(shape):
        narrow.run(call, residual, sums)
        return
    planes = _planes(call)
    lanes = lay_out(shape, BLOCK, call.goal is not None)
    engine = Shuffle(planes.planes, planes.entries, planes.count, call.w, lanes.offsets)
    # Sums hold what lies above the bases: non-negative, so larger than the products.
    stretches = spans(shape.terms, (1 << 8 * planes.count) - 1, call.wide)
    base = planes.bias(call.w) + call.finish.constant
    work = plan(lanes, BLOCK, None, torch.get_num_threads())
    convolve(engine, work, call, stretches, base, sums)


def _takes_quads(shape: Convolution) -> bool:
    return shape.channels // shape.groups >= narrow.TAPS


def _planes(call: Call) -> Planes:
    """The smallest planes that cover the codes of a call."""
    entries = next(e for e in ENTRIES if call.bound < e)
    planes = call.table.derived(_planes_of[entries])
    if planes is None:
        raise BackendError(f"the byte shuffle cannot hold {call.table.mul.name}.")
    return planes


def _split(table: Table, entries: int) -> Planes | None:
    """The planes for codes below `entries`; None where a weight needs more than two."""
    rows = table.square[:entries].T.astype(np.int64)
    lowest, base = rows.min(), rows.min(axis=1)
    # One base for all weights needs no sum over them; keep it where it costs no plane.
    if _planes_for(rows - lowest) == _planes_for(rows - base[:, None]):
        base = np.full(len(rows), lowest)
    rest = rows - base[:, None]
    count = _planes_for(rest)
    if count > 2:
        return None
    planes = np.stack([rest >> 8 * p & 255 for p in range(count)], axis=1)
    return Planes(aligned(planes.astype(np.uint8)), entries, count, base)


def _planes_for(rest: npt.NDArray[np.int64]) -> int:
    return max(1, -(-int(rest.max()).bit_length() // 8))


_planes_of = {entries: partial(_split, entries=entries) for entries in ENTRIES}


def _variant(entries: int, planes: int, vectors: int) -> int:
    return (entries * 4 + planes) * 8 + vectors


@emit.intrinsic
def _sum_lookups(
    context: Any, variant: Any, planes: Any, weights: Any, offsets: Any, lanes: Any,
    count: Any, sums: Any,
) -> Any:  # fmt: skip
    """Adds `count` >= 1 steps of an output to its 32-bit sums, by address."""
    signature = types.void(*[types.intp] * 7)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        variant, *rest = arguments
        cases = {
            _variant(entries, count, vectors): _case(
                builder, rest, entries, count, vectors
            )
            for entries in ENTRIES
            for count in (1, 2)
            for vectors in range(1, BLOCK.most + 1)
        }
        emit.switch(builder, variant, cases)
        return context.get_dummy_value()

    return signature, generate


def _case(builder: Any, arguments: Any, entries: int, planes: int, vectors: int) -> Any:
    def generate() -> None:
        table, weights, offsets, lanes, count, sums = arguments

        def step(k: Any, held: list[Any]) -> list[Any]:
            code = builder.load(emit.pointer(builder, weights, k, I8))
            row = builder.add(
                table,
                builder.mul(builder.zext(code, emit.I64), constant(entries * planes)),
            )
            offset = builder.load(
                emit.pointer(builder, offsets, builder.mul(k, constant(4)), I32)
            )
            base = builder.add(lanes, builder.sext(offset, emit.I64))
            registers = _load_row(builder, row, entries, planes)
            results: list[Any] = []
            for v in range(vectors):
                at = emit.pointer(builder, base, constant(64 * v), BYTES)
                codes = builder.load(at, align=1)
                for p in range(planes):
                    found = builder.bitcast(
                        emit.look_up(builder, registers[p], codes), WORDS
                    )
                    raw, odd = held[len(results) : len(results) + 2]
                    shifted = builder.lshr(found, splat(8, WORDS))
                    results += [builder.add(raw, found), builder.add(odd, shifted)]
            return results

        zeros = [splat(0, WORDS)] * (2 * planes * vectors)
        held = emit.loop(builder, constant(0), count, zeros, step)
        for v in range(vectors):
            own = held[2 * planes * v : 2 * planes * (v + 1)]
            at = emit.pointer(
                builder, sums, constant(4 * 64 * v), ir.VectorType(I32, 64)
            )
            total = builder.add(builder.load(at, align=4), _widen(builder, own))
            builder.store(total, at, align=4)

    return generate


def _load_row(builder: Any, row: Any, entries: int, planes: int) -> list[list[Any]]:
    """The registers of each plane of a weight's row."""

    def load(at: int) -> Any:
        return builder.load(emit.pointer(builder, row, constant(at), BYTES), align=64)

    return [
        [load(p * entries + at) for at in range(0, entries, 64)] for p in range(planes)
    ]


def _widen(builder: Any, held: list[Any]) -> Any:
    """32-bit sums in lane order from the 16-bit sums of one vector."""
    order = [lane // 2 + lane % 2 * 32 for lane in range(64)]
    mask = ir.Constant(ir.VectorType(I32, 64), order)
    total = splat(0, ir.VectorType(I32, 64))
    for p in range(len(held) // 2):
        raw, odd = held[2 * p : 2 * p + 2]
        even = builder.sub(raw, builder.shl(odd, splat(8, WORDS)))
        wide = builder.zext(builder.shuffle_vector(even, odd, mask), total.type)
        total = builder.add(total, builder.shl(wide, splat(8 * p, total.type)))
    return total


@overload(accumulate)
def _accumulate_by_shuffles(
    engine, lanes, base, first, count, step0, step1, shift, sums, vectors
):
    if not (isinstance(engine, types.NamedTuple) and engine.instance_class is Shuffle):
        return None

    def loop(engine, lanes, base, first, count, step0, step1, shift, sums, vectors):
        variant = (engine.entries * 4 + engine.count) * 8 + vectors
        for k in range(step0, step1, STEPS):
            steps = min(STEPS, step1 - k)
            for o in range(count):
                _sum_lookups(
                    variant,
                    engine.planes.ctypes.data,
                    engine.weights[first + o].ctypes.data + k,
                    engine.offsets.ctypes.data + 4 * k,
                    lanes.ctypes.data + base,
                    steps,
                    sums[o].ctypes.data,
                )

    return loop
