"""The CPU side of the contract: the paths, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from . import factored, features, floats, gather, shuffle
from .contract import Convolution, check_codes
from .finish import Finish, stay_whole
from .layout import unite
from .open import Goal
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
        finish: what becomes of the sums; real numbers take the bits of the sums.
        goal: sums to complete instead of writing new ones; None for all new.
        weights: the tensor that `w` is; None where `w` was made for this call.
    """

    table: Table
    shape: Convolution
    x: Codes
    w: Codes
    pad: int
    bound: int
    wide: bool
    finish: Finish
    goal: Goal | None = None
    weights: torch.Tensor | None = None


class Path(NamedTuple):
    """One way to compute.

    Args:
        why_not: why it cannot serve a table, a shape and wide sums; None where it can.
        cost: estimated nanoseconds for a table and a shape it can serve.
        run: writes the sums [N, O, D, H, W] of a call.
    """

    why_not: Callable[[Table, Convolution, bool], str | None]
    cost: Callable[[Table, Convolution], float]
    run: Callable[[Call, Any], None]


# Both multiply exact factors.
VARIANTS = {
    "AVX-512 VNNI": Path(factored.why_not, factored.cost, factored.run),
    "float32 torch": Path(floats.why_not, floats.cost, floats.run),
}


def variant() -> str:
    """How this machine's CPU multiplies the factors of a table: a key of `VARIANTS`.

    Example:
        >>> variant() in ("AVX-512 VNNI", "float32 torch")
        True
    """
    vectors = all(map(features.has, factored.FEATURES))
    return "AVX-512 VNNI" if vectors else "float32 torch"


PATHS = {
    "gather": Path(gather.why_not, gather.cost, gather.run),
    "shuffle": Path(shuffle.why_not, shuffle.cost, shuffle.run),
    "factored": Path(
        lambda table, shape, wide: VARIANTS[variant()].why_not(table, shape, wide),
        lambda table, shape: VARIANTS[variant()].cost(table, shape),
        lambda call, sums: VARIANTS[variant()].run(call, sums),
    ),
}


def convolve(
    x: torch.Tensor,
    w: torch.Tensor,
    table: Table,
    shape: Convolution,
    pad_code: int | None,
    wide: bool,
    path: str,
    swapped: bool,
    names: tuple[str, str],
    finish: Finish | None = None,
) -> torch.Tensor:
    """Sums of one convolution on the named path; shapes are checked, codes are not.

    Args:
        swapped: whether lanes run along outputs instead of pixels: activations and
            weights change places, and so do the operands of the table.
        names: what the caller calls the operands.
        finish: what makes real numbers of the sums, on a way that `finishes`.

    Raises:
        OperandError: for codes that the table does not have.
    """
    kind = torch.int64 if wide else torch.int32 if finish is None else torch.float32
    out = shape.out
    sums = torch.empty(shape.batch, shape.outputs, *out, dtype=kind)
    if not sums.numel():
        return sums
    how = finish or stay_whole(shape.outputs)
    call = _call(x, w, table, shape, pad_code or 0, wide, names, how)
    view = sums.numpy().reshape(shape.batch, shape.outputs, *_three(out))
    if finish is not None:
        view = view.view(np.int32)
    if swapped:
        _run_swapped(call, PATHS[path], view)
    else:
        PATHS[path].run(call, view)
    if pad_code is None:
        remove_padded_taps(call, view)
    return sums


def complete(
    x: torch.Tensor, w: torch.Tensor, table: Table, shape: Convolution, pad: int,
    path: str, finish: Finish, goal: Goal,
) -> None:  # fmt: skip
    """Adds the sums of one convolution where the goal wants them; arguments as above.

    Args:
        finish: without scales; what it adds, and the sums, stay in int32.
    """
    if shape.batch and shape.outputs:
        call = _call(x, w, table, shape, pad, False, ("x", "w"), finish)
        nothing = np.empty((0, shape.outputs, 0, 0, 0), np.int32)
        PATHS[path].run(replace(call, goal=goal), nothing)


def _call(
    x: torch.Tensor, w: torch.Tensor, table: Table, shape: Convolution, pad: int,
    wide: bool, names: tuple[str, str], finish: Finish,
) -> Call:  # fmt: skip
    codes = x.contiguous().numpy().reshape(shape.batch, -1)
    weights = w.contiguous().numpy().reshape(shape.outputs, -1)
    bound = _bound(codes, pad)
    _check_narrow(codes, weights, bound, table, names)
    return Call(table, shape, codes, weights, pad, bound, wide, finish, None, w)


def finishes(
    path: str, swapped: bool, wide: bool, pad_code: int | None, shape: Convolution
) -> bool:
    """Whether a way of computing can finish sums, or complete others, as it goes."""
    skips = pad_code is None and any(shape.padding)
    by_torch = path == "factored" and variant() == "float32 torch"
    return not (swapped or wide or skips or by_torch)


def swap(shape: Convolution) -> Convolution:
    """The matrix product that a convolution is, with weights as the rows."""
    pixels = shape.batch * prod(shape.out)
    return Convolution(
        shape.outputs, shape.terms, pixels, (1,), (1,), (1,), (0,), (1,), 1
    )


def _run_swapped(call: Call, path: Path, sums: Any) -> None:
    shape = call.shape
    windows = _windows(call)
    found = np.empty((shape.outputs, len(windows), 1, 1, 1), sums.dtype)
    other = replace(
        call,
        table=call.table.swapped,
        shape=swap(shape),
        x=call.w,
        w=windows,
        pad=0,
        bound=_bound(call.w, 0),
        finish=stay_whole(len(windows)),
        weights=None,
    )
    path.run(other, found)
    by_image = found.reshape(shape.outputs, shape.batch, *sums.shape[2:])
    sums[...] = by_image.swapaxes(0, 1)


def _windows(call: Call) -> Codes:
    """uint8[N * pixels, K]: what each output pixel sees."""
    shape = call.shape
    x = call.x.reshape(shape.batch, shape.channels, *shape.size)
    border = [(0, 0), (0, 0), *((p, p) for p in shape.padding)]
    padded = np.pad(x, border, constant_values=call.pad) if any(shape.padding) else x
    image, channel, *steps = padded.strides
    view = np.lib.stride_tricks.as_strided(
        padded,
        (shape.batch, *shape.out, shape.channels, *shape.kernel),
        (
            image,
            *(step * s for step, s in zip(steps, shape.stride, strict=True)),
            channel,
            *(step * d for step, d in zip(steps, shape.dilation, strict=True)),
        ),
        writeable=False,
    )
    return view.reshape(-1, shape.terms)


def _bound(codes: Codes, pad: int) -> int:
    """One less than the power of two above all codes."""
    return (1 << int(unite(codes.reshape(-1)) | pad).bit_length()) - 1


def _check_narrow(
    codes: Codes, weights: Codes, bound: int, table: Table, names: tuple[str, str]
) -> None:
    rows, columns = table.entries
    if bound >= rows:
        check_codes(names[0], int(codes.max()), rows)
    if columns < 256:
        check_codes(names[1], int(weights.max()), columns)


def _three(out: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (3 - len(out)) + out
