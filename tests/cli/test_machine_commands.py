"""`axsim doctor` and `axsim bench`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from axsim.analysis.bench import kernels as subject
from axsim.analysis.bench.layers import Layer
from axsim.cli import build_app
from axsim.errors import BackendError


def test_doctor_lists_versions_and_paths() -> None:
    result = CliRunner().invoke(build_app(), ["doctor"])
    assert result.exit_code == 0
    for word in (
        "torch",
        "numba",
        "gather",
        "shuffle",
        "factored",
        "cuda",
        "CPU:",
        "yes, by",
    ):
        assert word in result.output


def test_bench_prints_and_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tiny = (Layer("ResNet-50", "tiny", 1, 16, 8, 4),)
    monkeypatch.setattr(subject.run, "__defaults__", ("cpu", 1, tiny, 1))
    out = tmp_path / "bench.json"
    result = CliRunner().invoke(build_app(), ["bench", "kernels", "--json", str(out)])
    assert result.exit_code == 0 and "x gather" in result.output
    assert json.loads(out.read_text())["threads"] == 1


def test_unknown_subject_lists_the_known() -> None:
    result = CliRunner().invoke(build_app(), ["bench", "kernel"])
    assert isinstance(result.exception, BackendError)
    assert "Close names: 'kernels'" in str(result.exception)
