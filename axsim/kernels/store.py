"""Writes the sums of a block of lanes to the outputs they belong to."""

# pyright: basic

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from . import emit
from .compiled import compiled
from .lanes import EIGHT
from .layout import Grid


class Place(NamedTuple):
    """Which lanes of which unit, and which outputs, a block of sums holds."""

    unit: int
    start: int
    count: int
    output: int
    outputs: int


@compiled
def store(sums: Any, out: Any, g: Grid, place: Place) -> None:
    """out[image, output, position] = sums[output, lane], modulo 2^32.

    Lanes of border columns and of images beyond the batch are dropped.
    """
    if out.shape[2] == out.shape[3] == out.shape[4] == 1:
        _store_pixels(sums, out, g, place)
        return
    n, (first, _, _) = g.images, corner(g, place.unit)
    images = min(n, g.batch - first)
    # Blocks begin at whole eights of images.
    whole = images & ~7 if n % EIGHT == 0 else 0
    flat, plane = out.reshape(-1), out.shape[2] * out.shape[3] * out.shape[4]
    for i in range(whole // EIGHT + images - whole):
        image = min(i * EIGHT, whole + i - whole // EIGHT)
        position, end = _positions(place, image, n)
        row = row_at(g, place.unit, position)
        to = ((first + image) * out.shape[1] + place.output) * plane
        while position < end:
            count = min(g.out[2] - row.w, end - position) if row.kept else 0
            lane = position * n + image - place.start
            at = to + (row.d * g.out[1] + row.h) * g.out[2] + row.w
            for o in range(place.outputs if count > 0 else 0):
                if image < whole:
                    target = flat[at + o * plane :]
                    _store_images(
                        sums[o, lane:], n, target, out.shape[1] * plane, count
                    )
                else:
                    target, source = flat[at + o * plane :], sums[o, lane::n]
                    for j in range(count):
                        target[j] = source[j]
            position += g.grid[2] - row.w
            row = next_row(g, place.unit, row)


@compiled
def _store_images(source: Any, n: int, target: Any, step: int, count: int) -> None:
    """target[i * step + j] = source[j * n + i] for 8 images and `count` positions."""
    if count >= EIGHT:
        for tile in range((count + 7) // EIGHT):
            # The last tile overlaps the one before it.
            j = min(tile * EIGHT, count - EIGHT)
            at = source.ctypes.data + 4 * j * n
            _transpose_eight(at, 4 * n, target.ctypes.data + 4 * j, 4 * step)
    else:
        for i in range(EIGHT):
            for j in range(count):
                target[i * step + j] = source[j * n + i]


@compiled
def _store_pixels(sums: Any, out: Any, g: Grid, place: Place) -> None:
    """Outputs of one pixel: they lie side by side, as a matrix product has them."""
    first = corner(g, place.unit)[0] + place.start
    images = min(place.count, g.batch - first)
    tall, wide = images & ~7, place.outputs & ~7
    target = out[first:, place.output :, 0, 0, 0]
    for i in range(0, tall, EIGHT):
        for o in range(0, wide, EIGHT):
            at = sums.ctypes.data + o * sums.strides[0] + 4 * i
            to = target.ctypes.data + i * target.strides[0] + 4 * o
            _transpose_eight(at, sums.strides[0], to, target.strides[0])
        for o in range(wide, place.outputs):
            for j in range(i, i + EIGHT):
                target[j, o] = sums[o, j]
    for i in range(tall, images):
        for o in range(place.outputs):
            target[i, o] = sums[o, i]


@compiled
def add(
    sums: Any, bias: Any, out: Any, g: Grid, place: Place, shift: int, fresh: bool
) -> None:
    """The same for int64 outputs, which several blocks of sums add up to."""
    first, _, _ = corner(g, place.unit)
    for image in range(min(g.images, g.batch - first)):
        position, end = _positions(place, image, g.images)
        row = row_at(g, place.unit, position)
        while position < end:
            count = min(g.out[2] - row.w, end - position) if row.kept else 0
            lane = position * g.images + image - place.start
            for o in range(place.outputs if count > 0 else 0):
                target = out[first + image, place.output + o, row.d, row.h, row.w :]
                source = sums[o, lane :: g.images]
                for j in range(count):
                    held = bias[place.output + o] if fresh else target[j]
                    target[j] = held + (np.int64(source[j]) << shift)
            position += g.grid[2] - row.w
            row = next_row(g, place.unit, row)


class Row(NamedTuple):
    """Where a grid position lies in the output: depth, height, column; if it does."""

    d: int
    h: int
    w: int
    kept: bool


@compiled
def corner(g: Grid, unit: int) -> tuple[int, int, int]:
    """First image and first output row, along depth and height, of a unit."""
    rest, band_h = divmod(unit, g.bands[1])
    group, band_d = divmod(rest, g.bands[0])
    return group * g.images, band_d * g.band[0], band_h * g.band[1]


@compiled
def _positions(place: Place, image: int, images: int) -> tuple[int, int]:
    """First and last grid position of an image in a block."""
    first = (place.start - image + images - 1) // images
    last = (place.start + place.count - image + images - 1) // images
    return first, last


@compiled
def row_at(g: Grid, unit: int, position: int) -> Row:
    """The output row of a grid position."""
    _, d0, h0 = corner(g, unit)
    rest, w = divmod(position, g.grid[2])
    depth, height = divmod(rest, g.grid[1])
    return Row(d0 + depth, h0 + height, w, _kept(g, d0, h0, d0 + depth, h0 + height))


@compiled
def next_row(g: Grid, unit: int, row: Row) -> Row:
    """The start of the grid row after this one."""
    _, d0, h0 = corner(g, unit)
    d, h = row.d, row.h + 1
    if h == h0 + g.grid[1]:
        d, h = d + 1, h0
    return Row(d, h, 0, _kept(g, d0, h0, d, h))


@compiled
def _kept(g: Grid, d0: int, h0: int, d: int, h: int) -> bool:
    return d < min(g.out[0], d0 + g.band[0]) and h < min(g.out[1], h0 + g.band[1])


@emit.intrinsic
def _transpose_eight(context, source, source_step, target, target_step):
    """8 rows of 8 int32 to 8 columns; arguments are addresses and distances."""
    signature = types.void(*[types.intp] * 4)

    def generate(context, builder, signature, arguments):
        source, source_step, target, target_step = arguments
        eight = ir.VectorType(emit.I32, 8)

        def row(base, step, i):
            at = builder.mul(step, emit.constant(i))
            return emit.pointer(builder, base, at, eight)

        rows = [
            builder.load(row(source, source_step, i), align=4) for i in range(EIGHT)
        ]
        tile = emit.concatenate(builder, rows)
        for i in range(EIGHT):
            column = [j * EIGHT + i for j in range(EIGHT)]
            mask = ir.Constant(ir.VectorType(emit.I32, 8), column)
            value = builder.shuffle_vector(tile, tile, mask)
            builder.store(value, row(target, target_step, i), align=4)
        return context.get_dummy_value()

    return signature, generate
