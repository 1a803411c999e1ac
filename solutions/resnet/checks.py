"""The hidden checks of the assignment `resnet`.

Counts are those of torchvision's networks, made on the meta device. Whole networks run in the student's process with
weights from a seed: ResNet beside torchvision's classes, the small network beside one that is defined here with the
functions of option A. Tables are compared with `ravines.counting`, whose MACs are PyTorch's own count. The wrong values
that usual mistakes give come from networks, and from counts, that have the mistake.
"""

import copy
import functools
import inspect
import json
import math
from collections.abc import Callable, Iterator, Sequence
from textwrap import dedent
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet

from autograde import expect, networks, untouched
from autograde.cases import Cases, check
from autograde.shapes import on_meta, shapes_of
from autograde.student import ReferenceStudent, Student
from ravines import counting
from solutions import toy_networks

#: Float64 arithmetic in another order differs by less than this; every mistake differs by more.
EXACT = {"rtol": 1e-8, "atol": 1e-8}
#: Name -> block, blocks in each stage (He et al. 2016, table 1).
NAMED = {
    "resnet18": ("BasicBlock", [2, 2, 2, 2]),
    "resnet34": ("BasicBlock", [3, 4, 6, 3]),
    "resnet50": ("Bottleneck", [3, 4, 6, 3]),
    "resnet101": ("Bottleneck", [3, 4, 23, 3]),
    "resnet152": ("Bottleneck", [3, 8, 36, 3]),
}


def _whole(value: Any, what: str) -> None:
    """Expect an integer."""
    expect.kind(value, int, what)


# --- 1. depth_of -----------------------------------------------------------------------------------------------------


@check
def depth_of(student: Student, cases: Cases) -> None:
    """Count the layers of torchvision's networks that are not on a shortcut."""

    def torchvisions(layers: list[int], bottleneck: bool) -> int:
        with torch.device("meta"):
            network = resnet.ResNet(resnet.Bottleneck if bottleneck else resnet.BasicBlock, layers)
        weighted = [name for name, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        return sum("downsample" not in name for name in weighted)

    def compare(layers: list[int], bottleneck: bool, wanted: int, hint: str) -> None:
        seen = student.call("depth_of", layers, bottleneck)
        _whole(seen, "The depth")
        blocks = sum(layers)
        k, other = (3, 2) if bottleneck else (2, 3)
        projections = len(layers) if bottleneck else len(layers) - 1
        mistakes = [
            (k * blocks, "The convolution before the blocks and the fully connected layer count, too."),
            (k * blocks + 1, "One layer stands before the blocks, and one behind them."),
            (other * blocks + 2, "A bottleneck has three convolutions, a basic block two."),
            (blocks + 2, "Each block has more than one convolution."),
            (blocks, "Each block has more than one convolution, and two layers stand around the blocks."),
            (k * (blocks + 2), "The first and the last layer are one layer each, and no block."),
            (k * blocks + 2 + projections, "The 1x1 convolutions on shortcuts do not count."),
            (k * len(layers) + 2, "Each stage has as many blocks as the list says."),
            (k * math.prod(layers) + 2, "The blocks of all stages are added, not multiplied."),
            (2 * k * blocks + 2, "Normalizations do not count."),
        ]
        expect.that(type(seen) is int and abs(seen) < 2**60, hint)
        expect.close(seen, wanted, hint, [m for m in mistakes if m[0] != wanted], rtol=0, atol=0.1)

    formula = "The depth is 1 + k * (the number of blocks) + 1."
    with cases("basic blocks"):
        layers = [cases.integer(4, 5), cases.integer(5, 7), 3, 4]
        compare(layers, False, torchvisions(layers, False), f"For basic blocks k is 2. {formula}")
    with cases("bottlenecks"):
        layers = [cases.integer(4, 5), cases.integer(5, 7), 3, 4]
        compare(layers, True, torchvisions(layers, True), f"For bottlenecks k is 3. {formula}")
    with cases("other numbers of stages"):
        # The paper's networks for CIFAR-10 have 6n + 2 layers; a list of one stage has the fewest.
        for n, depth in ((5, 32), (9, 56), (18, 110), (200, 1202)):
            compare([n] * 3, False, depth, f"A list of three numbers has three stages. {formula}")
        compare([7], True, 23, f"A list of one number has one stage. {formula}")


# --- 2. parameters_of ------------------------------------------------------------------------------------------------


def _count(layers: Sequence[int], bottleneck: bool, classes: int, **spoilt: Any) -> int:
    """Return what the count gives with known mistakes; without any, the right one (which is not used)."""
    e = 4 if bottleneck else 1
    total = 0

    def conv(kernel: int, before: int, after: int, norm: int) -> int:
        return kernel**2 * before * after + (after if spoilt.get("bias") else 0) + norm * after

    norm = spoilt.get("norm", 2)
    total += conv(7, 3, 64, spoilt.get("stem_norm", norm)) if spoilt.get("stem", True) else 0
    before = 64
    for stage, blocks in enumerate(layers):
        c = 64 * 2**stage
        for number in range(blocks):
            out = c * e
            entering = before if number == 0 or not spoilt.get("narrow") else c
            if bottleneck:
                total += conv(1, entering, c, norm) + conv(3, c, c, norm) + conv(1, c, out, norm)
            else:
                total += conv(3, entering, c, norm) + conv(3, c, c, norm)
            strided = stage > 0 and number == 0
            needed = strided or before != out
            where = spoilt.get("projection", "needed")
            if {
                "needed": needed,
                "strided": strided,
                "never": False,
                "always": True,
                "firsts": number == 0,
                "stages": stage > 0,
            }[where]:
                total += conv(1, before, out, spoilt.get("projection_norm", norm))
            before = out
    width = spoilt.get("width", before)
    return total + (width + spoilt.get("fc_bias", 1)) * classes


_COUNTS: list[tuple[dict[str, Any], str]] = [
    ({"bias": True}, "The convolutions have no biases."),
    ({"norm": 0}, "The scales and shifts of the normalizations are parameters, too."),
    ({"norm": 1}, "A normalization has a scale and a shift: two numbers for each channel."),
    ({"norm": 4}, "Running means and variances are no parameters: two numbers for each channel, not four."),
    ({"stem": False}, "The stem is missing: the 7x7 convolution, and its normalization."),
    ({"stem_norm": 0}, "A normalization follows the stem's convolution, too."),
    ({"projection": "never"}, "The projections on the shortcuts are missing."),
    ({"projection": "strided"}, "In the first stage of bottlenecks 64 channels become 256: that takes a projection."),
    ({"projection": "always"}, "Only a block with a stride, or with other channels behind it, has a projection."),
    ({"projection": "firsts"}, "The first stage of basic blocks has no projection: stride and channels stay."),
    ({"projection": "stages"}, "Only the first block of a stage has a projection."),
    ({"projection_norm": 0}, "A normalization follows the convolution of a projection, too."),
    ({"narrow": True}, "What comes out of a bottleneck has 4 c channels, and all of them enter the next block."),
    ({"width": 512}, "The last layer gets all channels of the last block, 512 times the expansion."),
    ({"fc_bias": 0}, "The last layer has a bias for each class."),
]


@check
def parameters_of(student: Student, cases: Cases) -> None:
    """Count the parameters of torchvision's networks on the meta device."""

    def compare(layers: list[int], bottleneck: bool, classes: int | None, hint: str) -> None:
        with torch.device("meta"):
            block = resnet.Bottleneck if bottleneck else resnet.BasicBlock
            network = resnet.ResNet(block, layers, num_classes=classes or 1000)
        wanted = counting.parameters(network)
        given = {} if classes is None else {"num_classes": classes}
        seen = student.call("parameters_of", layers, bottleneck, **given)
        _whole(seen, "The number of parameters")
        if seen == wanted:
            return
        for settings, mistake in _COUNTS:
            wrong = _count(layers, bottleneck, classes or 1000, **settings)
            expect.that(seen != wrong or wrong == wanted, mistake)
        if classes is not None:
            fixed = wanted + (1000 - classes) * (network.fc.in_features + 1)
            expect.that(seen != fixed, "The number of classes is not always 1,000: take num_classes.")
        expect.that(False, hint)

    with cases("basic blocks", weight=2):
        hint = "The count is wrong for basic blocks. Go through one block of each stage, layer by layer."
        compare([cases.integer(2, 3), cases.integer(2, 4), 3, 2], False, cases.integer(12, 60), hint)
    with cases("bottlenecks", weight=2):
        hint = "The count is wrong for bottlenecks. Go through one block of each stage, layer by layer."
        compare([cases.integer(2, 3), cases.integer(2, 4), 3, 2], True, cases.integer(12, 60), hint)
    with cases("one block in each stage, and many"):
        for bottleneck in (False, True):
            compare([1, 1, 1, 1], bottleneck, 2, "The count is wrong where a stage has only one block.")
        compare([3, 4, 23, 3], True, None, "The count is wrong for ResNet-101, whose third stage has 23 blocks.")
    with cases("without building it"):
        code = """
            from torch import nn
            made = []
            kept = nn.Module.__init__
            def watched(self, *args, **kwargs):
                made.append(type(self).__name__)
                kept(self, *args, **kwargs)
            nn.Module.__init__ = watched
            try:
                parameters_of([1, 2, 1, 1], True, 10)
            finally:
                nn.Module.__init__ = kept
            made = made[:1]
        """
        made = student.run(dedent(code), "made")
        expect.that(type(made) is list and not made, "Compute the number: no module is built.")


# --- 3. ResNet -------------------------------------------------------------------------------------------------------


class _Theirs(resnet.ResNet):
    """torchvision's network, made on the meta device, with the stride where the paper has it when asked."""

    def __init__(self, block: str, layers: Sequence[int], num_classes: int, stride_in_1x1: bool = False) -> None:
        kind = getattr(resnet, block)
        on_meta(lambda: resnet.ResNet.__init__(self, kind, list(layers), num_classes=num_classes))
        self.mistake: dict[str, Any] = {}
        for module in self.modules():
            if stride_in_1x1 and isinstance(module, resnet.Bottleneck):
                module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride

    @classmethod
    def run(cls, made: tuple, *asked: Any, **options: Any) -> networks.Answer:
        """Return what :func:`networks.by_name` returns for the network that is made of these arguments."""
        return networks.by_name(networks.of(*made, Network=lambda: cls(*made)), "Network()", *asked, **options)

    @classmethod
    def mistaken(cls, made: tuple, images: torch.Tensor, seed: int) -> list[tuple[torch.Tensor, str]]:
        """Return what such networks with known mistakes make of images, each with its hint."""

        def make() -> _Theirs:
            network = cls(*made)
            network.forward = network._all_mistaken
            return network

        (found,) = networks.by_name(networks.of("mistaken", *made, Network=make), "Network()", [images], seed).outputs
        return [(value, _MISTAKES[int(number)][1]) for number, value in found.items()]

    def _forward_impl(self, x: torch.Tensor) -> torch.Tensor:
        usual = {"conv1": self.conv1, "bn": self.bn1, "relu": F.relu, "pool": self.maxpool, "fc": self.fc}
        parts = {**usual, "mean": lambda x: x.mean((2, 3)), "last": lambda x: x, **self.mistake.get("parts", {})}
        for name in ("conv1", *self.mistake.get("stem", ("bn", "relu", "pool"))):
            x = parts[name](x)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        for name in ("mean", "fc", "last"):
            x = parts[name](x)
        return x

    def _all_mistaken(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what known mistakes make of images, by their numbers."""
        found = {}
        for number, (mistake, _) in enumerate(_MISTAKES):
            self.mistake = mistake
            layers = [self.conv1] * ("conv1" in mistake)
            for stage in mistake.get("strides", ()):
                first = getattr(self, f"layer{stage}")[0]
                layers += [first.conv2 if isinstance(first, resnet.Bottleneck) else first.conv1]
                layers += [first.downsample[0]] if first.downsample else []
            kept = [(layer, layer.stride, layer.padding) for layer in layers]
            for layer in layers:
                if "strides" in mistake:
                    layer.stride = (3 - layer.stride[0],) * 2  # 1 for 2, 2 for 1
                else:
                    layer.stride, layer.padding = mistake["conv1"]
            try:
                found[str(number)] = self._forward_impl(images)
            except RuntimeError:  # with this mistake the network does not take such images
                continue
            finally:
                self.mistake = {}
                for layer, stride, padding in kept:
                    layer.stride, layer.padding = stride, padding
        return found


_STEM = "The stem is a 7x7 convolution, bn1, a ReLU and a max pooling"
_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"stem": ("bn", "relu")}, "The max pooling after the first convolution is missing."),
    ({"parts": {"pool": nn.MaxPool2d(3, 2)}}, "The max pooling has a padding of 1."),
    ({"parts": {"pool": nn.MaxPool2d(3, 2, ceil_mode=True)}}, "The max pooling has a padding of 1, and no ceil_mode."),
    ({"parts": {"pool": nn.MaxPool2d(2, 2)}}, "The max pooling has a kernel of 3, so that neighbours overlap."),
    ({"parts": {"pool": nn.MaxPool2d(3, 1, 1)}}, "The max pooling has a stride of 2."),
    ({"parts": {"pool": nn.AvgPool2d(3, 2, 1)}}, "The pooling in the stem takes the maximum, not the mean."),
    ({"stem": ("bn", "pool")}, f"{_STEM}: the ReLU is missing."),
    ({"stem": ("relu", "pool")}, f"{_STEM}: bn1 is not used."),
    ({"stem": ("pool",)}, f"{_STEM}: bn1 and the ReLU are not used."),
    ({"stem": ("relu", "bn", "pool")}, f"{_STEM}, in this order: the ReLU comes after bn1."),
    ({"conv1": ((1, 1), (3, 3))}, "conv1 has a stride of 2."),
    ({"conv1": ((2, 2), (0, 0))}, "conv1 has a padding of 3, so that the size is halved."),
    ({"conv1": ((2, 2), (1, 1))}, "conv1 has a padding of 3, so that the size is halved."),
    ({"conv1": ((2, 2), (2, 2))}, "conv1 has a padding of 3, so that the size is halved."),
    ({"strides": (2,)}, "The first block of layer2 has stride 2."),
    ({"strides": (3,)}, "The first block of layer3 has stride 2."),
    ({"strides": (4,)}, "The first block of layer4 has stride 2."),
    ({"strides": (2, 3, 4)}, "The first blocks of layer2, layer3 and layer4 have stride 2."),
    ({"parts": {"mean": lambda x: x.amax((2, 3))}}, "Behind layer4 comes the mean over all pixels, not the maximum."),
    ({"parts": {"mean": lambda x: x.sum((2, 3))}}, "Behind layer4 comes the mean over all pixels, not the sum."),
    ({"parts": {"mean": lambda x: x[..., 0, 0]}}, "Behind layer4 comes the mean over all pixels, not one of them."),
    ({"parts": {"last": F.relu}}, "No ReLU stands after the last layer: logits may be negative."),
    ({"parts": {"last": lambda x: x.softmax(1)}}, "Return logits: the softmax belongs to the loss."),
    ({"parts": {"last": lambda x: x.log_softmax(1)}}, "Return logits: the softmax belongs to the loss."),
]


def _same(seen: networks.Answer, wanted: networks.Answer, hint: str, mistakes: Callable[[], list] = lambda: []) -> None:
    """Expect the same logits. When those for the first batch differ, look for the mistake that gives them."""
    for i, (one, right) in enumerate(zip(seen.outputs, wanted.outputs, strict=True)):
        expect.shape(one, tuple(right.shape), "What comes out, a row for each image and a column for each class,")
        expect.dtype(one, right.dtype)
        try:
            expect.close(one, right, hint, what="The result", rtol=1e-8)
        except expect.Unmet:
            if i == 0:
                expect.no_mistake(one, mistakes())
            raise
    if ReferenceStudent.ahead:
        mistakes()


# Names and shapes of the state dict, and the settings of every convolution, which these do not say.
_PLAN = """
import json
from torch import nn
from autograde.shapes import on_meta
plans = []
for make in makes:
    network = on_meta(lambda: eval(make))
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    settings = {
        name: [list(m.stride), m.padding if isinstance(m.padding, str) else list(m.padding), list(m.dilation)]
        for name, m in network.named_modules() if isinstance(m, nn.Conv2d)
    }
    plans.append([json.dumps(shapes, sort_keys=True), json.dumps(settings, sort_keys=True)])
"""

_START = """
import torch
torch.manual_seed(seed)
network = {make}
start = []
for name, p in network.named_parameters():
    p = p.detach().double()
    squares = p.square()
    if p.dim() == 4:
        start.append([name, list(p.shape), [p.mean().item(), squares.mean().item(), squares.square().mean().item()]])
    else:
        start.append([name, list(p.shape), [p.min().item(), p.max().item(), squares.mean().item()]])
trained = all(p.requires_grad for p in network.parameters())
before = images.clone()
network(images).square().mean().backward()
graded = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
kept = torch.equal(before, images)
"""


@functools.cache
def _plan(block: str, layers: tuple[int, ...], classes: int, paper: bool) -> list[str]:
    """Return the shapes and settings of torchvision's network, as JSON."""
    theirs = networks.of(Network=lambda: _Theirs(block, layers, classes, paper))
    return theirs.run(_PLAN, "plans", makes=["Network()"])[0]


def _compare_plan(make: str, plan: Any, block: str, layers: list[int], classes: int, paper: bool) -> None:
    """Expect the state dict and the strides of torchvision's network, or the paper's."""
    expect.sequence(plan, 2)
    wanted = _plan(block, tuple(layers), classes, paper)
    if list(plan) == wanted:
        return
    (shapes, settings), (wanted, right) = ([json.loads(part) for part in whole] for whole in (plan, wanted))
    blocks = [len({n.split(".")[1] for n in shapes if n.startswith(f"layer{i}.")}) for i in range(1, 5)]
    expect.that(blocks == layers, f"{make} should have {layers} blocks in its stages; yours has {blocks}.")
    kind = "conv3" if block == "Bottleneck" else "conv2"
    expect.that(f"layer1.0.{kind}.weight" in shapes, f"The blocks of {make} should be {block}s.")
    expect.that(("layer1.0.conv3.weight" in shapes) == (kind == "conv3"), f"The blocks of {make} should be {block}s.")
    hint = f"{make} should have {classes:,} logits: pass num_classes on."
    expect.that(shapes.get("fc.weight", wanted["fc.weight"]) == wanted["fc.weight"], hint)
    expect.that(shapes == wanted, f"{make}: names or shapes of the state dict are not torchvision's.")
    if settings == right:
        return
    other = json.loads(_plan(block, tuple(layers), classes, not paper)[1])
    hint = "should have the stride of a bottleneck in the first 1x1 convolution: pass stride_in_1x1 on to every block."
    expect.that(not (paper and settings == other), f"{make} {hint}")
    hint = "should have the stride of a bottleneck in the 3x3 convolution: give blocks the stride_in_1x1 that you got."
    expect.that(paper or settings != other, f"{make} {hint}")
    for name, values in right.items():
        expect.that(name in settings, f"In {make} there is no nn.Conv2d called {name}.")
        for what, one, wished in zip(("stride", "padding", "dilation"), settings[name], values, strict=True):
            expect.that(one == wished, f"In {make} the {what} of {name} is wrong: it is {one}.")


@check
def ResNet(student: Student, cases: Cases) -> None:
    """Compare with torchvision's networks: names, strides, logits, running statistics, start."""
    seed = cases.integer(0, 2**30)

    def pair(make: str, theirs: tuple, images: list, **options: Any) -> tuple:
        seen = networks.by_name(student, make, images, seed, **options)
        return seen, _Theirs.run(theirs, images, seed, **options)

    def plans(makes: dict[str, tuple]) -> None:
        found = student.run(_PLAN, "plans", makes=list(makes))
        expect.sequence(found, len(makes))
        for (make, wanted), plan in zip(makes.items(), found, strict=True):
            _compare_plan(make, plan, *wanted)

    few = {"BasicBlock": [1, 2, 1, 1], "Bottleneck": [1, 1, 2, 1]}
    with cases("names and shapes of the state dict", weight=2):
        for block, layers in few.items():
            make = f"ResNet({block}, {layers}, num_classes=7)"
            networks.own_modules(student, make)
            networks.compare_state(student, make, json.loads(_plan(block, tuple(layers), 7, False)[0]))
    with cases("basic blocks, evaluation", weight=2):
        images = [cases.randn(1, 3, 64, 48), cases.randn(1, 3, 61, 34)]
        theirs = "BasicBlock", tuple(few["BasicBlock"]), 6
        seen, wanted = pair(f"ResNet(BasicBlock, {few['BasicBlock']}, num_classes=6)", theirs, images)
        hint = "With torchvision's weights and basic blocks your network gives other logits."
        _same(seen, wanted, hint, lambda: _Theirs.mistaken(theirs, images[0], seed))
    # The next ones take long, and cannot be right when this one is not: the way through the network is the same.
    right = cases.results[-1].passed
    with cases("strides", weight=2):
        made = {}
        for block, layers in few.items():
            for paper in (False, True):
                made[f"ResNet({block}, {layers}, 5, stride_in_1x1={paper})"] = block, layers, 5, paper
            made[f"ResNet({block}, {layers})"] = block, layers, 1000, False
        plans(made)
    with cases("the paper's bottlenecks, training", weight=2):
        expect.that(right, "In training your network can be right only when it is in evaluation.")
        images = [cases.randn(3, 3, 40, 48), 2 * cases.randn(2, 3, 34, 64) + 1]
        make = "ResNet(Bottleneck, [1, 1, 1, 1], num_classes=4, stride_in_1x1=True)"
        seen, wanted = pair(make, ("Bottleneck", (1, 1, 1, 1), 4, True), images, training=True, dropout=True)
        _same(seen, wanted, "In training mode your network gives other logits. It has no dropout.")
        for name, value in wanted.buffers.items():
            expect.that(name in seen.buffers, f"The buffer {name} is missing.")
            hint = f"After two batches in training {name} is wrong: nn.BatchNorm2d with its defaults, each used once."
            expect.close(seen.buffers[name], value, hint, what=name, rtol=1e-8)
    with cases("the five networks", weight=2):
        plans({f"{name}()": (block, layers, 1000, False) for name, (block, layers) in NAMED.items()})
    with cases("their settings", weight=2):
        made = {}
        for name, (block, layers) in NAMED.items():
            made[f"{name}(num_classes=3, stride_in_1x1=True)"] = block, layers, 3, True
        plans(made)
    with cases("one of the five, evaluation"):
        # 12 to 60 million weights: one is enough, since the plans of all five are compared above.
        name, (block, layers) = list(NAMED.items())[cases.integer(0, 4)]
        expect.that(right, f"{name} can be right only when smaller networks are.")
        images = [cases.randn(1, 3, 32, 32, dtype=torch.float32)]
        seen, wanted = pair(f"{name}(3)", (block, tuple(layers), 3), images)
        expect.shape(seen.outputs[0], (1, 3), f"What comes out of {name}(3)")
        hint = f"With torchvision's weights your {name} gives other logits."
        expect.close(seen.outputs[0], wanted.outputs[0], hint, what="The result", rtol=1e-3)
    with cases("the start and the gradients", weight=2):
        _compare_start(student, cases, "ResNet(BasicBlock, [1, 1, 1, 1], num_classes=40)")


def _compare_start(student: Student, cases: Cases, make: str) -> None:
    """Expect He's normal start for convolutions, PyTorch's for the rest, and a gradient for every parameter.

    A convolution here has n >= 8192 weights. The mean of their squares, over its expectation, has a standard deviation
    of sqrt(2 / n) <= 0.016: one outside of 0.8 to 1.25 is 12 of those away. The fourth moment, over 3 times the squared
    second one, has sqrt(24 / n) / 3 <= 0.019, so that one below 0.8 is 10 away; a uniform distribution has 0.6.
    """
    start, trained, graded, kept = student.run(
        _START.replace("{make}", make),
        ["start", "trained", "graded", "kept"],
        seed=cases.integer(0, 2**30),
        images=cases.randn(4, 3, 32, 32, dtype=torch.float32),
    )
    expect.kind(start, list, "The list of parameters")
    expect.that(trained is True, "All parameters should be trained: requires_grad is True.")
    rows = {name: (shape, moments) for name, shape, moments in start}
    convolutions = {name: row for name, row in rows.items() if len(row[0]) == 4}
    known: dict[str, Callable[[int, int, int], float]] = {
        "Use the fan-out: the variance is 2 / (k * k * C_out), not 2 / (k * k * C_in).": lambda k, i, o: (
            2 / (k * k * i)
        ),
        "The convolutions still start as PyTorch starts them.": lambda k, i, o: 1 / (3 * k * k * i),
        "The variance of the convolutions' weights is twice as large: 2 / (k * k * C_out).": lambda k, i, o: (
            1 / (k * k * o)
        ),
        "2 / (k * k * C_out) is the variance, not the standard deviation.": lambda k, i, o: (2 / (k * k * o)) ** 2,
        "The variance follows the fan-out (He), not the mean of fan-in and fan-out (Glorot).": lambda k, i, o: (
            2 / (k * k * (i + o))
        ),
        "The number of pixels of the kernel, k * k, belongs to the fan-out.": lambda k, i, o: 2 / o,
    }

    def near(variance: Callable[[int, int, int], float]) -> bool:
        values = [second / variance(shape[2], shape[1], shape[0]) for shape, (_, second, _) in convolutions.values()]
        return all(0.8 < value < 1.25 for value in values)

    for name, (_, (first, second, _)) in convolutions.items():
        expect.that(first**2 <= 0.02 * second, f"The weights of {name} should have the mean 0.")
    if not near(lambda k, i, o: 2 / (k * k * o)):
        for hint, variance in known.items():
            expect.that(not near(variance), hint)
        for name, (shape, (_, second, _)) in convolutions.items():
            ratio = second * math.prod(shape) / shape[1] / 2
            hint = (
                f"The variance of the weights of {name} should be 2 / (k * k * C_out): every convolution, also those "
            )
            expect.that(0.8 < ratio < 1.25, hint + "in blocks and on shortcuts, starts like this.")
    for name, (_, (_, second, fourth)) in convolutions.items():
        hint = f"The weights of {name} should come from a normal distribution: yours has another shape."
        expect.that(fourth > 0.8 * 3 * second**2, hint)
    expect.that("fc.weight" in rows and "fc.bias" in rows, "The last layer is called fc, and has a bias.")
    bound = rows["fc.weight"][0][1] ** -0.5
    for name, least in (("fc.weight", 0.9), ("fc.bias", 0.1)):  # of 20,480 and of 40 numbers
        low, high, square = rows[name][1]
        hint = f"fc starts as PyTorch starts it: leave {name} as it is."
        expect.that(max(-low, high) <= 1.001 * bound and square > least * bound**2 / 3, hint)
    for name, (shape, (low, high, _)) in rows.items():
        if len(shape) == 1 and name != "fc.bias":
            value = 1.0 if name.endswith("weight") else 0.0
            expect.that(
                low == high == value, f"The scales of normalizations start at 1, their shifts at 0: mind {name}."
            )
    expect.that(type(graded) is list and not graded, "Some parameters get no gradient: nothing may be detached.")
    expect.that(kept is True, "Your network changes its images.")


# --- 4. small_resnet -------------------------------------------------------------------------------------------------


class _Small(nn.Module):
    """The network of section 4.2 with option A; :attr:`mistake` may hold a known mistake."""

    def __init__(self, n: int, num_classes: int, in_channels: int) -> None:
        super().__init__()
        plan = [(c, 2 if i == 0 and c > 16 else 1) for c in (16, 32, 64) for i in range(n)]
        widths = [in_channels, 16, *(c for c, _ in plan for _ in range(2))]
        self.strides = [1, *(s for _, stride in plan for s in (stride, 1))]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, 1, bias=False)
            for before, after, stride in zip(widths[:-1], widths[1:], self.strides, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.last = nn.Linear(64, num_classes)
        self.mistake: dict[str, Any] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        m = self.mistake
        x = self.norms[0](self.convolutions[0](x))
        x = m.get("stem", F.relu)(x)
        for i in range(1, len(self.convolutions), 2):
            stride = self.strides[i]
            out = m.get("middle", F.relu)(self.norms[i](self.convolutions[i](x)))
            out = self.norms[i + 1](self.convolutions[i + 1](out))
            more = out.shape[1] - x.shape[1]
            if more or stride > 1:
                shortcut = m.get("shortcut", _option_a)(x, more, stride)
            else:
                shortcut = m.get("identity", lambda x: x)(x)
            x = m.get("sum", lambda f, s: (f + s).relu())(out, shortcut)
        x = m.get("mean", lambda x: x.mean((2, 3)))(x)
        return m.get("end", lambda x: x)(self.last(x))

    @classmethod
    def mistaken(
        cls, n: int, num_classes: int, in_channels: int, images: torch.Tensor, seed: int
    ) -> Iterator[tuple[torch.Tensor, str]]:
        """Yield what networks with known mistakes make of images, each with its hint."""
        network = on_meta(lambda: cls(n, num_classes, in_channels))
        networks.in_order(networks.of(Network=lambda: network), "Network()", [images], seed)  # gives it its weights
        for network.mistake, hint in _SMALL:
            with torch.no_grad():
                yield network.eval()(images), hint


def _option_a(x: torch.Tensor, more: int, stride: int, first: int = 0, front: int = 0) -> torch.Tensor:
    """Take every stride-th pixel, from `first` on, and add `more` channels of zeros, `front` of them in front."""
    taken = x[:, :, first::stride, first::stride]
    zeros = [taken.new_zeros(len(x), k, *taken.shape[2:]) for k in (front, more - front)]
    return torch.cat([zeros[0], taken, zeros[1]], 1)


def _repeated(x: torch.Tensor, more: int, stride: int) -> torch.Tensor:
    taken = x[:, :, ::stride, ::stride]
    return torch.cat([taken, taken], 1) if more else taken


def _pooled(pool: Callable) -> Callable:
    return lambda x, more, stride: _option_a(pool(x, stride, ceil_mode=True), more, 1)


_PIXELS = "The shortcut takes every second row and column as they are"
_ZEROS = "The channels of zeros come behind those of x"
_SMALL: list[tuple[dict[str, Any], str]] = [
    ({"shortcut": lambda x, more, s: _option_a(x, more, s, front=more // 2)}, f"{_ZEROS}: half of yours are in front."),
    ({"shortcut": lambda x, more, s: _option_a(x, more, s, front=more)}, f"{_ZEROS}: yours are in front."),
    ({"shortcut": _repeated}, "The shortcut fills up with zeros, not with the same channels again."),
    ({"shortcut": lambda x, more, s: _option_a(x, more, s, first=1)}, "The shortcut begins with row 0 and column 0."),
    ({"shortcut": _pooled(F.avg_pool2d)}, f"{_PIXELS}: no mean of them."),
    ({"shortcut": _pooled(F.max_pool2d)}, f"{_PIXELS}: no maximum of them."),
    ({"shortcut": lambda x, more, s: 0.0}, "Where the size changes, your network has no shortcut."),
    ({"identity": lambda x: 0.0}, "Where the size stays, the shortcut is x itself: yours has none there."),
    ({"sum": lambda f, s: f.relu()}, "The shortcuts are missing: your network is the plain one."),
    ({"sum": lambda f, s: f + s}, "The ReLU after the addition is missing."),
    ({"sum": lambda f, s: f.relu() + s}, "The last ReLU of a block comes after the addition: none is before it."),
    ({"sum": lambda f, s: (s - f).relu()}, "Branch and shortcut are added."),
    ({"middle": lambda x: x}, "The ReLU between the two convolutions of a block is missing."),
    ({"stem": lambda x: x}, "The ReLU after the first convolution and its normalization is missing."),
    ({"stem": lambda x: F.max_pool2d(x.relu(), 3, 2, 1)}, "The stem has no pooling: images keep their size there."),
    ({"stem": lambda x: F.max_pool2d(x.relu(), 2)}, "The stem has no pooling: images keep their size there."),
    ({"mean": lambda x: x.amax((2, 3))}, "Behind the last stage comes the mean over all pixels, not the maximum."),
    ({"mean": lambda x: x.sum((2, 3))}, "Behind the last stage comes the mean over all pixels, not the sum."),
    ({"end": lambda x: x.softmax(1)}, "Return logits: the softmax belongs to the loss."),
    ({"end": lambda x: x.log_softmax(1)}, "Return logits: the softmax belongs to the loss."),
    ({"end": F.relu}, "No ReLU stands after the last layer: logits may be negative."),
]


def _compare_layers(seen: Any, n: int, classes: int, channels: int) -> None:
    """Expect the layers with weights that the text names, in the order of use."""
    expect.kind(seen, list, "The list of layers")
    kinds = [layer["kind"] for layer in seen]
    count, wanted = kinds.count("Conv2d"), 6 * n + 1
    hint = f"With n = {n} your network uses {count} nn.Conv2d, each counted once; it should use {wanted}."
    expect.that(count == wanted, hint + " Shortcuts have no parameters." * (count > wanted))
    count = kinds.count("BatchNorm2d")
    hint = f"With n = {n} your network uses {count} nn.BatchNorm2d, each counted once: one belongs to each convolution."
    expect.that(count == wanted, hint)
    expect.that(kinds.count("Linear") == 1, "There is one nn.Linear, at the end.")
    hint = "The order is convolution, normalization, and so on, and the linear layer at the end."
    expect.that(kinds == ["Conv2d", "BatchNorm2d"] * wanted + ["Linear"], hint)
    for i, layer in enumerate(layer for layer in seen if layer["kind"] == "Conv2d"):
        stage, inside = divmod(max(i - 1, 0), 2 * n)
        begins = i > 0 and stage > 0 and inside == 0
        where = f"Convolution {inside % 2 + 1} of block {inside // 2 + 1} in stage {stage + 1}" if i else "The stem"
        out = 16 * 2**stage
        before = channels if i == 0 else out // 2 if begins else out
        shape = tuple(layer["shape"])
        hint = f"{where} should have weights of the shape {(out, before, 3, 3)}; yours have {shape}."
        expect.that(shape == (out, before, 3, 3), hint)
        stride = 2 if begins else 1
        seen_stride = layer.get("stride")
        hint = f"{where} should have the stride {stride}; yours has {seen_stride}."
        expect.that(seen_stride == [stride, stride], hint)
        expect.that(layer["bias"] is False, f"{where} has no bias.")
        padded = layer.get("padding") in ([1, 1], "same")
        expect.that(padded and layer.get("dilation") == [1, 1], f"{where} has a padding of 1 and no dilation.")
    for layer in seen:
        if layer["kind"] == "BatchNorm2d":
            usual = layer["bias"] and layer.get("eps") == 1e-5
            expect.that(usual, "nn.BatchNorm2d is used with its defaults (eps, scale and shift).")
    shape, last = (classes, 64), seen[-1]
    hint = f"The last layer should have weights of the shape {shape}; yours have {tuple(last['shape'])}."
    expect.that(tuple(last["shape"]) == shape, hint)
    expect.that(last["bias"] is True, "The last layer has a bias.")


_NORMS = """
from torch import nn
from autograde.shapes import on_meta
network = on_meta(lambda: small_resnet(2))
norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
momenta = sorted({m.momentum for m in norms}, key=str)
tracked = all(m.track_running_stats for m in norms)
"""
_TRAINED = """
import torch
torch.manual_seed(seed)
network = small_resnet(2, 5, 3)
before = images.clone()
for p in network.parameters():
    torch.nn.init.normal_(p, std=0.2)
trained = all(p.requires_grad for p in network.parameters())
network.train()(images).square().mean().backward()
graded = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
kept = torch.equal(before, images)
"""
_SMALL_COUNTS = """
from autograde.shapes import on_meta
counts = [sum(p.numel() for p in on_meta(lambda: small_resnet(n)).parameters()) for n in depths]
"""


@functools.cache
def _small_count(n: int) -> int:
    """Return how many parameters the network has for 3 channels and 10 classes."""
    return counting.parameters(on_meta(lambda: _Small(n, 10, 3)))


_BAD = """
outcomes = []
for n in tried:
    try:
        small_resnet(n)
        outcomes.append(None)
    except NotImplementedError:
        raise
    except Exception as error:
        outcomes.append(type(error).__name__)
"""


@check
def small_resnet(student: Student, cases: Cases) -> None:
    """Compare layers, logits and counts with a network of the functions above."""
    seed = cases.integer(0, 2**30)

    def compare(n: int, classes: int, images: list, hint: str, training: bool = False, search: bool = False) -> None:
        channels = images[0].shape[1]
        make = f"small_resnet({n}, num_classes={classes}, in_channels={channels})"
        seen = networks.in_order(student, make, images, seed, training=training, dropout=True)
        _compare_layers(seen.layers, n, classes, channels)
        theirs = networks.of("small", n, classes, channels, Network=lambda: _Small(n, classes, channels))
        wanted = networks.in_order(theirs, "Network()", images, seed, training=training)
        for i, (one, right) in enumerate(zip(seen.outputs, wanted.outputs, strict=True)):
            expect.shape(one, tuple(right.shape), "What comes out, a row for each image and a column for each class,")
            expect.dtype(one, right.dtype)
            try:
                expect.close(one, right, hint, what="The result", rtol=1e-8)
            except expect.Unmet:
                if search and i == 0:
                    expect.no_mistake(one, _Small.mistaken(n, classes, channels, images[0], seed))
                raise

    hint = "with the same weights your network gives other logits than the one in the text."
    with cases("one block in each stage", weight=3):
        compare(1, cases.integer(3, 9), [cases.randn(3, 3, 32, 32)], f"With n = 1, {hint}", search=True)
    with cases("more blocks, 28 x 28 pixels", weight=2):
        compare(3, cases.integer(3, 9), [cases.randn(2, 1, 28, 28)], f"With n = 3, {hint}", search=True)
    with cases("other sizes and channels"):
        images = [cases.randn(2, 2, 19, 33), cases.randn(2, 2, 4, 4), cases.randn(1, 2, 26, 7)]
        compare(1, 4, images, "For images of other sizes, odd ones too, your network gives other logits.")
    with cases("training"):
        images = [cases.randn(4, 3, 20, 20), cases.randn(3, 3, 16, 12) * 2 + 1]
        compare(2, 5, images, "In training mode your network gives other logits: use nn.BatchNorm2d as it is.", True)
        momenta, tracked = student.run(_NORMS, ["momenta", "tracked"])
        expect.that(momenta == [0.1] and tracked is True, "nn.BatchNorm2d is used with its defaults (momentum).")
    with cases("gradients and images"):
        images = cases.randn(8, 3, 12, 12, dtype=torch.float32)
        graded, trained, kept = student.run(_TRAINED, ["graded", "trained", "kept"], seed=seed, images=images)
        expect.that(trained is True, "All parameters should be trained: requires_grad is True.")
        expect.that(type(graded) is list and not graded, "Some parameters get no gradient: nothing may be detached.")
        expect.that(kept is True, "Your network changes its images.")
    with cases("counts"):
        # The paper's table 6 has 0.27, 0.85 and 1.7 million for n = 3, 9 and 18.
        counts = student.run(_SMALL_COUNTS, "counts", depths=[1, 3, 9, 18])
        expect.sequence(counts, 4)
        for n, seen in zip((1, 3, 9, 18), counts, strict=True):
            wanted = _small_count(n)
            hint = (
                f"small_resnet({n}) should have {wanted:,} parameters for 3 channels and 10 classes; yours has {seen}."
            )
            expect.that(seen == wanted, hint)
    with cases("bad numbers of blocks"):
        outcomes = student.run(_BAD, "outcomes", tried=[0, -1, -5])
        expect.sequence(outcomes, 3)
        for n, outcome in zip((0, -1, -5), outcomes, strict=True):
            hint = f"n = {n} should raise a ValueError; yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)


# --- 5. layer_table --------------------------------------------------------------------------------------------------

# The models are made on both sides; the rows come back as tuples.
_MODELS = inspect.getsource(toy_networks)
_TABLE = (
    _MODELS
    + """
rows = layer_table(made(name, settings, dtype), size)
if type(rows) is list:
    rows = [tuple(row) if isinstance(row, (tuple, list)) else row for row in rows]
"""
)


def _theirs(model: nn.Module, size: Sequence[int]) -> list[tuple]:
    """Return the table that PyTorch's own counter gives."""
    rows = counting.layers(copy.deepcopy(model).float().eval(), size)
    return [(row.name, row.kind, row.shape, row.parameters, row.macs) for row in rows]


def _known(module: nn.Module, given: torch.Tensor, output: torch.Tensor) -> dict[str, dict[str, Any]]:
    """Return, for one use of a module, what usual mistakes write into its row: column -> mistake -> value."""
    out = math.prod(output.shape[1:])
    own = list(module.parameters(recurse=False))
    everything = sum(p.numel() for p in own)
    macs: dict[str, int] = {}
    if isinstance(module, nn.Conv2d):
        kernel, fan = math.prod(module.kernel_size), module.in_channels // module.groups
        right = out * fan * kernel
        macs = {
            "right": right,
            "groups": out * module.in_channels * kernel,
            "bias": right + out * (module.bias is not None),
            "no kernel": out * fan,
            "one side": out * fan * module.kernel_size[0],
            "square": out * fan * module.kernel_size[0] ** 2,
            "input": math.prod(given.shape[2:]) * module.out_channels * fan * kernel,
            "pixels": math.prod(output.shape[2:]) * fan * kernel,
            "no pixels": module.weight.numel(),
            "no linear": right,
        }
    elif isinstance(module, nn.Linear):
        right = out * module.in_features
        macs = {
            "right": right,
            "bias": right + out * (module.bias is not None),
            "rows": module.weight.numel(),
            "no linear": 0,
        }
    else:
        macs = {"right": 0, "elements": out}
    return {
        "macs": {**macs, "flops": 2 * macs["right"]},
        "parameters": {
            "every use": everything,
            "buffers": everything + sum(b.numel() for b in module.buffers()),
            "trained": sum(p.numel() for p in own if p.requires_grad),
            "weights": module.weight.numel() if own else 0,
        },
    }


_WORDS = {
    "macs": {
        "flops": "a MAC is one multiplication and one addition: count it once.",
        "groups": "with g groups each output channel sees only C_in / g input channels.",
        "bias": "a bias costs no MAC.",
        "no kernel": "the number of pixels of the kernel belongs to it.",
        "one side": "a kernel has height times width pixels.",
        "square": "a kernel's height and width may differ.",
        "input": "the pixels of the output count, not those of the input.",
        "pixels": "there is one sum of products for each output channel and pixel.",
        "no pixels": "every weight is used once for each output pixel or position.",
        "rows": "a linear layer is applied at every position of what comes in.",
        "no linear": "a linear layer has MACs, too.",
        "elements": "only convolutions and linear layers have MACs here; all other modules have 0.",
    },
    "parameters": {
        "every use": "a parameter that stood in a row before is not counted again.",
        "buffers": "buffers such as running statistics are no parameters.",
        "trained": "frozen parameters count, too.",
        "weights": "a bias is a parameter, too.",
    },
}


@functools.lru_cache(maxsize=64)  # one student's; for `autograde verify`, everybody's
def _rows(name: str, settings: tuple[int, ...], size: tuple[int, ...]) -> tuple[list[tuple], list[dict]]:
    """Return a model's right rows, and for each what usual mistakes write into it."""
    model, uses = toy_networks.made(name, settings), []

    def use(module: nn.Module, given: tuple, output: torch.Tensor) -> None:
        uses.append(_known(module, given[0], output))

    wanted = _theirs(model, size)
    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(use)
    first = next(model.parameters(), torch.empty(0))
    with torch.no_grad():
        shapes_of(lambda: model.eval()(torch.zeros(1, *size, dtype=first.dtype, device=first.device)))
    return wanted, uses


def _compare_table(seen: Any, name: str, settings: Sequence[int], size: Sequence[int], where: str) -> None:
    """Expect the rows that one image meets, column by column."""
    wanted, uses = _rows(name, tuple(settings), tuple(size))
    expect.kind(seen, list, "The table")
    for row in seen:
        expect.that(type(row) is tuple and len(row) == 5, "Each row has five values: a Row.")
    names, right = [row[0] for row in seen], [row[0] for row in wanted]
    if names != right:
        model = toy_networks.made(name, settings)
        modules = dict(model.named_modules())
        inner = [name for name in names if name in modules and list(modules[name].children())]
        expect.that(not inner, f"{where} Only leaves have rows, modules without modules inside: {inner[:1]} is none.")
        expect.that(
            names != list(dict.fromkeys(right)), f"{where} A module that is used twice has two rows: yours has one."
        )
        spare = [name for name in names if name not in right]
        everyone = {n for n, m in model.named_modules(remove_duplicate=False) if not list(m.children())}
        expect.that(
            not spare or not set(spare) <= everyone or modules.get(spare[0]) is None,
            f"{where} A module that is not used in the evaluation of one image has no row: {spare[:1]}.",
        )
        expect.that(
            not spare, f"{where} The name is the first one of model.named_modules(); {spare[:1]} should be another."
        )
        expect.that(sorted(names) != sorted(right), f"{where} The rows are in the order of use: yours have another.")
        expect.that(
            False, f"{where} There should be {len(right)} rows, one for each use of a leaf; yours has {len(names)}."
        )
    for i, (row, other, known) in enumerate(zip(seen, wanted, uses, strict=True)):
        at = f"{where} Row {i + 1} ({other[1]} {other[0]!r}): "
        expect.that(row[1] == other[1], f"{at}kind is the name of its class.")
        shape = row[2]
        whole = type(shape) in (tuple, list) and all(type(n) is int for n in shape)
        expect.that(whole, f"{at}shape is a tuple of integers.")
        expect.that(tuple(shape) != (1, *other[2]), f"{at}shape is for one image, without the examples' dimension.")
        expect.that(tuple(shape) == other[2], f"{at}shape should be that of the output.")
        for column, value, fitting in (("parameters", row[3], other[3]), ("macs", row[4], other[4])):
            expect.that(type(value) is int, f"{at}{column} should be an integer.")
            if value == fitting:
                continue
            for kind, words in _WORDS[column].items():
                expect.that(kind not in known[column] or value != known[column][kind], f"{at}{words}")
            expect.that(False, f"{at}{column} is wrong.")


@check
def layer_table(student: Student, cases: Cases) -> None:
    """Compare with PyTorch's own counter, and look for what is left behind."""
    settings = [cases.integer(2, 4), cases.integer(6, 8), cases.integer(2, 4), cases.integer(5, 9)]
    images = (settings[0], cases.integer(17, 22), cases.integer(19, 24))
    given: dict[str, Any] = {"before": _MODELS, "settings": settings}
    call, network = "layer_table(model, size)", "made('convolutions', settings)"

    def compare(name: str, size: Sequence[int], where: str, dtype: torch.dtype | None = None) -> list[tuple]:
        rows = student.run(_TABLE, "rows", name=name, settings=settings, size=tuple(size), dtype=dtype)
        _compare_table(rows, name, settings, size, where)
        return rows

    with cases("convolutions of every kind", weight=3):
        compare("convolutions", images, "A network with all kinds of convolutions.")
    with cases("modules that are used twice", weight=2):
        compare("twice", images, "A network whose modules are used twice.")
    with cases("more dimensions"):
        compare("words", (5, settings[0]), "Linear layers on inputs of the shape (N, T, C).")
    with cases("evaluation mode"):
        compare("modes", images, "A network in training mode, which has another way there.")
    with cases("other models"):
        compare("wide", images, "A class that inherits from nn.Conv2d is a convolution, too.")
        compare("bare", images, "A model without parameters.")
        compare("itself", (settings[0],), "A model that is a leaf itself has the name ''.")
        compare("twice", images, "A model in float64.", torch.float64)
    with cases("networks on the meta device"):
        rows = compare("resnet18", (3, 224, 224), "ResNet-18 on the meta device.")
        # What torchvision publishes with its weights, in billions.
        published = resnet.ResNet18_Weights.DEFAULT.meta
        expect.that(sum(row[3] for row in rows) == published["num_params"], "The parameters of ResNet-18 are wrong.")
        expect.that(
            round(sum(row[4] for row in rows) / 1e9, 3) == published["_ops"], "The MACs of ResNet-18 are wrong."
        )
    with cases("nothing left behind", weight=3):
        untouched.same_model(student, call, network, images, **given)
    with cases("when the model raises", weight=2):
        wider = (settings[0] + 1, *images[1:])
        untouched.same_model(student, call, network, wider, fits=images, error="RuntimeError", **given)
    with cases("shared and frozen parameters"):
        compare("tied", (settings[1],), "Two layers that share a weight, and a frozen one.")
    with cases("no graph"):
        untouched.no_graph(student, call, images, once=True)
    with cases("your own count"):
        untouched.no_counter(student, call, "made('twice', settings)", images, **given)
