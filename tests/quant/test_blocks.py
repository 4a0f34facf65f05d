"""Blocks: one call for small tensors, pieces of a large one in memory order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from axsim.quant.blocks import BLOCK, by_blocks


def run(x: Tensor, whole: bool = False) -> tuple[list[int], tuple[Tensor, ...]]:
    """Sizes of the pieces, and the results."""
    sizes: list[int] = []

    def work(x: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(x.numel())
        return 2 * x, x > 0

    return sizes, by_blocks(work, x, torch.float32, torch.bool, whole=whole)


@pytest.mark.parametrize(
    ("elements", "whole", "pieces"),
    [
        (BLOCK, False, [BLOCK]),
        (2 * BLOCK + 1, False, [BLOCK, BLOCK, 1]),
        (2 * BLOCK + 1, True, [2 * BLOCK + 1]),
        (0, False, [0]),
    ],
)
def test_pieces_cover_everything_once(
    elements: int, whole: bool, pieces: list[int]
) -> None:
    x = torch.arange(elements, dtype=torch.float32) - 5
    sizes, (double, positive) = run(x, whole)
    assert sizes == pieces
    assert torch.equal(double, 2 * x)
    assert torch.equal(positive, x > 0)


def test_results_keep_the_memory_format() -> None:
    x = torch.randn(2, 4, 300, 301).contiguous(memory_format=torch.channels_last)
    sizes, (double, positive) = run(x)
    assert len(sizes) > 1
    assert double.stride() == positive.stride() == x.stride()
    assert torch.equal(double, 2 * x)
