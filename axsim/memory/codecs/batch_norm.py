"""Codes of a batch norm's output that serve it, its ReLU and the next layer (BLPA)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import OperandError
from ...kernels.pack import pack, rows_of, unpack
from ..codec import NO_HINTS, Bits, Codec, Hints, Norm, Packed, dense, form_of
from .group_affine import single
from .identity import raw

# Deviations that the codes span, three on either side of the mean.
SPAN = 6
SMALLEST_WEIGHT = 1e-8


@dataclass(frozen=True)
class BatchNormCodes(Codec):
    """Codes of z = weight * x̂ + bias that span three deviations of x̂ on either side.

    With a = z / |weight|, b = bias / |weight|, n = 2^bits codes and a width w = 6 / n:

        t = min(max(n/2 - floor(b / w), 1), n - 1)
        code = min(max(ceil(a / w) - 1 + t, 0), n - 1),    a ~ (code - t + 1/2) * w

    so that code >= t exactly where z is positive, whatever weight and bias are: one
    code serves the batch norm's own backward pass, the mask of its ReLU, and what the
    layer after that multiplies.

    - Bytes: 4 * bits * ceil(n / 32) for a channel of n elements, and 8 a channel.
    - Deterministic and biased. |error of x̂| <= w / 2 where |x̂| <= 3 - w and |b| <= 2.5;
      what lies beyond gets the last code.

    A tensor that is empty or holds NaN or infinities is kept as it is; on a GPU, where
    looking for these would wait, all of it then decodes to NaN.

    Example:
        >>> z = torch.tensor([[-0.7], [0.1], [1.2]])
        >>> norm = Norm(torch.ones(1), torch.zeros(1))
        >>> packed = BatchNormCodes().encode(z, bits=4, hints=Hints(norm=norm))
        >>> packed.decode().flatten(), BatchNormCodes().mask(packed).flatten()
        (tensor([-0.5625,  0.1875,  1.3125]), tensor([False,  True,  True]))
    """

    widths = range(1, 9)

    def encode(self, x: Tensor, bits: Bits = 4, hints: Hints = NO_HINTS) -> Packed:
        """Packs the output of a batch norm.

        Args:
            x: the output; dimension 1 is the channel.
            bits: 1 to 8, the same for all.
            hints: the batch norm's weight and bias.

        Raises:
            OperandError: for other widths, or without the weight and bias.
        """
        self.check_bits(bits)
        if hints.norm is None or isinstance(bits, Tensor):
            raise OperandError(
                "codes of a batch norm's output need its weight and bias and one width "
                "for all; pass Hints(norm=Norm(weight, bias)) and bits as an int."
            )
        x = dense(x)
        if not x.numel():
            return raw(x, "small")
        norm = Norm(*(t.detach().float().clone() for t in hints.norm))
        step, zero = _steps(norm, bits)
        reals = single(x)
        packed = pack(
            reals, bits, rows_of(reals, 1), rounding="above", inverse=1 / step,
            zero=zero,
        )  # fmt: skip
        if packed.refused:
            return raw(x, "not finite")
        norm = Norm(packed.tainted(norm.weight), norm.bias)
        return Packed(self, (packed.words, *norm), form_of(x), bits)

    def decode(self, packed: Packed) -> Tensor:
        """The output z, in its type."""
        return _values(packed).to(packed.form.dtype)

    def normalised(self, packed: Packed) -> Tensor:
        """The normalised input x̂ of the batch norm, as float32.

        Where the clamped codes do not reach x̂, it is cut to three deviations.
        """
        _, weight, bias = packed.payload
        values = _values(packed).float()
        channels = [-1, *[1] * (values.dim() - 2)]
        size = torch.copysign(weight.abs().clamp(min=SMALLEST_WEIGHT), weight)
        values.sub_(bias.view(channels)).div_(size.view(channels))
        return values.clamp_(-SPAN / 2, SPAN / 2)

    def mask(self, packed: Packed) -> Tensor:
        """Where the output was positive: exact."""
        return _values(packed) > 0

    def rectified(self, packed: Packed) -> Tensor:
        """The output behind a ReLU, in its type."""
        return self.decode(packed).clamp(min=0)


def _steps(norm: Norm, bits: int) -> tuple[Tensor, Tensor]:
    """What a code is worth in every channel, and the first code above 0."""
    count = 1 << bits
    width = SPAN / count
    size = norm.weight.abs().clamp(min=SMALLEST_WEIGHT)
    # Tensors of one shape: by a single number, a GPU divides less exactly.
    shift = (norm.bias / size / torch.full_like(size, width)).floor()
    return size * width, (count / 2 - shift).clamp(1, count - 1)


def _values(packed: Packed) -> Tensor:
    """The output as float32: small weights do not vanish in a narrower type."""
    if packed.why_raw:
        return packed.decode().float()
    words, *norm = packed.payload
    step, zero = _steps(Norm(*norm), packed.bits)
    out = packed.form.empty(words.device, torch.float32)
    middle = zero - 0.5
    return unpack(words, packed.bits, rows_of(out, 1), out, step=step, zero=middle)
