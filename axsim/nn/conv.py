"""Convolutions on codes, with the constructors and state-dict keys of torch's."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..tables.multiplier import Multiplier
from .forms import ConvolutionForm
from .layer import ProductLayer
from .spec import LayerSpec, Product


class _Convolution(ProductLayer, nn.modules.conv._ConvNd):
    def __init__(
        self,
        *args: Any,
        spec: LayerSpec | Multiplier | Product,
        name: str = "",
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.adopt(spec, name)

    def forward(self, input: Tensor) -> Tensor:
        if self.input_quantizer.calibrating:
            self.input_quantizer.observe(input)
            return super().forward(input)
        batched = input.dim() == len(self.kernel_size) + 2
        x = input if batched else input.unsqueeze(0)
        left, right = self._borders()
        if self.padding_mode != "zeros":
            x = F.pad(x, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        elif left != right:
            # Uneven "same" padding: what is more on the right is real zeros.
            extra = [
                e
                for lo, hi in zip(left[::-1], right[::-1], strict=True)
                for e in (0, hi - lo)
            ]
            x = F.pad(x, extra)
        y = self.multiply(x)
        return y if batched else y.squeeze(0)

    def form(self) -> ConvolutionForm:
        """What the layer sums into what."""
        none = (0,) * len(self.kernel_size)
        padding = self._borders()[0] if self.padding_mode == "zeros" else none
        return ConvolutionForm(self.stride, padding, self.dilation, self.groups)

    def _borders(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Padding before and after each spatial dimension."""
        pairs = self._reversed_padding_repeated_twice
        return tuple(pairs[-2::-2]), tuple(pairs[-1::-2])


class ApproxConv1d(_Convolution, nn.Conv1d):
    """`torch.nn.Conv1d` on a multiplier; `spec=` names it."""


class ApproxConv2d(_Convolution, nn.Conv2d):
    """`torch.nn.Conv2d` on a multiplier; `spec=` names it.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> layer = ApproxConv2d(3, 8, 3, padding=1, spec=exact)
        >>> [name for name, _ in layer.named_parameters()]
        ['weight', 'bias']
    """


class ApproxConv3d(_Convolution, nn.Conv3d):
    """`torch.nn.Conv3d` on a multiplier; `spec=` names it."""
