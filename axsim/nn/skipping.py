"""Skipping: the rest of a gated layer for open tiles only.

Outputs are rows of pixels by output channels. Channels that are closed everywhere are
left out first; of what remains, blocks of 16 pixels by 16 channels that hold no open
output are. The pixels of the others are gathered with what they see, and one matrix
product on the layer's own path computes each column of blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..gating.tiles import SIDE, rows_of, tile_open
from .forms import ConvolutionForm, LinearForm, SplitForm
from .pieces import Piece, Sums
from .product import Operand

# With more open tiles than this, gathering costs what it saves.
MOST_OPEN = 0.5


def open_sums(
    sums: Sums, a: Operand, w: Operand, form: SplitForm, wanted: Tensor
) -> Tensor:
    """The rest's sums where they are wanted; elsewhere they are any number.

    Args:
        sums: of the layer.
        a, w: its operands.
        form: its form.
        wanted: bool, shaped like the output.
    """
    if not _can_skip(sums, form, wanted):
        return sums.of_rest(a, w, form)
    axis, kind = form.channel_axis, sums.kind(w.raw.shape)
    rows = rows_of(wanted, axis)
    out = torch.zeros(rows.shape, dtype=kind)
    for piece in sums.rest:
        first, end = piece.part.outputs
        tiles = tile_open(rows[:, first:end])
        if float(tiles.float().mean()) > MOST_OPEN:
            return sums.of_rest(a, w, form)
        _fill(out[:, first:end], rows[:, first:end], piece, sums, a, w, form)
    lead = wanted.movedim(axis, -1).shape
    return out.view(lead).movedim(-1, axis)


def _can_skip(sums: Sums, form: SplitForm, wanted: Tensor) -> bool:
    """Whether open tiles can be computed alone; finding them makes a GPU wait."""
    if wanted.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    if isinstance(form, ConvolutionForm):
        padded = sums.skip and any(form.padding)
        return form.groups == 1 and not padded
    return isinstance(form, LinearForm)


def _fill(
    out: Tensor, wanted: Tensor, piece: Piece, sums: Sums, a: Operand, w: Operand,
    form: SplitForm,
) -> None:  # fmt: skip
    """Writes a piece's sums into the open tiles of out[rows, outputs]."""
    outputs = wanted.any(0).nonzero()[:, 0]
    if not len(outputs):
        return
    tiles = tile_open(wanted[:, outputs])
    weights = piece.weights(w)
    seen = piece.input(a, form.channel_axis)
    pixels = _pixels(tiles.any(1), len(wanted))
    zero = int(seen.zero_point) % (1 << seen.scheme.bits)
    windows = form.windows(seen.raw, weights.raw.shape, zero)
    gathered = _gather(windows, pixels, form)
    place = torch.empty(len(wanted), dtype=torch.long)
    place[pixels] = torch.arange(len(pixels))
    circuit = sums.circuit(piece, LinearForm())
    for column in range(tiles.shape[1]):
        chosen = outputs[column * SIDE : (column + 1) * SIDE]
        mine = _pixels(tiles[:, column], len(wanted))
        whole = len(mine) == len(pixels)
        rows = gathered if whole else gathered[place[mine]]
        operand = Operand(rows, seen.scale, seen.zero_point, seen.scheme)
        found = circuit.accumulate(operand, _rows(weights, chosen))
        out[mine[:, None], chosen] = found.to(out.dtype) << piece.shift


def _pixels(tiles: Tensor, rows: int) -> Tensor:
    """The rows of open tiles."""
    starts = tiles.nonzero() * SIDE
    every = (starts + torch.arange(SIDE)).reshape(-1)
    return every[every < rows]


def _gather(windows: Tensor, pixels: Tensor, form: SplitForm) -> Tensor:
    """uint8[len(pixels), K]: what some of the pixels see."""
    if isinstance(form, LinearForm):
        return windows[pixels]
    lead = windows.dim() // 2
    places = torch.unravel_index(pixels, windows.shape[:lead])
    return windows[places].reshape(len(pixels), -1)


def _rows(w: Operand, chosen: Tensor) -> Operand:
    """The weights of some outputs, each as a row."""
    each = w.scheme.axis is not None
    scale, zero = (t[chosen] if each else t for t in (w.scale, w.zero_point))
    return Operand(w.raw[chosen].flatten(1), scale, zero, w.scheme)
