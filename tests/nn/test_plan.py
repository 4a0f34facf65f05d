"""What is known of a converted network."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axsim.errors import ConversionError
from axsim.nn.convert import approximate
from axsim.nn.plan import plan
from axsim.nn.spec import Exact, Rule
from axsim.nn.summary import summary
from axsim.tables.multiplier import Multiplier
from axsim.zoo.networks.factory import build_network

EXACT = Multiplier.from_function(lambda a, b: a * b, signed=True, name="mine")


FIGURES = [("cifar_resnet8", 12_239_488), ("cifar_resnet20", 40_551_040)]


@pytest.mark.parametrize(("name", "products"), FIGURES)
def test_products_are_counted_as_in_papers(name: str, products: int) -> None:
    batch = torch.randn(2, 3, 32, 32)
    net = approximate(build_network(name), EXACT, calibration=[batch])
    assert summary(net).products == products
    left = approximate(
        build_network(name),
        [Rule("stem.*|head", Exact()), Rule(".*", EXACT)],
        calibration=[batch],
    )
    assert summary(left).products == products
    assert plan(left).exact == ("stem.conv", "head")


def test_products_of_every_kind_of_layer() -> None:
    class Kinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.ConvTranspose2d(2, 3, 2, stride=2)
            self.conv = nn.Conv2d(3, 4, 3, groups=1, padding=1)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(self.up(x)).flatten(2).mT  # 16 tokens of 4
            return self.attention(y, y, y)[0]

    batch = [torch.randn(3, 2, 2, 2)]
    net = approximate(Kinds(), EXACT, calibration=batch)
    found = {line.name: line.products for line in summary(net).lines}
    assert found["up"] == 2 * 2 * 2 * 3 * 2 * 2
    assert found["conv"] == 4 * 16 * 3 * 9
    assert found["attention.sites.query"] == 16 * 4 * 4
    assert found["attention.sites.scores"] == 16 * 16 * 4
    assert found["attention.sites.mixture"] == 16 * 16 * 4
    left = approximate(Kinds(), [Rule(".*", Exact())], calibration=batch)
    exact = {line.name: line.products for line in summary(left).lines}
    assert exact == {
        "up": found["up"],
        "conv": found["conv"],
        "attention": 4 * 16 * 4 * 4 + 2 * 16 * 16 * 4,
    }


class Attending(nn.Module):
    """Attention of few tokens to many of other widths, and to two made up."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.attention = nn.MultiheadAttention(
            8, 2, add_bias_kv=True, add_zero_attn=True, kdim=4, vdim=6,
            batch_first=batch_first,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        key, query = x[..., :4], x if self.attention.batch_first else x[:2]
        return self.attention(value=x[..., :6], key=key, query=query)[0]


@pytest.mark.parametrize("batch_first", [True, False])
def test_exact_attention_forms_as_many_products(batch_first: bool) -> None:
    batch = [torch.randn(3, 5, 8)]
    rules = [Rule("attention", Exact()), Rule(".*", EXACT)]
    left = approximate(Attending(batch_first), rules, calibration=batch)
    whole = approximate(Attending(batch_first), EXACT, calibration=batch)
    assert summary(left).products == summary(whole).products


class Functional(nn.Module):
    """A network with products that no module forms."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.inner = Inner()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.layer(x)) @ torch.ones(4, 4)


class Inner(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, torch.eye(4))


def test_functional_calls_are_listed() -> None:
    net = approximate(Functional(), EXACT, calibration=[torch.randn(5, 4)])
    assert plan(net).unreached == ("inner: mm", "the network: mm")
    assert "not reached, exact: inner: mm" in str(summary(net))
    assert "16 products a sample in these layers, 100.0 % on" in str(summary(net))


class Named(nn.Module):
    """A layer, and then one function."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(4, 4), function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (nn.LSTM(4, 3), "(mkldnn_rnn_layer|addmm)"),
        (nn.GRU(4, 3), "addmm"),
        (lambda x: F.bilinear(x, x, torch.ones(2, 4, 4)), "_trilinear"),
        (lambda x: torch.vdot(x.flatten(), x.flatten()), "vdot"),
        (lambda x: torch.addbmm(x.T @ x, x[:, :, None], x[:, None]), "addbmm"),
        (lambda x: torch.sparse.mm(torch.eye(4).to_sparse(), x.T), "_sparse_addmm"),
    ],
)
def test_other_products_are_listed(function: Any, operation: str) -> None:
    net = approximate(Named(function), EXACT, calibration=[torch.randn(5, 4)])
    assert any(re.search(f": {operation}$", it) for it in plan(net).unreached)


def test_a_summary_is_a_table() -> None:
    rules = [Rule("2", Exact()), Rule(".*", EXACT)]
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    net = approximate(model, rules, calibration=[torch.randn(5, 4)])
    assert str(summary(net)) == (
        "layer  kind          codes        multiplier  products  energy\n"
        "-----  ------------  -----------  ----------  --------  ------\n"
        "0      ApproxLinear  int8 x int8  mine              32       -\n"
        "2      Linear        float        exact             16       -\n"
        "48 products a sample, 66.7 % on a table\n"
        "energy a sample: unknown, no multiplier here has a power"
    )
    assert repr(summary(net)) == "<Summary: 2 layers, 48 products a sample>"
    assert repr(plan(net)).startswith("<Plan: 2 layers, 1 of them exact; ")
    assert plan(copy.deepcopy(net)).products == plan(net).products


def test_other_networks_have_no_plan() -> None:
    with pytest.raises(ConversionError, match=r"was not returned by ax\.approximate"):
        summary(nn.Sequential(nn.Linear(2, 2)))


def test_counting_leaves_nothing_behind() -> None:
    net = approximate(Functional(), EXACT, calibration=[torch.randn(5, 4)])
    for module in net.modules():
        assert not vars(module)["_forward_hooks"]
        assert not vars(module)["_forward_pre_hooks"]
    before = dict(plan(net).products)
    net(torch.randn(7, 4))
    assert plan(net).products == before
