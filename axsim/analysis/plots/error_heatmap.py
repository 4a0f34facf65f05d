"""The signed error of every operand pair, as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import TableError
from .. import figure
from ..error_profile import error_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...tables.metrics import IntTable
    from ...tables.multiplier import Multiplier

PERCENTILE = 99.5


def error_heatmap(
    mul: Multiplier, *, limit: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draws the error of every product: activation across, weight down.

    Red products are too large, blue ones too small, white ones exact. The arrays
    behind it are those of `axsim.analysis.error_profile.error_map`.

    Args:
        mul: any multiplier; signed operands are drawn from negative to positive.
        limit: the error, > 0, at which the colours end, the same for several maps
            that are to be compared; by default the 99.5th percentile of the errors
            that are not 0, so that a few extreme products do not blanch the rest.
        ax: where to draw; a new figure by default.

    Raises:
        TableError: if `limit` is not above 0.

    Example:
        >>> mul = Multiplier.from_function(lambda a, b: a * b & ~63, signed=False)
        >>> error_heatmap(mul).figure.savefig("error.png")
    """
    if limit is not None and not limit > 0:
        raise TableError(f"error_heatmap: limit={limit}; it must be above 0.")
    axes = figure.start(ax)
    found = error_map(mul)
    end = limit or default_limit(found.error)
    # Vector formats store the cells themselves, whatever their number of pixels.
    image = axes.imshow(
        found.error.T,
        cmap=figure.DIVERGING,
        vmin=-end,
        vmax=end,
        aspect="auto",
        interpolation="none",
    )
    axes.set_box_aspect(1)
    _label_operand(axes.xaxis, "activation a", found.a)
    _label_operand(axes.yaxis, "weight b", found.b)
    _add_bar(axes, image, end, int(np.abs(found.error).max()))
    m = mul.metrics()
    found_error = (
        f"bias {figure.signed(m.bias)}, MAE {m.mae:.4g}"
        if m.ep
        else "bias 0: every product is exact"
    )
    figure.title(axes, mul.name, f"{found_error}, {mul.operands}")
    return axes


def default_limit(error: IntTable) -> float:
    """Where the colours end: the 99.5th percentile of the errors that are not 0."""
    wrong = np.abs(error[error != 0].astype(np.int64))
    return float(np.ceil(np.percentile(wrong, PERCENTILE))) if wrong.size else 1.0


def _label_operand(axis: Any, name: str, values: IntTable) -> None:
    """Ticks at operand values, the ends among them; positions are table indices."""
    count = len(values)
    step = max(count // 4, 1)
    ticks = sorted({*range(0, count, step), count - 1})
    axis.set_ticks(
        ticks, [f"{values[tick]}".replace("-", "−") for tick in ticks], fontsize=8
    )
    axis.set_label_text(f"{name} (value)", fontsize=9)


def _add_bar(axes: Axes, image: Any, end: float, worst: int) -> None:
    clipped = worst > end
    bar = axes.figure.colorbar(
        image, ax=axes, extend="both" if clipped else "neither", shrink=0.85
    )
    bar.ax.tick_params(labelsize=8)
    note = f"\ncolours end at ±{end:g}, the worst case is {worst}" if clipped else ""
    bar.set_label(f"error: approximate − exact{note}", fontsize=8)
