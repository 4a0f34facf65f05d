"""Products on codes as functions, with the signatures of `torch.nn.functional`.

Every function takes `spec=`, and for each activation its range; a range is taken from
the tensor itself only where the spec asks for it with `Quant(dynamic=True)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import CalibrationError, ConversionError
from ..quant.params import choose_params
from ..quant.quantizer import Quantizer
from .conv import borders, pad_behind
from .forms import ConvolutionForm, LinearForm
from .layer import Answer
from .matmul import matmul
from .site import Site
from .spec import LayerSpec
from .transposed import TransposedForm

Range = tuple[float, float]
Steps = int | tuple[int, ...]


def approx_linear(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    spec: Answer,
    input_range: Range | None = None,
) -> Tensor:
    """`torch.nn.functional.linear` on a multiplier.

    Args:
        input, weight, bias: as torch has them.
        spec: the multiplier, or a `LayerSpec` with codes too.
        input_range: lowest and highest value that the codes of `input` cover.

    Raises:
        CalibrationError: without a range, unless the spec says `Quant(dynamic=True)`.
        ConversionError: where codes and table do not fit each other.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> x, w = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, -1.0]])
        >>> approx_linear(x, w, spec=exact, input_range=(0, 2.55))
        tensor([[-0.9961]])
    """
    site = _site("approx_linear", spec, input_range)
    return site.to(input.device).multiply(input, weight, bias, LinearForm())


def approx_conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Steps = 1,
    padding: str | Steps = 0, dilation: Steps = 1, groups: int = 1, *,
    spec: Answer, input_range: Range | None = None,
) -> Tensor:  # fmt: skip
    """`torch.nn.functional.conv1d` on a multiplier; arguments as `approx_conv2d`."""
    site = _site("approx_conv1d", spec, input_range)
    return _convolve(site, input, weight, bias, stride, padding, dilation, groups)


def approx_conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Steps = 1,
    padding: str | Steps = 0, dilation: Steps = 1, groups: int = 1, *,
    spec: Answer, input_range: Range | None = None,
) -> Tensor:  # fmt: skip
    """`torch.nn.functional.conv2d` on a multiplier.

    Args:
        input, weight, bias, stride, padding, dilation, groups: as torch has them.
        spec: the multiplier, or a `LayerSpec` with codes too.
        input_range: lowest and highest value that the codes of `input` cover.

    Raises:
        CalibrationError: without a range, unless the spec says `Quant(dynamic=True)`.
        ConversionError: where codes and table do not fit each other.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> x, w = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> approx_conv2d(x, w, spec=exact, input_range=(0, 1)).round().item()
        4.0
    """
    site = _site("approx_conv2d", spec, input_range)
    return _convolve(site, input, weight, bias, stride, padding, dilation, groups)


def approx_conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Steps = 1,
    padding: str | Steps = 0, dilation: Steps = 1, groups: int = 1, *,
    spec: Answer, input_range: Range | None = None,
) -> Tensor:  # fmt: skip
    """`torch.nn.functional.conv3d` on a multiplier; arguments as `approx_conv2d`."""
    site = _site("approx_conv3d", spec, input_range)
    return _convolve(site, input, weight, bias, stride, padding, dilation, groups)


def approx_conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Steps = 1,
    padding: Steps = 0, output_padding: Steps = 0, groups: int = 1,
    dilation: Steps = 1, *, spec: Answer, input_range: Range | None = None,
) -> Tensor:  # fmt: skip
    """`torch.nn.functional.conv_transpose2d` on a multiplier; see `approx_conv2d`."""
    site = _site("approx_conv_transpose2d", spec, input_range, weight_axis=1)
    batched = input.dim() == 4
    x = input if batched else input.unsqueeze(0)
    form = TransposedForm(
        _each(stride, 2), _each(padding, 2), _each(output_padding, 2),
        _each(dilation, 2), groups, weight.shape[1] * groups,
    )  # fmt: skip
    y = site.to(x.device).multiply(x, weight, bias, form)
    return y if batched else y.squeeze(0)


def approx_matmul(
    input: Tensor,
    other: Tensor,
    *,
    spec: Answer,
    input_range: Range | None = None,
    other_range: Range | None = None,
) -> Tensor:
    """`torch.matmul` of two activations on a multiplier, two dimensions or more each.

    Args:
        input: meets the activation side of the table.
        other: meets the weight side.
        spec: the multiplier, or a `LayerSpec` with codes too.
        input_range, other_range: lowest and highest value that their codes cover.

    Raises:
        CalibrationError: without ranges, unless the spec says `Quant(dynamic=True)`.
        ConversionError: where codes and table do not fit each other.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=True)
        >>> spec = LayerSpec(Quant(dynamic=True), exact)
        >>> approx_matmul(torch.eye(2), torch.ones(2, 2), spec=spec).round().tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    site = _site("approx_matmul", spec, input_range, weight_axis=None)
    _set_range(site.weight_quantizer, other_range, "approx_matmul", "other")
    return matmul(site.to(input.device), input, other)


def _site(
    function: str, spec: Answer, given: Range | None, weight_axis: int | None = 0
) -> Site:
    answers = spec if isinstance(spec, LayerSpec) else LayerSpec(multiplier=spec)
    extra = sorted({"gate", "saved"} & answers.answers().keys())
    if extra:
        raise ConversionError(
            f"{function}: spec answers {' and '.join(extra)}; functions take codes and "
            "a multiplier. Use a layer such as axsim.nn.ApproxConv2d for the rest."
        )
    site = Site(answers, function, weight_axis)
    _set_range(site.input_quantizer, given, function, "input")
    return site


def _set_range(
    quantizer: Quantizer, given: Range | None, function: str, operand: str
) -> None:
    """Freezes the quantizer for a range; without one it has to be dynamic."""
    if given is None:
        if quantizer.mode == "uncalibrated":
            raise CalibrationError(
                f"{function}: no range is known for the codes of {operand}; pass "
                f"{operand}_range=(low, high), or a spec with Quant(dynamic=True) to "
                "take it from every tensor."
            )
        return
    low, high = given
    if not low <= high or not abs(low) + abs(high) < float("inf"):
        raise CalibrationError(
            f"{function}: {operand}_range={given}; give two finite numbers, the "
            "lower first."
        )
    quantizer.dynamic = False
    ends = torch.tensor([float(low), float(high)])
    quantizer.fix(*choose_params(ends[0], ends[1], quantizer.scheme))


def _convolve(
    site: Site, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Steps,
    padding: str | Steps, dilation: Steps, groups: int,
) -> Tensor:  # fmt: skip
    """A convolution over as many dimensions as the weight has."""
    dims = weight.dim() - 2
    batched = input.dim() == weight.dim()
    x = input if batched else input.unsqueeze(0)
    steps, gaps = _each(stride, dims), _each(dilation, dims)
    padded = padding if isinstance(padding, str) else _each(padding, dims)
    before, after = borders((*weight.shape[2:],), padded, gaps)
    form = ConvolutionForm(steps, before, gaps, groups)
    padded_x = pad_behind(x, before, after)
    y = site.to(x.device).multiply(padded_x, weight, bias, form)
    return y if batched else y.squeeze(0)


def _each(value: Steps, dims: int) -> tuple[int, ...]:
    """One number for each spatial dimension."""
    return (value,) * dims if isinstance(value, int) else tuple(value)
