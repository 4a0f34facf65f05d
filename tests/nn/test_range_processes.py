"""Two real processes: ranges of all batches, and gradients of all samples."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

import axsim as ax
from axsim.quant.observers import MovingAverage
from axsim.quant.percentile import Percentile

MUL = ax.load_multiplier("mul8u_trunc_6")
RULES = [
    ax.Rule("0", ax.LayerSpec(ax.Quant(observer=Percentile(98.0, 256)), MUL)),
    ax.Rule(".*", MUL),
]


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)
    ).eval()


def batches() -> list[Tensor]:
    """Of which each process sees its own; the third is the loudest."""
    generator = torch.Generator().manual_seed(4)
    drawn = [torch.randn(4, 1, 6, 6, generator=generator) for _ in range(4)]
    drawn[2] *= 5
    return drawn


def act(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    own = batches()[rank::2]
    net = ax.approximate(model(), RULES, calibration=own)
    averaged = ax.LayerSpec(ax.Quant(observer=MovingAverage(0.5)), MUL)
    average = ax.approximate(model(), averaged, calibration=own)
    wrapped = DistributedDataParallel(net)
    wrapped(own[0]).square().mean().backward()
    gradients = {name: p.grad for name, p in net.named_parameters()}
    told = (net.state_dict(), average.state_dict(), gradients)
    torch.save(told, Path(folder) / f"rank{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_arrive_where_one_does(tmp_path: Path) -> None:
    spawn(act, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    net = ax.approximate(model(), RULES, calibration=batches())
    # Of samples 0 and 1, which the processes had first.
    net(torch.cat(batches()[:2])).square().mean().backward()
    for key, value in net.state_dict().items():
        assert torch.equal(first[0][key], value) and torch.equal(second[0][key], value)
    for key, value in first[1].items():
        assert torch.equal(second[1][key], value)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(first[2][name], parameter.grad)
        assert torch.equal(first[2][name], second[2][name])
    key = "0.site.input_quantizer.scale"
    alone = ax.approximate(model(), RULES, calibration=batches()[1::2])
    assert not torch.equal(alone.state_dict()[key], net.state_dict()[key])
