"""What gated layers in real numbers keep: input in codes, the rest as it is."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from ...memory.codecs.identity import Identity
from ...memory.kept import Alias, Kept, parameter_of, same
from ...memory.masks import keep_mask
from .keeper import Keeper

EXACT = Identity()


def keep_gated_reals(
    keeper: Keeper, training: bool, x: Tensor
) -> AbstractContextManager[Any]:
    """A context for a layer and its gate, all of whose tensors the store then counts.

    What the gate judges, and both results it chooses from, stay as they are: through
    the gate's slope an error of theirs would be no small one.

    Args:
        keeper: of the layer.
        training: whether the layer trains.
        x: the layer's input.
    """

    def pack(t: Tensor) -> Kept:
        if parameter_of(t) is not None:
            return Alias(t)
        if same(t, x):
            return keeper.keep(t, keeper.saved.codec)
        if t.dtype == torch.bool:
            return keep_mask(keeper.store, keeper.slot, t)
        return keeper.keep_exactly(t, EXACT, "other", 0)

    return keeper.around(training, pack)
