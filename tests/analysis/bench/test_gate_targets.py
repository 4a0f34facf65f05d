"""The benchmarks of gates, on one seed and few epochs: targets, and beside controls."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from axsim.analysis.bench import gate_targets, gates
from axsim.cli import build_app
from axsim.cli.bench import subjects
from axsim.errors import DataError
from axsim.zoo.data import sources
from tests.zoo.data.archives import SMALL10, write_python


def test_a_higher_target_closes_more(tmp_path: Path) -> None:
    assert {"gates", "gate_targets"} <= set(subjects())
    few = replace(gate_targets.MORE, epochs=1)
    found = gate_targets.run(
        folder=tmp_path, targets=(0.0, 4.0), weight=2.0, seeds=1, first_epochs=1,
        more=few,
    )  # fmt: skip
    shares = [line.sparsity for line in found.lines]
    assert shares[0] + 0.1 < shares[1]
    for line in found.lines:
        assert line.bits == pytest.approx(2 + 1 - line.sparsity)
        assert 0 < line.accuracy <= 1
    head, _, first, *_, last = str(found).splitlines()
    assert head.split() == ["target", "closed", "%", "bits", "accuracy", "%"]
    assert first.split()[:2] == ["0", f"{100 * shares[0]:.1f}"]
    assert "times 2: one fold of the digits, 1 seeds, 1 epochs" in last
    assert json.loads(json.dumps(found.to_dict()))["lines"][1]["target"] == 4.0


def shortened(course: gates.Course, **other: Any) -> gates.Course:
    """One epoch of each part."""
    once: dict[str, Any] = {
        part: replace(getattr(course, part), epochs=1, schedule="cosine", milestones=())
        for part in ("first", "more", "longer")
    }
    return replace(course, **once, **other)


def test_every_method_stands_beside_its_control_where_the_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sources.SOURCES, "cifar10", SMALL10.load)
    write_python(SMALL10, tmp_path)
    course = shortened(gates.PUBLISHED, network="cifar_resnet8")
    data = f"cifar10:{tmp_path}"
    found = gates.run(data=data, seeds=2, course=course)
    lines = {(line.name, line.beside): line for line in found.lines}
    assert set(lines) == {
        (gates.FLOAT, ""), (gates.EIGHT, gates.FLOAT), (gates.THREE, gates.FLOAT),
        (gates.TWO, gates.THREE), (gates.PG, gates.THREE), (gates.PG, gates.TWO),
        (gates.RANDOM, gates.PG), (gates.HIGH, gates.PG), (gates.CG, gates.FLOAT),
    }  # fmt: skip
    accuracy = {name: line.accuracy for (name, _), line in lines.items()}
    for (name, beside), line in lines.items():
        if line.difference is not None:
            gain = 100 * (accuracy[name] - accuracy[beside])
            assert line.difference.points == pytest.approx(gain)
        if line.bits is not None and line.sparsity is not None:
            assert line.bits == pytest.approx(2 + 1 - line.sparsity)
        assert (line.work is None) == (line.sparsity is None)
    closed = {name: line.sparsity for (name, _), line in lines.items()}
    assert closed[gates.HIGH] == 1 and closed[gates.FLOAT] is None
    # The control is as sparse as the gate that it stands beside, up to chance.
    assert closed[gates.RANDOM] == pytest.approx(closed[gates.PG], abs=0.01)
    work = lines[gates.CG, gates.FLOAT].work
    assert work is not None and 0.25 < work < 1
    # Four test images for each of two seeds.
    assert all((8 * line.accuracy).is_integer() for line in found.lines)
    text = str(found)
    assert f"cifar_resnet8, 2 seeds of {data}, pooled." in text
    assert len(text.splitlines()) == 2 + len(found.lines) + 2
    assert json.loads(json.dumps(found.to_dict()))["data"] == data
    digits = replace(found, network="digits_resnet", data="digits")
    assert "digits_resnet, 5 folds x 2 seeds of the digits, pooled." in str(digits)


def test_the_published_schedules_are_kept() -> None:
    first, longer = gates.PUBLISHED.first, gates.PUBLISHED.longer
    assert (first.epochs, first.milestones, first.decay_vectors) == (
        200, (100, 150), True)  # fmt: skip
    assert (longer.epochs, longer.milestones, longer.decay_vectors) == (
        250, (150, 200), False)  # fmt: skip


def test_data_that_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split / "cat").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / split / "cat" / "a.png")
    with pytest.raises(DataError, match="bench gates holds all images in memory"):
        gates.run(data=f"imagefolder:{tmp_path}")
    told = CliRunner().invoke(build_app(), ["bench", "step", "--data", "digits"])
    assert "bench step takes no --data; only 'axsim bench gates' does" in str(
        told.exception
    )
