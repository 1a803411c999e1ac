# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Dropout
#
# Chapter [Dropout](../../book/dropout.md) silenced random units of a network while it learned. Here you build that: the
# 2014 paper's form, the form that PyTorch has, the one for feature maps, and last a use the paper did not have in mind,
# a network that says how unsure it is. Four exercises, 20 points, about 90 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Two letters for two conventions: `p_keep` is the probability that a unit **stays** (the lecture, the paper), `p` the
# probability that it is **dropped** (PyTorch). So $p = 1 - p_\text{keep}$.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# %% [markdown]
# ## 1. Dropout as it was
#
# *easy: three lines to six, about 15 minutes, 3 points*
#
# In training, every element of $x$ stays with probability $p_\text{keep}$, as it is, or else becomes 0. At inference
# nothing is dropped, and everything is multiplied by $p_\text{keep}$, so that the next layer sees the same mean as in
# training (Srivastava et al. 2014, section 4; the paper multiplies the weights that come after, which is the same):
#
# $$\text{training: } \tilde x_j = r_j\, x_j, \quad r_j \sim \text{Bernoulli}(p_\text{keep}),
# \qquad\qquad \text{inference: } \tilde x_j = p_\text{keep}\, x_j.$$
#
# What your function does:
#
# - **Each element** is decided on its own, whatever the shape of `x`; tensors without dimensions and empty ones too.
# - **The result** is always a new tensor of `x`'s shape and dtype (float32, float64 or bfloat16). `x` keeps its values.
#   Gradients flow through what stayed.
# - **With a generator,** all random numbers come from it: the same seed gives the same mask, and PyTorch's global
#   generator is left alone. Without one, the global generator is used. At inference nothing is drawn from either.
# - **`p_keep`** is above 0 and at most 1. Anything else raises a `ValueError`, also at inference. 0 is refused too, for
#   then nothing would ever come through. With `p_keep=1` every element stays, in every dtype.
#
# <details><summary>Hint</summary>
#
# `torch.rand` and `torch.bernoulli` take a `generator`. `torch.rand` gives numbers from 0 up to but not including 1; 0
# itself can occur, in bfloat16 once in 256 numbers. So think twice about `<` and `<=`.
#
# </details>


# %% nbgrader={"grade_id": "dropout_classic", "solution": true}
def dropout_classic(
    x: torch.Tensor, p_keep: float, training: bool, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Apply dropout as in Srivastava et al. 2014, section 4: not rescaled in training, scaled at inference.

    Args:
        x: activations, any shape, any floating dtype.
        p_keep: the probability that an element stays, above 0 and at most 1.
        training: True drops elements at random, False multiplies all by p_keep.
        generator: where the random numbers come from; None means PyTorch's global generator.

    Returns:
        A new tensor of x's shape and dtype. x keeps its values.

    Raises:
        ValueError: when p_keep is not above 0 and at most 1.
    """
    ### BEGIN SOLUTION
    if not 0 < p_keep <= 1:
        raise ValueError(f"p_keep should be above 0 and at most 1, but it is {p_keep}")
    if not training:
        return p_keep * x
    return x * (torch.rand(x.shape, generator=generator, device=x.device) < p_keep)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_dropout_classic", "grade": true, "points": 3}
ones = torch.ones(100, 100)
seen = dropout_classic(ones, 0.75, training=True)
assert set(seen.unique().tolist()) <= {0.0, 1.0}, (
    f"In training an element stays as it is or becomes 0: nothing is rescaled. From ones you made {seen.unique()}."
)
assert 0.7 < seen.mean() < 0.8, f"p_keep=0.75 keeps about three of four elements. Yours kept {seen.mean():.2f}."
seen = dropout_classic(ones, 0.75, training=False)
assert torch.allclose(seen, 0.75 * ones), (
    f"At inference all elements are multiplied by p_keep. Ones gave {seen.unique()}."
)
first, again = (dropout_classic(ones, 0.5, True, torch.Generator().manual_seed(3)) for _ in range(2))
assert torch.equal(first, again), "Two generators with the same seed should give the same mask: draw from `generator`."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("dropout", "dropout_classic", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Dropout as it is
#
# *medium: about ten lines, about 25 minutes, 7 points*
#
# Frameworks moved the scaling into training, and so inference costs nothing (*inverted* dropout). With $p$ the
# probability of **dropping**, PyTorch's convention:
#
# $$\text{training: } \tilde x_j = \frac{m_j\, x_j}{1 - p}, \quad m_j \sim \text{Bernoulli}(1 - p),
# \qquad\qquad \text{inference: } \tilde x_j = x_j.$$
#
# The mean is that of $x$ again: $\mathbb{E}[\tilde x_j] = x_j$. The variance is the noise that you train with:
# $\text{Var}[\tilde x_j] = x_j^2\, p / (1 - p)$.
#
# Build the module `Dropout`. Make the mask yourself: PyTorch's own dropouts (`nn.Dropout`, `F.dropout`,
# `torch.dropout` and their kin) are not allowed in exercises 2 and 3. What your class does:
#
# - **`p`** is kept as `self.p`, 0.5 by default, and read in every call, so that it can be changed later. Outside of
#   0 to 1 the constructor raises a `ValueError`; 0 and 1 are allowed.
# - **When to drop** is decided by `self.training` alone, which `model.train()` and `model.eval()` set for you. Not by
#   `torch.is_grad_enabled()`, and not by `x.requires_grad`: in training mode you drop under `torch.no_grad()` too.
# - **The mask** is new in each call, and each element of it is drawn on its own: no two samples of a batch share one,
#   nor do the elements of a row or of a channel. The number dropped is random too. The random numbers come from
#   PyTorch's global generator, so `torch.manual_seed` makes a run repeatable; in eval mode nothing is drawn.
# - **The gradient** passes through the very mask of the forward pass, scale included. In eval mode it passes unchanged.
# - **`p=0`** changes nothing, **`p=1`** gives all zeros, without nan, in training mode and in every dtype. With `p=1`
#   the result still belongs to the graph: `backward()` works and gives a gradient of zeros.
# - **The input** keeps its values. Result and input have the same shape (any), dtype (float32, float64, bfloat16) and
#   device: make the mask where `x` is. In eval mode and with `p=0`, you may return `x` itself.
# - **Nothing is learned or kept**: no parameters, and an empty `state_dict()`.
#
# <details><summary>Hint: p = 1</summary>
#
# Python refuses `1 / (1 - p)` there, and tensors make `0 / 0`, a nan. Which factor gives zeros without a division?
#
# </details>


# %% nbgrader={"grade_id": "Dropout", "solution": true}
class Dropout(nn.Module):
    """Inverted dropout, in PyTorch's convention (Srivastava et al. 2014, section 10).

    Args:
        p: the probability that an element is dropped, from 0 to 1.

    Raises:
        ValueError: when p is outside of 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p should be from 0 to 1, but it is {p}")
        self.p = p
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop elements at random in training mode; return the values of x in eval mode.

        Args:
            x: activations, any shape, floating dtype and device.

        Returns:
            A tensor of x's shape, dtype and device. x keeps its values.
        """
        ### BEGIN SOLUTION
        if not self.training:
            return x
        kept = torch.rand(x.shape, device=x.device) >= self.p
        return x * kept * (1 / (1 - self.p) if self.p < 1 else 0.0)
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_Dropout", "grade": true, "points": 7}
dropout = Dropout(p=0.25)
seen = dropout(torch.ones(100, 100))
zeros = (seen == 0).float().mean()
assert 0.2 < zeros < 0.3, f"p=0.25 drops about one element in four. Yours dropped {zeros:.2f} of them."
assert torch.allclose(seen[seen != 0], torch.tensor(4 / 3)), (
    f"In training, what stays is multiplied by 1 / (1 - p) = 4/3. From ones you made {seen.unique()}."
)
assert not torch.equal(seen, dropout(torch.ones(100, 100))), "Each call needs a mask of its own."
model = nn.Sequential(nn.Linear(3, 5), dropout).eval()
assert torch.equal(dropout(torch.ones(5)), torch.ones(5)), "After model.eval() nothing is dropped and nothing scaled."
assert torch.equal(Dropout(p=1.0)(torch.ones(5)), torch.zeros(5)), "p=1 drops everything: zeros, not nan."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("dropout", "Dropout", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Whole channels
#
# *medium: about ten lines, about 20 minutes, 4 points*
#
# Neighbouring pixels of a feature map say nearly the same. Drop one, and the next layer reads it off the others. So for
# convolutions the whole map goes, or stays (Tompson et al. 2015, "spatial dropout"). For $x$ of shape
# $(N, C, H, W)$, with one $m_{nc}$ for each sample and channel, drawn on its own:
#
# $$\text{training: } \tilde x_{nchw} = \frac{m_{nc}\, x_{nchw}}{1 - p}, \quad m_{nc} \sim \text{Bernoulli}(1 - p),
# \qquad\qquad \text{inference: } \tilde x_{nchw} = x_{nchw}.$$
#
# All that exercise 2 says about $p$, the mode, the random numbers, the gradient, the edges $p = 0$ and $p = 1$, dtype
# and device, and what is kept holds here too. One thing is new: an input with other than four dimensions raises a
# `ValueError`, in training and in eval mode.
#
# <details><summary>Hint</summary>
#
# A mask of shape `(N, C, 1, 1)` is repeated over height and width when you multiply (broadcasting).
#
# </details>


# %% nbgrader={"grade_id": "Dropout2d", "solution": true}
class Dropout2d(nn.Module):
    """Dropout of whole channels (Tompson et al. 2015), in PyTorch's convention.

    Args:
        p: the probability that a channel of a sample is dropped, from 0 to 1.

    Raises:
        ValueError: when p is outside of 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p should be from 0 to 1, but it is {p}")
        self.p = p
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop channels at random in training mode; return the values of x in eval mode.

        Args:
            x: feature maps of shape (N, C, H, W), any floating dtype and device.

        Returns:
            A tensor of x's shape, dtype and device. x keeps its values.

        Raises:
            ValueError: when x has other than four dimensions.
        """
        ### BEGIN SOLUTION
        if x.dim() != 4:
            raise ValueError(f"x should have the shape (N, C, H, W), but it has {tuple(x.shape)}")
        if not self.training:
            return x
        kept = torch.rand(x.shape[0], x.shape[1], 1, 1, device=x.device) >= self.p
        return x * kept * (1 / (1 - self.p) if self.p < 1 else 0.0)
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_Dropout2d", "grade": true, "points": 4}
maps = torch.ones(50, 40, 2, 3)
seen = Dropout2d(p=0.25)(maps)
assert seen.shape == maps.shape, f"The shape stays {tuple(maps.shape)}. Yours is {tuple(seen.shape)}."
assert torch.equal(seen, seen[:, :, :1, :1].expand_as(seen)), "A channel is dropped whole, or stays whole."
assert torch.allclose(seen[seen != 0], torch.tensor(4 / 3)), (
    f"In training, what stays is multiplied by 1 / (1 - p) = 4/3. From ones you made {seen.unique()}."
)
assert not torch.equal(seen[0], seen[1]), "Each sample needs a mask of its own: these two lost the same channels."
assert torch.equal(Dropout2d(p=0.25).eval()(maps), maps), "In eval mode nothing is dropped and nothing scaled."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("dropout", "Dropout2d", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: pixels and channels
#
# The next cell is not graded. Left, photos of Fashion-MNIST, and below each the same photo after your `Dropout`. Right,
# the feature maps that six small fixed filters make of one of them (the photo itself, a blur, four kinds of edges),
# each before and after your `Dropout2d`. What stays is twice as bright, since $p = 0.5$. Which loss would be easier to
# repair from what is left?

# %% nbgrader={"grade_id": "pixels", "locked": true} tags=["payoff"]
from ravines.data import CLASS_NAMES, device, fashion_mnist, seed_everything
from ravines.plots import BLUE, RED, band, figure

torch.set_num_threads(1)  # the networks below are so small that more threads only wait for each other
FILTERS = torch.tensor(
    [
        [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        [[1 / 9, 1 / 9, 1 / 9], [1 / 9, 1 / 9, 1 / 9], [1 / 9, 1 / 9, 1 / 9]],
        [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
        [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    ]
).unsqueeze(1)


def before_and_after() -> object:
    """Return a picture of photos and feature maps, before and after dropout with p = 0.5."""
    seed_everything(0)
    photos, kinds = fashion_mnist(train=False)
    photos = torch.stack([photos[kinds == kind][0] for kind in (9, 3, 2, 8, 7, 1)])
    noisy = Dropout(0.5)(photos)
    maps = F.relu(F.conv2d(photos[:1], FILTERS, padding=1))
    thinned = Dropout2d(0.5)(maps)

    def mosaic(above: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
        """Put six pictures of 28 x 28 in three columns, each with its other one right below it."""
        pairs = torch.cat([above.squeeze(1), below.squeeze(1)], dim=1)
        return torch.cat([torch.cat(list(pairs[:3]), dim=1), torch.cat(list(pairs[3:]), dim=1)])

    def draw(left, right):
        left.imshow(mosaic(photos, noisy), cmap="gray", vmin=0, vmax=2)
        right.imshow(mosaic(maps[0], thinned[0]), cmap="gray", vmin=0, vmax=4)
        left.set_title("Photos, and after Dropout")
        right.set_title("Feature maps, and after Dropout2d")
        for axes in (left, right):
            axes.set(xticks=[], yticks=[])
            axes.grid(False)

    pixels = (noisy[photos > 0] == 0).float().mean().item()
    lost = int((thinned[0].flatten(1) == 0).all(dim=1).sum())
    return figure(
        draw,
        panels=2,
        height=4.2,
        alt=f"Dropout set {pixels:.0%} of the bright pixels of six photos to zero, scattered over each photo. "
        f"Dropout2d set {lost} of 6 feature maps of one photo to zero, each of them whole.",
    )


try:
    picture = before_and_after()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 2 and 3 first, then run this cell again.")
picture

# %% [markdown]
# ## 4. A network that says how unsure it is
#
# *hard: about 20 lines, about 30 minutes, 6 points*
#
# Leave dropout on when you predict, and each pass goes through another thinned network. Where they agree, you can be
# sure; where they contradict each other, you cannot (Gal and Ghahramani 2016, "Monte-Carlo dropout"). For $T$ =
# `samples` passes with masks $m_1, \dots, m_T$, the prediction is the mean of the *probabilities*, and its *predictive
# entropy* says how spread out that mean is, in nats (natural logarithm):
#
# $$\bar p_c(x) = \frac{1}{T} \sum_{t=1}^{T} \text{softmax}\big(f(x; m_t)\big)_c,
# \qquad\qquad H(x) = -\sum_c \bar p_c(x) \ln \bar p_c(x).$$
#
# What your function does:
#
# - **Passes.** `model(x)` gives logits of shape `(n, classes)`. Call it `samples` times, each time with the whole `x`.
#   Set no seed: each pass has a new mask, and a second call of your function gives another result.
# - **Modes.** During the passes every dropout module is in training mode, at whatever depth, and whatever mode it was
#   in. A dropout module is an instance (`isinstance`, so subclasses count, and names do not) of PyTorch's `nn.Dropout`,
#   `nn.Dropout1d`, `nn.Dropout2d`, `nn.Dropout3d`, `nn.AlphaDropout`, `nn.FeatureAlphaDropout`, or of the `Dropout` and
#   `Dropout2d` of this notebook. Every other module is in eval mode, whatever mode it was in. Batch normalization above
#   all: in training mode it would mix the samples of the batch, and overwrite its running statistics.
# - **Afterwards** every module is in exactly the mode that it had before. The modes may be mixed, as in a network of
#   which a part is frozen. That holds too when the model raises: the error goes on to the caller, but the modes are put
#   back.
# - **Gradients.** The passes run with gradients disabled (`torch.no_grad()` or `torch.inference_mode()`). After them
#   gradients are enabled if they were before, and disabled if they were not. Parameters, their `grad` and
#   `requires_grad`, buffers and `x` stay as they are.
# - **Zero.** A probability of exactly 0 adds 0 to the entropy, not nan, also when its logit is `-inf`. A constant of
#   1e-8 or less inside the logarithm does no harm.
# - **Bad settings.** `samples` below 1 raises a `ValueError`.
#
# `mean` and `entropy` have the dtype of the logits. Exercises 2 and 3 need not work yet: of their classes you only need
# the names.
#
# <details><summary>Hint: where to start</summary>
#
# `model.modules()` gives every module inside, the model itself included. Write down each one's `training` before you
# change it. `m.train()` also changes all modules inside of `m`; `m.training = True` changes `m` alone.
#
# </details>
# <details><summary>Hint: when the model raises</summary>
#
# What stands under `finally:` runs whether the lines under `try:` raise or not.
#
# </details>


# %% nbgrader={"grade_id": "monte_carlo_predict", "solution": true}
def monte_carlo_predict(model: nn.Module, x: torch.Tensor, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Predict with dropout left on (Gal and Ghahramani 2016).

    Args:
        model: gives logits of shape (n, classes) for x.
        x: a batch of n inputs.
        samples: the number of stochastic passes, at least 1.

    Returns:
        (mean, entropy): the mean of the softmax probabilities over the passes, of shape (n, classes), and the entropy
        of that mean in nats, of shape (n,). Both have the logits' dtype and belong to no graph.

    Raises:
        ValueError: when samples is below 1.
    """
    ### BEGIN SOLUTION
    if samples < 1:
        raise ValueError(f"samples should be at least 1, but it is {samples}")
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
    before = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in before:
            module.training = isinstance(module, (*kinds, Dropout, Dropout2d))
        with torch.no_grad():
            mean = sum(model(x).softmax(dim=1) for _ in range(samples)) / samples
    finally:
        for module, training in before:
            module.training = training
    return mean, torch.special.entr(mean).sum(dim=1)  # entr(p) is -p ln p, and 0 at p = 0
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_monte_carlo_predict", "grade": true, "points": 6}


passes = []


class TwoMinds(nn.Module):
    """Is quite sure in every pass, but of another class each time."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(2), nn.Dropout(p=0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passes.append(len(x))
        assert self.drop.training, "Dropout should be in training mode during the passes."
        assert not self.norm.training, "Batch normalization should be in eval mode during the passes."
        sure_of = len(passes) % 2
        return 50.0 * F.one_hot(torch.full((len(x),), sure_of), 2).float()


doubter = TwoMinds()
mean, entropy = monte_carlo_predict(doubter, torch.zeros(3, 2), samples=4)
assert len(passes) == 4, f"samples=4 means four passes. You made {len(passes)}."
assert torch.allclose(mean, torch.full((3, 2), 0.5)), (
    f"Two passes were sure of class 0 and two of class 1, so each class has probability 0.5. Yours are {mean}."
)
assert torch.allclose(entropy, torch.full((3,), math.log(2))), (
    f"Two classes with probability 0.5 have entropy ln 2 = 0.693, though each pass alone was sure. Yours is {entropy}."
)
assert doubter.training and doubter.norm.training, "Put every module back into the mode it had before."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("dropout", "monte_carlo_predict", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: a small network on few images
#
# The next cell is not graded. A network with two hidden layers learns 500 images of Fashion-MNIST, with your `Dropout`
# after each hidden layer: at $p = 0$ and at $p = 0.5$, from three seeds (other images, other weights, other masks). It
# takes a few seconds.
#
# Left, the accuracy on the 500 images and on 2,000 test images; the line is the median seed, the band all three. Right,
# what your `monte_carlo_predict` says about the test images with the $p = 0.5$ networks: the entropy where the network
# was right, and where it was wrong. Does dropout narrow the gap between the two accuracies? Does it raise the one that
# counts? Is the network less sure when it is wrong?

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
SEEDS, IMAGES, EPOCHS, EVERY, RATES = (0, 1, 2), 500, 40, 5, (0.0, 0.5)


def accuracy(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the share of images that are classified right, in eval mode."""
    network.eval()
    with torch.no_grad():
        share = (network(x).argmax(dim=1) == y).float().mean().item()
    network.train()
    return share


def learn(p: float, seed: int) -> tuple[nn.Module, list[list[float]]]:
    """Train a network with dropout p; return it, and its accuracies in training and on the test images."""
    generator = seed_everything(seed)
    chosen = torch.randperm(len(train_x), generator=generator)[:IMAGES]
    x, y = train_x[chosen].to(where), train_y[chosen].to(where)
    network = nn.Sequential(
        *(nn.Linear(784, 256), nn.ReLU(), Dropout(p)),
        *(nn.Linear(256, 256), nn.ReLU(), Dropout(p)),
        nn.Linear(256, 10),
    ).to(where)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    curves = [[accuracy(network, x, y), accuracy(network, test_x, test_y)]]
    for epoch in range(1, EPOCHS + 1):
        for batch in torch.randperm(IMAGES, generator=generator).split(50):
            optimizer.zero_grad()
            F.cross_entropy(network(x[batch]), y[batch]).backward()
            optimizer.step()
        if epoch % EVERY == 0:
            curves.append([accuracy(network, x, y), accuracy(network, test_x, test_y)])
    return network, curves


def compare(runs: dict[float, list]) -> object:
    """Return a picture of the accuracies, and of the entropy of right and wrong predictions."""
    curves = {p: np.array([c for _, c in runs[p]]) for p in RATES}  # (seeds, evaluations, 2)
    right, wrong, odds = [], [], []
    for network, _ in runs[0.5]:
        mean, entropy = monte_carlo_predict(network, test_x, samples=20)
        correct = mean.argmax(dim=1) == test_y
        right.append(entropy[correct].cpu())
        wrong.append(entropy[~correct].cpu())
        # How often a wrong prediction has more entropy than a right one, over all such pairs.
        odds.append((wrong[-1][:, None] > right[-1]).float().mean().item())

    def draw(left, histogram):
        epochs = np.arange(0, EPOCHS + 1, EVERY)
        for p, color in zip(RATES, (RED, BLUE), strict=True):
            band(left, epochs, curves[p][:, :, 0], color=color, linestyle=":", label=f"p = {p:g}, training")
            band(left, epochs, curves[p][:, :, 1], color=color, label=f"p = {p:g}, test")
        left.set(title=f"{IMAGES} training images", xlabel="epoch", ylabel="accuracy", ylim=(0.4, 1.02))
        left.legend()
        bins = np.linspace(0, math.log(10), 24)
        for values, color, label in ((right, BLUE, "right"), (wrong, RED, "wrong")):
            histogram.hist(torch.cat(values).numpy(), bins, density=True, alpha=0.6, color=color, label=label)
        histogram.set(title="Test images, p = 0.5", xlabel="predictive entropy (nats)", ylabel="density")
        histogram.legend()

    last = {p: np.median(curves[p][:, -1], axis=0) for p in RATES}
    gain = curves[0.5][:, -1, 1] - curves[0.0][:, -1, 1]
    verdict = (
        "Dropout raised the test accuracy with every seed"
        if (gain > 0).all()
        else "Dropout lowered the test accuracy with every seed"
        if (gain < 0).all()
        else "The seeds disagree on whether dropout helps"
    )
    surer = "less" if min(odds) > 0.5 else "not always less"
    return figure(
        draw,
        panels=2,
        height=3.4,
        alt=f"After {EPOCHS} epochs, median accuracy: "
        + "; ".join(f"p = {p:g}: {a:.1%} in training, {b:.1%} in the test" for p, (a, b) in last.items())
        + f". {verdict} (change in percentage points: {', '.join(f'{100 * g:+.1f}' for g in gain)}). "
        + f"Median entropy: {torch.cat(right).median():.2f} nats where the network is right, "
        + f"{torch.cat(wrong).median():.2f} where it is wrong. It is {surer} sure when it is wrong: a wrong "
        + f"prediction has more entropy than a right one in {min(odds):.0%} to {max(odds):.0%} of pairs.",
    )


where = device()
train_x, train_y = fashion_mnist()
test_x, test_y = fashion_mnist(train=False)
train_x, test_x, test_y = train_x.flatten(1), test_x.flatten(1).to(where), test_y.to(where)
try:
    runs = {p: [learn(p, seed) for seed in SEEDS] for p in RATES}
    picture = compare(runs)
    print(picture.alt)
except NotImplementedError:
    picture = runs = None
    print("Finish exercises 2 and 4 first, then run this cell again.")
picture

# %% [markdown]
# A gap between the two accuracies is what overfitting looks like. That dropout narrows it does not yet mean that it
# helps, for the training accuracy may fall alone. Compare the change in test accuracy with how far the seeds are apart,
# both above the figure, before you call it a gain or a loss. To see what it hangs on, copy the cell and change `IMAGES`
# and `EPOCHS`.
#
# ### See it: where it is unsure
#
# The test images with the lowest and the highest entropy, in the eyes of one of those networks. Under each stands what
# the network says; where it is wrong, there is a question mark, and the label below.

# %% nbgrader={"grade_id": "doubts", "locked": true} tags=["payoff"]


def doubts(network: nn.Module, count: int = 5) -> object:
    """Return a picture of the test images that a network is surest and least sure about."""
    seed_everything(0)
    mean, entropy = monte_carlo_predict(network, test_x, samples=20)
    order = entropy.argsort().tolist()
    chosen = {"least sure": order[-count:], "surest": order[:count]}
    hits = {name: sum(int(mean[i].argmax()) == int(test_y[i]) for i in indices) for name, indices in chosen.items()}

    def draw(*panels):
        for axes, (name, indices) in zip(panels, chosen.items(), strict=True):
            strip = torch.cat([test_x[i].view(28, 28) for i in indices], dim=1).cpu()
            axes.imshow(strip, cmap="gray")
            axes.set(xticks=[14 + 28 * k for k in range(count)], yticks=[])
            said = [CLASS_NAMES[int(mean[i].argmax())] for i in indices]
            was = [CLASS_NAMES[int(test_y[i])] for i in indices]
            labels = [s if s == w else f"{s}?\n{w}" for s, w in zip(said, was, strict=True)]
            axes.set_xticklabels(labels, fontsize=7)
            axes.set_title(f"The network is {name}")
            axes.grid(False)

    return figure(
        draw,
        panels=2,
        columns=1,
        height=2.0,
        alt=f"Of the {count} test images that the network is least sure about, it gets {hits['least sure']} right; of "
        f"the {count} that it is surest about, {hits['surest']}.",
    )


if globals().get("runs"):  # the networks that the cell above trained
    picture = doubts(runs[0.5][0][0])
    print(picture.alt)
else:
    picture = None
    print("Finish exercises 2 and 4 first, run the cell above, then run this cell again.")
picture
