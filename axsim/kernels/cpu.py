"""The CPU side of the contract: the paths, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from . import factored, gather, shuffle
from .contract import Convolution, check_codes
from .layout import unite
from .skip import remove_padded_taps
from .table import Table

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Call:
    """One convolution, ready for a path.

    Args:
        table: of the multiplier.
        shape: of the convolution.
        x: [N, C * D * H * W]; w: [O, K]; both contiguous.
        pad: code of padded taps.
        bound: no code of `x` nor `pad` is above it; one less than a power of two.
        wide: whether sums are int64.
    """

    table: Table
    shape: Convolution
    x: Codes
    w: Codes
    pad: int
    bound: int
    wide: bool


# Each path says why it cannot serve (None where it can), and serves.
WhyNot = Callable[[Table, Convolution, bool], str | None]
PATHS: dict[str, tuple[WhyNot, Callable[[Call, Any], None]]] = {
    "gather": (gather.why_not, gather.run),
    "shuffle": (shuffle.why_not, shuffle.run),
    "factored": (factored.why_not, factored.run),
}


def convolve(
    x: torch.Tensor,
    w: torch.Tensor,
    table: Table,
    shape: Convolution,
    pad_code: int | None,
    wide: bool,
    path: str,
) -> torch.Tensor:
    """Sums of one convolution on the named path; shapes are checked, codes are not.

    Raises:
        OperandError: for codes that the table does not have.
    """
    kind = torch.int64 if wide else torch.int32
    sums = torch.empty(shape.batch, shape.outputs, *shape.out, dtype=kind)
    if not sums.numel():
        return sums
    codes = x.contiguous().numpy().reshape(shape.batch, -1)
    weights = w.contiguous().numpy().reshape(shape.outputs, -1)
    pad = 0 if pad_code is None else pad_code
    bound = (1 << int(unite(codes.reshape(-1)) | pad).bit_length()) - 1
    _check_narrow(codes, weights, bound, table)
    call = Call(table, shape, codes, weights, pad, bound, wide)
    view = sums.numpy().reshape(shape.batch, shape.outputs, *_three(shape.out))
    PATHS[path][1](call, view)
    if pad_code is None:
        remove_padded_taps(call, view)
    return sums


def _check_narrow(codes: Codes, weights: Codes, bound: int, table: Table) -> None:
    rows, columns = table.entries
    if bound >= rows:
        check_codes("x", int(codes.max()), rows)
    if columns < 256:
        check_codes("w", int(weights.max()), columns)


def _three(out: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (3 - len(out)) + out
