"""Published numbers of gated networks, and which test proves which property.

A  goldens of quantiser, split, clip, sign and gate   this file
B  always open is the ungated layer, bit for bit      nn/test_gated_layers,
                                                      nn/test_gated_scores
C  always closed is the base, bit for bit             nn/test_gated_layers
D  high and low digits add up to the code             gating/test_bit_split
E  gradients are the closed form in float64           nn/test_gated_layers,
                                                      nn/test_gated_scores
F  higher thresholds never open more                  nn/test_gated_layers
   sparsity 0 costs all bits, 1 those of the base     gating/test_gate_report
G  counts are a recount by hooks; figures by hand     nn/test_gated_networks,
                                                      gating/test_gate_report
H  processes, checkpoints, modes, compiled: counts    nn/test_gated_networks,
                                                      gating/test_meter
I  logits do not depend on the batch, or do           nn/test_gated_networks,
                                                      recipes/test_gating_profile
J  counts of the original networks                    nn/test_gated_networks
K  a higher target closes more; a resumed run         analysis/bench/test_gate_targets,
                                                      training/test_converted_training
L  on files in the format of CIFAR-10: the recipes    cli/test_gate_option,
   and the methods beside their controls              analysis/bench/test_gate_targets
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from axsim.gating.threshold import Threshold
from axsim.quant.binary import binarise
from axsim.quant.sign_magnitude import sign_magnitude
from axsim.quant.straight_through import clip

SIXTHS = torch.tensor([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0])


def assert_near(found: Tensor, expected: list[float]) -> None:
    """S is max|x| + 1e-7, so that values are off by as much."""
    torch.testing.assert_close(found, torch.tensor(expected), atol=2e-7, rtol=0)


def test_four_bits_of_fifteenths_are_themselves() -> None:
    assert_near(sign_magnitude(SIXTHS, 4), SIXTHS.tolist())


def test_the_high_two_of_four_bits() -> None:
    high = [-0.8, -8 / 15, 0.0, 0.0, 8 / 15, 0.8]
    assert_near(sign_magnitude(SIXTHS, 4, dropped=2), high)


@pytest.mark.parametrize("dropped", [0, 2])
def test_quantiser_and_split_pass_gradients_except_at_zero(dropped: int) -> None:
    x = torch.tensor([-1.0, 0.0, 1e-9, 0.2], requires_grad=True)
    sign_magnitude(x, 4, dropped).backward(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [1, 0, 3, 4]


def test_the_clip_of_pact() -> None:
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0], requires_grad=True)
    alpha = torch.tensor(1.0, requires_grad=True)
    y = clip(x, alpha)
    y.sum().backward()
    assert y.tolist() == [0, 0, 0.5, 1, 1]
    assert x.grad is not None and alpha.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    assert alpha.grad.item() == 1


def test_signs_of_binary_weights() -> None:
    x = torch.tensor([-2.0, -0.3, 0.0, 0.3, 2.0], requires_grad=True)
    y = binarise(x)
    assert y.tolist() == [-1, -1, -1, 1, 1]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1] * 5


@pytest.mark.parametrize(
    ("sparse", "counts"), [(False, [1.0, 1.0, 1.0]), (True, [0.0, 1.0, 1.0])]
)
def test_the_surrogate_at_one_half(sparse: bool, counts: list[float]) -> None:
    """dm/ds counts below, at and above s = 1/2, where ds/dscore is alpha s (1 - s)."""
    score, none = torch.tensor([-0.1, 0.0, 0.1]), torch.zeros(1)
    s = torch.sigmoid(5 * score)
    found = Threshold(alpha=5.0, sparse=sparse).slope(score, none) / (5 * s * (1 - s))
    assert found.tolist() == counts
