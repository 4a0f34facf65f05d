"""What all figures share: fresh axes without pyplot, colours, legend, version stamp."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import __version__

# Okabe and Ito's palette, safe for all common kinds of colour blindness.
BLUE, ORANGE, BLACK = "#0072B2", "#D55E00", "#000000"
GREY = "#8a8a8a"
DIVERGING, SEQUENTIAL = "RdBu_r", "YlOrBr"
STAMP = "axsim-version"
SCREEN = 96  # pixels in an inch of a browser
TITLE_LENGTH = 60


class ShownAxes(Axes):
    """Axes that a notebook displays when they are the value of a cell."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        figure: Any = self.get_figure(root=True)
        image = io.BytesIO()
        figure.savefig(image, format="png")
        width, height = (int(side * SCREEN) for side in figure.get_size_inches())
        return image.getvalue(), {"width": width, "height": height}


def start(ax: Axes | None, width: float = 5.8, height: float = 4.4) -> Axes:
    """The given axes, or those of a new figure; either way stamped with the version.

    A new figure belongs to no window system: nothing is shown, nothing is global.
    """
    if ax is None:
        figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
        ax = figure.add_subplot(axes_class=ShownAxes)
    stamp(ax)
    return ax


def stamp(axes: Axes) -> None:
    """Writes the version into the lower right corner of the figure, once."""
    figure: Any = axes.get_figure(root=True)
    if any(text.get_gid() == STAMP for text in figure.texts):
        return
    figure.text(
        0.998,
        0.004,
        f"axsim {__version__}",
        gid=STAMP,
        fontsize=5,
        color=GREY,
        ha="right",
        va="bottom",
        in_layout=False,
    )


def title(axes: Axes, first: str, second: str, *, legend: bool = False) -> None:
    """Two left-aligned lines above the axes, with room for a legend under them.

    Names may hold `$`, so nothing is read as mathematics.
    """
    text = f"{shorten(first)}\n{second}"
    pad = 22 if legend else 6
    axes.set_title(text, loc="left", fontsize=9, pad=pad, parse_math=False)


def legend(axes: Axes) -> None:
    """The one place of a legend: a frameless row between title and axes."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=4,
        frameon=False,
        fontsize=7.5,
        borderaxespad=0.2,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def quiet(axes: Axes) -> None:
    """Small tick labels, no upper and right frame, a light grid behind the marks."""
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)


def signed(value: float) -> str:
    """A figure with its sign, in typographic minus signs as on the axes.

    Example:
        >>> signed(-80.25), signed(0.0)
        ('−80.25', '0')
    """
    return f"{value:+.4g}".replace("-", "−") if value else "0"


def shorten(name: str, length: int = TITLE_LENGTH) -> str:
    """A long name with its middle left out.

    Example:
        >>> shorten("mul8u_something_long", 11)
        'mul8u…_long'
    """
    if len(name) <= length:
        return name
    half = (length - 1) // 2
    return f"{name[: length - 1 - half]}…{name[-half:]}"
