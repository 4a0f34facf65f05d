"""MNIST's idx files, plain or gzipped; Fashion-MNIST and others share the format."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ...errors import DataError
from .dataset import ArrayDataset, Normalisation
from .files import find_folder

# Mean and deviation over MNIST's 60,000 training images.
NORMALISE = Normalisation((0.1307,), (0.3081,))
STEMS = {"train": "train", "test": "t10k"}
# The largest set in this format, EMNIST, has 814,255 images.
MOST = 1_000_000
LAYOUT = (
    "MNIST is expected as a folder with train-images-idx3-ubyte, "
    "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each "
    "plain or .gz, or a folder that holds it as MNIST/raw; get them from "
    "https://ossci-datasets.s3.amazonaws.com/mnist/, names ending in .gz."
)


def load_mnist(path: str | Path, split: str) -> ArrayDataset:
    """One split from a folder of idx files.

    Raises:
        DataError: with the expected layout or with what is wrong in which file.
    """
    stem = STEMS[split]
    names = _spellings(f"{stem}-images", 3)
    folder = find_folder(path, [".", "raw", "MNIST/raw"], names, LAYOUT)
    images = read_idx(_find(folder, f"{stem}-images", 3), (28, 28))
    labels = read_idx(_find(folder, f"{stem}-labels", 1), ())
    if len(images) != len(labels):
        raise DataError(
            f"{folder} has {len(images):,} {split} images and {len(labels):,} labels; "
            "the files belong to different sets."
        )
    return ArrayDataset(
        torch.from_numpy(images)[:, None],
        torch.from_numpy(labels).to(torch.int64),
        [str(digit) for digit in range(10)],
        NORMALISE,
        f"MNIST, {split}",
    )


def read_idx(path: Path, item: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The bytes of an idx file whose items have a known shape.

    The format: two zero bytes, 8 for uint8, the number of dimensions, each dimension
    as a big-endian 32-bit number, the values row by row.
    """
    head = 4 + 4 * (1 + len(item))
    content = _read(path, head + MOST * int(np.prod(item, dtype=int)))
    magic = bytes([0, 0, 8, 1 + len(item)])
    whole = len(content) >= head and content[:4] == magic
    sizes = np.frombuffer(content[4:head], ">u4").tolist() if whole else []
    if tuple(sizes[1:]) != item or not sizes:
        what = f"uint8 images of {item[0]}x{item[1]}" if item else "uint8 labels"
        raise DataError(
            f"{path} does not begin as an idx file of {what}: "
            f"{content[:head].hex(' ', -4) or 'it is empty'}. {LAYOUT}"
        )
    expected = head + int(np.prod(sizes, dtype=int))
    if len(content) != expected:
        raise DataError(
            f"{path} has {len(content):,} bytes unpacked; its head promises "
            f"{expected:,}. Get the file again."
        )
    return np.frombuffer(bytearray(content[head:]), np.uint8).reshape(sizes)


def _spellings(stem: str, dimensions: int) -> list[str]:
    plain = [f"{stem}{mark}idx{dimensions}-ubyte" for mark in "-."]
    return [*plain, *(f"{name}.gz" for name in plain)]


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    for name in _spellings(stem, dimensions):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder} has no {stem}-idx{dimensions}-ubyte. {LAYOUT}")


def _read(path: Path, limit: int) -> bytes:
    """At most `limit` bytes, so that a small archive cannot fill the memory."""
    opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")
    try:
        with opened as stream:
            return stream.read(limit)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path} cannot be read: {problem}. {LAYOUT}") from problem
