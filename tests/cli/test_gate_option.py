"""`--gate` on the command line: the recipes by short names, and what training tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from axsim import load_network, plan
from axsim.cli import build_app
from axsim.cli._answers import Answers
from axsim.errors import ConversionError
from axsim.recipes import channel_gating, precision_gating
from axsim.zoo.data import sources
from tests.zoo.data.archives import SMALL10, write_python


def test_a_gate_is_a_recipe() -> None:
    text = "pg:bits=3,msb=2,target=1,weight=1e-3"
    assert Answers(gate=text).rules() == precision_gating(3, 8, 2)
    assert Answers(gate="cg:parts=2,grouped=False").rules() == channel_gating(
        2, grouped=False
    )


def test_other_gates_are_refused() -> None:
    with pytest.raises(ConversionError, match="pgg"):
        Answers(gate="pgg:bits=3").rules()


@pytest.mark.parametrize(
    ("gate", "options", "gated"),
    [
        ("pg:bits=3,msb=2,target=1", [], 3),
        ("pg:bits=3,msb=2,pact=None,profile=dnn-gating", ["pact=6.0"], 3),
        ("cg:parts=2,post_activated=True,target=0.6", ["last=before"], 6),
    ],
)
def test_the_published_commands_run_on_files_of_cifar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: str, options: list[str],
    gated: int,
) -> None:  # fmt: skip
    monkeypatch.setitem(sources.SOURCES, "cifar10", SMALL10.load)
    write_python(SMALL10, tmp_path)
    words = [w for each in options for w in ("--model-option", each)]
    common = ["--model", "cifar_resnet8", *words, "--data", f"cifar10:{tmp_path}"]
    out = tmp_path / "run"
    told = CliRunner().invoke(build_app(), [
        "train", *common, "--gate", gate, "--out", str(out), "--epochs", "1",
        "--batch-size", "15", "--flip", "--crop-pad", "4", "--no-decay-vectors",
    ])  # fmt: skip
    assert told.exit_code == 0, told.output
    rows = [json.loads(r) for r in (out / "log.jsonl").read_text().splitlines()]
    (epoch,) = (row for row in rows if row["event"] == "epoch")
    assert 0 < epoch["sparsity"] < 1
    report = plan(load_network(out / "network")).gate_report()
    assert len(report.lines) == gated
    # The network was trained on 30 images and evaluated on four.
    assert report.products == 12_239_488


def test_training_logs_the_sparsity(tmp_path: Path) -> None:
    gate = "cg:parts=2,weight=1e-3,gated=head"
    told = CliRunner().invoke(build_app(), [
        "train", "--model", "linear:build", "--data", "digits", "--epochs", "1",
        "--gate", gate, "--out", str(tmp_path), "--no-validate",
    ])  # fmt: skip
    assert told.exit_code == 0, told.output
    rows = [json.loads(r) for r in (tmp_path / "log.jsonl").read_text().splitlines()]
    (epoch,) = (row for row in rows if row["event"] == "epoch")
    assert 0 < epoch["sparsity"] < 1


def test_evaluation_tells_what_was_closed() -> None:
    told = CliRunner().invoke(build_app(), [
        "eval", "--model", "linear:build", "--data", "digits",
        "--gate", "cg:parts=2,gated=head",
    ])  # fmt: skip
    assert told.exit_code == 0, told.output
    assert "closed outputs: " in told.output and "gated layers form" in told.output
