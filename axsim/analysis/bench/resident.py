"""How much memory a process takes for one training step, measured in a fresh one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ... import recipes
from ...nn.convert import approximate
from ...nn.plan import plan
from ...zoo.networks.cifar_resnet import CifarResNet

# Wide enough that activations, and not torch itself, fill the memory.
BLOCKS, WIDTHS, SAMPLES = 6, (64, 128, 256), 16
# glibc otherwise learns to keep the memory of freed tensors, in fragments.
PAGES = {"MALLOC_MMAP_THRESHOLD_": "1000000"}
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
EXACT = "exact"


def resident_growth(level: str) -> int:
    """Bytes by which a step's peak is above what was resident before, in a new process.

    Args:
        level: of `recipes.actnn`, or "exact" for torch alone.
    """
    command = [sys.executable, "-m", __name__, level]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | PAGES
    )
    return int(json.loads(done.stdout))


def wide_resnet() -> nn.Module:
    """A ResNet-38 of four times the usual width, for 32x32 images."""
    return CifarResNet(BLOCKS, 10, 3, WIDTHS, "after")


def measure(level: str) -> int:
    """What `resident_growth` says, of this process."""
    torch.manual_seed(0)
    net = wide_resnet()
    if level != EXACT:
        net = approximate(net, recipes.actnn(level))
    net.train()
    x = torch.randn(SAMPLES, 3, 32, 32)
    _step(net, x[:2], level)
    RESET.write_text("5")
    before = _status("VmRSS")
    _step(net, x, level)
    return _status("VmHWM") - before


def _step(net: nn.Module, x: torch.Tensor, level: str) -> None:
    F.cross_entropy(net(x), torch.arange(len(x)) % 10).backward()
    if level != EXACT:
        plan(net).after_step()


def _status(name: str) -> int:
    lines = STATUS.read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1])))
