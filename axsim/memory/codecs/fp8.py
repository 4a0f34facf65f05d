"""Eight-bit floating numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..codec import NO_HINTS, Bits, Codec, Hints, Packed, dense, form_of
from .identity import raw

# Type, and the power of two below its largest number.
KINDS = {"e4m3": (torch.float8_e4m3fn, 8), "e5m2": (torch.float8_e5m2, 15)}
# Keeps 2^exponent a normal float32.
LARGEST_EXPONENT = 126


@dataclass(frozen=True)
class Fp8(Codec):
    """Eight-bit floating numbers, scaled by a power of two to the top of their range.

    - Bytes: n + 4.
    - Biased: rounds to the nearest. With M = max|x|, |error| is at most |x| / 16 or
      M / 2^16 for e4m3, |x| / 8 or M / 2^30 for e5m2, whichever is larger.

    A tensor that holds NaN or infinities is kept as it is.

    Args:
        kind: "e4m3" is finer, "e5m2" reaches further down.

    Example:
        >>> Fp8().encode(torch.tensor([1.0, 0.3])).decode()
        tensor([1.0000, 0.3125])
    """

    kind: Literal["e4m3", "e5m2"] = "e4m3"

    def encode(self, x: Tensor, bits: Bits = 0, hints: Hints = NO_HINTS) -> Packed:
        """Packs floating numbers."""
        x = dense(x)
        largest = x.abs().amax().float() if x.numel() else torch.zeros(())
        if not largest.isfinite():
            return raw(x, "not finite")
        dtype, top = KINDS[self.kind]
        exponent = (top - largest.frexp().exponent).clamp(max=LARGEST_EXPONENT)
        codes = (x.float() * exponent.float().exp2()).to(dtype)
        return Packed(self, (codes, exponent.int()), form_of(x), 8)

    def decode(self, packed: Packed) -> Tensor:
        """What the codes stand for, in the type of the tensor."""
        codes, exponent = packed.payload
        dtype = packed.form.dtype
        values = codes.float() * (-exponent).float().exp2()
        # The largest may be rounded up past the end of its type.
        largest = min(torch.finfo(dtype).max, torch.finfo(torch.float32).max)
        return values.clamp_(-largest, largest).to(dtype)
