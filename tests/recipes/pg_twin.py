"""dnn-gating's precision gating, slow and readable, from its published formulas."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def coded(x: Tensor, bits: int, dropped: int = 0) -> Tensor:
    """sign(x) floor(k / 2^d) 2^d S / n, with gradient 1 where x is not 0.

    S = max|x| + 1e-7 of the whole tensor, n = 2^bits - 1, k = round(|x| / S n).
    """
    n, largest = 2**bits - 1, x.detach().abs().max() + 1e-7
    k = torch.round(x.detach().abs() / largest * n)
    kept = torch.floor(k / 2**dropped) * 2**dropped
    values = x.detach().sign() * kept * largest / n
    return x * (x != 0) + (values - x * (x != 0)).detach()


def signs(w: Tensor) -> Tensor:
    """The signs of weights over the root of the terms of a sum; gradient 1."""
    values = 2 * torch.round((w.detach().clamp(-1, 1) + 1) / 2) - 1
    return (w + (values - w).detach()) / w[0].numel() ** 0.5


def clipped(x: Tensor, alpha: Tensor) -> Tensor:
    """clip(x, 0, alpha): gradients 1[0 <= x <= alpha] and 1[x > alpha]."""
    inside = (x >= 0) & (x <= alpha)
    return torch.where(inside, x, torch.where(x > alpha, alpha, 0.0))


class Opened(torch.autograd.Function):
    """1 where s > 1/2; the derivative by s counts as 1, or as 1[s >= 1/2]."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, sparse: bool) -> Tensor:
        ctx.save_for_backward(s)
        ctx.sparse = sparse
        return (s > 0.5).to(s.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (s,) = ctx.saved_tensors
        return gradients[0] * (s >= 0.5) if ctx.sparse else gradients[0], None


class TwinConv(nn.Module):
    """A convolution of dnn-gating with the parameters of another.

    Args:
        like: whose weight, stride and padding.
        bits, weight_bits, msb: of the codes; msb is None without a gate.
        alpha, sparse: of the gate.
        pact: the first clip; None for none.

    Thresholds begin at 0.013.
    """

    def __init__(
        self, like: nn.Conv2d, bits: int, weight_bits: int, msb: int | None,
        alpha: float = 5.0, sparse: bool = True, pact: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.weight = nn.Parameter(like.weight.detach().clone())
        self.place: Any = like.stride, like.padding
        self.bits, self.weight_bits, self.msb = bits, weight_bits, msb
        self.steep, self.sparse = alpha, sparse
        self.clip = None if pact is None else nn.Parameter(torch.tensor(pact))
        self.threshold = nn.Parameter(torch.full((like.out_channels, 1, 1), 0.013))

    def forward(self, x: Tensor) -> Tensor:
        w = signs(self.weight) if self.weight_bits == 1 else coded(
            self.weight, self.weight_bits)  # fmt: skip
        x = x if self.clip is None else clipped(x, self.clip)
        whole = coded(x, self.bits)
        if self.msb is None:
            return F.conv2d(whole, w, None, *self.place)
        high = coded(x, self.bits, self.bits - self.msb)
        base = F.conv2d(high, w, None, *self.place)
        s = torch.sigmoid(self.steep * (base - self.threshold))
        rest = F.conv2d(whole - high, w, None, *self.place)
        return base + Opened.apply(s, self.sparse) * rest
