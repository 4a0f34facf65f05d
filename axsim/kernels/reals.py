"""Real numbers of several types in memory, as a block of float32 in the cache."""

# pyright: basic

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types

from .compiled import compiled
from .emit import I8, I16, I32, intrinsic

REAL, HALF = ir.FloatType(), ir.HalfType()
LARGEST_HALF = 65504.0
LARGEST_BRAIN = (2.0 - 2.0**-7) * 2.0**127


class Rows(NamedTuple):
    """How a dense tensor splits into rows: all of it, or one for each index of a dim.

    Element e of row r lies at (e // run * count + r) * run + e % run in memory.

    Args:
        count: of rows.
        run: how many elements of a row lie side by side in memory.
        runs: how many such runs a row has.
    """

    count: int
    run: int
    runs: int


@intrinsic
def bits_of(context, value):
    """The int32 with the bits of a float32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], I32)

    return types.int32(types.float32), generate


@intrinsic
def real_of(context, bits):
    """The float32 with the bits of an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], REAL)

    return types.float32(types.int32), generate


@intrinsic
def widened(context, value):
    """An element as float32; uint16 holds a float16, int16 a bfloat16."""

    def generate(context, builder, signature, arguments):
        (element,) = arguments
        if value == types.uint16:
            return builder.fpext(builder.bitcast(element, HALF), REAL)
        if value == types.int16:
            wide = builder.shl(builder.zext(element, I32), _int(16))
            return builder.bitcast(wide, REAL)
        return element if value == types.float32 else builder.uitofp(element, REAL)

    return types.float32(value), generate


@intrinsic
def narrowed(context, value, like):
    """A finite float32 as an element of the type of `like`, rounded to nearest even.

    What lies beyond the largest number of a 16-bit type becomes that: codes reach a
    little past the values they were made of, and must not become infinite.
    """

    def generate(context, builder, signature, arguments):
        real, _ = arguments
        if like == types.uint16:
            half = builder.fptrunc(_clamped(builder, real, LARGEST_HALF), HALF)
            return builder.bitcast(half, I16)
        if like == types.int16:
            bits = builder.bitcast(_clamped(builder, real, LARGEST_BRAIN), I32)
            high = builder.lshr(bits, _int(16))
            odd = builder.and_(high, _int(1))
            rounded = builder.add(builder.add(bits, _int(0x7FFF)), odd)
            return builder.trunc(builder.lshr(rounded, _int(16)), I16)
        return real if like == types.float32 else builder.fptoui(real, I8)

    return like(types.float32, like), generate


def _clamped(builder: Any, real: Any, largest: float) -> Any:
    for order, bound in (">", largest), ("<", -largest):
        limit = ir.Constant(REAL, bound)
        beyond = builder.fcmp_ordered(order, real, limit)
        real = builder.select(beyond, limit, real)
    return real


def _int(value: int) -> Any:
    return ir.Constant(I32, value)


@compiled
def gather(x: Any, rows: Rows, row: int, first: int, block: Any) -> None:
    """block[:] = elements first, first + 1 … of a row, the first of them repeated."""
    count = min(block.size, rows.run * rows.runs - first)
    done = 0
    if rows.run == 1:
        column = x[first * rows.count + row :: rows.count]
        for i in range(count):
            block[i] = widened(column[i])
        done = count
    while done < count:
        run, place = divmod(first + done, rows.run)
        source = x[(run * rows.count + row) * rows.run + place :]
        target = block[done : min(count, done + rows.run - place)]
        for i in range(target.size):
            target[i] = widened(source[i])
        done += target.size
    for i in range(count, block.size):
        block[i] = block[0]


@compiled
def scatter(block: Any, x: Any, rows: Rows, row: int, first: int) -> None:
    """Elements first, first + 1 … of a row = block[:], as far as the row goes."""
    count = min(block.size, rows.run * rows.runs - first)
    done = 0
    if rows.run == 1:
        column = x[first * rows.count + row :: rows.count]
        for i in range(count):
            column[i] = narrowed(block[i], x[0])
        done = count
    while done < count:
        run, place = divmod(first + done, rows.run)
        target = x[(run * rows.count + row) * rows.run + place :]
        source = block[done : min(count, done + rows.run - place)]
        for i in range(source.size):
            target[i] = narrowed(source[i], x[0])
        done += source.size
