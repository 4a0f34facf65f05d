"""The fewest bits that keep the error of weight gradients inside a budget (AC-GC)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ...errors import OperandError
from ..codec import Bits
from ..codecs.fixed_point import FixedPoint
from ..policy import Gradients, Policy, Slot

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda samples: samples.mean(0),
    "median": lambda samples: samples.median(0).values,
    "max": lambda samples: samples.amax(0),
}
# Keep a step finite where a gradient is nothing.
LEAST_SENSITIVITY = 1e-16
LEAST_NORM_TOLERANCE = 2.0**-16


class Reach(NamedTuple):
    """How far an input of a layer may err, as its gradients say.

    Args:
        allowed: squared error of the result that the budget allows, before e^2.
        spread: what a squared error of one element of the input makes of it.
    """

    allowed: Tensor
    spread: Tensor


class ErrorBudget(Policy):
    """Lets the weight gradients' squared error be e^2 times their squared norm.

    For an input X of matrix products i with kernels of k_i taps and s_i strides, by
    Cauchy-Schwarz, every element of X may err by

        delta^2 = e^2 * sum ||dW_i||^2 / (2 * |X| * sum k_i / s_i * ||dY_i||^2)

    and for channel c of a batch norm's input, K channels of n elements, with dz its
    output's gradient, a = 1 / deviation and g its weight,

        delta_c^2 = e^2 * ||dX||^2 * n / (K * g^2 * a^4 * (A + dg^2)),
        A = a^2 * nnz(dz)^2 * max(dz^2) * (max|x| / 2)^2.

    The statistics are sampled: in the first step, which saves at the widest, then in
    every `interval`-th; the last `history` samples are reduced to one.

    Args:
        squared_error: e^2, above 0.
        interval: steps from one sample to the next.
        history: samples that count.
        reduction: "mean", "median" or "max".
        codec: says how many bits keep an error below delta.

    Raises:
        OperandError: for settings out of range.
    """

    def __init__(
        self,
        squared_error: float = 1.0,
        interval: int = 100,
        history: int = 10,
        reduction: Literal["mean", "median", "max"] = "mean",
        codec: FixedPoint | None = None,
    ) -> None:
        if not squared_error > 0 or interval < 1 or history < 1:
            raise OperandError(
                f"squared_error={squared_error}, interval={interval}, "
                f"history={history}; the first must be above 0, the others 1 or more."
            )
        if reduction not in REDUCTIONS:
            raise OperandError(
                f"reduction={reduction!r}; choose one of "
                f"{', '.join(map(repr, REDUCTIONS))}."
            )
        self.squared_error = squared_error
        self.interval = interval
        self.history = history
        self.reduction = reduction
        self.codec = codec or FixedPoint()
        self._steps = 0
        self._samples: dict[str, deque[Reach]] = {}
        self._owners: dict[str, str] = {}

    def bits(self, slot: Slot, x: Tensor) -> Bits:
        """uint8[C] with the bits of every channel; the widest before any sample."""
        tolerance = self.tolerance(slot, x)
        if tolerance is None or x.dim() < 2 or not x.numel():
            return self.codec.widths[-1]
        return self.codec.bits_for(x, tolerance)

    def tolerance(self, slot: Slot, x: Tensor) -> Tensor | None:
        """How far an element may err, or one of each channel; None while unknown."""
        names = [slot.name, *(s for s, o in self._owners.items() if o == slot.name)]
        reaches = [self._reduced(name) for name in names if name in self._samples]
        if not reaches:
            return None
        allowed = sum((r.allowed for r in reaches), torch.zeros(()))
        spread = sum((r.spread for r in reaches), torch.zeros(()))
        if slot.kind == "norm_in":
            squared = self.squared_error * allowed / spread
            return squared.clamp(min=LEAST_NORM_TOLERANCE).sqrt()
        spread = (spread * (2 * x.numel())).clamp(min=LEAST_SENSITIVITY)
        return (self.squared_error * allowed / spread).sqrt()

    def wants(self, slot: Slot) -> bool:
        """Whether this step is sampled: the first, and the last of every interval."""
        due = self._steps == 0 or (self._steps + 1) % self.interval == 0
        return due and slot.kind in ("matmul_in", "norm_in")

    def observe(
        self, slot: Slot, load: Callable[[], Tensor], gradients: Gradients
    ) -> None:
        """Takes a sample of a slot's statistics, unless gradients overflowed."""
        if slot.kind == "norm_in" and gradients.input is None:
            # Nothing in front of the batch norm learns: no error can do harm there.
            return
        measure = _of_norm if slot.kind == "norm_in" else _of_product
        reach = measure(slot, load, gradients)
        if all(bool(each.isfinite().all()) for each in reach):
            known = self._samples.setdefault(slot.name, deque(maxlen=self.history))
            known.append(reach)

    def join(self, slot: Slot, owner: Slot) -> None:
        """Counts a slot's statistics with those of the slot that keeps its tensor."""
        self._owners[slot.name] = owner.name

    def end_step(self) -> None:
        """Counts the steps."""
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Steps, samples and who keeps whose tensor."""
        samples = {
            name: [tuple(each) for each in known]
            for name, known in self._samples.items()
        }
        return {"steps": self._steps, "samples": samples, "owners": dict(self._owners)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self._steps, self._owners = state["steps"], dict(state["owners"])
        self._samples = {
            name: deque((Reach(*each) for each in known), self.history)
            for name, known in state["samples"].items()
        }

    def _reduced(self, name: str) -> Reach:
        reduce = REDUCTIONS[self.reduction]
        samples = zip(*self._samples[name], strict=True)
        return Reach(*(reduce(torch.stack(each)) for each in samples))


def _of_product(slot: Slot, load: Callable[[], Tensor], gradients: Gradients) -> Reach:
    outputs = _squared(gradients.output) * slot.taps / slot.strides
    return Reach(_squared(gradients.weight), outputs)


def _of_norm(slot: Slot, load: Callable[[], Tensor], gradients: Gradients) -> Reach:
    dz = gradients.output.detach().float().movedim(1, 0).flatten(1)
    largest = load().float().abs().movedim(1, 0).flatten(1).amax(1)
    inverse, scale = (_floats(t) for t in (gradients.inverse_std, gradients.scale))
    nonzero, peak = dz.count_nonzero(1).float(), dz.abs().amax(1)
    a = (inverse * nonzero * peak * largest / 2).square()
    spread = scale.square() * inverse**4 * (a + _floats(gradients.weight).square())
    channels, each = dz.shape
    spread = (spread * channels / each).clamp(min=LEAST_SENSITIVITY)
    return Reach(_squared(gradients.input), spread)


def _squared(x: Tensor | None) -> Tensor:
    return _floats(x).square().sum()


def _floats(x: Any) -> Tensor:
    return x.detach().float()
