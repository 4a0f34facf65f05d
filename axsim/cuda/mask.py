# pyright: basic
"""Which elements are positive, as bits: those of the CPU.

Blocks of 256 elements are 8 words; bit f of word w tells of element 8 * f + w. A last
block of fewer words n tells of element n * f + w there.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from .devices import check_devices
from .inlined import quotient
from .intrinsics import cuda, inlined
from .kernel import FULL_BLOCK, Kernel
from .launch import launch
from .layout import tiles
from .reals import load_real, real_of, store_real

LANES, FIELDS = 8, 32
BLOCK = LANES * FIELDS


@inlined
def lanes_of(block, total):
    """How many words a block has, of `total` in all."""
    return np.int32(min(LANES, total - block * LANES))


def _encode(x, words, size, total):
    number = np.int64(np.int64(cuda.blockIdx.x) * FULL_BLOCK + cuda.threadIdx.x)
    if number < total:
        block = np.int64(number // LANES)
        lanes = lanes_of(block, total)
        lane = np.int64(number - block * LANES)
        word = np.uint32(0)
        for field in range(FIELDS):
            at = np.int64(block * BLOCK + lane + field * lanes)
            if at < size and load_real(x, at) > np.float32(0):
                word = np.uint32(word | np.uint32(np.uint32(1) << np.uint32(field)))
        words[number] = word


def _decode(x, words, size, total, worth):
    at = np.int64(np.int64(cuda.blockIdx.x) * FULL_BLOCK + cuda.threadIdx.x)
    if at < size:
        block = np.int64(at // BLOCK)
        lanes = lanes_of(block, total)
        i = np.int32(at - block * BLOCK)
        field = quotient(i, lanes)
        word = words[block * LANES + np.int32(i - field * lanes)]
        value = np.float32(0)
        if np.uint32(word >> np.uint32(field)) & np.uint32(1):
            value = real_of(worth)
        store_real(x, at, value)


@functools.cache
def encode_kernel(kind: str) -> Kernel:
    """The kernel that packs a mask of elements of a type."""
    arguments = (f"{kind}*", "uint32*", "int64", "int64")
    return Kernel("encode_mask", _encode, arguments, (kind,), FULL_BLOCK)


@functools.cache
def decode_kernel(kind: str) -> Kernel:
    """The kernel that unpacks a mask into elements of a type."""
    arguments = (f"{kind}*", "uint32*", "int64", "int64", "int32")
    return Kernel("decode_mask", _decode, arguments, (kind,), FULL_BLOCK)


def encode(x: Tensor, kind: str) -> Tensor:
    """int32 words with a bit for each element: whether it is above 0.

    Args:
        x: one dimension, on the GPU; 16-bit types viewed as int16.
        kind: "float32", "uint16" for float16, "int16" for bfloat16, or "uint8".
    """
    total = tiles(x.numel(), FIELDS)
    words = torch.empty(total, dtype=torch.int32, device=x.device)
    if total:
        grid = (tiles(total, FULL_BLOCK), 1)
        launch(encode_kernel(kind), grid, x, words, x.numel(), total)
    return words


def decode(words: Tensor, out: Tensor, kind: str, worth: float) -> None:
    """Writes `worth` where the bit is set and 0 elsewhere; the arguments of `encode`.

    Raises:
        BackendError: where the words are not beside `out`.
    """
    check_devices({"words": words, "out": out})
    size = out.numel()
    if size:
        value = int(np.float32(worth).view(np.int32))
        grid = (tiles(size, FULL_BLOCK), 1)
        launch(
            decode_kernel(kind),
            grid,
            out,
            words.contiguous(),
            size,
            tiles(size, FIELDS),
            value,
        )
