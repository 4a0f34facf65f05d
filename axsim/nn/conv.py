"""Convolutions on codes, with the constructors and state-dict keys of torch's."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .forms import ConvolutionForm
from .layer import WeightedLayer


class ApproxConv1d(WeightedLayer, nn.Conv1d):
    """`torch.nn.Conv1d` on a multiplier, which `spec=` names."""

    def forward(self, input: Tensor) -> Tensor:
        if self.site.calibrating:
            self.site.observe(input)
            return nn.Conv1d.forward(self, input)
        return convolve(self, input)


class ApproxConv2d(WeightedLayer, nn.Conv2d):
    """`torch.nn.Conv2d` on a multiplier, which `spec=` names.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> layer = ApproxConv2d(3, 8, 3, padding=1, spec=exact)
        >>> [name for name, _ in layer.named_parameters()]
        ['weight', 'bias']
    """

    def forward(self, input: Tensor) -> Tensor:
        if self.site.calibrating:
            self.site.observe(input)
            return nn.Conv2d.forward(self, input)
        return convolve(self, input)


class ApproxConv3d(WeightedLayer, nn.Conv3d):
    """`torch.nn.Conv3d` on a multiplier, which `spec=` names."""

    def forward(self, input: Tensor) -> Tensor:
        if self.site.calibrating:
            self.site.observe(input)
            return nn.Conv3d.forward(self, input)
        return convolve(self, input)


def convolve(
    layer: ApproxConv1d | ApproxConv2d | ApproxConv3d, input: Tensor
) -> Tensor:
    """The layer's output on codes, with every padding mode of torch."""
    batched = input.dim() == len(layer.kernel_size) + 2
    x = input if batched else input.unsqueeze(0)
    before, after = _borders(layer)
    if layer.padding_mode != "zeros":
        spans = zip(before[::-1], after[::-1], strict=True)
        x = F.pad(x, [side for span in spans for side in span], layer.padding_mode)
        before = (0,) * len(before)
    elif before != after:
        # "same" padding of an even kernel: one more zero behind than in front.
        spans = zip(before[::-1], after[::-1], strict=True)
        x = F.pad(x, [e for low, high in spans for e in (0, high - low)])
    form = ConvolutionForm(layer.stride, before, layer.dilation, layer.groups)
    y = layer.site.multiply(x, layer.weight, layer.bias, form)
    return y if batched else y.squeeze(0)


def _borders(
    layer: nn.Conv1d | nn.Conv2d | nn.Conv3d,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and behind each spatial dimension."""
    if layer.padding == "valid":
        none = (0,) * len(layer.kernel_size)
        return none, none
    if isinstance(layer.padding, str):
        taps = zip(layer.kernel_size, layer.dilation, strict=True)
        spans = [dilation * (kernel - 1) for kernel, dilation in taps]
        return tuple(s // 2 for s in spans), tuple(s - s // 2 for s in spans)
    return layer.padding, layer.padding
