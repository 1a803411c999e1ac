"""Data, device and seeds: where every chapter and assignment starts.

`fashion_mnist` returns Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747) as tensors: by default the
12,000 images kept in the repository's `data/` folder, with `full=True` all 70,000 of them. `device` says where to
compute, and `seed_everything` makes a run repeatable.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

CLASS_NAMES: tuple[str, ...] = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""The ten classes; label `i` means `CLASS_NAMES[i]`."""

EMBEDDED = Path(__file__).resolve().parents[1] / "data" / "fashion-mnist"
"""The folder of the embedded images, found relative to this file: the package runs from a checkout."""

CHECKSUMS = "SHA256SUMS"
"""The file beside the embedded images that `sha256sum --check` understands."""

IMAGES = {True: "train-images-idx3-ubyte.gz", False: "t10k-images-idx3-ubyte.gz"}
LABELS = {True: "train-labels-idx1-ubyte.gz", False: "t10k-labels-idx1-ubyte.gz"}
_FULL_SIZE = {True: 60_000, False: 10_000}
_CONNECTION_TIMEOUT = 30.0  # seconds without an answer


class DataError(RuntimeError):
    """A data set is missing, damaged or out of reach; the message says which, where, and what to do."""


def fashion_mnist(
    train: bool = True, *, full: bool = False, root: str | os.PathLike[str] | None = None
) -> tuple[Tensor, Tensor]:
    """Fashion-MNIST as two tensors on the CPU.

    Args:
        train: the training images, or else the test images.
        full: all 60,000 / 10,000 images through torchvision, downloaded on first use. By default the embedded
            10,000 / 2,000: the first 1,000 / 200 of each class, in the official order.
        root: with `full`, the folder that keeps the download; by default the environment variable `RAVINES_DATA`,
            or else `~/.cache/ravines`.

    Returns:
        `(images, labels)`: images float32 of shape (n, 1, 28, 28) with values in [0, 1] (0 is background), labels
        int64 of shape (n,) with values 0 to 9, named by `CLASS_NAMES`.

    Raises:
        DataError: the files are missing, damaged, or cannot be downloaded.
    """
    pixels, labels = _full(train, _cache(root)) if full else _embedded(train)
    images = torch.from_numpy(pixels).unsqueeze(1).to(torch.float32).div_(255)
    return images, torch.from_numpy(labels).to(torch.int64)


def parse_idx(content: bytes) -> np.ndarray:
    """The array in an uncompressed idx file of unsigned bytes, the format of the MNIST family.

    The format: two zero bytes, the type (8 is uint8), the number of dimensions, each dimension as a big-endian
    32-bit integer, then the values in row-major order.

    Raises:
        ValueError: the header or the length is not that of such a file.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise ValueError("not an idx file of unsigned bytes: its first three bytes must be 0, 0, 8")
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    if len(content) != start + int(np.prod(shape)):
        raise ValueError(f"an idx file of shape {shape} has {start + int(np.prod(shape))} bytes, not {len(content)}")
    return np.frombuffer(bytearray(content), dtype=np.uint8, offset=start).reshape(shape)


def device() -> torch.device:
    """Where to compute: a CUDA GPU when PyTorch sees one, else the CPU.

    The environment variable `RAVINES_DEVICE` overrides the choice ("cpu", "cuda", "cuda:1", "mps"). Apple's "mps" is
    never chosen unasked, because it has no float64, which the chapters' numerical checks need.

    On a GPU float32 is to mean float32: cuDNN's convolutions are told not to round their inputs to TF32's 10 bits,
    which PyTorch allows by default. `ravines train` allows it again.

    Raises:
        RuntimeError: `RAVINES_DEVICE` names no device that works here.
    """
    name = os.environ.get("RAVINES_DEVICE", "").strip()
    if not name:
        return _exact(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        chosen = torch.device(name)
        torch.ones(1, device=chosen).item()  # the name can be valid and the device absent
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise RuntimeError(
            f"RAVINES_DEVICE={name!r} names no device that works here: unset it, or set it to one of "
            f"{', '.join(_working_devices())}."
        ) from error
    return _exact(chosen)


def _exact(chosen: torch.device) -> torch.device:
    if chosen.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    return chosen


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and PyTorch (every device), and make cuDNN deterministic.

    Args:
        seed: an integer from 0 to 2**32 - 1 (NumPy's range).

    Returns:
        A new CPU generator with the same seed, to pass where a function takes `generator=`.

    Raises:
        ValueError: the seed is outside the range.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"a seed is an integer from 0 to 2**32 - 1, not {seed}.")
    random.seed(seed)
    np.random.seed(seed)  # the generator that libraries without one of their own draw from
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return torch.Generator().manual_seed(seed)


def _embedded(train: bool) -> tuple[np.ndarray, np.ndarray]:
    """The embedded pixels (n, 28, 28) and labels (n,), uint8, after comparing their files' checksums."""
    return parse_idx(_verified(IMAGES[train])), parse_idx(_verified(LABELS[train]))


def _verified(name: str) -> bytes:
    """The uncompressed content of an embedded file whose sha256 is the one on record."""
    remedy = (
        "restore it with `git checkout -- data` in a checkout of the course (installed with `pip install -e .`), "
        "or make it again with tools/embed_fashion_mnist.py"
    )
    try:
        lines = (EMBEDDED / CHECKSUMS).read_text(encoding="ascii").splitlines()
        content = (EMBEDDED / name).read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"The embedded Fashion-MNIST file {error.filename} is missing: {remedy}.") from error
    expected = {file: digest for digest, file in (line.split() for line in lines)}
    if hashlib.sha256(content).hexdigest() != expected.get(name):
        raise DataError(
            f"The embedded Fashion-MNIST file {EMBEDDED / name} is damaged (its sha256 is not the one in {CHECKSUMS} "
            f"beside it): {remedy}."
        )
    return gzip.decompress(content)


def _cache(root: str | os.PathLike[str] | None) -> Path:
    """The folder that keeps downloads."""
    return Path(root or os.environ.get("RAVINES_DATA") or "~/.cache/ravines").expanduser()


def _full(train: bool, root: Path) -> tuple[np.ndarray, np.ndarray]:
    """All pixels (n, 28, 28) and labels (n,), uint8, through torchvision."""
    from torchvision.datasets import FashionMNIST  # slow to import, and seldom needed

    raw = root / "FashionMNIST" / "raw"
    try:
        with _connection_timeout():
            dataset = FashionMNIST(root, train=train, download=True)
    except (OSError, RuntimeError, ValueError, TypeError, AssertionError) as error:
        # torchvision asks only whether the unpacked files exist, so a damaged one fails while it is read.
        if all((raw / name).with_suffix("").exists() for name in (*IMAGES.values(), *LABELS.values())):
            raise _damaged(raw) from error
        raise DataError(
            f"The full Fashion-MNIST is not in {raw} and could not be downloaded from "
            f"{' or '.join(FashionMNIST.mirrors)} ({' '.join(str(error).split())}): put its four files "
            f"({', '.join((*IMAGES.values(), *LABELS.values()))}) into that folder by hand, or leave out full=True "
            "to use the 12,000 embedded images."
        ) from error
    pixels, labels = dataset.data.numpy(), dataset.targets.numpy()
    if pixels.shape != (_FULL_SIZE[train], 28, 28) or labels.shape != (_FULL_SIZE[train],):
        raise _damaged(raw)
    return pixels, labels


def _damaged(raw: Path) -> DataError:
    return DataError(
        f"The full Fashion-MNIST in {raw} is damaged (torchvision cannot read {_FULL_SIZE[True]:,} training and "
        f"{_FULL_SIZE[False]:,} test images of 28 x 28 from it): delete that folder and call again to download it anew."
    )


@contextmanager
def _connection_timeout() -> Iterator[None]:
    """Give up on a silent network: torchvision's downloads set no timeout of their own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_CONNECTION_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _working_devices() -> list[str]:
    """The names that `RAVINES_DEVICE` can have here."""
    names = ["cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names
