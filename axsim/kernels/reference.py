"""The readable truth that every path is held to, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OperandError
from ..tables.multiplier import Multiplier
from .contract import (
    Ints,
    check_codes,
    check_matmul,
    check_pad_code,
    describe_convolution,
    needs_int64,
)

Codes = npt.NDArray[np.uint8]
Sums = npt.NDArray[np.int32] | npt.NDArray[np.int64]


def lut_matmul(a: Codes, b: Codes, mul: Multiplier) -> Sums:
    """The matrix product of codes, each product looked up: `sum_k table[a_mk, b_nk]`.

    Args:
        a: uint8[M, K], raw codes of activations.
        b: uint8[N, K], raw codes of weights.
        mul: its table has a row for every code of `a`, a column for every code of `b`.

    Returns:
        int32[M, N], or int64 where K * max|table| passes 2^31 - 1.

    Raises:
        OperandError: for other dtypes, shapes or codes.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> one_two, three_four = np.uint8([[1, 2]]), np.uint8([[3, 4]])
        >>> lut_matmul(one_two, three_four, exact)
        array([[11]], dtype=int32)
    """
    check_matmul(a.shape, b.shape)
    _check_operand("a", a, mul.table.shape[0])
    _check_operand("b", b, mul.table.shape[1])
    products = mul.table[a[:, None, :], b[None, :, :]]
    return _narrow(products.sum(axis=2, dtype=np.int64), a.shape[1], mul)


def lut_conv(
    x: Codes,
    w: Codes,
    mul: Multiplier,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    pad_code: int | None = 0,
) -> Sums:
    """A convolution of codes over 1, 2 or 3 spatial dimensions, each product looked up.

    Args:
        x: uint8[N, C, ...], raw codes of activations.
        w: uint8[O, C/groups, ...], raw codes of weights.
        mul: its table has a row for every code of `x`, a column for every code of `w`.
        stride, dilation: at least 1, one number or one for each spatial dimension.
        padding: at least 0, on both sides.
        groups: divides C and O.
        pad_code: code of a padded tap, looked up like any other; None skips the tap.

    Returns:
        int32[N, O, ...], or int64 where K * max|table| passes 2^31 - 1, with
        K = C/groups * (number of taps).

    Raises:
        OperandError: for other dtypes, shapes, settings or codes.
    """
    shape = describe_convolution(x.shape, w.shape, stride, padding, dilation, groups)
    _check_operand("x", x, mul.table.shape[0])
    _check_operand("w", w, mul.table.shape[1])
    check_pad_code(pad_code, mul.table.shape[0])
    border = [(0, 0), (0, 0), *((p, p) for p in shape.padding)]
    padded = np.pad(x, border, constant_values=0 if pad_code is None else pad_code)
    real = np.pad(
        np.ones(shape.size, np.bool_), border[2:], constant_values=pad_code is not None
    )
    # codes: (N, G, 1, C/G, *out), weights: (1, G, O/G, C/G, *ones)
    batch, out, ones = shape.batch, shape.out, (1,) * len(shape.out)
    per_group, outputs = shape.channels // groups, shape.outputs // groups
    grouped = padded.reshape(batch, groups, 1, per_group, *shape.padded)
    kernels = w.reshape(1, groups, outputs, per_group, *shape.kernel)
    sums = np.zeros((batch, groups, outputs, *out), np.int64)
    for tap in np.ndindex(shape.kernel):
        steps = zip(tap, shape.dilation, shape.stride, out, strict=True)
        window = tuple(slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in steps)
        codes = grouped[(..., *window)]
        weights = kernels[(..., *tap)].reshape(*kernels.shape[:4], *ones)
        products = mul.table[codes, weights].astype(np.int64)
        sums += (products * real[window]).sum(axis=3)
    return _narrow(sums.reshape(batch, shape.outputs, *out), shape.terms, mul)


def lut_conv1d(x: Codes, w: Codes, mul: Multiplier, **settings: Any) -> Sums:
    """`lut_conv` over x[N, C, L]."""
    return _conv_of(1, x, w, mul, settings)


def lut_conv2d(x: Codes, w: Codes, mul: Multiplier, **settings: Any) -> Sums:
    """`lut_conv` over x[N, C, H, W].

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> x = np.full((1, 1, 3, 3), 2, np.uint8)
        >>> lut_conv2d(x, x + 3, exact, padding=1)[0, 0, :, 0]
        array([40, 60, 40], dtype=int32)
    """
    return _conv_of(2, x, w, mul, settings)


def lut_conv3d(x: Codes, w: Codes, mul: Multiplier, **settings: Any) -> Sums:
    """`lut_conv` over x[N, C, D, H, W]."""
    return _conv_of(3, x, w, mul, settings)


def _conv_of(
    spatial: int, x: Codes, w: Codes, mul: Multiplier, settings: dict[str, Any]
) -> Sums:
    if x.ndim != spatial + 2:
        raise OperandError(
            f"x has shape {x.shape}; lut_conv{spatial}d needs {spatial + 2} dimensions."
        )
    return lut_conv(x, w, mul, **settings)


def _check_operand(name: str, codes: Codes, entries: int) -> None:
    if codes.dtype != np.uint8:
        raise OperandError(
            f"{name} has dtype {codes.dtype}; raw codes are uint8. View int8 codes as "
            "uint8: the table is indexed by the byte."
        )
    check_codes(name, int(codes.max(initial=0)), entries)


def _narrow(sums: npt.NDArray[np.int64], terms: int, mul: Multiplier) -> Sums:
    peak = int(np.abs(mul.table.astype(np.int64)).max())
    return sums if needs_int64(terms, peak) else sums.astype(np.int32)
