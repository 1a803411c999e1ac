# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Comparison
#
# Chapter [Comparison](../../book/comparison.md) asked of a table of networks: counted of which network, and in which
# unit? Here you write the counters yourself. They count parameters, multiply-accumulates and outputs of any network,
# without a library that knows the answer. Then they make the rows of the lecture's table, and you find the networks
# that no other one beats. Five exercises, 20 points, about 100 minutes.
#
# Write your answers where a cell says `# YOUR CODE HERE`. Run the cell below each answer: if it stays silent, the
# visible tests pass. Hidden tests then try your function on other inputs, so write what the text says, not what the
# visible numbers happen to need. An exercise whose visible tests fail gets no points.
#
# A *MAC*, or multiply-accumulate, is one multiplication and one addition, so two FLOPs. A MiB has $2^{20}$ bytes.
# Whole networks are counted on PyTorch's `meta` device, where tensors have shapes and no numbers: VGG-16 costs nothing
# there. No exercise needs the answer to another one; the table and the picture at the end need all of them.

# %% nbgrader={"grade_id": "imports", "locked": true}
import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
#: Layers with weights, as papers count them for a network's depth. Classes that inherit from these count, too.
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)

# %% [markdown]
# ## How a model is visited
#
# Exercises 2 and 3 send one image through a model and look on with forward hooks (`module.register_forward_hook`). Both
# do it in the same way:
#
# - **The image** has the shape `(1, *input_size)`, so one example. It is like the model's first parameter: on the CPU
#   or the `meta` device, in float32 or float64. A model without parameters gets float32 on the CPU.
# - **The pass** is made in evaluation mode and under `torch.no_grad()`. Make the image of zeros: PyTorch's random state
#   afterwards is what it was before.
# - **Uses.** A module that is used twice counts twice, one that is not used does not count. What no module does, such
#   as `F.relu`, an addition, or the products inside of attention, is not seen by hooks and does not count.
# - **No trace.** Afterwards the model's parameters are the same objects with the same values, gradients and
#   `requires_grad`; its buffers (running statistics), the hooks that were there before, and the mode (`training`) of
#   *each* module are what they were. That holds too when the model raises an error, such as for an image that does not
#   fit. The error itself goes on to the caller.
# - **Your own count:** no counter of PyTorch's, of this course's or of another library's.
#
# <details><summary>Hint: hooks</summary>
#
# A hook gets three arguments, `(module, inputs, output)`, and `inputs` is a tuple. `register_forward_hook` returns a
# handle, whose `remove()` takes the hook away again. `try` and `finally` see to it that this happens in any case.
#
# </details>

# %% [markdown]
# ## 1. Parameters
#
# *easy: about 3 lines, about 5 minutes, 2 points*
#
# How many numbers can a model learn? With its parameters as a *set*, in which each parameter is once,
#
# $$P = \sum_{p\, \in\, \text{parameters}} (\text{numbers in } p).$$
#
# - A parameter that several modules share, or a module that is in several places, is counted once.
# - Frozen parameters (`requires_grad=False`) are counted: they are a part of the network.
# - Buffers, such as running means and variances, are not. Nobody learns them by gradients.
# - A parameter may belong to the model itself and to no layer, such as a class token.
#
# The model may be on any device, `meta` included, and may have no parameters. It stays as it is. The result is an
# `int`.


# %% nbgrader={"grade_id": "count_parameters", "solution": true}
def count_parameters(model: nn.Module) -> int:
    """Return how many numbers a model's parameters have, shared ones once and frozen ones too.

    Args:
        model: any model, on any device.
    """
    ### BEGIN SOLUTION
    return sum(p.numel() for p in model.parameters())
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_count_parameters", "grade": true, "points": 2}
network = nn.Sequential(nn.Conv2d(3, 8, 5, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 4))
seen = count_parameters(network)
assert seen == 600 + 16 + 36, (
    f"The convolution has 3 * 8 * 25 = 600 weights, the normalization 2 * 8 = 16, and the last layer 8 * 4 + 4 = 36: "
    f"652 in all. Yours: {seen}. Running statistics are no parameters."
)
network[3].requires_grad_(False)
assert count_parameters(network) == 652, "Frozen parameters are counted, too."
tied = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
tied[2].weight = tied[0].weight
assert count_parameters(tied) == 36 + 6 + 6, "Both layers have the same 36 weights, and each its own 6 biases."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("comparison", "count_parameters", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Multiply-accumulates
#
# *hard: about 30 lines, about 35 minutes, 7 points*
#
# How much work is one image? Visit the model as described above, and add up what every use of a layer with weights
# costs. In a convolution with $g$ groups and a kernel of $k_h \times k_w$, each number of the *output* is a sum of
# $\frac{C_\text{in}}{g} k_h k_w$ products. In a fully connected layer it is a sum over all inputs. In a transposed
# convolution it is the other way round: each number of its *input* is multiplied by $\frac{C_\text{out}}{g} k_h k_w$
# weights, and the products are added up where they fall.
#
# $$
# \begin{aligned}
# \text{MACs}_\text{conv} &= (\text{numbers in the output}) \cdot \tfrac{C_\text{in}}{g}\, k_h k_w \\
# \text{MACs}_\text{linear} &= (\text{numbers in the output}) \cdot (\text{inputs of one}) \\
# \text{MACs}_\text{transposed} &= (\text{numbers in the input}) \cdot \tfrac{C_\text{out}}{g}\, k_h k_w
# \end{aligned}
# $$
#
# - **Layers** are those of `WEIGHTED` above, for signals (1d), images (2d) and volumes (3d), where the kernel has one,
#   two or three sides. Everything else has 0 MACs: pooling, normalization, activations.
# - **Stride, padding and dilation** change the size of the output, and nothing else. Products with the zeros of the
#   padding count.
# - **A bias costs no MAC.**
# - **All numbers count** that one image brings, whatever dimension they are in. A linear layer may get tokens, `(1, T,
#   C)`, and is then applied to each of them. A model may also turn the patches of an image into examples, `(T, C, H,
#   W)`, so that a layer sees more than one.
#
# The result is an `int`. For networks of convolutions and fully connected layers it is half of what PyTorch's
# `torch.utils.flop_counter.FlopCounterMode` says.


# %% nbgrader={"grade_id": "count_macs", "solution": true}
def count_macs(model: nn.Module, input_size: Sequence[int]) -> int:
    """Return the multiply-accumulates of convolutions and fully connected layers for one image.

    Args:
        model: any model, in any mode, on the CPU or the meta device. Afterwards it is as it was.
        input_size: of one image, such as (3, 224, 224).
    """
    ### BEGIN SOLUTION
    macs = 0

    def record(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal macs
        # weight[0] are the weights of one output; in a transposed convolution, of one input.
        numbers = inputs[0] if isinstance(module, TRANSPOSED) else output
        macs += numbers.numel() * module.weight[0].numel()

    like = next(model.parameters(), torch.empty(0))
    modes = {module: module.training for module in model.modules()}
    hooks = [module.register_forward_hook(record) for module in modes if isinstance(module, WEIGHTED)]
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, *input_size, dtype=like.dtype, device=like.device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    return macs
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_count_macs", "grade": true, "points": 7}
trials = (
    (nn.Conv2d(4, 6, (3, 5)), (4, 8, 9), 10_800, "6 * 6 * 5 numbers, each a sum of 4 * 3 * 5 products"),
    (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (4, 8, 9), 2_160, "6 * 4 * 5 numbers, each of 2 * 3 * 3"),
    (nn.Linear(7, 5), (7,), 35, "5 numbers, each a sum of 7 products"),
    (nn.Linear(7, 5), (10, 7), 350, "ten tokens, each with 35"),
    (
        nn.ConvTranspose2d(4, 6, 3, stride=2),
        (4, 5, 5),
        5_400,
        "4 * 5 * 5 numbers come in, each meets 6 * 3 * 3 weights",
    ),
)
for layer, size, wanted, why in trials:
    seen = count_macs(layer, size)
    assert seen == wanted, f"{layer} on {size} needs {wanted:,} MACs: {why}. Yours: {seen:,}."
network = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU())
network.append(network[0])  # the same convolution once more
seen = count_macs(network, (2, 5, 5))
assert seen == 2 * 900, f"A layer that is used twice counts twice: 2 * 50 * 18 = 1,800. Yours: {seen:,}."
assert network.training and network[1].training, "The model was in training mode: put it back."
assert network[1].num_batches_tracked == 0, "The running statistics moved: make the pass in evaluation mode."
assert not any(module._forward_hooks for module in network), "A hook of yours is still there: remove() it."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("comparison", "count_macs", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Memory of the outputs
#
# *medium: about 20 lines, about 20 minutes, 4 points*
#
# The chapter's table has two columns for memory: the outputs of the layers with weights, and the outputs of all layers,
# each for one image. Visit the model as in exercise 2, and add up the bytes:
#
# $$M = \sum_{\text{uses}} (\text{numbers in the output}) \cdot (\text{bytes of one}).$$
#
# - **With `weighted_only=True`** the sum goes over every use of a layer of `WEIGHTED`.
# - **With `weighted_only=False`** it goes over every use of a *leaf*, a module without modules inside (`not
#   list(module.children())`); that may be the model itself. A leaf whose output is not one tensor, such as that of
#   `nn.LSTM`, counts 0.
# - **Every use counts the whole output,** also where it takes no memory of its own: a ReLU with `inplace=True`, a
#   `Flatten`, a `Dropout` that does nothing in evaluation. So this is a sum, as in the table, and not the most that
#   is needed at one time.
# - **Bytes** are those of the output's own dtype: 4 for float32, 8 for float64 (`output.element_size()`).
#
# The result is an `int`, in bytes.


# %% nbgrader={"grade_id": "activation_memory", "solution": true}
def activation_memory(model: nn.Module, input_size: Sequence[int], weighted_only: bool = True) -> int:
    """Return the bytes of the layers' outputs for one image.

    Args:
        model: any model, in any mode, on the CPU or the meta device. Afterwards it is as it was.
        input_size: of one image, such as (3, 224, 224).
        weighted_only: whether only convolutions and fully connected layers count, or all modules without modules
            inside.
    """
    ### BEGIN SOLUTION
    total = 0

    def record(module: nn.Module, inputs: tuple, output: object) -> None:
        nonlocal total
        if isinstance(output, torch.Tensor):
            total += output.numel() * output.element_size()

    like = next(model.parameters(), torch.empty(0))
    modes = {module: module.training for module in model.modules()}
    if weighted_only:
        watched = [module for module in modes if isinstance(module, WEIGHTED)]
    else:
        watched = [module for module in modes if not list(module.children())]
    hooks = [module.register_forward_hook(record) for module in watched]
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, *input_size, dtype=like.dtype, device=like.device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    return total
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_activation_memory", "grade": true, "points": 4}
network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))
seen = activation_memory(network, (3, 8, 9))
assert seen == 4 * (168 + 5), (
    f"The convolution puts out 4 * 6 * 7 = 168 numbers, the linear layer 5; 4 bytes each, 692 in all. Yours: {seen}."
)
seen = activation_memory(network, (3, 8, 9), weighted_only=False)
assert seen == 4 * (168 + 168 + 36 + 36 + 5), (
    f"Convolution and ReLU put out 168 numbers each, pooling and Flatten 36 each, the linear layer 5: 4 * 413 = 1,652 "
    f"bytes. Yours: {seen:,}."
)
seen = activation_memory(network.double(), (3, 8, 9))
assert seen == 8 * (168 + 5), f"In float64 a number has 8 bytes. Yours: {seen}."
assert network.training and network[0].training, "The model was in training mode: put it back."
assert not any(module._forward_hooks for module in network), "A hook of yours is still there: remove() it."
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("comparison", "activation_memory", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 4. A row of the table
#
# *medium: about 15 lines, about 20 minutes, 3 points*
#
# The lecture's table has FLOPs in one row and MACs in three. Yours says what each number is. `comparison_row` returns a
# `dict` with these keys:
#
# | key | value | unit |
# |---|---|---|
# | `"network"` | `name` | |
# | `"parameters"` | what exercise 1 counts | `int` |
# | `"gmac"` | what exercise 2 counts | $10^9$ MACs |
# | `"gflop"` | the same work in FLOPs | $10^9$ FLOPs |
# | `"weighted_layers"` | how many layers of `WEIGHTED` the model has, each once, used or not | `int` |
# | `"weights_mib"` | bytes of all parameters, by each one's own dtype | MiB |
# | `"outputs_mib"` | what exercise 3 counts with `weighted_only=True` | MiB |
# | `"all_outputs_mib"` | what exercise 3 counts with `weighted_only=False` | MiB |
# | `"macs_per_parameter"` | how often an average parameter is used | `None` if there are no parameters |
# | `"top5_accuracy"` | from `top5_error`, in percent | `None` if `top5_error` is `None` |
#
# $$\text{GFLOP} = 2 \cdot \text{GMAC}, \qquad 1\ \text{MiB} = 2^{20}\ \text{bytes}, \qquad
# \text{accuracy} = 100\,\% - \text{error}.$$
#
# - Do not round: that is for those who print. Whole numbers are `int`, the others `float`.
# - **`top5_error`** is in percent. Below 0, above 100 or nan it is a `ValueError`. The limits themselves are allowed.
# - **`counters`**, if it is not `None`, has three functions in the places of your `count_parameters`, `count_macs` and
#   `activation_memory`, with the same arguments. Take these then. The tests use simpler ones, so that this exercise
#   does not hang on the three before.
# - The model stays as it is.


# %% nbgrader={"grade_id": "comparison_row", "solution": true}
def comparison_row(
    name: str,
    model: nn.Module,
    input_size: Sequence[int],
    top5_error: float | None = None,
    counters: tuple[Callable[..., int], Callable[..., int], Callable[..., int]] | None = None,
) -> dict[str, str | int | float | None]:
    """Return what a network costs and achieves, each number in its own unit.

    Args:
        name: of the network.
        model: on the CPU or the meta device. Afterwards it is as it was.
        input_size: of one image, such as (3, 224, 224).
        top5_error: in percent, if it is known.
        counters: functions to use in the places of count_parameters, count_macs and activation_memory.

    Raises:
        ValueError: when top5_error is not between 0 and 100.
    """
    ### BEGIN SOLUTION
    if top5_error is not None and not 0 <= top5_error <= 100:
        raise ValueError(f"top5_error should be between 0 and 100 percent, but it is {top5_error}")
    count, work, memory = counters or (count_parameters, count_macs, activation_memory)
    parameters, macs = count(model), work(model, input_size)
    mib = 2**20
    return {
        "network": name,
        "parameters": parameters,
        "gmac": macs / 1e9,
        "gflop": 2 * macs / 1e9,
        "weighted_layers": sum(isinstance(module, WEIGHTED) for module in model.modules()),
        "weights_mib": sum(p.numel() * p.element_size() for p in model.parameters()) / mib,
        "outputs_mib": memory(model, input_size, weighted_only=True) / mib,
        "all_outputs_mib": memory(model, input_size, weighted_only=False) / mib,
        "macs_per_parameter": macs / parameters if parameters else None,
        "top5_accuracy": None if top5_error is None else 100.0 - top5_error,
    }
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_comparison_row", "grade": true, "points": 3}
def made_up(model, input_size, weighted_only=True):
    """Stand in for exercise 3: 3 MiB of outputs of layers with weights, 5 MiB of outputs in all."""
    return (3 if weighted_only else 5) * 2**20


network = nn.Sequential(nn.Linear(511, 1024, bias=False), nn.ReLU(), nn.Linear(1024, 1, bias=False)).double()
counters = (lambda model: 524_288, lambda model, input_size: 1_048_576_000, made_up)
row = comparison_row("made up", network, (511,), top5_error=5.5, counters=counters)
wanted = {
    "network": "made up",
    "parameters": 524_288,
    "gmac": 1.048576,
    "gflop": 2.097152,
    "weighted_layers": 2,
    "weights_mib": 4.0,  # 524,288 numbers of 8 bytes
    "outputs_mib": 3.0,
    "all_outputs_mib": 5.0,
    "macs_per_parameter": 2000.0,
    "top5_accuracy": 94.5,
}
assert sorted(row) == sorted(wanted), f"The keys should be {sorted(wanted)}. Yours are {sorted(row)}."
for key, right in wanted.items():
    number = isinstance(row[key], (int, float)) and not isinstance(right, str)
    alike = math.isclose(row[key], right, rel_tol=1e-12) if number else row[key] == right
    assert alike, f"{key} should be {right}. Yours is {row[key]}."
assert comparison_row("no error known", network, (511,), counters=counters)["top5_accuracy"] is None
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("comparison", "comparison_row", globals())
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Networks that no other one beats
#
# *medium: about 15 lines, about 20 minutes, 4 points*
#
# Each network is a point: a cost $c$, of which less is better, and an accuracy $a$, of which more is better. Point $j$
# *dominates* point $i$ when it costs no more, is no less accurate, and is better in one of the two:
#
# $$c_j \le c_i \;\text{ and }\; a_j \ge a_i \;\text{ and }\; (c_j < c_i \;\text{ or }\; a_j > a_i).$$
#
# The *Pareto front* are the points that no other one dominates.
#
# - **Input:** a sequence of pairs `(cost, accuracy)`: a list of tuples, or an array of shape `(n, 2)`. Costs and
#   accuracies are any numbers, also negative ones. The input stays as it is.
# - **Output:** a list of the front's indices, by rising cost. Two equal points do not dominate each other: both are on
#   the front, or none is. Equal points are in the order of their indices. Without points the list is empty.
# - **Raises** a `ValueError` when a cost or an accuracy is nan; its message contains the word nan. No comparison with
#   nan is true, so a nan would dominate nothing, be dominated by nothing, and land on the front.
# - **Time:** 10,000 points take less than a second, also where all of them are on the front. So there is no time for a
#   Python loop over all pairs. Sort first; then look at each point once.


# %% nbgrader={"grade_id": "pareto_front", "solution": true}
def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points that no other one dominates, by rising cost.

    Args:
        points: pairs of a cost (less is better) and an accuracy (more is better).

    Raises:
        ValueError: when a cost or an accuracy is nan.
    """
    ### BEGIN SOLUTION
    for index, (cost, accuracy) in enumerate(points):
        if math.isnan(cost) or math.isnan(accuracy):
            raise ValueError(f"point {index} has a nan: ({cost}, {accuracy})")
    front: list[int] = []
    # Among those of one cost the most accurate is first.
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        (cost, accuracy), last = points[index], points[front[-1]] if front else None
        if last is None or accuracy > last[1] or (cost == last[0] and accuracy == last[1]):
            front.append(index)
    return front
    ### END SOLUTION


# %% nbgrader={"grade_id": "test_pareto_front", "grade": true, "points": 4}
points = [(4.0, 76.0), (1.0, 70.0), (2.0, 69.0), (0.3, 72.0), (4.0, 75.0), (11.0, 78.0), (15.0, 78.0)]
seen = pareto_front(points)
assert seen == [3, 0, 5], (
    "Points 1 and 2 cost more than point 3 and are less accurate; point 0 beats 4 at the same cost, and 5 beats 6 at "
    f"the same accuracy. So points 3, 0 and 5 are left. Yours: {seen}."
)
seen = pareto_front([(2.0, 50.0), (1.0, 40.0), (2.0, 50.0), (1.5, 40.0)])
assert seen == [1, 0, 2], f"Two equal points do not dominate each other: 1, and then 0 and 2. Yours: {seen}."
assert pareto_front([]) == [], "Without points the front is empty."
try:
    pareto_front([(1.0, 50.0), (2.0, math.nan)])
except ValueError as error:
    assert "nan" in str(error).lower(), f"The message should contain the word nan. Yours: {error}"
else:
    raise AssertionError("A nan is a ValueError.")
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("comparison", "pareto_front", globals())
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the lecture's table in one unit
#
# The next cell is not graded. Your counters go through the networks that stand behind the lecture's table. AlexNet is
# built here as in the paper, in one group and in two; the others are torchvision's. Behind them is what the lecture
# prints for their row: millions of parameters, and $10^9$ "FLOP". Before you run it: which of your numbers will you
# find there?

# %% nbgrader={"grade_id": "lecture", "locked": true} tags=["payoff"]
from torchvision import models

from ravines.diagrams import table


def alexnet(groups: int) -> nn.Sequential:
    """Return the network of Krizhevsky et al. (2012) for images of 227 x 227 pixels, on one or two processors."""
    pool = nn.MaxPool2d(3, stride=2)
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.LocalResponseNorm(5), pool),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=groups), nn.ReLU(), nn.LocalResponseNorm(5), pool),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=groups), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=groups), nn.ReLU(), pool),
        *(nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
        nn.Linear(4096, 1000),
    )


IMAGE = (3, 224, 224)
NETWORKS = {  # name -> how it is made, its input, and what the lecture prints in its row
    "AlexNet, one group": (lambda: alexnet(1), (3, 227, 227), "62 / 1.5"),
    "AlexNet, two groups": (lambda: alexnet(2), (3, 227, 227), "62 / 1.5"),
    "VGG-16": (models.vgg16, IMAGE, "138 / 19.6"),
    "VGG-19": (models.vgg19, IMAGE, "138 / 19.6"),
    "GoogLeNet": (lambda: models.googlenet(aux_logits=False, init_weights=False), IMAGE, "6.4 / 2"),
    "ResNet-152": (models.resnet152, IMAGE, "60.3 / 11"),
}


def lecture_table() -> object:
    """Return the table of the networks, from your own functions."""
    lines = []
    for name, (make, size, printed) in NETWORKS.items():
        with torch.device("meta"):
            network = make()
        row = comparison_row(name, network, size)
        lines.append(
            (
                *(name, f"{row['parameters'] / 1e6:.2f}", f"{row['gmac']:.2f}", f"{row['gflop']:.2f}", printed),
                *(row["weighted_layers"], f"{row['outputs_mib']:.1f}", f"{row['all_outputs_mib']:.1f}"),
                f"{row['macs_per_parameter']:.0f}",
            )
        )
    header = ("network", "10⁶ parameters", "GMAC", "GFLOP", "the lecture", "layers", "outputs, MiB", "all outputs, MiB")
    return table((*header, "uses of a weight"), lines)


try:
    rows = lecture_table()
except NotImplementedError:
    rows = None
    print("Finish exercises 1 to 4 first, then run this cell again.")
rows

# %% [markdown]
# The lecture's 62 million are AlexNet's parameters in one group, and its 1.5 is near the FLOPs of two groups. 138
# million is VGG-16, and 19.6 are the MACs of VGG-19. 11 is near the MACs of ResNet-152. torchvision's GoogLeNet has
# other layers than the paper's (3x3 in the place of 5x5, and batch normalization), and neither has 6.4 million
# parameters. The chapter tries more variants.

# %% [markdown]
# ### See it: who is on the front?
#
# The next cell is not graded. torchvision publishes MACs and top-1 accuracy of its networks, each with its first
# weights and one crop of ImageNet's validation images; how large a crop differs by network. Your `pareto_front` finds
# those that no other one beats. Your `count_macs` counts the four of the lecture again, to see that the published
# numbers are MACs. How many of the four are on the front?

# %% nbgrader={"grade_id": "front", "locked": true} tags=["payoff"]
import numpy as np
from torchvision import models

from ravines import plots

FOUR = {"alexnet": "AlexNet", "vgg16": "VGG-16", "googlenet": "GoogLeNet", "resnet152": "ResNet-152"}


def published() -> dict[str, tuple[float, float]]:
    """Return torchvision's records: name -> billions of MACs, top-1 accuracy in percent."""
    found = {}
    for name in models.list_models(module=models):
        weights = models.get_model_weights(name)
        if hasattr(weights, "IMAGENET1K_V1"):
            meta = weights.IMAGENET1K_V1.meta
            found[name] = meta["_ops"], meta["_metrics"]["ImageNet-1K"]["acc@1"]
    return found


def fronts(records: dict[str, tuple[float, float]]) -> object:
    """Return a picture of all networks, with your Pareto front."""
    names = list(records)
    front = [names[i] for i in pareto_front(list(records.values()))]
    counted = {}
    for name in FOUR:
        options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        with torch.device("meta"):
            network = models.get_model(name, weights=None, **options)
        counted[name] = count_macs(network, (3, 224, 224)) / 1e9

    def draw(axes):
        everyone, best = np.array(list(records.values())), np.array([records[name] for name in front])
        axes.plot(*everyone.T, "o", color=plots.SKY, markersize=4, label="torchvision's networks")
        axes.step(*best.T, where="post", color=plots.BLACK, linewidth=1.2)
        axes.plot(*best.T, "o", color=plots.BLACK, markersize=5, label="your front")
        for name, label in FOUR.items():
            axes.plot(counted[name], records[name][1], "s", color=plots.RED, markersize=6)
            place = {"textcoords": "offset points", "color": plots.RED, "fontsize": 9}
            axes.annotate(label, (counted[name], records[name][1]), (6, -12), **place)
        axes.plot([], [], "s", color=plots.RED, label="the lecture's four, counted by you")
        axes.set(xscale="log", xlabel="billions of MACs for one image", ylabel="top-1 accuracy, %", ylim=(52, 90))
        axes.legend(loc="lower right")

    both = [label for name, label in FOUR.items() if name in front]
    off = max(abs(counted[name] - records[name][0]) for name in FOUR)
    alt = (
        f"Top-1 accuracy of {len(records)} networks against their MACs. On your front are {len(front)}, from "
        f"{front[0]} to {front[-1]}; of the lecture's four, {', '.join(both) or 'none'}. Your MACs of the four differ "
        f"from the published ones by {1000 * off:.1f} million MACs at most."
    )
    return plots.figure(draw, height=3.6, alt=alt)


try:
    picture = fronts(published())
    print(picture.alt)
except NotImplementedError:
    picture = None
    print("Finish exercises 2 and 5 first, then run this cell again.")
picture

# %% [markdown]
# A front is about points, and a point is an architecture *and* its training. Take torchvision's second weights for one
# of the four, `models.ResNet152_Weights.IMAGENET1K_V2.meta`, into `records`: does the network beat other ones now? And
# which networks are on the front if the cost is the number of parameters, `meta["num_params"]`?
