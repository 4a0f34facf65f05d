"""How fast saved tensors are packed and unpacked, beside copying them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ... import kernels
from ...console import progress, text_table
from ...memory.codec import Codec, Hints, Norm
from ...memory.codecs.batch_norm import BatchNormCodes
from ...memory.codecs.bit_mask import BitMask
from ...memory.codecs.fixed_point import FixedPoint
from ...memory.codecs.fp8 import Fp8
from ...memory.codecs.group_affine import GroupAffine
from ...memory.codecs.zero_value import ZeroValue
from .kernels import use_threads

# An activation of a ResNet stage, 16 MiB as float32.
SHAPE = (64, 64, 32, 32)
REPEATS = 9
SUBJECTS: tuple[tuple[Codec, tuple[int, ...]], ...] = (
    (GroupAffine(), (1, 2, 3, 4, 8)),
    (BatchNormCodes(), (4, 8)),
    (FixedPoint(), (4, 8)),
    (ZeroValue(), (8,)),
    (BitMask(), (1,)),
    (Fp8(), (8,)),
)
TYPES = (torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Timing:
    """One codec on one tensor.

    Args:
        codec, bits, dtype, layout: what was measured.
        bits_kept: for an element, metadata included.
        pack, unpack: seconds, the fastest of the repeats.
        bytes: of the tensor as float32.
    """

    codec: str
    bits: int
    dtype: str
    layout: str
    bits_kept: float
    pack: float
    unpack: float
    bytes: int

    @property
    def rates(self) -> tuple[float, float]:
        """Bytes of float32 packed, and unpacked, in a second."""
        return self.bytes / self.pack, self.bytes / self.unpack


@dataclass(frozen=True)
class CodecBench:
    """All timings of a run; prints as a table."""

    device: str
    threads: int
    copy: float
    timings: tuple[Timing, ...]

    def __str__(self) -> str:
        head = ("codec", "bits", "type", "layout", "kept", "pack", "unpack")
        rows = [
            (t.codec, t.bits, t.dtype, t.layout, f"{t.bits_kept:.2f}",
             *(f"{rate / 1e9:.2f}" for rate in t.rates))
            for t in self.timings
        ]  # fmt: skip
        table = text_table(rows, head, left=("codec", "type", "layout"))
        return (
            f"{table}\n\n{self.device}, threads: {self.threads}; kept: bits for an "
            "element, metadata included; pack, unpack: GB/s of the tensor as float32, "
            f"new memory for the result included; copying it: {self.copy / 1e9:.2f}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        timings = [
            asdict(t) | dict(zip(("pack_rate", "unpack_rate"), t.rates, strict=True))
            for t in self.timings
        ]
        return {
            "device": self.device, "threads": self.threads, "copy": self.copy,
            "timings": timings,
        }  # fmt: skip


def run(
    device: str = "cpu",
    threads: int = 1,
    shape: tuple[int, ...] = SHAPE,
    repeats: int = REPEATS,
) -> CodecBench:
    """Measures every codec that packs numbers, in three types and two layouts.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        shape: of the tensor.
        repeats: of each timing.
    """
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    jobs = [
        (codec, bits, dtype, layout)
        for codec, widths in SUBJECTS
        for bits in widths
        for dtype in TYPES
        for layout in (torch.contiguous_format, torch.channels_last)
    ]
    with use_threads(threads):
        copy = 4 * x.numel() / _seconds(x.clone, device, repeats)
        timings = [
            _measure(codec, bits, x.to(dtype).contiguous(memory_format=form), repeats)
            for codec, bits, dtype, form in progress(jobs, "measuring")
        ]
    return CodecBench(kernels.device_name(device), threads, copy, tuple(timings))


def _measure(codec: Codec, bits: int, x: Tensor, repeats: int) -> Timing:
    ones = torch.ones(x.shape[1], device=x.device)
    hints = Hints(key=1, norm=Norm(ones, 0 * ones))
    # Half of what zero-value compression is made for is zero.
    x = x.relu() if isinstance(codec, ZeroValue) else x
    packed = codec.encode(x, bits, hints)
    device, size = x.device.type, 4 * x.numel()
    layout = "contiguous" if x.is_contiguous() else "channels last"
    return Timing(
        type(codec).__name__, bits, str(x.dtype).removeprefix("torch."), layout,
        packed.bits_per_element,
        _seconds(lambda: codec.encode(x, bits, hints), device, repeats),
        _seconds(packed.decode, device, repeats),
        size,
    )  # fmt: skip


def _seconds(work: Callable[[], object], device: str, repeats: int) -> float:
    """The fastest of the repeats: what else runs on the machine only slows."""
    times: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)
