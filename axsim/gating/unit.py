"""What a gated layer has beside its weights: thresholds, statistics, counters."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .gate import Gate
from .meter import GateMeter, in_backward
from .split import Shape

MOMENTUM, EPS = 0.1, 1e-5


class Statistics(NamedTuple):
    """By what the base is normalised.

    Args:
        mean, inverse: of each output; `inverse` is one over the deviation.
        of_batch: whether they come from the batch, so that gradients flow through.
    """

    mean: Tensor
    inverse: Tensor
    of_batch: bool

    def normalised(self, base: Tensor, axis: int) -> Tensor:
        """The base with mean 0 and deviation 1 in each channel."""
        shape = [-1 if d == axis % base.dim() else 1 for d in range(base.dim())]
        return (base - self.mean.view(shape)) * self.inverse.view(shape)


class GateUnit(nn.Module):
    """The state of one gate.

    Args:
        gate: the answer.
        shape: of the layer.

    Raises:
        ConversionError: where the layer cannot have this gate.
    """

    threshold: nn.Parameter | None
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, gate: Gate, shape: Shape) -> None:
        super().__init__()
        gate.split.check(shape)
        first = gate.decide.first(shape)
        self.gate = gate
        self.shape = shape
        self.threshold = None if first is None else nn.Parameter(first)
        self.meter = GateMeter()
        if gate.decide.normalise:
            self.register_buffer("running_mean", torch.zeros(shape.outputs))
            self.register_buffer("running_var", torch.ones(shape.outputs))

    def statistics(self, base: Tensor, axis: int) -> Statistics | None:
        """The statistics that this base is judged by; in training they are its own."""
        if not self.gate.decide.normalise:
            return None
        mean, variance = self.running_mean, self.running_var
        # One value of a channel, or none, has no deviation.
        of_batch = self.training and base.numel() > self.shape.outputs
        if of_batch:
            mean, variance = self._measure(base, axis)
        return Statistics(mean, (variance + EPS).rsqrt(), of_batch)

    def penalty(self) -> Tensor | None:
        """What the gate adds to the loss."""
        return self.gate.decide.penalty(self.threshold)

    def extra_repr(self) -> str:
        return str(self.gate)

    def _measure(self, base: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        values = base.detach().movedim(axis, 0).flatten(1)
        variance, mean = torch.var_mean(values, 1, correction=0)
        count = values.shape[1]
        kind, unbiased = self.running_mean.dtype, variance * (count / (count - 1))
        # A checkpointed layer that is computed again must not count twice.
        if not in_backward():
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(kind), MOMENTUM)
                self.running_var.lerp_(unbiased.to(kind), MOMENTUM)
        return mean, variance
