"""Blocks of 256 real numbers: their range, their codes, and both ways between them."""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np

from . import fields
from .compiled import allocating, compiled
from .noise import draw
from .reals import Rows, bits_of, gather, real_of, scatter
from .stages import count_up

BLOCK = 256
# Elements that share a word for every bit of a code.
UNIT = 32
STOCHASTIC, NEAREST, ABOVE, POSITIVE = range(4)

ZERO, ONE = np.float32(0), np.float32(1)
# Its reciprocal is finite, so that a block of one value has a step.
SMALLEST_STEP = np.float32(2.0**-126)
INFINITY = np.int32(0x7F800000)
MAGNITUDE = np.int32(0x7FFFFFFF)
# A bfloat16 whose sum with anything is itself.
NOT_A_NUMBER = np.int16(0x7FC0)
RESOLUTION = np.float32(65536)


@allocating
def encode(
    start: int, stop: int, x: Any, rows: Rows, starts: Any, words: Any, ranges: Any,
    inverse: Any, zero: Any, rounding: int, key: Any, wrong: Any,
) -> None:  # fmt: skip
    """Codes blocks start … stop - 1.

    Args:
        x: all elements in the order of memory.
        starts: where each block's words begin, and the end of the last.
        words: uint32, written.
        ranges: int16[blocks, 2], written; empty where rows have steps.
        inverse, zero: float32, 1 / step and code of 0 for each row; else empty.
        key: uint64 of the random stream.
        wrong: int64[1], to which blocks that are not finite are added.
    """
    block, noise = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    bits, codes = block.view(np.int32), np.empty(BLOCK, np.uint32)
    found = 0
    for task in range(start, stop):
        b, row, first, count = _place(task, rows)
        gather(x, rows, row, first, block)
        low, high = positive_extremes(bits) if rounding == POSITIVE else extremes(bits)
        target = words[starts[b] : starts[b + 1]]
        width = target.size // ((count + UNIT - 1) // UNIT)
        top = np.float32((1 << width) - 1)
        if ranges.size:
            span = top - ONE if rounding == POSITIVE else top
            low, step, fits = outer_range(low, high, span)
            ranges[b, 0] = upper_half(low) if fits else NOT_A_NUMBER
            ranges[b, 1] = upper_half(step)
            scale, origin = ONE / step, ZERO
        else:
            fits = is_finite(low) and is_finite(high)
            low, scale, origin = ZERO, inverse[row], zero[row]
        found += not fits
        if rounding == STOCHASTIC or rounding == POSITIVE:
            draw(key, b, noise)
        _round(block, low, scale, noise, rounding)
        _clamp(block, origin, top, codes)
        codes[count:] = np.uint32(0)
        fields.pack(codes, width, target)
    count_up(wrong, found)


@allocating
def decode(
    start: int, stop: int, x: Any, rows: Rows, starts: Any, words: Any, ranges: Any,
    step: Any, zero: Any, positive: bool,
) -> None:  # fmt: skip
    """Writes the values of blocks start … stop - 1 into x; the arguments of `encode`.

    Args:
        step, zero: float32 for each row: value of a code, code of the value 0.
        positive: whether blocks were rounded so that code 0 is what is not positive.
    """
    block, codes = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.uint32)
    for task in range(start, stop):
        b, row, first, count = _place(task, rows)
        source = words[starts[b] : starts[b + 1]]
        fields.unpack(source, source.size // ((count + UNIT - 1) // UNIT), codes)
        if ranges.size:
            low, size = lower_half(ranges[b, 0]), lower_half(ranges[b, 1])
            origin = ONE if positive else ZERO
        else:
            low, size, origin = ZERO, step[row], zero[row]
        for i in range(BLOCK):
            scaled = (np.float32(np.int32(codes[i])) - origin) * size
            block[i] = scaled + low
        if positive:
            for i in range(BLOCK):
                # 0, unless the block was not finite.
                block[i] = block[i] if codes[i] else low - low
        scatter(block, x, rows, row, first)


@allocating
def measure(start: int, stop: int, x: Any, rows: Rows, found: Any) -> None:
    """found[b] = smallest and largest value of block b, for a range of blocks."""
    block = np.empty(BLOCK, np.float32)
    bits = block.view(np.int32)
    for task in range(start, stop):
        b, row, first, _ = _place(task, rows)
        gather(x, rows, row, first, block)
        found[b, 0], found[b, 1] = extremes(bits)


@compiled
def _place(task: int, rows: Rows) -> tuple[int, int, int, int]:
    """A block's number, row, first element and elements.

    Tasks go down the rows first where a row jumps through memory, so that the same
    lines of the cache serve all of them.
    """
    length = rows.run * rows.runs
    each = (length + BLOCK - 1) // BLOCK
    if rows.run < BLOCK:
        i, row = divmod(task, rows.count)
    else:
        row, i = divmod(task, each)
    first = i * BLOCK
    return row * each + i, row, first, min(BLOCK, length - first)


@compiled
def extremes(bits: Any) -> tuple[Any, Any]:
    """The smallest and the largest of the floats with these bits, NaN included.

    Integers that order as the floats do: the largest or the smallest is NaN where any
    is, and -0 is below 0 on every device.
    """
    low, high = MAGNITUDE, np.int32(~MAGNITUDE)
    for i in range(bits.size):
        order = np.int32(bits[i] ^ ((bits[i] >> np.int32(31)) & MAGNITUDE))
        low, high = min(low, order), max(high, order)
    low = np.int32(low ^ ((low >> np.int32(31)) & MAGNITUDE))
    high = np.int32(high ^ ((high >> np.int32(31)) & MAGNITUDE))
    # -0 becomes 0.
    return real_of(low) + ZERO, real_of(high)


@compiled
def positive_extremes(bits: Any) -> tuple[Any, Any]:
    """Those of the positive floats alone, NaN included; 0 and 0 without any."""
    low, high = MAGNITUDE, np.int32(0)
    for i in range(bits.size):
        order = bits[i] & MAGNITUDE
        counts = bits[i] > 0 or order > INFINITY
        low = min(low, order if counts else MAGNITUDE)
        high = max(high, order if counts else np.int32(0))
    return real_of(min(low, high)), real_of(high)


@compiled
def is_finite(x: Any) -> bool:
    """Whether a float32 is neither NaN nor an infinity."""
    return (bits_of(x) & MAGNITUDE) < INFINITY


@compiled
def outer_range(low: Any, high: Any, top: Any) -> tuple[Any, Any, bool]:
    """Low and step in bfloat16 so that codes 0 … top span a range; whether they do."""
    bits = bits_of(low)
    # Cutting bits off rounds towards 0, which is up for a negative number.
    carry = np.int32(0xFFFF) if bits < 0 else np.int32(0)
    low = real_of(np.int32((bits + carry) & np.int32(~0xFFFF)))
    step = max((high - low) / top, SMALLEST_STEP)
    step = real_of(np.int32((bits_of(step) + np.int32(0xFFFF)) & np.int32(~0xFFFF)))
    # Separate roundings: this is where the last code decodes to.
    last = step * top
    return low, step, is_finite(low) and is_finite(high) and is_finite(last + low)


@compiled
def upper_half(x: Any) -> Any:
    """The int16 that holds a float32 whose lower half is 0."""
    return np.int16(bits_of(x) >> np.int32(16))


@compiled
def lower_half(x: Any) -> Any:
    """The float32 of such an int16."""
    return real_of(np.int32(np.int32(x) << np.int32(16)))


@compiled
def _round(block: Any, low: Any, scale: Any, noise: Any, rounding: int) -> None:
    """block = whole steps above low, as floats."""
    if rounding == STOCHASTIC or rounding == POSITIVE:
        first = ONE if rounding == POSITIVE else ZERO
        for i in range(BLOCK):
            level = (block[i] - low) * scale
            floor = np.floor(level)
            # The part cut off is the chance to round up; 0 never does.
            up = noise[i] < (level - floor) * RESOLUTION
            rounded = floor + (ONE if up else ZERO) + first
            coded = rounding == STOCHASTIC or block[i] > ZERO
            block[i] = rounded if coded else ZERO
    elif rounding == NEAREST:
        for i in range(BLOCK):
            block[i] = np.rint((block[i] - low) * scale)
    else:
        for i in range(BLOCK):
            block[i] = np.ceil((block[i] - low) * scale) - ONE


@compiled
def _clamp(block: Any, origin: Any, top: Any, codes: Any) -> None:
    """codes = block + origin between 0 and top; NaN becomes 0."""
    for i in range(BLOCK):
        code = block[i] + origin
        code = code if code > ZERO else ZERO
        code = code if code < top else top
        codes[i] = np.uint32(np.int32(code))
