"""Blocks of a large tensor, so that several passes over one run from the cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Elements of float32 that fit a second-level cache.
BLOCK = 1 << 18


def by_blocks(
    function: Callable[[Tensor], tuple[Tensor, ...]],
    x: Tensor,
    *dtypes: torch.dtype,
    whole: bool = False,
) -> tuple[Tensor, ...]:
    """`function(x)` for an elementwise function, in cache-sized blocks on a CPU.

    A dozen operations over a large activation would each move it through memory, and
    the fresh pages of their temporaries cost more than the arithmetic.

    Args:
        function: from one tensor to as many tensors of its shape as there are dtypes.
        x: any shape; the results keep its memory format.
        dtypes: of the results.
        whole: never split, because the function broadcasts along a dimension.

    Example:
        >>> (double,) = by_blocks(lambda x: (2 * x,), torch.ones(2), torch.float32)
        >>> double
        tensor([2., 2.])
    """
    whole = whole or x.numel() <= BLOCK or x.device.type != "cpu"
    if whole or torch.compiler.is_compiling():
        return function(x)
    # Dimensions from the outermost in memory inwards: any dense layout becomes flat.
    order = sorted(range(x.dim()), key=x.stride, reverse=True)
    if not x.permute(order).is_contiguous():
        return by_blocks(function, x.contiguous(), *dtypes)
    results = tuple(torch.empty_like(x, dtype=dtype) for dtype in dtypes)
    source, *targets = (t.permute(order).view(-1) for t in (x, *results))
    for start in range(0, x.numel(), BLOCK):
        piece = slice(start, start + BLOCK)
        for target, part in zip(targets, function(source[piece]), strict=True):
            target[piece] = part
    return results
