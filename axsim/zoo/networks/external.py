"""Networks of others: torchvision's, timm's, and functions of the user."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import nn

from ...errors import BackendError, ModelError, close_names


def build_external(name: str, options: Mapping[str, Any]) -> nn.Module:
    """A network by `"torchvision:NAME"`, `"timm:NAME"` or `"module:factory"`.

    The factory of a module is code of that module, and is run with the options.
    """
    source, _, member = name.partition(":")
    if source == "torchvision":
        models: Any = _import_vision("torchvision.models")
        _check_known(name, member, models.list_models())
        return models.get_model(member, **options)
    if source == "timm":
        timm: Any = _import_vision("timm")
        _check_known(name, member.partition(".")[0], timm.list_models())
        return timm.create_model(member, **options)
    return _call_factory(name, source, member, options)


def _import_vision(module: str) -> ModuleType:
    try:
        return import_module(module)
    # A torchvision built for another torch fails with a RuntimeError.
    except (ImportError, RuntimeError) as problem:
        raise BackendError(
            f"{module} does not import ({problem}). Install axsim[vision] (CPU builds "
            "come from pytorch.org's own index), or use one of axsim's networks."
        ) from problem


def _check_known(name: str, member: str, known: list[str]) -> None:
    if member not in known:
        source = name.partition(":")[0]
        raise ModelError(
            f"{source} has no model {member!r}; it has {len(known)}, listed by its "
            f"list_models().{close_names(member, known)}"
        )


def _call_factory(
    name: str, source: str, member: str, options: Mapping[str, Any]
) -> nn.Module:
    try:
        module = import_module(source)
    except (ImportError, ValueError) as problem:
        raise ModelError(
            f"{name!r}: module {source!r} does not import ({problem}). Its folder must "
            "be on PYTHONPATH."
        ) from problem
    factory = getattr(module, member, None)
    if not callable(factory):
        raise ModelError(
            f"{name!r}: {source!r} has no function {member!r}."
            f"{close_names(member, vars(module))}"
        )
    network = factory(**options)
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"{name!r} returned a {type(network).__name__}; a nn.Module is needed."
        )
    return network
