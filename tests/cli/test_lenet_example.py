"""tf-approximate's example: LeNet in float32, then under a table from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import axsim as ax
from axsim.cli import build_app

LENET = ("--model", "lenet5", "--data", "digits", "--data-option", "size=28")


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(build_app(), list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result


def evaluations(result: Result) -> list[list[str]]:
    cells = [line.split() for line in result.stdout.splitlines()]
    return [row for row in cells if row[:1] == ["360"]]


@pytest.fixture(scope="module")
def lenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lenet")
    run("train", *LENET, "--epochs", 3, "--batch-size", 32, "--lr", 0.02,
        "--optimizer", "sgd", "--out", out)  # fmt: skip
    return out / "last.safetensors"


def test_two_commands_train_and_evaluate_with_and_without_a_table(
    lenet: Path, tmp_path: Path
) -> None:
    mul = ax.load_multiplier("mul8u_trunc_7")
    table = mul.save(tmp_path / "mul8u_mine.bin")
    assert table.stat().st_size == 131_072
    given = ("--weights", lenet, "--multiplier", table, "--recipe", "tfapprox")
    result = run("eval", *LENET, *given, "--layers")
    without, under = evaluations(result)
    assert float(without[1]) > 75
    assert float(under[1]) < float(without[1]) and float(under[4]) < 100
    # As there, convolutions alone are on the table.
    on_table = [line for line in result.stdout.splitlines() if "ApproxConv2d" in line]
    assert [line.split()[0] for line in on_table] == ["conv1", "conv2"]


def test_an_exact_table_file_gives_what_float32_gives(
    lenet: Path, tmp_path: Path
) -> None:
    codes = np.arange(256, dtype=np.uint16)
    table = tmp_path / "mul8u_product.bin"
    np.multiply.outer(codes, codes).astype("<u2").tofile(table)
    given = ("--weights", lenet, "--multiplier", table, "--recipe", "tfapprox")
    without, under = evaluations(run("eval", *LENET, *given))
    assert abs(float(under[1]) - float(without[1])) < 1.5
    assert float(under[4]) > 97
