"""Skipping: the rest of a gated layer for open tiles only.

Output channels that are closed everywhere are left out first; of what remains, blocks
of 16 pixels by 16 channels that hold no open output are. What the pixels of the others
see is gathered, and a convolution of one tap on the layer's own path computes each
column of blocks.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor

from ..gating.tiles import SIDE, open_runs, open_tiles
from ..kernels.open import Goal, Windows
from .forms import ConvolutionForm, GateForm, LinearForm, SplitForm
from .pieces import Piece, Sums
from .product import Operand

# With more open tiles than this, gathering costs what it saves.
MOST_OPEN = 0.3
# Of the gathered pixels: one tap, every pixel an output.
ONE_TAP = ConvolutionForm((1,), (0,), (1,), 1)


def add_rest(
    base: Tensor, total: Tensor, sums: Sums, a: Operand, w: Operand, form: GateForm,
    wanted: Tensor,
) -> Tensor:  # fmt: skip
    """Adds the rest where it is wanted.

    Args:
        base: the base in real numbers; overwritten.
        total: the integer sums that it stands for.
        sums: of the layer.
        a, w: its operands.
        form: its form.
        wanted: bool, shaped like the output.

    Returns:
        `base` where nothing is wanted, elsewhere what the sums of both stand for.
    """
    scale = form.per_output(a.scale * w.scale)
    if total.is_contiguous() and _can_skip(form, sums, wanted):
        runs = open_runs(wanted, form.channel_axis)
        columns = [_columns(piece, runs) for piece in sums.rest]
        tiles = torch.cat([tiles.reshape(-1) for _, tiles in columns])
        if float(tiles.float().mean()) <= MOST_OPEN:
            units = (a.scale * w.scale).to(base.dtype).expand(w.raw.shape[0])
            goal = Goal(base, total, wanted, units.contiguous())
            for piece, (outputs, tiles) in zip(sums.rest, columns, strict=True):
                _add_tiles(goal, outputs, tiles, piece, sums, a, w, form)
            return base
    both = total + sums.of_rest(a, w, form)
    return torch.where(wanted, both.to(base.dtype) * scale, base)


def _can_skip(
    form: GateForm, sums: Sums, wanted: Tensor
) -> TypeGuard[ConvolutionForm | LinearForm]:
    """Whether open tiles can be computed alone; finding them makes a GPU wait."""
    if wanted.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    if isinstance(form, ConvolutionForm):
        padded = sums.skip and any(form.padding)
        return form.groups == 1 and not padded
    return isinstance(form, LinearForm)


def _columns(piece: Piece, runs: Tensor) -> tuple[Tensor, Tensor]:
    """A piece's channels that are open somewhere, and bool[R, T]: their open tiles.

    Of no such channels there is one column of closed tiles.
    """
    first, end = piece.part.outputs
    mine = runs[:, first:end]
    outputs = mine.any(0).nonzero()[:, 0]
    share = len(outputs) / (end - first)
    tiles = open_tiles(mine[:, outputs] if share < 1 else mine)
    return outputs, tiles if len(outputs) else runs.new_zeros(len(runs), 1)


def _add_tiles(
    goal: Goal, outputs: Tensor, tiles: Tensor, piece: Piece, sums: Sums,
    a: Operand, w: Operand, form: SplitForm,
) -> None:  # fmt: skip
    """Adds a piece's sums in its open tiles."""
    axis, total = form.channel_axis, goal.total
    pixels, depth = total.numel() // total.shape[axis], total.stride(axis)
    weights, seen = piece.weights(w), piece.input(a, axis)
    zero = int(seen.zero_point) % (1 << seen.scheme.bits)
    windows = Windows(form.windows(seen.raw.contiguous(), weights.raw.shape, zero))
    circuit = sums.circuit(piece, ONE_TAP)
    for column in range(tiles.shape[1]):
        mine = _pixels(tiles[:, column], pixels)
        if not len(mine):
            continue
        chosen = outputs[column * SIDE : (column + 1) * SIDE]
        gathered = windows.gather(mine)[None]
        found = circuit.accumulate(
            Operand(gathered, seen.scale, seen.zero_point, seen.scheme),
            _rows(weights, chosen),
        )[0].to(total.dtype)
        images = mine // depth * (depth * total.shape[axis]) + mine % depth
        goal.add(found, images, chosen + piece.part.outputs[0], depth, piece.shift)


def _pixels(tiles: Tensor, count: int) -> Tensor:
    """The pixels of open tiles."""
    every = (tiles.nonzero() * SIDE + torch.arange(SIDE)).reshape(-1)
    return every[every < count]


def _rows(w: Operand, chosen: Tensor) -> Operand:
    """The weights of some outputs, each as a kernel of one tap."""
    each = w.scheme.axis is not None
    scale, zero = (t[chosen] if each else t for t in (w.scale, w.zero_point))
    return Operand(w.raw[chosen].flatten(1)[..., None], scale, zero, w.scheme)
