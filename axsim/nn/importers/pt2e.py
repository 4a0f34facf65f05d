"""Graphs that PyTorch's export quantisation (PT2E, torchao) produced."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, fx, nn

from ...errors import ConversionError
from ...quant.codes import Codes, raw_codes
from ...quant.scheme import PerAxis, PerTensor, Scheme
from ..convert import COUNTERPARTS
from ..layer import WeightedLayer
from ..plan import ATTRIBUTE
from ..spec import LayerSpec, Product, Quant
from .imported import Rules, attach_plan, products_for, scheme_of

# Operators are told by name: the library that registers them moved once already.
LAYERS: dict[str, type[nn.Module]] = {
    "aten.linear.default": nn.Linear,
    "aten.conv1d.default": nn.Conv1d,
    "aten.conv2d.default": nn.Conv2d,
    "aten.conv3d.default": nn.Conv3d,
    "aten.conv1d.padding": nn.Conv1d,
    "aten.conv2d.padding": nn.Conv2d,
    "aten.conv3d.padding": nn.Conv3d,
}
OTHER_PRODUCTS = frozenset(
    {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution", "mm",
     "addmm", "bmm", "baddbmm", "matmul", "scaled_dot_product_attention", "einsum"}
)  # fmt: skip
SIGNED = {torch.uint8: False, torch.int8: True}
PER_TENSOR = ("scale", "zero_point")


class Params(NamedTuple):
    """What codes stand for."""

    scale: Tensor
    zero_point: Tensor
    scheme: Scheme


@dataclass(frozen=True)
class Match:
    """One quantised layer of a graph.

    Args:
        node: of the convolution or linear operation.
        activation: what the codes of its input are.
        weight: the weight's codes.
        bias: real numbers, None for none.
    """

    node: fx.Node
    activation: Params
    weight: Codes
    bias: Tensor | None

    @property
    def kind(self) -> type[nn.Module]:
        """The layer of torch that computes the operation."""
        return LAYERS[str(self.node.target)]


class ImportedGraph(fx.GraphModule):
    """A graph whose copies keep the plan; torch's copies keep named attributes only."""

    def __deepcopy__(self, memo: dict[int, Any]) -> fx.GraphModule:
        copied = super().__deepcopy__(memo)
        setattr(copied, ATTRIBUTE, copy.deepcopy(getattr(self, ATTRIBUTE)))
        return copied


def from_pt2e(
    model: fx.GraphModule, rules: Rules, *, sample: Tensor | None = None
) -> fx.GraphModule:
    """A copy of a network quantised by PT2E, with its layers on a multiplier.

    Scales, zero points, weight codes and biases are the network's own, so nothing is
    calibrated; on the exact table its layers sum the same integers. What lies between
    them stays as it is. Products that are not formed on a table are listed by
    `ax.summary`.

    Args:
        model: what torchao's `convert_pt2e` returned; it is untouched.
        rules: a multiplier for all layers, a list of `Rule`, or a recipe. The codes
            usually are uint8 x int8, for which an unsigned table needs
            `Product(mul, signs=...)`.
        sample: a batch of inputs, from which the summary's products are counted.

    Raises:
        ConversionError: where the model is not quantised, or does not fit the rules.

    Example:
        >>> prepared = prepare_pt2e(exported, X86InductorQuantizer())  # doctest: +SKIP
        >>> prepared(images)  # doctest: +SKIP
        >>> mul = ax.Product(ax.load_multiplier("mul8u_trunc_6"), signs="shift")
        >>> net = from_pt2e(convert_pt2e(prepared), mul)  # doctest: +SKIP
    """
    graph = _copied(_checked(model).graph)
    found = {name: _match(node, model) for name, node in _named_products(graph)}
    matches = {name: m for name, m in found.items() if isinstance(m, Match)}
    unreached = {name: m for name, m in found.items() if isinstance(m, str)}
    if not matches:
        raise ConversionError(_nothing_found(unreached))
    kinds = {name: COUNTERPARTS[match.kind].kind for name, match in matches.items()}
    layers: dict[str, nn.Module] = {}
    for name, product in products_for(rules, kinds).items():
        layers[name] = _build(name, matches[name], product)
        _replace(graph, name, matches[name])
    left = [name for name in matches if name not in layers]
    unreached |= dict.fromkeys(left, "quantised, but no rule gives it a multiplier")
    net = _assemble(model, graph, layers)
    attach_plan(net, {}, unreached, sample, complete=True)
    return net


def _checked(model: fx.GraphModule) -> fx.GraphModule:
    if isinstance(model, fx.GraphModule):  # pyright: ignore[reportUnnecessaryIsInstance]
        return model
    raise ConversionError(
        f"model is a {type(model).__name__}; give the graph that torchao's "
        "convert_pt2e returned, or of a saved one torch.export.load(file).module()."
    )


def _copied(graph: fx.Graph) -> fx.Graph:
    """A copy of the nodes; what tells how inputs are given is shared."""
    copied = fx.Graph()
    copied.output(copied.graph_copy(graph, {}))
    copied.set_codegen(graph._codegen)  # pyright: ignore[reportPrivateUsage]
    return copied


def _nothing_found(unreached: dict[str, str]) -> str:
    places = [f"{name!r}: {reason}" for name, reason in unreached.items()]
    return (
        "model has no quantised layer"
        + (f" ({'; '.join(places[:4])})" if places else "")
        + ". Quantise it with torchao's prepare_pt2e, some batches, and convert_pt2e; "
        "a float network goes to ax.approximate."
    )


def _named_products(graph: fx.Graph) -> Iterator[tuple[str, fx.Node]]:
    """Every operation that forms products, named by the module it came from."""
    known: Counter[str] = Counter()
    for node in graph.nodes:
        packet = str(node.target).split(".")[-2:-1]
        if node.op != "call_function" or not (
            str(node.target) in LAYERS or OTHER_PRODUCTS.intersection(packet)
        ):
            continue
        modules = [*(node.meta.get("nn_module_stack") or {}).values()]
        name = (modules[-1][0] if modules else "") or node.name
        known[name] += 1
        yield (name if known[name] == 1 else f"{name}_{known[name]}"), node


def _match(node: fx.Node, model: fx.GraphModule) -> Match | str:
    """The quantised layer at an operation, or why it is none."""
    if str(node.target) not in LAYERS:
        return f"{node.target} has no counterpart among axsim's layers"
    given = _arguments(node)
    x, w, bias = (given[name] for name in ("input", "weight", "bias"))
    for title, value in (("input", x), ("weight", w)):
        if not (isinstance(value, fx.Node) and _is(value, "dequantize")):
            return f"its {title} has no codes"
    if not _is_constant(w) or not (bias is None or _is_constant(bias)):
        return "its weight or bias is computed in the graph"
    if not all(_is_constant(value) for value in x.args[1:]):
        return "the range of its input is taken from every batch"
    activation, weight = (_params(dequantise, model) for dequantise in (x, w))
    for params in (activation, weight):
        if isinstance(params, str):
            return params
    activation, weight = cast(tuple[Params, Params], (activation, weight))
    if activation.scheme.axis is not None:
        return "its input has more than one scale"
    raw = raw_codes(_constant(w.args[0], model), weight.scheme)
    biases = None if bias is None else _constant(bias, model)
    return Match(node, activation, Codes(raw, *weight), biases)


def _params(dequantise: fx.Node, model: fx.GraphModule) -> Params | str:
    """Scale, zero point and scheme that a dequantising operation names."""
    given = _arguments(dequantise)
    signed = SIGNED.get(given["dtype"])
    if signed is None:
        return f"its codes are {given['dtype']}; axsim's have 8 bits or fewer"
    if given.get("axis"):
        return f"its scales lie along dimension {given['axis']}, not the outputs"
    per_channel = "axis" in given
    scale, zero_point = (
        torch.as_tensor(_constant(given[name], model))
        for name in (("scales", "zero_points") if per_channel else PER_TENSOR)
    )
    limits = int(given["quant_min"]), int(given["quant_max"])
    granularity = PerAxis(0) if per_channel else PerTensor()
    scheme = scheme_of(zero_point, signed, 8, granularity, limits)
    return Params(scale.float(), zero_point.int(), scheme)


def _real(dequantise: fx.Node) -> fx.Node:
    """The real numbers before their codes; the layer encodes them just as well."""
    codes = dequantise.args[0]
    if (
        isinstance(codes, fx.Node)
        and _is(codes, "quantize")
        and codes.args[1:] == dequantise.args[1 : len(codes.args)]
    ):
        return cast(fx.Node, codes.args[0])
    return dequantise


def _is(node: fx.Node, word: str) -> bool:
    """Whether a node quantises or dequantises."""
    return str(node.target).startswith(f"quantized_decomposed.{word}_per_")


def _arguments(node: fx.Node) -> dict[str, Any]:
    """Arguments of an operation by the names of its schema."""
    schema = node.target._schema.arguments  # pyright: ignore[reportFunctionMemberAccess, reportAttributeAccessIssue]
    given = {argument.name: argument.default_value for argument in schema}
    names = [argument.name for argument in schema]
    return given | dict(zip(names, node.args, strict=False)) | node.kwargs


def _is_constant(value: Any) -> bool:
    """Whether a value depends on nothing but what the model holds."""
    if not isinstance(value, fx.Node) or value.op == "get_attr":
        return True
    return value.op == "call_function" and all(map(_is_constant, value.args))


def _constant(value: Any, model: fx.GraphModule) -> Any:
    """The constant that a node stands for."""
    if not isinstance(value, fx.Node):
        return value
    if value.op == "get_attr":
        return attrgetter(str(value.target))(model).detach()
    operation = cast(Callable[..., Any], value.target)
    return operation(*(_constant(a, model) for a in value.args), **value.kwargs)


def _build(name: str, match: Match, product: Product) -> nn.Module:
    """The approximate layer with the match's codes, ranges and bias."""
    layer = _empty_layer(match)
    layer.weight = nn.Parameter(match.weight.values())
    if match.bias is not None:
        layer.bias = nn.Parameter(match.bias.clone())
    # The class alone changes, as in conversion.
    layer.__class__ = COUNTERPARTS[match.kind]
    adopted = cast(WeightedLayer, layer)
    quant = Quant(match.activation.scheme, match.weight.scheme)
    adopted.adopt(LayerSpec(quant, product), name)
    if adopted.site is not None:
        adopted.site.fix(match.activation[:2], match.weight[1:3])
    return layer


def _empty_layer(match: Match) -> nn.Module:
    """A layer of torch with the settings of an operation and no weights."""
    shape, given = match.weight.raw.shape, _arguments(match.node)
    settings: dict[str, Any] = {"bias": match.bias is not None, "device": "meta"}
    if match.kind is nn.Linear:
        return nn.Linear(shape[1], shape[0], **settings)
    for name in ("stride", "padding", "dilation"):
        value = given[name]
        single = isinstance(value, list | tuple) and len(value) == 1
        settings[name] = value[0] if single else value
    groups = given["groups"]
    return match.kind(
        shape[1] * groups, shape[0], tuple(shape[2:]), groups=groups, **settings
    )


def _replace(graph: fx.Graph, name: str, match: Match) -> None:
    """Puts a layer where its operation was."""
    # Looked up only now: an input may be the output of a layer replaced before.
    x = _real(cast(fx.Node, _arguments(match.node)["input"]))
    with graph.inserting_before(match.node):
        call = graph.call_module(name, (x,))
    call.meta = dict(match.node.meta)
    match.node.replace_all_uses_with(call)
    _erase_unused(graph, match.node)


def _erase_unused(graph: fx.Graph, node: fx.Node) -> None:
    if node.users or node.op == "placeholder":
        return
    inputs = node.all_input_nodes
    graph.erase_node(node)
    for before in inputs:
        _erase_unused(graph, before)


def _assemble(
    model: fx.GraphModule, graph: fx.Graph, layers: dict[str, nn.Module]
) -> fx.GraphModule:
    """A module of a graph, its layers, and copies of what else it names."""
    targets = {
        str(n.target) for n in graph.nodes if n.op in ("get_attr", "call_module")
    }
    kept = {t: copy.deepcopy(attrgetter(t)(model)) for t in targets.difference(layers)}
    return ImportedGraph({**kept, **layers}, graph).eval()
