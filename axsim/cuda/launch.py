"""Launches on torch's current stream, or in Numba's simulator where that is on."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch

from ..errors import BackendError
from .compile import binary
from .driver import checked, driver
from .kernel import SIMULATED, Kernel

# Above this the driver wants to be told before a launch.
STATIC_LIMIT = 48 * 1024
# Every argument has a slot of eight bytes; a 32-bit argument is read from its low half.
SLOTS = 8 * np.arange(64, dtype=np.int64)

Argument = torch.Tensor | int


@dataclass(frozen=True)
class Loaded:
    """A kernel on one device; the library is held because the function lives in it."""

    function: int
    library: Any


def launch(kernel: Kernel, grid: tuple[int, int], *arguments: Argument) -> None:
    """Runs the kernel after whatever the current stream of the tensors' device holds.

    After the first launch on a device nothing is allocated and nothing waits, so
    launches can be captured in a CUDA graph.

    Args:
        kernel: what to run.
        grid: numbers of blocks, at most 2^31 - 1 and 65,535.
        arguments: contiguous tensors on one device and whole numbers, in the kernel's
            order; at least one tensor.

    Raises:
        BackendError: where the kernel cannot be compiled, loaded or launched.
    """
    if SIMULATED:
        return _simulate(kernel, grid, arguments)
    index = next(a.device.index for a in arguments if isinstance(a, torch.Tensor))
    with torch.cuda.device(index):
        _launch(kernel, load(kernel, index), index, grid, arguments)


@functools.cache
def load(kernel: Kernel, index: int) -> Loaded:
    """The kernel on one device, compiled where no earlier process has done so.

    Raises:
        BackendError: where the kernel cannot be compiled or loaded.
    """
    refuse_while_capturing(f"kernel {kernel.name!r}")
    cuda, what = driver(), f"kernel {kernel.name!r}"
    made = binary(kernel, torch.cuda.get_device_capability(index))
    library = checked(cuda.cuLibraryLoadData(made.code, [], [], 0, [], [], 0), what)
    found = checked(cuda.cuLibraryGetKernel(library, made.entry.encode()), what)
    if kernel.shared > STATIC_LIMIT:
        device = checked(cuda.cuDeviceGet(index), what)
        attribute = cuda.CUfunction_attribute
        limit = attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        raised = cuda.cuKernelSetAttribute(limit, kernel.shared, found, device)
        checked(raised, what)
    return Loaded(int(found), library)


def refuse_while_capturing(what: str) -> None:
    """Turns away work that a CUDA graph cannot record: the first use of something.

    Raises:
        BackendError: while the current stream is being captured.
    """
    if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
        raise BackendError(
            f"{what} is used for the first time while a CUDA graph is captured. Run "
            "the same shapes once before the capture."
        )


def _launch(
    kernel: Kernel,
    loaded: Loaded,
    index: int,
    grid: tuple[int, int],
    arguments: tuple[Argument, ...],
) -> None:
    cuda, what = driver(), f"kernel {kernel.name!r}"
    numbers = [a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments]
    slots = np.array(numbers, np.int64)
    pointers = SLOTS[: len(slots)] + slots.ctypes.data
    stream = torch.cuda.current_stream(index).cuda_stream
    shape = (*grid, 1, kernel.threads, 1, 1, kernel.shared)
    call = (loaded.function, *shape, stream, pointers.ctypes.data, 0)
    result = cuda.cuLaunchKernel(*call)
    if result[0] == cuda.CUresult.CUDA_ERROR_INVALID_CONTEXT:
        # A thread in which torch has not yet touched this device.
        device = checked(cuda.cuDeviceGet(index), what)
        context = checked(cuda.cuDevicePrimaryCtxRetain(device), what)
        checked(cuda.cuCtxSetCurrent(context), what)
        result = cuda.cuLaunchKernel(*call)
    checked(result, what)


def _simulate(
    kernel: Kernel, grid: tuple[int, int], arguments: tuple[Argument, ...]
) -> None:
    simulator = import_module("numba.cuda")
    flat = [
        a.numpy().reshape(-1).view(word[:-1]) if isinstance(a, torch.Tensor) else a
        for a, word in zip(arguments, kernel.arguments, strict=True)
    ]
    configured = simulator.jit(kernel.function)[grid, kernel.threads, 0, kernel.shared]
    configured(*flat)
