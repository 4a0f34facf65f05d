"""Exact integer products by torch's float32 products, for any machine.

The table is a sum of products of bytes (`terms`). A *plane* is a channel of a term:
the bytes of its codes, as floats. A float32 product over some planes is exact,
whatever the order of its sums, where the sum of all magnitudes stays below 2^24; so
planes are cut into *chunks* of which the sizes of the bytes prove that, and the sums
of the chunks are added as integers.

Bytes also survive where torch is allowed to round operands to bfloat16 or tf32.
Transformed convolutions (Winograd) would not be exact: oneDNN computes directly unless
told otherwise, and NNPACK, which torch uses without oneDNN, takes no convolution over
three dimensions, which all of these are made.
"""

# pyright: basic

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby, pairwise
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from . import pool
from .compiled import compiled
from .contract import Convolution
from .lanes import three_dimensional
from .layout import Bytes
from .table import Table
from .terms import Term, terms_of, too_many

if TYPE_CHECKING:
    from .cpu import Call

# Sums of magnitudes below this are exact in float32, in whatever order.
EXACT = 1 << 24
# More terms than this take longer than the look-ups of `gather`.
MOST_TERMS = 12
# Floats of the codes and sums of a pass of several images; of the codes or the
# weights of a chunk.
PASS_BYTES, CHUNK_BYTES = 4 << 20, 8 << 20
# Nanoseconds of a call and of a product of torch, to map the byte of a code, to map
# that of a weight and have torch lay it out, to add a sum, and of a product of two
# floats; of one in a convolution of one channel by one. Where vectors are shorter,
# both this and `gather` take longer.
CALL, PRODUCT, MAP, WEIGHT, ADD = 50_000, 40_000, 0.4, 1.5, 0.4
STEP, DEPTHWISE = 0.02, 0.2


# Of the process that torch's threads belong to.
PROCESS = os.getpid()


class Plane(NamedTuple):
    """A run of neighbouring channels of a term, all of one chunk."""

    term: int
    first: int
    last: int


class Chunk(NamedTuple):
    """Planes whose products are summed in floats of a kind, and count 2^shift times."""

    planes: tuple[Plane, ...]
    shift: int
    kind: type[np.float32] | type[np.float64]


class Maps(NamedTuple):
    """The bytes of all terms as numbers.

    codes, weights: float32[terms, 256]; peaks: int[terms], of a product; constants:
    int64[256], what a weight adds to a sum for the offsets of the codes.
    """

    codes: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    peaks: tuple[int, ...]
    constants: npt.NDArray[np.int64]


def why_not(table: Table, shape: Convolution, wide: bool) -> str | None:
    """Why this table cannot be served; None where it can."""
    del wide
    floats = shape.channels * prod(shape.padded) + shape.outputs * prod(shape.out)
    if shape.groups > 1 and 4 * floats > CHUNK_BYTES:
        return (
            f"one image of {shape.groups} groups takes {4 * floats >> 20} MiB as "
            f"floats; at most {CHUNK_BYTES >> 20} are held."
        )
    return too_many(table, MOST_TERMS)


def cost(table: Table, shape: Convolution) -> float:
    """Estimated nanoseconds."""
    chunks = chunks_of(table, three_dimensional(shape))
    terms, pixels = len(table.derived(terms_of)), prod(shape.out)
    passes = -(-shape.batch // _images(shape, chunks))
    sums = shape.batch * shape.outputs * pixels
    codes = shape.batch * shape.channels * prod(shape.padded)
    step = DEPTHWISE if shape.channels == shape.groups > 1 else STEP
    return (
        CALL
        + PRODUCT * passes * len(chunks)
        + terms * (MAP * codes + WEIGHT * shape.outputs * shape.terms)
        + ADD * sums * (1 + len(chunks))
        + step * terms * shape.terms * sums
    )


def run(call: Call, sums: Any) -> None:
    """Writes sums[N, O, D, H, W]."""
    shape = three_dimensional(call.shape)
    maps, chunks = call.table.derived(maps_of), chunks_of(call.table, shape)
    bias = np.zeros(shape.outputs, np.int64)
    _add_up(call.w, maps.constants, bias)
    sums[...] = bias[:, None, None, None]
    flat, size = sums.reshape(shape.batch, -1), _images(shape, chunks)
    # Autocast would round the sums to 16 bits.
    with torch.autocast("cpu", enabled=False), _one_thread_after_fork():
        for chunk in chunks:
            w = _weights(call.w, shape, maps, chunk)
            for image in range(0, shape.batch, size):
                x = _codes(call.x[image : image + size], shape, maps, chunk, call.pad)
                _add(_product(x, w, shape), flat[image : image + size], chunk.shift)


@contextmanager
def _one_thread_after_fork() -> Generator[None, None, None]:
    """A forked child waits for ever for the threads that its parent's torch had."""
    threads = torch.get_num_threads()
    forked = os.getpid() != PROCESS and threads > 1
    if forked:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if forked:
            torch.set_num_threads(threads)


def _product(x: torch.Tensor, w: torch.Tensor, shape: Convolution) -> torch.Tensor:
    if prod(shape.padded) == 1:
        return x.flatten(1) @ w.flatten(1).t()
    return torch.nn.functional.conv3d(
        x, w, None, shape.stride, 0, shape.dilation, shape.groups
    )


def _images(shape: Convolution, chunks: tuple[Chunk, ...]) -> int:
    """Images of a pass."""
    planes = max(sum(p.last - p.first for p in chunk.planes) for chunk in chunks)
    floats = planes * shape.groups * prod(shape.padded) + shape.outputs * prod(
        shape.out
    )
    return max(1, min(shape.batch, PASS_BYTES // (4 * floats)))


def _terms(table: Table) -> list[Term]:
    """Terms of one shift side by side."""
    return sorted(table.derived(terms_of), key=lambda term: term.shift)


def maps_of(table: Table) -> Maps:
    terms = _terms(table)
    codes, weights, peaks, constants = [], [], [], np.zeros(256, np.int64)
    for term in terms:
        u, b = term.values()
        # Where the codes' range is centred, more of them may be summed.
        centre = (int(u.min()) + int(u.max()) + 1) // 2
        codes.append(u - centre)
        weights.append(b)
        peaks.append(int(np.abs(codes[-1]).max() * np.abs(b).max()))
        constants += (term.offset + centre) * b << term.shift
    return Maps(
        np.array(codes, np.float32), np.array(weights, np.float32), tuple(peaks),
        constants,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def chunks_of(table: Table, shape: Convolution) -> tuple[Chunk, ...]:
    """All channels of all terms, in as few products as are exact and not too large."""
    chunks, first = list[Chunk](), 0
    for shift, alike in groupby(_terms(table), key=lambda term: term.shift):
        last = first + len(list(alike))
        chunks += _cut(table.derived(maps_of).peaks, first, last, shift, shape)
        first = last
    return tuple(chunks)


def _cut(
    peaks: tuple[int, ...], first: int, last: int, shift: int, shape: Convolution
) -> list[Chunk]:
    """The fewest chunks of equal size for the terms `first` to `last`."""
    channels, taps = shape.channels // shape.groups, prod(shape.kernel)
    planes = (last - first) * channels
    magnitudes = np.repeat(np.array(peaks[first:last]) * taps, channels)
    floats = max(shape.outputs * taps, shape.groups * prod(shape.padded))
    count = max(1, -(-4 * floats * planes // CHUNK_BYTES))
    # Torch is fast for groups of one channel, not of a few.
    count = planes if channels == 1 else min(count, planes)
    while True:
        cuts = np.arange(count + 1) * planes // count
        highest = np.add.reduceat(magnitudes, cuts[:-1]).max()
        if highest < EXACT or count == planes:
            break
        count += 1
    # A kernel of many hundred taps: one channel may be too much.
    kind = np.float32 if highest < EXACT else np.float64
    return [
        Chunk(tuple(_planes(int(a), int(b), first, channels)), shift, kind)
        for a, b in pairwise(cuts)
    ]


def _planes(start: int, end: int, term: int, channels: int) -> Iterator[Plane]:
    """The planes `start` to `end`, counted over terms from `term` on and channels."""
    while start < end:
        which, channel = divmod(start, channels)
        count = min(channels - channel, end - start)
        yield Plane(term + which, channel, channel + count)
        start += count


def _codes(
    x: Bytes, shape: Convolution, maps: Maps, chunk: Chunk, pad: int
) -> torch.Tensor:
    """[images, planes of all groups, D, H, W]: the padded codes as floats."""
    grouped = x.reshape(len(x) * shape.groups, -1)
    mapped = _mapped(grouped, chunk, maps.codes, shape.size, shape.padding, pad)
    return torch.from_numpy(mapped.reshape(len(x), -1, *shape.padded))


def _weights(w: Bytes, shape: Convolution, maps: Maps, chunk: Chunk) -> torch.Tensor:
    """[O, planes, kd, kh, kw], as floats."""
    mapped = _mapped(w, chunk, maps.weights, shape.kernel, (0, 0, 0), 0)
    return torch.from_numpy(mapped.reshape(shape.outputs, -1, *shape.kernel))


def _mapped(
    codes: Bytes,
    chunk: Chunk,
    maps: npt.NDArray[np.float32],
    size: tuple[int, ...],
    padding: tuple[int, ...],
    pad: int,
) -> npt.NDArray[Any]:
    """The planes of codes[rows, channels * D * H * W] with a border, as floats."""
    count = sum(plane.last - plane.first for plane in chunk.planes)
    bordered = [s + 2 * p for s, p in zip(size, padding, strict=True)]
    out = np.empty((len(codes), count * prod(bordered)), chunk.kind)
    planes = np.array(chunk.planes)

    _map(len(out), out.size * MAP, codes, out, planes, maps, size, padding, pad)
    return out


@compiled
def _map_rows(
    first: int, last: int, codes: Bytes, out: Any, planes: Any, maps: Any,
    size: tuple[int, int, int], padding: tuple[int, int, int], pad: int,
) -> None:  # fmt: skip
    pixels = size[0] * size[1] * size[2]
    border = padding[0] + padding[1] + padding[2] > 0
    bordered = 1
    for axis in range(3):
        bordered *= size[axis] + 2 * padding[axis]
    for row in range(first, last):
        at = 0
        for p in range(len(planes)):
            own = maps[planes[p, 0]]
            start, end = planes[p, 1] * pixels, planes[p, 2] * pixels
            # Without a border, neighbouring channels are one.
            step = pixels if border else end - start
            for channel in range(start, end, step):
                source = codes[row, channel : channel + step]
                if border:
                    target = out[row, at : at + bordered]
                    target[:] = own[pad]
                    _map_inside(source, target, own, size, padding)
                    at += bordered
                else:
                    target = out[row, at : at + step]
                    for i in range(step):
                        target[i] = own[source[i]]
                    at += step


@compiled
def _map_inside(
    source: Bytes, target: Any, own: Any, size: tuple[int, int, int],
    padding: tuple[int, int, int],
) -> None:  # fmt: skip
    """One channel, row by row."""
    height, width = size[1] + 2 * padding[1], size[2] + 2 * padding[2]
    for d in range(size[0]):
        for h in range(size[1]):
            row = source[(d * size[1] + h) * size[2] :]
            at = ((d + padding[0]) * height + h + padding[1]) * width + padding[2]
            to = target[at : at + size[2]]
            for i in range(len(to)):
                to[i] = own[row[i]]


def _add(product: torch.Tensor, sums: Any, shift: int) -> None:
    """sums += product << shift, modulo their width."""
    rows = product.flatten(1).numpy()

    _add_all(len(rows), rows.size * ADD, rows, sums, shift)


@compiled
def _add_rows(first: int, last: int, rows: Any, sums: Any, shift: int) -> None:
    for row in range(first, last):
        source, target = rows[row], sums[row]
        for i in range(len(source)):
            target[i] += np.int64(source[i]) << shift


@compiled
def _add_up(codes: Bytes, values: Any, out: Any) -> None:
    """out[row] = the sum of the values of a row's codes."""
    for row in range(len(codes)):
        total = np.int64(0)
        for code in codes[row]:
            total += values[code]
        out[row] = total


_map = pool.over_ranges(_map_rows)
_add_all = pool.over_ranges(_add_rows)
