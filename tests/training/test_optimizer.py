from __future__ import annotations

import pytest
import torch
from blobs import build, equal
from torch import nn

from axsim import TrainingError, TrainSettings
from axsim.training.optimizer import NamedOptimizer
from axsim.training.settings import Optimizer


def update(net: nn.Module, optimizer: NamedOptimizer) -> None:
    net(torch.ones(2, 1, 4, 4)).square().sum().backward()
    optimizer.torch.step()
    optimizer.torch.zero_grad()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_another_optimizer_goes_on_from_the_named_state(name: Optimizer) -> None:
    settings = TrainSettings(optimizer=name, lr=0.01, decay_vectors=False)
    net, twin = build(), build()
    first, second = NamedOptimizer(net, settings), NamedOptimizer(twin, settings)
    assert first.state() == {}
    update(net, first)
    twin.load_state_dict(net.state_dict())
    second.load({key: each.clone() for key, each in first.state().items()})
    slot = "momentum_buffer" if name == "sgd" else "exp_avg_sq"
    assert torch.any(first.state()[f"0.weight/{slot}"] != 0)
    update(net, first)
    update(twin, second)
    assert equal(net, twin)


def test_weight_decay_can_leave_vectors_out() -> None:
    """With a gradient of 0 an update is the decay alone: w - lr * decay * w."""
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for each in net.parameters():
        nn.init.ones_(each)
        each.grad = torch.zeros_like(each)
    spare = NamedOptimizer(net, TrainSettings(weight_decay=0.5, decay_vectors=False))
    spare.set_rate(0.5)
    spare.torch.step()
    found = {name: float(each.flatten()[0]) for name, each in net.state_dict().items()}
    assert found["0.weight"] == 0.75
    assert found["0.bias"] == found["1.weight"] == found["1.bias"] == 1


def test_frozen_and_tied_parameters_are_left_out_or_counted_once() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net[0].bias.requires_grad_(False)
    assert NamedOptimizer(net, TrainSettings()).names == ["0.weight", "1.bias"]
    with pytest.raises(TrainingError, match="no parameter of Linear requires a grad"):
        NamedOptimizer(net[0].requires_grad_(False), TrainSettings())
