"""`axsim train` and `axsim eval` on the digits, with a network of one layer."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

import axsim as ax
from axsim import TrainSettings
from axsim.cli import build_app
from axsim.cli._pairs import parse_pairs
from axsim.zoo.checkpoint import read_metadata, read_weights

LINEAR = ("--model", "linear:build", "--data", "digits")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), list(map(str, arguments)))


def train(out: Path, *arguments: object) -> Result:
    return run("train", *LINEAR, "--out", out, "--epochs", 2, *arguments)


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def same_weights(a: Path, b: Path) -> bool:
    x, y = (read_weights(folder / "last.safetensors") for folder in (a, b))
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


def test_what_is_trained_is_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["axsim", "train", "--out", "a b"])
    trained = train(tmp_path)
    assert trained.exit_code == 0, trained.output
    head, _, first, last, *rest = trained.stdout.splitlines()
    assert head.split()[0] == "epoch"
    assert (first.split()[0], last.split()[0]) == ("1", "2")
    weights = tmp_path / "last.safetensors"
    assert rest[1:] == [
        f"wrote {weights}",
        f"next: axsim eval --model linear:build --data digits --weights {weights}",
    ]
    words = read_metadata(weights)
    assert words["command"] == "axsim train --out 'a b'"
    assert (words["model"], words["data"]) == ("linear:build", "digits")
    evaluated = run("eval", *LINEAR, "--weights", weights)
    assert evaluated.exit_code == 0, evaluated.output
    title, _, head, _, row = evaluated.stdout.splitlines()
    assert title == (
        f"linear:build, {weights}, on <digits, fold 0 of 5, seed 0, test: 360 images "
        "1x8x8, 10 classes>"
    )
    # The accuracy of the last epoch, in the last but one column.
    assert row.split()[1] == last.split()[5]
    assert float(row.split()[1]) > 80


def test_every_setting_has_an_option_with_its_default_and_words() -> None:
    command: Any = typer.main.get_command(build_app())
    options = {each.name: each for each in command.commands["train"].params}
    for field in dataclasses.fields(TrainSettings):
        option = options[field.name]
        assert option.default == field.default, field.name
        assert option.help.endswith("."), field.name


def test_options_become_settings(tmp_path: Path) -> None:
    result = train(
        tmp_path, "--optimizer", "adamw", "--lr", 0.01, "--schedule", "steps",
        "--milestones", 1, "--milestones", 2, "--no-decay-vectors", "--clip-norm", 2,
        "--crop-pad", 1, "--flip", "--no-validate", "--seed", 3,
        "--data-option", "fold=4", "--data-option", "folds=10",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    start = log_of(tmp_path)[0]
    expected = TrainSettings(
        epochs=2, optimizer="adamw", lr=0.01, schedule="steps", milestones=(1, 2),
        decay_vectors=False, clip_norm=2, crop_pad=1, flip=True, seed=3,
    )  # fmt: skip
    assert start["settings"] == expected.as_json()
    assert start["data"].startswith("<digits, fold 4 of 10, seed 0, train: ")
    assert log_of(tmp_path)[-1]["valid_accuracy"] is None


def test_an_interrupted_command_goes_on_with_resume(tmp_path: Path) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert train(whole).exit_code == 0
    stopped = train(parted, "--model-option", "interrupted=5")
    assert stopped.exit_code == 130
    assert stopped.stderr == (
        f"interrupted; go on with the same command and --resume ({parted})\n"
    )
    refused = train(parted)
    assert isinstance(refused.exception, ax.TrainingError)
    assert "holds a run; go on with it (resume=True, --resume)" in str(
        refused.exception
    )
    assert train(parted, "--resume").exit_code == 0
    assert log_of(parted)[1]["event"] == "resume"
    assert log_of(parted)[1]["step"] == 5
    assert same_weights(whole, parted)


def test_training_begins_with_other_weights(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    train(first)
    begun = ("--weights", first / "last.safetensors", "--lr", 1e-30)
    train(second, *begun, "--weight-decay", 0)
    assert same_weights(first, second)


@pytest.mark.parametrize("name", ["digits_resnet", "digits_vit"])
def test_shipped_networks_are_evaluated_by_name(name: str) -> None:
    result = run("eval", "--model", name, "--weights", "shipped", "--data", "digits")
    found = result.stdout.splitlines()[-1].split()
    path = ax.shipped_weights(name)
    known = float(read_metadata(path)["accuracy"])
    assert float(found[1]) == pytest.approx(100 * known)
    # One image is 0.28 points; the interval holds the accuracy and is no wider.
    below, above = map(float, re.split(r"\.\.", found[2]))
    assert 90 < below < float(found[1]) < above < 100


def test_options_of_networks_and_data_are_pairs() -> None:
    pairs = parse_pairs(["classes=100", "weights=DEFAULT", "pretrained=True", "a=b=c"])
    assert pairs == {
        "classes": 100, "weights": "DEFAULT", "pretrained": True, "a": "b=c",
    }  # fmt: skip
    for text in ("classes", "=3", "2x=3"):
        result = run("eval", *LINEAR, "--model-option", text)
        assert result.exit_code == 2
        assert f"{text!r} is no pair such as classes=100." in result.stderr
