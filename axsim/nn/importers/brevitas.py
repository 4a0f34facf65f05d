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
from ..convert import COUNTERPARTS, convertible
from ..layer import WeightedLayer
from ..modes import evaluating
from ..product import Operand
from ..spec import LayerSpec, Product, Quant
from .imported import Rules, attach_plan, products_for, scheme_of

Network = TypeVar("Network", bound=nn.Module)


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
    """
    layers = _library()
    net = copy.deepcopy(model)
    found = _watch(net, layers, sample)
    quants = {name: quant for name, quant in found.items() if isinstance(quant, Quant)}
    unreached = {name: reason for name, reason in found.items() if isinstance(reason, str)}
    if not quants:
        raise ConversionError(_nothing_found(model, unreached))
    kinds = {
        name: COUNTERPARTS[_torch_kind(net.get_submodule(name))].kind for name in quants
    }
    products = products_for(rules, kinds)
    for name, product in products.items():
        _adopt(net.get_submodule(name), quants[name], product, name)
    left = [name for name in quants if name not in products]
    unreached |= dict.fromkeys(left, "quantised, but no rule gives it a multiplier")
    attach_plan(net, dict(convertible(net, converted=True)), unreached, sample)
    return net
