"""Which path is the fastest for a table, a shape and a device."""

from __future__ import annotations

from . import cpu
from .contract import Convolution
from .table import Table


def choose_cpu(table: Table, shape: Convolution, wide: bool) -> str:
    """The name of the path."""
    why_not, _ = cpu.PATHS["shuffle"]
    return "gather" if why_not(table, shape, wide) else "shuffle"
