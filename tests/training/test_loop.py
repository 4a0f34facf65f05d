"""The loop against a plain twin, interruptions, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from blobs import Unlabelled, build, equal, make_blobs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import axsim as ax
from axsim import (
    AxsimError,
    AxsimWarning,
    DataError,
    ModelError,
    TrainingError,
    TrainSettings,
)
from axsim.training.result import Epoch, TrainResult
from axsim.zoo.checkpoint import load_weights, read_metadata
from axsim.zoo.data.loader import make_loader

SETTINGS = TrainSettings(epochs=3, batch_size=10, lr=0.05, seed=4)


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "log.jsonl").read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def told(folder: Path) -> list[dict[str, Any]]:
    """The log without times, and without who began when."""
    kept = [line for line in lines(folder) if line["event"] in ("step", "epoch")]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in kept]


def test_the_loop_equals_a_plain_one_bit_for_bit() -> None:
    net, twin, data = build(norm=True), build(norm=True), make_blobs()
    result = ax.train(net, data, SETTINGS)
    descent = torch.optim.SGD(
        twin.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4
    )
    loader = make_loader(data, 10, shuffle=True, seed=4)
    losses: list[float] = []
    for epoch in range(3):
        losses.append(0)
        for step, (images, labels) in enumerate(loader, epoch * len(loader)):
            rate = 0.05 * 0.5 * (1 + math.cos(math.pi * step / (3 * len(loader))))
            descent.param_groups[0]["lr"] = rate
            loss = F.cross_entropy(twin(images), labels)
            descent.zero_grad()
            loss.backward()
            descent.step()
            losses[-1] += loss.item() * len(labels) / 45
    assert equal(net, twin)
    assert [row.loss for row in result.history] == pytest.approx(losses, rel=1e-12)
    assert [row.epoch for row in result.history] == [1, 2, 3]


def test_the_seed_decides_and_the_global_generator_is_left_alone() -> None:
    augmented = TrainSettings(epochs=1, batch_size=10, flip=True, crop_pad=1)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first, again, other = (build(dropout=0.5) for _ in range(3))
    ax.train(first, make_blobs(), augmented)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    ax.train(again, make_blobs(), augmented)
    assert equal(first, again)
    ax.train(other, make_blobs(), dataclasses.replace(augmented, seed=1))
    assert not equal(first, other)


def test_workers_change_nothing() -> None:
    nets = [build(), build()]
    for net, workers in zip(nets, (0, 2), strict=True):
        ax.train(net, make_blobs(), TrainSettings(epochs=1, workers=workers))
    assert equal(*nets)


def interrupt_after(step: int) -> Any:
    def progress(done: int, total: int, note: str) -> None:
        del total, note
        if done >= step:
            signal.raise_signal(signal.SIGINT)

    return progress


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told after each step, however fast they are."""
    monkeypatch.setattr("axsim.training.loop.SHOW_SECONDS", -1.0)


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("step", [1, 4, 5, 9, 14])
def test_an_interrupted_run_goes_on_to_the_same_weights_and_log(
    tmp_path: Path, step: int, optimizer: Any
) -> None:
    chosen = TrainSettings(epochs=3, batch_size=10, lr=0.01, optimizer=optimizer,
                           flip=True, log_steps=2, decay_vectors=False)  # fmt: skip
    data, test = make_blobs(), make_blobs(30, seed=1)
    nets = [build(dropout=0.3, norm=True) for _ in range(3)]
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    expected = ax.train(nets[0], data, chosen, out=whole, validate=test)
    with pytest.raises(KeyboardInterrupt):
        ax.train(nets[1], data, chosen, out=parted, validate=test,
                 progress=interrupt_after(step))  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    found = ax.train(nets[2], data, chosen, out=parted, resume=True, validate=test)
    assert equal(nets[0], nets[2])
    assert told(parted) == told(whole)
    [at] = [line for line in lines(parted) if line["event"] == "resume"]
    # The hook is told after a step, so that one more was done.
    assert 5 * (at["epoch"] - 1) + at["step"] == step + 1
    for a, b in zip(expected.history, found.history, strict=True):
        assert {**vars(a), "seconds": 0} == {**vars(b), "seconds": 0}
    for name in ("last", "best"):
        a, b = ((folder / f"{name}.safetensors") for folder in (whole, parted))
        assert equal(load_weights(nets[0], a), load_weights(nets[1], b))


@pytest.mark.usefixtures("every_step")
def test_a_second_interruption_does_not_wait(tmp_path: Path) -> None:
    def twice(done: int, total: int, note: str) -> None:
        del done, total, note
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ax.train(build(), make_blobs(), SETTINGS, out=tmp_path, progress=twice)
    assert not (tmp_path / "state.safetensors").exists()
    assert ax.train(build(), make_blobs(), SETTINGS, out=tmp_path, resume=True)
    assert [line["event"] for line in lines(tmp_path)] == ["start", *["epoch"] * 3]


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    net, again = build(), build()
    first = ax.train(net, make_blobs(), SETTINGS, out=tmp_path)
    log = told(tmp_path)
    second = ax.train(again, make_blobs(), SETTINGS, out=tmp_path, resume=True)
    assert equal(net, again)
    assert first == second
    assert told(tmp_path) == log


def test_what_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / ".last.safetensors.1.part").write_text("half a file")
    rows: list[Epoch] = []
    net, test = build(), make_blobs(30, seed=1)
    words = {"command": "axsim train"}
    result = ax.train(net, make_blobs(), SETTINGS, out=tmp_path, validate=test,
                      words=words, on_epoch=rows.append)  # fmt: skip
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "best.safetensors", "last.safetensors", "log.jsonl", "state.safetensors",
    ]  # fmt: skip
    assert equal(net, load_weights(build(), tmp_path / "last.safetensors"))
    words = read_metadata(tmp_path / "last.safetensors")
    assert words["command"] == "axsim train"
    assert json.loads(words["settings"]) == SETTINGS.as_json()
    assert tuple(rows) == result.history
    # The accuracy in the table is that of the weights in the file.
    assert result.best is not None
    best = ax.evaluate(load_weights(build(), tmp_path / "best.safetensors"), test)
    assert best.accuracy == result.best.valid_accuracy
    assert best.loss == pytest.approx(result.best.valid_loss)
    assert result.best.valid_accuracy == max(row.valid_accuracy or 0 for row in rows)
    last = ax.evaluate(net, test)
    assert (last.accuracy, result.history[-1].valid_accuracy) == (last.accuracy,) * 2


def test_the_mode_of_the_model_is_kept() -> None:
    net = build(norm=True)
    for training in (True, False):
        net.train(training)
        ax.train(net, make_blobs(), TrainSettings(epochs=1), validate=make_blobs())
        assert all(each.training is training for each in net.modules())


def test_a_long_history_is_shown_by_some_of_its_epochs() -> None:
    rows = [
        Epoch(i, 0.1, 1 / i, 0.5, 0.1, 0.9 if i == 7 else 0.8, 2) for i in range(1, 102)
    ]
    shown = str(TrainResult(tuple(rows))).splitlines()
    epochs = [int(line.split()[0]) for line in shown[2:]]
    assert epochs == sorted({7, *range(6, 102, 6), 101})
    assert shown[3].split() == ["7", "0.1", "0.1429", "50.00", "0.1000", "90.00", "2.0"]


class Lengthless(Dataset[Any]):
    pass


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TensorDataset(torch.ones(0, 3)), "data is empty; there is nothing to train"),
        (DataLoader(make_blobs()), "data is a DataLoader; give its data set"),
        (Lengthless(), "data is a Lengthless; needed is a torch Dataset of"),
        ([(torch.ones(3), 0)], "data is a list; needed is a torch Dataset of"),
        (Unlabelled(), "without labels; needed are samples"),
        (TensorDataset(torch.ones(4, 1, 4, 4), torch.ones(4)), "labels are torch.flo"),
        (
            TensorDataset(torch.ones(4, 1, 4, 4), torch.tensor([0, 1, 2, 3])),
            "labels run from 0 to 3, and the network has 3 outputs",
        ),
    ],
)
def test_data_that_cannot_be_trained_with_is_named(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ax.train(build(), data, SETTINGS)
    with pytest.raises(DataError, match=message.replace("data is", "validate is")):
        ax.train(build(), make_blobs(), SETTINGS, validate=data)


def resume(folder: Path, **changes: Any) -> None:
    given: dict[str, Any] = {"net": build(), "data": make_blobs(), "resume": True}
    given |= {"settings": SETTINGS} | changes
    ax.train(given.pop("net"), given.pop("data"), given.pop("settings"), out=folder,
             **given)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"resume": False},
            TrainingError,
            r"holds a run; go on with it \(res",
        ),
        (
            {"settings": TrainSettings(epochs=4)},
            TrainingError,
            r"resume: epochs=4 was 3; batch_size=128 was 10; lr=0\.1 was 0\.05; seed=0",
        ),
        (
            {"data": make_blobs(44)},
            TrainingError,
            "44 samples, and the run began with 45",
        ),
        (
            {"net": build(norm=True)},
            ModelError,
            r"state.safetensors does not fit Sequential: missing \(4\): 1.weight",
        ),
    ],
)
def test_a_run_that_cannot_go_on_is_left_as_it_is(
    tmp_path: Path, changes: dict[str, Any], kind: type[AxsimError], message: str
) -> None:
    resume(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(kind, match=message):
        resume(tmp_path, **changes)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_going_on_with_other_rounding_is_told(tmp_path: Path) -> None:
    def stop(row: Epoch) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        resume(tmp_path, on_epoch=stop)
    torch.set_num_threads(2)
    with pytest.warns(AxsimWarning, match=r"resume: threads 2, was 1\. The weights"):
        resume(tmp_path)


def test_folders_that_are_no_use_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="resume=True needs out=, the folder"):
        ax.train(build(), make_blobs(), SETTINGS, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"out=.*file cannot be made"):
        resume(tmp_path / "file")
    load_from = tmp_path / "state.safetensors"
    ax.train(build(), make_blobs(), SETTINGS, out=tmp_path / "run")
    (tmp_path / "run" / "last.safetensors").rename(load_from)
    with pytest.raises(TrainingError, match=r"state\.safetensors is not the state of"):
        resume(tmp_path)
    load_from.write_text("nonsense")
    with pytest.raises(ModelError, match=r"state\.safetensors is not safetensors"):
        resume(tmp_path)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    wild = TrainSettings(epochs=9, batch_size=10, lr=1e20, log_steps=1)
    with pytest.raises(
        TrainingError, match=r"the loss is (nan|inf) in epoch 1, by step"
    ):
        ax.train(build(), make_blobs(), wild, out=tmp_path)
    assert [line["event"] for line in lines(tmp_path)] == ["start", "step"]


@settings(deadline=None, max_examples=15)
@given(count=st.integers(1, 30), batch=st.integers(1, 12), parts=st.integers(1, 5))
def test_ragged_batches_of_any_size_train(count: int, batch: int, parts: int) -> None:
    """Each sample is seen once an epoch."""
    chosen = TrainSettings(epochs=1, batch_size=batch, sub_batches=parts, lr=1e-30,
                           weight_decay=0)  # fmt: skip
    net, data = build(), make_blobs(count)
    row = ax.train(net, data, chosen).history[0]
    whole = ax.evaluate(build(), data)
    assert row.loss == pytest.approx(whole.loss, rel=1e-5)
    assert row.accuracy == whole.accuracy


def test_a_network_of_its_own_kind_trains() -> None:
    """No part of the loop asks what a network is made of."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(16, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) @ self.weight

    net, data = Own(), make_blobs(90)
    result = ax.train(net, data, TrainSettings(epochs=5, batch_size=10, lr=0.05))
    assert result.history[-1].accuracy > 0.9
    assert ax.evaluate(net, data).accuracy > 0.9
