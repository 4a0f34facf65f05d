"""What a report says of one multiplier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import BackendError
from . import plot
from .neighbours import mae_percent, neighbours
from .page import Html, explained, join, picture, table, tag

if TYPE_CHECKING:
    from ..tables.cost import Cost
    from ..tables.metrics import Metrics
    from ..tables.multiplier import Multiplier

CAPTIONS = {
    "error_heatmap": "Signed error of every product. Stripes belong to single bits of "
    "an operand; one colour everywhere is a bias that adds up in long sums, while red "
    "and blue side by side cancel.",
    "error_histogram": "How often errors of each size occur, on a logarithmic scale. "
    "Look at the distance of the bias from 0 and at how far the tail reaches.",
    "relative_error": "Mean |error| / |exact product| by the operands' magnitudes. "
    "Weights and activations of networks are mostly small: look at the upper left.",
    "conditional_error": "Mean error for each weight, over all activations. Weights "
    "are known before a network runs, so this part of the error could be corrected.",
}


def table_section(mul: Multiplier, plots: Sequence[str] = tuple(CAPTIONS)) -> Html:
    """Figures, plots, structure, cost, neighbours and identity of one multiplier."""
    pictures = [picture(getattr(plot, name)(mul), CAPTIONS[name]) for name in plots]
    return join(
        [
            tag("p", summary(mul), class_="lead"),
            tag("h2", "Error"),
            tag("p", "Over all operand pairs alike; error is approximate − exact.",
                class_="muted"),
            explained(_error_rows(mul.metrics())),
            tag("h2", "Where the error sits"),
            tag("div", *pictures, class_="plots"),
            tag("h2", "Structure and cost"),
            explained([*_structure_rows(mul), *_cost_rows(mul.cost)]),
            tag("h2", "Neighbours in the shipped catalogue"),
            _neighbour_table(mul),
            tag("h2", "Identity"),
            explained(_identity_rows(mul)),
        ]
    )  # fmt: skip


def summary(mul: Multiplier) -> str:
    """One sentence on a multiplier."""
    m = mul.metrics()
    kind = f"An {mul.operands}" if mul.signed[0] is False else f"A {mul.operands}"
    if not m.ep:
        return f"{kind} multiplier; every product is exact."
    return (
        f"{kind} multiplier, wrong in {m.ep_percent:.4g} % of its products, by "
        f"{number(m.mae)} on average and {m.wce:,} at worst."
    )


def number(value: float) -> str:
    """Four digits that matter, thousands grouped.

    Example:
        >>> number(33602611.2), number(0.25), number(3)
        ('33,602,611', '0.25', '3')
    """
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def _error_rows(m: Metrics) -> list[tuple[str, str, str]]:
    return [
        ("MAE", f"{number(m.mae)} ({m.mae_percent:.3g} %)",
         f"mean absolute error; percent of the product range, {m.full_scale:,}"),
        ("WCE", f"{m.wce:,} ({m.wce_percent:.3g} %)", "worst-case absolute error"),
        ("bias", f"{number(m.bias)} ({m.bias_percent:.3g} %)",
         "mean error: what a long sum of products drifts by, per product"),
        ("EP", f"{m.ep_percent:.4g} %", "products with any error"),
        ("MRE", f"{m.mre_percent:.4g} %",
         "mean relative error, over products whose exact value is not 0"),
        ("WCRE", f"{m.wcre_percent:.4g} %", "worst relative error, likewise"),
        ("MSE", number(m.mse), "mean squared error: bias² + variance"),
        ("variance", number(m.variance),
         "what is left of the squared error once the bias is subtracted"),
    ]  # fmt: skip


def _structure_rows(mul: Multiplier) -> list[tuple[str, str, str]]:
    symmetric = "yes" if mul.is_symmetric else "no"
    zero = "0" if mul.zero_preserving else f"not always: M[0,0] = {mul.table[0, 0]}"
    return [
        ("operands", mul.operands, "activation × weight, in bits"),
        ("symmetric", symmetric,
         "whether activation and weight may change places"),
        ("product with 0", zero,
         "where it is not 0, padding and skipped products add to a sum"),
        ("rank of the error", str(mul.rank), _rank_meaning(mul)),
    ]  # fmt: skip


def _rank_meaning(mul: Multiplier) -> str:
    """How well exact integer matrix products can stand in for the table."""
    if not mul.rank:
        return "the table is the exact product; plain matrix products give its results"
    try:
        factors = mul.factors()
    except BackendError as problem:
        return str(problem)
    u, b = factors.widths
    return (
        f"integer factors U·B of {factors.rank} terms in {u} and {b}: matrix products "
        f"of {factors.rank + 1} times the depth give bit-identical sums"
    )


def _cost_rows(cost: Cost | None) -> list[tuple[str, str, str]]:
    if cost is None:
        return [("cost", "unknown", "nobody published one, and none is made up")]
    figures = zip(
        ("power", "area", "delay"),
        (cost.power, cost.area, cost.delay),
        cost.units,
        strict=True,
    )
    meanings = ("at the clock of the source", "of silicon", "of the longest path")
    return [
        *((what, "unknown" if value is None else f"{value:.4g} {unit}", meaning)
          for (what, value, unit), meaning in zip(figures, meanings, strict=True)),
        ("cost by", cost.origin, cost.basis),
    ]  # fmt: skip


def _neighbour_table(mul: Multiplier) -> Html:
    found = neighbours(mul)
    if not found:
        sentence = f"The shipped catalogue has no other {mul.operands} table."
        return tag("p", sentence, class_="muted")
    m, own = mul.metrics(), f"{mul.name} (this table)"
    rows = [_neighbour_row(own, m.mae_percent, m.wce, m.bias, mul.rank, mul.cost, "")]
    for each in found:
        entry, error = each.entry, each.entry.figures
        remark = f"better: {each.remark}" if each.better else each.remark
        figures = mae_percent(entry), error["wce"], error["bias"]
        rows.append(
            _neighbour_row(entry.name, *figures, entry.rank, entry.cost, remark)
        )
    head = ("table", "MAE %", "WCE", "bias", "rank", "power", "beside this table")
    words = ("table", "beside this table")
    return join([tag("p", _how_chosen(mul), class_="muted"), table(head, rows, words)])


def _neighbour_row(
    name: str,
    mae: float,
    wce: float,
    bias: float,
    rank: int,
    cost: Cost | None,
    remark: str,
) -> tuple[str, ...]:
    power = "unknown"
    if cost is not None and cost.power is not None:
        power = f"{cost.power:.3g} {cost.units[0]}"
    return name, f"{mae:.3g}", number(wce), number(bias), str(rank), power, remark


def _how_chosen(mul: Multiplier) -> str:
    if mul.cost is None:
        return "Nearest by error: this table has no cost to compare."
    return (
        "Better ones first: no more error at no more power. Then the nearest by error, "
        "and by power where both figures have one origin."
    )


def _identity_rows(mul: Multiplier) -> list[tuple[str, str, str]]:
    known = str(mul.identity) if mul.identity else "no known circuit has this table"
    return [
        ("recognised as", known, "by content, whatever the file is called"),
        ("source", mul.source or "unknown", "where the table came from"),
        ("sha256", mul.sha256, "of the table as little-endian int32, row by row"),
    ]
