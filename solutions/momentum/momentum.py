# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Momentum
#
# Chapter [Momentum](../../book/momentum.md) raced a heavy ball against gradient descent. Here you build the ball: one
# step of it, its look-ahead, its best settings, its schedule, and last an optimizer that trains a network.
# Five exercises, 20 points, about 95 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Letters are the lecture's: $w$ weights, $v$ step, $\eta$ learning rate (`lr`), $\beta$ momentum (`beta`).

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections.abc import Callable, Iterable

import torch

# %% [markdown]
# ## 1. A step with momentum
#
# *easy: two lines, about 5 minutes, 2 points*
#
# $$v_i = \beta v_{i-1} - \eta \nabla \mathcal{L}(w_{i-1}), \qquad w_i = w_{i-1} + v_i.$$
#
# With $\beta = 0$ this is plain gradient descent. Past gradients are added up, not averaged: under a constant gradient
# the step grows to $-\eta \nabla \mathcal{L} / (1 - \beta)$, ten plain steps for $\beta = 0.9$.
#
# Your function returns new values and leaves its inputs as they were.
#
# <details><summary>Hint</summary>
#
# `v *= beta` changes the tensor that the caller gave you. `beta * v` makes a new one.
#
# </details>


# %% nbgrader={"grade_id": "momentum_step", "solution": true}
def momentum_step(
    w: torch.Tensor, v: torch.Tensor, grad: torch.Tensor, lr: float, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one step with momentum (the heavy ball, Polyak 1964).

    Args:
        w: weights, any shape, any floating dtype.
        v: the step before, of w's shape and dtype; zeros at the start.
        grad: the gradient of the loss at w, of w's shape and dtype.
        lr: learning rate.
        beta: momentum, from 0 up to but not including 1.

    Returns:
        The new (w, v), new tensors of the same shape and dtype. The inputs keep their values.
    """
    ### BEGIN SOLUTION
    v = beta * v - lr * grad
    return w + v, v
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_momentum_step", "grade": true, "points": 2}
start, uphill = torch.tensor([1.0, 2.0]), torch.tensor([10.0, -10.0])
new_w, new_v = momentum_step(start, torch.zeros(2), uphill, lr=0.1, beta=0.9)
assert torch.allclose(new_v, torch.tensor([-1.0, 1.0])), (
    f"From rest the step is -lr * grad: downhill, with nothing yet for beta to multiply. Yours is {new_v}."
)
assert torch.allclose(new_w, torch.tensor([0.0, 3.0])), (
    f"The new weights are the old ones plus the new step. Yours are {new_w}."
)
_, new_v = momentum_step(start, torch.tensor([1.0, -3.0]), torch.zeros(2), lr=0.1, beta=0.5)
assert torch.allclose(new_v, torch.tensor([0.5, -1.5])), (
    f"Without a gradient, the step before goes on, times beta. Yours is {new_v}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("momentum", "momentum_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Look ahead first
#
# *easy: three lines, about 10 minutes, 3 points*
#
# The ball will roll by $\beta v_{i-1}$ whatever the gradient says. Nesterov's momentum goes there first, and asks for
# the gradient at that point (Sutskever et al. 2013, equations 3 and 4):
#
# $$v_i = \beta v_{i-1} - \eta \nabla \mathcal{L}(w_{i-1} + \beta v_{i-1}), \qquad w_i = w_{i-1} + v_i.$$
#
# If the ball is about to overshoot, this gradient already points back. A gradient costs a pass through the data,
# so call `grad_fn` once in each step.


# %% nbgrader={"grade_id": "nesterov_step", "solution": true}
def nesterov_step(
    w: torch.Tensor,
    v: torch.Tensor,
    grad_fn: Callable[[torch.Tensor], torch.Tensor],
    lr: float,
    beta: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one step with Nesterov's momentum (Sutskever et al. 2013, Eq. 3-4).

    Args:
        w: weights, any shape, any floating dtype.
        v: the step before, of w's shape and dtype; zeros at the start.
        grad_fn: gives the gradient at a point; point and gradient have w's shape and dtype. Call it once.
        lr: learning rate.
        beta: momentum, from 0 up to but not including 1.

    Returns:
        The new (w, v), new tensors of the same shape and dtype. The inputs keep their values.
    """
    ### BEGIN SOLUTION
    v = beta * v - lr * grad_fn(w + beta * v)
    return w + v, v
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_nesterov_step", "grade": true, "points": 3}
asked = []


def bowl_gradient(point: torch.Tensor) -> torch.Tensor:
    asked.append(point.clone())
    return point.clone()


new_w, new_v = nesterov_step(torch.tensor([2.0]), torch.tensor([-1.0]), bowl_gradient, lr=0.1, beta=0.5)
assert len(asked) == 1, f"Call grad_fn once in each step. You called it {len(asked)} times."
assert torch.allclose(asked[0], torch.tensor([1.5])), (
    f"Ask for the gradient where the ball will be, at w + beta * v = 2 - 0.5. You asked at {asked[0]}."
)
assert torch.allclose(new_v, torch.tensor([-0.65])), (
    f"The new step is beta * v - lr * gradient = -0.5 - 0.1 * 1.5. Yours is {new_v}."
)
assert torch.allclose(new_w, torch.tensor([1.35])), (
    f"The new step starts at w, not at the look-ahead point: 2 - 0.65. You are at {new_w}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("momentum", "nesterov_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The best heavy ball
#
# *medium: pen and paper, then four lines, about 20 minutes, 3 points*
#
# On a quadratic with curvatures between $m$ = `lambda_min` and $L$ = `lambda_max`, you move along each eigenvector of
# the Hessian on its own. Along one with curvature $\lambda$, the distance $e_i$ to the minimum follows
#
# $$\begin{pmatrix} e_{i+1} \\ e_i \end{pmatrix} =
# \begin{pmatrix} 1 + \beta - \eta\lambda & -\beta \\ 1 & 0 \end{pmatrix}
# \begin{pmatrix} e_i \\ e_{i-1} \end{pmatrix}.$$
#
# In the long run a step multiplies the distance by the largest absolute eigenvalue of this matrix: the *rate*. Two
# facts about it:
#
# - While $(1 - \sqrt\beta)^2 \le \eta\lambda \le (1 + \sqrt\beta)^2$, both eigenvalues have the absolute value
#   $\sqrt\beta$.
# - Outside of that range, one of them is larger.
#
# So the best $\beta$ is the smallest whose range just holds both ends: $\eta m = (1 - \sqrt\beta)^2$ and
# $\eta L = (1 + \sqrt\beta)^2$. Solve these two equations for $\eta$ and $\beta$. The rate is the $\sqrt\beta$ you
# find (Polyak 1964).
#
# <details><summary>Hint</summary>
#
# Take the square root of both equations. Add them: $\sqrt\beta$ drops out. Then divide one by the other.
#
# </details>


# %% nbgrader={"grade_id": "best_heavy_ball", "solution": true}
def best_heavy_ball(lambda_min: float, lambda_max: float) -> tuple[float, float, float]:
    """Return the settings with which momentum is fastest on a quadratic.

    Args:
        lambda_min: the smallest eigenvalue of the Hessian, above 0.
        lambda_max: the largest one, at least lambda_min.

    Returns:
        (lr, beta, rate): learning rate, momentum, and the factor per step, in the long run, on the distance to the
        minimum.
    """
    ### BEGIN SOLUTION
    low, high = math.sqrt(lambda_min), math.sqrt(lambda_max)
    rate = (high - low) / (high + low)
    return 4 / (high + low) ** 2, rate**2, rate
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_best_heavy_ball", "grade": true, "points": 3}
ball_lr, ball_beta, ball_rate = best_heavy_ball(1.0, 9.0)
assert math.isclose(ball_rate, 0.5, rel_tol=1e-5), (
    f"With curvatures 1 and 9, each step can halve the distance. Your rate is {ball_rate}."
)
assert math.isclose(ball_beta, 0.25, rel_tol=1e-5), f"The rate is the square root of beta. Your beta is {ball_beta}."
assert math.isclose(ball_lr, 0.25, rel_tol=1e-5), (
    f"lr * lambda_min should be (1 - sqrt(beta)) ** 2 = 0.25 here. Your lr is {ball_lr}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("momentum", "best_heavy_ball", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the race
#
# The next cell is not graded. It races your `momentum_step` down a ravine 1,000 times as steep across as along: with
# $\beta = 0$ and the best learning rate of gradient descent, $2 / (L + m)$, and with your `best_heavy_ball`. The dashed
# line falls at the rate that you predicted. The ball first overshoots, for the rate is a promise about the long run;
# then its line has the slope of yours.

# %% nbgrader={"grade_id": "race", "locked": true} tags=["payoff"]
from ravines.plots import BLUE, GREY, RED, figure


def race(lambda_min: float = 1.0, lambda_max: float = 1000.0, most: int = 10_000) -> object:
    """Return a picture of the distance to the minimum after each step."""
    curvature = torch.tensor([lambda_min, lambda_max], dtype=torch.float64)
    lr, beta, rate = best_heavy_ball(lambda_min, lambda_max)
    distances = {}
    for name, eta, momentum in (
        ("gradient descent", 2 / (lambda_max + lambda_min), 0.0),
        ("heavy ball", lr, beta),
    ):
        w, v = torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
        path = [w.norm().item()]
        while 1e-6 < path[-1] < 1e6 and len(path) <= most:
            w, v = momentum_step(w, v, curvature * w, eta, momentum)
            path.append(w.norm().item())
        distances[name] = path

    def draw(axes):
        for (name, path), color in zip(distances.items(), (RED, BLUE), strict=True):
            axes.semilogy(path, color=color, label=f"{name}: {len(path) - 1:,} steps")
        steps = range(len(distances["heavy ball"]))
        axes.semilogy(steps, [path[0] * rate**i for i in steps], "--", color=GREY, label="your rate, per step")
        axes.set(xlabel="step", ylabel="distance to the minimum", ylim=(1e-7, None))
        axes.legend()

    counts = " and ".join(f"{name} {len(path) - 1:,} steps" for name, path in distances.items())
    return figure(draw, alt=f"Down a ravine of condition number {lambda_max / lambda_min:,.0f}: {counts}.")


try:
    picture = race()
except NotImplementedError:
    picture = None
    print("Finish exercises 1 and 3 first, then run this cell again.")
picture

# %% [markdown]
# ## 4. A slowly increasing momentum
#
# *easy: one line to three, about 10 minutes, 2 points*
#
# Sutskever et al. (2013, equation 5) start with little momentum and raise it every 250 updates, up to a limit. The
# paper calls the momentum $\mu$, and so does this exercise; it is the lecture's $\beta$. For update
# $t = 0, 1, 2, \dots$
#
# $$\mu_t = \min\left(1 - 2^{-1 - \log_2(\lfloor t / 250 \rfloor + 1)},\ \mu_{\max}\right).$$
#
# The brackets $\lfloor\ \rfloor$ round down to an integer, so $\mu_t$ is a staircase.


# %% nbgrader={"grade_id": "momentum_schedule", "solution": true}
def momentum_schedule(t: int, mu_max: float) -> float:
    """Return the momentum for update t (Sutskever et al. 2013, Eq. 5).

    Args:
        t: the number of updates so far, from 0.
        mu_max: the limit, from 0 up to but not including 1.

    Returns:
        mu_t, a float.
    """
    ### BEGIN SOLUTION
    return min(1 - 2 ** (-1 - math.log2(t // 250 + 1)), float(mu_max))
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_momentum_schedule", "grade": true, "points": 2}
for t, mu in ((0, 0.5), (249, 0.5), (250, 0.75), (1000, 0.9)):
    seen = momentum_schedule(t, 0.999)
    assert math.isclose(seen, mu, rel_tol=1e-6), f"At update {t:,} the momentum should be {mu}. Yours is {seen}."
seen = momentum_schedule(1_000_000, 0.99)
assert math.isclose(seen, 0.99, rel_tol=1e-6), f"After many updates the momentum is mu_max, not more. Yours is {seen}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("momentum", "momentum_schedule", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Your own optimizer
#
# *hard: about 25 lines, about 45 minutes, 10 points*
#
# Build `SGD` as PyTorch has it, for any model. PyTorch keeps another quantity than the lecture. Its buffer $b$ adds up
# gradients, and the learning rate stays outside:
#
# $$b_1 = g_1, \qquad b_i = \beta\, b_{i-1} + g_i, \qquad w_i = w_{i-1} - \eta\, b_i,$$
#
# where $g_i$ is the gradient at $w_{i-1}$. As long as $\eta$ is constant, $v_i = -\eta\, b_i$ and the weights are the
# same. They part when $\eta$ changes. The lecture's step remembers each gradient times the learning rate of
# its own time. PyTorch multiplies all of them by the learning rate of today, so a cut takes effect at once. Under a
# decaying learning rate the two give different weights; the last cell measures it.
#
# With `nesterov=True`, PyTorch steps by $w_i = w_{i-1} - \eta\,(g_i + \beta\, b_i)$, with the new buffer $b_i$.
# It needs no gradient elsewhere, for its weights already are the look-ahead point $w + \beta v$ of exercise 2.
#
# What your class does:
#
# - **Settings** live in groups. `super().__init__(params, defaults)`, with a dict `defaults` of `lr`, `momentum` and
#   `nesterov`, builds `self.param_groups`: a list of dicts, each with its `"params"` and its own settings. Read them
#   from the group in every step, because a scheduler writes `group["lr"]` between steps.
# - **The buffer** of a parameter `p` is `self.state[p]["momentum_buffer"]`. What is kept there, `state_dict()` saves
#   and `load_state_dict` brings back, also from a checkpoint that `torch.optim.SGD` wrote. Make it at the first step in
#   which `p` has a gradient and its group has momentum. Without momentum, no buffer is needed.
# - **A parameter whose gradient is None** is skipped: no step, no change to its buffer, no new buffer.
# - **The gradient** belongs to the loss: leave `p.grad` as it is, and do not keep it as your buffer, for
#   `zero_grad(set_to_none=False)` would set that to zero.
# - **The parameters** change in place, and autograd does not record it (`torch.no_grad()`).
# - **A closure**, when given, computes the gradients and returns the loss. Call it once, before the update, with
#   gradients enabled (`torch.enable_grad()`), and return its loss.
# - **Bad settings** raise a `ValueError`: a negative `lr`, a negative `momentum`, `nesterov=True` without momentum.
#
# Begin with `momentum=0` and one parameter. Then add one line of the list at a time.
#
# <details><summary>Hint: where to start</summary>
#
# `step` is two loops, over `self.param_groups` and over `group["params"]`. `self.state[p]` is a dict, empty at first.
#
# </details>
# <details><summary>Hint: the first step</summary>
#
# When there is no buffer yet, start from `torch.zeros_like(p)` and update as always: that gives $b_1 = g_1$. So does
# `p.grad.clone()`.
#
# </details>


# %% nbgrader={"grade_id": "SGD", "solution": true}
class SGD(torch.optim.Optimizer):
    """Stochastic gradient descent with momentum, in PyTorch's convention.

    Args:
        params: parameters, or dicts with "params" and own settings, as for every PyTorch optimizer.
        lr: learning rate, at least 0.
        momentum: beta, at least 0.
        nesterov: use Nesterov's momentum; needs momentum above 0.

    Raises:
        ValueError: when lr or momentum is negative, or nesterov is set without momentum.
    """

    def __init__(
        self, params: Iterable[torch.Tensor | dict], lr: float, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        ### BEGIN SOLUTION
        if lr < 0:
            raise ValueError(f"lr should be at least 0, but it is {lr}")
        if momentum < 0:
            raise ValueError(f"momentum should be at least 0, but it is {momentum}")
        if nesterov and momentum == 0:
            raise ValueError("nesterov needs momentum above 0")
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov})
        ### END SOLUTION

    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """Update every parameter that has a gradient.

        Args:
            closure: clears the gradients, computes the loss and its gradients, and returns the loss.

        Returns:
            The closure's loss, or None without a closure.
        """
        ### BEGIN SOLUTION
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p -= group["lr"] * self._direction(p, group["momentum"], group["nesterov"])
        return loss

    def _direction(self, p: torch.Tensor, momentum: float, nesterov: bool) -> torch.Tensor:
        """Return what a step subtracts from p, before the learning rate, and update p's buffer."""
        if momentum == 0:
            return p.grad
        state = self.state[p]
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = torch.zeros_like(p)
        buffer = state["momentum_buffer"]
        buffer.mul_(momentum).add_(p.grad)
        return p.grad + momentum * buffer if nesterov else buffer
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_SGD", "grade": true, "points": 10}
for momentum in (0.0, 0.9):
    mine = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    theirs = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    my_optimizer = SGD([mine], lr=0.1, momentum=momentum)
    their_optimizer = torch.optim.SGD([theirs], lr=0.1, momentum=momentum)
    for i in range(1, 4):
        for weights, optimizer in ((mine, my_optimizer), (theirs, their_optimizer)):
            optimizer.zero_grad()
            (weights**2).sum().backward()
            optimizer.step()
        assert torch.allclose(mine, theirs), (
            f"With momentum={momentum}, after step {i} the weights should be {theirs.tolist()}. "
            f"Yours are {mine.tolist()}."
        )
my_buffer = my_optimizer.state[mine].get("momentum_buffer")
assert my_buffer is not None, 'Keep the buffer in self.state[p]["momentum_buffer"].'
assert torch.allclose(my_buffer, their_optimizer.state[theirs]["momentum_buffer"]), (
    f"The weights are right, but the buffer is {my_buffer.tolist()}: it adds up gradients, without the learning rate."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("momentum", "SGD", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: your optimizer trains a network
#
# The next cell is not graded. Your `SGD` trains a small network on 10,000 images of Fashion-MNIST, for 120 updates with
# 100 images each: with and without momentum, at five learning rates, from three seeds. It takes a few seconds.
#
# Left, both at the same learning rate, a line per seed. Right, the loss at the end against the learning rate, a dot per
# seed and a line through the medians; look at where each line is lowest. Is momentum faster because it takes longer
# steps, or is there more to it?

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
from statistics import median

from ravines.data import device, fashion_mnist, seed_everything

torch.set_num_threads(1)  # the network is so small that more threads only wait for each other
RATES, SEEDS, UPDATES, SHOWN = (0.01, 0.03, 0.1, 0.3, 1.0), (0, 1, 2), 120, 0.01


def train(lr: float, momentum: float, seed: int) -> tuple[list[float], float]:
    """Return the loss on each mini-batch, and the loss on all training images at the end."""
    generator = seed_everything(seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
    ).to(images.device)
    optimizer = SGD(network.parameters(), lr=lr, momentum=momentum)
    losses = []
    for _ in range(UPDATES):
        batch = torch.randint(len(images), (100,), generator=generator).to(images.device)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    with torch.no_grad():
        final = torch.nn.functional.cross_entropy(network(images), labels).item()
    return torch.stack(losses).tolist(), final


def compare() -> object:
    """Return a picture of training with and without momentum."""
    runs = {(m, lr): [train(lr, m, seed) for seed in SEEDS] for m in (0.0, 0.9) for lr in RATES}

    def draw(curves, sweep):
        for m, color in ((0.0, RED), (0.9, BLUE)):
            name = f"momentum {m}" if m else "no momentum"
            for i, (losses, _) in enumerate(runs[m, SHOWN]):
                curves.plot(losses, color=color, alpha=0.7, linewidth=1, label=None if i else name)
            finals = torch.tensor([[final for _, final in runs[m, lr]] for lr in RATES])
            sweep.plot(RATES, finals.median(1).values, color=color, label=name)
            sweep.plot(RATES, finals, "o", color=color, markersize=3)
        curves.set(title=f"Learning rate {SHOWN}", xlabel="update", ylabel="loss on the mini-batch", ylim=(0, 2.6))
        sweep.set(title=f"After {UPDATES} updates", xlabel="learning rate", ylabel="loss on all images", ylim=(0, 2.6))
        sweep.set_xscale("log")
        curves.legend()

    best = {m: min((median(final for _, final in runs[m, lr]), lr) for lr in RATES) for m in (0.0, 0.9)}
    lowest = [f"momentum {m}: {loss:.2f} at learning rate {lr}" for m, (loss, lr) in best.items()]
    return figure(
        draw,
        panels=2,
        alt=f"Lowest median loss on all images after {UPDATES} updates. {'; '.join(lowest).capitalize()}.",
    )


images, labels = fashion_mnist()
images, labels = images.flatten(1).to(device()), labels.to(device())
try:
    picture = compare()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercise 5 first, then run this cell again.")
picture

# %% [markdown]
# Most of the gain is the longer step: momentum 0.9 adds up gradients, to ten times a constant one, and its line on the
# right resembles the other, moved to a smaller learning rate. The rest is how low each line gets at its own best
# learning rate, where steep directions limit the plain step and shallow ones wait. Compare the two numbers above the
# figure, and the spread of the seeds, before you call a difference real.
#
# ### See it: where the two conventions part
#
# Twenty steps on a quadratic in float64, your `momentum_step` against your `SGD`.

# %% nbgrader={"grade_id": "conventions", "locked": true} tags=["payoff"]


def largest_difference(decay: float, steps: int = 20) -> float:
    """Return how far apart the two conventions get when each step multiplies the learning rate by decay."""
    curvature = torch.tensor([1.0, 10.0, 30.0], dtype=torch.float64)
    w, v = torch.ones_like(curvature), torch.zeros_like(curvature)
    p = torch.ones_like(curvature).requires_grad_()
    optimizer = SGD([p], lr=0.01, momentum=0.9)
    apart = 0.0
    for i in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 * decay**i
        w, v = momentum_step(w, v, curvature * w, 0.01 * decay**i, 0.9)
        p.grad = curvature * p.detach()
        optimizer.step()
        apart = max(apart, (w - p.detach()).abs().max().item())
    return apart


try:
    print(f"constant learning rate:     weights differ by at most {largest_difference(1.0):.1e}")
    print(f"learning rate x 0.9 a step: weights differ by up to   {largest_difference(0.9):.1e}")
except NotImplementedError:
    print("Finish exercises 1 and 5 first, then run this cell again.")
