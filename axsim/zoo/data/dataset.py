"""A labelled set of images that fits into memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import DataError

Sample = tuple[Tensor, int]


@dataclass(frozen=True)
class Normalisation:
    """How stored pixels become what a network sees: `(pixel / full - mean) / std`.

    Args:
        mean: one number for each channel, of pixels scaled to 0..1.
        std: likewise.
        full: the largest pixel value that can be stored.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    full: int = 255

    def __call__(self, pixels: Tensor) -> Tensor:  # (..., C, H, W) -> float32
        shape = (-1, 1, 1)
        mean = torch.tensor(self.mean).view(shape)
        std = torch.tensor(self.std).view(shape)
        image = pixels.to(torch.float32, copy=True)
        return image.div_(self.full).sub_(mean).div_(std)


class ArrayDataset(Dataset[Sample]):
    """Pixels as bytes in memory; samples are (float32 image, label).

    Args:
        pixels: uint8, (N, C, H, W).
        labels: int64, (N,), each in 0..len(classes)-1.
        classes: the names of the classes.
        normalise: from pixels to what a network sees.
        name: how reports call the set.

    Raises:
        DataError: where images, labels and classes do not belong together.

    Example:
        >>> train, test = digits_folds(0)  # doctest: +SKIP
        >>> test.images.shape, test.labels.shape  # doctest: +SKIP
        (torch.Size([360, 1, 8, 8]), torch.Size([360]))
    """

    def __init__(
        self,
        pixels: Tensor,
        labels: Tensor,
        classes: Sequence[str],
        normalise: Normalisation,
        name: str,
    ) -> None:
        if pixels.ndim != 4 or len(pixels) != len(labels):
            raise DataError(
                f"{name}: {tuple(pixels.shape)} pixels and {len(labels):,} labels; "
                "expected pixels of shape (N, C, H, W) and N labels."
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise DataError(
                f"{name} has labels from {labels.min()} to {labels.max()}; its "
                f"{len(classes)} classes allow 0 to {len(classes) - 1}."
            )
        self.pixels = pixels
        self.labels = labels
        self.classes = tuple(classes)
        self.normalise = normalise
        self.name = name
        #: Loads the training part that belongs to it; `load_data` sets it.
        self.training: Callable[[], Dataset[Sample]] | None = None

    @cached_property
    def images(self) -> Tensor:
        """All images as a network sees them, float32 (N, C, H, W), computed once."""
        return self.normalise(self.pixels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        return self.normalise(self.pixels[index]), int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> list[Sample]:
        """A batch of samples, normalised together; `DataLoader` asks for it."""
        images = self.normalise(self.pixels[indices])
        return list(zip(images, self.labels[indices].tolist(), strict=True))

    def subset(self, indices: Tensor | list[int], name: str) -> ArrayDataset:
        """The samples at some indices, as a set of their own."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        part = ArrayDataset(
            self.pixels[chosen], self.labels[chosen], self.classes, self.normalise, name
        )
        part.training = self.training
        return part

    def __repr__(self) -> str:
        size = f"{len(self):,} images {'x'.join(map(str, self.pixels.shape[1:]))}"
        return f"<{self.name}: {size}, {len(self.classes)} classes>"
