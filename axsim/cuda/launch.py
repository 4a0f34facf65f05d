"""Launches on torch's current stream, or in Numba's simulator where that is on."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..errors import BackendError
from .compile import binary
from .intrinsics import SIMULATED
from .kernel import Kernel

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
    """The kernel on one device, compiled where no earlier process has done so."""
    refuse_while_capturing(f"kernel {kernel.name!r}")
    from cuda.bindings import driver

    made = binary(kernel, torch.cuda.get_device_capability(index))
    library = _check(driver.cuLibraryLoadData(made.code, [], [], 0, [], [], 0), kernel)
    found = _check(driver.cuLibraryGetKernel(library, made.entry.encode()), kernel)
    if kernel.shared > STATIC_LIMIT:
        device = _check(driver.cuDeviceGet(index), kernel)
        limit = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        _check(driver.cuKernelSetAttribute(limit, kernel.shared, found, device), kernel)
    return Loaded(int(found), library)


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """How many blocks of a whole multiprocessor's size run at once."""
    if SIMULATED:
        return 1
    return torch.cuda.get_device_properties(device).multi_processor_count


@functools.cache
def shared_memory(device: torch.device) -> int:
    """Bytes of shared memory that one block can ask for."""
    if SIMULATED:
        return 1 << 20
    from cuda.bindings import driver

    attribute = driver.CUdevice_attribute
    optional = attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    number = _check(driver.cuDeviceGet(device.index or 0), "the device")
    return _check(driver.cuDeviceGetAttribute(optional, number), "the device")


def refuse_while_capturing(what: str) -> None:
    """Turns away work that a CUDA graph cannot record: the first use of something.

    Raises:
        BackendError: while the current stream is being captured.
    """
    if torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing():
        raise BackendError(
            f"{what} is used for the first time while a CUDA graph is captured. Run the "
            "same shapes once before the capture."
        )


def _launch(
    kernel: Kernel,
    loaded: Loaded,
    index: int,
    grid: tuple[int, int],
    arguments: tuple[Argument, ...],
) -> None:
    from cuda.bindings import driver

    numbers = [a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments]
    slots = np.array(numbers, np.int64)
    pointers = SLOTS[: len(slots)] + slots.ctypes.data
    stream = torch.cuda.current_stream(index).cuda_stream
    shape = (*grid, 1, kernel.threads, 1, 1, kernel.shared)
    call = functools.partial(
        driver.cuLaunchKernel, loaded.function, *shape, stream, pointers.ctypes.data, 0
    )
    result = call()
    if result[0] == driver.CUresult.CUDA_ERROR_INVALID_CONTEXT:
        # A thread in which torch has not yet touched this device.
        device = _check(driver.cuDeviceGet(index), kernel)
        context = _check(driver.cuDevicePrimaryCtxRetain(device), kernel)
        _check(driver.cuCtxSetCurrent(context), kernel)
        result = call()
    _check(result, kernel)


def _check(result: tuple[Any, ...], what: Kernel | str) -> Any:
    """What a driver call returned beside its status."""
    if int(result[0]) != 0:
        name = what if isinstance(what, str) else f"kernel {what.name!r}"
        raise BackendError(
            f"{name} could not be used: the driver answered {result[0].name}. "
            "`axsim doctor` shows what this device can run."
        )
    return result[1] if len(result) > 1 else None


def _simulate(
    kernel: Kernel, grid: tuple[int, int], arguments: tuple[Argument, ...]
) -> None:
    from numba import cuda

    flat = [
        a.numpy().reshape(-1).view(word.rstrip("*")) if isinstance(a, torch.Tensor) else a
        for a, word in zip(arguments, kernel.arguments, strict=True)
    ]
    cuda.jit(kernel.function)[grid, kernel.threads, 0, kernel.shared](*flat)
