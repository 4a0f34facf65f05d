"""Which path is the fastest for a table, a shape and a device.

A small cost model of each path: what a call, a laid-out byte, a step of a vector and
a stored sum take, as measured on one core of an AMD EPYC (Zen 5). Only the ratios
matter; `axsim bench kernels` shows how close the choice comes.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import torch

from ..errors import BackendError
from ..tables.multiplier import Multiplier
from . import gpu
from .contract import Convolution, needs_int64
from .cpu import PATHS, swap
from .table import Table, table_of, tensor_of

# Exchanged operands need the windows of all pixels in memory: only for few pixels.
MOST_PIXELS = 256
# Nanoseconds to write a window's code, and to turn a sum round.
WINDOW, TURN = 1.0, 3.0


def choose(mul: Multiplier, shape: Convolution, device: torch.device | str) -> str:
    """The name of the path that `backend="auto"` takes.

    Args:
        mul: the multiplier.
        shape: of the convolution; a matrix product a[M, K] by b[N, K] is one of M
            images of one pixel with K channels and N outputs.
        device: where the operands are.
    """
    table, place = table_of(mul), torch.device(device)
    wide = needs_int64(shape.terms, table.peak)
    if place.type == "cuda":
        return gpu.choose(tensor_of(mul, place), table, shape, wide)
    return choose_cpu(table, shape, wide, "auto")[0]


@lru_cache(maxsize=4096)
def choose_cpu(
    table: Table, shape: Convolution, wide: bool, backend: str
) -> tuple[str, bool]:
    """The path, and whether it runs with the operands exchanged.

    Args:
        backend: one path to choose among, or "auto" for all.

    Raises:
        BackendError: where the named path does not exist or cannot serve.
    """
    names = list(PATHS) if backend == "auto" else [backend]
    _check_path(names[0], table, shape, wide)
    costs = {
        (name, swapped): _cost(name, table, shape, swapped)
        for name in names
        if PATHS[name].why_not(table, shape, wide) is None
        for swapped in (False, True)
    }
    return min(costs, key=lambda way: costs[way])


def _cost(name: str, table: Table, shape: Convolution, swapped: bool) -> float:
    if not swapped:
        return PATHS[name].cost(table, shape)
    pixels = shape.batch * prod(shape.out)
    if shape.groups > 1 or pixels > MOST_PIXELS:
        return float("inf")
    extra = pixels * (shape.terms * WINDOW + shape.outputs * TURN)
    return PATHS[name].cost(table.swapped, swap(shape)) + extra


def _check_path(name: str, table: Table, shape: Convolution, wide: bool) -> None:
    if name not in PATHS:
        raise BackendError(
            f"there is no path {name!r} on a CPU; choose 'auto' or one of "
            f"{', '.join(map(repr, PATHS))}."
        )
    reason = PATHS[name].why_not(table, shape, wide)
    if reason is not None:
        raise BackendError(f"path {name!r} cannot serve: {reason} Use backend='auto'.")
