"""Calibration in two processes gives what one process would have found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch

from axsim.quant.mse import MSE
from axsim.quant.observers import MinMax, MovingAverage, Observer
from axsim.quant.percentile import Percentile
from axsim.quant.processes import synchronise
from axsim.quant.quantizer import Quantizer
from axsim.quant.scheme import PerAxis, Scheme

ROOT = Path(__file__).parents[2]
RANKS = 2


def quantizers() -> list[Quantizer]:
    per_channel = Scheme(bits=4, granularity=PerAxis(1))
    observers: list[Observer] = [MinMax(), Percentile(95.0), MSE(), MovingAverage()]
    watching = [Quantizer(observer=observer).calibrate() for observer in observers]
    watching += [Quantizer(per_channel, observer).calibrate() for observer in observers]
    only_rank_1 = Quantizer(name="an expert that one process alone met").calibrate()
    fixed = Quantizer().fix(torch.tensor(0.5), torch.tensor(1))
    return [*watching, only_rank_1, fixed]


def watch(some: list[Quantizer], rank: int) -> None:
    """One batch for each process, of different size and range."""
    generator = torch.Generator().manual_seed(rank)
    x = torch.randn(50 + 70 * rank, 3, generator=generator) * (1 + 40 * rank) + rank
    for quantizer in some[: -1 if rank else -2]:
        quantizer(x)


def report(some: list[Quantizer]) -> list[list[float]]:
    for quantizer in some[:-1]:
        quantizer.freeze()
    return [[*q.scale.flatten().tolist(), *q.zero_point.flatten().tolist()]
            for q in some]  # fmt: skip


def run_rank(rank: int, store: Path, out: Path) -> None:
    import torch.distributed as dist

    dist.init_process_group(
        "gloo", init_method=store.as_uri(), rank=rank, world_size=RANKS
    )
    some = quantizers()
    watch(some, rank)
    synchronise(some)
    out.write_text(json.dumps(report(some)))
    dist.destroy_process_group()


def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    outs = [tmp_path / f"{rank}.json" for rank in range(RANKS)]
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from tests.quant.test_processes import run_rank\n"
        "run_rank(int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, ROOT, str(rank), tmp_path / "store", out],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, out in enumerate(outs)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    one, other = (json.loads(out.read_text()) for out in outs)
    assert one == other

    alone = quantizers()
    watch(alone, 0)
    watch(alone, 1)
    expected = report(alone)
    averages = {3, 7}
    for i, (found, single) in enumerate(zip(one, expected, strict=True)):
        # Averages of batches one after the other weigh them differently.
        assert (found == single) == (i not in averages)


def test_processes_average_alike() -> None:
    rows = [quantizers()[3] for _ in range(RANKS)]
    for rank, quantizer in enumerate(rows):
        quantizer(torch.tensor([0.0, 100.0 + 55 * rank * 2]))
    states = [quantizer.seen for quantizer in rows if quantizer.seen]
    rows[0].seen = rows[0].observer.unite(states)
    assert rows[0].freeze().scale == torch.tensor(155.0) / 255
