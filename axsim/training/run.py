"""A training run: where it is, what it does next, and what it keeps."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Iterator, Sized
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from .. import __version__
from ..errors import AxsimWarning, TrainingError
from ..zoo.checkpoint import fill_weights
from ..zoo.data.stream import number
from .answered import answers_of, check_answers
from .batches import EpochLoader, steps_of
from .folder import RunFolder
from .meter import Meter
from .optimizer import NamedOptimizer
from .processes import Processes
from .result import Epoch, best_of
from .schedule import learning_rate
from .settings import TrainSettings
from .step import Plan, RemembersSteps, Step, TellsFigures
from .validation import measure


class Run:
    """The state of a run between two steps, from memory or a folder.

    Args:
        model: moved to the device of the processes.
        data: the training set.
        settings: of the run.
        validate: the validation set.
        plan: of a converted network.
        group: the processes.
        words: kept with the weights.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Dataset[Any],
        settings: TrainSettings,
        validate: Dataset[Any] | None,
        plan: Plan | None,
        group: Processes,
        words: dict[str, str],
    ) -> None:
        self.model = model.to(group.device)
        self.data = data
        self.settings = settings
        self.validate = validate
        self.group = group
        self.words = words
        self.optimizer = NamedOptimizer(model, settings)
        self.plan = plan
        self.step = Step(group.wrap(model), self.optimizer, settings, group, plan)
        self.meter = Meter(group.device)
        self.folder: RunFolder | None = None
        self.history: list[Epoch] = []
        self.epoch = 0
        # Steps of this epoch that are done.
        self.position = 0
        self.length = steps_of(data, settings)
        self.began = time.monotonic()

    @property
    def done(self) -> int:
        """Steps done in the whole run."""
        return self.epoch * self.length + self.position

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.settings.epochs * self.length

    def open(self, path: Path | None, resume: bool) -> None:
        """Takes a folder, and goes on with what it holds where that is asked for.

        Raises:
            TrainingError: where it holds a run that is not asked for or another one.
        """
        if path is None:
            if resume:
                raise TrainingError("resume=True needs out=, the folder of the run.")
            return
        self.folder = RunFolder(path, writes=self.group.rank == 0)
        saved = self.folder.read()
        if saved and not resume:
            raise TrainingError(
                f"out={path} holds a run; go on with it (resume=True, --resume) or "
                "choose another folder."
            )
        self.folder.begin_log(saved[1]["log_bytes"] if saved else 0)
        if saved:
            self._load(*saved)
        self._log_beginning("resume" if saved else "start")

    def steps(self) -> Iterator[int]:
        """Takes the steps that the epoch still has, and gives how many are done."""
        loader = EpochLoader(
            self.data, self.settings, self.epoch, self.position, self.group
        )
        batches = iter(loader)
        if self.position == 0 and isinstance(self.plan, TellsFigures):
            self.plan.reset_gates()
        for position in range(self.position, self.length):
            self._seed(position)
            images, labels, weight = next(batches)
            rate = learning_rate(self.settings, self.done, self.length)
            self.step(images, labels, weight, rate, self.meter, loader.indices)
            self.position = position + 1
            if self._is_due(self.settings.log_steps):
                self._log_step()
            if self._is_due(self.settings.save_steps):
                self.save()
            yield self.position

    def finish_epoch(self) -> Epoch:
        """Validates, writes weights and log, and turns to the next epoch."""
        rate = learning_rate(self.settings, self.done - 1, self.length)
        loss, accuracy = self._means(self.meter.read(self.group))
        figures = self._figures(all_processes=True)
        valid_loss, valid_accuracy = self._validate()
        seconds = time.monotonic() - self.began
        row = Epoch(self.epoch + 1, rate, loss, accuracy, valid_loss, valid_accuracy,
                    round(seconds, 3))  # fmt: skip
        self.history.append(row)
        self._write_weights(row)
        if self.folder:
            self.folder.log("epoch", **asdict(row), **figures)
        self.epoch += 1
        self.position = 0
        self.meter = Meter(self.group.device)
        self.save()
        self.began = time.monotonic()
        return row

    def note(self) -> str:
        """Loss, accuracy and figures of the epoch so far, in this process."""
        loss, accuracy = self._means(self.meter.read())
        figures = self._figures(all_processes=False).items()
        shown = [f"{name.replace('_', ' ')} {value:.3g}" for name, value in figures]
        return ", ".join(
            (
                f"epoch {self.epoch + 1}/{self.settings.epochs}",
                f"loss {loss:.4f}",
                f"accuracy {100 * accuracy:.2f} %",
                *shown,
            )
        )

    def save(self) -> None:
        """Replaces the state in the folder, where there is one."""
        if self.folder is None:
            return
        progress = {
            "epoch": self.epoch,
            "position": self.position,
            "meter": self.meter.read(self.group),
            "history": [asdict(row) for row in self.history],
            "scaler": self.step.scaler.state_dict(),
            "settings": self.settings.as_json(),
            "samples": len(cast(Sized, self.data)),
            "answers": answers_of(self.model),
            "surroundings": self._surroundings(),
        }
        weights = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        slots = {f"optimizer/{k}": v for k, v in self.optimizer.state().items()}
        state = self.plan.state_dict() if isinstance(self.plan, RemembersSteps) else {}
        remembered = {f"plan/{k}": v for k, v in state.items()}
        self.folder.save(weights | slots | remembered, progress)

    def _load(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        self.settings.check_same(progress["settings"])
        samples = len(cast(Sized, self.data))
        if samples != progress["samples"]:
            raise TrainingError(
                f"resume: the data has {samples:,} samples, and the run began with "
                f"{progress['samples']:,}. Go on with the data of the run."
            )
        check_answers(self.model, progress["answers"])
        if progress["epoch"] < self.settings.epochs:
            self._compare(progress["surroundings"])
        fill_weights(self.model, _under("model/", tensors), "state.safetensors")
        self.optimizer.load(_under("optimizer/", tensors))
        if isinstance(self.plan, RemembersSteps):
            self.plan.load_state_dict(_under("plan/", tensors))
        self.step.scaler.load_state_dict(progress["scaler"])
        self.history = [Epoch(**row) for row in progress["history"]]
        self.epoch, self.position = progress["epoch"], progress["position"]
        # The sums of all processes go on in one of them.
        if self.group.rank == 0:
            self.meter.set(*progress["meter"])

    def _seed(self, position: int) -> None:
        """Begins the randomness of a step, so that nothing of it need be saved."""
        rank, device = self.group.rank, self.group.device
        seed = number(self.settings.seed, "step", self.epoch, position, rank)
        # Not torch.manual_seed, which tells every backend there could be: 0.4 ms.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[device.index].manual_seed(seed)

    def _surroundings(self) -> dict[str, Any]:
        """What else decides how sums are rounded."""
        return {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "processes": self.group.world,
            "device": self.group.device.type,
        }

    def _compare(self, saved: dict[str, Any]) -> None:
        """Warns where the run goes on in surroundings that round otherwise."""
        now = self._surroundings()
        differing = [f"{k} {now[k]}, was {saved[k]}" for k in now if now[k] != saved[k]]
        if differing:
            warnings.warn(
                f"resume: {'; '.join(differing)}. The weights will be near those of an "
                "uninterrupted run, not equal bit for bit.",
                AxsimWarning,
                stacklevel=2,
            )

    def _means(self, sums: tuple[float, int, int]) -> tuple[float, float]:
        """Loss and accuracy from sums.

        Raises:
            TrainingError: where the loss is no number any more.
        """
        loss, correct, seen = sums
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {self.epoch + 1}, by step "
                f"{self.position} of {self.length}. Lower lr={self.settings.lr:g}, "
                "set clip_norm or lengthen warmup_epochs; and see that the data is "
                "finite."
            )
        # A process can be without a sample of its own.
        return loss / max(seen, 1), correct / max(seen, 1)

    def _validate(self) -> tuple[float | None, float | None]:
        if self.validate is None:
            return None, None
        self.group.share_buffers(self.model)
        meter = measure(self.model, self.validate, self.settings, self.group)
        return self._means(meter.read(self.group))

    def _write_weights(self, row: Epoch) -> None:
        if self.folder is None:
            return
        words = {
            **self.words,
            "axsim": __version__,
            "epoch": str(row.epoch),
            "settings": json.dumps(self.settings.as_json()),
        }
        if row.valid_accuracy is not None:
            words["valid_accuracy"] = f"{row.valid_accuracy:.4f}"
        weights = self.model.state_dict()
        self.folder.save_weights("last", weights, words)
        if best_of(self.history) is row:
            self.folder.save_weights("best", weights, words)

    def _log_beginning(self, event: str) -> None:
        if self.folder:
            self.folder.log(
                event,
                epoch=self.epoch + 1,
                step=self.position,
                axsim=__version__,
                **self._surroundings(),
                data=repr(self.data),
                settings=self.settings.as_json(),
                words=self.words,
            )

    def _log_step(self) -> None:
        loss, accuracy = self._means(self.meter.read(self.group))
        figures = self._figures(all_processes=True)
        if self.folder:
            self.folder.log("step", epoch=self.epoch + 1, step=self.position,
                            loss=loss, accuracy=accuracy, **figures)  # fmt: skip

    def _figures(self, all_processes: bool) -> dict[str, float]:
        """What the plan shows, where it shows something."""
        if not isinstance(self.plan, TellsFigures):
            return {}
        return self.plan.figures(all_processes)

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.done % every == 0


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
