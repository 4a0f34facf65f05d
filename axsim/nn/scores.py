"""Gated attention scores: high bits of the queries for all keys, then for promising.

The gate splits the codes of the queries q, and each head has a threshold:

    B = high(q) kᵀ,   R = low(q) kᵀ,   m = B > threshold,   S = B + R where m, else -inf

before the softmax, so that a key whose gate is closed is not attended to and its rest
is not needed. Where the gate is closed for all keys that a query may attend to, nothing
would be left; that row keeps B. The gradient of S at a closed key is 0, so thresholds
learn from open keys and from rows that keep B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import ConversionError
from ..gating.bits import Bits
from ..gating.gate import Gate
from ..gating.split import Shape
from ..gating.unit import GateUnit
from ..tables.multiplier import Multiplier
from .gated import GatedSite, multiply_noting
from .matmul import BatchedForm
from .site import mark_nan
from .spec import LayerSpec, Quant

#: exp(-NO_WEIGHT) is the smallest normal float32.
NO_WEIGHT = 87.3


class GatedScores(GatedSite):
    """The site of attention scores with their gate.

    Args:
        spec: of the attention layer.
        name: how errors and reports call the site.
        gate: of the scores.
        heads: of the layer; each has a threshold.
        width: channels of a head.

    Raises:
        ConversionError: where the codes cannot be split.
    """

    def __init__(
        self, spec: LayerSpec, name: str, gate: Gate, heads: int, width: int
    ) -> None:
        super().__init__(spec, name, None)
        shape = Shape(width, heads, codes=self.schemes[0], name=name)
        self.gate = GateUnit(gate, shape)
        self.split_tables(self.gate)


def check_scores(gate: Gate, spec: LayerSpec, name: str) -> None:
    """Refuses what attention scores cannot have.

    Raises:
        ConversionError: for splits of channels, layers without codes, and codes without
            a sign, as queries are as often below 0 as above.
    """
    if not isinstance(gate.split, Bits):
        raise ConversionError(
            f"{name!r} is attention and has the gate {gate}; the scores of queries and "
            "keys are split by Bits alone. Leave the layer out with a rule, or answer "
            "gate=Gate(Bits(...))."
        )
    if not spec.on_codes:
        gate.split.check(Shape(1, 1, name=name))
    codes = spec.quant.activation if isinstance(spec.quant, Quant) else None
    if codes is not None and codes.symmetric and not codes.signed:
        raise ConversionError(
            f"{name!r} is attention and has codes {codes}, which turn queries below 0 "
            f"into 0. Answer quant=Quant(Scheme({codes.bits}, signed=True, "
            "symmetric=True)), or leave the layer out with a rule."
        )


def gated_scores(site: GatedScores, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """B + m R, and bool, where the gate was open.

    Args:
        site: of the scores.
        q: (N, heads, L, width), scaled.
        k: (N, heads, S, width).
    """
    if site.calibrating:
        site.observe(q, k.mT)
        scores = q @ k.mT
        return scores, torch.ones_like(scores, dtype=torch.bool)
    # A gate's outputs are the first dimension of its second operand: here the heads.
    keys = k.transpose(0, 1)
    y, opened = multiply_noting(site, site.gate, q, keys, None, ScoresForm())
    return mark_nan(y, k), opened


def close(scores: Tensor, opened: Tensor, mask: Tensor | None) -> Tensor:
    """The scores, -inf where closed, in rows with an open key that the mask allows.

    Masks of large numbers, such as -1e9, forbid a key as -inf does.

    Args:
        scores, opened: of `gated_scores`.
        mask: what is added to the scores afterwards; None for nothing.
    """
    allowed = opened
    if mask is not None:
        # Of a key this far below the best of its row, softmax leaves 0 in float32.
        lowest = mask.amax(-1, keepdim=True) - NO_WEIGHT if mask.shape[-1] else mask
        allowed = opened & (mask > lowest)
    some = allowed.any(-1, keepdim=True)
    return scores.masked_fill(~opened & some, float("-inf"))


@dataclass(frozen=True)
class ScoresForm(BatchedForm):
    """x[N, H, L, K] times w[H, N, S, K], one product for each entry and head."""

    channel_axis: ClassVar[int] = 1
    tile_axis: ClassVar[int] = -1

    def sums(
        self, x: Tensor, w: Tensor, mul: Multiplier, pad_code: int | None, backend: str
    ) -> Tensor:
        rows, keys = x.flatten(0, 1), w.transpose(0, 1).flatten(0, 1)
        found = super().sums(rows, keys, mul, pad_code, backend)
        return found.unflatten(0, x.shape[:2])

    def activation_sums(self, x: Tensor, w: torch.Size, pad: int | None) -> Tensor:
        return x.sum(-1, keepdim=True, dtype=torch.int32)

    def weight_sums(
        self, w: Tensor, x: torch.Size, skip: bool
    ) -> tuple[Tensor, Tensor | int]:
        sums = w.transpose(0, 1).sum(-1, dtype=torch.int32)
        return sums.unsqueeze(-2), w.shape[-1]

    def per_output(self, values: Tensor) -> Tensor:
        return values if values.dim() == 0 else values.view(-1, 1, 1)

    def gradients(
        self, gradient: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        over_x = gradient @ w.transpose(0, 1) if wanted[0] else None
        over_w = (gradient.mT @ x).transpose(0, 1) if wanted[1] else None
        return over_x, over_w

    def bias_gradient(self, gradient: Tensor) -> Tensor:
        return gradient.sum((0, 2, 3))

    def products(self, x: torch.Size, w: torch.Size, y: torch.Size) -> int:
        return y.numel() * w[-1]
