"""Conversion: what it changes, what it keeps, what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import axsim as ax
from axsim.errors import CalibrationError, ConversionError
from axsim.nn.attention import ApproxMultiheadAttention
from axsim.nn.conv import ApproxConv2d
from axsim.nn.convert import approximate
from axsim.nn.linear import ApproxLinear
from axsim.nn.spec import Exact, LayerSpec, Quant, Rule
from axsim.quant.scheme import Scheme
from axsim.tables.multiplier import Multiplier
from axsim.zoo.checkpoint import load_weights, shipped_weights
from axsim.zoo.data.digits import digits_folds
from axsim.zoo.networks.factory import build_network

EXACT = Multiplier.from_function(lambda a, b: a * b, signed=True, name="exact")
COARSE = Multiplier.from_function(lambda a, b: a * b & ~63, signed=True, name="coarse")


class Small(nn.Module):
    """Two convolutions, one of them used twice, a head, hooks and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.again = self.shared
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.again(self.shared(self.stem(x)).relu()).relu())
        return self.head(x.mean((2, 3)))


def batches(count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(4, 1, 6, 6, generator=generator) for _ in range(count)]


def test_the_original_is_untouched_and_its_state_is_kept() -> None:
    model = Small().train()
    model.stem.eval()
    before = copy.deepcopy(model.state_dict())
    calls: list[str] = []
    model.head.register_forward_hook(lambda *_: calls.append("head"))
    net = approximate(model, EXACT, calibration=batches())
    assert type(model.stem) is nn.Conv2d and type(net.stem) is ApproxConv2d
    for key, value in before.items():
        assert torch.equal(model.state_dict()[key], value)
        assert torch.equal(net.state_dict()[key], value)
    assert net.shared is net.again
    assert net.training and not net.stem.training
    calls.clear()
    net(batches()[0])
    assert calls == ["head"]


def test_an_exact_table_stays_near_the_float_network() -> None:
    model = Small().eval()
    net = approximate(model, EXACT, calibration=batches())
    x = batches()[0]
    difference = (net(x) - model(x)).abs().max() / model(x).abs().max()
    assert 0 < difference < 0.05


def test_rules_choose_layers_and_a_coarse_table_shows() -> None:
    model = Small().eval()
    rules = [Rule("stem|head", Exact()), Rule(".*", COARSE)]
    net = approximate(model, rules, calibration=batches())
    assert type(net.stem) is nn.Conv2d and type(net.head) is nn.Linear
    assert type(net.shared) is ApproxConv2d
    whole = approximate(model, COARSE, calibration=batches())
    x = batches()[0]
    assert not torch.equal(whole(x), net(x))


def test_results_do_not_depend_on_batch_size_or_order() -> None:
    net = approximate(Small().eval(), COARSE, calibration=batches())
    x = torch.cat(batches(3))
    together = net(x)
    order = torch.randperm(len(x))
    assert torch.equal(net(x[order]), together[order])
    singly = torch.cat([net(image) for image in x.split(1)])
    torch.testing.assert_close(singly, together)


def test_dynamic_ranges_need_no_calibration_and_depend_on_the_batch() -> None:
    net = approximate(Small().eval(), LayerSpec(Quant(dynamic=True), EXACT))
    x = batches()[0]
    louder = torch.cat([x, 50 * x[:1]])
    assert not torch.equal(net(x), net(louder)[: len(x)])


def test_copies_and_checkpoints_compute_the_same() -> None:
    model = Small().eval()
    net = approximate(model, COARSE, calibration=batches())
    x = batches()[0]
    assert torch.equal(copy.deepcopy(net)(x), net(x))
    other = approximate(model, COARSE)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(x), net(x))


def test_a_converted_network_learns() -> None:
    torch.manual_seed(0)
    net = approximate(Small(), EXACT, calibration=batches())
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
    x, y = torch.cat(batches()), torch.arange(8) % 3
    losses: list[float] = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_an_encoder_s_fast_path_does_not_pass_the_tables_by() -> None:
    """In eval mode torch computes encoder layers in one kernel, past its modules."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    x = torch.randn(2, 5, 8)
    net = approximate(model, COARSE, calibration=[x])
    kinds = {type(module) for module in net.modules()}
    assert {ApproxMultiheadAttention, ApproxLinear} <= kinds
    with torch.no_grad():
        fast, slow = net(x), net.train()(x)
    torch.testing.assert_close(fast, slow)
    assert (fast - model(x)).abs().max() > 1e-3


def test_a_trained_network_keeps_its_accuracy_on_the_exact_table() -> None:
    net = load_weights(build_network("digits_resnet"), shipped_weights("digits_resnet"))
    train, test = digits_folds(0)
    accuracy: dict[str, float] = {}
    for name in ("mul8u_exact", "mul8s_exact", "mul8u_trunc_9"):
        mul = ax.load_multiplier(name)
        converted = approximate(net.eval(), mul, calibration=[train.images[:256]])
        with torch.no_grad():
            right = converted(test.images).argmax(1) == test.labels
        accuracy[name] = float(right.float().mean())
    assert min(accuracy["mul8u_exact"], accuracy["mul8s_exact"]) > 0.98
    assert accuracy["mul8u_trunc_9"] < 0.6


@pytest.mark.parametrize(
    ("model", "rules", "message"),
    [
        (
            nn.Sequential(nn.Sigmoid()),
            EXACT,
            "Sequential has no layer that can be approx",
        ),
        (Small(), [Rule("steem", EXACT)], r"matched no layer\. Close names: 'stem'"),
        (
            Small(),
            LayerSpec(Quant(activation=Scheme()), EXACT),
            "'stem' has uint8 activations",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused(
    model: nn.Module, rules: Any, message: str
) -> None:
    with pytest.raises(ConversionError, match=message):
        approximate(model, rules)


def test_a_converted_network_is_not_converted_again() -> None:
    net = approximate(Small(), EXACT)
    with pytest.raises(ConversionError, match="'stem' is approximate already"):
        approximate(net, EXACT)


def test_evaluation_without_calibration_names_the_layer() -> None:
    net = approximate(Small(), EXACT)
    with pytest.raises(CalibrationError, match=r"'stem\.input' is not calibrated"):
        net(batches()[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no batches came"),
        (["text"], "a batch is a str; give tensors"),
        ([torch.full((1, 1, 6, 6), float("nan"))], r"'stem\.input' met 36 NaN"),
        (torch.rand(8, 1, 6, 6), "a Tensor, which gives single samples; give batches"),
        (TensorDataset(torch.rand(8, 1, 6, 6)), "a TensorDataset, which gives single"),
    ],
)
def test_unusable_calibration(given: Any, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        approximate(Small(), EXACT, calibration=given)


@pytest.mark.parametrize(
    ("given", "kind"), [(Small, "a class"), (torch.relu, "a builtin_function")]
)
def test_only_networks_are_converted(given: Any, kind: str) -> None:
    with pytest.raises(ConversionError, match=f"model is {kind}.*; give a network"):
        approximate(given, EXACT)
