"""How good a network is between two epochs."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, cast

import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset, Subset

from .answers import answer, check_finite, eval_mode, views_of
from .batches import batches_of, check_classes, unpack
from .meter import Meter
from .processes import Processes
from .settings import TrainSettings


def measure(
    model: nn.Module, data: Dataset[Any], settings: TrainSettings, group: Processes
) -> Meter:
    """Loss and right answers of the share that this process has of a data set.

    Raises:
        DataError: where there are no labels or the network has no output for them.
        ModelError: where an answer is not finite.
    """
    meter = Meter(group.device)
    mine = range(group.rank, len(cast(Sized, data)), group.world)
    # There can be fewer samples than processes.
    share = Subset(data, mine) if mine else []
    with eval_mode(model):
        for batch in batches_of(share, settings.batch_size, settings.workers):
            images, labels = unpack(batch)
            logits = answer(model, images.to(group.device), views_of(data))
            check_classes(labels, logits)
            check_finite(model, logits)
            meter.add(F.cross_entropy(logits, labels), logits, labels)
    return meter
