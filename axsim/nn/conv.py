"""Convolutions on codes, with the constructors and state-dict keys of torch's."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from .forms import ConvolutionForm
from .layer import WeightedLayer


class _Convolution(WeightedLayer, _ConvNd):
    """What convolutions over 1, 2 and 3 dimensions share."""

    def forward(self, input: Tensor) -> Tensor:
        if self.site.calibrating:
            self.site.observe(input)
            return super().forward(input)
        batched = input.dim() == len(self.kernel_size) + 2
        x = input if batched else input.unsqueeze(0)
        before, after = self._borders()
        if self.padding_mode != "zeros":
            x = F.pad(x, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            before = (0,) * len(before)
        elif before != after:
            # "same" padding of an even kernel: one more zero behind than in front.
            spans = zip(before[::-1], after[::-1], strict=True)
            x = F.pad(x, [e for low, high in spans for e in (0, high - low)])
        form = ConvolutionForm(self.stride, before, self.dilation, self.groups)
        y = self.multiply(x, form)
        return y if batched else y.squeeze(0)

    def _borders(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Padding before and behind each spatial dimension."""
        pairs = self._reversed_padding_repeated_twice
        return tuple(pairs[-2::-2]), tuple(pairs[-1::-2])


class ApproxConv1d(_Convolution, nn.Conv1d):
    """`torch.nn.Conv1d` on a multiplier, which `spec=` names."""


class ApproxConv2d(_Convolution, nn.Conv2d):
    """`torch.nn.Conv2d` on a multiplier, which `spec=` names.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> layer = ApproxConv2d(3, 8, 3, padding=1, spec=exact)
        >>> [name for name, _ in layer.named_parameters()]
        ['weight', 'bias']
    """


class ApproxConv3d(_Convolution, nn.Conv3d):
    """`torch.nn.Conv3d` on a multiplier, which `spec=` names."""
