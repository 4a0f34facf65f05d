"""The weights of the factored path: bytes of every term, in the order of its steps."""

# pyright: basic

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from . import emit
from .compiled import allocating, compiled
from .emit import BYTES, I32, INTS, constant, splat
from .layout import Bytes
from .quads import Quads

# Outputs that a step serves, and steps in a vector of 32-bit words.
OUTPUTS, VECTOR = 4, 16
# Steps of weights packed at a time, while they are in L1.
LINE = 512
# Nanoseconds to pack a byte.
PACK = 0.2


class Packing(NamedTuple):
    """What packing takes besides the weights.

    Args:
        sources, terms, maps, offsets, runs, signed_from: of `Quads`.
        outputs: of a group.
        taps: of a channel.
        together: quads that fill a vector.
        order: turns the weights of so many quads from (channel, tap) order to
            (quad, tap, channel of the quad).
    """

    sources: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int64]
    maps: Bytes
    offsets: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int64]
    signed_from: int
    outputs: int
    taps: int
    together: int
    order: Bytes


def packing_of(quads: Quads, outputs: int, taps: int) -> Packing:
    """How to pack the weights of groups of so many outputs."""
    together = 16 // taps
    order = np.zeros(64, np.uint8)
    places = np.arange(together * 4 * taps).reshape(together, 4, taps)
    order[: places.size] = places.swapaxes(1, 2).ravel()
    return Packing(
        quads.sources, quads.terms, quads.weight_maps, quads.bias, quads.runs,
        quads.signed_from, outputs, taps, together, order,
    )  # fmt: skip


@allocating
def pack_blocks(
    w: Bytes, packed: Bytes, bias: Any, how: Packing, first: int, last: int
) -> None:
    """Packs blocks of four outputs, counted over groups.

    Args:
        w: uint8[O, K], weight codes.
        packed: [blocks, steps, 4 outputs, 4 bytes], written.
        bias: int64[O], what the offsets of codes add to each output is added to it.
    """
    outputs, taps, count = how.outputs, how.taps, how.sources.shape[0]
    blocks = (outputs + OUTPUTS - 1) // OUTPUTS
    at_once = max(16, LINE // taps)
    lines = np.zeros((OUTPUTS, at_once * taps * 4 + 64), np.uint8)
    for block in range(first, last):
        group, part = divmod(block, blocks)
        rows = min(OUTPUTS, outputs - part * OUTPUTS)
        lines[rows:] = 0
        for quad in range(0, count, at_once):
            quads = min(at_once, count - quad)
            for row in range(rows):
                o = group * outputs + part * OUTPUTS + row
                bias[o] += _pack_line(
                    w, o, lines[row], how.sources[quad : quad + quads],
                    how.terms[quad : quad + quads], how.maps, how.offsets,
                    how.runs[quad:], how.signed_from - quad, taps, how.together,
                    how.order,
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
        pairs = [
            emit.alternate(builder, *rows[0::2]),
            emit.alternate(builder, *rows[1::2]),
        ]
        merged = emit.alternate(builder, *pairs)
        builder.store(
            merged, builder.inttoptr(target, merged.type.as_pointer()), align=1
        )
        return context.get_dummy_value()

    return signature, generate


@compiled
def _pack_line(
    w: Bytes, o: int, line: Bytes, sources: Any, terms: Any, maps: Bytes, offsets: Any,
    runs: Any, signed_from: int, taps: int, together: int, order: Bytes,
) -> Any:  # fmt: skip
    """Some quads of one output; returns what they add to the bias."""
    total, quad = np.int64(0), 0
    # Vectors read 64 bytes, some of them unused; none may lie behind the weights.
    reach = w.shape[1] if o + 1 == w.shape[0] else w.shape[1] + 64
    while quad < len(sources):
        channel, term, run = sources[quad, 0], terms[quad, 0], 0
        signed = quad < signed_from
        if together:
            # The last vector of the last output must end before the weights do.
            within = ((reach - 64) // taps - channel) // 4 + 1
            run = max(0, min(runs[quad], len(sources) - quad, within))
        run -= run % max(together, 1)
        if run:
            total += offsets[term] * _map_quads(
                w[o].ctypes.data + channel * taps,
                maps[term].ctypes.data,
                order.ctypes.data,
                line.ctypes.data + quad * taps * 4,
                4 * taps * together,
                run // together,
                1 if signed else 0,
            )
        else:
            total += _map_bytes(
                w[o], line[quad * taps * 4 :], sources[quad], terms[quad], maps,
                offsets, signed, taps,
            )  # fmt: skip
        quad += max(run, 1)
    return total


@compiled
def _map_bytes(
    weights: Bytes, line: Bytes, sources: Any, terms: Any, maps: Bytes, offsets: Any,
    signed: bool, taps: int,
) -> Any:  # fmt: skip
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
    """Quads of neighbouring channels of one term; returns the sum of their bytes.

    Addresses; `count` >= 1 vectors of `size` <= 64 bytes; `signed` says how bytes read.
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

        def step(index, held):
            at = builder.mul(index, size)
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
