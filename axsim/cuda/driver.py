"""NVIDIA's driver, and what it says when it cannot."""

from __future__ import annotations

import functools
from importlib import import_module
from types import ModuleType
from typing import Any

import torch

from ..errors import BackendError
from .kernel import SIMULATED


@functools.cache
def driver() -> ModuleType:
    """The driver's functions; importing them needs no driver, calling them does."""
    return import_module("cuda.bindings.driver")


def checked(result: tuple[Any, ...], what: str) -> Any:
    """What a driver call returned beside its status.

    Raises:
        BackendError: where the status is not success.
    """
    if int(result[0]) != 0:
        raise BackendError(
            f"{what} could not be used: the driver answered {result[0].name}. "
            "`axsim doctor` shows what this device can run."
        )
    return result[1] if len(result) > 1 else None


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """How many multiprocessors share the blocks of a launch."""
    if SIMULATED:
        return 1
    return torch.cuda.get_device_properties(device).multi_processor_count


@functools.cache
def shared_memory(device: torch.device) -> int:
    """Bytes of shared memory that one block can ask for."""
    if SIMULATED:
        return 1 << 20
    attribute = driver().CUdevice_attribute
    optional = attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    number = checked(driver().cuDeviceGet(device.index or 0), str(device))
    return checked(driver().cuDeviceGetAttribute(optional, number), str(device))
