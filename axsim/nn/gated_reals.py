"""Gated layers whose values stay real numbers: channel gating without codes.

The whole layer Y and its base Y_p are torch's own operations on all weights and on
those of the base, so an always open gate is torch's layer to the bit. With g the
gradient of y = where(m, Y, Y_p) and t = g (Y - Y_p) dm/dscore,

    dL/dY = g m,    dL/dY_p = g (1 - m),    dL/dscore = t,    dL/dthreshold = -sum(t).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..gating.split import Part
from ..gating.unit import EPS, GateUnit, Statistics
from .forms import SplitForm


def gated_reals(
    x: Tensor, weight: Tensor, bias: Tensor | None, form: SplitForm, unit: GateUnit
) -> Tensor:
    """The output of a layer whose channels a gate splits.

    Args:
        x, weight, bias: real operands.
        form: of the layer.
        unit: its gate.
    """
    kept = base_mask(unit.gate.split.base(unit.shape), weight)
    base = form.reals(x, weight * kept)
    whole = form.reals(x, weight, bias)
    return join(base, whole, bias, form, unit)


def join(
    base: Tensor, whole: Tensor, bias: Tensor | None, form: SplitForm, unit: GateUnit
) -> Tensor:
    """The whole where the gate opens, the base elsewhere.

    Args:
        base: without bias, as the gate judges it.
        whole: with bias.
        bias: of the layer.
        form: of the layer.
        unit: its gate.
    """
    score = base
    if (stats := unit.statistics(base, form.channel_axis)) is not None:
        score = _normalised(base, stats, form.channel_axis)
    limit = None if unit.threshold is None else form.per_output(unit.threshold)
    closed = base if bias is None else base + form.per_output(bias)
    return _Join.apply(closed, whole, score, limit, form.channel_axis, unit)


def base_mask(parts: tuple[Part, ...], weight: Tensor) -> Tensor:
    """1 for each weight of the base, else 0."""
    mask = torch.zeros_like(weight)
    for part in parts:
        rows = mask[slice(*part.outputs)]
        rows[:, list(part.channels or range(weight.shape[1]))] = 1
    return mask


def _normalised(base: Tensor, stats: Statistics, axis: int) -> Tensor:
    """The base normalised, with gradients through the batch's own statistics."""
    if not stats.of_batch:
        return stats.normalised(base, axis)
    others = [d for d in range(base.dim()) if d != axis % base.dim()]
    variance, mean = torch.var_mean(base, others, correction=0, keepdim=True)
    return (base - mean) * (variance + EPS).rsqrt()


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        closed: Tensor,
        whole: Tensor,
        score: Tensor,
        limit: Tensor | None,
        axis: int,
        unit: GateUnit,
    ) -> Tensor:
        mask = unit.gate.decide.open(score, limit)
        unit.meter.count(mask, axis)
        ctx.save_for_backward(mask, closed, whole, score, limit)
        ctx.decide = unit.gate.decide
        return torch.where(mask, whole, closed)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        mask, closed, whole, score, limit = ctx.saved_tensors
        (g,) = gradients
        over_score = over_limit = None
        if ctx.decide.has_slope:
            over_score = g * (whole - closed) * ctx.decide.slope(score, limit)
            over_limit = -over_score.sum_to_size(limit.shape)
        return g * ~mask, g * mask, over_score, over_limit, None, None
