"""Saved networks: identical outputs, and refusals of what does not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.errors import ConversionError, ModelError, TableError
from axsim.gating.bits import Bits
from axsim.gating.channels import Channels
from axsim.gating.gate import Gate
from axsim.gating.threshold import Threshold
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.policies.greedy import Greedy
from axsim.memory.saved import Saved
from axsim.nn.document import Writer
from axsim.nn.layer import ApproxLayer
from axsim.quant.mse import MSE
from axsim.quant.percentile import Percentile
from axsim.quant.quantizer import Quantizer
from axsim.quant.scheme import PerAxis, Scheme
from axsim.tables.cost import Cost
from axsim.zoo.converted import load_network, save_network

TRUNCATED = ax.load_multiplier("mul8u_trunc_6")
MINE = ax.Multiplier.from_function(
    lambda a, b: a * b & ~7, signed=False, name="a/b c", cost=Cost("me", power=0.25)
)
SIGNED = ax.Multiplier.from_function(lambda a, b: a * b & ~3, signed=True, name="s")
NARROW = ax.Multiplier.from_function(
    lambda a, b: a * b + a, signed=(False, True), bits=(8, 4), name="a/b c"
)


def model() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=2, stride=2), nn.Flatten(), nn.Linear(36, 3),
    ).eval()  # fmt: skip


def images(count: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(count, 1, 8, 8, generator=generator)


WEIGHT = Scheme(4, signed=True, symmetric=True, granularity=PerAxis(0))
RECIPES: dict[str, Any] = {
    "shipped": TRUNCATED,
    "own": MINE,
    "every word": ax.Product(SIGNED, "weight", None, "skip", "table", "gather"),
    "codes": ax.LayerSpec(
        ax.Quant(Scheme(7), Scheme(5, granularity=PerAxis(0)), MSE(), Percentile(99)),
        TRUNCATED,
    ),
    "codes alone": ax.LayerSpec(ax.Quant(Scheme(6))),
    "signs": ax.LayerSpec(
        ax.Quant(weight=WEIGHT), ax.Product(TRUNCATED, signs="sign-magnitude")
    ),
    "dynamic": ax.LayerSpec(ax.Quant(dynamic=True), MINE),
    "mixed": [
        ax.Rule("0", ax.Exact()),
        ax.Rule("3", MINE),
        ax.Rule("5", ax.LayerSpec(ax.Quant(weight=WEIGHT), NARROW)),
    ],
    "nothing": ax.Exact(),
    "gates": [
        ax.Rule("3", ax.LayerSpec(None, SIGNED, Gate(Bits(5), Threshold(0.1)))),
        ax.Rule("5", ax.LayerSpec(None, MINE, Gate(Channels(2), rest=TRUNCATED))),
    ],
    "saved": ax.LayerSpec(
        multiplier=MINE, saved=Saved(GroupAffine(), GroupAffine(), Greedy(2.5))
    ),
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a network that has one table of its own and a shipped one."""
    rules = [ax.Rule("0", MINE), ax.Rule(".*", TRUNCATED)]
    net = ax.approximate(model(), rules, calibration=[images()])
    return save_network(net, tmp_path / "net")


def described(layer: ApproxLayer) -> Any:
    """A layer's answers as data: policies are equal only to themselves."""
    writer = Writer(lambda mul: mul.sha256)
    return writer.write(layer.spec), writer.shared


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the folder's document."""
    file = folder / "spec.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("name", RECIPES)
def test_a_loaded_network_gives_identical_outputs(
    name: str, folded: bool, tmp_path: Path
) -> None:
    net = ax.approximate(
        model(), RECIPES[name], calibration=[images()], fold_batch_norm=folded
    )
    save_network(net, tmp_path)
    fresh = model()
    for parameter in fresh.parameters():
        nn.init.normal_(parameter)
    before = [p.clone() for p in fresh.parameters()]
    loaded = load_network(tmp_path, fresh)
    x = images(5)
    assert torch.equal(loaded(x), net(x))
    assert all(map(torch.equal, before, fresh.parameters()))
    one, other = ax.plan(loaded), ax.plan(net)
    for known in ("products", "exact", "unreached", "costs", "folded"):
        assert getattr(one, known) == getattr(other, known)
    assert [*one.gates] == [*other.gates]
    assert str(ax.summary(loaded)) == str(ax.summary(net))
    for one, other in zip(net.modules(), loaded.modules(), strict=True):
        assert type(one) is type(other)
        if isinstance(one, ApproxLayer):
            assert isinstance(other, ApproxLayer)
            assert described(one) == described(other)


@pytest.mark.parametrize("name", ["digits_resnet", "digits_vit"])
def test_the_folder_can_name_the_network(name: str, tmp_path: Path) -> None:
    trained = ax.load_weights(ax.build_network(name), ax.shipped_weights(name))
    x = images().abs()
    net = ax.approximate(trained.eval(), TRUNCATED, calibration=[x])
    loaded = load_network(save_network(net, tmp_path / "a/b", network=name))
    assert torch.equal(loaded(x), net(x)) and not loaded.training
    assert {p.name for p in (tmp_path / "a/b").iterdir()} == {
        "spec.json",
        "weights.safetensors",
    }


def test_options_and_mode_are_kept(tmp_path: Path) -> None:
    fresh = ax.build_network("digits_conv4", classes=3)
    net = ax.approximate(fresh, MINE, calibration=[images()])
    save_network(net, tmp_path, network="digits_conv4", options={"classes": 3})
    loaded = load_network(tmp_path)
    assert loaded.training and loaded(images()).shape == (4, 3)


def test_a_network_that_learned_is_saved_as_it_is(saved: Path) -> None:
    net = load_network(saved, model()).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    net(images()).square().sum().backward()
    optimiser.step()
    compiled: Any = torch.compile(net, backend="eager")
    save_network(compiled, saved)
    again = load_network(saved, model())
    assert torch.equal(again.eval()(images()), net.eval()(images()))


def test_the_spec_can_be_read_by_people(saved: Path) -> None:
    document = json.loads((saved / "spec.json").read_text())
    assert document["layers"]["3"] == {
        "kind": "ApproxConv2d",
        "spec": "spec 2",
        "codes": {
            "site": "uint8 affine per tensor, 0 … 255 x uint8 affine per axis 0, "
            "0 … 255"
        },
    }
    assert document["layers"]["5"]["spec"] == "spec 2"
    table = document["tables"]["a/b c"]
    assert (table["sha256"], table["cost"]["power"]) == (MINE.sha256, 0.25)
    assert document["tables"]["mul8u_trunc_6"]["shipped"] == "mul8u_trunc_6"
    raw = np.fromfile(saved / table["file"], "<u2").reshape(256, 256)
    assert np.array_equal(raw, MINE.table)


def test_half_precision_is_kept(tmp_path: Path) -> None:
    net = ax.approximate(model().half(), MINE, calibration=[images().half()])
    save_network(net, tmp_path)
    x = images().half()
    assert torch.equal(load_network(tmp_path, model().half())(x), net(x))
    with pytest.raises(ModelError, match=r"0\.weight as torch.float16, but the model"):
        load_network(tmp_path, model())


def wider() -> nn.Sequential:
    net = model()
    net[5] = nn.Linear(36, 7)
    return net


def renamed() -> nn.Sequential:
    net = model()
    return nn.Sequential(net[:3], net[3:])


def with_more() -> nn.Sequential:
    return model().append(nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (wider, r"does not fit Sequential: of another shape \(2\): 5.weight 3x36 for"),
        (renamed, r"lacks 2 of the 3 converted layers: 3, 5\."),
        (with_more, r"missing \(2\): 6.weight, 6.bias"),
    ],
)
def test_other_models_are_refused(
    saved: Path, other: Callable[[], nn.Module], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        load_network(saved, other())


def test_weights_that_the_model_lacks_are_listed(tmp_path: Path) -> None:
    net = ax.approximate(with_more(), TRUNCATED, calibration=[images()])
    save_network(net, tmp_path)
    edit(tmp_path, lambda d: d["layers"].pop("6"))
    with pytest.raises(ModelError, match=r"unexpected \(8\): .*6\.weight"):
        load_network(tmp_path, model())


def test_another_table_is_refused(saved: Path) -> None:
    file = next(saved.glob("table-*.bin"))
    raw = np.fromfile(file, "<u2")
    raw[1234] += 1
    raw.tofile(file)
    with pytest.raises(TableError, match=r"'a/b c' has the hash .* is another"):
        load_network(saved, model())
    file.unlink()
    with pytest.raises(TableError, match="there is no file"):
        load_network(saved, model())
    edit(saved, lambda d: d["tables"]["mul8u_trunc_6"].update(shipped="mul8u_trunc_4"))
    edit(saved, lambda d: d["tables"].pop("a/b c"))
    with pytest.raises(TableError, match="'mul8u_trunc_6' has the hash"):
        load_network(saved, model())


def shorten(folder: Path, name: str) -> None:
    file = folder / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: shorten(f, "spec.json"), "spec.json is damaged, or cut off"),
        (lambda f: shorten(f, "weights.safetensors"), "neither safetensors nor a file"),
        (lambda f: (f / "spec.json").unlink(), "spec.json cannot be read"),
        (lambda f: (f / "spec.json").write_text("[" * 100_000), "damaged, or cut off"),
        (lambda f: (f / "spec.json").write_text("{}"), "not written by save_network"),
        (lambda f: edit(f, lambda d: d.update(version=9)), "of version 9; this axsim"),
        (lambda f: edit(f, lambda d: d.pop("layers")), "spec.json lacks 'layers'"),
        (lambda f: edit(f, lambda d: d.update(exact=3)), "spec.json lacks 'exact'"),
        (lambda f: edit(f, lambda d: d.update(folded=[1])), "spec.json lacks 'folded'"),
        (lambda f: edit(f, lambda d: d.update(products={"0": "9"})), "damaged counts"),
        (lambda f: edit(f, lambda d: d["layers"].update({"0": 1})), "no answers for"),
        (lambda f: edit(f, lambda d: d.update(folded=[["0", "2"]])), "no such pair"),
        (
            lambda f: edit(f, lambda d: d["tables"]["a/b c"].pop("signed")),
            "description of table 'a/b c' is damaged: KeyError",
        ),
        (
            lambda f: edit(f, lambda d: d["tables"]["a/b c"].update(cost=3)),
            "description of table 'a/b c' is damaged",
        ),
        (
            lambda f: edit(f, lambda d: d["tables"]["a/b c"].update(file="../x.bin")),
            "lies outside the network's folder; it was not opened",
        ),
        (
            lambda f: edit(
                f, lambda d: d["specs"]["spec 1"].update(gate={"class": "Popen"})
            ),
            "names a class 'Popen'",
        ),
    ],
)
def test_damage_is_told(
    saved: Path, damage: Callable[[Path], Any], message: str
) -> None:
    damage(saved)
    with pytest.raises(ModelError, match=message):
        load_network(saved, model())


def test_weights_of_another_save_are_refused(saved: Path, tmp_path: Path) -> None:
    other = model()
    nn.init.ones_(next(other.parameters()))
    net = ax.approximate(other, TRUNCATED, calibration=[images()])
    shutil.copy(save_network(net, tmp_path / "other") / "weights.safetensors", saved)
    with pytest.raises(ModelError, match=r"is not what spec\.json was saved with"):
        load_network(saved, model())


@pytest.mark.parametrize("name", ["os:system", "subprocess:run", 3, None])
def test_no_code_is_run_for_a_folder(saved: Path, name: Any) -> None:
    edit(saved, lambda d: d.update(network={"name": name, "options": {}}))
    with pytest.raises(ModelError, match="not one of axsim's own; nothing was run"):
        load_network(saved)


def test_a_network_without_a_name_must_be_given(saved: Path) -> None:
    with pytest.raises(ModelError, match=r"load_network\(folder, model\)"):
        load_network(saved)


class Talkative(nn.Linear):
    """Keeps a state that is no tensor."""

    def get_extra_state(self) -> Any:
        return {"words": 3}


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"not returned by ax\.approximate"):
        save_network(model(), tmp_path)
    net = nn.Sequential(model(), Talkative(3, 3))
    converted = ax.approximate(net, TRUNCATED, calibration=[images()])
    with pytest.raises(ModelError, match=r"state '1\._extra_state' is a dict"):
        save_network(converted, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    file = tmp_path / "file"
    file.touch()
    plain = ax.approximate(model(), TRUNCATED, calibration=[images()])
    with pytest.raises(ModelError, match="cannot be made"):
        save_network(plain, file)


def test_weights_alone_bring_their_ranges(saved: Path) -> None:
    """load_weights on a network that was converted anew and not calibrated."""
    net = load_network(saved, model())
    rules = [ax.Rule("0", MINE), ax.Rule(".*", TRUNCATED)]
    other = ax.approximate(model(), rules)
    ax.load_weights(other, saved / "weights.safetensors")
    ranges = [m.mode for m in other.modules() if isinstance(m, Quantizer)]
    assert "uncalibrated" not in ranges
    assert torch.equal(other(images()), net(images()))
