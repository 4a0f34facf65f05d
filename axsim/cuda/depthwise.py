# pyright: basic
"""One output's table rows in shared memory, for few outputs to a group."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import int16, uint16, uint32

from .driver import multiprocessors
from .inlined import place_rows, quotient, reach_tap, read_codes
from .intrinsics import cuda, deliver
from .kernel import FULL_BLOCK, SIMULATED, Kernel
from .launch import launch
from .layout import Product, add_shift, parts, tiles
from .table import STRIDE, DeviceTable

# Rows of the table held at once, one for each term, and the words of one.
CHUNK = 8 if SIMULATED else 32
WORDS = STRIDE // 2


@functools.cache
def kernel(rows: int, signed: bool, wide: bool) -> Kernel:
    """The kernel for blocks of `rows * FULL_BLOCK` rows by one output.

    Args:
        rows: of one thread.
        signed: whether table entries are int16 rather than uint16.
        wide: whether sums are int64.
    """
    return Kernel(
        name="depthwise",
        function=_function(rows, signed, wide),
        arguments=(
            "uint8*",
            "uint8*",
            "uint32*",
            "int32*",
            "int64*" if wide else "int32*",
            *["int32"] * 12,
        ),
        constants=(rows, signed, wide),
        threads=FULL_BLOCK,
        shared=4 * CHUNK * WORDS,
    )


def _function(rows: int, signed: bool, wide: bool) -> Any:
    total = np.int64 if wide else np.int32
    entry = int16 if signed else uint16
    threads, placed = FULL_BLOCK, 2 * rows * FULL_BLOCK

    def depthwise(
        codes, weights, table, reach, sums, length, pixels, channels, terms, image,
        channel, outputs, columns, pad, image_step, output_step, pixel_step,
    ):  # fmt: skip
        words = cuda.shared.array(0, uint32)
        entries = cuda.shared.array(0, entry)
        places = cuda.shared.array(placed, np.int32)
        found = cuda.local.array(rows, total)
        offset = cuda.local.array(rows, np.int32)
        code = cuda.local.array(rows, np.int32)
        thread = np.int32(cuda.threadIdx.x)
        tile = quotient(cuda.blockIdx.x, columns)
        output = np.int32(cuda.blockIdx.x - tile * columns)
        first = np.int64(np.int64(quotient(output, outputs)) * channels)
        top = np.int32(tile * rows * threads + thread)
        place_rows(places, top, thread, threads, rows, length, pixels, image)
        for i in range(rows):
            found[i] = 0

        tap, c, start = np.int32(0), np.int32(0), np.int32(0)
        while start < terms:
            count = np.int32(min(np.int32(terms - start), CHUNK))
            cuda.syncthreads()
            for word in range(thread, count * WORDS, threads):
                k = quotient(word, WORDS)
                weight = np.int32(weights[np.int64(output) * terms + start + k])
                words[np.uint32(word)] = table[weight * WORDS + (word - k * WORDS)]
            cuda.syncthreads()
            for k in range(count):
                if c == 0:
                    reach_tap(
                        offset, reach, tap * pixels, places, thread, threads, rows
                    )
                plane = np.int64((first + c) * channel)
                read_codes(code, codes, plane, offset, pad, rows)
                for i in range(rows):
                    found[i] += np.int32(entries[np.uint32(k * STRIDE + code[i])])
                c = np.int32(c + 1)
                if c == channels:
                    c = np.int32(0)
                    tap = np.int32(tap + 1)
            start = np.int32(start + CHUNK)

        begin = np.int64(np.int64(output) * output_step)
        for i in range(rows):
            m = np.int32(top + i * threads)
            if m < length:
                n = quotient(m, pixels)
                where = np.int64(n) * image_step + (m - n * pixels) * pixel_step
                deliver(sums, np.int64(begin + where), found[i], True)

    return depthwise


def run(product: Product, table: DeviceTable) -> None:
    """Adds up the product of a table whose entries fit 16 bits."""
    weights = product.weights.transpose(1, 2).contiguous()
    image = table.by_second
    width = product.groups * product.outputs
    for piece in parts(product):
        many = tiles(piece.length, 4 * FULL_BLOCK) * width
        rows = 4 if many >= 4 * multiprocessors(image.device) else 1
        launch(
            kernel(rows, table.signed, piece.wide),
            (tiles(piece.length, rows * FULL_BLOCK) * width, 1), piece.codes, weights,
            image, piece.reach, piece.sums, piece.length, piece.pixels, piece.channels,
            piece.terms, piece.image, piece.channel, piece.outputs, width, piece.pad,
            *piece.steps,
        )  # fmt: skip
    add_shift(product, table.shift)
