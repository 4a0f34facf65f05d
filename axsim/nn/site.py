"""A site: one place in a network where products are formed on codes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConversionError
from ..quant.codes import encode, encode_inside
from ..quant.quantizer import Quantizer
from ..quant.scheme import PerAxis, PerTensor, Scheme
from ..tables.multiplier import Multiplier, exact_products
from .forms import Form
from .product import Circuit, Operand, multiply
from .signs import table_for
from .spec import LayerSpec, Product, Quant, Untouched

#: Codes of activations and weights of a layer that has codes but no multiplier.
EXACT_CODES = Scheme(), Scheme(signed=True, symmetric=True)


class Site(nn.Module):
    """Quantizers of both operands, the table for their codes, cached weight codes.

    Args:
        spec: the answers of the layer.
        name: how errors and reports call the site.
        weight_axis: dimension of the weight's outputs; None where the second operand
            is an activation too, with a range from calibration.

    Raises:
        ConversionError: where codes and table do not fit each other.
    """

    def __init__(self, spec: LayerSpec, name: str, weight_axis: int | None = 0) -> None:
        super().__init__()
        quant = spec.quant if isinstance(spec.quant, Quant) else Quant()
        product = None if isinstance(spec.multiplier, Untouched) else spec.product
        schemes = _schemes(quant, product, weight_axis, name)
        self.product = product or _exact_product(*schemes)
        self.table = table_for(self.product, *schemes, layer=name)
        self.name = name
        self.weight_axis = weight_axis
        self.input_quantizer = Quantizer(
            schemes[0], quant.observer, quant.dynamic, f"{name}.input"
        )
        # Weights are known: their range needs no calibration.
        dynamic, observer = (
            (quant.dynamic, quant.observer)
            if weight_axis is None
            else (True, quant.weight_observer)
        )
        self.weight_quantizer = Quantizer(
            schemes[1], observer, dynamic, f"{name}.weight"
        )
        #: Products formed so far while somebody counts; None while nobody does.
        self.counted: int | None = None
        self._kept: tuple[Any, Operand] | None = None

    @property
    def calibrating(self) -> bool:
        """Whether the layer should compute exactly and show its operands."""
        return self.input_quantizer.calibrating or self.weight_quantizer.calibrating

    @property
    def waiting(self) -> list[Quantizer]:
        """The quantizers that need calibration."""
        both = (self.input_quantizer, self.weight_quantizer)
        return [quantizer for quantizer in both if quantizer.mode == "uncalibrated"]

    def observe(self, x: Tensor, other: Tensor | None = None) -> None:
        """Shows the operands to the quantizers that are calibrating."""
        if self.input_quantizer.calibrating:
            self.input_quantizer.observe(x)
        if other is not None and self.weight_quantizer.calibrating:
            self.weight_quantizer.observe(other)

    def multiply(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, form: Form
    ) -> Tensor:
        """The layer's output for real operands."""
        x = self.input_quantizer.clipped(x)
        a = encoded(x, self.input_quantizer)
        w = self._weight_codes(weight)
        product = self.product
        circuit = Circuit(
            self.table, form, product.pad == "skip", product.gradient, product.backend
        )
        y = multiply(x, weight, bias, a, w, circuit)
        if self.counted is not None:
            self.counted += form.products(x.shape, weight.shape, y.shape)
        return y

    def extra_repr(self) -> str:
        return f"{self.product}"

    def _weight_codes(self, weight: Tensor) -> Operand:
        """The codes of the weights, kept as long as the weights stay what they are."""
        cached = self.weight_axis is not None and weight.device.type == "cpu"
        if not cached or torch.compiler.is_compiling():
            return encoded(weight, self.weight_quantizer)
        state = (torch.is_grad_enabled() and weight.requires_grad, *_state(weight))
        if self._kept is None or self._kept[0] != state:
            self._kept = state, encoded(weight, self.weight_quantizer)
        return self._kept[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}


def encoded(x: Tensor, quantizer: Quantizer) -> Operand:
    """A tensor's codes, with the places that pass a gradient where one is wanted."""
    scale, zero_point = quantizer.params(x)
    scheme = quantizer.scheme
    if not (torch.is_grad_enabled() and x.requires_grad):
        raw = encode(x, scale, zero_point, scheme)
        return Operand(raw, scale, zero_point, scheme)
    raw, inside = encode_inside(x, scale, zero_point, scheme)
    return Operand(raw, scale, zero_point, scheme, inside)


def _schemes(
    quant: Quant, product: Product | None, weight_axis: int | None, name: str
) -> tuple[Scheme, Scheme]:
    """The codes of both operands: as answered, else as the table's operands are."""
    defaults = EXACT_CODES if product is None else _table_codes(product)
    granularity = PerTensor() if weight_axis is None else PerAxis(weight_axis)
    activation = quant.activation or defaults[0]
    second = replace(defaults[1], granularity=granularity)
    weight = activation if weight_axis is None and quant.activation else second
    weight = quant.weight if quant.weight and weight_axis is not None else weight
    for scheme in (activation, *([weight] if weight_axis is None else [])):
        if scheme.axis is not None:
            raise ConversionError(
                f"{name!r}: activations have codes {scheme}; they need one scale, "
                "PerTensor(), because sums run over all their channels."
            )
    if weight_axis is not None and weight.axis not in (None, weight_axis):
        raise ConversionError(
            f"{name!r}: weights have codes {weight}, but the outputs of this layer are "
            f"dimension {weight_axis}: use PerAxis({weight_axis}) or PerTensor()."
        )
    return activation, weight


def _table_codes(product: Product) -> tuple[Scheme, Scheme]:
    table = product.table.swapped() if product.row == "weight" else product.table
    first, second = (
        Scheme(bits, signed, symmetric=signed)
        for bits, signed in zip(table.bits, table.signed, strict=True)
    )
    return first, second


def _exact_product(activation: Scheme, weight: Scheme) -> Product:
    bits = activation.bits, weight.bits
    signed = activation.signed, weight.signed
    table = exact_products(bits, signed)
    return Product(Multiplier(table, signed, "exact", "exact products"))


def _state(weight: Tensor) -> tuple[Any, ...]:
    """What tells whether a weight changed, also through `.data`.

    The version counts the changes that autograd sees. The bits of all numbers, and
    their sum with positions as factors, tell of the others, moved numbers included.
    """
    flat = weight.detach().reshape(-1)
    return (
        0 if weight.is_inference() else weight._version,
        weight.data_ptr(),
        int(torch.hash_tensor(flat).view(torch.int64)),
        float(flat.float() @ _ramp(flat.numel())),
    )


@lru_cache(maxsize=64)
def _ramp(count: int) -> Tensor:
    return torch.linspace(1, 2, count)
