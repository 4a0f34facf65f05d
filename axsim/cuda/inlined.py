# pyright: basic
"""Steps that kernels share; they become part of each kernel that calls them."""

from __future__ import annotations

import numpy as np

from .intrinsics import inlined, store4
from .table import STRIDE


@inlined
def quotient(a, b):
    """a // b in 32 bits; Numba would divide in 64, which is several times slower."""
    return np.int32(np.uint32(a) // np.uint32(b))


@inlined
def place_rows(places, first, thread, threads, rows, length, pixels, image):
    """The pixel of each of a thread's rows, and where the codes of its image begin.

    They are needed once a tap, so they stay in shared memory and leave registers free.
    """
    for i in range(rows):
        # Rows past the end repeat the last one; they are not stored.
        m = np.int32(min(first + i * threads, length - 1))
        n = quotient(m, pixels)
        places[2 * i * threads + thread] = np.int32(m - n * pixels)
        places[(2 * i + 1) * threads + thread] = np.int32(n * image)


@inlined
def reach_tap(offset, reach, start, places, thread, threads, rows):
    """Where each row's code of a tap lies in its plane; negative in the padding."""
    for i in range(rows):
        offset[i] = reach[start + places[2 * i * threads + thread]]
        if offset[i] >= 0:
            origin = places[(2 * i + 1) * threads + thread]
            offset[i] = np.int32(offset[i] + origin)


@inlined
def fill_cell(cells, cell, table, low, high, a):
    """The products of code `a` with eight weights, 16 bits each, in one cell."""
    w0 = np.int32(table[np.int32(low & 255) * STRIDE + a])
    w1 = np.int32(table[np.int32(low >> 8 & 255) * STRIDE + a])
    w2 = np.int32(table[np.int32(low >> 16 & 255) * STRIDE + a])
    w3 = np.int32(table[np.int32(low >> 24 & 255) * STRIDE + a])
    w4 = np.int32(table[np.int32(high & 255) * STRIDE + a])
    w5 = np.int32(table[np.int32(high >> 8 & 255) * STRIDE + a])
    w6 = np.int32(table[np.int32(high >> 16 & 255) * STRIDE + a])
    w7 = np.int32(table[np.int32(high >> 24 & 255) * STRIDE + a])
    store4(
        cells,
        cell,
        np.uint32(np.uint32(w0 & 0xFFFF) | np.uint32(w1 & 0xFFFF) << np.uint32(16)),
        np.uint32(np.uint32(w2 & 0xFFFF) | np.uint32(w3 & 0xFFFF) << np.uint32(16)),
        np.uint32(np.uint32(w4 & 0xFFFF) | np.uint32(w5 & 0xFFFF) << np.uint32(16)),
        np.uint32(np.uint32(w6 & 0xFFFF) | np.uint32(w7 & 0xFFFF) << np.uint32(16)),
    )
