"""Every recipe of activations: outputs, statistics and random numbers are torch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axsim as ax
from axsim.nn.recipe import Recipe

r = ax.recipes
RECIPES: dict[str, Recipe] = {
    **{f"actnn {level}": r.actnn(level) for level in ("L0", "L1", "L2", "L3")},
    "actnn L2, 8 bits": r.actnn("L2", bits=8),
    **{f"blpa {bits}": r.blpa(bits) for bits in (4, 8)},
    "acgc quant": r.acgc("quant"),
    "acgc quantz": r.acgc("quantz"),
    "acgc autoquant": r.acgc("autoquant"),
    "acgc autoquantz": r.acgc("autoquantz"),
    **{f"gact {level}": r.gact(level) for level in ("L1", "L1.1", "L1.2", "L2")},
    "rectified 2": r.rectified(2),
    "rectified 8": r.rectified(8),
}


class Block(nn.Module):
    """Pre-activation with a shortcut, as BLPA was made for, and functions besides."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm, self.relu = nn.BatchNorm2d(8), nn.ReLU()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.drop, self.pool = nn.Dropout(0.2), nn.MaxPool2d(2)
        self.last = nn.BatchNorm2d(8)
        self.heads = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.out = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.last(x + self.drop(self.conv(self.relu(self.norm(x)))))
        x = self.pool(self.relu(x)).flatten(2).mT
        x = F.gelu(self.heads(x, x, x)[0])
        return self.out(F.layer_norm(x, (8,)).mean(1))


def network() -> Block:
    torch.manual_seed(0)
    return Block()


def batch() -> Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", RECIPES)
def test_forward_passes_are_those_of_torch(name: str) -> None:
    net = network()
    coded = ax.approximate(net, RECIPES[name])
    assert torch.equal(coded.eval()(batch()), net.eval()(batch()))
    assert list(coded.state_dict()) == list(net.state_dict())
    found: list[list[Tensor]] = []
    for each in (coded.train(), net.train()):
        torch.manual_seed(3)
        steps: list[Tensor] = []
        # From the second step on, what policies saw decides; weights stay.
        for _ in range(2):
            y = each(batch())
            y.square().sum().backward()
            steps.append(y)
            if each is coded:
                ax.plan(coded).after_step()
        found.append([*steps, *each.buffers(), torch.get_rng_state()])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)
    # The last bias reads no activation.
    biases = coded.out.bias.grad, net.out.bias.grad
    assert torch.equal(*biases)  # pyright: ignore[reportArgumentType]


def test_without_codes_gradients_are_those_of_torch() -> None:
    nets = [ax.approximate(network(), RECIPES["actnn L0"]), network()]
    for net in nets:
        torch.manual_seed(3)
        net(batch()).square().sum().backward()
    for a, b in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(a.grad, b.grad)  # pyright: ignore[reportArgumentType]
