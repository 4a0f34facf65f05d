"""The CUDA side of the contract: hands operands to the room of CUDA kernels."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor

from ..errors import BackendError
from .contract import check_codes
from .table import Table

NO_GPU = "torch sees no GPU (torch.cuda.is_available() is False)."


def convolve(
    x: Tensor,
    w: Tensor,
    table: Tensor,
    settings: tuple[Sequence[int], Sequence[int], Sequence[int]],
    groups: int,
    pad_code: int | None,
    wide: bool,
    path: str,
) -> Tensor:
    """A convolution on the operands' GPU; settings are stride, padding, dilation."""
    _check_narrow({"x": (x, table.shape[0]), "w": (w, table.shape[1])})
    stride, padding, dilation = map(tuple, settings)
    return _room("conv").lut_conv(
        x, w, table, stride=stride, padding=padding, dilation=dilation, groups=groups,
        pad_code=pad_code, path=path, wide=wide,
    )  # fmt: skip


def matmul(a: Tensor, b: Tensor, table: Tensor, wide: bool, path: str) -> Tensor:
    """A matrix product on the operands' GPU."""
    _check_narrow({"a": (a, table.shape[0]), "b": (b, table.shape[1])})
    return _room("matmul").lut_matmul(a, b, table, path=path, wide=wide)


def missing() -> dict[str, str | None]:
    """Every path on a GPU, with the reason why this machine lacks it."""
    try:
        names = _room("paths").PATHS
    except BackendError as refusal:
        return {"every path": str(refusal)}
    return dict.fromkeys(names, None if torch.cuda.is_available() else NO_GPU)


def _room(name: str) -> ModuleType:
    """A module of `axsim.cuda`, or the reason why there is none."""
    from importlib import import_module

    try:
        return import_module(f"axsim.cuda.{name}")
    except ModuleNotFoundError as missing:
        raise BackendError(
            f"device 'cuda' needs {missing.name}. Install axsim[cuda], or move the "
            "operands to the CPU."
        ) from missing


def _check_narrow(operands: dict[str, tuple[Tensor, int]]) -> None:
    """Codes of narrow tables are looked at, which waits for the GPU: not in a graph."""
    if torch.cuda.is_current_stream_capturing():
        return
    for name, (codes, entries) in operands.items():
        if entries < 256 and codes.numel():
            check_codes(name, int(codes.max()), entries)


def choose(table: Table) -> str:
    """The path for a table: whatever fits its width."""
    return "packed" if table.peak < 1 << 15 else "gather"
