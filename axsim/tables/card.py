"""What `print(multiplier)` shows: a card that answers the next question."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .multiplier import Multiplier


def card(mul: Multiplier) -> str:
    """Name, operands, error, structure, cost and identity of a multiplier."""
    lines = [
        ("", f"{mul.name}: {mul.operands} multiplier, {mul.source}"),
        ("error", _error(mul)),
        ("", _relative(mul)),
        ("structure", _structure(mul)),
        ("cost", str(mul.cost) if mul.cost else "unknown: nobody published one"),
        *([("", mul.cost.basis)] if mul.cost and mul.cost.basis else []),
        ("content", _content(mul)),
        ("next", _next(mul)),
    ]
    first, *rest = lines
    return "\n".join([first[1], *(f"  {label:10}{text}" for label, text in rest)])


def _error(mul: Multiplier) -> str:
    m = mul.metrics()
    if not m.ep:
        return "none: every product is exact"
    return (
        f"MAE {m.mae:.5g} ({m.mae_percent:.3g} %), "
        f"WCE {m.wce} ({m.wce_percent:.3g} %), bias {m.bias:+.5g}, "
        f"in {m.ep_percent:.2f} % of products"
    )


def _relative(mul: Multiplier) -> str:
    m = mul.metrics()
    return (
        f"MRE {m.mre_percent:.3g} %, WCRE {m.wcre_percent:.4g} %, MSE {m.mse:.5g}, "
        f"variance {m.variance:.5g}"
    )


def _structure(mul: Multiplier) -> str:
    symmetric = (
        "symmetric" if mul.is_symmetric else "asymmetric (operand order matters)"
    )
    zero = (
        "0 times anything is 0"
        if mul.zero_preserving
        else f"products with 0 are not all 0 (M[0,0] = {mul.table[0, 0]})"
    )
    return f"{symmetric}, {zero}, rank of the error {mul.rank}"


def _content(mul: Multiplier) -> str:
    known = mul.identity
    if known is None:
        return f"no known circuit has this table (sha256 {mul.sha256[:12]})"
    also = f", also called {', '.join(known.aliases)}" if known.aliases else ""
    turned = ", operands transposed" if known.transposed else ""
    return f"recognised as {known.name}{turned} ({known.origin}{also})"


def _next(mul: Multiplier) -> str:
    page = 'ax.report(mul, "page.html")'
    return f"ax.plot.error_heatmap(mul), {page}" if mul.metrics().ep else page
