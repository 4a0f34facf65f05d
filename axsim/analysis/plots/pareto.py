"""Error against cost of many multipliers, with the front that nothing beats."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .. import figure
from ..front import QUALITIES, Tradeoff, tradeoff
from ..labels import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...tables.multiplier import Multiplier


def pareto(
    muls: Sequence[Multiplier],
    *,
    cost: str = "power",
    quality: str = "mae_percent",
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws error against cost: all designs grey, the Pareto front stepped and named.

    The numbers behind it are those of `axsim.analysis.front.tradeoff`.

    Args:
        muls: multipliers of one width whose costs have one origin.
        cost: "power", "area" or "delay".
        quality: an error figure of `Multiplier.metrics()`, such as "mae_percent",
            "wce_percent", "mre_percent" or "mse".
        origin: draw only the multipliers whose cost has this origin.
        ax: where to draw; a new figure by default.

    Raises:
        TableError: naming the tables, where one has no such cost or costs of
            different origins, or operands of different widths, are mixed.

    Example:
        >>> pareto(multipliers("mul8u_*")).figure.savefig("front.pdf")  # doctest: +SKIP
    """
    found = tradeoff(muls, cost, quality, origin)
    axes = figure.start(ax, 7.2, 5)
    front = _corners(found)
    _mark(axes, found, front)
    _scale(axes, found.quality)
    axes.set_xlim(left=min(0, found.cost.min()))
    axes.set_xlabel(f"{cost} ({found.unit})", fontsize=9)
    axes.set_ylabel(QUALITIES[quality], fontsize=9)
    figure.quiet(axes)
    figure.legend(axes)
    names = [figure.shorten(name, 24) for name in found.names]
    common = _common_prefix(names)
    _title(axes, found, cost, common)
    place_labels(
        axes,
        np.column_stack([found.cost, found.quality])[found.front],
        [names[i].removeprefix(common) for i in found.front],
        np.column_stack([found.cost, found.quality]),
        front,
    )
    return axes


def _mark(axes: Axes, found: Tradeoff, front: npt.NDArray[np.float64]) -> None:
    """Grey dots, the stepped front and a star for what is exact."""
    axes.scatter(
        found.cost, found.quality, s=14, color=figure.GREY, linewidths=0, label="design"
    )
    axes.plot(*front.T, color=figure.BLUE, linewidth=1.1, label="Pareto front")
    axes.scatter(
        found.cost[found.front],
        found.quality[found.front],
        s=18,
        color=figure.BLUE,
        zorder=3,
    )
    if found.exact.any():
        axes.scatter(
            found.cost[found.exact],
            found.quality[found.exact],
            s=110,
            marker="*",
            color=figure.ORANGE,
            zorder=4,
            clip_on=False,
            label="exact",
        )


def _corners(found: Tradeoff) -> npt.NDArray[np.float64]:
    """The front as a staircase: a cost buys the error of the best design below it."""
    x, y = found.cost[found.front], found.quality[found.front]
    return np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])


def _scale(axes: Axes, error: npt.NDArray[np.float64]) -> None:
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


def _title(axes: Axes, found: Tradeoff, cost: str, common: str) -> None:
    left_out = f"; {found.left_out} of other origin left out" if found.left_out else ""
    unnamed = f"; labels without “{common}”" if common else ""
    figure.title(
        axes,
        f"Error against {cost} of {len(found.names)} multipliers",
        f"{cost}: {found.origin}{left_out}{unnamed}",
        legend=True,
    )


def _common_prefix(names: list[str]) -> str:
    """What all names begin with, up to an underscore; labels need not repeat it."""
    if len(names) < 2:
        return ""
    parts = zip(*(name.split("_")[:-1] for name in names), strict=False)
    shared = itertools.takewhile(lambda pieces: len(set(pieces)) == 1, parts)
    return "".join(f"{pieces[0]}_" for pieces in shared)
