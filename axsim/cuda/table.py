"""A multiplier's table on a device, in the shapes that kernels read."""

from __future__ import annotations

import functools

import torch
from torch.utils.weak import WeakIdKeyDictionary

from .launch import refuse_while_capturing
from .layout import SKIPPED, held_by_graph, settled

# 257 codes and one more, so that rows start in different banks of shared memory.
STRIDE = 258


class DeviceTable:
    """One table, with its range and its images; an image is made when first asked for.

    Args:
        table: int32[rows, columns], each at most 256, indexed by raw codes.
    """

    def __init__(self, table: torch.Tensor) -> None:
        refuse_while_capturing("a table")
        self.version = table._version
        self.low, self.high = (int(bound) for bound in torch.aminmax(table))
        # int32[257, 256], by code of the first operand; the last row is zero.
        self.shape = table.shape
        self.full = torch.zeros(
            SKIPPED + 1, 256, dtype=torch.int32, device=table.device
        )
        self.full[: table.shape[0], : table.shape[1]] = table
        settled(self.full)

    @property
    def signed(self) -> bool:
        """Whether 16-bit images are signed."""
        return self.low < 0 and self._fits_int16

    @property
    def fits_16_bits(self) -> bool:
        """Whether all entries fit 16 bits once a constant is taken off them."""
        return self.high - self.low < 1 << 16

    @property
    def shift(self) -> int:
        """Entries of the table minus those of 16-bit images."""
        unsigned = 0 <= self.low and self.high < 1 << 16
        return 0 if unsigned or self._fits_int16 else self.low

    @property
    def _fits_int16(self) -> bool:
        return -(1 << 15) <= self.low and self.high < 1 << 15

    @functools.cached_property
    def by_first(self) -> torch.Tensor:
        """16 bits, [257, 258], a row for each code of the first operand."""
        return self._image(self.full[:SKIPPED])

    @functools.cached_property
    def by_second(self) -> torch.Tensor:
        """16 bits, [257, 258], a row for each code of the second operand."""
        return self._image(self.full[:SKIPPED].t())

    @functools.cached_property
    def exchanged(self) -> DeviceTable:
        """The table with its operands exchanged."""
        rows, columns = self.shape
        return DeviceTable(self.full[:rows, :columns].t())

    def _image(self, entries: torch.Tensor) -> torch.Tensor:
        refuse_while_capturing("a table")
        image = torch.zeros(
            SKIPPED + 1, STRIDE, dtype=torch.int16, device=entries.device
        )
        # int16 holds the low 16 bits, whatever the sign.
        image[:SKIPPED, :SKIPPED] = (entries - self.shift).to(torch.int16)
        return settled(image)


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def device_table(table: torch.Tensor) -> DeviceTable:
    """The table's images, made once for each tensor and again where it has changed."""
    found = _known.get(table)
    if found is None or found.version != table._version:
        found = _known[table] = DeviceTable(table)
    return held_by_graph(found)
