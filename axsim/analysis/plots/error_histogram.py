"""How often errors of each size occur."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from .. import figure
from ..error_profile import error_histogram as measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...tables.multiplier import Multiplier


def error_histogram(mul: Multiplier, *, ax: Axes | None = None) -> Axes:
    """Draws the share of products by signed error, every operand pair alike.

    The arrays behind it are those of `axsim.analysis.error_profile.error_histogram`.

    Args:
        mul: any multiplier.
        ax: where to draw; a new figure by default.

    Example:
        >>> mul = Multiplier.from_function(lambda a, b: a * b & ~63, signed=False)
        >>> error_histogram(mul).get_yscale()
        'log'
    """
    axes = figure.start(ax)
    found = measure(mul)
    widths = found.edges[1:] - found.edges[:-1]
    axes.bar(
        found.edges[:-1], 100 * found.share, widths, align="edge", color=figure.GREY
    )
    m = mul.metrics()
    axes.axvline(0, color=figure.BLACK, linewidth=0.8)
    if m.ep:
        axes.axvline(
            m.bias,
            color=figure.ORANGE,
            linestyle="--",
            label=f"bias {figure.signed(m.bias)}",
        )
        figure.legend(axes)
    axes.set_yscale("log")
    axes.minorticks_off()
    # Half of what a single product weighs, so that even that is a visible bar.
    axes.set_ylim(50 / mul.table.size, 150)
    if not m.ep:
        axes.set_xlim(-5, 5)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("error: approximate − exact", fontsize=9)
    axes.set_ylabel("share of products (%)", fontsize=9)
    figure.quiet(axes)
    second = (
        f"{100 - m.ep_percent:.4g} % of products exact, "
        f"standard deviation {m.variance**0.5:.4g}"
    )
    figure.title(axes, mul.name, second, legend=bool(m.ep))
    return axes
