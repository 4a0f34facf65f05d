# pyright: basic
"""Weight-stationary lookup: table rows of eight outputs, in shared memory."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from .driver import multiprocessors
from .inlined import fill_cell, place_rows, quotient, reach_tap
from .intrinsics import cuda, deliver, dp2a_signed, dp2a_unsigned, load4, store4
from .kernel import ALIGNMENT, FULL_BLOCK, Kernel
from .launch import launch
from .layout import SKIPPED, Product, add_shift, packed_weights, parts, tiles
from .table import DeviceTable

# dp2a multiplies the two halves of a word by two bytes and adds both: these bytes
# make it "add the low half" and "add the high half".
LOW, HIGH = np.uint32(0x0001), np.uint32(0x0100)
CELLS = SKIPPED + 1
BUFFERS = 2 * CELLS * 4

# Modelled cycles of a term; terms that a block must have; starting it, in terms.
FILL, READ = 100, 82
SHORTEST, START = 32, 12


@functools.cache
def kernel(rows: int, signed: bool, wide: bool) -> Kernel:
    """The kernel for blocks of `rows * FULL_BLOCK` rows by eight outputs.

    Args:
        rows: of one thread, 1 to 8; `rows * 8` sums live in its registers.
        signed: whether table entries are int16 rather than uint16.
        wide: whether sums are int64.
    """
    return Kernel(
        name="packed",
        function=_function(rows, signed, wide),
        arguments=(
            "uint8*",
            "uint32*",
            "int16*" if signed else "uint16*",
            "int32*",
            "int64*" if wide else "int32*",
            *["int32"] * 14,
        ),
        constants=(rows, signed, wide),
        threads=FULL_BLOCK,
        blocks=2,
    )


def _function(rows: int, signed: bool, wide: bool) -> Any:
    dp2a = dp2a_signed if signed else dp2a_unsigned
    total = np.int64 if wide else np.int32
    threads, own, fills = FULL_BLOCK, rows * 8, 256 // FULL_BLOCK
    placed = 2 * rows * threads

    def packed(
        codes, weights, table, reach, sums, length, pixels, channels, terms, image,
        channel, blocks, outputs, columns, part, pad, image_step, output_step,
        pixel_step,
    ):  # fmt: skip
        # Two buffers of 257 cells of 16 bytes: cell `a` of the one in use holds the
        # products of code `a` with this term's eight weights.
        cells = cuda.shared.array(BUFFERS, np.uint32, alignment=ALIGNMENT)
        found = cuda.local.array(own, total)
        places = cuda.shared.array(placed, np.int32)
        offset = cuda.local.array(rows, np.int32)
        thread = np.int32(cuda.threadIdx.x)
        tile = quotient(cuda.blockIdx.x, columns)
        column = np.int32(cuda.blockIdx.x - tile * columns)
        group = quotient(column, blocks)
        first = np.int32(cuda.blockIdx.y * part)
        last = np.int32(min(np.int32(first + part), terms))
        top = np.int32(tile * rows * threads + thread)
        place_rows(places, top, thread, threads, rows, length, pixels, image)
        for i in range(own):
            found[i] = 0
        if thread < 2:
            store4(cells, thread * CELLS + SKIPPED, 0, 0, 0, 0)

        tap = quotient(first, channels)
        c = np.int32(first - tap * channels)
        plane = np.int64((np.int64(group) * channels + c) * channel)
        here = np.int32(CELLS)
        weight = np.int32(2 * (column * terms + first))
        stale = True
        k = first
        while k <= last:
            # Fill one buffer for term k while term k - 1 is read from the other.
            there = np.int32(CELLS - here)
            if k < last:
                low, high = weights[weight], weights[weight + 1]
                for fill in range(fills):
                    a = np.int32(thread + fill * threads)
                    fill_cell(cells, there + a, table, low, high, a)
                weight = np.int32(weight + 2)
            if k > first:
                for i in range(rows):
                    code = np.int32(pad)
                    if offset[i] >= 0:
                        code = np.int32(codes[plane + offset[i]])
                    quad = load4(cells, here + code)
                    for q in range(4):
                        even, odd = 8 * i + 2 * q, 8 * i + 2 * q + 1
                        if wide:
                            found[even] += dp2a(quad[q], LOW, np.int32(0))
                            found[odd] += dp2a(quad[q], HIGH, np.int32(0))
                        else:
                            found[even] = dp2a(quad[q], LOW, found[even])
                            found[odd] = dp2a(quad[q], HIGH, found[odd])
                c = np.int32(c + 1)
                plane = np.int64(plane + channel)
                if c == channels:
                    plane = np.int64(plane - np.int64(channels) * channel)
                    c = np.int32(0)
                    tap = np.int32(tap + 1)
                    stale = True
            if stale and k < last:
                stale = False
                reach_tap(offset, reach, tap * pixels, places, thread, threads, rows)
            here = there
            k = np.int32(k + 1)
            cuda.syncthreads()

        base = np.int32((column - group * blocks) * 8)
        start = np.int64(np.int64(group * outputs + base) * output_step)
        for i in range(rows):
            m = np.int32(top + i * threads)
            n = quotient(m, pixels)
            where = np.int64(n) * image_step + (m - n * pixels) * pixel_step
            where = np.int64(where + start)
            for j in range(8):
                if j < outputs - base and m < length:
                    deliver(sums, where, found[8 * i + j], part >= terms)
                where = np.int64(where + output_step)

    return packed


def run(product: Product, table: DeviceTable) -> None:
    """Adds up the product of a table whose entries fit 16 bits."""
    image = table.by_second
    weights = packed_weights(product)
    blocks = weights.shape[1]
    width = product.groups * blocks
    for piece in parts(product):
        rows, part = _shape(piece, width, image.device)
        if part < piece.terms:
            piece.sums.zero_()
        chosen = kernel(rows, table.signed, piece.wide)
        high = tiles(piece.length, rows * chosen.threads)
        launch(
            chosen, (high * width, tiles(piece.terms, part)), piece.codes, weights,
            image, piece.reach, piece.sums, piece.length, piece.pixels, piece.channels,
            piece.terms, piece.image, piece.channel, blocks, piece.outputs, width, part,
            piece.pad, *piece.steps,
        )  # fmt: skip
    add_shift(product, table.shift)


def _shape(product: Product, width: int, device: torch.device) -> tuple[int, int]:
    """Rows of a thread and terms of a block, for this product on this device."""
    several = multiprocessors(device)
    most = 4 if product.wide else 8
    return plan(product.length, width, product.terms, several, most)


@functools.lru_cache(maxsize=4096)
def plan(
    length: int, width: int, terms: int, multiprocessors: int, most: int
) -> tuple[int, int]:
    """The tile with the least modelled time.

    A term costs a block FILL cycles for its table rows and READ for each row of a
    thread, by the bandwidth of shared memory; two blocks share a multiprocessor.

    Args:
        length, terms: of the product; `width`: blocks side by side over its outputs.
        most: rows that a thread may own.

    Returns:
        Rows of a thread, and terms that one block adds up.
    """
    best, chosen = float("inf"), (1, terms)
    for rows in (8, 4, 2, 1):
        if rows > most:
            continue
        blocks = tiles(length, rows * FULL_BLOCK) * width
        for pieces in (1, 2, 4, 8, 16, 32):
            part = tiles(terms, pieces)
            if pieces > 1 and part < SHORTEST:
                break
            waves = tiles(blocks * tiles(terms, part), 2 * multiprocessors)
            time = waves * (part + START) * (FILL + READ * rows)
            if time < best:
                best, chosen = time, (rows, part)
    return chosen
