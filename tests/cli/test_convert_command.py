from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import axsim as ax
from axsim.cli import build_app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), ["convert", *map(str, arguments)])


def test_convert_writes_the_table_and_prints_its_card(tmp_path: Path) -> None:
    mul = ax.Multiplier.from_function(lambda a, b: a * b, signed=False)
    source, target = mul.save(tmp_path / "table.npy"), tmp_path / "out.bin"
    result = run(source, target, "--unsigned")
    assert result.exit_code == 0
    assert "table: unsigned 8x8 multiplier" in result.stdout
    assert "recognised as mul8u_1JFF" in result.stdout
    assert result.stdout.endswith(f"written: {target}, 131,072 bytes\n")
    assert np.fromfile(target, "<u2")[255 * 256 + 255] == 65025


def test_convert_passes_signedness_widths_and_permission_on(tmp_path: Path) -> None:
    model = tmp_path / "model.c"
    model.write_text("int f(int a, int b) { return a * b + (a ^ b); }")
    target = tmp_path / "out.npy"
    with pytest.raises(ax.TableError, match="--allow-compile"):
        raise run(model, target, "--signed").exception or AssertionError
    result = run(model, target, "--signed", "--bits", "3x2", "--allow-compile")
    assert result.exit_code == 0
    table = np.load(target)
    assert table.shape == (8, 4)
    assert table[7, 3] == (-1) * (-1) + (-1 ^ -1)


@pytest.mark.parametrize("bits", ["8", "8x", "axb", "8x4x2", "-1x2"])
def test_widths_that_are_no_pair_are_refused(tmp_path: Path, bits: str) -> None:
    result = run(tmp_path / "x.npy", tmp_path / "y.bin", "--bits", bits)
    assert result.exit_code == 2
    assert "is no pair of widths such as 8x4" in result.stderr
