from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim import DataError
from axsim.zoo.data.augment import random_crop, random_flip
from axsim.zoo.data.stream import stream


def numbered(count: int, height: int, width: int) -> torch.Tensor:
    """Images in which no two pixels are alike."""
    return torch.arange(1.0, 2 * count * height * width + 1).view(
        count, 2, height, width
    )


def test_half_of_the_images_are_mirrored_whole() -> None:
    images = numbered(400, 3, 4)
    flipped = random_flip(images, stream(0))
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    kept = (flipped == images).flatten(1).all(1)
    assert bool((mirrored ^ kept).all())
    assert 150 < int(mirrored.sum()) < 250


@settings(deadline=None, max_examples=40)
@given(
    pad=st.integers(0, 3),
    size=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_a_crop_is_a_window_of_the_padded_image(pad: int, size: int, seed: int) -> None:
    images = numbered(5, 6, 7)
    if size > 6 + 2 * pad:
        with pytest.raises(DataError, match=rf"size={size} does not fit"):
            random_crop(images, stream(seed), pad, size)
        return
    crops = random_crop(images, stream(seed), pad, size)
    padded = torch.nn.functional.pad(images, (pad,) * 4)
    # Slow truth: try every window.
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)
    for crop, places in zip(crops, windows, strict=True):
        found = places.permute(1, 2, 0, 3, 4).flatten(0, 1)
        assert bool((found == crop).flatten(1).all(1).any())


def test_crops_reach_every_place_and_keep_the_size() -> None:
    images = numbered(1, 4, 4).expand(600, -1, -1, -1)
    crops = random_crop(images, stream(1), pad=1)
    assert crops.shape == images.shape
    assert len(crops.flatten(1).unique(dim=0)) == 9


def test_the_generator_alone_decides() -> None:
    images = numbered(20, 6, 6)
    before = torch.get_rng_state()
    first = random_crop(random_flip(images, stream(7)), stream(8), pad=2)
    again = random_crop(random_flip(images, stream(7)), stream(8), pad=2)
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)


@given(world=st.integers(1, 4), count=st.integers(1, 9))
def test_rows_of_a_batch_change_as_they_would_in_the_whole(
    world: int, count: int
) -> None:
    images = numbered(count, 5, 5)
    flipped, cropped = (
        random_flip(images, stream(3)),
        random_crop(images, stream(4), pad=2),
    )
    for rank in range(min(world, count)):
        rows = range(rank, count, world)
        mine = images[rank::world]
        assert torch.equal(random_flip(mine, stream(3), rows), flipped[rank::world])
        crops = random_crop(mine, stream(4), pad=2, rows=rows)
        assert torch.equal(crops, cropped[rank::world])
