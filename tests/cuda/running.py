"""Runs cases of the integer contract on the paths of `axsim.cuda`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from cases import CONVS, MATMULS, Case, ConvCase, MatmulCase, random_cases

from axsim.cuda.conv import lut_conv
from axsim.cuda.matmul import lut_matmul
from axsim.cuda.paths import why_not
from axsim.kernels.contract import per_dimension
from axsim.tables.multiplier import operand_values

DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1}
# Tables of the case table that are a product of operands plus noise of this rank.
NOISE = {
    "exact_u8": 0,
    "exact_s8": 0,
    "exact_s8u8": 0,
    "exact_s4": 0,
    "exact_u7u5": 0,
    "rank_1_u8": 1,
    "rank_4_s8": 4,
    "rank_9_u8": 9,
}


def run(
    case: Case, path: str, device: str = "cpu", wide: bool | None = None
) -> npt.NDArray[Any]:
    """The case's sums on this path; `wide` asks for int64 where none is needed."""
    first, second = (torch.from_numpy(o.copy()).to(device) for o in case.operands())
    table = torch.from_numpy(case.mul.table.copy()).to(device)
    how: dict[str, Any] = {
        "path": path,
        "wide": case.expected().dtype == np.int64 if wide is None else wide,
        "factors": factors(case) if path == "factored" else None,
    }
    if isinstance(case, MatmulCase):
        return lut_matmul(first, second, table, **how).cpu().numpy()
    settings: dict[str, Any] = dict(case.settings)
    for name, default in DEFAULTS.items():
        value = settings.get(name, default)
        settings[name] = per_dimension(name, value, first.ndim - 2, 0)
    return lut_conv(first, second, table, **settings, **how).cpu().numpy()


def factors(case: Case) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Whole numbers whose product is the case's table, where they are known."""
    if case.table not in NOISE:
        return None
    signs = zip(case.mul.bits, case.mul.signed, strict=True)
    left, right = (operand_values(bits, signed)[:, None] for bits, signed in signs)
    rank = NOISE[case.table]
    if rank:
        generator = np.random.default_rng(rank)
        left = np.hstack([left, generator.integers(-3, 4, (256, rank))])
        right = np.hstack([right, generator.integers(-3, 4, (rank, 256)).T])
    return torch.from_numpy(left), torch.from_numpy(right)


def can_serve(case: Case, path: str) -> bool:
    """Whether the path serves the case; its reasons are tested elsewhere."""
    conv = isinstance(case, ConvCase)
    reason = why_not(
        path,
        torch.from_numpy(case.mul.table.copy()),
        terms=int(np.prod(case.w[1:])) if conv else case.k,
        groups=case.settings.get("groups", 1) if conv else 1,
        wide=case.expected().dtype == np.int64,
        factors=factors(case),
    )
    return reason is None


def small_cases(path: str, count: int, limit: int, seed: int) -> Iterator[Case]:
    """Corners and random cases of at most `limit` products that the path serves."""
    stream = (*MATMULS, *CONVS, *random_cases(60 * count, seed))
    few = (c for c in stream if products(c) <= limit and can_serve(c, path))
    return islice(few, count)


def products(case: Case) -> int:
    """How many products the case sums up, or a bound where that is many."""
    if isinstance(case, MatmulCase):
        return case.m * case.k * case.n
    bound = int(np.prod(case.x) * np.prod(case.w))
    return bound if bound > 1 << 22 else case.expected().size * int(np.prod(case.w[1:]))
