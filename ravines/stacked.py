"""Many small networks trained at once, so that a page can try settings times seeds in seconds.

Every tensor has one more dimension in front: network k computes with slice k of each parameter and of the activations,
and nothing goes from one network to another (one that diverges fills its own slice with nan). A layer is one batched
matrix product, `torch.baddbmm(b, h, w)` with h (networks, batch, n), w (networks, n, m) and b (networks, 1, m).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from ravines.data import device


def he_normal(seeds: Sequence[int], sizes: Sequence[int], *, start: int = 0) -> list[Tensor]:
    """Weights N(0, 2/n) for layers of n inputs, a list with one tensor (networks, n, m) per layer, on `device()`.

    Args:
        seeds: one for each network. Networks of the same seed get the same weights, whatever else is in the stack.
        sizes: the widths, from the inputs to the outputs.
        start: added to every seed, to draw something else.

    Raises:
        ValueError: fewer than two sizes, or no seeds.

    Source: He et al. 2015 (Delving deep into rectifiers), Eq. 10.
    """
    if len(sizes) < 2 or not seeds:
        raise ValueError("he_normal needs a seed for each network, and the sizes of inputs and outputs at least.")
    drawn: dict[int, list[Tensor]] = {}
    for seed in set(seeds):
        g = torch.Generator().manual_seed(start + seed)
        pairs = pairwise(sizes)
        drawn[seed] = [torch.randn(n, m, generator=g) * math.sqrt(2 / n) for n, m in pairs]
    return [torch.stack([drawn[seed][i] for seed in seeds]).to(device()) for i in range(len(sizes) - 1)]


def draw_batches(seeds: Sequence[int], examples: int, size: int, steps: int, *, start: int = 1000) -> Tensor:
    """Indices (steps, networks, size) of each network's batches on `device()`, drawn with replacement.

    Networks of the same seed see the same batches. Draw fewer batches at a time where this would not fit into memory.
    """
    drawn = {
        seed: torch.randint(0, examples, (steps, size), generator=torch.Generator().manual_seed(start + seed))
        for seed in set(seeds)
    }
    return torch.stack([drawn[seed] for seed in seeds], dim=1).to(device())


def per_network(values: Sequence[float], dims: int = 3) -> Tensor:
    """One number for each network as a tensor (networks, 1, ..., 1) of that many dimensions, on `device()`."""
    return torch.tensor(values, dtype=torch.float32, device=device()).view(-1, *(1,) * (dims - 1))


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of each network in nats, (networks,), of logits (networks, n, classes).

    Args:
        targets: class numbers, (networks, n), or (n,) for all networks.
    """
    targets = targets.expand(logits.shape[:2])
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape).mean(1)


def accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """The share of each network's largest logits that are at the target, (networks,); shapes as in `cross_entropy`."""
    return (logits.argmax(2) == targets).float().mean(1)


Update = Callable[[int, list[Tensor], list[Tensor]], list[Tensor]]
"""`update(step, parameters, gradients)` -> the new parameters; step counts from 0. It keeps what it must remember."""


def iterate(
    loss: Callable[[list[Tensor], int], Tensor],
    parameters: list[Tensor],
    *,
    steps: int,
    update: Update,
    watch: Callable[[int, list[Tensor], Tensor], None] | None = None,
) -> tuple[list[Tensor], Tensor]:
    """Train all networks at once with any rule.

    Args:
        loss: `loss(parameters, step)` -> (networks,), the loss of each network on its batch of this step.
        parameters: tensors whose first dimension counts the networks; not changed.
        steps: how many updates.
        update: the rule, such as `heavy_ball(...)` or `adam(...)`, a new one for each call.
        watch: called as `watch(step, parameters, losses)` before each update, without gradients.

    Returns:
        The new parameters, and the losses (steps, networks) before each update. The gradient of a parameter that the
        loss does not use is 0.
    """
    w, seen = [p.detach() for p in parameters], []
    for step in range(steps):
        w = [p.requires_grad_() for p in w]
        losses = loss(w, step)
        gradients = torch.autograd.grad(losses.sum(), w, allow_unused=True, materialize_grads=True)
        with torch.no_grad():
            seen.append(losses.detach())
            if watch is not None:
                watch(step, w, losses.detach())
            w = update(step, w, list(gradients))
    return [p.detach() for p in w], torch.stack(seen)


def descend(
    loss: Callable[[list[Tensor], int], Tensor],
    parameters: list[Tensor],
    *,
    steps: int,
    lr: float | Sequence[float],
    momentum: float = 0.0,
    weight_decay: float | Sequence[float] = 0.0,
    watch: Callable[[int, list[Tensor], Tensor], None] | None = None,
) -> tuple[list[Tensor], Tensor]:
    """`iterate` with `heavy_ball`: SGD with momentum for all networks at once, as `torch.optim.SGD` does it for one."""
    return iterate(loss, parameters, steps=steps, update=heavy_ball(lr, momentum, weight_decay), watch=watch)


def heavy_ball(
    lr: float | Sequence[float],
    momentum: float = 0.0,
    weight_decay: float | Sequence[float] = 0.0,
    *,
    decoupled: bool = False,
    schedule: Callable[[int], float] = lambda step: 1.0,
) -> Update:
    """SGD with momentum, as `torch.optim.SGD` has it: v <- momentum v + gradient, w <- w - lr v.

    Args:
        lr: the learning rate, one for all networks or one for each.
        momentum: beta.
        weight_decay: one number for all networks or one for each. It adds weight_decay * w to the gradient;
            with `decoupled` it multiplies w by 1 - lr weight_decay instead.
        schedule: `schedule(step)` multiplies the learning rate of that step.
    """
    v: list[Tensor] = []
    rates, decays = _PerParameter(lr), _PerParameter(weight_decay)

    def update(step: int, w: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        v.extend(torch.zeros_like(p) for p in w[len(v) :])
        new = []
        for i, (p, g) in enumerate(zip(w, gradients, strict=True)):
            rate, decay = rates(p) * schedule(step), decays(p)
            v[i].mul_(momentum).add_(g if decoupled else _plus(g, decay, p))
            new.append((p * (1 - rate * decay) if decoupled else p) - rate * v[i])
        return new

    return update


def adam(
    lr: float | Sequence[float],
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float | Sequence[float] = 0.0,
    *,
    decoupled: bool = True,
    schedule: Callable[[int], float] = lambda step: 1.0,
) -> Update:
    """Adam (Kingma and Ba 2015, Algorithm 1); with weight decay it is AdamW, or Adam with L2 without `decoupled`.

    Args:
        lr: the learning rate, one for all networks or one for each.
        betas: how long the averages of the gradient and of its square remember.
        eps: added to the root of the average square.
        weight_decay: one number for all networks or one for each. It multiplies w by 1 - lr weight_decay, as
            `torch.optim.AdamW` does; without `decoupled` weight_decay * w is added to the gradient, as in
            `torch.optim.Adam`.
        schedule: `schedule(step)` multiplies the learning rate of that step.
    """
    m: list[Tensor] = []
    s: list[Tensor] = []
    rates, decays = _PerParameter(lr), _PerParameter(weight_decay)

    def update(step: int, w: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        m.extend(torch.zeros_like(p) for p in w[len(m) :])
        s.extend(torch.zeros_like(p) for p in w[len(s) :])
        first, second = (1 - beta ** (step + 1) for beta in betas)
        new = []
        for i, (p, g) in enumerate(zip(w, gradients, strict=True)):
            rate, decay = rates(p) * schedule(step), decays(p)
            g = g if decoupled else _plus(g, decay, p)
            m[i].lerp_(g, 1 - betas[0])
            s[i].mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
            # In place: the same sums, without new memory for each.
            v = s[i].sqrt().div_(math.sqrt(second)).add_(eps)
            torch.div(m[i], v, out=v).mul_(rate / first)
            new.append(torch.sub(p * (1 - rate * decay) if decoupled else p, v, out=v))
        return new

    return update


class _PerParameter:
    """One number for all networks as it is, one for each in the shape that multiplies a parameter; made once."""

    def __init__(self, values: float | Sequence[float]) -> None:
        self._values = values
        self._shaped: dict[tuple, Tensor] = {}

    def __call__(self, p: Tensor) -> float | Tensor:
        if not isinstance(self._values, Sequence):
            return self._values
        if len(self._values) != len(p):
            raise ValueError(f"There are {len(p)} networks, but {len(self._values)} learning rates or decays.")
        key = p.dim(), p.dtype, p.device
        if key not in self._shaped:
            self._shaped[key] = per_network(self._values, p.dim()).to(p)
        return self._shaped[key]


def _plus(g: Tensor, decay: float | Tensor, p: Tensor) -> Tensor:
    """g + decay * p, without the work where no decay is asked for."""
    return g + decay * p if isinstance(decay, Tensor) or decay else g
