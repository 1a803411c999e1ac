# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Initialization
#
# Chapter [Initialization](../../book/initialization.md) sent a signal through 50 layers, and it vanished, blew up, or
# arrived, by nothing but the variance of the first weights. Here you build what sets that variance, for any layer and
# any activation, and an instrument that measures the signal in both directions.
# Seven exercises, 20 points, about 110 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# Each exercise can be solved without the ones before it. You may call your own earlier functions, but then a mistake
# there costs points here too. Write the rules yourself: `torch.nn.init` holds some of them, and it is what you rebuild.
#
# The lecture writes $\mathcal{N}(0, 2/n)$. The second number is a *variance*. PyTorch's `normal_(mean, std)` takes the
# standard deviation, its square root.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

# %% [markdown]
# ## 1. Fan-in and fan-out
#
# *easy: three lines to six, about 10 minutes, 2 points*
#
# How many numbers does one output add up, and how many outputs does one input feed? PyTorch stores the weights of
# `nn.Linear` in the shape $(c_{\text{out}}, c_{\text{in}})$, and those of a convolution with $G$ groups in the shape
# $(c_{\text{out}}, c_{\text{in}} / G, k_1, \dots, k_N)$. The second entry has been divided by $G$ already. With
# $c_{\text{in}}$ input channels and $c_{\text{out}}$ output channels,
#
# $$n_{\text{in}} = \frac{c_{\text{in}}}{G} \prod_d k_d, \qquad
# n_{\text{out}} = \frac{c_{\text{out}}}{G} \prod_d k_d .$$
#
# (Stride 1, away from the borders.) `torch.nn.init` sees the shape only and knows nothing of groups: its fan-out is
# $c_{\text{out}} \prod_d k_d$, which is $G$ times too many. Its fan-in is right.
#
# - Any number $N$ of kernel dimensions can come, also none, with sizes that differ.
# - `weight_shape` is a `torch.Size`, a tuple or a list. Leave a list as it was.
# - Both results are integers.
# - A shape with fewer than two entries raises a `ValueError`, and so does a $c_{\text{out}}$ that `groups` does not
#   divide.


# %% nbgrader={"grade_id": "fan_in_fan_out", "solution": true}
def fan_in_fan_out(weight_shape: Sequence[int], groups: int = 1) -> tuple[int, int]:
    """Count the inputs of one output, and the outputs of one input.

    Args:
        weight_shape: (out, in) of a linear layer, or (out, in / groups, *kernel) of a convolution.
        groups: of the convolution, at least 1.

    Returns:
        (fan_in, fan_out), two integers.

    Raises:
        ValueError: when the shape has fewer than two entries, or groups does not divide the first one.
    """
    ### BEGIN SOLUTION
    if len(weight_shape) < 2:
        raise ValueError(f"a weight needs at least two dimensions, but its shape is {tuple(weight_shape)}")
    out_channels, in_channels_per_group, *kernel = weight_shape
    if out_channels % groups:
        raise ValueError(f"{groups} groups do not divide {out_channels} output channels")
    taps = math.prod(kernel)
    return in_channels_per_group * taps, out_channels // groups * taps
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_fan_in_fan_out", "grade": true, "points": 2}
assert tuple(fan_in_fan_out(nn.Linear(3, 5).weight.shape)) == (3, 5), (
    "nn.Linear(3, 5) stores a weight of shape (5, 3): each output adds up 3 inputs, each input feeds 5 outputs."
)
assert tuple(fan_in_fan_out(nn.Conv2d(4, 6, 3).weight.shape)) == (36, 54), (
    "A 3x3 kernel has 9 taps. Each output adds up 9 * 4 inputs, each input feeds 9 * 6 outputs."
)
assert tuple(fan_in_fan_out(nn.Conv2d(4, 6, 3, groups=2).weight.shape, groups=2)) == (18, 27), (
    "With 2 groups an output sees half of the inputs, and an input feeds half of the outputs."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("initialization", "fan_in_fan_out", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The gain of any activation
#
# *medium: five lines to eight, about 15 minutes, 3 points*
#
# A layer whose weights have the variance $1/n_{\text{in}}$ keeps the mean square of its input. Then the activation $f$
# changes it. If what enters $f$ is about normal with variance 1, weights that are larger by the *gain* repair that:
#
# $$g(f) = \frac{1}{\sqrt{\mathbb{E}\left[f(z)^2\right]}}, \qquad z \sim \mathcal{N}(0, 1), \qquad
# \mathbb{E}\left[f(z)^2\right] = \int f(z)^2\, \frac{e^{-z^2/2}}{\sqrt{2\pi}}\, dz .$$
#
# For ReLU half of the square is lost, so $g = \sqrt 2$, and $g^2 / n$ is the $2/n$ of He et al. (2015, equation 10). It
# is the *second moment* that counts, not the variance of $f(z)$: the next layer multiplies the mean of $f(z)$ by random
# weights too. `torch.nn.init.calculate_gain` looks names up in a table; for tanh it has 5/3, a rule of thumb, where the
# integral gives 1.5925.
#
# - `fn` works on tensors, element by element: `torch.tanh`, a lambda, an `nn.Module`. Call it with float64 tensors of
#   any shape. It may write into the tensor that you give it, as `nn.ReLU(inplace=True)` does.
# - Compute the integral, do not draw random numbers. The same `fn` gives the same gain each time.
# - The relative error is at most $10^{-6}$ if `fn` is continuous. It may have kinks between -4 and 4, and grows at most
#   like $e^{|z|}$, so that $[-12, 12]$ is all you need. If `fn` jumps, $10^{-3}$ is enough.
# - If the mean square is 0, infinite or nan (the logarithm of a negative number is nan), raise a `ValueError`.
# - Return a Python float.
#
# <details><summary>Hint: which rule</summary>
#
# Sum over a fine, even grid: 100,001 points on $[-12, 12]$ in one call of `fn`. Gauss-Hermite quadrature is the
# textbook choice for this integral, and a trap here. It is exact for polynomials, so with 100 nodes it has tanh to 11
# digits, and ReLU by symmetry. But for a ReLU whose kink is at 0.7 it is wrong in the fourth digit.
#
# </details>


# %% nbgrader={"grade_id": "gain", "solution": true}
def gain(fn: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Return the factor on the weights that makes up for an activation: 1 / sqrt(E[fn(z)^2]), z standard normal.

    Args:
        fn: the activation, on float64 tensors of any shape; may change its argument.

    Returns:
        The gain, a float.

    Raises:
        ValueError: when the mean square is 0 or not finite.
    """
    ### BEGIN SOLUTION
    z = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2)
    with torch.no_grad():
        mean_square = ((fn(z.clone()) ** 2 * density).sum() / density.sum()).item()
    if mean_square == 0 or not math.isfinite(mean_square):
        raise ValueError(f"no gain can repair an activation whose mean square is {mean_square}")
    return 1 / math.sqrt(mean_square)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_gain", "grade": true, "points": 3}
for fn, name, wanted in (
    (lambda z: z, "the identity", 1.0),
    (torch.relu, "ReLU", math.sqrt(2)),
    (torch.tanh, "tanh", 1.592537420),
    (lambda z: 0.5 * z, "half of z", 2.0),
):
    seen = gain(fn)
    assert math.isclose(seen, wanted, rel_tol=1e-6), f"The gain of {name} is {wanted:.9g}. Yours is {seen}."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("initialization", "gain", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Xavier, uniform
#
# *easy: three lines to five, about 10 minutes, 2 points*
#
# Forward, the variance $1/n_{\text{in}}$ keeps the signal. Backward, $1/n_{\text{out}}$ keeps the gradient. Glorot and
# Bengio (2010, equation 16) take the middle, $2/(n_{\text{in}} + n_{\text{out}})$, and draw from a uniform
# distribution, whose variance is a third of its bound squared:
#
# $$w \sim \mathcal{U}(-a, a), \qquad a = g\, \sqrt{\frac{6}{n_{\text{in}} + n_{\text{out}}}} .$$
#
# Here $g$ = `gain` is a number, and the fans are those of exercise 1 without groups, for a linear or a
# convolutional weight of any number of dimensions from 2 on. Four rules hold here and in exercises 4 and 5:
#
# - **Fill `w` itself.** It stays the same tensor in the same memory, so that an optimizer, and a view of it, see the
#   new values. Return `w`. Whatever was in it does not matter; it may be nan. It is float32 or float64, and may itself
#   be a view that is not contiguous; what lies beside it in memory stays.
# - **Autograd records nothing.** `w` may be a parameter. After the call it is still a leaf with the same
#   `requires_grad` and the same `grad`, and gradients are on or off as before.
# - **Every entry is drawn on its own.**
# - **`generator`**, a `torch.Generator`, gives all random numbers when it is there, and then PyTorch's global generator
#   stays as it was. Without it, the global one gives them. Never seed either of them.
#
# <details><summary>Hint</summary>
#
# Under `torch.no_grad()`, a parameter's `uniform_` does all of this. It takes a `generator` too.
#
# </details>


# %% nbgrader={"grade_id": "xavier_uniform_", "solution": true}
def xavier_uniform_(w: torch.Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> torch.Tensor:
    """Fill w in place from U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, Eq. 16).

    Args:
        w: the weight of a linear layer or a convolution, shape (out, in, *kernel), float32 or float64.
        gain: the factor on the bound, above 0.
        generator: where the random numbers come from; None for PyTorch's global generator.

    Returns:
        w itself.
    """
    ### BEGIN SOLUTION
    taps = math.prod(w.shape[2:])
    bound = gain * math.sqrt(6 / (taps * (w.shape[0] + w.shape[1])))
    with torch.no_grad():
        return w.uniform_(-bound, bound, generator=generator)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_xavier_uniform_", "grade": true, "points": 2}
weight = nn.Linear(100, 200).weight
seen = xavier_uniform_(weight, generator=torch.Generator().manual_seed(1))
assert seen is weight, "Return the tensor that you were given, with its new values."
largest = weight.detach().abs().max().item()
assert math.isclose(largest, math.sqrt(6 / 300), rel_tol=1e-2), (
    f"With 20,000 draws the largest is close to the bound sqrt(6 / (100 + 200)) = 0.1414. Yours is {largest:.4f}."
)
assert abs(weight.detach().mean().item()) < 0.005, "The bounds are -a and a, so the mean is about 0."
assert weight.is_leaf and weight.requires_grad, "The weight is no longer a parameter that can be trained."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("initialization", "xavier_uniform_", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Kaiming, normal
#
# *medium: six lines to ten, about 15 minutes, 3 points*
#
# He et al. (2015, equations 10 and 14) ask for one direction at a time, and put in what the activation takes away:
#
# $$w \sim \mathcal{N}\left(0, \sigma^2\right), \qquad \sigma = \frac{g(f)}{\sqrt{n}}, \qquad
# g(f) = \frac{1}{\sqrt{\mathbb{E}\left[f(z)^2\right]}} .$$
#
# $n$ is the fan-in for `mode="fan_in"`, which keeps the signal on its way forward, and the fan-out for
# `mode="fan_out"`. Fans are those of exercise 1, without groups. Any other mode raises a `ValueError` and leaves `w` as
# it was.
#
# $f$ = `nonlinearity` is a callable as in exercise 2. Call your `gain`, or compute $g$ here; to 1% is enough for this
# exercise. The four rules of exercise 3 hold.


# %% nbgrader={"grade_id": "kaiming_normal_", "solution": true}
def kaiming_normal_(
    w: torch.Tensor,
    mode: str = "fan_in",
    nonlinearity: Callable[[torch.Tensor], torch.Tensor] = torch.relu,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Fill w in place from a normal distribution with mean 0 and std gain / sqrt(fan) (He et al. 2015, Eq. 10, 14).

    Args:
        w: the weight of a linear layer or a convolution, shape (out, in, *kernel), float32 or float64.
        mode: "fan_in" or "fan_out".
        nonlinearity: the activation, on float64 tensors of any shape.
        generator: where the random numbers come from; None for PyTorch's global generator.

    Returns:
        w itself.

    Raises:
        ValueError: for another mode; w is then as it was.
    """
    ### BEGIN SOLUTION
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode should be "fan_in" or "fan_out", but it is {mode!r}')
    fan = math.prod(w.shape[2:]) * (w.shape[1] if mode == "fan_in" else w.shape[0])
    z = torch.linspace(-12, 12, 100_001, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2)
    with torch.no_grad():
        mean_square = (nonlinearity(z.clone()) ** 2 * density).sum() / density.sum()
        return w.normal_(0, (mean_square * fan).item() ** -0.5, generator=generator)
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_kaiming_normal_", "grade": true, "points": 3}
weight = nn.Linear(200, 400).weight
for mode, nonlinearity, wanted in (
    ("fan_in", torch.relu, math.sqrt(2 / 200)),
    ("fan_out", torch.relu, math.sqrt(2 / 400)),
    ("fan_in", torch.tanh, 1.5925 / math.sqrt(200)),
):
    seen = kaiming_normal_(weight, mode, nonlinearity, generator=torch.Generator().manual_seed(1))
    assert seen is weight, "Return the tensor that you were given, with its new values."
    std = weight.detach().std().item()
    assert math.isclose(std, wanted, rel_tol=0.015), (
        f"For {mode} and {nonlinearity.__name__}, the standard deviation is {wanted:.4f}. Yours is {std:.4f}."
    )
assert weight.detach().abs().max() > 3.5 * weight.detach().std(), (
    "Of 80,000 normal numbers some are beyond 3.5 standard deviations. Yours have no tails."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("initialization", "kaiming_normal_", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Sparse
#
# *medium: seven lines to ten, about 15 minutes, 3 points*
#
# Martens (2010) scales nothing with the layer's width. Each unit gets the same small number of incoming connections, 15
# in the paper, and every other weight is 0. Sutskever et al. (2013) started their networks so. `w` is the weight of a
# linear layer, of shape $(n_{\text{out}}, n_{\text{in}})$. For each row $i$ on its own, draw a set $S_i$ of columns:
#
# $$|S_i| = \min(k, n_{\text{in}}), \qquad w_{ij} \sim \mathcal{N}(0, \sigma^2) \ \text{for}\ j \in S_i, \qquad
# w_{ij} = 0 \ \text{for}\ j \notin S_i ,$$
#
# with $k$ = `connections` and $\sigma$ = `std` (above 0). All sets of that size are equally likely, and the sets of two
# rows have nothing to do with each other. A unit adds up $k$ products, so its variance is $k \sigma^2$ times that of
# its inputs: $\sigma = \sqrt{2/k}$ does for ReLU what He's rule does.
#
# `torch.nn.init.sparse_` is something else: it makes a fraction of each *column* zero, so units differ in how many
# inputs they have.
#
# `connections` below 1, and a `w` that does not have two dimensions, raise a `ValueError`. The four rules of exercise 3
# hold.
#
# <details><summary>Hint</summary>
#
# `torch.randperm(n, generator=generator)[:k]` gives $k$ different columns.
#
# </details>


# %% nbgrader={"grade_id": "sparse_init_", "solution": true}
def sparse_init_(
    w: torch.Tensor, connections: int, std: float, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Give each unit a few incoming connections, in place (Martens 2010, section 5).

    Args:
        w: shape (out, in), float32 or float64.
        connections: non-zero weights in each row, at least 1; all of the row when it has fewer entries.
        std: standard deviation of the non-zero weights, above 0.
        generator: where the random numbers come from; None for PyTorch's global generator.

    Returns:
        w itself.

    Raises:
        ValueError: when connections is below 1 or w is not two-dimensional.
    """
    ### BEGIN SOLUTION
    if w.dim() != 2:
        raise ValueError(f"w should have two dimensions, but it has {w.dim()}")
    if connections < 1:
        raise ValueError(f"connections should be at least 1, but it is {connections}")
    count = min(connections, w.shape[1])
    with torch.no_grad():
        w.zero_()
        for row in w:
            columns = torch.randperm(len(row), generator=generator)[:count]
            row[columns] = std * torch.randn(count, dtype=w.dtype, generator=generator)
    return w
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_sparse_init_", "grade": true, "points": 3}
weight = nn.Linear(50, 400).weight
seen = sparse_init_(weight, 15, 0.5, generator=torch.Generator().manual_seed(1))
assert seen is weight, "Return the tensor that you were given, with its new values."
each_row = (weight.detach() != 0).sum(1)
# One row short is forgiven: a normal number drawn in float32 is exactly 0 about once in 25 million times.
assert each_row.max() <= 15 and (each_row == 15).sum() >= 399, (
    f"Each of the 400 rows should have 15 weights that are not 0. Yours have {each_row.min()} to {each_row.max()}."
)
std = weight.detach()[weight.detach() != 0].std().item()
assert math.isclose(std, 0.5, rel_tol=0.05), f"The non-zero weights have the standard deviation 0.5. Yours: {std:.3f}."
seen = sparse_init_(torch.ones(3, 4), 15, 1.0)
assert (seen != 0).all(), "A row with fewer entries than connections keeps them all."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("initialization", "sparse_init_", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 6. A whole model
#
# *medium: about 15 lines, about 20 minutes, 3 points*
#
# Now set up a ReLU network as its layers need it. Go through all modules of the model, at any depth, the model itself
# included:
#
# $$W \sim \mathcal{N}\left(0, \frac{2}{n_{\text{in}}}\right), \qquad b = 0, \qquad \gamma = 1, \qquad \beta = 0 .$$
#
# - **`nn.Linear`, `nn.Conv1d`, `nn.Conv2d`, `nn.Conv3d`**, and classes made from them: the weight from a normal
#   distribution with variance $2/n_{\text{in}}$, each entry on its own, and the bias 0. Convolutions may have groups;
#   look at exercise 1 for what that does to the fan-in. Random numbers come from PyTorch's global generator, which you
#   do not seed.
# - **`nn.BatchNorm1d`, `nn.BatchNorm2d`, `nn.BatchNorm3d`, `nn.LayerNorm`**: the weight ($\gamma$) 1, the bias
#   ($\beta$) 0. A BatchNorm also keeps statistics in its buffers: `running_mean` becomes 0, `running_var` 1,
#   `num_batches_tracked` 0.
# - Any of these may lack its parts: `bias=False`, `affine=False`, `elementwise_affine=False`,
#   `track_running_stats=False`. What a layer does not have is None.
# - **Everything else stays as it was:** embeddings, transposed convolutions, other norms, parameters of no layer.
# - A frozen parameter (`requires_grad=False`) is set like any other.
# - **Parameters stay the same objects,** so that an optimizer made before goes on, and weights that two layers share
#   stay shared. Their `requires_grad`, `grad` and dtype, and each module's `training`, stay. Autograd records nothing.
#
# Return the model or nothing; both are fine.


# %% nbgrader={"grade_id": "initialize", "solution": true}
def initialize(model: nn.Module) -> nn.Module | None:
    """Set up a ReLU network: He normal weights (He et al. 2015, Eq. 10), zero biases, norms that change nothing.

    Args:
        model: any module; changed in place.

    Returns:
        The model, or None.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                fan_in = math.prod(module.weight.shape[1:])
                module.weight.normal_(0, math.sqrt(2 / fan_in))
            elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)):
                if module.weight is not None:
                    module.weight.fill_(1)
                if getattr(module, "running_mean", None) is not None:
                    module.running_mean.zero_()
                    module.running_var.fill_(1)
                    module.num_batches_tracked.zero_()
            else:
                continue
            if module.bias is not None:
                module.bias.zero_()
    return model
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_initialize", "grade": true, "points": 3}
torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(8, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.Sequential(nn.Flatten(), nn.Linear(2304, 50))
)
model(torch.randn(4, 8, 8, 8) + 5)  # moves the running statistics
with torch.no_grad():
    model[1].weight.fill_(3)
initialize(model)
std, wanted = model[0].weight.std().item(), math.sqrt(2 / 72)
assert math.isclose(std, wanted, rel_tol=0.05), (
    f"The convolution's fan-in is 8 * 3 * 3 = 72, so its standard deviation is {wanted:.4f}. Yours is {std:.4f}."
)
std, wanted = model[3][1].weight.std().item(), math.sqrt(2 / 2304)
assert math.isclose(std, wanted, rel_tol=0.05), (
    f"The linear layer is inside another module. Its standard deviation should be {wanted:.4f}, not {std:.4f}."
)
assert (model[3][1].bias == 0).all(), "Biases start at 0."
assert (model[1].weight == 1).all() and (model[1].running_mean == 0).all(), (
    "BatchNorm starts with weight 1, and with statistics that have seen nothing."
)
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("initialization", "initialize", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 7. See the signal
#
# *hard: about 20 lines, about 25 minutes, 4 points*
#
# An instrument that works on any model, without a change to its code. A module that has no children is a *leaf*. For
# each call of a leaf, with output $h$, record two numbers. The loss stands for any loss that looks at the whole output:
#
# $$\operatorname{rms}(h) = \sqrt{\frac{1}{|h|} \sum_i h_i^2}, \qquad
# \operatorname{rms}\left(\frac{\partial \mathcal{L}}{\partial h}\right), \qquad
# \mathcal{L} = \operatorname{mean}\left(\text{model}(x)^2\right) .$$
#
# Return a list with one dict for each call, in the order of the calls:
# `{"name": ..., "activation": ..., "gradient": ...}`.
#
# - **`name`** is the one that `model.named_modules()` gives the leaf. A leaf that is called twice appears twice; one
#   that is never called does not appear. If the model is itself a leaf, its name is `""`.
# - **The numbers** are Python floats. They may be tiny: the square of $10^{-30}$ is 0 in float32, so square in float64.
#   If the loss does not depend on an output, its gradient is 0.0.
# - **Every output has a gradient.** It is asked for even where autograd would not record it by itself: when all
#   parameters are frozen, when the first leaf has none and `x` needs no gradient, and under `torch.no_grad()`.
# - **In-place modules** such as `nn.ReLU(inplace=True)` write into the output of the leaf before. That leaf's numbers
#   are those of its own output, before it was overwritten. `x` itself keeps its values, its `requires_grad` and its
#   `grad`.
# - **The model** is called exactly once, in the mode that it is in. (So in training mode, BatchNorm's statistics move,
#   as in any call.) Afterwards its hooks are those from before, even when the model raises. That error passes on to the
#   caller. The parameters' `grad` and `requires_grad`, and each module's `training`, are as they were.
#
# Leaves take and return one floating tensor, and so does the model.
#
# <details><summary>Hint: catching the outputs</summary>
#
# `handle = module.register_forward_hook(watch)` calls `watch(module, inputs, output)` after each call of the module,
# until `handle.remove()`. `try: ... finally: ...` removes it in any case.
#
# </details>
# <details><summary>Hint: catching the gradients</summary>
#
# `register_full_backward_hook` raises when a module works in place. A hook on the tensor does not:
# `output.register_hook(function)` calls `function(grad)` on the backward pass, with the gradient of the output as it
# was when you registered it. `torch.autograd.grad(loss, inputs)` runs a backward pass that leaves every `.grad` alone.
# It goes only where `inputs` are.
#
# </details>
# <details><summary>Hint: an input that autograd follows</summary>
#
# `x.detach().clone().requires_grad_()` is a leaf tensor, and a leaf tensor must not be changed in place. A clone of it
# may be.
#
# </details>


# %% nbgrader={"grade_id": "signal_profile", "solution": true}
def signal_profile(model: nn.Module, x: torch.Tensor) -> list[dict[str, str | float]]:
    """Measure the size of each leaf module's output, and of the gradient of mean(model(x)^2) with respect to it.

    Args:
        model: takes and returns one floating tensor, as its leaves do.
        x: the input, any shape that the model takes.

    Returns:
        One dict per call of a leaf, in order: "name", "activation" (rms of the output), "gradient" (rms of the loss's
        gradient with respect to it).
    """
    ### BEGIN SOLUTION
    names = {module: name for name, module in model.named_modules()}
    records: list[dict[str, str | float]] = []
    handles = []

    def rms(values: torch.Tensor) -> float:
        return values.detach().double().square().mean().sqrt().item()

    def watch(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        record = {"name": names[module], "activation": rms(output), "gradient": 0.0}
        records.append(record)
        if output.requires_grad:
            output.register_hook(lambda grad: record.update(gradient=rms(grad)))

    try:
        for module in names:
            if not list(module.children()):
                handles.append(module.register_forward_hook(watch))
        with torch.enable_grad():
            start = x.detach().clone().requires_grad_()
            loss = model(start.clone()).square().mean()
            followed = [start, *(p for p in model.parameters() if p.requires_grad)]
            torch.autograd.grad(loss, followed, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    return records
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_signal_profile", "grade": true, "points": 4}
model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(inplace=True), nn.Linear(2, 1, bias=False))
with torch.no_grad():
    model[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    model[2].weight.copy_(torch.tensor([[2.0, 5.0]]))
seen = signal_profile(model, torch.tensor([[3.0, 4.0]]))
# Forward: (3, 4) -> (3, -4) -> (3, 0) -> 6. Backward: 2 * 6 = 12 -> (24, 60) -> (24, 0).
assert [s["name"] for s in seen] == ["0", "1", "2"], f"The three leaves are 0, 1 and 2. Yours: {seen}."
for s, activation, gradient in zip(seen, (12.5, 4.5, 36), (288, 2088, 144), strict=True):
    assert math.isclose(s["activation"], math.sqrt(activation), rel_tol=1e-5), (
        f"The output of leaf {s['name']} has the mean square {activation}. Yours is {s['activation'] ** 2}."
    )
    assert math.isclose(s["gradient"], math.sqrt(gradient), rel_tol=1e-5), (
        f"The gradient of leaf {s['name']}'s output has the mean square {gradient}. Yours is {s['gradient'] ** 2}."
    )
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("initialization", "signal_profile", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: 50 layers
#
# The next cell is not graded. It sends 128 images of Fashion-MNIST through 50 ReLU layers of width 256, whose weights
# come from your `kaiming_normal_`, your `xavier_uniform_`, your `sparse_init_` with Martens' 15 connections (and
# $\sigma = \sqrt{2/15}$), or from PyTorch's default. Your `signal_profile` measures each ReLU, from three seeds. A line
# is the median, its band goes from the lowest to the highest seed. The gradient of a vanished output is small to begin
# with, so the right picture shows each gradient relative to that of the last layer.

# %% nbgrader={"grade_id": "fifty_layers", "locked": true} tags=["payoff"]
from ravines.data import fashion_mnist, seed_everything
from ravines.plots import BLUE, GREEN, ORANGE, RED, band, figure

torch.set_num_threads(1)  # the layers are so small that more threads only wait for each other
SEEDS, DEPTH, WIDTH = (0, 1, 2), 50, 256
STARTS = {
    "He normal": kaiming_normal_,
    "sparse": lambda w: sparse_init_(w, 15, math.sqrt(2 / 15)),
    "Xavier uniform": xavier_uniform_,
    "PyTorch default": None,  # leaves the weights, and the biases, as nn.Linear made them
}


def through_fifty_layers(start: Callable[[torch.Tensor], torch.Tensor] | None, seed: int) -> torch.Tensor:
    """Return the rms of activations and of gradients at each ReLU, shape (2, DEPTH)."""
    seed_everything(seed)
    layers = []
    for i in range(DEPTH):
        linear = nn.Linear(784 if i == 0 else WIDTH, WIDTH)
        if start is not None:
            start(linear.weight)
            nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    # In float64, for the gradients of the default at the first layer are below what float32 can hold.
    profile = signal_profile(nn.Sequential(*layers).double(), pixels[:128].double())
    return torch.tensor([[s[key] for s in profile[1::2]] for key in ("activation", "gradient")], dtype=torch.float64)


def compare_starts() -> object:
    """Return a picture of the signal on its way forward and back."""
    runs = {name: torch.stack([through_fifty_layers(s, seed) for seed in SEEDS]) for name, s in STARTS.items()}

    def draw(forward, backward):
        layer = np.arange(1, DEPTH + 1)
        for (name, run), color in zip(runs.items(), (BLUE, GREEN, ORANGE, RED), strict=True):
            band(forward, layer, run[:, 0].numpy(), label=name, color=color)
            band(backward, layer, (run[:, 1] / run[:, 1, -1:]).numpy(), label=name, color=color)
        forward.set(title="Activations", xlabel="layer", ylabel="rms")
        backward.set(title="Gradients", xlabel="layer", ylabel="rms, relative to the last layer")
        for axes in (forward, backward):
            axes.set_yscale("log")
        forward.legend()

    kept = [f"{name} {(run[:, 0, -1] / run[:, 0, 0]).median().item():.2g}" for name, run in runs.items()]
    back = [f"{name} {(run[:, 1, 0] / run[:, 1, -1]).median().item():.2g}" for name, run in runs.items()]
    return figure(
        draw,
        panels=2,
        alt=f"What is left of the signal after {DEPTH} layers: {', '.join(kept)}. "
        f"What is left of the gradient at the first one: {', '.join(back)}.",
    )


images, labels = fashion_mnist()
pixels = images.flatten(1)
pixels = (pixels - pixels.mean()) / pixels.std()
try:
    picture = compare_starts()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 3, 4, 5 and 7 first, then run this cell again.")
picture

# %% [markdown]
# Each ReLU layer multiplies the mean square by about $n \operatorname{Var}(w) / 2$: by 1 for He and for the sparse
# weights, by 1/2 for Xavier, and by 1/6 for PyTorch's default, whose variance is $1/(3n)$. The default's activations
# stop falling where its random biases are all that is left. They carry nothing of the image, and the gradient, to which
# a bias adds nothing, goes on falling. On its way back it is multiplied by about the same number per layer; only near
# the last layer, where the loss's gradient is the output itself, is the step another.
#
# ### See it: does it matter for training?
#
# Two networks with 20 hidden layers, one as PyTorch makes it and one after your `initialize`, train on 10,000 images:
# the same batches, the same optimizer, three seeds. It takes a few seconds.

# %% nbgrader={"grade_id": "payoff", "locked": true} tags=["payoff"]
from itertools import pairwise

UPDATES, BATCH = 150, 100


def train(ours: bool, seed: int) -> tuple[list[float], float]:
    """Return the loss on each mini-batch, and the accuracy on the test images at the end."""
    generator = seed_everything(seed)
    sizes = [784] + 20 * [64]
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    network = nn.Sequential(*layers, nn.Linear(64, 10))
    if ours:
        initialize(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    losses = []
    for _ in range(UPDATES):
        batch = torch.randint(len(pixels), (BATCH,), generator=generator)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(pixels[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        right = (network(test_pixels).argmax(1) == test_labels).float().mean().item()
    return losses, right


def compare_training() -> object:
    """Return a picture of the loss with and without `initialize`."""
    names = {True: "your initialize", False: "PyTorch default"}
    runs = {ours: [train(ours, seed) for seed in SEEDS] for ours in names}

    def draw(axes):
        for ours, color in ((True, BLUE), (False, RED)):
            band(
                axes, np.arange(UPDATES), np.array([losses for losses, _ in runs[ours]]), label=names[ours], color=color
            )
        axes.axhline(math.log(10), color="black", linewidth=0.8, linestyle=":", label="guessing: log 10")
        axes.set(xlabel="update", ylabel="loss on the mini-batch", ylim=(0, 4))
        axes.legend(loc="upper right")

    seen = [f"{names[o]} {', '.join(f'{right:.0%}' for _, right in runs[o])}" for o in names]
    return figure(
        draw,
        alt=f"Accuracy on test images after {UPDATES} updates of a 20-layer network, three seeds: {'; '.join(seen)}.",
    )


test_images, test_labels = fashion_mnist(train=False)
test_pixels = (test_images.flatten(1) - images.mean()) / images.std()
try:
    picture = compare_training()
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercise 6 first, then run this cell again.")
picture

# %% [markdown]
# A line at $\log 10 \approx 2.303$ is a network that gives every image about the same answer: nothing of the image
# reaches its last layer, and no gradient comes back to the first. All that differs between the two networks is the
# variance of the first weights, and biases that start at 0.
