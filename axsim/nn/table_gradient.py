"""Gradients of a layer whose products have the gradient of their table.

    dL/dx = sum_r p_r(q_a) (g * s_w q_r(q_w)),
    dL/dw = sum_r t_r(q_w) (g * s_a s_r(q_a)),

with convolutions *; the first terms are alpha - z_w and beta - z_a, with factors of 1.
One after the other they take less time than side by side, as one convolution of as many
more channels: torch then chooses ways that are up to four times as slow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..quant.codes import spread
from .gradient import gradient_terms

if TYPE_CHECKING:
    from .product import Circuit, Operand


def table_gradients(
    g: Tensor, a: Operand, w: Operand, circuit: Circuit, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of both operands, None where it is not wanted."""
    form, terms = circuit.form, gradient_terms(circuit.mul, circuit.gradient)
    p, q, s, t = (torch.from_numpy(numbers).to(g) for numbers in terms)
    codes_a, codes_w = (each.raw.flatten().int() for each in (a, w))
    zero, scale = (spread(n, w.raw, w.scheme) for n in (w.zero_point, w.scale))
    inputs, at_pad = _input_numbers(s, a, form.pads and not circuit.skip)
    over_x = over_w = None
    for row in range(len(p)):
        x = _look_up(inputs[row], codes_a, a)
        weights = _look_up(q[row], codes_w, w)
        weights = weights.sub_(zero if row == 0 else 0).mul_(scale)
        part_x, part_w = form.gradients(g, x, weights, wanted)
        if part_x is not None:
            over_x = _add(over_x, part_x, p[row], codes_a)
        if part_w is not None:
            over_w = _add(over_w, part_w, t[row], codes_w)
    if over_w is not None and at_pad is not None:
        outputs = form.bias_gradient(g).view(-1, *[1] * (w.raw.dim() - 1))
        over_w.addcmul_(_look_up((t * at_pad).sum(0), codes_w, w), outputs)
    return over_x, over_w


def _input_numbers(s: Tensor, a: Operand, padded: bool) -> tuple[Tensor, Tensor | None]:
    """s_a (s_r - [r = 0] z_a) for each code, less what padded taps have, and that.

    A padded tap is the code of 0 and has a product like any other; torch pads with 0.
    """
    numbers = s * a.scale
    numbers[0] -= a.zero_point * a.scale
    if not padded:
        return numbers, None
    at_pad = numbers[:, a.zero_point.reshape(1).long() % (1 << a.scheme.bits)]
    return numbers - at_pad, at_pad


def _add(total: Tensor | None, part: Tensor, factors: Tensor, codes: Tensor) -> Tensor:
    """One term more, times the factors of its codes; those of the first are 1."""
    if total is None:
        return part
    return total.addcmul_(part, factors.index_select(0, codes).view(part.shape))


def _look_up(numbers: Tensor, codes: Tensor, operand: Operand) -> Tensor:
    """A number for each code, in the shape of the operand."""
    # A third of the time that indexing by a tensor takes.
    return numbers.index_select(0, codes).view(operand.raw.shape)
