"""What the reassessed labels of ImageNet's validation images say about the original ones, as sums and nothing else.

Beyer et al. 2020 asked people anew which of the 1,000 classes are in each of the 50,000 validation images. An image
has any number of these ReaL labels, and those with none are left out of every accuracy. This script counts them,
scores the original label of each image as if it were a prediction, and writes sums: over all images, by the number of
labels, by class, and the most frequent disagreements. It writes no label of any single image.

    python experiments/real_labels.py real.json val.txt

real.json is at https://github.com/google-research/reassessed-imagenet, val.txt in caffe_ilsvrc12.tar.gz at
http://dl.caffe.berkeleyvision.org; it has a line `ILSVRC2012_val_00000001.JPEG 65` for each image, with classes from 0
in the order of their WordNet numbers. The page `book/imagenet.md` draws what this writes. Three seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results" / "real_labels.json"
SOURCES = {
    "real": "https://github.com/google-research/reassessed-imagenet/blob/master/real.json",
    "original": "http://dl.caffe.berkeleyvision.org/caffe_ilsvrc12.tar.gz (val.txt)",
}
CLASSES = 1000


class LabelError(ValueError):
    """A file of labels is not as it should be; the message says which and why."""


def read_real(path: Path, classes: int = CLASSES) -> list[list[int]]:
    """The ReaL labels of each image, in the order of the images' numbers.

    Raises:
        LabelError: when the file is no list of lists of classes, or names a class twice for an image.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LabelError(f"{path} cannot be read: {error}.") from None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise LabelError(f"{path} should be a list with a list of labels for each image.")
    for number, row in enumerate(rows, 1):
        if len(set(row)) != len(row) or not all(isinstance(c, int) and 0 <= c < classes for c in row):
            raise LabelError(f"Image {number} in {path} has labels that are repeated, or not from 0 to {classes - 1}.")
    return rows


def read_original(path: Path, classes: int = CLASSES) -> list[int]:
    """The one original label of each image, in the order of the images' numbers.

    Raises:
        LabelError: when a line is not a file's name and a class, or the images are not numbered from 1 upwards.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error}.") from None
    found = {}
    for line in lines:
        name, _, label = line.partition(" ")
        digits = name.rpartition("_")[2].partition(".")[0]
        if not digits.isdigit() or not label.strip().isdigit() or int(label) >= classes:
            raise LabelError(f"{path} should have lines like `ILSVRC2012_val_00000001.JPEG 65`, not {line!r}.")
        found[int(digits)] = int(label)
    if sorted(found) != list(range(1, len(lines) + 1)):
        raise LabelError(f"The images in {path} should be numbered from 1 upwards, each once.")
    return [found[number] for number in sorted(found)]


def summary(real: list[list[int]], original: list[int], classes: int = CLASSES, pairs: int = 25) -> dict:
    """Sums over the images.

    Args:
        real: the ReaL labels of each image.
        original: the original label of each image.
        classes: how many there are.
        pairs: how many of the most frequent disagreements to keep.

    Returns:
        `images`; `images_by_labels`, how many images have 0, 1, 2, ... labels; `labels`, their sum; `kept`, images
        with a label; `hits`, kept images whose original label is among them; `hits_by_labels`; `accuracy`, hits / kept,
        the ReaL accuracy of the original labels; `kept_by_class` and `hits_by_class`, by the original label; and
        `disagreements`, `[original class, ReaL class, images]` where the original label is not among the ReaL ones.

    Raises:
        LabelError: when the two have different numbers of images, or no image has a label.
    """
    if len(real) != len(original):
        raise LabelError(f"There are ReaL labels for {len(real):,} images, and original ones for {len(original):,}.")
    most = max((len(row) for row in real), default=0)
    if not most:
        raise LabelError("No image has a ReaL label.")
    by_labels, hits_by_labels = [0] * (most + 1), [0] * (most + 1)
    kept_by_class, hits_by_class = [0] * classes, [0] * classes
    wrong: Counter[tuple[int, int]] = Counter()
    for row, label in zip(real, original, strict=True):
        by_labels[len(row)] += 1
        if not row:
            continue
        kept_by_class[label] += 1
        if label in row:
            hits_by_labels[len(row)] += 1
            hits_by_class[label] += 1
        else:
            wrong.update((label, other) for other in row)
    kept, hits = len(real) - by_labels[0], sum(hits_by_labels)
    frequent = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:pairs]
    return {
        "images": len(real),
        "images_by_labels": by_labels,
        "labels": sum(n * images for n, images in enumerate(by_labels)),
        "kept": kept,
        "hits": hits,
        "accuracy": round(hits / kept, 6),
        "hits_by_labels": hits_by_labels,
        "kept_by_class": kept_by_class,
        "hits_by_class": hits_by_class,
        "disagreements": [[a, b, images] for (a, b), images in frequent],
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path, help="real.json")
    parser.add_argument("original", type=Path, help="the original labels, a line for each image")
    parser.add_argument("--classes", type=int, default=CLASSES, help="how many there are (default 1000)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default: beside this script)")
    options = parser.parse_args(arguments)
    try:
        real = read_real(options.real, options.classes)
        found = summary(real, read_original(options.original, options.classes), options.classes)
    except LabelError as error:
        print(f"real_labels: {error}", file=sys.stderr)
        return 1
    record = {
        "what": "The ReaL labels of ImageNet's validation images, and the original labels scored by them: sums only",
        "command": "python experiments/real_labels.py PATH/real.json PATH/val.txt",
        "date": datetime.now(UTC).date().isoformat(),
        "device": "CPU",
        "versions": {"python": platform.python_version()},
        "sources": SOURCES,
        "sha256": {
            "real": hashlib.sha256(options.real.read_bytes()).hexdigest(),
            "original": hashlib.sha256(options.original.read_bytes()).hexdigest(),
        },
    } | found
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record) + "\n", encoding="utf-8")
    print(f"{found['hits']:,} of {found['kept']:,} images, {found['accuracy']:.2%}. Wrote {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
