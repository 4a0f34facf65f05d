"""The benchmarks of retraining on few folds, seeds and epochs; their printed tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from axsim.analysis.bench import gradients, retraining, step
from axsim.analysis.pooled import Case
from axsim.analysis.trained import trained_digits
from axsim.cli import build_app
from axsim.cli.bench import subjects
from axsim.zoo.data.digits import digits_folds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


def test_what_is_benched_has_a_command() -> None:
    assert {"gradients", "retraining", "step"} <= set(subjects())


def test_float_networks_are_trained_once(folder: Path) -> None:
    case = Case(0, 1, *digits_folds(0))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = trained_digits(case, folder, epochs=1)
    assert torch.equal(torch.get_rng_state(), state)
    files = {file: file.stat().st_mtime_ns for file in folder.rglob("*.safetensors")}
    again = trained_digits(case, folder, epochs=1)
    assert files and all(f.stat().st_mtime_ns == t for f, t in files.items())
    for name, each in first.state_dict().items():
        assert torch.equal(each, again.state_dict()[name]), name


def test_retraining_is_compared_with_float32(folder: Path) -> None:
    found = retraining.run(folder=folder, folds=2, seeds=1, epochs=(3, 2))
    names = [line.name for line in found.lines]
    coarse = retraining.COARSE
    assert names == ["float32", "mul8u_exact", coarse, f"{coarse}, retrained"]
    float32, exact, before, after = found.lines
    assert (found.images, found.seeds, float32.difference) == (1797, 1, None)
    assert exact.difference and exact.difference.points == pytest.approx(
        100 * (exact.accuracy - float32.accuracy)
    )
    assert before.accuracy < 0.6 < after.accuracy
    assert before.seconds is None and after.seconds and after.seconds > 0
    shown = str(found).splitlines()
    assert shown[0].split()[:2] == ["products", "accuracy"]
    assert f"({exact.difference.low:+.2f}..{exact.difference.high:+.2f})" in shown[3]
    assert shown[-1].startswith("digits_resnet on the digits: 1,797 test images, each")
    assert json.loads(json.dumps(found.to_dict()))["lines"][0]["name"] == "float32"


def test_gradients_are_compared_for_each_table(folder: Path) -> None:
    tables = ("mul8u_drum_3", "mul8u_trunc_8")
    found = gradients.run(folder=folder, tables=tables, seeds=1, epochs=(1, 1))
    assert [line.table for line in found.lines] == [*tables, "all of them"]
    *single, every = found.lines
    mean = sum(line.difference.points for line in single) / 2
    assert every.difference.points == pytest.approx(mean)
    for line in found.lines:
        plain, local = line.accuracies
        assert line.difference.points == pytest.approx(100 * (local - plain))
        assert line.difference.low < line.difference.points < line.difference.high
    assert [row.split()[0] for row in str(found).splitlines()[2:4]] == list(tables)
    assert "360 test images of one fold, each for 1 seeds" in str(found)


def test_a_step_is_taken_in_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = step.Batch("digits_resnet", 2, (1, 8, 8))
    found = step.run(batches=(tiny,), repeats=2)
    ways = [timing.way for timing in found.timings]
    assert ways[0] == "float32" and len(ways) == 1 + len(step.WAYS)
    assert "mul8u_trunc_9, gradient=table" in ways
    assert found.timings[0].ratio == 1
    assert all(t.forward > 0 and t.backward > 0 for t in found.timings)
    assert str(found).splitlines()[2].startswith("digits_resnet, 2 x 1x8x8  float32")

    # The command hands its folder to a subject that keeps networks, and to no other.
    def benched(device: str, threads: int, **kept: Any) -> step.StepBench:
        assert (device, threads, kept) == ("cpu", 1, {})
        return found

    def keeping(device: str, threads: int, folder: Path) -> step.StepBench:
        assert folder == Path("here")
        return found

    for run in (benched, keeping):
        monkeypatch.setattr(step, "run", run)
        arguments = ["bench", "step", "--out", "here"]
        result = CliRunner().invoke(build_app(), arguments)
        assert result.exit_code == 0, result.output
        assert result.stdout == f"{found}\n"
