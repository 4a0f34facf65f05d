from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from archives import idx, write_mnist

from axsim import DataError
from axsim.zoo.data.sources import load_data


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("below", [".", "MNIST/raw"])
def test_reads_plain_and_gzipped_files(
    tmp_path: Path, zipped: bool, below: str
) -> None:
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = write_mnist(folder, zipped)
    test = load_data(f"mnist:{tmp_path}", "test")
    assert np.array_equal(test.pixels[:, 0].numpy(), images)  # pyright: ignore
    assert np.array_equal(test.labels.numpy(), labels)
    expected = (images[2, 3, 4] / 255 - 0.1307) / 0.3081
    assert test[2][0][0, 3, 4].item() == pytest.approx(expected, abs=1e-6)
    assert len(load_data(f"mnist:{tmp_path}", "train")) == 9


def test_a_wrong_folder_tells_layout_and_source(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_data(f"mnist:{tmp_path}")
    assert "holds nothing" in str(caught.value)
    assert "t10k-images-idx3-ubyte" in str(caught.value)
    assert "https://" in str(caught.value)


def test_missing_labels_are_named(tmp_path: Path) -> None:
    write_mnist(tmp_path, False)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has no t10k-labels-idx1-ubyte"):
        load_data(f"mnist:{tmp_path}")


def test_labels_of_another_set_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(6)))
    with pytest.raises(DataError, match="7 test images and 6 labels"):
        load_data(f"mnist:{tmp_path}")


IMAGES = idx(np.zeros((7, 28, 28)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\0\0\x08\x03\0\0", "00000803 0000"),
        (idx(np.zeros((7, 28, 20))), "does not begin as an idx file"),
        (idx(np.zeros(7)), "does not begin as an idx file of uint8 images of 28x28"),
        (IMAGES[:-1], "5,503 bytes unpacked; its head promises 5,504"),
        (IMAGES + b"\0", "5,505 bytes unpacked; its head promises 5,504"),
    ],
)
def test_damaged_images(tmp_path: Path, content: bytes, message: str) -> None:
    write_mnist(tmp_path, False)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_data(f"mnist:{tmp_path}")


@pytest.mark.parametrize(
    "content", [b"no archive", gzip.compress(IMAGES, mtime=0)[:-9]]
)
def test_damaged_archives(tmp_path: Path, content: bytes) -> None:
    write_mnist(tmp_path, True)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"ubyte\.gz cannot be read"):
        load_data(f"mnist:{tmp_path}")
