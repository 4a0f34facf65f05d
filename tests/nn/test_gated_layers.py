"""Gated layers: open is the whole layer, closed its base, and gradients in between."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from axsim.errors import ConversionError
from axsim.gating.bits import Bits, composite
from axsim.gating.channels import Channels
from axsim.gating.gate import Gate
from axsim.gating.oracles import Closed, Open, Random
from axsim.gating.split import Part
from axsim.gating.threshold import Threshold
from axsim.nn.conv import ApproxConv1d, ApproxConv2d, ApproxConv3d
from axsim.nn.gated import GatedSite
from axsim.nn.gated_reals import base_mask
from axsim.nn.layer import WeightedLayer
from axsim.nn.linear import ApproxLinear
from axsim.nn.matmul import ApproxMatmul
from axsim.nn.spec import LayerSpec, Product, Quant
from axsim.nn.transposed import ApproxConvTranspose2d
from axsim.quant.scheme import PerAxis, Scheme
from axsim.tables.multiplier import Multiplier
from tests.conftest import random_multiplier

FIVE = Scheme(5, symmetric=True)
SIGNED = Scheme(6, signed=True, symmetric=True)
WEIGHTS = Scheme(8, signed=True, symmetric=True, granularity=PerAxis(0))
Shape = tuple[int, ...]
TALL = {"padding": (2, 0), "dilation": 2}
GROUPED = {"groups": 2, "stride": 2, "padding": 1}
REFLECTED = {"padding": 1, "padding_mode": "reflect"}
# Layers that bits can be split in; the last column says whether channels can, too.
LAYERS: list[tuple[Any, tuple[Any, ...], dict[str, Any], Shape, bool]] = [
    (ApproxLinear, (8, 6), {}, (3, 8), True),
    (ApproxLinear, (8, 6), {"bias": False}, (2, 5, 8), True),
    (ApproxConv1d, (4, 6, 3), {"padding": 1, "stride": 2}, (2, 4, 9), True),
    (ApproxConv2d, (8, 20, 3), {"padding": 1}, (2, 8, 6, 6), True),
    (ApproxConv2d, (4, 6, (3, 1)), TALL, (1, 4, 7, 6), True),
    (ApproxConv2d, (4, 8, 3), GROUPED, (2, 4, 8, 8), False),
    (ApproxConv2d, (4, 6, 3), REFLECTED, (4, 7, 7), True),
    (ApproxConv3d, (4, 4, (1, 2, 3)), {"padding": (0, 1, 1)}, (1, 4, 3, 5, 5), True),
]  # fmt: skip
each_layer = pytest.mark.parametrize(
    ("kind", "sizes", "settings", "shape", "channels"), LAYERS
)


def build(
    kind: Any, sizes: tuple[Any, ...], settings: dict[str, Any], spec: LayerSpec
) -> Any:
    """A layer whose weights, and so their scales, are exact in a few bits."""
    torch.manual_seed(0)
    layer = kind(*sizes, **settings, spec=spec)
    with torch.no_grad():
        codes = torch.randint(-127, 128, layer.weight.shape)
        codes.flatten(1)[:, 0] = 127
        layer.weight.copy_(codes / 128)
    if layer.site is not None and not layer.site.input_quantizer.dynamic:
        layer.site.input_quantizer.fix(torch.tensor(1 / 16), torch.tensor(0))
    return layer


def image(shape: Shape, signed: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(shape, generator=generator) * 2.2
    return x - 1.1 if signed else x


def codes(activation: Scheme) -> Quant:
    return Quant(activation, WEIGHTS)


def tables(activation: Scheme, msb: int) -> tuple[Multiplier, Multiplier]:
    """Noisy tables for both digits: asymmetric, and not zero at zero."""
    low = activation.bits - msb + activation.signed
    signed = (activation.signed, True)
    return (random_multiplier(1, (msb, 8), signed, 20),
            random_multiplier(2, (low, 8), signed, 9))  # fmt: skip


@pytest.mark.parametrize("activation", [FIVE, SIGNED], ids=["unsigned", "signed"])
@pytest.mark.parametrize("pad", ["code", "skip"])
@each_layer
def test_an_open_bit_gate_is_the_layer_on_the_composite_table(
    kind: Any, sizes: Any, settings: Any, shape: Shape, channels: bool,
    activation: Scheme, pad: Any,
) -> None:  # fmt: skip
    base, rest = tables(activation, 3)
    gate = Gate(Bits(3), Open(), rest)
    spec = LayerSpec(codes(activation), Product(base, pad=pad), gate)
    whole = Product(composite(base, rest, activation, 3), pad=pad)
    gated = build(kind, sizes, settings, spec)
    ungated = build(kind, sizes, settings, LayerSpec(codes(activation), whole))
    x = image(shape, activation.signed)
    assert torch.equal(gated(x), ungated(x))


@pytest.mark.parametrize("activation", [FIVE, SIGNED], ids=["unsigned", "signed"])
@each_layer
def test_a_closed_bit_gate_is_the_layer_on_the_high_digits(
    kind: Any, sizes: Any, settings: Any, shape: Shape, channels: bool,
    activation: Scheme,
) -> None:  # fmt: skip
    base, rest = tables(activation, 3)
    nothing = Multiplier(0 * rest.table, rest.signed)
    closed = Gate(Bits(3), Closed(), rest)
    quant = codes(activation)
    gated = build(kind, sizes, settings, LayerSpec(quant, base, closed))
    only = composite(base, nothing, activation, 3)
    ungated = build(kind, sizes, settings, LayerSpec(quant, only))
    x = image(shape, activation.signed)
    assert torch.equal(gated(x), ungated(x))


@pytest.mark.parametrize(
    "split", [Channels(2), Channels(2, grouped=True, shuffle=True)]
)
@pytest.mark.parametrize("affine", [False, True])
@each_layer
def test_channel_gates_on_a_table_add_up_to_the_layer(
    kind: Any, sizes: Any, settings: Any, shape: Shape, channels: bool,
    split: Channels, affine: bool,
) -> None:  # fmt: skip
    if not channels:
        pytest.skip("grouped convolutions have no channel gate")
    mul = random_multiplier(3) if affine else random_multiplier(3, signed=(True, True))
    quant = Quant(dynamic=True)
    gated = build(kind, sizes, settings, LayerSpec(quant, mul, Gate(split, Open())))
    whole = build(kind, sizes, settings, LayerSpec(quant, mul))
    x = image(shape, signed=True)
    assert torch.equal(gated(x), whole(x))


@pytest.mark.parametrize(
    "split", [Channels(2), Channels(2, grouped=True, shuffle=True)]
)
@each_layer
def test_real_channel_gates_are_torchs_layer_where_open_and_masked_where_closed(
    kind: Any, sizes: Any, settings: Any, shape: Shape, channels: bool, split: Channels
) -> None:
    if not channels:
        pytest.skip("grouped convolutions have no channel gate")
    x = image(shape, signed=True)
    opened = build(kind, sizes, settings, LayerSpec(gate=Gate(split, Open())))
    assert torch.equal(opened(x), opened.exactly(x))
    closed = build(kind, sizes, settings, LayerSpec(gate=Gate(split, Closed())))
    parts = split.base(closed.gate.shape)
    masked = build(kind, sizes, settings, LayerSpec(gate=Gate(split, Closed())))
    with torch.no_grad():
        masked.weight.mul_(base_mask(parts, masked.weight))
    torch.testing.assert_close(closed(x), masked.exactly(x), rtol=1e-6, atol=1e-6)


@each_layer
def test_a_closed_channel_gate_is_the_masked_layer_bit_for_bit(
    kind: Any, sizes: Any, settings: Any, shape: Shape, channels: bool
) -> None:
    if not channels:
        pytest.skip("grouped convolutions have no channel gate")
    gate = Gate(Channels(2, grouped=True), Threshold(start=1e6))
    settings = {**settings, "bias": False}
    layer = build(kind, sizes, settings, LayerSpec(gate=gate))
    x = image(shape, signed=True).requires_grad_()
    y = layer(x)
    kept = base_mask(gate.split.base(layer.gate.shape), layer.weight)
    expected = operation(layer, x, layer.weight * kept).view_as(y)
    assert torch.equal(y, expected)
    assert layer.gate.meter.read().open == 0
    found = torch.autograd.grad(y.sum(), (x, layer.gate.threshold))
    (over_x,) = torch.autograd.grad(expected.sum(), x)
    assert torch.equal(found[0], over_x)
    assert bool(over_x.abs().sum() > 0)
    assert bool(found[1].isfinite().all())


class SurrogateGate(torch.autograd.Function):
    """1 where z > 0; the derivative alpha s (1 - s), where s >= 1/2 if sparse."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, alpha: float, sparse: bool) -> Tensor:
        ctx.save_for_backward(z)
        ctx.alpha, ctx.sparse = alpha, sparse
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (z,) = ctx.saved_tensors
        s = torch.sigmoid(ctx.alpha * z)
        slope = ctx.alpha * s * (1 - s)
        return gradients[0] * (slope * (s >= 0.5) if ctx.sparse else slope), None, None


def operation(layer: WeightedLayer, x: Tensor, w: Tensor) -> Tensor:
    """Torch's own operation on these operands, without bias."""
    x, form = layer.placed(x)
    return form.reals(x, w)  # pyright: ignore[reportAttributeAccessIssue]


def channel_axis(layer: WeightedLayer, y: Tensor) -> int:
    return y.dim() - 1 if isinstance(layer, nn.Linear) else 1


def broadcast(values: Tensor, y: Tensor, axis: int) -> Tensor:
    return values.view([-1 if d == axis else 1 for d in range(y.dim())])


def judged(layer: Any, base: Tensor, gate: Threshold, threshold: Tensor) -> Tensor:
    axis = channel_axis(layer, base)
    score = base
    if gate.normalise:
        others = [d for d in range(base.dim()) if d != axis]
        score = base - base.mean(others, keepdim=True)
        variance = score.square().mean(others, keepdim=True)
        score = score / (variance + 1e-5).sqrt()
    z = score - broadcast(threshold, base, axis)
    return SurrogateGate.apply(z, gate.alpha, gate.sparse)


def through(x: Tensor, values: Tensor, inside: Tensor | None) -> Tensor:
    """The values, with the gradient of x where the codes did not clip."""
    passed = x if inside is None else torch.where(inside, x, x.detach())
    return passed + (values.to(x.dtype) - passed).detach()


def reference(layer: Any, x: Tensor, weight: Tensor, threshold: Tensor) -> Tensor:
    """The gated layer written as plain autograd on the values of its codes."""
    site: GatedSite = layer.site
    gate = layer.gate.gate
    _, a, w = site.operands(x, weight)
    ws = through(weight, w.values(), w.inside)
    xs = through(x, a.values(), a.inside)
    if isinstance(gate.split, Bits):
        piece = site.sums.base[0]
        high = through(x, piece.input(a, 1).values(), a.inside)
        parts = (operation(layer, high, ws), operation(layer, xs - high, ws))
    else:
        kept = base_mask(gate.split.base(layer.gate.shape), weight)
        parts = (operation(layer, xs, ws * kept), operation(layer, xs, ws * (1 - kept)))
    return parts[0] + judged(layer, parts[0], gate.decide, threshold) * parts[1]


GATES = [
    Gate(Bits(3), Threshold(start=0.3)),
    Gate(Bits(2), Threshold(start=-0.2, sparse=True)),
    Gate(Bits(3), Threshold(normalise=True, alpha=2.0)),
    Gate(Channels(2), Threshold(start=0.1, sparse=True)),
    Gate(Channels(2, grouped=True), Threshold(normalise=True, alpha=2.0, sparse=True)),
]


@pytest.mark.parametrize(
    ("gate", "activation"),
    [*((gate, FIVE) for gate in GATES), (GATES[0], SIGNED)],
    ids=str,
)
@each_layer
def test_gradients_are_those_of_autograd_in_float64(
    kind: Any, sizes: Any, settings: Any, shape: Shape, channels: bool, gate: Gate,
    activation: Scheme,
) -> None:  # fmt: skip
    if isinstance(gate.split, Channels) and not channels:
        pytest.skip("grouped convolutions have no channel gate")
    settings = {**settings, "bias": False}
    spec = LayerSpec(codes(activation), gate=gate)
    layer = build(kind, sizes, settings, spec).double()
    x = image(shape, activation.signed).double().requires_grad_()
    direction = torch.randn(layer(x).shape, dtype=torch.float64)
    leaves = x, layer.weight, layer.gate.threshold
    expected_y = reference(layer, *leaves).view_as(direction)
    expected = torch.autograd.grad((expected_y * direction).sum(), leaves)
    y = layer(x)
    torch.testing.assert_close(y, expected_y, rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad((y * direction).sum(), leaves)
    assert 0 < layer.gate.meter.read().sparsity < 1
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gate", GATES[3:], ids=str)
@each_layer
def test_real_gates_have_the_gradients_of_autograd(
    kind: Any, sizes: Any, settings: Any, shape: Shape, channels: bool, gate: Gate
) -> None:
    if not channels:
        pytest.skip("grouped convolutions have no channel gate")
    layer = build(kind, sizes, settings, LayerSpec(gate=gate)).double()
    x = image(shape, signed=True).double().requires_grad_()
    leaves = x, layer.weight, layer.gate.threshold
    kept = base_mask(gate.split.base(layer.gate.shape), layer.weight)
    base = operation(layer, x, layer.weight * kept)
    whole = operation(layer, x, layer.weight)
    d = judged(layer, base, gate.decide, layer.gate.threshold)  # pyright: ignore[reportArgumentType]
    expected_y = whole * d + base * (1 - d)
    if layer.bias is not None:
        expected_y = expected_y + broadcast(layer.bias, base, channel_axis(layer, base))
    y = layer(x)
    expected_y = expected_y.view_as(y)
    torch.testing.assert_close(y, expected_y, rtol=1e-12, atol=1e-12)
    direction = torch.randn_like(y)
    expected = torch.autograd.grad((expected_y * direction).sum(), leaves)
    found = torch.autograd.grad((y * direction).sum(), leaves)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


def test_a_closed_gate_lets_gradients_pass() -> None:
    gate = Gate(Bits(3), Threshold(start=1e6))
    layer = build(ApproxConv2d, (4, 6, 3), {}, LayerSpec(codes(FIVE), gate=gate))
    x = image((2, 4, 6, 6)).requires_grad_()
    layer(x).sum().backward()
    assert layer.gate.meter.read().open == 0
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert bool(layer.gate.threshold.grad.isfinite().all())


@pytest.mark.parametrize("split", [Bits(3), Channels(2), Channels(4, True)], ids=str)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3])
def test_skipped_tiles_change_no_bit(split: Any, share: float) -> None:
    # Few open outputs are computed alone; one that is always open computes all.
    spec = LayerSpec(codes(FIVE), gate=Gate(split, Random(share)))
    layer = build(ApproxConv2d, (8, 20, 3), {"padding": 1}, spec)
    always = LayerSpec(codes(FIVE), gate=Gate(split, Open()))
    never = LayerSpec(codes(FIVE), gate=Gate(split, Closed()))
    x = image((3, 8, 9, 9))
    whole, base = (
        build(ApproxConv2d, (8, 20, 3), {"padding": 1}, s)(x) for s in (always, never)
    )
    layer.gate.meter.kept = masks = []
    y = layer(x)
    mask = masks[0].movedim(-1, 1)
    assert torch.equal(y, torch.where(mask, whole, base))


def test_higher_thresholds_open_less() -> None:
    x = image((4, 8, 6, 6))
    counts: list[list[int]] = []
    # All channels are raised, and at last the fourth alone.
    for start in (-1.0, 0.0, 0.5, (0.5,) * 3 + (2.0,) + (0.5,) * 16):
        gate = Gate(Bits(3), Threshold(start=start))
        spec = LayerSpec(codes(FIVE), gate=gate)
        layer = build(ApproxConv2d, (8, 20, 3), {"padding": 1}, spec)
        layer.gate.meter.kept = masks = []
        layer(x)
        counts.append(masks[0].flatten(0, -2).sum(0).tolist())
    for lower, higher in itertools.pairwise(counts):
        assert all(a >= b for a, b in zip(lower, higher, strict=True))
    assert sum(counts[0]) > sum(counts[1]) > sum(counts[2])
    changed = [a != b for a, b in zip(counts[2], counts[3], strict=True)]
    assert changed == [channel == 3 for channel in range(20)]


def test_only_codes_and_masks_wait_for_the_backward_pass() -> None:
    gate = Gate(Bits(2), Threshold(sparse=True))
    three = Scheme(3, symmetric=True)
    layer = build(ApproxConv2d, (8, 20, 3), {"padding": 1, "bias": False},
                  LayerSpec(Quant(three, WEIGHTS), gate=gate))  # fmt: skip
    sizes: dict[int, int] = {}

    def note(t: Tensor) -> Tensor:
        sizes[t.data_ptr()] = t.numel() * t.element_size()
        return t

    x = image((4, 8, 16, 16)).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        y = layer(x)
    weights = layer.weight.numel()
    # 3 bits and a clipping mask for each input, a bit for each output.
    packed = x.numel() * (3 + 1) // 8 + y.numel() // 8
    assert sum(sizes.values()) <= packed + 2 * weights + 1000
    y.sum().backward()


def test_the_bias_is_added_once_and_not_judged() -> None:
    gate = Gate(Bits(3), Threshold())
    spec = LayerSpec(codes(FIVE), gate=gate)
    layer = build(ApproxConv2d, (4, 6, 3), {}, spec)
    x = image((2, 4, 6, 6))
    with torch.no_grad():
        layer.bias.fill_(0)
        plain, before = layer(x), layer.gate.meter.read().open
        layer.gate.meter.reset()
        layer.bias.fill_(3)
        assert torch.allclose(layer(x), plain + 3, atol=1e-5)
    assert layer.gate.meter.read().open == before


def test_running_statistics_judge_in_evaluation() -> None:
    gate = Gate(Channels(2), Threshold(normalise=True))
    layer = build(ApproxConv2d, (4, 6, 3), {}, LayerSpec(gate=gate))
    twin = nn.BatchNorm2d(6, affine=False)
    base = base_mask((Part((0, 6), (0, 1)),), layer.weight) * layer.weight
    for seed in range(3):
        x = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) + 1
        layer(x)
        twin(F.conv2d(x, base))
    torch.testing.assert_close(layer.gate.running_mean, twin.running_mean)
    torch.testing.assert_close(layer.gate.running_var, twin.running_var)
    layer.eval()
    x = torch.randn(6, 4, 8, 8)
    whole = layer(x)
    alone = torch.cat([layer(each[None]) for each in x])
    torch.testing.assert_close(alone, whole, rtol=1e-5, atol=1e-5)
    assert layer.gate.running_mean is not None
    torch.testing.assert_close(layer.gate.running_mean, twin.running_mean)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ApproxConv2d(8, 8, 3, spec=LayerSpec(gate=Gate(Bits(2))), name="c1"),
         "'c1' has a gate that splits bits but no codes"),
        (lambda: ApproxConv2d(6, 8, 3, spec=LayerSpec(gate=Gate(Channels(4)))),
         "6 input channels, which 4 parts do not divide"),
        (lambda: ApproxLinear(8, 8, spec=LayerSpec(codes(FIVE), gate=Gate(Bits(5)))),
         "codes of 5 bits and msb=5"),
        (lambda: ApproxConvTranspose2d(8, 8, 3, spec=LayerSpec(gate=Gate(Channels(2)))),
         "is a ApproxConvTranspose2d, which no gate can split"),
        (lambda: ApproxMatmul(spec=LayerSpec(Quant(dynamic=True), None,
                                             Gate(Bits(4))), name="qk"),
         "'?qk'? is a ApproxMatmul, which no gate can split"),
        (lambda: ApproxLinear(8, 4, spec=LayerSpec(codes(FIVE),
                              gate=Gate(Bits(3), Threshold(start=(0.0, 1.0))))),
         "4 outputs, but start= holds 2 thresholds"),
        (lambda: ApproxLinear(8, 4, spec=LayerSpec(codes(FIVE), tables(FIVE, 3)[0],
                              Gate(Bits(4)))),
         "too wide for random_1|random_1 is"),
        (lambda: Quant(Scheme(4), pact=6.0), "PACT has unsigned codes of one scale"),
    ],
)  # fmt: skip
def test_what_cannot_be_gated_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        make()
