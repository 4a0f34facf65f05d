"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from ..console import Show, progress_bar
from ..nn.plan import ATTRIBUTE
from .batches import check_data
from .interrupt import finish_step
from .processes import join
from .result import Epoch, TrainResult
from .run import Run
from .settings import TrainSettings
from .step import Plan

# How long a note of the bar stands at least.
SHOW_SECONDS = 0.25


def train(
    model: nn.Module,
    data: Dataset[Any],
    settings: TrainSettings | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    validate: Dataset[Any] | None = None,
    plan: Plan | None = None,
    words: Mapping[str, str] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Show | None = None,
) -> TrainResult:
    """Trains a network in place.

    The result depends on model, data and settings alone: each step has random streams
    of its own, and the caller's are left as they were. An interrupted run therefore
    goes on to weights that are equal bit for bit, as far as torch computes the same
    twice: on a CPU with the same number of threads, on CUDA with
    `torch.use_deterministic_algorithms(True)`.

    A converted network trains through its tables: ranges of activations stay those of
    its calibration, weights are coded anew in every step, and batch norms take their
    statistics from what the tables give, which alone brings much accuracy back.

    Under `torchrun` the processes share each batch, the folder `out`, and arrive at the
    weights of one within float tolerance; but see `Processes.wrap` on batch norms.

    Args:
        model: any module from images to (N, classes); moved to the device.
        data: the training set, samples (image, label).
        settings: how to train; by default those of `TrainSettings()`.
        out: folder for the run's state, weights (`last`, `best`) and log. Ctrl-C then
            waits for the end of the step and saves.
        resume: whether to go on with what `out` holds; where it holds nothing, the run
            begins.
        validate: what `best` is judged by after each epoch; its own accuracy there is
            a little too good.
        plan: with a penalty, or something to do after steps; by default that of a
            converted network, where it has one.
        words: kept in the weights' files, such as the command.
        on_epoch: called after each epoch, when it is saved, in every process.
        progress: called now and then as `progress(done, total, note)`, counting steps;
            by default a bar, of the first process.

    Raises:
        DataError: where the data is empty, has no labels, or has labels that the
            network has no output for.
        TrainingError: where nothing is to be trained, the loss is not finite, `out`
            holds a run that is not to be resumed, or one with other settings.
        BackendError: where there is no such device.

    Example:
        >>> import axsim as ax
        >>> net, data = ax.build_network("digits_vit"), ax.load_data("digits", "train")
        >>> done = ax.train(net, data, ax.TrainSettings(epochs=1))
        >>> len(done.history)
        1
    """
    settings = settings or TrainSettings()
    check_data(data, "data")
    if validate is not None:
        check_data(validate, "validate")
    plan = plan or _plan_of(model)
    shown = nullcontext(progress) if progress else progress_bar("training")
    group = join(settings.device)
    with _own_randomness(group.device):
        run = Run(model, data, settings, validate, plan, group, dict(words or {}))
        run.open(None if out is None else Path(out), resume)
        # Several processes would not stop at the same step.
        waits = out is not None and group.world == 1
        with finish_step(waits) as pressed, shown as show, _training_mode(model):
            for row in _train_epochs(run, pressed, show):
                if on_epoch:
                    on_epoch(row)
        return TrainResult(tuple(run.history))


def _plan_of(model: nn.Module) -> Plan | None:
    """The plan of a converted network, where it has something to say to a loop."""
    found = getattr(model, ATTRIBUTE, None)
    return found if isinstance(found, Plan) else None


def _train_epochs(run: Run, pressed: Callable[[], bool], show: Show) -> Iterator[Epoch]:
    """The epochs that a run still has; Ctrl-C saves what their steps came to."""
    shown = 0.0
    while run.epoch < run.settings.epochs:
        for _ in run.steps():
            if pressed():
                run.save()
                raise KeyboardInterrupt
            now = time.monotonic()
            # Reading the loss makes a GPU wait, so it is not read in every step.
            if now - shown > SHOW_SECONDS:
                shown = now
                show(run.done, run.total, run.note())
        yield run.finish_epoch()


@contextmanager
def _own_randomness(device: torch.device) -> Generator[None]:
    """Gives torch's generators back to the caller as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


@contextmanager
def _training_mode(model: nn.Module) -> Generator[None]:
    """The model in training mode, and afterwards in the mode it was in."""
    before = model.training
    model.train()
    try:
        yield
    finally:
        model.train(before)
