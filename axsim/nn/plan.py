"""What is known of a converted network: its products, and what was left exact."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import AxsimWarning, ConversionError
from ..gating.meter import Counts
from ..gating.report import GateReport
from ..gating.unit import GateUnit
from ..memory.policy import Policy
from ..memory.store import Store
from ..tables.cost import Cost
from .cost import Energy, energy_of
from .fold import Folded
from .gates import gate_line, gated_costs
from .layer import ApproxLayer
from .modes import evaluating
from .saved.measuring import is_due, measure
from .site import Site

ATTRIBUTE = "axsim_plan"
# Operations of torch that form products; what they are called in its dispatcher.
PRODUCTS = frozenset(
    {"mm", "addmm", "bmm", "baddbmm", "addbmm", "convolution", "conv_tbc", "mv",
     "addmv", "dot", "vdot", "addr", "_trilinear", "_sparse_addmm",
     "mkldnn_rnn_layer", "_cudnn_rnn", "miopen_rnn"}
)  # fmt: skip


@dataclass
class Plan:
    """The handle to a converted network.

    Args:
        products: products for one sample, by layer; of sites by their dotted names.
        exact: layers that could be approximated and were left exact.
        unreached: functional calls that form products outside of any layer, as
            "module: operation".
        costs: of one product at each site whose circuit has one.
        folded: batch norms that became part of the layer before.
        gates: what decides which products are formed, by layer.
        store: keeps what layers save for the backward pass, and accounts for it.
        policies: that choose the bits of it.
        saved_bits: bits an element that the last step of training kept in the store;
            None where it kept nothing there.
        imported: whether an importer made the network; no recipe makes it again.
    """

    products: dict[str, int] = field(default_factory=dict)
    exact: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    costs: dict[str, Cost | None] = field(default_factory=dict)
    folded: Folded = field(default_factory=Folded)
    gates: dict[str, GateUnit] = field(default_factory=dict)
    store: Store = field(default_factory=Store, compare=False)
    policies: tuple[Policy, ...] = ()
    saved_bits: float | None = field(default=None, compare=False)
    imported: bool = False

    def __repr__(self) -> str:
        gated = f", {len(self.gates)} gated" if self.gates else ""
        exact = f"{len(self.exact)} of them exact"
        return (
            f"<Plan: {len(self.products)} layers{gated}, {exact}; ax.summary(net) "
            "lists them>"
        )

    @property
    def energy(self) -> Energy:
        """Energy of one sample; nothing where no sample was run.

        Gated layers count as far as their gates were open since `reset_gates`.
        """
        return energy_of(self.products, gated_costs(self.gates, self.costs))

    def penalty(self) -> Tensor:
        """What is added to the loss of training: the gate loss of all layers."""
        losses = [unit.penalty() for unit in self.gates.values()]
        return sum((loss for loss in losses if loss is not None), torch.zeros(()))

    def after_step(self) -> None:
        """Tells policies and store that the weights were updated."""
        for policy in self.policies:
            policy.end_step()
        self.store.end_step()
        if lines := self.store.ledger.lines:
            elements = sum(line.elements for line in lines)
            self.saved_bits = 8 * sum(line.kept for line in lines) / max(1, elements)

    def state_dict(self) -> dict[str, Tensor]:
        """What an interrupted run needs beside the weights, as bytes in a tensor.

        Policies remember what they saw, the store how many random keys it has given,
        gates what they counted in all processes, all of which must then call this.
        """
        state = {
            "policies": [policy.state_dict() for policy in self.policies],
            "drawn": self.store.stream.drawn,
            "saved_bits": self.saved_bits,
            "gates": [[*unit.meter.read(True)] for unit in self.gates.values()],
        }
        buffer = BytesIO()
        torch.save(state, buffer)
        return {"state": torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes over what `state_dict` gave; nothing but values is read."""
        buffer = BytesIO(bytes(state["state"].tolist()))
        saved = torch.load(buffer, weights_only=True)
        self.store.stream.drawn = saved["drawn"]
        self.saved_bits = saved["saved_bits"]
        for policy, each in zip(self.policies, saved["policies"], strict=True):
            policy.load_state_dict(each)
        for unit, counts in zip(self.gates.values(), saved["gates"], strict=True):
            unit.meter.set(Counts(*counts))

    def begin_step(self, indices: Tensor) -> None:
        """Tells the policies which samples of the data set the next batch has.

        Args:
            indices: int64[N].
        """
        for policy in self.policies:
            policy.begin_step(indices)

    @property
    def due(self) -> bool:
        """Whether a policy asks for `measure` before the next step."""
        return is_due(self.policies)

    def measure(self, net: nn.Module, loss: Callable[[], Tensor]) -> dict[str, float]:
        """Lets policies measure what a bit of every saved tensor is worth (GACT).

        Args:
            net: the network.
            loss: of one batch, anew each time; called twice for every tensor. No
                gradient, running statistic or random number is different afterwards.

        Returns:
            The variance of gradients that each slot causes at one bit.
        """
        return measure(net, self.policies, loss)

    def gate_report(self, all_processes: bool = False) -> GateReport:
        """What the gates counted since `reset_gates`, and what that saves.

        Args:
            all_processes: sum the counts over the processes that train together, all
                of which must then call this.
        """
        lines = (
            gate_line(name, unit, self.products, all_processes)
            for name, unit in self.gates.items()
        )
        return GateReport(tuple(lines), sum(self.products.values()))

    def figures(self, all_processes: bool = False) -> dict[str, float]:
        """What a training loop shows beside the loss, by name.

        The sparsity of the gates since `reset_gates`, where there are gates; the bits
        an element that the last step kept for its backward pass, where codes are kept.

        Args:
            all_processes: count the gates of all, as `gate_report` does.
        """
        shown: dict[str, float] = {}
        if self.gates:
            shown["sparsity"] = self.gate_report(all_processes).sparsity
        if self.saved_bits is not None:
            shown["saved_bits"] = self.saved_bits
        return shown

    def reset_gates(self) -> None:
        """Lets all gates count anew."""
        for unit in self.gates.values():
            unit.meter.reset()


def plan(net: nn.Module) -> Plan:
    """The handle to a network that `approximate` returned.

    Raises:
        ConversionError: for another network.
    """
    found = getattr(net, ATTRIBUTE, None)
    if not isinstance(found, Plan):
        raise ConversionError(
            f"{type(net).__name__} was not returned by ax.approximate; give what it "
            "returned, not a part or a wrapper of it."
        )
    return found


def probe(net: nn.Module, exact: dict[str, nn.Module], x: Tensor) -> Plan:
    """Runs one sample through a converted network and notes where products are formed.

    Args:
        net: the converted network.
        exact: the layers left exact, by name.
        x: one sample.
    """
    sites = {name: m for name, m in net.named_modules() if isinstance(m, Site)}
    watch = _Watch(net, exact)
    for site in sites.values():
        site.counted, site.lossy = 0, False
    try:
        with evaluating(net), watch:
            net(x)
        counted = {name: site.counted or 0 for name, site in sites.items()}
    finally:
        for site in sites.values():
            site.counted = None
        watch.remove()
    _warn_of_signs([site.name for site in sites.values() if site.lossy])
    products = {**counted, **watch.products}
    return Plan(products, tuple(exact), tuple(watch.unreached), site_costs(net))


def _warn_of_signs(names: list[str]) -> None:
    if not names:
        return
    shown = ", ".join(map(repr, names[:3])) + (", …" if names[3:] else "")
    warnings.warn(
        f"values below 0 met codes without a sign or a zero point, and became 0, in "
        f"{len(names)} places: {shown}. Answer quant=Quant(Scheme(bits, signed=True, "
        "symmetric=True)) there, or leave these layers out with a rule.",
        AxsimWarning,
        stacklevel=4,
    )


def site_costs(net: nn.Module) -> dict[str, Cost | None]:
    """What one product costs, by site."""
    return {
        name: module.product.table.cost
        for name, module in net.named_modules()
        if isinstance(module, Site)
    }


class _Watch(TorchDispatchMode):
    """Sees every operation, and in which module it happens."""

    def __init__(self, net: nn.Module, exact: dict[str, nn.Module]) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.quiet = 0
        self.products = dict.fromkeys(exact, 0)
        self.unreached: dict[str, None] = {}
        self.handles = [*self._follow(net, exact)]

    def remove(self) -> None:
        """Takes the hooks off again."""
        for handle in self.handles:
            handle.remove()

    def _follow(self, net: nn.Module, exact: dict[str, nn.Module]) -> Iterator[Any]:
        known = {id(module) for module in exact.values()}
        for name, module in net.named_modules():
            # Layers that have no answer about products form theirs as torch does.
            answers = isinstance(module, ApproxLayer) and (
                "multiplier" in module.questions
            )
            quiet = answers or id(module) in known

            def enter(
                _: nn.Module, __: Any, name: str = name, quiet: bool = quiet
            ) -> None:
                self.inside.append(name)
                self.quiet += quiet

            def leave(_: nn.Module, __: Any, ___: Any, quiet: bool = quiet) -> None:
                self.inside.pop()
                self.quiet -= quiet

            yield module.register_forward_pre_hook(enter)
            yield module.register_forward_hook(leave)
        for name, module in exact.items():

            def count(
                m: nn.Module, args: Any, kwargs: Any, y: Any, name: str = name
            ) -> None:
                self.products[name] += _products_of(m, args, kwargs, y)

            yield module.register_forward_hook(count, with_kwargs=True)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        operation = func.overloadpacket.__name__
        formed = operation in PRODUCTS or "attention" in operation
        if formed and not self.quiet:
            where = (
                self.inside[-1] if self.inside and self.inside[-1] else "the network"
            )
            self.unreached[f"{where}: {operation}"] = None
        return func(*args, **(kwargs or {}))


def _products_of(layer: nn.Module, args: Any, kwargs: Any, y: Any) -> int:
    """What a layer of torch's forms in one call."""
    if isinstance(layer, nn.MultiheadAttention):
        given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
        tokens = given["query"], given["key"], given["value"]
        return _products_of_attention(layer, *tokens)
    weight: Any = layer.weight
    # A transposed convolution spreads each input over a kernel of outputs.
    if getattr(layer, "transposed", False):
        y = args[0] if args else kwargs["input"]
    return y.numel() * weight[0].numel()


def _products_of_attention(
    layer: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor
) -> int:
    """Those of four projections, of the scores and of the mixture."""
    width = layer.embed_dim
    queries, keys = query[..., 0].numel(), key[..., 0].numel()
    batch = 1 if query.dim() == 2 else query.shape[0 if layer.batch_first else 1]
    met = keys // batch + (layer.bias_k is not None) + layer.add_zero_attn
    projected = 2 * query.numel() + key.numel() + value.numel()
    return width * (projected + 2 * queries * met)
