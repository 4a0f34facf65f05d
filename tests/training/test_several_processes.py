"""Two real processes under torchrun arrive where one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from blobs import build, make_blobs
from torch import Tensor, nn

import axsim as ax
from axsim import TrainSettings
from axsim.training.meter import Meter
from axsim.training.processes import join
from axsim.training.result import TrainResult
from axsim.zoo.checkpoint import load_weights, read_weights

# 45 samples in batches of 11: the last one has a single sample, for two processes.
SETTINGS: dict[str, TrainSettings] = {
    "sgd": TrainSettings(epochs=3, batch_size=11, lr=0.05, flip=True, crop_pad=1,
                         log_steps=2),
    "adamw": TrainSettings(epochs=3, batch_size=11, lr=0.01, optimizer="adamw",
                           sub_batches=3, clip_norm=0.5),
}  # fmt: skip


class Shrink:
    """A penalty on the weights of the head."""

    def __init__(self, net: nn.Module) -> None:
        self.weight = net.get_parameter("5.weight")

    def penalty(self) -> Tensor:
        return self.weight.square().sum() / 2

    def after_step(self) -> None:
        pass


def train_one(name: str, out: Path, **given: Any) -> TrainResult:
    net = build()
    given |= {"validate": make_blobs(7, seed=1), "plan": Shrink(net)}
    return ax.train(net, make_blobs(), SETTINGS[name], out=out / name, **given)


def train_converted(out: Path) -> nn.Module:
    """A network on a coarse table, calibrated by each process for itself."""
    mul = ax.Product(ax.load_multiplier("mul8u_trunc_9"), gradient="table")
    net = ax.approximate(build(), mul, calibration=[make_blobs().tensors[0]])
    ax.train(net, make_blobs(), SETTINGS["sgd"], out=out / "converted")
    return net


def act(out: Path) -> None:
    """What each of the two processes does."""

    def stop(row: object) -> None:
        raise InterruptedError

    train_one("sgd", out)
    with pytest.raises(InterruptedError):
        train_one("adamw", out, on_epoch=stop)
    train_one("adamw", out, resume=True)
    train_converted(out)
    group = join("cpu")
    meter = Meter(group.device)
    # A float64 sum would lose the 1.
    meter.set(0.5, 2**60 + group.rank, 3)
    sums = meter.read(group)
    model = nn.BatchNorm1d(2)
    model.get_buffer("running_mean").fill_(group.rank + 7)
    group.share_buffers(model)
    told = {"sums": sums, "mean": model.get_buffer("running_mean").tolist()}
    (out / f"rank{group.rank}.json").write_text(json.dumps(told))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave behind."""
    out = tmp_path_factory.mktemp("together")
    script = out / "script.py"
    script.write_text(
        "import sys, pathlib, torch\n"
        "from test_several_processes import act\n"
        "torch.set_num_threads(1)\n"
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
    return out


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()
    ]


@pytest.mark.parametrize("name", list(SETTINGS))
def test_two_processes_train_as_one_does(
    name: str, together: Path, tmp_path: Path
) -> None:
    alone = train_one(name, tmp_path)
    one, two = (
        load_weights(build(), folder / name / "last.safetensors").state_dict()
        for folder in (tmp_path, together)
    )
    for key, each in build().state_dict().items():
        assert torch.allclose(one[key], two[key], rtol=0, atol=2e-6), key
        assert not torch.allclose(one[key], each, rtol=0, atol=1e-3), key
    rows = [line for line in log_of(together / name) if line["event"] == "epoch"]
    for row, expected in zip(rows, alone.history, strict=True):
        # Counts are whole numbers, and every sample is in one of them.
        assert row["accuracy"] == expected.accuracy
        assert row["valid_accuracy"] == expected.valid_accuracy
        assert row["loss"] == pytest.approx(expected.loss, abs=1e-6)
        assert row["valid_loss"] == pytest.approx(expected.valid_loss, abs=1e-6)


def test_two_processes_train_a_converted_network_as_one_does(
    together: Path, tmp_path: Path
) -> None:
    alone = train_converted(tmp_path)
    two = read_weights(together / "converted" / "last.safetensors")
    start = build().state_dict()
    for key, each in alone.state_dict().items():
        # A last bit can be another code, and a code of these tables is much.
        assert torch.allclose(each.float(), two[key].float(), rtol=0, atol=1e-3), key
        if key in start:
            assert not torch.allclose(each, start[key], rtol=0, atol=1e-2), key


def test_one_of_them_writes(together: Path) -> None:
    events = [line["event"] for line in log_of(together / "adamw")]
    assert events == ["start", "epoch", "resume", "epoch", "epoch"]
    assert {line.get("processes", 2) for line in log_of(together / "sgd")} == {2}
    steps = [line for line in log_of(together / "sgd") if line["event"] == "step"]
    assert [line["step"] for line in steps] == [2, 4, 1, 3, 5, 2, 4]


def test_sums_of_integers_are_exact_and_buffers_those_of_the_first(
    together: Path,
) -> None:
    for rank in range(2):
        told = json.loads((together / f"rank{rank}.json").read_text())
        assert told == {"sums": [1.0, 2**61 + 1, 6], "mean": [7.0, 7.0]}
