from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset, TensorDataset

from axsim import DataError
from axsim.zoo.data.dataset import ArrayDataset, Normalisation
from axsim.zoo.data.digits import digits_folds
from axsim.zoo.data.loader import EpochBatches, WithIndices, make_loader
from axsim.zoo.data.stream import stream


class Numbers(Dataset[tuple[int, int]]):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[int, int]:
        return index * index, index % 2


def batches_of(loader: Any) -> list[list[torch.Tensor]]:
    return [list(batch) for batch in loader]


def equal(a: list[list[torch.Tensor]], b: list[list[torch.Tensor]]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y)
        for one, other in zip(a, b, strict=True)
        for x, y in zip(one, other, strict=True)
    )


def test_batches_are_the_samples() -> None:
    _, test = digits_folds(0)
    images, labels = zip(*make_loader(test, 100), strict=True)
    assert [len(each) for each in labels] == [100, 100, 100, 60]
    assert torch.equal(torch.cat(images), test.images)
    assert torch.equal(torch.cat(labels), test.labels)
    single = torch.stack([test[i][0] for i in range(len(test))])
    assert torch.equal(single, test.images)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_seed_alone_decides(workers: int) -> None:
    train, _ = digits_folds(0)
    first = batches_of(make_loader(train, 500, shuffle=True, seed=3))
    again = batches_of(make_loader(train, 500, shuffle=True, seed=3, workers=workers))
    other = batches_of(make_loader(train, 500, shuffle=True, seed=4))
    assert equal(first, again)
    assert not equal(first, other)


def test_every_epoch_has_its_own_order_and_can_be_repeated() -> None:
    loader: Any = make_loader(Numbers(), 4, shuffle=True, indices=True)
    epochs = [batches_of(loader) for _ in range(3)]
    assert not equal(epochs[0], epochs[1])
    loader.batch_sampler.set_epoch(1)
    assert equal(batches_of(loader), epochs[1])
    assert equal(batches_of(loader), epochs[2])


@settings(deadline=None)
@given(
    count=st.integers(1, 50),
    size=st.integers(1, 60),
    shuffle=st.booleans(),
    drop=st.booleans(),
)
def test_each_sample_comes_once(
    count: int, size: int, shuffle: bool, drop: bool
) -> None:
    sampler = EpochBatches(count, size, shuffle, 0, drop)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    seen = sorted(index for batch in batches for index in batch)
    assert len(set(seen)) == len(seen)
    assert len(seen) == (count // size * size if drop else count)


def test_indices_come_with_any_data_set() -> None:
    _, test = digits_folds(0)
    for images, labels, indices in make_loader(test, 64, shuffle=True, indices=True):
        assert torch.equal(images, test.images[indices])
        assert torch.equal(labels, test.labels[indices])
    for square, _, index in make_loader(Numbers(), 4, shuffle=True, indices=True):
        assert torch.equal(square, index**2)
    assert WithIndices(Numbers())[3] == (9, 1, 3)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    for _ in make_loader(Numbers(), 4, shuffle=True):
        pass
    assert torch.equal(torch.get_rng_state(), before)


def test_empty_data_and_empty_batches_are_refused() -> None:
    with pytest.raises(DataError, match="is empty; there is nothing to load"):
        make_loader(TensorDataset(torch.empty(0, 3)))
    with pytest.raises(DataError, match="workers=-1; it is at least 0"):
        make_loader(Numbers(), workers=-1)
    with pytest.raises(DataError, match="batch_size=0; it is at least 1"):
        make_loader(Numbers(), 0)


def test_streams_are_told_apart_by_their_whole_key() -> None:
    keys: list[tuple[int | str, ...]] = [(0,), (1,), (0, 1), ("0", 1), (0, "1"), (0,)]
    drawn = {tuple(torch.rand(4, generator=stream(*key)).tolist()) for key in keys}
    assert len(drawn) == 5


def test_images_and_labels_must_belong_together() -> None:
    half = Normalisation((0.5,), (0.5,))
    with pytest.raises(DataError, match=r"\(3, 1, 2, 2\) pixels and 2 labels"):
        ArrayDataset(torch.zeros(3, 1, 2, 2), torch.zeros(2), "ab", half, "set")
    with pytest.raises(
        DataError, match="labels from 0 to 2; its 2 classes allow 0 to 1"
    ):
        ArrayDataset(torch.zeros(3, 1, 2, 2), torch.arange(3), "ab", half, "set")
