"""A site: one place in a network where products are formed on codes."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from functools import lru_cache
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from ..errors import ConversionError, OperandError
from ..quant.codes import encode_noting
from ..quant.pact import PactQuantizer
from ..quant.quantizer import Quantizer
from ..quant.scheme import PerAxis, PerTensor, Scheme
from ..tables.multiplier import Multiplier, exact_products
from .forms import Form
from .product import Circuit, Operand, multiply
from .saved.keeper import Keeper
from .saved.product import keep_codes
from .signs import table_for
from .spec import LayerSpec, Product, Quant, Untouched

#: Codes of activations and weights of a layer that has codes but no multiplier.
EXACT_CODES = Scheme(), Scheme(signed=True, symmetric=True)

#: Sites by number; a site lives as long as its network.
SITES: WeakValueDictionary[int, Site] = WeakValueDictionary()
_NUMBERS = count()


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
        self.schemes = schemes
        self.name = name
        self.fit_tables(spec)
        self.weight_axis = weight_axis
        self.input_quantizer = _input_quantizer(quant, schemes[0], f"{name}.input")
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
        #: Whether codes without sign and zero point met values below 0 meanwhile.
        self.lossy = False
        self._kept: tuple[Any, Operand] | None = None
        #: Keeps the codes of activations for backward; None leaves that to torch.
        self.keeper: Keeper | None = None
        self.handle = _register(self)

    def fit_tables(self, spec: LayerSpec) -> None:
        """Makes the tables that the codes of both operands see."""
        self.table = table_for(self.product, *self.schemes, layer=self.name)

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
        if torch.compiler.is_compiling() and not _wants_gradient(x, weight):
            name, numbers = settings_of(form)
            return torch.ops.axsim.site(x, weight, bias, self.handle, name, numbers)
        x, a, w = self.operands(x, weight)
        return self.multiply_codes(x, weight, bias, a, w, form)

    def multiply_codes(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Operand,
        w: Operand,
        form: Form,
    ) -> Tensor:
        """The layer's output for operands whose codes are known."""
        product = self.product
        circuit = Circuit(
            self.table, form, product.pad == "skip", product.gradient, product.backend
        )
        with self.keeping(a, w):
            y = multiply(x, weight, bias, a, w, circuit)
        y = mark_nan(y, x, a.whole)
        if self.weight_axis is None:
            y = mark_nan(y, weight, w.whole)
        if self.counted is not None:
            self.counted += form.products(x.shape, weight.shape, y.shape)
        return y

    def fix(
        self, activation: tuple[Tensor, Tensor], weight: tuple[Tensor, Tensor]
    ) -> None:
        """Takes scale and zero point of both operands as an imported layer has them."""
        self.input_quantizer.fix(*activation)
        self.weight_quantizer.dynamic = False
        self.weight_quantizer.fix(*weight)

    def operands(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Operand, Operand]:
        """What of `x` is encoded, its codes, and those of the weights."""
        if not x.is_floating_point():
            raise OperandError(
                f"{self.name!r} got {x.dtype}; it encodes real numbers itself: give "
                "floating-point values, such as x.float()."
            )
        if self.counted is not None:
            self.lossy |= self._loses_signs(x, weight)
        # A learned clip notes what it cut.
        with self.keeping(masks=True):
            x = self.input_quantizer.clipped(x)
        return x, encoded(x, self.input_quantizer), self._weight_codes(weight)

    def _loses_signs(self, x: Tensor, weight: Tensor) -> bool:
        both = zip(self.schemes, (x, weight), strict=True)
        return any(
            bool((values < 0).any())
            for scheme, values in both
            if scheme.symmetric and not scheme.signed
        )

    def keeping(
        self, *operands: Operand, masks: bool = False
    ) -> AbstractContextManager[Any]:
        """A context: products keep codes of activations, and masks, in the store."""
        if self.keeper is None:
            return nullcontext()
        coded = operands[:1] if self.weight_axis is not None else operands
        return keep_codes(self.keeper, self.training, *coded, masks=masks)

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

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.handle = _register(self)


def settings_of(form: Form) -> tuple[str, list[int]]:
    """A form as the name of its class and all its settings in a row.

    Example:
        >>> from axsim.nn.forms import ConvolutionForm
        >>> settings_of(ConvolutionForm((2, 2), (1, 1), (1, 1), 3))
        ('ConvolutionForm', [2, 2, 1, 1, 1, 1, 3])
    """
    settings: list[int] = []
    for field in fields(form):  # pyright: ignore[reportArgumentType]
        value: Any = getattr(form, field.name)
        settings += [value] if isinstance(value, int) else value
    return type(form).__name__, settings


def _register(site: Site) -> int:
    """A number for the site, by which a compiled graph finds it."""
    number = next(_NUMBERS)
    SITES[number] = site
    return number


def _wants_gradient(*operands: Tensor) -> bool:
    return torch.is_grad_enabled() and any(t.requires_grad for t in operands)


def encoded(x: Tensor, quantizer: Quantizer) -> Operand:
    """A tensor's codes, with the places that pass a gradient where one is wanted."""
    scale, zero_point = quantizer.params(x)
    scheme = quantizer.scheme
    trains = torch.is_grad_enabled() and x.requires_grad
    raw, inside, whole = encode_noting(x, scale, zero_point, scheme, trains)
    return Operand(raw, scale, zero_point, scheme, inside, whole)


def mark_nan(y: Tensor, x: Tensor, whole: bool = False) -> Tensor:
    """The outputs, NaN for each entry of the batch whose input holds a NaN.

    NaN has no code; without this it would pass for the value of code 0. Infinities
    are clipped like other values beyond the range.

    Args:
        y: the outputs.
        x: an operand, with the same first dimension or another.
        whole: whether it is known to hold no NaN.
    """
    if whole:
        return y
    if torch.compiler.is_compiling():
        return torch.where(_broken(y, x), float("nan"), y)
    # One cheap pass; infinities of both signs raise a false alarm.
    if not math.isnan(float(x.detach().sum())):
        return y
    return y.masked_fill(_broken(y, x), float("nan"))


def _broken(y: Tensor, x: Tensor) -> Tensor:
    """Where outputs cannot be trusted: whole entries of the first dimension."""
    broken = x.detach().isnan()
    if y.dim() < 2 or x.shape[0] != y.shape[0]:
        return broken.any()
    return broken.flatten(1).any(1).view(-1, *[1] * (y.dim() - 1))


def _input_quantizer(quant: Quant, scheme: Scheme, name: str) -> Quantizer:
    if quant.pact is not None:
        return PactQuantizer(scheme.bits, quant.pact, name=name)
    return Quantizer(scheme, quant.observer, quant.dynamic, name)


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
