"""A kernel: a plain function with what is needed to compile and to launch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import config

SIMULATED = bool(config.ENABLE_CUDASIM)  # pyright: ignore[reportAttributeAccessIssue]

# In the simulator every CUDA thread is a Python thread, so blocks are kept small.
FULL_BLOCK = 32 if SIMULATED else 256
# Of shared memory that is read 16 bytes at a time; the simulator takes no alignment.
ALIGNMENT = None if SIMULATED else 16


@dataclass(frozen=True, eq=False)
class Kernel:
    """One specialised kernel. Kernels are made once and compared by identity.

    Args:
        name: what errors and tests call it.
        function: plain Python that both the compiler and the simulator accept.
        arguments: Numba's word for each argument, with a star for a pointer.
        constants: what the function's closure was specialised for.
        threads: of a block; the function may rely on it.
        blocks: how many blocks the registers of one multiprocessor must hold.
        shared: bytes of dynamic shared memory of a block.
    """

    name: str
    function: Callable[..., None]
    arguments: tuple[str, ...]
    constants: tuple[Any, ...]
    threads: int
    blocks: int = 1
    shared: int = 0
