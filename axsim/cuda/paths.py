"""The ways a product can be computed here, and why one of them cannot serve."""

from __future__ import annotations

import torch

from ..errors import BackendError
from .compile import missing_package
from .layout import Product
from .table import DeviceTable, device_table

PATHS = ("packed", "gather", "depthwise", "factored")

# Outputs that fill a tile of tensor cores, or half of what `packed` handles at once;
# rows that fill half of its smallest block.
TENSOR_CORES, HALF_PACKED, HALF_BLOCK = 16, 4, 128

Factors = tuple[torch.Tensor, torch.Tensor]


def why_not(
    path: str,
    table: torch.Tensor,
    *,
    terms: int,
    groups: int = 1,
    wide: bool = False,
    factors: Factors | None = None,
) -> str | None:
    """Why a path cannot serve a product on the table's device; None where it can.

    Args:
        path: one of PATHS.
        table: int32, at most 256 by 256.
        terms: products in one sum.
        groups: of a convolution.
        wide: whether sums are int64.
        factors: whole numbers left and right with `table = left @ right.T`.
    """
    return _why_not(path, device_table(table), terms, groups, wide, factors)


def choose(
    table: torch.Tensor,
    *,
    rows: int,
    outputs: int,
    terms: int,
    groups: int = 1,
    wide: bool = False,
    factors: Factors | None = None,
) -> str:
    """The path expected to be fastest; once a table is known, nothing waits for it.

    The bounds follow from what a block of each kernel covers, not from measurements.

    Args:
        table, terms, groups, wide, factors: as for `why_not`.
        rows: pixels of all images; of a matrix product, the larger of its sides.
        outputs: of one group; of a matrix product, the smaller of its sides.
    """
    entries = device_table(table)
    if factors is not None and outputs >= TENSOR_CORES:
        if _why_not("factored", entries, terms, groups, wide, factors) is None:
            return "factored"
    if not entries.fits_16_bits:
        return "gather"
    if outputs < HALF_PACKED:
        return "depthwise"
    return "gather" if rows < HALF_BLOCK <= outputs else "packed"


def run(
    path: str, product: Product, table: DeviceTable, factors: Factors | None = None
) -> None:
    """Adds up the product on a path.

    Raises:
        BackendError: where the path cannot serve it.
    """
    reason = _why_not(path, table, product.terms, product.groups, product.wide, factors)
    if reason is not None:
        raise BackendError(reason)
    if path == "packed":
        from . import packed

        packed.run(product, table)
    elif path == "depthwise":
        from . import depthwise

        depthwise.run(product, table)
    elif path == "gather":
        from . import gather

        gather.run(product, table)
    elif factors is not None:
        from . import factored

        factored.run(product, factored.device_factors(factors, table))


def _why_not(
    path: str,
    table: DeviceTable,
    terms: int,
    groups: int,
    wide: bool,
    factors: Factors | None,
) -> str | None:
    if path not in PATHS:
        return f"there is no path {path!r} on a GPU; there are {', '.join(PATHS)}."
    missing = missing_package()
    if missing is not None:
        return missing
    if path in ("packed", "depthwise") and not table.fits_16_bits:
        return (
            f"the table's entries run from {table.low:,} to {table.high:,}; path "
            f"{path!r} holds 16 bits of each. Use 'gather'."
        )
    if path == "factored":
        from . import factored

        found = None if factors is None else factored.device_factors(factors, table)
        return factored.why_not_factored(found, terms, groups, wide)
    return None
