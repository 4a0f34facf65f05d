"""Converted networks under what users do to networks."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.nn.compiled import FORMS, form_of
from axsim.nn.forms import ConvolutionForm, Form, LinearForm
from axsim.nn.matmul import BatchedForm
from axsim.nn.site import SITES, settings_of
from axsim.nn.transposed import TransposedForm
from axsim.quant.mse import MSE
from axsim.quant.observers import MovingAverage
from axsim.quant.percentile import Percentile

UNSIGNED = ax.load_multiplier("mul8u_trunc_6")
SIGNED = ax.load_multiplier("mul8s_exact")
NAN, INF = float("nan"), float("inf")


class Kinds(nn.Module):
    """Every kind of layer with a weight, and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 4, 2, stride=2)
        self.conv = nn.Conv2d(4, 4, 3, padding="same", groups=2)
        self.norm = nn.BatchNorm2d(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(self.conv(self.up(x))).relu().flatten(2).mT
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.head(mixed.mean(1))


def images(count: int = 4, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, 3, 3, generator=generator)


def converted(mul: ax.Multiplier = UNSIGNED, **quant: Any) -> nn.Module:
    torch.manual_seed(0)
    spec = ax.LayerSpec(ax.Quant(**quant), mul)
    return ax.approximate(Kinds().eval(), spec, calibration=[images(8)])


@pytest.mark.parametrize("mul", [UNSIGNED, SIGNED], ids=lambda mul: mul.name)
def test_inference_compiles_to_one_graph(mul: ax.Multiplier) -> None:
    net = converted(mul)
    compiled: Any = torch.compile(net, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(compiled(images()), net(images()))
        # Another batch size, and weights that changed: nothing is baked in.
        assert torch.equal(compiled(images(7)), net(images(7)))
        net.get_parameter("head.weight").mul_(-1)
        assert torch.equal(compiled(images()), net(images()))
        broken = images()
        broken[1, 0, 0, 0] = NAN
        assert compiled(broken).isnan().any(1).tolist() == [False, True, False, False]


# Dynamo tells how it takes an autograd Function apart; only results are tested.
@pytest.mark.filterwarnings("ignore")
def test_training_compiles_in_pieces() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    net = ax.approximate(model, SIGNED, calibration=[torch.randn(5, 3)])
    twin = copy.deepcopy(net)
    compiled: Any = torch.compile(net, backend="aot_eager")
    x = torch.randn(5, 3)
    compiled(x).square().sum().backward()
    twin(x).square().sum().backward()
    for one, other in zip(net.parameters(), twin.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        assert torch.equal(one.grad, other.grad)


FORM_CASES: list[Form] = [
    LinearForm(),
    BatchedForm(),
    ConvolutionForm((2,), (1,), (1,), 1),
    ConvolutionForm((1, 2), (0, 3), (2, 1), 4),
    ConvolutionForm((1, 1, 2), (0, 3, 1), (2, 1, 1), 1),
    TransposedForm((2, 2), (1, 0), (1, 0), (1, 3), 2, 6),
]


@pytest.mark.parametrize("form", FORM_CASES)
def test_forms_travel_as_numbers(form: Form) -> None:
    assert form_of(*settings_of(form)) == form


def test_every_form_can_travel() -> None:
    assert {type(form).__name__ for form in FORM_CASES} == set(FORMS)


def test_compiled_graphs_keep_no_network_alive() -> None:
    net = converted()
    numbers = {m.handle for m in net.modules() if type(m).__name__ == "Site"}
    other = pickle.loads(pickle.dumps(copy.deepcopy(net)))
    theirs = {m.handle for m in other.modules() if type(m).__name__ == "Site"}
    assert len(theirs) == len(numbers) and not theirs & numbers
    assert torch.equal(other(images()), net(images()))
    del net
    gc.collect()
    assert not numbers & set(SITES)


def test_autocast_gives_the_types_of_torch_s_layers() -> None:
    net, x = converted(), images()
    plain = net(x)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = net(x)
        loss = mixed.float().square().sum()
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), plain, rtol=0.05, atol=0.05)
    loss.backward()
    weight = net.get_parameter("conv.weight")
    assert weight.grad is not None and weight.grad.dtype == torch.float32
    assert weight.grad.isfinite().all() and weight.grad.any()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_numbers(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    net = ax.approximate(Kinds().eval(), UNSIGNED, calibration=[images(8)]).to(kind)
    scale = net.get_buffer("conv.site.input_quantizer.scale")
    assert scale.dtype == torch.float32
    y = net(images().to(kind))
    assert y.dtype == kind
    torch.testing.assert_close(y.float(), converted()(images()), rtol=0.1, atol=0.1)


def test_the_memory_format_makes_no_difference() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3, stride=2))
    x = torch.randn(2, 3, 9, 9)
    net = ax.approximate(model, UNSIGNED, calibration=[x])
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    moved = x.to(memory_format=torch.channels_last)
    for one in (net, last):
        assert torch.equal(one(moved), net(x))


def test_hooks_see_what_the_approximate_layer_computes() -> None:
    net = converted()
    seen: dict[str, Any] = {}
    conv = net.get_submodule("conv")
    conv.register_forward_hook(lambda _, given, y: seen.update(x=given[0], y=y))
    conv.register_full_backward_hook(lambda _, inner, outer: seen.update(g=outer[0]))
    net(images()).sum().backward()
    assert torch.equal(conv(seen["x"]), seen["y"])
    assert seen["g"].shape == seen["y"].shape


@pytest.mark.parametrize(
    "observer", [MSE(8, 128), Percentile(99.0, 256), MovingAverage(0.5)], ids=str
)
def test_state_dicts_bring_ranges_of_every_observer(observer: Any) -> None:
    net = converted(observer=observer, weight_observer=observer)
    other = ax.approximate(
        Kinds().eval(),
        ax.LayerSpec(ax.Quant(observer=observer, weight_observer=observer), UNSIGNED),
    )
    result = other.load_state_dict(net.state_dict())
    assert not result.missing_keys and not result.unexpected_keys
    assert torch.equal(other(images()), net(images()))


def poisoned(value: float) -> Tensor:
    """Four images, the second with one value that is no number."""
    x = images()
    x[1, 0, 2, 2] = value
    return x


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("mul", [UNSIGNED, SIGNED], ids=lambda mul: mul.name)
def test_nan_stays_nan_in_its_own_sample(mul: ax.Multiplier, gradients: bool) -> None:
    net = converted(mul)
    with torch.set_grad_enabled(gradients):
        y, clean = net(poisoned(NAN)), net(images())
    assert y.isnan().any(1).tolist() == [False, True, False, False]
    assert torch.equal(y[[0, 2, 3]], clean[[0, 2, 3]])


LAYERS: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (lambda: nn.Linear(3, 2), (4, 3)),
    (lambda: nn.Linear(3, 2), (4, 5, 3)),
    (lambda: nn.Conv1d(2, 3, 2), (4, 2, 5)),
    (lambda: nn.Conv2d(2, 3, 2), (1, 2, 5, 5)),
    (lambda: nn.ConvTranspose2d(2, 3, 2), (4, 2, 5, 5)),
]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(("build", "shape"), LAYERS)
def test_no_layer_takes_nan_for_a_number(
    build: Callable[[], nn.Module], shape: tuple[int, ...], dynamic: bool
) -> None:
    x = torch.randn(shape)
    spec = ax.LayerSpec(ax.Quant(dynamic=dynamic), UNSIGNED)
    net = ax.approximate(nn.Sequential(build()), spec, calibration=[x])
    x.view(-1)[0] = NAN
    with torch.no_grad():
        assert net(x)[:1].isnan().any()


def test_nan_in_either_operand_of_a_product() -> None:
    product = ax.nn.ApproxMatmul(spec=ax.LayerSpec(ax.Quant(dynamic=True), SIGNED))
    for first, second in ((NAN, 1.0), (1.0, NAN)):
        a, b = torch.full((2, 3, 4), first), torch.full((2, 4, 5), second)
        assert product(a, b).isnan().all()
    single = torch.tensor([1.0, NAN])
    given: Any = {"spec": SIGNED, "input_range": (0, 1)}
    assert ax.nn.approx_linear(single, torch.ones(3, 2), **given).isnan().all()
    weight = torch.tensor([[1.0, NAN], [1.0, 2.0]])
    y = ax.nn.approx_linear(torch.ones(3, 2), weight, **given)
    assert y.isnan().tolist() == [[True, False]] * 3


def test_infinities_are_clipped_like_other_large_values() -> None:
    net = converted()
    assert torch.equal(net(poisoned(INF)), net(poisoned(1e30)))
    both = poisoned(INF)
    both[1, 0, 0, 0] = -INF
    assert net(both).isfinite().all()


@pytest.mark.parametrize("value", [NAN, INF])
def test_calibration_names_the_layer_that_met_no_number(value: float) -> None:
    with pytest.raises(ax.CalibrationError, match=r"'up\.input' met .* in calibration"):
        ax.approximate(Kinds(), UNSIGNED, calibration=[images(), poisoned(value)])


@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.complex64])
def test_a_layer_encodes_floating_point_values_only(kind: torch.dtype) -> None:
    net = ax.approximate(nn.Sequential(nn.Linear(3, 2)), UNSIGNED,
                         calibration=[torch.rand(4, 3)])  # fmt: skip
    message = rf"'0' got {kind}; it encodes real numbers .* x\.float\(\)"
    with pytest.raises(ax.OperandError, match=message):
        net(torch.ones(4, 3, dtype=kind))
