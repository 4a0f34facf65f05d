"""A network, data and tables so small that a sweep takes a moment."""

from __future__ import annotations

import os
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import axsim as ax
from axsim.tables.cost import MODEL_UNITS, Cost

PRODUCTS = 16 * 8 + 8 * 3


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    return net.eval()


def images(count: int = 40, seed: int = 1) -> Tensor:
    return torch.randn(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def dataset(count: int = 40, seed: int = 1) -> TensorDataset:
    """Images with the class that the float network sees, but for every fifth."""
    x = images(count, seed)
    labels = network()(x).argmax(1)
    labels[::5] = (labels[::5] + 1) % 3
    return TensorDataset(x, labels)


def calibration() -> list[Tensor]:
    return [images(16, 2), images(16, 3)]


def truncated(dropped: int, signed: bool = False, bits: int = 8) -> ax.Multiplier:
    """A table that drops the low bits of every product."""
    mask = ~((1 << dropped) - 1)
    return ax.Multiplier.from_function(
        lambda a, b: a * b & mask,
        signed=signed,
        bits=(bits, bits),
        name=f"mul{bits}{'s' if signed else 'u'}_cut{dropped}",
        cost=Cost("a model", power=1 - dropped / 20, area=1.0, units=MODEL_UNITS),
    )


def tables() -> list[ax.Multiplier]:
    """Of four kinds of codes, two of each."""
    return [
        truncated(dropped, signed, bits)
        for bits in (8, 5)
        for signed in (False, True)
        for dropped in (0, bits - 1)
    ]


def sweep(muls: list[ax.Multiplier], **options: Any) -> ax.Runs:
    options.setdefault("calibration", calibration())
    return ax.sweep(network(), muls, dataset(), **options)


def slowly(mul: ax.Multiplier) -> ax.Multiplier:
    """The default recipe, so slow that there is time to kill."""
    time.sleep(0.1)
    return mul


def fatal(mul: ax.Multiplier) -> ax.Multiplier:
    """A recipe that takes the worker with it, and only the worker."""
    if os.environ.get("SWEEP_PARENT", str(os.getpid())) != str(os.getpid()):
        os._exit(1)
    return mul


def figures(run: Any) -> dict[str, Any]:
    """Everything of a row but how long it took and who ran it."""
    fields = dict(vars(run))
    for name in ("seconds", "command", "recipe"):
        del fields[name]
    return fields
