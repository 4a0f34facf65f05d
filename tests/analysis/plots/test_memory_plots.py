"""What the plots of saved activations draw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import axsim as ax
from axsim.errors import OperandError
from axsim.memory.store import Store


@pytest.fixture(scope="module")
def store() -> Store:
    torch.manual_seed(0)
    net = ax.approximate(ax.build_network("digits_conv4"), ax.recipes.actnn("L2"))
    F.cross_entropy(net(torch.randn(16, 1, 8, 8)), torch.arange(16) % 10).backward()
    ax.plan(net).after_step()
    return ax.plan(net).store


def test_the_timeline_rises_and_falls_below_that_of_torch(store: Store) -> None:
    axes = ax.plot.memory_timeline(store)
    (line, peak) = axes.lines
    exact = line.get_ydata()
    assert exact[0] == exact[-1] == 0
    kept = [m.kept / 1e6 for m in store.ledger.moments]
    assert peak.get_ydata()[0] == max(kept)
    assert max(exact) > 4 * max(kept)
    assert axes.get_title(loc="left").splitlines()[1].endswith("x less")


def test_columns_have_the_area_of_their_bytes(store: Store) -> None:
    axes = ax.plot.bits_histogram(store)
    area = sum(bar.get_height() * bar.get_width() for bar in axes.patches)
    kept = sum(line.kept for line in store.ledger.lines)
    assert area * 1e6 / 8 == pytest.approx(kept)
    names = axes.get_legend_handles_labels()[1]
    assert {"GroupAffine", "BitMask"} < set(names)


@pytest.mark.parametrize("name", ["memory_timeline", "bits_histogram"])
def test_figures_hold_their_labels_and_tapes_are_drawn_too(name: str) -> None:
    x = torch.randn(64, 64, requires_grad=True)
    with ax.compressed_activations(bits=2) as tape:
        x.tanh().relu().sum().backward()
    axes = getattr(ax.plot, name)(tape)
    figure = axes.figure
    figure.draw_without_rendering()
    extents = np.array(figure.get_tightbbox().extents)
    size = figure.get_size_inches()
    assert (extents > -0.02).all()
    assert (extents[2:] < size + 0.02).all()


@pytest.mark.parametrize("name", ["memory_timeline", "bits_histogram"])
def test_an_empty_account_is_refused(name: str) -> None:
    with pytest.raises(OperandError, match="nothing was saved yet; run a forward pass"):
        getattr(ax.plot, name)(Store())
