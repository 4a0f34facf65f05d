"""Digits: the high or the low bits of the magnitude of a code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from torch import Tensor

from ..quant.codes import integers, raw_codes
from ..quant.scheme import Scheme


@dataclass(frozen=True)
class Digits:
    """Some bits of a code, as a code of their own.

    A code c is cut towards zero, `c = sign(c) * (high * 2^dropped + low)` with
    `high = |c| >> dropped` and `low = |c| & (2^dropped - 1)`, so that both parts of 0
    are 0 and the parts add up to the code for every c, the most negative one included.

    Args:
        dropped: how many low bits there are.
        high: whether these are the bits above them.

    Example:
        >>> codes = torch.tensor([13, 2], dtype=torch.uint8)
        >>> Digits(2, high=True).of(codes, Scheme(4)).tolist()
        [3, 0]
        >>> Digits(2, high=False).of(codes, Scheme(4)).tolist()
        [1, 2]
    """

    dropped: int
    high: bool

    @property
    def shift(self) -> int:
        """The power of two that a product of these digits counts for."""
        return self.dropped if self.high else 0

    def scheme(self, whole: Scheme) -> Scheme:
        """The codes of the digits of such codes, signed where those are."""
        return _scheme_of(self, whole)

    def of(self, raw: Tensor, whole: Scheme) -> Tensor:
        """Raw codes of the digits.

        Args:
            raw: uint8 raw codes.
            whole: what they stand for.
        """
        if not whole.signed:
            return raw >> self.dropped if self.high else raw & self._mask
        # Magnitudes up to 128 leave int8.
        numbers = integers(raw, whole).short()
        size = numbers.abs()
        kept = size >> self.dropped if self.high else size & self._mask
        return raw_codes(kept * numbers.sign(), self.scheme(whole))

    @property
    def _mask(self) -> int:
        return (1 << self.dropped) - 1


@lru_cache(maxsize=256)
def _scheme_of(digits: Digits, whole: Scheme) -> Scheme:
    own = digits.dropped + whole.signed
    bits = whole.bits - digits.dropped if digits.high else own
    return replace(whole, bits=bits, symmetric=True, narrow=False, limits=None)
