"""Imported layers of Brevitas: the integers of the source, computed from its codes."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axsim as ax
from axsim.errors import BackendError, ConversionError, ModelError
from axsim.nn.importers.brevitas import from_brevitas
from axsim.nn.spec import Exact, LayerSpec, Product, Quant, Rule
from axsim.tables.multiplier import Multiplier
from tests.conftest import random_multiplier

# Brevitas's own use of torch, and what it says that it cannot compute.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Computing zero point of output accumulator"),
    pytest.mark.filterwarnings("ignore:Positional args are being:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
]

UNSIGNED = Multiplier.from_function(lambda a, b: a * b, signed=False, name="plain")
SIGNED = Multiplier.from_function(lambda a, b: a * b, signed=True, name="signed")
SHIFT = Product(UNSIGNED, signs="shift")
MAGNITUDE = Product(UNSIGNED, signs="sign-magnitude")


def library(module: str) -> Any:
    name = f"brevitas.{module}"
    return pytest.importorskip(name, reason="brevitas is missing: axsim[import] has it")


def build() -> nn.Module:
    """Inputs with codes from before or of their own; biases, outputs, few bits."""
    qnn, quant = library("nn"), library("quant")
    torch.manual_seed(0)
    model = nn.Sequential(
        qnn.QuantIdentity(
            act_quant=quant.ShiftedUint8ActPerTensorFloat, return_quant_tensor=True
        ),
        qnn.QuantConv2d(
            3, 8, 3, padding=1, weight_quant=quant.Int8WeightPerChannelFloat,
            bias_quant=quant.Int32Bias,
        ),
        nn.BatchNorm2d(8),
        qnn.QuantReLU(return_quant_tensor=True),
        qnn.QuantConv2d(
            8, 8, 3, 1, 2, 2, groups=2, bias=False, return_quant_tensor=True,
            output_quant=quant.Int8ActPerTensorFloat,
        ),
        qnn.QuantConv2d(
            8, 4, (2, 4), padding="same", weight_bit_width=4, return_quant_tensor=True,
            output_quant=quant.Uint8ActPerTensorFloat,
        ),
        qnn.QuantConv2d(
            4, 4, 3, stride=2, padding=1, padding_mode="circular",
            weight_quant=quant.ShiftedUint8WeightPerTensorFloat,
        ),
        nn.Flatten(1, 2),
        qnn.QuantConv1d(12, 5, 2, input_quant=quant.Int8ActPerTensorFloat,
            input_bit_width=5, bias_quant=quant.Int8BiasPerTensorFloatInternalScaling),
        qnn.QuantLinear(3, 10, input_quant=quant.Uint8ActPerTensorFloat, bias=True),
    )  # fmt: skip
    for seed in range(4):
        model(batch(seed))
    return model.eval()


def batch(seed: int = 9) -> Tensor:
    return torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def source() -> nn.Module:
    return build()


class Seen:
    """What a layer was given and returned, as numbers."""

    def __init__(self, layer: Any, given: Any, output: Any) -> None:
        x = layer.input_quant(given)
        w = layer.quant_weight(x)
        self.codes, self.weight = x.int(), w.int()
        self.quantised = output.int() if hasattr(output, "int_repr") else None
        self.output, self.layer = output, layer
        self.sums = self._sums(layer, x, w)
        axes = [1] * (x.value.dim() - 2) if hasattr(layer, "stride") else []
        scale = x.scale.reshape(()) * w.scale.reshape(-1)
        self.values = self.sums.float() * scale.view(-1, *axes)
        if layer.bias is not None:
            bias = layer.bias_quant(layer.bias, x, w)
            self.values = self.values + getattr(bias, "value", bias).view(-1, *axes)

    def _sums(self, layer: Any, x: Any, w: Any) -> Tensor:
        """Exact: below 2^53, sums of whole numbers are exact in float64."""
        a = (self.codes.long() - x.zero_point.long()).double()
        b = (self.weight.long() - w.zero_point.long()).double()
        if not hasattr(layer, "stride"):
            return F.linear(a, b).long()
        return layer._conv_forward(a, b, None).long()


def watch(net: nn.Module, x: Tensor) -> list[Seen]:
    """Every quantised layer that forms products, in order."""
    base = library("nn.quant_layer").QuantWeightBiasInputOutputLayer
    seen: list[Seen] = []

    def note(layer: Any, given: Any, output: Any) -> None:
        seen.append(Seen(layer, given[0], output))

    layers = [layer for layer in net.modules() if isinstance(layer, base)]
    handles = [layer.register_forward_hook(note) for layer in layers]
    with torch.no_grad():
        net(x)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("rules", [SHIFT, MAGNITUDE], ids=["shift", "sign-magnitude"])
def test_codes_and_sums_are_the_source_s_bit_for_bit(
    source: nn.Module, rules: Product
) -> None:
    net = from_brevitas(source, rules, sample=batch())
    ours, theirs = watch(net, batch(5)), watch(source, batch(5))
    assert len(ours) == len(theirs) == 6
    for one, other in zip(ours, theirs, strict=True):
        assert type(one.layer).__name__ == f"Approx{type(other.layer).__name__}"
        assert torch.equal(one.codes, other.codes)
        assert torch.equal(one.weight, other.weight)
        value = getattr(one.output, "value", one.output)
        if one.layer.output_quant.is_quant_enabled:
            # The source requantises: its codes, and what they stand for.
            assert type(one.output) is type(other.output)
            for ours_, theirs_ in zip(one.output, other.output, strict=True):
                assert torch.equal(ours_, theirs_)
            assert torch.equal(one.output.int(), other.output.int())
        else:
            assert torch.equal(value, other.values)
        assert len(value.unique()) > 10


def test_sums_that_keep_their_codes_say_so_as_the_source_does() -> None:
    qnn, quant = library("nn"), library("quant")
    torch.manual_seed(0)
    layer = qnn.QuantLinear(
        4, 3, bias=True, input_quant=quant.Int8ActPerTensorFloat,
        bias_quant=quant.Int32Bias, return_quant_tensor=True,
    )  # fmt: skip
    model = nn.Sequential(layer)
    x = torch.randn(5, 2, 4)
    model(x)
    net = from_brevitas(model.eval(), SIGNED, sample=x)
    ours, theirs = net(x), model(x)
    assert torch.equal(ours.int(), theirs.int())
    for name in ("scale", "zero_point", "bit_width", "signed_t"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    torch.testing.assert_close(net(x[0, 0]).value, theirs.value[0, 0])


def test_it_learns_with_brevitas_s_own_scales(source: nn.Module) -> None:
    net = from_brevitas(source, MAGNITUDE, sample=batch()).train()
    exact = copy.deepcopy(source).train()
    for model in (net, exact):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(3):
            optimiser.zero_grad()
            F.mse_loss(model(batch()), torch.ones(2, 5, 10)).backward()
            optimiser.step()
    moved = exact.get_submodule("9").get_parameter("weight")
    assert not torch.equal(moved, source.get_submodule("9").get_parameter("weight"))
    for (name, one), other in zip(
        net.named_parameters(), exact.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, msg=name, rtol=1e-3, atol=1e-4)


def test_the_source_is_untouched_and_copies_compute_the_same(
    source: nn.Module,
) -> None:
    before = copy.deepcopy(source.state_dict())
    net = from_brevitas(source, SHIFT, sample=batch())
    assert type(source[1]).__name__ == "QuantConv2d"  # pyright: ignore[reportIndexIssue]
    assert all(torch.equal(before[k], v) for k, v in source.state_dict().items())
    assert torch.equal(copy.deepcopy(net)(batch()), net(batch()))


def test_its_state_goes_into_another_import_and_no_recipe_describes_it(
    source: nn.Module, tmp_path: Path
) -> None:
    changed = copy.deepcopy(source)
    with torch.no_grad():
        changed.get_submodule("9").get_parameter("weight").mul_(0.5)
    net = from_brevitas(changed, MAGNITUDE, sample=batch())
    other = from_brevitas(source, MAGNITUDE, sample=batch())
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(batch()), net(batch()))
    with pytest.raises(ModelError, match=r"was imported.*Save its state_dict\(\)"):
        ax.save_network(net, tmp_path / "net")


def test_what_stays_exact_is_listed() -> None:
    qnn, quant = library("nn"), library("quant")
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1),
        qnn.QuantConv2d(4, 4, 1),
        qnn.QuantConvTranspose2d(4, 4, 1, input_quant=quant.Int8ActPerTensorFloat),
        qnn.QuantConv2d(
            4, 4, 1, input_quant=quant.Int8ActPerTensorFloat, weight_bit_width=12
        ),
        qnn.QuantConv2d(4, 4, 1, input_quant=quant.Int8ActPerTensorFloat),
        qnn.QuantConv2d(4, 2, 1, input_quant=quant.Int8ActPerTensorFloat),
    ).eval()
    rules = [Rule("4", Exact()), Rule(".*", SIGNED)]
    summary = ax.summary(from_brevitas(model, rules, sample=batch()))
    lines = [(line.name, line.multiplier, line.products) for line in summary.lines]
    assert lines == [("0", "exact", 4 * 48 * 3), ("5", "signed", 2 * 48 * 4)]
    assert summary.unreached == (
        "1: its input has no integer codes",
        "2: a QuantConvTranspose2d has no counterpart in axsim",
        "3: its weight has codes of 12 bits; axsim's have 2 to 8",
        "4: quantised, but no rule gives it a multiplier",
    )


def test_a_coarse_table_shows(source: nn.Module) -> None:
    coarse = Product(random_multiplier(1, spread=3000), signs="sign-magnitude")
    rules = [Rule("9", coarse), Rule(".*", MAGNITUDE)]
    rough, exact = (
        watch(from_brevitas(source, r, sample=batch()), batch()) for r in (rules, SHIFT)
    )
    assert torch.equal(rough[-1].codes, exact[-1].codes)
    assert not torch.equal(rough[-1].output, exact[-1].output)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda _: from_brevitas(nn.Linear(8, 2), SIGNED, sample=batch()),
            "Linear has no layer of Brevitas with integer codes. Its layers need",
        ),
        (
            lambda _: from_brevitas(
                nn.Sequential(library("nn").QuantLinear(8, 2)), SIGNED, sample=batch()
            ),
            r"integer codes \('0': its input has no integer codes\)\. Its layers",
        ),
        (
            lambda model: from_brevitas(model, UNSIGNED, sample=batch()),
            "'1' has uint8 activations and int8 weights but plain is unsigned; choose",
        ),
        (
            lambda model: from_brevitas(
                model, LayerSpec(Quant(), SHIFT), sample=batch()
            ),
            "'1' has the answer default to quant, but an imported layer keeps its own",
        ),
    ],
)
def test_what_cannot_be_imported(source: nn.Module, make: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        make(source)


def test_without_the_package_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "brevitas.nn", None)
    with pytest.raises(BackendError, match=r"Install axsim\[import\]"):
        from_brevitas(nn.Linear(8, 2), SIGNED, sample=batch())
