"""The functions compute what the layers compute, and ask for ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from axsim.errors import CalibrationError, ConversionError, OperandError
from axsim.gating.channels import Channels
from axsim.gating.gate import Gate
from axsim.memory.saved import Saved
from axsim.nn import functional
from axsim.nn.conv import ApproxConv1d, ApproxConv2d, ApproxConv3d
from axsim.nn.linear import ApproxLinear
from axsim.nn.matmul import ApproxMatmul
from axsim.nn.spec import LayerSpec, Product, Quant
from axsim.nn.transposed import ApproxConvTranspose2d
from axsim.tables.multiplier import Multiplier

COARSE = Multiplier.from_function(lambda a, b: a * b & ~63, signed=True, name="coarse")
UNSIGNED = Multiplier.from_function(lambda a, b: a * b & ~63, signed=False)
LOW, HIGH = -1.5, 2.0

Case = tuple[str, type[nn.Module], tuple[Any, ...], dict[str, Any], tuple[int, ...]]
CASES: list[Case] = [
    ("approx_linear", ApproxLinear, (7, 5), {}, (2, 3, 7)),
    ("approx_conv1d", ApproxConv1d, (4, 6, 3), {"stride": 2, "padding": 1}, (2, 4, 9)),
    ("approx_conv2d", ApproxConv2d, (4, 6, 3), {"groups": 2}, (2, 4, 7, 7)),
    ("approx_conv2d", ApproxConv2d, (4, 6, 2), {"padding": "same"}, (2, 4, 5, 5)),
    ("approx_conv2d", ApproxConv2d, (4, 6, 3), {"padding": "valid"}, (4, 5, 5)),
    ("approx_conv2d", ApproxConv2d, (4, 6, (3, 1)),
     {"dilation": (2, 1), "padding": (1, 0)}, (1, 4, 7, 6)),
    ("approx_conv3d", ApproxConv3d, (2, 3, 2), {"padding": 1}, (1, 2, 4, 4, 4)),
    ("approx_conv_transpose2d", ApproxConvTranspose2d, (4, 6, 3),
     {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}, (2, 4, 5, 6)),
    ("approx_conv_transpose2d", ApproxConvTranspose2d, (4, 6, 3), {}, (4, 5, 6)),
]  # fmt: skip


def calibrate_for(layer: nn.Module, *quantizers: str) -> None:
    """Ranges LOW … HIGH for these quantizers of the layer's site."""
    for name in quantizers:
        quantizer: Any = layer.get_submodule(f"site.{name}")
        quantizer.calibrate().observe(torch.tensor([LOW, HIGH]))
        quantizer.freeze()


@pytest.mark.parametrize("mul", [COARSE, UNSIGNED])
@pytest.mark.parametrize(("name", "kind", "sizes", "settings", "shape"), CASES)
def test_functions_equal_the_layers(
    name: str, kind: Callable[..., nn.Module], sizes: tuple[int, ...],
    settings: dict[str, Any], shape: tuple[int, ...], mul: Multiplier,
) -> None:  # fmt: skip
    torch.manual_seed(0)
    layer = kind(*sizes, spec=mul, **settings)
    calibrate_for(layer, "input_quantizer")
    function = getattr(functional, name)
    x = torch.randn(shape)
    one, other = (x.clone().requires_grad_() for _ in range(2))
    weight: Any = layer.weight
    bias: Any = layer.bias
    y = layer(one)
    z = function(other, weight, bias, spec=mul, input_range=(LOW, HIGH), **settings)
    assert torch.equal(y, z)
    gradient = torch.randn_like(y)
    for found, wanted in zip(
        torch.autograd.grad(z, [other, weight, bias], gradient),
        torch.autograd.grad(y, [one, weight, bias], gradient),
        strict=True,
    ):
        assert torch.equal(found, wanted)


def test_matmul_takes_two_ranges() -> None:
    layer = ApproxMatmul(spec=COARSE)
    calibrate_for(layer, "input_quantizer", "weight_quantizer")
    a, b = torch.randn(2, 3, 4, 5), torch.randn(3, 5, 6)
    ranges: dict[str, Any] = {"input_range": (LOW, HIGH), "other_range": (LOW, HIGH)}
    assert torch.equal(
        functional.approx_matmul(a, b, spec=COARSE, **ranges), layer(a, b)
    )


def test_dynamic_codes_take_the_range_of_the_tensor() -> None:
    x, w = torch.randn(3, 7), torch.randn(5, 7)
    dynamic = LayerSpec(Quant(dynamic=True), UNSIGNED)
    ends = (float(x.min()), float(x.max()))
    y = functional.approx_linear(x, w, spec=dynamic)
    assert torch.equal(
        y, functional.approx_linear(x, w, spec=UNSIGNED, input_range=ends)
    )
    fixed = functional.approx_linear(x, w, spec=dynamic, input_range=(-9, 9))
    assert not torch.equal(y, fixed)


def call(**settings: Any) -> Tensor:
    return functional.approx_linear(torch.ones(1, 2), torch.ones(1, 2), **settings)


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (
            {"spec": COARSE},
            CalibrationError,
            r"approx_linear: no range is known .* pass input_range=\(low, high\)",
        ),
        (
            {"spec": COARSE, "input_range": (2, 1)},
            CalibrationError,
            r"input_range=\(2, 1\); give two finite numbers, the lower first",
        ),
        (
            {"spec": COARSE, "input_range": (0, float("inf"))},
            CalibrationError,
            r"input_range=\(0, inf\)",
        ),
        (
            {
                "spec": LayerSpec(
                    multiplier=COARSE, gate=Gate(Channels(4)), saved=Saved()
                )
            },
            ConversionError,
            "spec answers gate and saved; functions take codes and a multiplier",
        ),
        (
            {"spec": Product(COARSE, signs="shift"), "input_range": (float("nan"), 1)},
            CalibrationError,
            r"input_range=\(nan, 1\)",
        ),
    ],
)
def test_refusals(
    settings: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call(**settings)


def test_other_range_is_named() -> None:
    a = torch.ones(2, 2)
    with pytest.raises(CalibrationError, match="codes of other; pass other_range="):
        functional.approx_matmul(a, a, spec=COARSE, input_range=(0, 1))


@pytest.mark.parametrize("shape", [(2, 3), (2, 5), (2, 8), (8,), (2, 3, 5)])
def test_rows_of_another_length_are_refused(shape: tuple[int, ...]) -> None:
    spec = LayerSpec(Quant(dynamic=True), COARSE)
    with pytest.raises(OperandError, match=rf"{shape[-1]}\) and b \(2, 4\); .* same K"):
        functional.approx_linear(torch.rand(shape), torch.rand(2, 4), spec=spec)


def test_matrices_that_do_not_fit_are_refused() -> None:
    spec = LayerSpec(Quant(dynamic=True), COARSE)
    # As many numbers as some product of that batch would have.
    with pytest.raises(OperandError, match=r"\(3, 4\) and b \(6, 8\); .* same K"):
        functional.approx_matmul(torch.rand(2, 3, 4), torch.rand(2, 8, 6), spec=spec)


@pytest.mark.parametrize("biases", [1, 2, 4])
def test_a_bias_for_other_outputs_is_refused(biases: int) -> None:
    spec = LayerSpec(Quant(dynamic=True), COARSE)
    x, w, bias = torch.rand(1, 2, 4, 4), torch.rand(3, 2, 3, 3), torch.rand(biases)
    message = rf"bias has shape \({biases},\); a layer of 3 outputs has \(3,\)"
    with pytest.raises(OperandError, match=message):
        functional.approx_conv2d(x, w, bias, spec=spec)
    with pytest.raises(OperandError, match=message):
        functional.approx_linear(x, torch.rand(3, 4), bias, spec=spec)
