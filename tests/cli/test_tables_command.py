"""`axsim tables`: the shipped tables listed, and built anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import axsim as ax
from axsim.cli import build_app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["tables", *arguments])


def test_without_a_command_both_are_shown() -> None:
    shown = run().output
    assert "list" in shown and "build" in shown


def test_the_list_runs_from_the_smallest_error_and_names_the_source_of_costs() -> None:
    result = run("list", "mul8u_trunc_[24]")
    assert result.exit_code == 0
    head, _, *rows = result.stdout.splitlines()
    assert head.split() == [
        "name", "MAE", "WCE", "MRE", "%", "bias", "rank", "power", "area", "delay",
    ]  # fmt: skip
    # Of k columns, (k - 1) 2^k + 1 is lost at most, a quarter of it on average.
    assert rows[0].split()[:3] == ["mul8u_trunc_2", "1.25", "5"]
    assert rows[1].split()[:3] == ["mul8u_trunc_4", "12.25", "49"]
    assert "axsim unit-gate model; relative to the exact" in result.stdout


def test_an_unknown_pattern_is_an_error() -> None:
    assert "no shipped table matches 'zzz*'" in str(run("list", "zzz*").exception)


def test_build_needs_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ax.TableError, match="cannot be made a folder"):
        raise run("build", "--out", str(tmp_path / "file")).exception or AssertionError
