"""What axsim raises: one base, and a child for each kind of thing that can go wrong.

Every message names what was wrong, the value found, what is allowed and the next
step. The children also inherit the built-in type a caller would expect to catch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AxsimError(Exception):
    """Base of every error that axsim raises on purpose."""


class TableError(AxsimError, ValueError):
    """A multiplier table, its file or its description is not usable."""


class OperandError(AxsimError, ValueError):
    """Codes, shapes or settings of a product do not fit the contract."""


class BackendError(AxsimError, RuntimeError):
    """A device, kernel path or optional package cannot serve the request."""


class ConversionError(AxsimError, ValueError):
    """A model and the rules for approximating it do not fit each other."""


class CalibrationError(AxsimError, ValueError):
    """Ranges of activations are missing or cannot be measured."""


class DataError(AxsimError, ValueError):
    """A data set is missing, damaged or not what its name says."""


class ModelError(AxsimError, ValueError):
    """A network is unknown or its outputs are no use, or a checkpoint does not fit."""


class TrainingError(AxsimError, ValueError):
    """Settings of a training run contradict, or the run cannot go on."""


class AxsimWarning(UserWarning):
    """Something is allowed but probably not what was meant."""


def close_names(name: str, known: Iterable[str], count: int = 3) -> str:
    """A sentence that lists the known names nearest to `name`, or nothing.

    Example:
        >>> close_names("mul8u_trnc_6", ["mul8u_trunc_6", "mul8u_exact"], 1)
        " Close names: 'mul8u_trunc_6'."
    """
    near = difflib.get_close_matches(name, list(known), count, cutoff=0.5)
    return f" Close names: {', '.join(map(repr, near))}." if near else ""


def wrong_type(name: str, value: object, kinds: tuple[type, ...], such_as: str) -> str:
    """What is wrong with an argument of another type, or nothing.

    Args:
        name: of the argument, with that of its owner.
        value: what was given.
        kinds: what it may be.
        such_as: an example of what would do.

    Example:
        >>> wrong_type("Gate: rest", "mine", (float,), "0.5")
        "Gate: rest='mine' is of type str; give a float, such as 0.5."
        >>> wrong_type("Gate: rest", 0.5, (float,), "0.5")
        ''
    """
    if isinstance(value, kinds):
        return ""
    wanted = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
    shown = repr(value) if isinstance(value, str) else str(value)
    kind = type(value).__name__
    return f"{name}={shown} is of type {kind}; give a {wanted}, such as {such_as}."
