from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from archives import (
    SMALL10,
    SMALL100,
    python2_pickle,
    random_records,
    write_binary,
    write_python,
)

from axsim import DataError
from axsim.zoo.data.cifar import CIFAR10, CIFAR100, Cifar
from axsim.zoo.data.sources import load_data

KINDS = pytest.mark.parametrize("kind", [SMALL10, SMALL100], ids=lambda kind: kind.name)


@KINDS
@pytest.mark.parametrize("write", [write_python, write_binary])
def test_both_versions_hold_the_records(kind: Cifar, write, tmp_path: Path) -> None:  # pyright: ignore
    write(kind, tmp_path)
    test = kind.load(tmp_path, "test")
    pixels, labels = random_records(kind, 4, len(kind.train))
    assert np.array_equal(test.pixels.numpy(), pixels.reshape(4, 3, 32, 32))
    assert test.labels.tolist() == labels
    assert test.classes == kind.classes
    train = kind.load(tmp_path, "train")
    assert len(train) == 6 * len(kind.train)
    last, _ = random_records(kind, 6, len(kind.train) - 1)
    assert np.array_equal(train.pixels[-6:].flatten(1).numpy(), last)


@KINDS
def test_the_folder_itself_is_found(kind: Cifar, tmp_path: Path) -> None:
    folder = write_python(kind, tmp_path)
    assert len(kind.load(folder, "test")) == 4


def test_a_sample_is_normalised(tmp_path: Path) -> None:
    write_binary(SMALL10, tmp_path)
    data = SMALL10.load(tmp_path, "test")
    image, label = data[1]
    expected = (data.pixels[1, 2, 5, 7] / 255 - 0.4465) / 0.2616
    assert image.dtype == torch.float32
    assert image[2, 5, 7].item() == pytest.approx(expected.item(), abs=1e-6)
    assert label == data.labels[1] and type(label) is int


@pytest.mark.parametrize(
    ("kind", "binary", "python"),
    [
        (CIFAR10, "cifar-10-batches-bin", "cifar-10-batches-py"),
        (CIFAR100, "cifar-100-binary", "cifar-100-python"),
    ],
    ids=["CIFAR-10", "CIFAR-100"],
)
def test_a_wrong_folder_tells_layout_and_source(
    kind: Cifar, binary: str, python: str, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError) as caught:
        kind.load(tmp_path, "test")
    message = str(caught.value)
    assert "holds notes.txt" in message
    assert binary in message and python in message
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in message
    with pytest.raises(DataError, match="does not exist"):
        kind.load(tmp_path / "nowhere", "test")
    with pytest.raises(DataError, match="is not a folder"):
        kind.load(tmp_path / "notes.txt", "test")


@pytest.mark.parametrize("change", [-1, -3073, 1])
def test_a_binary_file_of_another_size_is_refused(tmp_path: Path, change: int) -> None:
    file = write_binary(SMALL10, tmp_path) / "test_batch.bin"
    content = file.read_bytes()
    file.write_bytes(content[:change] if change < 0 else content + b"\0")
    size = f"{len(content) + change:,}"
    with pytest.raises(DataError, match=rf"test_batch\.bin has {size} bytes"):
        SMALL10.load(tmp_path, "test")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (write_python(SMALL10, tmp_path) / "data_batch_3").unlink()
    with pytest.raises(DataError, match=r"data_batch_3 cannot be read"):
        SMALL10.load(tmp_path, "train")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = write_python(SMALL10, tmp_path) / "test_batch"
    with file.open("r+b") as stream:
        stream.truncate(1 << 40)  # sparse: it takes no room
    with pytest.raises(DataError, match=r"1,099,511,627,776 bytes and was not read"):
        SMALL10.load(tmp_path, "test")


PIXELS = np.zeros((4, 3072), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": PIXELS}, "no list of 4 whole numbers 'labels'"),
        ({"data": PIXELS, "labels": [1, 2, 3]}, "no list of 4 whole numbers"),
        ({"data": PIXELS, "labels": [1, 2, 3, "4"]}, "no list of 4 whole numbers"),
        ({"data": PIXELS, "labels": [1, 2, 3, 10]}, "labels from 1 to 10; CIFAR-10"),
        ({"data": PIXELS, "labels": [1, 2, 3, -1]}, "labels from -1 to 3"),
        ({"labels": [1, 2, 3, 4]}, "has no data"),
        ({"data": PIXELS[:3], "labels": [1, 2, 3]}, r"has data of \(3, 3072\)"),
    ],
)
def test_archives_without_the_right_content(
    tmp_path: Path, content: dict[str, object], message: str
) -> None:
    file = write_python(SMALL10, tmp_path) / "test_batch"
    file.write_bytes(python2_pickle(content))
    with pytest.raises(DataError, match=message):
        SMALL10.load(tmp_path, "test")


def test_a_label_out_of_range_in_a_binary_file(tmp_path: Path) -> None:
    file = write_binary(SMALL10, tmp_path) / "test_batch.bin"
    file.write_bytes(b"\x0b" + file.read_bytes()[1:])
    with pytest.raises(DataError, match="to 11; its 10 classes allow 0 to 9"):
        SMALL10.load(tmp_path, "test")


def test_the_front_door_reads_the_real_sizes(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.zeros((10_000, 3072), np.uint8)
    content = {"data": pixels, "labels": [3] * 10_000}
    (folder / "test_batch").write_bytes(pickle.dumps(content, 4))
    data = load_data(f"cifar10:{tmp_path}", "test")
    assert repr(data) == "<CIFAR-10, test: 10,000 images 3x32x32, 10 classes>"
