# pyright: basic
"""From real numbers to codes in one pass, laid out as the kernels read them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numba import uint8

from ..errors import BackendError, OperandError
from .inlined import quotient
from .intrinsics import cuda, inlined, round_product
from .kernel import FULL_BLOCK, SIMULATED, Kernel
from .launch import launch
from .layout import tiles

SIDE = 8 if SIMULATED else 32
EACH = 4


@inlined
def code_of(real, factor, origin, low, high):
    """One real number as a raw code; NaN becomes `low`."""
    level = np.float32(round_product(real, factor) + origin)
    code = np.float32(low)
    if level > code:
        code = level
    if code > np.float32(high):
        code = np.float32(high)
    return np.uint8(np.int32(code) & 255)


@functools.cache
def kernel(transposed: bool) -> Kernel:
    """The kernel for rows by columns of float32, written by row or by column."""
    return Kernel(
        name="quantise",
        function=_by_column() if transposed else _by_row(),
        arguments=("float32*", "float32*", "int32*", "uint8*", *["int32"] * 4),
        constants=(transposed,),
        threads=FULL_BLOCK,
    )


def _by_row() -> Any:
    threads = FULL_BLOCK

    def by_row(reals, inverse, zero, codes, rows, columns, low, high):
        factor, origin = inverse[0], np.float32(zero[0])
        block = np.int64(cuda.blockIdx.x)
        first = np.int64(block * (EACH * threads) + cuda.threadIdx.x)
        for each in range(EACH):
            at = np.int64(first + each * threads)
            if at < np.int64(rows) * columns:
                codes[at] = code_of(reals[at], factor, origin, low, high)

    return by_row


def _by_column() -> Any:
    threads, cells = FULL_BLOCK, SIDE * (SIDE + 1)

    def by_column(reals, inverse, zero, codes, rows, columns, low, high):
        staged = cuda.shared.array(cells, uint8)
        factor, origin = inverse[0], np.float32(zero[0])
        thread = np.int32(cuda.threadIdx.x)
        across = quotient(columns + SIDE - 1, SIDE)
        down = quotient(cuda.blockIdx.x, across)
        top = np.int32(down * SIDE)
        left = np.int32((cuda.blockIdx.x - down * across) * SIDE)
        for cell in range(thread, SIDE * SIDE, threads):
            i = quotient(cell, SIDE)
            j = np.int32(cell - i * SIDE)
            if top + i < rows and left + j < columns:
                at = np.int64(np.int64(top + i) * columns + (left + j))
                code = code_of(reals[at], factor, origin, low, high)
                staged[np.uint32(i * (SIDE + 1) + j)] = code
        cuda.syncthreads()
        for cell in range(thread, SIDE * SIDE, threads):
            j = quotient(cell, SIDE)
            i = np.int32(cell - j * SIDE)
            if top + i < rows and left + j < columns:
                at = np.int64(np.int64(left + j) * rows + (top + i))
                codes[at] = staged[np.uint32(i * (SIDE + 1) + j)]

    return by_column


def quantise(
    x: torch.Tensor,
    inverse_scale: torch.Tensor,
    zero_point: torch.Tensor,
    quant_min: int,
    quant_max: int,
    *,
    transposed: bool = False,
) -> torch.Tensor:
    """`clamp(round(x * inverse_scale) + zero_point)` as raw codes, ties to even.

    The product is rounded to float32 before it is rounded to a whole number, as on the
    CPU; NaN becomes `quant_min`.

    Args:
        x: float32, on the GPU.
        inverse_scale: float32[1], beside `x`: nothing waits for its value.
        zero_point: int32[1], beside `x`.
        quant_min, quant_max: range of the codes, within -128 to 255.
        transposed: for a matrix, whether its columns lie one after the other in
            memory, as `lut_matmul` reads its first operand.

    Returns:
        uint8 codes of the shape of `x`, two's complement where negative.

    Raises:
        BackendError: for tensors off the GPU.
        OperandError: for other dtypes, or a transposed tensor that is no matrix.
    """
    _check(x, inverse_scale, zero_point, transposed)
    reals = x.detach().contiguous()
    rows, columns = x.shape if transposed else (1, x.numel())
    codes = torch.empty(
        (columns, rows) if transposed else x.shape, dtype=torch.uint8, device=x.device
    )
    if codes.numel():
        chosen = kernel(transposed)
        blocks = (
            tiles(rows, SIDE) * tiles(columns, SIDE)
            if transposed
            else tiles(columns, EACH * chosen.threads)
        )
        launch(
            chosen, (blocks, 1), reals, inverse_scale, zero_point, codes, rows, columns,
            quant_min, quant_max,
        )  # fmt: skip
    return codes.t() if transposed else codes


def _check(
    x: torch.Tensor,
    inverse_scale: torch.Tensor,
    zero_point: torch.Tensor,
    transposed: bool,
) -> None:
    if not SIMULATED and not (x.is_cuda and x.device == inverse_scale.device):
        raise BackendError(
            f"x is on {str(x.device)!r} and inverse_scale on "
            f"{str(inverse_scale.device)!r}; both must be on one CUDA device."
        )
    dtypes = (x.dtype, inverse_scale.dtype, zero_point.dtype)
    if dtypes != (torch.float32, torch.float32, torch.int32):
        raise OperandError(
            f"x, inverse_scale and zero_point are {dtypes}; they must be float32, "
            "float32 and int32."
        )
    if transposed and x.ndim != 2:
        raise OperandError(
            f"transposed=True needs a matrix; x has shape {tuple(x.shape)}."
        )
