"""Shapes, parameters and MACs against published figures and closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from counting import count_macs
from torch import nn

from axsim.zoo.networks.factory import build_network, networks


def build(name: str, **options: Any) -> nn.Module:
    """The network's shapes alone: nothing is drawn or computed."""
    with torch.device("meta"):
        return build_network(name, **options)


def parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


SHAPES = {
    "lenet5": (1, 28, 28),
    "digits_conv4": (1, 8, 8),
    "digits_resnet": (1, 8, 8),
    "digits_vit": (1, 8, 8),
    "resnet18": (3, 224, 224),
    "resnet50": (3, 224, 224),
    "resnet152": (3, 224, 224),
    "preact_resnet152": (3, 224, 224),
    "vgg11": (3, 224, 224),
    "vgg16": (3, 224, 224),
    "vgg19": (3, 224, 224),
    "mobilenetv2": (3, 224, 224),
}


@pytest.mark.parametrize("name", networks())
def test_every_network_gives_a_score_for_each_class(name: str) -> None:
    shape = SHAPES.get(name, (3, 32, 32))
    network = build(name, classes=7)
    assert network(torch.empty(2, *shape, device="meta")).shape == (2, 7)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "vgg16", "vgg19", "mobilenetv2"]
)
def test_the_layouts_for_small_images(name: str) -> None:
    network = build(name, classes=10, input_size=32)
    assert network(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(
    "name", ["digits_resnet", "digits_vit", "digits_conv4", "lenet5", "cifar_resnet8"]
)
def test_small_networks_compute_and_have_gradients_everywhere(name: str) -> None:
    network = build_network(name)
    shape = SHAPES.get(name, (3, 32, 32))
    network(torch.randn(4, *shape)).logsumexp(1).sum().backward()
    for key, each in network.named_parameters():
        assert each.grad is not None and each.grad.abs().sum() > 0, key


@pytest.mark.parametrize("depth", range(8, 63, 6))
def test_macs_of_the_cifar_resnets(depth: int) -> None:
    macs = count_macs(build(f"cifar_resnet{depth}"), 3, 32, 32)
    assert sum(macs.values()) == 12_239_488 + 14_155_776 * (depth - 8) // 6
    assert len(macs) == depth


def test_cifar_resnet20_is_the_one_that_gating_counts() -> None:
    network = build("cifar_resnet20")
    # 270,068 with 336 thresholds and ten clipping levels.
    assert parameters(network) == 270_068 - 336 - 10
    macs = count_macs(network, 3, 32, 32)
    first = sum(count for name, count in macs.items() if name.endswith("conv1"))
    blocks = sum(count for name, count in macs.items() if name.startswith("stage"))
    assert first / sum(macs.values()) == pytest.approx(0.465, abs=5e-4)
    assert blocks / sum(macs.values()) == pytest.approx(0.989, abs=5e-4)
    # One ReLU for each block and one for the stem: that many levels to learn.
    assert sum(isinstance(each, nn.ReLU) for each in network.modules()) == 10


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        # torchvision's documentation.
        ("resnet18", {}, 11_689_512),
        ("resnet50", {}, 25_557_032),
        ("resnet152", {}, 60_192_808),
        ("vgg11", {"batch_norm": False}, 132_863_336),
        ("vgg11", {}, 132_868_840),
        ("vgg16", {"batch_norm": False}, 138_357_544),
        ("vgg16", {}, 138_365_992),
        ("vgg19", {"batch_norm": False}, 143_667_240),
        ("vgg19", {}, 143_678_248),
        ("mobilenetv2", {}, 3_504_872),
        # LeNet-5 with full connections: 156 + 2,416 + 48,120 + 10,164 + 850.
        ("lenet5", {}, 61_706),
    ],
)
def test_published_numbers_of_parameters(
    name: str, options: dict[str, Any], count: int
) -> None:
    assert parameters(build(name, **options)) == count


@pytest.mark.parametrize(
    ("name", "giga"),
    # torchvision's documentation, in GFLOPS that are MACs.
    [
        ("resnet18", 1.81),
        ("resnet50", 4.09),
        ("resnet152", 11.51),
        ("vgg11", 7.61),
        ("vgg16", 15.47),
        ("vgg19", 19.63),
        ("mobilenetv2", 0.30),
    ],
)
def test_published_numbers_of_macs(name: str, giga: float) -> None:
    macs = sum(count_macs(build(name), 3, 224, 224).values())
    assert macs / 1e9 == pytest.approx(giga, abs=0.0051)


def test_macs_of_lenet() -> None:
    assert count_macs(build("lenet5"), 1, 28, 28) == {
        "conv1": 28 * 28 * 6 * 25,
        "conv2": 10 * 10 * 16 * 6 * 25,
        "fc1": 400 * 120,
        "fc2": 120 * 84,
        "head": 84 * 10,
    }


def test_acgc_has_the_tensors_its_presets_select() -> None:
    network = build("acgc_resnet50")
    names = [name for name, _ in network.named_children()]
    assert names[:5] == ["stem", "res2", "res3", "res4", "res5"]
    selected = [getattr(network, name) for name in names[:4]]
    norms = [
        layer
        for part in selected
        for layer in part.modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    # Preset BN: what goes into the batch norms of the stem and res2 to res4.
    assert len(norms) == 43
    # Preset CNV: the stem's ReLU, two more and the sum of each block.
    blocks = [block for part in selected[1:] for block in part]
    assert 1 + 3 * len(blocks) == 40
    assert all(
        layer.bias is None
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    )


@pytest.mark.parametrize(
    ("name", "last"), [("cifar_resnet8", "after"), ("acgc_resnet50", "none")]
)
def test_where_the_last_relu_stands(name: str, last: str) -> None:
    block: Any = build_network(name).eval()
    block = getattr(block, "stage1" if last == "after" else "res2")[-1]
    x = torch.randn(2, block.conv1.in_channels, 8, 8)
    with torch.no_grad():
        out = block(x)
        block.relu = nn.Identity()
        assert (out.min() >= 0) == (last == "after")


def test_the_post_activation_network_of_channel_gating() -> None:
    block: Any = build_network("cifar_resnet8", last="before").eval()
    block = block.stage1[0]
    x = torch.randn(2, 16, 8, 8)
    with torch.no_grad():
        assert bool((block(x) >= x).all())


@pytest.mark.parametrize(
    ("name", "blocks"), [("preact_resnet164", 18), ("preact_resnet56", 6)]
)
def test_depth_of_the_preactivation_networks(name: str, blocks: int) -> None:
    macs = count_macs(build(name), 3, 32, 32)
    assert len(macs) == 9 * blocks + 2 == int(name.removeprefix("preact_resnet"))


def test_preactivation_has_its_own_relu_before_each_convolution() -> None:
    network = build("preact_resnet152")
    convolutions = [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and name != "stem.conv"
    ]
    # Shortcuts have no convolutions, so depth 152 is 50 blocks of three, stem, head.
    assert len(convolutions) == 150
    relus = [layer for layer in network.modules() if isinstance(layer, nn.ReLU)]
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(relus) == len(norms) == 151


def test_preactivation_block_against_its_formula() -> None:
    network: Any = build_network("preact_resnet56")
    block = network.stage2[0].eval()
    x = torch.randn(2, 64, 8, 8)
    with torch.no_grad():
        active = block.bn1(x).relu()
        out = block.conv2(block.bn2(block.conv1(active)).relu())
        out = block.conv3(block.bn3(out).relu())
        pooled = active.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))
        out[:, 32:96] += pooled
        assert torch.allclose(block(x), out, atol=1e-5)


def test_parameter_free_shortcut() -> None:
    block: Any = build_network("cifar_resnet8")
    block = block.stage2[0]
    x = torch.randn(1, 16, 8, 8)
    shortcut = block.downsample(x)
    assert shortcut.shape == (1, 32, 4, 4)
    assert torch.equal(shortcut[:, 8:24], x[:, :, ::2, ::2])
    assert not shortcut[:, :8].any() and not shortcut[:, 24:].any()
    assert not list(block.downsample.parameters())


def test_kaiming_initialisation() -> None:
    torch.manual_seed(0)
    network: Any = build_network("cifar_resnet20")
    weight = network.stage3[1].conv1.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)


def test_own_networks_name_first_and_last_layer() -> None:
    for name in networks():
        if not name.startswith(("resnet", "vgg", "mobilenet", "lenet")):
            children = [child for child, _ in build(name).named_children()]
            assert children[0] == "stem" and children[-1] == "head", name


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("resnet50", ["conv1.weight", "layer1.0.downsample.1.bias", "fc.weight"]),
        ("resnet18", ["layer2.0.downsample.0.weight", "layer4.1.bn2.running_var"]),
        ("vgg16", ["features.41.running_mean", "classifier.6.bias"]),
        ("mobilenetv2", ["features.1.conv.0.0.weight", "features.18.1.running_var"]),
        ("mobilenetv2", ["features.2.conv.3.bias", "classifier.1.weight"]),
    ],
)
def test_keys_are_those_of_published_checkpoints(name: str, keys: list[str]) -> None:
    assert set(keys) <= set(build(name).state_dict())
