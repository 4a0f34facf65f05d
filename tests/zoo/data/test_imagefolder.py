from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from axsim import BackendError, DataError
from axsim.zoo.data.crops import ten_crop
from axsim.zoo.data.imagefolder import ImageFolder
from axsim.zoo.data.sources import load_data

CLASSES = ("n01", "n02", "n10")


def write_image(
    path: Path, size: tuple[int, int] = (40, 30), mode: str = "RGB"
) -> None:
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    image.convert(mode).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for name in reversed(CLASSES):
            (tmp_path / split / name).mkdir(parents=True)
            write_image(tmp_path / split / name / "b.JPEG")
            write_image(tmp_path / split / name / "a.png")
    return tmp_path


def test_hidden_folders_are_no_classes(folder: Path) -> None:
    (folder / "val" / ".cache").mkdir()
    assert small(folder).classes == CLASSES


def small(folder: Path, views: int = 1) -> ImageFolder:
    return ImageFolder(folder, "test", resize=20, crop=16, views=views)


def test_classes_are_sorted_and_samples_normalised(folder: Path) -> None:
    data = small(folder)
    assert data.classes == CLASSES
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert [path.name for path in data.paths[:2]] == ["a.png", "b.JPEG"]
    image, label = data[3]
    assert image.shape == (3, 16, 16) and image.dtype == torch.float32
    assert label == 1 and type(label) is int


def test_the_default_view_is_imagenets(folder: Path) -> None:
    image, _ = load_data(f"imagefolder:{folder}", "train")[0]
    assert image.shape == (3, 224, 224)


def test_the_shorter_side_is_resized_and_the_centre_cut(folder: Path) -> None:
    data = small(folder)
    with Image.open(data.paths[0]) as opened:
        # 40x30 to 26x20, then 16x16 from (5, 2).
        resized = opened.resize((26, 20), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(resized.crop((5, 2, 21, 18)))).permute(2, 0, 1)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    assert torch.allclose(data[0][0], (pixels / 255 - mean) / std, atol=1e-6)


def test_ten_views_show_the_whole_rectangle(folder: Path) -> None:
    views, _ = small(folder, views=10)[0]
    assert views.shape == (10, 3, 16, 16)
    assert torch.equal(views[4], small(folder)[0][0])
    assert torch.equal(views[5:], views[:5].flip(-1))


def test_ten_crop_takes_corners_and_centre() -> None:
    image = torch.arange(35.0).view(1, 5, 7)
    views = ten_crop(image, 3)
    upper_left = [views[i, 0, 0, 0].item() for i in range(5)]
    assert upper_left == [0, 4, 14, 18, 9]
    assert torch.equal(ten_crop(image[None], 3)[0], views)
    with pytest.raises(DataError, match="an image of 5x7 has no view of 6x6"):
        ten_crop(image, 6)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P"])
def test_other_colour_modes_become_rgb(folder: Path, mode: str) -> None:
    file = folder / "val/n01" / ("a.jpg" if mode == "CMYK" else "a.png")
    write_image(file, mode=mode)
    assert small(folder)[0][0].shape == (3, 16, 16)


@pytest.mark.parametrize("damage", ["cut", "text", "postscript", "empty"])
def test_a_damaged_image_is_named(folder: Path, damage: str) -> None:
    file = folder / "val/n02/b.JPEG"
    content = {
        "cut": file.read_bytes()[:200],
        "text": b"<html>not found</html>",
        # Pillow would hand this to a program.
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "empty": b"",
    }[damage]
    file.write_bytes(content)
    data = small(folder)
    with pytest.raises(DataError, match=r"val/n02/b\.JPEG is not a readable image"):
        data[3]
    assert data[2][1] == 1


def test_an_empty_class_folder_is_named(folder: Path) -> None:
    for image in (folder / "val/n02").iterdir():
        image.rename(image.with_suffix(".txt"))
    with pytest.raises(DataError, match=r"val/n02 holds no images \(\.bmp, \.jpeg"):
        small(folder)


def test_images_without_class_folders_have_no_labels(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    write_image(tmp_path / "val" / "a.png")
    with pytest.raises(DataError, match=r"no class folders, so no labels.*flat"):
        small(tmp_path)


def test_a_wrong_folder_tells_layout_and_source(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_data(f"imagefolder:{tmp_path}", "train")
    assert "train/<class>/*.JPEG" in str(caught.value)
    assert "https://image-net.org" in str(caught.value)


def test_classes_must_agree_between_the_splits(folder: Path) -> None:
    (folder / "val/n01").rename(folder / "val/n03")
    with pytest.raises(DataError, match="labels would not agree: n01, n03"):
        small(folder)


def test_validation_alone_is_enough(folder: Path) -> None:
    (folder / "train").rename(folder / "elsewhere")
    assert len(small(folder)) == 6


def test_impossible_views(folder: Path) -> None:
    with pytest.raises(DataError, match="crop=30, resize=20; crop is 1 to resize"):
        ImageFolder(folder, "test", resize=20, crop=30)
    with pytest.raises(DataError, match=r"views=5; 1 \(centre\) and 10"):
        small(folder, views=5)


def test_without_pillow_the_next_step_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(BackendError, match="pip install pillow"):
        small(folder)[0]
