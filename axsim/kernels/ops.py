"""The public products of codes, as torch operators for CPU and CUDA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..errors import OperandError
from ..tables.multiplier import Multiplier
from . import cpu, gpu
from .choice import choose_cpu
from .contract import (
    Convolution,
    Ints,
    check_matmul,
    check_pad_code,
    describe_convolution,
    needs_int64,
)
from .table import Table, pack_signs, table_behind, table_of, tensor_of

Function = TypeVar("Function", bound=Callable[..., Any])


def lut_matmul(a: Tensor, b: Tensor, mul: Multiplier, backend: str = "auto") -> Tensor:
    """The matrix product of codes, each product looked up: `sum_k table[a_mk, b_nk]`.

    Args:
        a: uint8[M, K], raw codes of activations.
        b: uint8[N, K], raw codes of weights, on the same device.
        mul: its table has a row for every code of `a`, a column for every code of `b`.
        backend: a path (`axsim doctor` lists them), or "auto" for the fastest one.

    Returns:
        int32[M, N], or int64 where K * max|table| passes 2^31 - 1.

    Raises:
        OperandError: for other dtypes, shapes, devices or codes.
        BackendError: where the path or the device cannot serve.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> codes = torch.tensor([[1, 2]], dtype=torch.uint8)
        >>> lut_matmul(codes, codes + 2, exact)
        tensor([[11]], dtype=torch.int32)
    """
    _check_kinds(mul, a=a, b=b)
    check_matmul(a.shape, b.shape)
    table, signs, peak, _ = _tensor(mul, a, b, "a", "b")
    wide = needs_int64(a.shape[1], peak)
    return torch.ops.axsim.lut_matmul(a, b, table, signs, wide, backend)


def lut_conv1d(
    x: Tensor,
    w: Tensor,
    mul: Multiplier,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    pad_code: int | None = 0,
    backend: str = "auto",
) -> Tensor:
    """`lut_conv2d` over one dimension: x[N, C, L], w[O, C/groups, k]."""
    settings = (stride, padding, dilation)
    return _conv(1, x, w, mul, settings, groups, pad_code, backend)


def lut_conv2d(
    x: Tensor,
    w: Tensor,
    mul: Multiplier,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    pad_code: int | None = 0,
    backend: str = "auto",
) -> Tensor:
    """A convolution of codes, each product looked up.

    Args:
        x: uint8[N, C, H, W], raw codes of activations.
        w: uint8[O, C/groups, kh, kw], raw codes of weights, on the same device.
        mul: its table has a row for every code of `x`, a column for every code of `w`.
        stride, dilation: at least 1, one number or one for each dimension.
        padding: at least 0, on both sides.
        groups: divides C and O.
        pad_code: code of a padded tap, looked up like any other; None skips the tap.
        backend: a path (`axsim doctor` lists them), or "auto" for the fastest one.

    Returns:
        int32[N, O, H', W'], or int64 where K * max|table| passes 2^31 - 1, with
        K = C/groups * kh * kw.

    Raises:
        OperandError: for other dtypes, shapes, devices, settings or codes.
        BackendError: where the path or the device cannot serve.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> x = torch.full((1, 1, 3, 3), 2, dtype=torch.uint8)
        >>> lut_conv2d(x, x + 3, exact, padding=1)[0, 0, :, 0]
        tensor([40, 60, 40], dtype=torch.int32)
    """
    settings = (stride, padding, dilation)
    return _conv(2, x, w, mul, settings, groups, pad_code, backend)


def lut_conv3d(
    x: Tensor,
    w: Tensor,
    mul: Multiplier,
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    pad_code: int | None = 0,
    backend: str = "auto",
) -> Tensor:
    """`lut_conv2d` over x[N, C, D, H, W] and w[O, C/groups, kd, kh, kw]."""
    settings = (stride, padding, dilation)
    return _conv(3, x, w, mul, settings, groups, pad_code, backend)


def _conv(
    spatial: int,
    x: Tensor,
    w: Tensor,
    mul: Multiplier,
    settings: tuple[Ints, Ints, Ints],
    groups: int,
    pad_code: int | None,
    backend: str,
) -> Tensor:
    _check_kinds(mul, x=x, w=w)
    if x.dim() != spatial + 2:
        raise OperandError(
            f"x has shape {tuple(x.shape)}; lut_conv{spatial}d needs {spatial + 2} "
            "dimensions."
        )
    table, signs, peak, rows = _tensor(mul, x, w, "x", "w")
    check_pad_code(pad_code, rows)
    shape = _shape(x.shape, w.shape, settings, groups)
    return torch.ops.axsim.lut_conv(
        x, w, table, signs, shape.stride, shape.padding, shape.dilation, groups,
        pad_code, needs_int64(shape.terms, peak), backend,
    )  # fmt: skip


def _shape(
    x: torch.Size, w: torch.Size, settings: tuple[Ints, Ints, Ints], groups: int
) -> Convolution:
    if torch.compiler.is_compiling():
        return describe_convolution(x, w, *settings, groups)
    # Lists are accepted, but no keys.
    keys = (s if isinstance(s, int) else tuple(s) for s in settings)
    return _describe(tuple(x), tuple(w), *keys, groups)


def _check_kinds(mul: Any, **operands: Any) -> None:
    for name, codes in operands.items():
        if not isinstance(codes, Tensor):
            raise OperandError(
                f"{name} is a {type(codes).__name__}; give a uint8 tensor, such as "
                f"torch.as_tensor({name}, dtype=torch.uint8)."
            )
    if not isinstance(mul, Multiplier):
        raise OperandError(
            f"mul is {mul!r:.60}; give a multiplier, such as ax.load_multiplier(name)."
        )


def _tensor(
    mul: Multiplier, a: Tensor, b: Tensor, *names: str
) -> tuple[Tensor, int, int, int]:
    """The table's tensor, its signs, peak and rows, for checked operands."""
    for name, codes in zip(names, (a, b), strict=True):
        if codes.dtype != torch.uint8:
            raise OperandError(
                f"{name} has dtype {codes.dtype}; raw codes are torch.uint8. View int8 "
                "codes as uint8: the table is indexed by the byte."
            )
    if a.device != b.device:
        raise OperandError(
            f"{names[0]} is on {a.device} and {names[1]} on {b.device}; move them to "
            "one device."
        )
    return _table_on(mul, a.device), *_numbers(mul)


def _constant(function: Function) -> Function:
    """Tells the compiler to take results as constants: it cannot see a Multiplier.

    This is `torch.compiler.assume_constant_result` without its import of the compiler,
    which takes longer than all of this package.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@_constant
def _table_on(mul: Multiplier, device: torch.device) -> Tensor:
    return tensor_of(mul, device)


@_constant
def _numbers(mul: Multiplier) -> tuple[int, int, int]:
    return pack_signs(mul), table_of(mul).peak, mul.table.shape[0]


@_constant
def peak_of(mul: Multiplier) -> int:
    """The largest magnitude of a multiplier's products."""
    return table_of(mul).peak


# A layer is called with the same shapes again and again.
_describe = lru_cache(maxsize=1024)(describe_convolution)

# `torch.library.custom_op` would import the compiler at the first call.
library = torch.library.Library("axsim", "DEF")
library.define(
    "lut_conv(Tensor x, Tensor w, Tensor table, int signs, SymInt[] stride, "
    "SymInt[] padding, SymInt[] dilation, SymInt groups, int? pad_code, bool wide, "
    "str backend) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
library.define(
    "lut_matmul(Tensor a, Tensor b, Tensor table, int signs, bool wide, str backend) "
    "-> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)


@torch.library.impl(library, "lut_conv", "CPU")
def conv_on_cpu(
    x: Tensor,
    w: Tensor,
    table: Tensor,
    signs: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    pad_code: int | None,
    wide: bool,
    backend: str,
) -> Tensor:
    settings = (tuple(stride), tuple(padding), tuple(dilation))
    shape = _describe(tuple(x.shape), tuple(w.shape), *settings, groups)
    return _run(x, w, table_behind(table, signs), shape, pad_code, wide, backend)


@torch.library.impl(library, "lut_conv", "CUDA")
def conv_on_gpu(
    x: Tensor,
    w: Tensor,
    table: Tensor,
    signs: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    pad_code: int | None,
    wide: bool,
    backend: str,
) -> Tensor:
    shape = describe_convolution(x.shape, w.shape, stride, padding, dilation, groups)
    known = table_behind(table, signs)
    return gpu.convolve(x, w, table, known, shape, pad_code, wide, backend)


@torch.library.register_fake("axsim::lut_conv", lib=library)
def conv_shape(
    x: Tensor,
    w: Tensor,
    table: Tensor,
    signs: int,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    pad_code: int | None,
    wide: bool,
    backend: str,
) -> Tensor:
    shape = describe_convolution(x.shape, w.shape, stride, padding, dilation, groups)
    size = (shape.batch, shape.outputs, *shape.out)
    return x.new_empty(size, dtype=torch.int64 if wide else torch.int32)


@torch.library.impl(library, "lut_matmul", "CPU")
def matmul_on_cpu(
    a: Tensor, b: Tensor, table: Tensor, signs: int, wide: bool, backend: str
) -> Tensor:
    # Rows are images of one pixel.
    (m, k), n = a.shape, b.shape[0]
    shape = Convolution(m, k, n, (1,), (1,), (1,), (0,), (1,), 1)
    known, names = table_behind(table, signs), ("a", "b")
    return _run(a, b, known, shape, 0, wide, backend, names).reshape(m, n)


@torch.library.impl(library, "lut_matmul", "CUDA")
def matmul_on_gpu(
    a: Tensor, b: Tensor, table: Tensor, signs: int, wide: bool, backend: str
) -> Tensor:
    return gpu.matmul(a, b, table, table_behind(table, signs), wide, backend)


@torch.library.register_fake("axsim::lut_matmul", lib=library)
def matmul_shape(
    a: Tensor, b: Tensor, table: Tensor, signs: int, wide: bool, backend: str
) -> Tensor:
    size = (a.shape[0], b.shape[0])
    return a.new_empty(size, dtype=torch.int64 if wide else torch.int32)


def _run(
    x: Tensor,
    w: Tensor,
    table: Table,
    shape: Convolution,
    pad_code: int | None,
    wide: bool,
    backend: str,
    names: tuple[str, str] = ("x", "w"),
) -> Tensor:
    path, swapped = choose_cpu(table, shape, wide, backend)
    return cpu.convolve(x, w, table, shape, pad_code, wide, path, swapped, names)
