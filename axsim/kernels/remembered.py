"""What is derived from weights, kept as long as they live and stay what they are."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from ..tables.multiplier import Multiplier
from .table import table_of

Derived = TypeVar("Derived")

_known: Any = WeakIdKeyDictionary()


def remembered(weights: Tensor, key: Hashable, build: Callable[[], Derived]) -> Derived:
    """`build()`, or what it gave for these weights last time.

    Args:
        weights: raw codes; of those made in inference mode nobody knows whether they
            stay what they are.
        key: what else the answer depends on.
        build: makes the answer.
    """
    if weights.is_inference():
        return build()
    version, found = _known.get(weights, (None, {}))
    if version != weights._version:
        found = {}
        _known[weights] = weights._version, found
    if key not in found:
        found[key] = build()
    return found[key]


def largest_sum(weights: Tensor, mul: Multiplier) -> int:
    """What no sum of products passes in magnitude, whatever the activations are.

    Args:
        weights: uint8[O, ...], raw codes that the table has.
        mul: the table.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> largest_sum(torch.tensor([[1, 2], [4, 0]], dtype=torch.uint8), exact)
        1020
    """
    table = table_of(mul)

    def build() -> int:
        most = torch.from_numpy(np.abs(table.mul.table.astype(np.int64)).max(0))
        return int(most[weights.flatten(1).long()].sum(1).max())

    return remembered(weights, ("largest_sum", table), build)
