"""Imported PT2E graphs: the integers of the source, computed from its own codes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

import axsim as ax
from axsim.errors import ConversionError
from axsim.nn.conv import ApproxConv1d, ApproxConv2d
from axsim.nn.importers.pt2e import from_pt2e
from axsim.nn.spec import Exact, LayerSpec, Product, Quant, Rule
from axsim.tables.multiplier import Multiplier
from tests.conftest import random_multiplier

# Torch's and torchao's own: they warn about what they themselves use.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
    pytest.mark.filterwarnings("ignore:The input of maxpool2d is not quantized"),
]

A, B = np.arange(256)[:, None], np.roll(np.arange(-128, 128), 128)
MIXED = Multiplier(A * B, signed=(False, True), name="mixed", source="exact products")
UNSIGNED = Multiplier.from_function(lambda a, b: a * b, signed=False, name="plain")
EXACT = [
    MIXED, Product(UNSIGNED, signs="shift"), Product(UNSIGNED, signs="sign-magnitude")
]  # fmt: skip


class Pair(nn.Module):
    """Two functional calls in one module."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(4, 2))
        self.second = nn.Parameter(torch.randn(10, 4))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.first).relu(), self.second)


class Everything(nn.Module):
    """What graphs hold: a fused norm, shared layers, sums, functional calls."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(8)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), self.norm, nn.ReLU()
        )
        self.grouped = nn.Conv2d(8, 8, 3, 1, 2, 2, groups=2, bias=False)
        self.even = nn.Conv2d(8, 4, (2, 4), padding="same")
        self.strided = nn.Conv2d(4, 4, 3, stride=2, padding=(1, 0))
        self.row = nn.Conv1d(12, 5, 2)
        self.pair = Pair()

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = (x + self.grouped(self.grouped(x).relu())).relu()
        x = self.strided(self.even(x))
        x = self.row(x.flatten(1, 2))
        return self.pair(x) @ torch.ones(10, 3)


def batch(seed: int = 1) -> Tensor:
    return torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(seed))


def torchao(module: str) -> Any:
    name = f"torchao.quantization.pt2e.{module}"
    return pytest.importorskip(name, reason="torchao is missing: axsim[import] has it")


def x86(reduce_range: bool) -> Any:
    """The quantiser of PyTorch's x86 backend."""
    library = torchao("quantizer.x86_inductor_quantizer")
    config = library.get_default_x86_inductor_quantization_config(
        reduce_range=reduce_range
    )
    return library.X86InductorQuantizer().set_global(config)


def thorough() -> Any:
    """A quantiser that leaves out no convolution and no linear operation."""
    library, config = torchao("quantizer"), x86(reduce_range=False).global_config

    class Thorough(library.Quantizer):
        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            for node in model.graph.nodes:
                if str(node.target).startswith(("aten.conv", "aten.linear")):
                    specs = (config.input_activation, config.weight)
                    node.meta["quantization_annotation"] = (
                        library.QuantizationAnnotation(
                            dict(zip(node.args, specs, strict=False)), _annotated=True
                        )
                    )
            return model

        def validate(self, model: fx.GraphModule) -> None:
            """Nothing is asked of a model."""

    return Thorough()


def quantise(model: nn.Module, x: Tensor, quantizer: Any) -> fx.GraphModule:
    exported = torch.export.export(
        model.eval(), (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},)
    )
    flow = torchao("quantize_pt2e")
    prepared = flow.prepare_pt2e(exported.module(), quantizer)
    prepared(x)
    prepared(3 * x)
    return flow.convert_pt2e(prepared)


@pytest.fixture(scope="module")
def source() -> fx.GraphModule:
    torch.manual_seed(0)
    model = Everything()
    nn.init.normal_(model.norm.weight)
    model.norm.running_mean = torch.randn(8)
    return quantise(model, batch(), thorough())


class Recorder(fx.Interpreter):
    """Runs a graph and keeps every value."""

    def __init__(self, model: fx.GraphModule) -> None:
        super().__init__(model)
        self.values: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.values[n.name] = super().run_node(n)
        return self.values[n.name]


class Truth:
    """A layer of the source: its codes, and the integer sums of its products."""

    def __init__(self, node: fx.Node, values: dict[str, Any]) -> None:
        x, w, *rest = node.args
        assert isinstance(x, fx.Node) and isinstance(w, fx.Node)
        self.codes, (s_a, z_a) = self._given(x, values)
        weight, (s_w, z_w) = self._given(w, values)
        axes = [1] * (weight.dim() - 1)
        z_w = torch.as_tensor(z_w).view(-1, *axes)
        a, b = (self.codes.long() - z_a).double(), (weight.long() - z_w).double()
        operation: Any = node.target
        # Below 2^53, sums of whole numbers are exact in float64.
        self.sums = operation(a, b, None, *rest[1:]).long()
        spread = [1] * (self.sums.dim() - 2) if "conv" in str(operation) else []
        scale = torch.tensor(s_a) * torch.as_tensor(s_w)
        self.outputs = self.sums.float() * scale.view(-1, *spread)
        if rest and isinstance(rest[0], fx.Node):
            self.outputs = self.outputs + values[rest[0].name].view(-1, *spread)

    def _given(self, node: fx.Node, values: dict[str, Any]) -> tuple[Tensor, Any]:
        given: list[Any] = [
            values[a.name] if isinstance(a, fx.Node) else a for a in node.args
        ]
        return given[0], given[1:3]


def truths(source: fx.GraphModule, x: Tensor) -> list[Truth]:
    recorder = Recorder(source)
    with torch.no_grad():
        recorder.run(x)
    products = ("aten.conv", "aten.linear")
    nodes = [n for n in source.graph.nodes if str(n.target).startswith(products)]
    return [Truth(node, recorder.values) for node in nodes]


def run(net: fx.GraphModule, x: Tensor) -> list[tuple[Any, Tensor, Tensor]]:
    """Every approximate layer, in order, with its input and output."""
    seen: list[tuple[Any, Tensor, Tensor]] = []

    def note(layer: Any, given: Any, y: Any) -> None:
        seen.append((layer, given[0], y))

    handles = [
        layer.register_forward_hook(note)
        for layer in net.modules()
        if type(layer).__name__.startswith("Approx")
    ]
    with torch.no_grad():
        net(x)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("rules", EXACT, ids=["mixed", "shift", "sign-magnitude"])
def test_codes_and_sums_are_the_source_s_bit_for_bit(
    source: fx.GraphModule, rules: Any
) -> None:
    x = batch(2)
    layers, expected = run(from_pt2e(source, rules), x), truths(source, x)
    assert len(layers) == len(expected) == 8
    for (layer, given, y), truth in zip(layers, expected, strict=True):
        # Whatever float rounding lies between the layers, every code is the same.
        codes = layer.site.input_quantizer.codes(given).integers()
        assert torch.equal(codes, truth.codes)
        assert torch.equal(y, truth.outputs)
        assert len(y.unique()) > 10


def test_weights_keep_their_codes_and_the_output_is_the_source_s(
    source: fx.GraphModule,
) -> None:
    net = from_pt2e(source, MIXED)
    frozen = [t for name, t in source.named_buffers() if name.startswith("_frozen")]
    for (layer, *_), codes in zip(run(net, batch()), frozen[:2], strict=False):
        kept = layer.site.weight_quantizer.codes(layer.weight).integers()
        assert torch.equal(kept, codes)
    torch.testing.assert_close(net(batch()), source(batch()))
    copied = copy.deepcopy(net.train()).eval()
    assert torch.equal(copied(batch()), net.eval()(batch()))
    assert str(ax.summary(copied)) == str(ax.summary(net))


def test_names_are_the_model_s_and_what_stays_exact_is_listed(
    source: fx.GraphModule,
) -> None:
    before = copy.copy(source.state_dict())
    rules = [Rule("strided", Exact()), Rule(".*", MIXED)]
    net = from_pt2e(source, rules, sample=batch())
    summary = ax.summary(net)
    assert {line.name: line.products for line in summary.lines} == {
        "features.0": 8 * 48 * 27,
        "grouped": 8 * 48 * 36,
        "grouped_2": 8 * 48 * 36,
        "even": 4 * 48 * 64,
        "row": 5 * 2 * 24,
        "pair": 5 * 4 * 2,
        "pair_2": 5 * 10 * 4,
    }
    assert summary.unreached == (
        "matmul: aten.matmul.default has no counterpart among axsim's layers",
        "strided: quantised, but no rule gives it a multiplier",
    )
    assert isinstance(net.get_submodule("features.0"), ApproxConv2d)
    assert all(torch.equal(before[k], v) for k, v in source.state_dict().items())


def test_a_coarse_table_shows(source: fx.GraphModule) -> None:
    coarse = Product(random_multiplier(1, spread=3000), signs="sign-magnitude")
    exact = run(from_pt2e(source, MIXED), batch())
    rough = run(from_pt2e(source, [Rule("pair_2", coarse), Rule(".*", MIXED)]), batch())
    same = [
        torch.equal(one[2], other[2]) for one, other in zip(exact, rough, strict=True)
    ]
    assert same == [True] * 7 + [False]


def test_reduced_ranges_fit_a_signed_table() -> None:
    signed = Multiplier.from_function(lambda a, b: a * b, signed=True, name="signed")
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(24, 3)
    )
    graph = quantise(model, batch(), x86(reduce_range=True))
    layers, expected = run(from_pt2e(graph, signed), batch(2)), truths(graph, batch(2))
    assert len(layers) == len(expected) == 2
    for (layer, given, y), truth in zip(layers, expected, strict=True):
        codes = layer.site.input_quantizer.codes(given).integers()
        assert torch.equal(codes, truth.codes) and codes.max() < 128
        assert torch.equal(y, truth.outputs)


def test_its_state_goes_into_another_import(source: fx.GraphModule) -> None:
    net, other = (from_pt2e(source, MIXED) for _ in range(2))
    layer = other.get_submodule("row")
    assert isinstance(layer, ApproxConv1d) and layer.site is not None
    layer.site.input_quantizer.fix(torch.tensor(9.0), torch.tensor(3))
    assert not torch.equal(other(batch()), net(batch()))
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(batch()), net(batch()))


def test_what_is_ranged_by_every_batch_stays_exact() -> None:
    library = torchao("quantizer.x86_inductor_quantizer")
    config = library.get_default_x86_inductor_quantization_config(is_dynamic=True)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    graph = quantise(model, batch(), library.X86InductorQuantizer().set_global(config))
    message = "'1': the range of its input is taken from every batch"
    with pytest.raises(ConversionError, match=message):
        from_pt2e(graph, MIXED)


def test_layers_learn_with_their_imported_ranges(source: fx.GraphModule) -> None:
    net = from_pt2e(source, MIXED).train()
    loss = F.mse_loss(net(batch()), torch.zeros(2, 5, 3))
    loss.backward()
    head = net.get_submodule("pair_2").get_parameter("weight")
    assert head.grad is not None and bool(head.grad.any())


def traced(model: nn.Module) -> fx.GraphModule:
    return torch.export.export(model.eval(), (batch(),)).module()  # pyright: ignore


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda _: from_pt2e(Everything(), MIXED),  # pyright: ignore
            r"model is a Everything; give the graph that torchao's convert_pt2e",
        ),
        (
            lambda _: from_pt2e(traced(nn.Conv2d(3, 2, 1)), MIXED),
            r"no quantised layer \('conv2d': its input has no codes\)\. Quantise it",
        ),
        (
            lambda graph: from_pt2e(graph, LayerSpec(Quant(), MIXED)),
            "'features.0' has the answer default to quant, but an imported layer keeps",
        ),
        (
            lambda graph: from_pt2e(graph, UNSIGNED),
            'int8 weights but plain is unsigned; choose signs="sign-magnitude"',
        ),
        (
            lambda graph: from_pt2e(graph, [Rule("feature.0", MIXED)]),
            "matched no layer. Close names: 'features.0'",
        ),
    ],
)
def test_what_cannot_be_imported(
    source: fx.GraphModule, make: Any, message: str
) -> None:
    with pytest.raises(ConversionError, match=message):
        make(source)
