"""Training images, from which the ranges of activations are taken."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, cast

from torch.utils.data import DataLoader, Dataset, Subset

from ...errors import DataError

BATCH = 128


def calibration_images(data: Dataset[Any], count: int = 512) -> DataLoader[Any]:
    """Batches of images from all over the training part of a data set.

    They are never those of the test part.

    Args:
        data: either part, as `load_data` gives it.
        count: how many images, at least 1; all there are where there are fewer.

    Raises:
        DataError: for a data set that does not know its training part.

    Example:
        >>> len(calibration_images(load_data("digits", "test")))  # doctest: +SKIP
        4
    """
    if count < 1:
        raise DataError(f"count={count}; at least one image is needed.")
    if not knows_training(data):
        raise DataError(
            f"data is a {type(data).__name__}, whose training part is not known; give "
            "one of ax.load_data, or batches of training images of your own."
        )
    images = cast(Any, data).training()
    size = len(cast(Sized, images))
    count = min(count, size)
    # Image folders are sorted by class.
    chosen = Subset(images, [size * place // count for place in range(count)])
    return DataLoader(chosen, batch_size=BATCH)


def knows_training(data: object) -> bool:
    """Whether a data set tells of which training part it is."""
    return callable(getattr(data, "training", None))
