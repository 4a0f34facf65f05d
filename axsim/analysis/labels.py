"""Labels beside points, none over another, over a point or over a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from .figure import GREY

Floats = npt.NDArray[np.float64]

# Below and left of a front that falls to the right nothing is ever drawn.
ANGLES = (225, 205, 245, 185, 265, 165, 285, 145, 305, 45, 0)
DISTANCES = (4, 8, 13, 20, 29, 40, 53, 68, 85, 104)  # points
LEADER_FROM = 13
POINT = 3.5


class _Occupied:
    """What labels must keep clear of, in points of the figure."""

    def __init__(self, frame: Floats, dots: Floats, line: Floats) -> None:
        self.frame = frame
        self.boxes = np.hstack([dots - POINT, dots + POINT])
        self.labels = np.empty((0, 4))
        self.segments = np.hstack([line[:-1], line[1:]])

    def admits(self, box: Floats, leader: Floats | None) -> bool:
        inside = (box[:2] >= self.frame[:2]).all() and (box[2:] <= self.frame[2:]).all()
        if not inside or overlaps(self.boxes, box) or overlaps(self.labels, box):
            return False
        if any(crosses(segment, box[None]) for segment in self.segments):
            return False
        return leader is None or not crosses(leader, self.labels)

    def add(self, box: Floats, leader: Floats | None) -> None:
        self.labels = np.vstack([self.labels, box])
        if leader is not None:
            self.segments = np.vstack([self.segments, leader])


def place_labels(
    axes: Axes,
    points: Floats,
    texts: Sequence[str],
    dots: Floats,
    line: Floats,
    *,
    rising: bool = False,
) -> list[Any]:
    """Writes each text beside its point; one for which there is no room is left out.

    Args:
        axes: with their limits, scales and title set.
        points: float[n, 2] in data coordinates.
        texts: one for each point.
        dots: float[m, 2], everything that is marked.
        line: float[k, 2], the corners of the line that is drawn.
        rising: whether the line rises, so that room is above it.

    Returns:
        The annotations.
    """
    figure: Any = axes.get_figure(root=True)
    figure.draw_without_rendering()
    to_points = 72 / figure.dpi

    def placed(data: Floats) -> Floats:
        return axes.transData.transform(data) * to_points

    frame = np.array(axes.get_window_extent().extents) * to_points
    occupied = _Occupied(frame, placed(dots), placed(line))
    written: list[Any] = []
    for point, text in zip(points, texts, strict=True):
        label = _annotate(axes, point, text)
        extent = label.get_window_extent()
        size = np.array([extent.width, extent.height]) * to_points
        spot = _free_spot(occupied, placed(point[None])[0], size, rising)
        if spot is None:
            label.remove()
            continue
        offset, far = spot
        label.set_position(tuple(offset))
        label.arrow_patch.set_visible(far)
        written.append(label)
    return written


def _annotate(axes: Axes, point: Floats, text: str) -> Any:
    return axes.annotate(
        text,
        (float(point[0]), float(point[1])),
        xytext=(0, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=6.5,
        parse_math=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
        arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.5,
                    "shrinkA": 0, "shrinkB": 2},
    )  # fmt: skip


def _free_spot(
    occupied: _Occupied, point: Floats, size: Floats, rising: bool
) -> tuple[Floats, bool] | None:
    """The nearest free offset of a label's centre, and whether a leader is needed."""
    for distance, offset in _offsets(size, rising):
        centre = point + offset
        box = np.hstack([centre - size / 2, centre + size / 2])
        far = distance >= LEADER_FROM
        leader = np.hstack([point, centre]) if far else None
        if occupied.admits(box, leader):
            occupied.add(box, leader)
            return offset, far
    return None


def _offsets(size: Floats, rising: bool) -> Iterator[tuple[int, Floats]]:
    for distance in DISTANCES:
        for angle in ANGLES:
            turn = np.radians(-angle if rising else angle)
            direction = np.array([np.cos(turn), np.sin(turn)])
            yield distance, direction * (distance + size / 2)


def overlaps(boxes: Floats, box: Floats) -> bool:
    """Whether a box (left, bottom, right, top) overlaps any of the others."""
    apart = (boxes[:, :2] >= box[2:]) | (boxes[:, 2:] <= box[:2])
    return bool((~apart.any(axis=1)).any())


def crosses(segment: Floats, boxes: Floats) -> bool:
    """Whether a segment (x, y, x, y) meets any of the boxes.

    On each axis the segment is within a box for an interval of its parameter in
    [0, 1]; it meets the box where both intervals overlap.
    """
    start, step = segment[:2], segment[2:] - segment[:2]
    step = np.where(step == 0, 1e-12, step)
    ends = np.stack([(boxes[:, :2] - start) / step, (boxes[:, 2:] - start) / step])
    enter = np.maximum(ends.min(axis=0).max(axis=1), 0)
    leave = np.minimum(ends.max(axis=0).min(axis=1), 1)
    return bool((enter <= leave).any())
