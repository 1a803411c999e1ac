"""What `ravines evaluate` measures: a network with some weights, by a protocol, beside what is published."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ravines import pretrained
from ravines.data import DataError
from ravines.reproduction import protocols
from ravines.reproduction.checkpoint import CheckpointError
from ravines.reproduction.distributed import Group
from ravines.reproduction.evaluation import ranks
from ravines.reproduction.sources import Split

#: ImageNet's validation set.
VALIDATION_IMAGES, VALIDATION_CLASSES = 50_000, 1000
_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})")


def read_real(path: Path, split: Split) -> list[list[int]]:
    """Return the ReaL labels of each image of ImageNet's validation set (Beyer et al. 2020), in the split's order.

    Args:
        path: ``real.json``: for each of the 50,000 images, by number, a list of labels; it may be empty.
        split: whose files are named ILSVRC2012_val_00000001.JPEG and so on.

    Raises:
        DataError: when the file is not as it should be, or the images are others.
    """
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"The ReaL labels {path} cannot be read: {error}.") from None
    if not isinstance(labels, list) or not all(isinstance(row, list) for row in labels):
        raise DataError(f"{path} should be a list with a list of labels for each image.")
    found = []
    for file in split.files:
        number = _NUMBER.search(file.name)
        if number is None or not 1 <= int(number[1]) <= len(labels):
            raise DataError(f"{file.name} is no image of ImageNet's validation set, which the ReaL labels are for.")
        found.append(labels[int(number[1]) - 1])
    if not found:
        raise DataError("ReaL labels are for ImageNet's validation images: use --data imagenet:PATH.")
    return found


def load_weights(model: nn.Module, spec: str, model_spec: str, *, average: bool = False) -> Any:
    """Load weights into a network; return torchvision's entry where they are torchvision's, else None.

    Args:
        model: on the CPU.
        spec: ``torchvision:IMAGENET1K_V1`` (for torchvision's networks), ``torchvision:ResNet50_Weights.IMAGENET1K_V1``
            (for any), or a run's folder or checkpoint file.
        model_spec: the network's name.
        average: whether to take a run's averaged weights.

    Raises:
        WeightsError: when torchvision's are not there or do not fit.
        CheckpointError: when a run's are not there or do not fit.
    """
    if spec.startswith("torchvision:"):
        name = spec.removeprefix("torchvision:")
        if "." not in name:
            place, _, network = model_spec.rpartition(":")
            if place != "torchvision":
                raise pretrained.WeightsError(
                    f"{name} does not say of which network: write torchvision:ResNet50_Weights.{name}, for example."
                )
            from torchvision import models

            name = f"{models.get_model_weights(network).__name__}.{name}"
        entry, state = pretrained.find(name), pretrained.state_dict(name)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise pretrained.WeightsError(f"{name} do not fit {model_spec}: {reason}") from error
        return entry
    path = Path(spec)
    if path.is_dir():
        from ravines.reproduction import checkpoint

        state, _ = checkpoint.load(path)
    else:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{path} is neither a run's folder nor a checkpoint: {reason}") from error
    weights = state.get("model", state)
    if average:
        if not state.get("average"):
            raise CheckpointError(f"{path} has no averaged weights: it was trained without --ema.")
        weights = {k.removeprefix("module."): v for k, v in state["average"].items() if k.startswith("module.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"The weights in {path} do not fit {model_spec}: {reason}") from error
    return None


@torch.no_grad()
def measure(
    model: nn.Module,
    split: Split,
    protocol: protocols.Protocol,
    group: Group,
    *,
    batch_size: int = 64,
    workers: int = 0,
    real: list[list[int]] | None = None,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    quiet: bool = False,
) -> dict[str, Any]:
    """Return top-1, top-5 and ReaL accuracies from 0 to 1, and how many images each counts.

    Raises:
        DataError: when an image cannot be read, or the network has fewer classes than the data.
    """
    model = model.to(group.device).eval()
    asked = protocols.whole_image(model) if protocol.name == "dense" else model
    views = protocols.Views(
        split,
        protocol,
        batch_size=batch_size,
        device=group.device,
        rank=group.rank,
        world=group.world,
        workers=workers,
    )
    k = 5 if len(split.classes) > 5 else 2
    sums = torch.zeros(6, dtype=torch.float64, device=group.device)
    labels = torch.from_numpy(split.labels).to(group.device)
    for indices, scales in tqdm(
        views, desc=protocol.name, unit="batch", disable=True if quiet or not group.first else None, leave=False
    ):
        with autocast():
            found = torch.stack([protocols.probabilities(asked, v) for v in scales]).mean(0)
        if found.shape[1] < len(split.classes):
            raise DataError(f"The network has {found.shape[1]} classes and the data {len(split.classes)}.")
        targets = labels[torch.from_numpy(indices).to(group.device)]
        rank = ranks(found, targets)
        hits = named = 0
        if real is not None:
            guesses = found.argmax(1).tolist()
            of = [real[i] for i in indices]
            named = sum(bool(row) for row in of)
            hits = sum(g in row for g, row in zip(guesses, of, strict=True))
        seen = [protocols.nll(found, targets).double(), (rank < 1).sum(), (rank < k).sum()]
        sums += torch.stack([*seen, *(torch.tensor(float(v), device=group.device) for v in (len(rank), hits, named))])
    loss, first, among, images, hits, named = group.sum(sums).tolist()
    result: dict[str, Any] = {"protocol": protocol.name, "size": protocol.size, "scales": list(protocol.scales)}
    result |= {"images": int(images), "loss": loss / images, "top1": first / images, f"top{k}": among / images}
    if real is not None:
        result |= {"real": hits / max(named, 1.0), "real_images": int(named)}
    return result


def published(entry: Any, split: Split) -> dict[str, float]:
    """Return torchvision's figures for some weights from 0 to 1, where the data is ImageNet's validation set."""
    if entry is None or (len(split), len(split.classes)) != (VALIDATION_IMAGES, VALIDATION_CLASSES):
        return {}
    figures = entry.meta.get("_metrics", {}).get("ImageNet-1K", {})
    return {name: figures[key] / 100 for name, key in (("top1", "acc@1"), ("top5", "acc@5")) if key in figures}
