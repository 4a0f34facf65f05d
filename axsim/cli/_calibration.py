"""Training images from which the ranges of activations are taken."""

from __future__ import annotations

from typing import Any

import typer


def calibration_batches(data: Any, count: int, batch_size: int = 256) -> list[Any]:
    """About `count` images, evenly from a whole data set, in batches."""
    from torch.utils.data import DataLoader, Subset

    if count < 1:
        raise typer.BadParameter(
            f"--calibration {count}: at least one image is needed."
        )
    # Evenly, because image folders are sorted by class.
    indices = range(0, len(data), max(len(data) // count, 1))[:count]
    return [batch[0] for batch in DataLoader(Subset(data, indices), batch_size)]
