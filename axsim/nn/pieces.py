"""Pieces: the exact integer sums of a gated layer's base and rest.

A piece takes some outputs, some input channels and some digits of the codes, and has a
table of its own. What it returns is the piece's share of

    T - z_w sum(q_a) - z_a sum(q_w) + K z_a z_w,

so the shares of all pieces add up to the ungated layer's sum, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..gating.split import Part
from ..tables.multiplier import Multiplier
from .forms import GateForm
from .product import INT32_MAX, Circuit, Operand
from .spec import Gradient

# What the corrections for zero points come to, for one product of 8-bit codes.
CORRECTION = 3 * 255 * 255


@dataclass(frozen=True)
class Piece:
    """One part of a split on its table.

    Args:
        part: of the split.
        mul: indexed by the raw codes of the part's digits and of the weights.
    """

    part: Part
    mul: Multiplier

    @property
    def shift(self) -> int:
        """The power of two that its products count for."""
        return self.part.digits.shift if self.part.digits else 0

    @property
    def carries_input(self) -> bool:
        """Whether the gradient of the input runs through it.

        Low digits are what the codes leave over a truncation; both have slope 1 when
        passed straight through, and they cancel.
        """
        return self.part.digits is None or self.part.digits.high

    @cached_property
    def peak(self) -> int:
        """A bound of what one product counts for."""
        return (int(abs(self.mul.table).max()) + CORRECTION) << self.shift

    def input(self, a: Operand, axis: int) -> Operand:
        """What of the input the piece sees, as an operand in real units."""
        raw, part = a.raw, self.part
        if part.channels is not None:
            raw = _taken(raw, axis, part.channels)
        if part.digits is None:
            return replace(a, raw=raw, inside=None)
        scheme = part.digits.scheme(a.scheme)
        scale = a.scale * (1 << part.digits.shift)
        raw = part.digits.of(raw, a.scheme)
        return Operand(raw, scale, a.zero_point, scheme)

    def weights(self, w: Operand) -> Operand:
        """What of the weights the piece sees, kept as long as they are."""
        if self.part not in w.parts:
            w.parts[self.part] = self._cut(w)
        return w.parts[self.part]

    def _cut(self, w: Operand) -> Operand:
        outputs, channels = slice(*self.part.outputs), self.part.channels
        raw = w.raw[outputs]
        if channels is not None:
            raw = _taken(raw, 1, channels)
        each = w.scheme.axis is not None
        scale, zero = (t[outputs] if each else t for t in (w.scale, w.zero_point))
        return Operand(raw, scale, zero, w.scheme)


@dataclass(frozen=True)
class Sums:
    """How base and rest of one layer are summed.

    Args:
        base, rest: the pieces; the outputs of each lie side by side.
        skip, gradient, backend: as in `Circuit`.
    """

    base: tuple[Piece, ...]
    rest: tuple[Piece, ...]
    skip: bool = False
    gradient: Gradient = "ste"
    backend: str = "auto"

    def circuit(self, piece: Piece, form: GateForm) -> Circuit:
        """How the products of a piece are formed."""
        return Circuit(piece.mul, form, self.skip, self.gradient, self.backend)

    def of_base(self, a: Operand, w: Operand, form: GateForm) -> Tensor:
        """The base's sums, for all outputs."""
        return self._join(self.base, a, w, form)

    def real_base(self, a: Operand, w: Operand, form: GateForm) -> Tensor | None:
        """The base in real numbers, where these tell its sums; else None.

        They count in units of `2^step`.
        """
        if len(self.base) != 1:
            return None
        piece = self.base[0]
        mine = piece.input(a, form.channel_axis), piece.weights(w)
        return self.circuit(piece, form).telling(*mine)

    @property
    def step(self) -> int:
        """The power of two that a base of one piece counts in."""
        return self.base[0].shift

    def of_rest(self, a: Operand, w: Operand, form: GateForm) -> Tensor:
        """The rest's sums, for all outputs."""
        return self._join(self.rest, a, w, form)

    def kind(self, terms: int) -> torch.dtype:
        """int32 where no sum of base and rest can leave it, else int64."""
        most = sum(max(p.peak for p in pieces) for pieces in (self.base, self.rest))
        return torch.int32 if terms * most <= INT32_MAX else torch.int64

    def _join(
        self, pieces: tuple[Piece, ...], a: Operand, w: Operand, form: GateForm
    ) -> Tensor:
        # What a single output takes.
        terms = form.products(a.raw.shape, w.raw.shape, torch.Size(()))
        kind, axis = self.kind(terms), form.channel_axis
        found = [
            self.circuit(piece, form)
            .accumulate(piece.input(a, axis), piece.weights(w))
            .to(kind)
            for piece in pieces
        ]
        for piece, each in zip(pieces, found, strict=True):
            if piece.shift:
                each.mul_(1 << piece.shift)
        return found[0] if len(found) == 1 else torch.cat(found, axis)


def _taken(raw: Tensor, axis: int, channels: tuple[int, ...]) -> Tensor:
    """Some channels, without gaps in memory."""
    first, count = channels[0], len(channels)
    if channels == tuple(range(first, first + count)):
        return raw.narrow(axis, first, count).contiguous()
    return raw.index_select(axis, torch.tensor(channels, device=raw.device))
