# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Batch normalization
#
# Chapter [Batch normalization](../../book/batch_normalization.md) kept the signal inside a network at mean 0 and
# variance 1 while the network learned. Here you build that: the forward pass, its gradient by hand, the layer for
# features, the layer for feature maps, and last the trick that makes it cost nothing once the network has learned. Five
# exercises, 20 points, about 110 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# In exercises 1 to 4, PyTorch's own normalizations are not allowed: `F.batch_norm`, `nn.BatchNorm1d` and
# `nn.BatchNorm2d`, `F.layer_norm`, `F.group_norm`, `F.instance_norm` and their kin. `mean`, `var`, `torch.var_mean` and
# the like are welcome.
#
# Letters: $m$ is how many values one feature's statistics are taken over, $\mu$ and $\sigma^2$ are their mean and
# variance, $\gamma$ (`gamma`, in a module `weight`) and $\beta$ (`beta`, in a module `bias`) are the learned scale and
# shift, $\varepsilon$ (`eps`) is a small constant.

# %% nbgrader={"grade_id": "imports", "locked": true}
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# %% [markdown]
# ## 1. Normalize a batch
#
# *easy: about ten lines, about 20 minutes, 3 points*
#
# Each feature gets the mean and the variance of this batch (Ioffe and Szegedy 2015, algorithm 1):
#
# $$\mu = \frac{1}{m} \sum_{i=1}^{m} x_i, \qquad \sigma^2 = \frac{1}{m} \sum_{i=1}^{m} (x_i - \mu)^2, \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad y_i = \gamma\, \hat x_i + \beta.$$
#
# - **Shapes.** `x` is $(n, d)$, $(n, d, l)$ or $(n, d, h, w)$. Dimension 1 counts the features. Everything else is
#   averaged over: samples and positions. So $m$ is $n$, $n\,l$ or $n\,h\,w$. `gamma` and `beta` have the shape $(d,)$.
# - **The variance** is the biased one: divide by $m$, not by $m - 1$. $\varepsilon$ is added to it inside of the root.
# - **A feature that is constant** in the batch, also the only row of a batch, gives $\beta$: no nan, no inf.
# - **The cache** is what exercise 2 will need, a tuple `(x_hat, gamma, std)`: `x_hat` of `x`'s shape, `gamma` as given,
#   and `std` $= \sqrt{\sigma^2 + \varepsilon}$ of shape $(d,)$.
# - **Rounding.** In float32, values around 10,000 that differ by 1 must come out right. $\overline{x^2} - \mu^2$, the
#   mean of the squares less the square of the mean, loses all digits there: subtract $\mu$ first, then square.
# - **Gradients** flow through everything, $\mu$ and $\sigma^2$ included: use PyTorch's functions, and detach nothing.
# - **Dtype.** `x`, `gamma` and `beta` have the same, float32 or float64. `y`, `x_hat` and `std` have it too. The inputs
#   keep their values.
#
# <details><summary>Hint</summary>
#
# `x.mean(dim)` takes a tuple of dimensions, and `keepdim=True` keeps the result ready for broadcasting. `gamma` of
# shape $(d,)$ would meet the last dimension of `x`: give it the shape $(1, d, 1, 1)$ first.
#
# </details>


# %% nbgrader={"grade_id": "batch_norm_forward", "solution": true}
def batch_norm_forward(
    x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Normalize each feature over the batch (Ioffe and Szegedy 2015, algorithm 1).

    Args:
        x: a batch of shape (n, d), (n, d, l) or (n, d, h, w), float32 or float64.
        gamma: scale, shape (d,), of x's dtype.
        beta: shift, shape (d,), of x's dtype.
        eps: added to the variance, above 0.

    Returns:
        (y, cache): y of x's shape and dtype, and the tuple (x_hat, gamma, std) of shapes x.shape, (d,) and (d,).
        The inputs keep their values.
    """
    ### BEGIN SOLUTION
    dims = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    mu = x.mean(dims, keepdim=True)
    std = ((x - mu).square().mean(dims, keepdim=True) + eps).sqrt()
    x_hat = (x - mu) / std
    return gamma.reshape(shape) * x_hat + beta.reshape(shape), (x_hat, gamma, std.flatten())
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_batch_norm_forward", "grade": true, "points": 3}
batch = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
y, (x_hat, _, std) = batch_norm_forward(batch, torch.tensor([2.0, 7.0]), torch.tensor([10.0, 4.0]), eps=3.0)
assert torch.allclose(std, torch.tensor([2.0, math.sqrt(3)])), (
    f"The first column is 1, 3: its variance is 1, and std is the root of 1 + eps = 4. Your std is {std}."
)
assert torch.allclose(x_hat[:, 0], torch.tensor([-0.5, 0.5])), (
    f"The first column, less its mean 2 and divided by 2, is -0.5, 0.5. Your x_hat is {x_hat[:, 0]}."
)
assert torch.allclose(y[:, 0], torch.tensor([9.0, 11.0])), f"Then times gamma = 2, plus beta = 10. Yours is {y[:, 0]}."
assert torch.allclose(y[:, 1], torch.tensor([4.0, 4.0])), f"A constant column gives beta = 4. Yours is {y[:, 1]}."
maps = torch.arange(24.0).reshape(2, 3, 2, 2)
y, _ = batch_norm_forward(maps, torch.ones(3), torch.zeros(3), eps=1e-5)
assert torch.allclose(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-5), (
    "For (n, d, h, w), each of the d channels has mean 0 over samples and positions together."
)
assert torch.allclose(y.square().mean((0, 2, 3)), torch.ones(3), atol=1e-4), (
    "For (n, d, h, w), each of the d channels has variance 1 over samples and positions together."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("batch_normalization", "batch_norm_forward", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The way back
#
# *hard: pen and paper, then about eight lines, about 30 minutes, 5 points*
#
# $\mu$ and $\sigma^2$ are made of all samples, so a change of one $x_i$ moves every $y_j$. The gradient knows. Write
# $g_i = \partial \mathcal{L} / \partial y_i$ for what comes from above (`dy`) and $s = \sqrt{\sigma^2 + \varepsilon}$
# (`std`). Take the chain rule in three steps, for one feature:
#
# 1. From $y_i = \gamma \hat x_i + \beta$ follow $\partial\mathcal{L}/\partial\gamma$ and
#    $\partial\mathcal{L}/\partial\beta$, sums over all $m$ values, and
#    $\hat g_i = \partial\mathcal{L}/\partial\hat x_i$.
# 2. From $\hat x_i = (x_i - \mu) / s$ follow $\partial\mathcal{L}/\partial\sigma^2$ and
#    $\partial\mathcal{L}/\partial\mu$, again sums over all values. You may hold $\sigma^2$ fixed for the second, since
#    $\partial \sigma^2 / \partial \mu = -\frac{2}{m} \sum_i (x_i - \mu) = 0$.
# 3. $x_i$ reaches the loss on three ways, directly, through $\sigma^2$ and through $\mu$:
#
# $$\frac{\partial\mathcal{L}}{\partial x_i} = \frac{\hat g_i}{s}
# + \frac{\partial\mathcal{L}}{\partial\sigma^2} \cdot \frac{2\,(x_i - \mu)}{m}
# + \frac{\partial\mathcal{L}}{\partial\mu} \cdot \frac{1}{m}.$$
#
# Put in what you found, and write $x_i - \mu$ as $s\, \hat x_i$. What is left needs only $g$, $\hat x$, $\gamma$, $s$
# and two means over the batch.
#
# - **`cache`** is the tuple `(x_hat, gamma, std)` of exercise 1. You get it ready made: exercise 1 need not work.
# - **Shapes.** `dy` and `x_hat` are $(n, d)$, $(n, d, l)$ or $(n, d, h, w)$; so is `dx`. `gamma`, `std`, `dgamma` and
#   `dbeta` are $(d,)$. All have one dtype, float32 or float64, which the results keep.
# - **By hand.** No autograd inside: no `backward()`, `torch.autograd`, `torch.func`, and none of PyTorch's
#   normalizations.
# - **The inputs** keep their values, the tensors in the cache too. `dy` may be a view, as `expand` makes one.
#
# Two things that must hold, and that you can try: a `dy` that is the same for all $m$ values gives `dx` = 0, since
# shifting a feature changes nothing. And `dx` sums to 0 over them, always.


# %% nbgrader={"grade_id": "batch_norm_backward", "solution": true}
def batch_norm_backward(
    dy: torch.Tensor, cache: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients of batch normalization, by hand (Ioffe and Szegedy 2015, section 3).

    Args:
        dy: gradient of the loss with respect to y, shape (n, d), (n, d, l) or (n, d, h, w).
        cache: (x_hat, gamma, std) of batch_norm_forward, of shapes dy.shape, (d,) and (d,).

    Returns:
        (dx, dgamma, dbeta): gradients with respect to x, gamma and beta, of shapes dy.shape, (d,) and (d,), in dy's
        dtype. The inputs keep their values.
    """
    ### BEGIN SOLUTION
    x_hat, gamma, std = cache
    dims = [0, *range(2, dy.dim())]
    shape = [1, -1] + [1] * (dy.dim() - 2)
    dgamma, dbeta = (dy * x_hat).sum(dims), dy.sum(dims)
    m = dy.numel() // dy.shape[1]
    centered = dy - dbeta.reshape(shape) / m - x_hat * dgamma.reshape(shape) / m
    return (gamma / std).reshape(shape) * centered, dgamma, dbeta
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_batch_norm_backward", "grade": true, "points": 5}
# The column 1, 3 of exercise 1, with eps = 3: mean 2, variance 1, std 2.
saved = (torch.tensor([[-0.5], [0.5]]), torch.tensor([2.0]), torch.tensor([2.0]))
dx, dgamma, dbeta = batch_norm_backward(torch.tensor([[1.0], [3.0]]), saved)
assert torch.allclose(dbeta, torch.tensor([4.0])), f"beta is added to every value, so dbeta is 1 + 3. Yours is {dbeta}."
assert torch.allclose(dgamma, torch.tensor([1.0])), (
    f"gamma multiplies x_hat, so dgamma is -0.5 * 1 + 0.5 * 3. Yours is {dgamma}."
)
assert torch.allclose(dx, torch.tensor([[-0.75], [0.75]])), (
    f"gamma / std is 1 here, the mean of dy is 2, and that of dy * x_hat is 0.5. Your dx is {dx}."
)
dx, _, _ = batch_norm_backward(torch.tensor([[5.0], [5.0]]), saved)
assert torch.allclose(dx, torch.zeros(2, 1)), f"If dy is the same for all samples, dx is 0. Yours is {dx}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("batch_normalization", "batch_norm_backward", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A layer with a memory
#
# *medium: about 35 lines, about 30 minutes, 5 points*
#
# Once the network has learned, one image alone must get an answer, and not one that depends on its neighbours in a
# batch. So the layer keeps *running statistics* while it learns, and uses them afterwards. After batch number $t$, with
# $\mu_t$ and $\sigma_t^2$ of that batch and $\alpha$ = `momentum`,
#
# $$r_t = (1 - \alpha)\, r_{t-1} + \alpha\, \mu_t, \qquad\qquad
# q_t = (1 - \alpha)\, q_{t-1} + \alpha\, \frac{m}{m - 1}\, \sigma_t^2.$$
#
# The batch is normalized with the biased variance, as in exercise 1; what goes into $q$ is the unbiased one (algorithm
# 2). And $\alpha$ is the weight of what is **new**: the opposite of what Keras calls momentum.
#
# Build the module `BatchNorm1d` as PyTorch has it:
#
# - **Settings** are kept under their own names (`self.num_features`, `self.eps`, `self.momentum`, `self.affine`,
#   `self.track_running_stats`). `eps` and `momentum` are read in each call, so they can be changed later.
# - **Input** is $(n, c)$ or $(n, c, l)$ with $c$ = `num_features`. Any other number of dimensions or channels raises a
#   `ValueError`, in both modes. The input keeps its values.
# - **Parameters and buffers**, in this order in `state_dict()`: the `nn.Parameter`s `weight` ($\gamma$, ones at the
#   start) and `bias` ($\beta$, zeros), the buffers `running_mean` ($r$, zeros) and `running_var` ($q$, ones), each of
#   shape $(c,)$, and the buffer `num_batches_tracked`, an int64 tensor of shape `()`, 0 at the start. So a state moves
#   to `torch.nn.BatchNorm1d` and back.
# - **In training mode** the batch's statistics normalize, both running statistics are updated, and
#   `num_batches_tracked` goes up by one, also under `torch.no_grad()`.
# - **In eval mode** the running statistics normalize. No buffer changes. A batch of one sample is fine.
# - **`momentum=None`** means that all batches count alike: $\alpha = 1/t$, with $t$ = `num_batches_tracked`, this batch
#   included. `momentum=0` is allowed and means 0.
# - **`track_running_stats=False`**: the three buffers are None (`self.register_buffer(name, None)`), and the batch's
#   statistics normalize in eval mode too.
# - **`affine=False`**: `weight` and `bias` are None (`self.register_parameter(name, None)`), and nothing is scaled or
#   shifted.
# - **One value for each channel** ($n\,l = 1$) has no variance: wherever the batch's statistics would be used, that
#   raises a `ValueError`. An input that is refused, for whatever reason, changes no buffer.
# - **Gradients** flow to `x`, `weight` and `bias`, in training through $\mu$ and $\sigma^2$ too. The buffers belong
#   to no graph: otherwise each step holds on to all graphs before it.
# - **Dtypes.** After `module.double()` all is in float64. And a module in float32 takes an `x` in float16 or bfloat16:
#   its statistics are then computed in float32, the buffers stay float32, and the result has the dtype of `x`.
#
# Your class is a subclass of `nn.Module`, not of one of PyTorch's normalizations. Begin with training mode, and add one
# line of the list at a time.
#
# <details><summary>Hint: a buffer</summary>
#
# `self.register_buffer("running_mean", torch.zeros(num_features))` makes an attribute that `state_dict()`, `.double()`
# and `.to(device)` know, and no optimizer. You can change it in place, or assign a new tensor to `self.running_mean`.
#
# </details>
# <details><summary>Hint: the graph</summary>
#
# Update the buffers under `torch.no_grad()`, or with `mu.detach()`.
#
# </details>


# %% nbgrader={"grade_id": "BatchNorm1d", "solution": true}
class BatchNorm1d(nn.Module):
    """Batch normalization of features (Ioffe and Szegedy 2015, algorithms 1 and 2), as in PyTorch.

    Args:
        num_features: c, the number of channels.
        eps: added to the variance, inside of the root.
        momentum: the weight of the new batch in the running statistics; None gives all batches the same.
        affine: whether there are a learned scale (weight) and shift (bias), each of shape (c,).
        track_running_stats: whether running statistics are kept, and used in eval mode.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", nn.Parameter(torch.ones(num_features)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(num_features)) if affine else None)
        kept = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features) if kept else None)
        self.register_buffer("running_var", torch.ones(num_features) if kept else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if kept else None)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize with the batch's statistics in training mode, and with the running ones in eval mode.

        Args:
            x: a batch of shape (n, c) or (n, c, l).

        Returns:
            A tensor of x's shape and dtype. x keeps its values.

        Raises:
            ValueError: when x has another number of dimensions or channels, or, where the batch's statistics are used,
                only one value for each channel.
        """
        ### BEGIN SOLUTION
        if x.dim() not in (2, 3) or x.shape[1] != self.num_features:
            raise ValueError(f"x should have the shape (n, {self.num_features}) or (n, {self.num_features}, l)")
        dims, shape = ((0,), (1, -1)) if x.dim() == 2 else ((0, 2), (1, -1, 1))
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        if self.training or not self.track_running_stats:
            m = x.numel() // self.num_features
            if m < 2:
                raise ValueError("one value for each channel has no variance")
            mean = values.mean(dims)
            var = (values - mean.reshape(shape)).square().mean(dims)
            if self.track_running_stats:
                with torch.no_grad():
                    self.num_batches_tracked += 1
                    alpha = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
                    self.running_mean += alpha * (mean - self.running_mean)
                    self.running_var += alpha * (var * m / (m - 1) - self.running_var)
        else:
            mean, var = self.running_mean, self.running_var
        y = (values - mean.reshape(shape)) / (var + self.eps).sqrt().reshape(shape)
        if self.affine:
            y = self.weight.reshape(shape) * y + self.bias.reshape(shape)
        return y.to(x.dtype)
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_BatchNorm1d", "grade": true, "points": 5}
norm = BatchNorm1d(2)
assert list(norm.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"], (
    f"state_dict() holds two parameters and three buffers. Yours holds {list(norm.state_dict())}."
)
batch = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
seen = norm(batch)
assert torch.allclose(seen, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), atol=1e-4), (
    f"In training mode the batch's own mean and biased variance normalize it. Yours gives {seen}."
)
assert torch.allclose(norm.running_mean, torch.tensor([0.2, 0.5])), (
    f"The batch's means are 2 and 5, the old running means 0: one tenth of the new. Yours are {norm.running_mean}."
)
assert torch.allclose(norm.running_var, torch.tensor([1.1, 0.9])), (
    f"The unbiased variances are 2 and 0, the old running ones 1: 0.9 * 1 + 0.1 * 2. Yours are {norm.running_var}."
)
assert norm.num_batches_tracked == 1, f"One batch was seen. Yours counted {norm.num_batches_tracked}."
seen = norm.eval()(torch.tensor([[0.2, 0.5]]))
assert torch.allclose(seen, torch.zeros(1, 2), atol=1e-5), (
    f"In eval mode the running means are subtracted: from themselves, that gives 0. Yours gives {seen}."
)
assert norm.num_batches_tracked == 1, "In eval mode nothing is counted, and nothing updated."
refused = False
try:
    norm.train()(torch.ones(1, 2))
except ValueError:
    refused = True
assert refused, "In training mode, one value for each channel should raise a ValueError."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("batch_normalization", "BatchNorm1d", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: large steps
#
# The next cell is not graded. A network with three hidden layers learns 2,000 images of Fashion-MNIST by plain gradient
# descent on small batches, with your `BatchNorm1d` before each ReLU, and without: at three learning rates, from three
# seeds. It takes a few seconds. The line is the median seed, the band all three. Which of the two still learns when the
# steps are large?

# %% nbgrader={"grade_id": "steps", "locked": true} tags=["payoff"]
from ravines.data import device, fashion_mnist, seed_everything
from ravines.plots import BLUE, RED, band, figure

torch.set_num_threads(1)  # the networks below are so small that more threads only wait for each other
SEEDS, RATES, EPOCHS, WIDTH = (0, 1, 2), (0.02, 0.2, 1.0), 5, 64


def losses(normalized: bool, lr: float, seed: int) -> list[float]:
    """Train a network on 2,000 images, and return its training loss in each step."""
    generator = seed_everything(seed)
    chosen = torch.randperm(len(images), generator=generator)[:2000]
    x, y = images[chosen].flatten(1).to(where), labels[chosen].to(where)
    layers, width = [], 784
    for _ in range(3):
        layers += [nn.Linear(width, WIDTH), *([BatchNorm1d(WIDTH)] if normalized else []), nn.ReLU()]
        width = WIDTH
    network = nn.Sequential(*layers, nn.Linear(WIDTH, 10)).to(where)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    curve = []
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=generator).split(100):
            loss = F.cross_entropy(network(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            curve.append(loss.item())
    return curve


def large_steps() -> object:
    """Return a picture of the training loss with and without batch normalization."""
    runs = {(lr, on): np.array([losses(on, lr, seed) for seed in SEEDS]) for lr in RATES for on in (False, True)}
    # The mean of the last epoch; a loss that overflowed counts as not learned.
    last = {k: np.nan_to_num(v[:, -20:].mean(axis=1), nan=math.inf, posinf=math.inf) for k, v in runs.items()}

    def draw(*panels):
        for axes, lr in zip(panels, RATES, strict=True):
            for on, color, label in ((False, RED, "without"), (True, BLUE, "with your BatchNorm1d")):
                # Above 4 the network only guesses, and worse: the picture ends there.
                curves = np.nan_to_num(runs[lr, on], nan=4.0, posinf=4.0).clip(max=4.0)
                smooth = np.stack([np.convolve(c, np.ones(5) / 5, mode="valid") for c in curves])
                band(axes, np.arange(5, 5 + smooth.shape[1]), smooth, color=color, label=label)
            axes.set(title=f"learning rate {lr:g}", xlabel="step", ylim=(0, 4))
        panels[0].set_ylabel("training loss (mean of 5 steps)")
        panels[0].legend()

    def told(values: np.ndarray) -> str:
        return f"{np.median(values):.2f} ({values.min():.2f} to {values.max():.2f})"

    better = [lr for lr in RATES if last[lr, True].max() < last[lr, False].min()]
    verdict = (
        f"At {', '.join(f'{lr:g}' for lr in better)} every seed with it has a lower loss than every seed without"
        if better
        else "At no learning rate do all seeds with it have a lower loss than all seeds without"
    )
    return figure(
        draw,
        panels=3,
        height=3.0,
        alt="Training loss in the last epoch, median and range of three seeds. "
        + "; ".join(
            f"Learning rate {lr:g}: without {told(last[lr, False])}, with batch normalization {told(last[lr, True])}"
            for lr in RATES
        )
        + f". {verdict}.",
    )


where = device()
images, labels = fashion_mnist()
try:
    picture = large_steps()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercise 3 first, then run this cell again.")
picture

# %% [markdown]
# ## 4. Feature maps
#
# *medium: about 35 lines, most of them known, about 15 minutes, 4 points*
#
# A convolution does the same at every position, so its channels are normalized over the positions too. For $x$ of shape
# $(n, c, h, w)$, there is one mean and one variance for each channel, from $m = n\,h\,w$ values:
#
# $$\mu_c = \frac{1}{n\,h\,w} \sum_{n,h,w} x_{nchw}, \qquad
# \sigma_c^2 = \frac{1}{n\,h\,w} \sum_{n,h,w} (x_{nchw} - \mu_c)^2, \qquad
# y_{nchw} = \gamma_c\, \frac{x_{nchw} - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}} + \beta_c.$$
#
# Build `BatchNorm2d`. All that exercise 3 says holds here too, with three changes:
#
# - **Input** is $(n, c, h, w)$, in any memory layout (`torch.channels_last` too). Any other number of dimensions or
#   channels raises a `ValueError`, in both modes.
# - **One value for each channel** now means $n\,h\,w = 1$. A single image of more than one pixel can be trained on.
# - **A state** moves to `torch.nn.BatchNorm2d` and back.
#
# Exercise 3 need not work. You can copy its code, or make `BatchNorm2d` a subclass of your own `BatchNorm1d`; then a
# mistake there counts here too.


# %% nbgrader={"grade_id": "BatchNorm2d", "solution": true}
class BatchNorm2d(nn.Module):
    """Batch normalization of feature maps (Ioffe and Szegedy 2015, section 3.2), as in PyTorch.

    Args:
        num_features: c, the number of channels.
        eps: added to the variance, inside of the root.
        momentum: the weight of the new batch in the running statistics; None gives all batches the same.
        affine: whether there are a learned scale (weight) and shift (bias), each of shape (c,).
        track_running_stats: whether running statistics are kept, and used in eval mode.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", nn.Parameter(torch.ones(num_features)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(num_features)) if affine else None)
        kept = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features) if kept else None)
        self.register_buffer("running_var", torch.ones(num_features) if kept else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if kept else None)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize with the batch's statistics in training mode, and with the running ones in eval mode.

        Args:
            x: feature maps of shape (n, c, h, w).

        Returns:
            A tensor of x's shape and dtype. x keeps its values.

        Raises:
            ValueError: when x has another number of dimensions or channels, or, where the batch's statistics are used,
                only one value for each channel.
        """
        ### BEGIN SOLUTION
        if x.dim() != 4 or x.shape[1] != self.num_features:
            raise ValueError(f"x should have the shape (n, {self.num_features}, h, w), but it has {tuple(x.shape)}")
        dims, shape = (0, 2, 3), (1, -1, 1, 1)
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        if self.training or not self.track_running_stats:
            m = x.numel() // self.num_features
            if m < 2:
                raise ValueError("one value for each channel has no variance")
            mean = values.mean(dims)
            var = (values - mean.reshape(shape)).square().mean(dims)
            if self.track_running_stats:
                with torch.no_grad():
                    self.num_batches_tracked += 1
                    alpha = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
                    self.running_mean += alpha * (mean - self.running_mean)
                    self.running_var += alpha * (var * m / (m - 1) - self.running_var)
        else:
            mean, var = self.running_mean, self.running_var
        y = (values - mean.reshape(shape)) / (var + self.eps).sqrt().reshape(shape)
        if self.affine:
            y = self.weight.reshape(shape) * y + self.bias.reshape(shape)
        return y.to(x.dtype)
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_BatchNorm2d", "grade": true, "points": 4}
norm = BatchNorm2d(3)
maps = torch.arange(24.0).reshape(2, 3, 2, 2)
seen = norm(maps)
assert seen.shape == maps.shape, f"The shape stays {tuple(maps.shape)}. Yours is {tuple(seen.shape)}."
assert torch.allclose(seen.mean((0, 2, 3)), torch.zeros(3), atol=1e-5), (
    f"In training each channel has mean 0 over samples and positions. Yours have {seen.mean((0, 2, 3))}."
)
assert torch.allclose(norm.running_mean, torch.tensor([0.75, 1.15, 1.55])), (
    f"The channels' means are 7.5, 11.5 and 15.5; a tenth of them goes in. Yours are {norm.running_mean}."
)
assert norm.running_var.shape == (3,), f"One running variance for each channel. Yours is {norm.running_var}."
seen = norm.eval()(torch.ones(1, 3, 1, 1))
assert seen.shape == (1, 3, 1, 1), "In eval mode, a single pixel is fine."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("batch_normalization", "BatchNorm2d", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Fold it away
#
# *medium: about 15 lines, about 15 minutes, 3 points*
#
# In eval mode, batch normalization multiplies each channel by a number and adds another: so does the convolution before
# it. One convolution can do both (Ioffe and Szegedy 2015, algorithm 2, line 11). With weights $W$ and bias $b$ of the
# convolution, for every **output** channel $k$:
#
# $$W'_k = \frac{\gamma_k}{\sqrt{q_k + \varepsilon}}\, W_k, \qquad\qquad
# b'_k = \frac{\gamma_k}{\sqrt{q_k + \varepsilon}}\, (b_k - r_k) + \beta_k,$$
#
# where $r$ and $q$ are `bn.running_mean` and `bn.running_var`. Return a new `nn.Conv2d` that gives for every input what
# `bn`, in eval mode, makes of `conv`'s output.
#
# - **The result** is an `nn.Conv2d` with a bias, its weight and bias are `nn.Parameter`s in `conv`'s dtype that belong
#   to no graph. Stride, padding (a string too), dilation, groups and padding mode are `conv`'s.
# - **`conv`** may have no bias, and any `groups`. Its `weight` has the shape (out, in / groups, height, width).
# - **`bn`** may have `affine=False`: `bn.weight` and `bn.bias` are then None. It may be in training mode: fold the
#   running statistics all the same. In the tests it is PyTorch's `nn.BatchNorm2d`, so exercises 3 and 4 need not work.
# - **Nothing else changes:** `conv` and `bn` keep weights, buffers and modes, and the new layer shares no memory with
#   them.
# - **Not possible:** a `bn` without running statistics (`bn.running_mean` is None), or one whose `num_features` is not
#   the number of output channels of `conv`, raises a `ValueError`.
#
# PyTorch's own folding (`torch.nn.utils.fusion`, `fuse_conv_bn_eval` and their kin) is not allowed.


# %% nbgrader={"grade_id": "fold_batch_norm", "solution": true}
def fold_batch_norm(conv: nn.Conv2d, bn: nn.Module) -> nn.Conv2d:
    """Put a batch normalization in eval mode into the convolution before it.

    Args:
        conv: the convolution, with or without bias, with any groups.
        bn: the batch normalization of its output, as torch.nn.BatchNorm2d: eps, running_mean and running_var of shape
            (out_channels,), weight and bias of that shape or None.

    Returns:
        A new convolution with bias, which shares no memory with conv and bn.

    Raises:
        ValueError: when bn has no running statistics, or not as many channels as conv gives.
    """
    ### BEGIN SOLUTION
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError("bn has no running statistics")
    if len(bn.running_mean) != conv.out_channels:
        raise ValueError(f"bn has {len(bn.running_mean)} channels, conv gives {conv.out_channels}")
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        scale = 1 / (bn.running_var + bn.eps).sqrt()
        scale = scale if bn.weight is None else scale * bn.weight
        bias = -bn.running_mean if conv.bias is None else conv.bias - bn.running_mean
        shift = bias * scale if bn.bias is None else bias * scale + bn.bias
        folded.weight = nn.Parameter(conv.weight * scale.reshape(-1, 1, 1, 1))
        folded.bias = nn.Parameter(shift)
    return folded
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_fold_batch_norm", "grade": true, "points": 3}
conv, bn = nn.Conv2d(1, 2, kernel_size=1, bias=False), nn.BatchNorm2d(2, eps=1.0)
with torch.no_grad():
    conv.weight.copy_(torch.tensor([3.0, 5.0]).reshape(2, 1, 1, 1))
    bn.running_mean.copy_(torch.tensor([1.0, 2.0]))
    bn.running_var.copy_(torch.tensor([3.0, 0.0]))
    bn.weight.copy_(torch.tensor([2.0, 10.0]))
    bn.bias.copy_(torch.tensor([4.0, 7.0]))
folded = fold_batch_norm(conv, bn)
assert isinstance(folded, nn.Conv2d) and folded is not conv, "Return a new nn.Conv2d."
assert torch.allclose(folded.weight.flatten(), torch.tensor([3.0, 50.0])), (
    f"The factors gamma / sqrt(running_var + eps) are 2/2 and 10/1. Your weights are {folded.weight.flatten()}."
)
assert folded.bias is not None, "The new convolution needs a bias, also when the old one has none."
assert torch.allclose(folded.bias, torch.tensor([3.0, -13.0])), (
    f"Without a bias in conv, the new one is beta less the factor times the running mean. Yours is {folded.bias}."
)
assert torch.equal(conv.weight.flatten(), torch.tensor([3.0, 5.0])), "The old convolution keeps its weights."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("batch_normalization", "fold_batch_norm", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: with the batch, and without
#
# The next cell is not graded. A small convolutional network with your `BatchNorm2d` learns 2,000 images, from three
# seeds. Then it says what it thinks of 1,000 test images, in training mode (each batch normalized by itself) and in
# eval mode (running statistics), in batches of several sizes. Which mode does not care who else is in the batch?
#
# Last, your `fold_batch_norm` removes the normalizations. Run the cell of the first picture before: it loads the data.

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
SIZES = (2, 4, 10, 50, 250)


def train_network(seed: int) -> nn.Sequential:
    """Train a small convolutional network with batch normalization for 100 steps, and return it."""
    generator = seed_everything(seed)
    network = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False), BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, padding=1, bias=False), BatchNorm2d(16), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(16 * 7 * 7, 10)),
    ).to(where)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for rows in torch.randperm(len(images), generator=generator)[:2000].repeat(3).split(60):
        loss = F.cross_entropy(network(images[rows].to(where)), labels[rows].to(where))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


def score(network: nn.Sequential, size: int) -> tuple[float, float]:
    """Return loss and accuracy on the test images, in batches of this size and the network's mode."""
    with torch.no_grad():
        network = copy.deepcopy(network)  # in training mode, batch normalization keeps what it sees
        logits = torch.cat([network(part) for part in test_x.split(size)])
    return F.cross_entropy(logits, test_y).item(), (logits.argmax(1) == test_y).float().mean().item()


def folded_network(network: nn.Sequential) -> nn.Sequential:
    """Return the network with each batch normalization put into the convolution before it."""
    layers = []
    for layer in copy.deepcopy(network).eval():
        if isinstance(layer, BatchNorm2d):
            layers[-1] = fold_batch_norm(layers[-1], layer)
        else:
            layers.append(layer)
    return nn.Sequential(*layers)


def with_and_without() -> object:
    """Print what folding saves, and return a picture of accuracies by batch size, in both modes."""
    networks = [train_network(seed) for seed in (0, 1, 2)]
    scores = {
        mode: np.array([[score(n.train(mode), s) for s in SIZES] for n in networks])  # (seeds, sizes, 2)
        for mode in (True, False)
    }
    with torch.no_grad():
        before = [n.eval()(test_x) for n in networks]
        after = [folded_network(n)(test_x) for n in networks]
    worst = max((a - b).abs().max().item() for a, b in zip(after, before, strict=True))
    same = sum(int((a.argmax(1) == b.argmax(1)).sum()) for a, b in zip(after, before, strict=True))
    slim = folded_network(networks[0])
    # One multiplication and one addition for each value that a batch normalization sees: 8 x 14 x 14, and twice
    # 16 x 7 x 7. What the normalization needs is mean, variance, gamma and beta of each channel.
    values = 8 * 14 * 14 + 2 * 16 * 7 * 7
    print(
        f"Folded: {len(networks[0])} layers become {len(slim)}, and {2 * values:,} operations per image are gone. "
        f"Parameters: {sum(p.numel() for p in networks[0].parameters()):,} and "
        f"{sum(b.numel() for name, b in networks[0].named_buffers() if 'running' in name)} running statistics before, "
        f"{sum(p.numel() for p in slim.parameters()):,} after. "
        f"The outputs differ by at most {worst:.1e}, and {same:,} of {len(before) * len(test_x):,} predictions agree."
    )

    def draw(left, right):
        for axes, number, label in ((left, 0, "test loss"), (right, 1, "test accuracy")):
            for mode, color, name in ((True, RED, "training mode"), (False, BLUE, "eval mode")):
                band(axes, np.arange(len(SIZES)), scores[mode][:, :, number], color=color, label=name)
            axes.set(xlabel="batch size", ylabel=label, xticks=range(len(SIZES)), xticklabels=SIZES)
        left.legend()

    def told(mode: bool, size: int) -> str:
        loss, accuracy = np.median(scores[mode][:, SIZES.index(size)], axis=0)
        return f"loss {loss:.2f}, accuracy {accuracy:.1%}"

    spread = np.ptp(scores[False][:, :, 1], axis=1).max()
    steady = "the batch size changes no accuracy" if spread < 1e-3 else f"accuracies differ by up to {spread:.1%}"
    return figure(
        draw,
        panels=2,
        height=3.2,
        alt="On 1,000 test images, median of three seeds: training mode, "
        + "; ".join(f"batches of {size}: {told(True, size)}" for size in (SIZES[0], SIZES[-1]))
        + f". Eval mode, batches of {SIZES[0]}: {told(False, SIZES[0])}; over all sizes {steady}.",
    )


test_x, test_y = (part[::2].to(where) for part in fashion_mnist(train=False))
try:
    picture = with_and_without()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 4 and 5 first, then run this cell again.")
picture
