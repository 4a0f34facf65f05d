"""The example of the design runs as it is written there.

Left out are the placeholders `gate=...` and `saved=...`, and the lines of parts that
have tests of their own or are still to come. Ranges of the sweep come from the training
part of the data set, never from the data that is tested.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import axsim as ax
from axsim.zoo.data.dataset import ArrayDataset

EXAMPLE = """
mul = ax.Multiplier.from_array(table, signed=False)
mul = ax.load_multiplier("mul8u_trunc_6")
print(mul)
mul.metrics().mae; mul.error; mul.rank; mul.cost.power

net = ax.approximate(model, mul, calibration=batches)
net = ax.approximate(model, [ax.Rule("(stem|head).*", ax.Exact()),
                             ax.Rule(".*", ax.LayerSpec(multiplier=mul))], calibration=batches)
print(ax.summary(net))

ax.evaluate(net, data)
runs = ax.sweep(model, ax.multipliers("mul8u_*"), data, executor=None, out="runs.jsonl")
ax.plot.error_heatmap(mul)
ax.plot.pareto(runs, cost="energy", quality="accuracy")
ax.report(mul, "mul.html")
ax.report(runs, "report.html")
"""  # noqa: E501


def test_the_example_of_the_design_runs_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train, test = ax.load_data("digits", "train"), ax.load_data("digits")
    assert isinstance(train, ArrayDataset) and isinstance(test, ArrayDataset)
    model = ax.build_network("digits_resnet")
    ax.load_weights(model, ax.shipped_weights("digits_resnet"))
    before = {name: each.clone() for name, each in model.state_dict().items()}
    codes = np.arange(256)
    names: dict[str, Any] = {
        "ax": ax, "table": np.outer(codes, codes), "model": model,
        "batches": [train.images[:128]],
        "data": test.subset(list(range(32)), "few digits"),
    }  # fmt: skip
    exec(EXAMPLE, names)
    shown = capsys.readouterr().out
    assert shown.startswith("mul8u_trunc_6: unsigned 8x8 multiplier")
    assert "ApproxConv2d" in shown and "on a table" in shown
    assert type(names["net"].head).__name__ == "Linear"
    assert len(names["runs"]) == len(ax.multipliers("mul8u_*"))
    written = {file.name for file in tmp_path.iterdir()}
    assert {"runs.jsonl", "mul.html", "report.html"} <= written
    # The model was converted a hundred times and is what it was.
    assert all(
        (each == before[name]).all() for name, each in model.state_dict().items()
    )
