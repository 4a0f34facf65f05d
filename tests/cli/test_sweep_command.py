"""`axsim sweep`, `axsim report` on its file, and `axsim demo`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import axsim as ax
from axsim.analysis.trial import Outcome, Trial
from axsim.cli import main
from tests.analysis.reading import parse

SHIPPED = ["--model", "digits_resnet", "--weights", "shipped", "--data", "digits"]
LINEAR = ["--model", "linear:build", "--data", "digits"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["axsim", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_a_sweep_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "mul8u_trunc_[46]", *SHIPPED, "--report", "page.html"]
    assert run(monkeypatch, *command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "digits_resnet, on digits, fold 0 of 5, seed 0, test: 360 images, float "
        "accuracy 99.72 %"
    )
    assert [line.split()[1] for line in lines[3:5]] == [
        "mul8u_trunc_4",
        "mul8u_trunc_6",
    ]
    assert lines[-2:] == ["rows are in runs.jsonl", "wrote page.html"]
    rows = Path("runs.jsonl").read_bytes()
    found = ax.Runs.read("runs.jsonl")
    # What the shipped network keeps under this table, from its own evaluation.
    net = ax.load_weights(
        ax.build_network("digits_resnet"), ax.shipped_weights("digits_resnet")
    )
    train = ax.load_data("digits", "train")
    calibration = torch.stack([train[1437 * i // 512][0] for i in range(512)])
    mul = ax.load_multiplier("mul8u_trunc_6")
    alone = ax.approximate(net, mul, calibration=[calibration])
    assert found[1].accuracy == ax.evaluate(alone, ax.load_data("digits")).accuracy
    assert found[0].command.startswith("axsim sweep 'mul8u_trunc_[46]' --model")
    assert parse(Path("page.html").read_text("utf-8")).text("h1") == [
        "digits_resnet under 2 tables"
    ]
    assert run(monkeypatch, *command[:-2]) == 0
    assert Path("runs.jsonl").read_bytes() == rows
    assert capsys.readouterr().out.endswith("next: axsim report runs.jsonl\n")


def test_layers_may_stay_exact(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--exact",
        "(stem|head).*",
        "--calibrate",
        "64",
        "--out",
        "new/r.jsonl",
    ]
    assert run(monkeypatch, "sweep", "mul8u_trunc_7", *SHIPPED, *options) == 0
    (found,) = ax.Runs.read("new/r.jsonl")
    assert found.recipe == "--exact '(stem|head).*' --calibrate 64"
    assert found.products == 747136
    assert found.priced == (747136 - 9216 - 640) / 747136
    assert (
        "digits_resnet, --exact '(stem|head).*' --calibrate 64, on digits"
        in capsys.readouterr().out
    )


def test_a_sweep_in_which_every_table_fails_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "mul8u_trunc_6", *SHIPPED]
    # Signed codes cannot index an unsigned table.
    assert run(monkeypatch, *command, "--recipe", "tfapprox:profile=pt2e") == 1
    assert "every table failed" in capsys.readouterr().err
    assert len(ax.Runs.read("runs.jsonl").failed) == 1


def test_the_conventions_of_a_published_simulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = [*SHIPPED, "--recipe", "tfapprox:profile=tf2"]
    assert run(monkeypatch, "sweep", "mul8u_trunc_6", *options) == 0
    (found,) = ax.Runs.read("runs.jsonl")
    assert found.recipe == "--recipe tfapprox:profile=tf2"
    net = ax.load_weights(
        ax.build_network("digits_resnet"), ax.shipped_weights("digits_resnet")
    )
    rules = ax.recipes.tfapprox(ax.load_multiplier("mul8u_trunc_6"), "tf2")
    alone = ax.evaluate(ax.approximate(net, rules), ax.load_data("digits"))
    assert found.accuracy == alone.accuracy


def test_operand_order_and_signs_are_those_of_eval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = ax.load_weights(
        ax.build_network("digits_resnet"), ax.shipped_weights("digits_resnet")
    )
    train = ax.load_data("digits", "train")
    calibration = [torch.stack([train[1437 * i // 512][0] for i in range(512)])]
    product = ax.Product(ax.load_multiplier("mul8u_bam_h2_v5"), row="weight")
    alone = ax.approximate(net, product, calibration=calibration)
    options = [*SHIPPED, "--row", "weight"]
    assert run(monkeypatch, "sweep", "mul8u_bam_h2_v5", *options) == 0
    (found,) = ax.Runs.read("runs.jsonl")
    assert found.accuracy == ax.evaluate(alone, ax.load_data("digits")).accuracy
    assert found.recipe == "--row weight"
    capsys.readouterr()
    assert run(monkeypatch, "sweep", *SHIPPED, "--recipe", "tfaprox") == 2
    assert "there is no recipe 'tfaprox'" in capsys.readouterr().err
    assert run(monkeypatch, "sweep", *SHIPPED, "--row", "wieght") == 2
    assert "row='wieght'; choose one of" in capsys.readouterr().err


def test_a_sweep_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = ["mul8u_trunc_4", "mul8u_exact"]
    assert run(monkeypatch, "sweep", *tables, *LINEAR, "--processes", "1") == 0
    assert [r.error for r in ax.Runs.read("runs.jsonl")] == [None, None]


def test_ctrl_c_keeps_the_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated: list[str] = []
    go_on = Trial.run

    def interrupted(trial: Trial, mul: ax.Multiplier) -> Outcome:
        evaluated.append(mul.name)
        if len(evaluated) == 2:
            raise KeyboardInterrupt
        return go_on(trial, mul)

    monkeypatch.setattr(Trial, "run", interrupted)
    tables = ["mul8u_exact", "mul8u_loa_4", "mul8u_trunc_4"]
    assert run(monkeypatch, "sweep", *tables, *LINEAR) == 130
    assert "go on with the same command (runs.jsonl)" in capsys.readouterr().err
    assert [run.table for run in ax.Runs.read("runs.jsonl")] == tables[:1]


def test_the_page_of_a_file_of_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "sweep", "mul8u_trunc_4", *LINEAR, "--out", "a.jsonl") == 0
    capsys.readouterr()
    assert run(monkeypatch, "report", "a.jsonl") == 0
    printed = capsys.readouterr().out
    assert "mul8u_trunc_4" in printed and "wrote a.html (" in printed
    document = parse(Path("a.html").read_text("utf-8"))
    assert document.text("code") == ["axsim report a.jsonl"]
    # The table is shipped, so its heatmap is drawn from the file alone.
    assert len(document.attributes("img", "src")) == 2
    assert run(monkeypatch, "report", "none.jsonl") == 2
    assert "DataError: runs: none.jsonl cannot be read" in capsys.readouterr().err


def test_mistakes_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "sweep", "mul8u_trnc_4", *LINEAR) == 2
    assert "TableError: 'mul8u_trnc_4' is neither a file" in capsys.readouterr().err
    assert run(monkeypatch, "sweep", *LINEAR, "--processes", "-1") == 2
    assert "greater than or equal to 0" in capsys.readouterr().err
    assert run(monkeypatch, "sweep", *LINEAR, "--calibrate", "0") == 2
    assert "--calibrate 0; at least 1." in capsys.readouterr().err


def test_the_demo_is_the_main_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ax.multipliers("mul8u_[el]*")
    monkeypatch.setattr(ax, "multipliers", lambda: few)
    assert run(monkeypatch, "demo") == 0
    printed = capsys.readouterr().out
    assert "digits_resnet, on digits, fold 0" in printed
    assert {mul.name for mul in few} <= set(printed.split())
    folder = Path("demo")
    assert len(ax.Runs.read(folder / "runs.jsonl")) == len(few)
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    document = parse((folder / "report.html").read_text("utf-8"))
    assert document.text("h1") == [f"digits_resnet under {len(few)} tables"]
    assert "rows were there already" not in printed
    assert run(monkeypatch, "demo", "--out", "demo") == 0
    assert f"{len(few)} rows were there already" in capsys.readouterr().out
