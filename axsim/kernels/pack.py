"""Real numbers to codes of a few bits packed in words, and back, in one pass each.

    code  = min(max(round((x - low) / step) + zero, 0), 2^bits - 1)
    value = (code - zero + centre) * step + low

Blocks of 256 elements are coded one by one. Either every block has its own range
(`low` its minimum, `step` its range over 2^bits - 1, both rounded outwards to bfloat16
before they are used), or every row has a step and a zero (`low` is 0). All arithmetic
is float32, each operation rounded by itself, so that every device makes the same bytes.
"""

from __future__ import annotations

from math import prod
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import BackendError, OperandError
from . import blocks, gpu
from .blocks import BLOCK, UNIT
from .pool import over_ranges
from .reals import Rows

# Whole numbers up to here are exact in float32.
MAX_BITS = 24
# Nanoseconds an element takes, roughly.
PACK_TIME, UNPACK_TIME, MEASURE_TIME = 0.7, 0.4, 0.2

Rounding = Literal["stochastic", "nearest", "above"]


class Words(NamedTuple):
    """Packed codes and what went into them.

    Args:
        words: int32, bits * ceil(n / 32) of them for a row of n elements.
        ranges: bfloat16[blocks, 2], low and step of every block; empty where rows have
            steps of their own.
        nonfinite: how many blocks hold NaN or an infinity, or a range that float32
            does not hold; their codes mean nothing. On a GPU, counting waits for it.
    """

    words: Tensor
    ranges: Tensor
    nonfinite: int


def rows_of(x: Tensor, dim: int | None = None) -> Rows:
    """How a dense tensor splits into rows along a dimension, or into one row.

    Example:
        >>> rows_of(torch.zeros(2, 3, 4, 5), dim=1)
        Rows(count=3, run=20, runs=2)
    """
    if dim is None or not x.numel():
        return Rows(1, x.numel(), 1)
    inner = (d for d in range(x.dim()) if d != dim and x.stride(d) < x.stride(dim))
    run = prod(x.shape[d] for d in inner)
    return Rows(x.shape[dim], run, x.numel() // (x.shape[dim] * run))


def blocks_of(rows: Rows) -> int:
    """How many blocks the rows have, each row its own."""
    return rows.count * -(-rows.run * rows.runs // BLOCK)


def pack(
    x: Tensor,
    bits: int | Tensor,
    rows: Rows,
    *,
    rounding: Rounding,
    key: int = 0,
    inverse: Tensor | None = None,
    zero: Tensor | None = None,
) -> Words:
    """Codes of a dense tensor, packed.

    Args:
        x: float32, float16, bfloat16, uint8 or bool, without gaps in memory, on the
            CPU or a CUDA device, where the same words are made.
        bits: width of a code, 1 to 24, or uint8[rows] with one for each row.
        rows: of `x`, from `rows_of`.
        rounding: "stochastic" up with the chance of the part cut off, "nearest" with
            ties to even, or "above", which is ceil(v) - 1: above `zero` exactly where
            the value is positive.
        key: of the random stream, below 2^64.
        inverse: float32[rows], 1 / step of each row; without it every block has its
            own range.
        zero: float32[rows], whole numbers: the code of 0.

    Raises:
        OperandError: for other types, layouts or widths.
        BackendError: for other devices, or where kernels cannot run on one.

    Example:
        >>> x = torch.tensor([0.0, 1.0, 4.0])
        >>> packed = pack(x, 8, rows_of(x), rounding="nearest")
        >>> packed.words.numel(), packed.ranges
        (8, tensor([[0.0000, 0.0157]], dtype=torch.bfloat16))
    """
    bits, mode = _checked(bits), get_args(Rounding).index(rounding)
    if x.is_cuda:
        words, ranges, nonfinite = gpu.room("pack").encode(
            *elements_of(x), bits, rows, mode, key, inverse, zero
        )
        return Words(words, ranges, int(nonfinite))
    memory = memory_of(x)
    starts = _starts(rows, bits)
    words = torch.empty(int(starts[-1]), dtype=torch.int32)
    total = blocks_of(rows)
    ranges = torch.empty(0 if inverse is not None else total, 2, dtype=torch.bfloat16)
    given = _given(rows, inverse, zero)
    wrong = np.zeros(1, np.int64)
    _encode(
        total, x.numel() * PACK_TIME, memory, rows, starts,
        words.numpy().view(np.uint32), ranges.view(torch.int16).numpy(), *given, mode,
        np.uint64(key), wrong,
    )  # fmt: skip
    return Words(words, ranges, int(wrong[0]))


def unpack(
    words: Tensor,
    bits: int | Tensor,
    rows: Rows,
    out: Tensor,
    *,
    ranges: Tensor | None = None,
    step: Tensor | None = None,
    zero: Tensor | None = None,
) -> Tensor:
    """Writes the values of packed codes into a dense tensor, and returns it.

    Args:
        words: from `pack`.
        bits, rows: as `pack` took them.
        out: of a type that `pack` takes.
        ranges: from `pack`, where blocks have ranges of their own.
        step: float32[rows], where codes were packed with `inverse`.
        zero: float32[rows], the code of 0; less a half, codes stand for the middle of
            what rounding "above" sends to them.

    Example:
        >>> x = torch.tensor([0.0, 1.0, 4.0])
        >>> words, ranges, _ = pack(x, 8, rows_of(x), rounding="nearest")
        >>> out = unpack(words, 8, rows_of(x), torch.empty(3), ranges=ranges)
        >>> out.round(decimals=1)
        tensor([0., 1., 4.])
    """
    bits = _checked(bits)
    if out.is_cuda:
        gpu.room("pack").decode(
            words, *elements_of(out), bits, rows, ranges, step, zero
        )
        return out
    memory, starts = memory_of(out), _starts(rows, bits)
    coded = words.numpy().view(np.uint32)
    own = torch.empty(0, 2, dtype=torch.bfloat16) if ranges is None else ranges
    spans = own.view(torch.int16).numpy()
    given = _given(rows, step, zero)
    _decode(
        blocks_of(rows), out.numel() * UNPACK_TIME, memory, rows, starts, coded, spans,
        *given,
    )  # fmt: skip
    return out


def pack_codes(codes: Tensor, bits: int) -> Tensor:
    """The words of whole numbers below 2^bits, in the order of memory.

    Example:
        >>> pack_codes(torch.tensor([3, 1, 2], dtype=torch.uint8), 2)
        tensor([11,  1], dtype=torch.int32)
    """
    rows, one = rows_of(codes), torch.ones(1, device=codes.device)
    return pack(codes, bits, rows, rounding="nearest", inverse=one).words


def unpack_codes(words: Tensor, bits: int, out: Tensor) -> Tensor:
    """Writes packed whole numbers into a dense tensor, and returns it."""
    one = torch.ones(1, device=out.device)
    return unpack(words, bits, rows_of(out), out, step=one)


def block_extremes(x: Tensor, rows: Rows) -> Tensor:
    """float32[rows, blocks of a row, 2]: smallest and largest value of every block.

    Example:
        >>> x = torch.tensor([[1.0, 3.0], [0.0, 5.0]])
        >>> block_extremes(x, rows_of(x, dim=0)).flatten(1)
        tensor([[1., 3.],
                [0., 5.]])
    """
    shape = rows.count, blocks_of(rows) // max(rows.count, 1), 2
    if x.is_cuda:
        return gpu.room("pack").measure(*elements_of(x), rows).view(shape)
    memory, extremes = memory_of(x), torch.empty(shape)
    found = extremes.view(-1, 2).numpy()
    _measure(blocks_of(rows), x.numel() * MEASURE_TIME, memory, rows, found)
    return extremes


# How a kernel knows the type of 16 bits: float16 as unsigned, bfloat16 as signed.
_CARRIERS = {
    torch.float32: (torch.float32, "float32"),
    torch.float16: (torch.int16, "uint16"),
    torch.bfloat16: (torch.int16, "int16"),
    torch.uint8: (torch.uint8, "uint8"),
    torch.bool: (torch.uint8, "uint8"),
}


def memory_of(x: Tensor) -> Any:
    """The elements of a dense tensor in the order of memory, as the kernels read them.

    Raises:
        OperandError: for other types, or gaps in memory.
        BackendError: for tensors that are not in the memory of the CPU.
    """
    if x.device.type != "cpu":
        raise BackendError(
            f"device {str(x.device)!r}; codes are packed on the CPU or a CUDA device, "
            "where the tensor lies. Use x.cpu()."
        )
    flat, kind = elements_of(x)
    return flat.numpy().view(kind)


def elements_of(x: Tensor) -> tuple[Tensor, str]:
    """The elements of a dense tensor in the order of memory, and a word for their type.

    Raises:
        OperandError: for other types, or gaps in memory.
    """
    if x.dtype not in _CARRIERS:
        raise OperandError(
            f"{x.dtype} elements; codes are packed from float32, float16, "
            "bfloat16, uint8 or bool. Convert with x.float()."
        )
    order = sorted(range(x.dim()), key=x.stride, reverse=True)
    flat = x.detach().permute(order)
    if not flat.is_contiguous():
        raise OperandError(
            f"strides {x.stride()} of shape {tuple(x.shape)} leave gaps in memory; "
            "use x.contiguous()."
        )
    carrier, kind = _CARRIERS[x.dtype]
    return flat.view(-1).view(carrier), kind


def _checked(bits: int | Tensor) -> int | Tensor:
    """The widths, on the CPU."""
    if isinstance(bits, int):
        widths = [bits]
    else:
        bits = bits.cpu()
        widths = bits.unique().tolist()
    if widths and not 1 <= min(widths) <= max(widths) <= MAX_BITS:
        raise OperandError(f"bits={widths}; a packed code has 1 to {MAX_BITS}.")
    return bits


def _starts(rows: Rows, bits: int | Tensor) -> Any:
    """int64[blocks + 1]: the word where each block begins, and the end."""
    length = rows.run * rows.runs
    units = np.full(-(-length // BLOCK), BLOCK // UNIT)
    if length % BLOCK:
        units[-1] = -(-(length % BLOCK) // UNIT)
    widths = np.full(rows.count, bits) if isinstance(bits, int) else bits.numpy()
    sizes = np.multiply.outer(widths.astype(np.int64), units).reshape(-1)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def _given(rows: Rows, factor: Tensor | None, zero: Tensor | None) -> tuple[Any, Any]:
    """Factors and zeros of the rows as arrays; empty where blocks have ranges."""
    if factor is None:
        return np.empty(0, "float32"), np.empty(0, np.float32)
    zeros = torch.zeros(rows.count) if zero is None else zero
    each = [t.expand(rows.count).contiguous().numpy() for t in (factor, zeros)]
    return each[0], each[1]


_encode, _decode = over_ranges(blocks.encode), over_ranges(blocks.decode)
_measure = over_ranges(blocks.measure)
