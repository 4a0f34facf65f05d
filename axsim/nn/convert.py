"""Conversion: a copy of a network whose layers follow a recipe."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..console import progress
from ..errors import CalibrationError, ConversionError
from ..memory.saved import Saved
from ..memory.store import Store
from ..quant.processes import synchronise
from .attention import ApproxMultiheadAttention
from .conv import ApproxConv1d, ApproxConv2d, ApproxConv3d
from .fitting import fitting
from .fold import Folded, fold_batch_norms
from .gates import gates_of
from .layer import ApproxLayer
from .linear import ApproxLinear
from .modes import evaluating
from .plan import ATTRIBUTE, Plan, probe
from .recipe import Answers, Recipe, recipe, resolve
from .saved.kinds import SAVING
from .saved.network import keep_rest, own_policies, policies_of, saved_answers
from .site import Site
from .spec import LayerSpec, Rule, Untouched
from .transposed import ApproxConvTranspose2d

Network = TypeVar("Network", bound=nn.Module)

#: Layers of torch and what stands for them; subclasses may compute something else.
COUNTERPARTS: dict[type[nn.Module], type[ApproxLayer]] = {
    nn.Conv1d: ApproxConv1d,
    nn.Conv2d: ApproxConv2d,
    nn.Conv3d: ApproxConv3d,
    nn.ConvTranspose2d: ApproxConvTranspose2d,
    nn.Linear: ApproxLinear,
    nn.MultiheadAttention: ApproxMultiheadAttention,
    **SAVING,
}


def approximate(
    model: Network,
    rules: Recipe | Iterable[Rule] | Answers,
    *,
    calibration: Iterable[Any] | None = None,
    fold_batch_norm: bool = False,
) -> Network:
    """A copy of a network whose layers compute as the rules say; `model` is untouched.

    Weights, buffers, hooks, device, dtype, train flags and shared modules are kept.

    Args:
        model: any network of torch.
        rules: a multiplier for all layers, a spec, a list of `Rule`, or a recipe.
        calibration: batches of inputs, or of (input, ...) as data loaders give them,
            from which ranges of activations are taken. Not needed where all ranges
            are dynamic. Processes of a group must all convert: each brings its
            own batches, and all get the ranges of all.
        fold_batch_norm: make batch norms part of the layers before them, where they
            alone read what those compute, as accelerators do for inference. Needs a
            batch; `summary` lists what was folded.

    Raises:
        ConversionError: where rules and network do not fit each other, nothing can
            be folded, or `model` is no network.
        CalibrationError: where ranges cannot be measured.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> net = approximate(nn.Sequential(nn.Linear(4, 2)), exact,
        ...                   calibration=[torch.ones(1, 4)])
        >>> type(net[0]).__name__
        'ApproxLinear'
    """
    _check(model, calibration)
    answers = _answers(model, recipe(rules))
    saved = saved_answers(answers)
    store = Store(swap=any(answer.swap for answer in saved))
    net = copy.deepcopy(model)
    folded = Folded()
    if fold_batch_norm:
        sample, calibration = _first(calibration, net)
        folded = fold_batch_norms(net, sample)
    for _, norm in folded.pairs:
        answers.pop(norm, None)
    for name, spec in answers.items():
        _convert(net.get_submodule(name), name, spec, store)
    _disable_fast_paths(net)
    sample = calibrate(net, calibration)
    exact = dict(left_exact(net))
    found = Plan(exact=tuple(exact)) if sample is None else probe(net, exact, sample)
    keep_rest(net, saved, store)
    found.store, found.policies = store, policies_of(saved)
    found.folded, found.gates = folded, gates_of(net)
    found.reset_gates()
    setattr(net, ATTRIBUTE, found)
    return net


def _check(model: Any, calibration: Any) -> None:
    """Refuses what is no network, and single samples for batches."""
    if not isinstance(model, nn.Module):
        kind = "a class" if isinstance(model, type) else f"a {type(model).__name__}"
        raise ConversionError(f"model is {kind}; give a network, an nn.Module object.")
    if isinstance(calibration, Tensor | Dataset):
        raise CalibrationError(
            f"calibration is a {type(calibration).__name__}, which gives single "
            "samples; give batches: a list of tensors, a data loader, or "
            "ax.calibration_images(data, 512)."
        )


def _answers(model: nn.Module, rules: Recipe) -> dict[str, LayerSpec]:
    """The answers for each layer of a network."""
    kinds = {name: COUNTERPARTS[type(m)] for name, m in convertible(model)}
    if not kinds:
        raise ConversionError(
            f"{type(model).__name__} has no layer that can be approximated: no "
            f"{', '.join(kind.__name__ for kind in COUNTERPARTS)}. Functional calls "
            "cannot be reached; write them as modules."
        )
    questions = {name: kind.questions for name, kind in kinds.items()}
    words = {name: kind.kind for name, kind in kinds.items()}
    return own_policies(resolve(rules, questions, words))


def _convert(module: nn.Module, name: str, spec: LayerSpec, store: Store) -> None:
    """Exchanges the class of a layer, where an answer is more than "untouched"."""
    if all(isinstance(answer, Untouched) for answer in spec.answers().values()):
        return
    # The class alone changes: everything attached to the module stays attached.
    module.__class__ = COUNTERPARTS[type(module)]
    adopted: ApproxLayer = module  # pyright: ignore[reportAssignmentType]
    adopted.adopt(spec, name)
    if isinstance(spec.saved, Saved):
        adopted.remember(spec.saved, store, name)


def _first(
    batches: Iterable[Any] | None, net: nn.Module
) -> tuple[Tensor, Iterable[Any]]:
    """One sample, and the batches as if none had been taken."""
    rest = iter(batches or ())
    for batch in rest:
        return _input(batch, net)[:1], itertools.chain([batch], rest)
    raise ConversionError(
        "fold_batch_norm=True needs calibration=batches: a sample shows which batch "
        "norm follows which layer."
    )


def _disable_fast_paths(net: nn.Module) -> None:
    """Keeps torch from computing a whole encoder layer past its approximate parts."""
    for module in net.modules():
        if not any(isinstance(m, ApproxLayer) for m in module.modules()):
            continue
        if isinstance(module, nn.TransformerEncoderLayer):
            # What torch itself sets for an activation that the fast path lacks.
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False


def left_exact(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers whose products stay real numbers."""
    for name, module in net.named_modules():
        kind = COUNTERPARTS.get(type(module))
        if isinstance(module, ApproxLayer):
            kind = None if module.spec.on_codes else type(module)
        if kind and "multiplier" in kind.questions:
            yield name, module


def convertible(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Dotted names of the layers that can be approximated; a shared one appears once.

    Raises:
        ConversionError: where the network is converted already.
    """
    for name, module in model.named_modules():
        if isinstance(module, ApproxLayer):
            raise ConversionError(
                f"{name!r} is approximate already. Convert the original network; "
                "recipes are united with |."
            )
        if type(module) in COUNTERPARTS:
            yield name, module


def calibrate(net: nn.Module, batches: Iterable[Any] | None) -> Tensor | None:
    """Takes the ranges of activations from batches that the exact network processes.

    Returns:
        One sample of the first batch; None without batches.

    Raises:
        CalibrationError: without batches, where a range is needed.
    """
    sites = [module for module in net.modules() if isinstance(module, Site)]
    waiting = [quantizer for site in sites for quantizer in site.waiting]
    if batches is None:
        return None
    sample: Tensor | None = None
    for quantizer in waiting:
        quantizer.calibrate()
    with evaluating(net):
        for batch in progress(batches, "calibrating"):
            x = _input(batch, net)
            sample = x[:1] if sample is None else sample
            with fitting(net, x):
                net(x)
    if sample is None:
        raise CalibrationError("calibration: no batches came; give at least one.")
    if dist.is_available() and dist.is_initialized():
        synchronise(waiting)
    for quantizer in waiting:
        quantizer.freeze()
    return sample


def _input(batch: Any, net: nn.Module) -> Tensor:
    """The input of a batch as loaders give it, on the network's device."""
    x = batch[0] if isinstance(batch, list | tuple) and batch else batch
    if not isinstance(x, Tensor):
        raise CalibrationError(
            f"calibration: a batch is a {type(batch).__name__}; give tensors, or "
            "(tensor, ...) as data loaders do."
        )
    parameter = next(net.parameters(), None)
    return x if parameter is None else x.to(parameter.device)
