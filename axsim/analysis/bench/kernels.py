"""How fast the kernels are, beside float32 torch and the plain gather."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

import torch

from ... import kernels
from ...console import progress, text_table
from ...errors import BackendError
from ...kernels.layout import free_working_space
from ...tables.files import load_multiplier
from ...tables.multiplier import Multiplier
from .layers import LAYERS, Layer

# What a row of the result is about: a shipped table, the largest activation code.
SUBJECTS = (
    ("any table", "mul8u_mitchell", 255),
    ("any table, codes < 128", "mul8u_mitchell", 127),
    ("near exact, codes < 16", "mul8u_loa_6", 15),
    ("exact", "mul8u_exact", 255),
    ("rank up to 4", "mul8s_trunc_4", 255),
)
REPEATS = 7


@dataclass(frozen=True)
class Timing:
    """One path on one layer.

    Args:
        network, layer: the shape.
        subject, path: what was measured.
        seconds: median of the repeats.
        products: of the layer.
        float32, gather: how often the time of torch in float32, and of the plain
            gather, goes into this one.
        speedup, float32_speedup: how often this time, and that of torch in float32,
            goes into its own on one thread.
        extra_bytes: most memory held beside operands and result.
        chosen: whether `backend="auto"` takes this path.
    """

    network: str
    layer: str
    subject: str
    path: str
    seconds: float
    products: int
    float32: float
    gather: float
    speedup: float
    float32_speedup: float
    extra_bytes: int
    chosen: bool

    @property
    def rate(self) -> float:
        """Products a second."""
        return self.products / self.seconds


@dataclass(frozen=True)
class KernelBench:
    """All timings of a run; prints as a table."""

    device: str
    threads: int
    timings: tuple[Timing, ...]

    def __str__(self) -> str:
        head = ("network", "layer", "subject", "path", "G/s", "x float32", "x gather",
                "extra MiB", "x faster than 1 thread")  # fmt: skip
        rows = [
            (t.network, t.layer, t.subject, t.path + "*" * t.chosen,
             f"{t.rate / 1e9:.1f}", f"{t.float32:.2f}", f"{t.gather:.2f}",
             f"{t.extra_bytes / 2**20:.1f}",
             f"{t.speedup:.2f} (float32 {t.float32_speedup:.2f})")
            for t in self.timings
        ]  # fmt: skip
        if self.threads == 1:
            head, rows = head[:-1], [row[:-1] for row in rows]
        table = text_table(rows, head, left=head[:4])
        return (
            f"{table}\n\n{self._medians()}\n\n{self.device}, threads: {self.threads}; "
            "G/s: 10^9 products a second; x: time as a multiple of that of float32 "
            "torch and of the gather path; *: what backend='auto' takes."
        )

    def _medians(self) -> str:
        """Medians over the ResNet layers of at least 16 channels, batches only."""
        lines: list[str] = []
        kinds = dict.fromkeys((t.subject, t.path) for t in self.timings)
        for subject, path in kinds:
            own = [t for t in self.timings if (t.subject, t.path) == (subject, path)]
            counted = [t for t in own if _is_benchmark(t)]
            if counted:
                rate = median(t.rate for t in counted) / 1e9
                times = median(t.float32 for t in counted)
                lines.append(
                    f"median of {len(counted)} ResNet layers: {subject}, {path}: "
                    f"{rate:.1f} G/s, {times:.2f} x float32, "
                    f"{median(t.speedup for t in counted):.2f} x as fast as one thread"
                )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        timings = [asdict(t) | {"rate": t.rate} for t in self.timings]
        return {"device": self.device, "threads": self.threads, "timings": timings}


def run(
    device: str = "cpu",
    threads: int = 1,
    layers: Sequence[Layer] = LAYERS,
    repeats: int = REPEATS,
) -> KernelBench:
    """Measures every path that can serve, on every layer.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        layers: the shapes.
        repeats: of each timing, taken in turn so that a slow moment strikes all alike.
    """
    timings: list[Timing] = []
    with use_threads(threads):
        for layer in progress(layers, "measuring"):
            for subject, name, largest in SUBJECTS:
                mul = load_multiplier(name)
                timings += _measure(layer, subject, mul, largest, device, repeats)
    return KernelBench(kernels.device_name(device), threads, tuple(timings))


@contextmanager
def use_threads(count: int) -> Generator[None, None, None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_benchmark(timing: Timing) -> bool:
    small = timing.layer.startswith("stem") or timing.layer.endswith("one image")
    return "ResNet" in timing.network and not small


def _measure(
    layer: Layer, subject: str, mul: Multiplier, largest: int, device: str, repeats: int
) -> list[Timing]:
    x, w = _operands(layer, largest, device)
    ways: dict[str, Callable[[], object]] = {"float32": _float32(layer, x, w)}
    for path in kernels.paths(device):
        ways[path] = _path(layer, x, w, mul, path)
        try:
            ways[path]()
        except BackendError:
            del ways[path]
    alone = {(name, 1): partial(_alone, way) for name, way in ways.items()}
    both = ways if torch.get_num_threads() == 1 else ways | alone
    seconds = _interleaved(both, device, repeats)
    speedups = {
        name: seconds.get((name, 1), seconds[name]) / seconds[name] for name in ways
    }
    chosen = kernels.choose(mul, _shape(layer), device)
    return [
        Timing(
            layer.network, layer.name, subject, path, seconds[path], layer.products,
            seconds[path] / seconds["float32"], seconds[path] / seconds["gather"],
            speedups[path], speedups["float32"], _extra_bytes(way, device),
            path == chosen,
        )
        for path, way in ways.items()
        if path != "float32"
    ]  # fmt: skip


def _alone(way: Callable[[], object]) -> object:
    with use_threads(1):
        return way()


def _operands(
    layer: Layer, largest: int, device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, largest + 1, layer.x, dtype=torch.uint8, generator=generator)
    w = torch.randint(0, 256, layer.w, dtype=torch.uint8, generator=generator)
    return x.to(device), w.to(device)


def _is_matmul(layer: Layer) -> bool:
    return layer.size == 1


def _shape(layer: Layer) -> kernels.Convolution:
    return kernels.describe_convolution(
        layer.x, layer.w, layer.stride, layer.padding, 1, layer.groups
    )


def _path(
    layer: Layer, x: torch.Tensor, w: torch.Tensor, mul: Multiplier, path: str
) -> Callable[[], torch.Tensor]:
    if _is_matmul(layer):
        a, b = x.flatten(1), w.flatten(1)
        return lambda: kernels.lut_matmul(a, b, mul, path)
    return lambda: kernels.lut_conv2d(
        x, w, mul, layer.stride, layer.padding, 1, layer.groups, backend=path
    )


def _float32(
    layer: Layer, x: torch.Tensor, w: torch.Tensor
) -> Callable[[], torch.Tensor]:
    values, weights = x.float(), w.float()
    if _is_matmul(layer):
        a, b = values.flatten(1), weights.flatten(1).t()
        return lambda: a @ b
    return lambda: torch.nn.functional.conv2d(
        values, weights, None, layer.stride, layer.padding, 1, layer.groups
    )


def _interleaved(
    ways: Mapping[Any, Callable[[], object]], device: str, repeats: int
) -> dict[Any, float]:
    """Median seconds of each way."""
    taken: dict[Any, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            taken[name].append(_seconds(way, device))
    return {name: median(times) for name, times in taken.items()}


def _seconds(way: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    way()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _extra_bytes(way: Callable[[], Any], device: str) -> int:
    """Most memory held during a call, less the result."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = way()
        peak = torch.cuda.max_memory_allocated() - before
        return max(0, peak - result.numel() * result.element_size())
    # The CPU kernels hold NumPy arrays, which tracemalloc sees; the result it does not.
    free_working_space()
    tracemalloc.start()
    way()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
