"""Straight-through gradients: quantisation that training can see through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .blocks import by_blocks
from .codes import code_values, nearest_codes, spread
from .scheme import Rounding, Scheme


def fake_quantise(
    x: Tensor, scale: Tensor, zero_point: Tensor, scheme: Scheme
) -> Tensor:
    """The values that the codes of `x` stand for, with a straight-through gradient.

    Equal to `decode(encode(x))` in the type of `x`, except that NaN stays NaN. The
    gradient passes where the code before the clamp lies in quant_min … quant_max,
    both ends included, and is 0 elsewhere; scale and zero point get none.

    Args:
        x: real values of any floating type; the arithmetic is float32.
        scale, zero_point, scheme: as for `encode`.

    Raises:
        OperandError: where the parameters do not fit the shape of `x`.

    Example:
        >>> x = torch.tensor([0.3, 9.0], requires_grad=True)
        >>> y = fake_quantise(x, torch.tensor(0.25), torch.tensor(0), Scheme(bits=4))
        >>> y.sum().backward()
        >>> y.detach(), x.grad
        (tensor([0.2500, 3.7500]), tensor([1., 0.]))
    """
    step, offset = spread(scale, x, scheme), spread(zero_point, x, scheme)
    low, high = scheme.quant_min, scheme.quant_max
    return _FakeQuantise.apply(x, step.detach(), offset, low, high, scheme.rounding)


def clip(x: Tensor, alpha: Tensor, inclusive: bool = False) -> Tensor:
    """PACT's activation clip(x, 0, alpha), with a gradient for alpha.

    dL/dx = g where 0 <= x <= alpha, else 0; dL/dalpha is the sum of g where x > alpha,
    or x >= alpha if `inclusive`, as in the PACT paper (Choi et al., 2018).

    Args:
        x: real values of any floating type.
        alpha: one float32 number.
        inclusive: whether x = alpha counts towards the gradient of alpha.

    Example:
        >>> x, alpha = torch.tensor([-1.0, 0.5, 2.0]), torch.tensor(1.0)
        >>> y = clip(x, alpha.requires_grad_())
        >>> y.sum().backward()
        >>> y.detach(), alpha.grad
        (tensor([0.0000, 0.5000, 1.0000]), tensor(1.))
    """
    return _Clip.apply(x, alpha, inclusive)


class _FakeQuantise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        step: Tensor,
        offset: Tensor,
        low: int,
        high: int,
        rounding: Rounding,
    ) -> Tensor:
        inverse = 1.0 / step

        def work(x: Tensor) -> tuple[Tensor, Tensor]:
            codes = nearest_codes(x, inverse, offset, rounding)
            inside = (codes >= low) & (codes <= high)
            return code_values(codes.clamp_(low, high), step, offset, x.dtype), inside

        whole = step.dim() > 0
        values, inside = by_blocks(work, x, x.dtype, torch.bool, whole=whole)
        ctx.save_for_backward(inside)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None, None, None, None


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, inclusive: bool) -> Tensor:
        # A zero-dimensional alpha would be rounded to the type of a half-precision x.
        wide = x.to(torch.promote_types(x.dtype, alpha.dtype))
        above = wide >= alpha if inclusive else wide > alpha
        ctx.save_for_backward((wide >= 0) & (wide <= alpha), above)
        ctx.alpha_dtype = alpha.dtype
        return torch.minimum(wide.clamp(min=0), alpha).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inside, above = ctx.saved_tensors
        (gradient,) = gradients
        return gradient * inside, (gradient * above).sum(dtype=ctx.alpha_dtype), None
