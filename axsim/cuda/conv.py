"""Convolution of codes on a GPU, each product looked up, with no im2col in memory."""

from __future__ import annotations

from math import prod

import torch

from .devices import check_operands
from .layout import SKIPPED, Product, reach
from .paths import run
from .table import device_table

Ints = tuple[int, ...]


def lut_conv(
    x: torch.Tensor,
    w: torch.Tensor,
    table: torch.Tensor,
    *,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    groups: int = 1,
    pad_code: int | None = 0,
    path: str = "packed",
    wide: bool = False,
    factors: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> torch.Tensor:
    """A convolution of codes over 1, 2 or 3 spatial dimensions, each product looked up.

    It runs on the current stream of the operands' device.

    Args:
        x: uint8[N, C, ...], codes of activations, below the table's number of rows.
        w: uint8[O, C/groups, ...], codes of weights, below its number of columns.
        table: int32, on the same device; what kernels need of it is kept for as long
            as this tensor lives.
        stride, padding, dilation: one number for each spatial dimension, checked.
        groups: divides C and O.
        pad_code: code of a padded tap, looked up like any other; None skips the tap.
        path: one of `paths.PATHS`.
        wide: whether sums are int64; must be set where they could leave int32.
        factors: for path "factored": whole numbers left[codes of x, R] and
            right[codes of w, R] with `table = left @ right.T`.

    Returns:
        int32[N, O, ...], or int64 where `wide`.

    Raises:
        BackendError: for tensors off the GPU, or a path that cannot serve.
        OperandError: for other dtypes.
    """
    check_operands({"x": x, "w": w}, table)
    size, kernel = tuple(x.shape[2:]), tuple(w.shape[2:])
    spans = zip(size, kernel, stride, padding, dilation, strict=True)
    out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in spans]
    dtype = torch.int64 if wide else torch.int32
    sums = torch.empty(len(x), len(w), *out, dtype=dtype, device=x.device)
    if not sums.numel():
        return sums
    plane = prod(size)
    product = Product(
        codes=x.contiguous(),
        weights=w.flatten(2),
        reach=reach(size, kernel, stride, padding, dilation, x.device),
        images=len(x),
        channels=w.shape[1],
        groups=groups,
        outputs=len(w) // groups,
        image=x.shape[1] * plane,
        channel=plane,
        pad=SKIPPED if pad_code is None else pad_code,
        sums=sums,
        steps=(len(w) * prod(out), prod(out), 1),
    )
    run(path, product, device_table(table), factors)
    return sums
