"""Codes: real numbers to raw bytes and back."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor

from ..errors import OperandError
from ..kernels import quantise
from .blocks import by_blocks
from .params import round_steps_
from .scheme import Rounding, Scheme


class Codes(NamedTuple):
    """Raw codes of a tensor and what they stand for.

    Args:
        raw: uint8, two's complement of the scheme's width where signed.
        scale: float32, one, or one for each index of the scheme's axis.
        zero_point: int32, shaped like `scale`.
        scheme: which integers these are.
    """

    raw: Tensor
    scale: Tensor
    zero_point: Tensor
    scheme: Scheme

    def integers(self) -> Tensor:
        """The codes as numbers, uint8 or int8."""
        return integers(self.raw, self.scheme)

    def values(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The real numbers that the codes stand for."""
        return decode(self.raw, self.scale, self.zero_point, self.scheme, dtype)


def encode(x: Tensor, scale: Tensor, zero_point: Tensor, scheme: Scheme) -> Tensor:
    """Raw codes of real numbers: clamp(round(x * (1/scale)) + zero_point).

    The arithmetic is float32 whatever the type of `x`, the reciprocal included, which
    is PyTorch's `quantized_decomposed` operator to the bit. Dividing by the scale
    instead moves a few values in a million, those beside a tie, to the other code.

    Args:
        x: real values of any floating type and layout. Infinities get the code at
            their end of the range; NaN has no code and becomes the raw byte 0.
        scale: float32, one, or one for each index of the scheme's axis.
        zero_point: int32, shaped like `scale`, quant_min … quant_max.
        scheme: the codes.

    Returns:
        uint8 raw codes in the shape and memory format of `x`; signed codes are two's
        complement of their own width, the bits above it 0.

    Raises:
        OperandError: where the parameters do not fit the shape of `x`.

    Example:
        >>> x, zero = torch.tensor([-1.0, 0.25, 0.75, 9.0]), torch.tensor(0)
        >>> encode(x, torch.tensor(0.5), zero, Scheme(4, signed=True))
        tensor([14,  0,  2,  7], dtype=torch.uint8)
    """
    return encode_noting(x, scale, zero_point, scheme).raw


def encode_inside(
    x: Tensor, scale: Tensor, zero_point: Tensor, scheme: Scheme
) -> tuple[Tensor, Tensor]:
    """Raw codes, and where the code before the clamp was one: where gradients pass.

    Args:
        x, scale, zero_point, scheme: as for `encode`.

    Example:
        >>> x, zero = torch.tensor([0.25, 9.0]), torch.tensor(0)
        >>> encode_inside(x, torch.tensor(0.25), zero, Scheme(bits=2))
        (tensor([1, 3], dtype=torch.uint8), tensor([ True, False]))
    """
    raw, within, _ = encode_noting(x, scale, zero_point, scheme, wants_inside=True)
    return raw, cast(Tensor, within)


class Noted(NamedTuple):
    """Raw codes, and what was seen on the way.

    Args:
        raw: as `encode` gives them.
        inside: where the code before the clamp was one; None where nobody asked.
        whole: whether it is known that there was no NaN.
    """

    raw: Tensor
    inside: Tensor | None
    whole: bool


def encode_noting(
    x: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    scheme: Scheme,
    wants_inside: bool = False,
) -> Noted:
    """Raw codes with what one pass over the numbers can tell besides.

    Args:
        x, scale, zero_point, scheme: as for `encode`.
        wants_inside: whether to say where gradients pass.

    Example:
        >>> x, zero = torch.tensor([0.25, float("nan")]), torch.tensor(0)
        >>> encode_noting(x, torch.tensor(0.25), zero, Scheme()).whole
        False
    """
    inverse, offset = 1.0 / spread(scale, x, scheme), spread(zero_point, x, scheme)
    low, high = scheme.quant_min, scheme.quant_max
    if _has_kernel(x, inverse):
        within = torch.empty_like(x, dtype=torch.bool) if wants_inside else None
        raw, whole = _encode(x, inverse, offset, scheme, within)
        return Noted(raw, within, whole)

    def work(x: Tensor) -> tuple[Tensor, ...]:
        codes = nearest_codes(x, inverse, offset, scheme.rounding)
        inside = ((codes >= low) & (codes <= high),) if wants_inside else ()
        return raw_codes(codes.clamp_(low, high), scheme), *inside

    types = (torch.uint8, torch.bool)[: 1 + wants_inside]
    found = by_blocks(work, x.detach(), *types, whole=inverse.dim() > 0)
    return Noted(found[0], found[1] if wants_inside else None, False)


def _has_kernel(x: Tensor, inverse: Tensor) -> bool:
    """Whether the one-pass kernel serves; what follows is its readable twin."""
    plain = x.dtype == torch.float32 and x.device.type == "cpu" and inverse.dim() == 0
    return plain and not torch.compiler.is_compiling() and quantise.is_dense(x)


def _encode(
    x: Tensor, inverse: Tensor, offset: Tensor, scheme: Scheme, inside: Tensor | None
) -> tuple[Tensor, bool]:
    return quantise.encode(
        x.detach(),
        float(inverse),
        float(offset),
        (scheme.quant_min, scheme.quant_max),
        (1 << scheme.bits) - 1,
        scheme.rounding == "half_up",
        inside,
    )


def decode(
    raw: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    scheme: Scheme,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The values (code - zero_point) * scale that raw codes stand for.

    Args:
        raw: uint8 raw codes.
        scale, zero_point, scheme: as `encode` took them.
        dtype: of the values; computed in float32, in float64 where asked for.

    Raises:
        OperandError: where the parameters do not fit the shape of `raw`.

    Example:
        >>> raw, zero = torch.tensor([14, 0, 7], dtype=torch.uint8), torch.tensor(0)
        >>> decode(raw, torch.tensor(0.5), zero, Scheme(4, signed=True))
        tensor([-1.0000,  0.0000,  3.5000])
    """
    step, offset = spread(scale, raw, scheme), spread(zero_point, raw, scheme)

    def work(raw: Tensor) -> tuple[Tensor]:
        return (code_values(integers(raw, scheme), step, offset, dtype),)

    return by_blocks(work, raw, dtype, whole=step.dim() > 0)[0]


def integers(raw: Tensor, scheme: Scheme) -> Tensor:
    """The numbers that raw bytes stand for: uint8, or int8 for signed codes.

    Example:
        >>> integers(torch.tensor([15, 7], dtype=torch.uint8), Scheme(4, signed=True))
        tensor([-1,  7], dtype=torch.int8)
    """
    if not scheme.signed:
        return raw
    spare = 8 - scheme.bits
    return (
        raw.view(torch.int8) if not spare else (raw << spare).view(torch.int8) >> spare
    )


def raw_codes(codes: Tensor, scheme: Scheme) -> Tensor:
    """Raw bytes of whole numbers: two's complement of the scheme's width where signed.

    Args:
        codes: whole numbers of any type, quant_min … quant_max.
        scheme: the codes.

    Example:
        >>> raw_codes(torch.tensor([-1, 7]), Scheme(4, signed=True))
        tensor([15,  7], dtype=torch.uint8)
    """
    if not scheme.signed:
        return codes.to(torch.uint8)
    raw = codes.to(torch.int8).view(torch.uint8)
    return raw if scheme.bits == 8 else raw & ((1 << scheme.bits) - 1)


def spread(params: Tensor, x: Tensor, scheme: Scheme) -> Tensor:
    """A scale or zero point in the shape that broadcasts against `x`.

    Raises:
        OperandError: where there are not as many as the scheme's axis has indices.
    """
    axis = scheme.axis
    if axis is None and params.numel() == 1:
        return params.reshape(())
    if axis is None or axis >= x.dim() or params.numel() != x.shape[axis]:
        raise OperandError(
            f"a tensor of shape {tuple(x.shape)} does not fit {params.numel()} scales "
            f"or zero points; codes {scheme} need "
            + ("one." if axis is None else f"one for each index of dimension {axis}.")
        )
    return params.reshape([-1 if d == axis else 1 for d in range(x.dim())])


def nearest_codes(
    x: Tensor, inverse: Tensor, offset: Tensor, rounding: Rounding
) -> Tensor:
    """Float32 codes before the clamp, in storage that the caller may overwrite."""
    return round_steps_(x.to(torch.float32) * inverse, rounding).add_(offset)


def code_values(
    codes: Tensor, step: Tensor, offset: Tensor, dtype: torch.dtype
) -> Tensor:
    """(codes - offset) * step, computed in float32, or in float64 if `dtype` is."""
    wide = torch.promote_types(dtype, torch.float32)
    return (codes.to(wide) - offset).mul_(step.to(wide)).to(dtype)
