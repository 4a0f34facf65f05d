"""Few-bit codes between the extremes of every 256 elements (ActNN)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...kernels.pack import BLOCK, pack, rows_of, unpack
from ..codec import NO_HINTS, Bits, Codec, Hints, Packed, dense, form_of
from .identity import raw


@dataclass(frozen=True)
class GroupAffine(Codec):
    """Codes between the smallest and largest of every 256 elements.

    Groups run over the whole tensor in the order of memory; with bits for each sample
    they begin anew at every sample. The range of a group is rounded outwards to
    bfloat16 before anything is coded against it, so that the codes are unbiased.

    - Bytes: 4 * bits * ceil(n / 32) + 4 * ceil(n / 256), bits + 1/8 an element; with
      bits for each of N samples that for every sample, and N more.
    - Unbiased with stochastic rounding, to 2^-17 of a step. The variance of an element
      is p * (1 - p) * step^2, p its part of a step; at most step^2 / 4.
    - |error| < step, with nearest rounding <= step / 2, where step is at most
      (R + |smallest| / 128) / (2^bits - 1) * 129 / 128 for a group of range R.

    A tensor of less than one group, or that codes would not make smaller, or that
    holds NaN or infinities, is kept as it is; on a GPU, where looking for these would
    wait, their groups decode to NaN.

    Args:
        rounding: "stochastic" or "nearest".

    Example:
        >>> x = torch.linspace(0, 3, 512)
        >>> packed = GroupAffine("nearest").encode(x, bits=2)
        >>> packed.nbytes, packed.decode()[:256].unique()
        (136, tensor([0.0000, 0.5000, 1.0000, 1.5000]))
    """

    rounding: Literal["stochastic", "nearest"] = "stochastic"

    widths = range(1, 9)

    @property
    def unbiased(self) -> bool:
        return self.rounding == "stochastic"

    def encode(self, x: Tensor, bits: Bits = 2, hints: Hints = NO_HINTS) -> Packed:
        """Packs floating numbers.

        Args:
            x: float16, bfloat16, float32, or float64, which is coded as float32.
            bits: 1 to 8, or uint8[N] with the bits of each sample.
            hints: the key of the random stream.

        Raises:
            OperandError: for other widths.
        """
        self.check_bits(bits)
        x = dense(x)
        if x.numel() < BLOCK:
            return raw(x, "small")
        rows = rows_of(x, None if isinstance(bits, int) else 0)
        packed = pack(
            single(x), bits, rows, rounding=self.rounding, key=hints.key,
            total=hints.total,
        )  # fmt: skip
        if packed.refused:
            return raw(x, "not finite")
        payload = (packed.words, packed.ranges)
        if isinstance(bits, int):
            coded = Packed(self, payload, form_of(x), bits)
        else:
            coded = Packed(self, (*payload, bits), form_of(x))
        return coded if coded.nbytes < raw(x).nbytes else raw(x, "small")

    def decode(self, packed: Packed) -> Tensor:
        """What the codes stand for, in the type of the tensor."""
        words, ranges, *bits = packed.payload
        form = packed.form
        out = single(form.empty(words.device))
        rows = rows_of(out, 0 if bits else None)
        widths = bits[0] if bits else packed.bits
        return unpack(words, widths, rows, out, ranges=ranges).to(form.dtype)


def single(x: Tensor) -> Tensor:
    """The tensor in a type that the kernels take."""
    return x.float() if x.dtype == torch.float64 else x
