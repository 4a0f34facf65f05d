"""Two gloo processes that train one network with activations in codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import axsim as ax


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 36, 4),
    )  # fmt: skip


def shares() -> list[Tensor]:
    return [
        *torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1)).chunk(2)
    ]


def gradient_of(net: nn.Module, x: Tensor) -> Tensor:
    net.zero_grad()
    net(x).square().mean().backward()
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


def act(out: Path) -> None:
    """What each of the two processes does."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    told: dict[str, Any] = {}
    for name, recipe in (("exact", ax.recipes.actnn("L0")),
                         ("coded", ax.recipes.actnn("L2", bits=8))):  # fmt: skip
        net = ax.approximate(network(), recipe)
        wrapped = DistributedDataParallel(net)
        for _ in range(3):
            told[name] = gradient_of(wrapped, shares()[rank]).tolist()
            ax.plan(net).after_step()
        stream = ax.plan(net).store.stream
        told[f"{name} key"] = stream.key()
    (out / f"rank{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes say."""
    out = tmp_path_factory.mktemp("saving")
    script = out / "script.py"
    script.write_text(
        "import sys, pathlib\n"
        "from test_saving_in_processes import act\n"
        "act(pathlib.Path(sys.argv[1]))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         "--nproc-per-node=2", str(script), str(out)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads((out / f"rank{rank}.json").read_text()) for rank in range(2)]


def mean_gradient() -> Tensor:
    """Of the two shares, each with statistics of its own."""
    parts = [gradient_of(network(), x) for x in shares()]
    return (parts[0] + parts[1]) / 2


def test_exact_answers_give_the_gradient_of_torch(told: list[dict[str, Any]]) -> None:
    for each in told:
        torch.testing.assert_close(torch.tensor(each["exact"]), mean_gradient())


def test_codes_of_processes_differ_and_their_gradient_is_one(
    told: list[dict[str, Any]],
) -> None:
    one, two = told
    assert one["coded"] == two["coded"]
    assert one["coded key"] != two["coded key"]
    exact, coded = mean_gradient(), torch.tensor(one["coded"])
    assert 0 < (coded - exact).norm() < 0.1 * exact.norm()
    # The shift of the batch norm and the last bias read no codes.
    torch.testing.assert_close(coded[-4:], exact[-4:])
