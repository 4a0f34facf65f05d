"""Codes that are small already, such as those of a fake-quantised layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import OperandError
from ...kernels.pack import pack_codes, unpack_codes
from ..codec import NO_HINTS, Bits, Codec, Hints, Packed, dense, form_of


@dataclass(frozen=True)
class Lossless(Codec):
    """Packs raw codes of b bits into b bits each: what a fake-quantised layer keeps.

    Exact, in 4 * bits * ceil(n / 32) bytes.

    Example:
        >>> packed = Lossless().encode(torch.tensor([3, 0, 2], dtype=torch.uint8), 2)
        >>> packed.decode(), packed.nbytes
        (tensor([3, 0, 2], dtype=torch.uint8), 8)
    """

    widths = range(1, 9)
    lossless = True

    def encode(self, x: Tensor, bits: Bits = 8, hints: Hints = NO_HINTS) -> Packed:
        """Packs whole numbers.

        Args:
            x: uint8, below 2^bits.
            bits: 1 to 8, the same for all.

        Raises:
            OperandError: for other types, widths or codes.
        """
        self.check_bits(bits)
        if x.dtype != torch.uint8 or isinstance(bits, Tensor):
            raise OperandError(
                f"{x.dtype} codes and bits={bits}; raw codes are uint8 with one width "
                "for all."
            )
        # On a GPU that would wait; too large a code becomes the largest there.
        largest = int(x.max()) if x.numel() and x.device.type == "cpu" else 0
        if largest >> bits:
            raise OperandError(
                f"a code of {largest}; {bits} bits hold 0 to {(1 << bits) - 1}. "
                "Use more bits."
            )
        x = dense(x)
        return Packed(self, (pack_codes(x, bits),), form_of(x), bits)

    def decode(self, packed: Packed) -> Tensor:
        """The raw codes, uint8."""
        (words,) = packed.payload
        out = packed.form.empty(words.device, torch.uint8)
        return unpack_codes(words, packed.bits, out)
