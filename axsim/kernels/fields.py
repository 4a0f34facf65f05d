"""Codes of a few bits in 32-bit words, laid out so that both ways vectorise.

A code of b bits is cut into fields whose widths are the powers of two in b, the widest
first and in the low bits: 7 = 4 + 2 + 1. A block of 32 * n codes keeps the fields of
width p in p * n words: that of code d lies in word d mod (p * n), at the bit
p * (d // (p * n)). So neighbouring codes go to neighbouring words, and no bit is lost:
32 * n codes of b bits are b * n words.
"""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled


def _field(width: int) -> tuple[Any, Any]:
    """How fields of one width are packed and unpacked."""
    fields, mask = 32 // width, np.uint32((1 << width) - 1)

    @compiled
    def pack(codes: Any, low: Any, count: int, words: Any) -> None:
        for w in range(count):
            word = np.uint32(0)
            for f in range(fields):
                field = (codes[f * count + w] >> low) & mask
                word |= field << np.uint32(f * width)
            words[w] = word

    @compiled
    def unpack(words: Any, low: Any, count: int, codes: Any) -> None:
        for f in range(fields):
            shift = np.uint32(f * width)
            for w in range(count):
                codes[f * count + w] |= ((words[w] >> shift) & mask) << low

    return pack, unpack


_pack16, _unpack16 = _field(16)
_pack8, _unpack8 = _field(8)
_pack4, _unpack4 = _field(4)
_pack2, _unpack2 = _field(2)
_pack1, _unpack1 = _field(1)


@compiled
def pack(codes: Any, bits: int, words: Any) -> None:
    """Packs the first 32 * len(words) / bits codes, uint32 below 2^bits.

    Args:
        bits: 1 to 31.
    """
    n = words.size // bits
    at, low = 0, np.uint32(0)
    if bits & 16:
        _pack16(codes, low, 16 * n, words)
        at, low = at + 16 * n, low + np.uint32(16)
    if bits & 8:
        _pack8(codes, low, 8 * n, words[at:])
        at, low = at + 8 * n, low + np.uint32(8)
    if bits & 4:
        _pack4(codes, low, 4 * n, words[at:])
        at, low = at + 4 * n, low + np.uint32(4)
    if bits & 2:
        _pack2(codes, low, 2 * n, words[at:])
        at, low = at + 2 * n, low + np.uint32(2)
    if bits & 1:
        _pack1(codes, low, n, words[at:])


@compiled
def unpack(words: Any, bits: int, codes: Any) -> None:
    """Writes the codes that `pack` packed, and zeros behind them."""
    n = words.size // bits
    at, low = 0, np.uint32(0)
    codes[:] = np.uint32(0)
    if bits & 16:
        _unpack16(words, low, 16 * n, codes)
        at, low = at + 16 * n, low + np.uint32(16)
    if bits & 8:
        _unpack8(words[at:], low, 8 * n, codes)
        at, low = at + 8 * n, low + np.uint32(8)
    if bits & 4:
        _unpack4(words[at:], low, 4 * n, codes)
        at, low = at + 4 * n, low + np.uint32(4)
    if bits & 2:
        _unpack2(words[at:], low, 2 * n, codes)
        at, low = at + 2 * n, low + np.uint32(2)
    if bits & 1:
        _unpack1(words[at:], low, n, codes)
