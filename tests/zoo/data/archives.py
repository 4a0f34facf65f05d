"""Small archives in the formats of the real data sets."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from axsim.zoo.data.cifar import CIFAR10, CIFAR100, Cifar

SMALL10 = replace(CIFAR10, records=(6, 4))
SMALL100 = replace(CIFAR100, records=(6, 4))


class Python2Pickler(pickle._Pickler):  # pyright: ignore[reportPrivateUsage]
    """Writes what Python 2 and the NumPy of 2009 wrote into CIFAR's archives."""

    dispatch: ClassVar[Any] = dict(pickle._Pickler.dispatch)  # pyright: ignore

    def save_string(self: Any, value: str | bytes) -> None:
        raw = value.encode() if isinstance(value, str) else value
        if len(raw) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(raw)]) + raw)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)

    dispatch[str] = dispatch[bytes] = save_string

    def save_global(self: Any, obj: Any, name: str | None = None) -> None:
        module = obj.__module__.replace("numpy._core", "numpy.core")
        name = name or obj.__name__
        self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)


def python2_pickle(value: Any) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def random_records(
    kind: Cifar, count: int, seed: int
) -> tuple[np.ndarray[Any, Any], list[int]]:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (count, 3072), np.uint8)
    return pixels, random.integers(0, len(kind.classes), count).tolist()


def parts(kind: Cifar) -> list[tuple[str, int]]:
    train = [(stem, kind.records[0]) for stem in kind.train]
    return train + [(stem, kind.records[1]) for stem in kind.test]


def write_python(kind: Cifar, root: Path) -> Path:
    """The Python version of a set, as its authors' scripts wrote it."""
    folder = root / kind.folders[1]
    folder.mkdir()
    for seed, (stem, count) in enumerate(parts(kind)):
        pixels, labels = random_records(kind, count, seed)
        names = [f"image_{i}.png" for i in range(count)]
        content = {"data": pixels, kind.label: labels, "filenames": names}
        (folder / stem).write_bytes(python2_pickle(content))
    return folder


def write_binary(kind: Cifar, root: Path) -> Path:
    """The same images and labels in the binary version."""
    folder = root / kind.folders[0]
    folder.mkdir()
    for seed, (stem, count) in enumerate(parts(kind)):
        pixels, labels = random_records(kind, count, seed)
        coarse = np.full((count, kind.label_bytes - 1), 7, np.uint8)
        fine = np.array(labels, np.uint8)[:, None]
        records = np.concatenate([coarse, fine, pixels], axis=1)
        (folder / f"{stem}.bin").write_bytes(records.tobytes())
    return folder


def idx(values: np.ndarray[Any, Any]) -> bytes:
    """An array of bytes as an idx file."""
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.astype(np.uint8).tobytes()


def write_mnist(root: Path, zipped: bool) -> tuple[Any, Any]:
    """Seven test and nine training images; returns the test part."""
    images = np.random.default_rng(3).integers(0, 256, (16, 28, 28), np.uint8)
    labels = np.arange(16) % 10
    pack = gzip.compress if zipped else bytes
    end = ".gz" if zipped else ""
    for stem, part in (("train", slice(7, None)), ("t10k", slice(7))):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            content = pack(idx(values[part]))
            (root / f"{stem}-{kind}-ubyte{end}").write_bytes(content)
    return images[:7], labels[:7]
