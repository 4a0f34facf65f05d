"""Parameters of codes, a scale and a zero point, chosen from a range of values."""

from __future__ import annotations

import torch
from torch import Tensor

from .scheme import Rounding, Scheme


def choose_params(low: Tensor, high: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """The scale and zero point whose codes cover low … high and 0.

    Affine: `scale = (high - low) / (quant_max - quant_min)` in float32, then
    `zero_point = quant_min + round(-low / scale)`. Symmetric: the smallest scale that
    holds both ends, or the largest magnitude over half the range of codes where the
    scheme says `clips_half_step`. These are PyTorch's observers' formulas, to the bit.

    Args:
        low, high: of values, any shape; brought to contain 0 as the scheme's `nudge`
            says. NaN or infinite ends give a scale that is NaN or infinite, never a
            plausible one.
        scheme: the codes.

    Returns:
        scale: float32, at least `scheme.eps`.
        zero_point: int32, inside quant_min … quant_max.

    Example:
        >>> choose_params(torch.tensor(-1.0), torch.tensor(1.55), Scheme())
        (tensor(0.0100), tensor(100, dtype=torch.int32))
    """
    low, high = _with_zero(low.float(), high.float(), scheme)
    scale = _symmetric_scale if scheme.symmetric else _affine_scale
    scale = scale(low, high, scheme).clamp(min=scheme.eps)
    if scheme.symmetric:
        return scale, torch.zeros_like(scale, dtype=torch.int32)
    # In float64, adding a half to a float32 quotient is exact.
    steps = round_steps_((-low / scale).double(), scheme.rounding)
    steps = steps.nan_to_num(0.0)
    zero_point = (scheme.quant_min + steps).clamp(scheme.quant_min, scheme.quant_max)
    return scale, zero_point.to(torch.int32)


def round_steps_(steps: Tensor, rounding: Rounding) -> Tensor:
    """Whole numbers of steps, in place: half to even, or floor(v + 1/2)."""
    return steps.round_() if rounding == "half_even" else steps.add_(0.5).floor_()


def _with_zero(low: Tensor, high: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """The range, widened to contain 0 or, where it has a length, moved there."""
    bottom, top = low.clamp(max=0), high.clamp(min=0)
    if scheme.nudge == "widen":
        return bottom, top
    long = high > low
    bottom = torch.where(long & (high < 0), low - high, bottom)
    return bottom, torch.where(long & (low > 0), high - low, top)


def _affine_scale(low: Tensor, high: Tensor, scheme: Scheme) -> Tensor:
    # Halves are exact, and the difference of two large ends does not overflow.
    return (high / 2 - low / 2) / ((scheme.quant_max - scheme.quant_min) / 2)


def _symmetric_scale(low: Tensor, high: Tensor, scheme: Scheme) -> Tensor:
    if scheme.clips_half_step:
        half = (scheme.quant_max - scheme.quant_min) / 2
        return torch.maximum(-low, high) / half
    up = high / scheme.quant_max
    return torch.maximum(up, low / scheme.quant_min) if scheme.quant_min else up
