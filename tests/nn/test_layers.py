"""Product layers against the float layer on the values that the codes stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from axsim.errors import ConversionError
from axsim.nn.attention import ApproxMultiheadAttention
from axsim.nn.conv import ApproxConv1d, ApproxConv2d, ApproxConv3d
from axsim.nn.linear import ApproxLinear
from axsim.nn.matmul import ApproxMatmul
from axsim.nn.site import Site
from axsim.nn.spec import LayerSpec, Product, Quant
from axsim.nn.transposed import ApproxConvTranspose2d
from axsim.quant.scheme import PerAxis, Scheme
from axsim.tables.multiplier import Multiplier
from tests.conftest import random_multiplier

Case = tuple[type[nn.Module], tuple[Any, ...], dict[str, Any], tuple[int, ...]]
CIRCULAR = {"padding": (2, 1), "padding_mode": "circular"}
GROUPED = {"stride": 2, "output_padding": 1, "groups": 2}
CASES: list[Case] = [
    (ApproxLinear, (7, 5), {}, (3, 7)),
    (ApproxLinear, (7, 5), {"bias": False}, (2, 4, 7)),
    (ApproxLinear, (7, 5), {}, (7,)),
    (ApproxConv1d, (4, 6, 3), {"padding": 1, "stride": 2}, (2, 4, 9)),
    (ApproxConv2d, (4, 6, 3), {"padding": 1}, (2, 4, 7, 7)),
    (ApproxConv2d, (4, 6, 3), {"padding": 1}, (4, 7, 7)),
    (ApproxConv2d, (4, 6, 2), {"padding": "same"}, (2, 4, 7, 6)),
    (ApproxConv2d, (4, 6, 3), {"padding": "valid", "bias": False}, (2, 4, 7, 6)),
    (ApproxConv2d, (4, 6, (3, 1)), {"padding": (2, 0), "dilation": 2}, (1, 4, 7, 6)),
    (ApproxConv2d, (4, 8, 3), {"groups": 2, "stride": 2, "padding": 1}, (2, 4, 8, 8)),
    (ApproxConv2d, (4, 4, 3), {"groups": 4, "padding": 1}, (2, 4, 8, 8)),
    (ApproxConv2d, (4, 6, 3), {"padding": 1, "padding_mode": "reflect"}, (2, 4, 7, 7)),
    (ApproxConv2d, (4, 6, 3), CIRCULAR, (1, 4, 7, 7)),
    (ApproxConv3d, (2, 3, 3), {"padding": 1}, (1, 2, 5, 5, 5)),
    (ApproxConvTranspose2d, (4, 6, 3), {"stride": 2, "padding": 1}, (2, 4, 5, 6)),
    (ApproxConvTranspose2d, (4, 6, 3), GROUPED, (2, 4, 5, 6)),
]  # fmt: skip


def exact(signed: bool) -> Multiplier:
    return Multiplier.from_function(lambda a, b: a * b, signed=signed)


def calibrated(layer: nn.Module, *inputs: Tensor) -> nn.Module:
    """The layer after one batch of calibration."""
    waiting = [q for m in layer.modules() if isinstance(m, Site) for q in m.waiting]
    for quantizer in waiting:
        quantizer.calibrate()
    with torch.no_grad():
        layer(*inputs)
    for quantizer in waiting:
        quantizer.freeze()
    return layer


def on_values(layer: nn.Module, x: Tensor) -> Tensor:
    """The float layer of torch on the fake-quantised operands."""
    site: Site = layer.site  # pyright: ignore[reportAssignmentType]
    parameters = {"weight": site.weight_quantizer(layer.weight)}
    kind = next(k for k in type(layer).__mro__ if k.__module__.startswith("torch.nn"))
    plain: nn.Module = object.__new__(kind)
    plain.__dict__ = {k: v for k, v in layer.__dict__.items() if k != "_modules"}
    plain.__dict__["_modules"] = {}
    return torch.func.functional_call(plain, parameters, site.input_quantizer(x))


# Of torch's own convolution, which is what is compared with.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("pad", ["code", "skip"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("kind", "sizes", "settings", "shape"), CASES)
def test_an_exact_table_gives_the_float_layer_on_the_codes_values(
    kind: Callable[..., nn.Module], sizes: tuple[int, ...], settings: dict[str, Any],
    shape: tuple[int, ...], signed: bool, pad: Any,
) -> None:  # fmt: skip
    torch.manual_seed(0)
    layer = kind(*sizes, spec=Product(exact(signed), pad=pad), **settings)
    x = torch.randn(shape)
    calibrated(layer, x * 0.8)  # some inputs clip
    x.requires_grad_()
    y, expected = layer(x), on_values(layer, x)
    assert y.shape == expected.shape
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    gradient = torch.randn_like(y)
    leaves = [x, *layer.parameters()]
    for found, wanted in zip(
        torch.autograd.grad(y, leaves, gradient),
        torch.autograd.grad(expected, leaves, gradient),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_integer_sum_is_that_of_a_plain_loop() -> None:
    """A coarse asymmetric table: every term of the formula by hand."""
    table = np.random.default_rng(0).integers(0, 65025, (256, 256))
    mul = Multiplier.from_array(table, signed=False)
    torch.manual_seed(1)
    layer: Any = ApproxLinear(5, 3, spec=mul)
    x = torch.randn(4, 5)
    calibrated(layer, x)
    a = layer.site.input_quantizer.codes(x)
    w = layer.site.weight_quantizer.codes(layer.weight)
    za = int(a.zero_point)
    found = layer(x).detach()
    for i in range(4):
        for o in range(3):
            zw = int(w.zero_point[o])
            total = 0
            for k in range(5):
                qa, qw = int(a.raw[i, k]), int(w.raw[o, k])
                total += int(table[qa, qw]) - zw * qa - za * qw + za * zw
            y = np.float32(total) * np.float32(float(a.scale * w.scale[o]))
            assert float(found[i, o]) == float(y + np.float32(layer.bias[o].item()))


@pytest.mark.parametrize("pad", ["code", "skip"])
def test_what_a_padded_tap_contributes(pad: Any) -> None:
    """With a table that is 1 everywhere, a sum counts its products."""
    ones = Multiplier.from_array(np.ones((256, 256), int), signed=True)
    spec = Product(ones, pad=pad)
    layer: Any = ApproxConv2d(1, 1, 3, padding=1, bias=False, spec=spec)
    x = torch.ones(1, 1, 4, 4)
    calibrated(layer, x)
    scale = (
        layer.site.input_quantizer.scale
        * layer.site.weight_quantizer.params(layer.weight)[0]
    )
    counts = (layer(x) / scale).round()[0, 0]
    assert counts[1, 1] == 9
    assert counts[0, 0] == (9 if pad == "code" else 4)


def test_weights_in_the_rows_exchange_the_operands() -> None:
    mul = Multiplier.from_function(lambda a, b: a * b + 3 * a, signed=True)
    x = torch.randn(3, 6)
    torch.manual_seed(0)
    one = ApproxLinear(6, 2, spec=Product(mul, row="weight"))
    torch.manual_seed(0)
    other = ApproxLinear(6, 2, spec=mul.swapped())
    assert torch.equal(calibrated(one, x)(x), calibrated(other, x)(x))


def test_weight_codes_follow_every_change_of_the_weights() -> None:
    torch.manual_seed(0)
    layer = ApproxLinear(6, 4, spec=exact(True))
    x = torch.randn(3, 6)
    calibrated(layer, x).eval()
    with torch.no_grad():
        first = layer(x)
        assert torch.equal(layer(x), first)
        changes: list[Callable[[], Any]] = [
            lambda: layer.weight.mul_(2),
            lambda: layer.weight.data.mul_(0.5),
            lambda: layer.weight.data.copy_(layer.weight.data.flip(1)),
            lambda: setattr(layer, "weight", nn.Parameter(torch.randn(4, 6))),
        ]
        for change in changes:
            before = layer(x)
            change()
            fresh = ApproxLinear(6, 4, spec=exact(True))
            fresh.load_state_dict(layer.state_dict())
            assert torch.equal(layer(x), fresh(x))
            assert not torch.equal(layer(x), before)


def test_narrow_codes_meet_narrow_and_wide_tables_alike() -> None:
    wide = exact(True)
    narrow = Multiplier.from_function(lambda a, b: a * b, signed=True, bits=(8, 4))
    codes = Quant(weight=Scheme(4, signed=True, symmetric=True))
    x = torch.randn(3, 6)
    torch.manual_seed(0)
    one = calibrated(ApproxLinear(6, 2, spec=LayerSpec(codes, wide)), x)
    torch.manual_seed(0)
    other = calibrated(ApproxLinear(6, 2, spec=LayerSpec(codes, narrow)), x)
    assert torch.equal(one(x), other(x))


def test_matmul_of_activations_broadcasts_and_has_gradients() -> None:
    torch.manual_seed(0)
    a = torch.randn(2, 3, 4, 5, requires_grad=True)
    b = torch.randn(3, 5, 6, requires_grad=True)
    product = ApproxMatmul(spec=exact(False))
    calibrated(product, a, b)
    site = product.site
    y, expected = product(a, b), site.input_quantizer(a) @ site.weight_quantizer(b)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    gradient = torch.randn_like(y)
    for found, wanted in zip(
        torch.autograd.grad(y, [a, b], gradient),
        torch.autograd.grad(expected, [a, b], gradient),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_first": True},
        {},
        {"bias": False, "batch_first": True},
        {"kdim": 6, "vdim": 7, "batch_first": True},
        {"add_bias_kv": True, "batch_first": True},
        {"add_zero_attn": True},
    ],
)
def test_attention_computes_what_torch_s_does(settings: dict[str, Any]) -> None:
    """While calibrating it is exact, so wiring, masks and shapes are torch's."""
    torch.manual_seed(0)
    layer = ApproxMultiheadAttention(8, 2, spec=exact(True), **settings)
    plain = nn.MultiheadAttention(8, 2, **settings)
    plain.load_state_dict(layer.state_dict(), strict=False)
    query = torch.randn(3, 5, 8)
    keys = [torch.randn(3, 5, settings.get(d, 8)) for d in ("kdim", "vdim")]
    batch, length = (3, 5) if settings.get("batch_first") else (5, 3)
    padding = torch.zeros(batch, length, dtype=torch.bool)
    padding[0, -1] = True
    causal = torch.ones(length, length).triu(1).bool()
    options = {"key_padding_mask": padding, "attn_mask": causal}
    waiting = [q for m in layer.modules() if isinstance(m, Site) for q in m.waiting]
    for quantizer in waiting:
        quantizer.calibrate()
    for averaged in (True, False):
        found = layer(query, *keys, average_attn_weights=averaged, **options)
        wanted = plain(query, *keys, average_attn_weights=averaged, **options)
        torch.testing.assert_close(found, wanted)
    for quantizer in waiting:
        quantizer.freeze()
    y = layer(query, *keys, need_weights=False, **options)
    assert y[1] is None
    difference = (y[0] - wanted[0]).abs().mean() / wanted[0].abs().mean()
    assert 0 < difference < 0.1


def test_scales_along_another_dimension_than_the_outputs_are_refused() -> None:
    """In a square weight they would fit, and every product be wrong."""
    scheme = Scheme(granularity=PerAxis(0))
    mul = random_multiplier(1)
    spec = LayerSpec(Quant(weight=scheme), mul)
    ApproxConv2d(2, 2, 1, spec=spec)
    message = r"'up': weights have codes uint8 .* dimension 1: use PerAxis\(1\)"
    with pytest.raises(ConversionError, match=message):
        ApproxConvTranspose2d(2, 2, 1, spec=spec, name="up")
