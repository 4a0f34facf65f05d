# pyright: basic
"""Weight-stationary lookup: table rows of eight outputs, in shared memory."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch

from .driver import multiprocessors
from .inlined import (
    add_signed,
    add_unsigned,
    deliver_eight,
    place_rows,
    quotient,
    reach_tap,
    read_codes,
    read_entries,
    store_entries,
)
from .intrinsics import cuda, dp2a_signed, dp2a_unsigned, load4, store4
from .kernel import ALIGNMENT, FULL_BLOCK, Kernel
from .launch import launch
from .layout import SKIPPED, Product, add_shift, packed_weights, parts, tiles
from .table import DeviceTable

# dp2a multiplies the two halves of a word by two bytes and adds both: these bytes
# make it "add the low half" and "add the high half".
LOW, HIGH = np.uint32(0x0001), np.uint32(0x0100)
CELLS = SKIPPED + 1
BUFFERS = 2 * CELLS * 4
ADDERS = {
    (False, False): dp2a_unsigned,
    (False, True): add_unsigned,
    (True, False): dp2a_signed,
    (True, True): add_signed,
}

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
    add, total = ADDERS[signed, wide], np.int64 if wide else np.int32
    threads, own, fills = FULL_BLOCK, rows * 8, 256 // FULL_BLOCK
    placed, entries = 2 * rows * threads, 8 * fills

    def packed(
        codes, weights, table, reach, sums, length, pixels, channels, terms, image,
        channel, blocks, outputs, columns, part, pad, image_step, output_step,
        pixel_step,
    ):  # fmt: skip
        # Two buffers of 257 cells of 16 bytes: cell `a` of the one in use holds the
        # products of code `a` with this term's eight weights.
        cells = cuda.shared.array(BUFFERS, np.uint32, alignment=ALIGNMENT)
        places = cuda.shared.array(placed, np.int32)
        found = cuda.local.array(own, total)
        offset = cuda.local.array(rows, np.int32)
        code = cuda.local.array(rows, np.int32)
        entry = cuda.local.array(entries, np.int32)
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
        here, k = np.int32(CELLS), first
        while k <= last:
            # Memory is asked for term k, which arrives while term k - 1 is added up
            # from one buffer; then k goes to the other.
            if k < last:
                weight = np.int32(2 * (column * terms + k))
                low, high = weights[weight], weights[weight + 1]
                read_entries(entry, table, low, high, thread, threads, fills)
            if k > first:
                for i in range(rows):
                    quad = load4(cells, here + code[i])
                    for q in range(4):
                        even, odd = 8 * i + 2 * q, 8 * i + 2 * q + 1
                        found[even] = add(quad[q], LOW, found[even])
                        found[odd] = add(quad[q], HIGH, found[odd])
            here = np.int32(CELLS - here)
            if k < last:
                store_entries(cells, here, entry, thread, threads, fills)
                if k == first or c == 0:
                    start = tap * pixels
                    reach_tap(offset, reach, start, places, thread, threads, rows)
                plane = np.int64((np.int64(group) * channels + c) * channel)
                read_codes(code, codes, plane, offset, pad, rows)
                c = np.int32(c + 1)
                if c == channels:
                    c, tap = np.int32(0), np.int32(tap + 1)
            k = np.int32(k + 1)
            cuda.syncthreads()

        base = np.int32((column - group * blocks) * 8)
        start = np.int64(np.int64(group * outputs + base) * output_step)
        deliver_eight(
            sums, found, outputs - base, top, threads, rows, length, pixels, start,
            image_step, output_step, pixel_step, part >= terms,
        )  # fmt: skip

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
