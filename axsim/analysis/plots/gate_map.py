"""Where a gated network computes its rest: the share of open outputs over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor, nn

from ...errors import ConversionError, close_names
from ...nn.modes import evaluating
from ...nn.plan import plan
from .. import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Map = npt.NDArray[np.float32]


def gate_shares(net: nn.Module, image: Tensor) -> dict[str, Map]:
    """The share of open output channels at each pixel, for each gated layer.

    Args:
        net: what `approximate` returned, with gates.
        image: one input, [C, H, W].

    Returns:
        float32[H', W'] by layer, in the network's order; of one-dimensional layers
        [1, L']; of attention scores [heads, queries], the share of open keys.

    Raises:
        ConversionError: for a network without such layers, and several inputs.
    """
    if image.dim() > 3:
        raise ConversionError(
            f"image has shape {tuple(image.shape)}; give one input without its batch, "
            "such as images[0]."
        )
    gates = plan(net).gates
    before = {name: (u.meter.kept, u.meter.sums) for name, u in gates.items()}
    for unit in gates.values():
        unit.meter.kept = []
    try:
        with evaluating(net):
            net(image[None])
        found = {
            name: _share(unit.meter.kept[-1])
            for name, unit in gates.items()
            if unit.meter.kept and unit.meter.kept[-1].dim() in (3, 4)
        }
    finally:
        for name, unit in gates.items():
            unit.meter.kept, unit.meter.sums = before[name]
    if not found:
        raise ConversionError(
            f"{type(net).__name__} has no gated layer that this image reached; "
            "convert it with ax.recipes.precision_gating or channel_gating."
        )
    return found


def gate_map(
    net: nn.Module, image: Tensor, *, layers: tuple[str, ...] | None = None
) -> list[Axes]:
    """Draws an image and, beside it, where each gated layer was open.

    The arrays behind it are those of `gate_shares`; nothing is counted.

    Args:
        net: what `approximate` returned, with gates.
        image: one input, [C, H, W].
        layers: names of gated layers; all by default.

    Raises:
        ConversionError: for a network without gated layers, or unknown layers.

    Example:
        >>> net = ax.approximate(ax.build_network("digits_resnet"),
        ...                      ax.recipes.channel_gating(4))
        >>> [axes.get_title(loc="left") for axes in gate_map(net, torch.rand(1, 8, 8))]
        ['input', 'stage1.0.conv1', 'stage2.0.conv1', 'stage3.0.conv1']
    """
    shares = gate_shares(net, image)
    for name in layers or ():
        if name not in shares:
            raise ConversionError(
                f"layers: {name!r} is no gated layer; there are "
                f"{', '.join(shares)}.{close_names(name, shares)}"
            )
    chosen = {name: shares[name] for name in layers or shares}
    drawn = Figure(
        figsize=(1.9 * (len(chosen) + 1) + 0.6, 2.3), dpi=150, layout="constrained"
    )
    grid = drawn.subplots(
        1, len(chosen) + 1, squeeze=False, subplot_kw={"axes_class": figure.ShownAxes}
    )
    every: list[Axes] = list(grid[0])
    every[0].imshow(_shown(image), cmap="gray")
    every[0].set_title("input", loc="left", fontsize=8)
    # One scale for all, so that layers compare.
    norm = Normalize(0, 1)
    for axes, (name, share) in zip(every[1:], chosen.items(), strict=True):
        axes.imshow(share, cmap="cividis", norm=norm)
        axes.set_title(figure.shorten(name, 24), loc="left", fontsize=8)
        axes.set_xlabel(f"{100 * float(share.mean()):.0f} % open", fontsize=7.5)
    for axes in every:
        axes.set_xticks([])
        axes.set_yticks([])
    bar = drawn.colorbar(
        ScalarMappable(norm, "cividis"),
        ax=every[1:],
        fraction=0.03,
        pad=0.02,
        shrink=0.85,
    )
    bar.set_label("share of outputs open", fontsize=7)
    bar.ax.tick_params(labelsize=6.5)
    figure.stamp(every[0])
    return every


def _share(mask: Tensor) -> Map:
    """The mean over channels of the only image, whose channels are last."""
    share = mask[0].float().mean(-1)
    return np.atleast_2d(share.numpy()).astype(np.float32)


def _shown(image: Tensor) -> Map:
    """A picture with values 0 … 1: colours of three channels, else their mean."""
    x = image.detach().float().cpu()
    x = x.movedim(0, -1) if len(x) == 3 else x.mean(0)
    low, high = torch.aminmax(x)
    return ((x - low) / (high - low).clamp(min=1e-9)).numpy()
