"""Operands as dnn-gating has them: signs and magnitudes, ranged by every tensor."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..errors import OperandError
from .binary import binarise
from .pact import PactClip
from .scheme import MAX_BITS, Scheme
from .sign_magnitude import sign_magnitude


@dataclass(frozen=True)
class Magnitudes:
    """Real values of few levels, which products then sum in floating point.

    The quantiser is `sign_magnitude`: it takes the range of the whole tensor, so what a
    network says depends on what else is in the batch, in evaluation too. It serves to
    reproduce published figures; `Quant` has codes that tables multiply.

    Args:
        activation: bits of an activation's magnitude, 1 to 8, the sign not counted.
        weight: the same of a weight; at 1 weights are signs over the root of how many
            an output sums.
        pact: the first clip of PACT, above 0; None for no clip.

    Raises:
        OperandError: for settings out of range.

    Example:
        >>> print(Magnitudes(3, 8, pact=6.0))
        3 x 8 bits of magnitude, ranged by batch, PACT
    """

    activation: int
    weight: int
    pact: float | None = None

    def __post_init__(self) -> None:
        for name in ("activation", "weight"):
            bits = getattr(self, name)
            if not 1 <= bits <= MAX_BITS:
                raise OperandError(
                    f"Magnitudes: {name}={bits}; a magnitude has 1 to {MAX_BITS} bits."
                )

    @property
    def scheme(self) -> Scheme:
        """The codes of an activation's magnitude."""
        return Scheme(self.activation, symmetric=True)

    def __str__(self) -> str:
        words = ["PACT"] * (self.pact is not None)
        bits = f"{self.activation} x {self.weight} bits of magnitude"
        return ", ".join([bits, "ranged by batch", *words])


class MagnitudeOperands(nn.Module):
    """The operands of one layer.

    Args:
        answer: their widths and clip.
    """

    def __init__(self, answer: Magnitudes) -> None:
        super().__init__()
        self.answer = answer
        self.clip = None if answer.pact is None else PactClip(answer.pact)

    def clipped(self, x: Tensor) -> Tensor:
        """What of the activations is quantised."""
        return x if self.clip is None else self.clip(x)

    def whole(self, x: Tensor) -> Tensor:
        """Clipped activations with all bits."""
        return sign_magnitude(x, self.answer.activation)

    def high(self, x: Tensor, msb: int) -> Tensor:
        """Clipped activations with the `msb` high bits alone, cut towards zero."""
        bits = self.answer.activation
        return sign_magnitude(x, bits, dropped=bits - msb)

    def weights(self, weight: Tensor) -> Tensor:
        """The weights, of one range for all."""
        if self.answer.weight > 1:
            return sign_magnitude(weight, self.answer.weight)
        return binarise(weight) * weight[0].numel() ** -0.5

    def extra_repr(self) -> str:
        return str(self.answer)
