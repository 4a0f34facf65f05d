"""Exact integer products instead of look-ups (AVX-512 VNNI).

The table is a sum of products of bytes (`terms`). `vpdpbusd` adds four such products
to a 32-bit lane, so four bytes of one output lie side by side: bytes of four
(term, channel) pairs, a *quad*.

Sums are exact: `vpdpbusd` wraps and does not saturate, so every 32-bit lane holds its
sum modulo 2^32, and a result that fits int32 (the contract says which do) is the only
int32 with that residue. For int64 results, stretches are short enough to fit int32.
"""

# pyright: basic

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from numba import types
from numba.extending import overload

from . import emit
from .contract import INT32_MAX, Convolution
from .convolve import Second, Spans, Work, convolve, plan
from .emit import BYTES, I32, INTS, constant, splat
from .engine import accumulate, prepare, turn
from .lanes import CALL, LAY_MORE, Block, estimate, lay_out
from .layout import Bytes
from .quads import Quads, interleave, quads_of
from .table import Table
from .terms import terms_of, too_many
from .weights import OUTPUTS, PACK, Packing, pack_blocks, packing_of

if TYPE_CHECKING:
    from .cpu import Call

# What the CPU must offer.
FEATURES = ("avx512vnni", "avx512vbmi")
VECTOR = 16
# 6 vectors of 4 outputs: 24 sums, and 7 registers to feed them.
MOST = 6
# Register blocks that share a visit to the weights.
BLOCKS = 4
# Steps between visits to the sums in memory: the codes of a block stay in L1. Taps of
# one channel share most of their codes.
STEPS, STEPS_OF_ONE_TAP = 192, 96
# Nanoseconds that a call takes besides, whatever its size.
PACK_CALL = 20_000
# Largest magnitude that one step adds to a lane.
STEP_PEAK = 4 * 255 * 128
# Beyond this the byte shuffle is faster on any shape; laying terms out takes memory.
MOST_TERMS = 16
MOST_BYTES = 128 << 20


class Again(NamedTuple):
    """How codes are laid out by quads: bytes of each code, by term.

    Args:
        maps: uint8[terms, 256].
        channel, unit: bytes of a channel and of a unit of the first layout.
        per_group: channels of a group.
    """

    maps: Bytes
    channel: int
    unit: int
    per_group: int


class Factored(NamedTuple):
    """weights: [O / 4, steps, 4 outputs, 4 bytes], by group; offsets: [steps].

    Args:
        codes: uint8[O, K], the weights before they are packed.
        outputs: of a group.
        signed_from: steps from here on have signed codes.
        stretch: steps between visits to the sums.
        packing, again: how weights and codes are laid out by quads.
    """

    weights: Bytes
    offsets: npt.NDArray[np.int32]
    codes: Bytes
    outputs: int
    signed_from: int
    stretch: int
    packing: Packing
    again: Again


def why_not(table: Table, shape: Convolution, wide: bool) -> str | None:
    """Why this table cannot be served; None where it can."""
    del wide
    reason = too_many(table, MOST_TERMS)
    if reason is not None:
        return reason
    packed = shape.outputs * shape.terms * len(table.derived(terms_of))
    if packed > MOST_BYTES:
        return (
            f"the weights of all terms would take {packed >> 20} MiB; at most "
            f"{MOST_BYTES >> 20} are packed."
        )
    return None


def cost(table: Table, shape: Convolution) -> float:
    """Estimated nanoseconds."""
    block, channels = _block(table), shape.channels // shape.groups
    taps = shape.terms // channels
    quads = -(-channels * block.depth // 4)
    # A group's outputs are served by fours.
    fours = shape.groups * -(-(shape.outputs // shape.groups) // OUTPUTS) * OUTPUTS
    steps = quads * taps * fours / max(shape.outputs, 1)
    weights = fours * quads * taps * 4
    lanes = lay_out(shape, block)
    # Bytes of the last quad that no channel fills are laid out all the same.
    spare = (4 * quads / channels - block.depth) * lanes.units * lanes.unit * LAY_MORE
    packing = PACK_CALL + weights * PACK
    return CALL + packing + spare + estimate(lanes, block, steps)


def _block(table: Table) -> Block:
    depth = len(table.derived(terms_of))
    return Block(VECTOR, MOST * BLOCKS, step=0.14, overhead=1.0, depth=depth,
                 bytes_per_lane=4)  # fmt: skip


def run(call: Call, sums: Any) -> None:
    """Writes sums[N, O, D, H, W]."""
    settings = call.wide, call.goal is not None
    known = plan_of(call.table, call.shape, *settings, torch.get_num_threads())
    engine = known.engine._replace(
        weights=np.empty(known.packed, np.uint8), codes=call.w
    )
    # What the codes' offsets imply is added while the weights are packed.
    base = call.finish.constant.copy()
    convolve(engine, known.work, call, known.spans, base, sums)


class _Plan(NamedTuple):
    """What does not depend on the codes; the shape of packed weights."""

    engine: Factored
    work: Work
    spans: Spans
    packed: tuple[int, int, int, int]


@lru_cache(maxsize=256)
def plan_of(
    table: Table, shape: Convolution, wide: bool, apart: bool, threads: int
) -> _Plan:
    block = _block(table)
    lanes = lay_out(shape, block, apart)
    groups, outputs = shape.groups, shape.outputs // shape.groups
    per_group, taps = shape.channels // groups, len(lanes.taps)
    quads = quads_of(table, per_group)
    count = len(quads.sources)
    starts = np.arange(count) * lanes.channel
    steps = np.add.outer(4 * starts, 4 * lanes.taps).astype(np.int32).ravel()
    packed = groups * -(-outputs // OUTPUTS), count * taps, OUTPUTS, 4
    second = Second(
        unit=count * groups * lanes.channel * 4, lane=4, parts=count * groups,
        weights=packed[0], cost=packed[1] * OUTPUTS * 4 * PACK, together=OUTPUTS,
    )  # fmt: skip
    none = np.empty((0, 0), np.uint8)
    engine = Factored(
        np.empty((0, 0, OUTPUTS, 4), np.uint8), steps, none, outputs,
        quads.signed_from * taps, STEPS if taps > 1 else STEPS_OF_ONE_TAP,
        packing_of(quads, outputs, taps),
        Again(quads.code_maps, lanes.channel, lanes.unit, per_group),
    )  # fmt: skip
    work = plan(lanes, block, second, threads)
    return _Plan(engine, work, _spans(quads, taps, wide), packed)


def _spans(quads: Quads, taps: int, wide: bool) -> Spans:
    spans, start = list[tuple[int, int, int]](), 0
    for count, shift in quads.segments:
        end = start + count * taps
        length = INT32_MAX // STEP_PEAK if wide else count * taps
        spans += [(k, min(k + length, end), shift) for k in range(start, end, length)]
        start = end
    return np.array(spans)


@emit.intrinsic
def _sum_products(context, variant, weights, offsets, lanes, count, sums, row, shift):
    """Adds `count` >= 1 steps of four outputs to their sums, by address.

    `row` is the distance of two rows of sums in bytes.
    """
    signature = types.void(*[types.intp] * 8)

    def generate(context, builder, signature, arguments):
        variant, *rest = arguments
        cases = {
            2 * vectors + signed: _case(builder, rest, vectors, bool(signed))
            for vectors in range(1, MOST + 1)
            for signed in (0, 1)
        }
        emit.switch(builder, variant, cases)
        return context.get_dummy_value()

    return signature, generate


def _case(builder: Any, arguments: Any, vectors: int, signed_codes: bool) -> Any:
    def generate() -> None:
        weights, offsets, lanes, count, sums, row, shift = arguments
        name = "llvm.x86.avx512.vpdpbusd.512"
        multiply = emit.declare(builder, name, INTS, [INTS, BYTES, BYTES])

        def step(k: Any, held: list[Any]) -> list[Any]:
            at = emit.pointer(builder, offsets, builder.mul(k, constant(4)), I32)
            base = builder.add(lanes, builder.sext(builder.load(at), emit.I64))
            codes = [
                builder.load(
                    emit.pointer(builder, base, constant(64 * v), BYTES), align=1
                )
                for v in range(vectors)
            ]
            own = builder.add(weights, builder.mul(k, constant(4 * OUTPUTS)))
            results = list[Any]()
            for o in range(OUTPUTS):
                weight = _broadcast(
                    builder, emit.pointer(builder, own, constant(4 * o), I32)
                )
                for v in range(vectors):
                    operands = (
                        (weight, codes[v]) if signed_codes else (codes[v], weight)
                    )
                    total = held[len(results)]
                    results.append(builder.call(multiply, [total, *operands]))
            return results

        zeros = [splat(0, INTS)] * (OUTPUTS * vectors)
        held = emit.loop(builder, constant(0), count, zeros, step)
        shifts = emit.spread(builder, builder.trunc(shift, I32), INTS)
        for o in range(OUTPUTS):
            line = builder.add(sums, builder.mul(row, constant(o)))
            for v in range(vectors):
                at = emit.pointer(builder, line, constant(64 * v), INTS)
                value = builder.shl(held[o * vectors + v], shifts)
                builder.store(
                    builder.add(builder.load(at, align=4), value), at, align=4
                )

    return generate


def _broadcast(builder: Any, at: Any) -> Any:
    """Four bytes of a weight in every lane."""
    return builder.bitcast(emit.spread(builder, builder.load(at, align=4), INTS), BYTES)


@overload(accumulate)
def _accumulate_by_products(
    engine, lanes, base, first, count, step0, step1, shift, sums, vectors
):
    if not _is_factored(engine):
        return None

    def loop(engine, lanes, base, first, count, step0, step1, shift, sums, vectors):
        signed = 1 if step0 >= engine.signed_from else 0
        blocks = (engine.outputs + OUTPUTS - 1) // OUTPUTS
        group, output = divmod(first, engine.outputs)
        block = group * blocks + output // OUTPUTS
        parts = (vectors + MOST - 1) // MOST
        for k in range(step0, step1, engine.stretch):
            steps = min(engine.stretch, step1 - k)
            for part in range(parts):
                v0, v1 = vectors * part // parts, vectors * (part + 1) // parts
                for row in range(0, count, OUTPUTS):
                    _sum_products(
                        2 * (v1 - v0) + signed,
                        engine.weights[block + row // OUTPUTS].ctypes.data
                        + 4 * OUTPUTS * k,
                        engine.offsets.ctypes.data + 4 * k,
                        lanes.ctypes.data + base + 64 * v0,
                        steps,
                        sums[row].ctypes.data + 64 * v0,
                        sums.strides[0],
                        shift,
                    )

    return loop


def _is_factored(engine: Any) -> bool:
    return isinstance(engine, types.NamedTuple) and engine.instance_class is Factored


@overload(prepare)
def _pack(engine, base, first, last):
    if not _is_factored(engine):
        return None

    def work(engine, base, first, last):
        pack_blocks(engine.codes, engine.weights, base, engine.packing, first, last)

    return work


@overload(turn)
def _interleave(engine, lanes, codes, first, last):
    if not _is_factored(engine):
        return None

    def work(engine, lanes, codes, first, last):
        how, again = engine.packing, engine.again
        interleave(
            lanes, codes, how.sources, how.terms, again.maps, again.channel,
            again.unit, again.per_group, first, last,
        )  # fmt: skip

    return work
