"""The front door: a network by name."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from ...errors import ModelError, close_names
from ..options import unknown_options
from .external import build_external

Factory = Callable[..., nn.Module]


def build_network(name: str, **options: Any) -> nn.Module:
    """A freshly initialised network.

    Args:
        name: one of `networks()`, or `"torchvision:NAME"`, `"timm:NAME"` (both need
            axsim[vision]), or `"module:factory"` for a function of your own.
        options: what the network's function takes, such as `classes` or `channels`.

    Raises:
        ModelError: where name or option is not known, with close names.
        BackendError: where torchvision or timm is needed and not installed.

    Example:
        >>> build_network("cifar_resnet20", classes=100).head
        Linear(in_features=64, out_features=100, bias=True)
    """
    if ":" in name:
        return build_external(name, options)
    known = _networks()
    if name not in known:
        raise ModelError(
            f"there is no network {name!r}. Known are {', '.join(known)}; and "
            "'torchvision:NAME', 'timm:NAME' or 'module:factory'."
            f"{close_names(name, known)}"
        )
    unknown = unknown_options(known[name], options)
    if unknown:
        raise ModelError(f"{name!r} {unknown}")
    return known[name](**options)


def networks() -> list[str]:
    """The names of axsim's own networks.

    Example:
        >>> "digits_resnet" in networks()
        True
    """
    return list(_networks())


@cache
def _networks() -> dict[str, Factory]:
    package = __name__.rpartition(".")[0]
    files = pkgutil.iter_modules([str(Path(__file__).parent)])
    families = (import_module(f"{package}.{file.name}") for file in files)
    found: dict[str, Factory] = {}
    for family in families:
        found |= getattr(family, "NETWORKS", {})
    return found
