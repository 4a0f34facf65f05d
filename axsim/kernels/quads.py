"""Four bytes to a lane: how terms and channels share it, and the codes laid out so."""

# pyright: basic

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from . import emit
from .compiled import compiled
from .emit import BYTES, constant
from .layout import Bytes
from .table import Table
from .terms import Term, terms_of


@dataclass(frozen=True, eq=False)
class Quads:
    """How the bytes of terms and channels are put together.

    Args:
        sources: int64[quads, 4], the channel of each byte, -1 for none.
        terms: int64[quads, 4], the term of each byte.
        segments: (quads, shift) of stretches of equal shift and signedness.
        signed_from: first quad with signed codes.
        code_maps, weight_maps: uint8[terms, 256].
        bias: int64[terms], what a byte of the weights adds for its offset.
        runs: int64[quads], how many quads from here on hold neighbouring channels of
            one term; 0 where not even this one does.
    """

    sources: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int64]
    segments: tuple[tuple[int, int], ...]
    signed_from: int
    code_maps: Bytes
    weight_maps: Bytes
    bias: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int64]


@lru_cache(maxsize=256)
def quads_of(table: Table, channels: int) -> Quads:
    terms = table.derived(terms_of)
    sources, owners = list[npt.NDArray[np.int64]](), list[npt.NDArray[np.int64]]()
    segments, signed_from, first = list[tuple[int, int]](), 0, 0

    def kind(term: Term) -> tuple[bool, int]:
        return term.signed_codes, term.shift

    for (signed, shift), alike in groupby(terms, key=kind):
        count = len(list(alike))
        length = -(-count * channels // 4) * 4
        channel, term = np.full(length, -1), np.full(length, first)
        channel[: count * channels] = np.tile(np.arange(channels), count)
        term[: count * channels] = first + np.arange(count).repeat(channels)
        sources.append(channel.reshape(-1, 4))
        owners.append(term.reshape(-1, 4))
        segments.append((length // 4, shift))
        signed_from += 0 if signed else length // 4
        first += count
    of_channel, of_term = np.concatenate(sources), np.concatenate(owners)
    return Quads(
        of_channel, of_term, tuple(segments), signed_from,
        np.stack([t.codes for t in terms]), np.stack([t.weights for t in terms]),
        np.array([t.offset << t.shift for t in terms]), _runs(of_channel, of_term),
    )  # fmt: skip


def _runs(
    sources: npt.NDArray[np.int64], terms: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    runs = np.zeros(len(sources) + 1, np.int64)
    for quad in reversed(range(len(sources))):
        channel, term = sources[quad, 0], terms[quad, 0]
        if sources[quad, 3] == channel + 3 and (terms[quad] == term).all():
            following = sources[quad + 1 : quad + 2, 0], terms[quad + 1 : quad + 2, 0]
            joined = np.array_equal(following, [[channel + 4], [term]])
            runs[quad] = 1 + runs[quad + 1] * joined
    return runs[:-1]


@compiled
def interleave(
    lanes: Bytes, out: Bytes, sources: Any, terms: Any, maps: Bytes, channel: int,
    unit: int, per_group: int, first: int, last: int,
) -> None:  # fmt: skip
    """Quads `first` to `last`, counted over units and groups.

    Args:
        lanes, out: codes by channel, and by quad.
        sources, terms, maps: of `Quads`.
        channel, unit: bytes of a channel and of a unit of `lanes`.
        per_group: channels of a group.
    """
    count = sources.shape[0]
    groups = unit // (channel * per_group)
    whole = channel // 64
    for task in range(first, last):
        rest, quad = divmod(task, count)
        index, group = divmod(rest, groups)
        source = index * unit + group * per_group * channel
        # A byte without a source meets weights of zero: any code will do.
        a, b, c, d = (
            source + max(sources[quad, 0], 0) * channel,
            source + max(sources[quad, 1], 0) * channel,
            source + max(sources[quad, 2], 0) * channel,
            source + max(sources[quad, 3], 0) * channel,
        )
        own = terms[quad, 0], terms[quad, 1], terms[quad, 2], terms[quad, 3]
        target, start, map_at = task * channel * 4, lanes.ctypes.data, maps.ctypes.data
        if whole:
            _interleave_vectors(
                start + a, start + b, start + c, start + d,
                map_at + 256 * own[0], map_at + 256 * own[1], map_at + 256 * own[2],
                map_at + 256 * own[3], out.ctypes.data + target, whole,
            )  # fmt: skip
        for i in range(whole * 64, channel):
            at = target + 4 * i
            out[at] = maps[own[0], lanes[a + i]]
            out[at + 1] = maps[own[1], lanes[b + i]]
            out[at + 2] = maps[own[2], lanes[c + i]]
            out[at + 3] = maps[own[3], lanes[d + i]]


@emit.intrinsic
def _interleave_vectors(context, a, b, c, d, map_a, map_b, map_c, map_d, out, count):
    """out[4 i + j] = map_j[source_j[i]] for `count` vectors of 64; by address."""
    signature = types.void(*[types.intp] * 10)

    def generate(context, builder, signature, arguments):
        sources, maps, (out, count) = arguments[:4], arguments[4:8], arguments[8:]
        registers = [
            [
                builder.load(emit.pointer(builder, m, constant(64 * i), BYTES), align=1)
                for i in range(4)
            ]
            for m in maps
        ]
        merged = ir.VectorType(emit.I8, 256)

        def step(index, held):
            at = builder.mul(index, constant(64))
            found = [
                emit.look_up(
                    builder,
                    register,
                    builder.load(emit.pointer(builder, source, at, BYTES), align=1),
                )
                for register, source in zip(registers, sources, strict=True)
            ]
            pairs = [
                emit.alternate(builder, *found[0::2]),
                emit.alternate(builder, *found[1::2]),
            ]
            value = emit.alternate(builder, *pairs)
            target = emit.pointer(builder, out, builder.mul(at, constant(4)), merged)
            builder.store(value, target, align=1)
            return []

        emit.loop(builder, constant(0), count, [], step)
        return context.get_dummy_value()

    return signature, generate
