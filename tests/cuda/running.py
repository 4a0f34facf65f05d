"""Runs a case of the integer contract on a path of `axsim.cuda`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from cases import CONVS, MATMULS, Case, ConvCase, MatmulCase, random_cases

from axsim.cuda.conv import lut_conv
from axsim.cuda.matmul import lut_matmul
from axsim.kernels.contract import per_dimension

DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1}


def run(case: Case, path: str, device: str = "cpu") -> npt.NDArray[Any]:
    """The case's sums on this path."""
    first, second = (torch.from_numpy(o.copy()).to(device) for o in case.operands())
    table = torch.from_numpy(case.mul.table.copy()).to(device)
    wide = case.expected().dtype == np.int64
    if isinstance(case, MatmulCase):
        sums = lut_matmul(first, second, table, path=path, wide=wide)
    else:
        settings: dict[str, Any] = dict(case.settings)
        for name, default in DEFAULTS.items():
            value = settings.get(name, default)
            settings[name] = per_dimension(name, value, first.ndim - 2, 0)
        sums = lut_conv(first, second, table, path=path, wide=wide, **settings)
    return sums.cpu().numpy()


def products(case: Case) -> int:
    """How many products the case sums up."""
    if isinstance(case, MatmulCase):
        return case.m * case.k * case.n
    return case.expected().size * int(np.prod(case.w[1:]))


def small_cases(limit: int, count: int, seed: int) -> Iterator[Case]:
    """Corners and random cases of at most `limit` products."""
    stream = (*MATMULS, *CONVS, *random_cases(40 * count, seed))
    few = (case for case in stream if work(case) <= limit)
    yield from (case for case, _ in zip(few, range(count), strict=False))


def work(case: Case) -> int:
    """`products`, estimated without running the reference on large cases."""
    if isinstance(case, ConvCase) and np.prod(case.x) * np.prod(case.w) > 1 << 22:
        return 1 << 62
    return products(case)
