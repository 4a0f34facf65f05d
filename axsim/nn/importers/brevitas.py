"""Networks of Brevitas's quantised layers."""

from __future__ import annotations

import copy
from functools import lru_cache
from importlib import import_module
from types import ModuleType, new_class
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from ...errors import BackendError, ConversionError
from ...quant.codes import encode
from ...quant.scheme import MAX_BITS, PerAxis, PerTensor, Scheme
from ..convert import COUNTERPARTS, left_exact
from ..layer import WeightedLayer
from ..modes import evaluating
from ..product import Operand
from ..spec import LayerSpec, Quant
from .imported import Rules, attach_plan, products_for, scheme_of

Network = TypeVar("Network", bound=nn.Module)

#: Layers of torch whose quantised namesakes are served.
SERVED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def from_brevitas(model: Network, rules: Rules, *, sample: Tensor) -> Network:
    """A copy of a network of Brevitas's layers, with their products on a multiplier.

    The layers keep Brevitas's quantisers of inputs, weights, biases and outputs, and so
    their scales, zero points and codes, in training too; on the exact table they sum
    the same integers. What lies between them stays as it is. Products that are not
    formed on a table are listed by `ax.summary`.

    Args:
        model: calibrated or trained; it is untouched.
        rules: a multiplier for all layers, a list of `Rule`, or a recipe. Where
            activations and weights differ in sign, an unsigned table needs
            `Product(mul, signs=...)`.
        sample: a batch of inputs; it shows which codes reach each layer.

    Raises:
        ConversionError: where the model is not quantised, or does not fit the rules.
        BackendError: where Brevitas is not installed.

    Example:
        >>> layer = QuantLinear(8, 2, input_quant=Int8Act)  # doctest: +SKIP
        >>> mul = ax.load_multiplier("mul8s_exact")
        >>> net = from_brevitas(nn.Sequential(layer), mul, sample=x)  # doctest: +SKIP
    """
    net = copy.deepcopy(model)
    found = _watch(net, _kinds(), sample)
    quants = {name: quant for name, quant in found.items() if isinstance(quant, Quant)}
    unreached = {name: why for name, why in found.items() if isinstance(why, str)}
    if not quants:
        raise ConversionError(_nothing_found(model, unreached))
    classes = {name: _counterpart(type(net.get_submodule(name))) for name in quants}
    products = products_for(rules, {name: c.kind for name, c in classes.items()})
    for name, product in products.items():
        module = net.get_submodule(name)
        # The class alone changes: quantisers, hooks and weights stay attached.
        module.__class__ = classes[name]
        cast(ImportedLayer, module).adopt(LayerSpec(quants[name], product), name)
    left = [name for name in quants if name not in products]
    unreached |= dict.fromkeys(left, "quantised, but no rule gives it a multiplier")
    attach_plan(net, dict(left_exact(net)), unreached, sample)
    return net


class ImportedLayer(WeightedLayer):
    """A layer of Brevitas whose products are formed on a multiplier.

    It comes before Brevitas's class among the bases: Brevitas quantises, and calls
    `inner_forward_impl` in between.
    """

    def forward(self, input: Any) -> Any:
        return cast(Any, self).forward_impl(input)

    def inner_forward_impl(self, x: Any, quant_weight: Any, quant_bias: Any) -> Any:
        """The products of operands that have codes, and the sum with the bias."""
        if self.site is None:
            raise ConversionError(f"{type(self).__name__} was given no multiplier.")
        values, form = self.placed(x.value)
        a = _coded(values, x, self.site.input_quantizer.scheme)
        w = _coded(quant_weight.value, quant_weight, self.site.weight_quantizer.scheme)
        bias = getattr(quant_bias, "value", quant_bias)
        y = self.site.multiply_codes(values, quant_weight.value, bias, a, w, form)
        # On no samples, Brevitas's own layer says what its sums stand for.
        batched = x.value.dim() >= quant_weight.value.dim()
        samples = x.value if batched else x.value.unsqueeze(0)
        none = x.set(value=samples[:0])
        said = super().inner_forward_impl(none, quant_weight, quant_bias)  # pyright: ignore
        y = y if values.dim() == x.value.dim() else y.squeeze(0)
        return y if isinstance(said, Tensor) else said.set(value=y)


def _coded(values: Tensor, source: Any, scheme: Scheme) -> Operand:
    """Codes of the values that a tensor of Brevitas stands for."""
    shape = () if scheme.axis is None else (-1,)
    scale = source.scale.detach().float().reshape(shape)
    zero_point = source.zero_point.detach().int().reshape(shape).expand_as(scale)
    raw = encode(values, scale, zero_point, scheme)
    return Operand(raw, scale, zero_point, scheme)


def _library() -> ModuleType:
    """Brevitas's layers.

    Raises:
        BackendError: where Brevitas is not installed.
    """
    try:
        return import_module("brevitas.nn")
    except ImportError as problem:
        raise BackendError(
            f"brevitas cannot be imported ({problem}); a network of its layers needs "
            "it. Install axsim[import]."
        ) from problem


def _kinds() -> dict[type[nn.Module], type[WeightedLayer]]:
    """Brevitas's layers and the class that takes the place of each."""
    library = _library()
    pairs = ((getattr(library, f"Quant{kind.__name__}"), kind) for kind in SERVED)
    return {theirs: cast(Any, COUNTERPARTS[kind]) for theirs, kind in pairs}


@lru_cache(maxsize=64)
def _counterpart(theirs: type[nn.Module]) -> type[ImportedLayer]:
    """A class that quantises as `theirs` and multiplies as axsim's."""
    ours = _kinds()[theirs]
    made = new_class(f"Approx{theirs.__name__}", (ImportedLayer, ours, theirs))
    return cast("type[ImportedLayer]", made)


def _watch(
    net: nn.Module, kinds: dict[type[nn.Module], type[WeightedLayer]], sample: Tensor
) -> dict[str, Quant | str]:
    """The codes that reach each layer of Brevitas's, or why it cannot be served."""
    found: dict[str, Quant | str] = {}
    base = import_module("brevitas.nn.quant_layer").QuantWeightBiasInputOutputLayer
    handles: list[Any] = []
    for name, module in net.named_modules():
        if not isinstance(module, base):
            continue
        if type(module) not in kinds:
            found[name] = f"a {type(module).__name__} has no counterpart in axsim"
            continue
        found[name] = "the sample did not reach it"

        def look(layer: Any, inputs: tuple[Any, ...], name: str = name) -> None:
            found[name] = _quant_of(layer, inputs[0])

        handles.append(module.register_forward_pre_hook(look))
    with evaluating(net):
        net(sample)
    for handle in handles:
        handle.remove()
    return found


def _quant_of(layer: Any, given: Any) -> Quant | str:
    """The codes of a layer's operands for an input that it was given."""
    if getattr(layer, "is_same_padded_strided", False):
        return 'padding="same" with a stride is Brevitas\'s own'
    x = layer.input_quant(layer.unpack_input(given))
    activation = _scheme("input", x, 1)
    weight = _scheme("weight", layer.quant_weight(x), len(layer.weight))
    if isinstance(activation, str):
        return activation
    return weight if isinstance(weight, str) else Quant(activation, weight)


def _scheme(title: str, codes: Any, outputs: int) -> Scheme | str:
    """The scheme of a tensor of Brevitas, or why there is none."""
    if type(codes).__name__ != "IntQuantTensor":
        return f"its {title} has no integer codes"
    bits, scales = float(codes.bit_width), codes.scale.numel()
    if bits not in range(2, MAX_BITS + 1):
        return f"its {title} has codes of {bits:g} bits; axsim's have 2 to {MAX_BITS}"
    if scales not in (1, outputs):
        return f"its {title} has {scales} scales"
    granularity = PerAxis(0) if scales > 1 else PerTensor()
    return scheme_of(codes.zero_point, codes.signed, int(bits), granularity)


def _nothing_found(model: nn.Module, unreached: dict[str, str]) -> str:
    places = [f"{name!r}: {reason}" for name, reason in unreached.items()]
    return (
        f"{type(model).__name__} has no layer of Brevitas with integer codes"
        + (f" ({'; '.join(places[:4])})" if places else "")
        + ". Its layers need input_quant=, or an input with codes from a QuantIdentity "
        "or QuantReLU with return_quant_tensor=True; a float network goes to "
        "ax.approximate."
    )
