# pyright: basic
"""One table lookup a product: the whole table in shared memory, for few rows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numba import int16, uint16, uint32

from .driver import multiprocessors, shared_memory
from .inlined import quotient, read_code
from .intrinsics import cuda, deliver, load4
from .kernel import ALIGNMENT, SIMULATED, Kernel
from .launch import launch
from .layout import SKIPPED, Product, add_shift, packed_weights, parts, tiles
from .table import STRIDE, DeviceTable

# A block is SLICES groups of LANES threads: a thread owns one output, a slice adds up
# its own share of the terms, CHUNK of them between barriers.
LANES, SLICES, CHUNK = (16, 2, 4) if SIMULATED else (64, 8, 16)
THREADS = LANES * SLICES
WORDS = (SKIPPED + 1) * STRIDE // 2
SHARED_BYTES = 4 * WORDS


@functools.cache
def kernel(rows: int, signed: bool | None, wide: bool) -> Kernel:
    """The kernel for tiles of `rows` rows by LANES outputs.

    Args:
        rows: of one thread, 8 or 4.
        signed: whether table entries are int16 rather than uint16; None for int32
            entries, which stay in global memory.
        wide: whether sums are int64.
    """
    return Kernel(
        name="gather",
        function=_function(rows, signed, wide),
        arguments=(
            "uint8*",
            "uint8*",
            "int32*" if signed is None else "uint32*",
            "int32*",
            "int64*" if wide else "int32*",
            *["int32"] * 14,
        ),
        constants=(rows, signed, wide),
        threads=THREADS,
        shared=0 if signed is None else SHARED_BYTES,
    )


def _function(rows: int, signed: bool | None, wide: bool) -> Any:
    total, tall, quads = np.int64 if wide else np.int32, CHUNK * rows, rows // 4
    entry, shared = int16 if signed else uint16, signed is not None
    stride = STRIDE if shared else 256
    staged_words = SLICES * tall

    def gather(
        codes, weights, table, reach, sums, length, pixels, channels, terms, image,
        channel, blocks, outputs, columns, share, pad, image_step, output_step,
        pixel_step,
    ):  # fmt: skip
        staged = cuda.shared.array(staged_words, np.uint32, alignment=ALIGNMENT)
        found = cuda.local.array(rows, total)
        thread = np.int32(cuda.threadIdx.x)
        slice_ = quotient(thread, LANES)
        lane = np.int32(thread - slice_ * LANES)
        width = quotient(outputs + LANES - 1, LANES)
        tile = quotient(cuda.blockIdx.x, columns)
        column = np.int32(cuda.blockIdx.x - tile * columns)
        group = quotient(column, width)
        output = np.int32((column - group * width) * LANES + lane)
        first = np.int32((cuda.blockIdx.y * SLICES + slice_) * share)
        last = np.int32(min(np.int32(first + share), terms))
        if shared:
            words = cuda.shared.array(0, uint32)
            entries = cuda.shared.array(0, entry)
            for i in range(thread, WORDS, THREADS):
                words[np.uint32(i)] = table[i]
        for i in range(rows):
            found[i] = 0
        eight = np.int64(group * blocks + quotient(output, 8))
        weight = np.int64(np.int64(eight * terms) * 8 + (output & 7))

        start = np.int32(0)
        while start < share:
            cuda.syncthreads()
            # Where each code's row of the table begins, for this slice's next terms.
            for cell in range(lane, tall, LANES):
                step = quotient(cell, rows)
                k = np.int32(first + start + step)
                code = np.int32(SKIPPED)
                if k < last:
                    m = np.int32(min(tile * rows + cell - step * rows, length - 1))
                    code = read_code(
                        codes, reach, m, k, pixels, channels, group * channels, image,
                        channel, pad,
                    )  # fmt: skip
                staged[np.uint32(slice_ * tall + cell)] = np.uint32(code * stride)
            cuda.syncthreads()
            for step in range(CHUNK):
                k = np.int32(first + start + step)
                if k < last and output < outputs:
                    b = np.uint32(weights[weight + np.int64(k) * 8])
                    for q in range(quads):
                        quad = load4(staged, (slice_ * CHUNK + step) * quads + q)
                        for i in range(4):
                            at = np.uint32(quad[i] + b)
                            product = entries[at] if shared else table[at]
                            found[4 * q + i] += np.int32(product)
            start = np.int32(start + CHUNK)

        begin = np.int64(np.int64(group * outputs + output) * output_step)
        for i in range(rows):
            m = np.int32(tile * rows + i)
            if m < length and output < outputs and first < last:
                n = quotient(m, pixels)
                where = np.int64(n) * image_step + (m - n * pixels) * pixel_step
                deliver(sums, np.int64(begin + where), found[i], False)

    return gather


def run(product: Product, table: DeviceTable) -> None:
    """Adds up the product from a 16-bit image in shared memory where that fits.

    Elsewhere the table stays in global memory and its lookups hit the caches.
    """
    weights = packed_weights(product)
    in_shared = fits_shared(table, product.codes.device)
    image, signed = (table.by_first, table.signed) if in_shared else (table.full, None)
    product.sums.zero_()
    width = product.groups * tiles(product.outputs, LANES)
    for piece in parts(product):
        chosen = kernel(8 if piece.length > 4 else 4, signed, piece.wide)
        blocks = tiles(piece.length, chosen.constants[0]) * width
        share = _share(piece.terms, blocks, image.device)
        launch(
            chosen, (blocks, tiles(piece.terms, share * SLICES)), piece.codes, weights,
            image, piece.reach, piece.sums, piece.length, piece.pixels, piece.channels,
            piece.terms, piece.image, piece.channel, weights.shape[1], piece.outputs,
            width, share, piece.pad, *piece.steps,
        )  # fmt: skip
    if in_shared:
        add_shift(product, table.shift)


def fits_shared(table: DeviceTable, device: torch.device) -> bool:
    """Whether the table fits the shared memory of one block."""
    return table.fits_16_bits and shared_memory(device) >= SHARED_BYTES + 8192


def _share(terms: int, blocks: int, device: torch.device) -> int:
    """Terms of one slice: few, to fill the device, and enough to pay for the table."""
    pieces = max(1, tiles(multiprocessors(device), blocks))
    return max(tiles(terms, pieces * SLICES), min(terms, CHUNK * 4))
