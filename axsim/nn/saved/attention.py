"""Attention in real numbers keeps each of its tensors by what it is for."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...memory.codec import Codec
from ...memory.codecs.identity import Identity
from ...memory.kept import Alias, Kept, parameter_of
from ...memory.masks import keep_mask
from ...memory.policies.fixed import Fixed
from ...memory.policy import Slot
from .keeper import Keeper

EXACT = Identity()
# Behind a softmax an error is no small one.
CAREFUL = 8
MATRIX, MATRICES = 2, 3


class _Call:
    """What one call saves.

    Args:
        keeper: of the layer.
        dropout: the chance that a weight of a value is dropped.
    """

    def __init__(self, keeper: Keeper, dropout: float) -> None:
        self.keeper = keeper
        self.dropout = dropout
        self.weights: torch.Size | None = None

    def pack(self, t: Tensor) -> Kept:
        """Inputs of projections and operands of products as the codec has them.

        The softmax reads its own result: that has 8 bits or more. A fused kernel makes
        everything once more from heads and sums that must agree: these stay exact.
        """
        if parameter_of(t) is not None or t.dim() < MATRIX:
            return Alias(t)
        if t.dtype == torch.bool:
            return keep_mask(self.keeper.store, self._slot("dropout"), t)
        if self._is_dropped(t):
            worth = torch.ones((), dtype=t.dtype).div_(1 - self.dropout).item()
            return keep_mask(self.keeper.store, self._slot("dropout"), t, worth)
        if t.grad_fn is not None and "Softmax" in t.grad_fn.name():
            self.weights = t.shape
            return self._keep_weights(t)
        fused = t.dim() > MATRICES or not (t.requires_grad or t.dim() == MATRIX)
        if fused:
            return self._keep(t, "fused", EXACT)
        part = "projections" if t.dim() == MATRIX else "heads"
        return self._keep(t, part, self.keeper.saved.codec)

    def _is_dropped(self, t: Tensor) -> bool:
        return self.dropout > 0 and not t.requires_grad and t.shape == self.weights

    def _keep_weights(self, t: Tensor) -> Kept:
        codec = self.keeper.saved.codec
        if CAREFUL not in codec.widths:
            return self._keep(t, "weights", EXACT)
        store, slot = self.keeper.store, self._slot("weights")
        return store.save(t, slot, codec, Fixed(CAREFUL))

    def _keep(self, t: Tensor, part: str, codec: Codec) -> Kept:
        keeper = self.keeper
        return keeper.store.save(t, self._slot(part), codec, keeper.saved.policy)

    def _slot(self, part: str) -> Slot:
        slot = self.keeper.slot
        return replace(slot, name=f"{slot.name}.{part}")


def keep_attention(
    keeper: Keeper, training: bool, dropout: float
) -> AbstractContextManager[Any]:
    """A context for torch's own attention.

    Args:
        keeper: of the layer.
        training: whether the layer trains.
        dropout: the chance that a weight of a value is dropped.
    """
    return keeper.around(training, _Call(keeper, dropout).pack)
