"""How a trained network is asked: one crop of each image, ten, the whole image, several sizes.

Published error rates differ by protocol more than many networks do, so each figure needs its protocol beside it. All of
them average probabilities, not logits, as AlexNet's authors did (Krizhevsky et al. 2012, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from ravines.data import DataError
from ravines.reproduction import augment
from ravines.reproduction.optimization import logits_of
from ravines.reproduction.sources import Split

NAMES = ("center", "ten-crop", "dense")


@dataclass(frozen=True)
class Protocol:
    """How to ask.

    Attributes:
        name: one of :data:`NAMES`.
        size: height and width of a crop, in pixels; ``dense`` has none.
        scales: shorter sides to which the image is resized, in pixels; the probabilities are averaged over them.
    """

    name: str
    size: int
    scales: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.name not in NAMES:
            raise ValueError(f"A protocol is one of {', '.join(NAMES)}, not {self.name!r}.")
        if not self.scales or min(self.scales) < 1:
            raise ValueError("A protocol needs at least one scale, in pixels.")
        if self.name != "dense" and min(self.scales) < self.size:
            raise ValueError(f"Crops of {self.size} pixels do not fit into images of {min(self.scales)}.")

    def views(self, image: Tensor, scale: int) -> Tensor:
        """Return what the network is shown of one image, (3, H, W) uint8: (views, 3, h, w) uint8."""
        from torchvision.transforms.v2 import functional as transforms

        resized = transforms.resize(image, [scale], antialias=True)
        if self.name == "dense":
            return resized[None]
        if self.name == "center":
            return transforms.center_crop(resized, [self.size, self.size])[None]
        return torch.stack(transforms.ten_crop(resized, [self.size, self.size]))


def whole_image(model: nn.Module) -> nn.Module:
    """Return a network that takes images of any size, and says what it sees at each place, averaged.

    Fully connected layers behind a pooling to a fixed size become convolutions (Simonyan & Zisserman 2014, section
    3.2), and the probabilities are averaged over the map. A network with a global average pooling is one already.
    """
    classifier = getattr(model, "classifier", None)
    first = (
        next((m for m in classifier if isinstance(m, nn.Linear)), None)
        if isinstance(classifier, nn.Sequential)
        else None
    )
    pool = getattr(model, "avgpool", None)
    if not isinstance(first, nn.Linear) or not isinstance(pool, nn.AdaptiveAvgPool2d):
        return model
    side = pool.output_size if isinstance(pool.output_size, int) else pool.output_size[0]
    if side in (None, 1):
        return model
    layers: list[nn.Module] = [model.features]
    kernel = side
    for module in classifier:
        if isinstance(module, nn.Linear):
            channels = module.in_features // kernel**2
            convolution = nn.Conv2d(channels, module.out_features, kernel, device="meta")
            convolution.weight = nn.Parameter(module.weight.view(-1, channels, kernel, kernel))
            convolution.bias = module.bias
            layers.append(convolution)
            kernel = 1
        else:
            layers.append(module)
    return nn.Sequential(*layers).train(model.training)


@torch.no_grad()
def probabilities(model: nn.Module, views: Tensor) -> Tensor:
    """Return probabilities (N, classes), averaged over views (N, V, 3, h, w), which are normalized."""
    outputs = logits_of(model(views.flatten(0, 1))).float()
    found = outputs.softmax(1)
    if found.dim() == 4:  # a map: averaged over places
        found = found.mean((2, 3))
    return found.unflatten(0, views.shape[:2]).mean(1)


class Views:
    """What a protocol shows of a split, batch by batch: this process's share, each image once.

    Args:
        split: the images.
        protocol: how they are shown.
        batch_size: images at once, of one process; a protocol of whole images takes those of files one by one.
        device: where batches end up.
        rank: of this process.
        world: how many processes there are.
        workers: how many processes read files beside this one.
    """

    def __init__(
        self,
        split: Split,
        protocol: Protocol,
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
    ) -> None:
        self.split, self.protocol, self.device, self.workers = split, protocol, torch.device(device), workers
        one_by_one = protocol.name == "dense" and split.pixels is None
        size = 1 if one_by_one else batch_size
        mine = np.arange(rank, len(split), world)
        self.batches = [mine[i : i + size] for i in range(0, len(mine), size)]

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[np.ndarray, list[Tensor]]]:
        """Yield images' indices and, for each scale, their normalized views (n, V, 3, h, w).

        Raises:
            DataError: when an image cannot be read.
        """
        loader = DataLoader(
            _Shown(self.split, self.protocol),
            batch_sampler=[b.tolist() for b in self.batches],
            num_workers=self.workers,
            collate_fn=_together,
            pin_memory=self.device.type == "cuda",
        )
        for indices, (views, problem) in zip(self.batches, loader, strict=True):
            if problem:
                raise DataError(problem)
            yield indices, [augment.normalize(v.to(self.device, non_blocking=True).float() / 255) for v in views]


class _Shown(Dataset):
    """Views of one image at each scale, or the sentence that says why there is none."""

    def __init__(self, split: Split, protocol: Protocol) -> None:
        self.split, self.protocol = split, protocol

    def __getitem__(self, index: int) -> list[Tensor] | str:
        try:
            image = self.split.image(index)
        except DataError as error:
            return str(error)
        return [self.protocol.views(image, scale) for scale in self.protocol.scales]


def _together(found: Sequence[list[Tensor] | str]) -> tuple[list[Tensor], str]:
    problems = [f for f in found if isinstance(f, str)]
    if problems:
        return [], problems[0]
    return [torch.stack(scale) for scale in zip(*found, strict=True)], ""


def at(protocol: Protocol, scale: int) -> Protocol:
    """Return the protocol with one scale."""
    return replace(protocol, scales=(scale,))


def nll(found: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of the cross-entropies of averaged probabilities, (N, classes)."""
    return F.nll_loss(found.clamp_min(1e-12).log(), targets, reduction="sum")
