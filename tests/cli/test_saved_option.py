"""`axsim train --saved` and `axsim bench convergence` on files in CIFAR-10's format."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from axsim import DataError, TrainSettings
from axsim.analysis.bench import convergence
from axsim.cli import build_app
from axsim.errors import BackendError
from axsim.zoo.data import sources
from tests.zoo.data.archives import SMALL10, write_binary

# Bits an element of all that is kept, masks included: between these.
SAVED = {
    "actnn:L0": (24, 26),
    "actnn:L1": (9, 10.5),
    "actnn:L2": (3.2, 3.7),
    "actnn:L2,bits=8": (6, 7),
    "actnn:L3": (1.7, 2),
    "blpa:4": (20, 22),
    "acgc:quant": (7, 8),
    "acgc:quantz,bits=6": (4, 5.4),
    "acgc:autoquant": (3, 17),
    "acgc:autoquantz": (3, 17),
    "gact:L1": (3.2, 3.7),
    "gact:L1.2": (1.7, 2),
    "gact:L2": (2.5, 3.7),
    "rectified:2": (1.4, 1.7),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `--data` is to be: 30 images to train with, 4 to test."""
    write_binary(SMALL10, tmp_path)
    monkeypatch.setitem(sources.SOURCES, "cifar10", SMALL10.load)
    return f"cifar10:{tmp_path}"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), list(map(str, arguments)))


@pytest.mark.parametrize("saved", SAVED)
def test_every_recipe_trains_on_cifar(saved: str, folder: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(
        "train", "--model", "small_images:build", "--data", folder, "--saved", saved,
        "--epochs", 2, "--batch-size", 10, "--lr", 0.01, "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if "saved_bits" in line]
    low, high = SAVED[saved]
    assert low < epochs[-1]["saved_bits"] < high
    assert math.isfinite(epochs[-1]["loss"])


def test_convergence_on_cifar(folder: str) -> None:
    ways = {"2 bits": convergence.CIFAR_WAYS["2 bits"]}
    settings = TrainSettings(epochs=1, batch_size=15, lr=0.01)
    found = convergence.run(data=folder, seeds=2, settings=settings, ways=ways)
    assert (found.images, found.seeds, found.network) == (4, 2, "cifar_resnet20")
    assert [line.name for line in found.lines] == ["float32", "2 bits"]
    assert "cifar_resnet20 on cifar10, 1 epochs: 4 test images, each for 2" in str(
        found
    )
    assert found.lines[1].difference is not None


def test_what_check_17_asks_for_is_what_runs() -> None:
    assert set(convergence.CIFAR_WAYS) >= {"4 bits", "2 bits"}
    assert convergence.CIFAR_NETWORK == "cifar_resnet20"


def test_the_option_names_its_subject() -> None:
    refused = run("bench", "codec", "--data", "cifar10:/nowhere")
    assert isinstance(refused.exception, BackendError)
    assert "bench codec takes no --data; only 'axsim bench convergence' and " in str(
        refused.exception
    )
    missing = run("bench", "convergence", "--data", "cifar10:/nowhere")
    assert isinstance(missing.exception, DataError)
