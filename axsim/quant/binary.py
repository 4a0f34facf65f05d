"""Binary weights: the sign of each, as networks gated at one bit have them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def binarise(x: Tensor) -> Tensor:
    """2 round((clip(x, -1, 1) + 1) / 2) - 1, with gradient 1 everywhere.

    0 becomes -1, halves being rounded to even; the gradient passes beyond -1 and 1 too.

    Example:
        >>> binarise(torch.tensor([-2.0, -0.3, 0.0, 0.3]))
        tensor([-1., -1., -1.,  1.])
    """
    return _Binarise.apply(x)


class _Binarise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp(-1, 1).add(1).div_(2).round_().mul_(2).sub_(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]
