"""Convolutions on codes, with the constructors and state-dict keys of torch's."""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from .forms import ConvolutionForm
from .layer import WeightedLayer


class Convolution(WeightedLayer):
    """A convolution of any number of dimensions, with every padding mode of torch."""

    kind = "convolution"
    sums_reals = True
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"]

    def placed(
        self, input: Tensor, *args: Any, **settings: Any
    ) -> tuple[Tensor, ConvolutionForm]:
        batched = input.dim() == len(self.kernel_size) + 2
        x = input if batched else input.unsqueeze(0)
        before, after = borders(self.kernel_size, self.padding, self.dilation)
        if self.padding_mode != "zeros":
            spans = zip(before[::-1], after[::-1], strict=True)
            x = F.pad(x, [side for span in spans for side in span], self.padding_mode)
            before = after = (0,) * len(before)
        x = pad_behind(x, before, after)
        return x, ConvolutionForm(self.stride, before, self.dilation, self.groups)


class ApproxConv1d(Convolution, nn.Conv1d):
    """`torch.nn.Conv1d` on a multiplier, which `spec=` names."""


class ApproxConv2d(Convolution, nn.Conv2d):
    """`torch.nn.Conv2d` on a multiplier, which `spec=` names.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> layer = ApproxConv2d(3, 8, 3, padding=1, spec=exact)
        >>> [name for name, _ in layer.named_parameters()]
        ['weight', 'bias']
    """


class ApproxConv3d(Convolution, nn.Conv3d):
    """`torch.nn.Conv3d` on a multiplier, which `spec=` names."""


def borders(
    kernel_size: tuple[int, ...],
    padding: str | tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding before and behind each spatial dimension."""
    if padding == "valid":
        none = (0,) * len(kernel_size)
        return none, none
    if isinstance(padding, str):
        taps = zip(kernel_size, dilation, strict=True)
        spans = [step * (kernel - 1) for kernel, step in taps]
        return tuple(s // 2 for s in spans), tuple(s - s // 2 for s in spans)
    return padding, padding


def pad_behind(x: Tensor, before: tuple[int, ...], after: tuple[int, ...]) -> Tensor:
    """The zeros that "same" padding of an even kernel has behind and not in front."""
    if before == after:
        return x
    spans = zip(before[::-1], after[::-1], strict=True)
    return F.pad(x, [e for low, high in spans for e in (0, high - low)])
