"""The Pareto plot of runs: what is drawn, where, and that it is readable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import axsim as ax
from tests.analysis.sweeping import sweep, truncated


@pytest.fixture(scope="module")
def runs() -> ax.Runs:
    (run,) = sweep([truncated(0)])
    accuracies = (0.1, 0.45, 0.8, 0.95, 0.975, 1.0, 0.95)
    return ax.Runs(
        replace(run, table=f"mul8u_t{i}", table_hash=f"{i}", accuracy=accuracy,
                low=accuracy * 0.9, high=min(accuracy * 1.01, 1), agreement=accuracy,
                loss=1.01 - accuracy, energy=1e5 * (i + 1), ep_percent=float(i != 5))
        for i, accuracy in enumerate(accuracies)
    )  # fmt: skip


def drawn(axes: Any) -> None:
    figure = axes.figure
    figure.draw_without_rendering()
    left, bottom, right, top = figure.get_tightbbox().extents
    width, height = figure.get_size_inches()
    assert left >= 0 and bottom >= 0 and right <= width and top <= height


def labels(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_accuracy_against_energy(runs: ax.Runs) -> None:
    axes = ax.plot.pareto(runs)
    drawn(axes)
    assert axes.get_xlabel() == "energy (exact 8x8 products)"
    assert axes.get_ylabel() == "accuracy (%)"
    dots = np.asarray(axes.collections[0].get_offsets())
    expected = [(run.energy, 100 * (run.accuracy or 0)) for run in runs.ranked]
    assert dots == pytest.approx(np.array(expected))
    assert labels(axes) == [f"t{i}" for i in range(6)]
    title = axes.get_title(loc="left")
    assert title.startswith("Sequential: accuracy against energy of 7 tables")
    assert "a model; bars: 95 % intervals; labels without “mul8u_”" in title
    legend = axes.get_legend()
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["design", "Pareto front", "exact", "float network 80.00 %"]


def test_the_axis_is_wide_where_networks_differ(runs: ax.Runs) -> None:
    axes = ax.plot.pareto(runs)
    axes.figure.draw_without_rendering()

    def height(percent: float) -> float:
        return float(axes.transData.transform((0, percent))[1])

    # Equal ratios of wrong answers, but for the half image that ends the axis.
    assert height(90) - height(80) == pytest.approx(height(95) - height(90), rel=0.15)
    assert height(100) - height(97.5) > height(50) - height(20)
    ticks = [label.get_text() for label in axes.get_yticklabels()]
    assert ticks == ["20", "50", "80", "90", "95", "100"]
    assert axes.get_ylim() == (5, 100)
    bars = axes.collections[3:]
    assert len(bars) == 6
    first = np.asarray(bars[0].get_segments()[0])
    assert first == pytest.approx(np.array([[1e5, 9], [1e5, 10.1]]))


def test_other_qualities_and_costs(runs: ax.Runs) -> None:
    axes = ax.plot.pareto(runs, cost="power", quality="loss")
    drawn(axes)
    assert axes.get_ylabel() == "cross-entropy loss"
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "power (× exact 8x8)"
    axes = ax.plot.pareto(runs, quality="agreement")
    drawn(axes)
    assert axes.get_ylabel() == "agreement with the float network (%)"
    assert "float network" not in str(axes.get_legend().get_texts())


def test_failed_runs_are_counted(runs: ax.Runs) -> None:
    failed = replace(runs[0], table="bad", accuracy=None, error="x")
    axes = ax.plot.pareto(ax.Runs([*runs, failed]))
    assert "a model; 1 left out; bars" in axes.get_title(loc="left")


def test_a_single_run_is_drawn(runs: ax.Runs) -> None:
    drawn(ax.plot.pareto(ax.Runs(runs[5:6])))
