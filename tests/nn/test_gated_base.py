"""A base that tells its sums gives what one with its sums beside it gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from axsim.gating.bits import Bits
from axsim.gating.channels import Channels
from axsim.gating.gate import Gate
from axsim.gating.threshold import Threshold
from axsim.nn.conv import ApproxConv2d
from axsim.nn.linear import ApproxLinear
from axsim.nn.pieces import Sums
from axsim.nn.spec import LayerSpec, Product, Quant
from axsim.quant.scheme import PerAxis, Scheme
from axsim.tables.catalogue import multipliers

UNSIGNED = Scheme(symmetric=True)
SIGNED = Scheme(signed=True, symmetric=True, narrow=True, granularity=PerAxis(0))
(LOA,) = multipliers("mul8u_loa_6")


def outcome(layer: Any, x: Tensor) -> list[Any]:
    """The output and all gradients."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    y = layer(x)
    (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
    return [y, x.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("split", [Bits(4), Bits(3), Channels(4)], ids=str)
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("kind", [ApproxConv2d, ApproxLinear])
def test_the_base_tells_its_sums(
    split: Any, normalise: bool, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    gate = Gate(split, Threshold(start=0.02, normalise=normalise, sparse=True))
    product = Product(LOA, signs="sign-magnitude")
    spec = LayerSpec(Quant(UNSIGNED, SIGNED), product, gate)
    linear = kind is ApproxLinear
    sizes: Any = (16, 24) if linear else (16, 24, 3, 1, 1)
    layer: Any = kind(*sizes, spec=spec)
    layer.site.input_quantizer.fix(torch.tensor(1 / 255), torch.tensor(0))
    layer.eval()
    x = torch.rand(40, 16) if linear else torch.rand(3, 16, 9, 20)
    told, real_base = list[bool](), Sums.real_base

    def noting(*arguments: Any) -> Tensor | None:
        found = real_base(*arguments)
        told.append(found is not None)
        return found

    monkeypatch.setattr(Sums, "real_base", noting)
    found = outcome(layer, x)
    assert any(told)
    monkeypatch.setattr(Sums, "real_base", lambda *_: None)
    assert 0 < layer.gate.meter.read().sparsity < 1
    for a, b in zip(found, outcome(layer, x), strict=True):
        assert torch.equal(a, b)


def test_sums_that_a_base_cannot_tell_stay_beside_it() -> None:
    gate = Gate(Channels(2), Threshold())
    product = Product(LOA, signs="sign-magnitude")
    spec = LayerSpec(Quant(UNSIGNED, SIGNED), product, gate)
    torch.manual_seed(0)
    layer: Any = ApproxLinear(2048, 4, spec=spec)
    layer.site.input_quantizer.fix(torch.tensor(1 / 255), torch.tensor(0))
    x, a, w = layer.site.operands(torch.rand(20, 2048), layer.weight)
    _, form = layer.placed(x)
    assert layer.site.sums.real_base(a, w, form) is None
    assert layer(x).isfinite().all()
