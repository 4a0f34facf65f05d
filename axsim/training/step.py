"""One step: forward, backward and update of a batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..nn.fitting import fitting
from .answers import logits_of
from .batches import check_classes
from .meter import Meter
from .optimizer import NamedOptimizer
from .processes import Processes
from .settings import TrainSettings

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@runtime_checkable
class Plan(Protocol):
    """What a converted network wants of a training loop."""

    def penalty(self) -> Tensor:
        """What is added to the loss, after each forward pass."""
        ...

    def after_step(self) -> None:
        """Told after each update of the weights."""
        ...


@runtime_checkable
class RemembersSteps(Protocol):
    """A plan with a state of its own, which an interrupted run must have again."""

    def state_dict(self) -> dict[str, Tensor]:
        """What it remembers of the steps so far."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over what `state_dict` gave."""
        ...


@runtime_checkable
class TellsFigures(Protocol):
    """A plan with numbers of its own to show."""

    def figures(self, all_processes: bool) -> dict[str, float]:
        """By name, of the epoch so far; several processes call this together."""
        ...

    def reset_gates(self) -> None:
        """Told before each epoch."""
        ...


@runtime_checkable
class ChoosesBits(Protocol):
    """A plan that chooses the bits of activations, by sample and by measurement."""

    def begin_step(self, indices: Tensor) -> None:
        """Told which samples of the data set come next."""
        ...

    @property
    def due(self) -> bool:
        """Whether it wants to measure."""
        ...

    def measure(self, net: nn.Module, loss: Callable[[], Tensor]) -> object:
        """Computes the loss of a batch and its gradients as often as it wants to."""
        ...


class Step:
    """How the weights are updated, the same for every batch.

    Args:
        net: the network, wrapped where several processes train it.
        optimizer: of its parameters.
        settings: of the run.
        group: the processes.
        plan: of a converted network.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: NamedOptimizer,
        settings: TrainSettings,
        group: Processes,
        plan: Plan | None,
    ) -> None:
        self.net = net
        self.optimizer = optimizer
        self.settings = settings
        self.device = group.device
        self.plan = plan
        self.autocast = AUTOCAST.get(settings.precision)
        # Half precision has too few exponents for small gradients; bfloat16 has not.
        self.scaler = torch.amp.GradScaler(
            group.device.type, enabled=settings.precision == "fp16"
        )

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        weight: float,
        rate: float,
        meter: Meter,
        indices: Tensor | None = None,
    ) -> None:
        """Updates the weights with the gradient of the mean loss of the whole batch.

        Args:
            images: this process's share of the batch.
            labels: of them.
            weight: of the mean over the share, so that the average over all processes
                is the mean over the batch; 0 where the share is there for form only.
            rate: learning rate.
            meter: counts what was answered.
            indices: int64[N], of the samples in the data set.
        """
        self.optimizer.set_rate(rate)
        xs = images.to(self.device).chunk(self.settings.sub_batches)
        ys = labels.chunk(self.settings.sub_batches)
        samples = None if indices is None else indices.chunk(self.settings.sub_batches)
        for part, (x, y) in enumerate(zip(xs, ys, strict=True), 1):
            self._prepare(x, y, None if samples is None else samples[part - 1])
            with self._exchange(last=part == len(xs)):
                self._accumulate(x, y, weight * (len(x) / len(images)), meter)
        self._update()

    def _prepare(self, x: Tensor, y: Tensor, indices: Tensor | None) -> None:
        """Tells a plan that chooses bits what comes next, and lets it measure."""
        plan = self.plan
        if not isinstance(plan, ChoosesBits):
            return
        if indices is not None:
            plan.begin_step(indices)
        if plan.due:
            net = self.net
            # Measuring is no step: processes have nothing to exchange.
            inner = net.module if isinstance(net, DistributedDataParallel) else net
            plan.measure(inner, lambda: self._loss(inner, x, y)[0])

    def _loss(self, net: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and logits."""
        with torch.autocast(
            self.device.type, self.autocast, enabled=self.autocast is not None
        ):
            with fitting(net, x):
                logits = logits_of(net, x)
            # Before the labels are where looking at them would make a GPU wait.
            check_classes(y, logits)
            smoothing = self.settings.label_smoothing
            y = y.to(self.device)
            return F.cross_entropy(logits, y, label_smoothing=smoothing), logits

    def _accumulate(self, x: Tensor, y: Tensor, weight: float, meter: Meter) -> None:
        loss, logits = self._loss(self.net, x, y)
        y = y.to(self.device)
        if weight:
            meter.add(loss, logits, y)
        total = loss + self.plan.penalty() if self.plan else loss
        self.scaler.scale(total * weight).backward()

    def _exchange(self, last: bool) -> AbstractContextManager[None]:
        """Processes exchange gradients once a batch, with its last part."""
        if last or not isinstance(self.net, DistributedDataParallel):
            return nullcontext()
        return self.net.no_sync()

    def _update(self) -> None:
        optimizer = self.optimizer.torch
        if self.settings.clip_norm is not None:
            self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.optimizer.parameters, self.settings.clip_norm)
        self.scaler.step(optimizer)
        self.scaler.update()
        optimizer.zero_grad()
        if self.plan:
            self.plan.after_step()
