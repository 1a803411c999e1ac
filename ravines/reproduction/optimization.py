"""What a recipe says about updates: the optimizer, the learning rate at each update, the loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ravines.reproduction.recipe import Recipe

#: What an auxiliary head's loss counts (Szegedy et al. 2014, section 5).
AUXILIARY_WEIGHT = 0.3


def groups(named: Iterable[tuple[str, nn.Parameter]], recipe: Recipe) -> list[dict]:
    """Return an optimizer's groups: parameters of one dimension decay only when the recipe says so."""
    trained = [p for _, p in named if p.requires_grad]
    if recipe.decay_norm_and_bias:
        return [{"params": trained, "weight_decay": recipe.weight_decay}]
    return [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]


def optimizer(model: nn.Module, recipe: Recipe, *, fused: bool = False) -> torch.optim.Optimizer:
    """Return a recipe's optimizer for a model's parameters.

    Args:
        model: on its device already.
        recipe: which optimizer, and its settings.
        fused: whether one kernel updates all parameters, where PyTorch has one.
    """
    found = [g for g in groups(model.named_parameters(), recipe) if g["params"]]
    if recipe.optimizer == "sgd":
        nesterov = recipe.nesterov and recipe.momentum > 0
        return torch.optim.SGD(found, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused or None)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(found, lr=recipe.lr, fused=fused or None)
    return torch.optim.RMSprop(found, lr=recipe.lr, alpha=0.9, momentum=recipe.momentum)


def rate(recipe: Recipe, update: int, updates_per_epoch: int, drops: int = 0) -> float:
    """Return the learning rate of an update.

    Args:
        recipe: with its schedule and warm-up.
        update: counted from 0 over the whole run.
        updates_per_epoch: how many there are.
        drops: how often a plateau has lowered the rate.
    """
    epoch = update / updates_per_epoch
    if epoch < recipe.warmup_epochs:
        done = update / max(1.0, recipe.warmup_epochs * updates_per_epoch)
        return recipe.lr * (recipe.warmup_from + (1 - recipe.warmup_from) * done)
    whole = int(epoch)
    if recipe.schedule == "step":
        return recipe.lr * recipe.factor ** sum(whole >= m for m in recipe.milestones)
    if recipe.schedule == "exponential":
        return recipe.lr * recipe.factor ** (whole // recipe.every)
    if recipe.schedule == "plateau":
        return recipe.lr * recipe.factor**drops
    if recipe.schedule == "cosine":
        span = max(1e-9, recipe.epochs - recipe.warmup_epochs)
        return recipe.lr * (1 + math.cos(math.pi * min(1.0, (epoch - recipe.warmup_epochs) / span))) / 2
    return recipe.lr


@dataclass
class Plateau:
    """When an error has stopped falling.

    Attributes:
        best: the lowest error so far.
        waited: epochs since then.
        drops: how often the rate has fallen.
    """

    best: float = math.inf
    waited: int = 0
    drops: int = 0

    def note(self, error: float, recipe: Recipe) -> None:
        """Take up the error of one more epoch."""
        if error < self.best:
            self.best, self.waited = error, 0
            return
        self.waited += 1
        if self.waited >= recipe.patience and self.drops < recipe.drops:
            self.waited, self.drops = 0, self.drops + 1


def mixture(recipe: Recipe, seed: int, update: int) -> float:
    """Return the first image's weight for one batch of mixup, 1 for none (Zhang et al. 2018, Eq. 1)."""
    if recipe.mixup == 0:
        return 1.0
    return float(np.random.default_rng([seed, update]).beta(recipe.mixup, recipe.mixup))


def mixed(images: Tensor, weight: float) -> Tensor:
    """Return each image mixed with the one after it in this process's share."""
    return images if weight == 1.0 else weight * images + (1 - weight) * images.roll(-1, 0)


def loss(outputs: Tensor | tuple[Tensor, ...], targets: Tensor, recipe: Recipe, weight: float = 1.0) -> Tensor:
    """Return the sum over examples of the cross-entropy, auxiliary heads included.

    Args:
        outputs: logits (n, classes), or a tuple whose first is the network's and whose others are auxiliary heads'.
        targets: (n,).
        recipe: with label smoothing.
        weight: of the examples' own targets, where they were :func:`mixed`.
    """
    heads = (outputs,) if isinstance(outputs, Tensor) else tuple(o for o in outputs if o is not None)

    def of(logits: Tensor, wanted: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), wanted, label_smoothing=recipe.label_smoothing, reduction="sum")

    total = torch.zeros((), device=targets.device)
    for k, logits in enumerate(heads):
        one = of(logits, targets)
        if weight != 1.0:
            one = weight * one + (1 - weight) * of(logits, targets.roll(-1, 0))
        total = total + (1.0 if k == 0 else AUXILIARY_WEIGHT) * one
    return total


def logits_of(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return the network's own logits where auxiliary heads give some, too."""
    return outputs if isinstance(outputs, Tensor) else outputs[0]
