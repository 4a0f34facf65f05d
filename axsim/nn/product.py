"""The product on codes, with a gradient: the autograd Function of product layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import OperandError
from ..kernels.finish import Finish
from ..kernels.open_sums import tells
from ..kernels.ops import peak_of
from ..kernels.real_sums import real_sums
from ..kernels.remembered import largest_sum
from ..quant.codes import integers, spread
from ..quant.scheme import Scheme
from ..tables.multiplier import Multiplier
from .forms import ConvolutionForm, Form, LinearForm
from .spec import Gradient
from .table_gradient import table_gradients

INT32_MAX = (1 << 31) - 1


@dataclass(frozen=True)
class Operand:
    """One operand of a layer as codes.

    Args:
        raw: uint8 raw codes.
        scale: float32, one or one for each output.
        zero_point: int32, shaped like `scale`.
        scheme: the codes.
        inside: where the gradient passes; None for everywhere.
        whole: whether the real values are known to hold no NaN.
    """

    raw: Tensor
    scale: Tensor
    zero_point: Tensor
    scheme: Scheme
    inside: Tensor | None = None
    whole: bool = False
    #: What was derived from the codes last time; every operand derives its own.
    kept: dict[Any, Finish] = field(
        default_factory=dict[Any, Finish], init=False, repr=False, compare=False
    )
    #: Likewise, the parts of weights that a gate splits.
    parts: dict[Any, Operand] = field(
        default_factory=dict[Any, Any], init=False, repr=False, compare=False
    )

    def values(self) -> Tensor:
        """The real values."""
        zero = spread(self.zero_point, self.raw, self.scheme)
        return (integers(self.raw, self.scheme) - zero.float()) * spread(
            self.scale, self.raw, self.scheme
        )


@dataclass(frozen=True)
class Circuit:
    """How the products of a layer are formed.

    Args:
        mul: the table, indexed by the raw codes of both operands.
        form: what is summed into what.
        skip: whether padded taps are skipped.
        gradient: of a product.
        backend: path of the integer kernels.
    """

    mul: Multiplier
    form: Form
    skip: bool = False
    gradient: Gradient = "ste"
    backend: str = "auto"

    def accumulate(self, a: Operand, w: Operand) -> Tensor:
        """T - z_w sum(q_a) - z_a sum(q_w) + K z_a z_w, exact."""
        zero_a, zeros_w = int(a.zero_point), w.zero_point
        pad = None if self.skip else zero_a
        code = None if self.skip else zero_a % (1 << a.scheme.bits)
        total = self.form.sums(a.raw, w.raw, self.mul, code, self.backend)
        affine_w = not w.scheme.symmetric and bool(zeros_w.any())
        if not affine_w and not zero_a:
            return total
        sums_w, terms = self.form.weight_sums(
            integers(w.raw, w.scheme), a.raw.shape, self.skip
        )
        offsets = self.form.per_output(zeros_w)
        constant = zero_a * (terms * offsets - sums_w)
        if total.dtype == torch.int32 and not self.stays_in_int32(terms):
            total = total.long()
        if not affine_w:
            return total.add_(constant)
        sums_a = self.form.activation_sums(integers(a.raw, a.scheme), w.raw.shape, pad)
        return total.sub_(offsets * sums_a).add_(constant)

    def finished(self, a: Operand, w: Operand, bias: Tensor | None) -> Tensor | None:
        """The real output in one pass of the kernels; None where they have none.

        Equal bit for bit to what `accumulate` leads to.
        """
        form = self.form
        if a.raw.device.type != "cpu" or torch.compiler.is_compiling():
            return None
        # Where padded taps are skipped, the correction depends on the place.
        if self.skip or not isinstance(form, LinearForm | ConvolutionForm):
            return None
        shape = form.shape(a.raw.shape, w.raw.shape)
        if not self.stays_in_int32(shape.terms):
            return None
        finish = _finish_of(a, w)
        if bias is not None:
            _check_bias(bias, len(w.raw))
            finish = finish._replace(bias=bias.detach().float().contiguous().numpy())
        code = int(a.zero_point) % (1 << a.scheme.bits)
        y = real_sums(a.raw, w.raw, self.mul, shape, code, self.backend, finish)
        if y is not None and isinstance(form, LinearForm):
            return y.view(*a.raw.shape[:-1], len(w.raw))
        return y

    def telling(self, a: Operand, w: Operand) -> Tensor | None:
        """What `finished` gives without bias, if the sums can be told from it."""
        if not w.scheme.symmetric or int(a.zero_point):
            return None
        largest = largest_sum(w.raw, self.mul)
        return self.finished(a, w, None) if tells(largest, a.scale * w.scale) else None

    def whole_finish(self, a: Operand, w: Operand) -> Finish | None:
        """What `accumulate` adds to T; None where it could leave int32."""
        if not self.stays_in_int32(w.raw[0].numel()):
            return None
        none = torch.empty(0).numpy()
        return _finish_of(a, w)._replace(scale=none)

    def stays_in_int32(self, terms: Tensor | int) -> bool:
        """Whether no partial result of the corrections can leave int32."""
        most = int(terms.max()) if isinstance(terms, Tensor) else terms
        return most * (peak_of(self.mul) + 3 * 255 * 255) <= INT32_MAX


def _check_bias(bias: Tensor, outputs: int) -> None:
    # The kernels read one bias for each output, whatever there is.
    if bias.shape != (outputs,):
        raise OperandError(
            f"bias has shape {tuple(bias.shape)}; a layer of {outputs} outputs has "
            f"({outputs},)."
        )


def _finish_of(a: Operand, w: Operand) -> Finish:
    """T - z_w sum(q_a) - z_a sum(q_w) + K z_a z_w, scaled, for weights [O, ...]."""
    scheme, zero_a = a.scheme, int(a.zero_point)
    key = zero_a, float(a.scale), scheme.signed, scheme.bits
    if key not in w.kept:
        outputs, zeros = w.raw.shape[0], w.zero_point.expand(w.raw.shape[0])
        sums = integers(w.raw, w.scheme).flatten(1).sum(1, dtype=torch.int64)
        terms = w.raw[0].numel()
        scale = (a.scale * w.scale).expand(outputs).contiguous()
        corrected = not w.scheme.symmetric and bool(zeros.any())
        w.kept.clear()
        w.kept[key] = Finish(
            scale.numpy(),
            torch.empty(0).numpy(),
            (zero_a * (terms * zeros - sums)).numpy(),
            zeros[: outputs * corrected].contiguous().numpy(),
            1 << scheme.bits - 1 if scheme.signed else 0,
        )
    return w.kept[key]


def multiply(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    a: Operand,
    w: Operand,
    circuit: Circuit,
) -> Tensor:
    """The layer's output from the codes of its operands, with gradients.

    Args:
        x, weight: the real tensors whose codes `a` and `w` are; they only connect the
            result to the graph.
        bias: added in floats; None for none.
        a, w: the operands' codes.
        circuit: how the products are formed.
    """
    return _Multiply.apply(x, weight, bias, a, w, circuit)


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Operand,
        w: Operand,
        circuit: Circuit,
    ) -> Tensor:
        form = circuit.form
        y = circuit.finished(a, w, bias)
        if y is None:
            total = circuit.accumulate(a, w)
            # One rounding to float32 of the exact sum, one of the scales' product.
            y = total.float().mul_(form.per_output(a.scale * w.scale))
            if bias is not None:
                y.add_(form.per_output(bias.float()))
        ctx.circuit, ctx.a, ctx.w = circuit, _without_tensors(a), _without_tensors(w)
        ctx.save_for_backward(*_tensors(a), *_tensors(w))
        ctx.types = x.dtype, weight.dtype, None if bias is None else bias.dtype
        return y.to(result_type(x))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors, circuit = ctx.saved_tensors, ctx.circuit
        a, w = _rebuilt(ctx.a, tensors[:4]), _rebuilt(ctx.w, tensors[4:])
        g = gradients[0].float()
        over_x, over_w = operand_gradients(g, a, w, circuit, ctx.needs_input_grad[:2])
        over_bias = circuit.form.bias_gradient(g) if ctx.needs_input_grad[2] else None
        results = (passed(over_x, a), passed(over_w, w), over_bias)
        typed = (
            None if r is None else r.to(t)
            for r, t in zip(results, ctx.types, strict=True)
        )
        return (*typed, None, None, None)


def operand_gradients(
    g: Tensor, a: Operand, w: Operand, circuit: Circuit, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """dL/dx = s_w g * (dT/da - z_w), dL/dw = s_a g * (dT/dw - z_a), as convolutions."""
    form = circuit.form
    if circuit.gradient == "ste":
        kind = g.dtype
        return form.gradients(g, a.values().to(kind), w.values().to(kind), wanted)
    return table_gradients(g, a, w, circuit, wanted)


def passed(gradient: Tensor | None, operand: Operand) -> Tensor | None:
    """The gradient where the codes did not clip."""
    if gradient is None or operand.inside is None:
        return gradient
    return gradient * operand.inside


def result_type(x: Tensor) -> torch.dtype:
    """That of the input, or autocast's, as torch's own layers have it."""
    kind = x.device.type
    return (
        torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    )


def _tensors(operand: Operand) -> tuple[Tensor | None, ...]:
    return operand.raw, operand.scale, operand.zero_point, operand.inside


def _without_tensors(operand: Operand) -> Scheme:
    return operand.scheme


def _rebuilt(scheme: Scheme, tensors: tuple[Tensor, ...]) -> Operand:
    raw, scale, zero_point, inside = tensors
    return Operand(raw, scale, zero_point, scheme, inside)
