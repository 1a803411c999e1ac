"""One process or many: what each must know of the others, and sums over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from ravines.data import device as default_device


@dataclass(frozen=True)
class Group:
    """The processes of a run.

    Attributes:
        rank: of this one.
        world: how many there are.
        device: of this one.
        local: its number on this machine, which may be one of several.
    """

    rank: int
    world: int
    device: torch.device
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes, exactly what one process would have counted."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def broadcast(self, tensors: list[Tensor]) -> None:
        """Give tensors of every process the first one's values."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def gather(self, value: Any) -> list[Any]:
        """Return the value of every process, on every process."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value)
        return found

    def share(self, value: Any) -> Any:
        """Return the first process's value, on every process."""
        if self.world == 1:
            return value
        found = [value]
        dist.broadcast_object_list(found)
        return found[0]


@contextmanager
def group(device: str | None = None) -> Iterator[Group]:
    """Join the processes that ``torchrun`` started, or be the only one.

    Args:
        device: such as ``"cpu"``; by default a GPU of its own for each process where there is one.

    Raises:
        RuntimeError: when there are more processes on this machine than GPUs.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    local = int(os.environ.get("LOCAL_RANK", 0))
    chosen = torch.device(device) if device else default_device()
    if chosen.type == "cuda" and world > 1:
        if local >= torch.cuda.device_count():
            raise RuntimeError(
                f"Process {local} of this machine has no GPU of its own ({torch.cuda.device_count()} here): start "
                "fewer with --nproc-per-node, or use --device cpu."
            )
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
    if world == 1:
        yield Group(0, 1, chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Group(rank, world, chosen, local)
    finally:
        dist.destroy_process_group()
