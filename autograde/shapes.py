"""Networks as shapes: what PyTorch's meta device can do without, left out.

On the meta device tensors have no values. Yet PyTorch works out step by step, in Python, that filling one with random
numbers keeps its shape, and so does a batch normalization: this takes most of the time that a large network takes
there. Checks ask for networks here, and so does the code that they send to the student's process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

Result = TypeVar("Result")


def on_meta(make: Callable[[], Result]) -> Result:
    """Return what ``make()`` makes with the meta device as default, where no start values are drawn."""
    with undrawn(), torch.device("meta"):
        return make()


@contextmanager
def undrawn(everywhere: bool = False) -> Iterator[None]:
    """Leave tensors of the meta device as they are where random numbers should fill them.

    Args:
        everywhere: those of other devices, too.
    """
    own = {name: vars(torch.Tensor).get(name) for name in ("normal_", "uniform_")}

    def skipping(draw: Callable) -> Callable:
        def skip(tensor: torch.Tensor, *args: float, **kwargs: float | torch.Generator) -> torch.Tensor:
            return tensor if everywhere or tensor.is_meta else draw(tensor, *args, **kwargs)

        return skip

    for name in own:
        setattr(torch.Tensor, name, skipping(getattr(torch.Tensor, name)))
    try:
        yield
    finally:
        for name, kept in own.items():
            if kept is None:  # it is inherited
                delattr(torch.Tensor, name)
            else:
                setattr(torch.Tensor, name, kept)


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
