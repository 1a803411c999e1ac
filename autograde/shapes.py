"""Networks as shapes: what PyTorch's meta device can do without, left out.

On the meta device tensors have no values. Yet PyTorch works out step by step, in Python, that filling one with start
values keeps its shape, and that a batch normalization does: this takes most of the time that a large network takes
there. Checks ask for networks here, and so does the code that they send to the student's process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import nn

Result = TypeVar("Result")

_DRAWS = ("normal_", "uniform_")
#: What PyTorch's layers, and most networks, ask of `torch.nn.init`.
_STARTS = (
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "uniform_",
    "trunc_normal_",
    "ones_",
    "zeros_",
    "constant_",
)


def on_meta(make: Callable[[], Result]) -> Result:
    """Return what ``make()`` makes with the meta device as default, where no start values are drawn."""
    with undrawn(), torch.device("meta"):
        return make()


@contextmanager
def undrawn(everywhere: bool = False) -> Iterator[None]:
    """Leave tensors of the meta device as they are where start values should fill them.

    Args:
        everywhere: those of other devices, too, where methods of theirs should fill them with random numbers.
    """

    def skipping(fill: Callable, always: bool) -> Callable:
        def skip(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            return tensor if always or tensor.is_meta else fill(tensor, *args, **kwargs)

        return skip

    patched = [(torch.Tensor, name) for name in (*_DRAWS, "fill_", "zero_")] + [(nn.init, name) for name in _STARTS]
    before = [vars(owner).get(name) for owner, name in patched]
    for owner, name in patched:
        setattr(owner, name, skipping(getattr(owner, name), everywhere and name in _DRAWS and owner is torch.Tensor))
    try:
        yield
    finally:
        for (owner, name), kept in zip(patched, before, strict=True):
            if kept is None:  # it is inherited
                delattr(owner, name)
            else:
                setattr(owner, name, kept)


def shapes_of(run: Callable[[], Result]) -> Result:
    """Return what ``run()`` gives where batch normalizations of meta tensors give only the shape of their output.

    One whose channels do not fit raises what PyTorch raises. Running statistics have no values there to be updated.
    """
    kept = torch.batch_norm

    def batch_norm(x: torch.Tensor, *rest: torch.Tensor | float | None) -> torch.Tensor:
        plain = x.is_meta and all(t is None or t.numel() == x.shape[1] for t in rest[:4])
        return torch.empty_like(x) if plain else kept(x, *rest)

    torch.batch_norm = batch_norm
    try:
        return run()
    finally:
        torch.batch_norm = kept
