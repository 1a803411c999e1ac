# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # AlexNet
#
# Chapter [AlexNet](../../book/alexnet.md) took the network of 2012 apart. Here you put it together, in its own size:
# its normalization, the network of the paper and the one whose weights you can download, two ways to make more of an
# image, and the error that decided the contest. Six exercises, 20 points, about 110 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Images are tensors of shape (N, C, H, W): examples, channels, height, width. Whole networks are counted on PyTorch's
# `meta` device, where tensors have shapes and no numbers, so that a network of 60 million parameters costs nothing.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math

import torch
from torch import nn
from torch.nn import functional as F

from ravines import counting

# %% [markdown]
# ## 1. Local response normalization
#
# *medium: about 6 lines, about 15 minutes, 3 points*
#
# Krizhevsky et al. (2012, section 3.3) divide each number by what its neighbours *in other channels* say at the same
# pixel. With $C$ channels, counted from 0, and $n$ neighbours (`size`, an odd number):
#
# $$b_{c} = a_{c} \left(k + \alpha \sum_{j=\max(0,\,c-(n-1)/2)}^{\min(C-1,\,c+(n-1)/2)} a_{j}^2\right)^{-\beta}.$$
#
# At the first and last channels the sum has fewer terms, and $n$ may be larger than $C$. The sum is a sum: PyTorch's
# `LocalResponseNorm` divides it by $n$, so its `alpha` is $n$ times the paper's.
#
# Return a new tensor and leave `x` as it is. Gradients flow through all of it, the sum included. Write the sum
# yourself: PyTorch's own functions and modules for this normalization are not allowed here. An $n$ that is even or
# below 1 is a `ValueError`.


# %% nbgrader={"grade_id": "local_response_norm", "solution": true}
def local_response_norm(x: torch.Tensor, size: int, alpha: float, beta: float, k: float) -> torch.Tensor:
    """Divide each number by a power of its neighbours' squares (Krizhevsky et al. 2012, section 3.3).

    Args:
        x: (N, C, H, W), any floating dtype.
        size: how many channels the sum has, an odd number; it may be larger than C.
        alpha: what the sum is multiplied by.
        beta: the power.
        k: what is added to the sum.

    Returns:
        A new tensor of x's shape and dtype.

    Raises:
        ValueError: when size is even or below 1.
    """
    ### BEGIN SOLUTION
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size should be an odd number, but it is {size}")
    # Neighbours are along the channels: move them to the end, pad them with zeros, and sum a window.
    squares = F.pad(x.movedim(1, -1).square(), (size // 2, size // 2))
    sums = squares.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return x / (k + alpha * sums) ** beta
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_local_response_norm", "grade": true, "points": 3}
x = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
seen = local_response_norm(x, size=3, alpha=1.0, beta=1.0, k=2.0).flatten()
assert torch.allclose(seen, torch.tensor([1 / 7, 2 / 16, 3 / 15])), (
    f"The sums are 1 + 4, 1 + 4 + 9 and 4 + 9, and k = 2 is added to each. Yours gives {seen.tolist()}."
)
seen = local_response_norm(x, size=5, alpha=0.5, beta=0.5, k=2.0).flatten()
assert torch.allclose(seen, torch.tensor([1.0, 2.0, 3.0]) / 3), (
    f"With size 5 all three sums are 14, and 2 + 0.5 * 14 is 9, whose root is 3. Yours gives {seen.tolist()}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("alexnet", "local_response_norm", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. AlexNet
#
# *hard: about 30 lines, about 30 minutes, 5 points*
#
# The network of the paper (sections 3.1 to 3.5 and 4.2). The paper writes images of 224 x 224 pixels, but its first
# layer has 55 rows of outputs only for 227: (227 - 11) / 4 + 1 = 55. So yours takes 227 x 227:
#
# | layer | kernel | stride | padding | channels out | groups | output |
# |---|---|---|---|---|---|---|
# | convolution 1, ReLU, LRN, max pool 3/2 | 11 | 4 | 0 | 96 | 1 | 96 x 27 x 27 |
# | convolution 2, ReLU, LRN, max pool 3/2 | 5 | 1 | 2 | 256 | `groups` | 256 x 13 x 13 |
# | convolution 3, ReLU | 3 | 1 | 1 | 384 | 1 | 384 x 13 x 13 |
# | convolution 4, ReLU | 3 | 1 | 1 | 384 | `groups` | 384 x 13 x 13 |
# | convolution 5, ReLU, max pool 3/2 | 3 | 1 | 1 | 256 | `groups` | 256 x 6 x 6 |
# | fully connected, ReLU, dropout 0.5 | | | | 4096 | | 4096 |
# | fully connected, ReLU, dropout 0.5 | | | | 4096 | | 4096 |
# | fully connected | | | | `num_classes` | | `num_classes` |
#
# - **LRN** is the normalization of exercise 1 with size 5, $\alpha = 10^{-4}$, $\beta = 0.75$, $k = 2$. Here you may
#   use `nn.LocalResponseNorm`, so that this exercise does not hang on the other; mind what it does with `alpha`.
# - **Max pool 3/2** has a kernel of 3 and a stride of 2, so that neighbours overlap.
# - **Two groups** are the two GPUs of the paper; one group is the network that many people build.
# - **Dropout** sets the *outputs* of hidden neurons to 0, as the paper says (section 4.2): in training only, each with
#   probability 0.5, and what is kept is doubled, as `nn.Dropout` and `F.dropout` do it.
# - **Layers with weights** are `nn.Conv2d` and `nn.Linear`. Each has a bias and is called once, in this order. Nothing
#   else has parameters, and all of them are trained. The last layer gives logits.


# %% nbgrader={"grade_id": "AlexNet", "solution": true}
class AlexNet(nn.Module):
    """The network of Krizhevsky et al. (2012), sections 3.1 to 3.5 and 4.2, for (N, 3, 227, 227).

    Args:
        num_classes: how many logits come out.
        groups: 2 for the paper's two halves in the second, fourth and fifth convolution, 1 for whole ones.
    """

    def __init__(self, num_classes: int = 1000, groups: int = 2) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(3, 96, 11, stride=4),
                nn.Conv2d(96, 256, 5, padding=2, groups=groups),
                nn.Conv2d(256, 384, 3, padding=1),
                nn.Conv2d(384, 384, 3, padding=1, groups=groups),
                nn.Conv2d(384, 256, 3, padding=1, groups=groups),
            ]
        )
        self.normalization = nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
        self.hidden = nn.ModuleList([nn.Linear(256 * 6 * 6, 4096), nn.Linear(4096, 4096)])
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(4096, num_classes)
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes) for images (N, 3, 227, 227)."""
        ### BEGIN SOLUTION
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x).relu()
            if i < 2:
                x = self.normalization(x)
            if i in (0, 1, 4):
                x = F.max_pool2d(x, 3, stride=2)
        x = x.flatten(1)
        for layer in self.hidden:
            x = self.dropout(layer(x).relu())
        return self.last(x)
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_AlexNet", "grade": true, "points": 5}
for groups, wanted in ((2, 60_965_224), (1, 62_378_344)):
    with torch.device("meta"):
        network = AlexNet(groups=groups)
        logits = network(torch.empty(2, 3, 227, 227))
    assert logits.shape == (2, 1000), f"Two images give two rows of 1,000 logits. Yours have the shape {logits.shape}."
    seen = counting.parameters(network)
    assert seen == wanted, (
        f"With {groups} group(s) the network has {wanted:,} parameters. Yours has {seen:,}. Layer by layer: "
        + ", ".join(
            f"{row.kind} {row.shape}: {row.parameters:,}"
            for row in counting.layers(network, (3, 227, 227))
            if row.weighted
        )
    )
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("alexnet", "AlexNet", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The AlexNet that you can download
#
# *medium: about 25 lines, about 15 minutes, 3 points*
#
# The weights that torchvision publishes belong to a later network (Krizhevsky 2014, with one column): other numbers of
# channels, no normalization, images of 224 x 224 pixels, and an average pooling that makes 6 x 6 of any size. Its
# dropout stands before a layer: it drops the *inputs*. Build it so that `load_state_dict` takes these weights without a
# complaint, that is with these names:
#
# | part | name | layer |
# |---|---|---|
# | `features`, a `Sequential` | `0` | convolution 3 to 64, kernel 11, stride 4, padding 2; then ReLU, max pool 3/2 |
# | | `3` | convolution 64 to 192, kernel 5, padding 2; then ReLU, max pool 3/2 |
# | | `6` | convolution 192 to 384, kernel 3, padding 1; then ReLU |
# | | `8` | convolution 384 to 256, kernel 3, padding 1; then ReLU |
# | | `10` | convolution 256 to 256, kernel 3, padding 1; then ReLU, max pool 3/2 |
# | `avgpool` | | adaptive average pooling to 6 x 6 |
# | `classifier`, a `Sequential` | `1` | dropout, then fully connected to 4096, then ReLU |
# | | `4` | dropout, then fully connected to 4096, then ReLU |
# | | `6` | fully connected to `num_classes` |
#
# Every layer has a bias; the last gives logits; nothing else has parameters or buffers. Both dropouts have the
# probability `dropout` and work in training only. Build it from `torch.nn`: networks and layers of torchvision are not
# allowed. Images may have any size of at least 63 x 63 pixels.


# %% nbgrader={"grade_id": "TorchvisionAlexNet", "solution": true}
class TorchvisionAlexNet(nn.Module):
    """The network of `torchvision.models.alexnet`, whose state dict it loads (Krizhevsky 2014, "one weird trick").

    Args:
        num_classes: how many logits come out.
        dropout: how likely a number before a hidden fully connected layer is dropped in training.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, num_classes),
        )
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (N, num_classes) for images (N, 3, H, W), usually of 224 x 224 pixels."""
        ### BEGIN SOLUTION
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
        ### END SOLUTION


# %% nbgrader={"grade_id": "test_TorchvisionAlexNet", "grade": true, "points": 3}
import torchvision

with torch.device("meta"):
    theirs, mine = torchvision.models.alexnet(), TorchvisionAlexNet()
for name, tensor in theirs.state_dict().items():
    own = mine.state_dict().get(name)
    assert own is not None, f"Your network has no {name}. It has {', '.join(mine.state_dict())}."
    assert own.shape == tensor.shape, f"{name} should have the shape {tuple(tensor.shape)}, not {tuple(own.shape)}."
assert counting.parameters(mine) == 61_100_840, f"Yours has {counting.parameters(mine):,} parameters: some too many."
assert mine(torch.empty(2, 3, 224, 224, device="meta")).shape == (2, 1000), "Two images give two rows of 1,000 logits."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("alexnet", "TorchvisionAlexNet", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Other light
#
# *medium: about 10 lines, about 20 minutes, 3 points*
#
# The paper changes the colours of a training image along the directions in which colours vary (section 4.1, "fancy
# PCA"). Take all pixels of all images of the batch as points $(r, g, b)$; their covariance matrix (divided by the
# number of pixels) has eigenvectors $p_1, p_2, p_3$ with eigenvalues $\lambda_1 \le \lambda_2 \le \lambda_3$. To every
# pixel of image $n$ add the same vector
#
# $$\sum_{i=1}^{3} \alpha_{ni}\,\lambda_i\,p_i, \qquad \alpha_{ni} \sim \mathcal{N}(0,\ 0.1^2).$$
#
# Draw $\alpha$ as `0.1 * torch.randn(N, 3, generator=generator, dtype=images.dtype)`, so that your run can be
# repeated. The sign of an eigenvector is nobody's choice: both are right. `torch.linalg.eigh` gives eigenvalues in
# this order, and eigenvectors as *columns*. Return new images; nothing is cut off at 0 or 1, and images of one colour
# stay as they are.


# %% nbgrader={"grade_id": "fancy_pca", "solution": true}
def fancy_pca(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift the colours of each image along the batch's principal components (Krizhevsky et al. 2012, section 4.1).

    Args:
        images: (N, 3, H, W), float32 or float64, on the CPU.
        generator: what draws alpha, (N, 3).

    Returns:
        New images of the same shape and dtype; nothing is cut off at 0 or 1.
    """
    ### BEGIN SOLUTION
    pixels = images.movedim(1, -1).reshape(-1, 3)
    centred = pixels - pixels.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(pixels))
    alpha = 0.1 * torch.randn(len(images), 3, generator=generator, dtype=images.dtype)
    shift = (alpha * values) @ vectors.T
    return images + shift[:, :, None, None]
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_fancy_pca", "grade": true, "points": 3}
images = torch.zeros(2, 3, 2, 2, dtype=torch.float64)
images[:, 0, 0] = 2.0  # half of all pixels are red: the variance of red is 1, and green and blue are always 0
alpha = 0.1 * torch.randn(2, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
shift = fancy_pca(images, torch.Generator().manual_seed(7)) - images
assert shift.shape == (2, 3, 2, 2), f"The shape stays that of the images. Yours: {tuple(shift.shape)}."
assert torch.allclose(shift, shift[:, :, :1, :1].expand_as(shift)), "Every pixel of an image moves by the same colour."
assert torch.allclose(shift[:, 1:], torch.zeros(2, 2, 2, 2, dtype=torch.float64)), (
    "Here only red varies, so only red may change."
)
assert torch.allclose(shift[:, 0, 0, 0].abs(), alpha[:, 2].abs()), (
    f"Red has the largest eigenvalue, 1, so it moves by +alpha or -alpha, {alpha[:, 2].tolist()}. "
    f"Yours moves by {shift[:, 0, 0, 0].tolist()}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("alexnet", "fancy_pca", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: one photograph in other light
#
# The next cell is not graded. It gives your `fancy_pca` three copies of a photograph, once with pixels from 0 to 1 and
# once from 0 to 10, and shows what comes back, divided by 10 again and cut off at 0 and 1. Both rows use the same
# $\alpha$. Would you have expected two different rows?

# %% nbgrader={"grade_id": "light", "locked": true} tags=["payoff"]
import numpy as np

from ravines.plots import BLUE, RED, band, figure
from ravines.pretrained import photographs

torch.set_num_threads(1)  # all tensors here are so small that more threads only wait for each other


def other_light(photograph: torch.Tensor, scales: tuple[int, ...] = (1, 10)) -> object:
    """Return a picture of a photograph (3, H, W) and three shifted copies for each scale of its pixels."""
    copies, shifts, shown = photograph.expand(3, -1, -1, -1), {}, []
    for scale in (*scales, 255):
        changed = fancy_pca(copies * scale, torch.Generator().manual_seed(4)) / scale
        shifts[scale] = (changed - copies).square().mean().sqrt().item()
        if scale in scales:
            shown += [(f"0 to {scale}", image.clamp(0, 1)) for image in (photograph, *changed)]

    def draw(*panels):
        for number, (axes, (title, image)) in enumerate(zip(panels, shown, strict=True)):
            axes.imshow(image.movedim(0, -1).numpy())
            axes.set_title(title if number % 4 else "unchanged")
            axes.set_axis_off()

    said = "; ".join(f"pixels from 0 to {scale}: {shift:.1%} of the range" for scale, shift in shifts.items())
    alt = f"A photograph in three other lights, for two scales of its pixels. Shift, root mean square: {said}."
    return figure(draw, panels=2 * 4, columns=4, phone_columns=4, height=1.6, alt=alt)


try:
    picture = other_light(photographs()[0][:, ::2, ::2].double() / 255)
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercise 4 first, then run this cell again.")
picture

# %% [markdown]
# An eigenvalue is a variance: it is measured in squared units of a pixel. So the formula means another change for each
# unit, and the paper does not say its own. Krizhevsky's later program calls what it multiplies by standard deviations
# (`pca_stdevs` in `convdata.py` of cuda-convnet2); $\alpha_i\sqrt{\lambda_i}\,p_i$ would be the same in all units.

# %% [markdown]
# ## 5. Ten looks at an image
#
# *easy: about 10 lines, about 15 minutes, 3 points*
#
# At test time the paper looks at ten crops of an image: the four corners, the centre, and all five mirrored left to
# right (section 4.1). `ten_crop` returns them in this order: top left, top right, bottom left, bottom right, centre,
# then the mirrored five in the same order. The centre crop begins at row $\lfloor (H - s)/2 \rfloor$ and column
# $\lfloor (W - s)/2 \rfloor$, where $s$ is `size`. The crops are a new tensor. When $s$ is below 1 or larger than $H$
# or $W$, raise a `ValueError`.
#
# `predict_ten_crop`, in the same cell, averages the network's *probabilities* over the crops $x_1, \dots, x_{10}$:
#
# $$\hat p(x) = \frac{1}{10} \sum_{j=1}^{10} \operatorname{softmax}(f(x_j)).$$
#
# The model $f$ sees all ten, in one call or several, in evaluation mode and without gradients. Afterwards it is in the
# mode (training or evaluation) in which it was.


# %% nbgrader={"grade_id": "ten_crop", "solution": true}
def ten_crop(x: torch.Tensor, size: int) -> torch.Tensor:
    """Cut ten crops out of each image (Krizhevsky et al. 2012, section 4.1).

    Args:
        x: (N, C, H, W).
        size: height and width of a crop.

    Returns:
        (10, N, C, size, size): four corners, centre, and the same five mirrored left to right.

    Raises:
        ValueError: when a crop is larger than the images, or size is below 1.
    """
    ### BEGIN SOLUTION
    height, width = x.shape[-2:]
    if not 1 <= size <= min(height, width):
        raise ValueError(f"crops of {size} pixels do not fit into images of {height} x {width}")
    bottom, right = height - size, width - size
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    crops = torch.stack([x[..., i : i + size, j : j + size] for i, j in corners])
    return torch.cat([crops, crops.flip(-1)])
    ### END SOLUTION


def predict_ten_crop(model: nn.Module, x: torch.Tensor, size: int) -> torch.Tensor:
    """Return probabilities (N, classes), averaged over ten crops.

    Args:
        model: gives logits (M, classes) for images (M, C, size, size).
        x: (N, C, H, W).
        size: height and width of a crop.
    """
    ### BEGIN SOLUTION
    crops, was_training = ten_crop(x, size), model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(crops.flatten(0, 1))
    finally:
        model.train(was_training)
    return logits.softmax(-1).unflatten(0, (10, len(x))).mean(0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_ten_crop", "grade": true, "points": 3}
x = torch.arange(12.0).reshape(1, 1, 3, 4)
crops = ten_crop(x, 2)
assert crops.shape == (10, 1, 1, 2, 2), f"Ten crops of 2 x 2 pixels. Yours have the shape {tuple(crops.shape)}."
assert crops[0].flatten().tolist() == [0, 1, 4, 5], f"The first crop is the top left corner. Yours: {crops[0]}."
assert crops[3].flatten().tolist() == [6, 7, 10, 11], f"The fourth is the bottom right corner. Yours: {crops[3]}."
assert crops[9].flatten().tolist() == [2, 1, 6, 5], f"The last is the centre, mirrored. Yours: {crops[9]}."


class BrightestPixel(nn.Module):
    """Two classes: the brightest pixel of a crop, and 5."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.amax((1, 2, 3)), torch.full((len(x),), 5.0)], 1)


wanted = sum(1 / (1 + math.exp(5 - brightest)) for brightest in (5, 7, 9, 11, 6)) / 5
seen = predict_ten_crop(BrightestPixel(), x, 2)
assert math.isclose(seen[0, 0].item(), wanted, rel_tol=1e-5), (
    f"The mean of the ten probabilities is {wanted:.4f}. Yours is {seen[0, 0].item():.4f}."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("alexnet", "ten_crop", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Top-k error
#
# *easy: about 5 lines, about 15 minutes, 3 points*
#
# ImageNet's "top-5 error" is the share of images whose true class is not among the five largest logits. What if logits
# are equal? A network that gives every class the same number must not come out perfect. So a tie counts against you:
# an image is an error when $k$ or more *other* classes have a logit as large as that of its true class $t_n$, or
# larger:
#
# $$e_k = \frac{1}{N} \sum_{n=1}^{N} \Big[ \big|\{c \ne t_n : z_{nc} \ge z_{n t_n}\}\big| \ge k \Big],$$
#
# where $[\dots]$ is 1 when it is true and 0 otherwise. So nothing is an error when $k$ is the number of classes or
# more. A logit may be infinite, and is compared like any number. One that is not a number (`nan`) never helps you: an
# image whose *true* class has a `nan` is an error for every $k$, and the `nan` of another class counts as larger.
#
# Return a Python number (`float`). Count so that the share of 60 or of 50,000 images is exact to 9 digits. A $k$ below
# 1 and a batch without images are a `ValueError`.


# %% nbgrader={"grade_id": "top_k_error", "solution": true}
def top_k_error(logits: torch.Tensor, targets: torch.Tensor, k: int) -> float:
    """Return the share of examples whose class is not among the k largest logits; ties count as errors.

    Args:
        logits: (N, classes), floating or integer; they stay as they are.
        targets: (N,), integers.
        k: how many guesses; it may be larger than the number of classes.

    Returns:
        A number from 0 to 1.

    Raises:
        ValueError: when k is below 1 or there are no examples.
    """
    ### BEGIN SOLUTION
    if k < 1 or len(logits) == 0:
        raise ValueError(f"k should be at least 1 and there should be examples; they are {k} and {len(logits)}")
    own = logits.gather(1, targets[:, None])
    ahead = (~(logits < own)).sum(1) - 1  # "not smaller" counts ties and nan; the class itself is one of them
    return ((ahead >= k) | own[:, 0].isnan()).double().mean().item()
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_top_k_error", "grade": true, "points": 3}
logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [0.0, 5.0, 5.0]])
targets = torch.tensor([0, 2, 1, 2])
for k, wanted in ((1, 3 / 4), (2, 2 / 4), (3, 0.0), (5, 0.0)):
    seen = top_k_error(logits, targets, k)
    assert math.isclose(seen, wanted, abs_tol=1e-9), (
        f"With k = {k} the error is {wanted}. Yours is {seen}. (The third row is a tie of three, the fourth of two.)"
    )
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("alexnet", "top_k_error", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: what ten looks are worth
#
# The next cell is not graded. A small network with your `local_response_norm` learns 5,000 images of Fashion-MNIST by
# crops of 24 x 24 pixels, in two ways: always the centre, or at random places and half of them mirrored, as in the
# paper. Your `predict_ten_crop` and `top_k_error` then compare one look (the centre) with ten, on 2,000 test images,
# for three seeds. In the paper ten looks lowered the top-1 error from 39.0 % to 37.5 % and the top-5 error from 18.3 %
# to 17.0 % (section 6, ILSVRC-2010). The cell trains six networks; give it half a minute.

# %% nbgrader={"grade_id": "crops", "locked": true} tags=["payoff"]
from ravines.data import device, fashion_mnist, seed_everything

SEEDS, SIZE, MARGIN, EPOCHS, BATCH = (0, 1, 2), 24, 2, 3, 50
WAYS, KS = ("the centre", "random crops, mirrored"), range(1, 6)


class Normalization(nn.Module):
    """Your function as a layer, with the paper's numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return local_response_norm(x, 5, 1e-4, 0.75, 2.0)


def small_network() -> nn.Module:
    """Return two convolutions and two fully connected layers for (N, 1, 24, 24)."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.ReLU(), Normalization(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), Normalization(), nn.Flatten()),
        *(nn.Linear(32 * 5 * 5, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)),
    )


def crop(images: torch.Tensor, way: str, generator: torch.Generator) -> torch.Tensor:
    """Return what the network sees of a mini-batch: one place for all its images, another one next time."""
    if way == "the centre":
        return images[..., MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]
    row, column, mirrored = (int(torch.randint(n, (), generator=generator)) for n in (5, 5, 2))
    seen = images[..., row : row + SIZE, column : column + SIZE]
    return seen.flip(-1) if mirrored else seen


def errors(way: str, seed: int) -> list[list[float]]:
    """Train a network; return its top-k errors in percent with one look and with ten, for each k."""
    generator = seed_everything(seed)
    network = small_network().to(device())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(crop(images[batch], way, generator)), labels[batch]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        one = network(crop(test_images, "the centre", generator)).softmax(-1)
    ten = predict_ten_crop(network, test_images, SIZE)
    return [[100 * top_k_error(found, test_labels, k) for k in KS] for found in (one, ten)]


def looks() -> object:
    """Return a picture of the top-k errors with one look and with ten."""
    found = {way: np.array([errors(way, seed) for seed in SEEDS]) for way in WAYS}  # (seeds, looks, k)
    said = []
    for way, runs in found.items():
        one, ten = runs[:, 0, 0], runs[:, 1, 0]
        better = int((ten < one).sum())
        said.append(
            f"trained on {way}: {np.median(one):.1f} % ({one.min():.1f} to {one.max():.1f}) with one look, "
            f"{np.median(ten):.1f} % ({ten.min():.1f} to {ten.max():.1f}) with ten, "
            f"which are better in {better} of {len(SEEDS)} seeds"
        )

    def draw(*panels):
        for axes, (way, runs) in zip(panels, found.items(), strict=True):
            for row, (label, color) in enumerate((("one look", RED), ("ten looks", BLUE))):
                band(axes, np.array(KS), runs[:, row], color=color, label=label, marker="o", markersize=4)
            axes.set(title=f"Trained on {way}", xlabel="k", ylabel="top-k test error, %", yscale="log")
            axes.set_xticks(list(KS))
            axes.set_yticks([0.5, 1, 2, 5, 10, 20, 40], ["0.5", "1", "2", "5", "10", "20", "40"])
            axes.set_ylim(0.3, 60)
            axes.legend()

    alt = f"Top-1 test error, median and range of three seeds. {'; '.join(said).capitalize()}."
    return figure(draw, panels=2, alt=alt)


def prepared(train: bool, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return some images of all classes, moved so that their mean is near 0, and their labels."""
    pixels, targets = fashion_mnist(train)
    chosen = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))[:count]
    return (pixels[chosen] - 0.3).to(device()), targets[chosen].to(device())


(images, labels), (test_images, test_labels) = prepared(True, 5000), prepared(False, 2000)
try:
    picture = looks()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 1, 5 and 6 first, then run this cell again.")
picture

# %% [markdown]
# Ten looks are no gift: five are mirrored, and eight are shifted by two pixels in both directions. Which garments look
# different in a mirror? Which of the two networks has seen them so?

# %% [markdown]
# ### See it: the published weights in your network
#
# If the weights that torchvision publishes are on this machine, the next cell loads them into your
# `TorchvisionAlexNet` and shows what it says of two photographs. It downloads nothing. Without the weights it says how
# you get them (233 MB).

# %% nbgrader={"grade_id": "published", "locked": true} tags=["payoff"]
from ravines.pretrained import WeightsError, look

picture = None
try:
    picture = look(TorchvisionAlexNet(), "AlexNet_Weights.IMAGENET1K_V1")
    print(picture.alt)
except NotImplementedError:
    print("Finish exercise 3 first, then run this cell again.")
except WeightsError as reason:
    print(reason)
picture
