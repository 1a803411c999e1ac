# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Adam
#
# Chapter [Adam](../../book/adam.md) multiplied the gradient of a layer by 1,000, and nothing moved. Here you build the
# optimizer that can do that, from the two averages to the checkpoints. Four exercises, 20 points, about 95 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Letters: $w$ weights, $v$ step, $m$ and $s$ the running averages of the gradient and of its square, $\eta$ learning
# rate (`lr`), `betas` $= (\beta_1, \beta_2)$, $\epsilon$ (`eps`). Step $i$ counts from 1, takes the gradient at
# $w_{i-1}$ and gives $w_i$.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections.abc import Callable, Iterable

import torch

# %% [markdown]
# ## 1. How much of an average is there?
#
# *easy: one line and its errors, about 10 minutes, 2 points*
#
# A running average that starts at 0, $m_i = \beta m_{i-1} + (1-\beta) g_i$, is a weighted sum of the gradients so far.
# After `step` updates its weights add up to less than 1:
#
# $$\sum_{k=0}^{i-1} (1-\beta)\,\beta^k = 1 - \beta^i.$$
#
# That is the number by which Adam divides. Return it as a Python number. The first update is `step` 1; a `step` below 1
# raises a `ValueError` (with 0 Adam would divide by 0), and so does a `beta` outside of $0 \le \beta < 1$.


# %% nbgrader={"grade_id": "bias_correction", "solution": true}
def bias_correction(beta: float, step: int) -> float:
    """Return the sum of the weights in a running average after some updates (Kingma and Ba 2015, section 3).

    Args:
        beta: how much of the average stays in each update, at least 0 and below 1.
        step: how many updates there were, at least 1.

    Returns:
        1 - beta^step.

    Raises:
        ValueError: when step is below 1, or beta is outside of [0, 1).
    """
    ### BEGIN SOLUTION
    if step < 1:
        raise ValueError(f"step counts from 1, but it is {step}")
    if not 0 <= beta < 1:
        raise ValueError(f"beta should be at least 0 and below 1, but it is {beta}")
    return 1 - beta**step
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_bias_correction", "grade": true, "points": 2}
seen = bias_correction(0.5, 1)
assert math.isclose(seen, 0.5), f"After one update the average is half of the gradient when beta is 0.5. Yours: {seen}."
seen = bias_correction(0.9, 3)
assert math.isclose(seen, 0.1 + 0.09 + 0.081), (
    f"After three updates the weights are 0.1, 0.09 and 0.081; yours add up to {seen}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("adam", "bias_correction", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Divide by the size of the gradient
#
# *easy: two lines, about 10 minutes, 3 points*
#
# RMSProp (Tieleman and Hinton 2012) has one average, of the squared gradient, and no correction:
#
# $$s_i = \beta s_{i-1} + (1-\beta)\, g_i^2, \qquad w_i = w_{i-1} - \eta\,\frac{g_i}{\sqrt{s_i} + \epsilon}.$$
#
# All of it is meant number by number: each weight is divided by its own root. $\epsilon$ is added to the root, not
# inside of it. Your function returns new tensors and leaves its inputs as they were.


# %% nbgrader={"grade_id": "rmsprop_step", "solution": true}
def rmsprop_step(
    w: torch.Tensor, grad: torch.Tensor, s: torch.Tensor, lr: float, beta: float, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one step of RMSProp (Tieleman and Hinton 2012, Lecture 6.5).

    Args:
        w: weights, any shape, any floating dtype.
        grad: the gradient of the loss at w, of w's shape and dtype.
        s: the average of squared gradients so far, of w's shape and dtype; zeros at the start.
        lr: learning rate.
        beta: how much of the average stays.
        eps: a small positive number.

    Returns:
        The new (w, s), new tensors of the same shape and dtype. The inputs keep their values.
    """
    ### BEGIN SOLUTION
    s = beta * s + (1 - beta) * grad**2
    return w - lr * grad / (s.sqrt() + eps), s
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_rmsprop_step", "grade": true, "points": 3}
new_w, new_s = rmsprop_step(torch.tensor([1.0, 1.0]), torch.tensor([2.0, -0.5]), torch.zeros(2), 0.1, 0.75, 1e-8)
assert torch.allclose(new_s, torch.tensor([1.0, 0.0625])), (
    f"From zeros, s is a quarter of the squared gradient when beta is 0.75. Yours is {new_s}."
)
assert torch.allclose(new_w, torch.tensor([0.8, 1.2])), (
    f"Both gradients are twice the root of their s, so both weights move by 0.2, against their sign. Yours: {new_w}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("adam", "rmsprop_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A step of Adam
#
# *medium: five lines, about 20 minutes, 4 points*
#
# $$m_i = \beta_1 m_{i-1} + (1-\beta_1)\, g_i, \qquad s_i = \beta_2 s_{i-1} + (1-\beta_2)\, g_i^2,$$
#
# $$\hat m_i = \frac{m_i}{1-\beta_1^i}, \qquad \hat s_i = \frac{s_i}{1-\beta_2^i}, \qquad
# w_i = w_{i-1} - \eta\,\frac{\hat m_i}{\sqrt{\hat s_i} + \epsilon}.$$
#
# (Kingma and Ba 2015, Algorithm 1, who call our $s$ $v$.) `step` is $i$, the number of *this* step, so it is 1 in the
# first. Return $w_i$, $m_i$ and $s_i$: the averages as they are, *without* the correction, since the next step goes on
# with them. You do not need exercise 1 for this one.
#
# <details><summary>Hint: where does epsilon belong?</summary>
#
# Correct $s$ first, then take the root, then add $\epsilon$. Below $\sqrt{\hat s} \approx \epsilon$ steps get shorter.
#
# </details>


# %% nbgrader={"grade_id": "adam_step", "solution": true}
def adam_step(
    w: torch.Tensor,
    grad: torch.Tensor,
    m: torch.Tensor,
    s: torch.Tensor,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take one step of Adam (Kingma and Ba 2015, Algorithm 1).

    Args:
        w: weights, any shape, any floating dtype.
        grad: the gradient of the loss at w, of w's shape and dtype.
        m: the average of gradients so far, of w's shape and dtype; zeros at the start.
        s: the average of squared gradients so far, likewise.
        step: the number of this step, from 1.
        lr: learning rate.
        betas: how much of m and how much of s stays.
        eps: a small positive number.

    Returns:
        The new (w, m, s), new tensors of the same shape and dtype; m and s without the correction. The inputs keep
        their values.
    """
    ### BEGIN SOLUTION
    beta1, beta2 = betas
    m = beta1 * m + (1 - beta1) * grad
    s = beta2 * s + (1 - beta2) * grad**2
    m_hat, s_hat = m / (1 - beta1**step), s / (1 - beta2**step)
    return w - lr * m_hat / (s_hat.sqrt() + eps), m, s
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_adam_step", "grade": true, "points": 4}
nothing = torch.zeros(3)
new_w, new_m, new_s = adam_step(
    torch.ones(3), torch.tensor([100.0, -0.01, 0.0]), nothing, nothing, 1, 0.5, (0.9, 0.999), 1e-8
)
assert torch.allclose(new_w, torch.tensor([0.5, 1.5, 1.0])), (
    f"The first step is lr against the sign of the gradient, whatever its size, and 0 where there is none. Yours gives "
    f"{new_w}."
)
assert torch.allclose(new_m, torch.tensor([10.0, -0.001, 0.0])), (
    f"m is returned without the correction: a tenth of the first gradient when beta1 is 0.9. Yours is {new_m}."
)
new_w, _, _ = adam_step(torch.ones(3), torch.zeros(3), torch.full((3,), 0.5), torch.ones(3), 2, 0.1, (0.5, 0.75), 1e-8)
# m = 0.25, s = 0.75; divided by 1 - 0.5^2 and 1 - 0.75^2 they are 1/3 and 12/7.
assert torch.allclose(new_w, torch.full((3,), 1 - 0.1 / 3 / math.sqrt(12 / 7))), (
    f"In step 2 the powers in the correction are 2. Yours gives {new_w}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("adam", "adam_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The optimizer
#
# *hard: about 35 lines, about 55 minutes, 11 points*
#
# Build `Adam` so that it can take the place of `torch.optim.Adam` in the middle of somebody's training. Write the
# arithmetic yourself: no optimizer of PyTorch's as its base (other than `torch.optim.Optimizer`) or inside of it.
#
# $$s^{\max}_i = \max(s^{\max}_{i-1},\, s_i), \qquad
# w_i = w_{i-1} - \frac{\eta}{1-\beta_1^i}\;\frac{m_i}{\sqrt{s_i\,/\,(1-\beta_2^i)} + \epsilon}$$
#
# The second formula is a step of exercise 3, written with $m_i$ and $s_i$. With `amsgrad=True` (Reddi et al. 2018) the
# largest $s$ so far, $s^{\max}_i$, takes the place of $s_i$ in it; PyTorch takes the largest of the *uncorrected*
# averages. With `maximize=True` the loss is to grow: everything is done with $-g_i$ in place of $g_i$.
#
# What your class does:
#
# - **Settings** live in groups: `super().__init__(params, defaults)` with a dict `defaults` of `lr`, `betas`, `eps`,
#   `amsgrad`, `maximize`, and a `weight_decay` of 0, which this exercise does not use, but which PyTorch's Adam looks
#   for when it loads your checkpoint. Read them from the group in every step: a scheduler writes `group["lr"]`, and
#   `OneCycleLR` also writes `group["betas"]`.
# - **The state** of a parameter `p` is in `self.state[p]`, under PyTorch's names: `"step"` (how many updates *this
#   parameter* had), `"exp_avg"` ($m$), `"exp_avg_sq"` ($s$), and with `amsgrad` `"max_exp_avg_sq"` ($s^{\max}$). Make
#   it at the first step in which `p` has a gradient. What is kept there is what `state_dict()` saves.
# - **A checkpoint** that `torch.optim.Adam` wrote has `"step"` as a float32 tensor. Make a number of it before you take
#   a power (`int(...)`), or your correction has seven digits.
# - **A parameter whose gradient is None** is skipped: no update, and its step does not count.
# - **The gradient** belongs to the loss: leave `p.grad` as it is. **The parameters** change in place, and autograd does
#   not record it (`torch.no_grad()`).
# - **A closure**, when given, computes the gradients and returns the loss. Call it once, before the update, with
#   gradients enabled (`torch.enable_grad()`), and return its loss.
# - **Bad settings** raise a `ValueError`: a negative `lr` or `eps`, a beta outside of $0 \le \beta < 1$.
#
# Begin with one parameter and no `amsgrad`. Then add one line of the list at a time.
#
# <details><summary>Hint: where to start</summary>
#
# `step` is two loops, over `self.param_groups` and over `group["params"]`. `self.state[p]` is a dict, empty at first:
# `if not state:` is the place for zeros of `p`'s shape (`torch.zeros_like(p)`) and a step of 0.
#
# </details>


# %% nbgrader={"grade_id": "Adam", "solution": true}
class Adam(torch.optim.Optimizer):
    """Adam (Kingma and Ba 2015), with PyTorch's checkpoints.

    Args:
        params: parameters, or dicts with "params" and own settings, as for every PyTorch optimizer.
        lr: learning rate, at least 0.
        betas: how much of each average stays, at least 0 and below 1.
        eps: what is added to the root, at least 0.
        amsgrad: divide by the largest average so far (Reddi et al. 2018, Algorithm 2, as PyTorch has it).
        maximize: step uphill.

    Raises:
        ValueError: when lr or eps is negative, or a beta is outside of [0, 1).
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor | dict],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        ### BEGIN SOLUTION
        if lr < 0 or eps < 0:
            raise ValueError(f"lr and eps should be at least 0, but they are {lr} and {eps}")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas should be at least 0 and below 1, but they are {betas}")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0, "amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, defaults)
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
                        self._update(p, group)
        return loss

    def _update(self, p: torch.Tensor, group: dict) -> None:
        """Change p and its state by one step."""
        (beta1, beta2), state = group["betas"], self.state[p]
        grad = -p.grad if group["maximize"] else p.grad
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = torch.zeros_like(p)
        state["step"] = int(state["step"]) + 1
        state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        if group["amsgrad"]:
            square = torch.maximum(state["max_exp_avg_sq"], square, out=state["max_exp_avg_sq"])
        first, second = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        p -= group["lr"] / first * state["exp_avg"] / ((square / second).sqrt() + group["eps"])
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_Adam", "grade": true, "points": 11}
for settings in ({}, {"amsgrad": True}, {"maximize": True}):
    mine = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    theirs = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    my_optimizer = Adam([mine], lr=0.1, **settings)
    their_optimizer = torch.optim.Adam([theirs], lr=0.1, **settings)
    for i in range(1, 4):
        for weights, optimizer in ((mine, my_optimizer), (theirs, their_optimizer)):
            optimizer.zero_grad()
            (weights**4).sum().backward()
            optimizer.step()
        assert torch.allclose(mine, theirs), (
            f"With the settings {settings}, after step {i} the weights should be {theirs.tolist()}. "
            f"Yours are {mine.tolist()}."
        )
    for name, kept in their_optimizer.state[theirs].items():
        own = my_optimizer.state[mine].get(name)
        assert own is not None, f'Keep "{name}" in self.state[p]: PyTorch looks for it in a checkpoint.'
        assert torch.allclose(torch.as_tensor(own, dtype=kept.dtype), kept), (
            f'The weights are right, but with the settings {settings} the state "{name}" is {own}.'
        )
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("adam", "Adam", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: a layer's gradient, 1,000 times as large
#
# The next cell is not graded. It trains a small network on 2,000 images of Fashion-MNIST with PyTorch's SGD with
# momentum and with your `Adam`, at several learning rates, from three seeds. In the lower pictures the gradient of the
# second layer is 1,000 times larger than it should be. It takes a few seconds.

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
from statistics import median

from ravines.data import device, fashion_mnist, seed_everything
from ravines.plots import BLUE, RED, figure

torch.set_num_threads(1)  # the network is so small that more threads only wait for each other
SEEDS, UPDATES, FACTORS = (0, 1, 2), 80, (1, 1000)
RATES = {"SGD with momentum": (0.003, 0.01, 0.03, 0.1), "your Adam": (0.001, 0.003, 0.01, 0.03)}


def train(name: str, lr: float, factor: float, seed: int) -> float:
    """Return the mean loss of the last ten mini-batches."""
    generator = seed_everything(seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(196, 32), torch.nn.ReLU(), torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    ).to(images.device)
    for p in network[2].parameters():
        p.register_hook(lambda grad: factor * grad)
    if name == "your Adam":
        optimizer = Adam(network.parameters(), lr=lr)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.9)
    losses = []
    for _ in range(UPDATES):
        batch = torch.randint(len(images), (64,), generator=generator).to(images.device)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    end = sum(losses[-10:]) / 10
    return end if end < 10 else 10.0  # nan too


def compare() -> object:
    """Return a picture of both optimizers with and without the factor."""
    runs = {
        (name, factor): [[train(name, lr, factor, seed) for seed in SEEDS] for lr in rates]
        for name, rates in RATES.items()
        for factor in FACTORS
    }

    def draw(*axes):
        for ax, (name, factor) in zip(axes, runs, strict=True):
            found, color = runs[name, factor], BLUE if name == "your Adam" else RED
            ax.plot(RATES[name], [median(losses) for losses in found], color=color)
            ax.plot(RATES[name], found, "o", color=color, markersize=3)
            ax.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=(0.4, 3), title=f"{name}, × {factor:,}")

    best = {key: min(median(losses) for losses in found) for key, found in runs.items()}
    said = [f"{name} with the factor {factor:,}: {loss:.2f}" for (name, factor), loss in best.items()]
    return figure(
        draw, panels=4, columns=2, height=2.6, alt=f"Lowest median loss over learning rates. {'; '.join(said)}."
    )


images, labels = fashion_mnist()
images = torch.nn.functional.avg_pool2d(images[:2000], 2).flatten(1).to(device())
labels = labels[:2000].to(device())
try:
    picture = compare()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercise 4 first, then run this cell again.")
picture

# %% [markdown]
# ### See it: what the correction corrects
#
# Your `adam_step` under a constant gradient of 1, and the same steps without the two corrections: how long is each?

# %% nbgrader={"grade_id": "correction", "locked": true} tags=["payoff"]


def lengths(corrected: bool, steps: int = 200) -> list[float]:
    """Return the length of each step in learning rates."""
    w, m, s = (torch.zeros((), dtype=torch.float64) for _ in range(3))
    found = []
    for i in range(1, steps + 1):
        new, m, s = adam_step(w, torch.ones_like(w), m, s, i, 1.0, (0.9, 0.999), 1e-8)
        away = (w - new).item()
        found.append(away if corrected else away * bias_correction(0.9, i) / math.sqrt(bias_correction(0.999, i)))
        w = new
    return found


def draw_lengths(ax) -> None:
    """Draw both on one axis."""
    for corrected, color in ((True, BLUE), (False, RED)):
        ax.plot(
            range(1, 201), lengths(corrected), color=color, label="corrected" if corrected else "as the averages are"
        )
    ax.set(xscale="log", xlabel="step", ylabel="length / learning rate")
    ax.legend()


try:
    picture = figure(
        draw_lengths,
        alt=f"Length of Adam's steps under a constant gradient: {lengths(True)[0]:.2f} learning rates at the first "
        f"step with the correction and {lengths(False)[0]:.2f} without; the longest has {max(lengths(False)):.2f}.",
    )
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 1 and 3 first, then run this cell again.")
picture
