"""What the plots of one table draw, for wide, narrow, signed and exact tables."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import axsim as ax
from axsim.analysis.error_profile import (
    conditional_error,
    error_histogram,
    error_map,
    relative_error,
)
from tests.conftest import random_multiplier

PLOTS = ["error_heatmap", "error_histogram", "relative_error", "conditional_error"]


def exact(bits: tuple[int, int], signed: bool) -> ax.Multiplier:
    return ax.Multiplier.from_function(lambda a, b: a * b, signed=signed, bits=bits)


def title(axes: Any) -> str:
    return axes.get_title(loc="left")


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize(
    "mul",
    [
        random_multiplier(1),
        random_multiplier(2, (8, 4), (True, True)),
        random_multiplier(3, (4, 8), (False, True), spread=3),
        random_multiplier(4, (1, 1), (True, False)),
        exact((8, 8), False),
        exact((1, 2), True),
    ],
    ids=lambda mul: mul.operands,
)
def test_every_kind_of_table_is_drawn_within_its_figure(
    name: str, mul: ax.Multiplier
) -> None:
    axes = getattr(ax.plot, name)(mul)
    figure = axes.figure
    figure.draw_without_rendering()
    left, bottom, right, top = figure.get_tightbbox().extents
    width, height = figure.get_size_inches()
    assert left >= 0 and bottom >= 0 and right <= width and top <= height
    assert title(axes).startswith(mul.name)
    assert axes.get_xlabel() and axes.get_ylabel()


def test_the_heatmap_draws_the_map_centred_on_zero() -> None:
    mul = random_multiplier(5, (8, 4), (True, False))
    axes = ax.plot.error_heatmap(mul)
    image = axes.images[0]
    found = error_map(mul)
    assert np.array_equal(image.get_array(), found.error.T)
    low, high = image.get_clim()
    assert low == -high
    wrong = np.abs(mul.error[mul.error != 0])
    assert high == np.ceil(np.percentile(wrong, 99.5)) < wrong.max()
    assert f"colours end at ±{high:g}, the worst case is {wrong.max()}" in (
        axes.figure.axes[1].get_ylabel()
    )
    # White, and nothing else, is in the middle of the colours.
    middle, edge = image.cmap(0.5), image.cmap(1.0)
    assert min(middle[:3]) > 0.95 and max(edge[:3]) < 0.5
    assert f"bias {mul.metrics().bias:+.4g}".replace("-", "−") in title(axes)


def test_signed_operands_are_labelled_by_value() -> None:
    axes = ax.plot.error_heatmap(random_multiplier(6, (8, 4), (True, True)))
    across = [label.get_text() for label in axes.get_xticklabels()]
    down = [label.get_text() for label in axes.get_yticklabels()]
    assert across == ["−128", "−64", "0", "64", "127"]
    assert down == ["−8", "−4", "0", "4", "7"]
    assert axes.get_xlabel() == "activation a (value)"
    assert axes.get_ylim() == (15.5, -0.5)


def test_maps_on_one_scale() -> None:
    axes = ax.plot.error_heatmap(random_multiplier(7), limit=1000)
    assert axes.images[0].get_clim() == (-1000, 1000)
    assert "colours end" not in axes.figure.axes[1].get_ylabel()
    for limit in (0, -1, float("nan")):
        with pytest.raises(ax.TableError, match="it must be above 0"):
            ax.plot.error_heatmap(random_multiplier(7), limit=limit)


def test_the_histogram_draws_its_shares() -> None:
    mul = random_multiplier(8)
    axes, found = ax.plot.error_histogram(mul), error_histogram(mul)
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == pytest.approx(list(100 * found.share))
    assert [bar.get_x() for bar in axes.patches] == pytest.approx(
        list(found.edges[:-1])
    )
    # A single product of 65,536 is still seen.
    assert axes.get_ylim()[0] < 100 / 65536


def test_relative_errors_are_written_into_the_cells() -> None:
    mul = ax.Multiplier.from_function(
        lambda a, b: a * b & ~3, signed=False, bits=(3, 2)
    )
    axes, found = ax.plot.relative_error(mul), relative_error(mul)
    words = [text.get_text() for text in axes.texts]
    assert words == [f"{100 * value:.2g}" if value < 1 else "100"
                     for value in found.mean.T.ravel()]  # fmt: skip
    across = [label.get_text() for label in axes.get_xticklabels()]
    assert across == ["1", "2–3", "4–7"]


@pytest.mark.parametrize("given", ["weight", "activation"])
def test_the_conditional_mean_is_the_line(given: str) -> None:
    mul = random_multiplier(9, (8, 4))
    axes = ax.plot.conditional_error(mul, given=given)
    found = conditional_error(mul, given)
    line = next(each for each in axes.lines if each.get_label() == "mean error")
    assert np.array_equal(line.get_xdata(), found.values)
    assert np.array_equal(line.get_ydata(), found.mean)
    assert axes.get_xlabel().startswith(given)


@pytest.mark.parametrize("name", PLOTS)
def test_names_are_not_read_as_mathematics(name: str) -> None:
    mul = ax.Multiplier(random_multiplier(0).table, (False, False), "a$b_^$ " * 20)
    with warnings.catch_warnings(action="error"):
        axes = getattr(ax.plot, name)(mul)
        axes.figure.draw_without_rendering()
    first = title(axes).splitlines()[0]
    assert first.startswith("a$b_^$") and "…" in first and len(first) <= 60


def test_exact_tables_say_so() -> None:
    mul = exact((8, 8), False)
    assert "every product is exact" in title(ax.plot.error_heatmap(mul))
    assert "100 % of products exact" in title(ax.plot.error_histogram(mul))
    assert {t.get_text() for t in ax.plot.relative_error(mul).texts} == {"0"}
    assert ax.plot.conditional_error(mul).get_ylim() == (-1, 1)
