"""A converted network beside an int8 evaluation that shares nothing with axsim.

The twin quantises with PyTorch's own operators and sums products of int64 numbers; it
reads nothing from the converted network but the batch norms and shortcuts it leaves.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axsim as ax
from axsim.zoo.data.digits import digits_folds


class Int8(nn.Module):
    """A convolution or linear layer of torch on int8 or uint8 codes, in int64."""

    def __init__(self, layer: nn.Module, signed: bool) -> None:
        super().__init__()
        self.layer: Any = layer
        self.low, self.high = (-128, 127) if signed else (0, 255)
        self.signed = signed
        self.ends: list[Tensor] | None = []

    def forward(self, x: Tensor) -> Tensor:
        if self.ends is not None:
            self.ends += [x.min(), x.max()]
            return self.layer(x)
        a, w = self.parameters_of(self.seen), None
        weight: Tensor = self.layer.weight
        rows = [self.parameters_of(row.aminmax()) for row in weight.flatten(1)]
        w = torch.stack([scale for scale, _ in rows]), torch.stack([z for _, z in rows])
        shape = (-1, *[1] * (weight.dim() - 1))
        inputs = self.codes(x, *a) - a[1]
        weights = self.codes(weight, w[0].view(shape), w[1].view(shape)) - w[1].view(
            shape
        )
        if isinstance(self.layer, nn.Conv2d):
            sums = self.convolve(inputs, weights)
            shape = (-1, 1, 1)
        else:
            sums, shape = inputs @ weights.T, (-1,)
        y = sums.float() * (a[0] * w[0]).view(shape)
        bias = self.layer.bias
        return y if bias is None else y + bias.view(shape)

    def freeze(self) -> None:
        """Ends calibration."""
        assert self.ends
        self.seen = torch.stack(self.ends).aminmax()
        self.ends = None

    def parameters_of(self, ends: Any) -> tuple[Tensor, Tensor]:
        """Scale and zero point as PyTorch's min-max observers choose them."""
        low, high = ends[0].clamp(max=0), ends[1].clamp(min=0)
        if self.signed:
            scale = torch.maximum(high / 127, low / -128)
            return scale, torch.tensor(0)
        scale = (high - low) / 255
        return scale, (-low / scale).round().clamp(0, 255).long()

    def codes(self, x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        steps = (x * (1.0 / scale)).round() + zero
        return steps.clamp(self.low, self.high).long()

    def convolve(self, x: Tensor, w: Tensor) -> Tensor:
        """The sum of every tap's products, int64 throughout."""
        conv = self.layer
        (up, side), (down, right) = conv.padding, conv.stride
        padded = F.pad(x, (side, side, up, up))
        height, width = w.shape[2:]
        rows = (padded.shape[2] - height) // down + 1
        columns = (padded.shape[3] - width) // right + 1
        total = torch.zeros(len(x), len(w), rows, columns, dtype=torch.int64)
        for i in range(height):
            for j in range(width):
                tap = padded[:, :, i : i + down * rows : down]
                tap = tap[:, :, :rows, j : j + right * columns : right]
                total += torch.einsum("nchw,oc->nohw", tap, w[:, :, i, j])
        return total


def twin_of(net: nn.Module, signed: bool) -> nn.Module:
    """The network with every convolution and linear layer replaced."""
    for name, child in net.named_children():
        if isinstance(child, nn.Conv2d | nn.Linear):
            setattr(net, name, Int8(child, signed))
        else:
            twin_of(child, signed)
    return net


@pytest.mark.parametrize("table", ["mul8u_exact", "mul8s_exact"])
def test_the_exact_table_equals_an_int8_evaluation_bit_for_bit(table: str) -> None:
    def trained() -> nn.Module:
        net = ax.build_network("digits_resnet")
        return ax.load_weights(net, ax.shipped_weights("digits_resnet")).eval()

    train, test = digits_folds(0)
    seen, shown = train.images[:128], test.images[:64]
    mul = ax.load_multiplier(table)
    net = ax.approximate(trained(), mul, calibration=seen.split(50))
    twin = twin_of(trained(), signed=table == "mul8s_exact")
    layers = [module for module in twin.modules() if isinstance(module, Int8)]
    with torch.no_grad():
        for batch in seen.split(50):
            twin(batch)
        for layer in layers:
            layer.freeze()
        assert len(layers) == 8
        assert torch.equal(net(shown), twin(shown))
        assert not torch.equal(net(shown), trained()(shown))


def test_accuracy_does_not_depend_on_batches() -> None:
    """Sums are exact and ranges frozen; floats beside them round as batches fall."""
    net = ax.build_network("digits_resnet")
    ax.load_weights(net, ax.shipped_weights("digits_resnet")).eval()
    train, test = digits_folds(0)
    mul = ax.load_multiplier("mul8u_trunc_6")
    net = ax.approximate(net, mul, calibration=[train.images[:128]])
    images = test.images[:96]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = net(images)
        shuffled = torch.cat([net(part) for part in images[order].split(7)])
    assert torch.equal(shuffled.argmax(1), whole[order].argmax(1))
    torch.testing.assert_close(shuffled, whole[order], rtol=1e-3, atol=1e-3)
