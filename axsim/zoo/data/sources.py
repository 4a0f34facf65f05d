"""The front door: a data set by its name and folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import DataError, close_names
from ..options import unknown_options
from .cifar import CIFAR10, CIFAR100
from .dataset import ArrayDataset
from .digits import digits_folds, enlarge
from .imagefolder import ImageFolder
from .mnist import load_mnist

AnyDataset = ArrayDataset | ImageFolder
SPLITS = ("train", "test")


def _load_digits(
    path: str, split: str, *, fold: int = 0, folds: int = 5, seed: int = 0,
    size: int = 8,
) -> ArrayDataset:  # fmt: skip
    if path:
        raise DataError(f"'digits:{path}': the digits need no path; say 'digits'.")
    data = digits_folds(fold, folds, seed)[SPLITS.index(split)]
    return data if size == 8 else enlarge(data, size)


SOURCES: dict[str, Callable[..., AnyDataset]] = {
    "digits": _load_digits,
    "cifar10": CIFAR10.load,
    "cifar100": CIFAR100.load,
    "mnist": load_mnist,
    "imagefolder": ImageFolder,
}


def load_data(source: str, split: str = "test", **options: Any) -> AnyDataset:
    """One split of a data set.

    Args:
        source: `"digits"`, `"cifar10:/path"`, `"cifar100:/path"`, `"mnist:/path"` or
            `"imagefolder:/path"`.
        split: `"train"` or `"test"`.
        options: for the digits `fold`, `folds`, `seed` and `size`, such as 28 for
            networks made for MNIST; for an image folder `resize`, `crop` and `views`.

    Raises:
        DataError: where the name is not known or the folder is not as expected; the
            message has the expected layout and where to get it.
        BackendError: where the digits are asked for without scikit-learn.

    Example:
        >>> load_data("digits", "test")
        <digits, fold 0 of 5, seed 0, test: 360 images 1x8x8, 10 classes>
    """
    name, _, path = source.partition(":")
    if name not in SOURCES:
        raise DataError(
            f"there is no data set {name!r}; known are {', '.join(SOURCES)}, written "
            f"as 'cifar10:/path'.{close_names(name, SOURCES)}"
        )
    if split not in SPLITS:
        raise DataError(f"split={split!r}; there are 'train' and 'test'.")
    if name != "digits" and not path:
        raise DataError(f"{name!r} needs a folder: '{name}:/path'.")
    unknown = unknown_options(SOURCES[name], options)
    if unknown:
        raise DataError(f"{name!r} {unknown}")
    data = SOURCES[name](path, split, **options)
    data.training = partial(load_data, source, "train", **options)
    return data
