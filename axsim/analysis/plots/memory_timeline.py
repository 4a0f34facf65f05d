"""Bytes kept for the backward pass over one training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import figure
from ..accounts import Account, ledger_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEGA = 1e6


def memory_timeline(account: Account, *, ax: Axes | None = None) -> Axes:
    """Draws what was kept after each tensor was saved or let go, and what torch keeps.

    Args:
        account: the store of a converted network, `ax.plan(net).store`, or the tape of
            `ax.compressed_activations`, after a step.
        ax: where to draw; a new figure by default.

    Raises:
        OperandError: where nothing was saved yet.

    Example:
        >>> x = torch.randn(64, 64, requires_grad=True)
        >>> with compressed_activations(bits=2) as tape:
        ...     x.tanh().sum().backward()
        >>> memory_timeline(tape).get_xlabel()
        'tensors saved and let go, in order'
    """
    axes = figure.start(ax)
    moments = ledger_of(account).moments
    kept = np.array([0, *(m.kept for m in moments)]) / MEGA
    exact = np.array([0, *(m.exact for m in moments)]) / MEGA
    place = np.arange(len(kept))
    axes.fill_between(place, kept, step="post", color=figure.BLUE, linewidth=0,
                      label="kept")  # fmt: skip
    axes.step(place, exact, where="post", color=figure.BLACK, linewidth=1,
              label="torch's own")  # fmt: skip
    peak = int(kept.argmax())
    axes.plot(peak, kept[peak], "v", color=figure.ORANGE, markersize=5,
              label=f"most: {kept[peak]:.3g} MB")  # fmt: skip
    axes.set_xlim(0, len(kept) - 1)
    axes.set_ylim(0, 1.05 * max(exact.max(), kept.max()))
    axes.set_xlabel("tensors saved and let go, in order", fontsize=9)
    axes.set_ylabel("kept for backward (MB)", fontsize=9)
    figure.quiet(axes)
    figure.legend(axes)
    ratio = exact.max() / kept.max()
    figure.title(axes, "memory of activations over a step",
                 f"{kept.max():.3g} MB of {exact.max():.3g} MB, {ratio:.3g}x less",
                 legend=True)  # fmt: skip
    return axes
