# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Input normalization
#
# Chapter [Input normalization](../../book/input_normalization.md) showed that a feature on a large scale makes a ravine
# of the loss. Here you take the ravine away: you fit a scale on training data and apply it to new data, do the same for
# images that do not fit into memory, measure the ravine that is left, and last turn the data until none is left.
# Five exercises, 20 points, about 95 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Three rules hold for all five.
#
# - Data `x` has a row for each example and a column for each feature, shape `(n, d)`. Its dtype is float32, float64 or
#   an integer dtype; pixels often come as uint8. Where a result should have *x's floating dtype*, that is x's own dtype
#   if it is a floating one, and float32 if x holds integers.
# - A standard deviation is the population's: divide by the number of values, not by that number minus one.
# - Leave every input as it was. It may be a view of other data, such as a transpose: `reshape` works where `view`
#   raises.
#
# Loops, PyTorch and NumPy are all fine. Where two results are asked for, a list is as good as a tuple.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections.abc import Iterable

import numpy as np
import torch

# %% [markdown]
# ## 1. Fit a scale
#
# *easy: about five lines, about 15 minutes, 3 points*
#
# Each feature $j$ gets a mean and a standard deviation of its own, over the $n$ rows:
#
# $$\mu_j = \frac1n \sum_{i=1}^n x_{ij}, \qquad \sigma_j = \sqrt{\frac1n \sum_{i=1}^n (x_{ij} - \mu_j)^2}.$$
#
# You will divide by $\sigma_j$, and real data make that harder than it looks:
#
# - **A constant feature,** all of whose values are equal, has $\sigma_j = 0$. Return 1 in its place, so that it
#   becomes 0 and not nan. Ask whether the values are equal, not whether the computed $\sigma_j$ is 0: the mean of many
#   times 0.1 may be rounded to a neighbour of 0.1, and then the computed $\sigma_j$ is tiny but not 0. A limit such as
#   $10^{-8}$ is wrong too. Some features have a unit in which they are that small, and their own $\sigma_j$ is
#   the right one.
# - **A large offset,** such as in a year, a pressure in pascal or a time stamp, costs digits if you compute in
#   float32. Compute in float64 and round at the end.
# - **Integers** must not wrap around or be cut: uint8 ends at 255.
# - **One row** is allowed: every feature is constant then. **No row** is not: raise a `ValueError`.
#
# Both results have shape `(d,)` and x's floating dtype. A mean that is that dtype's nearest number to the exact one
# is as good as it gets.


# %% nbgrader={"grade_id": "fit_standardizer", "solution": true}
def fit_standardizer(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and standard deviation of each feature.

    Args:
        x: training data of shape (n, d), float32, float64 or of an integer dtype.

    Returns:
        (mean, std), both of shape (d,) and of x's floating dtype (float32 for integers). std divides by n, and is 1
        where all values of a feature are equal.

    Raises:
        ValueError: when x has no rows.
    """
    ### BEGIN SOLUTION
    if x.shape[0] == 0:
        raise ValueError("there are no rows to fit a scale to")
    dtype = x.dtype if x.is_floating_point() else torch.float32
    exact = x.double()
    mean = exact.mean(0)
    std = (exact - mean).square().mean(0).sqrt()
    std[(x == x[0]).all(0)] = 1
    return mean.to(dtype), std.to(dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_fit_standardizer", "grade": true, "points": 3}
heights_and_ones = torch.tensor([[1.0, 0.1], [3.0, 0.1], [8.0, 0.1]])
mean, std = fit_standardizer(heights_and_ones)
assert mean.shape == (2,) and std.shape == (2,), (
    f"One mean and one std for each of the 2 features: shape (2,). Yours are {tuple(mean.shape)}, {tuple(std.shape)}."
)
assert torch.allclose(mean, torch.tensor([4.0, 0.1])), f"The means of the two columns are 4 and 0.1. Yours are {mean}."
assert abs(std[0].item() - math.sqrt(26 / 3)) < 1e-5, (
    f"The deviations are -3, -1 and 4, so the variance is 26 / 3: divide by n. Your std is {std[0]}."
)
assert std[1] == 1, f"All values of the second feature are equal, so its std should be 1. Yours is {std[1]}."
mean, std = fit_standardizer(torch.tensor([[250], [255]], dtype=torch.uint8))
assert mean.dtype == torch.float32 and std.dtype == torch.float32, f"Integers give float32. Yours is {mean.dtype}."
assert mean.tolist() == [252.5] and std.tolist() == [2.5], (
    f"250 and 255 have the mean 252.5 and the std 2.5. Yours are {mean.tolist()} and {std.tolist()}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("input_normalization", "fit_standardizer", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Apply it to any data
#
# *easy: one line to three, about 5 minutes, 2 points*
#
# $$z_{ij} = \frac{x_{ij} - \mu_j}{\sigma_j}$$
#
# The statistics are those of the **training** data, whatever `x` is. Validation and test data get the same shift and
# scale. A function that computes a mean of the `x` it is given hides it when test data have moved, lets the test set
# leak into your result, and turns a single row into zeros.
#
# So compute nothing from `x` but this difference and quotient. Use `std` as it is: exercise 1 has seen to it that no
# entry is 0, and a small constant added to it would spoil a feature that is small. The result is a new tensor of x's
# shape and x's floating dtype, also when `mean` and `std` have another dtype.


# %% nbgrader={"grade_id": "standardize", "solution": true}
def standardize(x: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Shift and scale each feature by given statistics.

    Args:
        x: data of shape (n, d), n at least 1, float32, float64 or of an integer dtype.
        mean: what to subtract from each feature, shape (d,), float32 or float64.
        std: what to divide each feature by, shape (d,), float32 or float64, above 0.

    Returns:
        (x - mean) / std, a new tensor of shape (n, d) and x's floating dtype (float32 for integers).
    """
    ### BEGIN SOLUTION
    dtype = x.dtype if x.is_floating_point() else torch.float32
    return ((x - mean) / std).to(dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_standardize", "grade": true, "points": 2}
train_mean, train_std = torch.tensor([4.0, 100.0]), torch.tensor([2.0, 50.0])
test_rows = torch.tensor([[6.0, 0.0], [8.0, 50.0]])
z = standardize(test_rows, train_mean, train_std)
assert torch.allclose(z, torch.tensor([[1.0, -2.0], [2.0, -1.0]])), (
    f"6 is one training std of 2 above the training mean of 4, so it becomes 1. Your result is {z.tolist()}."
)
assert test_rows.tolist() == [[6.0, 0.0], [8.0, 50.0]], "Your function changed x. Return a new tensor."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("input_normalization", "standardize", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Statistics of a stream of images
#
# *medium: about 12 lines, about 30 minutes, 5 points*
#
# Images share one mean and one standard deviation for each **channel**, over all images and all pixels. A data set of
# images seldom fits into memory, so it arrives in batches of shape $(n_i, C, H, W)$. The last one is often smaller.
# The statistics should be those of the whole set, as if all $N = \sum_i n_i H W$ values of a channel stood in one row.
# Averaging the batches' own means and standard deviations does not give them.
#
# Adding up $x$ and $x^2$ is enough on paper, for $\sigma^2 = \tfrac1N \sum x^2 - \mu^2$. In a computer it
# is not, if the mean is large against the deviation: near $10^9$, $x^2$ is near $10^{18}$, where neighbouring float64
# numbers are 128 apart. The difference of two such sums has nothing left of a variance of 1. The cure is to add up
# distances to a number $s$ that is near the data, the same for the whole stream, one for each channel:
#
# $$A = \sum (x - s), \quad Q = \sum (x - s)^2, \qquad
# \mu = s + \frac{A}{N}, \quad \sigma^2 = \frac{Q}{N} - \Big(\frac{A}{N}\Big)^2.$$
#
# This holds for every $s$. Take the channel's first value: it is at hand when the stream begins, and the difference of
# two float64 numbers that are near each other is exact. You may also merge each batch's mean and sum of squared
# deviations into those so far (Chan, Golub and LeVeque 1983), or update them pixel by pixel (Welford). But do it after
# the shift: near $10^9$ neighbouring float64 numbers are $10^{-7}$ apart, so a difference of two means has no more
# digits than that.
#
# - `batches` is an iterable: a list, or a **generator, which can be read only once**. A batch that you have seen does
#   not come again. `len`, `next` and indexing need not work.
# - The set may be larger than memory. Keep sums, not batches: what you hold must not grow by the size of a batch with
#   each batch.
# - Batches are float32, float64 or uint8, with the same $C$, $H$ and $W$ throughout, and $n_i \ge 1$. Both results are
#   float64, of shape `(C,)`.
# - Ten digits should be right, also where the mean is $10^9$ times the std: of the std, and of the mean relative to its
#   own size or to the std, whichever is larger.
# - A constant channel has the standard deviation 0, as it is. The 1 of exercise 1 is not wanted here.
# - Without any batch, raise a `ValueError`.


# %% nbgrader={"grade_id": "streaming_channel_stats", "solution": true}
def streaming_channel_stats(batches: Iterable[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and standard deviation of each channel, in one pass and in constant memory.

    Shifted sums and other sound ways are compared in Chan, Golub and LeVeque 1983 (Algorithms for computing the sample
    variance).

    Args:
        batches: gives tensors of shape (n_i, C, H, W), float32, float64 or uint8; read once.

    Returns:
        (mean, std), both float64 of shape (C,), over all images and pixels of the stream; std divides by their number.

    Raises:
        ValueError: when there is no batch.
    """
    ### BEGIN SOLUTION
    count = 0
    for batch in batches:
        batch = batch.double()
        if count == 0:
            shift = batch[0, :, 0, 0].clone()
            total, squares = torch.zeros_like(shift), torch.zeros_like(shift)
        distance = batch - shift[:, None, None]
        total += distance.sum((0, 2, 3))
        squares += distance.square().sum((0, 2, 3))
        count += batch.numel() // batch.shape[1]
    if count == 0:
        raise ValueError("there is no batch in the stream")
    mean = total / count
    variance = (squares / count - mean**2).clamp(min=0)  # rounding may leave a constant channel just below 0
    return shift + mean, variance.sqrt()
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_streaming_channel_stats", "grade": true, "points": 5}
small_set = (
    torch.tensor([[1.0, 3.0], [5.0, 7.0], [9.0, 5.0]])[:, None, None, :] + torch.tensor([0.0, 20.0])[:, None, None]
)
mean, std = streaming_channel_stats(part for part in (small_set[:2], small_set[2:]))
assert mean.shape == (2,) and std.shape == (2,), (
    f"One mean and one std for each of the 2 channels: shape (2,). Yours are {tuple(mean.shape)}, {tuple(std.shape)}."
)
assert mean.dtype == torch.float64 and std.dtype == torch.float64, f"Return float64. Yours is {mean.dtype}."
assert torch.allclose(mean, torch.tensor([5.0, 25.0], dtype=torch.float64)), (
    f"All six values of the first channel have the mean 5. Weigh each batch by its size. Yours are {mean.tolist()}."
)
assert torch.allclose(std, torch.full((2,), math.sqrt(20 / 3), dtype=torch.float64)), (
    f"The variance of all six values, 1 3 5 7 9 5, is 40 / 6. Your std are {std.tolist()}."
)
far_mean, far_std = streaming_channel_stats([small_set.double() + 1e9])
assert torch.allclose(far_std, std, rtol=1e-5), (
    f"Adding 1e9 to every pixel does not change the std of {std[0]:.4f}. Yours becomes {far_std[0]}: add up distances."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("input_normalization", "streaming_channel_stats", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. How deep is the ravine?
#
# *medium: about six lines, about 20 minutes, 4 points*
#
# Fit a linear model $x w + b$ by the mean squared error. With $A = [x, 1]$, the data with a column of ones for the
# bias $b$, the Hessian of the loss depends on the data alone:
#
# $$H = \frac2n A^\top A, \qquad \kappa = \frac{\lambda_{\max}(H)}{\lambda_{\min}(H)}
# = \left(\frac{s_{\max}(A)}{s_{\min}(A)}\right)^2,$$
#
# where $s$ are the singular values of $A$. The factor in front cancels. The bias counts: features far from zero make a
# ravine between their weights and the bias, which centring takes away.
#
# - Compute in float64, from the singular values of $A$. Do not form $A^\top A$: rounding in it is relative to
#   $\lambda_{\max}$, so for $\kappa$ near $10^{16}$ the smallest eigenvalue is noise. The singular values still know
#   it, since $s_{\max} / s_{\min}$ is only $10^8$.
# - Return `math.inf` when $A$ has a flat direction: when $n < d + 1$, or when
#   $s_{\min} \le s_{\max} \cdot \max(n, d + 1) \cdot \epsilon$. Here $\epsilon$ is float64's,
#   `torch.finfo(torch.float64).eps`. There is no other tolerance.


# %% nbgrader={"grade_id": "least_squares_condition_number", "solution": true}
def least_squares_condition_number(x: torch.Tensor) -> float:
    """Return the condition number of the mean squared error of a linear model with a bias.

    Args:
        x: data of shape (n, d), n and d at least 1, float32, float64 or of an integer dtype.

    Returns:
        The largest eigenvalue of the Hessian over the smallest, a float >= 1; ``math.inf`` when there is a flat
        direction (n < d + 1, or a smallest singular value of at most s_max * max(n, d + 1) * eps).
    """
    ### BEGIN SOLUTION
    n, d = x.shape
    if n < d + 1:
        return math.inf
    with_ones = torch.cat([x.double(), torch.ones(n, 1, dtype=torch.float64)], dim=1)
    singular = torch.linalg.svdvals(with_ones)
    largest, smallest = singular.max().item(), singular.min().item()
    if smallest <= largest * max(n, d + 1) * torch.finfo(torch.float64).eps:
        return math.inf
    return (largest / smallest) ** 2
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_least_squares_condition_number", "grade": true, "points": 4}
centred = torch.tensor([[3.0], [-3.0]])
kappa = least_squares_condition_number(centred)
assert math.isclose(kappa, 9, rel_tol=1e-6), (
    f"A centred feature with std 3 beside a bias gives eigenvalues in the ratio 9 to 1. Yours is {kappa}."
)
kappa = least_squares_condition_number(torch.tensor([[1.0], [3.0]]))
flattest, steepest = np.linalg.eigvalsh([[5.0, 2.0], [2.0, 1.0]])  # A^T A / n for the values 1 and 3
assert math.isclose(kappa, steepest / flattest, rel_tol=1e-6), (
    f"For the values 1 and 3, A^T A / n is [[5, 2], [2, 1]]: divide its eigenvalues. Yours is {kappa}."
)
kappa = least_squares_condition_number(torch.tensor([[2.0], [2.0], [2.0]]))
assert kappa == math.inf, f"A constant feature does what the bias does: a flat direction. Yours is {kappa}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("input_normalization", "least_squares_condition_number", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Whitening
#
# *hard: about eight lines, about 25 minutes, 6 points*
#
# Standardised features have the same scale, but they may still be correlated, and two features that rise together
# make a ravine of their own. Whitening removes that too. With the population covariance
# $\Sigma = \tfrac1n \sum_i (x_i - \mu)^\top (x_i - \mu) = U \Lambda U^\top$, whose eigenvectors are the columns of $U$,
#
# $$z = (x - \mu)\, W, \qquad W = U\, \mathrm{diag}\!\left(\frac{1}{\sqrt{\lambda_i + \epsilon}}\right) U^\top .$$
#
# Along each eigenvector the variance of $z$ is $\lambda_i / (\lambda_i + \epsilon)$. With $\epsilon = 0$ it is 1 in
# every direction: the covariance of $z$ is the identity. A positive $\epsilon$ keeps directions in which the data
# hardly vary, mostly noise, from being blown up.
#
# Any rotation of white data is white, so there are many whitening matrices. One is
# $U\,\mathrm{diag}(1/\sqrt{\lambda_i})$ (PCA whitening). The one asked for here turns back with $U^\top$. It is
# symmetric, and of all of them it changes the centred data least, in mean squared distance (ZCA whitening; Kessy, Lewin
# and Strimmer 2018). That is why a whitened image still looks like an image.
#
# - Compute in float64. `mean` has shape `(d,)`, `matrix` has shape `(d, d)`, both have x's floating dtype.
# - $\epsilon$ is added to the eigenvalue, inside the root.
# - With $\epsilon > 0$ the data may have rank below $d$: fewer rows than features, a constant feature, one
#   feature twice. A computed eigenvalue that should be 0 may then come out below 0, and even below $-\epsilon$. Take 0
#   for a negative one, so that no nan comes out. With $\epsilon = 0$ the data have full rank.


# %% nbgrader={"grade_id": "zca_whitening", "solution": true}
def zca_whitening(x: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ZCA whitening of training data (Kessy, Lewin and Strimmer 2018).

    Args:
        x: training data of shape (n, d), n at least 1, float32, float64 or of an integer dtype.
        eps: what is added to each eigenvalue of the covariance, at least 0; above 0 unless x has full rank.

    Returns:
        (mean, matrix), of shapes (d,) and (d, d) and of x's floating dtype (float32 for integers). matrix is symmetric,
        and (x - mean) @ matrix has the variance lambda / (lambda + eps) along each eigenvector of the covariance.
    """
    ### BEGIN SOLUTION
    dtype = x.dtype if x.is_floating_point() else torch.float32
    exact = x.double()
    mean = exact.mean(0)
    centred = exact - mean
    eigenvalues, vectors = torch.linalg.eigh(centred.T @ centred / len(x))
    matrix = vectors @ torch.diag((eigenvalues.clamp(min=0) + eps).rsqrt()) @ vectors.T
    return mean.to(dtype), matrix.to(dtype)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_zca_whitening", "grade": true, "points": 6}
# Variance 16 along (1, 1), variance 4 along (1, -1), around (10, 20).
cross = torch.tensor([[4.0, 4.0], [-4.0, -4.0], [2.0, -2.0], [-2.0, 2.0]], dtype=torch.float64)
cross = cross + torch.tensor([10.0, 20.0], dtype=torch.float64)
mean, matrix = zca_whitening(cross, 0.0)
assert mean.shape == (2,) and matrix.shape == (2, 2), (
    f"The shapes should be (2,) and (2, 2). Yours are {tuple(mean.shape)} and {tuple(matrix.shape)}."
)
assert torch.allclose(mean, torch.tensor([10.0, 20.0], dtype=torch.float64)), f"The mean is (10, 20). Yours is {mean}."
white = (cross - mean) @ matrix
assert torch.allclose(white.T @ white / 4, torch.eye(2, dtype=torch.float64)), (
    f"With eps = 0 the covariance of (x - mean) @ matrix is the identity. Yours is {(white.T @ white / 4).tolist()}."
)
assert torch.allclose(matrix, matrix.T), f"The matrix should be symmetric: turn back with U^T. Yours is {matrix}."
mean, matrix = zca_whitening(cross, 9.0)
along = torch.tensor([1.0, 1.0], dtype=torch.float64)
assert torch.allclose(along @ matrix, along / 5), (
    f"Along (1, 1) the variance is 16, so eps = 9 divides by sqrt(16 + 9) = 5. Yours gives {(along @ matrix).tolist()}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("input_normalization", "zca_whitening", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the ravine goes away
#
# The next cell is not graded. It takes the 178 wines of scikit-learn's wine data: 13 measured features, from a hue near
# 1 to a proline content near 750. A linear model learns by the mean squared error which wines are of the first of three
# kinds. Gradient descent starts at zero and takes 300 steps with the best learning rate there is for its data,
# $2 / (\lambda_{\max} + \lambda_{\min})$: once on the features as they come, once on features that you standardised,
# and once on features that you whitened. Your `least_squares_condition_number` says how deep each ravine is.

# %% nbgrader={"grade_id": "ravine", "locked": true} tags=["payoff"]
from sklearn.datasets import load_wine

from ravines.plots import BLUE, GREEN, RED, figure

torch.set_num_threads(1)  # the problem is so small that more threads only wait for each other


def excess_losses(x: torch.Tensor, y: torch.Tensor, steps: int) -> list[float]:
    """Return how far the loss is above its minimum before each step of gradient descent, and after the last."""
    with_ones = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
    left, singular, _ = torch.linalg.svd(with_ones, full_matrices=False)
    curvature = 2 * singular**2 / len(x)
    best = left @ (left.T @ y)  # the predictions of the least squares solution
    lr = 2 / (curvature.max() + curvature.min())
    w, losses = torch.zeros(with_ones.shape[1], dtype=x.dtype), []
    for step in range(steps + 1):
        # ||Aw - y||^2 - ||best - y||^2 without the difference of two nearly equal numbers
        losses.append((with_ones @ w - best).square().mean().item())
        if step < steps:
            w = w - lr * 2 / len(x) * with_ones.T @ (with_ones @ w - y)
    return losses


def compare_scales(steps: int = 300) -> object:
    """Return a picture of gradient descent on raw, standardised and whitened wine data."""
    wine = load_wine()
    raw = torch.tensor(wine.data, dtype=torch.float64)
    y = torch.tensor(wine.target == 0, dtype=torch.float64)
    center, matrix = zca_whitening(raw, 0.0)
    data = {
        "raw": raw,
        "standardised": standardize(raw, *fit_standardizer(raw)),
        "whitened": (raw - center) @ matrix,
    }
    kappas = {name: least_squares_condition_number(x) for name, x in data.items()}
    paths = {name: excess_losses(x, y, steps) for name, x in data.items()}

    def draw(axes):
        for (name, path), color in zip(paths.items(), (RED, BLUE, GREEN), strict=True):
            floored = [max(value / path[0], 1e-16) for value in path]  # below that float64 sees no difference
            axes.semilogy(floored, color=color, label=f"{name}: condition number {kappas[name]:.3g}")
        axes.set(xlabel="step", ylabel="loss above its minimum,\nas a share of the start", ylim=(1e-17, 3))
        axes.legend(loc="lower left", bbox_to_anchor=(0.06, 0.1))

    left = [
        f"{name} (condition number {kappas[name]:.3g}): {path[1] / path[0]:.1g} after 1 step, "
        f"{path[-1] / path[0]:.1g} after {steps}"
        for name, path in paths.items()
    ]
    return figure(draw, alt=f"Share of the excess loss that is left on the wine data. {'; '.join(left).capitalize()}.")


try:
    picture = compare_scales()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 1, 2, 4 and 5 first, then run this cell again.")
picture

# %% [markdown]
# In the white data every direction is equally steep, and one step of the right length lands on the minimum. Nothing
# about the wines has changed, and all three models can represent the same predictions: only the coordinates
# in which gradient descent walks are others.
#
# ### See it: what it does to images
#
# The next cell is not graded. First it streams 10,000 training images of Fashion-MNIST through your
# `streaming_channel_stats` as uint8, in batches of 128. The two numbers that it prints, as shares of 255, are what
# torchvision's `Normalize` takes. Then it shrinks the images to 14 by 14 pixels, fits on the training images, and shows
# eight **test** images raw, standardised pixel by pixel, and whitened with $\epsilon = 0.01$.
#
# Before you run it: which of the rows will still look like clothes?

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
from ravines.data import CLASS_NAMES, fashion_mnist

torch.set_num_threads(1)


def neighbours(x: torch.Tensor) -> float:
    """Return the correlation of a pixel with the one to its right, over all such pairs in the middle of the image."""
    middle = x.view(-1, 14, 14)[:, 4:10, 4:10].double()
    first, second = middle[:, :, :-1].flatten(), middle[:, :, 1:].flatten()
    return torch.corrcoef(torch.stack([first, second]))[0, 1].item()


def show_images(eps: float = 0.01) -> object:
    """Return a picture of test images before and after normalization with the training images' statistics."""
    train_images, _ = fashion_mnist()
    test_images, labels = fashion_mnist(train=False)
    pixels = (train_images * 255).round().to(torch.uint8)
    channel_mean, channel_std = streaming_channel_stats(part for part in pixels.split(128))
    print(f"one channel: mean {channel_mean.item() / 255:.4f}, std {channel_std.item() / 255:.4f}")

    train, test = (torch.nn.functional.avg_pool2d(x, 2).flatten(1) for x in (train_images, test_images))
    statistics = fit_standardizer(train)
    center, matrix = zca_whitening(train, eps)
    rows = {
        "raw": (train, test),
        "standardised": (standardize(train, *statistics), standardize(test, *statistics)),
        "whitened": ((train - center) @ matrix, (test - center) @ matrix),
    }
    chosen = [int((labels == label).nonzero()[0]) for label in (0, 1, 3, 5, 6, 7, 8, 9)]
    print("condition number, and correlation of neighbouring pixels in the test images:")
    facts = []
    for name, (fitted, shown) in rows.items():
        kappa, together = least_squares_condition_number(fitted), neighbours(shown)
        facts.append(f"{name} {together:.2f}")
        print(f"  {name:22s} {kappa:9.3g} {together:6.2f}")
    center, matrix = zca_whitening(train.double(), 0.0)
    kappa = least_squares_condition_number((train - center) @ matrix)
    print(f"  {'whitened with eps = 0':22s} {kappa:9.3g} {neighbours((test - center) @ matrix):6.2f}")

    def draw(*panels):
        for axes, (name, (_, shown)) in zip(panels, rows.items(), strict=True):
            strip = torch.nn.functional.pad(shown[chosen].view(-1, 14, 14), (1, 1, 1, 1), value=float("nan"))
            limit = shown[chosen].abs().quantile(0.99).item()
            low = 0 if name == "raw" else -limit
            axes.imshow(torch.cat(list(strip), dim=1), cmap="gray", vmin=low, vmax=limit)
            axes.set_title(name)
            axes.set_axis_off()

    names = ", ".join(CLASS_NAMES[labels[i]] for i in chosen)
    return figure(
        draw,
        panels=3,
        columns=1,
        height=1.2,
        alt=f"Eight test images ({names}) in three rows. Correlation of neighbouring pixels: {', '.join(facts)}.",
    )


try:
    picture = show_images()
except NotImplementedError:
    picture = None
    print("Finish all five exercises first, then run this cell again.")
picture

# %% [markdown]
# Standardising gives each pixel the same scale, so a pixel at the rim, which is seldom lit, counts as much as one in
# the middle. That makes the ravine shallower. But neighbours still rise and fall together, and a ravine is left.
#
# Whitening takes the correlation of neighbours away and leaves edges: what a pixel says that its neighbours do not. It
# still looks like clothes, because of all whitening matrices yours changes the images least. Compare the last two lines
# above the picture. With $\epsilon = 0$ no ravine is left. With $\epsilon = 0.01$ the directions whose variance is far
# below 0.01 stay small, and so part of the ravine stays: that is the price for not amplifying noise.
