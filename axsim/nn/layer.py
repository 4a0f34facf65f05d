"""What product layers share: quantizers, the table for their codes, cached weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ConversionError
from ..quant.codes import encode, encode_inside
from ..quant.quantizer import Quantizer
from ..quant.scheme import PerAxis, Scheme
from ..tables.multiplier import Multiplier, exact_products
from .forms import Form
from .product import Circuit, Operand, multiply
from .signs import table_for
from .spec import LayerSpec, Product, Quant, Untouched

# What a layer with codes but without a multiplier computes on.
EXACT_CODES = Scheme(), Scheme(signed=True, symmetric=True, granularity=PerAxis(0))


class ProductLayer(nn.Module):
    """A layer whose products are formed by a multiplier on codes.

    It is mixed into a layer of torch, whose parameters, settings and state-dict keys
    it keeps; `adopt` gives it the answers.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    input_quantizer: Quantizer
    weight_quantizer: Quantizer
    weight_axis = 0  #: dimension of the weight's outputs

    def adopt(self, spec: LayerSpec | Multiplier | Product, name: str = "") -> None:
        """Takes over the answers of a spec.

        Args:
            spec: with a multiplier, codes, or both.
            name: how errors and reports call the layer.

        Raises:
            ConversionError: where codes and table do not fit each other.
        """
        if not isinstance(spec, LayerSpec):
            spec = LayerSpec(multiplier=spec)
        self.spec, self.name = spec, name or type(self).__name__
        quant = spec.quant if isinstance(spec.quant, Quant) else Quant()
        schemes = self._schemes(quant, spec.product)
        product = spec.product or _exact_product(*schemes)
        self.product = product
        self.table = table_for(product, *schemes, layer=self.name)
        self.input_quantizer = Quantizer(
            schemes[0], quant.observer, quant.dynamic, f"{self.name}.input"
        )
        self.weight_quantizer = Quantizer(
            schemes[1], quant.weight_observer, True, f"{self.name}.weight"
        )
        self._kept_weight: tuple[Any, Operand] | None = None

    def form(self) -> Form:
        """What the layer sums into what."""
        raise NotImplementedError

    def multiply(self, x: Tensor) -> Tensor:
        """The layer's output for a real input."""
        x = self.input_quantizer.clipped(x)
        a = self._operand(x, self.input_quantizer)
        product = self.product
        circuit = Circuit(
            self.table, self.form(), product.pad == "skip", product.gradient,
            product.backend,
        )  # fmt: skip
        return multiply(x, self.weight, self.bias, a, self._weight_operand(), circuit)

    def _schemes(self, quant: Quant, product: Product | None) -> tuple[Scheme, Scheme]:
        if product is None or isinstance(product, Untouched):
            defaults = EXACT_CODES
        else:
            table = (
                product.table.swapped() if product.row == "weight" else product.table
            )
            defaults = tuple(
                Scheme(bits, signed, symmetric=signed)
                for bits, signed in zip(table.bits, table.signed, strict=True)
            )
        activation = quant.activation or defaults[0]
        if activation.axis is not None:
            raise ConversionError(
                f"{self.name!r}: activations have {activation}; they need one scale, "
                "PerTensor(), because a sum runs over all their channels."
            )
        weight = quant.weight or _per_output(defaults[1], self.weight_axis)
        return activation, weight

    def _operand(self, x: Tensor, quantizer: Quantizer) -> Operand:
        scale, zero_point = quantizer.params(x)
        if torch.is_grad_enabled() and x.requires_grad:
            raw, inside = encode_inside(x, scale, zero_point, quantizer.scheme)
            everywhere = bool(inside.all())
            return Operand(
                raw, scale, zero_point, quantizer.scheme, None if everywhere else inside
            )
        raw = encode(x, scale, zero_point, quantizer.scheme)
        return Operand(raw, scale, zero_point, quantizer.scheme)

    def _weight_operand(self) -> Operand:
        """The codes of the weights, kept as long as the weights stay what they are."""
        weight = self.weight
        if torch.compiler.is_compiling() or weight.device.type != "cpu":
            return self._operand(weight, self.weight_quantizer)
        state = (torch.is_grad_enabled() and weight.requires_grad, *_state(weight))
        if self._kept_weight is None or self._kept_weight[0] != state:
            self._kept_weight = state, self._operand(weight, self.weight_quantizer)
        return self._kept_weight[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept_weight": None}


def _per_output(scheme: Scheme, axis: int) -> Scheme:
    from dataclasses import replace

    return replace(scheme, granularity=PerAxis(axis))


def _exact_product(activation: Scheme, weight: Scheme) -> Product:
    bits = activation.bits, weight.bits
    signed = activation.signed, weight.signed
    return Product(
        Multiplier(exact_products(bits, signed), signed, "exact", "exact products")
    )


def _state(weight: Tensor) -> tuple[Any, ...]:
    """What tells whether a weight changed, also through `.data`.

    The version counts changes that autograd sees. The bits of all numbers, and their
    sum with positions as factors, tell of the others, moved numbers included.
    """
    flat = weight.detach().reshape(-1)
    ramp = torch.linspace(1, 2, flat.numel())
    return (
        weight._version,
        weight.data_ptr(),
        int(torch.hash_tensor(flat).view(torch.int64)),
        float(flat.float() @ ramp),
    )
