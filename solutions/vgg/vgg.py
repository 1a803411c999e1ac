# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # VGG
#
# Chapter [VGG](../../book/vgg.md) stacked small convolutions instead of using large ones. Here you work out what a
# stack sees and what it costs, build the four networks whose weights you can download, and turn one of them into a
# network that reads images of any size: the way in which its authors tested it. Four exercises, 20 points, about 100
# minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Images are tensors of shape (N, C, H, W): examples, channels, height, width. Whole networks are counted on PyTorch's
# `meta` device, where tensors have shapes and no numbers, so that a network of 138 million parameters costs nothing.
# `NarrowVGG`, in the next cell, is a network of VGG's form that is small enough to run and to train.

# %% nbgrader={"grade_id": "imports", "locked": true}
import copy

import torch
from torch import nn
from torch.nn import functional as F

from ravines import counting


class NarrowVGG(nn.Module):
    """A small network of VGG's form: `features` makes 7 x 7 of an image of 28 x 28, `classifier` reads it.

    Args:
        channels: of the two convolutions.
        hidden: the width of the two hidden fully connected layers.
        num_classes: how many logits come out.
        dropout: how likely a hidden number is dropped in training.
    """

    def __init__(
        self, channels: tuple[int, int] = (8, 16), hidden: int = 64, num_classes: int = 10, dropout: float = 0.5
    ) -> None:
        super().__init__()
        first, second = channels
        self.features = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(second * 7 * 7, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes) for images (N, 1, H, W)."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


# %% [markdown]
# ## 1. What one output sees
#
# *medium: about 8 lines, about 20 minutes, 4 points*
#
# A layer with kernel $k$, stride $s$, padding $p$ and dilation $d$, a convolution or a pooling, makes its output
# number $o$ from the inputs at
#
# $$o\,s - p + m\,d, \qquad m = 0, 1, \dots, k - 1,$$
#
# in each direction of the image. Behind several layers, output $o$ depends on a whole stretch of pixels: its
# receptive field. Pixel number $i$ has its centre at the coordinate $i$, so pixel 0 is at 0 and the next one at 1.
# Then three numbers say where all receptive fields are:
#
# $$\text{field of output } o: \quad \text{size } r, \quad \text{centre } x_0 + o\,j.$$
#
# - **size** $r$, an integer: how many pixels from the first that can change the output to the last, both counted.
#   Pixels between them that are skipped count as well.
# - **jump** $j$, an integer: how many pixels further the next output's field is.
# - **start** $x_0$: the centre of the first output's field, the middle between its first and its last pixel. It may
#   lie between two pixels (a field of pixels 0 and 1 has its centre at 0.5).
#
# Where padding is involved, a field reaches beyond the image: count those pixels too, at negative coordinates, as if
# the image went on. So `start` may be negative, and padding never changes `size`.
#
# `layers` lists the layers from the image on, each a tuple (kernel, stride, padding, dilation) of integers. Without
# layers an output is a pixel: (1, 1, 0). ReLU and normalization in evaluation mode mix no pixels, so they are not in
# the list.


# %% nbgrader={"grade_id": "receptive_field", "solution": true}
def receptive_field(layers: list[tuple[int, int, int, int]]) -> tuple[int, int, float]:
    """Return what one output of a stack of convolutions and poolings sees, in one direction of the image.

    Args:
        layers: (kernel, stride, padding, dilation) for each layer, from the image on; not changed.

    Returns:
        (size, jump, start): the number of pixels from the first to the last one of a field, both counted; the
        distance from one output's field to the next one's, in pixels; the centre of the first output's field, in
        pixels, where pixel 0 has its centre at 0.
    """
    ### BEGIN SOLUTION
    size, jump, start = 1, 1, 0.0
    for kernel, stride, padding, dilation in layers:
        reach = (kernel - 1) * dilation  # from the first input of an output to its last, in inputs of this layer
        size += reach * jump
        start += (reach / 2 - padding) * jump
        jump *= stride
    return size, jump, start
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_receptive_field", "grade": true, "points": 4}
for given, wanted, why in (
    ([], (1, 1, 0), "Without layers an output is a pixel."),
    ([(3, 1, 1, 1)], (3, 1, 0), "Output 0 of a padded 3-kernel sees the pixels -1, 0 and 1."),
    ([(3, 1, 1, 1)] * 2, (5, 1, 0), "Two of them see -2 to 2."),
    ([(2, 2, 0, 1)], (2, 2, 0.5), "Output 0 of a 2/2 pooling sees 0 and 1, output 1 sees 2 and 3."),
    ([(11, 4, 2, 1)], (11, 4, 3), "The first layer of AlexNet: output 0 sees -2 to 8."),
    (
        [(3, 2, 1, 1), (3, 1, 1, 2)],
        (11, 2, 2),
        "Output 0 of the second layer sees the outputs -1, 1 and 3 of the first, which see -3 to -1, 1 to 3, 5 to 7.",
    ),
):
    seen = receptive_field(given)
    assert tuple(seen) == wanted, f"For the layers {given} it is {wanted}. {why} Yours gives {seen}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("vgg", "receptive_field", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. What a stack costs
#
# *easy: about 4 lines, about 10 minutes, 2 points*
#
# A convolution from $C_\text{in}$ to $C_\text{out}$ channels has, without its biases,
#
# $$k^2\,C_\text{in}\,C_\text{out}$$
#
# weights. With stride 1 and padding that keeps the size, each of them is used once for each pixel of the output, so
# this is the number of multiply-accumulates per output pixel as well (a MAC is two FLOPs).
#
# Take `depth` convolutions one after the other, each with a kernel of `kernel` x `kernel`, stride 1, no dilation, and
# `channels` channels in and out. Compare them with one convolution, also with `channels` channels in and out, whose
# kernel is as large as the receptive field of the stack. Return both numbers of weights: first the stack's, then the
# single layer's.


# %% nbgrader={"grade_id": "stack_parameters", "solution": true}
def stack_parameters(channels: int, kernel: int, depth: int) -> tuple[int, int]:
    """Count the weights of stacked convolutions and of one that sees as much (Simonyan & Zisserman 2015, section 2.3).

    Args:
        channels: in and out of every layer.
        kernel: height and width of the stacked kernels; it may be even.
        depth: how many layers are stacked.

    Returns:
        (weights of the stack, weights of the single layer), without biases, as integers.

    Raises:
        ValueError: when one of the three is below 1.
    """
    ### BEGIN SOLUTION
    if min(channels, kernel, depth) < 1:
        raise ValueError(f"all three should be at least 1; they are {channels}, {kernel} and {depth}")
    whole = depth * (kernel - 1) + 1
    return depth * kernel**2 * channels**2, whole**2 * channels**2
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_stack_parameters", "grade": true, "points": 2}
for given, wanted, why in (
    ((64, 3, 2), (73_728, 102_400), "Two 3x3 see what one 5x5 sees: 2 * 9 * 64 * 64 and 25 * 64 * 64 weights."),
    ((64, 3, 3), (110_592, 200_704), "Three 3x3 see what one 7x7 sees: 3 * 9 * 64 * 64 and 49 * 64 * 64 weights."),
    ((1, 5, 1), (25, 25), "A stack of one layer is that layer."),
):
    seen = stack_parameters(*given)
    assert tuple(seen) == wanted, f"For {given} it is {wanted}. {why} Yours gives {seen}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("vgg", "stack_parameters", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Four networks
#
# *hard: about 30 lines, about 35 minutes, 7 points*
#
# Simonyan and Zisserman (2015, table 1) tried several depths. Each line below is one configuration: numbers are the
# output channels of convolutions, M is a max pooling.
#
# | | stage 1 | stage 2 | stage 3 | stage 4 | stage 5 | name in torchvision |
# |---|---|---|---|---|---|---|
# | A | 64 M | 128 M | 256 256 M | 512 512 M | 512 512 M | `vgg11` |
# | B | 64 64 M | 128 128 M | 256 256 M | 512 512 M | 512 512 M | `vgg13` |
# | D | 64 64 M | 128 128 M | 256 256 256 M | 512 512 512 M | 512 512 512 M | `vgg16` |
# | E | 64 64 M | 128 128 M | 256 256 256 256 M | 512 512 512 512 M | 512 512 512 512 M | `vgg19` |
#
# Every convolution has a 3x3 kernel, stride 1, padding 1 and a bias (with batch normalization too), and a ReLU behind
# it. With `batch_norm`, an `nn.BatchNorm2d` with PyTorch's own settings stands between the two. The pooling is 2x2 with
# stride 2. Build it so that `load_state_dict` takes torchvision's weights without a complaint:
#
# - `features`, an `nn.Sequential` of all these layers in their order, one module each: convolution, (normalization,)
#   ReLU, ..., pooling. Then the numbers in the names are right.
# - `avgpool`: adaptive average pooling to 7 x 7, so that images of any size work. At 224 pixels it changes nothing.
# - `classifier`, an `nn.Sequential`: `0` fully connected to 4096, ReLU, dropout, `3` fully connected to 4096, ReLU,
#   dropout, `6` fully connected to `num_classes`.
#
# For a channel-by-channel flattening of $512 \times 7 \times 7$ numbers, the fully connected layers have
#
# $$(512 \cdot 49 + 1) \cdot 4096 + (4096 + 1) \cdot 4096 + (4096 + 1) \cdot 1000 = 123{,}642{,}856$$
#
# parameters, nearly nine in ten of all that VGG-16 has. The network returns logits. With which numbers the weights
# start is up to you. Any `config` that is not one of the four capital letters is a `ValueError` (also C, which the
# paper has and torchvision has not).


# %% nbgrader={"grade_id": "VGG", "solution": true}
class VGG(nn.Module):
    """The networks of Simonyan & Zisserman (2015, table 1), with the names of torchvision's.

    Args:
        config: "A", "B", "D" or "E".
        batch_norm: whether a normalization stands behind each convolution (not in the paper).
        num_classes: how many logits come out.
        dropout: how likely a hidden number of `classifier` is dropped in training.

    Raises:
        ValueError: when there is no such configuration.
    """

    def __init__(self, config: str, batch_norm: bool = False, num_classes: int = 1000, dropout: float = 0.5) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        convolutions = {"A": (1, 1, 2, 2, 2), "B": (2, 2, 2, 2, 2), "D": (2, 2, 3, 3, 3), "E": (2, 2, 4, 4, 4)}
        if config not in convolutions:
            raise ValueError(f"config should be one of {', '.join(convolutions)}, but it is {config!r}")
        layers: list[nn.Module] = []
        before = 3
        for count, channels in zip(convolutions[config], (64, 128, 256, 512, 512), strict=True):
            for _ in range(count):
                layers.append(nn.Conv2d(before, channels, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU())
                before = channels
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W), usually of 224 x 224 pixels; 32 at least."""
        ### BEGIN SOLUTION
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_VGG", "grade": true, "points": 7}
import torchvision

for config, name, wanted in (
    ("A", "vgg11", 132_863_336),
    ("B", "vgg13", 133_047_848),
    ("D", "vgg16", 138_357_544),
    ("E", "vgg19", 143_667_240),
):
    for batch_norm in (False, True):
        with torch.device("meta"):
            mine = VGG(config, batch_norm)
            theirs = getattr(torchvision.models, name + "_bn" * batch_norm)(init_weights=False)
        for key, tensor in theirs.state_dict().items():
            own = mine.state_dict().get(key)
            assert own is not None, f"{config}: your network has no {key}. It has {', '.join(mine.state_dict())}."
            assert own.shape == tensor.shape, (
                f"{config}: {key} should have the shape {tuple(tensor.shape)}, not {tuple(own.shape)}."
            )
        if not batch_norm:
            seen = counting.parameters(mine)
            assert seen == wanted, f"{config} has {wanted:,} parameters. Yours has {seen:,}."
    assert mine(torch.empty(2, 3, 64, 64, device="meta")).shape == (2, 1000), "Two images: two rows of 1,000 logits."
try:
    VGG("C")
except ValueError:
    pass
else:
    raise AssertionError("There is no configuration C here: raise a ValueError.")
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("vgg", "VGG", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: how far your networks see
#
# The next cell is not graded. It reads kernel, stride, padding and dilation off the layers of your four networks and
# asks your `receptive_field` what one output of each layer sees. A field of 224 pixels is as wide as the image. How
# many convolutions does it take to see half of it? What makes the curves steep: depth, or pooling?

# %% nbgrader={"grade_id": "fields", "locked": true} tags=["payoff"]
from ravines.plots import BLUE, GREEN, GREY, ORANGE, RED, figure

torch.set_num_threads(1)  # the networks are so small that more threads only wait for each other


def one(setting: int | tuple[int, int]) -> int:
    """Return a layer's setting for one direction."""
    return setting[0] if isinstance(setting, tuple) else setting


def geometry(network: nn.Module) -> list[tuple[int, int, int, int]]:
    """Return (kernel, stride, padding, dilation) of each convolution and pooling, in order."""
    used = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.MaxPool2d))]
    return [(one(m.kernel_size), one(m.stride), one(m.padding), one(m.dilation)) for m in used]


def compare_fields() -> object:
    """Return a picture of the receptive field behind each layer of the four networks."""
    sizes, starts = {}, {}
    for config in "ABDE":
        with torch.device("meta"):
            layers = geometry(VGG(config).features)
        fields = [receptive_field(layers[:depth]) for depth in range(len(layers) + 1)]
        sizes[config], starts[config] = [size for size, _, _ in fields], fields[-1][2]

    def draw(axes):
        for (config, values), color in zip(sizes.items(), (GREEN, ORANGE, BLUE, RED), strict=True):
            axes.plot(values, "o-", color=color, markersize=3, label=f"{config}: {values[-1]} pixels")
        axes.axhline(224, color=GREY, linewidth=1, linestyle="--")
        axes.text(0, 228, "the image, 224 pixels", color=GREY, fontsize=9)
        axes.set(xlabel="convolutions and poolings so far", ylabel="receptive field, pixels", ylim=(0, 300))
        axes.legend(loc="lower right")

    said = ", ".join(f"{config} {values[-1]} pixels" for config, values in sizes.items())
    return figure(
        draw,
        alt=f"Receptive field behind each layer. At the end of the features: {said}. "
        f"The first of the 7 x 7 fields of D has its centre at {starts['D']:g}.",
    )


try:
    picture = compare_fields()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 1 and 3 first, then run this cell again.")
picture

# %% [markdown]
# ## 4. Every crop at once
#
# *hard: about 15 lines, about 35 minutes, 7 points*
#
# To test VGG, its authors did not cut crops. They turned the fully connected layers into convolutions and ran the
# network over the whole image (Simonyan & Zisserman 2015, section 3.2). `flatten(1)` puts channel $c$, row $u$,
# column $v$ of the $C \times 7 \times 7$ features at the place $49c + 7u + v$. So the first fully connected layer is
# a convolution with a 7x7 kernel, and at place $(i, j)$ of larger features $x$ it gives
#
# $$y_{o,i,j} = b_o + \sum_{c=0}^{C-1} \sum_{u=0}^{6} \sum_{v=0}^{6} W_{o,\,49c+7u+v}\; x_{c,\,i+u,\,j+v}.$$
#
# The layers after it are 1x1 convolutions. Write a function that makes such a network of any network of VGG's form:
# a module with `features`; `avgpool`, an adaptive average pooling to 7 x 7; and `classifier`, an `nn.Sequential` that
# reads the flattened $C \times 7 \times 7$ numbers. How many fully connected layers `classifier` has, how wide they
# are, and what stands before, between and behind them may differ from VGG, as long as it is done number by number, as
# ReLU and `nn.Dropout` do.
#
# What you return:
#
# - **A module** that gives logits (N, classes, h - 6, w - 6) where `features` gives (N, C, h, w): for VGG (N, classes,
#   1, 1) at 224 x 224 pixels and (N, classes, 2, 2) at 256 x 256. No pooling or padding comes between.
# - **Its layers:** a copy of `features`; then, for every `nn.Linear` of `classifier`, an `nn.Conv2d` with the same
#   weights and bias; all other layers of `classifier` in their places, as copies. So dropout drops what it dropped, in
#   training mode only.
# - **Its state:** dtype, device and mode (training or evaluation) are those of `vgg`. All parameters of `vgg` have
#   `requires_grad`, and so have yours.
# - **`vgg` itself** stays as it is, and the two share no memory: who trains one does not change the other.
#
# The device may be `meta`, as in the test below.
#
# <details><summary>Hint</summary>
#
# `weight.reshape(out, -1, 7, 7)` puts the numbers of a fully connected layer where the equation wants them. A new
# layer on the right device: `nn.Conv2d(..., device=weight.device, dtype=weight.dtype)`; and `load_state_dict` or
# `copy_` under `torch.no_grad()` writes into it. `copy.deepcopy` copies a module with all that it has.
#
# </details>


# %% nbgrader={"grade_id": "to_fully_convolutional", "solution": true}
def to_fully_convolutional(vgg: nn.Module) -> nn.Module:
    """Turn fully connected layers into convolutions (Simonyan & Zisserman 2015, section 3.2).

    Args:
        vgg: has `features`, `avgpool` (to 7 x 7) and `classifier` of VGG's form; not changed.

    Returns:
        A module without memory in common with vgg, in its mode, dtype and device. For images whose features are
        (N, C, h, w) it gives logits (N, classes, h - 6, w - 6).
    """
    ### BEGIN SOLUTION
    layers: list[nn.Module] = [copy.deepcopy(vgg.features)]
    kernel = 7  # of the first fully connected layer, which reads 7 x 7 places; the others read one
    for layer in vgg.classifier:
        if isinstance(layer, nn.Linear):
            weight = layer.weight.detach().reshape(layer.out_features, -1, kernel, kernel)
            convolution = nn.Conv2d(weight.shape[1], weight.shape[0], kernel, device=weight.device, dtype=weight.dtype)
            with torch.no_grad():
                convolution.weight.copy_(weight)
                convolution.bias.copy_(layer.bias)
            layers.append(convolution)
            kernel = 1
        else:
            layers.append(copy.deepcopy(layer))
    return nn.Sequential(*layers).train(vgg.training)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_to_fully_convolutional", "grade": true, "points": 7}
class OnePixel(nn.Module):
    """Its features are the image; its only output is 10 more than the pixel in row 0, column 1 of 7 x 7."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.avgpool = nn.Sequential(), nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(nn.Linear(49, 1))
        with torch.no_grad():
            self.classifier[0].weight.zero_()[0, 1] = 1.0
            self.classifier[0].bias.fill_(10.0)


image = torch.arange(64.0).reshape(1, 1, 8, 8)
seen = to_fully_convolutional(OnePixel())(image)
assert seen.shape == (1, 1, 2, 2), f"8 x 8 features have 2 x 2 places for 7 x 7. Yours: {tuple(seen.shape)}."
assert seen.flatten().tolist() == [11.0, 12.0, 19.0, 20.0], (
    f"The pixels in row 0, column 1 of the four crops are 1, 2, 9 and 10, and 10 is added. Yours: {seen.flatten()}."
)
narrow = NarrowVGG().eval()
images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
seen = to_fully_convolutional(narrow)(images)
assert seen.shape == (2, 10, 1, 1), f"Images of the usual size have one place. Yours: {tuple(seen.shape)}."
assert torch.allclose(seen.flatten(1), narrow(images), atol=1e-5), "At the usual size the logits are those of vgg."
with torch.device("meta"):
    whole = to_fully_convolutional(torchvision.models.vgg16(init_weights=False))
    for side, places in ((224, 1), (256, 2), (384, 6)):
        seen = whole(torch.empty(1, 3, side, side)).shape
        assert seen == (1, 1000, places, places), f"VGG-16 has {places} x {places} places at {side} pixels: {seen}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("vgg", "to_fully_convolutional", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: one network over a whole picture
#
# The next cell is not graded. It trains `NarrowVGG` on crops of 28 x 28 pixels of Fashion-MNIST for some seconds: the
# ten classes, and an eleventh, "nothing", for crops that lie between images. Your function makes the network fully
# convolutional, and it runs once over a canvas of twelve test images. Your `receptive_field` says where on the canvas
# each place of the class map has its centre, and that is where its colour is drawn. Three seeds are trained; the
# picture shows the first.

# %% nbgrader={"grade_id": "canvas", "locked": true} tags=["payoff"]
from matplotlib.patches import Patch

from ravines.data import CLASS_NAMES, device, fashion_mnist, seed_everything

SEEDS, UPDATES, BATCH = (0, 1, 2), 300, 64
PITCH, MARGIN, ROWS, COLUMNS = 36, 8, 3, 4  # pixels from image to image, and around them; images on the canvas
COLORS = ["#0072B2", "#E69F00", "#56B4E9", "#F0E442", "#7B4FA3", "#D55E00", "#4D4D4D", "#009E73", "#CC79A7", "#8C510A"]
NOTHING = 10


def lay_out(pictures: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Return canvases (N, 1, H, W) with rows x columns images each, from (N, rows * columns, 28, 28)."""
    height, width = (2 * MARGIN + PITCH * (count - 1) + 28 for count in (rows, columns))
    canvas = torch.zeros(len(pictures), 1, height, width, device=pictures.device)
    for k in range(rows * columns):
        top, left = MARGIN + PITCH * (k // columns), MARGIN + PITCH * (k % columns)
        canvas[:, 0, top : top + 28, left : left + 28] = pictures[:, k]
    return canvas


def train_narrow(seed: int) -> nn.Module:
    """Return a trained network in evaluation mode."""
    generator = seed_everything(seed)
    network = NarrowVGG(num_classes=11, dropout=0.2).to(images.device)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    nothing = torch.full((BATCH // 4,), NOTHING, device=images.device)
    for _ in range(UPDATES):
        batch = torch.randint(len(images), (BATCH, 4), generator=generator).to(images.device)
        canvases = lay_out(images[batch, 0], 2, 2)
        # The first image of a canvas, moved by at most 2 pixels; or a crop whose middle is far from all of them.
        near = (MARGIN + torch.randint(-2, 3, (2,), generator=generator)).tolist()
        far = (MARGIN + torch.randint(10, PITCH - 9, (2,), generator=generator)).tolist()
        far[torch.randint(2, (), generator=generator)] = int(torch.randint(PITCH + MARGIN, (), generator=generator))
        crops = [canvases[: len(c), :, i : i + 28, j : j + 28] for c, (i, j) in ((batch, near), (nothing, far))]
        optimizer.zero_grad()
        F.cross_entropy(network(torch.cat(crops)), torch.cat([labels[batch[:, 0]], nothing])).backward()
        optimizer.step()
    return network.eval()


def look(seed: int) -> tuple[torch.Tensor, float, float, int]:
    """Return probabilities at each place of the canvas, test accuracy, agreement with crops, and images named right."""
    network = train_narrow(seed)
    dense = to_fully_convolutional(network)
    with torch.no_grad():
        accuracy = (network(test_images).argmax(1) == test_labels).float().mean().item()
        probabilities = dense(canvas)[0].softmax(0)
        # The same places, each cut out and looked at alone: at a crop's border there are zeros, not neighbours.
        crops = canvas.unfold(2, 28, 4).unfold(3, 28, 4).reshape(-1, 1, 28, 28)
        agree = (network(crops).argmax(1) == probabilities.argmax(0).flatten()).float().mean().item()
    probabilities = probabilities.cpu()
    named = probabilities.argmax(0)[MARGIN // 4 :: PITCH // 4, MARGIN // 4 :: PITCH // 4][:ROWS, :COLUMNS]
    return probabilities, accuracy, agree, int((named.flatten() == shown_labels).sum())


def show_canvas() -> object:
    """Return a picture of the canvas and of the class at each of its places."""
    with torch.device("meta"):
        layers = geometry(to_fully_convolutional(NarrowVGG()))
    size, jump, start = receptive_field(layers)
    runs = [look(seed) for seed in SEEDS]
    sure, named = runs[0][0].max(0)
    height, width = named.shape
    edge = start - jump / 2
    extent = (edge, edge + width * jump, edge + height * jump, edge)
    palette = torch.tensor([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLORS] + [[1.0, 1.0, 1.0]])
    overlay = torch.cat([palette[named], ((named != NOTHING) * sure * 0.9)[..., None]], 2).numpy()
    words = [name.split("/")[0] for name in CLASS_NAMES]
    found = [k for k in range(10) if bool((named == k).any())]

    def draw(plain, mapped):
        for axes, ink in ((plain, 1.0), (mapped, 0.4)):
            axes.imshow(1 - ink * canvas[0, 0].cpu(), cmap="gray", vmin=0, vmax=1)
        mapped.imshow(overlay, extent=extent, interpolation="nearest")
        for axes, title in ((plain, "Canvas and true classes"), (mapped, "What the network sees where")):
            axes.set(title=title, xlim=(-0.5, canvas.shape[3] - 0.5), ylim=(canvas.shape[2] + 24, -0.5))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        for k, label in enumerate(shown_labels.tolist()):
            x, y = MARGIN + PITCH * (k % COLUMNS) + 13.5, MARGIN + PITCH * (k // COLUMNS) + 31.5
            plain.text(x, y, words[label], ha="center", va="center", fontsize=7)
        handles = [Patch(color=COLORS[k], label=words[k]) for k in found]
        legend = mapped.legend(
            handles=handles, loc="lower center", ncols=4, fontsize=7, borderpad=0, handlelength=1.2, columnspacing=1.0
        )
        legend.set_in_layout(False)  # it lies inside of the axes: the layout need not make room for it

    hits = ", ".join(f"{run[3]} of {len(shown_labels)}" for run in runs)
    accuracies = ", ".join(f"{run[1]:.0%}" for run in runs)
    agreements = ", ".join(f"{run[2]:.0%}" for run in runs)
    return figure(
        draw,
        panels=2,
        height=3.9,
        alt=f"A canvas of {len(shown_labels)} test images, and the class at each of {height} x {width} places in one "
        f"pass; places where the network sees nothing have no colour. For the three seeds, images named right at their "
        f"own place: {hits}; accuracy on all test images, one by one: {accuracies}; places with the same class as the "
        f"crop cut out: {agreements}. A place sees {size} pixels and the next one is {jump} further; the first has its "
        f"centre at {start:g}.",
    )


images, labels = (tensor.to(device()) for tensor in fashion_mnist())
test_images, test_labels = (tensor.to(device()) for tensor in fashion_mnist(train=False))
chosen = torch.randperm(len(test_images), generator=torch.Generator().manual_seed(1))[: ROWS * COLUMNS]
shown_labels = test_labels[chosen].cpu()
canvas = lay_out(test_images[chosen, 0][None], ROWS, COLUMNS)
try:
    picture = show_canvas()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 1 and 4 first, then run this cell again.")
picture

# %% [markdown]
# A place sees more than the 28 pixels of a crop, because the convolutions pad: on the canvas, neighbours stand where a
# crop has zeros. That is why some places differ from the crop cut out. The canvas has hundreds of places, and your
# network computes its convolutions once for all of them. Change `PITCH` to 32 (a multiple of 4, so that the map has
# a place for each image) and see what happens when the images move closer.

# %% [markdown]
# ### See it: the published weights in your network
#
# If the weights that torchvision publishes are on this machine, the next cell loads them into your VGG-16 and shows
# what it says of two photographs. It downloads nothing. Without the weights it says how you get them (528 MB).

# %% nbgrader={"grade_id": "published", "locked": true} tags=["payoff"]
from ravines import pretrained

picture = None
try:
    picture = pretrained.look(VGG("D"), "VGG16_Weights.IMAGENET1K_V1")
    print(picture.alt)
except NotImplementedError:
    print("Finish exercise 3 first, then run this cell again.")
except pretrained.WeightsError as reason:
    print(reason)
picture
