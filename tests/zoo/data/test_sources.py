from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from axsim import DataError
from axsim.zoo.data.digits import digits_folds
from axsim.zoo.data.sources import load_data


def test_digits_are_fold_0_of_seed_0_unless_told_otherwise() -> None:
    train, test = digits_folds(0)
    assert load_data("digits", "train").labels.tolist() == train.labels.tolist()
    assert load_data("digits").labels.tolist() == test.labels.tolist()
    other = load_data("digits", fold=3, folds=4, seed=2)
    assert other.labels.tolist() == digits_folds(3, 4, 2)[1].labels.tolist()


@pytest.mark.parametrize(
    ("source", "split", "options", "message"),
    [
        (
            "cifar-10",
            "test",
            {},
            r"no data set 'cifar-10'; known are digits, .*'cifar10'",
        ),
        ("cifar10", "test", {}, "'cifar10' needs a folder: 'cifar10:/path'"),
        ("digits:/data", "test", {}, "the digits need no path; say 'digits'"),
        ("digits", "val", {}, "split='val'; there are 'train' and 'test'"),
        (
            "digits",
            "test",
            {"flod": 1},
            r"'flod'; it has fold, folds, seed, size.*'fold'",
        ),
        ("mnist:/data", "test", {"fold": 1}, "'mnist' does not know the option 'fold'"),
        ("digits", "test", {"fold": 1.5}, r"'digits' has fold=1\.5; .* whole number"),
        ("digits", "test", {"size": "28px"}, "'digits' has size='28px'; .* whole"),
    ],
)
def test_what_is_wrong_is_named(
    source: str, split: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_data(source, split, **options)


def test_a_home_folder_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match=f"{tmp_path}/sets does not exist"):
        load_data("mnist:~/sets")
