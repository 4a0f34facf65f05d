"""The kernel benchmark on one tiny layer: what it covers and how it prints."""

from __future__ import annotations

import json

import pytest

from axsim import kernels
from axsim.analysis.bench.kernels import SUBJECTS, KernelBench, run
from axsim.analysis.bench.layers import LAYERS, Layer


@pytest.fixture(scope="module")
def result() -> KernelBench:
    tiny = Layer("CIFAR ResNet", "tiny", 1, 16, 16, 4, 3, padding=1)
    return run("cpu", 1, [tiny], repeats=1)


def test_every_path_that_serves_is_measured(result: KernelBench) -> None:
    exact = {t.path for t in result.timings if t.subject == "exact"}
    assert exact == set(kernels.paths())
    assert {t.subject for t in result.timings} == {name for name, _, _ in SUBJECTS}


def test_several_threads_are_measured_beside_one(result: KernelBench) -> None:
    assert all(t.speedup == t.float32_speedup == 1 for t in result.timings)
    tiny = Layer("CIFAR ResNet", "tiny", 1, 16, 16, 4, 3, padding=1)
    two = run("cpu", 2, [tiny], repeats=1)
    assert all(t.speedup > 0 for t in two.timings)
    assert any(t.speedup != 1 and t.float32_speedup != 1 for t in two.timings)
    assert "x faster than 1 thread" in str(two)


def test_gather_is_its_own_measure(result: KernelBench) -> None:
    assert all(t.gather == 1 for t in result.timings if t.path == "gather")


def test_one_path_of_each_subject_is_the_choice(result: KernelBench) -> None:
    for subject, _, _ in SUBJECTS:
        assert sum(t.chosen for t in result.timings if t.subject == subject) == 1


def test_prints_as_a_table_and_survives_json(result: KernelBench) -> None:
    text = str(result)
    assert "x float32" in text and "median of 1 ResNet layers: exact, gather" in text
    numbers = json.loads(json.dumps(result.to_dict()))
    assert len(numbers["timings"]) == len(result.timings)


def test_products_count_what_a_layer_computes() -> None:
    assert Layer("", "", 2, 3, 64, 224, 7, 2, 3).products == 2 * 112**2 * 64 * 147
    assert Layer("", "", 1, 32, 32, 8, 3, 1, 1, 32).products == 64 * 32 * 9
    networks = {layer.network for layer in LAYERS}
    assert networks == {"CIFAR ResNet", "ResNet-50", "MobileNet", "ViT-B"}
