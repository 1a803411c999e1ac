# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Residual connections
#
# Chapter [Residual connections](../../book/residual_connections.md) let a network add to its input in place of making
# it anew. Here you build the two blocks of the paper, the shortcut that costs nothing, and a start from which a deep
# network is nearly the identity. Then you take a walk around the weights of a trained network, and map what you see.
# Six exercises, 20 points, about 110 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Images are tensors of shape $(N, C, H, W)$: samples, channels, height, width. $w$ are weights, $\mathcal{L}$ is the
# loss. No exercise needs the answer to another one; the pictures do.

# %% nbgrader={"grade_id": "imports", "locked": true}
import copy
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

# %% [markdown]
# ## 1. The basic block
#
# *medium: about 15 lines, about 25 minutes, 4 points*
#
# A block computes its input plus a correction (He et al. 2016, section 3.2, equations 1 and 2). In ResNet-18 and
# ResNet-34 the correction is two 3x3 convolutions, each followed by batch normalization:
#
# $$y = \text{ReLU}\big(\mathcal{F}(x) + \mathcal{S}(x)\big), \qquad
# \mathcal{F}(x) = \text{bn}_2\big(\text{conv}_2\big(\text{ReLU}(\text{bn}_1(\text{conv}_1(x)))\big)\big).$$
#
# The *shortcut* $\mathcal{S}(x)$ is $x$ itself wherever that can be added. Look at the order: the second
# ReLU comes after the sum, for a branch that ends in a ReLU could only add, never take away.
#
# Build the module `BasicBlock(in_channels, channels, stride=1)` from `nn.Conv2d` and `nn.BatchNorm2d`. A finished
# residual block from torchvision is not allowed, neither here nor in exercise 2.
#
# - **`conv1`**: 3x3, from `in_channels` to `channels`, with the stride, padding 1. **`conv2`**: 3x3, from `channels`
#   to `channels`, stride 1, padding 1. Neither has a bias, for the normalization after it would subtract it again.
# - **`bn1`** and **`bn2`**: `nn.BatchNorm2d` with its defaults. All layers keep the starting values PyTorch gives them.
# - **`downsample`**: the shortcut, where $x$ does not fit: exactly when `stride != 1` or
#   `in_channels != channels * expansion`. It is then an `nn.Sequential` of a 1x1 convolution with the stride, without
#   bias and padding, to `channels * expansion` channels, and an `nn.BatchNorm2d`: option B of the paper. Everywhere
#   else `self.downsample` is `None`.
# - **Names.** Keep exactly these names, and nothing else that has parameters or buffers. They are torchvision's, so
#   that a `state_dict` from there loads into your block, and yours into theirs.
# - **The input** keeps its values, also when it is negative, and gradients flow through both ways.
#
# `expansion`, the number of output channels per channel inside, is 1 here. It will be 4 in exercise 2.
#
# <details><summary>Hint: in place</summary>
#
# `out += shortcut` changes `out`, which is yours. `x += out` and an `inplace=True` that meets `x` change what the
# caller gave you.
#
# </details>


# %% nbgrader={"grade_id": "BasicBlock", "solution": true}
class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, Fig. 5 left, Eq. 1 and 2; option B).

    Args:
        in_channels: channels of the input.
        channels: channels inside; the output has channels * expansion.
        stride: of the first convolution, and of the projection on the shortcut.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        out_channels = channels * self.expansion
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ReLU(branch + shortcut).

        Args:
            x: shape (N, in_channels, H, W).

        Returns:
            A tensor of shape (N, channels * expansion, ceil(H / stride), ceil(W / stride)). x keeps its values.
        """
        ### BEGIN SOLUTION
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_BasicBlock", "grade": true, "points": 4}
block = BasicBlock(3, 3)
names = sorted(name for name, _ in block.named_parameters())
assert names == ["bn1.bias", "bn1.weight", "bn2.bias", "bn2.weight", "conv1.weight", "conv2.weight"], (
    f"Without a projection the parameters are those of conv1, bn1, conv2, bn2, and no convolution has a bias: {names}."
)
assert block.downsample is None, "With stride 1 and equal channels, x itself is the shortcut: downsample is None."
images = torch.randn(2, 3, 7, 6)
before = images.clone()
nn.init.zeros_(block.bn2.weight)
seen = block(images)
assert torch.equal(images, before), "Your block changes its input: `x += out` and ReLUs in place on x do that."
assert torch.allclose(seen, before.relu()), (
    "With bn2.weight = 0 the branch gives 0, so the block should give ReLU(x + 0). Yours gives something else."
)
seen = BasicBlock(3, 5, stride=2)(images)
assert seen.shape == (2, 5, 4, 3), (
    f"Stride 2 makes (4, 3) of (7, 6), and 5 channels. Yours has shape {tuple(seen.shape)}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("residual_connections", "BasicBlock", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The bottleneck
#
# *medium: about 20 lines, about 20 minutes, 4 points*
#
# A 3x3 convolution on many channels is dear: its cost grows with the square of their number. ResNet-50 and deeper
# squeeze first, convolve, and widen again (He et al. 2016, section 4.1, figure 5 right):
#
# $$y = \text{ReLU}\big(\mathcal{F}(x) + \mathcal{S}(x)\big), \qquad
# x \xrightarrow{\ 1 \times 1\ } \text{bn}_1, \text{ReLU} \xrightarrow{\ 3 \times 3\ } \text{bn}_2, \text{ReLU}
# \xrightarrow{\ 1 \times 1\ } \text{bn}_3 = \mathcal{F}(x).$$
#
# Build the module `Bottleneck(in_channels, channels, stride=1)`; it does not need exercise 1.
#
# - **`conv1`**: 1x1, from `in_channels` to `channels`, stride 1. **`conv2`**: 3x3, from `channels` to `channels`, with
#   **the stride here**, padding 1. **`conv3`**: 1x1, from `channels` to `channels * expansion`, stride 1; `expansion`
#   is 4. None has a bias.
# - The paper strides in the first 1x1 convolution, which then never looks at three of four pixels. torchvision moved
#   the stride into the 3x3 convolution ("ResNet v1.5"). You do as torchvision does: weights trained there mean nothing
#   with the stride elsewhere.
# - **`bn1`, `bn2`, `bn3`** after them: `nn.BatchNorm2d` with its defaults.
# - **`downsample`**: exactly when `stride != 1` or `in_channels != channels * expansion`, an `nn.Sequential` of a 1x1
#   convolution with the stride, without bias and padding, to `channels * expansion` channels, and an `nn.BatchNorm2d`.
#   Everywhere else `None`.
# - Starting values are PyTorch's, the names are exactly these, nothing else has parameters or buffers, the input keeps
#   its values, and gradients flow through both ways.


# %% nbgrader={"grade_id": "Bottleneck", "solution": true}
class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (He et al. 2016, Fig. 5 right), with torchvision's stride.

    Args:
        in_channels: channels of the input.
        channels: channels inside; the output has channels * expansion.
        stride: of the 3x3 convolution, and of the projection on the shortcut.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ReLU(branch + shortcut).

        Args:
            x: shape (N, in_channels, H, W).

        Returns:
            A tensor of shape (N, channels * expansion, ceil(H / stride), ceil(W / stride)). x keeps its values.
        """
        ### BEGIN SOLUTION
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_Bottleneck", "grade": true, "points": 4}
block = Bottleneck(12, 3)
names = sorted(name for name, _ in block.named_parameters())
assert names == sorted(
    [f"bn{i}.{kind}" for i in (1, 2, 3) for kind in ("weight", "bias")] + [f"conv{i}.weight" for i in (1, 2, 3)]
), f"Without a projection the parameters are those of conv1 to conv3 and bn1 to bn3. Yours: {names}."
assert block.downsample is None, "12 channels in, 4 * 3 out, stride 1: x itself is the shortcut, so downsample is None."
images = torch.randn(2, 12, 7, 6)
before = images.clone()
nn.init.zeros_(block.bn3.weight)
seen = block(images)
assert torch.equal(images, before), "Your block changes its input: `x += out` and ReLUs in place on x do that."
assert torch.allclose(seen, before.relu()), (
    "With bn3.weight = 0 the branch gives 0, so the block should give ReLU(x + 0). Yours gives something else."
)
seen = Bottleneck(12, 5, stride=2)(images)
assert seen.shape == (2, 20, 4, 3), (
    f"Stride 2 makes (4, 3) of (7, 6), and 5 channels inside make 20. Yours has shape {tuple(seen.shape)}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("residual_connections", "Bottleneck", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A shortcut without parameters
#
# *easy: three lines to six, about 10 minutes, 3 points*
#
# Where the sizes differ, the projection of exercise 1 has to be learned. Option A of the paper learns nothing (He et
# al. 2016, section 3.3): it skips pixels, and fills up with channels of zeros. With stride $s$ and $C$ input channels,
#
# $$\mathcal{S}(x)_{nchw} = \begin{cases} x_{n,\,c,\,sh,\,sw} & c < C \\ 0 & C \le c < C_\text{out} \end{cases}
# \qquad h = 0, \dots, \lceil H / s \rceil - 1, \quad w = 0, \dots, \lceil W / s \rceil - 1.$$
#
# What your function does:
#
# - **Pixels.** Every `stride`-th row and column, from the first on, as they are: no mean, no maximum. A side of 7 gives
#   4 with stride 2, as in a 3x3 convolution with padding 1.
# - **Channels.** First those of `x` in their order, **then** the zeros. Some code puts half of the zeros in front;
#   yours does not.
# - **Nothing to do.** With stride 1 and `out_channels` equal to $C$ the values are those of `x`; you may return `x`
#   itself.
# - **The rest.** `x` keeps its values. The result has `x`'s dtype (float32, float64, bfloat16) and device. Gradients
#   flow to the pixels that were taken.
# - **Bad settings.** `out_channels` below $C$, or `stride` below 1, raises a `ValueError`.


# %% nbgrader={"grade_id": "shortcut_a", "solution": true}
def shortcut_a(x: torch.Tensor, out_channels: int, stride: int) -> torch.Tensor:
    """Make the shortcut fit without parameters (He et al. 2016, section 3.3, option A).

    Args:
        x: shape (N, C, H, W), any floating dtype.
        out_channels: channels of the result, at least C.
        stride: take every stride-th row and column, at least 1.

    Returns:
        A tensor of shape (N, out_channels, ceil(H / stride), ceil(W / stride)), of x's dtype and device.

    Raises:
        ValueError: when out_channels is below C or stride below 1.
    """
    ### BEGIN SOLUTION
    if out_channels < x.shape[1]:
        raise ValueError(f"out_channels should be at least {x.shape[1]}, but it is {out_channels}")
    if stride < 1:
        raise ValueError(f"stride should be at least 1, but it is {stride}")
    taken = x[:, :, ::stride, ::stride]
    return F.pad(taken, (0, 0, 0, 0, 0, out_channels - x.shape[1]))  # pairs from the last dimension on
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_shortcut_a", "grade": true, "points": 3}
x = torch.arange(1.0, 26.0).view(1, 1, 5, 5)
seen = shortcut_a(x, out_channels=3, stride=2)
assert seen.shape == (1, 3, 3, 3), (
    f"Five rows give three with stride 2: rows 0, 2 and 4. Your result has shape {tuple(seen.shape)}."
)
assert torch.equal(seen[0, 0], torch.tensor([[1.0, 3.0, 5.0], [11.0, 13.0, 15.0], [21.0, 23.0, 25.0]])), (
    f"The first channel should be every second row and column of x. Yours is {seen[0, 0].tolist()}."
)
assert torch.equal(seen[0, 1:], torch.zeros(2, 3, 3)), "The channels that x does not have are zeros, and come after."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("residual_connections", "shortcut_a", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Start as the identity
#
# *easy: about six lines, about 10 minutes, 3 points*
#
# At the start a branch adds noise as large as its input, and each block adds more. Goyal et al. (2017, section 5.1)
# begin without: they set $\gamma$ of the last normalization of every branch to zero. Since $\beta$ starts at zero too,
#
# $$\mathcal{F}(x) = \gamma\,\hat z + \beta = 0, \qquad y = \text{ReLU}\big(\mathcal{S}(x)\big),$$
#
# where $\hat z$ is the normalized value. The block begins as a ReLU of its shortcut, and its branch wakes up as soon as
# $\gamma$ gets a gradient.
#
# What your function does, for the model of anybody:
#
# - **A residual block** is here any module that has an attribute `downsample`, be it `None` or not, whatever its class
#   is called: your blocks, torchvision's, those that the hidden tests bring. It may be at any depth, and the model
#   itself may be one. A module without this attribute is none, even if it has a `bn2`.
# - **The last normalization** of its branch is `bn3` if the block has one, else `bn2`, whatever its class is.
# - **Its `weight`** becomes all zeros, in place: the parameter stays the same object, so that an optimizer made before
#   still holds it. Frozen ones (`requires_grad=False`) become zeros too, and stay frozen. Without a weight
#   (`affine=False` makes it `None`), there is nothing to do.
# - **Everything else** stays: biases, other weights (those in `downsample` too), buffers, `grad`, `requires_grad`,
#   modes. No graph is recorded.
# - **Return** the model you were given, as the functions in `torch.nn.init` do with their tensors.


# %% nbgrader={"grade_id": "zero_init_residual_", "solution": true}
def zero_init_residual_(model: nn.Module) -> nn.Module:
    """Set gamma of the last normalization in every residual branch to zero (Goyal et al. 2017, section 5.1).

    Args:
        model: any model; its residual blocks are the modules with an attribute `downsample`. Changed in place.

    Returns:
        The same model.
    """
    ### BEGIN SOLUTION
    for module in model.modules():
        if hasattr(module, "downsample"):
            last = module.bn3 if hasattr(module, "bn3") else module.bn2
            if last.weight is not None:
                nn.init.zeros_(last.weight)
    return model
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_zero_init_residual_", "grade": true, "points": 3}
class TwoNorms(nn.Module):
    """Two normalizations; a residual block only when told so."""

    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
        if residual:
            self.downsample = None


stack = nn.Sequential(TwoNorms(True), nn.Sequential(TwoNorms(True)), TwoNorms(False))
seen = zero_init_residual_(stack)
assert seen is stack, "Return the model that you were given."
for block in (stack[0], stack[1][0]):
    assert torch.equal(block.bn2.weight, torch.zeros(2)), (
        f"The weight of a block's last normalization should be zeros, at any depth: {block.bn2.weight.tolist()}."
    )
    assert torch.equal(block.bn1.weight, torch.ones(2)), "bn1 is not the last normalization: leave it as it is."
assert torch.equal(stack[2].bn2.weight, torch.ones(2)), "A module without `downsample` is no residual block: leave it."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("residual_connections", "zero_init_residual_", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the same layers, with and without
#
# The next cell is not graded. It stacks your `BasicBlock` into networks of 38 layers with weights and trains them on
# 1,000 images of Fashion-MNIST, made smaller to 14 x 14 pixels: as plain layers (the same block, nothing added), with
# your shortcuts, and with your shortcuts after `zero_init_residual_`. Three seeds each, 30 updates with 64 images. It
# takes a few seconds.
#
# Left, the loss in training; the line is the median seed, the band all three. Right, the loss on all 1,000 images at
# the end, a dot per seed. Do the networks come apart from the first updates on, or later? Which of the two residual
# ones would you have expected to be ahead so early?

# %% nbgrader={"grade_id": "plain", "locked": true} tags=["payoff"]
from ravines.data import fashion_mnist, seed_everything
from ravines.plots import BLACK, BLUE, GREEN, RED, band, figure

torch.set_num_threads(1)  # the networks are so small that more threads only wait for each other
SEEDS, IMAGES, UPDATES, BATCH, WIDTH, DEPTH = (0, 1, 2), 1000, 30, 64, 8, 6


def without_shortcut(block: nn.Module) -> nn.Module:
    """Return a block's own layers, one after the other, with nothing added."""
    return nn.Sequential(block.conv1, block.bn1, nn.ReLU(), block.conv2, block.bn2, nn.ReLU())


def build(kind: str) -> nn.Module:
    """Return a network of three stages, with 7, 4 and 2 rows of pixels."""
    layers = [nn.Conv2d(1, WIDTH, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()]
    for stage in range(3):
        for number in range(DEPTH):
            layers.append(BasicBlock(WIDTH, WIDTH, stride=2 if stage and not number else 1))
    if kind == "plain":
        layers = [without_shortcut(m) if isinstance(m, BasicBlock) else m for m in layers]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, 10))
    return zero_init_residual_(network) if kind == "residual, zero start" else network


def learn(kind: str, seed: int) -> tuple[nn.Module, list[float], float]:
    """Return a trained network, its loss on each mini-batch, and on all images at the end."""
    generator = seed_everything(seed)
    network = build(kind)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(UPDATES):
        batch = torch.randint(IMAGES, (BATCH,), generator=generator)
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():  # in training mode: after 30 updates the running statistics still lag behind
        final = F.cross_entropy(network(images), labels).item()
    return network, losses, final


def compare(runs: dict[str, list]) -> object:
    """Return a picture of the training of each kind of network."""
    finals = {kind: np.array([final for _, _, final in seeds]) for kind, seeds in runs.items()}

    def draw(curves, ends):
        for place, ((kind, seeds), color) in enumerate(zip(runs.items(), (RED, BLUE, GREEN), strict=True)):
            band(curves, np.arange(1, UPDATES + 1), np.array([s[1] for s in seeds]), color=color, label=kind)
            ends.plot([place] * len(SEEDS), finals[kind], "o", color=color)
        curves.set(xlabel="update", ylabel="loss on the mini-batch")
        curves.legend()
        ends.set(ylabel=f"loss on all {IMAGES:,} images", xlim=(-0.5, 2.5), ylim=(0, 2.6))
        ends.set_xticks(range(3), [kind.replace(", ", ",\n") for kind in runs])

    said = "; ".join(f"{kind} {np.median(f):.2f} ({f.min():.2f} to {f.max():.2f})" for kind, f in finals.items())
    apart = finals["residual"].max() < finals["plain"].min()
    verdict = "Every residual network is below every plain one" if apart else "The seeds of the two kinds overlap"
    return figure(
        draw,
        panels=2,
        widths=(3, 2),
        alt=f"Loss on all images after {UPDATES} updates, median and range of three seeds: {said}. {verdict}.",
    )


images, labels = fashion_mnist()
chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:IMAGES]
images, labels = F.avg_pool2d(images[chosen], 2) - 0.3, labels[chosen]
try:
    kinds = "plain", "residual", "residual, zero start"
    runs = {kind: [learn(kind, seed) for seed in SEEDS] for kind in kinds}
    picture = compare(runs)
    print(picture.alt)
except NotImplementedError:
    picture = runs = None
    print("Finish exercises 1 and 4 first, then run this cell again.")
picture

# %% [markdown]
# All three have the same layers and nearly the same number of weights, and batch normalization keeps the signal alive
# in each of them. To see what the difference hangs on, copy the cell and change `DEPTH`, the number of blocks in a
# stage.

# %% [markdown]
# ## 5. A direction in which to walk
#
# *medium: about ten lines, about 15 minutes, 3 points*
#
# A network has too many weights to draw its loss. Li et al. (2018, section 4) cut a slice: they walk from the trained
# weights along random directions. But how far is far? In front of a normalization you can make all weights of a layer
# ten times as large and change nothing; a step of length 1 is then a tenth of what it was. So each part of the
# direction gets the length of the weights that it moves. With $w_k$ the $k$-th filter of a parameter, and with the
# Frobenius norm $\lVert \cdot \rVert$, the root of the sum of squares of all elements,
#
# $$d_k = \frac{g_k}{\lVert g_k \rVert}\, \lVert w_k \rVert, \qquad g_k \sim \mathcal{N}(0, I).$$
#
# What your function does:
#
# - **A list** with one tensor for each parameter, in the order of `model.parameters()`, of its shape, dtype and device,
#   and part of no graph.
# - **Parameters with two dimensions or more:** filter $k$ is the slice `p[k]` along the first dimension: what makes
#   output $k$, in linear layers and convolutions alike. Each is scaled on its own. A filter that is all zeros gets
#   zeros, not nan.
# - **Parameters with fewer dimensions** (biases, $\gamma$ and $\beta$ of normalizations) stay where they are: zeros.
#   The number of dimensions alone decides. (Li et al. ignore biases and batch normalization, too.)
# - **Random numbers** all come from `generator`, a generator on the CPU. It is left where the drawing ended, so that a
#   second call with it gives another direction. PyTorch's global generator is left alone.
# - **The model** stays as it is, and in its mode.
#
# <details><summary>Hint</summary>
#
# `g.flatten(1).norm(dim=1)` is one number per filter. To multiply by it, give it back the other dimensions:
# `view(-1, 1, 1, 1)` for a convolution.
#
# </details>


# %% nbgrader={"grade_id": "filter_normalized_direction", "solution": true}
def filter_normalized_direction(model: nn.Module, generator: torch.Generator) -> list[torch.Tensor]:
    """Draw a random direction whose filters are as long as the model's (Li et al. 2018, section 4).

    Args:
        model: any model.
        generator: on the CPU; where all random numbers come from.

    Returns:
        One tensor for each of model.parameters(), in their order, of the same shape, dtype and device.
    """
    ### BEGIN SOLUTION
    direction = []
    for p in model.parameters():
        p = p.detach()
        if p.dim() < 2:
            direction.append(torch.zeros_like(p))
            continue
        g = torch.randn(p.shape, generator=generator, dtype=p.dtype).to(p.device)
        other = tuple(range(1, p.dim()))
        g *= torch.linalg.vector_norm(p, dim=other, keepdim=True) / torch.linalg.vector_norm(g, dim=other, keepdim=True)
        direction.append(g)
    return direction
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_filter_normalized_direction", "grade": true, "points": 3}
network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))
seen = filter_normalized_direction(network, torch.Generator().manual_seed(0))
shapes = [tuple(p.shape) for p in network.parameters()]
assert [tuple(d.shape) for d in seen] == shapes, (
    f"There should be a tensor of its shape for each parameter: {shapes}. Yours have {[tuple(d.shape) for d in seen]}."
)
for p, d in zip(network.parameters(), seen, strict=True):
    if p.dim() < 2:
        assert torch.equal(d, torch.zeros_like(p)), f"A parameter of shape {tuple(p.shape)} does not move: zeros."
    else:
        lengths, wanted = d.flatten(1).norm(dim=1), p.detach().flatten(1).norm(dim=1)
        assert torch.allclose(lengths, wanted, rtol=1e-4), (
            f"Each filter of the direction is as long as the model's: {wanted}. Yours are {lengths}."
        )
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("residual_connections", "filter_normalized_direction", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 6. The loss around you
#
# *hard: about 20 lines, about 30 minutes, 3 points*
#
# With two directions $d^{(1)}$ and $d^{(2)}$, the slice is a function of two numbers, which can be drawn:
#
# $$f(a, b) = \mathcal{L}\big(w + a\, d^{(1)} + b\, d^{(2)}\big).$$
#
# The formula is the easy part. Measuring should leave no trace, and no point should depend on those before it. A loss
# computed in training mode moves the running statistics of batch normalization; adding $a\, d$ and subtracting it again
# does not give back the same weights, since floats are rounded.
#
# What your function does:
#
# - **The result** is a tensor of shape `(len(grid), len(grid))` in float64. Row $i$, column $j$ holds the loss with `a`
#   = `grid[i]` along the first direction and `b` = `grid[j]` along the second.
# - **`grid`** is a list of numbers or a tensor with one dimension, in no special order. A direction is a list or tuple
#   with one tensor for each of `model.parameters()`, as in exercise 5. You need not have solved that one.
# - **The loss** is `loss_fn(model)`, a tensor without dimensions. Call it once for each point, in any order, under
#   `torch.no_grad()`, with the model itself or a copy of it (`copy.deepcopy`). A loss of `inf` or `nan` is a result
#   too: keep it.
# - **Every call** finds the parameters at $w + a\, d^{(1)} + b\, d^{(2)}$, in their own dtype. All of them move, frozen
#   ones too, and one that two layers share moves once. Every call also finds the *buffers* (`model.buffers()`: running
#   statistics, counters; some are not in `state_dict()`) and the mode (`training`) of every module as they were when
#   you were called, whatever `loss_fn` did to them before.
# - **Afterwards** parameters, buffers and modes are what they were, to the last bit. The parameters are the same
#   objects, with the same `requires_grad` and `grad`. All of this holds too when `loss_fn` raises: the error goes on to
#   the caller. The directions keep their values.
# - **Bad directions** raise a `ValueError` before `loss_fn` is called: when one of the two has more or fewer tensors
#   than the model has parameters, or a tensor of another shape than its parameter.
#
# <details><summary>Hint: where to start</summary>
#
# Keep clones of all parameters and buffers, and a list of all modules with their `training`. Write a small function
# that puts them back (`p.copy_(kept)`), and call it before each point and under `finally:` at the end.
#
# </details>


# %% nbgrader={"grade_id": "loss_surface", "solution": true}
def loss_surface(
    model: nn.Module,
    loss_fn: Callable[[nn.Module], torch.Tensor],
    directions: tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]],
    grid: Sequence[float] | torch.Tensor,
) -> torch.Tensor:
    """Compute the loss on a plane through the weights (Li et al. 2018, section 3, Eq. 1).

    Args:
        model: any model. Afterwards it is as it was.
        loss_fn: gives the loss of a model, a tensor without dimensions; may change buffers and modes.
        directions: the first and the second, each with one tensor for each of model.parameters().
        grid: the coordinates along both directions, in one dimension.

    Returns:
        Losses of shape (len(grid), len(grid)), float64: rows along the first direction, columns along the second.

    Raises:
        ValueError: when a direction does not fit the parameters.
    """
    ### BEGIN SOLUTION
    parameters = list(model.parameters())
    for direction in directions:
        if [d.shape for d in direction] != [p.shape for p in parameters]:
            raise ValueError("a direction needs one tensor for each parameter, of its shape")
    weights = [p.detach().clone() for p in parameters]
    buffers = {name: b.detach().clone() for name, b in model.named_buffers()}
    modes = [(module, module.training) for module in model.modules()]

    def put_back() -> None:
        for p, w in zip(parameters, weights, strict=True):
            p.copy_(w)
        for name, b in model.named_buffers():
            b.copy_(buffers[name])
        for module, training in modes:
            module.training = training

    coordinates = torch.as_tensor(grid, dtype=torch.float64).tolist()
    surface = torch.empty(len(coordinates), len(coordinates), dtype=torch.float64)
    with torch.no_grad():
        try:
            for i, a in enumerate(coordinates):
                for j, b in enumerate(coordinates):
                    put_back()
                    for p, first, second in zip(parameters, *directions, strict=True):
                        p.add_(first, alpha=a).add_(second, alpha=b)
                    surface[i, j] = loss_fn(model)
        finally:
            put_back()
    return surface
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_loss_surface", "grade": true, "points": 3}
class Ravine(nn.Module):
    """Two weights and their loss, w_0^2 + 10 w_1^2."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self) -> torch.Tensor:
        return self.w[0] ** 2 + 10 * self.w[1] ** 2


ravine = Ravine()
before = copy.deepcopy(ravine.state_dict())
along, across = [torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 0.5])]
seen = loss_surface(ravine, lambda model: model(), (along, across), [-1.0, 0.0, 2.0])
assert seen.shape == (3, 3) and seen.dtype == torch.float64, (
    f"Three coordinates make a (3, 3) tensor in float64. Yours has shape {tuple(seen.shape)} and dtype {seen.dtype}."
)
assert math.isclose(seen[1, 1], 41.0, rel_tol=1e-5), (
    f"At a = b = 0 the loss is that of the model itself, 1 + 10 * 4 = 41. Yours is {seen[1, 1]}."
)
assert math.isclose(seen[2, 0], 31.5, rel_tol=1e-5), (
    f"Row 2, column 0 is a = 2, b = -1: w = (1 + 2, 2 - 0.5), so the loss is 31.5. Yours is {seen[2, 0]}."
)
assert torch.equal(ravine.w.detach(), before["w"]), (
    f"Put the weights back: they were {before['w']}, and are {ravine.w}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("residual_connections", "loss_surface", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: two landscapes
#
# The next cell is not graded. Around a plain and a residual network that the cell after exercise 4 trained, both from
# the same seed, it walks along two of your directions and draws your `loss_surface`. The loss is that of 100 images in
# training mode, so each of the 121 points moves the running statistics, and your function puts them back. The cross is
# where training ended, the circle the lowest point of the grid. Which of the two would you rather go down?

# %% nbgrader={"grade_id": "landscapes", "locked": true} tags=["payoff"]


def landscapes(networks: dict[str, nn.Module], side: int = 11) -> object:
    """Return a picture of the loss around two networks."""
    grid = torch.linspace(-1, 1, side, dtype=torch.float64)
    surfaces, lowest = {}, {}
    for kind, network in networks.items():
        generator = torch.Generator().manual_seed(0)
        pair = tuple(filter_normalized_direction(network, generator) for _ in range(2))
        surface = loss_surface(network, lambda m: F.cross_entropy(m(images[:100]), labels[:100]), pair, grid)
        surfaces[kind] = torch.as_tensor(surface).numpy()
        place = np.unravel_index(np.nanargmin(surfaces[kind]), (side, side))
        lowest[kind] = tuple(round(grid[k].item(), 3) + 0.0 for k in place)  # 0.0 turns -0.0 into 0.0
    levels = np.linspace(0, min(max(s.max() for s in surfaces.values()), 6), 16)

    def draw(*panels):
        for axes, (kind, surface) in zip(panels, surfaces.items(), strict=True):
            # Rows of the surface are the first direction, which lies along the horizontal axis.
            axes.contourf(grid, grid, surface.T, levels=levels, extend="max", cmap="viridis")
            lines = axes.contour(grid, grid, surface.T, levels=levels[1:-1:2], colors="white", linewidths=0.7)
            axes.clabel(lines, fontsize=7, fmt="%.1f")
            axes.plot(0, 0, "+", color=BLACK, markersize=10, clip_on=False)
            axes.plot(*lowest[kind], "o", color="white", markeredgecolor=BLACK, markersize=6, clip_on=False)
            axes.set(title=kind.capitalize(), xlabel="first direction, a", ylabel="second direction, b")
            axes.set_aspect("equal")
            axes.grid(False)

    said = [
        f"{kind}: {s[side // 2, side // 2]:.2f} where training ended, lowest {s.min():.2f} "
        f"at a = {lowest[kind][0]:.1f}, b = {lowest[kind][1]:.1f}, highest {s.max():.2f}"
        for kind, s in surfaces.items()
    ]
    return figure(draw, panels=2, height=3.4, alt=f"Loss around two networks. {'; '.join(said).capitalize()}.")


try:
    picture = None
    if globals().get("runs"):  # the networks that the cell after exercise 4 trained
        picture = landscapes({kind: runs[kind][0][0] for kind in ("plain", "residual")})
        print(picture.alt)
    else:
        print("Finish exercises 1 and 4 first, and run the cell after exercise 4.")
except NotImplementedError:
    print("Finish exercises 5 and 6 first, then run this cell again.")
picture

# %% [markdown]
# One slice along two random directions is little of a space with thousands of dimensions, and another pair of
# directions gives another picture. Change the seed in the cell and see what stays. Li et al. compare networks that were
# trained to the end; yours have seen 30 updates, and the plain one stands elsewhere, at another loss.
