"""The Pareto plot draws the trade-off it was given."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

import axsim as ax
from axsim.analysis.front import tradeoff
from axsim.tables.cost import Cost


@pytest.fixture(scope="module")
def muls() -> list[ax.Multiplier]:
    return ax.multipliers("mul8u_*")


def test_the_front_is_a_staircase_through_the_best(muls: list[ax.Multiplier]) -> None:
    axes, found = ax.plot.pareto(muls), tradeoff(muls)
    step = next(line for line in axes.lines if line.get_label() == "Pareto front")
    x, y = step.get_xdata(), step.get_ydata()
    assert list(x[::2]) == list(found.cost[found.front])
    assert list(y[::2]) == list(found.quality[found.front])
    # Between two designs one can only have the error of the cheaper one.
    assert list(y[1::2]) == list(y[:-1:2]) and list(x[1::2]) == list(x[2::2])


def test_axes_say_what_and_in_which_unit(muls: list[ax.Multiplier]) -> None:
    axes = ax.plot.pareto(muls, cost="area", quality="mre_percent")
    assert axes.get_xlabel() == "area (× exact 8x8)"
    assert axes.get_ylabel() == "mean relative error (%)"
    assert muls[0].cost is not None
    assert muls[0].cost.origin in axes.get_title(loc="left")


def test_the_exact_multiplier_is_a_star(muls: list[ax.Multiplier]) -> None:
    axes = ax.plot.pareto(muls)
    star: Any = next(c for c in axes.collections if c.get_label() == "exact")
    assert [list(point) for point in star.get_offsets()] == [[1.0, 0.0]]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["design", "Pareto front", "exact"]


def test_names_on_the_front_lose_what_all_share_and_stay_apart(
    muls: list[ax.Multiplier],
) -> None:
    axes, found = ax.plot.pareto(muls), tradeoff(muls)
    labels: list[Any] = axes.texts
    names = {found.names[i].removeprefix("mul8u_") for i in found.front}
    assert {label.get_text() for label in labels} == names
    assert "labels without “mul8u_”" in axes.get_title(loc="left")
    boxes = [Text.get_window_extent(each) for each in labels]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_designs_of_other_origin_are_counted_when_left_out(
    muls: list[ax.Multiplier],
) -> None:
    assert muls[0].cost is not None
    foreign = replace(muls[0], name="foreign", cost=Cost("a foundry", power=1.0))
    with pytest.raises(ax.TableError, match="different origins"):
        ax.plot.pareto([*muls, foreign])
    axes = ax.plot.pareto([*muls, foreign], origin=muls[0].cost.origin)
    assert "1 of other origin left out" in axes.get_title(loc="left")


def test_a_single_design_and_only_exact_ones_are_drawn() -> None:
    exact = ax.load_multiplier("mul8u_exact")
    wrong = ax.load_multiplier("mul8u_trunc_6")
    for chosen in ([exact], [wrong], [exact, wrong]):
        axes = ax.plot.pareto(chosen)
        axes.figure.draw_without_rendering()
        low, high = axes.get_ylim()
        errors = [mul.metrics().mae_percent for mul in chosen]
        assert low <= min(errors) and high > max(errors)
        assert np.isfinite([low, high]).all()
