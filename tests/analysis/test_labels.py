"""Labels keep clear of each other, of points and of lines."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from axsim.analysis.labels import crosses, overlaps, place_labels

corner = st.integers(0, 8)
box = st.tuples(corner, corner, st.integers(1, 4), st.integers(1, 4))


def as_box(sides: tuple[int, int, int, int]) -> npt.NDArray[np.float64]:
    left, bottom, width, height = sides
    return np.array([left, bottom, left + width, bottom + height], float)


@given(box, box)
def test_boxes_overlap_where_they_share_a_cell(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    def cells(sides: tuple[int, int, int, int]) -> set[tuple[int, int]]:
        left, bottom, width, height = sides
        return {(left + i, bottom + j) for i in range(width) for j in range(height)}

    shared = bool(cells(one) & cells(other))
    assert overlaps(as_box(one)[None], as_box(other)) == shared


@given(st.tuples(corner, corner, corner, corner), box)
def test_a_segment_meets_a_box_where_one_of_its_points_is_inside(
    ends: tuple[int, int, int, int], sides: tuple[int, int, int, int]
) -> None:
    target = as_box(sides)
    # Boxes have sides of at least 1: a little shrunken, steps of 1/200 cannot miss.
    start, stop = np.array(ends[:2], float), np.array(ends[2:], float)
    path = start + np.linspace(0, 1, 4001)[:, None] * (stop - start)
    inside = ((path > target[:2] + 0.01) & (path < target[2:] - 0.01)).all(axis=1).any()
    near = ((path > target[:2] - 0.01) & (path < target[2:] + 0.01)).all(axis=1).any()
    found = crosses(np.array(ends, float), target[None])
    assert found or not inside
    assert near or not found


@pytest.mark.parametrize("rising", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_labels_of_a_crowded_plot_do_not_overlap(seed: int, rising: bool) -> None:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.random(25))
    front = np.column_stack([x, 1 - x**0.5])
    dots = np.vstack([front, front[rng.integers(0, 25, 65)] + rng.random((65, 2)) / 3])
    line = np.column_stack(
        [np.repeat(front[:, 0], 2)[1:], np.repeat(front[:, 1], 2)[:-1]]
    )
    if rising:
        front, dots, line = (each * [1, -1] for each in (front, dots, line))
    axes = Figure(figsize=(7, 5)).add_subplot()
    axes.scatter(*dots.T)
    names = [f"design_{i}_long" for i in range(25)]
    labels = place_labels(axes, front, names, dots, line, rising=rising)
    assert len(labels) >= 20
    # The extent of an annotation holds its leader; its text alone is what is read.
    boxes: list[Any] = [Text.get_window_extent(label) for label in labels]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for point in axes.transData.transform(dots):
        assert not any(each.contains(*point) for each in boxes)
    frame = axes.get_window_extent()
    for each in boxes:
        assert frame.contains(each.x0, each.y0) and frame.contains(each.x1, each.y1)


def test_where_there_is_no_room_labels_are_left_out() -> None:
    axes = Figure(figsize=(1, 1)).add_subplot()
    points = np.full((30, 2), 0.5)
    labels = place_labels(axes, points, ["a long name"] * 30, points, points)
    assert len(labels) < 30
    assert len(axes.texts) == len(labels)
