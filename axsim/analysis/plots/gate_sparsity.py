"""How much of each gated layer stays closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import nn


def gate_sparsity(net: nn.Module, *, ax: Axes | None = None) -> Axes:
    """Draws the closed share of outputs and of tiles, layer by layer.

    They are what `ax.plan(net).gate_report()` counted.

    Args:
        net: what `approximate` returned, with gates, after data went through it.
        ax: where to draw; a new figure by default.

    Example:
        >>> gate_sparsity(net)  # doctest: +SKIP
    """
    from ...nn.plan import plan

    lines = plan(net).gate_report().lines
    axes = figure.start(ax, height=1.2 + 0.28 * len(lines))
    places = range(len(lines))
    outputs = [100 * line.counts.sparsity for line in lines]
    tiles = [100 * line.counts.closed_tiles / max(1, line.counts.tiles)
             for line in lines]  # fmt: skip
    axes.barh(places, outputs, 0.6, color=figure.BLUE, label="outputs")
    axes.plot(tiles, places, "o", color=figure.ORANGE, markersize=4,
              label="tiles of 16 x 16")  # fmt: skip
    axes.set_yticks(places, [line.name for line in lines])
    axes.invert_yaxis()
    axes.set_xlim(-1, 100)
    axes.set_xlabel("closed (%)", fontsize=9)
    figure.quiet(axes)
    figure.legend(axes)
    report = plan(net).gate_report()
    second = (
        f"{100 * report.sparsity:.1f} % of outputs closed, weighted by products "
        f"{100 * report.product_sparsity:.1f} %"
    )
    figure.title(axes, "Closed gates", second, legend=True)
    return axes
