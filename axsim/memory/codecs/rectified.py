"""Few-bit codes of a ReLU's output that know exactly where it is zero."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import OperandError
from ...kernels.pack import pack, rows_of, unpack
from ..codec import NO_HINTS, Bits, Codec, Hints, Norm, Packed, dense, form_of
from .fixed_point import channel_dim
from .group_affine import single
from .identity import raw

SMALLEST_WEIGHT = 1e-8
# No batch norm's output lies further from its mean than the root of its batch.
FURTHEST = 16.0


@dataclass(frozen=True)
class Rectified(Codec):
    """Code 0 is 0, the others lie between the smallest and largest positive value.

    Every 256 elements of a channel have a range of their own, rounded outwards to
    bfloat16. One code so serves three layers: the ReLU, whose mask it is; the product
    behind it; and the batch norm in front of it, see `normalised`.

    - Bytes: 4 * bits * ceil(n / 32) + 4 * ceil(n / 256) for a channel of n elements.
    - Unbiased, to 2^-17 of a step; the variance of a positive element is
      p * (1 - p) * step^2, p its part of a step, step = R / (2^bits - 2) for positive
      values of range R. What is not positive decodes to 0, without an error.

    A tensor that is empty, or that codes would not make smaller, or that holds NaN or
    infinity, is kept as it is; on a GPU, where looking for these would wait, their
    blocks decode to NaN.

    Example:
        >>> packed = Rectified().encode(torch.tensor([-1.0, 0.0, 0.5, 2.0]), bits=2)
        >>> packed.decode(), Rectified().mask(packed)
        (tensor([0.0000, 0.0000, 0.5000, 2.0000]), tensor([False, False,  True,  True]))
    """

    widths = range(2, 9)

    @property
    def unbiased(self) -> bool:
        return True

    def encode(self, x: Tensor, bits: Bits = 2, hints: Hints = NO_HINTS) -> Packed:
        """Packs what a ReLU makes of a tensor; dimension 1 is the channel.

        Args:
            x: float16, bfloat16, float32, or float64, which is coded as float32.
            bits: 2 to 8, the same for all.
            hints: the key of the random stream.

        Raises:
            OperandError: for other widths.
        """
        self.check_bits(bits)
        if isinstance(bits, Tensor):
            raise OperandError(
                "bits for each sample; codes of a ReLU's output have one width for "
                "all. Use a policy such as Fixed(2)."
            )
        x = dense(x)
        if not x.numel():
            return raw(x, "small")
        reals = single(x)
        rows = rows_of(reals, channel_dim(x))
        packed = pack(reals, bits, rows, rounding="positive", key=hints.key)
        if packed.refused:
            return raw(x, "not finite")
        coded = Packed(self, (packed.words, packed.ranges), form_of(x), bits)
        return coded if coded.nbytes < raw(x).nbytes else raw(x, "small")

    def decode(self, packed: Packed) -> Tensor:
        """The output of the ReLU, in its type."""
        return _values(packed).to(packed.form.dtype)

    def mask(self, packed: Packed) -> Tensor:
        """Where it is positive: exact."""
        if packed.why_raw:
            return packed.decode() > 0
        words, _ = packed.payload
        out = packed.form.empty(words.device, torch.uint8)
        rows = rows_of(out, channel_dim(out))
        one = torch.ones(1, device=words.device).expand(rows.count)
        return unpack(words, packed.bits, rows, out, step=one) > 0

    def normalised(self, packed: Packed, norm: Norm) -> Tensor:
        """The normalised input x̂ of the batch norm in front, as float32.

        With r the ReLU's output and the batch norm's weight w and bias b, x̂ is
        (r - b) / w where r is positive, without bias. Elsewhere it is the mean of the
        channel's other x̂, which follows from their sum over the batch being 0. The
        gradient that comes back through the ReLU is 0 there, so that of all that a
        batch norm's backward pass computes,

            dw = sum(dz x̂),   dx = w / s * (dz - mean(dz) - x̂ mean(dz x̂)),

        this changes but the last term of dx: by w / s * mean(dz x̂) times how far x̂
        lies from the mean of those that the ReLU stopped.

        Where |w| is below about 1/100 of |b| codes say little of x̂; it is cut to 16.
        """
        values = _values(packed)
        channels = [-1, *[1] * (values.dim() - 2)]
        others = [d for d in range(values.dim()) if d != 1]
        bias, weight = (t.detach().float() for t in (norm.bias, norm.weight))
        size = torch.copysign(weight.abs().clamp(min=SMALLEST_WEIGHT), weight)
        # 1 or 0; of positive numbers only those below 2^-133 may have become 0.
        passed = values.sign()
        shift, factor = (t.view(channels) for t in (-bias / size, 1 / size))
        values.mul_(factor).add_(shift).clamp_(-FURTHEST, FURTHEST).mul_(passed)
        stopped = values[:, 0].numel() - passed.sum(others)
        mean = (-values.sum(others) / stopped.clamp(min=1)).view(channels)
        return values.add_(passed.sub_(1).mul_(-mean))


def _values(packed: Packed) -> Tensor:
    """The output as float32."""
    if packed.why_raw:
        return packed.decode().float().clamp(min=0)
    words, ranges = packed.payload
    out = packed.form.empty(words.device, torch.float32)
    rows = rows_of(out, channel_dim(out))
    return unpack(words, packed.bits, rows, out, ranges=ranges, positive=True)
