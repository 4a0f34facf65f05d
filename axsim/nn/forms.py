"""Forms of a product layer: what is summed into what, in integers and in floats.

On codes a layer computes, with T the sum of looked-up products over K terms,

    y = s_a s_w (T - z_w sum(q_a) - z_a sum(q_w) + K z_a z_w) + bias.

A form knows T, the two sums and K for its shape, and the gradients of the float
operation it stands for. What it returns broadcasts against T.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..kernels import ops
from ..kernels.contract import Convolution, check_matmul, describe_convolution
from ..tables.multiplier import Multiplier

FLOAT32_WHOLE = 1 << 24
CONVOLVE = (F.conv1d, F.conv2d, F.conv3d)

# A layer is called with the same shapes again and again.
_describe = lru_cache(maxsize=1024)(describe_convolution)


class Form(Protocol):
    """What a product layer of some kind offers."""

    @property
    def pads(self) -> bool:
        """Whether x gets a border."""
        ...

    def sums(
        self, x: Tensor, w: Tensor, mul: Multiplier, pad_code: int | None, backend: str
    ) -> Tensor:
        """T from raw codes; a padded tap is `pad_code`, or skipped if None."""
        ...

    def activation_sums(self, x: Tensor, w: torch.Size, pad: int | None) -> Tensor:
        """sum(q_a) of whole numbers; a padded tap counts as `pad`, None as nothing."""
        ...

    def weight_sums(
        self, w: Tensor, x: torch.Size, skip: bool
    ) -> tuple[Tensor, Tensor | int]:
        """sum(q_w) and K; where padded taps are skipped both depend on the place."""
        ...

    def per_output(self, values: Tensor) -> Tensor:
        """One number for each output, or a single one, in the shape that broadcasts."""
        ...

    def gradients(
        self, gradient: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of the float operation with respect to x and w."""
        ...

    def bias_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient summed over all but the outputs."""
        ...

    def products(self, x: torch.Size, w: torch.Size, y: torch.Size) -> int:
        """How many products an output of shape y takes."""
        ...


class GateForm(Form, Protocol):
    """A form whose products a gate can split.

    Attributes:
        channel_axis: of the input's channels, and of the outputs in the output, each of
            which has a threshold.
        tile_axis: of the outputs that hardware computes in blocks.
    """

    channel_axis: ClassVar[int]
    tile_axis: ClassVar[int]


class SplitForm(GateForm, Protocol):
    """A form of weights, whose channels a gate can split too."""

    def reals(self, x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
        """The float operation."""
        ...


@dataclass(frozen=True)
class LinearForm:
    """x[..., K] times w[N, K], all leading dimensions alike."""

    channel_axis: ClassVar[int] = -1
    tile_axis: ClassVar[int] = -1
    pads = False

    def sums(
        self, x: Tensor, w: Tensor, mul: Multiplier, pad_code: int | None, backend: str
    ) -> Tensor:
        raw = ops.lut_matmul(x.reshape(-1, x.shape[-1]), w, mul, backend)
        return raw.reshape(*x.shape[:-1], w.shape[0])

    def activation_sums(self, x: Tensor, w: torch.Size, pad: int | None) -> Tensor:
        return x.sum(-1, keepdim=True, dtype=torch.int32)

    def weight_sums(
        self, w: Tensor, x: torch.Size, skip: bool
    ) -> tuple[Tensor, Tensor | int]:
        return w.sum(1, dtype=torch.int32), w.shape[1]

    def reals(self, x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.linear(x, w, bias)

    def shape(self, x: torch.Size, w: torch.Size) -> Convolution:
        """Rows are images of one pixel.

        Raises:
            OperandError: where rows and weights are not equally long.
        """
        rows, one, none = prod(x[:-1]), (1,), (0,)
        check_matmul((rows, x[-1]), w)
        return Convolution(rows, x[-1], w[0], one, one, one, none, one, 1)

    def per_output(self, values: Tensor) -> Tensor:
        return values

    def gradients(
        self, gradient: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        over_x = gradient @ w if wanted[0] else None
        rows = gradient.reshape(-1, gradient.shape[-1])
        over_w = rows.T @ x.reshape(-1, x.shape[-1]) if wanted[1] else None
        return over_x, over_w

    def bias_gradient(self, gradient: Tensor) -> Tensor:
        return gradient.reshape(-1, gradient.shape[-1]).sum(0)

    def products(self, x: torch.Size, w: torch.Size, y: torch.Size) -> int:
        return prod(y) * w[1]


@dataclass(frozen=True)
class ConvolutionForm:
    """A convolution over 1, 2 or 3 dimensions, padded alike on both sides."""

    channel_axis: ClassVar[int] = 1
    tile_axis: ClassVar[int] = 1

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def pads(self) -> bool:
        return any(self.padding)

    def sums(
        self, x: Tensor, w: Tensor, mul: Multiplier, pad_code: int | None, backend: str
    ) -> Tensor:
        paths: tuple[Callable[..., Tensor], ...] = (
            ops.lut_conv1d,
            ops.lut_conv2d,
            ops.lut_conv3d,
        )
        settings = (self.stride, self.padding, self.dilation, self.groups)
        return paths[len(self.stride) - 1](x, w, mul, *settings, pad_code, backend)

    def activation_sums(self, x: Tensor, w: torch.Size, pad: int | None) -> Tensor:
        per_group = x.shape[1] // self.groups
        grouped = x.reshape(x.shape[0], self.groups, per_group, *x.shape[2:])
        # One channel a group is left to convolve, with ones.
        channels = grouped.sum(2, dtype=torch.int32)
        taps = torch.ones(self.groups, 1, *w[2:])
        if pad:
            border = [
                p for padding in reversed(self.padding) for p in (padding, padding)
            ]
            channels = F.pad(channels, border, value=pad * per_group)
        padding = 0 if pad else self.padding
        peak = 255 * per_group * prod(w[2:])
        sums = _whole(
            channels, taps, peak, self.stride, padding, self.dilation, self.groups
        )
        return (
            sums if self.groups == 1 else sums.repeat_interleave(w[0] // self.groups, 1)
        )

    def weight_sums(
        self, w: Tensor, x: torch.Size, skip: bool
    ) -> tuple[Tensor, Tensor | int]:
        if not skip or not any(self.padding):
            total = w.flatten(1).sum(1, dtype=torch.int32)
            return self.per_output(total), prod(w.shape[1:])
        inside = w.new_ones(1, 1, *x[2:], dtype=torch.int32)
        settings = (self.stride, self.padding, self.dilation)
        peak = 255 * prod(w.shape[1:])
        taps = w.sum(1, keepdim=True, dtype=torch.int32)
        sums = _whole(inside, taps, peak, *settings)
        ones = torch.ones_like(taps[:1])
        return sums, _whole(inside, ones, peak, *settings) * w.shape[1]

    def reals(self, x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
        convolve = CONVOLVE[len(self.stride) - 1]
        return convolve(
            x,
            w,
            bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,  # pyright: ignore[reportArgumentType]
        )

    def shape(self, x: torch.Size, w: torch.Size) -> Convolution:
        """The convolution of operands of these shapes."""
        return _describe(x, w, self.stride, self.padding, self.dilation, self.groups)

    def per_output(self, values: Tensor) -> Tensor:
        return values if values.dim() == 0 else values.view(-1, *[1] * len(self.stride))

    def gradients(
        self, gradient: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        over_x, over_w, _ = torch.ops.aten.convolution_backward(
            gradient, x, w, None, self.stride, self.padding, self.dilation, False,
            [0] * len(self.stride), self.groups, [*wanted, False],
        )  # fmt: skip
        return over_x, over_w

    def bias_gradient(self, gradient: Tensor) -> Tensor:
        return gradient.sum([0, *range(2, gradient.dim())])

    def products(self, x: torch.Size, w: torch.Size, y: torch.Size) -> int:
        return prod(y) * prod(w[1:])


def _whole(x: Tensor, w: Tensor, peak: int, *settings: object) -> Tensor:
    """A convolution of whole numbers, in floats that hold every partial sum."""
    kind = torch.float32 if peak < FLOAT32_WHOLE else torch.float64
    convolve = CONVOLVE[x.dim() - 3]
    exact = convolve(x.to(kind), w.to(x.device, kind), None, *settings)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return exact.to(torch.int32)
