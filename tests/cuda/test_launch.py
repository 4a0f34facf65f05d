"""What the driver is told, with a stand-in for the driver that takes notes."""

from __future__ import annotations

import contextlib
import ctypes
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from axsim.cuda import launch
from axsim.cuda.compile import Binary
from axsim.cuda.kernel import Kernel
from axsim.errors import BackendError


class Status(IntEnum):
    SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_INVALID_CONTEXT = 201


class Driver:
    """Enough of `cuda.bindings.driver` for one launch."""

    CUresult = Status
    CUfunction_attribute = SimpleNamespace(
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES=8
    )

    def __init__(self, arguments: int, *answers: Status) -> None:
        self.arguments = arguments
        self.answers = [*answers, Status.SUCCESS]
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        results = {"cuLibraryGetKernel": 77, "cuDeviceGet": 3}

        def call(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append((name, arguments))
            return (Status.SUCCESS, results.get(name, name))

        return call

    def cuLaunchKernel(self, *arguments: Any) -> tuple[Status]:
        *rest, pointers, extra = arguments
        slots = (ctypes.c_void_p * self.arguments).from_address(pointers)
        longs = [ctypes.c_int64.from_address(int(slot or 0)).value for slot in slots]
        ints = [ctypes.c_int32.from_address(int(slot or 0)).value for slot in slots]
        self.calls.append(("cuLaunchKernel", (*rest, extra, longs, ints)))
        return (self.answers.pop(0),)

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for called, arguments in self.calls if called == name]


def kernel(shared: int = 0) -> Kernel:
    words = ("uint8*", "int32", "int32")
    return Kernel("note", lambda *_: None, words, (), 96, shared=shared)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device, as far as torch is asked."""
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    stream = SimpleNamespace(cuda_stream=4242)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(launch, "binary", lambda *_: Binary("entry", b"cubin", ""))


def use(monkeypatch: pytest.MonkeyPatch, notes: Driver) -> None:
    monkeypatch.setattr(launch, "driver", lambda: notes)


@pytest.mark.usefixtures("device")
def test_arguments_lie_where_the_driver_reads_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, notes := Driver(3))
    codes = torch.zeros(5, dtype=torch.uint8)
    launch.launch(kernel(), (7, 2), codes, -5, 1 << 30)
    ((*rest, longs, ints),) = notes.named("cuLaunchKernel")
    assert rest == [77, 7, 2, 1, 96, 1, 1, 0, 4242, 0]
    assert longs[0] == codes.data_ptr()
    assert ints[1:] == [-5, 1 << 30]


@pytest.mark.usefixtures("device")
def test_a_kernel_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, notes := Driver(3, Status.SUCCESS))
    chosen, codes = kernel(), torch.zeros(5, dtype=torch.uint8)
    launch.launch(chosen, (1, 1), codes, 1, 2)
    launch.launch(chosen, (1, 1), codes, 1, 2)
    assert len(notes.named("cuLaunchKernel")) == 2
    (loaded,) = notes.named("cuLibraryLoadData")
    assert loaded[0] == b"cubin"
    assert notes.named("cuLibraryGetKernel") == [("cuLibraryLoadData", b"entry")]
    assert not notes.named("cuKernelSetAttribute")


@pytest.mark.usefixtures("device")
def test_much_shared_memory_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, notes := Driver(3))
    launch.launch(kernel(132_612), (1, 1), torch.zeros(5, dtype=torch.uint8), 1, 2)
    assert notes.named("cuKernelSetAttribute") == [(8, 132_612, 77, 3)]
    assert notes.named("cuLaunchKernel")[0][7] == 132_612


@pytest.mark.usefixtures("device")
def test_a_thread_without_a_context_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, notes := Driver(3, Status.CUDA_ERROR_INVALID_CONTEXT))
    launch.launch(kernel(), (1, 1), torch.zeros(5, dtype=torch.uint8), 1, 2)
    assert len(notes.named("cuLaunchKernel")) == 2
    assert notes.named("cuCtxSetCurrent") == [("cuDevicePrimaryCtxRetain",)]


@pytest.mark.usefixtures("device")
def test_a_refused_launch_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Driver(3, Status.CUDA_ERROR_INVALID_VALUE))
    with pytest.raises(BackendError, match=r"'note'.*CUDA_ERROR_INVALID_VALUE"):
        launch.launch(kernel(), (1, 1), torch.zeros(5, dtype=torch.uint8), 1, 2)


def test_first_use_in_a_capture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(BackendError, match="a table is used for the first time while"):
        launch.refuse_while_capturing("a table")
