"""Make the embedded Fashion-MNIST files of data/ from the official ones.

The embedded set is the first images of each class, as many of one class as of another, in the official order: a
choice that anybody can repeat. The files have the official names and format (gzipped idx), and the same input
gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]


def first_of_each_class(labels: np.ndarray, per_class: int) -> np.ndarray:
    """The indices, ascending, of the first `per_class` examples of each class in `labels` (n,).

    Raises:
        ValueError: a class has fewer examples than that.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < per_class:
        raise ValueError(f"class {classes[counts.argmin()]} has {counts.min()} images, fewer than {per_class}")
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in classes]))


def idx_gz(array: np.ndarray) -> bytes:
    """The uint8 `array` as a gzipped idx file, with neither name nor time in the gzip header."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(header + array.tobytes())
    return buffer.getvalue()


def embed(source: Path, out: Path, train_per_class: int, test_per_class: int) -> list[Path]:
    """Write the balanced subset of `source` into `out`, with its checksums, and return the files written.

    Raises:
        FileNotFoundError: `source` lacks one of the four official files.
        ValueError: an official file is damaged, or has too few images of a class.
    """
    from ravines.data import CHECKSUMS, IMAGES, LABELS, parse_idx

    out.mkdir(parents=True, exist_ok=True)
    written = []
    for train, per_class in ((True, train_per_class), (False, test_per_class)):
        images, labels = (parse_idx(_gunzip(source / names[train])) for names in (IMAGES, LABELS))
        if len(images) != len(labels):
            raise ValueError(f"{source / IMAGES[train]} has {len(images)} images for {len(labels)} labels")
        keep = first_of_each_class(labels, per_class)
        for name, array in ((IMAGES[train], images[keep]), (LABELS[train], labels[keep])):
            (out / name).write_bytes(idx_gz(array))
            written.append(out / name)
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in written)
    (out / CHECKSUMS).write_bytes(sums.encode("ascii"))
    return [*written, out / CHECKSUMS]


def _gunzip(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is not a complete gzip file") from error


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns 0, or 2 after one sentence on what was wrong."""
    parser = argparse.ArgumentParser(
        description="Make the embedded Fashion-MNIST, the first images of each class, from the official files.",
        epilog="Example: python tools/embed_fashion_mnist.py --source ~/.cache/ravines/FashionMNIST/raw . "
        "The official files are at https://github.com/zalandoresearch/fashion-mnist; "
        "ravines.data.fashion_mnist(full=True) downloads them to that folder.",
    )
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with the four official *-ubyte.gz files",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=REPOSITORY / "data",
        metavar="DIR",
        help="the data folder; the files go to DIR/fashion-mnist (default: data/ of this repository)",
    )
    parser.add_argument(
        "--train-per-class", type=int, default=1000, metavar="N", help="training images of each class (1000)"
    )
    parser.add_argument("--test-per-class", type=int, default=200, metavar="N", help="test images of each class (200)")
    options = parser.parse_args(arguments)
    if min(options.train_per_class, options.test_per_class) < 1:
        parser.error("--train-per-class and --test-per-class must be at least 1")
    try:
        written = embed(options.source, options.out / "fashion-mnist", options.train_per_class, options.test_per_class)
    except FileNotFoundError as error:
        print(
            f"{error.filename} does not exist: give --source the folder that holds the four official *-ubyte.gz "
            "files of https://github.com/zalandoresearch/fashion-mnist.",
            file=sys.stderr,
        )
        return 2
    except (OSError, ValueError) as error:
        print(f"{error}: nothing is complete in {options.out} until this is mended.", file=sys.stderr)
        return 2
    for path in written:
        content = path.read_bytes()
        print(f"{hashlib.sha256(content).hexdigest()}  {len(content):>9,} bytes  {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
