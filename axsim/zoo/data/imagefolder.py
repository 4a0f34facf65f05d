"""A folder of images with one folder for each class, as ImageNet is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import BackendError, DataError
from .crops import centre_crop, ten_crop
from .dataset import Normalisation, Sample

if TYPE_CHECKING:
    from PIL.Image import Image

# Means and deviations of ImageNet's training images, as every trained model expects.
NORMALISE = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
EXTENSIONS = {".jpeg", ".jpg", ".png", ".bmp", ".ppm", ".webp"}
# Only these decoders: some of Pillow's others start programs.
FORMATS = ("JPEG", "PNG", "BMP", "PPM", "WEBP")
FOLDERS = {"train": "train", "test": "val"}
LAYOUT = (
    "An image folder is expected to hold train/<class>/*.JPEG and val/<class>/*.JPEG, "
    "the classes in alphabetical order being 0, 1, 2, …. ImageNet is at "
    "https://image-net.org; its validation archive is flat and must be sorted into "
    "class folders first."
)


class ImageFolder(Dataset[Sample]):
    """Images that are decoded when they are asked for; samples as in `ArrayDataset`.

    The shorter side is resized to `resize`, then the centre, or ten views, are cut.

    Args:
        path: holds `train` and `val`, or one of them.
        split: `"train"`, or `"test"` for `val`.
        resize: length of the shorter side in pixels; at least `crop`.
        crop: side of the square that a network sees.
        views: 1 for the centre, 10 for samples of (10, 3, crop, crop).

    Raises:
        DataError: with the layout, or with the name of the image that is damaged.

    Example:
        >>> data = ImageFolder("/data/imagenet", "test")  # doctest: +SKIP
        >>> data[0][0].shape  # doctest: +SKIP
        torch.Size([3, 224, 224])
    """

    def __init__(
        self,
        path: str | Path,
        split: str,
        *,
        resize: int = 256,
        crop: int = 224,
        views: int = 1,
    ) -> None:
        if not 1 <= crop <= resize:
            raise DataError(f"crop={crop}, resize={resize}; crop is 1 to resize.")
        if views not in (1, 10):
            raise DataError(f"views={views}; 1 (centre) and 10 (ten-crop) are known.")
        root = Path(path).expanduser()
        folder = root / FOLDERS[split]
        if not folder.is_dir():
            raise DataError(f"{folder} is not a folder. {LAYOUT}")
        self.name = f"{root.name}, {split}"
        self.training: Callable[[], Dataset[Sample]] | None = None
        self.classes = _classes(root, folder)
        self.resize, self.crop, self.views = resize, crop, views
        self.paths, self.labels = _files(folder, self.classes)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.paths[index]
        pillow = _pillow()
        try:
            image = _read_image(path, self.resize, pillow)
        # Decoders of damaged images raise nearly everything.
        except Exception as problem:
            raise DataError(
                f"{path} is not a readable image ({type(problem).__name__}: "
                f"{problem}). Replace or remove it."
            ) from problem
        cut = ten_crop if self.views == 10 else centre_crop
        return NORMALISE(cut(image, self.crop)), int(self.labels[index])

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self):,} images, {len(self.classes)} classes>"


def _read_image(path: Path, shorter: int, pillow: Any) -> Tensor:  # uint8 (3, H, W)
    """An image in RGB with its shorter side resized, bilinear with antialiasing."""
    with pillow.open(path, formats=FORMATS) as opened:
        image: Image = opened.convert("RGB")
    width, height = image.size
    scale = shorter / min(width, height)
    size = (max(shorter, int(width * scale)), max(shorter, int(height * scale)))
    pixels = np.array(image.resize(size, pillow.Resampling.BILINEAR))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as problem:
        raise BackendError(
            "images are decoded by Pillow, which is not installed. Install it with "
            "pip install pillow."
        ) from problem
    return Image


def _classes(root: Path, folder: Path) -> tuple[str, ...]:
    """The sorted class folders, which must be the same in both splits."""
    held = {
        name: {
            entry.name
            for entry in (root / name).iterdir()
            # A hidden folder counted as a class would move all labels behind it.
            if entry.is_dir() and not entry.name.startswith(".")
        }
        for name in FOLDERS.values()
        if (root / name).is_dir()
    }
    classes = held[folder.name]
    if not classes:
        raise DataError(f"{folder} has no class folders, so no labels. {LAYOUT}")
    for name, others in held.items():
        if others and others != classes:
            odd = sorted(classes ^ others)
            raise DataError(
                f"{root} has other classes in {name} than in {folder.name}, so labels "
                f"would not agree: {', '.join(odd[:5])}{', …' if len(odd) > 5 else ''}."
            )
    return tuple(sorted(classes))


def _files(folder: Path, classes: tuple[str, ...]) -> tuple[list[Path], Tensor]:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            each
            for each in (folder / name).iterdir()
            if each.suffix.lower() in EXTENSIONS
        )
        if not found:
            known = ", ".join(sorted(EXTENSIONS))
            raise DataError(
                f"{folder / name} holds no images ({known}). Remove the class folder "
                "from both splits or fill it."
            )
        paths += found
        labels += [label] * len(found)
    return paths, torch.tensor(labels)
