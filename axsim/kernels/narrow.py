"""The byte shuffle for narrow codes: one permutation looks up four taps (AVX-512 VNNI).

A row of the table for codes below 16 is 16 bytes, so one register holds the rows of
four weights, and `vpermb` looks 16 pixels up in all four of them: the index of a byte
is its code with the number of its row above. `vpdpbusd` by ones then adds the four
bytes of a pixel to a 32-bit sum. Below 32, `vpermi2b` and two registers do the same.

Products of more than a byte are split: for codes x and a weight w,

    table[x, w] = base_w + slope_w x + row_w[x],    0 <= row_w[x] <= 255,

where `vpdpbusd` adds slope_w x as well, four at a time.
"""

# pyright: basic

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from llvmlite import ir
from numba import types
from numba.extending import overload

from . import emit, features
from .compiled import compiled
from .contract import Convolution
from .convolve import Second, Work, convolve, plan, spans
from .emit import BYTES, I8, I16, I32, INTS, constant, splat
from .engine import accumulate, prepare, turn
from .lanes import Block, estimate, lay_out
from .layout import Bytes, aligned
from .quads import interleave
from .remembered import remembered
from .table import Table

if TYPE_CHECKING:
    from .cpu import Call

# What the CPU must offer.
FEATURES = ("avx512vnni", "avx512vbmi")
VECTOR, TAPS = 16, 4
# Vectors of a register block, whose sums and rows fill the registers.
MOST = 16
BLOCK = Block(VECTOR, MOST, step=0.45, overhead=3.0, depth=1, bytes_per_lane=4)
# Steps between visits to the sums in memory: the codes of a block stay in L1.
STEPS = 72
# A bound of what one step adds to a lane.
STEP_PEAK = TAPS * (255 + 255 * 128)
ENTRIES = (16, 32)
# Slopes: none, or what a signed or an unsigned byte holds.
FLAT, SIGNED, UNSIGNED = range(3)
FORMS = {FLAT: (0, 0), SIGNED: (-128, 127), UNSIGNED: (0, 255)}
# The row behind those of all weights: what a tap that no channel fills adds.
NONE = 256


class Again(NamedTuple):
    """How codes are laid out by quads, and numbered by their row of a register.

    Args:
        sources, terms, maps, channel, unit, per_group: of `interleave`.
    """

    sources: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int64]
    maps: Bytes
    channel: int
    unit: int
    per_group: int


class Narrow(NamedTuple):
    """What every weight code looks up, and the weights in quads.

    Args:
        rows: uint8[257, entries], aligned.
        entries, form: codes of a row; a key of `FORMS`.
        weights: uint16[O, steps + 1, 4], the rows of a step, and of one more.
        slopes: int32[O, steps + 1], their slopes, a byte each.
        offsets: int32[steps].
        again: the second layout.
    """

    rows: Bytes
    entries: int
    form: int
    weights: npt.NDArray[np.uint16]
    slopes: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]
    again: Again


@dataclass(frozen=True)
class Residual:
    """A table split as above, for codes below `entries`.

    Args:
        rows, base, slope: by weight code.
        flip: x is the code with this bit flipped, so that signed codes are in order.
        form: a key of `FORMS`.
    """

    rows: Bytes
    base: npt.NDArray[np.int64]
    slope: npt.NDArray[np.int64]
    entries: int
    flip: int
    form: int

    def bias(self, weights: Bytes, channels: int) -> npt.NDArray[np.int64]:
        """What each output of weights[O, K] lacks: bases, and the numbers of rows."""
        numbers = self.entries * np.arange(TAPS)[:, None]
        return bias_of(weights, self.base - numbers * self.slope, channels)


def bias_of(
    weights: Bytes, values: npt.NDArray[np.int64], channels: int
) -> npt.NDArray[np.int64]:
    """int64[O], the sum of values[channel % length, weight] of weights[O, K]."""
    total = np.empty(len(weights), np.int64)
    taps = weights.shape[1] // channels
    rows = (np.arange(channels) % len(values)).repeat(taps) * values.shape[1]
    _sum_values(weights, values.ravel(), rows, total)
    return total


@compiled
def _sum_values(weights: Any, values: Any, rows: Any, total: Any) -> None:
    for o in range(len(weights)):
        own, even, odd = weights[o], 0, 0
        for k in range(0, own.size - 1, 2):
            even += values[rows[k] + own[k]]
            odd += values[rows[k + 1] + own[k + 1]]
        if own.size % 2:
            even += values[rows[own.size - 1] + own[own.size - 1]]
        total[o] = even + odd


def residual_for(table: Table, bound: int) -> Residual | None:
    """The split for codes up to a bound; None where the table has none."""
    if not all(map(features.has, FEATURES)):
        return None
    return next((table.derived(_residual_of[e]) for e in ENTRIES if bound < e), None)


def cost(shape: Convolution) -> float:
    """Estimated nanoseconds of the computation alone."""
    per_group = shape.channels // shape.groups
    terms = shape.terms // per_group * (per_group + -per_group % TAPS)
    return estimate(lay_out(shape, BLOCK), BLOCK, terms / TAPS)


def run(call: Call, residual: Residual, sums: Any) -> None:
    """Writes sums[N, O, D, H, W]."""
    shape, threads = call.shape, torch.get_num_threads()
    settings = residual.entries, residual.flip, call.wide, call.goal is not None
    known = plan_of(shape, *settings, threads)
    weights, slopes, bias = _prepared(call, residual)
    engine = known.engine._replace(
        rows=residual.rows, form=residual.form, weights=weights, slopes=slopes
    )
    base = bias + call.finish.constant
    convolve(engine, known.work, call, known.spans, base, sums)


_Prepared = tuple[npt.NDArray[np.uint16], npt.NDArray[np.int32], npt.NDArray[np.int64]]


def _prepared(call: Call, residual: Residual) -> _Prepared:
    """The weights in quads, their slopes, and their bias."""
    per_group = call.shape.channels // call.shape.groups

    def build() -> _Prepared:
        weights = call.w.reshape(call.shape.outputs, per_group, -1)
        steps = -(-per_group // TAPS) * weights.shape[2]
        quads = np.full((len(weights), steps + 1, TAPS), NONE, np.uint16)
        slopes = np.zeros((len(weights), steps + 1), np.int32)
        _arrange(weights, residual.slope, quads, slopes)
        return quads, slopes, residual.bias(call.w, per_group)

    if call.weights is None:
        return build()
    key = "narrow", call.table, residual.entries, per_group
    return remembered(call.weights, key, build)


@compiled
def _arrange(weights: Any, slope: Any, quads: Any, slopes: Any) -> None:
    """Writes four channels' weights [O, channels, taps] of a tap side by side."""
    outputs, channels, taps = weights.shape
    for o in range(outputs):
        for c in range(channels):
            first, place = c // TAPS * taps, c % TAPS
            for t in range(taps):
                code = weights[o, c, t]
                quads[o, first + t, place] = code
                slopes[o, first + t] |= (slope[code] & 255) << (8 * place)


class _Plan(NamedTuple):
    """What does not depend on the codes."""

    engine: Narrow
    work: Work
    spans: npt.NDArray[np.int64]


@lru_cache(maxsize=256)
def plan_of(
    shape: Convolution, entries: int, flip: int, wide: bool, apart: bool, threads: int
) -> _Plan:
    lanes = lay_out(shape, BLOCK, apart)
    per_group, taps = shape.channels // shape.groups, len(lanes.taps)
    quads = -(-per_group // TAPS)
    offsets = np.add.outer(np.arange(quads) * lanes.channel, lanes.taps) * TAPS
    sources = np.arange(quads * TAPS).reshape(-1, TAPS)
    rows = np.arange(TAPS)[:, None]
    maps = (np.arange(256) ^ flip) % entries + rows * entries
    none = np.empty(0, np.uint8)
    engine = Narrow(
        none, entries, 0, none.astype(np.uint16).reshape(0, 0, TAPS),
        none.astype(np.int32).reshape(0, 0), offsets.astype(np.int32).ravel(),
        Again(np.where(sources < per_group, sources, -1),
              np.tile(rows.T, (quads, 1)), maps.astype(np.uint8),
              lanes.channel, lanes.unit, per_group),
    )  # fmt: skip
    parts = quads * shape.groups
    second = Second(parts * lanes.channel * TAPS, TAPS, parts, 0, 0.0)
    steps = quads * taps
    work = plan(lanes, BLOCK, second, threads)
    return _Plan(engine, work, spans(steps, STEP_PEAK, wide))


def _split(table: Table, entries: int) -> Residual | None:
    """The split for codes below `entries`; None where a weight has none."""
    signed = table.mul.signed[0] and table.entries[0] <= entries
    flip = table.entries[0] // 2 if signed else 0
    x = np.arange(entries)
    products = table.square[x ^ flip].T.astype(np.int64)
    for form, (low, high) in FORMS.items():
        slope = _best_slopes(products, low, high)
        rest = products - slope[:, None] * x
        base = rest.min(axis=1)
        rest -= base[:, None]
        if rest.max() <= 255:
            rows = np.zeros((NONE + 1, entries), np.uint8)
            rows[:NONE] = rest
            return Residual(aligned(rows), base, slope, entries, flip, form)
    return None


def _best_slopes(
    products: npt.NDArray[np.int64], low: int, high: int
) -> npt.NDArray[np.int64]:
    """For each weight the slope that leaves the smallest range."""
    x = np.arange(products.shape[1])
    slopes = np.arange(low, high + 1)
    ranges = np.stack([np.ptp(products - slope * x, axis=1) for slope in slopes])
    return slopes[ranges.argmin(axis=0)]


_residual_of = {entries: partial(_split, entries=entries) for entries in ENTRIES}


def _variant(entries: int, form: int, vectors: int) -> int:
    return (entries * 4 + form) * 32 + vectors


@emit.intrinsic
def _sum_quads(
    context: Any, variant: Any, rows: Any, weights: Any, slopes: Any, offsets: Any,
    lanes: Any, count: Any, sums: Any,
) -> Any:  # fmt: skip
    """Adds `count` >= 1 steps of an output to its sums, by address."""
    signature = types.void(*[types.intp] * 8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        variant, *rest = arguments
        cases = {
            _variant(entries, form, vectors): _case(
                builder, rest, entries, form, vectors
            )
            for entries in ENTRIES
            for form in FORMS
            for vectors in range(2, MOST + 1, 2)
        }
        emit.switch(builder, variant, cases)
        return context.get_dummy_value()

    return signature, generate


def _case(builder: Any, arguments: Any, entries: int, form: int, vectors: int) -> Any:
    def generate() -> None:
        rows, weights, slopes, offsets, lanes, count, sums = arguments
        name = "llvm.x86.avx512.vpdpbusd.512"
        multiply = emit.declare(builder, name, INTS, [INTS, BYTES, BYTES])
        ones = splat(1, BYTES)

        def load(k: Any) -> list[Any]:
            codes = _weights(builder, weights, k)
            slope = [_slope(builder, slopes, k)] if form != FLAT else []
            return [*_load_rows(builder, rows, codes, entries), *slope]

        def step(k: Any, held: list[Any]) -> list[Any]:
            # The next step's rows are on their way while this one's are used.
            following, own = load(builder.add(k, constant(1))), held[vectors:]
            at = emit.pointer(builder, offsets, builder.mul(k, constant(4)), I32)
            base = builder.add(lanes, builder.sext(builder.load(at), emit.I64))
            results = list[Any]()
            for v in range(vectors):
                place = emit.pointer(builder, base, constant(64 * v), BYTES)
                codes, total = builder.load(place, align=1), held[v]
                found = emit.look_up(builder, own[: entries // 16], codes)
                total = builder.call(multiply, [total, found, ones])
                if form == SIGNED:
                    total = builder.call(multiply, [total, codes, own[-1]])
                elif form == UNSIGNED:
                    total = builder.call(multiply, [total, own[-1], codes])
                results.append(total)
            return results + following

        first = [splat(0, INTS)] * vectors + load(constant(0))
        held = emit.loop(builder, constant(0), count, first, step)
        for v in range(vectors):
            at = emit.pointer(builder, sums, constant(64 * v), INTS)
            builder.store(builder.add(builder.load(at, align=4), held[v]), at, align=4)

    return generate


def _weights(builder: Any, weights: Any, k: Any) -> list[Any]:
    """The four weights of a step."""
    start = builder.mul(k, constant(2 * TAPS))
    places = [builder.add(start, constant(2 * j)) for j in range(TAPS)]
    codes = [builder.load(emit.pointer(builder, weights, p, I16)) for p in places]
    return [builder.zext(code, emit.I64) for code in codes]


def _load_rows(builder: Any, rows: Any, codes: list[Any], entries: int) -> list[Any]:
    """The registers of four rows, each of as many as it holds."""
    kind = ir.VectorType(I8, entries)
    loaded = [
        builder.load(
            emit.pointer(builder, rows, builder.mul(code, constant(entries)), kind),
            align=16,
        )
        for code in codes
    ]
    each = 64 // entries
    return [
        emit.concatenate(builder, loaded[i : i + each]) for i in range(0, TAPS, each)
    ]


def _slope(builder: Any, slopes: Any, k: Any) -> Any:
    """The four slopes of a step in every lane."""
    at = emit.pointer(builder, slopes, builder.mul(k, constant(4)), I32)
    return builder.bitcast(emit.spread(builder, builder.load(at), INTS), BYTES)


@overload(accumulate)
def _accumulate_by_quads(
    engine, lanes, base, first, count, step0, step1, shift, sums, vectors
):
    if not _is_narrow(engine):
        return None

    def loop(engine, lanes, base, first, count, step0, step1, shift, sums, vectors):
        # Rows of sums are longer than their lanes by a vector.
        even = vectors + vectors % 2
        variant = (engine.entries * 4 + engine.form) * 32 + even
        for k in range(step0, step1, STEPS):
            steps = min(STEPS, step1 - k)
            for o in range(count):
                _sum_quads(
                    variant,
                    engine.rows.ctypes.data,
                    engine.weights[first + o].ctypes.data + 2 * TAPS * k,
                    engine.slopes[first + o].ctypes.data + 4 * k,
                    engine.offsets.ctypes.data + 4 * k,
                    lanes.ctypes.data + base,
                    steps,
                    sums[o].ctypes.data,
                )

    return loop


def _is_narrow(engine: Any) -> bool:
    return isinstance(engine, types.NamedTuple) and engine.instance_class is Narrow


@overload(prepare)
def _prepare_nothing(engine, base, first, last):
    if not _is_narrow(engine):
        return None
    return lambda engine, base, first, last: None


@overload(turn)
def _interleave(engine, lanes, codes, first, last):
    if not _is_narrow(engine):
        return None

    def work(engine, lanes, codes, first, last):
        again = engine.again
        interleave(
            lanes, codes, again.sources, again.terms, again.maps, again.channel,
            again.unit, again.per_group, first, last,
        )  # fmt: skip

    return work
