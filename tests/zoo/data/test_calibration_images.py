"""Training images that give ranges."""

from __future__ import annotations

import pytest
import torch

import axsim as ax
from axsim.zoo.data.dataset import ArrayDataset


@pytest.mark.parametrize("split", ["train", "test"])
def test_they_come_from_all_over_the_training_part(split: str) -> None:
    train, data = (
        ax.load_data("digits", "train", fold=2),
        ax.load_data("digits", split, fold=2),
    )
    assert isinstance(train, ArrayDataset)
    found = torch.cat([x for x, _ in ax.calibration_images(data, 500)])
    places = [len(train) * i // 500 for i in range(500)]
    assert torch.equal(found, train.images[places])


def test_a_part_of_a_set_knows_its_training_part_and_all_of_it_can_be_taken() -> None:
    data = ax.load_data("digits", "test")
    assert isinstance(data, ArrayDataset)
    few = data.subset([0, 1], "two")
    labels = torch.cat([y for _, y in ax.calibration_images(few, 10**6)])
    assert torch.equal(labels, ax.load_data("digits", "train").labels)


def test_what_cannot_be_taken_is_refused() -> None:
    data = ax.load_data("digits")
    with pytest.raises(ax.DataError, match="count=0; at least one image is needed"):
        ax.calibration_images(data, 0)
    own = torch.utils.data.TensorDataset(torch.zeros(2, 1))
    with pytest.raises(ax.DataError, match="TensorDataset, whose training part is not"):
        ax.calibration_images(own)
