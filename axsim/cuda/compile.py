"""From a plain Python function to a cubin: numba-cuda emits PTX, nvJitLink links it."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import BackendError
from . import cache
from .kernel import Kernel

Capability = tuple[int, int]

OLDEST: Capability = (7, 5)
# Whatever can change the machine code that comes out.
TOOLS = (
    "numba",
    "numba-cuda",
    "nvidia-cuda-nvcc",
    "nvidia-nvvm",
    "nvidia-nvjitlink",
    "cuda-core",
    "cuda-bindings",
)


@dataclass(frozen=True)
class Resources:
    """What one thread, or for `shared` one block, of a kernel occupies."""

    registers: int
    stack: int
    spilled: int
    shared: int


@dataclass(frozen=True)
class Binary:
    """A cubin, the name of its entry, and the assembler's report."""

    entry: str
    code: bytes
    report: str

    @property
    def resources(self) -> Resources:
        """The figures of the report, in bytes but for the registers."""
        spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", self.report)
        return Resources(
            registers=_figure(r"[Uu]sed (\d+) registers", self.report),
            stack=_figure(r"(\d+) bytes stack frame", self.report),
            spilled=sum(map(int, spills)),
            shared=_figure(r"(\d+) bytes smem", self.report),
        )

    def to_bytes(self) -> bytes:
        """One line of JSON, then the cubin."""
        head = json.dumps({"entry": self.entry, "report": self.report})
        return head.encode() + b"\n" + self.code

    @classmethod
    def from_bytes(cls, stored: bytes) -> Binary:
        head, _, code = stored.partition(b"\n")
        return cls(code=code, **json.loads(head))


def binary(kernel: Kernel, capability: Capability) -> Binary:
    """The kernel's cubin for one compute capability, from the disk where it is there.

    Raises:
        BackendError: where a package or library that compiles kernels is missing, or
            the device is older than compute capability 7.5.
    """
    key = cache_key(kernel, capability)
    stored = cache.read(key)
    if stored is not None:
        return Binary.from_bytes(stored)
    made = assemble(ptx(kernel, capability), capability)
    cache.write(key, made.to_bytes())
    return made


def cache_key(kernel: Kernel, capability: Capability) -> str:
    """A name for the cubin that changes with anything it was made from."""
    shape = (kernel.arguments, kernel.constants, kernel.threads, kernel.blocks)
    parts = repr((kernel.name, *shape, capability, _versions())).encode()
    return hashlib.sha256(parts + _source()).hexdigest()


def ptx(kernel: Kernel, capability: Capability) -> str:
    """The kernel as PTX for one compute capability; needs no GPU.

    Raises:
        BackendError: where a package or library that compiles kernels is missing, or
            the device is older than compute capability 7.5.
    """
    check_capability(capability)
    check_packages()
    compiler = import_module("numba.cuda")
    error = import_module("numba.cuda.cudadrv.error")
    missing = import_module("cuda.pathfinder").DynamicLibNotFoundError
    try:
        text, _ = compiler.compile(
            kernel.function,
            _signature(kernel.arguments),
            device=False,
            abi="numba",
            cc=capability,
            output="ptx",
            launch_bounds=(kernel.threads, kernel.blocks),
        )
    except (
        missing,
        error.NvvmSupportError,
        error.NvvmError,
        error.NvrtcError,
    ) as problem:
        raise BackendError(
            f"kernel {kernel.name!r} could not be compiled: {problem}. Install "
            "axsim[cuda], which brings libnvvm and libnvrtc, or point CUDA_HOME at a "
            "CUDA 13.0 toolkit."
        ) from problem
    return text


def assemble(text: str, capability: Capability) -> Binary:
    """The cubin of one kernel in PTX; needs no GPU."""
    core = import_module("cuda.core")
    arch = f"sm_{capability[0]}{capability[1]}"
    options = core.LinkerOptions(arch=arch, verbose=True, ptxas_options=["-v"])
    linker = core.Linker(core.ObjectCode.from_ptx(text.encode()), options=options)
    try:
        code = bytes(linker.link("cubin").code)
        report = linker.get_info_log()
    finally:
        linker.close()
    entry = re.search(r"\.entry\s+([\w$]+)", text)
    if entry is None:
        raise BackendError("the compiler returned PTX without a kernel in it.")
    return Binary(entry.group(1), code, report)


def check_packages() -> None:
    """Turns away a Python that cannot compile kernels.

    Raises:
        BackendError: where numba-cuda or cuda-core is missing.
    """
    reason = missing_package()
    if reason is not None:
        raise BackendError(reason)


def missing_package() -> str | None:
    """Which package kernels need and this Python lacks, in words; None where none."""
    for package in ("numba-cuda", "cuda-core"):
        if _version(package) is None:
            return (
                f'device "cuda" needs {package}. Install axsim[cuda], or use '
                'device="cpu".'
            )
    return None


def check_capability(capability: Capability) -> None:
    """Turns away devices older than compute capability 7.5."""
    if capability < OLDEST:
        found, needed = (f"{major}.{minor}" for major, minor in (capability, OLDEST))
        raise BackendError(
            f"the device has compute capability {found}; kernels need at least "
            f'{needed} (Turing). Use device="cpu".'
        )


def _signature(arguments: tuple[str, ...]) -> Any:
    from numba import types

    def of(word: str) -> Any:
        kind = getattr(types, word.rstrip("*"))
        return types.CPointer(kind) if word.endswith("*") else kind

    return types.void(*map(of, arguments))


def _figure(pattern: str, report: str) -> int:
    found = re.search(pattern, report)
    if found is None:
        raise BackendError(
            f"the assembler's report has no {pattern!r}; it was assembled without "
            f"nvJitLink. Install axsim[cuda]. The report: {report!r}"
        )
    return int(found.group(1))


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def _versions() -> tuple[str | None, ...]:
    return tuple(map(_version, TOOLS))


@functools.cache
def _source() -> bytes:
    """All of this room: kernels share steps, constants and layouts."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return b"".join(file.read_bytes() for file in files)
