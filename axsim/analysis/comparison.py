"""What a report says of several multipliers together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..console import progress
from . import plot
from .front import COSTS, comparable, listed
from .page import Html, join, picture, table, tag
from .table_section import CAPTIONS, table_section

if TYPE_CHECKING:
    from ..tables.multiplier import Multiplier

# A page of a hundred tables with every plot would be too large to open.
ALL_PLOTS_UP_TO = 8
CAPTION = (
    "Every dot is a design; the line joins those that no other beats in both error and "
    "power. A design far above the line pays power for nothing; a long step is a gap "
    "where a new design would help."
)


def overview(muls: Sequence[Multiplier]) -> Html:
    """The scatter of error against cost and the table of all figures."""
    return join(
        [tag("h2", "Error against cost"), *_scatters(muls),
         tag("h2", "All tables, by mean absolute error"), _figures(muls)]
    )  # fmt: skip


def details(muls: Sequence[Multiplier]) -> Html:
    """A section for each multiplier, folded until asked for."""
    plots = tuple(CAPTIONS) if len(muls) <= ALL_PLOTS_UP_TO else ("error_heatmap",)
    note = (
        [tag("p", "Of so many tables only the heatmaps are drawn; ",
             tag("code", "axsim report NAME"), " draws the rest.", class_="muted")]
        if len(plots) < len(CAPTIONS) else []
    )  # fmt: skip
    sections = (
        tag("details", tag("summary", mul.name, id=f"table-{i}"),
            table_section(mul, plots))
        for i, mul in enumerate(progress(muls, "drawing"))
    )  # fmt: skip
    return join([*note, *sections])


def by_error(muls: Sequence[Multiplier]) -> list[Multiplier]:
    """The multipliers from the most exact to the least."""
    return sorted(muls, key=lambda mul: mul.metrics().mae_percent)


def _scatters(muls: Sequence[Multiplier]) -> list[Html]:
    """One scatter for each width and origin of costs: they are never mixed."""
    powered = [mul for mul in muls if mul.cost and mul.cost.power is not None]
    groups = [group for group in comparable(powered) if len(group) > 1]
    parts = [picture(plot.pareto(group), CAPTION, wide=True) for group in groups]
    drawn = {id(mul) for group in groups for mul in group}
    others = [mul.name for mul in muls if id(mul) not in drawn]
    if others:
        sentence = f"Without a power that compares with another's: {listed(others)}."
        parts.append(tag("p", sentence, class_="muted"))
    return parts


def _figures(muls: Sequence[Multiplier]) -> Html:
    head = ("table", "operands", "MAE %", "WCE %", "bias %", "EP %", "MRE %", "rank",
            *COSTS, "cost by")  # fmt: skip
    rows = [_row(i, mul) for i, mul in enumerate(muls)]
    return table(head, rows, words=("table", "operands", "cost by"))


def _row(index: int, mul: Multiplier) -> tuple[str, ...]:
    m = mul.metrics()
    errors = (m.mae_percent, m.wce_percent, m.bias_percent, m.ep_percent, m.mre_percent)
    units = mul.cost.units if mul.cost else ("", "", "")
    figures = (getattr(mul.cost, cost, None) for cost in COSTS)
    costs = ["" if value is None else f"{value:.3g} {unit}"
             for value, unit in zip(figures, units, strict=True)]  # fmt: skip
    return (
        tag("a", mul.name, href=f"#table-{index}"),
        mul.operands,
        *(f"{value:.3g}" for value in errors),
        str(mul.rank),
        *costs,
        mul.cost.origin if mul.cost else "unknown",
    )
