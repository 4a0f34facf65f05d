from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from axsim import BackendError, ModelError
from axsim.zoo.networks.factory import build_network, networks


def test_every_network_of_the_plan_is_known() -> None:
    cifar = {
        f"cifar_resnet{depth}" for depth in (8, 14, 20, 26, 32, 38, 44, 50, 56, 62)
    }
    blpa = {"preact_resnet164", "preact_resnet152"}
    acgc = {"acgc_resnet50", "acgc_resnet101", "acgc_resnet152"}
    digits = {"digits_resnet", "digits_vit", "digits_conv4", "lenet5"}
    large = {"resnet18", "resnet50", "vgg19", "mobilenetv2"}
    assert cifar | blpa | acgc | digits | large <= set(networks())


def test_an_unknown_name_lists_the_known_and_near_ones() -> None:
    with pytest.raises(ModelError) as caught:
        build_network("cifar_resnet21")
    message = str(caught.value)
    assert "Known are acgc_resnet50, " in message
    assert "Close names: 'cifar_resnet" in message


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cifar_resnet8", {"class": 3}, r"classes, channels, last, pact\. Close"),
        ("resnet18", {"input_size": 64}, r"input_size=64; there are layouts for 32"),
        ("vgg16", {"channels": 1}, "does not know the option 'channels'"),
        ("lenet5", {"classes": "ten"}, "'lenet5' has classes='ten'; .* whole number"),
    ],
)
def test_wrong_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_network(name, **options)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_networks.py").write_text(
        "from torch import nn\n"
        "size = 3\n"
        "def make(width=4): return nn.Linear(width, 2)\n"
        "def make_nothing(): return 5\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)


@pytest.mark.usefixtures("own_module")
def test_a_factory_of_the_user() -> None:
    network = build_network("own_networks:make", width=6)
    assert isinstance(network, nn.Linear) and network.in_features == 6


@pytest.mark.usefixtures("own_module")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own_networks:mak", r"has no function 'mak'\. Close names: 'make'"),
        ("own_networks:size", "has no function 'size'"),
        ("own_networks:make_nothing", "returned a int; a nn.Module is needed"),
        ("no_such_module:make", "'no_such_module' does not import.*PYTHONPATH"),
        (":make", "does not import"),
    ],
)
def test_a_wrong_factory(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_network(name)


@pytest.mark.parametrize("source", ["torchvision", "timm"])
def test_where_vision_packages_are_missing_the_next_step_is_named(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, source, None)
    with pytest.raises(BackendError, match=r"Install axsim\[vision\]"):
        build_network(f"{source}:resnet18")


@pytest.mark.parametrize("source", ["torchvision", "timm"])
def test_models_of_the_vision_packages(source: str) -> None:
    if importlib.util.find_spec(source) is None:
        pytest.skip(f"{source} is not installed; it comes with axsim[vision]")
    theirs = build_network(f"{source}:resnet18").eval()
    ours = build_network("resnet18").eval()
    if source == "torchvision":
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(1, 3, 64, 64)
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)
    with pytest.raises(ModelError, match=r"Close names: .*'resnet18'"):
        build_network(f"{source}:resnet18x")
