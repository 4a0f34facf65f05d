"""What `axsim bench memory` and `convergence` measure, in small."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from axsim import recipes
from axsim.analysis.bench import acgc, convergence, memory, resident
from axsim.analysis.pooled import Case, Difference
from axsim.zoo.data.digits import digits_folds


@pytest.fixture(scope="module")
def kept() -> dict[str, memory.Kept]:
    lines = memory.bytes_kept(memory.resnet50(), memory.LEVELS)
    return {line.name: line for line in lines}


@pytest.mark.parametrize(
    ("name", "mega"),
    [("torch", 82.0), ("actnn L1", 49.0), ("actnn L2", 12.05),
     ("actnn L2, 8 bits", 22.4), ("actnn L3", 6.85)],
)  # fmt: skip
def test_resnet50_keeps_what_was_published(
    name: str, mega: float, kept: dict[str, memory.Kept]
) -> None:
    # Published figures count the inputs of downsampling layers twice.
    assert kept[name].undivided == pytest.approx(mega, rel=0.03)


def test_shared_inputs_bring_two_bits_below_6_4_megabytes(
    kept: dict[str, memory.Kept],
) -> None:
    assert kept["actnn L3"].mega < 6.4
    assert kept["actnn L3"].ratio > 12.5


def test_one_code_for_three_layers_takes_less_than_five_megabytes() -> None:
    net = memory.build_network("resnet50")
    lines = memory.bytes_kept(net, {"rectified": recipes.rectified(2)})
    assert [line.name for line in lines] == ["torch", "rectified"]
    # Batch norms and products behind ReLUs keep nothing of their own.
    assert lines[1].mega < 4.75
    assert lines[0].mega == pytest.approx(85.9, rel=0.01)
    assert lines[1].ratio > 18


def test_blpa_keeps_a_sixteenth() -> None:
    assert memory.triple_ratio(recipes.blpa(4)) == 16
    assert memory.triple_ratio(recipes.blpa(8)) == 8


def test_the_memory_of_a_process_falls_to_a_quarter() -> None:
    exact, coded = (resident.resident_growth(level) for level in ("exact", "L3"))
    assert coded < exact / 4


def test_the_table_of_figures() -> None:
    kept = (memory.Kept("torch", 82.0, 82.0, 1.0), memory.Kept("L3", 6.3, 6.7, 13.0))
    bench = memory.MemoryBench(
        "a CPU",
        1,
        kept,
        kept[1:],
        {"blpa": 16.0},
        {"exact": 200.0, "L3": 30.0},
        {"L3": 1.3},
    )  # fmt: skip
    text = str(bench)
    assert "L3                       6.30             6.70  13.00x" in text
    assert "the same, strides in the 3x3  MB/sample" in text
    assert "L3 (30 MB)                       0.15x" in text
    assert bench.to_dict()["steps"] == {"L3": 1.3}


def test_two_bits_train_and_one_bit_needs_chance() -> None:
    ways = {k: convergence.WAYS[k] for k in ("2 bits", "1 bit", "1 bit, nearest")}
    settings = replace(convergence.SETTINGS, epochs=5)
    case = Case(0, 0, *digits_folds(0, 5))
    found = convergence.answers(settings, ways, case)
    accuracy = {name: each.accuracy for name, each in found.items()}
    assert accuracy["float32"] > 0.96
    assert accuracy["2 bits"] > accuracy["float32"] - 0.02
    assert accuracy["1 bit"] > 0.94
    assert accuracy["1 bit, nearest"] < 0.6


def test_accuracies_are_shown_with_their_difference() -> None:
    lines = (
        convergence.Line("float32", 0.98, None),
        convergence.Line("2 bits", 0.975, Difference(-0.5, -0.8, -0.2)),
    )
    bench = convergence.Convergence("a CPU", 1, 1797, 3, 15, lines)
    assert "2 bits            97.50      -0.50 (-0.80..-0.20)" in str(bench)
    assert "digits_conv4 on the digits, 15 epochs: 1,797 test" in str(bench)
    assert bench.to_dict()["seeds"] == 3


def test_patterns_are_told_apart_and_come_again() -> None:
    x, target = acgc.batch(3)
    again, same = acgc.batch(3)
    assert torch.equal(x, again)
    assert torch.equal(target, same)
    other, classes = acgc.batch(4)
    assert not torch.equal(x, other)
    # Images of one class are closer to each other than to others, under the noise.
    means = {c: x[target == c].mean(0) for c in target.unique().tolist()}
    right = [
        min(means, key=lambda c: float((means[c] - image).square().sum())) == own
        for image, own in zip(other, classes.tolist(), strict=True)
        if own in means
    ]
    assert sum(right) > 0.8 * len(right)


def test_modes_are_shown_with_their_bits() -> None:
    rows = (
        acgc.Row("float32", 0.9, 32.0, 32.0, 32.0),
        acgc.Row("quantz", 0.89, 7.4, 6.8, 8.0),
    )
    bench = acgc.AcgcBench("a CPU", 1, 300, rows)
    assert "quantz         89.0   7.40   6.80   8.00" in str(bench)
    assert "acgc_resnet50, 300 steps of 8 noisy patterns of 10" in str(bench)
    assert bench.to_dict()["steps"] == 300
