"""Reading CIFAR's Python archives, which are pickles, without running them.

A pickle names callables and has them called. Here three of NumPy's constructors (and
the one with which Python 3 writes bytes into old pickles) are answered by stand-ins
that keep bytes and shape; every other name is refused before anything is called.
NumPy's own constructors are not used: a forged state can make `numpy.dtype` read bytes
as pointers.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError


def unpickle(content: bytes, name: str) -> dict[str, Any]:
    """A pickled dictionary of plain values and uint8 arrays.

    Args:
        content: the pickle, of Python 2 or 3.
        name: what to call it in messages.

    Raises:
        DataError: where it is damaged, is no dictionary, or asks for anything else.
    """
    try:
        _check_memo(content)
        value = _Unpickler(io.BytesIO(content), name).load()
    except DataError:
        raise
    # A damaged pickle can end in almost any exception, says the library's manual.
    except Exception as problem:
        raise DataError(
            f"{name} is not a readable pickle ({type(problem).__name__}: {problem}). "
            "Unpack the archive again."
        ) from problem
    if not isinstance(value, dict):
        raise DataError(f"{name} holds a {type(value).__name__}, not a dictionary.")
    return {_text(key): _plain(item) for key, item in value.items()}


def _check_memo(content: bytes) -> None:
    """Refuses places in the memo that nobody counts up to.

    The unpickler takes memory for all places below the highest, so that a single
    damaged byte could ask for more than the machine has.
    """
    for count, (operation, place, _) in enumerate(pickletools.genops(content)):
        put = operation.name in ("PUT", "BINPUT", "LONG_BINPUT")
        if put and place is not None and place > count:
            raise ValueError(f"place {place:,} of the memo after {count:,} operations")


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, name: str) -> None:
        # Text of Python 2 arrives as bytes, as its keys and file names were written.
        super().__init__(stream, encoding="bytes")
        self.name = name

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in ADMITTED:
            raise DataError(
                f"{self.name} asks for {module}.{name}, which a data set does not "
                "need; it was refused and nothing was run. Get the archive from its "
                "authors."
            )
        return ADMITTED[module, name]


class _Array:
    """Stands in for `numpy.ndarray`: takes the state of an array of bytes."""

    array: npt.NDArray[np.uint8]

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
            raise TypeError("only arrays of plain bytes are read")
        if len(raw) != math.prod(shape):
            raise ValueError(f"{len(raw):,} bytes for an array of shape {shape}")
        flat = np.frombuffer(raw, np.uint8)
        self.array = flat.reshape(shape, order="F" if fortran else "C")


class _Dtype:
    """Stands in for `numpy.dtype`: admits uint8 only."""

    def __init__(self, code: bytes | str, *_: object) -> None:
        if _text(code) not in ("u1", "|u1"):
            raise TypeError(f"an array of {_text(code)!r}; only uint8 is read")

    def __setstate__(self, state: object) -> None:
        """Byte order, fields and flags, of which uint8 has none."""


def _reconstruct(*_: object) -> _Array:
    """Stands in for the function that makes an empty array to be filled."""
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """Stands in for `_codecs.encode`: Python 3 writes bytes as Latin-1 text."""
    if _text(encoding) != "latin1":
        raise ValueError(f"bytes encoded as {encoding!r}; latin1 is read")
    return text.encode("latin1")


ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    return value.array if isinstance(value, _Array) else value
