"""A multiplier's table as the paths take it, with what they derive from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.weak import WeakIdKeyDictionary

from ..tables.metrics import IntTable
from ..tables.multiplier import Multiplier

Derived = TypeVar("Derived")
CACHE_SIZE = 256


class Table:
    """The products of codes, int32[2^bits_a, 2^bits_b], and what paths make of them.

    Args:
        mul: the multiplier; its name and cost do not matter here.
        origin: the table this one is with operands exchanged, if it is.
    """

    def __init__(self, mul: Multiplier, origin: Table | None = None) -> None:
        self.mul = mul
        self.origin = origin
        self._derived: dict[Callable[..., Any], Any] = {}

    @property
    def entries(self) -> tuple[int, int]:
        """Codes of each operand."""
        rows, columns = self.mul.table.shape
        return rows, columns

    @cached_property
    def peak(self) -> int:
        """Largest magnitude of a product."""
        return int(np.abs(self.mul.table.astype(np.int64)).max())

    @cached_property
    def square(self) -> IntTable:
        """The table with zeros added, so that any byte indexes it."""
        square = np.zeros((256, 256), np.int32)
        square[: self.entries[0], : self.entries[1]] = self.mul.table
        return square

    @cached_property
    def swapped(self) -> Table:
        """The table with its operands exchanged."""
        return self.origin or Table(self.mul.swapped(), self)

    def derived(self, build: Callable[[Table], Derived]) -> Derived:
        """`build(self)`, kept: planes, rows or factors of the table."""
        if build not in self._derived:
            self._derived[build] = build(self)
        return self._derived[build]


@lru_cache(maxsize=CACHE_SIZE)
def table_of(mul: Multiplier) -> Table:
    """The table of a multiplier; equal multipliers share one."""
    return Table(mul)


# An operator is handed tensors and numbers. A table's tensor finds its Table again by
# identity, or, where a compiler or another process copied it, by content.
_known: Any = WeakIdKeyDictionary()


@lru_cache(maxsize=CACHE_SIZE)
def tensor_of(mul: Multiplier, device: torch.device) -> torch.Tensor:
    """The table as an int32 tensor on a device."""
    # Kept beyond this call, whose inference mode would take away its version.
    with torch.inference_mode(False):
        tensor = torch.from_numpy(np.array(mul.table)).to(device)
    _known[tensor] = (tensor._version, table_of(mul))
    return tensor


def table_behind(tensor: torch.Tensor, signs: int) -> Table:
    """The Table of a tensor from `tensor_of`, or of a copy of one."""
    version, table = _known.get(tensor, (None, None))
    if table is None or version != tensor._version:
        values: npt.NDArray[np.int32] = tensor.cpu().numpy()
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        table = _table_by_content(digest, _Content(values), signs)
        _known[tensor] = (tensor._version, table)
    return table


class _Content:
    """Values that take no part in a cache's comparison: the digest beside them does."""

    def __init__(self, values: IntTable) -> None:
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=CACHE_SIZE)
def _table_by_content(digest: str, content: _Content, signs: int) -> Table:
    del digest
    return table_of(Multiplier(content.values.copy(), unpack_signs(signs)))


def pack_signs(mul: Multiplier) -> int:
    """The signedness of both operands as one number."""
    return mul.signed[0] + 2 * mul.signed[1]


def unpack_signs(signs: int) -> tuple[bool, bool]:
    return bool(signs & 1), bool(signs & 2)
