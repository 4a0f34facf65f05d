"""Bytes that training keeps, memory of the process, and the price in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ... import kernels, recipes
from ...console import progress, text_table
from ...nn.convert import approximate
from ...nn.plan import plan
from ...nn.recipe import Recipe
from ...zoo.networks.blocks import Bottleneck
from ...zoo.networks.factory import build_network
from .kernels import use_threads
from .resident import EXACT, resident_growth

# Enough to count: bytes of a sample do not depend on the batch.
SAMPLES, IMAGE = 2, (3, 224, 224)
BATCH, SMALL_IMAGE, ROUNDS = 128, (3, 32, 32), 5
MEGA = 1e6
LEVELS: dict[str, Recipe] = {
    "actnn L0": recipes.actnn("L0"),
    "actnn L1": recipes.actnn("L1"),
    "actnn L2": recipes.actnn("L2"),
    "actnn L2, 8 bits": recipes.actnn("L2", bits=8),
    "actnn L3": recipes.actnn("L3"),
}
OWN: dict[str, Recipe] = {
    "actnn L3": recipes.actnn("L3"),
    "rectified 2 bits": recipes.rectified(2),
    "rectified 4 bits": recipes.rectified(4),
}
TRIPLES = {f"blpa {bits} bits": recipes.blpa(bits) for bits in (8, 4)}
TIMED = {
    "actnn L1": recipes.actnn("L1"),
    "4 bits, actnn L2": recipes.actnn("L2"),
    "actnn L3": recipes.actnn("L3"),
    "blpa 4 bits": recipes.blpa(4),
    "rectified 2 bits": recipes.rectified(2),
}
GROWN = (EXACT, "L1", "L2", "L3")


@dataclass(frozen=True)
class Kept:
    """What one sample of ResNet-50 keeps.

    Args:
        name: of the recipe.
        mega: megabytes.
        undivided: what they would be if inputs of two layers were kept twice.
        ratio: of what torch keeps to it.
    """

    name: str
    mega: float
    undivided: float
    ratio: float


@dataclass(frozen=True)
class MemoryBench:
    """All measurements; prints as tables.

    Args:
        device, threads: where.
        kept: bytes of a sample, of ResNet-50 as ActNN counts it.
        own: of axsim's ResNet-50, whose strides are in the 3x3 convolutions.
        triples: bytes torch keeps for each byte of a batch norm, ReLU and convolution.
        growth: megabytes of a process for a step; empty where not measured.
        steps: time of a step as a multiple of torch's.
    """

    device: str
    threads: int
    kept: tuple[Kept, ...]
    own: tuple[Kept, ...]
    triples: dict[str, float]
    growth: dict[str, float]
    steps: dict[str, float]

    def __str__(self) -> str:
        parts = [
            _kept_table("ResNet-50, 224x224", self.kept),
            _kept_table("the same, strides in the 3x3", self.own),
        ]
        parts.append(_two_columns("batch norm, ReLU, convolution", self.triples, "x"))
        if self.growth:
            shares = {
                f"{name} ({mega:.0f} MB)": mega / self.growth[EXACT]
                for name, mega in self.growth.items()
            }
            parts.append(_two_columns("memory of the process in a step", shares, "x"))
        parts.append(_two_columns("time of a step, ResNet-20", self.steps, "x"))
        parts.append(f"{self.device}, threads: {self.threads}")
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(device: str = "cpu", threads: int = 1) -> MemoryBench:
    """Counts bytes, measures processes and times steps.

    Args:
        device: "cpu" or "cuda"; memory of processes is that of the CPU.
        threads: of the CPU.
    """
    with use_threads(threads):
        return MemoryBench(
            kernels.device_name(device),
            threads,
            bytes_kept(resnet50(), LEVELS, device),
            bytes_kept(build_network("resnet50"), OWN, device),
            {name: triple_ratio(r, device) for name, r in TRIPLES.items()},
            {level: resident_growth(level) / MEGA for level in progress(GROWN, "steps")}
            if device == "cpu"
            else {},
            step_times(device),
        )


def bytes_kept(
    net: nn.Module, levels: Mapping[str, Recipe], device: str = "cpu"
) -> tuple[Kept, ...]:
    """What a sample keeps in a network for ImageNet, by the store's own count."""
    torch.manual_seed(0)
    net = net.to(device)
    x = torch.randn(SAMPLES, *IMAGE, device=device)
    lines: list[Kept] = []
    for name, recipe in progress(levels.items(), "counting"):
        coded = approximate(net, recipe)
        y = coded.train()(x)
        ledger = plan(coded).store.ledger
        exact = ledger.exact / SAMPLES / MEGA
        mega = ledger.kept / SAMPLES / MEGA
        spared = sum(line.spared for line in ledger.lines) / SAMPLES / MEGA
        if not lines:
            lines.append(Kept("torch", exact, exact, 1.0))
        lines.append(Kept(name, mega, mega + spared, exact / mega))
        del y
    return tuple(lines)


def resnet50() -> nn.Module:
    """ResNet-50 as He et al. have it, and as ActNN counts it.

    A stage's first 1x1 convolution has the stride, which axsim's has at the 3x3.
    """
    net = build_network("resnet50")
    for block in net.modules():
        if isinstance(block, Bottleneck):
            first, second = block.conv1, block.conv2
            first.stride, second.stride = second.stride, first.stride
    return net


def triple_ratio(recipe: Recipe, device: str = "cpu") -> float:
    """Bytes torch keeps for each byte of the codes of batch norm, ReLU, convolution.

    The weight and bias of each channel, which decoding needs, are not counted.
    """
    net = approximate(build_network("preact_resnet56"), recipe).to(device)
    y = net.train()(torch.randn(SAMPLES, *SMALL_IMAGE, device=device))
    lines = [n for n in plan(net).store.ledger.lines if n.codec == "BatchNormCodes"]
    floats = 2 * 4 * sum(line.elements for line in lines)
    norms = (m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    metadata = 8 * sum(norm.num_features for norm in norms)
    del y
    return floats / (sum(line.kept for line in lines) - metadata)


def step_times(device: str = "cpu") -> dict[str, float]:
    """Time of forward and backward of ResNet-20, batch 128, relative to torch's own.

    The networks take turns, so that whatever else the machine does meets all of them;
    the median of the ratios of all rounds.
    """
    torch.manual_seed(0)
    net = build_network("cifar_resnet20").to(device).train()
    x = torch.randn(BATCH, *SMALL_IMAGE, device=device)
    target = torch.arange(BATCH, device=device) % 10
    steps: dict[str, Callable[[], None]] = {EXACT: lambda: _step(net, x, target)}
    for name, recipe in TIMED.items():
        coded = approximate(net, recipe)
        steps[name] = lambda coded=coded: _coded_step(coded, x, target)
    for step in steps.values():
        step()
    rounds = [
        {name: _seconds(step, device) for name, step in steps.items()}
        for _ in progress(range(ROUNDS), "timing")
    ]
    return {name: median(r[name] / r[EXACT] for r in rounds) for name in TIMED}


def _step(net: nn.Module, x: Tensor, target: Tensor) -> None:
    F.cross_entropy(net(x), target).backward()


def _coded_step(net: nn.Module, x: Tensor, target: Tensor) -> None:
    _step(net, x, target)
    plan(net).after_step()


def _seconds(step: Callable[[], None], device: str) -> float:
    # What other processes take of the CPU is no time of the step.
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    start = clock()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def _kept_table(title: str, lines: tuple[Kept, ...]) -> str:
    rows = [
        (k.name, f"{k.mega:.2f}", f"{k.undivided:.2f}", f"{k.ratio:.2f}x")
        for k in lines
    ]
    head = (title, "MB/sample", "without sharing", "less")
    return text_table(rows, head, left=head[:1])


def _two_columns(title: str, values: dict[str, float], unit: str) -> str:
    rows = [(name, f"{value:.2f}{unit}") for name, value in values.items()]
    return text_table(rows, (title, "ratio"), left=(title,))
