"""One code of a ReLU's output for batch norm, ReLU and product: what it changes."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.errors import TrainingError
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.codecs.rectified import Rectified
from axsim.memory.policies.fixed import Fixed
from axsim.memory.store import Store


def triples(inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace),
        nn.Flatten(), nn.Linear(8 * 64, 4),
    )  # fmt: skip


def coded(net: nn.Module, bits: int = 2) -> nn.Module:
    return ax.approximate(net, ax.recipes.rectified(bits))


def store_of(net: nn.Module) -> Store:
    return ax.plan(net).store


def gradients(net: nn.Module, x: Tensor) -> list[Tensor]:
    net.zero_grad()
    y = net(x)
    (y * torch.sin(torch.arange(float(y.numel())).view(y.shape))).sum().backward()
    return [p.grad.clone() for p in net.parameters() if p.grad is not None]


@pytest.fixture
def x() -> Tensor:
    return torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("inplace", [False, True])
def test_three_layers_keep_one_code(inplace: bool, x: Tensor) -> None:
    net = coded(triples(inplace))
    exact = ax.approximate(triples(inplace), ax.recipes.actnn("L0"))
    ys = [net(x), exact(x)]
    assert torch.equal(*ys)
    ledger = store_of(net).ledger
    kept = {line.slot: line.kept for line in ledger.lines}
    shared = {line.slot: line.shared for line in ledger.lines}
    of_relu = 8 * (2 * 4 * 32 + 4 * 4)
    of_input = 4 * (2 * 96 + 12)
    assert kept == {
        "0": of_input, "1": 0, "2": of_relu, "3": 0, "4": 0, "5": of_relu,
        "7": 4 * (2 * 256 + 32),
    }  # fmt: skip
    assert shared == {"0": 0, "1": 1, "2": 0, "3": 1, "4": 1, "5": 0, "7": 0}
    assert ledger.kept == sum(kept.values())
    # What torch keeps is counted whole, for as long as the codes live.
    assert ledger.exact == store_of(exact).ledger.exact
    ys[0].sum().backward()
    gc.collect()
    assert (ledger.kept, ledger.exact) == (0, 0)


def test_a_graph_may_be_used_twice_and_copies_have_stores_of_their_own(
    x: Tensor,
) -> None:
    net = coded(triples())
    twin = ax.approximate(triples(), ax.recipes.rectified())
    loss = net(x).square().sum()
    loss.backward(retain_graph=True)
    first = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    loss.backward()
    for before, parameter in zip(first, net.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, 2 * before)
    assert not store_of(twin).ledger.lines


def test_at_eight_bits_the_mean_of_what_relus_stopped_is_all_that_is_off(
    x: Tensor,
) -> None:
    net = coded(triples(), 8)
    names = [name for name, _ in net.named_parameters()]
    found, expected = gradients(net, x), gradients(triples(), x)
    errors = {
        name: float((a - b).norm() / b.norm())
        for name, a, b in zip(names, found, expected, strict=True)
    }
    # No batch norm's input gradient on their way; a bias in front of one has none.
    assert max(errors[name] for name in ("7.weight", "4.weight")) < 0.01
    assert errors["7.bias"] == errors["4.bias"] == 0
    behind = ("0.weight", "1.weight", "1.bias", "3.weight")
    assert 0.005 < max(errors[name] for name in behind) < 0.1


def test_gradients_of_all_but_what_lies_in_front_of_a_batch_norm_have_no_bias() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.Flatten()
    )  # fmt: skip
    nn.init.uniform_(net[0].weight, -1, 1)  # pyright: ignore[reportArgumentType]
    nn.init.uniform_(net[0].bias, -1, 1)  # pyright: ignore[reportArgumentType]
    x = torch.randn(16, 4, 10, 10).requires_grad_()
    y = net(x)
    g = torch.randn_like(y)
    sources = [x, *net.parameters()]
    expected = torch.autograd.grad(y, sources, g)
    other, draws = coded(net), 300
    sources = [x, *other.parameters()]
    each = [torch.autograd.grad(other(x), sources, g) for _ in range(draws)]
    found = [torch.stack(many) for many in zip(*each, strict=True)]
    for index in (2, 4):
        # Biases read no codes.
        torch.testing.assert_close(found[index][0], expected[index])
    for index in (1, 3):
        error = found[index].mean(0) - expected[index]
        assert ((error / (found[index].std(0) / draws**0.5)).abs() < 4.5).all()
    # The input's gradient: chance taken off, what stays is small.
    chance = found[0].var(0).sum() / draws
    bias = (found[0].mean(0) - expected[0]).square().sum() - chance
    assert bias.clamp(min=0).sqrt() < 0.02 * expected[0].norm()


class Fork(nn.Module):
    """Something besides the ReLU reads what the batch norm makes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.relu = nn.BatchNorm2d(3), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return self.relu(y) + y


def test_a_batch_norm_that_others_read_too_is_refused(x: Tensor) -> None:
    net = coded(Fork())
    with pytest.raises(TrainingError, match=r"^norm: its ReLU is not alone in reading"):
        net(x).square().sum().backward()
    rules = [
        ax.Rule("norm", ax.LayerSpec(saved=ax.Saved(GroupAffine(), GroupAffine()))),
        *ax.recipes.rectified()[0],
    ]
    net = ax.approximate(Fork(), rules)
    net(x).square().sum().backward()
    kept = {line.slot: line.kept > 0 for line in store_of(net).ledger.lines}
    assert kept == {"norm": True, "relu": True}


def test_what_is_not_finite_is_kept_by_each_layer(x: Tensor) -> None:
    x[0, 0, 0, 0] = float("nan")
    net = coded(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()))
    net(x).sum().backward()
    raw = {line.slot: line.raw for line in store_of(net).ledger.lines}
    assert raw == {"0": {"not finite": 1}, "1": {"not finite": 1}}


def test_without_a_batch_norm_and_in_eval_mode(x: Tensor) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    other = coded(net)
    found, expected = gradients(other, x), gradients(net, x)
    assert torch.equal(found[1], expected[1])
    assert not torch.equal(found[2], expected[2])
    kept = {line.slot: line.kept > 0 for line in store_of(other).ledger.lines}
    assert kept == {"0": True, "1": True, "2": False, "3": True}
    store_of(other).end_step()
    store_of(other).end_step()
    other.eval()(x)
    assert not store_of(other).ledger.lines


def test_one_width_for_all() -> None:
    saved = ax.Saved(GroupAffine(), relu=Rectified(), policy=Fixed(3))
    net = ax.approximate(nn.Sequential(nn.ReLU()), ax.LayerSpec(saved=saved))
    y = net(torch.randn(8, 4, 16, 16, requires_grad=True))
    (line,) = store_of(net).ledger.lines
    assert (line.codec, line.bits) == ("Rectified", 3.125)
    del y
