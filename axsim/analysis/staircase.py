"""A Pareto front on axes: dots, the stepped line, labels, title."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from . import figure
from .front import Tradeoff
from .labels import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def mark(axes: Axes, found: Tradeoff) -> None:
    """Grey dots, the stepped front and a star for what is exact."""
    x, y = found.cost, found.quality
    axes.scatter(x, y, s=14, color=figure.GREY, linewidths=0, label="design")
    axes.plot(*corners(found).T, color=figure.BLUE, linewidth=1.1, label="Pareto front")
    axes.scatter(x[found.front], y[found.front], s=18, color=figure.BLUE, zorder=3)
    if found.exact.any():
        axes.scatter(
            x[found.exact],
            y[found.exact],
            s=110,
            marker="*",
            color=figure.ORANGE,
            zorder=4,
            clip_on=False,
            label="exact",
        )


def corners(found: Tradeoff) -> npt.NDArray[np.float64]:
    """The front as a staircase: a cost buys the best design below it."""
    x, y = found.cost[found.front], found.quality[found.front]
    return np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])


def scale_errors(axes: Axes, error: npt.NDArray[np.float64]) -> None:
    """Logarithmic, with a place for 0 below the smallest error."""
    positive = error[error > 0]
    if not positive.size:
        axes.set_ylim(-0.1, 1)
        return
    low = 10 ** np.floor(np.log10(positive.min()))
    if positive.size == error.size:
        axes.set_yscale("log")
    else:
        axes.set_yscale("symlog", linthresh=low, linscale=0.5)
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(top=positive.max() * 3)


def finish(
    axes: Axes,
    found: Tradeoff,
    cost: str,
    first: str,
    remark: str,
    *,
    rising: bool = False,
) -> None:
    """The cost's axis, legend, title, and the names of the front.

    Args:
        axes: with dots, front and the scale of the quality.
        found: what is drawn.
        cost: what the horizontal axis shows.
        first: first line of the title.
        remark: what the second line ends with.
        rising: whether more quality is better.
    """
    axes.set_xlim(left=min(0, found.cost.min()))
    axes.set_xlabel(f"{cost} ({found.unit})", fontsize=9)
    axes.xaxis.set_major_formatter("{x:,.10g}")
    figure.quiet(axes)
    figure.legend(axes)
    names = [figure.shorten(name, 24) for name in found.names]
    common = common_prefix(names)
    unnamed = f"; labels without “{common}”" if common else ""
    figure.title(axes, first, f"{cost}: {found.origin}{remark}{unnamed}", legend=True)
    points = np.column_stack([found.cost, found.quality])
    texts = [names[i].removeprefix(common) for i in found.front]
    place_labels(
        axes, points[found.front], texts, points, corners(found), rising=rising
    )


def common_prefix(names: list[str]) -> str:
    """What all names begin with, up to an underscore; labels need not repeat it.

    Example:
        >>> common_prefix(["mul8u_loa_4", "mul8u_exact"])
        'mul8u_'
    """
    if len(names) < 2:
        return ""
    parts = zip(*(name.split("_")[:-1] for name in names), strict=False)
    shared = itertools.takewhile(lambda pieces: len(set(pieces)) == 1, parts)
    return "".join(f"{pieces[0]}_" for pieces in shared)
