"""The CUDA side of the contract: hands operands to the room of CUDA kernels."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import BackendError
from ..tables.multiplier import operand_values
from .contract import Convolution, check_codes
from .table import Table

# Of the table, one for the exact product included; more products than this cost more
# than looking up.
MOST_FACTORS = 32

Factors = tuple[Tensor, Tensor]


def convolve(
    x: Tensor,
    w: Tensor,
    tensor: Tensor,
    table: Table,
    shape: Convolution,
    pad_code: int | None,
    wide: bool,
    backend: str,
) -> Tensor:
    """A convolution on the operands' GPU; `tensor` is the table there."""
    _check_narrow({"x": (x, table.entries[0]), "w": (w, table.entries[1])})
    path = choose(tensor, table, shape, wide) if backend == "auto" else backend
    return room("conv").lut_conv(
        x, w, tensor, stride=shape.stride, padding=shape.padding,
        dilation=shape.dilation, groups=shape.groups, pad_code=pad_code, path=path,
        wide=wide, factors=_factors_for(path, table, tensor.device),
    )  # fmt: skip


def matmul(
    a: Tensor, b: Tensor, tensor: Tensor, table: Table, wide: bool, backend: str
) -> Tensor:
    """A matrix product on the operands' GPU; `tensor` is the table there."""
    _check_narrow({"a": (a, table.entries[0]), "b": (b, table.entries[1])})
    path = backend
    if backend == "auto":
        rows, outputs = max(len(a), len(b)), min(len(a), len(b))
        path = _choose(tensor, table, rows, outputs, a.shape[1], 1, wide)
    factors = _factors_for(path, table, tensor.device)
    return room("matmul").lut_matmul(
        a, b, tensor, path=path, wide=wide, factors=factors
    )


def choose(tensor: Tensor, table: Table, shape: Convolution, wide: bool) -> str:
    """The name of the fastest path for a convolution; `tensor` is the table there."""
    rows, outputs = shape.batch * prod(shape.out), shape.outputs // shape.groups
    return _choose(tensor, table, rows, outputs, shape.terms, shape.groups, wide)


def missing() -> dict[str, str | None]:
    """Every path on a GPU, with the reason why this machine lacks it."""
    reason = room("devices").why_no_device(torch.device("cuda"))
    return dict.fromkeys(room("paths").PATHS, reason)


def device_name() -> str:
    """The GPU as its maker calls it.

    Raises:
        BackendError: where kernels cannot run on one.
    """
    reason = room("devices").why_no_device(torch.device("cuda"))
    if reason is not None:
        raise BackendError(reason)
    return torch.cuda.get_device_name()


def room(name: str) -> Any:
    """A module of `axsim.cuda`, imported when a GPU is first asked for."""
    return import_module(f"..cuda.{name}", __package__)


def _choose(
    tensor: Tensor,
    table: Table,
    rows: int,
    outputs: int,
    terms: int,
    groups: int,
    wide: bool,
) -> str:
    try:
        factors = _factors(table, tensor.device)
    except BackendError:
        # Without python-flint a table of one's own has no factors: look it up.
        factors = None
    return room("paths").choose(
        tensor, rows=rows, outputs=outputs, terms=terms, groups=groups, wide=wide,
        factors=factors,
    )  # fmt: skip


def _factors_for(path: str, table: Table, device: torch.device) -> Factors | None:
    return _factors(table, device) if path == "factored" else None


@lru_cache(maxsize=256)
def _factors(table: Table, device: torch.device) -> Factors | None:
    """left[codes of x, R] and right[codes of w, R] with `table = left @ right.T`."""
    mul = table.mul
    if mul.rank >= MOST_FACTORS:
        return None
    error = mul.factors()
    values = [
        operand_values(bits, signed)[:, None]
        for bits, signed in zip(mul.bits, mul.signed, strict=True)
    ]
    left = np.concatenate([values[0], error.u], axis=1)
    right = np.concatenate([values[1], error.b.T], axis=1)
    return torch.from_numpy(left).to(device), torch.from_numpy(right).to(device)


def _check_narrow(operands: dict[str, tuple[Tensor, int]]) -> None:
    """Codes of narrow tables are looked at, which waits for the GPU: not in a graph."""
    if torch.cuda.is_current_stream_capturing():
        return
    for name, (codes, entries) in operands.items():
        if entries < 256 and codes.numel():
            check_codes(name, int(codes.max()), entries)
