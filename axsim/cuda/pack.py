# pyright: basic
"""Real numbers to codes of a few bits packed in words, and back: the CPU's bytes.

One block of threads works on one block of 256 elements. Every operation of float32 is
rounded by itself, and extremes are found among integers, which are the same in any
order; so every device makes the same codes.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numba import float32, int32, uint32
from torch import Tensor

from .blocks import BLOCK, blocks_of, part_of, place_of, row_of, runs_before
from .devices import check_devices
from .inlined import quotient
from .intrinsics import cuda, deliver, inlined
from .kernel import SIMULATED, Kernel
from .launch import launch
from .noise import mixed, noise_of, stirred
from .reals import (
    bits_of,
    ceil_of,
    even_of,
    floor_of,
    load_real,
    product,
    ratio,
    real_of,
    store_real,
    wrapping,
)

UNIT = 32
THREADS = 8 if SIMULATED else 64
STOCHASTIC, NEAREST, POSITIVE = 0, 1, 3
ZERO, ONE = np.float32(0), np.float32(1)
# Its reciprocal is finite, so that a block of one value has a step.
SMALLEST_STEP = np.float32(2.0**-126)
RESOLUTION = np.float32(65536)
INFINITY, MAGNITUDE = np.int32(0x7F800000), np.int32(0x7FFFFFFF)
# A bfloat16 whose sum with anything is itself.
NOT_A_NUMBER = np.int16(0x7FC0)
# Bits that bfloat16 has not.
REST = np.int32(0xFFFF)
ROWS = ("int64", "int64", "int64")

# How many rows, elements side by side of a row, and such runs of a row.
Shape = tuple[int, int, int]


@inlined
def swapped(bits):
    """Bits of a float as an integer that orders as the floats do, and back."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & MAGNITUDE))


@inlined
def gather(reals, lows, highs, x, part, row, count, run, runs, length, positive):
    """A block's elements and its extremes, as integers in the first of each.

    Where only positive numbers count, NaN is one; without any, both are 0.
    """
    thread = np.int32(cuda.threadIdx.x)
    done = runs_before(part, run, runs)
    low, high = MAGNITUDE, np.int32(-MAGNITUDE - 1)
    if positive:
        high = np.int32(0)
    for i in range(thread, length, THREADS):
        real = load_real(x, place_of(i, part, done, row, count, run))
        reals[i] = real
        bits = bits_of(real)
        order = swapped(bits)
        if positive:
            order = np.int32(bits & MAGNITUDE)
        if not positive or bits > 0 or order > INFINITY:
            low, high = np.int32(min(low, order)), np.int32(max(high, order))
    lows[thread], highs[thread] = low, high
    cuda.syncthreads()
    step = np.int32(THREADS // 2)
    while step > 0:
        if thread < step:
            lows[thread] = np.int32(min(lows[thread], lows[thread + step]))
            highs[thread] = np.int32(max(highs[thread], highs[thread + step]))
        cuda.syncthreads()
        step = np.int32(step >> 1)


@inlined
def is_finite(x):
    """Whether a float32 is neither NaN nor an infinity."""
    return (bits_of(x) & MAGNITUDE) < INFINITY


@inlined
@wrapping
def lower(low):
    """The next bfloat16 not above: cutting bits off raises a negative number."""
    bits = bits_of(low)
    carry = np.int32(0)
    if bits < 0:
        carry = REST
    return real_of(np.int32(np.int32(bits + carry) & np.int32(~REST)))


@inlined
@wrapping
def step_of(low, high, top):
    """The step, in bfloat16, with which codes 0 … top span a range."""
    step = ratio(np.float32(high - low), top)
    if step < SMALLEST_STEP:
        step = SMALLEST_STEP
    return real_of(np.int32(np.int32(bits_of(step) + REST) & np.int32(~REST)))


@inlined
@wrapping
def level_of(real, low, scale, noise, rounding):
    """Whole steps above low, as a float."""
    level = product(np.float32(real - low), scale)
    if rounding == STOCHASTIC or rounding == POSITIVE:
        floor = floor_of(level)
        # The part cut off is the chance to round up; 0 never does.
        level = np.float32(level - floor)
        if noise < product(level, RESOLUTION):
            floor = np.float32(floor + ONE)
        level = floor
        if rounding == POSITIVE:
            level = np.float32(level + ONE)
            if real <= ZERO:
                level = ZERO
    elif rounding == NEAREST:
        level = even_of(level)
    else:
        level = np.float32(ceil_of(level) - ONE)
    return level


@inlined
@wrapping
def clamped(level, origin, top):
    """The code of a level; NaN becomes 0."""
    level = np.float32(level + origin)
    code = ZERO
    if level > ZERO:
        code = level
    if code > top:
        code = top
    return np.uint32(np.int32(code))


@inlined
@wrapping
def value_of(code, origin, step, low):
    """What a code stands for."""
    return np.float32(product(np.float32(code - origin), step) + low)


@inlined
def write_codes(codes, reals, length, low, scale, origin, top, keys, rounding):
    """The codes of a block, zeros behind them."""
    for i in range(np.int32(cuda.threadIdx.x), BLOCK // 2, THREADS):
        stir = stirred(keys, i)
        for half in range(2):
            at = np.int32(i + half * (BLOCK // 2))
            code = np.uint32(0)
            if at < length:
                noise = noise_of(stir & np.uint32(0xFFFF))
                level = level_of(reals[at], low, scale, noise, rounding)
                code = clamped(level, origin, top)
            codes[at] = code
            stir = np.uint32(stir >> np.uint32(16))
    cuda.syncthreads()


@inlined
def join(words, begin, codes, width, units):
    """Writes a block's words: those fields of 16, 8, 4, 2 and 1 bits that add up."""
    thread = np.int32(cuda.threadIdx.x)
    at, low, field = np.int64(begin), np.uint32(0), np.int32(16)
    while field > 0:
        if width & field:
            count = np.int32(field * units)
            mask = np.uint32((np.int64(1) << field) - 1)
            for w in range(thread, count, THREADS):
                word, shift = np.uint32(0), np.uint32(0)
                for i in range(w, UNIT * units, count):
                    part = np.uint32((codes[i] >> low) & mask)
                    word = np.uint32(word | np.uint32(part << shift))
                    shift = np.uint32(shift + np.uint32(field))
                words[at + w] = word
            at, low = np.int64(at + count), np.uint32(low + np.uint32(field))
        field = np.int32(field >> 1)


@inlined
def split(words, begin, i, width, units):
    """Code i of a block."""
    high = quotient(i, units)
    rest = np.int32(i - high * units)
    code, at, low = np.uint32(0), np.int64(begin), np.uint32(0)
    field, log = np.int32(16), np.int32(4)
    while field > 0:
        if width & field:
            word = words[at + np.int32((high & (field - 1)) * units + rest)]
            shift = np.uint32((high >> log) * field)
            mask = np.uint32((np.int64(1) << field) - 1)
            part = np.uint32(np.uint32(word >> shift) & mask)
            code = np.uint32(code | np.uint32(part << low))
            at = np.int64(at + field * units)
            low = np.uint32(low + np.uint32(field))
        field, log = np.int32(field >> 1), np.int32(log - 1)
    return code


def _encode(
    x, words, ranges, inverse, zero, begins, widths, wrong, count, run, runs,
    own, rounding, key_low, key_high,
):  # fmt: skip
    reals = cuda.shared.array(BLOCK, float32)
    codes = cuda.shared.array(BLOCK, uint32)
    lows = cuda.shared.array(THREADS, int32)
    highs = cuda.shared.array(THREADS, int32)
    thread, task = np.int32(cuda.threadIdx.x), np.int32(cuda.blockIdx.x)
    each = blocks_of(run, runs)
    row, part = row_of(task, count, run, each), part_of(task, count, run, each)
    length = np.int32(min(BLOCK, run * runs - np.int64(part) * BLOCK))
    positive = np.int32(rounding == POSITIVE)
    gather(reals, lows, highs, x, part, row, count, run, runs, length, positive)
    first = lows[0]
    if positive:
        first = np.int32(min(first, highs[0]))
    # -0 becomes 0.
    low = np.float32(real_of(swapped(first)) + ZERO)
    high = real_of(swapped(highs[0]))
    width = np.int32(widths[row])
    top = np.float32((np.int64(1) << width) - 1)
    block = np.int64(row * each + part)
    fits, scale, origin = is_finite(low) and is_finite(high), ONE, ZERO
    if own:
        low = lower(low)
        span = top
        if positive:
            span = np.float32(top - ONE)
        step = step_of(low, high, span)
        scale = ratio(ONE, step)
        last = value_of(span, ZERO, step, low)
        fits = is_finite(low) and is_finite(high) and is_finite(last)
        if thread == 0:
            ranges[2 * block] = np.int16(bits_of(low) >> np.int32(16))
            if not fits:
                ranges[2 * block] = NOT_A_NUMBER
            ranges[2 * block + 1] = np.int16(bits_of(step) >> np.int32(16))
    else:
        low, scale, origin = ZERO, inverse[row], zero[row]
    if thread == 0 and not fits:
        deliver(wrong, 0, 1, False)
    keys = mixed(key_low, key_high, block)
    write_codes(codes, reals, length, low, scale, origin, top, keys, rounding)
    units = quotient(length + (UNIT - 1), UNIT)
    begin = np.int64(begins[row] + np.int64(part) * (BLOCK // UNIT) * width)
    join(words, begin, codes, width, units)


def _decode(
    x, words, ranges, size, zero, begins, widths, count, run, runs, own, positive
):
    task = np.int32(cuda.blockIdx.x)
    each = blocks_of(run, runs)
    row, part = row_of(task, count, run, each), part_of(task, count, run, each)
    length = np.int32(min(BLOCK, run * runs - np.int64(part) * BLOCK))
    done = runs_before(part, run, runs)
    width, units = np.int32(widths[row]), quotient(length + (UNIT - 1), UNIT)
    low, step, origin = ZERO, ONE, ZERO
    if positive:
        origin = ONE
    if own:
        block = np.int64(row * each + part)
        low = real_of(np.int32(np.int32(ranges[2 * block]) << np.int32(16)))
        step = real_of(np.int32(np.int32(ranges[2 * block + 1]) << np.int32(16)))
    else:
        step, origin = size[row], zero[row]
    begin = np.int64(begins[row] + np.int64(part) * (BLOCK // UNIT) * width)
    for i in range(np.int32(cuda.threadIdx.x), length, THREADS):
        code = np.float32(np.int32(split(words, begin, i, width, units)))
        place = place_of(i, part, done, row, count, run)
        value = value_of(code, origin, step, low)
        if positive and code == ZERO:
            # 0, unless the block was not finite.
            value = np.float32(low - low)
        store_real(x, place, value)


def _measure(x, found, count, run, runs):
    reals = cuda.shared.array(BLOCK, float32)
    lows = cuda.shared.array(THREADS, int32)
    highs = cuda.shared.array(THREADS, int32)
    task = np.int32(cuda.blockIdx.x)
    each = blocks_of(run, runs)
    row, part = row_of(task, count, run, each), part_of(task, count, run, each)
    length = np.int32(min(BLOCK, run * runs - np.int64(part) * BLOCK))
    gather(reals, lows, highs, x, part, row, count, run, runs, length, np.int32(0))
    if cuda.threadIdx.x == 0:
        block = np.int64(row * each + part)
        found[2 * block] = np.float32(real_of(swapped(lows[0])) + ZERO)
        found[2 * block + 1] = real_of(swapped(highs[0]))


@functools.cache
def encode_kernel(kind: str) -> Kernel:
    """The kernel that packs elements of a type; see `encode`."""
    given = ("float32*", "float32*", "int64*", "uint8*", "int32*")
    settings = ("int32", "int32", "uint32", "uint32")
    arguments = (f"{kind}*", "uint32*", "int16*", *given, *ROWS, *settings)
    return Kernel("encode", _encode, arguments, (kind,), THREADS)


@functools.cache
def decode_kernel(kind: str) -> Kernel:
    """The kernel that unpacks into elements of a type; see `decode`."""
    given = ("float32*", "float32*", "int64*", "uint8*")
    flags = ("int32", "int32")
    arguments = (f"{kind}*", "uint32*", "int16*", *given, *ROWS, *flags)
    return Kernel("decode", _decode, arguments, (kind,), THREADS)


@functools.cache
def measure_kernel(kind: str) -> Kernel:
    """The kernel that finds the extremes of blocks; see `measure`."""
    return Kernel(
        "measure", _measure, (f"{kind}*", "float32*", *ROWS), (kind,), THREADS
    )


def encode(
    x: Tensor,
    kind: str,
    bits: int | Tensor,
    rows: Shape,
    rounding: int,
    key: int,
    factor: Tensor | None,
    zero: Tensor | None,
    total: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes of all elements in the order of memory.

    Args:
        x: one dimension, on the GPU; 16-bit types viewed as int16.
        kind: "float32", "uint16" for float16, "int16" for bfloat16, or "uint8".
        bits: 1 to 24, or uint8[rows].
        rows: their count, run and runs.
        rounding: 0 stochastic, 1 to nearest, 2 above, 3 stochastic above 0.
        key: of the random stream, below 2^64.
        factor, zero: float32 of each row, 1 / step and code of 0; or None and None.
        total: of the bits of all rows; finding it out waits for a GPU they are on.

    Returns:
        int32 words, bfloat16[blocks, 2] ranges, and int32[1], on the GPU, with the
        number of blocks that are not finite.
    """
    begins, widths, ends = _places(bits, rows, x.device)
    units = -(-rows[1] * rows[2] // UNIT)
    if isinstance(bits, int):
        total = bits * rows[0]
    size = int(ends[-1]) if total is None else total * units
    blocks = count_blocks(rows)
    words = torch.empty(size, dtype=torch.int32, device=x.device)
    ranges = torch.empty(
        0 if factor is not None else blocks, 2, dtype=torch.bfloat16, device=x.device
    )
    wrong = torch.zeros(1, dtype=torch.int32, device=x.device)
    if blocks:
        launch(
            encode_kernel(kind), (blocks, 1), x, words, ranges.view(torch.int16),
            *_given(factor, zero, rows, x), begins, widths, wrong, *rows,
            int(factor is None), rounding, key & 0xFFFFFFFF, key >> 32,
        )  # fmt: skip
    return words, ranges, wrong


def decode(
    words: Tensor,
    out: Tensor,
    kind: str,
    bits: int | Tensor,
    rows: Shape,
    ranges: Tensor | None,
    step: Tensor | None,
    zero: Tensor | None,
    positive: bool = False,
) -> None:
    """Writes the values of codes in the order of memory; the arguments of `encode`.

    Args:
        out: written; as the `x` of `encode`.
        ranges: what `encode` returned where it was given no factor.
        step, zero: float32 of each row, value of a code and code of 0.
        positive: whether rounding was 3.

    Raises:
        BackendError: where words or ranges are not beside `out`.
    """
    begins, widths, _ = _places(bits, rows, out.device)
    own = out.new_empty(0, dtype=torch.int16)
    if ranges is not None and step is None:
        own = ranges.contiguous().view(torch.int16)
    check_devices({"words": words, "ranges": own, "out": out})
    if count_blocks(rows):
        launch(
            decode_kernel(kind), (count_blocks(rows), 1), out, words.contiguous(), own,
            *_given(step, zero, rows, out), begins, widths, *rows, int(step is None),
            int(positive),
        )  # fmt: skip


def measure(x: Tensor, kind: str, rows: Shape) -> Tensor:
    """float32[blocks, 2]: the extremes of every block; the arguments of `encode`."""
    found = torch.empty(count_blocks(rows), 2, device=x.device)
    if len(found):
        launch(measure_kernel(kind), (len(found), 1), x, found, *rows)
    return found


def count_blocks(rows: Shape) -> int:
    """How many blocks the rows have, each row its own."""
    count, run, runs = rows
    return count * -(-run * runs // BLOCK)


def _places(
    bits: int | Tensor, rows: Shape, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Where the words of each row begin, its width, and where they end."""
    count, run, runs = rows
    units = -(-run * runs // UNIT)
    if isinstance(bits, int):
        ends = torch.arange(1, count + 1, device=device) * (bits * units)
        widths = torch.full((count,), bits, dtype=torch.uint8, device=device)
        return ends - bits * units, widths, ends
    sizes = bits.long() * units
    ends = sizes.cumsum(0)
    return (ends - sizes).to(device), bits.to(device), ends


def _given(
    factor: Tensor | None, zero: Tensor | None, rows: Shape, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Factors and zeros of the rows beside x; empty where blocks have ranges."""
    if factor is None:
        none = torch.empty(0, device=x.device)
        return none, none
    zeros = torch.zeros(1, device=x.device) if zero is None else zero
    factors, zeros = (
        t.to(x.device, torch.float32).expand(rows[0]).contiguous()
        for t in (factor, zeros)
    )
    return factors, zeros
