"""`--gate` on the command line: the recipes by short names, and what training tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from axsim.cli import build_app
from axsim.cli._answers import Answers
from axsim.errors import ConversionError
from axsim.recipes import channel_gating, precision_gating


def test_a_gate_is_a_recipe() -> None:
    text = "pg:bits=3,msb=2,target=1,weight=1e-3"
    assert Answers(gate=text).rules() == precision_gating(3, 8, 2)
    assert Answers(gate="cg:parts=2,grouped=False").rules() == channel_gating(
        2, grouped=False
    )


def test_other_gates_are_refused() -> None:
    with pytest.raises(ConversionError, match="pgg"):
        Answers(gate="pgg:bits=3").rules()


def test_training_logs_the_sparsity(tmp_path: Path) -> None:
    gate = "pg:bits=3,msb=2,weight=1e-3,gated=head,quantised=None"
    told = CliRunner().invoke(build_app(), [
        "train", "--model", "linear:build", "--data", "digits", "--epochs", "1",
        "--gate", gate, "--out", str(tmp_path), "--no-validate",
    ])  # fmt: skip
    assert told.exit_code == 0, told.output
    rows = [json.loads(r) for r in (tmp_path / "log.jsonl").read_text().splitlines()]
    (epoch,) = (row for row in rows if row["event"] == "epoch")
    assert 0 < epoch["sparsity"] < 1
