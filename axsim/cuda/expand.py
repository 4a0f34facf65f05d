# pyright: basic
"""Codes spread into the int8 factors that tensor cores multiply, and sums collected."""

from __future__ import annotations

import functools

import numpy as np
import torch

from .inlined import quotient, read_code
from .intrinsics import cuda, deliver
from .kernel import FULL_BLOCK, SIMULATED, Kernel
from .launch import launch
from .layout import SKIPPED, Product, tiles

# Rows of the table of factors: the codes, a skipped tap, and what lies past the end.
PAST = SKIPPED + 1
SIDE = 8 if SIMULATED else 32


@functools.cache
def spread_kernel(rank: int) -> Kernel:
    """The kernel that writes row m as `factors[code(m, k), r]` for every term k and r.

    A block transposes a tile of SIDE rows by SIDE terms through shared memory, so that
    codes are read along pixels and factors written along terms.

    Args:
        rank: factors of one code.
    """
    threads, cells, words = FULL_BLOCK, SIDE * (SIDE + 1), SIDE * rank // 4

    def spread(
        codes, factors, reach, rows, start, length, pixels, channels, terms, image,
        channel, before, width, pad,
    ):  # fmt: skip
        staged = cuda.shared.array(cells, np.uint16)
        thread = np.int32(cuda.threadIdx.x)
        top = np.int32(cuda.blockIdx.x * SIDE)
        left = np.int32(cuda.blockIdx.y * SIDE)
        for cell in range(thread, SIDE * SIDE, threads):
            # Neighbouring threads read neighbouring addresses.
            j = quotient(cell, SIDE)
            i = np.int32(cell - j * SIDE)
            if channel == 1:
                i, j = j, i
            k = np.int32(left + j)
            code = np.int32(PAST)
            if k < terms:
                m = np.int32(min(start + top + i, length - 1))
                code = read_code(
                    codes, reach, m, k, pixels, channels, before, image, channel, pad
                )
            staged[i * (SIDE + 1) + j] = np.uint16(code)
        cuda.syncthreads()
        for cell in range(thread, SIDE * words, threads):
            i = quotient(cell, words)
            word = np.int32(cell - i * words)
            at = np.int32(left * rank + 4 * word)
            if start + top + i < length and at < width:
                four = np.uint32(0)
                for byte in range(4):
                    element = np.int32(4 * word + byte)
                    j = quotient(element, rank)
                    code = np.int32(staged[i * (SIDE + 1) + j])
                    factor = np.uint32(factors[code * rank + (element - j * rank)])
                    four = np.uint32(four | np.uint32(factor << (8 * byte)))
                rows[(np.int64(top + i) * width + at) >> 2] = four

    return Kernel(
        name="spread",
        function=spread,
        arguments=("uint8*", "uint8*", "int32*", "uint32*", *["int32"] * 10),
        constants=(rank,),
        threads=threads,
    )


@functools.cache
def collect_kernel() -> Kernel:
    """The kernel that adds the parts of a sum that int8 products leave out."""
    threads = FULL_BLOCK

    def collect(
        raw, constant, scales, sums, start, length, pixels, outputs, extras, width,
        first, image_step, output_step, pixel_step,
    ):  # fmt: skip
        row = np.int32(cuda.blockIdx.x * threads + cuda.threadIdx.x)
        m = np.int32(start + row)
        if m < length:
            n = quotient(m, pixels)
            where = np.int64(np.int64(n) * image_step + (m - n * pixels) * pixel_step)
            begin = np.int64(np.int64(row) * width)
            rest = np.int64(0)
            for extra in range(extras):
                part = np.int64(raw[begin + outputs + extra])
                rest = np.int64(rest + part * np.int64(scales[extra]))
            for j in range(8):
                output = np.int32(cuda.blockIdx.y * 8 + j)
                if output < outputs:
                    total = np.int64(np.int64(raw[begin + output]) + rest)
                    total = np.int64(total + constant[first + output])
                    at = np.int64(np.int64(first + output) * output_step + where)
                    deliver(sums, at, np.int32(total), True)

    return Kernel(
        name="collect",
        function=collect,
        arguments=("int32*", "int64*", "int32*", "int32*", *["int32"] * 10),
        constants=(),
        threads=threads,
    )


def spread(
    product: Product,
    codes: torch.Tensor,
    factors: torch.Tensor,
    group: int,
    start: int,
    stop: int,
    rows: torch.Tensor,
) -> None:
    """Writes the factors of rows `start` to `stop` of a group's codes.

    Args:
        product: says where codes lie.
        codes: of the product, or of a slice of its images.
        factors: int8[258, rank], for every code, a skipped tap, and past the end.
        rows: int8[at least stop - start, width], width a multiple of 4; past the last
            term it receives zeros.
    """
    chosen = spread_kernel(factors.shape[1])
    grid = (tiles(stop - start, SIDE), tiles(rows.shape[1], SIDE * factors.shape[1]))
    launch(
        chosen, grid, codes, factors, product.reach, rows, start, stop, product.pixels,
        product.channels, product.terms, product.image, product.channel,
        group * product.channels, rows.shape[1], product.pad,
    )  # fmt: skip


def collect(
    product: Product,
    raw: torch.Tensor,
    constant: torch.Tensor,
    scales: torch.Tensor,
    group: int,
    start: int,
    stop: int,
) -> None:
    """Stores the sums of rows `start` to `stop` of a group.

    Args:
        raw: int32, a row for each row of codes: a column for each output, then one for
            each scale.
        constant: int64[groups * outputs], added to every sum of its output.
        scales: int32, what the last columns are multiplied with before they are added.
    """
    launch(
        collect_kernel(),
        (tiles(stop - start, FULL_BLOCK), tiles(product.outputs, 8)), raw, constant,
        scales, product.sums, start, stop, product.pixels, product.outputs, len(scales),
        raw.shape[1], group * product.outputs, *product.steps,
    )  # fmt: skip
