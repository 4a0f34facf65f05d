"""Zero-value compression: a mask of what is not zero, and codes of that alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from ...kernels.pack import pack_codes, unpack_codes
from ..codec import NO_HINTS, Bits, Codec, Hints, Packed
from .fixed_point import FixedPoint

NEAREST = FixedPoint()


@dataclass(frozen=True)
class ZeroValue(Codec):
    """Fixed-point codes, stored only where they are not zero (AC-GC's quantz).

    The values are those of the codec inside.

    - Bytes: 4 * ceil(n / 32) for the mask; 4 * b * ceil(m / 32) for the m codes of b
      bits that are not zero, for each width b in use; the metadata of the codes.
      Where the plain codes take no more, they are kept instead.
    - Bias and error bound: those of the codec inside.

    Args:
        codec: makes the codes.

    Example:
        >>> x = torch.zeros(1, 1, 64, 64)
        >>> x[0, 0, 0] = 1.0
        >>> packed = ZeroValue().encode(x, bits=8)
        >>> packed.nbytes, torch.equal(packed.decode(), x)
        (580, True)
    """

    codec: FixedPoint = NEAREST

    widths = FixedPoint.widths

    @property
    def unbiased(self) -> bool:
        return self.codec.unbiased

    def encode(self, x: Tensor, bits: Bits = 8, hints: Hints = NO_HINTS) -> Packed:
        """Packs floating numbers; the arguments of `FixedPoint.encode`."""
        plain = self.codec.encode(x, bits, hints)
        if plain.why_raw:
            return plain
        # The codec that knows whether there are negative codes.
        codec = cast(FixedPoint, plain.codec)
        _, *metadata = plain.payload
        levels = channels_first(codec.levels(plain)).flatten(1).contiguous()
        mask = levels != 0
        words = [
            pack_codes(levels[rows][mask[rows]] + codec.zero_code(width), width)
            for width, rows in _widths(metadata, plain.bits)
        ]
        payload = (pack_codes(mask, 1), *metadata, *words)
        coded = Packed(ZeroValue(codec), payload, plain.form, plain.bits)
        return coded if coded.nbytes < plain.nbytes else plain

    def decode(self, packed: Packed) -> Tensor:
        """What the codes stand for, in the type of the tensor."""
        flags, step, *rest = packed.payload
        metadata = [step] if packed.bits else [step, rest.pop(0)]
        out = packed.form.empty(flags.device)
        target = channels_first(out)
        levels = torch.zeros(target.shape, device=out.device).flatten(1)
        mask = unpack_codes(flags, 1, torch.empty_like(levels, dtype=torch.bool))
        widths = _widths(metadata, packed.bits)
        for (width, rows), words in zip(widths, rest, strict=True):
            part, chosen = levels[rows], mask[rows]
            codes = torch.empty(int(chosen.sum()), device=out.device)
            unpack_codes(words, width, codes)
            part[chosen] = codes - self.codec.zero_code(width)
            levels[rows] = part
        target.copy_((levels * step[:, None]).view(target.shape))
        return out


def channels_first(x: Tensor) -> Tensor:
    """A view with the channels, those that have a step each, in front."""
    return x.movedim(1, 0) if x.dim() > 1 else x[None]


def _widths(metadata: list[Tensor], bits: int) -> Iterator[tuple[int, slice | Tensor]]:
    """Every width in use, and the channels that have it."""
    if bits:
        yield bits, slice(None)
    for own in metadata[1:]:
        for width in own.unique().tolist():
            yield width, own == width
