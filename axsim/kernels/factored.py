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

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import overload

from . import emit, features, pool
from .compiled import compiled
from .contract import INT32_MAX, Convolution
from .convolve import Second, convolve
from .emit import BYTES, I32, INTS, constant, splat
from .engine import accumulate
from .lanes import CALL, Block, estimate, lay_out
from .layout import Bytes, Grid
from .table import Table
from .terms import Term, terms_of

if TYPE_CHECKING:
    from .cpu import Call

VECTOR = 16
# 6 vectors of 4 outputs: 24 sums, and 7 registers to feed them.
MOST = 6
# Register blocks that share a visit to the weights.
BLOCKS = 4
OUTPUTS = 4
# Steps between visits to the sums in memory: the codes of a block stay in L1.
STEPS = 192
# Nanoseconds to pack a byte of the weights, and more of a call.
PACK, PACK_CALL = 0.25, 40_000
# Quads of weights packed at a time, while they are in L1.
QUADS = 32
# Largest magnitude that one step adds to a lane.
STEP_PEAK = 4 * 255 * 128
# Beyond this the byte shuffle is faster on any shape; laying terms out takes memory.
MOST_TERMS = 16


class Factored(NamedTuple):
    """weights: [O / 4, steps, 4 outputs, 4 bytes], by group; offsets: [steps].

    Steps from `signed_from` on have signed codes. `outputs` are those of a group.
    """

    weights: Bytes
    offsets: npt.NDArray[np.int32]
    outputs: int
    signed_from: int


def why_not(table: Table, shape: Convolution, wide: bool) -> str | None:
    """Why this machine or this table cannot be served; None where they can."""
    del shape, wide
    if not (features.has("avx512vnni") and features.has("avx512vbmi")):
        return f"{features.cpu_name()} has no AVX-512 VNNI and VBMI."
    if table.mul.rank > MOST_TERMS - 1:
        return f"the error has rank {table.mul.rank}; at most {MOST_TERMS - 1} pays."
    if len(table.derived(terms_of)) > MOST_TERMS:
        return f"the factors need more than {MOST_TERMS} products of bytes."
    return None


def cost(table: Table, shape: Convolution) -> float:
    """Estimated nanoseconds."""
    block = _block(table)
    steps = shape.terms * block.depth / 4
    weights = shape.outputs * shape.terms * block.depth
    lanes = lay_out(shape, block)
    return CALL + PACK_CALL + weights * PACK + estimate(lanes, block, steps)


def _block(table: Table) -> Block:
    depth = len(table.derived(terms_of))
    return Block(VECTOR, MOST * BLOCKS, step=0.14, overhead=1.0, depth=depth,
                 bytes_per_lane=4)  # fmt: skip


def run(call: Call, sums: Any) -> None:
    """Writes sums[N, O, D, H, W]."""
    shape = call.shape
    per_group = shape.channels // shape.groups
    block = _block(call.table)
    lanes = lay_out(shape, block)
    quads = _quads(call.table, per_group)
    taps = len(lanes.taps)
    starts = np.arange(len(quads.sources)) * lanes.channel
    steps = np.add.outer(4 * starts, 4 * lanes.taps).astype(np.int32).ravel()
    weights, bias = _pack(call, quads, taps)
    outputs = shape.outputs // shape.groups
    engine = Factored(weights, steps, outputs, quads.signed_from * taps)
    second = Second(
        unit=len(quads.sources) * shape.groups * lanes.channel * 4,
        lane=4,
        tasks=len(quads.sources) * shape.groups,
        work=_interleaver(quads, lanes.channel, lanes.unit, per_group),
    )
    stretches = _spans(quads, taps, call.wide)
    convolve(engine, block, lanes, call.x, stretches, bias, call.pad, sums, second)


@dataclass(frozen=True, eq=False)
class Quads:
    """How the bytes of terms and channels are put together.

    Args:
        sources: int64[quads, 4], the channel of each byte, -1 for none.
        terms: int64[quads, 4], the term of each byte.
        segments: (quads, shift) of stretches of equal shift and signedness.
        signed_from: first quad with signed codes.
        code_maps, weight_maps: uint8[terms, 256].
        bias: int64[terms], what a byte of the weights adds for its offset.
    """

    sources: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int64]
    segments: tuple[tuple[int, int], ...]
    signed_from: int
    code_maps: Bytes
    weight_maps: Bytes
    bias: npt.NDArray[np.int64]


@lru_cache(maxsize=256)
def _quads(table: Table, channels: int) -> Quads:
    terms = table.derived(terms_of)
    sources, owners = list[npt.NDArray[np.int64]](), list[npt.NDArray[np.int64]]()
    segments, signed_from, first = list[tuple[int, int]](), 0, 0

    def kind(term: Term) -> tuple[bool, int]:
        return term.signed_codes, term.shift

    for (signed, shift), alike in groupby(terms, key=kind):
        count = len(list(alike))
        length = -(-count * channels // 4) * 4
        channel, term = np.full(length, -1), np.full(length, first)
        channel[: count * channels] = np.tile(np.arange(channels), count)
        term[: count * channels] = first + np.arange(count).repeat(channels)
        sources.append(channel.reshape(-1, 4))
        owners.append(term.reshape(-1, 4))
        segments.append((length // 4, shift))
        signed_from += 0 if signed else length // 4
        first += count
    return Quads(
        np.concatenate(sources), np.concatenate(owners), tuple(segments), signed_from,
        np.stack([t.codes for t in terms]), np.stack([t.weights for t in terms]),
        np.array([t.offset << t.shift for t in terms]),
    )  # fmt: skip


def _spans(quads: Quads, taps: int, wide: bool) -> npt.NDArray[np.int64]:
    spans, start = list[tuple[int, int, int]](), 0
    for count, shift in quads.segments:
        end = start + count * taps
        length = INT32_MAX // STEP_PEAK if wide else count * taps
        spans += [(k, min(k + length, end), shift) for k in range(start, end, length)]
        start = end
    return np.array(spans)


def _pack(call: Call, quads: Quads, taps: int) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """The weights' bytes in the order the steps take them, and each output's bias."""
    shape = call.shape
    outputs = shape.outputs // shape.groups
    blocks = shape.groups * -(-outputs // OUTPUTS)
    packed = np.empty((blocks, len(quads.sources) * taps, OUTPUTS, 4), np.uint8)
    bias = np.zeros(shape.outputs, np.int64)
    # order[4 t + j]: where tap t of channel j lies among the weights of four channels.
    order = np.zeros(64, np.uint8)
    if taps <= 16:
        order[: 4 * taps] = np.add.outer(np.arange(taps), np.arange(4) * taps).ravel()

    def work(first: int, last: int) -> None:
        _pack_blocks(
            call.w, packed, bias, quads.sources, quads.terms, quads.weight_maps,
            quads.bias, quads.signed_from, outputs, taps, order, first, last,
        )  # fmt: skip

    pool.run(work, blocks)
    return packed, bias


@compiled
def _pack_blocks(
    w: Bytes, packed: Bytes, bias: Any, sources: Any, terms: Any, maps: Bytes,
    offsets: Any, signed_from: int, outputs: int, taps: int, order: Bytes,
    first: int, last: int,
) -> None:  # fmt: skip
    """Blocks of four outputs, counted over groups."""
    blocks, count = (outputs + OUTPUTS - 1) // OUTPUTS, sources.shape[0]
    lines = np.zeros((OUTPUTS, QUADS * taps * 4 + 64), np.uint8)
    for block in range(first, last):
        group, part = divmod(block, blocks)
        rows = min(OUTPUTS, outputs - part * OUTPUTS)
        lines[rows:] = 0
        for quad in range(0, count, QUADS):
            quads = min(QUADS, count - quad)
            for row in range(rows):
                o = group * outputs + part * OUTPUTS + row
                bias[o] += _pack_line(
                    w, o, lines[row], sources[quad : quad + quads],
                    terms[quad : quad + quads], maps, offsets, signed_from - quad, taps,
                    order,
                )  # fmt: skip
            steps = quads * taps
            target = packed[block, quad * taps : quad * taps + steps]
            if steps >= VECTOR:
                for step in range(0, steps, VECTOR):
                    # The last vector overlaps the one before it.
                    at = min(step, steps - VECTOR)
                    _merge_rows(
                        lines.ctypes.data + 4 * at, lines.strides[0],
                        target[at].ctypes.data,
                    )  # fmt: skip
            else:
                for row in range(OUTPUTS):
                    for at in range(4 * steps):
                        target[at // 4, row, at % 4] = lines[row, at]


@emit.intrinsic
def _merge_rows(context, lines, distance, target):
    """The bytes of 16 steps of four outputs, step by step; by address."""
    signature = types.void(*[types.intp] * 3)

    def generate(context, builder, signature, arguments):
        lines, distance, target = arguments
        rows = [
            builder.load(
                emit.pointer(builder, lines, builder.mul(distance, constant(i)), INTS),
                align=1,
            )
            for i in range(OUTPUTS)
        ]
        pairs = [_alternate(builder, *rows[0::2]), _alternate(builder, *rows[1::2])]
        merged = _alternate(builder, *pairs)
        builder.store(merged, builder.inttoptr(target, merged.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return signature, generate


@compiled
def _pack_line(
    w: Bytes, o: int, line: Bytes, sources: Any, terms: Any, maps: Bytes, offsets: Any,
    signed_from: int, taps: int, order: Bytes,
) -> int:  # fmt: skip
    """Some quads of one output; returns what they add to the bias."""
    total, quad = np.int64(0), 0
    # Vectors read 64 bytes where 4 * taps count; none may lie behind the weights.
    reach = w.shape[1] if o + 1 == w.shape[0] else w.shape[1] + 64
    while quad < len(sources):
        channel, term, run = sources[quad, 0], terms[quad, 0], 0
        signed = quad < signed_from
        while (
            taps <= 16
            and quad + run < len(sources)
            and sources[quad + run, 3] == channel + 4 * run + 3
            and terms[quad + run, 0] == term
            and terms[quad + run, 3] == term
            and (quad + run < signed_from) == signed
            and (channel + 4 * run) * taps + 64 <= reach
        ):
            run += 1
        if run:
            total += offsets[term] * _map_quads(
                w[o].ctypes.data + channel * taps,
                maps[term].ctypes.data,
                order.ctypes.data,
                line.ctypes.data + quad * taps * 4,
                4 * taps,
                run,
                1 if signed else 0,
            )
        else:
            total += _map_bytes(
                w[o], line[quad * taps * 4 :], sources[quad], terms[quad], maps, offsets,
                signed, taps,
            )  # fmt: skip
        quad += max(run, 1)
    return total


@compiled
def _map_bytes(
    weights: Bytes, line: Bytes, sources: Any, terms: Any, maps: Bytes, offsets: Any,
    signed: bool, taps: int,
) -> int:  # fmt: skip
    """One quad of one output, byte by byte; returns what it adds to the bias."""
    total = np.int64(0)
    for j in range(4):
        for tap in range(taps):
            byte = np.uint8(0)
            if sources[j] >= 0:
                byte = maps[terms[j], weights[sources[j] * taps + tap]]
            line[4 * tap + j] = byte
            value = np.int64(byte) - (256 if signed and byte > 127 else 0)
            total += offsets[terms[j]] * value
    return total


@emit.intrinsic
def _map_quads(context, weights, table, order, line, size, count, signed):
    """`count` >= 1 quads of neighbouring channels of one term; returns their sum.

    Addresses; a quad has `size` <= 64 bytes; `signed` says how they are read.
    """
    signature = types.int64(*[types.intp] * 7)

    def generate(context, builder, signature, arguments):
        weights, table, order, line, size, count, signed = arguments

        def load(base, at):
            return builder.load(emit.pointer(builder, base, at, BYTES), align=1)

        place = load(order, constant(0))
        registers = [load(table, constant(64 * i)) for i in range(4)]
        numbers = ir.Constant(BYTES, list(range(64)))
        limit = emit.spread(builder, builder.trunc(size, emit.I8), BYTES)
        inside = builder.icmp_unsigned("<", numbers, limit)
        # A signed byte is the unsigned one with its top bit flipped, less 128.
        flip = builder.mul(builder.trunc(signed, emit.I8), ir.Constant(emit.I8, 128))
        flips = emit.spread(builder, flip, BYTES)
        eights = ir.VectorType(emit.I64, 8)
        name = "llvm.x86.avx512.psad.bw.512"
        add_bytes = emit.declare(builder, name, eights, [BYTES, BYTES])

        def step(quad, held):
            at = builder.mul(quad, size)
            codes = emit.look_up(builder, [load(weights, at)], place)
            found = emit.look_up(builder, registers, codes)
            found = builder.select(inside, found, splat(0, BYTES))
            builder.store(found, emit.pointer(builder, line, at, BYTES), align=1)
            flipped = builder.xor(found, flips)
            sums = builder.call(add_bytes, [flipped, splat(0, BYTES)])
            return [builder.add(held[0], sums)]

        (sums,) = emit.loop(builder, constant(0), count, [splat(0, eights)], step)
        total = builder.mul(builder.mul(signed, count), constant(-64 * 128))
        for i in range(8):
            part = builder.extract_element(sums, ir.Constant(I32, i))
            total = builder.add(total, part)
        return total

    return signature, generate


def _interleaver(quads: Quads, channel: int, unit: int, per_group: int) -> Any:
    def work(lanes: Bytes, out: Bytes, first: int, last: int) -> None:
        _interleave(
            lanes, out, quads.sources, quads.terms, quads.code_maps, channel, unit,
            per_group, first, last,
        )  # fmt: skip

    return work


@compiled
def _interleave(
    lanes: Bytes, out: Bytes, sources: Any, terms: Any, maps: Bytes, channel: int,
    unit: int, per_group: int, first: int, last: int,
) -> None:  # fmt: skip
    """Quads `first` to `last`, counted over units and groups."""
    count = sources.shape[0]
    groups = unit // (channel * per_group)
    whole = channel // 64
    for task in range(first, last):
        rest, quad = divmod(task, count)
        index, group = divmod(rest, groups)
        source = index * unit + group * per_group * channel
        # A byte without a source meets weights of zero: any code will do.
        at = [source + max(sources[quad, j], 0) * channel for j in range(4)]
        table = [maps.ctypes.data + 256 * terms[quad, j] for j in range(4)]
        target, start = task * channel * 4, lanes.ctypes.data
        if whole:
            _interleave_vectors(
                start + at[0], start + at[1], start + at[2], start + at[3],
                table[0], table[1], table[2], table[3], out.ctypes.data + target, whole,
            )  # fmt: skip
        for i in range(whole * 64, channel):
            for j in range(4):
                out[target + 4 * i + j] = maps[terms[quad, j], lanes[at[j] + i]]


@emit.intrinsic
def _interleave_vectors(context, a, b, c, d, map_a, map_b, map_c, map_d, out, count):
    """out[4 i + j] = map_j[source_j[i]] for `count` vectors of 64; by address."""
    signature = types.void(*[types.intp] * 10)

    def generate(context, builder, signature, arguments):
        sources, maps, (out, count) = arguments[:4], arguments[4:8], arguments[8:]
        registers = [
            [
                builder.load(emit.pointer(builder, m, constant(64 * i), BYTES), align=1)
                for i in range(4)
            ]
            for m in maps
        ]
        merged = ir.VectorType(emit.I8, 256)

        def step(index, held):
            at = builder.mul(index, constant(64))
            found = [
                emit.look_up(
                    builder,
                    register,
                    builder.load(emit.pointer(builder, source, at, BYTES), align=1),
                )
                for register, source in zip(registers, sources, strict=True)
            ]
            pairs = [_alternate(builder, *found[0::2]), _alternate(builder, *found[1::2])]
            value = _alternate(builder, *pairs)
            target = emit.pointer(builder, out, builder.mul(at, constant(4)), merged)
            builder.store(value, target, align=1)
            return []

        emit.loop(builder, constant(0), count, [], step)
        return context.get_dummy_value()

    return signature, generate


def _alternate(builder: Any, even: Any, odd: Any) -> Any:
    """even[0], odd[0], even[1], odd[1], ..."""
    size = even.type.count
    order = [i // 2 + i % 2 * size for i in range(2 * size)]
    mask = ir.Constant(ir.VectorType(I32, 2 * size), order)
    return builder.shuffle_vector(even, odd, mask)


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
                builder.load(emit.pointer(builder, base, constant(64 * v), BYTES), align=1)
                for v in range(vectors)
            ]
            own = builder.add(weights, builder.mul(k, constant(4 * OUTPUTS)))
            results = list[Any]()
            for o in range(OUTPUTS):
                weight = _broadcast(builder, emit.pointer(builder, own, constant(4 * o), I32))
                for v in range(vectors):
                    operands = (weight, codes[v]) if signed_codes else (codes[v], weight)
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
                builder.store(builder.add(builder.load(at, align=4), value), at, align=4)

    return generate


def _broadcast(builder: Any, at: Any) -> Any:
    """Four bytes of a weight in every lane."""
    return builder.bitcast(emit.spread(builder, builder.load(at, align=4), INTS), BYTES)


@overload(accumulate)
def _accumulate_by_products(
    engine, lanes, base, first, count, step0, step1, shift, sums, vectors
):
    if not (isinstance(engine, types.NamedTuple) and engine.instance_class is Factored):
        return None

    def loop(engine, lanes, base, first, count, step0, step1, shift, sums, vectors):
        signed = 1 if step0 >= engine.signed_from else 0
        blocks = (engine.outputs + OUTPUTS - 1) // OUTPUTS
        group, output = divmod(first, engine.outputs)
        block = group * blocks + output // OUTPUTS
        parts = (vectors + MOST - 1) // MOST
        for k in range(step0, step1, STEPS):
            steps = min(STEPS, step1 - k)
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
