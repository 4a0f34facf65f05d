"""The benchmarks of gates, on one seed and few epochs: targets, and beside controls."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from axsim.analysis.bench import gate_targets, gates
from axsim.cli.bench import subjects


def test_a_higher_target_closes_more(tmp_path: Path) -> None:
    assert {"gates", "gate_targets"} <= set(subjects())
    few = replace(gate_targets.MORE, epochs=2)
    found = gate_targets.run(
        folder=tmp_path, targets=(0.0, 1.0, 4.0), weight=0.5, seeds=1, first_epochs=1,
        more=few,
    )  # fmt: skip
    shares = [line.sparsity for line in found.lines]
    assert shares[0] + 0.1 < shares[1] <= shares[2] + 0.02
    for line in found.lines:
        assert line.bits == pytest.approx(2 + 1 - line.sparsity)
        assert 0.1 < line.accuracy <= 1
    head, _, first, *_, last = str(found).splitlines()
    assert head.split() == ["target", "closed", "%", "bits", "accuracy", "%"]
    assert first.split()[:2] == ["0", f"{100 * shares[0]:.1f}"]
    assert "times 0.5: one fold of the digits, 1 seeds, 2 epochs" in last
    assert json.loads(json.dumps(found.to_dict()))["lines"][1]["target"] == 1.0


def test_every_method_stands_beside_its_control() -> None:
    once = replace(gates.MORE, epochs=1)
    found = gates.run(folds=2, seeds=1, first=replace(gates.FIRST, epochs=1),
                      more=once, longer=replace(gates.LONGER, epochs=1))  # fmt: skip
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
    text = str(found)
    assert "digits_resnet, 2 folds x 1 seeds of the digits, pooled." in text
    assert len(text.splitlines()) == 2 + len(found.lines) + 2
    assert json.loads(json.dumps(found.to_dict()))["folds"] == 2
