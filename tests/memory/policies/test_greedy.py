"""ActNN's two allocations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from axsim.errors import OperandError
from axsim.memory.allocation import allocate
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.policies.greedy import Greedy
from axsim.memory.policy import Gradients, Slot

CONV = Slot("conv", "matmul_in", kernel=(3, 3), stride=(1, 1), groups=2)
NORM = Slot("norm", "norm_in")


def images(seed: int, spread: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(spread), 8, 16, 16, generator=generator)
    return x * spread.view(-1, 1, 1, 1)


def formula(x: Tensor, slot: Slot, norm: float) -> Tensor:
    """C by its definition, group by group."""
    pixels = x[0].numel() // x.shape[1]
    squares = [
        sum((g.max() - g.min()).item() ** 2 for g in sample.reshape(-1).split(256))
        for sample in x
    ]
    cost = torch.tensor(squares) * 256 / pixels
    return cost * (9 / (4 * slot.groups) * norm if slot.kind == "matmul_in" else 1)


def test_bits_of_samples_follow_the_formula() -> None:
    x, policy = images(0, torch.tensor([1.0, 0.1, 4.0, 30.0])), Greedy(2)
    found = policy.bits(CONV, x)
    assert isinstance(found, Tensor)
    expected = allocate(formula(x, CONV, 1.0), torch.ones(4), 8)
    assert torch.equal(found, expected)
    assert found.sum() == 8
    assert found.argsort().tolist()[-1] == 3
    packed = GroupAffine().encode(x, found)
    assert packed.nbytes == 4 * (2048 // 32 * 8 + 4 * 8) + 4


def test_equal_samples_share_equally() -> None:
    x = images(1, torch.ones(1)).expand(6, -1, -1, -1)
    found = Greedy(3).bits(CONV, x)
    assert isinstance(found, Tensor)
    assert found.tolist() == [3] * 6


def test_zero_activations_share_equally() -> None:
    found = Greedy(2).bits(CONV, torch.zeros(8, 4, 16, 16))
    assert isinstance(found, Tensor)
    assert found.tolist() == [2] * 8


def test_layers_divide_the_budget_by_their_sensitivity() -> None:
    policy, other = Greedy(3), Slot("other", "matmul_in", (1, 1), (1, 1))
    x, small = images(2, torch.ones(4)), images(3, torch.ones(4))[:, :4]
    policy.bits(CONV, x)
    policy.bits(other, small)
    gradient = torch.ones(4, 5)
    policy.observe(CONV, lambda: x, Gradients(100 * gradient))
    policy.observe(other, lambda: small, Gradients(gradient / 100))
    policy.end_step()
    first, second = policy.bits(CONV, x), policy.bits(other, small)
    policy.end_step()
    # From the second step on, the gradients' norms count: 5 elements of 100 and 1/100.
    costs = [formula(x, CONV, 5e4), formula(small, other, 5e-4) / 9]
    weights = torch.tensor([2048.0] * 4 + [1024.0] * 4)
    bits = allocate(torch.cat(costs), weights, 3 * weights.sum())
    assert (weights * bits).sum() <= 3 * weights.sum()
    first, second = policy.bits(CONV, x), policy.bits(other, small)
    assert isinstance(first, Tensor)
    assert isinstance(second, Tensor)
    assert first.sum() == bits[:4].sum()
    assert second.sum() == bits[4:].sum()
    assert first.sum() > second.sum()


def test_a_norm_has_the_bits_of_the_product_before_it() -> None:
    policy, other = Greedy(2), Slot("other", "matmul_in", (3, 3), (1, 1))
    x = images(4, torch.ones(2))
    for _ in range(2):
        policy.bits(CONV, x)
        norm = policy.bits(NORM, x)
        policy.bits(other, x)
        policy.observe(CONV, lambda: x, Gradients(torch.full((2, 5), 1e4)))
        policy.end_step()
    policy.bits(CONV, x)
    conv, norm = policy.bits(CONV, x), policy.bits(NORM, x)
    assert isinstance(conv, Tensor)
    assert isinstance(norm, Tensor)
    assert conv.sum() == norm.sum() > 4


def test_small_samples_and_single_settings_have_one_width() -> None:
    assert Greedy(2.7).bits(Slot("fc", "matmul_in"), torch.randn(64, 10)) == 2
    plain = Greedy(3, per_sample=False, per_layer=False)
    assert plain.bits(CONV, images(0, torch.ones(2))) == 3


def test_sensitivity_of_every_sample_of_the_data_set() -> None:
    policy = Greedy(2, per_layer=False, by_sample_index=True)
    x = images(5, torch.ones(1)).expand(4, -1, -1, -1)
    gradient = torch.tensor([1.0, 1.0, 1.0, 60.0])[:, None]
    for indices in ([7, 3, 5, 9], [9, 5, 3, 7]):
        policy.begin_step(torch.tensor(indices))
        found = policy.bits(CONV, x)
        order = [indices.index(i) for i in (7, 3, 5, 9)]
        moved = torch.empty_like(gradient)
        moved[order] = gradient
        policy.observe(CONV, lambda: x, Gradients(moved))
        policy.end_step()
    assert isinstance(found, Tensor)
    # In the second step sample 9 comes first, and its bits are known to matter.
    assert torch.equal(found, allocate(gradient.flip(0)[:, 0] ** 2, torch.ones(4), 8))
    policy.begin_step(torch.tensor([100, 9, 101, 102]))
    unseen = policy.bits(CONV, x)
    assert isinstance(unseen, Tensor)
    assert unseen.tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("by_sample_index", [False, True])
def test_gradients_that_overflowed_change_nothing(by_sample_index: bool) -> None:
    policy = Greedy(2, per_layer=False, by_sample_index=by_sample_index)
    x = images(6, torch.tensor([1.0, 0.5, 2.0, 8.0]))
    found: list[Tensor] = []
    for size in (3.0, float("inf"), float("nan"), 3.0):
        policy.begin_step(torch.arange(4))
        bits = policy.bits(CONV, x)
        assert isinstance(bits, Tensor)
        found.append(bits)
        policy.observe(CONV, lambda: x, Gradients(torch.full((4, 5), size)))
        policy.end_step()
    assert all(torch.equal(bits, found[0]) for bits in found)
    x[0, 0, 0, 0] = float("nan")
    policy.begin_step(torch.arange(4))
    bits = policy.bits(CONV, x)
    assert isinstance(bits, Tensor)
    assert bits.sum() <= 8


def test_messages() -> None:
    with pytest.raises(OperandError, match="average=9; a budget is 1 to 8 bits"):
        Greedy(9)
    policy = Greedy(2, by_sample_index=True)
    with pytest.raises(OperandError, match=r"none sample indices; .*begin_step"):
        policy.bits(CONV, images(0, torch.ones(2)))


@pytest.mark.parametrize("average", [1, 1.3, 2, 2.75, 7.9, 8])
def test_the_sum_of_the_bits_is_known_before_they_are(average: float) -> None:
    policy = Greedy(average, per_layer=False)
    x = torch.randn(7, 600) * torch.rand(7, 1)
    bits = policy.bits(Slot("fc", "matmul_in"), x)
    assert isinstance(bits, Tensor)
    assert policy.total == int(bits.sum()) == max(7, int(7 * average))
    policy.bits(Slot("fc", "matmul_in"), x[:, :10])
    assert policy.total is None
