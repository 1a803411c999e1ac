# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # ResNet
#
# Chapter [ResNet](../../book/resnet.md) took the networks of 2015 apart. Here you put them together: all five of the
# paper's ImageNet networks from one class, in torchvision's form and in the paper's; the small ones that the paper
# trained on CIFAR-10; and a table that says where the parameters and the work of any network are. Five exercises,
# 20 points, about 110 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Images are tensors of shape $(N, C, H, W)$: examples, channels, height, width. A *MAC* is one multiplication and one
# addition, so two FLOPs. Whole networks are counted on PyTorch's `meta` device, where tensors have shapes and no
# numbers: ResNet-152 costs nothing there. No exercise needs the answer to another one; the pictures at the end do.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# %% [markdown]
# ## What is given
#
# Chapter [Residual connections](../../book/residual_connections.md) built the two blocks. They are given here, so that
# your time goes into the network. Both are made by `block(in_channels, channels, stride, stride_in_1x1)`, and what
# comes out of them has `channels * block.expansion` channels. The shortcut is the input itself where that fits, and
# elsewhere a 1x1 convolution with a normalization (the paper's option B).
#
# `stride_in_1x1` moves the stride of a `Bottleneck` from its 3x3 convolution, where torchvision has it, into its first
# 1x1 convolution, where the paper has it. A `BasicBlock` has no 1x1 convolution to move it to, and takes no notice.
#
# A `Row` is what the table of exercise 5 is made of.

# %% nbgrader={"grade_id": "blocks", "locked": true}


def normalized(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Return a convolution that keeps the size (but for the stride), and the normalization that follows it."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(out_channels)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, figure 5, left)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1, stride_in_1x1: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = normalized(in_channels, channels, 3, stride)
        self.conv2, self.bn2 = normalized(channels, channels, 3)
        fits = stride == 1 and in_channels == channels
        self.downsample = None if fits else nn.Sequential(*normalized(in_channels, channels, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.bn1(self.conv1(x)).relu()
        branch = self.bn2(self.conv2(branch))
        return (branch + (self.downsample(x) if self.downsample else x)).relu()


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 convolutions, beside a shortcut (He et al. 2016, figure 5, right)."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1, stride_in_1x1: bool = False) -> None:
        super().__init__()
        wide = channels * self.expansion
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1, self.bn1 = normalized(in_channels, channels, 1, first)
        self.conv2, self.bn2 = normalized(channels, channels, 3, second)
        self.conv3, self.bn3 = normalized(channels, wide, 1)
        fits = stride == 1 and in_channels == wide
        self.downsample = None if fits else nn.Sequential(*normalized(in_channels, wide, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch = self.bn1(self.conv1(x)).relu()
        branch = self.bn2(self.conv2(branch)).relu()
        branch = self.bn3(self.conv3(branch))
        return (branch + (self.downsample(x) if self.downsample else x)).relu()


class Row(NamedTuple):
    """One use of a module without modules inside.

    Attributes:
        name: where it is in the model; "" for the model itself.
        kind: its class.
        shape: of its output for one image.
        parameters: how many numbers are in its parameters, where they were not counted before.
        macs: multiplications, each with an addition, for one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int


# %% [markdown]
# ## 1. The number in the name
#
# *easy: one line, about 5 minutes, 1 point*
#
# A ResNet is a convolution, some stages of equal blocks, and a fully connected layer. Stage $i$ has $n_i$ blocks. The
# number in its name says how many layers with weights an image meets in a row:
#
# $$\text{depth} = 1 + k \sum_i n_i + 1, \qquad k = 2 \text{ for basic blocks, } 3 \text{ for bottlenecks}.$$
#
# The 1x1 convolutions on shortcuts are beside the way and do not count; neither do normalizations. The number of stages
# is that of the list: four in the networks for ImageNet, three in those for CIFAR-10.


# %% nbgrader={"grade_id": "depth_of", "solution": true}
def depth_of(layers: Sequence[int], bottleneck: bool) -> int:
    """Return how many layers with weights stand in a row in a residual network (He et al. 2016, table 1).

    Args:
        layers: the number of blocks in each stage, such as [3, 4, 6, 3].
        bottleneck: whether the blocks are bottlenecks, with three convolutions; basic blocks have two.
    """
    ### BEGIN SOLUTION
    return 1 + (3 if bottleneck else 2) * sum(layers) + 1
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_depth_of", "grade": true, "points": 1}
assert depth_of([2, 2, 2, 2], bottleneck=False) == 18, "1 + 2 * 8 + 1 = 18."
assert depth_of([3, 4, 6, 3], bottleneck=True) == 50, "1 + 3 * 16 + 1 = 50."
assert depth_of([3, 3, 3], bottleneck=False) == 20, "Three stages of three basic blocks: 1 + 2 * 9 + 1 = 20."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("resnet", "depth_of", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Count before you build
#
# *medium: about 15 lines, about 20 minutes, 3 points*
#
# How many parameters has such a network? You need no network to say so, only to keep account of the channels. A
# convolution has no bias, a normalization has a scale and a shift for each channel, and the last layer, on $512\,e$
# channels, has a weight for each of them and a bias, for each of $K$ classes:
#
# $$P = \sum_{\text{convolutions}} k^2\, C_\text{in} C_\text{out} + \sum_{\text{normalizations}} 2\, C
# + (512\, e + 1)\, K.$$
#
# The network is the one of exercise 3. What your function has to keep account of:
#
# - **The stem** is a 7x7 convolution from 3 to 64 channels.
# - **Four stages** have $c = 64, 128, 256, 512$ channels inside their blocks, and $c\,e$ behind them; the expansion $e$
#   is 1 for basic blocks and 4 for bottlenecks. Every block but the first thus gets $c\,e$ channels of the block before
#   it. The first block of a stage gets those of the stage before, or of the stem.
# - **A basic block** has two 3x3 convolutions. **A bottleneck** has a 1x1 convolution to $c$, a 3x3 convolution on $c$,
#   and a 1x1 convolution to $4c$ channels.
# - **The projection** on the shortcut, a 1x1 convolution, exists where the block has a stride of 2 (the first block of
#   stages 2, 3 and 4), and where the number of channels changes.
# - **A normalization** follows every convolution, those on shortcuts too. Running statistics are no parameters.
#
# Compute it from these numbers: no module is built.


# %% nbgrader={"grade_id": "parameters_of", "solution": true}
def parameters_of(layers: Sequence[int], bottleneck: bool, num_classes: int = 1000) -> int:
    """Return the number of parameters of a residual network for ImageNet, without building it.

    Args:
        layers: the number of blocks in each of the four stages, at least one.
        bottleneck: whether the blocks are bottlenecks or basic blocks.
        num_classes: how many logits come out.
    """
    ### BEGIN SOLUTION

    def convolution(kernel: int, in_channels: int, out_channels: int) -> int:
        return kernel**2 * in_channels * out_channels + 2 * out_channels  # with its normalization

    expansion = 4 if bottleneck else 1
    total, in_channels = convolution(7, 3, 64), 64
    for stage, blocks in enumerate(layers):
        channels = 64 * 2**stage
        for number in range(blocks):
            out_channels = channels * expansion
            if bottleneck:
                total += convolution(1, in_channels, channels) + convolution(3, channels, channels)
                total += convolution(1, channels, out_channels)
            else:
                total += convolution(3, in_channels, channels) + convolution(3, channels, channels)
            if in_channels != out_channels or (stage > 0 and number == 0):
                total += convolution(1, in_channels, out_channels)
            in_channels = out_channels
    return total + (in_channels + 1) * num_classes
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_parameters_of", "grade": true, "points": 3}
for layers, bottleneck, published in (([2, 2, 2, 2], False, 11_689_512), ([3, 4, 6, 3], True, 25_557_032)):
    seen = parameters_of(layers, bottleneck)
    assert seen == published, (
        f"ResNet-{1 + (3 if bottleneck else 2) * sum(layers) + 1} has {published:,} parameters. Yours: {seen:,}, "
        f"which is {abs(seen - published):,} too {'many' if seen > published else 'few'}."
    )
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("resnet", "parameters_of", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Five networks from one class
#
# *hard: about 40 lines, about 35 minutes, 6 points*
#
# The paper's table 1 is one plan with five settings (He et al. 2016, section 3.3):
#
# | part | what it is | output, of 224 x 224 pixels |
# |---|---|---|
# | `conv1`, `bn1`, ReLU | 7x7 convolution to 64 channels, stride 2, padding 3, no bias | 112 x 112 |
# | max pool | kernel 3, stride 2, padding 1 | 56 x 56 |
# | `layer1` | `layers[0]` blocks with 64 channels inside | 56 x 56 |
# | `layer2` | `layers[1]` blocks with 128 channels inside, the first with stride 2 | 28 x 28 |
# | `layer3` | `layers[2]` blocks with 256 channels inside, the first with stride 2 | 14 x 14 |
# | `layer4` | `layers[3]` blocks with 512 channels inside, the first with stride 2 | 7 x 7 |
# | mean over all pixels | | 1 x 1 |
# | `fc` | fully connected, with a bias | `num_classes` logits |
#
# | | blocks | `layers` | parameters for 1,000 classes |
# |---|---|---|---|
# | `resnet18` | `BasicBlock` | 2, 2, 2, 2 | 11,689,512 |
# | `resnet34` | `BasicBlock` | 3, 4, 6, 3 | 21,797,672 |
# | `resnet50` | `Bottleneck` | 3, 4, 6, 3 | 25,557,032 |
# | `resnet101` | `Bottleneck` | 3, 4, 23, 3 | 44,549,160 |
# | `resnet152` | `Bottleneck` | 3, 8, 36, 3 | 60,192,808 |
#
# Build the class `ResNet` and the five functions.
#
# - **Names.** `conv1`, `bn1`, `layer1`, ..., `layer4` and `fc` are torchvision's, so that your network loads a
#   `state_dict` from there with `strict=True`. A stage is an `nn.Sequential` of blocks. Nothing else has parameters or
#   buffers. Use the blocks above, and nothing of torchvision's.
# - **`block`** is `BasicBlock` or `Bottleneck`. It is called as `block(in_channels, channels, stride, stride_in_1x1)`.
#   All blocks have stride 1, but for the first of stages 2, 3 and 4.
# - **`stride_in_1x1`** goes to every block: the paper's network instead of torchvision's. The parameters stay the same,
#   and ResNet-50 needs 3.86 instead of 4.09 billion MACs for an image of 224 x 224 pixels.
# - **Any size** of image works from 32 x 32 pixels on. There is no dropout.
# - **The start.** The weights of all convolutions are drawn from a normal distribution whose variance follows the
#   fan-out, so that gradients keep their size on the way back (He et al. 2015, equation 14):
#
# $$w \sim \mathcal{N}\left(0,\ \frac{2}{k^2\, C_\text{out}}\right).$$
#
# Scales and shifts of normalizations start at 1 and 0, and `fc` as PyTorch starts it: both are so already.


# %% nbgrader={"grade_id": "ResNet", "solution": true}
class ResNet(nn.Module):
    """A residual network for ImageNet, with the names of torchvision's (He et al. 2016, table 1).

    Args:
        block: BasicBlock or Bottleneck.
        layers: the number of blocks in each of the four stages.
        num_classes: how many logits come out.
        stride_in_1x1: whether a bottleneck has its stride in the first 1x1 convolution, as in the paper.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        stride_in_1x1: bool = False,
    ) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        in_channels = 64
        for number, blocks in enumerate(layers, start=1):
            channels, stage = 32 * 2**number, nn.Sequential()
            for i in range(blocks):
                stride = 2 if i == 0 and number > 1 else 1
                stage.append(block(in_channels, channels, stride, stride_in_1x1))
                in_channels = channels * block.expansion
            self.add_module(f"layer{number}", stage)
        self.fc = nn.Linear(in_channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W)."""
        ### BEGIN SOLUTION
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))
        ### END SOLUTION


def resnet18(num_classes: int = 1000, stride_in_1x1: bool = False) -> ResNet:
    """Return the network with 18 layers."""
    ### BEGIN SOLUTION
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, stride_in_1x1)
    ### END SOLUTION


def resnet34(num_classes: int = 1000, stride_in_1x1: bool = False) -> ResNet:
    """Return the network with 34 layers."""
    ### BEGIN SOLUTION
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, stride_in_1x1)
    ### END SOLUTION


def resnet50(num_classes: int = 1000, stride_in_1x1: bool = False) -> ResNet:
    """Return the network with 50 layers."""
    ### BEGIN SOLUTION
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes, stride_in_1x1)
    ### END SOLUTION


def resnet101(num_classes: int = 1000, stride_in_1x1: bool = False) -> ResNet:
    """Return the network with 101 layers."""
    ### BEGIN SOLUTION
    return ResNet(Bottleneck, [3, 4, 23, 3], num_classes, stride_in_1x1)
    ### END SOLUTION


def resnet152(num_classes: int = 1000, stride_in_1x1: bool = False) -> ResNet:
    """Return the network with 152 layers."""
    ### BEGIN SOLUTION
    return ResNet(Bottleneck, [3, 8, 36, 3], num_classes, stride_in_1x1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_ResNet", "grade": true, "points": 6}
for make, wanted in ((resnet18, 11_689_512), (resnet34, 21_797_672), (resnet50, 25_557_032)):
    with torch.device("meta"):
        network = make()
    seen = sum(p.numel() for p in network.parameters())
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert seen == wanted, f"{make.__name__} has {wanted:,} parameters. Yours has {seen:,}: {parts}."
with torch.device("meta"):
    shape = tuple(resnet18()(torch.empty(2, 3, 64, 64)).shape)
assert shape == (2, 1000), f"Two images give two rows of 1,000 logits. Yours have the shape {shape}."

import torchvision

with torch.device("meta"):
    theirs = torchvision.models.resnet50().state_dict()
mine = network.state_dict()  # of the last one above
missing, spare = [name for name in theirs if name not in mine], [name for name in mine if name not in theirs]
assert not missing and not spare, f"torchvision's ResNet-50 also has {missing[:3]}, and yours also has {spare[:3]}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("resnet", "ResNet", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The small networks
#
# *medium: about 35 lines, about 25 minutes, 5 points*
#
# On CIFAR-10, with images of 32 x 32 pixels, the paper asks how deep is too deep. Its networks there have little else
# than depth (He et al. 2016, section 4.2): $6n + 2$ layers, with no parameter on any shortcut.
#
# | part | what it is | output, of 32 x 32 pixels |
# |---|---|---|
# | stem | 3x3 convolution to 16 channels, normalization, ReLU | 16 x 32 x 32 |
# | stage 1 | $n$ blocks with 16 channels | 16 x 32 x 32 |
# | stage 2 | $n$ blocks with 32 channels, the first with stride 2 | 32 x 16 x 16 |
# | stage 3 | $n$ blocks with 64 channels, the first with stride 2 | 64 x 8 x 8 |
# | mean over all pixels, fully connected | with a bias | `num_classes` logits |
#
# A block is `BasicBlock` but for its shortcut, which is *option A* everywhere. Where the block has stride $s$ and $C$
# channels come in, it takes every $s$-th row and column, and fills up with channels of zeros *behind* those of $x$:
#
# $$y = \text{ReLU}\big(\mathcal{F}(x) + \mathcal{S}(x)\big), \qquad
# \mathcal{S}(x)_{nchw} = \begin{cases} x_{n,\,c,\,sh,\,sw} & c < C \\ 0 & C \le c < C_\text{out}. \end{cases}$$
#
# - **Layers.** 3x3 convolutions have padding 1 and no bias; the stride is in the first of a block. Each of them is an
#   `nn.Conv2d` that an `nn.BatchNorm2d` with its defaults follows, and the last layer is an `nn.Linear`; each is used
#   once. Names are yours, and only `small_resnet` is graded: change or drop `SmallBlock` as you like.
# - **Numbers.** With 3 channels and 10 classes, 20 layers have 269,722 parameters, 56 layers 853,018 and 110 layers
#   1,727,962: the paper's 0.27, 0.85 and 1.7 million.
# - **Any size** of image works, from 4 x 4 pixels on, and any number of channels. `n` below 1 raises a `ValueError`.
# - **The start** may be PyTorch's: the tests bring their own weights.
#
# <details><summary>Hint: zeros behind</summary>
#
# `F.pad(x, (0, 0, 0, 0, 0, more))` counts its pairs from the last dimension on: width, height, channels.
#
# </details>


# %% nbgrader={"grade_id": "small_resnet", "solution": true}
class SmallBlock(nn.Module):
    """A basic block whose shortcut has no parameters (He et al. 2016, section 3.3, option A).

    Args:
        in_channels: channels of the input.
        channels: channels of the output, as many or more.
        stride: of the first convolution, and of the shortcut.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.stride, self.more = stride, channels - in_channels
        self.conv1, self.bn1 = normalized(in_channels, channels, 3, stride)
        self.conv2, self.bn2 = normalized(channels, channels, 3)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ReLU(branch + shortcut), of shape (N, channels, ceil(H / stride), ceil(W / stride))."""
        ### BEGIN SOLUTION
        branch = self.bn1(self.conv1(x)).relu()
        branch = self.bn2(self.conv2(branch))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return (branch + F.pad(shortcut, (0, 0, 0, 0, 0, self.more))).relu()
        ### END SOLUTION


def small_resnet(n: int, num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """Return the network with 6n + 2 layers for small images (He et al. 2016, section 4.2, option A).

    Args:
        n: the number of blocks in each of the three stages, at least 1.
        num_classes: how many logits come out.
        in_channels: of the images: 3 for CIFAR-10, 1 for Fashion-MNIST.

    Returns:
        A module that gives logits (N, num_classes) for images (N, in_channels, H, W).

    Raises:
        ValueError: when n is below 1.
    """
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError(f"n should be at least 1, but it is {n}")
    parts = [*normalized(in_channels, 16, 3), nn.ReLU()]
    before = 16
    for channels in (16, 32, 64):
        for i in range(n):
            parts.append(SmallBlock(before, channels, stride=2 if i == 0 and channels > 16 else 1))
            before = channels
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_small_resnet", "grade": true, "points": 5}
for n, wanted in ((3, 269_722), (9, 853_018)):
    with torch.device("meta"):
        network = small_resnet(n)
        seen = sum(p.numel() for p in network.parameters())
        logits = network(torch.empty(2, 3, 32, 32))
    assert seen == wanted, (
        f"With n = {n} the network has {wanted:,} parameters. Yours has {seen:,}; shortcuts have none."
    )
    shape = tuple(logits.shape)
    assert shape == (2, 10), f"Two images give two rows of 10 logits. Yours have the shape {shape}."
network = small_resnet(2, num_classes=7, in_channels=1).eval()
assert network(torch.randn(2, 1, 28, 28)).shape == (2, 7), "It should take images of 28 x 28 pixels and one channel."
kinds = [type(module) for module in network.modules()]
assert kinds.count(nn.Conv2d) == kinds.count(nn.BatchNorm2d) == 13, (
    f"With n = 2 there are 6 * 2 + 1 = 13 convolutions, each with a normalization. Yours: {kinds.count(nn.Conv2d)} "
    f"convolutions, {kinds.count(nn.BatchNorm2d)} normalizations."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("resnet", "small_resnet", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Where the work is
#
# *hard: about 30 lines, about 25 minutes, 5 points*
#
# Sums hide where a network's parameters and work are. Send one image through the network, and let forward hooks
# (`module.register_forward_hook`) write a row for each layer that it meets. What a convolution with $g$ groups and a
# kernel of $k_h \times k_w$ costs depends on its *output*, and so does a linear layer's cost:
#
# $$\text{MACs}_\text{conv} = C_\text{out}\, H_\text{out} W_\text{out}\, \frac{C_\text{in}}{g}\, k_h k_w, \qquad
# \text{MACs}_\text{linear} = (\text{numbers in the output}) \times (\text{inputs of one}).$$
#
# `layer_table(model, input_size)` returns a list of `Row`s, the tuples from the beginning:
#
# - **One row for each use of a leaf**, in the order of use. A leaf is a module without modules inside
#   (`not list(module.children())`), and that may be the model itself. A module that is used twice has two rows, one
#   that is not used has none.
# - **`name`**: where it is in the model (`model.named_modules()`), such as `"layer1.0.conv1"`; the first name of a
#   module that has several. **`kind`**: its class, such as `"Conv2d"`.
# - **`shape`**: of the output for one image, without the examples' dimension: a tuple of integers.
# - **`parameters`**: how many numbers the leaf's own parameters have, frozen ones too. A parameter that stood in a row
#   before, of the same module or of another one that shares it, is not counted again. Buffers are no parameters.
# - **`macs`**: for one image, in every use, for `nn.Conv2d` and `nn.Linear` by the formulas above; 0 for all other
#   modules. A bias costs no MAC. A linear layer may get more dimensions than two, such as `(N, T, C)`.
# - **The pass** is made in evaluation mode and under `torch.no_grad()`. The model may be on the CPU or on the `meta`
#   device, in float32 or float64 (make the image like its first parameter), or have no parameters at all.
# - **No trace.** Afterwards the model's parameters are the same objects with the same values, gradients and
#   `requires_grad`; buffers, the hooks that were there before, and the mode (`training`) of *each* module are what they
#   were. That holds too when the model raises an error (an image that does not fit): the error goes on to the caller.
# - **Your own count:** no counter of PyTorch's or of another library's.
#
# <details><summary>Hint: hooks</summary>
#
# A hook gets three arguments, `(module, inputs, output)`. `register_forward_hook` returns a handle, whose `remove()`
# takes the hook away again.
#
# </details>


# %% nbgrader={"grade_id": "layer_table", "solution": true}
def layer_table(model: nn.Module, input_size: Sequence[int]) -> list[Row]:
    """Return what one image meets in a model, and what it costs.

    Args:
        model: any model, in any mode, on the CPU or the meta device. Afterwards it is as it was.
        input_size: of one image, such as (3, 224, 224).

    Returns:
        One row for each use of a module without modules inside, in the order of use.
    """
    ### BEGIN SOLUTION
    names = {module: name for name, module in model.named_modules() if not list(module.children())}
    modes = [(module, module.training) for module in model.modules()]
    rows, counted = [], set()

    def record(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        new = {id(p): p.numel() for p in module.parameters(recurse=False) if id(p) not in counted}
        counted.update(new)
        shape, macs = tuple(output.shape[1:]), 0
        if isinstance(module, nn.Conv2d):
            macs = math.prod(shape) * module.in_channels // module.groups * math.prod(module.kernel_size)
        elif isinstance(module, nn.Linear):
            macs = math.prod(shape) * module.in_features
        rows.append(Row(names[module], type(module).__name__, shape, sum(new.values()), macs))

    like = next(model.parameters(), torch.empty(0))
    hooks = [module.register_forward_hook(record) for module in names]
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, *input_size, dtype=like.dtype, device=like.device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return rows
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_layer_table", "grade": true, "points": 5}
network = nn.Sequential(
    nn.Conv2d(2, 6, 3, stride=2, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(54, 5)
)
network.append(network[2])  # the same ReLU once more
rows = layer_table(network, (2, 7, 8))
wanted = [
    ("0", "Conv2d", (6, 3, 3), 60, 486),
    ("1", "BatchNorm2d", (6, 3, 3), 12, 0),
    ("2", "ReLU", (6, 3, 3), 0, 0),
    ("3", "Flatten", (54,), 0, 0),
    ("4", "Linear", (5,), 275, 270),
    ("2", "ReLU", (5,), 0, 0),
]
assert len(rows) == 6, f"Six uses of modules make six rows; the ReLU has two. Yours has {len(rows)}."
for seen, right in zip(rows, wanted, strict=True):
    assert tuple(seen) == right, f"This row should be {right}. Yours is {tuple(seen)}."
assert network.training and network[1].training, "The model was in training mode: put it back."
assert network[1].num_batches_tracked == 0, "The running statistics moved: make the pass in evaluation mode."
assert not any(module._forward_hooks for module in network), "A hook of yours is still there: remove() it."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("resnet", "layer_table", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: where ResNet-50 works, and where it remembers
#
# The next cell is not graded. It sums your `layer_table` of your `resnet50`, with the stride in the 3x3 and in the 1x1
# convolutions, over the parts of the network. Before you run it: which stage has the most parameters, and which the
# most work? And what does the other stride save, where?

# %% nbgrader={"grade_id": "stages", "locked": true} tags=["payoff"]
from ravines.plots import BLUE, ORANGE, RED, SKY, band, figure

PARTS = ("stem", "layer1", "layer2", "layer3", "layer4", "fc")


def by_part(stride_in_1x1: bool) -> dict[str, tuple[int, int]]:
    """Return the parameters and MACs of each part of your ResNet-50, for an image of 224 x 224 pixels."""
    with torch.device("meta"):
        rows = layer_table(resnet50(stride_in_1x1=stride_in_1x1), (3, 224, 224))
    sums = dict.fromkeys(PARTS, (0, 0))
    for row in rows:
        part = row.name.split(".")[0]
        parameters, macs = sums[part if part in PARTS else "stem"]
        sums[part if part in PARTS else "stem"] = parameters + row.parameters, macs + row.macs
    return sums


def stages(sums: dict[str, dict[str, tuple[int, int]]]) -> object:
    """Return a picture of the parts of two networks."""

    def draw(left, right):
        places = np.arange(len(PARTS))
        own = next(iter(sums.values()))
        left.bar(places, [own[part][0] / 1e6 for part in PARTS], color=ORANGE)
        left.set(ylabel="millions of parameters")
        for k, (label, color) in enumerate(zip(sums, (BLUE, SKY), strict=True)):
            heights = [sums[label][part][1] / 1e9 for part in PARTS]
            right.bar(places + 0.4 * k - 0.2, heights, width=0.38, color=color, label=label)
        right.set(ylabel="billions of MACs for one image", ylim=(0, 1.9))
        right.legend(loc="upper right")
        for axes in (left, right):
            axes.set_xticks(places, PARTS)

    said = "; ".join(
        f"{part}: {next(iter(sums.values()))[part][0] / 1e6:.2f} million parameters, "
        + " or ".join(f"{table[part][1] / 1e9:.2f}" for table in sums.values())
        + " billion MACs"
        for part in PARTS
    )
    totals = " and ".join(f"{sum(m for _, m in table.values()) / 1e9:.3f} ({label})" for label, table in sums.items())
    alt = f"The parts of ResNet-50. {said}. Together {totals} billion MACs."
    return figure(draw, panels=2, alt=alt)


try:
    picture = stages({"stride in the 3x3": by_part(False), "stride in the 1x1": by_part(True)})
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 3 and 5 first, then run this cell again.")
picture

# %% [markdown]
# ### See it: deeper, with and without shortcuts
#
# The next cell is not graded. It trains your `small_resnet(1)` and `small_resnet(4)`, of 8 and 26 layers, on 2,000
# images of Fashion-MNIST, made smaller to 14 x 14 pixels. Beside each it trains a plain network of the same layers:
# your `layer_table` says in which order they are used. Three seeds each, 60 updates with 32 images. It takes some ten
# seconds on one core.
#
# The line is the median seed, the band all three. Eighteen more layers: what do they do to the plain network, and what
# to yours?

# %% nbgrader={"grade_id": "deeper", "locked": true} tags=["payoff"]
from ravines.data import fashion_mnist, seed_everything

torch.set_num_threads(1)  # the networks are so small that more threads only wait for each other
SEEDS, IMAGES, UPDATES, BATCH, DEPTHS = (0, 1, 2), 2000, 60, 32, (1, 4)


def without_shortcuts(network: nn.Module) -> nn.Module:
    """Return a network's own layers one after the other: each convolution with its normalization and a ReLU."""
    layers = []
    for row in layer_table(network, (1, 14, 14)):
        if row.kind in ("Conv2d", "BatchNorm2d"):
            layers.append(network.get_submodule(row.name))
        if row.kind == "BatchNorm2d":
            layers.append(nn.ReLU())
        if row.kind == "Linear":
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), network.get_submodule(row.name)]
    return nn.Sequential(*layers)


def train(n: int, residual: bool, seed: int) -> list[float]:
    """Return the loss on each mini-batch."""
    generator = seed_everything(seed)
    network = small_resnet(n, in_channels=1)
    network = network if residual else without_shortcuts(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    losses = []
    for _ in range(UPDATES):
        batch = torch.randint(IMAGES, (BATCH,), generator=generator)
        loss = F.cross_entropy(network(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def compare(runs: dict[tuple[int, bool], np.ndarray]) -> object:
    """Return a picture of the training of plain and residual networks."""

    def draw(*panels):
        for axes, n in zip(panels, DEPTHS, strict=True):
            for residual, label, color in ((False, "plain", RED), (True, "residual", BLUE)):
                band(axes, np.arange(1, UPDATES + 1), runs[n, residual], label=label, color=color)
            axes.set(title=f"{6 * n + 2} layers", xlabel="update", ylabel="loss on the mini-batch", ylim=(0, 3.2))
            axes.legend()

    said = []
    for (n, residual), losses in runs.items():
        last = losses[:, -10:].mean(1)
        kind = "residual" if residual else "plain"
        said.append(f"{6 * n + 2} layers, {kind} {np.median(last):.2f} ({last.min():.2f} to {last.max():.2f})")
    alt = f"Mean loss of the last ten mini-batches of {UPDATES}, median and range of three seeds: {'; '.join(said)}."
    return figure(draw, panels=2, alt=alt)


images, labels = fashion_mnist()
chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:IMAGES]
images, labels = F.avg_pool2d(images[chosen], 2) - 0.3, labels[chosen]
try:
    picture = compare(
        {(n, kind): np.array([train(n, kind, seed) for seed in SEEDS]) for n in DEPTHS for kind in (False, True)}
    )
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 4 and 5 first, then run this cell again.")
picture

# %% [markdown]
# The plain network of 26 layers *could* do what the one of 8 layers does, with 18 layers that copy their input. In 60
# updates it does not find that, though all four networks have batch normalization. So few updates are a start, and no
# verdict: change `DEPTHS` and `UPDATES` to see when plain and residual come apart, and what patience brings.

# %% [markdown]
# ### See it: the published weights in your network
#
# If the weights that torchvision publishes are on this machine, the next cell loads them into your ResNet-50 and shows
# what it says of two photographs. It downloads nothing. Without the weights it says how you get them (98 MB).

# %% nbgrader={"grade_id": "published", "locked": true} tags=["payoff"]
from ravines import pretrained

picture = None
try:
    picture = pretrained.look(resnet50(), "ResNet50_Weights.IMAGENET1K_V1")
    print(picture.alt)
except NotImplementedError:
    print("Finish exercise 3 first, then run this cell again.")
except pretrained.WeightsError as reason:
    print(reason)
picture
