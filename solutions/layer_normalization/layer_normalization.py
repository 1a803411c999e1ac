# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Layer normalization
#
# Chapter [Layer normalization](../../book/layer_normalization.md) took the mean and the variance from one sample
# alone, so that no sample depends on its batch. Here you build that: the function, its gradient by hand, the module,
# and two relatives, group normalization and RMSNorm. Five exercises, 20 points, about 90 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Means and variances you compute yourself, with `mean`, `var`, `sum`, NumPy or a loop. PyTorch's own normalizations
# (`F.layer_norm`, `nn.LayerNorm`, and their kin for batches, groups, instances and RMS) are not allowed in any
# exercise.
#
# Letters are the lecture's: $\mu$ mean, $\sigma$ standard deviation, $\gamma$ scale and $\beta$ shift. $\gamma$ and
# $\beta$ have an entry for each feature. $\epsilon$ keeps the division away from 0.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# %% [markdown]
# ## 1. One sample at a time
#
# *medium: about ten lines, about 15 minutes, 4 points*
#
# For a sample with the features $x_1, \dots, x_d$ (Ba, Kiros and Hinton 2016, equations 3 and 4):
#
# $$\mu = \frac{1}{d} \sum_{j=1}^{d} x_j, \qquad \sigma^2 = \frac{1}{d} \sum_{j=1}^{d} (x_j - \mu)^2, \qquad
# y_j = \gamma_j\, \frac{x_j - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta_j.$$
#
# The sum of squares is divided by $d$, not by $d - 1$. What the features are, `normalized_shape` says: they are all
# elements of the last dimensions of $x$, as many dimensions as `normalized_shape` has. For an `x` of shape
# `(32, 10, 4, 6)`, `normalized_shape=6` takes a mean over 6 numbers, 32 x 10 x 4 times, and `normalized_shape=(4, 6)`
# one over 24 numbers, 32 x 10 times.
#
# What your function does:
#
# - **`normalized_shape`** is an int, a tuple, a list or a `torch.Size`, with at least one dimension. When the last
#   dimensions of `x` are not exactly `normalized_shape`, or `x` has too few, your function raises a `ValueError` that
#   says so in a sentence.
# - **The dimensions in front** are those of the samples, however many: none (`x` is one sample), one, or more. With no
#   samples, as in the shape `(0, 6)`, the result is just as empty.
# - **`gamma` and `beta`** have the shape `normalized_shape`. Each of them may be None, and is left out then.
# - **Constant samples** give `beta`, or 0 without one. No nan.
# - **Large means.** In float32, samples around 10,000 with a standard deviation of 1 come out right to two digits.
# - **dtype.** The result has `x`'s dtype. Where that is float16 or bfloat16, compute in float32 and round at the end;
#   `gamma` and `beta` are then float32 or of `x`'s dtype. Otherwise they have `x`'s dtype, float32 or float64.
# - **The inputs** keep their values, and need not lie contiguously in memory (a transposed `x`, say). Gradients flow to
#   `x`, `gamma` and `beta`.
#
# <details><summary>Hint: several dimensions</summary>
#
# `x.mean(dim=(-2, -1), keepdim=True)` takes the mean over the last two dimensions.
#
# </details>
# <details><summary>Hint: large means</summary>
#
# $\overline{x^2} - \mu^2$ is the variance too, on paper. In float32 it subtracts $10^8$ from $10^8$, and the spacing of
# float32 numbers there is 8.
#
# </details>


# %% nbgrader={"grade_id": "layer_norm", "solution": true}
def layer_norm(
    x: torch.Tensor,
    normalized_shape: int | Sequence[int],
    gamma: torch.Tensor | None = None,
    beta: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Normalize each sample by its own mean and variance (Ba, Kiros and Hinton 2016, Eq. 3-4).

    Args:
        x: samples, of shape (..., *normalized_shape), any number of dimensions in front.
        normalized_shape: the last dimensions of x, which one mean and one variance are taken over.
        gamma: scale, of shape normalized_shape; None leaves it out.
        beta: shift, of shape normalized_shape; None leaves it out.
        eps: what is added to the variance, inside of the root.

    Returns:
        A new tensor of x's shape and dtype. The inputs keep their values.

    Raises:
        ValueError: when the last dimensions of x are not normalized_shape.
    """
    ### BEGIN SOLUTION
    features = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(x.shape[-len(features) :]) != features:
        raise ValueError(f"x should end in the dimensions {features}, but it has the shape {tuple(x.shape)}")
    dims = tuple(range(-len(features), 0))
    y = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    y = y - y.mean(dims, keepdim=True)
    y = y / torch.sqrt((y**2).mean(dims, keepdim=True) + eps)
    if gamma is not None:
        y = y * gamma
    if beta is not None:
        y = y + beta
    return y.to(x.dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_layer_norm", "grade": true, "points": 4}
books = torch.tensor([[1.0, 3.0, 5.0, 7.0], [10.0, 30.0, 50.0, 70.0]])
seen = layer_norm(books, 4, eps=0.0)
assert isinstance(seen, torch.Tensor) and seen.shape == (2, 4), f"The result has the shape of x, (2, 4). Yours: {seen}."
assert torch.allclose(seen[0], torch.tensor([-3.0, -1.0, 1.0, 3.0]) / math.sqrt(5)), (
    f"1, 3, 5, 7 has the mean 4 and, divided by d = 4, the variance 5. You made of it {seen[0]}."
)
assert torch.allclose(seen[0], seen[1]), "The second sample is ten times the first: normalized, they are the same."
seen = layer_norm(books, (4,), gamma=torch.tensor([1.0, 2.0, 0.0, 1.0]), beta=torch.tensor([0.0, 0.0, 7.0, 1.0]))
assert math.isclose(seen[1, 2], 7.0, rel_tol=1e-4), (
    f"gamma and beta have an entry for each feature, and those of the third are 0 and 7. You made of it {seen[1, 2]}."
)
assert torch.allclose(layer_norm(torch.full((2, 3), 5.0), [3]), torch.zeros(2, 3), atol=1e-3), (
    "A constant sample has nothing left but its mean: zeros come out, not nan."
)
seen = layer_norm(torch.arange(24.0).view(2, 3, 4), (3, 4))
assert torch.allclose(seen.mean((1, 2)), torch.zeros(2), atol=1e-5) and seen[0, 0].mean() < -1, (
    "normalized_shape=(3, 4) means one mean over all 12 numbers of the last two dimensions."
)
try:
    layer_norm(books, 3)
except ValueError:
    pass
else:
    raise AssertionError("x has 4 features: normalized_shape=3 should raise a ValueError.")
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("layer_normalization", "layer_norm", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Backward, by hand
#
# *hard: pen and paper, then four lines to eight, about 25 minutes, 5 points*
#
# Once, you compute the gradient yourself. With $s = \sqrt{\sigma^2 + \epsilon}$ the forward pass of one sample is
#
# $$\hat x_j = \frac{x_j - \mu}{s}, \qquad y_j = \gamma_j\, \hat x_j + \beta_j.$$
#
# Given is `dy`, which holds $\partial \mathcal{L} / \partial y_j$, and what the forward pass kept: `cache` =
# `(x_hat, gamma, std)`, where `std` is $s$, the $\epsilon$ included. Wanted are the gradients for $x$, $\gamma$ and
# $\beta$:
#
# $$\frac{\partial \mathcal{L}}{\partial x_k} = \sum_{j=1}^{d} \frac{\partial \mathcal{L}}{\partial y_j}\, \gamma_j\,
# \frac{\partial \hat x_j}{\partial x_k}, \qquad
# \frac{\partial \mathcal{L}}{\partial \gamma_j} = \sum_{\text{samples}} \frac{\partial \mathcal{L}}{\partial y_j}\,
# \hat x_j, \qquad
# \frac{\partial \mathcal{L}}{\partial \beta_j} = \sum_{\text{samples}} \frac{\partial \mathcal{L}}{\partial y_j}.$$
#
# The first needs work: every $x_k$ moves the mean and the variance, and through them every $\hat x_j$ of its sample. In
# the end you need no sum over pairs $(j, k)$, only two means over the features of the sample.
#
# What your function does:
#
# - **Shapes.** `dy` and `x_hat` are `(..., d)`, `gamma` is `(d,)`, `std` is `(..., 1)`. There may be any number of
#   dimensions in front, none too, and no samples at all (then `dgamma` and `dbeta` are zeros). `dx` has the shape of
#   `x_hat`; `dgamma` and `dbeta` have the shape `(d,)`.
# - **By hand** means without autograd: no `requires_grad`, no `backward()`, nothing of `torch.autograd` or
#   `torch.func`.
# - **The inputs** keep their values, need not lie contiguously in memory, and all have one dtype, float32 or float64.
#   The three results are new tensors of that dtype.
#
# <details><summary>Hint: how x_hat changes</summary>
#
# The derivative of $\mu$ by $x_k$ is $1/d$. That of $\sigma^2$ is $2 (x_k - \mu) / d$, so that of $s$ is
# $\hat x_k / d$. The quotient rule then gives
# $\partial \hat x_j / \partial x_k = \left(\delta_{jk} - \tfrac1d - \tfrac1d\, \hat x_j \hat x_k\right) / s$,
# with $\delta_{jk} = 1$ for $j = k$ and else 0.
#
# </details>
# <details><summary>Hint: check yourself</summary>
#
# `dx` sums to 0 over the features of each sample, whatever `dy` is: adding a constant to all features changes
# nothing in $y$.
#
# </details>


# %% nbgrader={"grade_id": "layer_norm_backward", "solution": true}
def layer_norm_backward(
    dy: torch.Tensor, cache: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the gradients of layer normalization over the last dimension, without autograd.

    Args:
        dy: the gradient of the loss by the result, of shape (..., d).
        cache: (x_hat, gamma, std): the normalized samples, of shape (..., d); the scale, of shape (d,); and
            sqrt(variance + eps) of each sample, of shape (..., 1).

    Returns:
        (dx, dgamma, dbeta): the gradients of the loss by x, of shape (..., d), and by gamma and beta, of shape (d,).
        New tensors; the inputs keep their values.
    """
    ### BEGIN SOLUTION
    x_hat, gamma, std = cache
    g = dy * gamma
    dx = (g - g.mean(-1, keepdim=True) - x_hat * (g * x_hat).mean(-1, keepdim=True)) / std
    d = len(gamma)
    return dx, (dy * x_hat).reshape(-1, d).sum(0), dy.reshape(-1, d).sum(0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_layer_norm_backward", "grade": true, "points": 5}
# One sample with two features, 3 and 7: mean 5, variance 4; eps is 0. So x_hat is -1 and 1, and std is 2.
two = torch.tensor([[-1.0, 1.0]]), torch.tensor([1.0, 1.0]), torch.tensor([[2.0]])
seen, dgamma, dbeta = layer_norm_backward(torch.tensor([[5.0, 8.0]]), two)
assert torch.allclose(dbeta, torch.tensor([5.0, 8.0])), f"beta is added, so dbeta is dy, summed. Yours is {dbeta}."
assert torch.allclose(dgamma, torch.tensor([-5.0, 8.0])), f"dgamma is dy * x_hat, summed. Yours is {dgamma}."
assert torch.allclose(seen, torch.zeros(1, 2), atol=1e-6), (
    f"Two features, normalized, are -1 and 1 whatever they were: their gradient is 0. Your dx is {seen}."
)
# Another sample: 1, 2 and 6, with mean 3 and variance 14 / 3.
root = math.sqrt(14 / 3)
three = torch.tensor([[-2.0, -1.0, 3.0]]) / root, torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[root]])
seen, dgamma, dbeta = layer_norm_backward(torch.ones(1, 3), three)
assert abs(seen.sum()) < 1e-5, f"Adding a constant to x changes nothing, so dx sums to 0. Yours sums to {seen.sum()}."
assert torch.allclose(seen[0], torch.tensor([-4.0, 5.0, -1.0]) / (14 * root), atol=1e-5), (
    f"For the sample (1, 2, 6), gamma (1, 2, 3) and a loss that is the sum of all y, dx is not yet right: {seen}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("layer_normalization", "layer_norm_backward", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The module
#
# *medium: about 20 lines, about 20 minutes, 4 points*
#
# $$\text{LayerNorm}(x) = w \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + b,$$
#
# with the mean and variance of exercise 1 over the last dimensions. $w$ and $b$ are $\gamma$ and $\beta$ under
# PyTorch's names, and they are learned. You may call your `layer_norm`, or write the lines again; exercise 1 need not
# work for this one.
#
# What your class does:
#
# - **`LayerNorm(normalized_shape, eps=1e-5, elementwise_affine=True, bias=True)`** is built as `nn.LayerNorm` is.
#   `normalized_shape` is an int, a tuple, a list or a `torch.Size`, and is kept as a tuple in `self.normalized_shape`;
#   `eps` is kept as `self.eps`.
# - **Parameters.** `self.weight` and `self.bias` are parameters of the shape `normalized_shape`, ones and zeros at the
#   start, float32. With `bias=False`, `self.bias` is None. With `elementwise_affine=False` both are None.
# - **State.** There is nothing else in `state_dict()`, so no buffers. `load_state_dict` accepts what an `nn.LayerNorm`
#   with the same settings saved, and the other way round. After loading, the result follows; after `.double()` it is
#   float64 for float64 inputs; a deep copy is a module of its own.
# - **Modes.** Training and eval mode give the same, and no call changes the module. The result for a sample does not
#   depend on the others in the batch, and a batch of one works.
# - **Input.** Any number of dimensions in front, none too; no samples at all; `ValueError` when the last dimensions are
#   not `normalized_shape`. `x` keeps its values, and need not be contiguous.
# - **dtype.** The result has the dtype of `x`. A float16 or bfloat16 `x` is computed in float32, with parameters in
#   float32 (as `nn.LayerNorm` does on the CPU) or in `x`'s dtype.
# - **Gradients** flow to `x` and to both parameters.
#
# <details><summary>Hint: parameters</summary>
#
# `nn.Parameter(torch.ones(shape))`, set as an attribute after `super().__init__()`, is a parameter of the module.
#
# </details>


# %% nbgrader={"grade_id": "LayerNorm", "solution": true}
class LayerNorm(nn.Module):
    """Layer normalization with a learned scale and shift for each feature (Ba, Kiros and Hinton 2016).

    Args:
        normalized_shape: the last dimensions of the input, which one mean and one variance are taken over.
        eps: what is added to the variance, inside of the root.
        elementwise_affine: learn a scale and a shift.
        bias: learn a shift; without elementwise_affine there is none either way.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(self.normalized_shape)) if elementwise_affine else None
        self.bias = nn.Parameter(torch.zeros(self.normalized_shape)) if elementwise_affine and bias else None
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize each sample by its own mean and variance, then scale and shift each feature.

        Args:
            x: samples, of shape (..., *normalized_shape).

        Returns:
            A tensor of x's shape and dtype. x keeps its values.

        Raises:
            ValueError: when the last dimensions of x are not normalized_shape.
        """
        ### BEGIN SOLUTION
        k = len(self.normalized_shape)
        if tuple(x.shape[-k:]) != self.normalized_shape:
            raise ValueError(f"x should end in {self.normalized_shape}, but it has the shape {tuple(x.shape)}")
        dims = tuple(range(-k, 0))
        y = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        y = y - y.mean(dims, keepdim=True)
        y = y / torch.sqrt((y**2).mean(dims, keepdim=True) + self.eps)
        if self.weight is not None:
            y = y * self.weight
        if self.bias is not None:
            y = y + self.bias
        return y.to(x.dtype)
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_LayerNorm", "grade": true, "points": 4}
norm = LayerNorm(4)
assert isinstance(norm.weight, nn.Parameter) and torch.equal(norm.weight, torch.ones(4)), (
    "self.weight is an nn.Parameter with an entry for each feature, ones at the start."
)
assert isinstance(norm.bias, nn.Parameter) and torch.equal(norm.bias, torch.zeros(4)), (
    "self.bias is an nn.Parameter with an entry for each feature, zeros at the start."
)
theirs = nn.LayerNorm(4)
with torch.no_grad():
    theirs.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    theirs.bias.copy_(torch.tensor([0.0, 0.0, 5.0, 5.0]))
norm.load_state_dict(theirs.state_dict())
samples = torch.tensor([[1.0, 3.0, 5.0, 7.0], [2.0, 0.0, 0.0, 8.0]])
for mode in (True, False):
    seen, wanted = norm.train(mode)(samples), theirs(samples)
    assert torch.allclose(seen, wanted, atol=1e-5), (
        f"With the weight and bias of an nn.LayerNorm, the result should be its result, {wanted}. Yours is {seen}."
    )
assert torch.allclose(norm(samples[:1]), theirs(samples[:1]), atol=1e-5), "A batch of one gives what it gives in two."
assert LayerNorm((2, 4), bias=False).bias is None, "With bias=False, self.bias is None."
assert list(LayerNorm(4, elementwise_affine=False).parameters()) == [], "elementwise_affine=False learns nothing."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("layer_normalization", "LayerNorm", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Groups of channels
#
# *medium: about eight lines, about 20 minutes, 4 points*
#
# In a feature map, one mean over all channels mixes edges with colours; one for each channel is lonely. Group
# normalization (Wu and He 2018) lies between. The $c$ channels are cut into `groups` groups of neighbours, the first
# $c$ / `groups` channels being the first group. Each sample has one mean and one variance for each group, over the
# group's channels and all positions. With $\mathcal{G}(j)$ the group of channel $j$ and $P$ the number of positions,
#
# $$\mu_{ng} = \frac{\text{groups}}{c\, P} \sum_{j \in g,\, p} x_{njp}, \qquad
# y_{njp} = \gamma_j\, \frac{x_{njp} - \mu_{n\mathcal{G}(j)}}{\sqrt{\sigma^2_{n\mathcal{G}(j)} + \epsilon}} + \beta_j,$$
#
# with $\sigma^2_{ng}$ over the same numbers as the mean, and divided by their count, not by one less.
#
# What your function does:
#
# - **`x`** has the shape `(n, c, *positions)`: a batch of at least one sample, channels, and then any number of
#   dimensions, also none as in `(n, c)`. It is float32 or float64, and the result has its shape and dtype.
# - **`gamma` and `beta`** have the shape `(c,)` and `x`'s dtype: an entry for each *channel*, in whatever group. Each
#   of them may be None, and is left out then.
# - **Bad settings.** When `groups` is below 1, or does not divide the channels, it raises a `ValueError`.
# - **Memory.** `x` may lie in memory in any order (transposed, or as `torch.channels_last`). It keeps its values.
# - **Large means.** As in exercise 1: float32 samples around 10,000 with a standard deviation of 1 come out right to
#   two digits. A constant group gives `beta`, or 0.
# - **Gradients** flow to `x`, `gamma` and `beta`.
#
# `groups=1` takes one mean for each sample, as layer normalization over `(c, *positions)` does; only $\gamma$ and
# $\beta$ differ in shape. `groups=c` is called instance normalization.


# %% nbgrader={"grade_id": "group_norm", "solution": true}
def group_norm(
    x: torch.Tensor,
    groups: int,
    gamma: torch.Tensor | None = None,
    beta: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    """Normalize each group of channels of each sample by its own mean and variance (Wu and He 2018, Eq. 1-7).

    Args:
        x: a batch, of shape (n, c, *positions), with n at least 1.
        groups: how many groups of c / groups neighbouring channels there are.
        gamma: scale, of shape (c,); None leaves it out.
        beta: shift, of shape (c,); None leaves it out.
        eps: what is added to the variance, inside of the root.

    Returns:
        A new tensor of x's shape and dtype. The inputs keep their values.

    Raises:
        ValueError: when groups is below 1 or does not divide c.
    """
    ### BEGIN SOLUTION
    n, c = x.shape[:2]
    if groups < 1 or c % groups:
        raise ValueError(f"groups should be a divisor of the {c} channels, but it is {groups}")
    y = x.reshape(n, groups, -1)
    y = y - y.mean(-1, keepdim=True)
    y = y / torch.sqrt((y**2).mean(-1, keepdim=True) + eps)
    y = y.reshape(x.shape)
    each_channel = (c,) + (1,) * (x.dim() - 2)
    if gamma is not None:
        y = y * gamma.reshape(each_channel)
    if beta is not None:
        y = y + beta.reshape(each_channel)
    return y
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_group_norm", "grade": true, "points": 4}
# Four channels with three positions: the first two around 0, the last two around 100.
maps = torch.tensor([[[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0], [99.0, 100.0, 101.0], [101.0, 100.0, 99.0]]])
seen = group_norm(maps, 2)
assert isinstance(seen, torch.Tensor) and seen.shape == maps.shape, f"The result has the shape of x. Yours: {seen}."
assert torch.allclose(seen[0, :2], seen[0, 2:], atol=1e-3), (
    f"Channels 0 and 1 are the first group, 2 and 3 the second: their means are 0 and 100. Yours gives {seen[0]}."
)
assert torch.allclose(seen[0, 0], torch.tensor([-1.0, 0.0, 1.0]) * math.sqrt(1.5), atol=1e-3), (
    f"Six numbers are in the first group, with mean 0 and variance 4 / 6. You made {seen[0, 0]} of channel 0."
)
assert group_norm(maps, 1)[0, :2].max() < -0.9, "With one group, channels 0 and 1 are far below the mean of 50."
seen = group_norm(maps, 2, beta=torch.tensor([0.0, 10.0, 20.0, 30.0]))
assert torch.allclose(seen[0].mean(-1), torch.tensor([0.0, 10.0, 20.0, 30.0]), atol=1e-3), (
    f"beta has an entry for each channel. The means of your channels are {seen[0].mean(-1)}."
)
try:
    group_norm(maps, 3)
except ValueError:
    pass
else:
    raise AssertionError("Three groups of four channels are not possible: raise a ValueError.")
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("layer_normalization", "group_norm", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Without the mean
#
# *easy: three lines to five, about 10 minutes, 3 points*
#
# Zhang and Sennrich (2019, equation 4) keep the rescaling and leave out the centring, and the shift with it. Many
# language models use it. They divide by the *root mean square* of the features:
#
# $$y_j = \gamma_j\, \frac{x_j}{\sqrt{\frac{1}{d} \sum_{k=1}^{d} x_k^2 + \epsilon}}.$$
#
# The paper has no $\epsilon$; the models do, inside of the root.
#
# What your function does:
#
# - **`x`** has the shape `(..., d)`, with any number of dimensions in front, none too, and perhaps no samples. The mean
#   is over the last dimension alone. The result has `x`'s shape; a sample of zeros gives zeros.
# - **`gamma`** has the shape `(d,)`, or is None and left out.
# - **dtype.** The result has `x`'s dtype. Where that is float16 or bfloat16, compute in float32 and round at the end
#   (in float16 the square of 300 is already infinite); `gamma` is then float32 or of `x`'s dtype. Otherwise it has
#   `x`'s dtype, float32 or float64.
# - **The inputs** keep their values, and gradients flow to both.


# %% nbgrader={"grade_id": "rms_norm", "solution": true}
def rms_norm(x: torch.Tensor, gamma: torch.Tensor | None = None, eps: float = 1e-5) -> torch.Tensor:
    """Divide each sample by the root mean square of its features (Zhang and Sennrich 2019, Eq. 4).

    Args:
        x: samples, of shape (..., d).
        gamma: scale, of shape (d,); None leaves it out.
        eps: what is added to the mean square, inside of the root.

    Returns:
        A new tensor of x's shape and dtype. The inputs keep their values.
    """
    ### BEGIN SOLUTION
    y = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    y = y * torch.rsqrt((y**2).mean(-1, keepdim=True) + eps)
    if gamma is not None:
        y = y * gamma
    return y.to(x.dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_rms_norm", "grade": true, "points": 3}
seen = rms_norm(torch.tensor([[1.0, 7.0], [10.0, 70.0]]), eps=0.0)
assert isinstance(seen, torch.Tensor) and seen.shape == (2, 2), f"The result has the shape of x, (2, 2). Yours: {seen}."
assert torch.allclose(seen[0], torch.tensor([0.2, 1.4])), (
    f"The mean of 1 and 49 is 25, so 1 and 7 are divided by 5. You made of them {seen[0]}."
)
assert torch.allclose(seen[0], seen[1]), "The second sample is ten times the first: normalized, they are the same."
seen = rms_norm(torch.tensor([1.0, 7.0]), torch.tensor([10.0, 100.0]), eps=0.0)
assert torch.allclose(seen, torch.tensor([2.0, 140.0])), f"gamma has an entry for each feature. Yours gives {seen}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("layer_normalization", "rms_norm", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: one table, three normalizations
#
# The next cell is not graded. It counts words in four imagined texts (the counts are made up). The abridgement is the
# novel at a tenth of its length. Batch normalization takes the mean of each *column*, over the texts: your `layer_norm`
# of the transposed table does that. Layer normalization and RMSNorm take it from each *row*. Which of the three notices
# that the abridgement is the same kind of text as the novel? In which of them does every number have the sign of the
# count?

# %% nbgrader={"grade_id": "table", "locked": true} tags=["payoff"]
from ravines.plots import BLUE, GREY, ORANGE, figure

TEXTS = ("novel", "abridgement", "play", "poem")
KINDS = ("verbs", "adjectives", "nouns", "adverbs")
COUNTS = torch.tensor(
    [[24_000.0, 11_000, 32_000, 9_000], [2_400, 1_100, 3_200, 900], [3_100, 700, 4_000, 650], [60, 95, 160, 20]]
)


def three_tables() -> object:
    """Return a picture of the table after batch normalization, layer normalization and RMSNorm."""
    tables = {
        "Batch: by column": layer_norm(COUNTS.T, 4).T,
        "Layer: by row": layer_norm(COUNTS, 4),
        "RMSNorm: by row": rms_norm(COUNTS),
    }

    def draw(*panels):
        for axes, (name, table) in zip(panels, tables.items(), strict=True):
            axes.imshow(table, cmap="PuOr", vmin=-2, vmax=2, aspect="auto")
            for i, row in enumerate(table.tolist()):
                for j, value in enumerate(row):
                    color = "white" if value > 1 else "black"
                    axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color)
            axes.set_xticks(range(4), KINDS, fontsize=7, rotation=30)
            axes.set_yticks(range(4), TEXTS, fontsize=7)
            axes.set_title(name)
            axes.grid(False)

    apart = {name: (table[0] - table[1]).abs().max().item() for name, table in tables.items()}
    rest = tables["Batch: by column"][1:]
    return figure(
        draw,
        panels=3,
        height=2.6,
        alt="How far the novel and its abridgement are apart, at most: "
        + "; ".join(f"{name} {distance:.2f}" for name, distance in apart.items())
        + f". By column, the novel is {tables['Batch: by column'][0].mean():.2f} standard deviations above the mean, "
        + f"and the other texts lie between {rest.min():.2f} and {rest.max():.2f}. RMSNorm's smallest value is "
        + f"{tables['RMSNorm: by row'].min():.2f}.",
    )


try:
    picture = three_tables()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 1 and 5 first, then run this cell again.")
picture

# %% [markdown]
# ### See it: batches of two
#
# The next cell is not graded. A network with two hidden layers learns 2,000 images of Fashion-MNIST, without
# normalization, with PyTorch's batch normalization, and with your `LayerNorm`, from three seeds (other images, other
# weights). First with batches of 2 and a learning rate of 0.01, once through the images; then with batches of 50 and a
# learning rate of 0.1, five times through. It takes a few seconds.
#
# Each dot is a seed's accuracy on 2,000 test images. With two samples in a batch, what can batch normalization say
# about a feature, other than which of the two has more of it?

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
from ravines.data import device, fashion_mnist, seed_everything

torch.set_num_threads(1)  # the networks are so small that more threads only wait for each other
SEEDS, IMAGES, WIDTH = (0, 1, 2), 2000, 64
SETTINGS = {2: (0.01, 1), 50: (0.1, 5)}  # batch size: learning rate, epochs


def accuracy(make_norm: type[nn.Module], batch_size: int, seed: int) -> float:
    """Train a network from this seed and return its accuracy on the test images, in eval mode."""
    generator = seed_everything(seed)
    chosen = torch.randperm(len(train_x), generator=generator)[:IMAGES]
    x, y = train_x[chosen].to(where), train_y[chosen].to(where)
    network = nn.Sequential(
        *(nn.Linear(784, WIDTH), make_norm(WIDTH), nn.ReLU()),
        *(nn.Linear(WIDTH, WIDTH), make_norm(WIDTH), nn.ReLU()),
        nn.Linear(WIDTH, 10),
    ).to(where)
    lr, epochs = SETTINGS[batch_size]
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    for _ in range(epochs):
        for batch in torch.randperm(IMAGES, generator=generator).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(network(x[batch]), y[batch]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        return (network(test_x).argmax(dim=1) == test_y).float().mean().item()


def small_batches() -> object:
    """Return a picture of the test accuracies with three normalizations and two batch sizes."""
    norms = {"none": nn.Identity, "batch": nn.BatchNorm1d, "your layer": LayerNorm}
    results = {(size, n): [accuracy(norms[n], size, s) for s in SEEDS] for size in SETTINGS for n in norms}

    def draw(*panels):
        for axes, size in zip(panels, SETTINGS, strict=True):
            for i, (name, color) in enumerate(zip(norms, (GREY, ORANGE, BLUE), strict=True)):
                values = results[size, name]
                axes.plot([i] * len(values), values, "o", color=color, alpha=0.8)
                axes.plot([i - 0.25, i + 0.25], [np.median(values)] * 2, color=color)
            axes.set(title=f"Batches of {size}", ylabel="test accuracy", ylim=(0.2, 0.9), xlim=(-0.6, 2.6))
            axes.set_xticks(range(3), list(norms))

    def order(size: int) -> str:
        ranked = sorted(norms, key=lambda n: -np.median(results[size, n]))
        return ", ".join(f"{n} {np.median(results[size, n]):.1%}" for n in ranked)

    gaps = [a - b for a, b in zip(results[2, "your layer"], results[2, "batch"], strict=True)]
    agree = "with every seed" if min(gaps) > 0 or max(gaps) < 0 else "but the seeds disagree on the sign"
    return figure(
        draw,
        panels=2,
        alt="Median test accuracy, best first. "
        + " ".join(f"Batches of {size}: {order(size)}." for size in SETTINGS)
        + " With batches of 2, your layer normalization differs from batch normalization by "
        + f"{', '.join(f'{100 * g:+.0f}' for g in gaps)} percentage points, {agree}.",
    )


where = device()
train_x, train_y = fashion_mnist()
test_x, test_y = fashion_mnist(train=False)
train_x, test_x, test_y = train_x.flatten(1), test_x.flatten(1).to(where), test_y.to(where)
try:
    picture = small_batches()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercise 3 first, then run this cell again.")
picture

# %% [markdown]
# Batch normalization is not wrong with large batches; compare the two panels before you say which is better. The
# learning rates were chosen so that all three learn, not so that each is at its best. To see what the result hangs on,
# copy the cell and change `SETTINGS`.
