"""Gradients from codes: no bias, and the variance that theory gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axsim as ax
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.policies.fixed import Fixed

DRAWS, MANY = 800, 3000
BITS = 2


def draws(layer: nn.Module, x: Tensor, g: Tensor, count: int) -> list[Tensor]:
    """Gradients of input and parameters in many passes, for one gradient of outputs."""
    saved = ax.Saved(GroupAffine(), GroupAffine(), Fixed(BITS))
    net = ax.approximate(nn.Sequential(layer), ax.LayerSpec(saved=saved))
    leaf = x.clone().requires_grad_()
    sources = [leaf, *net.parameters()]
    found = [torch.autograd.grad(net(leaf), sources, g) for _ in range(count)]
    return [torch.stack(each) for each in zip(*found, strict=True)]


def exact(layer: nn.Module, x: Tensor, g: Tensor) -> list[Tensor]:
    leaf = x.clone().requires_grad_()
    return [*torch.autograd.grad(layer(leaf), [leaf, *layer.parameters()], g)]


def variance_of(x: Tensor) -> Tensor:
    """Of every element's code: p (1 - p) step^2."""
    packed = GroupAffine().encode(x, BITS)
    ranges = packed.payload[1].float().repeat_interleave(256, 0)[: x.numel()]
    low, step = (part.view(x.shape) for part in ranges.unbind(1))
    level = (x - low) / step
    part = level - level.floor()
    return part * (1 - part) * step.square()


@pytest.mark.parametrize("kind", ["linear", "convolution", "strided"])
def test_weight_gradients_have_no_bias_and_their_variance(kind: str) -> None:
    torch.manual_seed(0)
    stride = 2 if kind == "strided" else 1
    layer: nn.Module
    if kind == "linear":
        layer, x = nn.Linear(24, 6), torch.randn(40, 24)
    else:
        layer, x = nn.Conv2d(3, 4, 3, stride, padding=1), torch.randn(2, 3, 8, 8)
    g = torch.randn_like(layer(x))
    count = MANY if kind == "linear" else DRAWS
    found, expected = draws(layer, x, g, count), exact(layer, x, g)
    # Input and bias gradients do not read the codes.
    for index in (0, 2):
        torch.testing.assert_close(found[index][0], expected[index])
        assert torch.equal(found[index][0], found[index][-1])
    weights = found[1]
    error = weights.mean(0) - expected[1]
    assert ((error / (weights.std(0) / count**0.5)).abs() < 4).all()
    # An element meets the gradient of every output that it went into.
    if kind == "linear":
        met = g.square().sum(1, keepdim=True).expand_as(x)
    else:
        ones, leaf = torch.ones(4, 3, 3, 3), torch.zeros_like(x).requires_grad_()
        y = F.conv2d(leaf, ones, stride=stride, padding=1)
        (met,) = torch.autograd.grad(y, leaf, g.square())
    theory = (variance_of(x) * met).sum()
    assert 0.95 < weights.var(0).sum() / theory < 1.05


def test_batch_norms_have_exact_shifts_and_a_bias_that_falls_with_the_batch() -> None:
    torch.manual_seed(0)
    biases: list[float] = []
    for samples in (64, 1024):
        layer = nn.BatchNorm1d(16)
        x, g = torch.randn(samples, 16), torch.randn(samples, 16)
        count = DRAWS * 64 // samples
        over_x, over_weight, over_bias = draws(layer, x, g, count)
        expected = exact(layer, x, g)
        torch.testing.assert_close(over_bias[0], expected[2])
        error = over_weight.mean(0) - expected[1]
        assert ((error / (over_weight.std(0) / count**0.5)).abs() < 4.5).all()
        # The squared norm of the mean, less what chance leaves of it.
        mean = over_x.mean(0) - expected[0]
        chance = over_x.var(0).sum() / count
        square = (mean.square().sum() - chance).clamp(min=0)
        biases.append(float(square.sqrt() / expected[0].norm()))
    assert biases[0] < 0.02
    assert biases[1] < biases[0] or biases[0] == 0
