"""How long a training step through tables takes, beside one of float32."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ... import kernels
from ...console import progress, text_table
from ...nn.convert import approximate
from ...nn.spec import Gradient, Product
from ...tables.files import load_multiplier
from ...zoo.networks.factory import build_network
from .kernels import use_threads

REPEATS = 9
FLOAT = "float32"


@dataclass(frozen=True)
class Batch:
    """A network and what it is fed.

    Args:
        network: of the zoo.
        images: in the batch.
        shape: of an image.
    """

    network: str
    images: int
    shape: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.network}, {self.images} x {'x'.join(map(str, self.shape))}"


BATCHES = (
    Batch("digits_resnet", 64, (1, 8, 8)),
    Batch("cifar_resnet20", 128, (3, 32, 32)),
)
# Exact, of low rank, and without factors; the gradients of the second.
WAYS: tuple[tuple[str, Gradient], ...] = (
    ("mul8u_exact", "ste"),
    ("mul8u_trunc_9", "ste"),
    ("mul8u_trunc_9", "slopes"),
    ("mul8u_trunc_9", "table"),
    ("mul8u_loa_10", "ste"),
)


@dataclass(frozen=True)
class Timing:
    """A step of one network in one way.

    Args:
        batch: the network and its batch.
        way: multiplier and gradient, or float32.
        forward: seconds, the median of the repeats.
        backward: likewise, with the update of the weights.
        ratio: of the whole step to that of float32, median of the repeats' ratios.
    """

    batch: str
    way: str
    forward: float
    backward: float
    ratio: float


@dataclass(frozen=True)
class StepBench:
    """All timings of a run; prints as a table."""

    device: str
    threads: int
    timings: tuple[Timing, ...]

    def __str__(self) -> str:
        head = ("network and batch", "products", "forward ms", "backward ms", "ratio")
        rows = [
            (t.batch, t.way, f"{1e3 * t.forward:.1f}", f"{1e3 * t.backward:.1f}",
             f"{t.ratio:.2f}")
            for t in self.timings
        ]  # fmt: skip
        return (
            f"{text_table(rows, head, left=head[:2])}\n\n"
            "ratio: of a training step to that of float32, taken in turns; median of "
            f"{REPEATS}. {self.device}, threads: {self.threads}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    batches: tuple[Batch, ...] = BATCHES,
    repeats: int = REPEATS,
) -> StepBench:
    """Measures a step of plain descent in float32 and through tables, in turns.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        batches: networks and their batches.
        repeats: of each step.
    """
    with use_threads(threads):
        timings = [
            timing
            for batch in progress(batches, "measuring")
            for timing in _measure(batch, device, repeats)
        ]
    return StepBench(kernels.device_name(device), threads, tuple(timings))


def _measure(batch: Batch, device: str, repeats: int) -> list[Timing]:
    torch.manual_seed(0)
    images = torch.randn(batch.images, *batch.shape, device=device)
    labels = torch.randint(0, 10, (batch.images,), device=device)
    net = build_network(batch.network).to(device)
    nets = {FLOAT: net}
    for name, gradient in WAYS:
        product = Product(load_multiplier(name), gradient=gradient)
        nets[str(product)] = approximate(net, product, calibration=[images])
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in nets}
    # The first turn compiles kernels.
    for turn in range(repeats + 1):
        for way, each in nets.items():
            spent = _step(each.train(), images, labels)
            if turn:
                seconds[way].append(spent)
    return [_summarise(str(batch), way, seconds) for way in nets]


def _step(net: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Seconds of the forward pass, and of all that comes after it."""
    began = _now(images)
    loss = F.cross_entropy(net(images), labels)
    between = _now(images)
    loss.backward()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.grad is not None:
                # So little that all ways stay comparable.
                parameter.sub_(parameter.grad, alpha=1e-6)
                parameter.grad = None
    return between - began, _now(images) - between


def _now(images: Tensor) -> float:
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _summarise(
    batch: str, way: str, seconds: dict[str, list[tuple[float, float]]]
) -> Timing:
    forward, backward = (median(part) for part in zip(*seconds[way], strict=True))
    ratio = median(
        sum(mine) / sum(float32)
        for mine, float32 in zip(seconds[way], seconds[FLOAT], strict=True)
    )
    return Timing(batch, way, forward, backward, ratio)
