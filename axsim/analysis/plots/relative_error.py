"""The relative error by the magnitudes of both operands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm

from .. import figure
from ..error_profile import relative_error as measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...tables.multiplier import Multiplier


def relative_error(mul: Multiplier, *, ax: Axes | None = None) -> Axes:
    """Draws the mean relative error for operands of each magnitude, in percent.

    Small operands are the common ones in networks, and often the ones that suffer.
    The arrays behind it are those of `axsim.analysis.error_profile.relative_error`.

    Args:
        mul: any multiplier.
        ax: where to draw; a new figure by default.

    Example:
        >>> mul = Multiplier.from_function(lambda a, b: a * b & ~63, signed=False)
        >>> relative_error(mul).get_xlabel()
        'magnitude of the activation |a|'
    """
    axes = figure.start(ax)
    found = measure(mul)
    percent = 100 * found.mean.T
    image: Any = axes.imshow(
        np.ma.masked_equal(percent, 0),
        cmap=figure.SEQUENTIAL,
        norm=_scale(percent),
        aspect="auto",
    )
    for (row, column), value in np.ndenumerate(percent):
        dark = value > 0 and float(image.norm(float(value))) > 0.62
        axes.text(
            column,
            row,
            _short(value),
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else "black",
        )
    _label_classes(axes.xaxis, "magnitude of the activation |a|", found.a)
    _label_classes(axes.yaxis, "magnitude of the weight |b|", found.b)
    m = mul.metrics()
    figure.title(
        axes,
        mul.name,
        f"mean relative error in %; over all products {m.mre_percent:.3g} %",
    )
    return axes


def _scale(percent: Any) -> LogNorm:
    """Colours over at most four decades, ending at the largest value."""
    top = float(percent.max()) or 1.0
    positive = percent[percent > 0]
    low = float(positive.min()) if positive.size else top / 10
    return LogNorm(min(max(low, top / 1e4), top / 10), top)


def _short(percent: float) -> str:
    """Two digits that matter, at most five characters."""
    if percent == 0:
        return "0"
    if percent < 0.01:
        return "<.01"
    return f"{percent:.2g}" if percent < 100 else f"{percent:.0f}"


def _label_classes(axis: Any, name: str, classes: list[tuple[int, int]]) -> None:
    words = [f"{low}–{high}" if high > low else str(low) for low, high in classes]
    axis.set_ticks(range(len(classes)), words, fontsize=7)
    axis.set_label_text(name, fontsize=9)
