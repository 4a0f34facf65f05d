"""Predictions pooled over folds and seeds, and their paired differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from axsim import DataError
from axsim.analysis.pooled import Case, Pooled, paired_difference, pooled_runs
from axsim.training.evaluation import Evaluation
from axsim.zoo.data.dataset import ArrayDataset
from axsim.zoo.data.digits import load_digits


def says(data: ArrayDataset, answers: NDArray[np.int64]) -> Evaluation:
    """An evaluation of somebody who says these classes."""
    logits = np.eye(10, dtype=np.float32)[answers]
    return Evaluation(logits, data.labels.numpy(), None, 1.0)


def guess(case: Case) -> dict[str, Evaluation]:
    truth = case.test.labels.numpy()
    # Wrong for every image of the digit that the seed names.
    missed = np.where(truth == case.seed, (truth + 1) % 10, truth)
    return {"perfect": says(case.test, truth), "misses one": says(case.test, missed)}


def test_every_image_is_tested_once_a_seed() -> None:
    pooled = pooled_runs(guess)
    assert pooled["perfect"].correct.shape == (3, 1797)
    assert pooled["perfect"].accuracy == 1
    counts = np.bincount(load_digits().labels.numpy())
    wrong = (~pooled["misses one"].correct).sum(axis=1)
    assert wrong.tolist() == counts[:3].tolist()


def test_the_difference_is_that_of_the_accuracies() -> None:
    pooled = pooled_runs(guess, folds=3, seeds=2)
    found = paired_difference(pooled["misses one"], pooled["perfect"])
    missed = np.bincount(load_digits().labels.numpy())[:2].sum()
    assert found.points == pytest.approx(-100 * missed / (2 * 1797))
    assert found.low < found.points < found.high < 0


@given(
    st.integers(1, 200).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))
    )
)
def test_one_seed_gives_the_interval_of_bonett_and_price(
    counts: tuple[int, int, int],
) -> None:
    n, only_a, most = counts
    only_b = min(n - only_a, most)
    a = np.arange(n) < only_a
    b = (np.arange(n) >= only_a) & (np.arange(n) < only_a + only_b)
    found = paired_difference(Pooled(a[None]), Pooled(b[None]))
    # Their formula as published, on the counts of discordant pairs.
    p, q = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    reach = 1.959964 * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    assert found.points == pytest.approx(100 * (only_a - only_b) / n)
    assert found.low == pytest.approx(100 * (p - q - reach), abs=1e-4)
    assert found.high == pytest.approx(100 * (p - q + reach), abs=1e-4)


def test_seeds_that_answer_alike_say_nothing_new() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((1, 300)) < 0.9, rng.random((1, 300)) < 0.8
    once = paired_difference(Pooled(a), Pooled(b))
    thrice = paired_difference(Pooled(a.repeat(3, 0)), Pooled(b.repeat(3, 0)))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


def test_the_interval_covers_the_true_difference_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        # Images differ in difficulty, so that seeds and methods agree on many.
        ease = rng.beta(4, 0.5, 500)
        a, b = (rng.random((3, 500)) < np.clip(ease + d, 0, 1) for d in (0.0, -0.02))
        true = 100 * (ease - np.clip(ease - 0.02, 0, 1)).mean()
        found = paired_difference(Pooled(a), Pooled(b))
        inside += found.low <= true <= found.high
    assert 0.93 < inside / 400 <= 1


def test_other_images_are_refused() -> None:
    def shuffled(case: Case) -> dict[str, Evaluation]:
        return {"reversed": says(case.train, case.train.labels.numpy())}

    with pytest.raises(DataError) as caught:
        pooled_runs(shuffled)
    assert str(caught.value) == (
        "'reversed' was evaluated on 1,437 samples that are not the 360 test images of "
        "fold0-seed0, in order. Evaluate on case.test."
    )


def test_other_numbers_of_answers_are_refused() -> None:
    few, many = (Pooled(np.ones((3, n), bool)) for n in (5, 6))
    with pytest.raises(DataError) as caught:
        paired_difference(few, many)
    assert str(caught.value) == (
        "a has (3, 5) answers and b (3, 6), (seeds, images); methods are compared on "
        "the same images and seeds. Pool both by one call."
    )
