"""What every path agrees on: shapes, the width of sums, and who is turned away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ..errors import OperandError

INT32_MAX = (1 << 31) - 1
MAX_SPATIAL = 3

Ints = int | Sequence[int]


@dataclass(frozen=True)
class Convolution:
    """The shapes of one convolution over any number of spatial dimensions.

    Args:
        batch, channels, outputs: of the input, the input, and the weights.
        size: spatial input sizes, without padding.
        kernel, stride, padding, dilation: one number for each spatial dimension.
        groups: divides both `channels` and `outputs`.

    Example:
        >>> shape = Convolution(2, 3, 8, (9, 9), (3, 3), (2, 2), (1, 1), (1, 1), 1)
        >>> shape.out, shape.terms
        ((5, 5), 27)
    """

    batch: int
    channels: int
    outputs: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def padded(self) -> tuple[int, ...]:
        """Spatial sizes with the padding on both sides."""
        return tuple(s + 2 * p for s, p in zip(self.size, self.padding, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        """Spatial output sizes."""
        spans = zip(self.padded, self.kernel, self.dilation, self.stride, strict=True)
        return tuple((p - d * (k - 1) - 1) // s + 1 for p, k, d, s in spans)

    @property
    def terms(self) -> int:
        """Products summed into one output, K; padded taps count."""
        return self.channels // self.groups * prod(self.kernel)


def describe_convolution(
    x: Sequence[int],
    w: Sequence[int],
    stride: Ints = 1,
    padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Convolution:
    """The checked shapes of a convolution of x[N, C, ...] with w[O, C/groups, ...].

    Raises:
        OperandError: where the shapes and settings do not fit each other.
    """
    spatial = len(x) - 2
    if not 1 <= spatial <= MAX_SPATIAL or len(w) != len(x):
        raise OperandError(
            f"x has shape {tuple(x)} and w {tuple(w)}; a convolution needs "
            "x[N, C, ...] and w[O, C/groups, ...] with the same 1, 2 or 3 spatial "
            "dimensions."
        )
    shape = Convolution(
        batch=x[0],
        channels=x[1],
        outputs=w[0],
        size=tuple(x[2:]),
        kernel=tuple(w[2:]),
        stride=per_dimension("stride", stride, spatial, at_least=1),
        padding=per_dimension("padding", padding, spatial, at_least=0),
        dilation=per_dimension("dilation", dilation, spatial, at_least=1),
        groups=groups,
    )
    _check_groups(shape, w[1])
    if shape.terms < 1:
        raise OperandError(
            f"w has shape {tuple(w)}, so every output would be a sum of no products; "
            "channels and kernel must be at least 1."
        )
    if min(shape.out) < 1:
        raise OperandError(
            f"kernel {shape.kernel} with dilation {shape.dilation} is larger than the "
            f"padded input {shape.padded}; raise padding= or shrink the kernel."
        )
    return shape


def _check_groups(shape: Convolution, channels_of_w: int) -> None:
    groups = shape.groups
    if groups < 1:
        raise OperandError(f"groups={groups}; it must be at least 1.")
    if shape.channels % groups or shape.outputs % groups:
        raise OperandError(
            f"groups={groups} must divide both the {shape.channels} channels of x and "
            f"the {shape.outputs} outputs of w."
        )
    if channels_of_w * groups != shape.channels:
        raise OperandError(
            f"w has {channels_of_w} input channels and groups={groups}, but x has "
            f"{shape.channels} channels; w[1] must be {shape.channels // groups}."
        )


def check_matmul(a: Sequence[int], b: Sequence[int]) -> None:
    """Turns away all shapes but a[M, K] and b[N, K] with K >= 1."""
    if len(a) != 2 or len(b) != 2 or a[1] != b[1]:
        raise OperandError(
            f"a has shape {tuple(a)} and b {tuple(b)}; a product needs a[M, K] and "
            "b[N, K] with the same K: both hold the summed dimension last."
        )
    if a[1] < 1:
        raise OperandError(
            "K is 0, so every output would be a sum of no products; K must be at "
            "least 1."
        )


def check_codes(name: str, largest: int, entries: int) -> None:
    """Turns away codes that the table has no row (or column) for.

    Args:
        name: of the operand.
        largest: its largest code.
        entries: how many codes the table has for it.
    """
    if largest >= entries:
        raise OperandError(
            f"{name} holds code {largest}, but the table has {entries} codes for this "
            f"operand, 0 to {entries - 1}. Codes of narrow operands are their low "
            "bits: mask two's complement to the operand's width."
        )


def check_pad_code(pad_code: int | None, entries: int) -> None:
    """Turns away a pad code that is no activation code."""
    if pad_code is not None and not 0 <= pad_code < entries:
        raise OperandError(
            f"pad_code={pad_code}; it must be an activation code, 0 to {entries - 1}, "
            "or None to skip padded taps."
        )


def needs_int64(terms: int, peak: int) -> bool:
    """Whether a sum of `terms` products of magnitude up to `peak` could leave int32."""
    return terms * peak > INT32_MAX


def per_dimension(name: str, value: Ints, count: int, at_least: int) -> tuple[int, ...]:
    """One number for each spatial dimension, as torch accepts them."""
    values = (value,) * count if isinstance(value, int) else tuple(value)
    if len(values) != count or min(values) < at_least:
        raise OperandError(
            f"{name}={value}; it must be a number of at least {at_least}, or {count} "
            "of them."
        )
    return values
