"""What happens to an image before a network sees it: where it is cropped, whether it is mirrored, which colours shift.

A plan says where; it is drawn from numbers of :mod:`ravines.reproduction.chance`, so that it is the same wherever it is
carried out. Files are cropped by the process that decodes them, images in memory all at once on the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ravines.reproduction import chance
from ravines.reproduction.recipe import Recipe

#: Means and standard deviations of ImageNet's channels, with which torchvision's weights were trained.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Principal components of ImageNet's colours: the roots of the variances and the directions (fb.resnet.torch, 2016).
COLOUR_STD = (0.2175, 0.0188, 0.0045)
COLOUR_DIRECTIONS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))

_TRIES = 10  # as in torchvision's RandomResizedCrop
_DRAWS = 2 * _TRIES + 3


@dataclass(frozen=True)
class Plan:
    """What to do with a batch of N images.

    Attributes:
        boxes: (N, 4): top, left, height, width of the crop, in pixels of the image; not whole numbers.
        flips: (N,), bool: whether to mirror it left to right.
        colours: (N, 3): what to add to red, green and blue, for images from 0 to 1.
    """

    boxes: np.ndarray
    flips: np.ndarray
    colours: np.ndarray


def plan(recipe: Recipe, sizes: np.ndarray, seed: int, epoch: int, indices: np.ndarray) -> Plan:
    """Draw what a recipe does with training images.

    Args:
        recipe: which says how.
        sizes: (N, 2): height and width of each image, in pixels.
        seed: of the run.
        epoch: counted from 0.
        indices: (N,): which images they are.
    """
    u = chance.uniform(seed, epoch, indices, _DRAWS, "crop")
    height, width = sizes[:, 0].astype(float), sizes[:, 1].astype(float)
    if recipe.crop == "area":
        h, w = _areas(u, height, width, recipe.area)
    else:
        side = (
            recipe.resize + (recipe.resize_to - recipe.resize) * u[:, -3] if recipe.crop == "jitter" else recipe.resize
        )
        h = w = np.minimum(height, width) * recipe.train_size / side
    boxes = np.stack([(height - h) * u[:, -2], (width - w) * u[:, -1], h, w], 1)
    rest = chance.uniform(seed, epoch, indices, 4, "flip and colour")
    flips = (rest[:, 0] < 0.5) if recipe.flip else np.zeros(len(indices), bool)
    normal = torch.special.ndtri(torch.from_numpy(rest[:, 1:]).clamp(1e-12, 1 - 1e-12)).numpy()
    colours = recipe.colour * (normal * np.array(COLOUR_STD)) @ np.array(COLOUR_DIRECTIONS).T
    return Plan(boxes, flips, colours)


def _areas(u: np.ndarray, height: np.ndarray, width: np.ndarray, smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw a share of the area and an aspect until the crop fits (Szegedy et al. 2014, section 6)."""
    share = smallest + (1 - smallest) * u[:, :_TRIES]
    aspect = np.exp(np.log(3 / 4) + np.log(16 / 9) * u[:, _TRIES : 2 * _TRIES])
    area = (height * width)[:, None] * share
    w, h = np.sqrt(area * aspect), np.sqrt(area / aspect)
    fits = (w <= width[:, None]) & (h <= height[:, None])
    first = fits.argmax(1)
    rows = np.arange(len(u))
    # Where none of ten fits, the largest square does.
    side = np.minimum(height, width)
    found = fits.any(1)
    return np.where(found, h[rows, first], side), np.where(found, w[rows, first], side)


def crop_file(image: Tensor, box: np.ndarray, size: int) -> Tensor:
    """Return a crop of one image, (3, H, W) uint8, at (3, size, size) uint8."""
    from torchvision.transforms.v2 import functional as transforms

    top, left, height, width = (round(float(v)) for v in box)
    height, width = max(1, min(height, image.shape[-2])), max(1, min(width, image.shape[-1]))
    top, left = min(top, image.shape[-2] - height), min(left, image.shape[-1] - width)
    return transforms.resized_crop(image, top, left, height, width, [size, size], antialias=True)


def crop_batch(images: Tensor, boxes: np.ndarray, size: int) -> Tensor:
    """Return crops of images in memory, (N, C, H, W) float, as (N, C, size, size), by bilinear interpolation.

    The crops are what ``F.interpolate(..., align_corners=False)`` makes of whole boxes.
    """
    height, width = images.shape[-2:]
    top, left, h, w = torch.from_numpy(boxes).to(images.device, images.dtype).unbind(1)
    # Centres of pixels in [-1, 1]: x = (2 * pixel + 1) / width - 1.
    steps = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size
    y = 2 * (top[:, None] + h[:, None] * steps) / height - 1
    x = 2 * (left[:, None] + w[:, None] * steps) / width - 1
    grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], -1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def centre_file(image: Tensor, resize: int, size: int) -> Tensor:
    """Return the middle of one image, (3, H, W) uint8, whose shorter side is ``resize`` first, as a test crop."""
    from torchvision.transforms.v2 import functional as transforms

    return transforms.center_crop(transforms.resize(image, [resize], antialias=True), [size, size])


def centre_boxes(sizes: np.ndarray, resize: int, size: int) -> np.ndarray:
    """Return the boxes, (N, 4), of test crops of images in memory."""
    side = sizes.min(1) * size / resize
    return np.stack([(sizes[:, 0] - side) / 2, (sizes[:, 1] - side) / 2, side, side], 1)


def normalize(images: Tensor) -> Tensor:
    """Return images from 0 to 1, (N, 3, H, W), with ImageNet's means and standard deviations taken out."""
    mean = torch.tensor(MEAN, device=images.device, dtype=images.dtype).view(3, 1, 1)
    std = torch.tensor(STD, device=images.device, dtype=images.dtype).view(3, 1, 1)
    return (images - mean) / std


def finish(images: Tensor, planned: Plan | None) -> Tensor:
    """Mirror, shift colours and normalize crops from 0 to 1, (N, C, S, S) with one or three channels."""
    if planned is not None:
        flips = torch.from_numpy(planned.flips).to(images.device).view(-1, 1, 1, 1)
        images = torch.where(flips, images.flip(-1), images)
        if planned.colours.any():
            images = images + torch.from_numpy(planned.colours).to(images.device, images.dtype)[:, :, None, None]
    return normalize(images.expand(-1, 3, -1, -1))
