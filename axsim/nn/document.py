"""Answers as readable data: objects of axsim's own answer classes to JSON and back.

An object is written as the name of its class and the arguments of its constructor:
`{"class": "Scheme", "bits": 8, …}`. Only frozen dataclasses of the rooms that answer
questions, and policies, have names; nothing else can come out of a document, and
building one of them runs its checks and nothing more. A new gate, codec or policy is
known without a change here.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules, walk_packages
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import ModelError, close_names
from ..memory.policy import Policy
from ..tables.multiplier import Multiplier
from .spec import Untouched

ROOMS = ("quant", "gating", "memory", "nn")
# What an object in a document says of itself.
CLASS, TABLE, SHARED, NUMBER = "class", "table", "shared", "number"
_UNFINISHED = object()
PLAIN = (bool, int, str, NoneType)

Json = Any


@dataclass
class Writer:
    """Turns answers into JSON.

    Args:
        table: what a document calls a multiplier.
        shared: the objects with a state of their own, which several answers may
            share; they are written once and named.
    """

    table: Callable[[Multiplier], str]
    shared: dict[str, Json] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def write(self, value: Any) -> Json:
        """A value as JSON.

        Raises:
            ModelError: where it is of no answer class.
        """
        if isinstance(value, PLAIN):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {NUMBER: str(value)}
        if isinstance(value, Multiplier):
            return {TABLE: self.table(value)}
        if isinstance(value, tuple | list):
            return [self.write(each) for each in value]
        if isinstance(value, Mapping):
            return {str(key): self.write(each) for key, each in value.items()}
        name = type(value).__name__
        if answer_classes().get(name) is not type(value):
            raise ModelError(
                f"save: the answer {value} is a {name}, of which axsim cannot write a "
                "description; it writes frozen dataclasses and policies of its own."
            )
        return self._parts(value) if is_dataclass(value) else self._share(value)

    def _share(self, policy: Policy) -> Json:
        known = self._names.get(id(policy))
        if known is None:
            known = f"{type(policy).__name__} {len(self._names) + 1}"
            self._names[id(policy)] = known
            self.shared[known] = self._parts(policy)
        return {SHARED: known}

    def _parts(self, value: Any) -> Json:
        kind = type(value).__name__
        names = inspect.signature(type(value)).parameters
        lacking = [name for name in names if not hasattr(value, name)]
        if lacking:
            raise ModelError(
                f"save: a {kind} does not keep {', '.join(lacking)} of its "
                "constructor, so that no description can be written; keep them as "
                "attributes."
            )
        parts = {name: self.write(getattr(value, name)) for name in names}
        return {CLASS: kind, **parts}


@dataclass
class Reader:
    """Turns JSON back into answers.

    Args:
        tables: the multipliers by what the document calls them.
        shared: the document's shared objects.
    """

    tables: Mapping[str, Multiplier]
    shared: Mapping[str, Json] = field(default_factory=dict)
    _built: dict[str, Any] = field(default_factory=dict)

    def read(self, given: Json) -> Any:
        """The value that a document describes.

        Raises:
            ModelError: where it names another class, or a class refuses its parts.
        """
        if isinstance(given, list):
            return tuple(self.read(each) for each in given)
        if not isinstance(given, dict):
            return given
        if CLASS in given:
            return self._build(given)
        if TABLE in given:
            return self._find(given[TABLE], self.tables, "table")
        if NUMBER in given:
            return _number(given[NUMBER])
        if SHARED in given:
            return self._share(given[SHARED])
        return {key: self.read(each) for key, each in given.items()}

    def _share(self, name: Json) -> Any:
        described = self._find(name, self.shared, "shared object")
        if name not in self._built:
            self._built[name] = _UNFINISHED
            self._built[name] = self.read(described)
        if self._built[name] is _UNFINISHED:
            raise ModelError(f"the document's shared object {name!r} holds itself.")
        return self._built[name]

    def _find(self, name: Json, known: Mapping[str, Any], what: str) -> Any:
        if not isinstance(name, str) or name not in known:
            raise ModelError(f"the document describes no {what} {name!r}.")
        return known[name]

    def _build(self, given: dict[str, Json]) -> Any:
        name = given[CLASS]
        kind = answer_classes().get(name) if isinstance(name, str) else None
        if kind is None:
            near = close_names(str(name), answer_classes())
            raise ModelError(
                f"the document names a class {name!r}, which is no answer that this "
                f"axsim knows.{near} It may be of a newer axsim."
            )
        parts = {key: self.read(part) for key, part in given.items() if key != CLASS}
        try:
            _check_types(kind, parts)
            return kind(**parts)
        except (TypeError, ValueError) as problem:
            raise ModelError(
                f"the document's {name} is not one: {problem}"
            ) from problem


@cache
def answer_classes() -> dict[str, type]:
    """The classes of answers by name.

    Example:
        >>> answer_classes()["Scheme"].__module__
        'axsim.quant.scheme'
    """
    found: dict[str, type] = {}
    for name in _modules():
        for word, kind in vars(import_module(name)).items():
            own = isinstance(kind, type) and kind.__module__ == name
            if own and not word.startswith("_") and _is_answer(kind):
                found[word] = kind
    return found


def _modules() -> Iterator[str]:
    """The modules of the rooms that answer questions."""
    house = import_module(__name__.partition(".")[0])
    for room in iter_modules(house.__path__, f"{house.__name__}."):
        if room.name.rpartition(".")[2] in ROOMS:
            path = import_module(room.name).__path__
            yield from (each.name for each in walk_packages(path, f"{room.name}."))


def _is_answer(kind: Any) -> bool:
    if is_dataclass(kind):
        return bool(getattr(kind, "__dataclass_params__").frozen)  # noqa: B009
    return Policy in kind.__mro__ and not inspect.isabstract(kind)


def _number(text: Json) -> float:
    if text in ("inf", "-inf", "nan"):
        return float(text)
    raise ModelError(f"the document's number {text!r} is not inf, -inf or nan.")


def _check_types(kind: type, parts: Mapping[str, Any]) -> None:
    """Refuses parts of other types than the constructor's annotations say."""
    hints = get_type_hints(kind.__init__)
    for name, part in parts.items():
        if name in hints and not _fits(part, hints[name]):
            raise TypeError(f"{name}={part!r} is not {hints[name]}.")


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    # Every question can be answered with "as it was".
    if hint is Any or hint is object or isinstance(value, Untouched):
        return True
    if origin is Literal:
        return value in inner
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is tuple:
        return isinstance(value, tuple) and _all_fit(value, inner)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, NoneType if hint is None else origin or hint)


def _all_fit(values: tuple[Any, ...], inner: tuple[Any, ...]) -> bool:
    if inner[1:] == (...,):
        return all(_fits(value, inner[0]) for value in values)
    return len(values) == len(inner) and all(map(_fits, values, inner))
