"""Gated products on codes: the autograd Function of gated layers.

With B the base and R the rest of a layer, s_a s_w times exact integer sums, a gate
m(B) and the gradient g of y = B + m R:

    t = g R dm/dB                       through the gate, with its surrogate slope
    dL/dx = conv'(g + t, w)             low digits carry no gradient, channels theirs
    dL/dw = wgrad(x_B, g + t) + wgrad(x_R, m g)
    dL/dthreshold = -sum(t)

Between the passes it keeps what these need and no real number of the layer's size: the
codes, packed to their own bits, and masks of one bit. B and R are computed once more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..gating.split import Part
from ..gating.unit import GateUnit, Statistics
from ..memory.codec import Packed
from ..memory.codecs.bit_mask import BitMask
from ..memory.codecs.lossless import Lossless
from ..quant.scheme import Scheme
from .forms import GateForm, SplitForm
from .gated_reals import gated_reals
from .pieces import Piece, Sums
from .product import Operand, operand_gradients, passed, result_type
from .signs import table_for
from .site import Site, mark_nan
from .skipping import add_rest
from .spec import LayerSpec, Product


class GatedSite(Site):
    """A site whose products a gate splits.

    Its tables are made by `split_tables`, when the layer's shape is known.
    """

    sums: Sums

    def fit_tables(self, spec: LayerSpec) -> None:
        """The base's table is that of the layer; what it sees is known later."""
        self.table = self.product.table

    def split_tables(self, unit: GateUnit) -> None:
        """Makes the tables that the codes of base and rest see.

        Raises:
            ConversionError: where one does not fit its codes.
        """
        gate, shape, product = unit.gate, unit.shape, self.product
        rest = replace(product, table=gate.rest or product.table)
        first = tuple(self._piece(p, product, "base") for p in gate.split.base(shape))
        second = tuple(self._piece(p, rest, "rest") for p in gate.split.rest(shape))
        skip = product.pad == "skip"
        self.sums = Sums(first, second, skip, product.gradient, product.backend)

    def _piece(self, part: Part, product: Product, what: str) -> Piece:
        activation, weight = self.schemes
        codes = part.digits.scheme(activation) if part.digits else activation
        name = f"{self.name}.{what}"
        return Piece(part, table_for(product, codes, weight, layer=name))


def multiply_gated(
    site: Site | None, unit: GateUnit, x: Tensor, weight: Tensor, bias: Tensor | None,
    form: SplitForm,
) -> Tensor:  # fmt: skip
    """The output of a gated layer: on codes at its site, else in real numbers.

    Compiled networks run it as it is: which products are formed depends on the values.
    """
    if isinstance(site, GatedSite):
        return multiply_noting(site, unit, x, weight, bias, form)[0]
    return _uncompiled(gated_reals)(x, weight, bias, form, unit)


def multiply_noting(
    site: GatedSite, unit: GateUnit, x: Tensor, weight: Tensor, bias: Tensor | None,
    form: GateForm,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The output of a gated layer on codes, and bool, where its gate was open."""
    return _uncompiled(_multiply)(site, unit, x, weight, bias, form)


def _uncompiled(function: Callable[..., Any]) -> Callable[..., Any]:
    # The compiler takes longer to import than all of this package.
    if "torch._dynamo" not in sys.modules:
        return function
    return torch.compiler.disable(function)  # pyright: ignore[reportReturnType]


def _multiply(
    site: GatedSite, unit: GateUnit, x: Tensor, weight: Tensor, bias: Tensor | None,
    form: GateForm,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    x, a, w = site.operands(x, weight)
    stored = site.keeper is not None and site.keeper.acts(site.training)
    call = _Call(site.sums, form, unit, torch.is_grad_enabled(), stored)
    with site.keeping(a, w, masks=True):
        y, mask = _Gated.apply(x, weight, bias, unit.threshold, a, w, call)
    if site.counted is not None:
        site.counted += form.products(x.shape, weight.shape, y.shape)
    return mark_nan(y, x, a.whole), mask


@dataclass(frozen=True)
class _Call:
    """One gated layer and its form for this input.

    Args:
        trains: whether gradients may come.
        stored: whether a store keeps its codes.
    """

    sums: Sums
    form: GateForm
    unit: GateUnit
    trains: bool
    stored: bool

    def score(self, base: Tensor, stats: Statistics | None) -> Tensor:
        """What the gate judges: the base, normalised where asked."""
        return base if stats is None else stats.normalised(base, self.form.channel_axis)

    def limit(self, threshold: Tensor | None) -> Tensor | None:
        """The thresholds in the shape that broadcasts."""
        return None if threshold is None else self.form.per_output(threshold)


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        threshold: Tensor | None,
        a: Operand,
        w: Operand,
        call: _Call,
    ) -> tuple[Tensor, Tensor]:
        form, unit, sums = call.form, call.unit, call.sums
        kind = torch.promote_types(x.dtype, torch.float32)
        base, total = _base(sums, a, w, form, kind)
        stats = unit.statistics(base, form.channel_axis)
        score = call.score(base, stats)
        mask = unit.gate.decide.open(score, call.limit(threshold))
        unit.meter.count(mask, form.tile_axis)
        y = add_rest(base, total, sums, a, w, form, mask)
        if bias is not None:
            y.add_(form.per_output(bias.to(kind)))
        if call.trains and any(ctx.needs_input_grad):
            _keep(ctx, _Kept(call, a, w, mask, threshold, stats))
            ctx.types = x.dtype, weight.dtype, bias.dtype if bias is not None else None
        ctx.mark_non_differentiable(mask)
        ctx.set_materialize_grads(False)
        return y.to(result_type(x)), mask

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        kept: _Kept = ctx.kept.filled(ctx.saved_tensors)
        call, a, w = kept.call, kept.a, kept.w
        kind = torch.promote_types(ctx.types[0], torch.float32)
        g = gradients[0].to(kind)
        over_base, over_threshold = g, None
        if call.unit.gate.decide.has_slope:
            over_base, over_threshold = _through_gate(g, kept)
        wanted = ctx.needs_input_grad
        over_x, over_w = _over_operands(over_base, g * kept.mask, kept, wanted[:2])
        over_bias = call.form.bias_gradient(g) if wanted[2] else None
        results = passed(over_x, a), passed(over_w, w), over_bias
        typed = (
            None if r is None else r.to(t)
            for r, t in zip(results, ctx.types, strict=True)
        )
        return (*typed, over_threshold, None, None, None)


def _base(
    sums: Sums, a: Operand, w: Operand, form: GateForm, kind: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """The base in real numbers, and its sums unless these tell them."""
    base = sums.real_base(a, w, form) if kind == torch.float32 else None
    if base is not None:
        return base, None
    total = sums.of_base(a, w, form)
    return total.to(kind).mul_(form.per_output(a.scale * w.scale)), total


def _through_gate(g: Tensor, kept: _Kept) -> tuple[Tensor, Tensor | None]:
    """g + t, and the gradient of the thresholds."""
    call, a, w, stats = kept.call, kept.a, kept.w, kept.stats
    form, sums, decide = call.form, call.sums, call.unit.gate.decide
    scale = form.per_output(a.scale * w.scale)
    limit = call.limit(kept.threshold)
    total = sums.of_base(a, w, form)
    score = call.score(total.to(g.dtype).mul_(scale), stats)
    reach = decide.reaches(score, limit)
    if reach is None:
        rest = sums.of_rest(a, w, form).to(g.dtype).mul_(scale)
    else:
        none = torch.zeros_like(g), torch.zeros_like(total)
        rest = add_rest(*none, sums, a, w, form, reach)
    t = g * rest * decide.slope(score, limit)
    over_threshold = None if limit is None else -form.bias_gradient(t)
    return g + _through_statistics(t, score, stats, form.channel_axis), over_threshold


def _through_statistics(
    t: Tensor, score: Tensor, stats: Statistics | None, axis: int
) -> Tensor:
    """The gradient of the base, from that of its normalised value."""
    if stats is None:
        return t
    shape = [-1 if d == axis % t.dim() else 1 for d in range(t.dim())]
    if stats.of_batch:
        others = [d for d in range(t.dim()) if d != axis % t.dim()]
        through = (t * score).mean(others, keepdim=True)
        t = t - t.mean(others, keepdim=True) - score * through
    return t * stats.inverse.view(shape)


def _over_operands(
    over_base: Tensor, over_rest: Tensor, kept: _Kept, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of input and weights, gathered from the pieces."""
    a, w, form = kept.a, kept.w, kept.call.form
    axis = form.channel_axis
    over_x = over_base.new_zeros(a.raw.shape) if wanted[0] else None
    over_w = over_base.new_zeros(w.raw.shape) if wanted[1] else None
    sums = kept.call.sums
    for pieces, g in ((sums.base, over_base), (sums.rest, over_rest)):
        for piece in pieces:
            part = g.narrow(axis, *_span(piece.part.outputs))
            mine = over_x is not None and piece.carries_input, over_w is not None
            gx, gw = operand_gradients(
                part, piece.input(a, axis), piece.weights(w),
                sums.circuit(piece, form), mine,
            )  # fmt: skip
            _add(over_x, gx, axis, piece, None)
            _add(over_w, gw, 1, piece, piece.part.outputs)
    return over_x, over_w


def _add(
    total: Tensor | None, share: Tensor | None, axis: int, piece: Piece,
    outputs: tuple[int, int] | None,
) -> None:  # fmt: skip
    """Adds a piece's share to the gradient of a whole operand."""
    if total is None or share is None:
        return
    if outputs is not None:
        total = total.narrow(0, *_span(outputs))
    channels = piece.part.channels
    if channels is None:
        total.add_(share)
    else:
        total.index_add_(axis, torch.tensor(channels, device=total.device), share)


def _span(outputs: tuple[int, int]) -> tuple[int, int]:
    first, end = outputs
    return first, end - first


@dataclass(frozen=True)
class _Kept:
    """What waits for the backward pass.

    Args:
        call: the layer.
        a, w: its operands.
        mask: where the gate was open.
        threshold: of each output.
        stats: by which the base was normalised.
    """

    call: _Call
    a: Operand
    w: Operand
    mask: Tensor
    threshold: Tensor | None
    stats: Statistics | None


@dataclass(frozen=True)
class _Keeper:
    """The same without its tensors, which autograd holds in codes."""

    call: _Call
    schemes: tuple[Scheme, Scheme]
    packed: tuple[Packed | None, ...]
    of_batch: bool | None

    def filled(self, tensors: Sequence[Tensor]) -> _Kept:
        """Everything again."""
        payload, rest = iter(tensors), len(self.packed)
        raw, inside, mask = (
            packed.moved((value,)).decode() if packed else value
            for packed, value in zip(self.packed, payload, strict=False)
        )
        tensors = tensors[rest:]
        a = Operand(raw, tensors[0], tensors[1], self.schemes[0], inside)
        w = Operand(tensors[2], tensors[3], tensors[4], self.schemes[1], tensors[5])
        stats = None
        if self.of_batch is not None:
            stats = Statistics(tensors[7], tensors[8], self.of_batch)
        return _Kept(self.call, a, w, mask, tensors[6], stats)


def _keep(ctx: Any, kept: _Kept) -> None:
    """Hands codes and masks to autograd, packed to their own bits here or by hooks."""
    a, w, stats = kept.a, kept.w, kept.stats
    tensors, packed = (a.raw, a.inside, kept.mask), (None, None, None)
    if not kept.call.stored:
        packed = (
            Lossless().encode(a.raw, a.scheme.bits),
            None if a.inside is None else BitMask().encode(a.inside),
            BitMask().encode(kept.mask),
        )
    ctx.kept = _Keeper(
        kept.call,
        (a.scheme, w.scheme),
        tuple(None if p is None else p.moved(()) for p in packed),
        None if stats is None else stats.of_batch,
    )
    ctx.save_for_backward(
        *(p.payload[0] if p else t for t, p in zip(tensors, packed, strict=True)),
        a.scale, a.zero_point, w.raw, w.scale, w.zero_point, w.inside, kept.threshold,
        *(() if stats is None else (stats.mean, stats.inverse)),
    )  # fmt: skip
