"""Batch-norm folding: y = g (Wx + b - m) / s + h is a layer with weight gW/s.

Accelerators see no batch norm: its scale and shift are part of the weights before
they become codes. One sample shows what follows what; folded are pairs where the
batch norm alone reads the layer's output, each runs once, and neither has hooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..errors import ConversionError
from .modes import evaluating

#: Layers and the batch norm whose channels are theirs.
FOLLOWERS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
    nn.ConvTranspose2d: nn.BatchNorm2d,
    nn.Linear: nn.BatchNorm1d,
}
NORMS = frozenset(FOLLOWERS.values())


@dataclass
class Flow:
    """What a forward pass shows of batch norms and the layers before them.

    Args:
        feeds: the layer whose output a batch norm read, by the batch norm's name.
        calls: how often each module ran.
        readers: how often each layer's output was read, as an output of the network
            too.
    """

    feeds: dict[str, str] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    readers: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Folded:
    """Which batch norms became part of the layer before.

    Args:
        pairs: layer and batch norm.
        kept: the other batch norms, each with the reason.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    kept: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        names = [norm for _, norm in self.pairs]
        shown = ", ".join(names[:4]) + (", …" if names[4:] else "")
        count = f"{len(names)} of {len(names) + len(self.kept)} batch norms"
        lines = [f"folded: {count}, {shown}"] if names else []
        lines += [f"batch norm kept: {name}, {reason}" for name, reason in self.kept]
        return "\n".join(lines)


def fold_batch_norms(net: nn.Module, sample: Tensor) -> Folded:
    """Folds batch norms into the layers before them, in place.

    The outputs in eval mode stay the same up to float rounding. In training the
    folded network has no batch norm.

    Args:
        net: a network of torch that nothing else uses.
        sample: an input of it.

    Raises:
        ConversionError: where nothing can be folded, with the reasons.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        >>> fold_batch_norms(net, torch.ones(1, 1, 3, 3)).pairs
        (('0', '1'),)
    """
    with evaluating(net):
        flow = _watch(net, sample)
    norms = [name for name, m in net.named_modules() if type(m) in NORMS]
    reasons = {name: _obstacle(net, flow, name) for name in norms}
    pairs = tuple((flow.feeds[norm], norm) for norm in norms if not reasons[norm])
    kept = tuple((norm, reason) for norm, reason in reasons.items() if reason)
    if not pairs:
        listed = "; ".join(f"{norm}: {reason}" for norm, reason in kept[:5])
        raise ConversionError(
            f"fold_batch_norm=True, but no batch norm of {type(net).__name__} can be "
            f"folded ({listed or 'it has none'}). Leave the option out."
        )
    for layer, norm in pairs:
        fold_pair(net, layer, norm)
    return Folded(pairs, kept)


def fold_pair(net: nn.Module, layer: str, norm: str) -> None:
    """Makes a batch norm part of a layer's weight and bias, in place."""
    module: Any = net.get_submodule(layer)
    bn: Any = net.get_submodule(norm)
    # In float64: one rounding, that of the folded weight.
    scale = (bn.running_var.double() + bn.eps).rsqrt()
    shift = -bn.running_mean.double()
    if module.bias is not None:
        shift = shift + module.bias.detach().double()
    if bn.weight is not None:
        scale = scale * bn.weight.detach().double()
    shift = shift * scale
    if bn.bias is not None:
        shift = shift + bn.bias.detach().double()
    weight = _scaled(module, scale)
    trained = module.weight.requires_grad
    kind = module.weight.dtype
    module.weight = nn.Parameter(weight.to(kind), requires_grad=trained)
    module.bias = nn.Parameter(shift.to(kind), requires_grad=trained)
    parent, _, last = norm.rpartition(".")
    setattr(net.get_submodule(parent), last, nn.Identity())


def _scaled(module: Any, scale: Tensor) -> Tensor:
    weight = module.weight.detach().double()
    if isinstance(module, nn.ConvTranspose2d):
        # (C, O/groups, kh, kw): the outputs of a group are the second dimension.
        grouped = weight.unflatten(0, (module.groups, -1))
        per_group = scale.view(module.groups, 1, -1, 1, 1)
        return (grouped * per_group).flatten(0, 1)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1))


def _obstacle(net: nn.Module, flow: Flow, norm: str) -> str:
    """Why a batch norm cannot be folded; nothing where it can."""
    bn: Any = net.get_submodule(norm)
    layer = flow.feeds.get(norm)
    if not flow.calls[norm]:
        return "the network does not use it"
    if flow.calls[norm] > 1:
        return "it is used several times"
    if layer is None:
        return "it does not follow the channels of a convolution or linear layer"
    module = net.get_submodule(layer)
    if FOLLOWERS[type(module)] is not type(bn):
        return f"it is a {type(bn).__name__} behind a {type(module).__name__}"
    if flow.calls[layer] > 1:
        return f"{layer} is used several times"
    if flow.readers[layer] > 1:
        return f"the output of {layer} is also used elsewhere"
    if bn.running_mean is None:
        return "it has no running statistics"
    if _is_watched(bn) or _is_watched(module):
        return f"it or {layer} has hooks"
    return ""


def _is_watched(module: nn.Module) -> bool:
    kept = vars(module)
    return bool(kept["_forward_hooks"] or kept["_forward_pre_hooks"])


def _watch(net: nn.Module, sample: Tensor) -> Flow:
    watch = _Readers(net)
    try:
        with watch:
            result = net(sample)
    finally:
        for handle in watch.handles:
            handle.remove()
    for each in _tensors(result):
        watch.read(each)
    return watch.flow


class _Readers(TorchDispatchMode):
    """Sees which operations read the outputs of the layers."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.flow = Flow()
        # Outputs are kept, or another tensor could get the identity of one.
        self.outputs: dict[int, tuple[str, Tensor]] = {}
        self.handles = [*self._attach(net)]

    def read(self, x: Tensor) -> None:
        """Notes that something reads a tensor."""
        if id(x) in self.outputs:
            self.flow.readers[self.outputs[id(x)][0]] += 1

    def _attach(self, net: nn.Module) -> Iterator[Any]:
        for name, module in net.named_modules():
            if type(module) not in FOLLOWERS and type(module) not in NORMS:
                continue

            def note(m: nn.Module, given: Any, y: Tensor, name: str = name) -> None:
                self.flow.calls[name] += 1
                # Of single samples and of tokens the channels lie elsewhere.
                if type(m) in FOLLOWERS and y.dim() == m.weight.dim():  # pyright: ignore[reportCallIssue]
                    self.outputs[id(y)] = name, y
                elif given and id(given[0]) in self.outputs:
                    self.flow.feeds[name] = self.outputs[id(given[0])][0]

            yield module.register_forward_hook(note)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        for each in _tensors((args, kwargs)):
            self.read(each)
        return func(*args, **(kwargs or {}))


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested containers, once for each place."""
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))
