"""What multipliers cost and how good they are, with the front that nothing beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import accuracy_axis, figure, staircase
from ..front import QUALITIES, tradeoff
from ..run_front import RUN_QUALITIES, run_tradeoff
from ..runs import Runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...tables.multiplier import Multiplier


def pareto(
    subject: Sequence[Multiplier] | Runs,
    *,
    cost: str | None = None,
    quality: str | None = None,
    origin: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws quality against cost: all tables grey, the Pareto front stepped and named.

    The numbers behind it are those of `axsim.analysis.front.tradeoff` for multipliers
    and of `axsim.analysis.run_front.run_tradeoff` for runs.

    Args:
        subject: multipliers of one width, or the runs of one network, whose costs have
            one origin.
        cost: "power", "area" or "delay"; of runs also "energy", their default.
        quality: an error figure of `Multiplier.metrics()`, such as "mae_percent",
            "wce_percent", "mre_percent" or "mse"; of runs "accuracy", "agreement" or
            "loss".
        origin: draw only the multipliers whose cost has this origin.
        ax: where to draw; a new figure by default.

    Raises:
        TableError: naming the tables, where one has no such cost or costs of
            different origins, operands of different widths or runs of different
            networks are mixed.

    Example:
        >>> pareto(multipliers("mul8u_*")).figure.savefig("front.pdf")  # doctest: +SKIP
    """
    if isinstance(subject, Runs):
        return _draw_runs(subject, cost or "energy", quality or "accuracy", origin, ax)
    return _draw_tables(subject, cost or "power", quality or "mae_percent", origin, ax)


def _draw_tables(
    muls: Sequence[Multiplier],
    cost: str,
    quality: str,
    origin: str | None,
    ax: Axes | None,
) -> Axes:
    found = tradeoff(muls, cost, quality, origin)
    axes = figure.start(ax, 7.2, 5)
    staircase.mark(axes, found)
    staircase.scale_errors(axes, found.quality)
    axes.set_ylabel(QUALITIES[quality], fontsize=9)
    left = f"; {found.left_out} of other origin left out" if found.left_out else ""
    first = f"Error against {cost} of {len(found.names)} multipliers"
    staircase.finish(axes, found, cost, first, left)
    return axes


def _draw_runs(
    runs: Runs, cost: str, quality: str, origin: str | None, ax: Axes | None
) -> Axes:
    found = run_tradeoff(runs, cost, quality, origin)
    axes = figure.start(ax, 7.2, 5)
    staircase.mark(axes, found)
    axes.set_ylabel(RUN_QUALITIES[quality], fontsize=9)
    rising = quality != "loss"
    if rising:
        accuracy_axis.scale(axes, found.quality, runs[0].n)
    else:
        staircase.scale_errors(axes, found.quality)
    remark = f"; {found.left_out} left out" if found.left_out else ""
    if quality == "accuracy":
        accuracy_axis.mark_float(axes, 100 * runs[0].float_accuracy)
        accuracy_axis.mark_intervals(axes, found, runs)
        remark = f"{remark}; bars: 95 % intervals"
    first = f"{runs[0].model}: {quality} against {cost} of {len(found.names)} tables"
    staircase.finish(axes, found, cost, first, remark, rising=rising)
    return axes
