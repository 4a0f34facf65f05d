"""Products of two activations on codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..kernels import ops
from ..kernels.contract import check_matmul
from ..tables.multiplier import Multiplier
from .layer import Answer, ApproxLayer
from .site import Site
from .spec import QUESTIONS


@dataclass(frozen=True)
class BatchedForm:
    """x[B, M, K] times w[B, N, K], one product for each b: groups of a convolution."""

    pads = False

    def sums(
        self, x: Tensor, w: Tensor, mul: Multiplier, pad_code: int | None, backend: str
    ) -> Tensor:
        batch, rows, terms = x.shape
        if 0 in (batch, rows, w.shape[1]):
            return x.new_zeros(batch, rows, w.shape[1], dtype=torch.int32)
        check_matmul(x.shape[1:], w.shape[1:])
        pixels = x.transpose(1, 2).reshape(1, batch * terms, rows)
        kernels = w.reshape(-1, terms, 1)
        raw = ops.lut_conv1d(pixels, kernels, mul, groups=batch, backend=backend)
        return raw.view(batch, -1, rows).transpose(1, 2)

    def activation_sums(self, x: Tensor, w: torch.Size, pad: int | None) -> Tensor:
        return x.sum(2, keepdim=True, dtype=torch.int32)

    def weight_sums(
        self, w: Tensor, x: torch.Size, skip: bool
    ) -> tuple[Tensor, Tensor | int]:
        return w.sum(2, dtype=torch.int32).unsqueeze(1), w.shape[2]

    def per_output(self, values: Tensor) -> Tensor:
        return values

    def gradients(
        self, gradient: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        over_x = gradient @ w if wanted[0] else None
        over_w = gradient.transpose(1, 2) @ x if wanted[1] else None
        return over_x, over_w

    def bias_gradient(self, gradient: Tensor) -> Tensor:
        return gradient.sum((0, 1))

    def products(self, x: torch.Size, w: torch.Size, y: torch.Size) -> int:
        return y.numel() * w[2]


class ApproxMatmul(ApproxLayer):
    """`a @ b` of two activations on a multiplier.

    `a` meets the activation side of the table and `b` the weight side. Leading
    dimensions broadcast as in `torch.matmul`; both need two dimensions or more.

    Args:
        spec: the answers, or a multiplier alone.
        name: how errors and reports call it.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=True)
        >>> product = ApproxMatmul(spec=LayerSpec(Quant(dynamic=True), exact))
        >>> product(torch.eye(2), torch.ones(2, 2)).round().tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """

    questions = QUESTIONS - {"gate"}
    site: Site

    def __init__(self, *, spec: Answer, name: str = "") -> None:
        super().__init__()
        self.adopt(spec, name)

    def build_sites(self, name: str) -> None:
        """One site for the two activations."""
        self.site = Site(self.spec, name, weight_axis=None)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return matmul(self.site, a, b)


def matmul(site: Site, a: Tensor, b: Tensor) -> Tensor:
    """`a @ b` at a site of two activations."""
    if site.calibrating:
        site.observe(a, b)
        return a @ b
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x, w = (
        t.expand(*lead, *t.shape[-2:]).reshape(lead.numel(), *t.shape[-2:])
        for t in (a, b.mT)
    )
    y = site.multiply(x, w, None, BatchedForm())
    return y.reshape(*lead, *y.shape[-2:])
