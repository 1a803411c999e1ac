# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # GoogLeNet
#
# Chapter [GoogLeNet](../../book/googlenet.md) looked at one image through filters of several sizes at once, and counted
# what that costs. Here you write the pooling that replaced the large fully connected layers, count what 1x1
# convolutions save, and build the module, the auxiliary head and the whole network: the one of the paper, and the one
# whose weights you can download. Seven exercises, 20 points, about 115 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Images are tensors of shape (N, C, H, W): examples, channels, height, width. "The paper" is Szegedy et al. (2015), and
# `MODULES` below holds the nine rows of its Table 1 that describe Inception modules: the channels that come in, then
# the six numbers of the row. No exercise needs the answer to another one; the pictures do.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from ravines import counting

# in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj
MODULES = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}

# %% [markdown]
# ## 1. Global average pooling
#
# *easy: one line, about 5 minutes, 1 point*
#
# One number for each feature map: its mean (Lin et al. 2014, section 3.2).
#
# $$y_{nc} = \frac{1}{HW} \sum_{i=1}^{H} \sum_{j=1}^{W} x_{ncij}.$$
#
# The result has the shape (N, C), also when N, C, H or W is 1, and `x`'s dtype. `x` may have any strides, so it need
# not be contiguous. In float16 a sum can overflow where the mean does not: 56 x 56 numbers of 100 have the sum 313,600,
# and the largest float16 is 65,504. Your mean of them is 100.


# %% nbgrader={"grade_id": "global_average_pool", "solution": true}
def global_average_pool(x: torch.Tensor) -> torch.Tensor:
    """Return the mean of each feature map (Lin et al. 2014, section 3.2).

    Args:
        x: (N, C, H, W), any floating dtype, on any device, any strides.

    Returns:
        (N, C), of x's dtype.
    """
    ### BEGIN SOLUTION
    return x.mean((2, 3))
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_global_average_pool", "grade": true, "points": 1}
# The table of the lecture's slide, and the same times -1.
table = torch.tensor([[1.0, 5, 8, 7], [1, 3, 4, 2], [3, 2, 1, 4], [5, 7, 6, 2]])
x = torch.stack([table, -table])[None]
seen = global_average_pool(x)
assert seen.shape == (1, 2), f"One image with two channels gives (1, 2). Yours has the shape {tuple(seen.shape)}."
assert seen.tolist() == [[3.8125, -3.8125]], f"The 16 numbers have the sum 61, so 61 / 16. Yours: {seen.tolist()}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("googlenet", "global_average_pool", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Global max pooling
#
# *easy: one line, about 5 minutes, 1 point*
#
# What the lecture's slide draws is the other kind:
#
# $$y_{nc} = \max_{i,\,j}\, x_{ncij}.$$
#
# Shape, dtype and strides are as in exercise 1. All numbers of a map may be negative or infinite. A map that holds a
# `nan` gives `nan`. The gradient goes to the largest number; where it goes when several are the largest is yours to
# choose.


# %% nbgrader={"grade_id": "global_max_pool", "solution": true}
def global_max_pool(x: torch.Tensor) -> torch.Tensor:
    """Return the largest number of each feature map.

    Args:
        x: (N, C, H, W), any floating dtype, on any device, any strides.

    Returns:
        (N, C), of x's dtype.
    """
    ### BEGIN SOLUTION
    return x.amax((2, 3))
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_global_max_pool", "grade": true, "points": 1}
seen = global_max_pool(x)
assert seen.shape == (1, 2), f"One image with two channels gives (1, 2). Yours has the shape {tuple(seen.shape)}."
assert seen.tolist() == [[8.0, -1.0]], f"The largest of the table is 8, of its negative -1. Yours: {seen.tolist()}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("googlenet", "global_max_pool", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. What the reductions save
#
# *medium: about 12 lines, about 15 minutes, 3 points*
#
# The paper draws two modules (Figure 2). In the **naive** one, three convolutions and a pooling all read the module's
# input, and their outputs are concatenated: a 1x1 convolution to `ch1x1` channels, a 3x3 one to `ch3x3`, a 5x5 one to
# `ch5x5`, and a 3x3 max pooling, which keeps all `in_channels`. In the **reduced** one, which the network uses, a 1x1
# convolution to `ch3x3red` channels stands before the 3x3, another to `ch5x5red` channels before the 5x5, and a third
# to `pool_proj` channels after the pooling. Every convolution has stride 1 and is padded, so all maps have the same
# height $H$ and width $W$. A convolution with kernel $k$ then has
#
# $$k^2\, C_\text{in}\, C_\text{out} \text{ weights} \qquad\text{and}\qquad
# H\,W\,k^2\, C_\text{in}\, C_\text{out} \text{ multiply-accumulates (MACs)}.$$
#
# Count both modules, for one image. Weights alone count: no biases. A MAC is one multiplication with its addition,
# so it counts once. Poolings have neither. Return a dict with the keys `"naive"` and `"reduced"`; each holds a dict
# with `"weights"`, `"macs"` and `"out_channels"`, the channels after the concatenation. All six numbers are of type
# `int`, and exact.


# %% nbgrader={"grade_id": "reduction_savings", "solution": true}
def reduction_savings(
    in_channels: int,
    ch1x1: int,
    ch3x3red: int,
    ch3x3: int,
    ch5x5red: int,
    ch5x5: int,
    pool_proj: int,
    height: int,
    width: int,
) -> dict[str, dict[str, int]]:
    """Count an Inception module with and without its 1x1 reductions (Szegedy et al. 2015, Figure 2).

    Args:
        in_channels: of the module's input.
        ch1x1: channels that come out of the 1x1 branch.
        ch3x3red: channels between the 1x1 and the 3x3 convolution of the second branch.
        ch3x3: channels that come out of it.
        ch5x5red: channels between the 1x1 and the 5x5 convolution of the third branch.
        ch5x5: channels that come out of it.
        pool_proj: channels that come out of the fourth branch, after its pooling.
        height, width: of the input and of all maps, in pixels.

    Returns:
        {"naive": {...}, "reduced": {...}}, each with "weights", "macs" (for one image) and "out_channels".
    """
    ### BEGIN SOLUTION
    modules = {
        "naive": [(1, in_channels, ch1x1), (3, in_channels, ch3x3), (5, in_channels, ch5x5)],
        "reduced": [
            (1, in_channels, ch1x1),
            (1, in_channels, ch3x3red),
            (3, ch3x3red, ch3x3),
            (1, in_channels, ch5x5red),
            (5, ch5x5red, ch5x5),
            (1, in_channels, pool_proj),
        ],
    }
    filters = ch1x1 + ch3x3 + ch5x5
    channels = {"naive": filters + in_channels, "reduced": filters + pool_proj}
    counts = {}
    for kind, convolutions in modules.items():
        weights = sum(kernel**2 * before * after for kernel, before, after in convolutions)
        counts[kind] = {"weights": weights, "macs": height * width * weights, "out_channels": channels[kind]}
    return counts
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_reduction_savings", "grade": true, "points": 3}
# One channel everywhere, 2 x 3 pixels: 1 + 9 + 25 weights without reductions, and 1 + (1 + 9) + (1 + 25) + 1 with them.
seen = reduction_savings(1, 1, 1, 1, 1, 1, 1, height=2, width=3)
for kind, wanted in (
    ("naive", {"weights": 35, "macs": 6 * 35, "out_channels": 4}),
    ("reduced", {"weights": 38, "macs": 6 * 38, "out_channels": 4}),
):
    assert seen[kind] == wanted, f"With one channel everywhere the {kind} module has {wanted}. Yours: {seen[kind]}."
seen = reduction_savings(*MODULES["3a"], height=28, width=28)
assert seen["naive"]["weights"] == 387_072, (
    f"Naive, module 3a has 192 * (64 + 9 * 128 + 25 * 32) = 387,072 weights. Yours: {seen['naive']['weights']}."
)
assert seen["reduced"]["weights"] == 163_328, f"Reduced, it has 163,328 weights. Yours: {seen['reduced']['weights']}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("googlenet", "reduction_savings", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: nine modules, counted twice
#
# The next cell is not graded. It counts the nine modules of the network with your function, at the size that each of
# them sees: 28, 14 and 7 pixels. Each naive module gets the input channels that the real one gets. Where is most saved,
# and why there? In a network of naive modules the channels would pile up as well: look at `out_channels`.

# %% nbgrader={"grade_id": "savings", "locked": true} tags=["payoff"]
from ravines.plots import BLUE, RED, figure


def draw_savings() -> object:
    """Return a picture of what each module costs with and without its reductions."""
    pixels = {"3": 28, "4": 14, "5": 7}
    counts = {name: reduction_savings(*row, pixels[name[0]], pixels[name[0]]) for name, row in MODULES.items()}

    def draw(*panels):
        for axes, what, unit in zip(panels, ("weights", "macs"), ("million weights", "million MACs"), strict=True):
            for kind, color, shift in (("naive", RED, -0.2), ("reduced", BLUE, 0.2)):
                heights = [count[kind][what] / 1e6 for count in counts.values()]
                axes.bar([i + shift for i in range(len(counts))], heights, 0.4, color=color, label=kind)
            axes.set(ylabel=unit, xlabel="module")
            axes.set_xticks(range(len(counts)), list(counts))
        panels[0].legend()

    total = {kind: sum(count[kind]["macs"] for count in counts.values()) for kind in ("naive", "reduced")}
    said = "; ".join(
        f"{name} {count['naive']['weights'] / count['reduced']['weights']:.1f}" for name, count in counts.items()
    )
    return figure(
        draw,
        panels=2,
        alt=f"Weights and MACs of nine modules. How many times as many the naive module has: {said}. All nine "
        f"together: {total['naive'] / 1e9:.2f} billion MACs naive, {total['reduced'] / 1e9:.2f} billion reduced.",
    )


try:
    picture = draw_savings()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercise 3 first, then run this cell again.")
picture

# %% [markdown]
# ## 4. The Inception module
#
# *medium: about 15 lines, about 20 minutes, 4 points*
#
# Four branches read the same input, and their outputs are concatenated along the channels, in this order (the paper's
# Figure 2b; `r` is the ReLU, $m$ a 3x3 max pooling with stride 1 that keeps height and width):
#
# $$y = \big[\; r(\text{conv1x1}(x)),\;\; r(\text{conv3x3}(r(\text{conv3x3red}(x)))),\;\;
# r(\text{conv5x5}(r(\text{conv5x5red}(x)))),\;\; r(\text{pool\_proj}(m(x))) \;\big].$$
#
# The six convolutions are `nn.Conv2d` with stride 1, with biases, and padded with zeros so that height and width stay.
# What lies outside of the image is not a candidate for the maximum in $m$, even where all numbers are negative. There
# is no batch normalization: it was published a year later. Give the convolutions exactly these names, as attributes
# of the module, so that weights can be loaded by name, and let nothing else have parameters or buffers:
#
# | name | kernel | channels in | channels out |
# |---|---|---|---|
# | `conv1x1` | 1 | `in_channels` | `ch1x1` |
# | `conv3x3red` | 1 | `in_channels` | `ch3x3red` |
# | `conv3x3` | 3 | `ch3x3red` | `ch3x3` |
# | `conv5x5red` | 1 | `in_channels` | `ch5x5red` |
# | `conv5x5` | 5 | `ch5x5red` | `ch5x5` |
# | `pool_proj` | 1 | `in_channels` | `pool_proj` |
#
# The input keeps its values, and gradients flow back through all four branches.


# %% nbgrader={"grade_id": "Inception", "solution": true}
class Inception(nn.Module):
    """The module of Szegedy et al. (2015), Figure 2b, with its 1x1 reductions.

    Args:
        in_channels: of the input.
        ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj: as in a row of the paper's Table 1.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
    ) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.conv1x1 = nn.Conv2d(in_channels, ch1x1, 1)
        self.conv3x3red = nn.Conv2d(in_channels, ch3x3red, 1)
        self.conv3x3 = nn.Conv2d(ch3x3red, ch3x3, 3, padding=1)
        self.conv5x5red = nn.Conv2d(in_channels, ch5x5red, 1)
        self.conv5x5 = nn.Conv2d(ch5x5red, ch5x5, 5, padding=2)
        self.pool_proj = nn.Conv2d(in_channels, pool_proj, 1)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W) for (N, in_channels, H, W)."""
        ### BEGIN SOLUTION
        branches = [
            self.conv1x1(x),
            self.conv3x3(self.conv3x3red(x).relu()),
            self.conv5x5(self.conv5x5red(x).relu()),
            self.pool_proj(F.max_pool2d(x, 3, stride=1, padding=1)),
        ]
        return torch.cat(branches, 1).relu()  # one ReLU for all four branches: it looks at each number alone
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_Inception", "grade": true, "points": 4}
module = Inception(1, 1, 1, 1, 1, 1, 1)
with torch.no_grad():
    for p in module.parameters():
        p.fill_(1.0 if p.dim() == 4 else 0.0)  # all weights 1, all biases 0: sums over what a kernel covers
    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 2, 2], x[0, 0, 0, 0] = 10.0, -3.0
    seen = module(x)
assert seen.shape == (1, 4, 5, 5), f"Four branches of one channel each: (1, 4, 5, 5). Yours: {tuple(seen.shape)}."
for channel, (name, wanted) in enumerate(
    # Row 1 from column 0 to 4. The 3x3 and the 5x5 see the ReLU of the reduction, in which -3 has become 0.
    (
        ("conv1x1", [0, 0, 0, 0, 0]),
        ("conv3x3", [0, 10, 10, 10, 0]),
        ("conv5x5", [10, 10, 10, 10, 10]),
        ("pool_proj", [0, 10, 10, 10, 0]),
    )
):
    row = seen[0, channel, 1].tolist()
    assert row == wanted, f"Channel {channel} ({name}) should be {wanted} in its second row. Yours is {row}."
seen = counting.parameters(Inception(*MODULES["3a"]))
assert seen == 163_696, f"Module 3a has 163,328 weights and 368 biases, 163,696 parameters. Yours has {seen:,}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("googlenet", "Inception", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. A second opinion on the way
#
# *medium: about 10 lines, about 15 minutes, 2 points*
#
# In training, two small classifiers look at the maps of modules 4a and 4d, which are of 14 x 14 pixels (the paper's
# section 5). Each is an average pooling with a kernel of 5 and a stride of 3, without padding; a 1x1 convolution to 128
# channels and a ReLU; a fully connected layer to 1,024 and a ReLU; dropout with $p = 0.7$; and a fully connected
# layer to the classes, whose output are logits. The pooling leaves
#
# $$\left\lfloor \frac{14 - 5}{3} \right\rfloor + 1 = 4$$
#
# rows and columns, so that the first fully connected layer has $128 \cdot 4 \cdot 4 = 2048$ inputs. Flatten the maps
# channel by channel, as `flatten(1)` does. Every layer has a bias. The names are `conv` (`nn.Conv2d`), `fc1` and `fc2`
# (`nn.Linear`); nothing else has parameters or buffers. Drop by `nn.Dropout` or `F.dropout`.


# %% nbgrader={"grade_id": "AuxiliaryHead", "solution": true}
class AuxiliaryHead(nn.Module):
    """The auxiliary classifier of Szegedy et al. (2015), section 5.

    Args:
        in_channels: of the maps that it looks at.
        num_classes: how many logits come out.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, num_classes)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes) for maps (N, in_channels, 14, 14)."""
        ### BEGIN SOLUTION
        x = self.conv(F.avg_pool2d(x, 5, stride=3)).relu()
        x = self.fc1(x.flatten(1)).relu()
        return self.fc2(self.dropout(x))
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_AuxiliaryHead", "grade": true, "points": 2}
with torch.device("meta"):
    head = AuxiliaryHead(512, 1000)
    logits = head(torch.empty(2, 512, 14, 14))
assert logits.shape == (2, 1000), f"Two images give two rows of 1,000 logits. Yours have the shape {logits.shape}."
seen = counting.parameters(head)
assert seen == 65_664 + 2_098_176 + 1_025_000, (
    "The convolution has 512 * 128 + 128 = 65,664 parameters, the layers after it 2048 * 1024 + 1024 = 2,098,176 and "
    f"1024 * 1000 + 1000 = 1,025,000. Yours have "
    f"{', '.join(f'{name}: {p.numel():,}' for name, p in head.named_parameters())}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("googlenet", "AuxiliaryHead", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 6. GoogLeNet
#
# *hard: about 40 lines, about 30 minutes, 5 points*
#
# The network of the paper's Table 1, for images of 224 x 224 pixels:
#
# | name | layer | output |
# |---|---|---|
# | `conv1` | convolution, kernel 7, stride 2, padding 3, ReLU | 64 x 112 x 112 |
# | | max pool 3/2, LRN | 64 x 56 x 56 |
# | `conv2` | convolution, kernel 1, ReLU | 64 x 56 x 56 |
# | `conv3` | convolution, kernel 3, padding 1, ReLU | 192 x 56 x 56 |
# | | LRN, max pool 3/2 | 192 x 28 x 28 |
# | `inception3a`, `inception3b` | two modules | 480 x 28 x 28 |
# | | max pool 3/2 | 480 x 14 x 14 |
# | `inception4a` to `inception4e` | five modules | 832 x 14 x 14 |
# | | max pool 3/2 | 832 x 7 x 7 |
# | `inception5a`, `inception5b` | two modules | 1024 x 7 x 7 |
# | | global average pool, dropout 0.4 | 1024 |
# | `fc` | fully connected, logits | `num_classes` |
#
# - **`conv1` to `conv3`** are `nn.Conv2d` and `fc` is `nn.Linear`, all with biases. Keep all names, and let nothing
#   that has none here have parameters or buffers.
# - **Max pool 3/2** has a kernel of 3, a stride of 2, no padding, and rounds sizes *up* (`ceil_mode=True`): otherwise
#   112 pixels become 55. **LRN** is `nn.LocalResponseNorm(5)` with its defaults, which are the numbers of the authors'
#   published configuration; the paper does not print them. Drop by `nn.Dropout` or `F.dropout`.
# - **Modules** are made as `Inception(*MODULES["3a"])` and so on.
# - **Heads.** With `aux=True` there are two, `aux1` on the output of 4a and `aux2` on that of 4d, made as
#   `AuxiliaryHead(512, num_classes)` and `AuxiliaryHead(528, num_classes)`. With `aux=False` there are none.
# - **What comes out.** In training mode with heads: a tuple `(logits, logits of aux1, logits of aux2)`. In evaluation
#   mode, or without heads: the logits alone. The heads are not run in evaluation mode, so that other sizes of images
#   can pass.
# - **`blocks`**, if it is not `None`, is a pair of classes to make the modules and heads of, with the same arguments as
#   `Inception` and `AuxiliaryHead`. The tests use simpler ones, so that this exercise does not hang on the two before.
#
# With your own blocks the network has 6,998,552 parameters in 58 layers without heads, and 13,378,280 in 64 with both.
#
# `googlenet_loss` is graded together with it. With the logits $z$, $z_1$, $z_2$, the classes $t$ and the mean
# cross-entropy $\ell$, it is
#
# $$\mathcal{L} = \ell(z, t) + 0.3\, \ell(z_1, t) + 0.3\, \ell(z_2, t),$$
#
# and $\ell(z, t)$ alone when it is given logits alone.


# %% nbgrader={"grade_id": "GoogLeNet", "solution": true}
class GoogLeNet(nn.Module):
    """The network of Szegedy et al. (2015), Table 1, for (N, 3, 224, 224).

    Args:
        num_classes: how many logits come out.
        aux: whether there are auxiliary heads, which only training uses.
        blocks: the classes of modules and heads; by default `Inception` and `AuxiliaryHead`.
    """

    def __init__(
        self, num_classes: int = 1000, aux: bool = True, blocks: tuple[type[nn.Module], type[nn.Module]] | None = None
    ) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        module, head = blocks or (Inception, AuxiliaryHead)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.conv2 = nn.Conv2d(64, 64, 1)
        self.conv3 = nn.Conv2d(64, 192, 3, padding=1)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm = nn.LocalResponseNorm(5)
        for name, row in MODULES.items():
            self.add_module(f"inception{name}", module(*row))
        self.aux1 = head(512, num_classes) if aux else None
        self.aux2 = head(528, num_classes) if aux else None
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(1024, num_classes)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits (N, num_classes); in training with heads, a tuple of logits, those of aux1 and of aux2."""
        ### BEGIN SOLUTION
        x = self.norm(self.pool(self.conv1(x).relu()))
        x = self.conv3(self.conv2(x).relu()).relu()
        x = self.pool(self.norm(x))
        x = self.pool(self.inception3b(self.inception3a(x)))
        after4a = self.inception4a(x)
        after4d = self.inception4d(self.inception4c(self.inception4b(after4a)))
        x = self.pool(self.inception4e(after4d))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(x.mean((2, 3))))
        if self.training and self.aux1 is not None:
            return logits, self.aux1(after4a), self.aux2(after4d)
        return logits
        ### END SOLUTION


def googlenet_loss(outputs: torch.Tensor | tuple[torch.Tensor, ...], targets: torch.Tensor) -> torch.Tensor:
    """Return the loss in training (Szegedy et al. 2015, section 5).

    Args:
        outputs: logits (N, classes), or a tuple of them and those of both heads.
        targets: (N,), integers.

    Returns:
        The mean cross-entropy of the logits, plus 0.3 times that of each head.
    """
    ### BEGIN SOLUTION
    if isinstance(outputs, torch.Tensor):
        return F.cross_entropy(outputs, targets)
    logits, *heads = outputs
    return F.cross_entropy(logits, targets) + 0.3 * sum(F.cross_entropy(head, targets) for head in heads)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_GoogLeNet", "grade": true, "points": 5}
class OneConvolution(nn.Module):
    """Stands in for a module: the same channels, one 1x1 convolution. It remembers the shape of its output."""

    def __init__(self, in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, ch1x1 + ch3x3 + ch5x5 + pool_proj, 1)

    def forward(self, x):
        x = self.conv(x)
        self.seen = "x".join(map(str, x.shape[1:]))
        return x


class OneLayer(nn.Module):
    """Stands in for a head: one fully connected layer."""

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, x):
        return self.fc(x.mean((2, 3)))


with torch.device("meta"):
    network = GoogLeNet(blocks=(OneConvolution, OneLayer))
    outputs = network(torch.empty(2, 3, 224, 224))
assert isinstance(outputs, tuple) and [tuple(o.shape) for o in outputs] == [(2, 1000)] * 3, (
    "In training, two images give a tuple of three tensors (2, 1000)."
)
sizes = {"3b": "480x28x28", "4a": "512x14x14", "4d": "528x14x14", "4e": "832x14x14", "5b": "1024x7x7"}
for name, wanted in sizes.items():
    seen = getattr(network, f"inception{name}").seen
    assert seen == wanted, f"The output of inception{name} should be {wanted}. Yours is {seen}."
seen = sum(p.numel() for name, p in network.named_parameters() if name.startswith("conv"))
assert seen == 9_472 + 4_160 + 110_784, (
    "The first three convolutions have 3 * 64 * 49 + 64 = 9,472, 64 * 64 + 64 = 4,160 and 64 * 192 * 9 + 192 = 110,784 "
    f"parameters. Yours have {seen:,} together."
)
with torch.device("meta"):
    logits = network.eval()(torch.empty(1, 3, 96, 64))
assert isinstance(logits, torch.Tensor) and logits.shape == (1, 1000), "In evaluation mode logits alone come out."
even = torch.zeros(2, 4)  # each class gets a probability of 1/4
seen = googlenet_loss((even, even, even), torch.tensor([0, 3])).item()
assert math.isclose(seen, 1.6 * math.log(4), rel_tol=1e-5), (
    f"Here all three cross-entropies are ln 4, so the loss is (1 + 0.3 + 0.3) ln 4 = 2.218. Yours is {seen:.3f}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("googlenet", "GoogLeNet", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: your network, counted
#
# The next cell is not graded. It counts your network, made of your own modules and heads, on the meta device. The
# lecture says 6.4 million parameters and $10 + 9 \cdot 6$ trainable layers. Which of the two is which network?

# %% nbgrader={"grade_id": "counted", "locked": true} tags=["payoff"]
try:
    for aux in (False, True):
        with torch.device("meta"):
            network = GoogLeNet(aux=aux)
        rows = counting.layers(network, (3, 224, 224))
        macs = sum(row.macs for row in rows)
        print(
            f"{'With' if aux else 'Without'} heads: {counting.parameters(network):,} parameters in "
            f"{counting.depth(rows)} layers with weights, {macs / 1e9:.3f} billion MACs for one image, forward."
        )
except NotImplementedError:
    print("Finish exercises 4, 5 and 6 first, then run this cell again.")

# %% [markdown]
# ## 7. The GoogLeNet that you can download
#
# *hard: about 45 lines, about 25 minutes, 4 points*
#
# torchvision's network has batch normalization, no LRN, and a 3x3 convolution where the paper has the 5x5 one. (Its
# source calls that a known bug: the weights were trained so.) Build it so that `load_state_dict` takes the published
# weights without a complaint:
#
# - **A convolution** is everywhere three layers: `conv`, an `nn.Conv2d` without bias; `bn`, an `nn.BatchNorm2d` with
#   `eps=0.001` and otherwise its defaults; and a ReLU. Below, "unit" is a module with these names, such as
#   `conv1.conv` and `conv1.bn`.
# - **`conv1`, `conv2`, `conv3`** are units with kernels, strides and padding as in exercise 6. No LRN.
# - **Modules** `inception3a` to `inception5b` with the channels of `MODULES`: `branch1` is a unit (1x1); `branch2` an
#   `nn.Sequential` of two units, `0` (1x1) and `1` (3x3); `branch3` the same with the channels of the 5x5 branch, and a
#   **3x3** unit, padding 1, as its second; `branch4` an `nn.Sequential` of a 3x3 max pooling with stride 1 and padding
#   1, `0`, and a unit, `1` (1x1). They are concatenated in this order.
# - **Max pools** between the stages are 3/2 as in exercise 6, but for the one before `inception5a`, whose kernel is 2.
#   All of them round up.
# - **Heads** `aux1` (after 4a) and `aux2` (after 4d): an *adaptive* average pooling to 4 x 4, `conv` (a unit, 1x1, to
#   128), `fc1` (2048 to 1024), ReLU, dropout with $p$ = `dropout_aux`, `fc2`. With `aux_logits=False` there are none.
# - **At the end** global average pooling, dropout with $p$ = `dropout`, and `fc`. Drop by `nn.Dropout` or `F.dropout`.
# - **What comes out.** In training mode with heads: three tensors in a tuple, in torchvision's order, which is not that
#   of exercise 6: `(logits, logits of aux2, logits of aux1)`. A named tuple will do. In evaluation mode, or without
#   heads: the logits alone, and the heads are not run.
# - **`transform_input`.** The weights were trained on pixels $(p - 0.5)/0.5$, and everybody else subtracts ImageNet's
#   means $\mu$ = (0.485, 0.456, 0.406) and divides by its standard deviations $\sigma$ = (0.229, 0.224, 0.225). With
#   `transform_input=True` the network turns the second kind of input into the first before anything else, channel by
#   channel:
#
# $$x_c \;\leftarrow\; \frac{\sigma_c}{0.5}\, x_c + \frac{\mu_c - 0.5}{0.5}.$$
#
# For the published weights make the network with `transform_input=True` and with heads, which are in the file, too.
# Starting values are PyTorch's. Build the network of `torch.nn`'s layers, and call them as modules, `self.conv(x)`:
# nothing of torchvision may be in it, and the hidden tests put cheaper layers in the place of convolutions. If you want
# classes of your own for units, modules and heads, write them above this one, in the same cell; or name the parts of a
# sequence by `nn.Sequential(OrderedDict(conv=..., bn=...))`, and those of a module by `nn.ModuleDict`.


# %% nbgrader={"grade_id": "TorchvisionGoogLeNet", "solution": true}
class TorchvisionGoogLeNet(nn.Module):
    """The network of `torchvision.models.googlenet`, whose state dict it loads.

    Args:
        num_classes: how many logits come out.
        aux_logits: whether there are auxiliary heads.
        transform_input: whether inputs are normalized by ImageNet's statistics, and are to become (p - 0.5) / 0.5.
        dropout: how likely a number before the last layer is dropped in training.
        dropout_aux: the same in the heads.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        ### BEGIN SOLUTION
        super().__init__()

        def unit(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
            conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
            relu = nn.ReLU(inplace=True)  # what it overwrites nobody asks for again
            return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(after, eps=0.001), relu=relu))

        def head(before: int) -> nn.ModuleDict:
            layers = {"conv": unit(before, 128, 1), "fc1": nn.Linear(2048, 1024), "fc2": nn.Linear(1024, num_classes)}
            return nn.ModuleDict({**layers, "dropout": nn.Dropout(dropout_aux)})

        self.transform_input = transform_input
        self.conv1, self.conv2, self.conv3 = unit(3, 64, 7, stride=2), unit(64, 64, 1), unit(64, 192, 3)
        for name, (before, a, b_red, b, c_red, c, d) in MODULES.items():
            branches = {
                "branch1": unit(before, a, 1),
                "branch2": nn.Sequential(unit(before, b_red, 1), unit(b_red, b, 3)),
                "branch3": nn.Sequential(unit(before, c_red, 1), unit(c_red, c, 3)),
                "branch4": nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), unit(before, d, 1)),
            }
            self.add_module(f"inception{name}", nn.ModuleDict(branches))
        self.aux1, self.aux2 = (head(512), head(528)) if aux_logits else (None, None)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits (N, num_classes); in training with heads, a tuple of logits, those of aux2 and of aux1."""
        ### BEGIN SOLUTION
        if self.transform_input:
            means, deviations = x.new_tensor([0.485, 0.456, 0.406]), x.new_tensor([0.229, 0.224, 0.225])
            x = x * (deviations / 0.5)[:, None, None] + ((means - 0.5) / 0.5)[:, None, None]

        def pool(x: torch.Tensor, kernel: int = 3) -> torch.Tensor:
            return F.max_pool2d(x, kernel, stride=2, ceil_mode=True)

        def run(head: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
            x = head["conv"](F.adaptive_avg_pool2d(x, 4)).flatten(1)
            return head["fc2"](head["dropout"](head["fc1"](x).relu()))

        x = pool(self.conv3(self.conv2(pool(self.conv1(x)))))
        heads = {"4a": self.aux1, "4d": self.aux2} if self.training and self.aux1 is not None else {}
        others = []
        for name in MODULES:
            branches = getattr(self, f"inception{name}")
            x = torch.cat([branch(x) for branch in branches.values()], 1)
            if name in heads:
                others.append(run(heads[name], x))
            if name in ("3b", "4e"):
                x = pool(x, 3 if name == "3b" else 2)
        logits = self.fc(self.dropout(x.mean((2, 3))))
        return (logits, *reversed(others)) if others else logits
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_TorchvisionGoogLeNet", "grade": true, "points": 4}
import torchvision

for aux_logits, wanted in ((True, 13_004_888), (False, 6_624_904)):
    with torch.device("meta"):
        theirs = torchvision.models.googlenet(aux_logits=aux_logits, init_weights=False)
        mine = TorchvisionGoogLeNet(aux_logits=aux_logits)
    state = mine.state_dict()
    for name, tensor in theirs.state_dict().items():
        assert name in state, f"Your network has no {name}. It has {', '.join(state)}."
        assert state[name].shape == tensor.shape, (
            f"{name} should have the shape {tuple(tensor.shape)}, not {tuple(state[name].shape)}."
        )
    seen = counting.parameters(mine)
    assert seen == wanted, f"With aux_logits={aux_logits} there are {wanted:,} parameters. Yours has {seen:,}."
assert mine.eval()(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000), (
    "In evaluation mode two images give two rows of 1,000 logits."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("googlenet", "TorchvisionGoogLeNet", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: one mean for each map, or a weight for each pixel
#
# The next cell is not graded. It puts two of your Inception modules, with a few channels each, on 1,000 images of
# Fashion-MNIST, made smaller to 14 x 14 pixels. Behind them stands either your global average pooling and one fully
# connected layer, or two fully connected layers that see every pixel of every map, as in AlexNet. Three seeds each,
# 200 updates with 50 images. It takes some 10 seconds.
#
# Left, the share of right answers: an open dot is a seed's on the 1,000 images that it learned from, a full one on
# 2,000 new images, and the line between them is the gap. Right, the parameters. "Reduces overfitting" and "is better"
# are two sentences: which of them do you see?

# %% nbgrader={"grade_id": "heads", "locked": true} tags=["payoff"]
from ravines import plots
from ravines.data import device, fashion_mnist, seed_everything

torch.set_num_threads(1)  # the networks are so small that more threads only wait for each other
SEEDS, IMAGES, EPOCHS, BATCH = (0, 1, 2), 1000, 10, 50


class Narrow(nn.Module):
    """Two narrow Inception modules on maps of 7 x 7 pixels, and one of two ends.

    Args:
        pool: makes (N, 64) of (N, 64, 7, 7); None for fully connected layers on every pixel.
    """

    def __init__(self, pool=None):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.modules_ = nn.Sequential(Inception(16, 8, 8, 16, 4, 8, 8), Inception(40, 16, 16, 24, 4, 12, 12))
        self.pool = pool
        self.end = nn.Linear(64, 10) if pool else nn.Sequential(nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 10))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = self.modules_(F.max_pool2d(self.stem(x).relu(), 2))
        return self.end(self.pool(x) if self.pool else x.flatten(1))


def learn(pool, lr: float, seed: int) -> tuple[float, float]:
    """Return the share of right answers on the images learned from, and on new ones."""
    generator = seed_everything(seed)
    network = Narrow(pool).to(device())
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    for _ in range(EPOCHS):
        for batch in torch.randperm(IMAGES, generator=generator).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        pairs = (images, labels), (new_images, new_labels)
        return tuple((network(x).argmax(1) == y).float().mean().item() for x, y in pairs)


def compare_ends(ends: dict) -> object:
    """Return a picture of accuracies and parameters of networks with each end."""
    runs = {name: [learn(pool, lr, seed) for seed in SEEDS] for name, (pool, lr) in ends.items()}
    sizes = {name: counting.parameters(Narrow(pool)) for name, (pool, _) in ends.items()}

    def draw(shares, bars):
        for place, (name, seeds) in enumerate(runs.items()):
            color = (plots.RED, plots.BLUE, plots.GREEN)[place % 3]
            for shift, (old, new) in zip((-0.15, 0.0, 0.15), seeds, strict=True):
                shares.plot([place + shift] * 2, [old, new], color=color, linewidth=1.0)
                shares.plot(place + shift, old, "o", color="white", markeredgecolor=color)
                shares.plot(place + shift, new, "o", color=color)
            bars.bar(place, sizes[name] / 1000, 0.5, color=color)
        for axes in (shares, bars):
            axes.set_xticks(range(len(runs)), [name.replace(", ", ",\n") for name in runs])
            axes.set_xlim(-0.5, len(runs) - 0.5)
        shares.set(ylabel="share of right answers")
        bars.set(ylabel="thousand parameters")

    said = []
    for name, seeds in runs.items():
        old, new = (
            f"{sorted(values)[len(SEEDS) // 2]:.2f} ({min(values):.2f} to {max(values):.2f})"
            for values in zip(*seeds, strict=True)
        )
        said.append(f"{name}: {old} on images learned from, {new} on new ones, {sizes[name]:,} parameters")
    return plots.figure(draw, panels=2, alt=f"Share of right answers, median and range of 3 seeds. {'; '.join(said)}.")


images, labels = (t.to(device()) for t in fashion_mnist())
new_images, new_labels = (t.to(device()) for t in fashion_mnist(train=False))
chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:IMAGES].to(device())
images, labels, new_images = F.avg_pool2d(images[chosen], 2) - 0.3, labels[chosen], F.avg_pool2d(new_images, 2) - 0.3
try:
    # Each with a learning rate that suits it.
    picture = compare_ends({"fully connected": (None, 0.003), "global average": (global_average_pool, 0.02)})
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 1 and 4 first, then run this cell again.")
picture

# %% [markdown]
# A global average forgets where in the image something was, and 64 numbers are left of 3,136. Give it more updates, or
# more channels, before you judge it; and add `"global max": (global_max_pool, 0.01)` to the dict to see the other kind.
# In GoogLeNet itself 1,024 maps of 7 x 7 pixels become 1,024 numbers: a fully connected layer on every pixel would have
# 50 million weights there, seven times as many as the whole network.

# %% [markdown]
# ### See it: the published weights in your network
#
# If the weights that torchvision publishes are on this machine, the next cell loads them into your
# `TorchvisionGoogLeNet` and shows what it says of two photographs. It downloads nothing. Without the weights it says
# how you get them (50 MB).

# %% nbgrader={"grade_id": "published", "locked": true} tags=["payoff"]
from ravines import pretrained

picture = None
try:
    picture = pretrained.look(TorchvisionGoogLeNet(transform_input=True), "GoogLeNet_Weights.IMAGENET1K_V1")
    print(picture.alt)
except NotImplementedError:
    print("Finish exercise 7 first, then run this cell again.")
except pretrained.WeightsError as reason:
    print(reason)
picture
