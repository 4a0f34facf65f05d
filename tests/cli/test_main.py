"""The `axsim` command as a whole: help, version, errors and warnings as lines."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from axsim import __version__
from axsim.cli import commands, main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit status of `axsim ARGUMENTS`, run in this process."""
    monkeypatch.setattr(sys, "argv", ["axsim", *arguments])
    with warnings.catch_warnings():
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


def test_help_lists_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    listed = [
        line.split()[0] for line in shown.partition("Commands:\n")[2].splitlines()
    ]
    assert sorted(listed) == commands()
    # A summary that does not fit would end in dots.
    assert "..." not in shown.partition("Commands:")[2]


def test_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"axsim {__version__}\n"


def test_an_error_is_one_line_and_exit_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "convert", "nowhere.bin", "out.bin") == 2
    assert capsys.readouterr().err == (
        "TableError: there is no file 'nowhere.bin'. Give the path of a table, or the "
        "name of a shipped one.\n"
    )


def test_a_terminal_that_lacks_a_character_shows_a_question_mark() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "axsim", "tables", "list", "mul8u_exact"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "? exact 8x8" in result.stdout


def test_a_warning_of_axsim_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A table under the name of another circuit converts, with a warning."""
    source = tmp_path / "mul8u_1JFF.npy"
    np.save(source, np.zeros((256, 256), int))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(monkeypatch, "convert", str(source), str(tmp_path / "out.npy")) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: mul8u_1JFF (")


@pytest.mark.parametrize(
    ("own", "then"),
    [
        ({}, "20000"),
        ({"GOMP_SPINCOUNT": "5"}, "5"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
)
def test_waiting_threads_of_torch_soon_leave_the_cores(
    monkeypatch: pytest.MonkeyPatch, own: dict[str, str], then: str | None
) -> None:
    # Set first, so that the fixture puts back what the command sets.
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert run(monkeypatch, "--version") == 0
    assert os.environ.get("GOMP_SPINCOUNT") == then
