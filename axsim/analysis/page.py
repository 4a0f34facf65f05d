"""A self-contained HTML page: everything inline, every text escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The page may load nothing and run nothing, even if some text slipped through.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
VOID = {"img", "meta"}

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 76rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; border-bottom: 1px solid #ccc; }
p, li { max-width: 46rem; }
code, pre { font-size: 0.875rem; overflow-wrap: anywhere; white-space: pre-wrap; }
.lead { font-size: 1.05rem; }
.muted, figcaption { color: #555; font-size: 0.875rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0; font-size: 0.875rem; }
th, td { padding: 0.25rem 0.6rem 0.25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e6e6e6; }
th { font-weight: 600; white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
td.words { min-width: 6rem; }
.explained td.words { overflow-wrap: anywhere; }
td.words:first-child { white-space: nowrap; }
.plots { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
figure { margin: 0; break-inside: avoid; }
img { width: 100%; height: auto; }
.wide { max-width: 52rem; margin-bottom: 1rem; }
@media (max-width: 40rem) {
  .explained thead { display: none; }
  .explained tr { display: grid; grid-template-columns: 8rem 1fr; padding: 0.25rem 0;
    border-bottom: 1px solid #e6e6e6; }
  .explained td { border: none; padding: 0; min-width: 0; }
  .explained td:last-child { grid-column: 1 / -1; color: #555; font-size: 0.85em; }
}
details { border: 1px solid #ccc; border-radius: 4px; margin: 0.75rem 0;
  padding: 0.5rem 1rem; }
summary { font-weight: 600; cursor: pointer; overflow-wrap: anywhere; }
footer { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 0.5rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  table { font-size: 7pt; }
  th, td { padding-right: 0.3rem; }
  .scroll { overflow: visible; }
  .plots { grid-template-columns: 1fr 1fr; }
  details { border: none; padding: 0; }
  details::details-content { content-visibility: visible; block-size: auto; }
  a { color: inherit; text-decoration: none; }
}
"""


class Html(str):
    """Text that already is HTML; any other text is escaped on its way into a page."""


def tag(name: str, /, *children: str, **attributes: str) -> Html:
    """An element with its children; what is not `Html` is escaped.

    Example:
        >>> tag("p", "1 < 2", class_="muted")
        '<p class="muted">1 &lt; 2</p>'
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    if name in VOID:
        return Html(f"<{name}{words}>")
    return Html(f"<{name}{words}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Html:
    """Parts one after the other, escaped unless they are `Html`."""
    return Html(
        "".join(part if isinstance(part, Html) else html.escape(part) for part in parts)
    )


def explained(rows: Iterable[Sequence[str]]) -> Html:
    """A table of figure, value and meaning; a narrow screen has the meaning below."""
    head = ("figure", "value", "meaning")
    return tag("div", table(head, rows, words=head), class_="explained")


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ()
) -> Html:
    """A table that scrolls sideways on a narrow screen.

    Args:
        head: the column titles.
        rows: one sequence of cells for each line.
        words: titles of the columns that hold text and not numbers.
    """
    kinds = ["words" if title in words else "number" for title in head]

    def line(cells: Sequence[str], name: str) -> Html:
        pairs = zip(cells, kinds, strict=True)
        return tag("tr", *(tag(name, cell, class_=kind) for cell, kind in pairs))

    body = tag("tbody", *(line(row, "td") for row in rows))
    return tag("div", tag("table", tag("thead", line(head, "th")), body),
               class_="scroll")  # fmt: skip


def picture(axes: Axes, caption: str, *, wide: bool = False) -> Html:
    """A figure as an SVG inside the page, with what to look for in it."""
    image = tag("img", src=_data_uri(axes), alt=caption, loading="lazy")
    return tag(
        "figure", image, tag("figcaption", caption), class_="wide" if wide else "plot"
    )


def page(title: str, *body: str) -> Html:
    """The whole document."""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(STYLE)),
    ]
    document = tag("html", tag("head", *head), tag("body", *body), lang="en-GB")
    return Html(f"<!DOCTYPE html>\n{document}\n")


def _data_uri(axes: Axes) -> str:
    figure: Any = axes.get_figure(root=True)
    image = io.BytesIO()
    # A fixed salt: the same table gives the same picture, byte for byte.
    with mpl.rc_context({"svg.hashsalt": "axsim"}):
        figure.savefig(image, format="svg", metadata={"Date": None})
    encoded = base64.b64encode(image.getvalue()).decode()
    return f"data:image/svg+xml;base64,{encoded}"
