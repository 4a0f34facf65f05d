"""Skipping: the rest of a gated layer for open tiles only.

Outputs are computed by runs of 16 pixels, for 16 channels together and without those
channels that no such run wants; what remains costs as much as in the whole layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..kernels.open_sums import add_open
from .forms import ConvolutionForm, GateForm, LinearForm
from .pieces import Piece, Sums
from .product import Operand


def add_rest(
    base: Tensor, total: Tensor | None, sums: Sums, a: Operand, w: Operand,
    form: GateForm, wanted: Tensor,
) -> Tensor:  # fmt: skip
    """Adds the rest where it is wanted.

    Args:
        base: the base in real numbers; overwritten.
        total: the integer sums that it stands for; None where `base` tells them.
        sums: of the layer.
        a, w: its operands.
        form: its form.
        wanted: bool, shaped like the output.

    Returns:
        `base` where nothing is wanted, elsewhere what the sums of both stand for.
    """
    known = sums.step if total is None else total
    tensors = [t for t in (base, known, wanted) if isinstance(t, Tensor)]
    if _on_cpu(wanted) and all(t.is_contiguous() for t in tensors):
        goal = base, known, wanted
        if all(_add_tiles(*goal, p, sums, a, w, form) for p in sums.rest):
            return base
    if total is None:
        total = sums.of_base(a, w, form)
    both = total + sums.of_rest(a, w, form)
    scale = form.per_output(a.scale * w.scale)
    return torch.where(wanted, both.to(base.dtype) * scale, base)


def _on_cpu(wanted: Tensor) -> bool:
    return wanted.device.type == "cpu" and not torch.compiler.is_compiling()


def _add_tiles(
    base: Tensor, total: Tensor | int, wanted: Tensor, piece: Piece, sums: Sums,
    a: Operand, w: Operand, form: GateForm,
) -> bool:  # fmt: skip
    """Adds a piece's sums in its open tiles; whether there is a way to."""
    if not isinstance(form, LinearForm | ConvolutionForm):
        return False
    circuit = sums.circuit(piece, form)
    mine = piece.input(a, form.channel_axis), piece.weights(w)
    finish = circuit.whole_finish(*mine)
    if finish is None:
        return False
    seen, weights = mine
    code = None if sums.skip else int(seen.zero_point) % (1 << seen.scheme.bits)
    units = (a.scale * weights.scale).to(base.dtype).expand(len(weights.raw))
    return add_open(
        base, total, wanted, units.contiguous(), piece.shift, piece.part.outputs,
        seen.raw, weights.raw, piece.mul, form.shape(seen.raw.shape, weights.raw.shape),
        code, sums.backend, finish,
    )  # fmt: skip
