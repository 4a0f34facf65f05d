"""`axsim report` from the command line to the page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import axsim as ax
from axsim.cli import main
from tests.analysis.reading import parse
from tests.conftest import random_multiplier


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["axsim", "report", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_one_table_prints_its_card_and_writes_its_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "mul8u_trunc_6") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(str(ax.load_multiplier("mul8u_trunc_6")))
    assert "wrote mul8u_trunc_6.html (" in printed.out
    assert printed.err == ""
    page = parse(Path("mul8u_trunc_6.html").read_text(encoding="utf-8"))
    assert page.text("code") == ["axsim report mul8u_trunc_6"]


def test_several_tables_print_a_comparison(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "mul8u_trunc_6", "mul?u_exact") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["name", "operands"]
    assert [line.split()[0] for line in lines[2:5]] == [
        "mul8u_exact", "mul4u_exact", "mul8u_trunc_6",
    ]  # fmt: skip
    assert "power by: axsim unit-gate model" in lines
    assert lines[-1].startswith("wrote report.html (")
    page = parse(Path("report.html").read_text(encoding="utf-8"))
    assert page.text("code")[-1] == "axsim report mul8u_trunc_6 'mul?u_exact'"


def test_files_with_their_operands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random_multiplier(4, (8, 4)).save("own & table.npy")
    options = ["--unsigned", "--bits", "8x4", "--out", "pages/own.html"]
    assert run(monkeypatch, "own & table.npy", *options) == 0
    assert "own & table: unsigned 8x4 multiplier" in capsys.readouterr().out
    assert parse(Path("pages/own.html").read_text()).text("h1") == ["own & table"]
    assert run(monkeypatch, "own & table.npy", *options[:3]) == 0
    assert Path("own___table.html").exists()


def test_a_table_is_not_overwritten_by_a_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = random_multiplier(4).save("own.bin").read_bytes()
    assert run(monkeypatch, "own.bin", "--unsigned", "--out", "own.bin") == 2
    assert "TableError: report: 'own.bin' does not end in .html" in (
        capsys.readouterr().err
    )
    assert Path("own.bin").read_bytes() == before


def test_an_unknown_table_is_a_line_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "mul8u_trnc_6") == 2
    problem = capsys.readouterr().err
    assert problem.startswith("TableError: 'mul8u_trnc_6' is neither a file nor")
    assert "'mul8u_trunc_6'" in problem and "Traceback" not in problem
