"""Recipes of activations: the levels, selections and bytes that were published."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.errors import AxsimWarning, ConversionError, OperandError
from axsim.memory.ledger import Line
from axsim.memory.policies.error_budget import ErrorBudget
from axsim.memory.policies.greedy import Greedy
from axsim.nn.recipe import Recipe

r = ax.recipes


def step(net: nn.Module, x: Tensor) -> list[Line]:
    """Lines of the account of one step."""
    net(x).square().mean().backward()
    lines = ax.plan(net).store.ledger.lines
    ax.plan(net).after_step()
    return lines


def coded(net: nn.Module, recipe: Recipe, shape: tuple[int, ...]) -> list[Line]:
    return step(ax.approximate(net, recipe), torch.randn(shape))


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return ax.build_network("cifar_resnet20")


@pytest.mark.parametrize(
    ("recipe", "product_bits", "norm_bits"),
    [
        (r.actnn("L0"), 32, 32),
        (r.actnn("L1"), 4, 32),
        (r.actnn("L2"), 4, 4),
        (r.actnn("L2", bits=8), 8, 8),
        (r.actnn("L3"), 2, 2),
        (r.gact("L1.2"), 2, 2),
        (r.acgc("quant", bits=6), 6, 6),
    ],
)
def test_levels_have_their_bits(
    recipe: Recipe, product_bits: int, norm_bits: int, resnet: nn.Module
) -> None:
    lines = coded(resnet, recipe, (2, 3, 32, 32))
    for place, bits in (("conv", product_bits), ("bn", norm_bits)):
        of_kind = [n for n in lines if place in n.slot]
        kept = 8 * sum(n.kept for n in of_kind) / sum(n.elements for n in of_kind)
        assert kept == pytest.approx(bits, rel=0.08)
    assert {n.bits for n in lines if "relu" in n.slot} == {1}


def test_two_bits_on_average_are_kept_in_later_steps_too(resnet: nn.Module) -> None:
    net = ax.approximate(resnet, r.actnn("L3"))
    x = torch.randn(4, 3, 32, 32)
    lines: list[Line] = []
    for _ in range(3):
        lines = [n for n in step(net, x) if n.codec == "GroupAffine"]
        total = 8 * sum(n.kept for n in lines) / sum(n.elements for n in lines)
        assert 1.9 < total < 2.4
    # Bits moved to where they are worth most.
    assert max(n.bits for n in lines) > 3


def test_blpa_keeps_one_code_for_three_layers() -> None:
    net = ax.build_network("preact_resnet56")
    lines = coded(net, r.blpa(bits=4), (4, 3, 32, 32))
    norms = [n for n in lines if n.codec == "BatchNormCodes"]
    assert len(norms) == 55
    # Of each triple torch keeps the inputs of batch norm and convolution.
    exact = 2 * 4 * sum(n.elements for n in norms)
    metadata = sum(8 * net.get_submodule(n.slot).num_features for n in norms)  # pyright: ignore[reportOperatorIssue]
    assert exact / (sum(n.kept for n in norms) - metadata) == 16
    shared = [n.slot for n in lines if n.shared]
    assert len(shared) == 54
    assert [n.slot for n in lines if n.codec == "Identity" and n.kept] == [
        "stem.conv", "head",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "tensors"), [("CNV", 40), ("BN", 43), (("CNV", "BN"), 83)]
)
def test_acgc_selects_what_was_published(
    selector: str | tuple[str, ...], tensors: int
) -> None:
    net = ax.approximate(ax.build_network("acgc_resnet50"), r.acgc("quant", selector))
    net(torch.randn(2, 3, 32, 32))
    lines = ax.plan(net).store.ledger.lines
    chosen = [n for n in lines if n.codec == "FixedPoint" and n.kept]
    assert len(chosen) == tensors
    assert not any(n.slot.startswith("res5.1") for n in chosen)


@pytest.mark.parametrize("mode", ["autoquant", "autoquantz"])
def test_acgc_keeps_the_gradients_error_in_its_budget(
    mode: str, resnet: nn.Module
) -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 3, 32, 32)
    e2 = 0.1
    net = ax.approximate(resnet, r.acgc(cast(Any, mode), e2=e2))
    first = step(net, x)
    assert max(n.bits for n in first if "conv" in n.slot) > 8
    net.zero_grad()
    second = step(net, x)
    before, after = (sum(n.kept for n in lines) for lines in (first, second))
    assert after < 0.6 * before
    resnet.train().zero_grad()
    resnet(x).square().mean().backward()
    for (name, a), b in zip(net.named_parameters(), resnet.parameters(), strict=True):
        if "conv" in name:
            assert a.grad is not None and b.grad is not None
            assert (a.grad - b.grad).square().sum() <= e2 * b.grad.square().sum()


def test_zero_values_take_a_mask(resnet: nn.Module) -> None:
    plain, sparse = (
        {n.slot: n.bits for n in coded(resnet, r.acgc(mode), (2, 3, 32, 32))}
        for mode in ("quant", "quantz")
    )
    # Behind a ReLU half is zero; in front of it nothing is.
    assert sparse["stage2.1.conv2"] < 0.75 * plain["stage2.1.conv2"]
    assert sparse["stage2.1.bn2"] <= plain["stage2.1.bn2"]


def test_recipes_combine_with_tables_and_with_each_other(resnet: nn.Module) -> None:
    mul = ax.Multiplier.from_function(lambda a, b: a * b, signed=False)
    both = ax.approximate(resnet, r.tfapprox(mul) | r.actnn("L2"))
    alone = ax.approximate(resnet, r.tfapprox(mul))
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(both.eval()(x), alone.eval()(x))
    lines = {(n.slot, n.codec): n for n in step(both.train(), x)}
    assert lines["stage1.0.conv1", "Identity"].bits == 8
    assert lines["stage1.0.bn1", "GroupAffine"].bits < 5
    with pytest.raises(ConversionError, match="two answers to saved"):
        ax.approximate(resnet, r.blpa() | r.actnn("L2"))


def test_a_rest_rule_may_be_left_without_layers() -> None:
    net = nn.Sequential(nn.Linear(4, 4))
    ax.approximate(net, r.acgc("quant", "0"))
    with pytest.raises(ConversionError, match="matched no layer"):
        ax.approximate(net, r.acgc("quant", "CNV"))


def test_sample_indices_are_asked_for(resnet: nn.Module) -> None:
    net = ax.approximate(resnet, r.actnn("L3", by_sample_index=True))
    x = torch.randn(4, 3, 32, 32)
    ax.plan(net).begin_step(torch.arange(4))
    step(net, x)
    with pytest.raises(OperandError, match=r"let the data set return \(index, sample"):
        step(net, x)


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a machine without CUDA")
def test_swapping_without_a_gpu_says_so_and_trains(resnet: nn.Module) -> None:
    with pytest.warns(AxsimWarning, match="no host memory to swap to"):
        recipes = [r.actnn(level) for level in ("L4", "L5")]
    for each in recipes:
        with pytest.warns(AxsimWarning, match="codes stay in the memory of the CPU"):
            net = ax.approximate(resnet, each)
        lines = step(net, torch.randn(2, 3, 32, 32))
        assert any(n.codec == "GroupAffine" for n in lines)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: r.actnn("L7"), ConversionError, r"level='L7'; choose one of 'L0'"),
        (lambda: r.actnn("L2", bits=9), OperandError, "bits=9; GroupAffine has codes"),
        (lambda: r.actnn("L3", bits=0), OperandError, "average=0; a budget is 1 to 8"),
        (lambda: r.blpa(bits=9), OperandError, "bits=9; BatchNormCodes has codes of 1"),
        (lambda: r.gact("L4"), ConversionError, r"level='L4'; choose one of 'L1', '"),
        (lambda: r.acgc(cast(Any, "a")), ConversionError, "mode='a'; choose one of"),
        (lambda: r.acgc("quant", bits=1), OperandError, "bits=1; FixedPoint has codes"),
        (lambda: r.acgc(e2=0), OperandError, "squared_error=0, .* must be above 0"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_refused(
    make: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()  # pyright: ignore[reportCallIssue]


def test_policies_are_those_of_the_level() -> None:
    (budget,) = ax.plan(
        ax.approximate(nn.Linear(4, 4), r.acgc(e2=0.5, interval=7))
    ).policies
    assert isinstance(budget, ErrorBudget)
    assert (budget.squared_error, budget.interval) == (0.5, 7)
    (greedy,) = ax.plan(ax.approximate(nn.Linear(4, 4), r.actnn(bits=3))).policies
    assert isinstance(greedy, Greedy)
    assert greedy.average == 3
