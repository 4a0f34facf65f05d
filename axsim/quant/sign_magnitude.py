"""Sign and magnitude: the quantiser of precision gating, ranged by every tensor."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import OperandError
from .scheme import MAX_BITS

# Keeps the scale of an all-zero tensor positive, as the gated networks do.
MARGIN = 1e-7


class SignMagnitude(NamedTuple):
    """Magnitude codes, their signs and their scale.

    Args:
        magnitude: uint8, 0 … 2^bits - 1.
        negative: bool, where the value is below zero.
        scale: float32, what one step is worth.
    """

    magnitude: Tensor
    negative: Tensor
    scale: Tensor

    def values(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The real numbers sign * magnitude * scale."""
        size = self.magnitude * self.scale
        return torch.where(self.negative, -size, size).to(dtype)


def split_signs(x: Tensor, bits: int) -> SignMagnitude:
    """Sign and rounded magnitude of every value: k = round(|x| / S * n).

    n = 2^bits - 1 and S = max|x| + 1e-7 over the whole tensor, so the codes depend on
    what else is in the batch. The sign is not counted in `bits`: 8-bit magnitudes
    have 511 levels.

    Args:
        x: real values; the arithmetic is float32.
        bits: width of a magnitude, 1 to 8.

    Raises:
        OperandError: for other widths.

    Example:
        >>> codes = split_signs(torch.tensor([-1.0, 0.2]), bits=4)
        >>> codes.magnitude, codes.negative
        (tensor([15,  3], dtype=torch.uint8), tensor([ True, False]))
    """
    if not 1 <= bits <= MAX_BITS:
        raise OperandError(f"bits={bits}; a magnitude has 1 to {MAX_BITS} bits.")
    x = x.detach().float()
    top = (1 << bits) - 1
    # Of nothing, as in an empty batch, the largest is 0.
    largest = (x.abs().amax() if x.numel() else x.new_zeros(())) + MARGIN
    magnitude = (x.abs() / largest).mul_(top).round_().to(torch.uint8)
    return SignMagnitude(magnitude, x < 0, largest / top)


def sign_magnitude(x: Tensor, bits: int, dropped: int = 0) -> Tensor:
    """The values of `split_signs`, with gradient 1 where x is not 0, and 0 there.

    Args:
        x, bits: as for `split_signs`.
        dropped: how many low bits of each magnitude are set to 0, fewer than `bits`.

    Example:
        >>> sign_magnitude(torch.tensor([-1.0, 0.25]), bits=2)
        tensor([-1.0000,  0.3333])
        >>> sign_magnitude(torch.tensor([-1.0, 0.25]), bits=2, dropped=1)
        tensor([-0.6667,  0.0000])
    """
    return _SignMagnitude.apply(x, bits, dropped)


class _SignMagnitude(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bits: int, dropped: int) -> Tensor:
        ctx.save_for_backward(x != 0)
        codes = split_signs(x, bits)
        kept = codes.magnitude >> dropped << dropped
        return codes._replace(magnitude=kept).values(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (nonzero,) = ctx.saved_tensors
        return gradients[0] * nonzero, None, None
