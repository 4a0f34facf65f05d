"""Random changes of a batch of images; the generator is the caller's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import DataError


def random_flip(
    images: Tensor, generator: torch.Generator, rows: range | None = None
) -> Tensor:
    """Mirrors each image, left to right, with probability one half.

    Args:
        images: (N, C, H, W).
        generator: where the randomness comes from, such as `stream(seed, epoch)`.
        rows: which rows of a larger batch these images are. The randomness is drawn
            for all of `rows.stop`, so that an image changes alike wherever it is.
    """
    rows = rows or range(len(images))
    chosen = torch.rand(rows.stop, generator=generator)[_cut(rows)] < 0.5
    mirrored = chosen.to(images.device).view(-1, 1, 1, 1)
    return torch.where(mirrored, images.flip(-1), images)


def random_crop(
    images: Tensor,
    generator: torch.Generator,
    pad: int = 0,
    size: int | None = None,
    rows: range | None = None,
) -> Tensor:
    """Cuts a square at a random place out of each padded image.

    CIFAR is trained with `pad=4`; ImageNet, held at 256x256, with `size=224`. Padding
    is 0: after normalisation, the mean colour.

    Args:
        images: (N, C, H, W).
        generator: where the randomness comes from.
        pad: zeros added on each side first.
        size: side of the square; by default what the images have.
        rows: as in `random_flip`.

    Raises:
        DataError: where the padded images are smaller than the square.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> random_crop(torch.ones(2, 3, 32, 32), generator, pad=4).shape
        torch.Size([2, 3, 32, 32])
    """
    padded = F.pad(images, (pad, pad, pad, pad))
    count, _, height, width = padded.shape
    cut_height, cut_width = (size, size) if size else images.shape[-2:]
    if min(height - cut_height, width - cut_width) < 0:
        raise DataError(
            f"size={size} does not fit into images of {height}x{width}; "
            "use a smaller size or more pad."
        )
    rows = rows or range(count)
    drawn = (rows.stop, 1)
    top = torch.randint(height - cut_height + 1, drawn, generator=generator)[_cut(rows)]
    left = torch.randint(width - cut_width + 1, drawn, generator=generator)[_cut(rows)]
    lines = (top + torch.arange(cut_height)).to(images.device)
    columns = (left + torch.arange(cut_width)).to(images.device)
    sample = torch.arange(count, device=images.device)
    # Indexing apart by a slice puts the channels last: (N, h, w, C).
    cut = padded[sample[:, None, None], :, lines[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2).contiguous()


def _cut(rows: range) -> slice:
    return slice(rows.start, rows.stop, rows.step)
