"""Views of an image from which a network's answers are averaged."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import DataError


def centre_crop(image: Tensor, size: int) -> Tensor:  # (..., H, W) -> (..., size, size)
    """The middle of an image, rounded towards the upper left."""
    height, width = _check(image, size)
    top, left = (height - size) // 2, (width - size) // 2
    return image[..., top : top + size, left : left + size]


def ten_crop(image: Tensor, size: int) -> Tensor:
    """Four corners and the centre, then the same mirrored: ten-crop validation.

    Args:
        image: (..., H, W), at least `size` in both directions.
        size: height and width of each view.

    Returns:
        (..., 10, C, size, size) for an image (..., C, H, W). A network sees
        `views.flatten(0, 1)` of a batch, and its outputs are averaged as
        `outputs.unflatten(0, (-1, 10)).mean(1)`.

    Raises:
        DataError: where the image is smaller than a view.

    Example:
        >>> ten_crop(torch.zeros(3, 256, 341), 224).shape
        torch.Size([10, 3, 224, 224])
    """
    height, width = _check(image, size)
    corners = [
        image[..., top : top + size, left : left + size]
        for top in (0, height - size)
        for left in (0, width - size)
    ]
    views = torch.stack([*corners, centre_crop(image, size)], dim=-4)
    return torch.cat([views, views.flip(-1)], dim=-4)


def _check(image: Tensor, size: int) -> tuple[int, int]:
    height, width = image.shape[-2:]
    if min(height, width) < size:
        raise DataError(
            f"an image of {height}x{width} has no view of {size}x{size}; resize it "
            f"to at least {size}."
        )
    return height, width
