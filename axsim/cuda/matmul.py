"""The matrix product of codes on a GPU, each product looked up."""

from __future__ import annotations

import functools

import torch

from .devices import check_operands
from .launch import refuse_while_capturing
from .layout import Product, settled
from .paths import run
from .table import device_table


def lut_matmul(
    a: torch.Tensor,
    b: torch.Tensor,
    table: torch.Tensor,
    *,
    path: str = "packed",
    wide: bool = False,
    factors: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> torch.Tensor:
    """`sum_k table[a_mk, b_nk]` on the current stream of the operands' device.

    Args:
        a: uint8[M, K], codes of activations, below the table's number of rows.
        b: uint8[N, K], codes of weights, below its number of columns.
        table: int32, on the same device; what kernels need of it is kept for as long
            as this tensor lives.
        path: one of `paths.PATHS`.
        wide: whether sums are int64; must be set where they could leave int32.
        factors: for path "factored": whole numbers left[codes of a, R] and
            right[codes of b, R] with `table = left @ right.T`.

    Returns:
        int32[M, N], or int64 where `wide`.

    Raises:
        BackendError: for tensors off the GPU, or a path that cannot serve.
        OperandError: for other dtypes.
    """
    check_operands({"a": a, "b": b}, table)
    dtype = torch.int64 if wide else torch.int32
    sums = torch.empty(len(a), len(b), dtype=dtype, device=a.device)
    if not sums.numel():
        return sums
    entries = device_table(table)
    if path == "factored":
        # Its first step reads whole rows.
        image, steps = a.shape[1], (len(b), 1, 0)
        product = _product(a, b, sums, image=image, channel=1, steps=steps)
    elif (path == "gather") == (len(a) > len(b)):
        # `gather` has few rows and many outputs at once, the others the reverse.
        entries = entries.exchanged
        product = _product(b, a, sums, image=1, channel=len(b), steps=(1, len(b), 0))
    else:
        product = _product(a, b, sums, image=1, channel=len(a), steps=(len(b), 1, 0))
    run(path, product, entries, factors)
    return sums


def _product(
    rows: torch.Tensor,
    outputs: torch.Tensor,
    sums: torch.Tensor,
    image: int,
    channel: int,
    steps: tuple[int, int, int],
) -> Product:
    """Rows are images of one pixel, terms are channels; both lie as the steps say."""
    return Product(
        codes=rows.contiguous() if channel == 1 else rows.t().contiguous(),
        weights=outputs[:, :, None],
        reach=_origin(rows.device),
        images=len(rows),
        channels=rows.shape[1],
        groups=1,
        outputs=len(outputs),
        image=image,
        channel=channel,
        pad=0,
        sums=sums,
        steps=steps,
    )


@functools.cache
def _origin(device: torch.device) -> torch.Tensor:
    refuse_while_capturing("a matrix product")
    return settled(torch.zeros(1, 1, dtype=torch.int32, device=device))
