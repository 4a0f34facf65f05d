"""The scheme: which integers stand for real numbers, and how one is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

from ..errors import OperandError

MAX_BITS = 8
# The smallest normal float32: its reciprocal is still finite.
SMALLEST_SCALE = 2.0**-126

Rounding = Literal["half_even", "half_up"]
Nudge = Literal["widen", "shift"]


@dataclass(frozen=True)
class PerTensor:
    """One scale and zero point for a whole tensor."""

    def __str__(self) -> str:
        return "per tensor"


@dataclass(frozen=True)
class PerAxis:
    """A scale and zero point for each index of one dimension.

    Args:
        axis: which dimension, counted from the front; 0 is the output channel of
            every weight except that of a transposed convolution.
    """

    axis: int = 0

    def __post_init__(self) -> None:
        if self.axis < 0:
            raise OperandError(
                f"axis={self.axis}; PerAxis counts dimensions from the front, "
                "0 or more, so that a scheme means the same for every rank."
            )

    def __str__(self) -> str:
        return f"per axis {self.axis}"


Granularity = PerTensor | PerAxis


@dataclass(frozen=True)
class Scheme:
    """Which integers stand for real numbers: `value = (code - zero_point) * scale`.

    Args:
        bits: width of a code, 1 to 8; signed codes need at least 2.
        signed: two's complement, -2^(bits-1) … 2^(bits-1)-1, instead of 0 … 2^bits-1.
        symmetric: the zero point is code 0. Unsigned symmetric codes then hold no
            negative value.
        granularity: `PerTensor()` or `PerAxis(axis)`.
        rounding: of codes, and of the zero point where there is one. "half_even", or
            "half_up", which is floor(v + 1/2) as tf-approximate does.
        narrow: leave out the most negative signed code, -127 … 127.
        limits: use only these codes, as PT2E's `reduce_range` does with 0 … 127.
        clips_half_step: divide the largest magnitude by 127.5, not 127, as torchao's
            and PT2E's symmetric codes do; the largest positive value then clips.
        nudge: what brings 0 into a range of values all on one side of it. "widen"
            moves the nearer end to 0; "shift" moves both, so that the scale is that of
            the range and values beyond its length clip, as TensorFlow's fake
            quantisation and with it tf-approximate do.
        eps: the smallest scale, at least 2^-126.

    Raises:
        OperandError: for settings out of range or that contradict each other.

    Example:
        >>> scheme = Scheme(bits=4, signed=True, symmetric=True, narrow=True)
        >>> print(scheme, scheme.quant_min, scheme.quant_max)
        int4 symmetric per tensor, -7 … 7 -7 7
    """

    bits: int = 8
    signed: bool = False
    symmetric: bool = False
    granularity: Granularity = PerTensor()
    rounding: Rounding = "half_even"
    narrow: bool = False
    limits: tuple[int, int] | None = None
    clips_half_step: bool = False
    nudge: Nudge = "widen"
    eps: float = SMALLEST_SCALE

    def __post_init__(self) -> None:
        self._check_width()
        self._check_limits()
        self._check_rules()

    @classmethod
    def for_activation(cls, signed: bool) -> Scheme:
        """The default codes of activations that meet a table of this signedness.

        Example:
            >>> print(Scheme.for_activation(signed=False))
            uint8 affine per tensor, 0 … 255
        """
        return cls(signed=signed, symmetric=signed)

    @classmethod
    def for_weight(cls, signed: bool, axis: int = 0) -> Scheme:
        """The default codes of weights, per output channel, for such a table.

        Args:
            signed: whether the table is.
            axis: the dimension of the output channels.

        Example:
            >>> print(Scheme.for_weight(signed=True))
            int8 symmetric per axis 0, -128 … 127
        """
        return cls(signed=signed, symmetric=signed, granularity=PerAxis(axis))

    @property
    def quant_min(self) -> int:
        """The smallest code in use."""
        return self.limits[0] if self.limits else self._lowest + self.narrow

    @property
    def quant_max(self) -> int:
        """The largest code in use."""
        return self.limits[1] if self.limits else self._lowest + (1 << self.bits) - 1

    @property
    def axis(self) -> int | None:
        """The dimension with a scale for each index; None where all share one."""
        granularity = self.granularity
        return granularity.axis if isinstance(granularity, PerAxis) else None

    def __str__(self) -> str:
        kind = f"{'' if self.signed else 'u'}int{self.bits}"
        symmetry = "symmetric" if self.symmetric else "affine"
        rounding = "" if self.rounding == "half_even" else f", rounds {self.rounding}"
        span = f"{self.quant_min} … {self.quant_max}"
        return f"{kind} {symmetry} {self.granularity}, {span}{rounding}"

    @property
    def _lowest(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    def _check_width(self) -> None:
        fewest = 2 if self.signed else 1
        if not isinstance(self.bits, Integral) or not fewest <= self.bits <= MAX_BITS:
            kind = "signed" if self.signed else "unsigned"
            raise OperandError(
                f"bits={self.bits!r}; {kind} codes have {fewest} to {MAX_BITS} bits."
            )

    def _check_limits(self) -> None:
        if self.narrow and (not self.signed or self.limits):
            other = f"limits={self.limits}" if self.limits else "signed=False"
            raise OperandError(
                f"narrow=True with {other}; narrow leaves out the most negative "
                "signed code. Use signed=True, or say all with limits=."
            )
        low, high = self.quant_min, self.quant_max
        top = self._lowest + (1 << self.bits) - 1
        if not self._lowest <= low < high <= top:
            raise OperandError(
                f"limits={self.limits}; they must be two codes, smaller first, inside "
                f"{self._lowest} … {top}."
            )
        if self.symmetric and not low <= 0 < high:
            raise OperandError(
                f"limits={self.limits} with symmetric=True; code 0, the zero point, "
                "must be one of them, and some codes positive."
            )

    def _check_rules(self) -> None:
        words = ("rounding", self.rounding, Rounding), ("nudge", self.nudge, Nudge)
        for name, value, allowed in words:
            if value not in get_args(allowed):
                raise OperandError(
                    f"{name}={value!r}; choose one of "
                    f"{', '.join(map(repr, get_args(allowed)))}."
                )
        if self.nudge == "shift" and self.symmetric:
            raise OperandError(
                'nudge="shift" is a rule for affine codes; symmetric ones always hold '
                "0. Set symmetric=False, or leave it out."
            )
        if self.clips_half_step and not (self.symmetric and self.signed):
            raise OperandError(
                "clips_half_step=True is a rule for signed symmetric codes; "
                "set signed=True and symmetric=True, or leave it out."
            )
        if not SMALLEST_SCALE <= self.eps < float("inf"):
            raise OperandError(
                f"eps={self.eps}; the smallest scale is at least 2^-126, "
                f"{SMALLEST_SCALE}, so that its float32 reciprocal is finite."
            )
