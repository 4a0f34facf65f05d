"""How the CPU kernels are compiled: without the GIL, and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys


@cache
def fingerprint() -> str:
    """Hash of the sources in this folder.

    Numba throws cached code away when the file of its function changes, but not when
    a file it calls into does; the kernels call across files.
    """
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(s.read_bytes() for s in sources)).hexdigest()


class _KernelCache(FunctionCache):
    """Numba's cache on disk, valid for one state of all kernels and of its own file."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        own = Path(function.__code__.co_filename).read_bytes()
        stamp = fingerprint() + hashlib.sha256(own).hexdigest()
        self._cache_file._source_stamp = stamp  # pyright: ignore[reportPrivateUsage]

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """What tells code of one function apart; the stamp covers its sources.

        Numba would pickle what a function closes over, which for a compiled function
        is another thing in every process.
        """
        cells = self._py_func.__closure__ or ()  # pyright: ignore[reportPrivateUsage]
        held = [cell.cell_contents for cell in cells]
        closed = [getattr(value, "__qualname__", None) or repr(value) for value in held]
        return sig, codegen.magic_tuple(), tuple(closed)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code of an earlier process; None where there is none.

        Numba would first load all it needs to compile, SciPy among it, which takes
        longer than everything else. Code that is there needs Numba's runtime only.
        """
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():  # pyright: ignore[reportPrivateUsage]
            found = self._load_overload(sig, target_context)  # pyright: ignore[reportPrivateUsage]
        if found is None:
            target_context.refresh()
        return found


def compiled(function: Callable[..., Any]) -> Any:
    """The function compiled at its first call, or loaded from an earlier process.

    It makes no arrays and returns none, and so counts no references: each slice of an
    array would cost two atomic additions, on a cache line that all threads share.
    The code is kept beside the source where that folder can be written, else in the
    user's cache folder, else (nowhere is writable) only in memory.
    """
    return _kept(function, counts=False)


def allocating(function: Callable[..., Any]) -> Any:
    """`compiled`, for functions that make arrays."""
    return _kept(function, counts=True)


def _kept(function: Callable[..., Any], counts: bool) -> Any:
    # Numba's own option for devices without its runtime.
    options: Any = {"_nrt": counts}
    njit: Any = numba.njit(
        nogil=True, error_model="numpy", boundscheck=False, **options
    )
    dispatcher = njit(function)
    try:
        dispatcher._cache = _KernelCache(dispatcher.py_func)
    except RuntimeError:
        return dispatcher
    return dispatcher


def named_after(function: Any, inner: Callable[..., Any]) -> Callable[..., Any]:
    """`inner`, made for a compiled function, under a name that its code is kept by."""
    inner.__module__ = function.__module__
    inner.__qualname__ = f"{function.__qualname__}.{inner.__name__}"
    return inner
