"""Gates at the edges: empty batches, single values, wrong answers, lost signs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

import axsim as ax
from axsim.analysis.plots.gate_map import gate_shares
from axsim.errors import AxsimWarning, ConversionError, OperandError
from axsim.gating import Bits, Channels, Gate, Threshold
from axsim.nn.spec import LayerSpec, Product, Quant
from axsim.quant.magnitudes import Magnitudes
from axsim.quant.scheme import Scheme

SIGNED = Scheme(8, signed=True, symmetric=True)
NORMALISED = Threshold(normalise=True)
SPECS = [
    LayerSpec(gate=Gate(Channels(2), NORMALISED)),
    LayerSpec(Quant(SIGNED, dynamic=True), gate=Gate(Channels(2), NORMALISED)),
    LayerSpec(Quant(SIGNED, dynamic=True), gate=Gate(Bits(4))),
    LayerSpec(Magnitudes(3, 8), gate=Gate(Bits(2))),
]


def converted(model: nn.Module, spec: LayerSpec) -> nn.Module:
    return ax.approximate(model, spec)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Conv2d(4, 8, 3), (4, 5, 5)), (nn.Linear(4, 8), (4,))]
)
def test_an_empty_batch_counts_nothing_and_changes_nothing(
    spec: LayerSpec, training: bool, layer: nn.Module, shape: tuple[int, ...]
) -> None:
    net = converted(layer, spec).train(training)
    before = {k: v.clone() for k, v in net.state_dict().items() if "running" in k}
    x = torch.zeros(0, *shape, requires_grad=True)
    y = net(x)
    y.sum().backward()
    assert y.shape == layer(x).shape
    assert ax.plan(net).gate_report().counts == (0, 0, 0, 0)
    state = net.state_dict()
    assert all(torch.equal(state[k], v) for k, v in before.items())


@pytest.mark.parametrize("spec", SPECS[:2], ids=str)
def test_one_value_a_channel_is_judged_by_running_statistics(spec: LayerSpec) -> None:
    torch.manual_seed(0)
    net, x = converted(nn.Linear(4, 8), spec), torch.randn(1, 4)
    assert torch.equal(net.train()(x), net.eval()(x))
    assert bool((net.get_buffer("gate.running_var") == 1).all())


def test_a_network_of_one_layer_has_its_products_reported() -> None:
    x = torch.randn(1, 4, 5, 5)
    spec = LayerSpec(Quant(SIGNED), gate=Gate(Channels(2)))
    net = ax.approximate(nn.Conv2d(4, 8, 3), spec, calibration=[x])
    assert ax.plan(net).gate_report().gated_products == 8 * 9 * 4 * 9
    attention = nn.MultiheadAttention(8, 2)
    found = ax.approximate(attention, LayerSpec(Quant(SIGNED, dynamic=True)))
    kinds = {line.kind for line in ax.summary(found).lines}
    assert kinds == {"ApproxMultiheadAttention"}


SHARED: Any = "mul8u_exact"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LayerSpec(gate=Bits(4)), r"LayerSpec: gate=high 4 bits.*type Bits; g"),  # type: ignore
        (lambda: LayerSpec(SIGNED), r"quant=int8 symmetric.*such as Quant\(Scheme\(8"),  # type: ignore
        (lambda: LayerSpec(multiplier=SHARED), r"='mul8u_exact' .*ax.load_multiplier"),
        (lambda: ax.Rule(".*", Gate(Bits(4))), "Rule: spec=.* is of type Gate; give"),  # type: ignore
        (lambda: ax.Rule(5, LayerSpec()), "Rule: pattern=5 is of type int; give a str"),  # type: ignore
        (lambda: ax.approximate(nn.Linear(2, 2), Gate(Bits(4))), "rules: got a Gate"),  # type: ignore
        (lambda: Product(SHARED), "Product: table='mul8u_exact' is of type str"),
        (lambda: Quant(SHARED), "Quant: activation='mul8u_exact'.*give a Scheme"),
        (lambda: Gate(4), "Gate: split=4 is of type int; give a Split"),  # type: ignore
        (lambda: Gate(Bits(4), SHARED), "Gate: decide=.*give a Decision, such as Thr"),
        (lambda: Gate(Bits(4), rest=SHARED), "Gate: rest=.*give a Multiplier"),
        (lambda: Bits(2.5), "Bits: msb=2.5; .*a whole number"),  # type: ignore
        (lambda: Channels(2.0), "Channels: parts=2.0; give a whole number"),  # type: ignore
        (lambda: Threshold(start=(0.0, math.nan)), "start=.*no score is above NaN"),
        (lambda: Threshold(target=math.inf), "target=inf; .*finite"),
    ],
)  # fmt: skip
def test_answers_of_another_type_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        make()


def test_a_clip_that_is_no_number_is_refused() -> None:
    with pytest.raises(OperandError, match=r"alpha='6'; .* above 0"):
        ax.build_network("digits_resnet", pact="6")


UNSIGNED = Scheme(8, symmetric=True)


@pytest.mark.parametrize(
    "quant",
    [Quant(UNSIGNED), Quant(UNSIGNED, dynamic=True), Quant(UNSIGNED, pact=6.0)],
    ids=str,
)
def test_signs_that_codes_lose_are_warned_of(quant: Quant) -> None:
    model, spec = nn.Sequential(nn.Linear(4, 2)), LayerSpec(quant)
    with pytest.warns(AxsimWarning, match="values below 0 .* in 1 places: '0'.*signed"):
        ax.approximate(model, spec, calibration=[torch.tensor([[1.0, -1, 1, 1]])])
    # No warning, which would be an error here.
    ax.approximate(model, spec, calibration=[torch.ones(1, 4)])


def test_gated_attention_needs_codes_with_a_sign() -> None:
    rules = ax.recipes.precision_gating(8, 8, 4, gated=".*", quantised=None)
    with pytest.raises(
        ConversionError, match=r"is attention and has codes uint8.*signe"
    ):
        ax.approximate(nn.MultiheadAttention(8, 2), rules)


def test_a_pattern_for_other_networks_names_the_layers() -> None:
    model = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(ConversionError, match=r"Layers here: '0'\. .* as gated="):
        ax.approximate(model, ax.recipes.channel_gating())
    with pytest.raises(
        ConversionError, match="The network is one layer; its name is ''"
    ):
        ax.approximate(nn.Linear(4, 2), ax.recipes.channel_gating())


def test_a_map_of_gated_attention_has_heads_and_queries() -> None:
    spec = LayerSpec(Quant(SIGNED, dynamic=True), gate=Gate(Bits(4)))
    net = ax.approximate(ax.build_network("digits_vit"), [ax.Rule(".*tion", spec)])
    shares = gate_shares(net, torch.rand(1, 8, 8))
    assert [share.shape for share in shares.values()] == [(4, 16)] * 2
    with pytest.raises(ConversionError, match=r"shape \(1, 1, 8, 8\); .*images\[0\]"):
        gate_shares(net, torch.rand(1, 1, 8, 8))
