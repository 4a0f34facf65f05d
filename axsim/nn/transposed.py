"""Transposed convolution on codes, without products of inserted zeros."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..kernels import ops
from ..tables.multiplier import Multiplier
from .layer import WeightedLayer
from .spec import QUESTIONS


@dataclass(frozen=True)
class TransposedForm:
    """x[N, C, H, W] spread by w[C, O/groups, kh, kw] into a larger map.

    Every input is multiplied with every tap, and the products are added where they
    belong. The zeros that textbooks insert between inputs are no products in hardware
    and none here; `pad=` therefore makes no difference.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    outputs: int
    pads = False

    def sums(
        self, x: Tensor, w: Tensor, mul: Multiplier, pad_code: int | None, backend: str
    ) -> Tensor:
        # One 1x1 convolution gives the products of all taps, tap by tap.
        grouped = w.unflatten(0, (self.groups, -1))  # (G, C/G, O/G, kh, kw)
        taps = grouped.permute(0, 3, 4, 2, 1).reshape(-1, grouped.shape[1], 1, 1)
        raw = ops.lut_conv2d(x, taps, mul, groups=self.groups, backend=backend)
        return self._spread(raw, w.shape)

    def activation_sums(self, x: Tensor, w: torch.Size, pad: int | None) -> Tensor:
        per_group = x.unflatten(1, (self.groups, -1)).sum(2, dtype=torch.int32)
        copies = per_group.repeat_interleave(w[1] * w[2] * w[3], 1)
        return self._spread(copies, w)

    def weight_sums(
        self, w: Tensor, x: torch.Size, skip: bool
    ) -> tuple[Tensor, Tensor | int]:
        # How many inputs meet at a place depends on the place.
        per_tap = w.unflatten(0, (self.groups, -1)).sum(1, dtype=torch.int32)
        taps = per_tap.permute(0, 2, 3, 1).reshape(1, -1, 1, 1)
        sums = self._spread(taps.expand(-1, -1, *x[2:]), w.shape)
        ones = torch.ones_like(taps).expand(-1, -1, *x[2:])
        return sums, self._spread(ones, w.shape) * (x[1] // self.groups)

    def per_output(self, values: Tensor) -> Tensor:
        if values.dim() == 0:
            return values
        # The weight's second dimension, and so its scales, serve every group.
        return values.repeat(self.outputs // len(values)).view(-1, 1, 1)

    def gradients(
        self, gradient: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        over_x, over_w, _ = torch.ops.aten.convolution_backward(
            gradient, x, w, None, self.stride, self.padding, self.dilation, True,
            self.output_padding, self.groups, [*wanted, False],
        )  # fmt: skip
        return over_x, over_w

    def bias_gradient(self, gradient: Tensor) -> Tensor:
        return gradient.sum([0, 2, 3])

    def products(self, x: torch.Size, w: torch.Size, y: torch.Size) -> int:
        return x.numel() * w[1:].numel()

    def _spread(self, raw: Tensor, w: torch.Size) -> Tensor:
        """Products of all taps, (N, G·kh·kw·O/G, H, W), added into the output map."""
        height, width = w[2:]
        taps = raw.unflatten(1, (self.groups, height, width, w[1]))
        size = [
            (n - 1) * s + d * (k - 1) + 1 + o
            for n, s, d, k, o in zip(
                raw.shape[2:], self.stride, self.dilation, w[2:], self.output_padding,
                strict=True,
            )
        ]  # fmt: skip
        out = raw.new_zeros(len(raw), self.groups, w[1], *size)
        rows, columns = raw.shape[2:]
        for i, j in product(range(height), range(width)):
            top, left = i * self.dilation[0], j * self.dilation[1]
            bottom = top + (rows - 1) * self.stride[0] + 1
            right = left + (columns - 1) * self.stride[1] + 1
            place = out[
                ..., top : bottom : self.stride[0], left : right : self.stride[1]
            ]
            place += taps[:, :, i, j]
        up, side = self.padding
        cut = out[..., up : size[0] - up, side : size[1] - side]
        return cut.flatten(1, 2)


class ApproxConvTranspose2d(WeightedLayer, nn.ConvTranspose2d):  # pyright: ignore[reportIncompatibleMethodOverride]
    """`torch.nn.ConvTranspose2d` on a multiplier, which `spec=` names."""

    kind = "transposed"
    weight_axis = 1
    questions = QUESTIONS - {"gate"}

    def placed(
        self,
        input: Tensor,
        output_size: list[int] | None = None,
        *args: Any,
        **settings: Any,
    ) -> tuple[Tensor, TransposedForm]:
        x = input if input.dim() == 4 else input.unsqueeze(0)
        padding = cast("tuple[int, ...]", self.padding)
        extra = self._output_padding(
            x, output_size, [*self.stride], [*padding], [*self.kernel_size], 2,
            [*self.dilation],
        )  # fmt: skip
        form = TransposedForm(
            self.stride, padding, (*extra,), self.dilation, self.groups,
            self.out_channels,
        )  # fmt: skip
        return x, form
