"""Layers that keep what backward needs in codes: torch's numbers, other memory."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.checkpoint import checkpoint

import axsim as ax
from axsim.errors import ConversionError, TrainingError
from axsim.memory.codecs.batch_norm import BatchNormCodes
from axsim.memory.codecs.fixed_point import FixedPoint
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.policies.fixed import Fixed
from axsim.memory.policies.greedy import Greedy
from axsim.memory.policies.measured import Measured
from axsim.memory.policy import Gradients, Slot
from axsim.memory.store import Store
from axsim.nn.layer import ApproxLayer

EXACT = ax.Saved()
TWO_BITS = ax.Saved(GroupAffine(), GroupAffine(), Fixed(2))
Layer = Callable[[], nn.Module]

WEIGHTED: list[tuple[Layer, tuple[int, ...]]] = [
    (lambda: nn.Conv1d(4, 6, 3, padding="same"), (3, 4, 50)),
    (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), (3, 4, 9, 10)),
    (lambda: nn.Conv2d(4, 4, 2, padding="same", groups=2), (3, 4, 9, 9)),
    (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (3, 4, 9, 9)),
    (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"), (4, 12, 11)),
    (lambda: nn.Conv3d(2, 3, 2), (2, 2, 5, 6, 7)),
    (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2), (3, 4, 6, 6)),
    (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2), (3, 4, 40)),
    (lambda: nn.ConvTranspose1d(4, 6, 3, groups=2, output_padding=1, stride=2),
     (3, 4, 40)),
    (lambda: nn.ConvTranspose3d(2, 3, 2, dilation=2), (2, 2, 5, 6, 7)),
    (lambda: nn.Linear(32, 5), (20, 32)),
    (lambda: nn.Linear(32, 5, bias=False), (4, 6, 32)),
    (lambda: nn.Linear(32, 32), (32, 32)),
    (lambda: nn.BatchNorm1d(32), (20, 32)),
    (lambda: nn.BatchNorm2d(4), (8, 4, 6, 6)),
    (lambda: nn.BatchNorm2d(4, affine=False, momentum=None), (8, 4, 6, 6)),
    (lambda: nn.BatchNorm3d(4), (2, 4, 5, 6, 4)),
]  # fmt: skip
BARE: list[tuple[Layer, tuple[int, ...]]] = [
    (lambda: nn.ReLU(), (5, 77)),
    (lambda: nn.ReLU(inplace=True), (5, 77)),
    (lambda: nn.Dropout(0.3), (5, 77)),
    (lambda: nn.Dropout2d(0.5), (5, 77, 3, 3)),
    (lambda: nn.Dropout(1.0), (5, 77)),
    (lambda: nn.MaxPool1d(3, stride=2, padding=1), (2, 4, 33)),
    (lambda: nn.MaxPool2d(3, stride=2, padding=1), (2, 4, 12, 11)),
    (lambda: nn.MaxPool2d(2, ceil_mode=True, dilation=2), (2, 4, 12, 11)),
    (lambda: nn.MaxPool3d(2), (2, 4, 6, 6, 6)),
    (lambda: nn.AvgPool1d(2), (2, 4, 32)),
    (lambda: nn.AvgPool2d(3, stride=2, padding=1), (2, 4, 12, 12)),
    (lambda: nn.AvgPool3d(2), (2, 4, 6, 6, 6)),
    (lambda: nn.AdaptiveAvgPool2d(1), (2, 4, 12, 12)),
    (lambda: nn.AdaptiveAvgPool2d(3), (2, 4, 12, 12)),
]


def converted(net: nn.Module, saved: ax.Saved) -> nn.Module:
    return ax.approximate(net, ax.LayerSpec(saved=saved))


def store_of(net: nn.Module) -> Store:
    return ax.plan(net).store


def gradients(net: nn.Module, x: Tensor) -> list[Tensor | None]:
    """Output, and gradients of input and parameters, of a loss that is not simple."""
    net.zero_grad()
    leaf = x.clone().requires_grad_()
    torch.manual_seed(5)
    # In-place layers may not change a leaf.
    y = net(leaf * 1)
    (y * torch.sin(torch.arange(float(y.numel())).view(y.shape))).sum().backward()
    return [y, leaf.grad, *(p.grad for p in net.parameters())]


def equal(found: list[Tensor | None], expected: list[Tensor | None]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(a is b is None or torch.equal(a, b) for a, b in pairs)  # pyright: ignore[reportArgumentType]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("make", "shape"), WEIGHTED + BARE)
def test_an_exact_answer_changes_nothing(make: Layer, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(make())
    net = converted(layer, EXACT)
    assert list(net.state_dict()) == list(layer.state_dict())
    assert type(net[0]).__name__ != type(layer[0]).__name__  # pyright: ignore[reportIndexIssue]
    x = torch.randn(shape)
    assert equal(gradients(net, x), gradients(layer, x))
    both = zip(net.buffers(), layer.buffers(), strict=True)
    assert all(torch.equal(a, b) for a, b in both)
    gc.collect()
    assert store_of(net).ledger.kept == 0


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("make", "shape"), WEIGHTED)
def test_codes_change_weight_gradients_alone(
    make: Layer, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(make())
    net = converted(layer, TWO_BITS)
    x = torch.randn(shape)
    found, expected = gradients(net, x), gradients(layer, x)
    assert torch.equal(found[0], expected[0])  # pyright: ignore[reportArgumentType]
    exactly = equal(found[1:2], expected[1:2])
    assert exactly != isinstance(layer[0], nn.modules.batchnorm._BatchNorm)  # pyright: ignore[reportPrivateUsage]
    if len(found) == 4:
        # The shift of every layer, bias or beta.
        assert equal(found[3:], expected[3:])
    if len(found) > 2:
        assert not equal(found[2:3], expected[2:3])
    (line, *more) = store_of(net).ledger.lines
    assert not more
    assert line.codec == "GroupAffine"
    assert line.bits == pytest.approx(2 + 1 / 8, rel=0.06)


def test_masks_take_a_bit_and_places_as_few_as_their_window() -> None:
    net = converted(
        nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.MaxPool2d(3), nn.AvgPool2d(2)),
        EXACT,
    )
    torch.manual_seed(0)
    y = net(torch.randn(4, 8, 12, 12, requires_grad=True))
    lines = store_of(net).ledger.lines
    assert [(line.codec, line.bits) for line in lines] == [
        ("BitMask", 1), ("BitMask", 1), ("WindowIndex", 4),
    ]  # fmt: skip
    del y


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 64, 4),
    )  # fmt: skip


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.heads(x, x, x)[0]


@pytest.fixture
def x() -> Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "saved",
    [TWO_BITS, ax.Saved(GroupAffine(), GroupAffine(), Greedy(2)),
     ax.Saved(norm=BatchNormCodes(), policy=Fixed(4))],
)  # fmt: skip
def test_logits_and_statistics_of_training_are_those_of_torch(
    saved: ax.Saved, x: Tensor
) -> None:
    torch.manual_seed(0)
    net = small()
    coded = converted(net, saved)
    for _ in range(2):
        assert torch.equal(coded(x), net(x))
        assert all(
            torch.equal(a, b)
            for a, b in zip(coded.buffers(), net.buffers(), strict=True)
        )
    assert list(coded.state_dict()) == list(net.state_dict())


def test_nothing_is_kept_without_gradients_or_in_eval_mode(x: Tensor) -> None:
    net = converted(small(), TWO_BITS)
    with torch.no_grad():
        net(x)
    assert not store_of(net).ledger.lines
    y = net.eval()(x)
    assert not store_of(net).ledger.lines
    y.sum().backward()
    assert next(net.parameters()).grad is not None


def test_frozen_weights_keep_nothing(x: Tensor) -> None:
    layer = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 4))
    for module in (layer[0], layer[2]):
        module.weight.requires_grad_(False)
    net = converted(layer, TWO_BITS)
    assert equal(gradients(net, x), gradients(layer, x))
    assert not store_of(net).ledger.lines


def test_the_memory_of_what_is_coded_is_free_at_once() -> None:
    net = converted(nn.Sequential(nn.Linear(64, 64), nn.ReLU()), TWO_BITS)
    x = torch.randn(32, 64) * 2
    reference = StorageWeakRef(x.untyped_storage())
    y = net(x)
    del x
    assert reference.expired()
    y.sum().backward()


def test_an_input_that_two_layers_share_is_kept_once(x: Tensor) -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x) + self.two(x)

    net = converted(Fork(), TWO_BITS)
    y = net(x)
    lines = store_of(net).ledger.lines
    assert [(line.slot, line.shared, line.kept > 0) for line in lines] == [
        ("one", 0, True), ("two", 1, False),
    ]  # fmt: skip
    with torch.autocast("cpu", torch.bfloat16):
        z = net(x)
    # One more use each, of the input that is kept already: casts of it are it.
    assert [line.shared for line in store_of(net).ledger.lines] == [1, 2]
    del y, z


@pytest.mark.parametrize("saved", [EXACT, TWO_BITS])
def test_a_graph_may_be_used_twice(saved: ax.Saved, x: Tensor) -> None:
    net = converted(small(), saved)
    loss = net(x).square().sum()
    loss.backward(retain_graph=True)
    first = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    loss.backward()
    for before, parameter in zip(first, net.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, 2 * before)


def test_second_derivatives_are_those_of_torch(x: Tensor) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    found: list[Tensor] = []
    for net in (plain, converted(plain, EXACT)):
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(
            net(leaf).square().sum(), leaf, create_graph=True
        )
        found.extend(torch.autograd.grad(slope.square().sum(), [*net.parameters()]))
    half = len(found) // 2
    for a, b in zip(found[:half], found[half:], strict=True):
        torch.testing.assert_close(a, b)


def test_gradients_are_derivatives() -> None:
    torch.manual_seed(0)
    net = converted(
        nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2),
        ),
        EXACT,
    ).double()  # fmt: skip
    x = torch.randn(3, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, x, eps=1e-6, atol=1e-5, rtol=1e-3)


def test_sixteen_bits_are_as_good_as_exact(x: Tensor) -> None:
    torch.manual_seed(0)
    net = small()
    coded = converted(net, ax.Saved(FixedPoint(), FixedPoint(), Fixed(16)))
    found, expected = gradients(coded, x), gradients(net, x)
    for a, b in zip(found, expected, strict=True):
        assert a is not None and b is not None
        if b.norm() > 1e-4:
            assert (a - b).norm() < 1e-3 * b.norm()


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_regions_keep_nothing_of_their_own(
    reentrant: bool, x: Tensor
) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*[*small()][:6])
    # Running statistics would be counted twice.
    for module in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        module.momentum = 0.0
    coded = converted(net, TWO_BITS)
    leaf = x.clone().requires_grad_()
    y = checkpoint(coded, leaf, use_reentrant=reentrant)
    assert isinstance(y, Tensor)
    assert store_of(coded).ledger.kept == 0
    net(x).square().sum().backward()
    y.square().sum().backward()
    assert leaf.grad is not None
    # What is computed again is not coded where torch keeps it only for a moment.
    same = [
        torch.equal(a.grad, b.grad)  # pyright: ignore[reportArgumentType]
        for a, b in zip(coded.parameters(), net.parameters(), strict=True)
    ]
    assert all(same) != reentrant


def test_autocast_codes_the_activations_and_never_the_weights(x: Tensor) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 16))
    coded = converted(net, TWO_BITS)
    found: list[list[Tensor | None]] = []
    for each in (coded, net):
        with torch.autocast("cpu", torch.bfloat16):
            found.append(gradients(each, x))
    assert found[0][0] is not None and found[0][0].dtype == torch.bfloat16
    # Output and input gradient; an input gradient would show a coded weight.
    assert equal(found[0][:2], found[1][:2])
    elements = {line.slot: line.elements for line in store_of(coded).ledger.lines}
    assert elements == {"0": x.numel(), "2": 6 * 288}


def test_a_tensor_that_is_changed_after_it_was_kept_is_refused() -> None:
    net = converted(nn.Sequential(nn.Linear(64, 64)), EXACT)
    x = torch.randn(32, 64)
    y = net(x)
    x.add_(1)
    with pytest.raises(TrainingError, match=r"\(32, 64\).*version 1, kept was version"):
        y.sum().backward()


def test_codes_of_a_tensor_that_is_changed_later_stay_right() -> None:
    layer = nn.Sequential(nn.Linear(64, 64))
    net = converted(layer, ax.Saved(FixedPoint(), policy=Fixed(16)))
    x = torch.randn(32, 64)
    y = net(x)
    expected = torch.ones(32, 64).T @ x
    x.zero_()
    y.sum().backward()
    torch.testing.assert_close(
        net[0].weight.grad, expected, atol=2e-2, rtol=1e-3  # pyright: ignore[reportIndexIssue]
    )  # fmt: skip


def test_one_code_serves_batch_norm_relu_and_convolution(x: Tensor) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Conv2d(3, 5, 3), nn.Flatten()
    )
    coded = converted(net, ax.Saved(norm=BatchNormCodes(), policy=Fixed(8)))
    found, expected = gradients(coded, x), gradients(net, x)
    assert torch.equal(found[0], expected[0])  # pyright: ignore[reportArgumentType]
    lines = store_of(coded).ledger.lines
    assert [(line.slot, line.kept > 0, line.shared) for line in lines] == [
        ("0", True, 0), ("2", False, 1),
    ]  # fmt: skip
    assert lines[0].bits == pytest.approx(8, rel=0.03)
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert a is not None and b is not None
        assert (a - b).norm() < 0.06 * b.norm()


def test_numbers_that_are_not_finite_are_kept_and_reported(x: Tensor) -> None:
    x[0, 0, 0, 0] = float("inf")
    for saved in (TWO_BITS, ax.Saved(norm=BatchNormCodes(), policy=Fixed(4))):
        net = converted(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), saved)
        net(x).sum().backward()
        line = store_of(net).ledger.lines[0]
        assert line.raw == {"not finite": 1}


def test_recipes_and_networks_share_no_state(x: Tensor) -> None:
    greedy = Greedy(2)
    rules = [ax.Rule(".*", ax.LayerSpec(saved=ax.Saved(GroupAffine(), policy=greedy)))]
    first, second = (ax.approximate(small(), rules) for _ in range(2))
    (one,), (two,) = ax.plan(first).policies, ax.plan(second).policies
    assert one is not two is not greedy
    layers = [m for m in first.modules() if isinstance(m, ApproxLayer)]
    assert len(layers) == 7
    assert all(m.keeper and m.keeper.saved.policy is one for m in layers)
    twin = copy.deepcopy(first)
    twin(x)
    assert not store_of(first).ledger.lines
    assert store_of(twin).ledger.lines


def test_a_converted_network_is_not_converted_again() -> None:
    net = converted(small(), TWO_BITS)
    with pytest.raises(ConversionError, match="approximate already"):
        ax.approximate(net, ax.recipes.actnn("L3"))


def test_codes_of_a_table_and_their_mask_are_kept_as_they_are(x: Tensor) -> None:
    torch.manual_seed(0)
    mul = ax.Multiplier.from_function(lambda a, b: a * b, signed=False)
    quant = ax.Quant(dynamic=True)
    layer = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    plain = ax.approximate(layer, ax.LayerSpec(quant, mul))
    kept = ax.approximate(layer, ax.LayerSpec(quant, mul, saved=TWO_BITS))
    assert equal(gradients(kept, x), gradients(plain, x))
    lines = [(line.slot, line.codec, line.bits) for line in store_of(kept).ledger.lines]
    assert lines == [("0", "Identity", 8), ("0", "BitMask", 1), ("1", "BitMask", 1)]


def test_attention_on_a_table_keeps_the_codes_of_both_operands() -> None:
    torch.manual_seed(0)
    mul = ax.Multiplier.from_function(lambda a, b: a * b, signed=False)
    spec = ax.LayerSpec(ax.Quant(dynamic=True), mul, saved=EXACT)
    net = ax.approximate(nn.Sequential(nn.Linear(16, 16), SelfAttention()), spec)
    net(torch.randn(2, 8, 16)).sum().backward()
    lines = store_of(net).ledger.lines
    codes = {line.slot: line.elements for line in lines if line.codec == "Identity"}
    own = {f"1.heads.{part}": 256 for part in ("query", "key", "value", "out")}
    # Queries and keys, and 4 maps of 8x8 with values.
    both = {"1.heads.scores": 512, "1.heads.mixture": 512 + 256}
    assert codes == {"0": 256, **own, **both}
    assert "its codes" in str(ax.summary(net))


def test_the_summary_says_what_is_kept() -> None:
    text = str(ax.summary(converted(small(), TWO_BITS)))
    assert text.count("GroupAffine by Fixed") == 3


def test_what_no_layer_stands_for_is_coded_by_hooks() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.LayerNorm(64))
    coded = converted(
        net, ax.Saved(GroupAffine(), policy=Fixed(8), others=GroupAffine())
    )
    x = torch.randn(32, 64)
    found, expected = gradients(coded, x), gradients(net, x)
    assert torch.equal(found[0], expected[0])  # pyright: ignore[reportArgumentType]
    lines = store_of(coded).ledger.lines
    assert [line.slot for line in lines] == ["0", "gelu.0", "layer_norm.0"]
    assert all(line.bits < 9 for line in lines)
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert a is not None and b is not None
        assert (a - b).norm() < 0.05 * b.norm()


def test_measured_bits_go_where_a_bit_harms_least(x: Tensor) -> None:
    torch.manual_seed(0)
    net = ax.approximate(small(), ax.recipes.gact("L2.1", interval=5))
    target = torch.arange(6) % 4
    plan = ax.plan(net)
    found = plan.measure(net, lambda: F.cross_entropy(net(x), target))
    assert set(found) >= {"0", "1", "3", "4", "7"}
    (policy,) = plan.policies
    assert isinstance(policy, Measured)
    assert not policy.due
    plan.after_step()
    net(x).sum().backward()
    lines = [line for line in store_of(net).ledger.lines if line.codec == "GroupAffine"]
    size = sum(line.elements for line in lines)
    assert sum(line.kept for line in lines) * 8 <= 3.2 * size


class Watching(Fixed):
    """Notes the shapes of all gradients it is shown."""

    def __init__(self) -> None:
        super().__init__(8)
        self.seen: list[tuple[torch.Size, ...]] = []

    def wants(self, slot: Slot) -> bool:
        return True

    def observe(
        self, slot: Slot, load: Callable[[], Tensor], gradients: Gradients
    ) -> None:
        assert gradients.weight is not None
        self.seen.append((load().shape, gradients.output.shape, gradients.weight.shape))


@pytest.mark.parametrize("bias", [True, False])
def test_policies_are_shown_the_product_of_a_transposed_input(bias: bool) -> None:
    """Torch adds the bias apart there, and the sum is not the layer's operation."""
    spec = ax.LayerSpec(saved=ax.Saved(GroupAffine(), GroupAffine(), Watching()))
    net = ax.approximate(nn.Sequential(nn.Linear(8, 6, bias=bias)), spec)
    net(torch.rand(5, 8, 4).transpose(1, 2)).sum().backward()
    (policy,) = ax.plan(net).policies
    assert isinstance(policy, Watching)
    assert policy.seen == [((20, 8), (20, 6), (8, 6))]
