"""Fixed-point codes with a scale for every channel (AC-GC)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ...kernels.pack import block_extremes, pack, rows_of, unpack
from ..codec import NO_HINTS, Bits, Codec, Hints, Packed, dense, form_of
from .group_affine import single
from .identity import raw

# The largest step is normal and so is its reciprocal.
SMALLEST_STEP = 2.0**-126


@dataclass(frozen=True)
class FixedPoint(Codec):
    """Whole multiples of a channel's step; its largest magnitude has the largest code.

    With bits b and top = 2^b - 1, or 2^(b-1) - 1 where the tensor has negative values,
    step = max|x| / top, so that no value saturates and no code is wasted. Dimension 1
    is the channel; tensors of one dimension have one step.

    - Bytes: 4 * bits * ceil(n / 32) for a channel of n elements, and 4 for its step;
      with bits for each channel, 1 more.
    - |error| <= step / 2, with stochastic rounding < step, beside max|x| / 2^22.
    - Biased; unbiased with stochastic rounding. Zero stays zero.

    A tensor that is empty or holds NaN or infinities is kept as it is; on a GPU, where
    looking for these would wait, all of it then decodes to NaN. Looking for negative
    values does wait.

    Args:
        rounding: "nearest" or "stochastic".
        signed: whether there are codes below 0; None looks at the tensor.

    Example:
        >>> packed = FixedPoint().encode(torch.tensor([[0.0], [5.0], [15.0]]), bits=4)
        >>> packed.decode().flatten(), packed.nbytes
        (tensor([ 0.,  5., 15.]), 20)
    """

    rounding: Literal["nearest", "stochastic"] = "nearest"
    signed: bool | None = None

    widths = range(2, 18)

    @property
    def unbiased(self) -> bool:
        return self.rounding == "stochastic"

    def encode(self, x: Tensor, bits: Bits = 8, hints: Hints = NO_HINTS) -> Packed:
        """Packs floating numbers.

        Args:
            x: float16, bfloat16, float32, or float64, which is coded as float32.
            bits: 2 to 17, or uint8[C] with the bits of each channel.
            hints: the key of the random stream.

        Raises:
            OperandError: for other widths.
        """
        self.check_bits(bits)
        x = dense(x)
        if not x.numel():
            return raw(x, "small")
        reals = single(x)
        rows = rows_of(reals, channel_dim(x))
        codec, size = self.fitted(reals)
        bits = bits if isinstance(bits, int) else bits.to(x.device)
        zero = codec.zero_code(bits)
        top = zero if codec.signed else largest_code(bits)
        # Tensors of one shape: by a single number, a GPU divides less exactly.
        zero, top = (t.to(x.device).expand(rows.count) for t in (zero, top))
        step = (size / top).clamp(min=SMALLEST_STEP)
        packed = pack(
            reals, bits, rows, rounding=self.rounding, key=hints.key,
            inverse=1 / step, zero=zero,
        )  # fmt: skip
        if packed.refused:
            return raw(x, "not finite")
        step = packed.tainted(step)
        if isinstance(bits, int):
            return Packed(codec, (packed.words, step), form_of(x), bits)
        return Packed(codec, (packed.words, step, bits), form_of(x))

    def decode(self, packed: Packed) -> Tensor:
        """What the codes stand for, in the type of the tensor."""
        step = packed.payload[1]
        out = single(packed.form.empty(step.device))
        return self._unpack(packed, out, step).to(packed.form.dtype)

    def levels(self, packed: Packed) -> Tensor:
        """How many steps every value is, as whole numbers in float32."""
        step = packed.payload[1]
        out = packed.form.empty(step.device, torch.float32)
        return self._unpack(packed, out, torch.ones_like(step))

    def _unpack(self, packed: Packed, out: Tensor, step: Tensor) -> Tensor:
        words, _, *widths = packed.payload
        bits = widths[0] if widths else packed.bits
        rows = rows_of(out, channel_dim(out))
        return unpack(words, bits, rows, out, step=step, zero=self.zero_code(bits))

    def fitted(self, x: Tensor) -> tuple[FixedPoint, Tensor]:
        """The codec with the signedness of a tensor, and max|x| of every channel."""
        extremes = block_extremes(x, rows_of(x, channel_dim(x))).flatten(1)
        signed = bool((extremes < 0).any()) if self.signed is None else self.signed
        return replace(self, signed=signed), extremes.abs().amax(1)

    def zero_code(self, bits: Bits) -> Tensor:
        """The code of 0, for each of the given widths."""
        return largest_code(bits - 1) if self.signed else 0 * largest_code(bits)

    def bits_for(self, x: Tensor, tolerance: Tensor) -> Tensor:
        """uint8[C]: the fewest bits with which no value errs by more than it may.

        Args:
            x: of two or more dimensions, not empty.
            tolerance: largest |error|, one or one for each channel. Where even the
                widest codes err more, those are chosen.

        Example:
            >>> x = torch.tensor([[0.0, -1.0], [1.0, 100.0]])
            >>> FixedPoint().bits_for(x, torch.tensor(0.1))
            tensor([ 4, 10], dtype=torch.uint8)
        """
        codec, size = self.fitted(single(dense(x)))
        # Float32 arithmetic itself errs by a few units in the last place.
        allowed = (tolerance - size * 2.0**-22).clamp(min=0)
        top = size / allowed if self.unbiased else size / (2 * allowed)
        bits = (top + 1).log2().ceil().nan_to_num(0) + bool(codec.signed)
        return bits.clamp(self.widths[0], self.widths[-1]).to(torch.uint8)


def largest_code(bits: Bits) -> Tensor:
    """2^bits - 1 as float32, exact on every device.

    Example:
        >>> largest_code(torch.tensor([2, 17], dtype=torch.uint8))
        tensor([3.0000e+00, 1.3107e+05])
    """
    width = torch.as_tensor(bits, dtype=torch.int32)
    return ((torch.ones_like(width) << width) - 1).float()


def channel_dim(x: Tensor) -> int | None:
    """The dimension with a step for each index."""
    return 1 if x.dim() > 1 else None
