"""Gate maps show what the gates decided, and count nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import axsim as ax
from axsim.analysis.plots.gate_map import gate_map, gate_shares
from axsim.errors import ConversionError
from axsim.gating import Closed, Gate, Open
from axsim.gating.channels import Channels
from axsim.nn.spec import LayerSpec


@pytest.fixture(scope="module")
def net() -> nn.Module:
    rules = [
        ax.Rule("0", LayerSpec(gate=Gate(Channels(2), Open()))),
        ax.Rule("1", LayerSpec(gate=Gate(Channels(2), Closed()))),
        ax.Rule("2", LayerSpec(gate=Gate(Channels(2)))),
    ]
    layers = nn.Conv2d(4, 6, 3), nn.Conv2d(6, 4, 3), nn.Conv2d(4, 8, 3)
    return ax.approximate(nn.Sequential(*layers), rules)


def test_shares_are_means_of_the_masks_over_channels(net: nn.Module) -> None:
    image = torch.rand(4, 10, 9, generator=torch.Generator().manual_seed(0))
    shares = gate_shares(net, image)
    assert ax.plan(net).gate_report().counts.outputs == 0
    assert [share.shape for share in shares.values()] == [(8, 7), (6, 5), (4, 3)]
    assert bool((shares["0"] == 1).all())
    assert bool((shares["1"] == 0).all())
    with torch.no_grad():
        first, second, third = net.children()
        inside = second(first(image[None]))
        kept = third.get_parameter("weight").clone()
        kept[:, 2:] = 0
        base = nn.functional.conv2d(inside, kept)[0]
    expected = (base > 0).float().mean(0).numpy()
    np.testing.assert_allclose(shares["2"], expected, atol=1e-6)


def test_the_map_stands_beside_the_image(net: nn.Module) -> None:
    axes = ax.plot.gate_map(net, torch.rand(4, 10, 9), layers=("2",))
    assert [each.get_title(loc="left") for each in axes] == ["input", "2"]
    assert "% open" in axes[1].get_xlabel()
    with pytest.raises(ConversionError, match="'conv9' is no gated layer"):
        gate_map(net, torch.rand(4, 10, 9), layers=("conv9",))


def test_a_network_without_gates_has_no_map() -> None:
    plain = ax.approximate(
        nn.Sequential(nn.Conv2d(1, 1, 1)), [ax.Rule("0", ax.Exact())]
    )
    with pytest.raises(ConversionError, match="has no gated layer"):
        gate_map(plain, torch.rand(1, 4, 4))


def test_bars_are_the_layers_sparsity(net: nn.Module) -> None:
    ax.plan(net).reset_gates()
    with torch.no_grad():
        net(torch.rand(2, 4, 10, 9))
    axes = ax.plot.gate_sparsity(net)
    widths = [100 * line.counts.sparsity for line in ax.plan(net).gate_report().lines]
    assert [bar.get_width() for bar in axes.patches] == widths  # pyright: ignore[reportAttributeAccessIssue]
    ax.plan(net).reset_gates()
