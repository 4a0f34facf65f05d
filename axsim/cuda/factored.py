"""Exact integer factors of a table, multiplied as int8 on tensor cores."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.utils.weak import WeakIdKeyDictionary

from .expand import PAST, SIDE, collect, spread
from .launch import refuse_while_capturing
from .layout import (
    LARGEST,
    SKIPPED,
    Product,
    held_by_graph,
    parts,
    settled,
    tiles,
)
from .table import DeviceTable

# Bytes of factors and raw sums held at once; about what a large L2 cache keeps.
WORKSPACE = 32 << 20
MOST_GROUPS = 8


class DeviceFactors:
    """A table as `sum_r (u_r + shift_r) (v_r + centre_r)`, with int8 u and v.

    The products of u and v go to tensor cores. What the shifts and centres add is a
    sum over each row's codes, which is one more column of the same matrix product, and
    a constant for each output.

    Args:
        left, right: whole numbers, [codes, rank] each, with `table = left @ right.T`.
        table: what the factors are of.
    """

    def __init__(
        self, left: torch.Tensor, right: torch.Tensor, table: DeviceTable
    ) -> None:
        refuse_while_capturing("a set of factors")
        device, rank = table.full.device, left.shape[1]
        wide_left, wide_right = left.cpu().long(), right.cpu().long()
        full = table.full.cpu().long()[: len(left), : len(right)]
        self.exact = torch.equal(wide_left @ wide_right.t(), full)
        shifts, centres = _centre(wide_left), _centre(wide_right)
        u, v = wide_left - shifts, wide_right - centres
        self.fits = all(
            -128 <= int(factor.min()) and int(factor.max()) <= 127
            for factor in (u, v, -shifts)
        )
        peaks = u.abs().amax(0).maximum(shifts.abs()) * v.abs().amax(0).clamp(min=1)
        self.peak = int(peaks.sum())
        self.rank = rank
        # A skipped tap must count as nothing: its u is minus the shift.
        self.left = _codes(u, -shifts, device)
        self.right = _codes(v, torch.zeros_like(centres), device)
        self.constant = settled((wide_right @ shifts).to(device))
        self.extras = torch.nonzero(centres).flatten().tolist()
        self.scales = settled(centres[self.extras].to(torch.int32).to(device))


def why_not_factored(
    factors: DeviceFactors | None, terms: int, groups: int, wide: bool
) -> str | None:
    """Why the path cannot serve sums of this many terms; None where it can."""
    if factors is None:
        return "path 'factored' needs factors=(left, right) of the table."
    if not factors.exact:
        return "the factors' product is not the table; factor it again."
    if not factors.fits:
        return (
            "a factor spans more than 256 values, so int8 cannot hold it. Use 'packed'."
        )
    if wide or terms * factors.peak > LARGEST:
        return (
            f"sums of {terms:,} terms of rank {factors.rank} could leave int32. "
            "Use 'packed'."
        )
    if groups > MOST_GROUPS:
        return (
            f"{groups} groups would be as many small products; at most {MOST_GROUPS}. "
            "Use 'packed' or 'depthwise'."
        )
    return None


def run(product: Product, factors: DeviceFactors) -> None:
    """Adds up the product as int8 matrix products over `terms * rank`."""
    depth = 16 * tiles(product.terms * factors.rank, 16)
    width = 16 * tiles(product.outputs + len(factors.extras), 16)
    constant = _constant(product, factors)
    most = max(SIDE, WORKSPACE // (depth + 4 * width) // SIDE * SIDE)
    rows = torch.empty(
        min(most, SIDE * tiles(product.length, SIDE)),
        depth,
        dtype=torch.int8,
        device=product.codes.device,
    )
    for group in range(product.groups):
        right = _right(product, factors, group, width, depth)
        for piece in parts(product):
            for start in range(0, piece.length, most):
                stop = min(start + most, piece.length)
                left = rows[: SIDE * tiles(stop - start, SIDE)]
                spread(piece, piece.codes, factors.left, group, start, stop, left)
                raw = int8_product(left, right)
                collect(piece, raw, constant, factors.scales, group, start, stop)


def int8_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """int32[M, N] of int8 a[M, K] and b[N, K]; the CPU only serves the simulator."""
    if a.is_cuda:
        return torch.ops.aten._int_mm(a, b.t())
    return a.int() @ b.int().t()


def _right(
    product: Product, factors: DeviceFactors, group: int, width: int, depth: int
) -> torch.Tensor:
    """int8[width, depth]: a row for each output, then the rows that sum up codes."""
    weights = product.weights.contiguous()
    outputs, taps, channels = product.outputs, product.taps, product.channels
    operand = replace(
        product,
        reach=torch.arange(taps, dtype=torch.int32, device=weights.device)[:, None],
        image=channels * taps,
        channel=taps,
    )
    right = torch.zeros(width, depth, dtype=torch.int8, device=weights.device)
    own = weights[group * outputs : (group + 1) * outputs]
    spread(operand, own, factors.right, 0, 0, outputs, right)
    for row, extra in enumerate(factors.extras, start=outputs):
        right[row, extra : product.terms * factors.rank : factors.rank] = 1
    return right


def _constant(product: Product, factors: DeviceFactors) -> torch.Tensor:
    """What each output's weights alone add to its sums: int64[groups * outputs]."""
    return factors.constant[product.weights.flatten(1).long()].sum(1)


def _centre(factor: torch.Tensor) -> torch.Tensor:
    """The least shift that brings each column into int8, where one does."""
    low, high = factor.amin(0), factor.amax(0)
    return (high - 127).clamp(min=0) + (low + 128).clamp(max=0)


def _codes(
    factor: torch.Tensor, skipped: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """int8[258, rank], for every code, a skipped tap, and what lies past the end."""
    codes = torch.zeros(PAST + 1, factor.shape[1], dtype=torch.int8)
    codes[: len(factor)] = factor.to(torch.int8)
    codes[SKIPPED] = skipped.to(torch.int8)
    return settled(codes.to(device))


_known: WeakIdKeyDictionary = WeakIdKeyDictionary()


def device_factors(
    factors: tuple[torch.Tensor, torch.Tensor], table: DeviceTable
) -> DeviceFactors:
    """The factors' images, made once for each pair of tensors."""
    left, right = factors
    stamp = (id(right), id(table), left._version, right._version)
    found = _known.get(left)
    if found is None or found[0] != stamp:
        # The tensors are held so that their ids stay theirs.
        made = DeviceFactors(left, right, table)
        found = _known[left] = (stamp, made, right, table)
    return held_by_graph(found[1])
