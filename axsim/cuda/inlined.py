# pyright: basic
"""Steps that kernels share; they become part of each kernel that calls them."""

from __future__ import annotations

import numpy as np

from .intrinsics import deliver, dp2a_signed, dp2a_unsigned, inlined, store4
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
def deliver_eight(
    sums, found, count, top, threads, rows, length, pixels, start, image_step,
    output_step, pixel_step, alone,
):  # fmt: skip
    """Up to eight outputs of each of a thread's rows."""
    for i in range(rows):
        m = np.int32(top + i * threads)
        n = quotient(m, pixels)
        where = np.int64(n) * image_step + (m - n * pixels) * pixel_step
        where = np.int64(where + start)
        for j in range(8):
            if j < count and m < length:
                deliver(sums, where, found[8 * i + j], alone)
            where = np.int64(where + output_step)


@inlined
def read_codes(code, codes, plane, offset, pad, rows):
    """Each row's code at its offset in a plane, or that of the padding."""
    for i in range(rows):
        code[i] = pad
        if offset[i] >= 0:
            code[i] = np.int32(codes[plane + offset[i]])


@inlined
def read_code(codes, reach, m, k, pixels, channels, before, image, channel, pad):
    """The code of row m and term k; `before` is the group's first channel."""
    tap = quotient(k, channels)
    n = quotient(m, pixels)
    offset = reach[tap * pixels + (m - n * pixels)]
    code = np.int32(pad)
    if offset >= 0:
        c = np.int64(np.int64(before) + (k - tap * channels))
        code = np.int32(codes[c * channel + np.int64(n) * image + offset])
    return code


@inlined
def pair(low, high):
    """Two halves of a word."""
    return np.uint32(low & 0xFFFF) | np.uint32(high & 0xFFFF) << np.uint32(16)


@inlined
def read_entries(entry, table, low, high, thread, threads, fills):
    """The products of a thread's codes with the weights in `low` and `high`."""
    for fill in range(fills):
        a = np.int32(thread + fill * threads)
        for j in range(4):
            near = np.int32(low >> np.uint32(8 * j) & np.uint32(255))
            far = np.int32(high >> np.uint32(8 * j) & np.uint32(255))
            entry[8 * fill + j] = table[near * STRIDE + a]
            entry[8 * fill + 4 + j] = table[far * STRIDE + a]


@inlined
def store_entries(cells, first, entry, thread, threads, fills):
    """Eight products into the cell of each of a thread's codes, 16 bits each."""
    for fill in range(fills):
        store4(
            cells,
            first + thread + fill * threads,
            pair(entry[8 * fill], entry[8 * fill + 1]),
            pair(entry[8 * fill + 2], entry[8 * fill + 3]),
            pair(entry[8 * fill + 4], entry[8 * fill + 5]),
            pair(entry[8 * fill + 6], entry[8 * fill + 7]),
        )


@inlined
def add_unsigned(word, chosen, total):
    """`dp2a_unsigned` for a sum of 64 bits."""
    return np.int64(total + dp2a_unsigned(word, chosen, np.int32(0)))


@inlined
def add_signed(word, chosen, total):
    """`dp2a_signed` for a sum of 64 bits."""
    return np.int64(total + dp2a_signed(word, chosen, np.int32(0)))
