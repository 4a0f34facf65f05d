# pyright: basic
"""One output's table rows in shared memory, for few outputs to a group."""

from __future__ import annotations

import functools

import numpy as np
from numba import cuda, int16, uint16, uint32

from .intrinsics import FULL_BLOCK, SIMULATED, deliver
from .kernel import Kernel
from .launch import launch, multiprocessors
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
    total = np.int64 if wide else np.int32
    entry = int16 if signed else uint16
    threads = FULL_BLOCK

    def depthwise(
        codes, weights, table, reach, sums, length, pixels, channels, terms, image,
        channel, outputs, columns, pad, image_step, output_step, pixel_step,
    ):  # fmt: skip
        words = cuda.shared.array(0, uint32)
        entries = cuda.shared.array(0, entry)
        found = cuda.local.array(rows, total)
        origin = cuda.local.array(rows, np.int32)
        pixel = cuda.local.array(rows, np.int32)
        offset = cuda.local.array(rows, np.int32)

        thread = np.int32(cuda.threadIdx.x)
        tile = np.int32(cuda.blockIdx.x // columns)
        output = np.int32(cuda.blockIdx.x - tile * columns)
        group = np.int32(output // outputs)
        for i in range(rows):
            # Rows past the end repeat the last one and are not stored.
            m = np.int32(min((tile * rows + i) * threads + thread, length - 1))
            n = np.int32(m // pixels)
            pixel[i] = np.int32(m - n * pixels)
            origin[i] = np.int32(n * image)
            offset[i] = -1
            found[i] = 0

        tap, c = np.int32(0), np.int32(0)
        start = np.int32(0)
        while start < terms:
            count = np.int32(min(np.int32(terms - start), CHUNK))
            cuda.syncthreads()
            for word in range(thread, count * WORDS, threads):
                k = np.int32(word // WORDS)
                weight = np.int32(weights[np.int64(output) * terms + start + k])
                words[word] = table[weight * WORDS + (word - k * WORDS)]
            cuda.syncthreads()
            for k in range(count):
                if c == 0:
                    for i in range(rows):
                        offset[i] = reach[tap * pixels + pixel[i]]
                        if offset[i] >= 0:
                            offset[i] = np.int32(offset[i] + origin[i])
                plane = np.int64((np.int64(group) * channels + c) * channel)
                for i in range(rows):
                    code = np.int32(pad)
                    if offset[i] >= 0:
                        code = np.int32(codes[plane + offset[i]])
                    found[i] += np.int32(entries[np.uint32(k * STRIDE + code)])
                c = np.int32(c + 1)
                if c == channels:
                    c = np.int32(0)
                    tap = np.int32(tap + 1)
            start = np.int32(start + CHUNK)

        begin = np.int64(np.int64(output) * output_step)
        for i in range(rows):
            m = np.int32((tile * rows + i) * threads + thread)
            if m < length:
                n = np.int32(m // pixels)
                where = np.int64(n) * image_step + pixel[i] * pixel_step
                deliver(sums, np.int64(begin + where), found[i], True)

    return Kernel(
        name="depthwise",
        function=depthwise,
        arguments=(
            "uint8*",
            "uint8*",
            "uint32*",
            "int32*",
            "int64*" if wide else "int32*",
            *["int32"] * 12,
        ),
        constants=(rows, signed, wide),
        threads=threads,
        shared=4 * CHUNK * WORDS,
    )


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
