"""CIFAR-10 and CIFAR-100: 32x32 colour images, in the binary or the Python version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...errors import DataError
from .dataset import ArrayDataset, Normalisation
from .files import find_folder, read_file
from .unpickle import unpickle

Bytes = npt.NDArray[np.uint8]
PIXELS = 3 * 32 * 32
HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"


@dataclass(frozen=True)
class Cifar:
    """One of the two sets: its files, and how a record and a dictionary look.

    Args:
        name: how reports call it.
        normalise: means and deviations of the training images.
        train: stems of the training files.
        test: stems of the test files.
        records: images in each file of a split.
        folders: the folders that the archives unpack to, binary and Python.
        label: the key of the labels in the Python version.
        label_bytes: labels before each image in the binary version; the last counts.
        classes: their names, label by label.
    """

    name: str
    normalise: Normalisation
    train: tuple[str, ...]
    test: tuple[str, ...]
    records: tuple[int, int]
    folders: tuple[str, str]
    label: str
    label_bytes: int
    classes: tuple[str, ...]

    def load(self, path: str | Path, split: str) -> ArrayDataset:
        """One split from a folder, whichever version it holds.

        Raises:
            DataError: with the expected layout or with what is wrong in which file.
        """
        shown = [self.test[0], f"{self.test[0]}.bin"]
        folder = find_folder(path, [".", *self.folders], shown, self.layout)
        stems = self.train if split == "train" else self.test
        records = self.records[split == "test"]
        binary = (folder / f"{self.test[0]}.bin").is_file()
        read = self.read_binary if binary else self.read_python
        parts = [read(folder / stem, records) for stem in stems]
        pixels = np.concatenate([pixels for pixels, _ in parts]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([labels for _, labels in parts])
        return ArrayDataset(
            torch.from_numpy(pixels),
            torch.from_numpy(labels).to(torch.int64),
            self.classes,
            self.normalise,
            f"{self.name}, {split}",
        )

    def read_binary(self, path: Path, records: int) -> tuple[Bytes, Bytes]:
        """Pixels and labels of a file of fixed-size records."""
        path = path.with_name(f"{path.name}.bin")
        record = self.label_bytes + PIXELS
        content = read_file(path, records * record, self.layout)
        if len(content) != records * record:
            raise DataError(
                f"{path} has {len(content):,} bytes; {records:,} records of {record:,} "
                f"bytes are {records * record:,}. Unpack the archive again."
            )
        table = np.frombuffer(content, np.uint8).reshape(records, record)
        return table[:, self.label_bytes :], table[:, self.label_bytes - 1]

    def read_python(self, path: Path, records: int) -> tuple[Bytes, Bytes]:
        """Pixels and labels of a pickled dictionary."""
        # Names and labels take far less than the pixels.
        content = read_file(path, 2 * records * PIXELS + 4096, self.layout)
        found = unpickle(content, str(path))
        pixels = found.get("data")
        if not isinstance(pixels, np.ndarray) or pixels.shape != (records, PIXELS):
            shape = getattr(pixels, "shape", None)
            raise DataError(
                f"{path} has {'no data' if shape is None else f'data of {shape}'}; "
                f"an array of ({records}, {PIXELS}) is expected."
            )
        return pixels, self._labels(found.get(self.label), records, path)

    def _labels(self, labels: Any, records: int, path: Path) -> Bytes:
        whole = isinstance(labels, list) and all(type(each) is int for each in labels)
        if not whole or len(labels) != records:
            raise DataError(
                f"{path} has no list of {records:,} whole numbers {self.label!r}; "
                "without labels there is nothing to compare with."
            )
        if not 0 <= min(labels) <= max(labels) < len(self.classes):
            raise DataError(
                f"{path} has labels from {min(labels)} to {max(labels)}; {self.name} "
                f"has 0 to {len(self.classes) - 1}."
            )
        return np.array(labels, np.uint8)

    @property
    def layout(self) -> str:
        """The expected files, and where to get them."""
        binary, python = self.folders
        first, test = self.train[0], self.test[0]
        return (
            f"{self.name} is expected as the unpacked folder {binary} ({first}.bin … "
            f"{test}.bin) or {python} ({first} … {test}), or as a folder that holds "
            f"one of them; get it from {HOME}."
        )


# Means and deviations over the 50,000 training images.
CIFAR10 = Cifar(
    name="CIFAR-10",
    normalise=Normalisation((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test=("test_batch",),
    records=(10_000, 10_000),
    folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
    label="labels",
    label_bytes=1,
    classes=tuple(
        "airplane automobile bird cat deer dog frog horse ship truck".split(),
    ),
)
CIFAR100 = Cifar(
    name="CIFAR-100",
    normalise=Normalisation((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    train=("train",),
    test=("test",),
    records=(50_000, 10_000),
    folders=("cifar-100-binary", "cifar-100-python"),
    label="fine_labels",
    label_bytes=2,
    classes=tuple(map(str, range(100))),
)
