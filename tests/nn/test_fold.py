"""Batch-norm folding: what is folded, what is not, and that outputs stay."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.errors import ConversionError
from axsim.nn.fold import Folded, fold_batch_norms
from axsim.tables.multiplier import Multiplier

EXACT = Multiplier.from_function(lambda a, b: a * b, signed=True, name="mine")


def trained(net: nn.Module) -> nn.Module:
    """The network with batch norms that do something."""
    generator = torch.Generator().manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            for each in (module.running_mean, module.running_var, module.weight,
                         module.bias):  # fmt: skip
                if each is not None:
                    noise = torch.rand(each.shape, generator=generator)
                    each.data.copy_(noise + 0.5)
    return net.eval()


def check_outputs(net: nn.Module, x: Tensor) -> Folded:
    """Folds a copy and compares it with the network."""
    folded = copy.deepcopy(net)
    found = fold_batch_norms(folded, x[:1])
    torch.testing.assert_close(folded(x), net(x), rtol=1e-4, atol=1e-5)
    norms = [n for n, m in folded.named_modules() if "BatchNorm" in type(m).__name__]
    assert norms == [name for name, _ in found.kept]
    return found


PAIRS: list[tuple[list[nn.Module], tuple[int, ...]]] = [
    ([nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3)], (2, 2, 7)),
    ([nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4)], (2, 2, 5, 5)),
    ([nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2, affine=False)], (1, 1, 3, 3, 3)),
    ([nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6)], (2, 4, 3, 3)),
    ([nn.Linear(3, 4), nn.BatchNorm1d(4)], (5, 3)),
]


@pytest.mark.parametrize(("modules", "shape"), PAIRS)
def test_every_kind_of_pair(modules: list[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = trained(nn.Sequential(*modules))
    assert check_outputs(net, torch.randn(shape)).pairs == (("0", "1"),)


def test_all_of_a_residual_network() -> None:
    net = trained(ax.build_network("digits_resnet"))
    found = check_outputs(net, torch.rand(2, 1, 8, 8))
    assert len(found.pairs) == 7 and not found.kept
    assert ("stem.conv", "stem.bn") in found.pairs


class Awkward(nn.Module):
    """Pairs that must not be folded beside one that may."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Conv2d(1, 2, 1)
        self.plain_bn = nn.BatchNorm2d(2)
        self.twice = nn.Conv2d(2, 2, 1)
        self.twice_bn = nn.BatchNorm2d(2)
        self.read = nn.Conv2d(2, 2, 1)
        self.read_bn = nn.BatchNorm2d(2)
        self.relu_bn = nn.BatchNorm2d(2)
        self.hooked = nn.Conv2d(2, 2, 1)
        self.hooked_bn = nn.BatchNorm2d(2)
        self.unused_bn = nn.BatchNorm2d(2)
        self.batch = nn.Conv2d(2, 2, 1)
        self.batch_bn = nn.BatchNorm2d(2, track_running_stats=False)
        self.hooked.register_forward_hook(lambda *_: None)

    def forward(self, x: Tensor) -> Any:
        x = self.plain_bn(self.plain(x))
        x = self.twice(self.twice_bn(self.twice(x)))
        y = self.read(x)
        x = self.read_bn(y) + y
        x = self.hooked_bn(self.hooked(self.relu_bn(x.relu())))
        return self.batch_bn(self.batch(x))


def test_what_is_kept_says_why() -> None:
    torch.manual_seed(0)
    found = check_outputs(trained(Awkward()), torch.randn(2, 1, 3, 3))
    assert found.pairs == (("plain", "plain_bn"),)
    assert dict(found.kept) == {
        "twice_bn": "twice is used several times",
        "read_bn": "the output of read is also used elsewhere",
        "relu_bn": "it does not follow the channels of a convolution or linear layer",
        "hooked_bn": "it or hooked has hooks",
        "unused_bn": "the network does not use it",
        "batch_bn": "it has no running statistics",
    }


class Leaking(nn.Module):
    """The convolution's output is one of the network's outputs as well."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Any:
        y = self.conv(x)
        return {"out": self.bn(y), "features": [y]}


def test_outputs_of_the_network_count_as_used() -> None:
    with pytest.raises(ConversionError, match="output of conv is also used elsewhere"):
        fold_batch_norms(Leaking(), torch.ones(1, 1, 2, 2))


BARE = nn.Sequential(nn.Conv2d(1, 2, 1))
TOKENS = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize(
    ("net", "shape", "message"),
    [
        (TOKENS, (1, 4, 5), "1: it does not follow the channels of a convolution or"),
        (BARE, (1, 1, 2, 2), r"Sequential can .* \(it has none\)"),
    ],
)
def test_where_nothing_can_be_folded_the_reasons_are_given(
    net: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ConversionError, match=message):
        fold_batch_norms(net, torch.ones(shape))


def test_conversion_folds_a_copy_and_says_so() -> None:
    torch.manual_seed(0)
    net = trained(Awkward())
    before = copy.deepcopy(net.state_dict())
    x = torch.randn(4, 1, 3, 3)
    converted = ax.approximate(net, EXACT, calibration=iter([x]), fold_batch_norm=True)
    assert type(net.plain_bn) is nn.BatchNorm2d
    assert all(torch.equal(net.state_dict()[k], v) for k, v in before.items())
    assert type(converted.plain_bn) is nn.Identity
    shown = str(ax.summary(converted)).splitlines()
    assert "folded: 1 of 7 batch norms, plain_bn" in shown
    assert "batch norm kept: twice_bn, twice is used several times" in shown


def test_codes_are_those_of_the_folded_weights() -> None:
    torch.manual_seed(0)
    conv, bn = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
    net = trained(nn.Sequential(conv, bn))
    by_hand = nn.Sequential(nn.utils.fuse_conv_bn_eval(conv, bn))
    x = torch.randn(4, 1, 6, 6)
    folded = ax.approximate(net, EXACT, calibration=[x], fold_batch_norm=True)
    expected = ax.approximate(by_hand, EXACT, calibration=[x])
    # Torch folds in float32; a code or two may differ by one.
    with torch.no_grad():
        y = expected(x)
        step = float(y.abs().max()) / 500
        torch.testing.assert_close(folded(x), y, rtol=0, atol=step)


def test_folding_needs_a_batch() -> None:
    with pytest.raises(ConversionError, match="fold_batch_norm=True needs calibration"):
        ax.approximate(trained(Awkward()), EXACT, fold_batch_norm=True)
