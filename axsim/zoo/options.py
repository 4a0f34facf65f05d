"""Checking the options that are handed through a front door by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

from ..errors import close_names


def unknown_options(function: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """What is wrong with the options given to a function, or nothing.

    Example:
        >>> unknown_options(lambda *, width=8: width, {"widht": 4})
        "does not know the option 'widht'; it has width. Close names: 'width'."
    """
    # An option can be left out; a path or a split cannot.
    known = {
        name: parameter.annotation
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }
    for name, value in given.items():
        if name not in known:
            has = ", ".join(known) or "none"
            return (
                f"does not know the option {name!r}; it has {has}."
                f"{close_names(name, known)}"
            )
        if known[name] in (int, "int") and not isinstance(value, Integral):
            return f"has {name}={value!r}; it is a whole number."
    return ""
