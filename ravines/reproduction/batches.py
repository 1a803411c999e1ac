"""Batches of a split, on the device, cropped and normalized: the same ones however many processes share them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ravines.data import DataError
from ravines.reproduction import augment, chance
from ravines.reproduction.recipe import Recipe
from ravines.reproduction.sources import Split


@dataclass(frozen=True)
class Batch:
    """This process's share of a batch.

    Attributes:
        images: (n, 3, S, S), normalized.
        targets: (n,), int64.
        indices: (n,): which images of the split they are.
        whole: how many images the batch has over all processes.
    """

    images: Tensor
    targets: Tensor
    indices: np.ndarray
    whole: int


class Batches:
    """The batches of one process.

    Training batches are the permutation of the epoch, cut into pieces of ``batch_size``; what is left over at the end
    is left out, unless it is all there is. Process ``rank`` of ``world`` takes every ``world``-th image of each. A test
    goes through all images in order, each once.

    Args:
        split: the images.
        recipe: how they are cropped.
        training: whether crops are drawn and images shuffled.
        batch_size: over all processes.
        seed: of the run.
        device: where batches end up.
        rank: of this process.
        world: how many processes there are.
        workers: how many processes read files beside this one; 0 for none.
    """

    def __init__(
        self,
        split: Split,
        recipe: Recipe,
        *,
        training: bool,
        batch_size: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
    ) -> None:
        self.split, self.recipe, self.training = split, recipe, training
        self.batch_size, self.seed, self.device = min(batch_size, len(split)), seed, torch.device(device)
        self.rank, self.world, self.workers = rank, world, workers
        # Where they fit, images in memory live where they are used.
        self._pixels = None if split.pixels is None else split.pixels.to(self.device)
        self._labels = torch.from_numpy(split.labels).to(self.device)

    @property
    def steps(self) -> int:
        """How many batches an epoch has."""
        if self.training:
            return len(self.split) // self.batch_size
        return -(-len(self.split) // self.batch_size)

    def shares(self, epoch: int) -> list[tuple[np.ndarray, int]]:
        """Return for each batch of an epoch this process's images and the size of the whole."""
        n, size = len(self.split), self.batch_size
        order = chance.permutation(self.seed, epoch, n) if self.training else np.arange(n)
        whole = [order[i * size : (i + 1) * size] for i in range(self.steps)]
        return [(part[self.rank :: self.world], len(part)) for part in whole]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from number ``start`` on.

        Raises:
            DataError: when an image cannot be read.
        """
        shares = self.shares(epoch)[start:]
        crops = self._from_memory(epoch, shares) if self._pixels is not None else self._from_files(epoch, shares)
        for (indices, whole), images in zip(shares, crops, strict=True):
            yield Batch(images, self._labels[torch.from_numpy(indices).to(self.device)], indices, whole)

    def _plan(self, epoch: int, indices: np.ndarray, sizes: np.ndarray) -> augment.Plan | None:
        return augment.plan(self.recipe, sizes, self.seed, epoch, indices) if self.training else None

    def _from_memory(self, epoch: int, shares: Sequence[tuple[np.ndarray, int]]) -> Iterator[Tensor]:
        assert self._pixels is not None
        size = self.recipe.train_size if self.training else self.recipe.test_size
        for indices, _ in shares:
            pixels = self._pixels[torch.from_numpy(indices).to(self.device)].float() / 255
            sizes = np.tile(np.array(pixels.shape[-2:]), (len(indices), 1))
            planned = self._plan(epoch, indices, sizes)
            boxes = planned.boxes if planned else augment.centre_boxes(sizes, self.recipe.test_resize, size)
            yield augment.finish(augment.crop_batch(pixels, boxes, size), planned)

    def _from_files(self, epoch: int, shares: Sequence[tuple[np.ndarray, int]]) -> Iterator[Tensor]:
        loader = DataLoader(
            _Crops(self.split, self.recipe, self.training, self.seed, epoch),
            batch_sampler=[indices.tolist() for indices, _ in shares],
            num_workers=self.workers,
            collate_fn=_collate,
            pin_memory=self.device.type == "cuda",
            prefetch_factor=4 if self.workers else None,
        )
        for (indices, _), (crops, problem) in zip(shares, loader, strict=True):
            if problem:
                raise DataError(problem)
            images = crops.to(self.device, non_blocking=True).float() / 255
            # What does not depend on the file's size is drawn again here, where it is carried out.
            planned = self._plan(epoch, indices, np.ones((len(indices), 2)))
            yield augment.finish(images, planned)


class _Crops(Dataset):
    """Crops of files, or the sentence that says why there is none: an exception would arrive as a traceback."""

    def __init__(self, split: Split, recipe: Recipe, training: bool, seed: int, epoch: int) -> None:
        self.split, self.recipe, self.training, self.seed, self.epoch = split, recipe, training, seed, epoch

    def __getitem__(self, index: int) -> Tensor | str:
        recipe = self.recipe
        try:
            image = self.split.image(index)
        except DataError as error:
            return str(error)
        if not self.training:
            return augment.centre_file(image, recipe.test_resize, recipe.test_size)
        planned = augment.plan(recipe, np.array([image.shape[-2:]]), self.seed, self.epoch, np.array([index]))
        return augment.crop_file(image, planned.boxes[0], recipe.train_size)


def _collate(crops: list[Tensor | str]) -> tuple[Tensor, str]:
    problems = [c for c in crops if isinstance(c, str)]
    if problems:
        return torch.empty(0), problems[0]
    return (torch.stack(crops) if crops else torch.empty(0, 3, 1, 1, dtype=torch.uint8)), ""
