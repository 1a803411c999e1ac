"""Published ImageNet weights, in networks of your own.

    python -m ravines.pretrained AlexNet_Weights.IMAGENET1K_V1      download them once, into torch.hub's cache

    model.load_state_dict(state_dict("AlexNet_Weights.IMAGENET1K_V1"))
    look(model, "AlexNet_Weights.IMAGENET1K_V1")                    what the network says of two photographs

The names are torchvision's. Nothing is downloaded unless you ask for it.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from ravines.plots import BLUE, Picture, figure


class WeightsError(RuntimeError):
    """Published weights are unknown, not here, out of reach or damaged; the message says what to do."""


def find(name: str) -> Any:
    """Return torchvision's entry for some weights, such as ``"ResNet50_Weights.IMAGENET1K_V2"``.

    Raises:
        WeightsError: when torchvision knows no such weights; the message names the nearest.
    """
    from torchvision import models  # slow to import, and seldom needed

    try:
        return models.get_weight(name)
    except (ValueError, AttributeError, KeyError):
        known = [str(w) for model in models.list_models(models) for w in models.get_model_weights(model)]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
        raise WeightsError(f"torchvision has no weights {name!r}. Did you mean {' or '.join(near)}?") from None


def cache_file(name: str) -> Path:
    """Return where torch.hub keeps these weights, whether they are there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(find(name).url).path).name


def state_dict(name: str, *, download: bool = False) -> dict[str, Tensor]:
    """Return published weights on the CPU, through torchvision's own loader.

    Args:
        name: torchvision's, such as ``"VGG16_Weights.IMAGENET1K_V1"``.
        download: whether to fetch them when they are not in torch.hub's cache; what arrives is checked against the
            hash in its file name.

    Raises:
        WeightsError: when they are unknown, not here and not to be downloaded, out of reach, or damaged.
    """
    weights, file = find(name), cache_file(name)
    there = file.is_file()
    if not there and not download:
        raise WeightsError(
            f"{name} are not on this machine ({file}): get them by `python -m ravines.pretrained {name}`."
        )
    try:
        state = weights.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # urllib's, torch's and pickle's errors have no common class
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if there:
            raise WeightsError(f"{file} is damaged ({reason}): delete it and get {name} anew.") from error
        raise WeightsError(
            f"{name} could not be downloaded from {weights.url} ({reason}): fetch that file by hand, put it at {file}."
        ) from error
    return dict(state)


def photographs() -> list[Tensor]:
    """Return two photographs as (3, 427, 640) uint8, from scikit-learn: a Chinese temple and a flower."""
    from sklearn.datasets import load_sample_images

    return [torch.from_numpy(image.copy()).movedim(-1, 0) for image in load_sample_images().images]


def look(model: nn.Module, name: str, *, images: Sequence[Tensor] | None = None, k: int = 5) -> Picture:
    """Load published weights strictly into a network and draw what it says of some images.

    Args:
        model: gives logits for (N, 3, H, W), preprocessed as torchvision's own network wants it; it ends on the CPU
            with the new weights, in evaluation mode.
        name: of the weights.
        images: each (3, H, W) uint8 (default: :func:`photographs`).
        k: how many of the most likely classes to draw.

    Returns:
        A picture: each image above its ``k`` most likely classes. Its alt text names them.

    Raises:
        WeightsError: when the weights are not here, or do not fit the network.
    """
    weights = find(name)
    state = state_dict(name)
    images = photographs() if images is None else images
    try:
        model.cpu().eval().load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:400]
        raise WeightsError(f"{name} do not fit this network: {reason}") from error
    batch = torch.stack([weights.transforms()(image) for image in images])
    with torch.no_grad():
        likely, which = model(batch).softmax(-1).topk(k)
    names = [[weights.meta["categories"][i] for i in row] for row in which.tolist()]

    def draw(*axes: Any) -> None:
        for j, image in enumerate(images):
            axes[j].imshow(image.movedim(0, -1).numpy())
            axes[j].set_axis_off()
            bars = axes[len(images) + j]
            bars.barh(range(k), likely[j].tolist()[::-1], color=BLUE, height=0.35, align="edge")
            for i, text in enumerate(reversed(names[j])):
                bars.text(0, i - 0.05, text, va="top", fontsize=9)
            bars.set(xlim=(0, 1), ylim=(-0.6, k), yticks=[], xlabel="probability")

    said = "; ".join(
        f"image {j + 1}: " + ", ".join(f"{n} {p:.0%}" for n, p in zip(names[j], likely[j].tolist(), strict=True))
        for j in range(len(images))
    )
    return figure(
        draw,
        panels=2 * len(images),
        columns=len(images),
        phone_columns=len(images),
        height=2.4,
        alt=f"What the network says of {len(images)} photographs. {said[0].upper()}{said[1:]}.",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Download weights from the command line; return 0, or 1 with a sentence on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m ravines.pretrained",
        description="Download published ImageNet weights into torch.hub's cache, for networks of your own.",
        epilog="For this course: AlexNet_Weights.IMAGENET1K_V1 (233 MB), VGG16_Weights.IMAGENET1K_V1 (528 MB), "
        "GoogLeNet_Weights.IMAGENET1K_V1 (50 MB), ResNet50_Weights.IMAGENET1K_V1 (98 MB).",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="torchvision's name of the weights")
    try:
        for name in parser.parse_args(arguments).names:
            count = sum(tensor.numel() for tensor in state_dict(name, download=True).values())
            print(f"{name}: {count:,} numbers in {cache_file(name)}")
    except WeightsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
