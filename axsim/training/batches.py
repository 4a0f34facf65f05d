"""Batches of images and labels: checked, shared among processes, augmented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import DataError
from ..zoo.data.augment import random_crop, random_flip
from ..zoo.data.loader import EpochBatches, make_loader
from ..zoo.data.stream import stream
from .processes import Processes
from .settings import TrainSettings

PAIRS = "(image, label), such as ax.load_data('digits')"


def check_data(data: Any, argument: str) -> None:
    """Refuses what is no set of samples that can be fetched in any order.

    Raises:
        DataError: with what is needed.
    """
    if isinstance(data, DataLoader):
        raise DataError(
            f"{argument} is a DataLoader; give its data set. Batch size, order and "
            "workers are those of TrainSettings, so that a run can go on anywhere."
        )
    if not (isinstance(data, Dataset) and hasattr(data, "__len__")):
        raise DataError(
            f"{argument} is a {type(data).__name__}; needed is a torch Dataset of "
            f"{PAIRS}, with a length."
        )
    if len(cast(Sized, data)) == 0:
        raise DataError(f"{argument} is empty; there is nothing to train with.")


def unpack(batch: Any) -> tuple[Tensor, Tensor]:  # images, int64 labels (N,)
    """Images and labels of a batch; whatever follows them is left aside.

    Raises:
        DataError: where there are no labels or they are no class numbers.
    """
    if not (
        isinstance(batch, (list, tuple))
        and len(batch) >= 2
        and isinstance(batch[0], Tensor)
        and isinstance(batch[1], Tensor)
    ):
        raise DataError(
            f"the data gives {_describe(batch)} without labels; needed are samples "
            f"{PAIRS}."
        )
    images, labels = batch[0], batch[1]
    if labels.is_floating_point() or labels.shape != images.shape[:1]:
        raise DataError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}; needed are "
            f"{len(images)} whole numbers, one class for each image."
        )
    return images, labels.long()


def check_classes(labels: Tensor, logits: Tensor) -> None:
    """Refuses labels that a network has no output for.

    Raises:
        DataError: with both numbers.
    """
    if logits.ndim != 2 or len(logits) != len(labels):
        raise DataError(
            f"the network answers {len(labels)} images with a tensor of shape "
            f"{tuple(logits.shape)}; needed is (images, classes)."
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise DataError(
            f"labels run from {int(labels.min())} to {int(labels.max())}, and the "
            f"network has {logits.shape[1]} outputs. Build it with as many classes as "
            "the data has."
        )


def steps_of(data: Dataset[Any], settings: TrainSettings) -> int:
    """How many batches an epoch has."""
    return len(_order(data, settings))


class EpochLoader:
    """What one process sees of an epoch, from some step on.

    Every process takes its share of the same batches, so that their number does not
    change what is learnt. Each batch comes as images, labels and its size over all
    processes; that is 0 where a process had no sample left and repeats one for form.

    Args:
        data: the training set.
        settings: of the run.
        epoch: from 0.
        first: the step to begin with.
        group: the processes.

    Attributes:
        indices: int64[N], of the samples that came last, in the data set.
    """

    def __init__(
        self,
        data: Dataset[Any],
        settings: TrainSettings,
        epoch: int,
        first: int,
        group: Processes,
    ) -> None:
        order = _order(data, settings)
        order.set_epoch(epoch)
        self.batches = list(order)[first:]
        self.data = data
        self.settings = settings
        self.epoch = epoch
        self.first = first
        self.group = group
        self.indices = torch.empty(0, dtype=torch.int64)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, float]]:
        sizes = [len(batch) for batch in self.batches]
        rows = [self._rows(size) for size in sizes]
        shares = [
            [batch[row] for row in share]
            for batch, share in zip(self.batches, rows, strict=True)
        ]
        loader = DataLoader(
            self.data,
            batch_sampler=shares,
            num_workers=self.settings.workers,
            generator=stream(self.settings.seed, "workers", self.epoch),
        )
        for step, batch in enumerate(loader, self.first):
            share, size = rows[step - self.first], sizes[step - self.first]
            images, labels = unpack(batch)
            counts = self.group.rank < size
            weight = self.group.world * len(share) / size if counts else 0.0
            self.indices = torch.tensor(shares[step - self.first])
            yield self._augment(images, step, share), labels, weight

    def _rows(self, size: int) -> range:
        """Which samples of a batch this process takes; at least one, for form."""
        if self.group.rank < size:
            return range(self.group.rank, size, self.group.world)
        return range(0, size, size)

    def _augment(self, images: Tensor, step: int, rows: range) -> Tensor:
        settings = self.settings
        key = (settings.seed, self.epoch, step)
        if settings.flip:
            images = random_flip(images, stream("flip", *key), rows)
        if settings.crop_pad or settings.crop_size:
            pad, size = settings.crop_pad, settings.crop_size
            images = random_crop(images, stream("crop", *key), pad, size, rows)
        return images


def batches_of(data: Any, batch_size: int, workers: int = 0) -> Iterable[Any]:
    """A data set in batches and in order; a loader, or batches, as they come.

    Raises:
        DataError: where the data set is empty.
    """
    if isinstance(data, Dataset):
        return make_loader(data, batch_size, workers=workers)
    if not isinstance(data, Iterable):
        raise DataError(
            f"data is a {type(data).__name__}; needed are a torch Dataset of {PAIRS}, "
            "or batches of such pairs."
        )
    return data


def _order(data: Dataset[Any], settings: TrainSettings) -> EpochBatches:
    count = len(cast(Sized, data))
    return EpochBatches(count, settings.batch_size, True, settings.seed, False)


def _describe(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"a tensor of shape {tuple(batch.shape)}"
    if isinstance(batch, (list, tuple)):
        return f"{type(batch).__name__} of {len(batch)}"
    return f"a {type(batch).__name__}"
