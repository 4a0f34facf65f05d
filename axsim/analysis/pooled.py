"""Test predictions pooled over folds and seeds, and methods compared on them, paired.

A digits figure is made of 15 trainings: each of 1,797 images is a test image of one of
5 folds, for each of 3 seeds. Two methods answer the same images after training on the
same folds with the same seeds, so their difference is known far better than either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ..console import progress
from ..errors import DataError
from ..training.evaluation import Evaluation
from ..zoo.data.dataset import ArrayDataset
from ..zoo.data.digits import digits_folds


@dataclass(frozen=True, eq=False)
class Case:
    """One fold of the digits with one seed.

    Args:
        fold: which part is for testing.
        seed: of the training; the parting into folds stays the same.
        train: the images to train with.
        test: those of the fold.
    """

    fold: int
    seed: int
    train: ArrayDataset
    test: ArrayDataset

    @property
    def name(self) -> str:
        """A name for files of this case."""
        return f"fold{self.fold}-seed{self.seed}"


@dataclass(frozen=True, eq=False)
class Pooled:
    """Which test predictions of a method are right.

    Args:
        correct: bool (seeds, images), the images in the order of the folds.
    """

    correct: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """Share of right predictions, 0 to 1."""
        return float(self.correct.mean())


@dataclass(frozen=True)
class Difference:
    """How much more accurate one method is than another, in points (1 is 1 %).

    Args:
        points: the difference of the accuracies.
        low: lower bound of its interval; a method is within 0.5 points of another
            where `low >= -0.5`.
        high: upper bound.
    """

    points: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.points:+.2f} ({self.low:+.2f}..{self.high:+.2f})"


def pooled_runs(
    run: Callable[[Case], Mapping[str, Evaluation]],
    folds: int = 5,
    seeds: int = 3,
    parts: Sequence[tuple[ArrayDataset, ArrayDataset]] | None = None,
) -> dict[str, Pooled]:
    """Runs every fold of the digits with every seed and pools what each method says.

    Args:
        run: trains on `case.train` with `case.seed` and evaluates on `case.test`, in
            order; returns an evaluation for each method, of the same names each time.
        folds: 2 to 10.
        seeds: 0 to this less 1 are used; at least 1.
        parts: what to train and to test with, instead of the folds.

    Raises:
        DataError: where an evaluation is not that of the case's test images.

    Example:
        >>> pooled = pooled_runs(train_both)  # doctest: +SKIP
        >>> pooled["float32"].correct.shape  # doctest: +SKIP
        (3, 1797)
    """
    if parts is None:
        parts = [digits_folds(fold, folds) for fold in range(folds)]
    cases = [Case(f, s, *part) for s in range(seeds) for f, part in enumerate(parts)]
    told = [_checked(case, run(case)) for case in progress(cases, "folds and seeds")]
    return {
        name: Pooled(np.concatenate([each[name] for each in told]).reshape(seeds, -1))
        for name in told[0]
    }


def paired_difference(a: Pooled, b: Pooled, level: float = 0.95) -> Difference:
    """How much more accurate `a` is than `b`, with the interval of the difference.

    Images are the sample: the answers of several seeds to one image are averaged
    first, since they are alike. The interval is Bonett and Price's adjusted Wald
    interval (J. Educ. Behav. Stat. 37 (2012) 479), which stays honest where the two
    methods hardly ever differ: one image more for each side is counted.

    Args:
        a, b: of the same images and seeds.
        level: how often the true difference is inside, between 0 and 1.

    Raises:
        DataError: where they are not of the same number of images and seeds.

    Example:
        >>> ones, zeros = np.ones((3, 100), bool), np.zeros((3, 100), bool)
        >>> print(paired_difference(Pooled(ones), Pooled(ones)))
        +0.00 (-2.72..+2.72)
        >>> paired_difference(Pooled(ones), Pooled(zeros)).points
        100.0
    """
    if a.correct.shape != b.correct.shape:
        raise DataError(
            f"a has {a.correct.shape} answers and b {b.correct.shape}, (seeds, images);"
            " methods are compared on the same images and seeds. Pool both by one call."
        )
    gain = (a.correct.astype(float) - b.correct).mean(axis=0)
    adjusted = np.array([*gain, 1.0, -1.0])
    error = adjusted.std() / math.sqrt(len(adjusted))
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    centre = adjusted.mean()
    return Difference(
        *(100 * float(each) for each in (gain.mean(), centre - reach, centre + reach))
    )


def _checked(
    case: Case, told: Mapping[str, Evaluation]
) -> dict[str, NDArray[np.bool_]]:
    """Right or wrong for each method, where they answered the images of the case."""
    expected = case.test.labels.numpy()
    for name, each in told.items():
        if not np.array_equal(each.labels, expected):
            raise DataError(
                f"{name!r} was evaluated on {each.n:,} samples that are not the "
                f"{len(expected):,} test images of {case.name}, in order. Evaluate on "
                "case.test."
            )
    return {name: each.correct for name, each in told.items()}
