"""Which elements are positive, as bits: what `pack` makes of them, without the detours.

A ReLU keeps a mask of all that a network computes, so that it is worth kernels of its
own. Blocks of 256 elements are 8 words; bit f of word w tells of element 8 * f + w.
"""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from torch import Tensor

from . import gpu
from .compiled import compiled
from .emit import I32, I64, intrinsic, pointer
from .pack import elements_of, memory_of
from .pool import over_ranges
from .reals import HALF, REAL, narrowed, widened

LANES, FIELDS = 8, 32
BLOCK = LANES * FIELDS
# Nanoseconds an element takes, roughly.
PACK_TIME, UNPACK_TIME = 0.1, 0.1
ZERO = np.float32(0)
EIGHT = ir.VectorType(I32, LANES)


def pack_mask(x: Tensor) -> Tensor:
    """int32 words with a bit for each element of a dense tensor: whether it is above 0.

    Args:
        x: float32, float16, bfloat16, uint8 or bool, without gaps in memory, on the
            CPU or a CUDA device, where the same words are made.

    Example:
        >>> pack_mask(torch.tensor([0.5, -1.0, 2.0]))
        tensor([5], dtype=torch.int32)
    """
    if x.is_cuda:
        return gpu.room("mask").encode(*elements_of(x))
    memory = memory_of(x)
    words = torch.empty(-(-x.numel() // FIELDS), dtype=torch.int32)
    out = words.numpy().view(np.uint32)
    _encode_all(-(-x.numel() // BLOCK), x.numel() * PACK_TIME, memory, out)
    return words


def unpack_mask(words: Tensor, out: Tensor, worth: float = 1) -> Tensor:
    """Writes `worth` where the bit is set and 0 elsewhere, and returns the tensor.

    Args:
        words: from `pack_mask`.
        out: of a type that `pack_mask` takes.
        worth: a number of the type of `out`.
    """
    if out.is_cuda:
        gpu.room("mask").decode(words, *elements_of(out), worth)
        return out
    memory, coded = memory_of(out), words.numpy().view(np.uint32)
    _decode_all(
        -(-out.numel() // BLOCK), out.numel() * UNPACK_TIME, memory, coded,
        np.float32(worth),
    )  # fmt: skip
    return out


@compiled
def _encode(start: int, stop: int, x: Any, words: Any) -> None:
    for block in range(start, stop):
        first = block * BLOCK
        target = words[block * LANES : (block + 1) * LANES]
        if x.size - first >= BLOCK:
            _encode_whole(x[first:].ctypes.data, x[0], target.ctypes.data)
        else:
            _encode_part(x[first:], target)


@intrinsic
def _encode_whole(context, address, element, words):
    """Writes the 8 words of 256 elements; both given as addresses."""

    def generate(context, builder, signature, arguments):
        start, _, target = arguments
        kind = context.get_value_type(element)
        masks = ir.Constant(EIGHT, [0] * LANES)
        for f in range(FIELDS):
            offset = ir.Constant(I64, f * LANES * element.bitwidth // 8)
            place = pointer(builder, start, offset, ir.VectorType(kind, LANES))
            positive = _positive(builder, builder.load(place, align=1), element)
            bit = ir.Constant(EIGHT, [1 << f] * LANES)
            none = ir.Constant(EIGHT, [0] * LANES)
            masks = builder.or_(masks, builder.select(positive, bit, none))
        place = pointer(builder, target, ir.Constant(I64, 0), EIGHT)
        builder.store(masks, place, align=1)
        return context.get_dummy_value()

    return types.void(types.uintp, element, types.uintp), generate


def _lanes(kind: Any) -> Any:
    return ir.VectorType(kind, LANES)


def _positive(builder: Any, x: Any, element: Any) -> Any:
    """Lanes above 0, which NaN is not; uint16 holds a float16, int16 a bfloat16."""
    if element == types.uint8:
        return builder.icmp_unsigned(">", x, ir.Constant(x.type, [0] * LANES))
    if element == types.uint16:
        x = builder.fpext(builder.bitcast(x, _lanes(HALF)), _lanes(REAL))
    if element == types.int16:
        wide = builder.shl(builder.zext(x, EIGHT), ir.Constant(EIGHT, [16] * LANES))
        x = builder.bitcast(wide, _lanes(REAL))
    return builder.fcmp_ordered(">", x, ir.Constant(_lanes(REAL), [0.0] * LANES))


@compiled
def _encode_part(x: Any, words: Any) -> None:
    words[:] = np.uint32(0)
    for i in range(x.size):
        positive = np.uint32(widened(x[i]) > ZERO)
        words[i % words.size] |= positive << np.uint32(i // words.size)


@compiled
def _decode(start: int, stop: int, x: Any, words: Any, worth: Any) -> None:
    one, zero = narrowed(worth, x[0]), narrowed(ZERO, x[0])
    for block in range(start, stop):
        first = block * BLOCK
        source = words[block * LANES : (block + 1) * LANES]
        target = x[first : first + BLOCK]
        if target.size == BLOCK:
            for f in range(FIELDS):
                for w in range(LANES):
                    bit = (source[w] >> np.uint32(f)) & np.uint32(1)
                    target[f * LANES + w] = one if bit else zero
        else:
            for i in range(target.size):
                bit = source[i % source.size] >> np.uint32(i // source.size)
                target[i] = one if bit & np.uint32(1) else zero


_encode_all = over_ranges(_encode)
_decode_all = over_ranges(_decode)
