from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from axsim import ModelError
from axsim.zoo.checkpoint import (
    load_weights,
    read_metadata,
    read_weights,
    save_weights,
    shipped_weights,
)
from axsim.zoo.data.sources import load_data
from axsim.zoo.networks.factory import build_network


class Net(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, classes)


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = save_weights(Net(), tmp_path / "net.safetensors", {"data": "digits"})
    net, again = Net(), Net()
    assert load_weights(net, path) is net
    assert equal(net, load_weights(again, path))
    assert read_metadata(path) == {"data": "digits"}
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_shared_and_transposed_weights_are_saved(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Conv2d(1, 2, 3))
    net[1].weight = net[0].weight
    net[2].to(memory_format=torch.channels_last)  # pyright: ignore
    path = save_weights(net, tmp_path / "net.safetensors")
    saved = read_weights(path)
    for name, each in net.state_dict().items():
        assert torch.equal(saved[name], each)


def test_an_interrupted_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_weights(Net(), tmp_path / "net.safetensors")
    before = path.read_bytes()

    def fail(source: Path, target: Path) -> None:
        assert source.stat().st_size == len(before)
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ModelError, match="cannot be written: disk full"):
        save_weights(Net(), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_saving_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ends in '\.pth'; weights are written as"):
        save_weights(Net(), tmp_path / "net.pth")
    with pytest.raises(ModelError, match="cannot be written"):
        save_weights(Net(), tmp_path / "none" / "net.safetensors")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model_state_dict": state, "optimizer": {"lr": 0.1}},
        lambda state: {"model": state, "args": None},
        lambda state: {"net": state, "acc": 93.1},
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}},
        lambda state: {f"module._orig_mod.{k}": v for k, v in state.items()},
        lambda state: {f"_orig_mod.module.{k}": v for k, v in state.items()},
        lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
        lambda state: {
            k: v.half() if v.is_floating_point() else v for k, v in state.items()
        },
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_what_people_have_from_torch_save(
    tmp_path: Path, wrap: Any, zipped: bool
) -> None:
    source = Net()
    source.half().float()
    path = tmp_path / "net.pth"
    torch.save(wrap(source.state_dict()), path, _use_new_zipfile_serialization=zipped)
    assert equal(load_weights(Net(), path), source)


def test_the_content_decides_not_the_extension(tmp_path: Path) -> None:
    source = Net()
    torch.save(source.state_dict(), tmp_path / "net.safetensors")
    assert equal(load_weights(Net(), tmp_path / "net.safetensors"), source)
    save_file(source.state_dict(), tmp_path / "net.pth")
    assert equal(load_weights(Net(), tmp_path / "net.pth"), source)


@pytest.mark.parametrize("length", [0x80, 0x180, 0x4B50])
def test_safetensors_whose_length_looks_like_another_format(
    tmp_path: Path, length: int
) -> None:
    source = Net()
    path = save_weights(source, tmp_path / "net.safetensors")
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    head, data = content[8 : 8 + size], content[8 + size :]
    padded = head.ljust(length if length > size else length + 0x400)
    path.write_bytes(len(padded).to_bytes(8, "little") + padded + data)
    assert path.read_bytes()[:1] in b"\x80P"
    assert equal(load_weights(Net(), path), source)


def test_a_saved_file_has_the_usual_permissions(tmp_path: Path) -> None:
    path = save_weights(Net(), tmp_path / "net.safetensors")
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_prefix_that_the_model_has_is_kept(tmp_path: Path) -> None:
    source = nn.ModuleDict({"module": Net()})
    torch.save(source.state_dict(), tmp_path / "net.pth")
    loaded = load_weights(nn.ModuleDict({"module": Net()}), tmp_path / "net.pth")
    assert equal(loaded, source)


def test_misfits_are_listed_and_change_nothing(tmp_path: Path) -> None:
    state = Net(classes=5).state_dict()
    state["extra.weight"] = state.pop("conv.weight")
    state["conv.bias"] = state["conv.bias"].to(torch.int8)
    torch.save(state, tmp_path / "other.pth")
    net = Net()
    before = {name: each.clone() for name, each in net.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_weights(net, tmp_path / "other.pth")
    assert str(caught.value) == (
        "weights: other.pth does not fit Net: missing (1): conv.weight; unexpected "
        "(1): extra.weight; of another shape (3): conv.bias 4 of torch.int8 for 4, "
        "head.weight 5x4 for 3x4, head.bias 5 for 3. Build the network that was "
        "trained, with its options such as classes=."
    )
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_long_lists_are_cut(tmp_path: Path) -> None:
    path = save_weights(Net(), tmp_path / "net.safetensors")
    with pytest.raises(ModelError, match=r"missing \(95\): stem\.conv\.weight, .*, …;"):
        load_weights(build_network("cifar_resnet20"), path)


class Trap:
    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_calls_is_refused_and_not_run(
    tmp_path: Path, zipped: bool
) -> None:
    marker, path = tmp_path / "ran", tmp_path / "trap.pt"
    content = {"state_dict": Net().state_dict(), "extra": Trap(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError) as caught:
        load_weights(Net(), path)
    assert "trap.pt needs the code of posix.mkdir, not only tensors" in str(
        caught.value
    )
    assert "nothing was run" in str(caught.value)
    assert "torch.save(model.state_dict(), …)" in str(caught.value)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_whole_pickled_model_is_refused_with_the_reason(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "whole.pt")
    with pytest.raises(
        ModelError, match=r"whole\.pt needs the code of test_checkpoint"
    ):
        load_weights(Net(), tmp_path / "whole.pt")
    trap = pickle.dumps({"model": Trap(tmp_path / "x"), "other": {1, 2}}, 2)
    (tmp_path / "plain.pkl").write_bytes(trap)
    with pytest.raises(ModelError, match=r"plain\.pkl needs the code of posix\.mkdir"):
        load_weights(Net(), tmp_path / "plain.pkl")
    assert not (tmp_path / "x").exists()


def test_what_torch_cannot_read_is_said_without_its_advice(tmp_path: Path) -> None:
    (tmp_path / "odd.pt").write_bytes(b"\x80\x02" + bytes(40))
    with pytest.raises(ModelError) as caught:
        load_weights(Net(), tmp_path / "odd.pt")
    assert str(caught.value) == (
        "weights: odd.pt is damaged or holds more than tensors: Unsupported operand 0"
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "net.pt"))
    with pytest.raises(ModelError, match=r"net\.pt is a TorchScript program"):
        load_weights(nn.Linear(2, 2), tmp_path / "net.pt")


@pytest.mark.parametrize("name", ["net.safetensors", "net.pth", "old.pth"])
@pytest.mark.parametrize("keep", [1, 9, 500, -1])
def test_truncated_files_are_named(tmp_path: Path, name: str, keep: int) -> None:
    path = tmp_path / name
    if name == "net.safetensors":
        save_weights(Net(), path)
    else:
        zipped = name == "net.pth"
        torch.save(Net().state_dict(), path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=rf"weights: {name} "):
        load_weights(Net(), path)


def test_files_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pt cannot be read: .*No such file"):
        load_weights(Net(), tmp_path / "none.pt")
    with pytest.raises(ModelError, match=r"converted network's folder is for load_net"):
        load_weights(Net(), tmp_path)
    (tmp_path / "empty.pt").touch()
    with pytest.raises(ModelError, match=r"empty\.pt is neither safetensors nor"):
        load_weights(Net(), tmp_path / "empty.pt")
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "log.pt")
    with pytest.raises(ModelError, match=r"log\.pt holds epoch, lr; needed is a state"):
        load_weights(Net(), tmp_path / "log.pt")
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    with pytest.raises(ModelError, match=r"list\.pt holds a list; needed is a state"):
        load_weights(Net(), tmp_path / "list.pt")


@pytest.mark.parametrize(
    ("name", "least"), [("digits_resnet", 0.985), ("digits_vit", 0.96)]
)
def test_shipped_networks_are_as_accurate_as_they_say(name: str, least: float) -> None:
    path = shipped_weights(name)
    words = read_metadata(path)
    options = {key: int(words[key]) for key in ("fold", "folds", "seed")}
    test: Any = load_data(words["data"], "test", **options)
    network = load_weights(build_network(name), path).eval()
    with torch.no_grad():
        right = (network(test.images).argmax(1) == test.labels).sum().item()
    # A sample on the boundary may fall either way on another processor.
    assert abs(right - float(words["accuracy"]) * len(test)) <= 1
    assert right / len(test) >= least


def test_shipped_weights_are_small_and_listed() -> None:
    folder = shipped_weights("digits_resnet").parent
    assert sum(file.stat().st_size for file in folder.iterdir()) < 500_000
    with pytest.raises(ModelError, match=r"those of digits_resnet, digits_vit\. Close"):
        shipped_weights("digits_resnt")
