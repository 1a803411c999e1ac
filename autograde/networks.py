"""Whole networks of a student's, compared without sending their weights.

VGG has 138 million weights: too many to send, and too many to draw for every answer. So both sides make the same
ones from a seed. A check gives an expression that makes the network, and gets back what it computes:

    seen = networks.by_name(student, "ResNet(BasicBlock, [2, 2, 2, 2])", [images], seed)
    wanted = networks.by_name(theirs, "resnet18()", [images], seed)

The network is made on the meta device, which costs nothing, and then gets its weights: :func:`by_name` where the
names of the state dict are fixed, :func:`in_order` of use where they are the student's. "Theirs" is a
:class:`~autograde.student.NamespaceStudent` around a network that somebody else defined (:func:`of`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from autograde import expect
from autograde.student import NamespaceStudent, ReferenceStudent, Student

# What both ways share. `values` gives a tensor its numbers: He's uniform ones for weights, so that signals keep their
# size; small ones around 0 for biases and running means; numbers around 1 for scales and running variances.
#
# Where a convolution is large, its numbers are a stretch of one pool, and no copy of it; a large matrix is a Hankel
# matrix, w[i, j] = b[i + j], of which each row and column is another. So 100 million weights cost 30 thousand numbers,
# and nn.Linear multiplies by them without writing the matrix out.
_COMMON = """
import zlib
import torch
from torch import nn
from autograde.shapes import on_meta, shapes_of
def _drawn(generator, count):
    return torch.empty(count, dtype=dtype).uniform_(-1, 1, generator=generator)
def _sizes(shape):
    count, fan_in = 1, 1
    for n in shape:
        count *= n
    for n in shape[1:]:
        fan_in *= n
    return count, max(fan_in, 1), len(shape) == 2 and count > 10**6
_pools = {}
def expect_weights(shapes):
    # Makes a pool for each fan-in, as long as its largest weight needs: which is where depends on no order.
    longest = {}
    for shape in shapes:
        count, fan_in, hankel = _sizes(shape)
        if count > 2**16 and not hankel:
            longest[fan_in] = max(longest.get(fan_in, 0), count + 2**16)
    numbers = _drawn(torch.Generator().manual_seed(seed), max(longest.values(), default=0))
    for fan_in, count in longest.items():
        _pools[fan_in] = numbers[:count] * (6 / fan_in) ** 0.5
def _weights(shape, generator):
    count, fan_in, hankel = _sizes(shape)
    bound = (6 / fan_in) ** 0.5
    if hankel:
        return (_drawn(generator, sum(shape)) * bound).as_strided(shape, (1, 1))
    if count > 2**16:
        start = int(torch.randint(2**16, (), generator=generator))
        return _pools[fan_in][start : start + count].view(shape)
    return (_drawn(generator, count) * bound).reshape(shape)
def values(name, like, generator):
    if not like.is_floating_point():
        return torch.randint(1, 1000, like.shape, generator=generator).to(like.dtype)
    if like.dim() > 1:
        return _weights(tuple(like.shape), generator)
    small = 0.3 * _drawn(generator, like.numel()).reshape(like.shape)
    return small + 1 if name in ("weight", "running_var") else small
def made():
    return {make}
def complete(network):
    # What a network keeps outside of its state dict has its own values.
    if any(b.is_meta for b in network.buffers()):
        for module, own in zip(network.modules(), made().modules()):
            for name, value in own.named_buffers(recurse=False):
                if module._buffers[name].is_meta:
                    module._buffers[name] = value.to(dtype) if value.is_floating_point() else value
    return network
def plain(output):
    if isinstance(output, dict):
        return {str(k): v.detach() for k, v in output.items() if v is not None}
    if isinstance(output, (tuple, list)):
        return [v.detach() for v in output if v is not None]
    return output.detach()
def run(network):
    functional = torch.nn.functional
    kept, multiply = functional.dropout, functional.linear
    def linear(input, weight, bias=None):
        if weight.stride() != (1, 1) or weight.numel() <= 10**6 or input.shape[-1] != weight.shape[1]:
            return multiply(input, weight, bias)
        # A Hankel matrix times a vector is a correlation: by Fourier transforms, nobody has to write the matrix out.
        rows, columns = weight.shape
        base = torch.fft.rfft(weight.as_strided((rows + columns - 1,), (1,)), rows + columns)
        product = torch.fft.irfft(base * torch.fft.rfft(input, rows + columns).conj(), rows + columns)[..., :rows]
        return product if bias is None else product + bias
    functional.linear = linear
    if not dropout:
        functional.dropout = lambda input, p=0.5, training=True, inplace=False: input
    try:
        network.train(training)
        with torch.no_grad():
            return [plain(network(x)) for x in images]
    finally:
        functional.dropout, functional.linear = kept, multiply
network = on_meta(made)
"""

_BY_NAME = (
    _COMMON
    + """
state = {}
expect_weights([tuple(like.shape) for like in network.state_dict().values() if like.is_floating_point()])
for name, like in network.state_dict().items():
    generator = torch.Generator().manual_seed(seed * 2**31 + zlib.crc32(name.encode()))
    state[name] = values(name.rsplit(".", 1)[-1], like, generator)
network.load_state_dict(state, strict=True, assign=True)
outputs = run(complete(network))
after = {name: value for name, value in network.named_buffers() if value.numel() < 10**5}
"""
)

_IN_ORDER = (
    _COMMON
    + """
used = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm)
layers = []
hooks = [m.register_forward_hook(lambda m, given, out: layers.append(m) if m not in layers else None)
         for m in network.modules() if isinstance(m, used)]
network.train(training)
with torch.no_grad():
    given = torch.empty(2, *images[0].shape[1:], device="meta", dtype=torch.get_default_dtype())
    shapes_of(lambda: network(given))
for hook in hooks:
    hook.remove()
generator = torch.Generator().manual_seed(seed)
expect_weights([tuple(p.shape) for layer in layers for p in layer.parameters(recurse=False)])
kinds = []
for layer in layers:
    kind = {"kind": type(layer).__name__, "bias": layer.bias is not None, "shape": list(layer.weight.shape)}
    for setting in ("stride", "padding", "dilation", "groups", "eps"):
        value = getattr(layer, setting, None)
        if isinstance(value, (int, float, str)):
            kind[setting] = value
        elif isinstance(value, tuple):
            kind[setting] = list(value)
    kinds.append(kind)
    for name, like in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
        value = values(name, like, generator)
        if name in layer._parameters:
            layer._parameters[name] = nn.Parameter(value)
        else:
            layer._buffers[name] = value
unused = [name for name, p in network.named_parameters() if p.is_meta]
outputs = run(complete(network)) if not unused else []
"""
)


# Every module that is made on the way counts, not only what the network keeps.
_HOMES = """
from torch import nn
from autograde.shapes import on_meta
kept, homes = nn.Module.__init__, set()
def watched(self, *args, **kwargs):
    homes.update(k.__module__ for k in type(self).__mro__)
    kept(self, *args, **kwargs)
nn.Module.__init__ = watched
try:
    network = on_meta(lambda: {make})
finally:
    nn.Module.__init__ = kept
homes = sorted(homes.union(k.__module__ for m in network.modules() for k in type(m).__mro__))
"""

_ENTERING = """
import torch
from torch import nn
from autograde.shapes import on_meta, shapes_of
network = on_meta(lambda: {make})
entered = []
def stand_in(layer, number):
    def forward(x):
        entered.append(x.detach().clone())
        shape = shapes_of(lambda: type(layer).forward(layer, x.to("meta"))).shape
        generator = torch.Generator().manual_seed(seed + number)
        return 0.1 + torch.rand(shape, generator=generator, dtype=x.dtype)
    return forward
used = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm)
for number, layer in enumerate(m for m in network.modules() if isinstance(m, used)):
    layer.forward = stand_in(layer, number)
with torch.no_grad(), torch.random.fork_rng(devices=[]):
    torch.manual_seed(seed)
    network.eval()(image)
    evaluation = list(entered)
    entered.clear()
    network.train()(image)
    training = list(entered)
"""


@dataclass(frozen=True)
class Answer:
    """What a network computed.

    Attributes:
        outputs: for each batch of images a tensor, a list of tensors where the network returns a tuple (what is None
            left out), or a dict of tensors.
        buffers: running statistics and the like after the last batch, by name.
    """

    outputs: list[Any]
    buffers: dict[str, torch.Tensor]


@dataclass(frozen=True)
class Met:
    """What a network computed, and the layers with weights in the order in which it uses them.

    Attributes:
        outputs: as in :class:`Answer`.
        layers: for each its ``kind`` (class), ``shape`` of the weight, ``bias`` and settings such as ``stride``.
    """

    outputs: list[Any]
    layers: list[dict[str, Any]]


def of(*key: Hashable, **names: Any) -> NamespaceStudent:
    """Return a student who has these names: a network to compare with, or one with a known mistake in it.

    Args:
        *key: what tells the network from others, where it is made anew for every question: see
            :class:`~autograde.student.ReferenceStudent`.
        **names: such as what makes the network.
    """
    return ReferenceStudent(names, *key) if key else NamespaceStudent(names)


def by_name(
    student: Student,
    make: str,
    images: Sequence[torch.Tensor],
    seed: int,
    *,
    training: bool = False,
    dropout: bool = False,
) -> Answer:
    """Run a network whose weights are made from a seed and the names in its state dict.

    Args:
        student: in whose process the network runs.
        make: an expression that makes the network.
        images: batches, all of one dtype, which the network gets too.
        seed: for the weights; the same seed and names give the same weights.
        training: whether the network is in training mode.
        dropout: whether dropout works; without it, it lets everything through, in training too.

    Raises:
        StudentError: when the network cannot be made, does not take its own state dict, or does not take the images.
    """
    outputs, after = student.run(
        _BY_NAME.replace("{make}", make),
        ["outputs", "after"],
        images=list(images),
        seed=seed,
        training=training,
        dropout=dropout,
        dtype=images[0].dtype,
    )
    expect.sequence(outputs, len(images), "The network's outputs")
    expect.kind(after, dict, "The network's buffers")
    return Answer(list(outputs), after)


def in_order(
    student: Student,
    make: str,
    images: Sequence[torch.Tensor],
    seed: int,
    *,
    training: bool = False,
    dropout: bool = False,
) -> Met:
    """Run a network whose convolutions, linear and normalization layers get weights in the order of their first use.

    Arguments and errors are those of :func:`by_name`. Every parameter must belong to such a layer, and be used.
    """
    outputs, kinds, unused = student.run(
        _IN_ORDER.replace("{make}", make),
        ["outputs", "kinds", "unused"],
        images=list(images),
        seed=seed,
        training=training,
        dropout=dropout,
        dtype=images[0].dtype,
    )
    expect.kind(kinds, list, "The list of layers")
    expect.that(
        type(unused) is list and not unused,
        f"Your network has parameters that no convolution or linear layer uses: {_some(unused)}.",
    )
    expect.sequence(outputs, len(images), "The network's outputs")
    return Met(list(outputs), kinds)


def state_shapes(student: Student, make: str) -> dict[str, list[int]]:
    """Return the names and shapes of a network's state dict, made on the meta device."""
    code = (
        "from autograde.shapes import on_meta\nnetwork = on_meta(lambda: {make})\n"
        "names = [[name, list(value.shape)] for name, value in network.state_dict().items()]\n"
    )
    names = student.run(code.replace("{make}", make), "names")
    expect.kind(names, list, "The state dict")
    return {str(name): list(shape) for name, shape in names}


def compare_state(student: Student, make: str, wanted: Mapping[str, Sequence[int]], of: str = "torchvision's") -> None:
    """Expect a network whose state dict has these names and shapes, so that it loads strictly.

    Args:
        student: whose network it is.
        make: an expression that makes it.
        wanted: name -> shape.
        of: whose weights they are, for the hints.
    """
    found = state_shapes(student, make)
    missing, spare = [n for n in wanted if n not in found], [n for n in found if n not in wanted]
    expect.that(not missing, f"{of} weights have {_some(missing)}, and your network does not.")
    expect.that(not spare, f"Your network has {_some(spare)}, which {of} weights do not have.")
    for name, right in wanted.items():
        seen = tuple(found[name])
        expect.that(seen == tuple(right), f"{name} should have the shape {tuple(right)}, not {seen}.")


def own_modules(student: Student, make: str, library: str = "torchvision") -> None:
    """Expect a network that is not made of a library's own networks, blocks or classes, nor of parts taken from one."""
    homes = student.run(_HOMES.replace("{make}", make), "homes")
    expect.kind(homes, list, "The list of modules")
    foreign = [home for home in homes if isinstance(home, str) and home.split(".")[0] == library]
    expect.that(not foreign, f"Build the network yourself, from torch.nn: yours uses {_some(foreign)}.")


def entering(student: Student, make: str, image: torch.Tensor, seed: int) -> tuple[list, list]:
    """Return what enters each layer with weights in evaluation and in training, without computing these layers.

    Convolutions, linear and normalization layers give positive random numbers instead, the same in both modes. So what
    a network drops in training shows where it drops it, at no cost.

    Args:
        student: in whose process the network runs.
        make: an expression that makes the network.
        image: a float32 batch.
        seed: for what the layers give.

    Returns:
        For evaluation and for training, one tensor for each use of such a layer, in order.

    Raises:
        StudentError: when the network cannot be made or does not take the images.
    """
    names = ["evaluation", "training"]
    evaluation, training = student.run(_ENTERING.replace("{make}", make), names, image=image, seed=seed)
    for entered in (evaluation, training):
        expect.kind(entered, list, "What enters the layers")
    same = len(evaluation) == len(training)
    expect.that(same, "In training your network uses its layers another number of times than in evaluation.")
    for before, after in zip(evaluation, training, strict=True):
        expect.kind(before, torch.Tensor, "What enters a layer")
        expect.shape(after, tuple(before.shape), "What enters a layer in training")
    return evaluation, training


def spoilt(
    make: Callable[..., nn.Module], settings: Sequence[tuple[dict[str, Any], str]], run: Callable[[Student], Any]
) -> list[tuple[Any, str]]:
    """Return what known mistakes give, each with its hint, for :func:`autograde.expect.close`.

    Args:
        make: makes a network with a mistake, from the keyword arguments of one setting.
        settings: the mistakes, each with the hint for its student.
        run: gives the value of a student whose name ``Network`` is such a network.
    """
    return [(run(of(Network=lambda found=found: make(**found))), hint) for found, hint in settings]


def _some(names: Any, most: int = 3) -> str:
    """Return the first few of many names, as text."""
    shown = [str(name) for name in names][: most + 1]
    return ", ".join(shown[:most]) + (f" and {len(names) - most} more" if len(shown) > most else "")
