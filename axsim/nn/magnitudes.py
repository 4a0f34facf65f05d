"""Layers on magnitudes: precision gating with sums in floating point.

With T(x) the high bits of the quantised input Q(x),

    B = T(x) * Q(w),    R = (Q(x) - T(x)) * Q(w),    y = B + m(B) R.

Both are torch's own operations, rounded one by one: unlike on codes, an always open
gate is the ungated layer only up to the rounding of float32.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor

from ..errors import ConversionError
from ..gating.bits import Bits
from ..gating.gate import Gate
from ..gating.unit import GateUnit
from ..quant.magnitudes import MagnitudeOperands
from .forms import SplitForm
from .gated_reals import join
from .spec import LayerSpec


def multiply_magnitudes(
    operands: MagnitudeOperands, unit: GateUnit | None, x: Tensor, weight: Tensor,
    bias: Tensor | None, form: SplitForm,
) -> Tensor:  # fmt: skip
    """The output of a layer on magnitudes.

    Args:
        operands: which levels.
        unit: its gate, of bits; None where it has none.
        x, weight, bias: real operands.
        form: of the layer.
    """
    x, weight = operands.clipped(x), operands.weights(weight)
    whole = operands.whole(x)
    if unit is None:
        return form.reals(whole, weight, bias)
    high = operands.high(x, cast(Bits, unit.gate.split).msb)
    base = form.reals(high, weight)
    both = base + form.reals(whole - high, weight)
    both = both if bias is None else both + form.per_output(bias)
    return join(base, both, bias, form, unit)


def check_magnitudes(spec: LayerSpec, name: str) -> None:
    """Refuses what sums in floating point cannot have.

    Raises:
        ConversionError: for tables, and gates that split anything but bits.
    """
    gate = spec.gate if isinstance(spec.gate, Gate) else None
    if spec.product is not None or (gate and gate.rest):
        raise ConversionError(
            f"{name!r} has magnitudes ({spec.quant}) and a multiplier, but magnitudes "
            "are summed in floating point, where no table is looked up. Answer "
            "quant=Quant(...) for codes, or leave out the multiplier."
        )
    if gate and not isinstance(gate.split, Bits):
        raise ConversionError(
            f"{name!r} has magnitudes ({spec.quant}) and the gate {gate}; only Bits "
            "splits them. Answer quant=Quant(...) to gate channels on codes."
        )
