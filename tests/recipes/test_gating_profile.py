"""The published code of precision gating, reproduced and held against its formulas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pg_twin import TwinConv
from torch import Tensor, nn

import axsim as ax
from axsim.errors import ConversionError, OperandError
from axsim.gating import Bits, Channels, Gate, SigmoidThreshold
from axsim.nn.conv import ApproxConv2d
from axsim.nn.matmul import ApproxMatmul
from axsim.nn.spec import LayerSpec, Quant
from axsim.quant.magnitudes import Magnitudes
from axsim.recipes import precision_gating
from axsim.tables.multiplier import Multiplier


def images(count: int, side: int = 8, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.rand(count, channels, side, side, generator=generator)


def gradients(y: Tensor, leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(5))
    return torch.autograd.grad((y * direction).sum(), leaves)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("bits", "weight_bits", "msb", "pact"),
    [(3, 8, 2, 0.8), (4, 4, 2, None), (8, 1, 3, 0.5), (3, 2, None, 0.8)],
)
def test_a_layer_is_its_twin_forward_and_backward(
    bits: int, weight_bits: int, msb: int | None, pact: float | None, sparse: bool
) -> None:
    # Off 0, where sums of few levels cancel but for their rounding.
    decide = SigmoidThreshold(alpha=5.0, sparse=sparse, start=0.013)
    gate = None if msb is None else Gate(Bits(msb), decide)
    spec = LayerSpec(Magnitudes(bits, weight_bits, pact), gate=gate)
    torch.manual_seed(0)
    layer = ApproxConv2d(4, 6, 3, stride=2, padding=1, bias=False, spec=spec)
    twin = TwinConv(layer, bits, weight_bits, msb, 5.0, sparse, pact)
    # Some inputs are 0, as behind a ReLU, and some beyond the clip.
    x = (images(5, 9, 4) * 1.5 - 0.4).relu().requires_grad_()
    mine, others = [x, layer.weight], [x, twin.weight]
    if layer.gate is not None and layer.gate.threshold is not None:
        mine.append(layer.gate.threshold)
        others.append(twin.threshold)
    if layer.levels is not None and layer.levels.clip is not None:
        mine.append(layer.levels.clip.alpha)
        others.append(twin.clip)  # pyright: ignore[reportArgumentType]
    y, expected = layer(x), twin(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    pairs = zip(gradients(y, mine), gradients(expected, others), strict=True)
    for found, other in pairs:
        torch.testing.assert_close(found, other.view_as(found), rtol=1e-4, atol=1e-4)
    if layer.gate is not None:
        assert 0 < layer.gate.meter.read().sparsity < 1


def converted(**settings: Any) -> nn.Module:
    torch.manual_seed(0)
    net = ax.build_network("digits_resnet", pact=2.0)
    rules = precision_gating(3, 8, 2, pact=None, profile="dnn-gating", **settings)
    return ax.approximate(net, rules)


def test_a_network_is_its_twin() -> None:
    net = converted(start=0.013)
    torch.manual_seed(0)
    twin = ax.build_network("digits_resnet", pact=2.0)
    for stage in (twin.stage1, twin.stage2, twin.stage3):
        for block in stage:  # pyright: ignore[reportGeneralTypeIssues]
            block.conv1 = TwinConv(block.conv1, 3, 8, 2)
            block.conv2 = TwinConv(block.conv2, 3, 8, None)
    y, expected = net(images(8)), twin(images(8))
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    alphas = [[p for n, p in each.named_parameters() if n.endswith("alpha")]
              for each in (net, twin)]  # fmt: skip
    # The stem's, and one for each of three blocks.
    assert len(alphas[0]) == 4
    for found, other in zip(gradients(y, alphas[0]), gradients(expected, alphas[1]),
                            strict=True):  # fmt: skip
        torch.testing.assert_close(found, other, rtol=1e-3, atol=1e-3)


def test_the_original_network_has_its_parameters() -> None:
    net = ax.build_network("cifar_resnet20", pact=6.0)
    rules = precision_gating(3, 8, 2, pact=None, profile="dnn-gating")
    made = ax.approximate(net, rules)
    assert sum(p.numel() for p in made.parameters()) == 270_068
    assert len(ax.plan(made).gates) == 9


def test_evaluation_depends_on_how_batches_are_split() -> None:
    """Unlike that of the default profile, see nn/test_gated_networks."""
    net, x = converted().eval(), images(8)
    with torch.no_grad():
        alone = torch.cat([net(each[None]) for each in x])
        assert (alone - net(x)).abs().max() > 0.01


def test_the_summary_says_it_and_a_saved_network_computes_alike(tmp_path: Path) -> None:
    net = converted().eval()
    with torch.no_grad():
        net(images(3))
    assert 0 < ax.plan(net).gate_report().sparsity < 1
    ax.plan(net).reset_gates()
    assert "3 x 8 bits of magnitude, ranged by batch" in str(ax.summary(net))
    ax.save_network(net, tmp_path, network="digits_resnet", options={"pact": 2.0})
    loaded = ax.load_network(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(images(3)), net(images(3)))
    assert ax.plan(loaded).gate_report() == ax.plan(net).gate_report()


EXACT = Multiplier.from_function(lambda a, b: a * b, signed=True)
LEVELS = Magnitudes(3, 8)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: precision_gating(profile="legacy"),  # pyright: ignore[reportArgumentType]
         ConversionError, "profile='legacy'; choose one of 'axsim', 'dnn-gating'"),
        (lambda: precision_gating(mul=EXACT, profile="dnn-gating"),
         ConversionError, "sums in floating point, .* leave out mul="),
        (lambda: Magnitudes(0, 8), OperandError, "activation=0; a magnitude has 1 to"),
        (lambda: Magnitudes(3, 9), OperandError, "weight=9; a magnitude has 1 to 8"),
        (lambda: ApproxConv2d(4, 4, 3, spec=LayerSpec(Magnitudes(3, 8, -1.0))),
         OperandError, "alpha=-1.0; the first clip is finite and above 0"),
        (lambda: ApproxConv2d(4, 4, 3, spec=LayerSpec(LEVELS, EXACT), name="c"),
         ConversionError, "'c' has magnitudes .* and a multiplier, .*quant=Quant"),
        (lambda: ApproxConv2d(4, 4, 3, name="c", spec=LayerSpec(
            LEVELS, gate=Gate(Channels(2)))),
         ConversionError, "'c' has magnitudes .* only Bits splits them"),
        (lambda: ApproxConv2d(4, 4, 3, name="c", spec=LayerSpec(
            LEVELS, gate=Gate(Bits(3)))),
         ConversionError, "'c' has codes of 3 bits and msb=3"),
        (lambda: ApproxMatmul(spec=LayerSpec(LEVELS), name="qk"),
         ConversionError, "'qk' is a ApproxMatmul, which has no magnitudes"),
    ],
)  # fmt: skip
def test_what_magnitudes_cannot_do_is_refused(
    make: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make()


def test_codes_and_magnitudes_do_not_unite() -> None:
    both = precision_gating(profile="dnn-gating") | ax.recipes.precision_gating()
    with pytest.raises(ConversionError, match="has two answers to"):
        ax.approximate(ax.build_network("digits_resnet"), both)


def test_codes_have_the_default_profile() -> None:
    assert precision_gating() == precision_gating(profile="axsim")
    assert isinstance(precision_gating()[0][0].answers().quant, Quant)
