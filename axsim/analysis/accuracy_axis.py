"""An axis of accuracies in percent, wide where networks differ: near 100."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import figure
from .front import Tradeoff
from .runs import Runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]
TICKS = (0, 20, 50, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99)


def scale(axes: Axes, percent: Floats, images: int) -> None:
    """Equal steps for equal ratios of wrong answers, from the lowest to 100 %.

    Args:
        axes: whose vertical axis it becomes.
        percent: what is drawn.
        images: how many there were; half an image is the smallest step from 100 %.
    """
    rest = 50 / images

    def forward(y: Floats) -> Floats:
        return -np.log10(np.maximum(100 - y, 0) + rest)

    def inverse(z: Floats) -> Floats:
        return 100 + rest - 10**-z

    axes.set_yscale("function", functions=(forward, inverse))
    low = max(percent.min() - 5, 0)
    axes.set_ylim(low, 100)
    ticks = [tick for tick in TICKS if low <= tick <= 100 - 2 * rest] + [100]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def mark_float(axes: Axes, percent: float) -> None:
    """A line where the float network is."""
    axes.axhline(
        percent,
        color=figure.BLACK,
        linewidth=0.8,
        linestyle=":",
        label=f"float network {percent:.2f} %",
    )


def mark_intervals(axes: Axes, found: Tradeoff, runs: Runs) -> None:
    """The 95 % intervals of the front."""
    bounds = {run.table: (run.low or 0.0, run.high or 0.0) for run in runs}
    for i in found.front:
        low, high = bounds[found.names[i]]
        axes.vlines(
            found.cost[i], 100 * low, 100 * high, color=figure.BLUE, linewidth=0.6,
            alpha=0.5,
        )  # fmt: skip
