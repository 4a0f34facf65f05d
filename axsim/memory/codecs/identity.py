"""The tensor itself."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..codec import NO_HINTS, Bits, Codec, Hints, Packed, form_of


@dataclass(frozen=True)
class Identity(Codec):
    """Keeps the tensor as it is: exact, in as many bytes as it had.

    Example:
        >>> import torch
        >>> Identity().encode(torch.ones(2, 3)).nbytes
        24
    """

    lossless = True

    def encode(self, x: Tensor, bits: Bits = 0, hints: Hints = NO_HINTS) -> Packed:
        """Keeps the tensor without a copy."""
        return raw(x)

    def decode(self, packed: Packed) -> Tensor:
        """The tensor that was kept."""
        return packed.payload[0]


def raw(x: Tensor, why: str = "") -> Packed:
    """A tensor kept as it is, and why no codes are."""
    x = x.detach()
    return Packed(Identity(), (x,), form_of(x), why_raw=why)
