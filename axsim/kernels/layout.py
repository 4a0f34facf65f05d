"""Moves codes from [N, C, ...] into lanes: padding, phases, interleaved images."""

# pyright: basic

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from . import emit
from .compiled import compiled
from .lanes import Lanes

Bytes = npt.NDArray[np.uint8]

# What a block of consecutive lanes may read past the last unit.
SLACK = 1024
LINE = 64
# The most that a thread holds between calls.
HELD_BYTES = 32 << 20
# Codes looked at before asking whether there is need of more.
STRETCH = 8192


class Grid(NamedTuple):
    """The numbers of a `Lanes` that the kernels need, in Numba's terms."""

    batch: int
    channels: int
    size: tuple[int, int, int]
    out: tuple[int, int, int]
    stride: tuple[int, int, int]
    padding: tuple[int, int, int]
    images: int
    band: tuple[int, int]
    bands: tuple[int, int]
    grid: tuple[int, int, int]
    plane: int
    channel: int
    unit: int
    run: int


@lru_cache(maxsize=1024)
def grid_of(lanes: Lanes) -> tuple[Grid, npt.NDArray[np.int64]]:
    """The numbers, and int64[phases, 3]: the residues of each phase in layout order."""
    shape: Any = lanes.shape
    grid = Grid(
        shape.batch, shape.channels, shape.size, shape.out, shape.stride, shape.padding,
        lanes.images, lanes.band, lanes.bands, lanes.grid,
        lanes.plane, lanes.channel, lanes.unit, lanes.run,
    )  # fmt: skip
    return grid, np.array(list(product(*lanes.phases)))


@compiled
def grid_from(n: Any) -> Grid:
    """A grid from its numbers one after the other: an array is handed over faster."""
    return Grid(
        n[0], n[1], (n[2], n[3], n[4]), (n[5], n[6], n[7]), (n[8], n[9], n[10]),
        (n[11], n[12], n[13]), n[14], (n[15], n[16]), (n[17], n[18]),
        (n[19], n[20], n[21]), n[22], n[23], n[24], n[25],
    )  # fmt: skip


def aligned(codes: Bytes) -> Bytes:
    """A flat copy that starts on a cache line."""
    space = aligned_space(codes.size)
    space[:] = codes.ravel()
    return space


def aligned_space(size: int) -> Bytes:
    """Bytes that start on a cache line."""
    space = np.empty(size + LINE, np.uint8)
    start = -space.ctypes.data % LINE
    return space[start : start + size]


NOTHING = aligned_space(0)


class _Held(threading.local):
    """What a thread worked in last, to be used again: new memory costs page faults."""

    space: Bytes = NOTHING


_held = _Held()


@contextmanager
def working_space(*sizes: int) -> Iterator[list[Bytes]]:
    """Bytes to work in, each stretch of them on a cache line.

    They are this thread's alone, and kept for its next call; not after an error, when
    helpers may still be at work in them.
    """
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + -(-size // LINE) * LINE)
    held, _held.space = _held.space, NOTHING
    space = held if len(held) >= ends[-1] else aligned_space(ends[-1])
    yield [space[a : a + size] for a, size in zip(ends, sizes, strict=False)]
    _held.space = space if len(space) <= HELD_BYTES else held


def free_working_space() -> None:
    """Gives back what this thread's kernels hold between calls."""
    _held.space = NOTHING


@compiled
def unite(codes: Bytes) -> int:
    """The bitwise or of all codes: a bound on each of them."""
    seen = np.uint8(0)
    for first in range(0, codes.size, STRETCH):
        for code in codes[first : first + STRETCH]:
            seen |= code
        # Codes of eight bits tell so at once.
        if seen == 255:
            break
    return int(seen)


@compiled
def fill(
    x: Bytes,
    lanes: Bytes,
    g: Grid,
    phases: Any,
    pad: int,
    unit0: int,
    first: int,
    last: int,
    scratch: Bytes,
) -> None:
    """Lays out blocks of channels, counted over units from `unit0` on.

    x: [N, C * D * H * W], contiguous. lanes: the units one after the other.
    scratch: `scratch_bytes` of them.
    """
    pixels = g.size[0] * g.size[1] * g.size[2]
    block = channel_block(g)
    blocks = (g.channels + block - 1) // block
    for task in range(first, last):
        unit, b = divmod(task, blocks)
        rest, band_h = divmod(unit0 + unit, g.bands[1])
        group, band_d = divmod(rest, g.bands[0])
        origin = (band_d * g.band[0] * g.stride[0], band_h * g.band[1] * g.stride[1])
        channels = min(block, g.channels - b * block)
        start, image = b * block * pixels, group * g.images
        if g.images == 1:
            source = x[image, start : start + channels * pixels]
        else:
            images = x[image : image + g.images, start : start + channels * pixels]
            transpose(images, scratch, g.images)
            source = scratch
        at = unit * g.unit + b * block * g.channel
        for c in range(channels):
            plane = source[c * pixels * g.images : (c + 1) * pixels * g.images]
            _spread(plane, lanes[at + c * g.channel :], g, phases, origin, pad)


@compiled
def scratch_bytes(g: Grid) -> int:
    """Bytes in which images are interleaved."""
    pixels = g.size[0] * g.size[1] * g.size[2]
    return channel_block(g) * pixels * g.images if g.images > 1 else 0


@compiled
def channel_block(g: Grid) -> int:
    """Channels laid out at a time: at least a cache line of one image."""
    return max(1, 64 // (g.size[0] * g.size[1] * g.size[2]))


@compiled
def _spread(
    plane: Bytes, lanes: Bytes, g: Grid, phases: Any, origin: tuple[int, int], pad: int
) -> None:
    """Writes the phases of one channel; an element is one position of all images."""
    n, width = g.images, g.grid[2] * g.images
    at, to, source = 0, lanes.ctypes.data, plane.ctypes.data
    _set(to, pad, g.channel)
    for phase in range(len(phases)):
        shift = phases[phase, 2] - g.padding[2]
        low = min(g.grid[2], max(0, -(shift // g.stride[2])))
        high = max(low, min(g.grid[2], (g.size[2] - 1 - shift) // g.stride[2] + 1))
        for d in range(g.grid[0]):
            source_d = origin[0] + d * g.stride[0] + phases[phase, 0] - g.padding[0]
            for h in range(g.grid[1]):
                source_h = origin[1] + h * g.stride[1] + phases[phase, 1] - g.padding[1]
                inside = 0 <= source_d < g.size[0] and 0 <= source_h < g.size[1]
                first, last = (low, high) if inside else (0, 0)
                row = (source_d * g.size[1] + source_h) * g.size[2] + shift
                if g.stride[2] == 1:
                    _copy(
                        to + at + first * n,
                        source + (row + first) * n,
                        (last - first) * n,
                    )
                elif n == 1:
                    from_row = plane[row + first * g.stride[2] :]
                    to_row = lanes[at + first : at + last]
                    for i in range(len(to_row)):
                        to_row[i] = from_row[i * g.stride[2]]
                else:
                    for i in range(first, last):
                        _copy(to + at + i * n, source + (row + i * g.stride[2]) * n, n)
                at += width


@compiled
def transpose(rows: Bytes, out: Bytes, width: int) -> None:
    """out[j * width + i] = rows[i, j], by 8 x 8 tiles."""
    tall, wide = rows.shape[0] & ~7, rows.shape[1] & ~7
    step = rows.strides[0]
    for j in range(0, wide, 8):
        for i in range(0, tall, 8):
            source = rows.ctypes.data + i * step + j
            _transpose_tile(source, step, out.ctypes.data + j * width + i, width)
        for i in range(tall, rows.shape[0]):
            for column in range(j, j + 8):
                out[column * width + i] = rows[i, column]
    for column in range(wide, rows.shape[1]):
        for i in range(rows.shape[0]):
            out[column * width + i] = rows[i, column]


@emit.intrinsic
def _copy(context, target, source, count):
    """memcpy between addresses; a compiled loop would first prove each index >= 0."""
    signature = types.void(*[types.intp] * 3)

    def generate(context, builder, signature, arguments):
        target, source, count = arguments
        copy = builder.module.declare_intrinsic(
            "llvm.memcpy", [emit.I8.as_pointer(), emit.I8.as_pointer(), emit.I64]
        )
        addresses = [
            builder.inttoptr(a, emit.I8.as_pointer()) for a in (target, source)
        ]
        builder.call(copy, [*addresses, count, ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return signature, generate


@emit.intrinsic
def _set(context, target, value, count):
    """memset at an address."""
    signature = types.void(*[types.intp] * 3)

    def generate(context, builder, signature, arguments):
        target, value, count = arguments
        fill = builder.module.declare_intrinsic(
            "llvm.memset", [emit.I8.as_pointer(), emit.I64]
        )
        address = builder.inttoptr(target, emit.I8.as_pointer())
        byte = builder.trunc(value, emit.I8)
        builder.call(fill, [address, byte, count, ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return signature, generate


@emit.intrinsic
def _transpose_tile(context, source, source_step, target, target_step):
    """8 rows of 8 bytes to 8 columns; arguments are addresses and distances."""
    signature = types.void(*[types.intp] * 4)

    def generate(context, builder, signature, arguments):
        source, source_step, target, target_step = arguments

        def row(base, step, i):
            at = builder.mul(step, emit.constant(i))
            return emit.pointer(builder, base, at, emit.I64)

        eight = ir.VectorType(emit.I64, 8)
        tile = ir.Constant(eight, ir.Undefined)
        for i in range(8):
            value = builder.load(row(source, source_step, i), align=1)
            tile = builder.insert_element(tile, value, ir.Constant(emit.I32, i))
        tile = builder.bitcast(tile, emit.BYTES)
        order = [i % 8 * 8 + i // 8 for i in range(64)]
        mask = ir.Constant(ir.VectorType(emit.I32, 64), order)
        tile = builder.bitcast(builder.shuffle_vector(tile, tile, mask), eight)
        for i in range(8):
            value = builder.extract_element(tile, ir.Constant(emit.I32, i))
            builder.store(value, row(target, target_step, i), align=1)
        return context.get_dummy_value()

    return signature, generate
