# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Weight decay
#
# Chapter [Weight decay](../../book/weight_decay.md) found that the same $\lambda$ is a different thing in every
# optimizer. Here you write down each of them: three steps, an optimizer, the groups of a real network's parameters, and
# what decay does before a normalization. Six exercises, 20 points, about 105 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Letters: $w$ weights, $v$ step, $g_i$ the gradient at $w_{i-1}$, $\eta$ learning rate (`lr`), $\lambda$ weight decay
# (`weight_decay`), $\beta$ momentum, $m$ and $s$ Adam's averages. Step $i$ counts from 1 and gives $w_i$.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections.abc import Callable, Iterable

import torch
from torch import nn

NORMALIZATIONS = (
    nn.modules.batchnorm._BatchNorm,  # BatchNorm1d, 2d, 3d and SyncBatchNorm
    nn.modules.instancenorm._InstanceNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)

# %% [markdown]
# ## 1. Momentum and decay
#
# *easy: two lines, about 10 minutes, 2 points*
#
# AlexNet's formula (Krizhevsky et al. 2012, section 5), with the gradient and the decay at the same weights:
#
# $$v_i = \beta v_{i-1} - \eta\, g_i - \eta\lambda\, w_{i-1}, \qquad w_i = w_{i-1} + v_i.$$
#
# The decay is a part of the step, so momentum carries it along. Your function returns new tensors and leaves its inputs
# as they were; so do those of exercises 2 and 3.


# %% nbgrader={"grade_id": "sgd_step_with_decay", "solution": true}
def sgd_step_with_decay(
    w: torch.Tensor, v: torch.Tensor, grad: torch.Tensor, lr: float, beta: float, weight_decay: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one step with momentum and an L2 penalty (Krizhevsky et al. 2012, section 5).

    Args:
        w: weights, any shape, any floating dtype.
        v: the step before, of w's shape and dtype; zeros at the start.
        grad: the gradient of the loss at w, without the penalty.
        lr: learning rate.
        beta: momentum.
        weight_decay: lambda.

    Returns:
        The new (w, v), new tensors of the same shape and dtype. The inputs keep their values.
    """
    ### BEGIN SOLUTION
    v = beta * v - lr * grad - lr * weight_decay * w
    return w + v, v
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_sgd_step_with_decay", "grade": true, "points": 2}
new_w, new_v = sgd_step_with_decay(
    torch.tensor([10.0]), torch.tensor([1.0]), torch.tensor([2.0]), lr=0.5, beta=0.5, weight_decay=0.1
)
assert torch.allclose(new_v, torch.tensor([-1.0])), (
    f"Half of the old step, minus 0.5 * 2 for the gradient, minus 0.5 * 0.1 * 10 for the decay. Yours is {new_v}."
)
assert torch.allclose(new_w, torch.tensor([9.0])), (
    f"The new weights are the old ones plus the new step. Yours: {new_w}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("weight_decay", "sgd_step_with_decay", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. A penalty in Adam
#
# *easy: six lines, about 15 minutes, 3 points*
#
# Add $\frac\lambda2\lVert w\rVert^2$ to the loss, and Adam sees the gradient of both:
#
# $$g_i' = g_i + \lambda w_{i-1}, \qquad m_i = \beta_1 m_{i-1} + (1-\beta_1)\, g_i', \qquad
# s_i = \beta_2 s_{i-1} + (1-\beta_2)\, g_i'^{\,2},$$
#
# $$w_i = w_{i-1} - \eta\,\frac{m_i\,/\,(1-\beta_1^i)}{\sqrt{s_i\,/\,(1-\beta_2^i)} + \epsilon}.$$
#
# `step` is $i$, the number of this step. $\epsilon$ is outside of the root. Return $w_i$, $m_i$ and $s_i$; the averages
# without the correction.


# %% nbgrader={"grade_id": "adam_l2_step", "solution": true}
def adam_l2_step(
    w: torch.Tensor,
    grad: torch.Tensor,
    m: torch.Tensor,
    s: torch.Tensor,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take one step of Adam on the loss with an L2 penalty (Kingma and Ba 2015, Algorithm 1).

    Args:
        w: weights, any shape, any floating dtype.
        grad: the gradient of the loss at w, without the penalty.
        m: the average of gradients so far, of w's shape and dtype; zeros at the start.
        s: the average of squared gradients so far, likewise.
        step: the number of this step, from 1.
        lr: learning rate.
        betas: how much of m and how much of s stays.
        eps: what is added to the root.
        weight_decay: lambda.

    Returns:
        The new (w, m, s), new tensors of the same shape and dtype; m and s without the correction.
    """
    ### BEGIN SOLUTION
    beta1, beta2 = betas
    grad = grad + weight_decay * w
    m = beta1 * m + (1 - beta1) * grad
    s = beta2 * s + (1 - beta2) * grad**2
    m_hat, s_hat = m / (1 - beta1**step), s / (1 - beta2**step)
    return w - lr * m_hat / (s_hat.sqrt() + eps), m, s
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_adam_l2_step", "grade": true, "points": 3}
nothing = torch.zeros(2)
new_w, new_m, new_s = adam_l2_step(
    torch.tensor([3.0, 3.0]), torch.tensor([0.0, -0.5]), nothing, nothing, 1, 0.1, (0.9, 0.99), 1e-8, 0.1
)
assert torch.allclose(new_m, torch.tensor([0.03, -0.02])), (
    f"The penalty adds 0.1 * 3 to both gradients, and a tenth of that is m. Yours is {new_m}."
)
assert torch.allclose(new_w, torch.tensor([2.9, 3.1])), (
    f"The first step is lr against the sign of the whole gradient: 0.3 and -0.2. Yours gives {new_w}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("weight_decay", "adam_l2_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Decay outside of the division
#
# *easy: one line moves, about 10 minutes, 2 points*
#
# The same averages, of the gradient alone, and the decay beside the step (Loshchilov and Hutter 2019, Algorithm 2, with
# $\lambda$ times the learning rate as PyTorch has it):
#
# $$m_i = \beta_1 m_{i-1} + (1-\beta_1)\, g_i, \qquad s_i = \beta_2 s_{i-1} + (1-\beta_2)\, g_i^2,$$
#
# $$w_i = w_{i-1} - \eta\,\frac{m_i\,/\,(1-\beta_1^i)}{\sqrt{s_i\,/\,(1-\beta_2^i)} + \epsilon}
# - \eta\lambda\, w_{i-1}.$$
#
# The decay is of the weights before the step.


# %% nbgrader={"grade_id": "adamw_step", "solution": true}
def adamw_step(
    w: torch.Tensor,
    grad: torch.Tensor,
    m: torch.Tensor,
    s: torch.Tensor,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take one step of AdamW (Loshchilov and Hutter 2019, Algorithm 2; the decay times lr).

    Args:
        w: weights, any shape, any floating dtype.
        grad: the gradient of the loss at w.
        m: the average of gradients so far, of w's shape and dtype; zeros at the start.
        s: the average of squared gradients so far, likewise.
        step: the number of this step, from 1.
        lr: learning rate.
        betas: how much of m and how much of s stays.
        eps: what is added to the root.
        weight_decay: lambda.

    Returns:
        The new (w, m, s), new tensors of the same shape and dtype; m and s without the correction.
    """
    ### BEGIN SOLUTION
    beta1, beta2 = betas
    m = beta1 * m + (1 - beta1) * grad
    s = beta2 * s + (1 - beta2) * grad**2
    m_hat, s_hat = m / (1 - beta1**step), s / (1 - beta2**step)
    return w - lr * m_hat / (s_hat.sqrt() + eps) - lr * weight_decay * w, m, s
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_adamw_step", "grade": true, "points": 2}
new_w, new_m, new_s = adamw_step(
    torch.tensor([3.0, 3.0]), torch.tensor([0.0, -0.5]), nothing, nothing, 1, 0.1, (0.9, 0.99), 1e-8, 0.1
)
assert torch.allclose(new_m, torch.tensor([0.0, -0.05])), (
    f"The averages are of the gradient alone, without the decay. Yours is {new_m}."
)
assert torch.allclose(new_w, torch.tensor([2.97, 3.07])), (
    f"Both weights lose 0.1 * 0.1 * 3; the second also moves by lr, against its gradient. Yours gives {new_w}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("weight_decay", "adamw_step", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. AdamW, the optimizer
#
# *hard: about 30 lines, about 35 minutes, 7 points*
#
# Build `AdamW` so that it can take the place of `torch.optim.AdamW` in the middle of somebody's training. Write the
# arithmetic yourself: no optimizer of PyTorch's as its base (other than `torch.optim.Optimizer`) or inside of it. (If
# you built `Adam` for the chapter before: it is the same, without `amsgrad` and with one more line.)
#
# $$w \leftarrow (1 - \eta\lambda)\, w_{i-1}, \qquad
# w_i = w - \frac{\eta}{1-\beta_1^i}\;\frac{m_i}{\sqrt{s_i\,/\,(1-\beta_2^i)} + \epsilon}$$
#
# What your class does:
#
# - **Settings** live in groups: `super().__init__(params, defaults)` with a dict `defaults` of `lr`, `betas`, `eps`,
#   `weight_decay` and `maximize`. Read them from the group in every step: a scheduler writes `group["lr"]`, and
#   `OneCycleLR` also writes `group["betas"]`. Groups with a `weight_decay` of 0 do not decay.
# - **The state** of a parameter `p` is in `self.state[p]`, under PyTorch's names: `"step"` (how many updates *this
#   parameter* had), `"exp_avg"` ($m$) and `"exp_avg_sq"` ($s$). Make it at the first step in which `p` has a gradient.
#   A checkpoint that `torch.optim.AdamW` wrote has `"step"` as a float32 tensor: make a number of it before you take a
#   power (`int(...)`), or your correction has seven digits.
# - **A parameter whose gradient is None** is skipped: no update, no decay, and its step does not count. A gradient of
#   zeros is a gradient.
# - **`maximize=True`** steps uphill: everything is done with $-g_i$ in place of $g_i$. The decay still shrinks.
# - **The gradient** belongs to the loss: leave `p.grad` as it is. **The parameters** change in place, and autograd does
#   not record it (`torch.no_grad()`).
# - **A closure**, when given, computes the gradients and returns the loss. Call it once, before the update, with
#   gradients enabled (`torch.enable_grad()`), and return its loss.
# - **Bad settings** raise a `ValueError`: a negative `lr`, `eps` or `weight_decay`, a beta outside of
#   $0 \le \beta < 1$.


# %% nbgrader={"grade_id": "AdamW", "solution": true}
class AdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov and Hutter 2019), with PyTorch's checkpoints and its decay times lr.

    Args:
        params: parameters, or dicts with "params" and own settings, as for every PyTorch optimizer.
        lr: learning rate, at least 0.
        betas: how much of each average stays, at least 0 and below 1.
        eps: what is added to the root, at least 0.
        weight_decay: lambda, at least 0.
        maximize: step uphill.

    Raises:
        ValueError: when lr, eps or weight_decay is negative, or a beta is outside of [0, 1).
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor | dict],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        maximize: bool = False,
    ) -> None:
        ### BEGIN SOLUTION
        if min(lr, eps, weight_decay) < 0:
            raise ValueError(f"lr, eps and weight_decay should be at least 0: {lr}, {eps}, {weight_decay}")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas should be at least 0 and below 1, but they are {betas}")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
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
        state["step"] = int(state["step"]) + 1
        state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        first, second = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        p *= 1 - group["lr"] * group["weight_decay"]
        p -= group["lr"] / first * state["exp_avg"] / ((state["exp_avg_sq"] / second).sqrt() + group["eps"])
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_AdamW", "grade": true, "points": 7}
for settings in ({"weight_decay": 0.5}, {"weight_decay": 0.0}, {"weight_decay": 0.5, "maximize": True}):
    mine = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    theirs = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    my_optimizer = AdamW([mine], lr=0.1, **settings)
    their_optimizer = torch.optim.AdamW([theirs], lr=0.1, **settings)
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

autograde.stock.score("weight_decay", "AdamW", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Which parameters decay?
#
# *medium: about 12 lines, about 20 minutes, 4 points*
#
# Sort the parameters of any model into two groups for an optimizer. The rule, for a parameter that a module owns
# directly:
#
# $$\lambda_p = \begin{cases} 0 & \text{its own name contains ``bias'', or its module is a normalization,}\\
# \lambda & \text{else.}\end{cases}$$
#
# - A parameter's *own* name is the last part: `bias` of `encoder.0.bias`, or `bias_ih_l0` of an LSTM.
# - Normalizations are the classes in `NORMALIZATIONS` (in the first cell), and their subclasses. Ask for the class
#   (`isinstance`), not for the name: in many models a normalization is called `downsample.1`.
# - Everything else decays, whatever its shape: embeddings, and also a vector `scale` that a module of yours owns.
# - Every parameter of the model is in exactly one of the two groups, also one that is frozen
#   (`requires_grad=False`), since it may be thawed later. A parameter that several modules share is listed once; when
#   one of its owners says 0, it does not decay.
# - Return a list of two dicts, `{"params": [...], "weight_decay": weight_decay}` first and
#   `{"params": [...], "weight_decay": 0.0}` second, with *lists* of parameters in the order of `model.parameters()`. A
#   list may be empty. A negative `weight_decay` raises a `ValueError`. The model is not changed.
#
# <details><summary>Hint: how do you meet every owner?</summary>
#
# `model.modules()` gives the model and all that is inside of it, and `module.named_parameters(recurse=False)` what a
# module owns itself. A parameter can be asked for with `id(p)` in a set; `p in list` compares numbers, not objects.
#
# </details>


# %% nbgrader={"grade_id": "decay_parameter_groups", "solution": true}
def decay_parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Sort a model's parameters into those that decay and those that do not.

    Args:
        model: any module; it is not changed.
        weight_decay: lambda of the first group.

    Returns:
        [{"params": decaying, "weight_decay": weight_decay}, {"params": the others, "weight_decay": 0.0}], every
        parameter once, in the order of model.parameters().

    Raises:
        ValueError: when weight_decay is negative.
    """
    ### BEGIN SOLUTION
    if weight_decay < 0:
        raise ValueError(f"weight_decay should be at least 0, but it is {weight_decay}")
    left_out = {
        id(p)
        for module in model.modules()
        for name, p in module.named_parameters(recurse=False, remove_duplicate=False)
        if "bias" in name or isinstance(module, NORMALIZATIONS)
    }
    decaying = [p for p in model.parameters() if id(p) not in left_out]
    others = [p for p in model.parameters() if id(p) in left_out]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_decay_parameter_groups", "grade": true, "points": 4}
network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), nn.Linear(4, 2))
groups = decay_parameter_groups(network, 0.1)
assert [group["weight_decay"] for group in groups] == [0.1, 0.0], f"First the group that decays. Yours: {groups}."
seen = [[tuple(p.shape) for p in group["params"]] for group in groups]
assert seen[0] == [(4, 1, 3, 3), (2, 4)], (
    f"The weights of the convolution and of the last layer decay. Yours: {seen[0]}."
)
assert seen[1] == [(4,), (4,), (4,), (2,)], f"Two biases, gamma and beta do not decay. Yours: {seen[1]}."
torch.optim.SGD(groups, lr=0.1)  # complains when a parameter is there twice
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("weight_decay", "decay_parameter_groups", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 6. The rate before a normalization
#
# *medium: four lines and a derivation, about 15 minutes, 2 points*
#
# Behind a layer with weights $w$ stands a normalization, so the loss depends on the direction of $w$ only:
# $\mathcal{L}(cw) = \mathcal{L}(w)$ for $c>0$. Then the gradient at $w$ is that at $w/\lVert w\rVert$, divided by
# $\lVert w\rVert$. Put this into a step of plain SGD with decay, and look at its direction:
#
# $$w - \eta\,\nabla\mathcal{L}(w) - \eta\lambda w \;=\; (1-\eta\lambda)\,\lVert w\rVert
# \left(\frac{w}{\lVert w\rVert} - \frac{\eta}{(1-\eta\lambda)\,\lVert w\rVert^2}\,
# \nabla\mathcal{L}\Bigl(\frac{w}{\lVert w\rVert}\Bigr)\right).$$
#
# In the brackets is a plain step from a vector of length 1. Return its learning rate as a Python number,
#
# $$\eta_\text{eff} = \frac{\eta}{(1-\eta\lambda)\,\lVert w\rVert^2},$$
#
# where $\lVert w\rVert^2$ is the sum of all squares of the tensor `w`. Compute in float64, also for float16 weights.
# A `ValueError` says when there is no such rate: `w` is all zeros, `lr` or `weight_decay` is negative, or
# $\eta\lambda \ge 1$. (Source: van Laarhoven 2017, section 3, to first order in $\eta\lambda$.)


# %% nbgrader={"grade_id": "effective_learning_rate", "solution": true}
def effective_learning_rate(w: torch.Tensor, lr: float, weight_decay: float) -> float:
    """Return the learning rate at which the direction of scale-invariant weights moves.

    Args:
        w: the weights of one layer before a normalization, any shape.
        lr: learning rate of plain SGD.
        weight_decay: lambda.

    Returns:
        lr / ((1 - lr weight_decay) |w|^2), computed in float64.

    Raises:
        ValueError: when w is zero, lr or weight_decay negative, or their product 1 or more.
    """
    ### BEGIN SOLUTION
    length = w.detach().double().square().sum().item()
    if length == 0:
        raise ValueError("weights of length 0 have no direction")
    if lr < 0 or weight_decay < 0 or lr * weight_decay >= 1:
        raise ValueError(f"lr {lr} and weight_decay {weight_decay} should be at least 0, and their product below 1")
    return lr / ((1 - lr * weight_decay) * length)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_effective_learning_rate", "grade": true, "points": 2}
seen = effective_learning_rate(torch.tensor([3.0, 4.0]), 0.5, 0.0)
assert math.isclose(seen, 0.02), f"The squared length is 25, so the rate without decay is 0.5 / 25. Yours is {seen}."
seen = effective_learning_rate(torch.tensor([[3.0], [4.0]]), 0.5, 1.0)
assert math.isclose(seen, 0.04), f"With lr * weight_decay = 0.5 the rate is twice as large. Yours is {seen}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("weight_decay", "effective_learning_rate", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: which weights does the penalty punish?
#
# The next cell is not graded. Weights that start at 1 get gradients of pure noise, some a hundred times larger than
# others. Your `adam_l2_step` and your `adamw_step` then show what is left of both, from three seeds. It takes a few
# seconds.

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
from statistics import median

from ravines.data import device, fashion_mnist, seed_everything
from ravines.plots import BLUE, RED, figure

torch.set_num_threads(1)  # all tensors here are so small that more threads only wait for each other
SEEDS, SCALES, STEPS = (0, 1, 2), (0.01, 1.0), 1500


def left(function: Callable, scale: float, seed: int) -> list[float]:
    """Return the mean of 200 weights after each step."""
    generator = torch.Generator().manual_seed(seed)
    w, m, s = torch.ones(200), torch.zeros(200), torch.zeros(200)
    means = []
    for i in range(1, STEPS + 1):
        noise = scale * torch.randn(200, generator=generator)
        w, m, s = function(w, noise, m, s, i, 0.001, (0.9, 0.999), 1e-8, 0.1)
        means.append(w.mean().item())
    return means


def mechanism() -> object:
    """Return a picture of both functions."""
    runs = {
        (name, scale): [left(function, scale, seed) for seed in SEEDS]
        for name, function in (("L2 in Adam", adam_l2_step), ("AdamW", adamw_step))
        for scale in SCALES
    }

    def draw(*axes):
        for ax, name in zip(axes, ("L2 in Adam", "AdamW"), strict=True):
            for scale, color, style in zip(SCALES, (RED, BLUE), ("-", "--"), strict=True):
                for k, means in enumerate(runs[name, scale]):
                    ax.plot(means, style, color=color, label=None if k else f"noise {scale:g}")
            ax.set(title=name, xlabel="step", ylabel="mean of the weights", ylim=(0, 1.05))
        axes[0].legend()

    said = [f"{name}, noise {scale:g}: {median(m[-1] for m in means):.2f}" for (name, scale), means in runs.items()]
    return figure(draw, panels=2, alt=f"What is left of the weights after {STEPS:,} steps. {'; '.join(said)}.")


try:
    picture = mechanism()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 2 and 3 first, then run this cell again.")
picture

# %% [markdown]
# ### See it: decay as a learning rate
#
# Your `AdamW` and your groups train a small network with batch normalization on 1,000 images of Fashion-MNIST, with two
# decays. Behind the first layer stands a normalization: watch the length of its weights, and the rate that your
# `effective_learning_rate` gives for it.

# %% nbgrader={"grade_id": "effective", "locked": true} tags=["payoff"]
DECAYS, UPDATES = (0.0, 1.0), 150


def train(weight_decay: float, seed: int) -> tuple[list[float], list[float]]:
    """Return the length of the first layer's weights and its effective learning rate after each update."""
    generator = seed_everything(seed)
    network = nn.Sequential(nn.Linear(196, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)).to(images.device)
    optimizer = AdamW(decay_parameter_groups(network, weight_decay), lr=0.01)
    lengths, rates = [], []
    for _ in range(UPDATES):
        batch = torch.randint(len(images), (50,), generator=generator).to(images.device)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimizer.step()
        first = network[0].weight
        lengths.append(first.norm().item())
        rates.append(effective_learning_rate(first, 0.01, weight_decay))
    return lengths, rates


def watch() -> object:
    """Return a picture of lengths and rates for both decays."""
    runs = {decay: [train(decay, seed) for seed in SEEDS] for decay in DECAYS}

    def draw(*axes):
        for decay, color in zip(DECAYS, (RED, BLUE), strict=True):
            for k, run in enumerate(runs[decay]):
                for ax, values in zip(axes, run, strict=True):
                    ax.plot(values, color=color, label=None if k else f"decay {decay:g}")
        axes[0].set(xlabel="update", ylabel="length of the weights")
        axes[1].set(xlabel="update", ylabel="effective learning rate", yscale="log")
        axes[0].legend()

    said = [
        f"decay {decay:g}: length {median(run[0][-1] for run in found):.1f}, "
        f"effective rate {median(run[1][-1] for run in found):.1e}"
        for decay, found in runs.items()
    ]
    return figure(draw, panels=2, alt=f"After {UPDATES} updates, median of three seeds. {'; '.join(said)}.")


images, labels = fashion_mnist()
images = nn.functional.avg_pool2d(images[:1000], 2).flatten(1).to(device())
labels = labels[:1000].to(device())
try:
    picture = watch()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 4, 5 and 6 first, then run this cell again.")
picture
