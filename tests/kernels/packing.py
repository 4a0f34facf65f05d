"""A slow twin of the packing kernels, from the formulas, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

BLOCK, UNIT = 256, 32


def mixed(key: int, number: int) -> int:
    """splitmix64's output function over key + (number + 1) * golden ratio."""
    mask = (1 << 64) - 1
    x = (key + (number + 1) * 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def noise(key: int, block: int) -> Any:
    """float32[256]: sixteen random bits for each element of a block, plus a half."""
    keys, mask = mixed(key, block), (1 << 32) - 1
    draws: list[int] = []
    for i in range(BLOCK // 2):
        x = (i * 0x9E3779B9 + keys) & mask
        x = ((x ^ (x >> 16)) * 0x7FEB352D) & mask
        x ^= keys >> 32
        x = ((x ^ (x >> 15)) * 0x846CA68B) & mask
        draws.append(x ^ (x >> 16))
    halves = [d & 0xFFFF for d in draws] + [d >> 16 for d in draws]
    return np.array(halves, np.float32) + np.float32(0.5)


def towards(x: np.float32, up: bool) -> np.float32:
    """The nearest bfloat16 at or beyond a float32, upwards or downwards."""
    bits = int(np.float32(x).view(np.uint32))
    cut = np.uint32(bits & 0xFFFF0000).view(np.float32)
    if cut == x or (cut > x) == up:
        return cut
    return np.uint32((bits & 0xFFFF0000) + 0x10000).view(np.float32)


def outer_range(values: Any, bits: int) -> tuple[np.float32, np.float32]:
    """Low and step of a block, in bfloat16."""
    top = np.float32((1 << bits) - 1)
    low = towards(values.min() + np.float32(0), up=False)
    step = max((values.max() - low) / top, np.float32(2.0**-126))
    return low, towards(step, up=True)


def positive_range(values: Any, bits: int) -> tuple[np.float32, np.float32]:
    """Low and step of what is positive in a block; codes 1 and up span it."""
    above = values[values > 0]
    if not above.size:
        above = np.zeros(1, np.float32)
    low = towards(above.min(), up=False)
    step = max((above.max() - low) / np.float32((1 << bits) - 2), np.float32(2.0**-126))
    return low, towards(step, up=True)


def rounded(levels: Any, rounding: str, draws: Any) -> Any:
    """Whole steps, as float32."""
    if rounding == "stochastic":
        floor = np.floor(levels)
        up = draws[: levels.size] < (levels - floor) * np.float32(65536)
        return floor + up.astype(np.float32)
    return np.rint(levels) if rounding == "nearest" else np.ceil(levels) - np.float32(1)


def words_of(codes: Any, bits: int) -> list[int]:
    """The words of a block of codes, bit for bit from the layout's definition."""
    units = -(-len(codes) // UNIT)
    words: list[int] = []
    low = 0
    for width in (16, 8, 4, 2, 1):
        if not bits & width:
            continue
        fields = [0] * (width * units)
        for d, code in enumerate(codes):
            place, level = d % (width * units), d // (width * units)
            fields[place] |= (int(code) >> low & (1 << width) - 1) << width * level
        words += fields
        low += width
    return words


def pack_row(
    row: Any,
    bits: int,
    rounding: str,
    key: int,
    first_block: int,
    scaled: tuple[Any, Any] | None = None,
) -> tuple[list[int], list[tuple[np.float32, np.float32]], Any]:
    """Words, ranges and decoded values of one row of float32."""
    words: list[int] = []
    ranges: list[tuple[np.float32, np.float32]] = []
    values: list[Any] = []
    for b, start in enumerate(range(0, len(row), BLOCK)):
        block = row[start : start + BLOCK]
        above = rounding == "positive"
        if scaled is None:
            find = positive_range if above else outer_range
            low, step = find(block, bits)
            inverse, zero = np.float32(1) / step, np.float32(0)
            ranges.append((low, step))
        else:
            low, (inverse, zero) = np.float32(0), scaled
            step = np.float32(1) / inverse
        levels = (block - low) * inverse
        draws = noise(key, first_block + b)
        codes = rounded(levels, "stochastic" if above else rounding, draws) + zero
        if above:
            codes = np.where(block > 0, codes + 1, 0)
        codes = np.clip(codes, 0, np.float32((1 << bits) - 1))
        words += words_of(codes, bits)
        if above:
            values.append(np.where(codes > 0, (codes - 1) * step + low, 0))
        else:
            values.append((codes - zero) * step + low)
    values = [np.asarray(each, np.float32) for each in values]
    joined = np.concatenate(values) if values else np.empty(0, np.float32)
    return words, ranges, joined
