"""Bits kept for an element, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import figure
from ..accounts import Account, ledger_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (figure.BLUE, figure.ORANGE, "#009E73", "#CC79A7", "#E69F00", figure.GREY)
MILLION = 1e6


def bits_histogram(account: Account, *, ax: Axes | None = None) -> Axes:
    """Draws a column for each place that saves: as high as its bits, wide as its size.

    A column's area is the memory it takes. Places are in the order of the network.

    Args:
        account: the store of a converted network, `ax.plan(net).store`, or the tape of
            `ax.compressed_activations`, after a step.
        ax: where to draw; a new figure by default.

    Raises:
        OperandError: where nothing was saved yet.

    Example:
        >>> x = torch.randn(64, 64, requires_grad=True)
        >>> with compressed_activations(bits=4) as tape:
        ...     y = x.tanh()
        >>> len(bits_histogram(tape).patches)
        1
    """
    axes = figure.start(ax, width=7.2)
    lines = [line for line in ledger_of(account).lines if line.elements]
    sizes = np.array([line.elements for line in lines]) / MILLION
    bits = np.array([line.bits for line in lines])
    ends = sizes.cumsum()
    codecs = list(dict.fromkeys(line.codec for line in lines))
    for codec, colour in zip(codecs, COLOURS * len(codecs), strict=False):
        chosen = np.array([line.codec == codec for line in lines])
        axes.bar((ends - sizes)[chosen], bits[chosen], sizes[chosen], align="edge",
                 color=colour, edgecolor="white", linewidth=0.3,
                 label=codec)  # fmt: skip
    mean = float((bits * sizes).sum() / sizes.sum())
    axes.axhline(mean, color=figure.BLACK, linestyle="--", linewidth=0.8,
                 label=f"mean {mean:.3g}")  # fmt: skip
    axes.set_xlim(0, ends[-1])
    axes.set_xlabel("elements saved, layer by layer (millions)", fontsize=9)
    axes.set_ylabel("bits kept for an element", fontsize=9)
    figure.quiet(axes)
    figure.legend(axes)
    kept = sum(line.kept for line in lines) / MILLION
    figure.title(axes, "bits of saved activations",
                 f"{len(lines)} places, {ends[-1]:.3g} million elements, {kept:.3g} MB",
                 legend=True)  # fmt: skip
    return axes
