"""The mean error for each value of one operand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import figure
from ..error_profile import ConditionalError
from ..error_profile import conditional_error as measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...tables.multiplier import Multiplier

MARKED_UP_TO = 64


def conditional_error(
    mul: Multiplier, *, given: str = "weight", ax: Axes | None = None
) -> Axes:
    """Draws mean and spread of the error for each weight, over all activations.

    A layer's weights are known, so what this line shows could be corrected; the band
    could not. The arrays behind it are those of
    `axsim.analysis.error_profile.conditional_error`.

    Args:
        mul: any multiplier.
        given: the operand that is held, "weight" or "activation".
        ax: where to draw; a new figure by default.

    Raises:
        TableError: for another `given`.

    Example:
        >>> mul = Multiplier.from_function(lambda a, b: a * b & ~63, signed=False)
        >>> conditional_error(mul).get_xlabel()
        'weight b (value)'
    """
    found = measure(mul, given)
    axes = figure.start(ax)
    axes.axhline(0, color=figure.BLACK, linewidth=0.8)
    _draw(axes, found)
    m = mul.metrics()
    axes.axhline(
        m.bias,
        color=figure.ORANGE,
        linestyle="--",
        linewidth=1,
        label=f"bias {figure.signed(m.bias)}",
    )
    axes.margins(x=0.01)
    symbol = "b" if given == "weight" else "a"
    axes.set_xlabel(f"{given} {symbol} (value)", fontsize=9)
    axes.set_ylabel("error: approximate − exact", fontsize=9)
    figure.quiet(axes)
    figure.legend(axes)
    if not m.ep:
        axes.set_ylim(-1, 1)
    second = (
        f"mean error by {given}; correcting it removes {found.removable:.0%} of the MSE"
        if m.ep
        else "every product is exact"
    )
    figure.title(axes, mul.name, second, legend=True)
    return axes


def _draw(axes: Axes, found: ConditionalError) -> None:
    """The mean as a line in its band; few values are marked one by one."""
    axes.fill_between(
        found.values,
        found.mean - found.deviation,
        found.mean + found.deviation,
        color=figure.BLUE,
        alpha=0.2,
        linewidth=0,
        label="± 1 standard deviation",
    )
    few = len(found.values) <= MARKED_UP_TO
    axes.plot(
        found.values,
        found.mean,
        color=figure.BLUE,
        linewidth=1.2,
        marker="o" if few else None,
        markersize=3.5,
        label="mean error",
    )
