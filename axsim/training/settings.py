"""What a training run is, in one frozen record; no torch, so that `--help` is quick."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args, get_type_hints

from ..errors import TrainingError

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["cosine", "steps", "constant"]
Precision = Literal["fp32", "bf16", "fp16"]

# Whole numbers and the least they may be.
LEAST = {"epochs": 1, "batch_size": 1, "sub_batches": 1, "crop_pad": 0, "crop_size": 1,
         "workers": 0, "log_steps": 0, "save_steps": 0}  # fmt: skip
# Real numbers from 0 that stay below this.
BELOW = {"momentum": 1, "weight_decay": math.inf, "warmup_epochs": math.inf,
         "label_smoothing": 1}  # fmt: skip
ABOVE_ZERO = ("lr", "factor", "clip_norm")
WORDS = ("optimizer", "schedule", "precision")
# What may differ when an interrupted run goes on: where it runs and what it tells.
INCIDENTAL = ("device", "workers", "log_steps", "save_steps")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a network is trained; each field has its words beside it.

    Raises:
        TrainingError: where a value is not allowed or two of them contradict.

    Example:
        >>> TrainSettings(epochs=60, optimizer="adamw", lr=3e-3, warmup_epochs=3).lr
        0.003
    """

    epochs: Annotated[int, "Passes over the data."] = 30
    batch_size: Annotated[int, "Samples of a step, over all processes."] = 128
    sub_batches: Annotated[int, "Parts of a batch that run one by one."] = 1
    optimizer: Annotated[Optimizer, "sgd or adamw."] = "sgd"
    lr: Annotated[float, "Highest learning rate."] = 0.1
    momentum: Annotated[float, "Of sgd."] = 0.9
    nesterov: Annotated[bool, "Nesterov's momentum, of sgd."] = False
    weight_decay: Annotated[float, "Pull of the weights towards 0."] = 5e-4
    decay_vectors: Annotated[bool, "Decay biases and norms (1-D) too."] = True
    schedule: Annotated[Schedule, "cosine (to 0), steps or constant."] = "cosine"
    milestones: Annotated[tuple[int, ...], "Epochs before which steps drop."] = ()
    factor: Annotated[float, "What a milestone multiplies the rate by."] = 0.1
    warmup_epochs: Annotated[float, "Epochs of linear rise at the start."] = 0.0
    label_smoothing: Annotated[float, "Share of the target given to all classes."] = 0.0
    clip_norm: Annotated[float | None, "Largest norm of the whole gradient."] = None
    flip: Annotated[bool, "Mirror half of the training images."] = False
    crop_pad: Annotated[int, "Pixels of padding for random crops."] = 0
    crop_size: Annotated[int | None, "Side of random crops; as the image."] = None
    precision: Annotated[Precision, "fp32, or autocast to bf16 or fp16."] = "fp32"
    seed: Annotated[int, "Of order, augmentation and everything random."] = 0
    device: Annotated[str, "cpu, cuda or cuda:N."] = "cpu"
    workers: Annotated[int, "Processes that load data; 0 is this one."] = 0
    log_steps: Annotated[int, "Steps between lines of the log; 0 has epochs only."] = 0
    save_steps: Annotated[int, "Steps between saved states; 0 saves epochs."] = 0

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value: Any = getattr(self, name)
            if value is None and name == "crop_size":
                continue
            if not isinstance(value, int) or value < least:
                self._refuse(name, f"it is a whole number of at least {least}")
        for name, limit in BELOW.items():
            if not 0 <= getattr(self, name) < limit:
                upper = "" if limit == math.inf else f" and below {limit:g}"
                self._refuse(name, f"it is at least 0{upper}")
        for name in ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                self._refuse(name, "it is above 0")
        for name, words in _choices().items():
            if getattr(self, name) not in words:
                self._refuse(name, f"it is one of {', '.join(words)}")
        self._check_together()

    def _check_together(self) -> None:
        """Refuses what would be without effect."""
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            self._refuse("nesterov", "it needs optimizer='sgd' and momentum above 0")
        if self.schedule == "steps" and not self.milestones:
            self._refuse("milestones", "schedule='steps' needs at least one")
        if self.schedule != "steps" and self.milestones:
            self._refuse("milestones", f"schedule={self.schedule!r} has none")
        if list(self.milestones) != sorted({m for m in self.milestones if m > 0}):
            self._refuse("milestones", "they are epochs above 0 that rise")
        if self.warmup_epochs > self.epochs:
            self._refuse("warmup_epochs", f"the run has {self.epochs} epochs")

    def _refuse(self, name: str, allowed: str) -> None:
        raise TrainingError(f"{name}={getattr(self, name)!r}; {allowed}.")

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON has them: a tuple is a list."""
        return {**asdict(self), "milestones": list(self.milestones)}

    def check_same(self, saved: dict[str, Any]) -> None:
        """Refuses to go on with a run that began with other settings.

        Args:
            saved: what `as_json` gave when the run began.

        Raises:
            TrainingError: with the fields that differ.
        """
        differing = [
            f"{name}={value!r} was {saved.get(name)!r}"
            for name, value in self.as_json().items()
            if name not in INCIDENTAL and value != saved.get(name)
        ]
        if differing:
            raise TrainingError(
                f"resume: {'; '.join(differing)}. Go on with the settings of the run, "
                "or start another in a folder of its own."
            )


def _choices() -> dict[str, tuple[str, ...]]:
    hints = get_type_hints(TrainSettings)
    return {name: get_args(hints[name]) for name in WORDS}
