"""Batches in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ...errors import DataError
from .stream import stream


class EpochBatches(Sampler[list[int]]):
    """The indices of each batch; every pass over it is the next epoch.

    `set_epoch` chooses the next one, so that an interrupted run goes on where it was.
    """

    def __init__(
        self, count: int, batch_size: int, shuffle: bool, seed: int, drop_last: bool
    ) -> None:
        self.count = count
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Makes the next pass the one of this epoch, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        rest = 0 if self.drop_last else self.batch_size - 1
        return (self.count + rest) // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        if self.shuffle:
            generator = stream(self.seed, "order", epoch)
            order = torch.randperm(self.count, generator=generator).tolist()
        else:
            order = list(range(self.count))
        for batch in range(len(self)):
            yield order[batch * self.batch_size : (batch + 1) * self.batch_size]


class WithIndices(Dataset[tuple[Any, ...]]):
    """A data set whose samples end with their index: (image, label, index).

    Policies that remember something about each sample need to know which one it is.

    Example:
        >>> image, label, index = WithIndices(test)[3]  # doctest: +SKIP
    """

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(cast(Sized, self.dataset))

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return (*self.dataset[index], index)

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, ...]]:
        together = getattr(self.dataset, "__getitems__", None)
        if together is None:
            return [self[index] for index in indices]
        samples = together(indices)
        return [(*sample, i) for sample, i in zip(samples, indices, strict=True)]


def make_loader(
    dataset: Dataset[Any],
    batch_size: int = 128,
    *,
    shuffle: bool = False,
    seed: int = 0,
    workers: int = 0,
    indices: bool = False,
    drop_last: bool = False,
) -> DataLoader[Any]:
    """A torch `DataLoader` that leaves the global random generators alone.

    Args:
        dataset: any map-style data set.
        batch_size: samples a batch, at least 1.
        shuffle: another order each epoch; `loader.batch_sampler.set_epoch` repeats one.
        seed: of the order; the number of workers does not change it.
        workers: processes that load; 0 loads in this one.
        indices: whether each batch ends with the indices of its samples.
        drop_last: whether to leave out a last batch that is smaller.

    Raises:
        DataError: where the data set is empty, the batch size is not positive, or
            the number of workers is negative.

    Example:
        >>> loader = make_loader(test, indices=True)  # doctest: +SKIP
        >>> images, labels, indices = next(iter(loader))  # doctest: +SKIP
    """
    count = len(cast(Sized, dataset))
    if count == 0:
        raise DataError(f"{dataset} is empty; there is nothing to load.")
    if batch_size < 1:
        raise DataError(f"batch_size={batch_size}; it is at least 1.")
    if workers < 0:
        raise DataError(f"workers={workers}; it is at least 0, which loads here.")
    return DataLoader(
        WithIndices(dataset) if indices else dataset,
        batch_sampler=EpochBatches(count, batch_size, shuffle, seed, drop_last),
        num_workers=workers,
        # From here come the workers' own seeds.
        generator=stream(seed, "workers"),
    )
