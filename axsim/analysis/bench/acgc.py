"""AC-GC's four modes on its CIFAR-shaped ResNet-50: average bits and accuracy.

Patterns under noise stand in for CIFAR, so that it runs anywhere and bits are measured
on a network that learns; accuracies are those of that task. On CIFAR-10 the command is
`axsim train --model acgc_resnet50 --data cifar10:/path --saved acgc:autoquant`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ... import kernels, recipes
from ...console import progress, text_table
from ...memory.ledger import Line
from ...nn.convert import approximate
from ...nn.plan import plan
from ...recipes.acgc import SELECTORS, Mode
from ...zoo.networks.factory import build_network
from .kernels import use_threads

NETWORK, CLASSES = "acgc_resnet50", 10
STEPS, BATCH, RATE, LAST = 300, 8, 0.01, 50
NOISE, SIDE = 1.0, 32
BASELINE = "float32"


@dataclass(frozen=True)
class Row:
    """One mode.

    Args:
        mode: of `recipes.acgc`.
        accuracy: of the last batches before they were learnt, 0 to 1.
        bits: kept for an element of the selected tensors, on average over all steps.
        products, norms: the same for each preset.
    """

    mode: str
    accuracy: float
    bits: float
    products: float
    norms: float


@dataclass(frozen=True)
class AcgcBench:
    """All modes; prints as a table."""

    device: str
    threads: int
    steps: int
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        head = ("mode", "accuracy %", "bits", "CNV", "BN")
        rows = [
            (r.mode, f"{100 * r.accuracy:.1f}", f"{r.bits:.2f}", f"{r.products:.2f}",
             f"{r.norms:.2f}")
            for r in self.rows
        ]  # fmt: skip
        return (
            f"{text_table(rows, head, left=['mode'])}\n\n{NETWORK}, {self.steps} steps "
            f"of {BATCH} noisy patterns of {CLASSES} classes; bits with metadata, "
            f"averaged over all steps. {self.device}, threads: {self.threads}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(device: str = "cpu", threads: int = 1, *, steps: int = STEPS) -> AcgcBench:
    """Trains in every mode from the same weights on the same batches.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        steps: of each training.
    """
    with use_threads(threads):
        modes = (BASELINE, *get_args(Mode))
        rows = tuple(_train(mode, device, steps) for mode in progress(modes, "modes"))
    return AcgcBench(kernels.device_name(device), threads, steps, rows)


def _train(mode: str, device: str, steps: int) -> Row:
    torch.manual_seed(0)
    net = build_network(NETWORK).to(device)
    coded = mode != BASELINE
    if coded:
        chosen = recipes.acgc(cast(Mode, mode), tuple(SELECTORS), interval=50)
        net = approximate(net, chosen)
    optimizer = torch.optim.SGD(net.parameters(), RATE, momentum=0.9)
    right, kept = list[float](), list[tuple[float, float, float]]()
    for step in progress(range(steps), mode):
        x, target = batch(step, device)
        right.append(_step(net.train(), optimizer, x, target))
        if coded:
            kept.append(_bits(plan(net).store.ledger.lines))
            plan(net).after_step()
    means = torch.tensor(kept).mean(0).tolist() if coded else [32.0] * 3
    accuracy = sum(right[-LAST:]) / len(right[-LAST:])
    return Row(mode, accuracy, *means)


def batch(step: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Images in which each class has a pattern of its own, under noise."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(CLASSES, 3, SIDE // 4, SIDE // 4, generator=generator)
    patterns = F.interpolate(patterns, scale_factor=4.0, mode="bilinear")
    generator.manual_seed(step + 1)
    target = torch.randint(CLASSES, (BATCH,), generator=generator)
    noise = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    return (patterns[target] + NOISE * noise).to(device), target.to(device)


def _step(
    net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, target: Tensor
) -> float:
    """Share of right answers before the step."""
    logits = net(x)
    optimizer.zero_grad()
    F.cross_entropy(logits, target).backward()
    optimizer.step()
    return float((logits.argmax(1) == target).float().mean())


def _bits(lines: Iterable[Line]) -> tuple[float, float, float]:
    """Bits of an element: of all selected tensors, of products, of batch norms."""
    coded = [n for n in lines if n.codec in ("FixedPoint", "ZeroValue") and n.elements]
    norms = [n for n in coded if "bn" in n.slot or n.slot.endswith("downsample.1")]
    products = [n for n in coded if n not in norms]
    return _mean(coded), _mean(products), _mean(norms)


def _mean(lines: list[Line]) -> float:
    return 8 * sum(n.kept for n in lines) / max(1, sum(n.elements for n in lines))
