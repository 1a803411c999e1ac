"""The hidden checks of the assignment `vgg`.

Receptive fields come from impulses: which pixels give one output a gradient, through convolutions of ones in float64.
Weights are counted in PyTorch's own layers. The four networks are compared with torchvision's, in the student's process
and with weights from a seed: all of them with narrow weights, one at its whole width. What a convolutional network
should give comes from the network that it was made of, asked about one crop of the features, or of the image, after the
other.
"""

import functools
from collections.abc import Callable, Sequence
from textwrap import dedent
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from autograde import expect, networks
from autograde.cases import Cases, check
from autograde.shapes import on_meta
from autograde.student import ReferenceStudent, Student

#: Float64 arithmetic in another order differs by less than this; every mistake differs by more.
EXACT = {"rtol": 1e-9, "atol": 1e-9}

Layers = list[tuple[int, int, int, int]]


def _errors(student: Student, call: str, tried: Sequence[Any]) -> list:
    """Return the name of the error that each call raises, None where there is none."""
    outcomes = student.run(
        "import torch\noutcomes = []\n"
        "for given in tried:\n"
        "    try:\n"
        f"        {call}\n"
        "        outcomes.append(None)\n"
        "    except NotImplementedError:\n"
        "        raise\n"
        "    except Exception as error:\n"
        "        outcomes.append(type(error).__name__)\n",
        "outcomes",
        tried=list(tried),
    )
    expect.sequence(outcomes, len(tried))
    return [outcome if isinstance(outcome, str) or outcome is None else "something" for outcome in outcomes]


# --- 1. receptive_field ----------------------------------------------------------------------------------------------


def _impulses(layers: Layers, pixels: int) -> tuple[int, int, float]:
    """Return size, jump and start, from the pixels that give two neighbouring outputs a gradient."""
    x = torch.zeros(1, 1, pixels, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel, stride, padding, dilation in layers:
        ones = torch.ones(1, 1, kernel, dtype=torch.float64)
        y = F.conv1d(y, ones, stride=stride, padding=padding, dilation=dilation)
    middle = y.shape[-1] // 2
    fields = []
    for output in (middle, middle + 1):
        (grad,) = torch.autograd.grad(y[0, 0, output], x, retain_graph=True)
        seen = grad[0, 0].nonzero().flatten()
        fields.append((int(seen[0]), int(seen[-1])))
    (first, last), (after, end) = fields
    if first == 0 or end == pixels - 1:
        raise ValueError(f"{pixels} pixels are too few for a field that no border cuts off: {layers}")
    jump = after - first
    return last - first + 1, jump, (first + last) / 2 - middle * jump


def _walk(layers: Layers, mistake: str) -> tuple[int, int, float]:
    """Return what comes out with a usual mistake."""
    size, jump, start = 1, 1, 0.0
    for kernel, stride, padding, dilation in layers:
        d = 1 if mistake == "no dilation" else dilation
        reach = kernel * d - 1 if mistake == "kernel times dilation" else (kernel - 1) * d
        by = jump * stride if mistake == "own stride" else 1 if mistake == "no jump" else jump
        if mistake == "padding in size":
            size -= 2 * padding * by
        size += (kernel if mistake == "whole kernel" else reach) * by
        p = 0 if mistake == "no padding" else 2 * padding if mistake == "padding twice" else padding
        if mistake == "padding not multiplied":
            start += reach / 2 * by - p
        elif mistake == "rounded":
            start += (reach // 2 - p) * by
        elif mistake == "first pixel":
            start -= p * by
        else:
            start += ((kernel * d if mistake == "half a kernel" else reach) / 2 - p) * by
        jump = jump + stride - 1 if mistake == "strides added" else jump * stride
    if mistake == "half a pixel":
        start += 0.5
    if mistake == "not below zero":
        start = max(start, 0.0)
    return size, jump, start


_ORDER = "The layers are in the order from the image on: yours goes the other way round."
_BEFORE = (
    "A layer's reach counts in its own inputs, which are as far apart as the jump before it, without its own stride."
)
_DILATION = "Dilation is missing: the inputs of one output are `dilation` apart."
_JUMP = "Multiply what a layer adds by the jump before it: its inputs are that far apart in pixels."
_SIZES = [
    ("own stride", _BEFORE),
    ("no dilation", _DILATION),
    ("no jump", _JUMP),
    ("padding in size", "Padding never changes size."),
    ("whole kernel", "From the first to the last input of an output it is kernel - 1 steps, not kernel."),
    ("kernel times dilation", "From the first to the last input of an output it is (kernel - 1) * dilation."),
]
_STARTS = [
    ("own stride", _BEFORE),
    ("no dilation", _DILATION),
    ("no jump", _JUMP),
    ("no padding", "Padding moves the fields to the left, by `padding` inputs."),
    ("padding twice", "Padding moves the fields by `padding` inputs, not by both sides' padding."),
    ("padding not multiplied", "Padding moves the fields by `padding` inputs, which are `jump` pixels apart."),
    ("rounded", "start may lie between two pixels: do not round half of a kernel."),
    ("first pixel", "start is the centre of the first field, not its first pixel."),
    ("half a kernel", "The centre is half of (kernel - 1) * dilation behind the first input, not half of the kernel."),
    ("half a pixel", "Pixel 0 has its centre at 0, not at 0.5."),
    ("not below zero", "start may be negative: with much padding the first field's centre is beside the image."),
]


def _compare_field(student: Student, layers: Layers, pixels: int, hint: str = "") -> None:
    """Compare the student's three numbers with those of the impulses."""
    seen = student.call("receptive_field", layers)
    expect.sequence(seen, 3)
    size, jump, start = _impulses(layers, pixels)
    for value, what in ((seen[0], "size"), (seen[1], "jump")):
        expect.kind(value, int, what)
    expect.number(seen[2], "start")
    back = layers[::-1]
    expect.close(
        seen[1],
        jump,
        f"jump is wrong: the strides of all layers make it. {hint}",
        [(_walk(layers, "strides added")[1], "Strides multiply: they do not add up.")],
        rtol=0.0,
        atol=0.0,
    )
    for value, right, which, mistakes in ((seen[0], size, 0, _SIZES), (seen[2], start, 2, _STARTS)):
        known = [(_walk(layers, mistake)[which], text) for mistake, text in mistakes]
        known.append((_walk(back, "")[which], _ORDER))
        name = ("size", "jump", "start")[which]
        says = ("how many pixels from the first to the last", "", "the centre of the first output's field")[which]
        text = f"{name} is wrong: {says}. {hint}"
        expect.close(value, right, text, known, what=name, rtol=0.0, atol=1e-9)


def _draw_layers(cases: Cases, depth: int) -> Layers:
    """Return random layers, with strides that reach no further than a few hundred pixels."""
    layers = []
    for i in range(depth):
        layers.append(
            (cases.integer(2, 5), cases.integer(1, 3) if i < 3 else 1, cases.integer(0, 3), cases.integer(1, 3))
        )
    return layers


_STAGES = {"A": (1, 1, 2, 2, 2), "D": (2, 2, 3, 3, 3), "E": (2, 2, 4, 4, 4)}


@check
def receptive_field(student: Student, cases: Cases) -> None:
    """Compare with impulses: which pixels give an output a gradient."""
    with cases("one layer"):
        # Each mistake that one layer can show gives a number of its own in the first of these that it meets.
        for layer in ((5, 1, 3, 2), (4, 1, 3, 3), (2, 1, 3, 1)):
            _compare_field(student, [layer], 200)
        for dilation in (3, 1):
            layer = (cases.integer(2, 5), cases.integer(1, 3), cases.integer(1, 3), dilation)
            _compare_field(student, [layer], 200)
    with cases("several layers", weight=3):
        _compare_field(student, [(3, 2, 1, 1), (5, 3, 2, 3)], 400)  # and here those that two can show
        for depth in (2, 3, 4, 5):
            _compare_field(student, _draw_layers(cases, depth), 3000)
    with cases("dilation and strides alone"):
        dilation, stride = cases.integer(2, 4), cases.integer(2, 3)
        _compare_field(student, [(3, 1, 0, 1), (3, 1, dilation, dilation), (2, 1, 0, 1)], 200)
        _compare_field(student, [(3, stride, 0, 1), (2, 2, 0, 1), (3, 1, 0, 1)], 400)
    with cases("fields with gaps"):
        gaps = "Pixels between the first and the last one count, also those that are skipped."
        _compare_field(student, [(2, 4, 1, 1), (1, 1, 0, 1), (3, 2, 2, 3)], 400, gaps)
        _compare_field(student, [(1, 3, 0, 1), (3, 1, 0, 1)], 200, gaps)
    with cases("padding"):
        layers = [(3, 2, 5, 1), (3, 2, 4, 1), (1, 1, 3, 1)]
        _compare_field(student, layers, 400, "Padding moves the fields and does not change their size.")
    with cases("networks"):
        alexnet = [(11, 4, 2, 1), (3, 2, 0, 1), (5, 1, 2, 1), (3, 2, 0, 1), *3 * [(3, 1, 1, 1)], (3, 2, 0, 1)]
        _compare_field(student, alexnet, 900)
        for stages in _STAGES.values():
            vgg = [layer for count in stages for layer in [*count * [(3, 1, 1, 1)], (2, 2, 0, 1)]]
            _compare_field(student, vgg, 1200)
    with cases("no layers"):
        seen = student.call("receptive_field", [])
        expect.sequence(seen, 3)
        expect.that(tuple(seen) == (1, 1, 0), "Without layers an output is a pixel: (1, 1, 0).")
    with cases("the list"):
        layers = _draw_layers(cases, 3)
        code = "first = receptive_field(layers)\nsecond = receptive_field(layers)"
        first, second, after = student.run(code, ["first", "second", "layers"], layers=layers)
        expect.that(after == layers, "Your function changes the list that it was given.")
        expect.that(first == second, "A second call with the same layers gives something else.")


# --- 2. stack_parameters ---------------------------------------------------------------------------------------------


def _sees(kernel: int, depth: int) -> int:
    """Return how large an image must be for a stack without padding to give one number."""
    with torch.device("meta"):
        stack = nn.Sequential(*[nn.Conv2d(1, 1, kernel) for _ in range(depth)])
        side = kernel
        while True:
            try:
                if stack(torch.empty(1, 1, side, side)).shape[-1] == 1:
                    return side
            except RuntimeError:
                pass
            side += 1


@check
def stack_parameters(student: Student, cases: Cases) -> None:
    """Count the weights of PyTorch's own convolutions."""

    def count(channels: int, kernel: int) -> int:
        with torch.device("meta"):
            return nn.Conv2d(channels, channels, kernel, bias=False).weight.numel()

    def compare(channels: int, kernel: int, depth: int, hint: str = "") -> None:
        seen = student.call("stack_parameters", channels, kernel, depth)
        expect.sequence(seen, 2)
        for value, what in zip(seen, ("The stack's number", "The single layer's number"), strict=True):
            expect.kind(value, int, what)
        stack, single = depth * count(channels, kernel), count(channels, _sees(kernel, depth))
        if stack != single:
            expect.that(tuple(seen) != (single, stack), "First the stack's number, then the single layer's.")
        biases = "Biases are not counted."
        where = f"({channels} channels, kernel {kernel}, depth {depth})"
        known = [
            (stack + depth * channels, biases),
            (count(channels, kernel), "The stack has `depth` layers."),
            (depth * kernel**2, "Every output channel has weights for every input channel."),
            (depth * kernel**2 * channels, "Every output channel has weights for every input channel."),
            (depth * kernel * channels**2, "A kernel has height and width: kernel squared."),
        ]
        expect.close(
            seen[0],
            stack,
            f"The stack's number is wrong {where}. {hint}",
            known,
            rtol=0.0,
            atol=0.0,
        )
        known = [
            (single + channels, biases),
            (count(channels, kernel * depth), "The kernels overlap: a stack sees less than depth times kernel pixels."),
            (
                count(channels, kernel),
                "The single layer's kernel is as large as the receptive field of the whole stack.",
            ),
            (count(channels, kernel + depth - 1), "Each further layer adds kernel - 1 pixels, not one."),
            (count(channels, kernel + 2 * depth - 2), "Each further layer adds kernel - 1 pixels, not two."),
            (single // channels, "Every output channel has weights for every input channel."),
            (single // channels**2, "Every output channel has weights for every input channel."),
        ]
        expect.close(
            seen[1],
            single,
            f"The single layer's number is wrong {where}. {hint}",
            known,
            rtol=0.0,
            atol=0.0,
        )

    with cases("kernels of 3", weight=2):
        for depth in (4, 2, 5):
            compare(cases.integer(11, 70), 3, depth)
    with cases("other kernels", weight=2):
        for kernel, depth in ((5, 2), (7, 3), (2, 4), (4, 3)):
            compare(cases.integer(5, 70), kernel, depth, "The kernel need not be 3.")
    with cases("one layer, one pixel, one channel"):
        compare(cases.integer(5, 70), cases.integer(3, 9), 1, "A stack of one layer is that layer.")
        compare(cases.integer(5, 70), 1, cases.integer(2, 5), "Layers with a kernel of 1 see one pixel.")
        compare(1, 3, 2)
    with cases("large numbers"):
        compare(4096, 9, 12, "Count with integers.")
    with cases("bad input"):
        tried = [[0, 3, 2], [8, 0, 2], [8, 3, 0], [-1, 3, 2], [8, -3, 2], [8, 3, -1], [1, 1, 1]]
        outcomes = _errors(student, "stack_parameters(*given)", tried)
        for given, outcome in zip(tried[:-1], outcomes, strict=False):
            hint = f"stack_parameters{tuple(given)} should raise a ValueError; yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)
        expect.that(outcomes[-1] is None, "Channels, kernel and depth of 1 are allowed.")


# --- 3. VGG ----------------------------------------------------------------------------------------------------------

_NAMES = {"A": "vgg11", "B": "vgg13", "D": "vgg16", "E": "vgg19"}


def _name(config: str, batch_norm: bool) -> str:
    """Return torchvision's name of a network."""
    return _NAMES[config] + "_bn" * batch_norm


def _theirs(config: str, batch_norm: bool, num_classes: int = 1000) -> nn.Module:
    """Return torchvision's network."""
    make = getattr(torchvision.models, _name(config, batch_norm))
    return make(init_weights=False, num_classes=num_classes, dropout=0.0)


@functools.cache
def _shapes(config: str, batch_norm: bool) -> dict[str, list[int]]:
    """Return the names and shapes of the state dict of torchvision's network."""
    network = on_meta(lambda: _theirs(config, batch_norm))
    return {name: list(value.shape) for name, value in network.state_dict().items()}


def _spoilt(network: nn.Module, x: torch.Tensor, features: torch.Tensor, **spoilt: Callable[[], nn.Module]) -> Any:
    """Return what torchvision's network gives with a usual mistake in it; `features` are those without one."""
    if "pool" in spoilt or "act" in spoilt:
        features = x
        for layer in network.features:
            kind = "pool" if isinstance(layer, nn.MaxPool2d) else "act" if isinstance(layer, nn.ReLU) else ""
            features = spoilt[kind]()(features) if kind in spoilt else layer(features)
    pooled = spoilt.get("average", lambda: network.avgpool)()(features)
    x = spoilt.get("flat", nn.Flatten)()(pooled)
    for layer in network.classifier:
        x = spoilt["hidden"]()(x) if "hidden" in spoilt and isinstance(layer, nn.ReLU) else layer(x)
    return spoilt.get("last", nn.Identity)()(x)


def _all_spoilt() -> nn.Module:
    """Return torchvision's smallest network, which gives what each usual mistake would give with its weights."""
    network = _theirs("A", False, 6)

    def forward(x: torch.Tensor) -> list[torch.Tensor]:
        features = network.features(x)
        return [_spoilt(network, x, features, **settings) for settings, _ in _SPOILT]

    network.forward = forward
    return network


class _PixelByPixel(nn.Module):
    """Flattens with the channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.movedim(1, -1).flatten(1)


_SPOILT: list[tuple[dict[str, Callable[[], nn.Module]], str]] = [
    ({"last": lambda: nn.Softmax(1)}, "Return logits: the softmax belongs to the loss."),
    ({"last": lambda: nn.LogSoftmax(1)}, "Return logits: the softmax belongs to the loss."),
    ({"last": nn.ReLU}, "No ReLU stands after the last layer: logits may be negative."),
    ({"pool": lambda: nn.AvgPool2d(2, 2)}, "The pooling takes the maximum, not the mean."),
    ({"pool": lambda: nn.MaxPool2d(3, 2, 1)}, "The pooling has a kernel of 2."),
    (
        {"pool": lambda: nn.MaxPool2d(2, 2, ceil_mode=True)},
        "The pooling leaves an odd row or column out: no ceil_mode.",
    ),
    ({"act": nn.Identity}, "The ReLU behind each convolution is missing."),
    ({"act": nn.Tanh}, "The activation is the ReLU."),
    ({"act": nn.LeakyReLU}, "The activation is the ReLU."),
    ({"act": nn.GELU}, "The activation is the ReLU."),
    ({"hidden": nn.Identity}, "The ReLU behind the two hidden fully connected layers is missing."),
    ({"average": lambda: nn.AdaptiveMaxPool2d(7)}, "avgpool takes the mean, not the maximum."),
    ({"average": lambda: nn.Upsample((7, 7))}, "avgpool is nn.AdaptiveAvgPool2d."),
    ({"flat": _PixelByPixel}, "Flatten channel by channel: flatten(1), without moving the channels to the end."),
]

# A network whose names are right runs with narrow weights, made from a seed: a sixteenth of the channels, but for the
# 512 that the classifier reads. It is the student's network, layer by layer, and costs a hundredth.
_NARROW = """
import torch
from torch import nn
from autograde.shapes import on_meta
network = on_meta(lambda: {make})
generator = torch.Generator().manual_seed(seed)
def drawn(*shape):
    return 2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1
state = network.state_dict()
last = [name for name in names if state[name].dim() == 4][-1]
before = 3
for name in names:
    value, (owner, _, kind) = state[name], name.rpartition(".")
    if value.dim() == 4:
        out = value.shape[0] if name == last else value.shape[0] // 16
        new = drawn(out, before, *value.shape[2:]) * (6 / (9 * before)) ** 0.5
        before = out
    elif value.dim() == 2:
        inner = before * 49 if owner == "classifier.0" else before
        before = {"classifier.0": 24, "classifier.3": 16, "classifier.6": 6}[owner]
        new = drawn(before, inner) * (6 / inner) ** 0.5
    elif value.dim() == 1:
        new = 0.3 * drawn(before) + (kind == "running_var" or (kind == "weight" and owner.startswith("features")))
    else:
        new = torch.tensor(3)
    module = network.get_submodule(owner)
    if kind in module._parameters:
        module._parameters[kind] = nn.Parameter(new)
    else:
        module._buffers[kind] = new
network.train(training)
kept, nn.functional.dropout = nn.functional.dropout, lambda input, *settings, **others: input  # it has its own case
try:
    with torch.no_grad():
        outputs = [network(x) for x in images]
finally:
    nn.functional.dropout = kept
outputs = [[y.detach() for y in out] if isinstance(out, list) else out.detach() for out in outputs]
after = dict(network.named_buffers())
"""


def _narrow(
    student: Student, make: str, names: list[str], images: list[torch.Tensor], seed: int, training: bool = False
) -> tuple[list, dict]:
    """Return a network's outputs with narrow weights, and its buffers afterwards."""
    code = _NARROW.replace("{make}", make)
    outputs, after = student.run(code, ["outputs", "after"], names=names, images=images, seed=seed, training=training)
    expect.sequence(outputs, len(images), "The outputs")
    expect.kind(after, dict, "The buffers")
    return list(outputs), after


# The hidden layers of `classifier` in training. So that nobody has to multiply by 103 million weights, its fully
# connected layers are replaced by what remembers its input, cuts numbers off, and takes 0.25 away, which gives ReLU
# something to do.
_DROPPED = """
import torch
from torch import nn
from autograde.shapes import on_meta
class Cut(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size, self.given = size, []
    def forward(self, x):
        self.given.append(x.detach().clone())
        return x[..., : self.size] - 0.25
network = on_meta(lambda: {make})
network.features = nn.Sequential()
cuts = [Cut(4096), Cut(4096), Cut(3)]
for name, cut in zip(("0", "3", "6"), cuts):
    setattr(network.classifier, name, cut)
outputs = []
with torch.no_grad():
    for training in (False, True):
        network.train(training)
        outputs.append(network(x.clone()).detach())
given = [cut.given for cut in cuts]
"""


def _compare_dropout(student: Student, make: str, x: torch.Tensor, p: float) -> None:
    """Expect what comes out of the two hidden layers to be dropped with probability p in training, and only there."""
    given, outputs = student.run(_DROPPED.replace("{make}", make), ["given", "outputs"], x=x)
    for values in given:
        expect.sequence(values, 2, "The inputs of a fully connected layer")
    flat = x.flatten(1)
    expect.close(
        given[0][0],
        flat,
        "What enters the first fully connected layer should be the features, channel by channel.",
        what="What enters the first fully connected layer",
    )
    expect.close(given[0][1], flat, "Nothing is dropped before the first fully connected layer.", rtol=0.0, atol=0.0)
    for i, where in ((1, "first"), (2, "second")):
        before = given[i - 1]
        quiet, whole = ((before[k][:, :4096] - 0.25).relu() for k in (0, 1))
        hint = f"In evaluation nothing is dropped behind the {where} fully connected layer, and a ReLU stands there."
        expect.close(given[i][0], quiet, hint, what=f"What comes out behind the {where} layer")
        seen = given[i][1]
        expect.shape(seen, tuple(whole.shape))
        alive = whole > 0
        share = (seen[alive] == 0).double().mean().item()
        # A right answer is further off than 7 standard deviations once in 10^11 times; 0.3 for 0.5 is 30 of them.
        margin = 7 * (p * (1 - p) / int(alive.sum())) ** 0.5 + 1e-9
        hint = (
            f"In training {share:.0%} of the numbers behind the {where} hidden layer are dropped; it should be {p:.0%}."
        )
        expect.that(abs(share - p) <= margin, hint)
        kept = alive & (seen != 0)
        hint = f"What is not dropped behind the {where} hidden layer is divided by 1 - p, so that its mean stays."
        expect.close(seen[kept], whole[kept] / (1 - p), hint, what="What is kept")
    expect.close(outputs[1], given[2][1][:, :3] - 0.25, "Nothing is dropped behind the last layer.", rtol=0.0, atol=0.0)


@check
def VGG(student: Student, cases: Cases) -> None:
    """Compare with torchvision's networks: names, logits with the same weights, running statistics, dropout."""
    seed = cases.integer(0, 2**30)
    shapes: dict[tuple[str, bool], list[str]] = {}
    fit = set()
    for batch_norm in (False, True):
        with cases("state dicts with normalization" if batch_norm else "state dicts"):
            for config in _NAMES:
                make = f"VGG({config!r}, {batch_norm})"
                wanted = _shapes(config, batch_norm)
                shapes[config, batch_norm] = list(wanted)
                with expect.explained(f"{make} does not work."):
                    networks.compare_state(student, make, wanted, f"torchvision's {_name(config, batch_norm)}")
                fit.add((config, batch_norm))
    names = "The names do not fit torchvision's yet, so its weights do not load: see the cases before."

    def compare(config: str, batch_norm: bool, images: list[torch.Tensor], training: bool = False) -> None:
        expect.that((config, batch_norm) in fit, names)
        make = f"VGG({config!r}, {batch_norm}, num_classes=6, dropout=0.0)"
        asked = {"names": shapes[config, batch_norm], "images": images, "seed": seed, "training": training}
        seen, after = _narrow(student, make, **asked)
        own = networks.of(config, batch_norm, VGG=lambda: _theirs(config, batch_norm, 6))
        right, buffers = _narrow(own, "VGG()", **asked)
        size = "images of 64 x 64 and 40 x 70 pixels" if len(images) == 2 else "images of 64 x 64 pixels"
        theirs = f"torchvision's {_name(config, batch_norm)}"
        hint = f"With the same weights, {make} gives other logits than {theirs} for {size}."
        if training:
            hint += " In training mode a normalization uses the batch's own statistics."
        searched = config == "A" and not batch_norm
        if searched and ReferenceStudent.ahead:
            _narrow(networks.of("spoilt", VGG=_all_spoilt), "VGG()", **asked)
        try:
            for one, other in zip(seen, right, strict=True):
                expect.close(one, other, hint, what="The logits")
        except expect.Unmet:
            if searched:
                spoilt, _ = _narrow(networks.of("spoilt", VGG=_all_spoilt), "VGG()", **asked)
                known = zip(map(torch.cat, zip(*spoilt, strict=True)), _SPOILT, strict=True)
                expect.no_mistake(torch.cat(seen), [(value, mistake) for value, (_, mistake) in known])
            raise
        for name, value in buffers.items():
            what = f"{name} after a batch in training mode" if training else f"{name} after evaluation"
            expect.that(name in after, f"{name} is missing.")
            expect.close(after[name], value, f"{what} is wrong.", what=what)

    sizes = [cases.randn(2, 3, 64, 64), cases.randn(2, 3, 40, 70)]
    with cases("logits", weight=3):
        for config in _NAMES:
            compare(config, False, sizes)
    with cases("logits with normalization", weight=2):
        for config in _NAMES:
            compare(config, True, sizes)
    with cases("training with normalization", weight=2):
        for config in _NAMES:
            compare(config, True, [cases.randn(2, 3, 64, 64) + 0.5], training=True)
    with cases("the whole width"):
        config, batch_norm = "ABDE"[cases.integer(0, 3)], bool(cases.integer(0, 1))
        expect.that((config, batch_norm) in fit, names)
        make = f"VGG({config!r}, {batch_norm}, num_classes=6)"
        images = [cases.randn(1, 3, 32, 32, dtype=torch.float32)]
        (seen,) = networks.by_name(student, make, images, seed).outputs
        (right,) = networks.by_name(
            networks.of(config, batch_norm, VGG=lambda: _theirs(config, batch_norm, 6)), "VGG()", images, seed
        ).outputs
        theirs = f"torchvision's {_name(config, batch_norm)}"
        hint = f"With the same weights, {make} gives other logits than {theirs} for images of 32 x 32 pixels."
        expect.close(seen, right, hint, what="The logits")
    with cases("dropout"):
        expect.that(len(fit) == len(shapes), names)
        x = cases.randn(3, 512, 7, 7, dtype=torch.float32)
        _compare_dropout(student, "VGG('A', num_classes=3, dropout=0.3)", x, 0.3)
        _compare_dropout(student, "VGG('B', True, 3)", x, 0.5)
    with cases("unknown configurations"):
        tried = ["C", "a", "d", "F", "", "AB", "VGG16", "16"]
        outcomes = _errors(student, "with torch.device('meta'): VGG(given)", tried)
        for given, outcome in zip(tried, outcomes, strict=True):
            hint = f"VGG({given!r}) should raise a ValueError; yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)
    with cases("your own layers"):
        networks.own_modules(student, "VGG('A', True)")
        code = """
            from autograde.shapes import on_meta
            network = on_meta(lambda: VGG(config="D", batch_norm=False, num_classes=10, dropout=0.1))
            trained = all(p.requires_grad for p in network.parameters())
        """
        trained = student.run(dedent(code), "trained")
        expect.that(trained is True, "All parameters should be trained: requires_grad is True.")


# --- 4. to_fully_convolutional ---------------------------------------------------------------------------------------

# Networks of VGG's form, made alike on both sides. `form` says what they are made of.
_NETWORK = """
import torch
from torch import nn
class Network(nn.Module):
    def __init__(self, form):
        super().__init__()
        layers, before = [], form["channels"][0]
        for channels in form["channels"][1:]:
            layers.append(nn.Conv2d(before, channels, 3, padding=form["padding"]))
            if form["batch_norm"]:
                layers.append(nn.BatchNorm2d(channels))
            layers += [nn.ReLU(), nn.MaxPool2d(2, 2)]
            before = channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        made, size = [], before * 49
        for name, value in form["classifier"]:
            if name == "linear":
                made.append(nn.Linear(size, value))
                size = value
            else:
                made.append(nn.Dropout(value) if name == "dropout" else getattr(nn, name)())
        self.classifier = nn.Sequential(*made)
    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
def build(form, state, dtype, training):
    network = Network(form).to(dtype)
    network.load_state_dict(state, strict=True)
    return network.train(training)
"""
_scope: dict[str, Any] = {}
exec(_NETWORK, _scope)


def _usual(classes: int = 4, hidden: tuple[int, int] = (6, 7), first: float = 0.5, second: float = 0.5) -> list[list]:
    """Return VGG's classifier, narrow."""
    one = [["linear", hidden[0]], ["ReLU", 0], ["dropout", first]]
    two = [["linear", hidden[1]], ["ReLU", 0], ["dropout", second]]
    return [*one, *two, ["linear", classes]]


def _form(
    classifier: list[list], channels: Sequence[int], padding: int = 1, batch_norm: bool = False
) -> dict[str, Any]:
    """Return what a network is made of."""
    return {"channels": list(channels), "padding": padding, "batch_norm": batch_norm, "classifier": classifier}


def _state(cases: Cases, form: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return weights for such a network, in float64; biases and statistics are away from their starting values."""
    state = {}
    for name, value in _scope["Network"](form).state_dict().items():
        draw = cases.randn(*value.shape)
        if not value.is_floating_point():
            state[name] = torch.full_like(value, 3)
        elif value.dim() > 1:
            state[name] = draw * (2 / value[0].numel()) ** 0.5
        elif "running_var" in name or (value.dim() == 1 and "weight" in name):
            state[name] = (draw / 3).exp()
        else:
            state[name] = draw / 2
    return state


def _build(form: dict[str, Any], state: dict[str, torch.Tensor], training: bool = False) -> nn.Module:
    """Return our own copy of the network."""
    return _scope["build"](form, {k: v.clone() for k, v in state.items()}, torch.float64, training)


@torch.no_grad()
def _by_crops(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return the logits of each 7 x 7 crop of the features: (N, classes, h - 6, w - 6)."""
    features = network.features(x)
    height, width = features.shape[-2] - 6, features.shape[-1] - 6
    rows = [
        torch.stack([network.classifier(features[:, :, i : i + 7, j : j + 7].flatten(1)) for j in range(width)], -1)
        for i in range(height)
    ]
    return torch.stack(rows, -2)


@torch.no_grad()
def _mistaken(network: nn.Module, x: torch.Tensor) -> list[tuple[torch.Tensor, str]]:
    """Return what usual mistakes give."""
    features = network.features(x)

    def run(
        features: torch.Tensor = features, order: str = "", padding: int = 0, bias: bool = True, act: bool = True
    ) -> torch.Tensor:
        y, first = features, True
        for layer in network.classifier:
            if isinstance(layer, nn.Linear):
                weight = layer.weight[..., None, None]
                if first:
                    weight = layer.weight.reshape(len(layer.weight), -1, 7, 7)
                    if order == "channels last":
                        weight = layer.weight.reshape(len(layer.weight), 7, 7, -1).permute(0, 3, 1, 2)
                    elif order == "transposed":
                        weight = weight.transpose(2, 3)
                    elif order == "flipped":
                        weight = weight.flip((2, 3))
                y = F.conv2d(y, weight, layer.bias if bias else None, padding=padding if first else 0)
                first = False
            elif act and not isinstance(layer, nn.Dropout):
                y = layer(y)
        return y

    order = "flatten(1) goes channel by channel: weight.reshape(out, C, 7, 7)."
    return [
        (run(order="channels last"), f"The first layer's weights are in another order. {order}"),
        (run(order="transposed"), f"Rows and columns of the 7x7 kernel are exchanged. {order}"),
        (run(order="flipped"), "The 7x7 kernel is turned round: PyTorch's convolution does not flip it."),
        (run(bias=False), "The biases of the fully connected layers are missing."),
        (run(act=False), "The layers between the fully connected ones, such as ReLU, are missing."),
        (run(padding=3), "The 7x7 convolution has no padding: the map has h - 6 rows."),
        (run().relu(), "No ReLU stands behind the last layer unless vgg has one there."),
        (run().softmax(1), "Return logits: no softmax is in vgg, and none belongs into the copy."),
    ]


# Makes the student's network of ours. The network that was given is looked at before and after.
_MAKE = (
    _NETWORK
    + """
vgg = build(form, state, dtype, training)
made = to_fully_convolutional(vgg)
if not isinstance(made, nn.Module):
    raise TypeError(f"to_fully_convolutional should return a module, not a {type(made).__name__}")
"""
)
_RUN = (
    _MAKE
    + """
if mode is not None:
    made.train(mode)
with torch.no_grad():
    outputs = [made(x).detach() for x in images]
"""
)


def _outputs(student: Student, form: dict, state: dict, images: list[torch.Tensor], **settings: Any) -> list:
    """Return what the student's network gives for these images, and expect a list of tensors."""
    usual = {"dtype": images[0].dtype, "training": False, "mode": None}
    outputs = student.run(_RUN, "outputs", form=form, state=state, images=images, **{**usual, **settings})
    expect.sequence(outputs, len(images), "The outputs")
    return list(outputs)


@check
def to_fully_convolutional(student: Student, cases: Cases) -> None:
    """Compare with the network itself, asked about one crop after the other."""
    shape = "The logits"

    def compare(form: dict, state: dict, images: list[torch.Tensor], hint: str) -> None:
        ours = _build(form, state)
        for x, seen in zip(images, _outputs(student, form, state, images, mode=False), strict=True):
            right = _by_crops(ours, x.double())
            mistakes = _mistaken(ours, x.double())
            expect.kind(seen, torch.Tensor, shape)
            if tuple(seen.shape) != tuple(right.shape):
                expect.no_mistake(seen, mistakes)
                one = seen.dim() == 4 and seen.shape[-2:] == (1, 1)
                hint = (
                    "Your map has one place where it should have more: leave out the pooling to 7 x 7, and any stride."
                )
                expect.that(not one, hint)
                hint = "The logits have four dimensions, (N, classes, h - 6, w - 6): do not flatten them."
                expect.that(seen.dim() == 4, hint)
            expect.shape(seen, tuple(right.shape), shape)
            expect.close(seen, right, hint, mistakes, what=shape)

    form = _form(_usual(), (2, 3, 4))
    state = _state(cases, form)
    with cases("the usual size", weight=2):
        x = cases.randn(3, 2, 28, 28)
        expect.shape(_build(form, state)(x), (3, 4))
        compare(form, state, [x], "At the usual size the logits should be those of vgg, at one place.")
    with cases("maps", weight=3):
        images = [cases.randn(2, 2, 36, 44), cases.randn(1, 2, 28, 57)]
        hint = "At place (i, j) the logits should be those of `classifier` for features[:, :, i : i + 7, j : j + 7]."
        compare(form, state, images, hint)
    with cases("crops of the image"):
        # Without padding in the features, a place is the network on a crop of the image, and no border matters.
        bare = _form(_usual(3), (1, 2), padding=0)
        weights, x = _state(cases, bare), cases.randn(1, 1, 20, 24)
        ours = _build(bare, weights)
        (seen,) = _outputs(student, bare, weights, [x], mode=False)
        rows = [[ours(x[..., i : i + 16, j : j + 16]).detach() for j in range(0, 9, 2)] for i in range(0, 5, 2)]
        right = torch.stack([torch.stack(row, -1) for row in rows], -2)
        expect.close(seen, right, "Each place should be vgg on its own crop of the image.", what=shape)
    with cases("other classifiers"):
        for classifier in (
            [["dropout", 0.5], ["linear", 5], ["ReLU", 0], ["dropout", 0.5], ["linear", 6], ["ReLU", 0], ["linear", 3]],
            [["linear", 5]],
            [
                ["linear", 6],
                ["Tanh", 0],
                ["linear", 4],
                ["ReLU", 0],
                ["linear", 5],
                ["ReLU", 0],
                ["linear", 3],
                ["Sigmoid", 0],
            ],
        ):
            other = _form(classifier, (1, 3))
            hint = "Go through `classifier` layer by layer: how many there are and of what kind may differ from VGG."
            compare(other, _state(cases, other), [cases.randn(2, 1, 16, 18)], hint)
    with cases("batch normalization"):
        normed = _form(_usual(), (2, 3), batch_norm=True)
        weights, x = _state(cases, normed), cases.randn(2, 2, 16, 18)
        hint = "In evaluation mode the normalization in `features` uses its running statistics: copy those, too."
        compare(normed, weights, [x], hint)
        code = """
with torch.no_grad():
    made.train()
    made(x)
after = vgg.features[1].running_mean
means = [m.running_mean for m in made.modules() if isinstance(m, nn.BatchNorm2d)]
"""
        inputs = {"form": normed, "state": weights, "dtype": torch.float64, "training": False, "x": x}
        after, means = student.run(_MAKE + code, ["after", "means"], **inputs)
        hint = "When the copy trains, the running statistics of vgg change: the two share memory."
        expect.close(after, weights["features.1.running_mean"], hint, rtol=0.0, atol=0.0)
        expect.sequence(means, 1, "The normalizations of your network")
        ours = _build(normed, weights, training=True)
        ours.features(x)
        hint = "In training mode the normalization of your network should update its running statistics."
        expect.close(means[0], ours.features[1].running_mean, hint)
    _keep(student, cases)
    _drop(student, cases)
    with cases("VGG-16 on the meta device"):
        code = """
            import torch, torchvision
            from autograde.shapes import on_meta, undrawn
            vgg = on_meta(lambda: torchvision.models.vgg16(init_weights=False))
            with undrawn(everywhere=True):  # 123 million start values, which no one looks at
                made = to_fully_convolutional(vgg)
            sizes = []
            for height, width in ((224, 224), (256, 256), (320, 224)):
                sizes.append(list(made(torch.empty(2, 3, height, width, device="meta")).shape))
            count = sum(p.numel() for p in made.parameters())
        """
        sizes, count = student.run(dedent(code), ["sizes", "count"])
        expect.that(
            count == 138_357_544, f"VGG-16 has 138,357,544 parameters in either form; your network has {count}."
        )
        wanted = [[2, 1000, 1, 1], [2, 1000, 2, 2], [2, 1000, 4, 1]]
        for seen, right in zip(sizes, wanted, strict=True):
            expect.that(
                seen == right, f"VGG-16 should give logits of the shape {tuple(right)}; yours gives {tuple(seen)}."
            )


def _drop(student: Student, cases: Cases) -> None:
    """Look at dropout through layers that pass on what they get: identities, with a bias that keeps it above 0."""
    width = 40

    def passing(first: float, second: float) -> tuple[dict, dict]:
        form = _form(_usual(width, (width, width), first, second), (1, 1))
        state = _state(cases, form)
        state["classifier.0.bias"] = 5.0 + cases.randn(width).abs()
        state["classifier.0.weight"] = 0.01 * state["classifier.0.weight"]
        for name in ("classifier.3", "classifier.6"):
            state[f"{name}.weight"] = torch.eye(width, dtype=torch.float64)
            state[f"{name}.bias"] = torch.zeros(width, dtype=torch.float64)
        return form, state

    x = cases.randn(2, 1, 34, 36)  # features of 17 x 18, a map of 11 x 12
    with cases("dropout in training"):
        for first, second, which in ((0.4, 0.0, "first"), (0.0, 0.4, "second")):
            form, state = passing(first, second)
            whole = _by_crops(_build(form, state), x)
            (seen,) = _outputs(student, form, state, [x], mode=True)
            expect.shape(seen, tuple(whole.shape), "The logits")
            gone = seen == 0
            # Of 80 maps of 132 places, one that is dropped as a whole, or kept everywhere, is seen once in 10^27 times.
            maps = gone.flatten(2).double().mean(2)
            hint = "Dropout drops single numbers, not whole channels: keep nn.Dropout as it is."
            expect.that(not bool((maps == 1).any()), hint)
            share = gone.double().mean().item()
            # 10,560 numbers: 7 standard deviations are 0.033, and a right answer is further off once in 10^11 times.
            hint = (
                f"In training, dropout behind the {which} fully connected layer should drop 40% of the numbers; "
                f"yours drops {share:.0%}."
            )
            expect.that(abs(share - 0.4) < 7 * (0.24 / gone.numel()) ** 0.5, hint)
            expect.that(bool((gone[0] != gone[1]).any()), "Each example has its own dropout.")
            hint = "What is kept in training is divided by 1 - p: keep nn.Dropout as it is."
            expect.close(seen[~gone], (whole / 0.6)[~gone], hint, what="What is kept")
    with cases("the mode"):
        form, state = passing(0.4, 0.0)
        whole = _by_crops(_build(form, state), x)
        (seen,) = _outputs(student, form, state, [x], mode=False)
        expect.close(seen, whole, "In evaluation mode nothing is dropped.", what="The logits")
        (seen,) = _outputs(student, form, state, [x], training=False)
        hint = "When vgg is in evaluation mode, what you return should be, too."
        expect.close(seen, whole, hint, what="The logits")
        (seen,) = _outputs(student, form, state, [x], training=True)
        hint = "When vgg is in training mode, what you return should be, too: nothing is dropped in yours."
        expect.that(bool((seen == 0).any()), hint)
        code = "\nmodes, after = ([m.training for m in network.modules()] for network in (made, vgg))"
        for training in (False, True):
            inputs = {"form": form, "state": state, "dtype": torch.float64, "training": training}
            modes, after = student.run(_MAKE + code, ["modes", "after"], **inputs)
            word = "training" if training else "evaluation"
            hint = f"When vgg is in {word} mode, what you return should be, too, with all its parts."
            expect.that(all(mode is training for mode in modes), hint)
            expect.that(all(mode is training for mode in after), "Your function changes the mode of vgg.")


_KEEP = (
    _MAKE
    + """
kept = {name: value.clone() for name, value in vgg.state_dict().items()}
kinds = [type(m).__name__ for m in vgg.modules()]
with torch.no_grad():
    given = vgg(x).detach() if kinds == wanted else x
def storages(network):
    return {t.untyped_storage().data_ptr() for t in [*network.parameters(), *network.buffers()] if t.numel()}
shared = len(storages(vgg) & storages(made))
modules = len({id(m) for m in vgg.modules()} & {id(m) for m in made.modules()})
dtypes = sorted({str(p.dtype) for p in made.parameters()})
count = [sum(p.numel() for p in net.parameters()) for net in (vgg, made)]
linear = sum(isinstance(m, nn.Linear) for m in made.modules())
convolutions = sum(isinstance(m, nn.Conv2d) for m in made.modules())
trained = [p.requires_grad for p in made.parameters()]
loss = made(x).square().sum()
loss.backward()
moved = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.parameters()]
untouched = all(p.grad is None for p in vgg.parameters())
with torch.no_grad():
    for p in made.parameters():
        p.add_(1.0)
    again = vgg(x).detach() if kinds == wanted else x
"""
)


def _keep(student: Student, cases: Cases) -> None:
    """Look at the state: vgg as it was, a network of its own, dtypes, gradients."""
    form = _form(_usual(first=0.0, second=0.0), (2, 3))
    state = _state(cases, form)
    for name, value in state.items():  # so that no ReLU is off for all inputs, and every parameter has a gradient
        if name.startswith("classifier") and name.endswith("bias"):
            value.abs_().add_(3.0)
    x = cases.randn(2, 2, 14, 14)
    ours = _build(form, state)
    right = ours(x).detach()

    def look() -> dict[str, Any]:
        returns = "given kept kinds shared modules dtypes count linear convolutions trained moved untouched again"
        names = returns.split()
        wanted = [type(module).__name__ for module in ours.modules()]
        inputs = {"form": form, "state": state, "dtype": torch.float64, "training": False, "x": x, "wanted": wanted}
        return dict(zip(names, student.run(_KEEP, names, **inputs), strict=True))

    with cases("vgg stays as it is"):
        found = look()
        hint = "Your function changes vgg: its layers should stay what they were."
        expect.that(found["kinds"] == [type(module).__name__ for module in ours.modules()], hint)
        expect.kind(found["kept"], dict)
        for name, value in state.items():
            expect.that(name in found["kept"], f"Your function changes vgg: it has no {name} any more.")
            hint = f"Your function changes vgg: {name} is not what it was."
            expect.close(found["kept"][name], value, hint, rtol=0.0, atol=0.0, what=f"{name} of vgg")
        expect.close(found["given"], right, "Your function changes vgg: it gives other logits afterwards.", **EXACT)
    with cases("a network of its own"):
        found = look()
        hint = "Your network and vgg share memory: copy the weights, of `features` as well as of `classifier`."
        expect.that(found["shared"] == 0, hint)
        expect.close(found["again"], right, hint, **EXACT)
        expect.that(found["modules"] == 0, "Your network uses modules of vgg itself: copy them.")
        expect.that(found["untouched"] is True, "Training your network leaves gradients in vgg.")
    with cases("its layers"):
        found = look()
        expect.that(found["linear"] == 0, "Your network still has an nn.Linear: each becomes an nn.Conv2d.")
        seen = found["convolutions"]
        hint = (
            f"With 1 convolution and 3 fully connected layers in vgg, your network should have 4 nn.Conv2d, not {seen}."
        )
        expect.that(seen == 4, hint)
        was, count = found["count"]
        expect.that(count == was, f"Your network has {count} parameters in all, and vgg has {was}.")
    with cases("its gradients"):
        found = look()
        hint = "The parameters of your network should have requires_grad, as those of vgg have."
        expect.that(all(flag is True for flag in found["trained"]), hint)
        hint = "Gradients should reach all parameters of your network."
        expect.that(all(flag is True for flag in found["moved"]), hint)
    with cases("dtypes"):
        code = """
dtypes = sorted({str(p.dtype) for p in made.parameters()})
with torch.no_grad():
    y = made(x) if dtypes == [str(dtype)] else x
"""
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            inputs = {"form": form, "state": state, "dtype": dtype, "training": False, "x": x.to(dtype)}
            dtypes, y = student.run(_MAKE + code, ["dtypes", "y"], **inputs)
            expect.that(dtypes == [str(dtype)], f"When vgg is in {dtype}, your network should be, too.")
            expect.dtype(y, dtype)
