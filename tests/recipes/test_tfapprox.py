"""Profiles against golden vectors worked out by hand and against a slow twin."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import axsim as ax
from axsim import recipes
from axsim.errors import ConversionError
from axsim.nn.conv import ApproxConv2d
from axsim.nn.linear import ApproxLinear
from axsim.nn.site import Site
from axsim.nn.spec import Product
from axsim.recipes.tfapprox import tfapprox
from axsim.tables.multiplier import Multiplier
from axsim.zoo.checkpoint import load_weights, shipped_weights
from axsim.zoo.data.digits import digits_folds
from axsim.zoo.networks.factory import build_network
from tests.conftest import random_multiplier
from tests.recipes.slow_twin import QUANTISERS, LookUp, Shape, convolve, published_tf2

X = torch.tensor([-2.5, -0.5, 0.0, 0.5, 1.5, 252.5])
# a·b + a: the first operand, the row, is added, so that operand order shows.
ROWS = Multiplier.from_function(lambda a, b: a * b + a, signed=False, name="rows")
SIGNED_ROWS = Multiplier.from_function(lambda a, b: a * b + a, signed=True, name="rows")


def conv(weight: list[list[float]], **settings: Any) -> nn.Sequential:
    """1x2 kernels over one channel, one for each output."""
    layer = nn.Conv2d(1, len(weight), (1, 2), padding=(0, 1), bias=False, **settings)
    layer.weight = nn.Parameter(torch.tensor(weight).reshape(-1, 1, 1, 2))
    return nn.Sequential(layer).eval()


def linear(weight: list[list[float]]) -> nn.Sequential:
    layer = nn.Linear(2, len(weight), bias=False)
    layer.weight = nn.Parameter(torch.tensor(weight))
    return nn.Sequential(layer).eval()


def outputs(net: nn.Module, x: Tensor) -> Any:
    with torch.no_grad():
        return net(x).squeeze().tolist()


def test_golden_tf2() -> None:
    # Activations: range 255, scale 1, zero point 2.5 away from zero, 3; half up gives
    # codes 1 3 3 4 5 255, and 3 where padded. Weights: scale 1, zero point 1, codes
    # 0 and 255. With p, q the codes under the kernel the sum is
    # (0·p + p) + (255·q + q) - 1·(p + q) - 3·(0 + 255) + 2·3·1 = 255 q - 759.
    net = ax.approximate(conv([[-1.0, 254.0]]), tfapprox(ROWS))
    row = outputs(net, X.reshape(1, 1, 1, -1))
    assert row == [-504, 6, 6, 261, 516, 64266, 6]


def test_golden_tf2_range_without_zero() -> None:
    # 100 … 355 is moved to 0 … 255, scale 1; what lies above 255 clips.
    net = ax.approximate(conv([[0.0, 255.0]]), tfapprox(ROWS))
    row = outputs(net, torch.tensor([100.0, 200.0, 355.0]).reshape(1, 1, 1, -1))
    # (0·p + p) + (255·q + q) with codes 0 (padding), 100, 200, 255, 0.
    assert row == [256 * 100, 100 + 256 * 200, 200 + 256 * 255, 255]


def calibration(shape: tuple[int, ...]) -> Tensor:
    """9,999 of 10,000 magnitudes lie below 127, where a bin ends."""
    spread = torch.full((10_000,), -126.9)
    spread[1::2], spread[-1] = 3.0, 1000.0
    return spread.reshape(shape)


def test_golden_adapt() -> None:
    # Scales 1. Codes 0 2 -1 -127 and 0 where padded; a convolution puts the weight
    # first: (-127·p - 127) + (2·q + 2) = -127 p + 2 q - 125.
    rules = tfapprox(SIGNED_ROWS, "adapt")
    net = ax.approximate(
        conv([[-127.0, 2.0]]), rules, calibration=[calibration((1, 1, 1, -1))]
    )
    row = outputs(net, torch.tensor([0.5, 1.5, -1.0, -500.0]).reshape(1, 1, 1, -1))
    assert row == [-125, -121, -381, -252, 16004]
    # A linear layer puts the activation first: (-127·p + p) + (2·q + q).
    net = ax.approximate(
        linear([[-127.0, 2.0]]), rules, calibration=[calibration((-1, 2))]
    )
    assert outputs(net, torch.tensor([[1.5, -1.0]])) == -126 * 2 + 3 * -1


def test_golden_pt2e() -> None:
    # Activations: scale 1, zero point 4, codes 4 6 and 0 255. Weights: 127.5 / 127.5
    # gives scale 1 and the codes 127 and -128; 255 / 127.5 scale 2, codes 127 and 0.
    # Sign and magnitude: p·|w| + p with the sign of w, and no product of a 0.
    # 4·128 - 6·129 - 4·(127 - 128) = -258; (4·128 - 4·127) · 2 = 8;
    # 0 - 255·129 + 4 = -32891; (0 - 4·127) · 2 = -1016.
    rules = tfapprox(Product(ROWS, signs="sign-magnitude"), "pt2e")
    model = linear([[127.5, -127.5], [255.0, 1.0]])
    net = ax.approximate(model, rules, calibration=[torch.tensor([[-4.0, 251.0]])])
    rows = outputs(net, torch.tensor([[0.5, 1.5], [-4.0, 300.0]]))
    assert rows == [[-258, 8], [-32891, -1016]]


def test_golden_axsim() -> None:
    # The zero point 2.5 goes to the even 2; codes 0 2 2 2 4 254, and 2 where padded.
    # First output: scale 1, zero point 1, codes 0 and 255:
    # p + 256 q - (p + q) - 2·255 + 2·2·1 = 255 q - 506.
    # Second: scale 2, zero point 0, codes 0 and 255: 2 · (p + 256 q - 2·255).
    model = conv([[-1.0, 254.0], [0.0, 510.0]])
    x = X.reshape(1, 1, 1, -1)
    net = ax.approximate(model, tfapprox(ROWS, "axsim"), calibration=[x])
    first, second = outputs(net, x)
    assert first == [-506, 4, 4, 4, 514, 64264, 4]
    assert second == [-1016, 4, 8, 8, 1032, 129036, 512]
    plain = ax.approximate(model, ROWS, calibration=[x])
    assert outputs(plain, x) == [first, second]


UNSIGNED, SIGNED = random_multiplier(3), random_multiplier(4, signed=(True, True))


def multiplier_of(profile: str) -> tuple[Product, LookUp]:
    """A multiplier for the profile's codes, and its product of two of them."""
    table, signed = UNSIGNED.table.astype(int), SIGNED.table.astype(int)
    if profile == "adapt":
        return Product(SIGNED), lambda a, w: signed[w % 256, a % 256]
    if profile == "pt2e":
        return (
            Product(UNSIGNED, signs="sign-magnitude"),
            lambda a, w: np.sign(a) * np.sign(w) * table[abs(a), abs(w)],  # pyright: ignore
        )
    return Product(UNSIGNED), lambda a, w: table[a, w]


ENDS = (1, 3), (0, 2), (1, 2)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Conv2d, Tensor, Shape]:
    """A layer and a batch for it; one in three batches has no zero in its range."""
    groups, per_group = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    kernel = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shape = Shape(
        draw(st.integers(1, 3)),
        draw(st.integers(0, 2)),
        draw(st.integers(1, 2)),
        groups,
    )
    smallest = [shape.dilation * (size - 1) + 1 for size in kernel]
    size = [draw(st.integers(least, least + 3)) for least in smallest]
    torch.manual_seed(draw(st.integers(0, 1 << 30)))
    layer = nn.Conv2d(
        groups * per_group, groups * draw(st.integers(1, 2)), kernel, **shape._asdict()
    )
    x = torch.randn(draw(st.integers(1, 2)), layer.in_channels, *size)
    # A constant has no range; what tf-approximate makes of it is not defined.
    assume(layer.weight.numel() > 1 and x.numel() > 1)
    return layer, x + draw(st.sampled_from([0.0, 0.7, 10.0])), shape


@pytest.mark.parametrize("profile", QUANTISERS)
@settings(max_examples=25, deadline=None)
@given(given_layer=convolutions())
def test_a_layer_equals_the_slow_twin(
    profile: str, given_layer: tuple[nn.Conv2d, Tensor, Shape]
) -> None:
    layer, x, shape = given_layer
    mul, look_up = multiplier_of(profile)
    seen = torch.cat([x, 0.5 * x])
    net = ax.approximate(
        nn.Sequential(layer), tfapprox(mul, profile), calibration=[seen]
    )
    y = net(x).detach().numpy()
    weight, bias = (p.detach().numpy() for p in layer.parameters())
    a, w = QUANTISERS[profile](x.numpy(), weight, seen.numpy())
    twin = convolve(look_up, a, w, bias, shape)
    assert len(twin) == y.size
    for place, value in twin.items():
        assert y[place] == value
    if profile == "tf2":
        largest = max(map(abs, twin.values()))
        for place, value in published_tf2(look_up, a, w, bias, shape).items():
            assert y[place] == pytest.approx(value, rel=1e-5, abs=1e-5 * largest)


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    ).eval()


@pytest.mark.parametrize("profile", QUANTISERS)
def test_results_depend_on_the_batch_in_tf2_alone(profile: str) -> None:
    x = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    rules = tfapprox(multiplier_of(profile)[0], profile)
    net = ax.approximate(small(), rules, calibration=[x])
    with torch.no_grad():
        alone, beside_a_loud_one = net(x), net(torch.cat([x, 20 * x[:1]]))[:4]
        one_by_one = torch.cat([net(image) for image in x.split(1)])
    same = torch.equal(alone, beside_a_loud_one), torch.equal(alone, one_by_one)
    assert same == ((False, False) if profile == "tf2" else (True, True))


def test_accuracy_depends_on_batch_size_and_order_in_tf2_alone() -> None:
    model = load_weights(
        build_network("digits_resnet"), shipped_weights("digits_resnet")
    )
    train, test = digits_folds(0)
    images, labels = test.images[:240], test.labels[:240]
    moved = torch.randperm(240, generator=torch.Generator().manual_seed(2))
    mul = ax.load_multiplier("mul8u_trunc_6")
    correct: dict[str, list[int]] = {}
    for profile in recipes.PROFILES:
        signs = "sign-magnitude" if profile in ("adapt", "pt2e") else None
        rules = tfapprox(Product(mul, signs=signs), profile)
        net = ax.approximate(model.eval(), rules, calibration=[train.images[:128]])
        with torch.no_grad():
            small = torch.cat([net(batch) for batch in images.split(8)])
            other = torch.cat([net(batch) for batch in images[moved].split(8)])
            large = net(images)
        right = [small.argmax(1) == labels, other.argmax(1) == labels[moved]]
        right.append(large.argmax(1) == labels)
        correct[profile] = [int(r.sum()) for r in right]
        same = torch.equal(small, large) and torch.equal(other, large[moved])
        assert same == (profile != "tf2")
    changed = {profile for profile, counts in correct.items() if len({*counts}) > 1}
    assert changed == {"tf2"}


def test_tf_approximate_knows_convolutions_alone_and_adapt_no_other_kinds() -> None:
    model = nn.Sequential(
        nn.Conv1d(1, 2, 1), nn.ConvTranspose2d(1, 2, 1), nn.Linear(2, 2)
    )
    expected = {
        "tf2": ["ApproxConv1d", "ConvTranspose2d", "Linear"],
        "adapt": ["ApproxConv1d", "ConvTranspose2d", "ApproxLinear"],
        "pt2e": ["ApproxConv1d", "ConvTranspose2d", "ApproxLinear"],
        "axsim": ["ApproxConv1d", "ApproxConvTranspose2d", "ApproxLinear"],
    }
    for profile, kinds in expected.items():
        net = ax.approximate(model, tfapprox(multiplier_of(profile)[0], profile))
        assert [type(layer).__name__ for layer in net] == kinds
        lines = ax.summary(net).lines
        left = [line.name for line in lines if line.multiplier == "exact"]
        assert len(left) == sum(not kind.startswith("Approx") for kind in kinds)


def test_rows_are_the_published_ones() -> None:
    net = ax.approximate(small(), tfapprox(SIGNED, "adapt"))
    sites = [module for module in net.modules() if isinstance(module, Site)]
    assert [site.product.row for site in sites] == ["weight", "activation"]


def test_a_profile_unites_with_other_answers_and_serves_other_layers() -> None:
    united = tfapprox(UNSIGNED) | ax.recipes.tfapprox(UNSIGNED)
    assert isinstance(ax.approximate(small(), united)[0], ApproxConv2d)
    spec = ax.LayerSpec(recipes.PROFILES["tf2"].quant, UNSIGNED)
    rules = [ax.Rule("3", spec), ax.Rule(".*", ax.Exact())]
    net = ax.approximate(small(), rules)
    assert isinstance(net[3], ApproxLinear) and type(net[0]) is nn.Conv2d


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: tfapprox(UNSIGNED, "tf1"),
            "profile='tf1'; choose one of 'axsim', 'tf2', 'adapt', 'pt2e'",
        ),
        (
            lambda: tfapprox(Product(UNSIGNED, row="weight")),
            "mul=random_3, row=weight; operand order and padding are the profile's",
        ),
        (
            lambda: tfapprox(Product(UNSIGNED, pad="skip"), "adapt"),
            "Leave out row= and pad=, or write a LayerSpec of your own",
        ),
        (
            lambda: ax.approximate(nn.Sequential(nn.Linear(2, 2)), tfapprox(UNSIGNED)),
            "answers no question of theirs; it has answers for convolution layers only",
        ),
        (
            lambda: ax.approximate(small(), tfapprox(UNSIGNED, "adapt")),
            'is unsigned; choose signs="sign-magnitude" or signs="shift"',
        ),
        (
            lambda: ax.approximate(small(), tfapprox(SIGNED)),
            "'0' has uint8 activations and uint8 weights but random_4 is signed",
        ),
    ],
)
def test_what_a_profile_refuses(make: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        make()


def test_the_room_holds_no_tensors_and_its_page_names_every_profile() -> None:
    room = Path(recipes.__file__).parent
    for path in room.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [str(alias.name) for alias in getattr(node, "names", [])]
            names.append(str(getattr(node, "module", "")))
            assert "torch" not in {name.split(".")[0] for name in names}, path.name
    page = (room / "PROFILES.md").read_text()
    for name in recipes.PROFILES:
        assert f"`{name}`" in page
