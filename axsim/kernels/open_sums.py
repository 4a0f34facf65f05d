"""Sums of the open outputs of a layer, added to what the others keep, on the CPU."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from ..tables.multiplier import Multiplier
from . import cpu
from .contract import Convolution
from .finish import Finish
from .open import Goal
from .real_sums import finishing_path
from .table import table_of

# Scales beyond these could take products with sums out of float32's normal numbers.
LEAST_SCALE, MOST_SCALE = 1e-25, 1e25
# Open runs of more steps, of at most 2 KiB each, would lie further apart than int32.
MOST_TERMS = 1 << 20


def tells(largest: int, scales: Tensor) -> bool:
    """Whether float32(sum) * scale tells every sum up to a magnitude.

    Below 2^23 a sum is exact, the rounding of the product moves it by less than 1/2.

    Args:
        largest: magnitude of a sum.
        scales: float32, above 0.

    Example:
        >>> tells(1 << 22, torch.tensor([0.3])), tells(1 << 23, torch.tensor([0.3]))
        (True, False)
    """
    least, most = map(float, scales.aminmax())
    return largest < 1 << 23 and LEAST_SCALE < least and most < MOST_SCALE


def add_open(
    base: Tensor, total: Tensor | int, mask: Tensor, units: Tensor, shift: int,
    outputs: tuple[int, int], x: Tensor, w: Tensor, mul: Multiplier,
    shape: Convolution, pad_code: int | None, backend: str, finish: Finish,
) -> bool:  # fmt: skip
    """Completes sums where a mask says so, computing open tiles only.

    Where the mask is set, `base` becomes `units * (total + (sum << shift))`.

    Args:
        base: float32 or float64 [N, O', ...], what `total` stands for; overwritten.
        total: int32 or int64, the sums so far; or, where these are `2^t` times what
            `tells` allows, that t, and they are taken from `base`.
        mask: bool, where sums are to be completed; all are contiguous.
        units: like `base` [O], what a sum counts for.
        shift: the power of two that the new sums count for.
        outputs: which of O' these are, first and the one behind the last.
        x, w, mul, shape, pad_code, backend: as in `real_sums`.
        finish: what is added to the sums, with them in int32; no scales.

    Returns:
        Whether it was done; not where the way to compute it knows no tiles,
        nor for sums of more than `MOST_TERMS`.

    Raises:
        OperandError: for codes that the table does not have.
        BackendError: where the path cannot serve.
    """
    path = finishing_path(mul, shape, pad_code, backend)
    if path is None or shape.terms > MOST_TERMS:
        return False
    each = prod(shape.out)
    image = mask.numel() // max(1, shape.batch)
    first, end = outputs[0] * each, mask.numel()
    known = mask.new_empty(0, dtype=torch.int32) if isinstance(total, int) else total
    held = [t.view(-1)[first:end].numpy() for t in (base, known, mask)]
    step = total if isinstance(total, int) else 0
    goal = Goal(held[0], held[1], held[2], units.numpy(), shift, step, image, each)
    if goal.mask.any():
        cpu.complete(x, w, table_of(mul), shape, pad_code or 0, path, finish, goal)
    return True
