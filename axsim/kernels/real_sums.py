"""Products of codes summed and turned into real numbers in one go, on the CPU."""

from __future__ import annotations

from torch import Tensor

from ..tables.multiplier import Multiplier
from . import cpu
from .choice import choose_cpu
from .contract import Convolution, check_pad_code, needs_int64
from .finish import Finish
from .table import table_of


def real_sums(
    x: Tensor,
    w: Tensor,
    mul: Multiplier,
    shape: Convolution,
    pad_code: int | None,
    backend: str,
    finish: Finish,
) -> Tensor | None:
    """`lut_conv2d` and its kin, with each sum finished while it is in the cache.

    Args:
        x, w: uint8 raw codes of activations and weights on the CPU, shaped as `shape`
            says.
        mul: its table has a row for every code of `x`, a column for every code of `w`.
        shape: of the convolution.
        pad_code: code of a padded tap; None skips the tap.
        backend: a path, or "auto" for the fastest one.
        finish: the sums, with all it adds to them, must stay in int32.

    Returns:
        float32[N, O, ...]; None where the way to compute it gives whole sums only.

    Raises:
        OperandError: for codes that the table does not have.
        BackendError: where the path cannot serve.
    """
    path = finishing_path(mul, shape, pad_code, backend)
    if path is None:
        return None
    table, names = table_of(mul), ("x", "w")
    return cpu.convolve(x, w, table, shape, pad_code, False, path, False, names, finish)


def finishing_path(
    mul: Multiplier, shape: Convolution, pad_code: int | None, backend: str
) -> str | None:
    """The path that makes more of sums than integers as it goes; None where none does.

    Raises:
        OperandError: for a padding code that the table does not have.
        BackendError: where the path cannot serve.
    """
    table = table_of(mul)
    wide = needs_int64(shape.terms, table.peak)
    path, swapped = choose_cpu(table, shape, wide, backend)
    if not cpu.finishes(path, swapped, wide, pad_code, shape):
        return None
    check_pad_code(pad_code, mul.table.shape[0])
    return path
