"""The profiles' formulas in plain NumPy: one loop a sum, nothing taken from axsim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
F32 = np.float32


class Quantised(NamedTuple):
    """Codes as numbers, with a scale and a zero point for each output, or one."""

    codes: Array
    scale: Array
    zero: Array


def affine(low: Array, high: Array, half_up: bool) -> tuple[Array, Array]:
    """Scale and zero point of 0 … 255, float32 as everything here."""
    scale = ((high - low) / F32(255)).astype(F32)
    steps = (-low / scale).astype(np.float64)
    zero = np.floor(steps + 0.5) if half_up else np.rint(steps)
    return scale, np.clip(zero, 0, 255).astype(int)


def to_codes(x: Array, scale: Array, zero: Array, ends: tuple[int, int],
             half_up: bool = False) -> Array:  # fmt: skip
    steps = x.astype(F32) * (F32(1) / scale)
    whole = np.floor(steps + F32(0.5)) if half_up else np.rint(steps)
    return np.clip(whole + zero, *ends).astype(int)


def per_output(w: Array) -> tuple[Array, Array]:
    """Lowest and highest weight of each output, shaped to broadcast."""
    axes = tuple(range(1, w.ndim))
    return w.min(axes, keepdims=True), w.max(axes, keepdims=True)


def tf2(x: Array, w: Array, seen: Array) -> tuple[Quantised, Quantised]:
    """Minimum and maximum of the batch itself; a range without 0 is shifted there."""

    def quantise(v: Array) -> Quantised:
        low, high = np.asarray(v.min()), np.asarray(v.max())
        if low > 0:
            low, high = 0 * low, high - low
        elif high < 0:
            low, high = low - high, 0 * high
        scale, zero = affine(low, high, half_up=True)
        return Quantised(to_codes(v, scale, zero, (0, 255), True), scale, zero)

    return quantise(x), quantise(w)


def adapt(x: Array, w: Array, seen: Array) -> tuple[Quantised, Quantised]:
    """The percentile of fewer than 10,000 values is the largest of them."""

    def quantise(v: Array, range_of: Array) -> Quantised:
        scale = (abs(range_of).max() / F32(127)).astype(F32)
        zero = np.zeros((), int)
        return Quantised(to_codes(v, scale, zero, (-127, 127)), scale, zero)

    return quantise(x, seen), quantise(w, w)


def pt2e(x: Array, w: Array, seen: Array) -> tuple[Quantised, Quantised]:
    scale, zero = affine(np.minimum(seen.min(), 0), np.maximum(seen.max(), 0), False)
    scale = np.maximum(scale, F32(2.0**-12))
    zero = np.clip(np.rint(-np.minimum(seen.min(), 0) / scale), 0, 255).astype(int)
    a = Quantised(to_codes(x, scale, zero, (0, 255)), scale, zero)
    low, high = per_output(w)
    scales = np.maximum(np.maximum(-low, high) / F32(127.5), F32(2.0**-12)).astype(F32)
    zeros = np.zeros(scales.shape, int)
    return a, Quantised(to_codes(w, scales, zeros, (-128, 127)), scales, zeros)


def axsim(x: Array, w: Array, seen: Array) -> tuple[Quantised, Quantised]:
    low, high = np.minimum(seen.min(), 0), np.maximum(seen.max(), 0)
    scale, zero = affine(low, high, half_up=False)
    a = Quantised(to_codes(x, scale, zero, (0, 255)), scale, zero)
    low, high = per_output(w)
    scales, zeros = affine(np.minimum(low, 0), np.maximum(high, 0), half_up=False)
    return a, Quantised(to_codes(w, scales, zeros, (0, 255)), scales, zeros)


QUANTISERS = {"tf2": tf2, "adapt": adapt, "pt2e": pt2e, "axsim": axsim}


class Shape(NamedTuple):
    """Settings of a convolution, the same in both directions."""

    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1


LookUp = Callable[[Array, Array], Array]


def windows(
    a: Quantised, w: Quantised, shape: Shape
) -> Iterator[tuple[tuple[int, ...], Array, Array]]:
    """Place of each output, and the codes that meet there; padding is the code of 0."""
    outputs, per_group, height, width = w.codes.shape
    pad = (shape.padding, shape.padding)
    x = np.pad(a.codes, ((0, 0), (0, 0), pad, pad), constant_values=int(a.zero))
    reach = [shape.dilation * (size - 1) + 1 for size in (height, width)]
    spans = [
        range(0, size - span + 1, shape.stride)
        for size, span in zip(x.shape[2:], reach, strict=True)
    ]
    for n, o in product(range(len(x)), range(outputs)):
        first = o // (outputs // shape.groups) * per_group
        for (i, top), (j, left) in product(*map(enumerate, spans)):
            down = slice(top, top + reach[0], shape.dilation)
            along = slice(left, left + reach[1], shape.dilation)
            yield (n, o, i, j), x[n, first : first + per_group, down, along], w.codes[o]


def convolve(
    look_up: LookUp, a: Quantised, w: Quantised, bias: Array, shape: Shape
) -> dict[tuple[int, ...], float]:
    """y = s_a s_w (S - z_w Σq_a - z_a Σq_w + K z_a z_w) + bias, place by place."""
    y: dict[tuple[int, ...], float] = {}
    for place, q_a, q_w in windows(a, w, shape):
        o = place[1]
        s_w, z_w = (np.broadcast_to(p.ravel(), len(w.codes))[o] for p in w[1:])
        z_a = a.zero
        total = int(look_up(q_a, q_w).sum())
        total += int(-z_w * q_a.sum() - z_a * q_w.sum() + q_a.size * z_a * z_w)
        y[place] = float(F32(total) * (a.scale * s_w) + bias[o])
    return y


def published_tf2(
    look_up: LookUp, a: Quantised, w: Quantised, bias: Array, shape: Shape
) -> dict[tuple[int, ...], float]:
    """tf-approximate's S s₁s₂ + m₂ Σx + m₁ Σw - K m₁m₂ with real numbers, in float64.

    m = -z s is what code 0 stands for; Σx and Σw sum the values of the codes.
    """
    s_1, s_2 = float(a.scale), float(w.scale)
    m_1, m_2 = -s_1 * int(a.zero), -s_2 * int(w.zero)
    y: dict[tuple[int, ...], float] = {}
    for place, q_a, q_w in windows(a, w, shape):
        sum_x, sum_w = (s_1 * q_a + m_1).sum(), (s_2 * q_w + m_2).sum()
        raw = look_up(q_a, q_w).sum() * s_1 * s_2
        correction = m_2 * sum_x + m_1 * sum_w - q_a.size * m_1 * m_2
        y[place] = float(raw + correction + bias[place[1]])
    return y
