"""Converted networks in the loop: resume, their plan, and other conversions."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from blobs import build, equal, make_blobs
from torch import Tensor, nn

import axsim as ax
from axsim import AxsimWarning, TrainingError, TrainSettings
from axsim.nn.plan import ATTRIBUTE
from axsim.zoo.checkpoint import load_weights, read_weights

SETTINGS = TrainSettings(epochs=3, batch_size=10, lr=0.05, seed=4, save_steps=2)


def converted(
    name: str = "mul8u_trunc_9", gradient: str = "table", dropout: float = 0.3
) -> nn.Module:
    product = ax.Product(ax.load_multiplier(name), gradient=gradient)  # pyright: ignore[reportArgumentType]
    images = make_blobs().tensors[0]
    return ax.approximate(build(dropout, norm=True), product, calibration=[images])


def told(folder: Path) -> list[dict[str, Any]]:
    """Steps and epochs of the log, without times."""
    rows = [json.loads(n) for n in (folder / "log.jsonl").read_text().splitlines()]
    kept = [row for row in rows if row["event"] in ("step", "epoch")]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in kept]


def interrupt_after(
    steps: int, net: nn.Module, out: Path, chosen: TrainSettings = SETTINGS
) -> None:
    """Trains until Ctrl-C in this step."""

    def press(*_: object) -> None:
        nonlocal steps
        steps -= 1
        if not steps:
            signal.raise_signal(signal.SIGINT)

    handle = net.register_forward_pre_hook(press)
    with pytest.raises(KeyboardInterrupt):
        ax.train(net, make_blobs(), chosen, out=out)
    handle.remove()


def test_an_interrupted_run_arrives_at_the_same_weights_and_ranges(
    tmp_path: Path,
) -> None:
    whole, parted = converted(), converted()
    ax.train(whole, make_blobs(), SETTINGS)
    interrupt_after(7, parted, tmp_path)
    assert not equal(whole, parted)
    # Another process converts anew; also from other images, whose ranges do not count.
    again = converted()
    again[0].site.input_quantizer.fix(torch.tensor(9.0), torch.tensor(3))  # pyright: ignore
    ax.train(again, make_blobs(), SETTINGS, out=tmp_path, resume=True)
    assert equal(whole, again)


def test_training_through_a_table_learns_what_the_table_can_do(tmp_path: Path) -> None:
    net, data = converted(dropout=0), make_blobs(90)
    before = ax.evaluate(net, data).accuracy
    settings = TrainSettings(epochs=12, batch_size=10, lr=0.05)
    ax.train(net, data, settings, out=tmp_path)
    after = ax.evaluate(net, data)
    assert before < 0.6 < 0.9 < after.accuracy
    # Its checkpoint has the ranges, and is the network when loaded into another.
    other = converted()
    load_weights(other, tmp_path / "last.safetensors")
    assert (ax.evaluate(other, data).logits == after.logits).all()
    assert "0.site.input_quantizer.scale" in read_weights(tmp_path / "last.safetensors")


@pytest.mark.parametrize(
    ("name", "gradient", "told"),
    [
        ("mul8u_trunc_8", "table", "multiplier mul8u_trunc_8, gradient=table"),
        ("mul8u_trunc_9", "ste", "multiplier mul8u_trunc_9"),
    ],
)
def test_a_run_does_not_go_on_with_another_conversion(
    tmp_path: Path, name: str, gradient: str, told: str
) -> None:
    interrupt_after(3, converted(), tmp_path)
    with pytest.raises(TrainingError) as caught:
        other = converted(name, gradient)
        ax.train(other, make_blobs(), SETTINGS, out=tmp_path, resume=True)
    assert str(caught.value) == (
        f"resume: '0' has {told}, and had multiplier mul8u_trunc_9, gradient=table. "
        "Convert the network as it was when the run began, or start another in a "
        "folder of its own."
    )
    with pytest.raises(TrainingError, match=r"'0' has no answers, and had multiplier"):
        ax.train(build(0.3, norm=True), make_blobs(), SETTINGS, out=tmp_path,
                 resume=True)  # fmt: skip


class Counting:
    """A plan whose penalty grows with every step, so that its state matters."""

    def __init__(self, net: nn.Module) -> None:
        self.weight = net.get_parameter("5.weight")
        self.steps = torch.zeros(())

    def penalty(self) -> Tensor:
        return self.steps * self.weight.square().sum() / 50

    def after_step(self) -> None:
        self.steps += 1

    def state_dict(self) -> dict[str, Tensor]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.steps = state["steps"]


def test_a_plan_that_remembers_goes_on_where_it_was(tmp_path: Path) -> None:
    nets = [build(), build(), build()]
    for net in nets:
        # Where approximate leaves it; nobody hands it to the loop.
        setattr(net, ATTRIBUTE, Counting(net))
    whole, parted, again = nets
    ax.train(whole, make_blobs(), SETTINGS)
    plain = build()
    ax.train(plain, make_blobs(), SETTINGS)
    assert not equal(whole, plain)
    interrupt_after(7, parted, tmp_path)
    ax.train(again, make_blobs(), SETTINGS, out=tmp_path, resume=True)
    assert equal(whole, again)


@pytest.mark.parametrize("name", ["actnn", "acgc", "gact", "blpa"])
def test_compressed_activations_go_on_with_the_same_noise_and_bits(
    tmp_path: Path, name: str
) -> None:
    def network() -> nn.Module:
        rules = getattr(ax.recipes, name)()
        images = make_blobs().tensors[0]
        return ax.approximate(build(norm=True), rules, calibration=[images])

    whole, parted, again = network(), network(), network()
    ax.train(whole, make_blobs(), SETTINGS)
    interrupt_after(7, parted, tmp_path)
    ax.train(again, make_blobs(), SETTINGS, out=tmp_path, resume=True)
    assert equal(whole, again)
    here, there = ax.plan(again), ax.plan(whole)
    assert here.store.stream.drawn == there.store.stream.drawn > 0
    for one, other in zip(here.policies, there.policies, strict=True):
        assert repr(one.state_dict()) == repr(other.state_dict())


def test_a_finished_run_is_read_without_a_word(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    first, again = build(), build()
    ax.train(first, make_blobs(), SETTINGS, out=tmp_path)
    torch.set_num_threads(2)
    ax.train(again, make_blobs(), SETTINGS, out=tmp_path, resume=True)
    assert equal(first, again)
    assert not [w for w in recwarn if issubclass(w.category, AxsimWarning)]


# The first layer sees images with values below 0, whose signs its codes lose.
@pytest.mark.filterwarnings("ignore:values below 0")
@pytest.mark.parametrize(
    "rules",
    [
        ax.recipes.precision_gating(gated="0", quantised=None, target=4.0, weight=0.05),
        ax.recipes.precision_gating(
            gated="0", quantised=None, profile="dnn-gating", weight=0.05
        ),
        ax.recipes.channel_gating(4, gated="5", grouped=False),
    ],
    ids=["precision", "dnn-gating", "channel"],
)
def test_an_interrupted_gated_run_arrives_at_the_same_weights_and_thresholds(
    tmp_path: Path, rules: Any
) -> None:
    images = [make_blobs().tensors[0]]
    whole, parted, again = (
        ax.approximate(build(0.3, norm=True), rules, calibration=images)
        for _ in range(3)
    )
    ax.train(whole, make_blobs(), SETTINGS)
    interrupt_after(7, parted, tmp_path)
    assert not equal(whole, parted)
    ax.train(again, make_blobs(), SETTINGS, out=tmp_path, resume=True)
    assert equal(whole, again)
    ((name, unit),) = ax.plan(again).gates.items()
    assert bool((unit.threshold != 0).any()), name
    assert ax.plan(again).gate_report() == ax.plan(whole).gate_report()


@pytest.mark.filterwarnings("ignore:values below 0")
@pytest.mark.parametrize("step", [5, 7])
def test_gates_and_saved_bits_are_shown_and_logged(tmp_path: Path, step: int) -> None:
    """Of the epoch so far, and the same in a run that was interrupted."""
    rules = ax.recipes.precision_gating(gated="0", quantised=None)
    rules |= ax.recipes.actnn("L2")
    chosen = TrainSettings(epochs=2, batch_size=10, lr=0.05, seed=4, log_steps=2)
    whole, parted = tmp_path / "whole", tmp_path / "parted"

    def network() -> nn.Module:
        return ax.approximate(
            build(norm=True), rules, calibration=[make_blobs().tensors[0]]
        )

    net, notes = network(), list[str]()
    ax.train(
        net, make_blobs(), chosen, out=whole, progress=lambda *a: notes.append(a[2])
    )
    assert re.search(r", sparsity 0\.\d+, saved bits \d+\.\d+$", notes[-1])
    interrupt_after(step, network(), parted, chosen)
    ax.train(network(), make_blobs(), chosen, out=parted, resume=True)
    rows = told(whole)
    assert rows == told(parted)
    lines = ax.plan(net).store.ledger.lines
    bits = 8 * sum(n.kept for n in lines) / sum(n.elements for n in lines)
    # Groups of 256 hold few elements of so small a network.
    assert 4 < rows[-1]["saved_bits"] == bits < 32
    # The whole last epoch was counted, and nothing before it.
    counts = ax.plan(net).gate_report().counts
    assert rows[-1]["sparsity"] == counts.sparsity
    assert counts.outputs == 45 * 4 * 2 * 2
