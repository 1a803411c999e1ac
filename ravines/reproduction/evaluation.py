"""Accuracies of a network on a split: over all processes exactly what one would count."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from ravines.reproduction.batches import Batches
from ravines.reproduction.distributed import Group
from ravines.reproduction.optimization import logits_of


def ranks(logits: Tensor, targets: Tensor) -> Tensor:
    """Return how many other classes stand before each example's own, (N,): 0 is top-1.

    A tie counts against the network, and so does a logit that is no number: one that says the same of all classes must
    not come out perfect.
    """
    own = logits.gather(1, targets[:, None])
    ahead = (~(logits < own)).sum(1) - 1
    return torch.where(own[:, 0].isnan(), logits.shape[1], ahead)


@torch.no_grad()
def accuracy(
    model: nn.Module,
    batches: Batches,
    group: Group,
    classes: int,
    *,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    predict: Callable[[nn.Module, Tensor], Tensor] | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Return loss, top-1 and top-5 accuracy from 0 to 1 and how many images were counted, each once.

    Args:
        model: it is put into evaluation mode.
        batches: of a test split.
        group: the processes, each with its share.
        classes: how many there are; with 5 or fewer the second accuracy is top-2.
        autocast: makes the context for the forward pass.
        predict: gives logits or log-probabilities (N, classes) for a batch (default: the network's logits).
        quiet: whether to show no progress.
    """
    model.eval()
    k = 5 if classes > 5 else 2
    sums = torch.zeros(4, dtype=torch.float64, device=group.device)
    for batch in tqdm(
        batches.epoch(0),
        total=batches.steps,
        desc="test",
        unit="batch",
        leave=False,
        disable=True if quiet or not group.first else None,
    ):
        if len(batch.targets) == 0:
            continue
        with autocast():
            logits = predict(model, batch.images) if predict else logits_of(model(batch.images))
        logits = logits.float()
        rank = ranks(logits, batch.targets)
        loss = F.cross_entropy(logits, batch.targets, reduction="sum")
        sums += torch.stack(
            [loss.double(), (rank < 1).sum(), (rank < k).sum(), torch.tensor(len(rank), device=rank.device)]
        )
    loss, first, among, images = group.sum(sums).tolist()
    count = max(images, 1.0)
    return {"loss": loss / count, "top1": first / count, "topk": among / count, "k": k, "images": int(images)}
