"""Data sets by name, as two splits of labelled images.

train, test = load("fashion-mnist")            in memory, embedded in the course (all 70,000 images: full=True)
train, test = load("imagenet:/data/imagenet")  files, read when they are needed
train, test = load("photos")                   any folder with train/ and val/, each with a folder for each class
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ravines.data import CLASS_NAMES, DataError, _cache, _connection_timeout, fashion_mnist
from ravines.reproduction import chance

#: What a file of an image may end with.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".ppm", ".tif", ".tiff")
NAMES = ("fashion-mnist", "cifar10", "imagenette", "imagenet:PATH", "PATH")


@dataclass(frozen=True)
class Split:
    """Labelled images: in memory, or as files.

    Attributes:
        name: of the data set and the split.
        classes: their names; label ``i`` means ``classes[i]``.
        labels: (N,), int64.
        pixels: (N, C, H, W), uint8, with one or three channels; None where the images are files.
        files: the files; empty where the images are in memory.
    """

    name: str
    classes: tuple[str, ...]
    labels: np.ndarray
    pixels: Tensor | None = None
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def image(self, index: int) -> Tensor:
        """Return one image as (3, H, W), uint8.

        Raises:
            DataError: when its file cannot be read or decoded.
        """
        if self.pixels is not None:
            return self.pixels[index].expand(3, -1, -1)
        return decode(self.files[index])

    def limited(self, n: int | None, seed: int = 0) -> Split:
        """Return ``n`` of the images, the same for the same seed, in their order; all of them when n is None."""
        if n is None or n >= len(self):
            return self
        kept = np.sort(chance.permutation(seed, 0, len(self))[:n])
        return replace(
            self,
            labels=self.labels[kept],
            pixels=None if self.pixels is None else self.pixels[torch.from_numpy(kept)],
            files=tuple(self.files[i] for i in kept) if self.files else (),
        )


def load(spec: str, *, full: bool = False, root: Path | None = None) -> tuple[Split, Split]:
    """Return the training and the test split of a data set.

    Args:
        spec: one of :data:`NAMES`.
        full: of Fashion-MNIST all 70,000 images, downloaded on first use.
        root: the folder for downloads (default: ``$RAVINES_DATA`` or ``~/.cache/ravines``).

    Raises:
        DataError: when there is no such data set or folder, or it is not as it should be.
    """
    if spec == "fashion-mnist":
        return _fashion_mnist(True, full, root), _fashion_mnist(False, full, root)
    if full:
        raise DataError(f"Only fashion-mnist has a small and a full set; leave out --full for {spec}.")
    if spec == "cifar10":
        return _cifar10(True, root), _cifar10(False, root)
    if spec == "imagenette":
        return folder(_imagenette(root))
    if spec.startswith("imagenet:"):
        return folder(Path(spec.removeprefix("imagenet:")).expanduser())
    path = Path(spec).expanduser()
    if not path.is_dir():
        raise DataError(f"{spec!r} is neither a data set nor a folder: use {', '.join(NAMES)}.")
    return folder(path)


def folder(path: Path) -> tuple[Split, Split]:
    """Return the splits of a folder with ``train/`` and ``val/`` (or ``test/``), each with a folder for each class.

    ImageNet's validation images may also lie in one folder beside ``LOC_val_solution.csv``, which names their classes.

    Raises:
        DataError: when a folder or a class is missing, or has no images.
    """
    train = _classes(path / "train")
    held_out = next((path / name for name in ("val", "test") if (path / name).is_dir()), None)
    if held_out is None:
        raise DataError(f"{path} has neither val/ nor test/ beside train/: put the images to test on there.")
    names = tuple(sorted(train))
    solution = path / "LOC_val_solution.csv"
    flat = not any(entry.is_dir() for entry in held_out.iterdir()) and solution.is_file()
    test = _flat(held_out, solution) if flat else _classes(held_out)
    unknown, missing = sorted(set(test) - set(train)), sorted(set(train) - set(test))
    if unknown:
        raise DataError(f"{held_out} has the class {unknown[0]!r}, which {path / 'train'} does not have.")
    if missing:
        raise DataError(f"{held_out} has no class {missing[0]!r}, which {path / 'train'} has: add its folder.")
    return tuple(  # type: ignore[return-value]
        Split(
            name=f"{path.name}, {where}",
            classes=names,
            labels=np.repeat(np.arange(len(names)), [len(found[n]) for n in names]),
            files=tuple(file for n in names for file in found[n]),
        )
        for where, found in (("train", train), (held_out.name, test))
    )


def decode(file: Path) -> Tensor:
    """Return an image file as (3, H, W), uint8.

    Raises:
        DataError: when it cannot be read or decoded.
    """
    from PIL import Image  # torchvision's own decoders are to be removed

    try:
        with Image.open(file) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).movedim(-1, 0).contiguous()
    except Exception as error:  # Pillow's errors for a broken file have no common class
        reason = "there is no such file" if not file.exists() else str(error).split(":")[0] or type(error).__name__
        raise DataError(f"The image {file} cannot be read ({reason}): replace it, or take it away.") from None


def _classes(path: Path) -> dict[str, list[Path]]:
    """Return the images of each class folder."""
    if not path.is_dir():
        raise DataError(f"There is no folder {path}: it should have a folder for each class.")
    found = {entry.name: _images(entry) for entry in sorted(path.iterdir()) if entry.is_dir() and entry.name[0] != "."}
    if not found:
        raise DataError(f"{path} has no folders: it should have one for each class, with that class's images.")
    for name, files in found.items():
        if not files:
            raise DataError(f"The class folder {path / name} has no images ({', '.join(SUFFIXES[:3])}, ...).")
    return found


def _images(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def _flat(path: Path, solution: Path) -> dict[str, list[Path]]:
    """Return the images of ImageNet's flat validation folder by class; the table's second column begins with it."""
    with solution.open(newline="", encoding="utf-8") as file:
        of = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
    found: dict[str, list[Path]] = {}
    for image in _images(path):
        if image.stem not in of:
            raise DataError(f"{solution} does not name the class of {image.name}.")
        found.setdefault(of[image.stem], []).append(image)
    return found


def _fashion_mnist(train: bool, full: bool, root: Path | None) -> Split:
    images, labels = fashion_mnist(train, full=full, root=root)
    pixels = (images * 255).round().to(torch.uint8)
    name = f"fashion-mnist, {len(labels):,} {'training' if train else 'test'} images"
    return Split(name, CLASS_NAMES, labels.numpy(), pixels)


def _cifar10(train: bool, root: Path | None) -> Split:
    from torchvision.datasets import CIFAR10

    try:
        with _connection_timeout():
            found = CIFAR10(_cache(root), train=train, download=True)
    except Exception as error:
        raise DataError(_unreachable("CIFAR-10", CIFAR10.url, _cache(root), error)) from error
    pixels = torch.from_numpy(found.data).movedim(-1, 1).contiguous()
    return Split(f"cifar10, {'train' if train else 'test'}", tuple(found.classes), np.array(found.targets), pixels)


def _imagenette(root: Path | None) -> Path:
    """Return the folder of Imagenette at full size, downloaded on first use."""
    from torchvision.datasets import Imagenette

    where = _cache(root) / "imagenette2"
    if not (where / "train").is_dir():
        try:
            with _connection_timeout():
                Imagenette(_cache(root), split="train", size="full", download=True)
        except Exception as error:
            url = Imagenette._ARCHIVES["full"][0]
            raise DataError(_unreachable("Imagenette", url, _cache(root), error)) from error
    return where


def _unreachable(what: str, url: str, where: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return f"{what} is not in {where} and could not be downloaded from {url} ({reason}): put that file there by hand."
