"""Counters are whole numbers: of outputs and of tiles, once for each decision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from axsim.gating.meter import Counts, GateMeter
from axsim.gating.tiles import count_open, open_runs, open_tiles


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_tiles_are_those_of_a_slow_count(rows: int, outputs: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, outputs, generator=generator) < 0.01
    found = open_tiles(open_runs(mask, 1))
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            block = mask[16 * i : 16 * i + 16, 16 * j : 16 * j + 16]
            assert block.numel()
            assert bool(found[i, j]) == bool(block.any())
    assert found.shape == (-(-rows // 16), -(-outputs // 16))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.6, 1.0])
@pytest.mark.parametrize(
    "shape", [(2, 32, 16, 16), (3, 20, 8, 8), (2, 3, 4, 5), (5, 48), (1, 16, 16)]
)
def test_flags_and_tiles_are_counted_together(
    shape: tuple[int, ...], share: float
) -> None:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < share
    tiles = open_tiles(open_runs(mask, 1))
    expected = int(mask.sum()), tiles.numel(), int(tiles.sum())
    assert count_open(mask, 1) == expected
    # Another layout takes the way that GPUs take.
    assert count_open(mask.mT.contiguous().mT, 1) == expected
    # Words may begin anywhere.
    part = torch.zeros(mask.numel() + 3, dtype=torch.bool)[3:]
    assert count_open(part.copy_(mask.flatten()).view(shape), 1) == expected


@pytest.mark.parametrize(
    "shape", [(2, 3, 4, 5), (2, 3, 4, 8), (3, 3, 16), (1, 20, 8, 8)]
)
def test_runs_hold_the_pixels_of_each_image_in_order(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(shape, generator=generator) < 0.05
    rows = mask.movedim(1, -1).reshape(-1, shape[1])
    expected = [bool(run.any()) for o in rows.T for run in o.split(16)]
    assert open_runs(mask, 1).T.reshape(-1).tolist() == expected
    last = mask.movedim(1, -1).contiguous()
    assert open_runs(last, -1).T.reshape(-1).tolist() == expected


def test_counts_add_up_over_ragged_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = [torch.rand(n, 20, 5, 5, generator=generator) < 0.3 for n in (4, 4, 1)]
    meter = GateMeter()
    assert meter.read() == Counts()
    assert meter.read().sparsity == 0.0
    for mask in masks:
        meter.count(mask, axis=1)
    found = meter.read()
    assert found.outputs == sum(mask.numel() for mask in masks)
    assert found.open == sum(int(mask.sum()) for mask in masks)
    # 7, 7 and 2 rows of tiles, with two columns each.
    assert found.tiles == 2 * (7 + 7 + 2)
    meter.reset()
    assert meter.read() == Counts()


def test_a_checkpointed_computation_counts_once() -> None:
    meter = GateMeter()

    def layer(x: torch.Tensor) -> torch.Tensor:
        meter.count(x > 0, axis=0)
        return x.sin().square()

    for reentrant in (True, False):
        meter.reset()
        x = torch.ones(6, requires_grad=True)
        y = checkpoint(layer, x, use_reentrant=reentrant)
        assert isinstance(y, torch.Tensor)
        y.sum().backward()
        assert meter.read().outputs == 6
