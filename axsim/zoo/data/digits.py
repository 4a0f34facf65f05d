"""scikit-learn's 1,797 handwritten digits of 8x8 pixels: the offline default.

They are the test part of the UCI set "Optical Recognition of Handwritten Digits".
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import BackendError, DataError
from .dataset import ArrayDataset, Normalisation
from .stream import number

# Pixels are 0..16; mean and deviation over all 1,797 images.
NORMALISE = Normalisation(mean=(0.3053,), std=(0.3761,), full=16)


def digits_folds(
    fold: int, folds: int = 5, seed: int = 0
) -> tuple[ArrayDataset, ArrayDataset]:
    """Training and test part of one fold; the test parts of all folds are all images.

    Args:
        fold: which part is for testing, 0 to `folds` - 1.
        folds: how many parts there are, 2 to 10.
        seed: another seed is another way of parting; any integer.

    Raises:
        DataError: where there is no such fold.
        BackendError: where scikit-learn is not installed.

    Example:
        >>> train, test = digits_folds(fold=0)
        >>> len(train), len(test)
        (1437, 360)
    """
    if not 2 <= folds <= 10:
        raise DataError(f"folds={folds}; the digits are parted into 2 to 10 folds.")
    if not 0 <= fold < folds:
        raise DataError(f"fold={fold}; with folds={folds} it is 0 to {folds - 1}.")
    digits = load_digits()
    part = assign_folds(digits.labels, folds, seed)
    name = f"digits, fold {fold} of {folds}, seed {seed}"
    return (
        digits.subset((part != fold).nonzero().flatten(), f"{name}, train"),
        digits.subset((part == fold).nonzero().flatten(), f"{name}, test"),
    )


def assign_folds(labels: Tensor, folds: int, seed: int) -> Tensor:
    """The fold of each sample: sizes, and shares of each class, differ by one at most.

    The order within a class comes from a hash, not from a library's generator, whose
    stream may change between versions.
    """
    order = sorted(
        range(len(labels)), key=lambda i: (int(labels[i]), number(seed, "fold", i))
    )
    part = torch.empty(len(labels), dtype=torch.int64)
    part[order] = torch.arange(len(labels)) % folds
    return part


def enlarge(data: ArrayDataset, size: int) -> ArrayDataset:
    """Digits as larger images: each pixel repeated as often as fits, 0 around.

    Args:
        data: of digits.
        size: sides of the images, at least 8; 28 has pixels of 3x3 and a border of 2.

    Raises:
        DataError: for a smaller size.
    """
    side = data.pixels.shape[-1]
    if size < side:
        raise DataError(f"size={size}; digits are {side}x{side}, and can be larger.")
    times, rest = divmod(size, side)
    pixels = data.pixels.repeat_interleave(times, 2).repeat_interleave(times, 3)
    before, after = rest // 2, rest - rest // 2
    framed = F.pad(pixels, (before, after, before, after))
    return ArrayDataset(framed, data.labels, data.classes, data.normalise, data.name)


@cache
def load_digits() -> ArrayDataset:
    """All 1,797 images in scikit-learn's order."""
    try:
        from sklearn import datasets
    except ImportError as problem:
        raise BackendError(
            "the digits come with scikit-learn, which is not installed. Install "
            "axsim[demo], or name another data set, such as 'cifar10:/path'."
        ) from problem
    raw: Any = datasets.load_digits()
    return ArrayDataset(
        torch.from_numpy(raw["images"]).to(torch.uint8)[:, None],
        torch.from_numpy(raw["target"]).to(torch.int64),
        [str(digit) for digit in range(10)],
        NORMALISE,
        "digits",
    )
