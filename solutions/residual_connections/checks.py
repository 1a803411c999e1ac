"""The hidden checks of the assignment `residual_connections`.

The blocks are compared with torchvision's, in float64, from the same weights: outputs, running statistics, gradients.
The wrong values that usual mistakes give are computed with PyTorch's functions from those weights. All other inputs are
made of modules that the checks bring along, so that no exercise needs the answer to another.
"""

import contextlib
import math
from collections.abc import Sequence
from textwrap import dedent
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import NamespaceStudent, Student

#: Float64 arithmetic in another order differs by less than this; every mistake differs by more.
EXACT = {"rtol": 1e-9, "atol": 1e-9}
#: Nothing was computed: values that were only kept, or moved.
SAME = {"rtol": 0.0, "atol": 0.0}

FLOATS = (torch.float32, torch.float64, torch.bfloat16)

# --- 1. and 2. BasicBlock, Bottleneck --------------------------------------------------------------------------------

# `build` makes the student's block with given weights; nothing in it knows what the block is made of.
_BLOCK = """
import torch
from torch import nn
def build(state, settings):
    block = {name}(*settings).double()
    if state is not None:
        block.load_state_dict(state, strict=True)
    return block
def foreign(block):
    # Classes of torchvision's in the block, in what it derives from, or in what it borrows its forward from.
    kinds = [kind.__module__ for module in block.modules() for kind in type(module).__mro__]
    kinds += [getattr(type(module).forward, "__module__", "") or "" for module in block.modules()]
    return any(str(kind).split(".")[0] == "torchvision" for kind in kinds)
"""
_NAMES = "The names do not fit torchvision's, so its weights do not load: "


class _Kind:
    """One of the two kinds of block: the student's name for it, and torchvision's class."""

    def __init__(self, name: str, theirs: type[nn.Module]) -> None:
        self.name, self.theirs = name, theirs
        self.expansion = theirs.expansion
        self.last = 2 if name == "BasicBlock" else 3
        self.begin = _BLOCK.replace("{name}", name)

    def make(self, cases: Cases, settings: Sequence[int]) -> nn.Module:
        """Return torchvision's block with weights drawn from the cases, away from their starting values."""
        in_channels, channels, stride = settings
        out_channels = channels * self.expansion
        downsample = None
        if stride != 1 or in_channels != out_channels:
            downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        block = self.theirs(in_channels, channels, stride, downsample).double()
        with torch.no_grad():
            for name, value in block.state_dict().items():
                draw = cases.randn(*value.shape)
                if "num_batches" in name:
                    value.fill_(3)
                elif value.dim() > 1:
                    value.copy_(draw / math.sqrt(value[0].numel()))
                elif "running_var" in name or "weight" in name:
                    value.copy_((draw / 3).exp())
                else:
                    value.copy_(draw / 2)
        return block

    def same(self, cases: Cases) -> tuple[int, int, int]:
        """Return settings without a projection."""
        channels = cases.integer(3, 5)
        return channels * self.expansion, channels, 1

    def strided(self, cases: Cases) -> tuple[int, int, int]:
        """Return settings in which stride and channels change."""
        return cases.integer(3, 5), cases.integer(6, 7), 2

    def run(self, student: Student, code: str, returns: Sequence[str], **inputs: Any) -> tuple:
        """Run a snippet beside the student's class."""
        return student.run(self.begin + dedent(code), returns, **inputs)


def _mistaken(kind: _Kind, block: nn.Module, x: torch.Tensor, train: bool) -> list[tuple[torch.Tensor, str]]:
    """Return what usual mistakes make of x, from the same weights; those that fit the shapes."""
    s = {name: value.detach() for name, value in block.state_dict().items()}
    stride, last = block.stride, kind.last

    def conv(i: int | str, value: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = s["downsample.0.weight" if i == "d" else f"conv{i}.weight"]
        return F.conv2d(value, weight, stride=stride, padding=weight.shape[-1] // 2)

    def bn(i: int | str, value: torch.Tensor, train: bool = train) -> torch.Tensor:
        name = "downsample.1" if i == "d" else f"bn{i}"
        mean, var = s[f"{name}.running_mean"].clone(), s[f"{name}.running_var"].clone()
        return F.batch_norm(value, mean, var, s[f"{name}.weight"], s[f"{name}.bias"], train)

    projected = block.downsample is not None
    at = 1 if last == 2 else 2  # the layer that should have the stride
    relu = torch.relu

    def branch(first: int = 0, middle: str = "bn relu", until: int = last, x: torch.Tensor = x) -> torch.Tensor:
        """The branch with the stride in layer `first`, without what comes after the last normalization."""
        first = first or at
        for i in range(1, until + 1):
            x = conv(i, x, stride if i == first else 1)
            if i == until == last:
                return bn(i, x)
            if middle == "bn relu":
                x = relu(bn(i, x))
            elif middle == "relu bn":
                x = bn(i, relu(x))
            else:
                x = bn(i, x)
        return x

    def before_last() -> torch.Tensor:
        return conv(last, branch(until=last - 1), stride if at == last else 1)

    shortcut = bn("d", conv("d", x, stride)) if projected else x
    out = branch()
    order = "The order is convolution, normalization, ReLU; after the last normalization comes the sum, then the ReLU."
    list_ = [
        (lambda: out + shortcut, "The last ReLU is missing: it comes after the sum."),
        (lambda: relu(out) + shortcut, "The last ReLU comes after the sum: yours is on the branch alone."),
        (lambda: relu(relu(out) + shortcut), f"There is no ReLU between the branch's end and the sum. {order}"),
        (lambda: relu(out), "The shortcut is missing: yours returns the branch alone."),
        (lambda: out, "The shortcut and the last ReLU are missing: yours returns the branch alone."),
        (lambda: relu(out) + relu(shortcut), "Add first, then take the ReLU of the sum."),
        (
            lambda: relu(out + relu(shortcut)),
            "The shortcut has no ReLU of its own: x, or its projection, is added as it is.",
        ),
        (lambda: relu(shortcut), "The branch is missing: yours returns the shortcut alone."),
        (lambda: relu(out - shortcut), "The shortcut is added, not subtracted."),
        (lambda: relu(shortcut - out), "The branch is added, not subtracted."),
        (lambda: relu(out + 2 * shortcut), "The shortcut is added twice."),
        (lambda: relu(out * shortcut), "Branch and shortcut are added, not multiplied."),
        (lambda: relu((out + shortcut) / 2), "Branch and shortcut are added, not averaged."),
        (lambda: relu(branch(middle="relu bn") + shortcut), f"A ReLU comes before its normalization in yours. {order}"),
        (lambda: relu(branch(middle="bn") + shortcut), "There is no ReLU inside of the branch in yours."),
        (
            lambda: relu(bn(last, before_last() + shortcut)),
            "The last normalization comes before the sum: yours normalizes the shortcut too.",
        ),
        (lambda: relu(before_last() + shortcut), f"The last normalization, bn{last}, is not used."),
        (lambda: relu(out + branch(until=1)), "The shortcut starts at x, not in the middle of the branch."),
        (lambda: relu(out + branch(until=last - 1)), "The shortcut starts at x, not in the middle of the branch."),
    ]
    if last == 3:
        list_ += [
            (
                lambda: relu(branch(first=1) + shortcut),
                "The stride is in the first 1x1 convolution, as in the paper: here it belongs into the 3x3 one, conv2.",
            ),
            (lambda: relu(branch(first=3) + shortcut), "The stride is in the last convolution: it belongs into conv2."),
            (
                lambda: relu(bn(3, conv(3, bn(2, conv(2, relu(bn(1, conv(1, x))), stride)))) + shortcut),
                "The ReLU after bn2 is missing: there are two inside of the branch.",
            ),
            (
                lambda: relu(bn(3, conv(3, relu(bn(2, conv(2, bn(1, conv(1, x)), stride))))) + shortcut),
                "The ReLU after bn1 is missing: there are two inside of the branch.",
            ),
        ]
    else:
        list_ += [
            (
                lambda: relu(branch(first=2) + shortcut),
                "The stride is in the second convolution: it belongs into conv1.",
            ),
            (
                lambda: relu(bn(1, conv(2, branch(until=1))) + shortcut),
                "bn1 is used twice: each convolution has a normalization of its own.",
            ),
            (
                lambda: relu(bn(2, conv(2, relu(bn(2, conv(1, x, stride))))) + shortcut),
                "bn2 is used twice: each convolution has a normalization of its own.",
            ),
            (
                lambda: relu(bn(2, conv(1, branch(until=1))) + shortcut),
                "conv1 is used twice: each of the two convolutions has its own weights.",
            ),
            (
                lambda: conv(2, relu(bn(2, conv(1, relu(bn(1, x)), stride)))) + shortcut,
                f"This is the order of a later paper, with normalization and ReLU first. {order}",
            ),
        ]
    if projected:
        list_ += [
            (
                lambda: relu(out + conv("d", x, stride)),
                "The projection has a normalization: use downsample as a whole.",
            ),
            (
                lambda: relu(out + bn("d", conv("d", relu(x), stride))),
                "The projection starts at x itself, before any ReLU.",
            ),
        ]
    if train:
        hint = "In training mode the normalization uses the batch's own statistics: leave the modes to the layers."
        list_.append((lambda: relu(_with(block, x, False)), hint))
    else:
        hint = "In eval mode the normalization uses its running statistics: leave the modes to the layers."
        list_.append((lambda: relu(_with(block, x, True)), hint))
    found, wanted = [], relu(out + shortcut)
    for make, hint in list_:
        try:
            value = make()
        except RuntimeError:  # a mistake that is none with these shapes
            continue
        if value.shape == out.shape and not torch.allclose(value, wanted, rtol=1e-4, atol=1e-4):
            found.append((value, hint))
    return found


def _with(block: nn.Module, x: torch.Tensor, train: bool) -> torch.Tensor:
    """Return what torchvision's block gives in a mode; its state stays."""
    state = {name: value.clone() for name, value in block.state_dict().items()}
    mode = block.training
    with torch.no_grad():
        out = block.train(train)(x.clone())
        block.load_state_dict(state)
    block.train(mode)
    return out


def _state_keys(kind: _Kind, keys: Any, wanted: dict[str, Any], has: bool) -> None:
    """Expect the names of a state dict to be torchvision's; say which usual deviation there is."""
    expect.kind(keys, list, "The names in state_dict()")
    expect.that(all(isinstance(k, str) for k in keys), "The names in state_dict() should be strings.")
    projected = any(k.startswith("downsample") for k in wanted)
    extra, missing = sorted(set(keys) - set(wanted)), sorted(set(wanted) - set(keys))
    expect.that(bool(keys), "The block has no layers yet: make them in __init__, as attributes of self.")
    bias = [k for k in extra if k.endswith(".bias") and (k.startswith("conv") or k == "downsample.0.bias")]
    expect.that(not bias, f"{_NAMES}there is a {', a '.join(bias[:2])}. A convolution here has no bias (bias=False).")
    if not projected:
        expect.that(
            not any(k.startswith("downsample") for k in extra) and not has,
            "With stride 1 and channels that fit, x itself is the shortcut, and self.downsample is None; yours is not.",
        )
    elif not any(k.startswith("downsample") for k in keys):
        expect.that(
            False,
            "Where the stride is not 1, or in_channels is not channels * expansion, x needs a projection in "
            "self.downsample; yours has none.",
        )

    def shown(names: Sequence[str]) -> str:
        return ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")

    expect.that(not missing, f"{_NAMES}{shown(missing)} should be there, and {shown(extra) or 'nothing else'} is.")
    expect.that(not extra, f"{_NAMES}{shown(extra)} should not be there: nothing else has parameters or buffers.")


def _structure(student: Student, cases: Cases, kind: _Kind) -> None:
    """Expect names, shapes, starting values, the attribute downsample and the class's expansion."""
    e = kind.expansion
    c = cases.integer(2, 4)
    tried = [(c * e, c, 1), (c * e + 1, c, 1), (c, c + 2, 1), (c * e, c, 2), (c + 1, c, 3)]
    if e > 1:
        tried.append((c, c, 1))  # in_channels = channels is no reason to do without a projection
    keys, states, nones, expansion, borrowed, module, alike = kind.run(
        student,
        f"""
        keys, states, nones, borrowed, module = [], [], [], False, True
        for i, settings in enumerate(tried):
            block = {kind.name}(*settings) if i % 2 else {kind.name}(
                in_channels=settings[0], channels=settings[1], stride=settings[2]
            )
            module = module and isinstance(block, nn.Module)
            if not module:
                break
            borrowed = borrowed or foreign(block)
            keys.append(list(block.state_dict()))
            states.append(dict(block.state_dict()))
            shortcut = getattr(block, "downsample", 0)
            nones.append([shortcut is None, isinstance(shortcut, nn.Sequential)])
        expansion = {kind.name}.expansion
        short = {kind.name}({c * e}, {c})
        keys.append(list(short.state_dict()) if module else [])
        twin = {kind.name}({c * e}, {c})
        alike = module and any(
            n.startswith("conv") and torch.equal(v, short.state_dict()[n]) for n, v in twin.state_dict().items()
        )
        """,
        ["keys", "states", "nones", "expansion", "borrowed", "module", "alike"],
        tried=[list(t) for t in tried],
    )
    expect.that(module is True, f"{kind.name} should be an nn.Module.")
    expect.that(borrowed is False, "Your block is torchvision's: build it from nn.Conv2d and nn.BatchNorm2d.")
    expect.number(expansion, "expansion")
    expect.close(expansion, e, "The class's expansion should stay as it is given.")
    for value in (keys, states, nones):
        expect.kind(value, list)
    expect.that(len(states) == len(nones) == len(tried) == len(keys) - 1, "The block could not be made.")
    for settings, names, state, none in zip(tried, keys, states, nones, strict=False):
        wanted = kind.make(cases, settings).state_dict()
        expect.kind(none, list)
        _state_keys(kind, names, dict(wanted), "downsample.0.weight" not in wanted and none[:1] != [True])
        if "downsample.0.weight" in wanted:
            expect.that(none[1:] == [True], "self.downsample should be an nn.Sequential where there is a projection.")
        expect.kind(state, dict)
        for name, value in wanted.items():
            expect.shape(state.get(name), tuple(value.shape), f"The block's {name}")
            if name.endswith("num_batches_tracked"):
                continue
            if value.dim() == 1:
                ones = name.endswith(("weight", "running_var"))
                expect.close(
                    state[name],
                    torch.ones_like(value) if ones else torch.zeros_like(value),
                    f"{name} should start as PyTorch starts it: leave the layers' starting values as they are.",
                    **SAME,
                )
            else:
                bound = 1 / math.sqrt(value[0].numel())  # nn.Conv2d draws uniformly within this
                hint = f"{name} should start as PyTorch starts it: leave the layers' starting values as they are."
                seen = state[name].double().abs()
                expect.that(bool((seen <= bound * (1 + 1e-6)).all()), hint)
                # The largest of 4 weights or more is below a thousandth of the bound with probability 1e-12.
                expect.that(value.numel() < 4 or float(seen.max()) > 1e-3 * bound, hint)
    _state_keys(kind, keys[-1], dict(kind.make(cases, tried[0]).state_dict()), False)
    expect.that(alike is False, "Two new blocks have the same weights: set no seed in __init__, and share no layers.")


def _outputs(
    student: Student, cases: Cases, kind: _Kind, settings: tuple[int, int, int], train: bool, size: tuple[int, ...]
) -> None:
    """Expect one pass to give what torchvision's block gives from the same weights."""
    theirs = kind.make(cases, settings)
    x = cases.randn(size[0], settings[0], *size[1:])
    (out,) = kind.run(
        student,
        f"block = build(state, settings).train({train})\nout = block(x.clone())",
        ["out"],
        state=dict(theirs.state_dict()),
        settings=list(settings),
        x=x,
    )
    expect.that(out is not None, "forward returns nothing: return the ReLU of branch plus shortcut.")
    expect.dtype(out, x.dtype, "The output")
    expect.close(
        out,
        _with(theirs, x, train),
        "From the same weights, your block and torchvision's give different results: go through forward line by line.",
        _mistaken(kind, theirs, x, train),
        what="The output",
        **EXACT,
    )


_TRAINED = """
block = build(state, settings).train()
w = x.clone().requires_grad_()
first = block(w * 1)
first.backward(up)
grads = {n: None if p.grad is None else p.grad.clone() for n, p in block.named_parameters()}
grad = w.grad
second = block(x + 1).detach()
after = {n: v.clone() for n, v in block.state_dict().items()}
still = block.eval()(x).detach()
unmoved = all(torch.equal(after[n], v) for n, v in block.state_dict().items())
modes = [m.training for m in block.modules()]
"""


def _trained(student: Student, cases: Cases, kind: _Kind, settings: tuple[int, int, int], part: str) -> None:
    """Expect gradients (part "gradients") or running statistics (part "buffers") to be torchvision's."""
    theirs = kind.make(cases, settings)
    side = -(-6 // settings[2]), -(-5 // settings[2])
    x = cases.randn(4, settings[0], 6, 5)
    up = cases.randn(4, settings[1] * kind.expansion, *side)
    code, names = _TRAINED, ["grad", "grads", "after", "still", "unmoved", "modes"]
    inputs = {"state": dict(theirs.state_dict()), "settings": list(settings), "x": x, "up": up}
    seen = dict(zip(names, kind.run(student, code, names, **inputs), strict=True))
    reference = NamespaceStudent({"build": lambda state, settings: theirs})
    wanted = dict(zip(names, reference.run("import torch\n" + code, names, **inputs), strict=True))
    if part == "buffers":
        expect.kind(seen["after"], dict)
        for name, value in wanted["after"].items():
            hint = f"After two passes in training mode, {name} is not what it should be: use each layer once in a pass."
            if "running" in name or "num_batches" in name:
                expect.close(seen["after"].get(name), value, hint, what=f"The buffer {name}", **EXACT)
            else:
                expect.close(seen["after"].get(name), value, f"A pass changes {name}.", what=name, **SAME)
        expect.that(seen["unmoved"] is True, "In eval mode a pass should change no running statistics.")
        expect.kind(seen["modes"], list)
        expect.that(not any(seen["modes"]), "After block.eval(), some layers are in training mode again.")
        hint = "After two passes in training mode, the result in eval mode is not torchvision's."
        expect.close(seen["still"], wanted["still"], hint, what="The output in eval mode", **EXACT)
        return
    hint = "No gradient comes back to x: both the branch and the shortcut should belong to the graph."
    expect.that(seen["grad"] is not None, hint)
    alone = _branch_gradients(theirs, inputs)
    expect.close(
        seen["grad"],
        wanted["grad"],
        "The gradient that comes back to x is wrong: it should flow through the branch and through the shortcut.",
        [
            (alone, "The gradient flows through the branch only: do not detach the shortcut."),
            (wanted["grad"] - alone, "The gradient flows through the shortcut only: do not detach the branch."),
        ],
        what="The gradient of x",
        **EXACT,
    )
    expect.kind(seen["grads"], dict)
    for name, value in wanted["grads"].items():
        gradient = seen["grads"].get(name)
        expect.that(gradient is not None, f"{name} gets no gradient: its layer should be part of the graph.")
        hint = f"The gradient of {name} is wrong, though the values of the output may be right."
        expect.close(gradient, value, hint, what=f"The gradient of {name}", **EXACT)


def _branch_gradients(theirs: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
    """Return the gradient of x through the branch alone: what a detached shortcut leaves."""
    theirs.load_state_dict(inputs["state"])
    theirs.train()
    w = inputs["x"].clone().requires_grad_()
    keep = theirs.downsample
    shortcut = (keep(inputs["x"]) if keep is not None else inputs["x"]).detach()

    class _Given(nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            return shortcut

    theirs.downsample = _Given()
    theirs(w * 1).backward(inputs["up"])
    theirs.downsample = keep
    theirs.zero_grad()
    return w.grad


def _left_alone(student: Student, cases: Cases, kind: _Kind) -> None:
    """Expect the input to keep its values in both modes, and a second pass to give the same as the first."""
    states, tried, xs = [], [kind.same(cases), kind.strided(cases)], []
    for settings in tried:
        states.append(dict(kind.make(cases, settings).state_dict()))
        xs.append(cases.randn(2, settings[0], 5, 4))
    after, repeats = kind.run(
        student,
        """
        after, repeats = [], True
        for state, settings, x in zip(states, tried, xs):
            for mode in (True, False):
                block = build(state, settings).train(mode)
                given = x.clone()
                with torch.no_grad():
                    first = block(given).clone()
                    after.append(given.clone())
                    repeats = repeats and torch.equal(first, block(x.clone()))
                given = x.clone().requires_grad_()
                block(given * 1)
        """,
        ["after", "repeats"],
        states=states,
        tried=[list(t) for t in tried],
        xs=xs,
    )
    expect.sequence(after, 4)
    for seen, x in zip(after, (xs[0], xs[0], xs[1], xs[1]), strict=True):
        expect.close(
            seen,
            x,
            "Your block changes its input: make new tensors, without `x += ...` or a ReLU in place on x.",
            what="x, after the call,",
            **SAME,
        )
    expect.that(repeats is True, "A second pass with the same input gives another result.")


def _both_ways(student: Student, cases: Cases, kind: _Kind) -> None:
    """Expect the student's state dict to load into torchvision's block, which then gives the same."""
    for settings in (kind.same(cases), kind.strided(cases)):
        x = cases.randn(2, settings[0], 7, 5)
        state, out = kind.run(
            student,
            "block = build(None, settings)\nstate = dict(block.state_dict())\nout = block.eval()(x)",
            ["state", "out"],
            settings=list(settings),
            x=x,
        )
        theirs = kind.make(cases, settings)
        _state_keys(kind, list(state) if isinstance(state, dict) else [], dict(theirs.state_dict()), False)
        for name, value in theirs.state_dict().items():
            expect.shape(state[name], tuple(value.shape), f"The block's {name}")
            expect.that(bool(torch.isfinite(state[name]).all()), f"{name} contains nan or inf.")
        theirs.load_state_dict(state, strict=True)
        hint = "Your weights, loaded into torchvision's block, give another result than in yours."
        expect.close(out, _with(theirs, x, False), hint, what="The output", **EXACT)


def _views(student: Student, cases: Cases, kind: _Kind) -> None:
    """Expect float32, a batch of one, and inputs that are views."""
    settings = kind.strided(cases)
    theirs = kind.make(cases, settings).eval()
    x = cases.randn(3, settings[0], 9, 8)
    out, single, view, tall = kind.run(
        student,
        """
        block = build(state, settings).eval()
        single, view, tall = block(x[:1]), block(x.transpose(2, 3)), block(x[:, :, ::2, 1:])
        out = block.float()(x.float())
        """,
        ["out", "single", "view", "tall"],
        state=dict(theirs.state_dict()),
        settings=list(settings),
        x=x,
    )
    for seen, given, what in ((single, x[:1], "a batch of one"), (view, x.transpose(2, 3), "a transposed input")):
        expect.close(seen, _with(theirs, given, False), f"The result is wrong for {what}.", what="The output", **EXACT)
    tall_x = x[:, :, ::2, 1:]
    expect.close(tall, _with(theirs, tall_x, False), "The result is wrong for a part of a larger tensor.", **EXACT)
    expect.dtype(out, torch.float32, "The output")
    expect.close(
        out, _with(theirs, x, False), "The result is wrong in float32.", what="The output", rtol=1e-3, atol=1e-3
    )


def _block(student: Student, cases: Cases, kind: _Kind) -> None:
    """Check names, values, state, gradients and what is left alone."""
    e = kind.expansion
    with cases("names, shapes and starting values", weight=2):
        _structure(student, cases, kind)
    with cases("x as the shortcut", weight=2):
        _outputs(student, cases, kind, kind.same(cases), True, (4, 6, 5))
    with cases("a projection with stride 2", weight=2):
        _outputs(student, cases, kind, kind.strided(cases), True, (3, 7, 10))
    with cases("channels that change without a stride"):
        _outputs(student, cases, kind, (cases.integer(2, 3), 4, 1), True, (3, 5, 6))
    with cases("a stride without other channels"):
        channels = cases.integer(2, 3)
        for stride in (2, 3):
            _outputs(student, cases, kind, (channels * e, channels, stride), True, (3, 8, 7))
    with cases("eval mode"):
        _outputs(student, cases, kind, kind.same(cases), False, (2, 6, 5))
        _outputs(student, cases, kind, kind.strided(cases), False, (2, 7, 9))
    with cases("the input"):
        _left_alone(student, cases, kind)
    with cases("running statistics"):
        for settings in (kind.same(cases), kind.strided(cases)):
            _trained(student, cases, kind, settings, "buffers")
    with cases("gradients", weight=2):
        for settings in (kind.same(cases), kind.strided(cases)):
            _trained(student, cases, kind, settings, "gradients")
    with cases("weights from your block in torchvision's"):
        _both_ways(student, cases, kind)
    with cases("views and float32"):
        _views(student, cases, kind)


@check
def BasicBlock(student: Student, cases: Cases) -> None:
    """Compare with torchvision's BasicBlock."""
    _block(student, cases, _Kind("BasicBlock", resnet.BasicBlock))


@check
def Bottleneck(student: Student, cases: Cases) -> None:
    """Compare with torchvision's Bottleneck."""
    _block(student, cases, _Kind("Bottleneck", resnet.Bottleneck))


# --- 3. shortcut_a ---------------------------------------------------------------------------------------------------


def _option_a(x: torch.Tensor, out_channels: int, stride: int) -> torch.Tensor:
    """Return option A by its definition, element by element on lists of pixels."""
    n, c, h, w = x.shape
    result = torch.zeros(n, out_channels, -(-h // stride), -(-w // stride), dtype=x.dtype)
    for i in range(result.shape[2]):
        for j in range(result.shape[3]):
            result[:, :c, i, j] = x[:, :, stride * i, stride * j]
    return result


def _shortcut_mistakes(x: torch.Tensor, out_channels: int, stride: int) -> list[tuple[torch.Tensor, str]]:
    """Return what usual mistakes make of x, of whatever shape."""
    taken = x[:, :, ::stride, ::stride]
    new = out_channels - x.shape[1]

    def pad(value: torch.Tensor, before: int = 0) -> torch.Tensor:
        return F.pad(value, (0, 0, 0, 0, before, new - before))

    mistakes = []
    if new:
        hint = "The zeros come after the channels of x, all of them: "
        mistakes += [
            (pad(taken, new), f"{hint}yours stand in front."),
            (pad(taken, new // 2), f"{hint}yours stand on both sides."),
            (pad(taken, new - new // 2), f"{hint}yours stand on both sides."),
            (taken, "The channels that x does not have are missing: fill up with zeros."),
            (
                torch.cat([taken] * (out_channels // x.shape[1] + 1), dim=1)[:, :out_channels],
                "The new channels are zeros: yours repeat those of x.",
            ),
            (
                taken.repeat_interleave(-(-out_channels // x.shape[1]), dim=1)[:, :out_channels],
                "The new channels are zeros: yours repeat those of x.",
            ),
            (F.pad(taken, (0, 0, 0, 0, 0, new), value=1.0), "The new channels are zeros, not ones."),
        ]
    if stride > 1:
        mean = "Pixels are taken as they are: yours are means of several."
        side = tuple(taken.shape[2:])
        most = "Pixels are taken as they are: yours are the largest of several."
        pooled = [
            (lambda: F.avg_pool2d(x, stride), mean),
            (lambda: F.avg_pool2d(x, stride, ceil_mode=True), mean),
            (lambda: F.adaptive_avg_pool2d(x, side), mean),
            (lambda: F.interpolate(x, size=side, mode="bilinear"), mean),
            (lambda: F.max_pool2d(x, stride), most),
            (lambda: F.max_pool2d(x, stride, ceil_mode=True), most),
            (lambda: x[:, :, 1::stride, 1::stride], "Start with the first row and column: yours with the second."),
            (
                lambda: x[:, :, stride - 1 :: stride, stride - 1 :: stride],
                "Start with the first row and column: yours starts with a later one.",
            ),
            (
                lambda: taken[:, :, : x.shape[2] // stride, : x.shape[3] // stride],
                "The last row or column is missing: a side of 7 gives 4 with stride 2 (round up).",
            ),
            (
                lambda: F.interpolate(x, size=side),
                "Take every stride-th row and column, from the first on: yours are not evenly spaced.",
            ),
            (lambda: x[:, :, ::stride], "Columns are skipped too, not rows alone."),
            (lambda: x[:, :, :, ::stride], "Rows are skipped too, not columns alone."),
            (lambda: x[:, :, : side[0], : side[1]], "Take every stride-th row and column, not just the first ones."),
            (lambda: x, "The stride is not used: take every stride-th row and column."),
        ]
        for make, hint in pooled:
            with contextlib.suppress(RuntimeError):  # a window larger than the image
                mistakes.append((pad(make()), hint))
    return mistakes


@check
def shortcut_a(student: Student, cases: Cases) -> None:
    """Compare with the definition, pixel by pixel."""

    def compare(shape: Sequence[int], out_channels: int, stride: int, hint: str) -> None:
        x = cases.randn(*shape)
        (out,) = student.run(
            "out = shortcut_a(x, out_channels, stride)", ["out"], x=x, out_channels=out_channels, stride=stride
        )
        expect.that(out is not None, "Your function returns nothing.")
        expect.close(out, _option_a(x, out_channels, stride), hint, _shortcut_mistakes(x, out_channels, stride), **SAME)

    c = cases.integer(2, 4)
    with cases("stride and channels", weight=2):
        compare((2, c, 6, 8), c + 3, 2, "Every second row and column of x, then channels of zeros.")
        compare((2, c, 6, 8), 2 * c, 2, "Every second row and column of x, then channels of zeros.")
    with cases("odd sides", weight=2):
        for shape in ((2, c, 7, 7), (1, c, 9, 4), (3, c, 1, 5)):
            compare(shape, c + 2, 2, f"For an input of shape {shape} with stride 2 the pixels are wrong: round up.")
    with cases("other strides"):
        for stride in (3, 4, 9):
            compare((2, c, 8, 7), c + 4, stride, f"With stride {stride} the pixels are wrong.")
    with cases("the stride alone"):
        compare((2, c, 7, 6), c, 2, "With as many channels as x has, no zeros come in: only pixels are skipped.")
    with cases("the channels alone"):
        compare((2, c, 5, 4), c + 1, 1, "With stride 1 every pixel stays, and zeros come in after the channels of x.")
        compare((2, 1, 5, 4), 7, 1, "With stride 1 every pixel stays, and zeros come in after the channels of x.")
    with cases("nothing to do"):
        compare((2, c, 5, 4), c, 1, "With stride 1 and the channels of x, the values are those of x.")
    with cases("the input"):
        x = cases.randn(2, c, 5, 6)
        after, shared = student.run(
            """
given = x.clone()
out = shortcut_a(given, c + 2, 2)
after = given.clone()
shared = out.requires_grad
""",
            ["after", "shared"],
            x=x,
            c=c,
        )
        expect.close(after, x, "Your function changes x.", what="x, after the call,", **SAME)
        expect.that(shared is False, "There is nothing to learn here: the result requires grad, but x does not.")
    with cases("dtypes and views"):
        xs = [cases.randn(2, c, 7, 6, dtype=torch.float64).to(dtype) for dtype in FLOATS]
        outs, slanted = student.run(
            "outs = [shortcut_a(x, c + 2, 2) for x in xs]\n"
            "slanted = [shortcut_a(xs[1].transpose(2, 3), c + 2, 2), shortcut_a(xs[1][:, :-1, 1:], c + 2, 3)]",
            ["outs", "slanted"],
            xs=xs,
            c=c,
        )
        expect.sequence(outs, len(xs))
        for out, x in zip(outs, xs, strict=True):
            expect.dtype(out, x.dtype)
            expect.close(out, _option_a(x, c + 2, 2), f"The values are wrong in {x.dtype}.", **SAME)
        expect.sequence(slanted, 2)
        hint = "The values are wrong for a view of a larger tensor."
        expect.close(slanted[0], _option_a(xs[1].transpose(2, 3), c + 2, 2), hint, **SAME)
        expect.close(slanted[1], _option_a(xs[1][:, :-1, 1:], c + 2, 3), hint, **SAME)
    with cases("the gradient"):
        x = cases.randn(2, c, 7, 6)
        up = cases.randn(2, c + 2, 4, 3)
        (grad,) = student.run(
            """
w = x.clone().requires_grad_()
out = shortcut_a(w * 1, c + 2, 2)
if out.requires_grad:
    out.backward(up)
grad = w.grad
""",
            ["grad"],
            x=x,
            up=up,
            c=c,
        )
        expect.that(grad is not None, "No gradient comes back to x: the result should belong to its graph.")
        wanted = torch.zeros_like(x)
        wanted[:, :, ::2, ::2] = up[:, :c]
        hint = "The gradient should flow to the pixels that were taken, and to no other."
        expect.close(grad, wanted, hint, what="The gradient", **SAME)
    with cases("the device"):
        (device,) = student.run(
            """
import torch
try:
    device = shortcut_a(torch.empty(2, 3, 5, 5, device="meta"), 6, 2).device.type
except NotImplementedError as error:
    if not str(error):
        raise
    device = "other"
except RuntimeError as error:
    device = "other"
""",
            ["device"],
        )
        expect.that(device == "meta", "The zeros should be on x's device, or yours fails on a GPU (device=x.device).")
    with cases("bad settings"):
        outcomes = student.run(
            """
import torch
outcomes = []
for out_channels, stride in tried:
    try:
        shortcut_a(torch.ones(2, 4, 5, 5), out_channels, stride)
        outcomes.append(None)
    except ValueError:
        outcomes.append("ValueError")
    except Exception as error:
        outcomes.append(type(error).__name__)
""",
            "outcomes",
            tried=[[3, 1], [2, 2], [0, 1], [4, 0], [6, -1], [5, -2], [4, 1], [4, 2], [6, 1]],
        )
        few, slow, fine = (
            "out_channels below the channels of x should raise a ValueError",
            "A stride below 1 should raise a ValueError",
            "These settings are allowed: nothing should be raised",
        )
        _expect_outcomes(outcomes, [("ValueError", few)] * 3 + [("ValueError", slow)] * 3 + [(None, fine)] * 3)


def _expect_outcomes(outcomes: Any, wanted: Sequence[tuple[str | None, str]]) -> None:
    """Expect each try to have raised what it should, by name, or nothing."""
    expect.sequence(outcomes, len(wanted))
    for outcome, (name, hint) in zip(outcomes, wanted, strict=True):
        expect.equal(outcome, name, f"{hint}; yours raised {outcome if isinstance(outcome, str) else 'nothing'}.")


# --- 4. zero_init_residual_ ------------------------------------------------------------------------------------------

# Blocks of the checks' own. None of their classes has the name of one of the notebook's, nor of torchvision's.
_BLOCKS = """
import torch
from torch import nn
class Two(nn.Module):
    # A block of two convolutions.
    def __init__(self, i, o, affine=True):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o, affine=affine)
        self.downsample = None
        if i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o))
    def forward(self, x):
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + (x if self.downsample is None else self.downsample(x)))
class Three(nn.Module):
    # A block of three.
    def __init__(self, i, o, affine=True):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, 3, 1, bias=False), nn.BatchNorm2d(3)
        self.conv2, self.bn2 = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
        self.conv3, self.bn3 = nn.Conv2d(3, o, 1, bias=False), nn.BatchNorm2d(o, affine=affine)
        self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o)) if i != o else None
    def forward(self, x):
        out = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        return torch.relu(self.bn3(self.conv3(out)) + (x if self.downsample is None else self.downsample(x)))
class Grouped(Two):
    # A block with another normalization.
    def __init__(self, c):
        super().__init__(c, c)
        self.bn1, self.bn2 = nn.GroupNorm(1, c), nn.GroupNorm(2, c)
class Plain(nn.Module):
    # The layers of a block, and no shortcut.
    def __init__(self, c, three=False):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
        if three:
            self.bn3 = nn.BatchNorm2d(c)
    def forward(self, x):
        return self.bn2(self.bn1(x))
class Named(nn.Module):
    # Blocks as attributes, in lists and in dicts.
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.bn2 = nn.BatchNorm2d(4)
        self.first = Two(4, 4)
        self.rest = nn.ModuleList([Three(4, 4), nn.ModuleDict({"a": nn.Sequential(nn.Sequential(Two(4, 6)))})])
        self.plain = nn.Sequential(Plain(6), Plain(6, three=True))
    def forward(self, x):
        x = self.rest[1]["a"](self.rest[0](self.first(self.bn2(self.stem(x)))))
        return self.plain(x)
class Outer(nn.Module):
    # A block whose branch holds blocks itself.
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(Two(4, 4), Three(4, 4))
        self.bn1, self.bn2, self.downsample = nn.BatchNorm2d(4), nn.BatchNorm2d(4), None
    def forward(self, x):
        return torch.relu(x + self.bn2(self.inner(self.bn1(x))))
def shake(model):
    # Everything away from its starting value, so that a change shows.
    torch.manual_seed(seed)
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5)
            else:
                value.fill_(7)
    return model.double()
def shot(model):
    return {n: v.detach().clone() for n, v in model.state_dict().items()}
"""

_GRADIENTS = "Gradients stay disabled, or enabled, after your function: use `with torch.no_grad():`."

#: The models and the parameters of each that become zeros.
_ZEROED = {
    "Two(4, 4)": ["bn2.weight"],
    "Two(3, 4)": ["bn2.weight"],
    "Three(4, 4)": ["bn3.weight"],
    "Three(3, 5)": ["bn3.weight"],
    "nn.Sequential(Two(4, 4), nn.Identity(), Three(4, 6))": ["0.bn2.weight", "2.bn3.weight"],
    "Named()": ["first.bn2.weight", "rest.0.bn3.weight", "rest.1.a.0.0.bn2.weight"],
    "Outer()": ["bn2.weight", "inner.0.bn2.weight", "inner.1.bn3.weight"],
    "nn.Sequential(Plain(4), Plain(4, three=True), nn.BatchNorm2d(4))": [],
    "nn.Linear(3, 2)": [],
    "nn.Sequential(Grouped(4), nn.GroupNorm(1, 4))": ["0.bn2.weight"],
}


def _zeroed(student: Student, seed: int, model: str, wanted: Sequence[str], unlike: str) -> None:
    """Expect exactly these parameters of a model to become zeros."""
    before, after = student.run(
        _BLOCKS + f"model = shake({model})\nbefore = shot(model)\nzero_init_residual_(model)\nafter = shot(model)",
        ["before", "after"],
        seed=seed,
    )
    expect.kind(before, dict)
    expect.kind(after, dict)
    expect.that(set(before) == set(after), "Your function adds to the model, or takes from it.")
    changed = {name for name in before if not _equal(before[name], after[name])}
    if wanted:
        expect.that(bool(changed), f"{unlike}: nothing became zero.")
    for name in sorted(changed - set(wanted)):
        part = name.rpartition(".")[2]
        if "downsample" in name:
            hint = "A weight in downsample changed: only the last normalization of the branch becomes zero."
        elif "running" in name or "num_batches" in name:
            hint = "Running statistics changed: only the weight of the last normalization becomes zero."
        elif part == "bias":
            hint = "A bias changed: only the weight (gamma) of the last normalization becomes zero."
        elif "conv" in name:
            hint = "The weights of a convolution changed: only a normalization's weight becomes zero."
        elif name.replace("bn2", "bn3") in wanted:
            hint = "A block with a bn3 ends in that: its bn2 stays as it is."
        elif not wanted or "plain" in name or "stem" in name or name == "bn2.weight":
            hint = (
                "A module without an attribute downsample is no residual block, whatever else it has; yours changes it."
            )
        elif "bn1" in name:
            hint = "bn1.weight changed: only the last normalization of a block becomes zero."
        else:
            hint = "A parameter changed that is not the weight of a block's last normalization."
        expect.that(False, hint)
    for name in wanted:
        expect.that(name in changed, f"{unlike}: the weight of a last normalization did not become zero.")
        value = after[name]
        expect.close(value, torch.zeros_like(value), "The weight of the last normalization should be zeros.", **SAME)


def _equal(one: Any, other: Any) -> bool:
    return (
        isinstance(one, torch.Tensor)
        and isinstance(other, torch.Tensor)
        and one.shape == other.shape
        and one.dtype == other.dtype
        and torch.equal(one, other)
    )


@check
def zero_init_residual_(student: Student, cases: Cases) -> None:
    """Run on models of the checks' own, and compare every parameter and buffer with what it was."""
    seed = cases.integer(0, 2**31)
    models = list(_ZEROED.items())
    with cases("two convolutions"):
        _zeroed(student, seed, *models[0], "In a block with bn1 and bn2 (ask for the attribute downsample)")
    with cases("three convolutions"):
        _zeroed(student, seed, *models[2], "In a block with bn1, bn2 and bn3 (ask for the attribute downsample)")
    with cases("with a projection", weight=2):
        for index in (1, 3):
            _zeroed(student, seed, *models[index], "In a block with a projection on the shortcut")
    with cases("inside of other modules", weight=2):
        for index in (4, 5):
            _zeroed(student, seed, *models[index], "In a model with blocks at several depths (model.modules() has all)")
    with cases("blocks inside of blocks"):
        _zeroed(student, seed, *models[6], "In a model that is a block itself, with blocks inside")
    with cases("no residual blocks"):
        for index in (7, 8):
            _zeroed(student, seed, *models[index], "")
    with cases("another normalization"):
        _zeroed(student, seed, *models[9], "A block's bn2 or bn3 counts whatever its class is, nn.GroupNorm for one")
    with cases("the block afterwards"):
        outs, wanted = student.run(
            _BLOCKS
            + """
outs, wanted = [], []
for block in (Two(4, 4), Three(4, 4)):
    zero_init_residual_(block)
    x = torch.randn(3, 4, 5, 5)
    outs.append(block.train()(x))
    wanted.append(torch.relu(x))
""",
            ["outs", "wanted"],
            seed=seed,
        )
        expect.sequence(outs, 2)
        for out, value in zip(outs, wanted, strict=True):
            expect.close(
                out, value, "At the start, a block should be a ReLU of its shortcut: its branch should give 0."
            )
    with cases("without a weight"), expect.explained("With affine=False there is no weight, and nothing to do."):
        for model, zeroed in (
            ("nn.Sequential(Two(4, 4, affine=False), Two(4, 4))", ["1.bn2.weight"]),
            ("nn.Sequential(Three(4, 4), Three(4, 4, affine=False))", ["0.bn3.weight"]),
        ):
            _zeroed(student, seed, model, zeroed, "In a model in which one block has affine=False")
    with cases("the same parameters", weight=2):
        same, learns, leaf, trained, enabled = student.run(
            _BLOCKS
            + """
model = shake(Named())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
ids = [id(p) for p in model.parameters()]
zero_init_residual_(model)
same = ids == [id(p) for p in model.parameters()]
learns = all(p.requires_grad for p in model.parameters())
leaf = all(p.is_leaf and p.grad_fn is None and isinstance(p, nn.Parameter) for p in model.parameters())
trained, enabled = False, torch.is_grad_enabled()
if learns and leaf and enabled:
    x = torch.randn(3, 2, 5, 5).double()
    model(x).square().mean().backward()
    optimizer.step()
    trained = bool((model.first.bn2.weight != 0).any())
""",
            ["same", "learns", "leaf", "trained", "enabled"],
            seed=seed,
        )
        expect.that(
            same is True,
            "The parameters are new objects, and an optimizer made before would miss them: change them in place.",
        )
        expect.that(enabled is True, _GRADIENTS)
        expect.that(learns is True, "requires_grad of a parameter changed.")
        expect.that(leaf is True, "A parameter belongs to a graph now: change it under torch.no_grad().")
        expect.that(
            trained is True, "After your function the zeros should learn: an optimizer's step does not move them."
        )
    with cases("frozen parameters"):
        frozen, zeros, grads = student.run(
            _BLOCKS
            + """
model = shake(nn.Sequential(Two(4, 4), Two(4, 4)))
model[0].bn2.weight.requires_grad_(False)
model[1].conv1.weight.requires_grad_(False)
for p in model.parameters():
    if p.requires_grad:
        p.grad = torch.full_like(p, 3.0)
before = [p.requires_grad for p in model.parameters()]
zero_init_residual_(model)
frozen = before == [p.requires_grad for p in model.parameters()]
zeros = [model[i].bn2.weight.detach().clone() for i in (0, 1)]
grads = all(p.grad is not None and bool((p.grad == 3).all()) for p in model.parameters() if p.requires_grad)
""",
            ["frozen", "zeros", "grads"],
            seed=seed,
        )
        expect.that(frozen is True, "requires_grad of a parameter changed: frozen ones stay frozen.")
        expect.sequence(zeros, 2)
        for value in zeros:
            expect.close(value, torch.zeros(4, dtype=torch.float64), "A frozen weight becomes zeros too.", **SAME)
        expect.that(grads is True, "The grad of a parameter changed: leave it as it was.")
    with cases("modes"):
        kept, enabled = student.run(
            _BLOCKS
            + """
model = shake(Named())
model.first.eval()
model.rest[0].bn3.training = False
before = [m.training for m in model.modules()]
zero_init_residual_(model)
kept = before == [m.training for m in model.modules()]
model.eval()
zero_init_residual_(model)
kept = kept and not any(m.training for m in model.modules())
enabled = torch.is_grad_enabled()
with torch.no_grad():
    zero_init_residual_(model)
    enabled = enabled and not torch.is_grad_enabled()
""",
            ["kept", "enabled"],
            seed=seed,
        )
        expect.that(kept is True, "Your function changes the mode of a module.")
        expect.that(enabled is True, _GRADIENTS)
    with cases("what is returned"):
        kinds = student.run(
            _BLOCKS
            + """
kinds = []
for model in (Two(4, 4), nn.Sequential(Three(4, 4)), nn.Linear(2, 2)):
    out = zero_init_residual_(model)
    kinds.append("same" if out is model else "none" if out is None else "other")
""",
            "kinds",
            seed=seed,
        )
        expect.kind(kinds, list)
        expect.that("none" not in kinds, "Your function returns None: return the model.")
        expect.that(kinds == ["same"] * 3, "Return the very model that you were given, not a copy or a part of it.")


# --- 5. filter_normalized_direction ----------------------------------------------------------------------------------

_DIRECTION = """
import torch
from torch import nn
class Holder(nn.Module):
    # Parameters of given values, and a buffer.
    def __init__(self, values):
        super().__init__()
        self.list = nn.ParameterList([nn.Parameter(v.clone()) for v in values])
        self.register_buffer("count", torch.tensor(3))
def seeded(number):
    return torch.Generator().manual_seed(number)
def draw(model, generator):
    direction = filter_normalized_direction(model, generator)
    if isinstance(direction, (list, tuple)):
        return [d.detach().clone() if isinstance(d, torch.Tensor) else d for d in direction]
    return direction
"""


def _uneven(cases: Cases, *shape: int) -> torch.Tensor:
    """Draw weights whose filters have norms of several sizes, and whose columns do too."""
    value = cases.randn(*shape)
    value *= torch.logspace(-1, 1, shape[0], dtype=torch.float64).view(-1, *[1] * (len(shape) - 1))
    return value * torch.logspace(1, -1, shape[1], dtype=torch.float64).view(1, -1, *[1] * (len(shape) - 2))


def _norms(value: torch.Tensor) -> torch.Tensor:
    """Return the Frobenius norm of each slice along the first dimension."""
    return value.detach().double().flatten(1).square().sum(1).sqrt()


def _one_each(direction: Any, weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Expect a list with one finite tensor of its shape and dtype for each parameter."""
    expect.that(direction is not None, "Your function returns nothing: return the list of tensors.")
    expect.kind(direction, (list, tuple))
    expect.that(
        len(direction) == len(weights),
        f"There should be one tensor for each of the {len(weights)} parameters; yours are {len(direction)}.",
    )
    for d, w in zip(direction, weights, strict=True):
        expect.kind(d, torch.Tensor, "A part of the direction")
        expect.shape(d, tuple(w.shape), "A part of the direction")
        expect.that(
            bool(torch.isfinite(d.double()).all()),
            "The direction contains nan or inf: a filter that is all zeros gets zeros."
            if bool(torch.isnan(d.double()).any())
            else "The direction contains inf.",
        )
        expect.dtype(d, w.dtype, "A part of the direction")
    return list(direction)


def _lengths(d: torch.Tensor, w: torch.Tensor) -> None:
    """Expect each filter of d to be as long as that of w; know the usual other lengths."""
    seen, wanted = _norms(d), _norms(w)
    like = torch.ones_like(wanted)
    hint = "Each filter, d[k], should be as long as the model's, w[k]."
    empty = seen[wanted == 0]
    expect.close(empty, torch.zeros_like(empty), "A filter that is all zeros gets zeros.", **SAME)
    if w.dim() > 1:
        columns = (d.detach().double().transpose(0, 1).flatten(1), w.double().transpose(0, 1).flatten(1))
        across = torch.allclose(columns[0].norm(dim=1), columns[1].norm(dim=1), rtol=1e-4)
        right = torch.allclose(seen, wanted, rtol=1e-4)
        expect.that(not across or right, f"{hint} Yours are scaled along the second dimension: a filter is w[k].")
    expect.that(bool((d != 0).any()) or not bool((w != 0).any()), "The direction is zero where it should be random.")
    whole = abs(float(d.double().norm() / w.double().norm()) - 1) < 1e-4
    right = torch.allclose(seen, wanted, rtol=1e-4)
    expect.that(
        not whole or right, f"{hint} Yours has the length of the whole parameter, but each filter is scaled on its own."
    )
    expect.close(
        seen,
        wanted,
        hint,
        [
            (like, "Your filters have length 1: multiply each by the norm of the model's filter."),
            (wanted**2, "Your filters have the square of the norm: take the root."),
            (wanted.sqrt(), "Your filters have the root of the norm: the norm is already a root."),
            (1 / wanted, "Your filters are divided by the norm of the model's: multiply by it."),
            (like * wanted.mean(), "All filters have the same length in yours: each has that of its own filter."),
        ],
        what="The lengths of the filters",
        rtol=1e-4,
        atol=1e-9,
    )


def _share_bound(n: int) -> float:
    """Return how far the mean of n independent draws from [0, 1] may be from its expectation.

    Hoeffding: P(|mean - expectation| > t) <= 2 exp(-2 n t^2). That is 1e-11 at t = sqrt(ln(2e11) / (2 n)).
    """
    return math.sqrt(math.log(2e11) / (2 * n))


def _normal(d: torch.Tensor, w: torch.Tensor) -> None:
    """Expect the filters to be scaled draws from a normal distribution, independent of each other and of w.

    w has 80,000 elements, and neighbours differ by a factor of 100 along each dimension of a filter. A filter is scaled
    as a whole, so only what does not depend on its length is looked at. Signs are fair coins. The ratio of two normal
    draws is Cauchy's: its absolute value is below tan(pi / 8) with probability 1/4. Pairs are disjoint, hence
    independent. The bound on a share is 0.0128 for 80,000 signs and 0.0181 for 40,000 pairs, and a right answer is
    beyond one with probability 1e-11; there are fewer than 20 of them. Uniform draws in [-1, 1] have ratios with a
    share of 0.207, which is 0.043 off: 20 standard deviations, of which the bound takes 8. Random signs have a share of
    0, elements or kernels scaled by their weights one of nearly 0 or 1, and signs that are all alike one of 1.
    """
    d, w = d.detach().double(), w.double()
    n = d.numel()

    def share(condition: torch.Tensor) -> float:
        return condition.double().mean().item()

    half = len(d) // 2
    pairs = [(d[0::2], d[1::2], "filters"), (d[:half], d[half:], "filters")]
    for dim in range(1, d.dim()):
        along = d.transpose(0, dim)
        pairs.append((along[0::2], along[1::2], "elements of a filter"))
    # All elements that have no sign of their own, or one alone, are for the two that follow.
    mixed = 0 < share(d > 0) < 1
    for one, other, what in pairs:
        expect.that(
            not mixed or abs(share(one * other > 0) - 0.5) <= _share_bound(one.numel()),
            f"The {what} are not independent of each other: draw every element on its own.",
        )
    expect.that(
        abs(share(d > 0) - 0.5) <= _share_bound(n),
        "Half of the elements should be negative: draw from a normal distribution (torch.randn).",
    )
    limit = math.tan(math.pi / 8)
    for dim in range(1, d.dim()):
        one, other = d.transpose(0, dim)[0::2].abs(), d.transpose(0, dim)[1::2].abs()
        for small, large in ((one, other), (other, one)):
            expect.that(
                abs(share(small < limit * large) - 0.25) <= _share_bound(small.numel()),
                "Before it is scaled, each element of a filter should be a draw from the same normal distribution "
                "(torch.randn).",
            )
    expect.that(
        abs(share(d * w > 0) - 0.5) <= _share_bound(n),
        "The signs of the direction are not independent of the weights: draw it, do not make it from them.",
    )


@check
def filter_normalized_direction(student: Student, cases: Cases) -> None:
    """Check lengths filter by filter, what stays zero, where random numbers come from, and their distribution."""
    seed = cases.integer(0, 2**31)
    weights = [
        _uneven(cases, 5, 4, 3, 3),
        cases.randn(5),
        _uneven(cases, 6, 4),
        cases.randn(6),
        _uneven(cases, 3, 5, 2),
    ]
    code = _DIRECTION + "direction = draw(Holder(weights), seeded(seed))"

    def drawn(weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return _one_each(student.run(code, "direction", weights=list(weights), seed=seed), weights)

    with cases("shapes"):
        drawn(weights)
    with cases("the model and the graph", weight=2):
        before, after, graph, grads, ids, modes = student.run(
            _DIRECTION
            + """
model = Holder(weights)
model.list[1].requires_grad_(False)
model.list[2].grad = torch.full_like(model.list[2], 2.0)
model.eval()
before = [v.detach().clone() for v in model.state_dict().values()]
ids = [id(p) for p in model.parameters()]
flags = [p.requires_grad for p in model.parameters()]
direction = filter_normalized_direction(model, seeded(seed))
graph = any(d.requires_grad or d.grad_fn is not None for d in direction)
for d in direction:
    d.detach().add_(1)
after = [v.detach().clone() for v in model.state_dict().values()]
modes = not any(m.training for m in model.modules()) and torch.is_grad_enabled()
ids = ids == [id(p) for p in model.parameters()] and flags == [p.requires_grad for p in model.parameters()]
grads = bool((model.list[2].grad == 2).all()) and model.list[0].grad is None
""",
            ["before", "after", "graph", "grads", "ids", "modes"],
            weights=weights,
            seed=seed,
        )
        expect.sequence(after, len(before))
        for seen, was in zip(after, before, strict=True):
            expect.close(
                seen, was, "The model changes, at once or when the direction is changed: make new tensors.", **SAME
            )
        expect.that(graph is False, "The direction should be part of no graph: use p.detach() or torch.no_grad().")
        expect.that(ids is True, "Your function replaces a parameter, or changes its requires_grad.")
        expect.that(grads is True, "Your function changes the grad of a parameter.")
        expect.that(modes is True, "Your function changes the model's mode, or whether gradients are enabled.")
    with cases("the length of each filter", weight=3):
        for d, w in zip(drawn(weights), weights, strict=True):
            if w.dim() > 1:
                _lengths(d, w)
    with cases("biases and normalizations", weight=2):
        others = [*weights, cases.randn(), cases.randn(1), 2 * torch.ones(7, dtype=torch.float64)]
        for d, w in zip(drawn(others), others, strict=True):
            if w.dim() < 2:
                expect.close(d, torch.zeros_like(w), f"A parameter with {w.dim()} dimensions should get zeros.", **SAME)
    with cases("modules of PyTorch's"):
        (shapes, direction, values) = student.run(
            _DIRECTION
            + """
torch.manual_seed(seed)
model = nn.Sequential(
    nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Conv1d(3, 5, 2, bias=False), nn.LayerNorm([3, 4])),
    nn.Linear(5, 3), nn.Embedding(4, 6), nn.Conv2d(4, 4, 3, groups=4),
)
values = [p.detach().clone() for p in model.parameters()]
shapes = [list(v.shape) for v in values]
direction = draw(model, seeded(seed))
""",
            ["shapes", "direction", "values"],
            seed=seed,
        )
        expect.kind(shapes, list)
        for d, w in zip(_one_each(direction, values), values, strict=True):
            # The weight of nn.LayerNorm([3, 4]) has two dimensions: the rule goes by dimensions, not by classes.
            if w.dim() > 1:
                _lengths(d, w)
            else:
                expect.close(d, torch.zeros_like(w), "Biases and normalizations should get zeros.", **SAME)
    with cases("filters that are zero"):
        holes = [w.clone() for w in weights]
        holes[0][2] = 0
        holes[2][[0, 5]] = 0
        holes[4].zero_()
        for d, w in zip(drawn(holes), holes, strict=True):
            if w.dim() > 1:
                _lengths(d, w)
    with cases("the distribution", weight=2):
        # Neighbours differ by a factor of 100 along each dimension of a filter, so that what is scaled element by
        # element, or kernel by kernel, shows.
        uneven = torch.tensor([0.1, 10.0], dtype=torch.float64)
        wide = cases.randn(200, 400) * uneven.repeat(200)
        deep = cases.randn(200, 20, 2, 10) * uneven.repeat(10).view(-1, 1, 1) * uneven.view(2, 1) * uneven.repeat(5)
        for d, w in zip(drawn([wide, deep]), (wide, deep), strict=True):
            _normal(d, w)
    with cases("the generator", weight=2):
        same, others, moved, untouched, layers = student.run(
            _DIRECTION
            + """
model = Holder([*weights, weights[2]])
def alike(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other))
torch.default_generator.manual_seed(seed)
before = torch.get_rng_state()
one = seeded(seed)
first, second = draw(model, one), draw(model, one)
untouched = torch.equal(before, torch.get_rng_state())
torch.default_generator.manual_seed(seed + 7)
same = alike(first, draw(model, seeded(seed)))
others = alike(first, draw(model, seeded(seed + 1)))
moved = not alike(first, second)
layers = torch.equal(first[2], first[5])
""",
            ["same", "others", "moved", "untouched", "layers"],
            weights=weights,
            seed=seed,
        )
        expect.that(
            same is True,
            "Two generators with the same seed give different directions: draw everything from `generator`.",
        )
        expect.that(others is False, "Generators with different seeds give the same direction.")
        expect.that(
            moved is True, "Two calls with one generator give the same direction: it should move on, do not reseed it."
        )
        expect.that(
            layers is False, "Two parameters of the same shape get the same direction: do not reseed the generator."
        )
        expect.that(
            untouched is True, "PyTorch's global generator should be left alone: yours draws from it, or seeds it."
        )
    with cases("dtypes"):
        for dtype in (torch.float32, torch.float64):
            cast = [w.to(dtype) for w in weights]
            for d, w in zip(drawn(cast), cast, strict=True):
                if w.dim() > 1:
                    _lengths(d, w)
        half = [w.to(torch.bfloat16 if i % 2 else torch.float32) for i, w in enumerate(weights)]
        drawn(half)
    with cases("the device"):
        # On `meta`, which has shapes but no values. An answer that needs values to go on is let off; one that puts
        # its tensors elsewhere is not.
        devices = student.run(
            _DIRECTION
            + """
model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Linear(4, 5)).to("meta")
try:
    devices = [d.device.type for d in filter_normalized_direction(model, seeded(1))]
except NotImplementedError as error:
    if not str(error):
        raise
    devices = ["values"]
except RuntimeError as error:
    text = str(error)
    devices = ["values"] if "meta tensors" in text or "meta tensor;" in text else ["other"]
""",
            "devices",
        )
        expect.kind(devices, list)
        expect.that(
            devices == ["values"] or all(d == "meta" for d in devices),
            "Each tensor should be on its parameter's device: draw on the CPU, then move (.to(p.device)).",
        )


# --- 6. loss_surface -------------------------------------------------------------------------------------------------

# The loss is made of tanh, so that it says where every parameter is; `Waves.forward` has the same formula as `_waves`.
_SURFACE = """
import torch
from torch import nn
class Waves(nn.Module):
    # A loss of parameters of several shapes, one of which two modules share.
    def __init__(self, values, tied=False):
        super().__init__()
        self.list = nn.ParameterList([nn.Parameter(v.clone()) for v in values])
        self.inner = nn.Module()
        if tied:
            self.inner.again = self.list[0]
        self.register_buffer("count", torch.tensor(5))
        self.register_buffer("mean", torch.linspace(0.1, 0.3, 3).double())
        self.register_buffer("hidden", torch.tensor(0.7).double(), persistent=False)
    def forward(self):
        total = 0.0
        for k, p in enumerate(self.list):
            factors = torch.arange(1, p.numel() + 1, dtype=p.dtype).view(p.shape)
            total = total + (factors * torch.tanh(p + 0.1 * k)).sum()
        if hasattr(self.inner, "again"):
            total = total + self.inner.again.square().sum()
        return total
def surface_of(model, loss_fn, directions, grid):
    out = loss_surface(model, loss_fn, directions, grid)
    return out.detach().clone() if isinstance(out, torch.Tensor) else out
def record(model):
    return [v.detach().clone() for v in (*model.parameters(), *model.buffers())]
"""


def _waves(values: Sequence[torch.Tensor], tied: bool = False) -> float:
    """Return the loss of `Waves`, on the trusted side."""
    total = 0.0
    for k, p in enumerate(values):
        factors = torch.arange(1, p.numel() + 1, dtype=torch.float64).view(p.shape)
        total += float((factors * torch.tanh(p + 0.1 * k)).sum())
    return total + (float(values[0].square().sum()) if tied else 0.0)


def _table(values: Sequence[torch.Tensor], grid: Sequence[float], move: Any, tied: bool = False) -> torch.Tensor:
    """Return the losses where `move(w, k, a, b)` gives parameter k."""
    rows = [[_waves([move(w, k, a, b) for k, w in enumerate(values)], tied) for b in grid] for a in grid]
    return torch.tensor(rows, dtype=torch.float64).view(len(grid), len(grid))


def _surface_shape(surface: Any, n: int) -> None:
    """Expect losses for n coordinates, in float64."""
    expect.that(surface is not None, "Your function returns nothing: return the losses.")
    expect.kind(surface, torch.Tensor)
    expect.shape(surface, (n, n))
    expect.that(
        surface.dtype == torch.float64,
        f"The losses should be in float64, whatever the model is in; yours are {surface.dtype}.",
    )


class _Waves:
    """Weights, two directions and a grid, as a snippet needs them."""

    def __init__(self, cases: Cases) -> None:
        shapes = (3,), (2, 4), (2, 2, 3), ()
        self.weights = [cases.randn(*shape) / 2 for shape in shapes]
        self.first = [cases.randn(*shape) for shape in shapes]
        self.second = [cases.randn(*shape) for shape in shapes]
        # In no order, not symmetric, and without 0, so that each mistake gives values of its own.
        self.grid = [0.8, -0.3 + cases.uniform(0, 0.1), 0.45, -1.1 + cases.uniform(0, 0.1)]

    @property
    def inputs(self) -> dict[str, Any]:
        return {"weights": self.weights, "pair": [self.first, self.second], "grid": self.grid}

    def table(self, move: Any = None, grid: Sequence[float] | None = None, tied: bool = False) -> torch.Tensor:
        """Return the losses, or what a mistake makes of them; `move` sees w, d1, d2, a, b."""
        move = move or (lambda w, d1, d2, a, b: w + a * d1 + b * d2)
        return _table(
            self.weights,
            self.grid if grid is None else grid,
            lambda w, k, a, b: move(w, self.first[k], self.second[k], a, b),
            tied,
        )

    def walked(self, order: str) -> torch.Tensor:
        """Return what comes out when steps start where the point before ended, in each row or throughout."""
        n = len(self.grid)
        out = torch.empty(n, n, dtype=torch.float64)
        place = [w.clone() for w in self.weights]
        for i, a in enumerate(self.grid):
            if order == "rows":
                place = [w + a * d for w, d in zip(self.weights, self.first, strict=True)]
            for j, b in enumerate(self.grid):
                step = (0.0 if order == "rows" else a), b
                place = [
                    p + step[0] * d1 + step[1] * d2 for p, d1, d2 in zip(place, self.first, self.second, strict=True)
                ]
                out[i, j] = _waves(place)
        return out


# What loss_fn notes goes into lists outside, so that a copy of the model is as good as the model.
_NOTED = """
calls = []
def loss_fn(m):
    calls.append(torch.is_grad_enabled())
    return m()
"""

_MIXED = """
class Mixed(nn.Module):
    # Batch normalization, whose running statistics move in training mode, and modes of every kind.
    def __init__(self):
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.3), nn.Linear(4, 2)
        self.drop = nn.Sequential(nn.Dropout(0.0), nn.BatchNorm1d(4))
        self.register_buffer("seen", torch.zeros(2), persistent=False)
    def forward(self, x):
        if self.training:
            self.seen += 1
        return self.two(torch.tanh(self.drop(self.norm(self.one(x))))) * (1 + self.seen / 10)
def mixed(dtype=torch.float64):
    torch.manual_seed(seed)
    model = Mixed()
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                value.add_(torch.rand(value.shape))
    return model.to(dtype)
def two_directions(model):
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        [torch.randn(p.shape, generator=generator).to(p.dtype) for p in model.parameters()] for _ in range(2)
    )
"""


@check
def loss_surface(student: Student, cases: Cases) -> None:
    """Compare with losses computed point by point, and look for traces that the walk left."""
    waves = _Waves(cases)
    n = len(waves.grid)
    with cases("the losses", weight=3):
        surface = student.run(
            _SURFACE + "surface = surface_of(Waves(weights).double(), lambda m: m(), tuple(pair), grid)",
            "surface",
            **waves.inputs,
        )
        expect.that(surface is not None, "Your function returns nothing: return the losses.")
        expect.kind(surface, torch.Tensor)
        expect.shape(surface, (n, n))
        table, wanted = waves.table, waves.table()
        gone = "Every point starts at the model's own weights: yours starts where the point before ended."
        expect.close(
            surface.double(),
            wanted,
            "The loss at row i, column j should be that at w + grid[i] * first + grid[j] * second.",
            [
                (wanted.T, "Rows belong to the first direction and columns to the second: yours is transposed."),
                (table(lambda w, d1, d2, a, b: w + a * d1), "The second direction is not used."),
                (table(lambda w, d1, d2, a, b: w + b * d2), "The first direction is not used."),
                (table(lambda w, d1, d2, a, b: w + a * d1 + a * d2), "The column's coordinate is not used."),
                (table(lambda w, d1, d2, a, b: w + b * d1 + b * d2), "The row's coordinate is not used."),
                (table(lambda w, d1, d2, a, b: w - a * d1 - b * d2), "The directions are added to w, not subtracted."),
                (table(lambda w, d1, d2, a, b: a * d1 + b * d2), "The walk starts at w: yours starts at zero."),
                (table(lambda w, d1, d2, a, b: w), "The weights do not move: p.copy_ or p.add_ change them in place."),
                (
                    table(lambda w, d1, d2, a, b: w * (1 + a * d1 + b * d2)),
                    "The directions are added to w: yours multiply it.",
                ),
                (
                    table(lambda w, d1, d2, a, b: w * (1 + a * d1) * (1 + b * d2)),
                    "The directions are added to w: yours multiply it.",
                ),
                (table(lambda w, d1, d2, a, b: w + a * d1 + b * d1), "The first direction is used for both."),
                (table(lambda w, d1, d2, a, b: w + a * d2 + b * d2), "The second direction is used for both."),
                (
                    table(lambda w, d1, d2, a, b: w + a * b * d1 * d2),
                    "The two steps are added: yours are multiplied.",
                ),
                (table(lambda w, d1, d2, a, b: (1 - a - b) * w + a * d1 + b * d2), "Add to w, do not mix with it."),
                (waves.walked("rows"), gone),
                (waves.walked("points"), gone),
                (
                    wanted.float().double(),
                    "The losses are rounded to float32: make the result in float64 from the start.",
                ),
                (table(grid=sorted(waves.grid)), "The coordinates keep the order that the grid has: do not sort it."),
                (wanted.flip(0), "Rows are in the order of the grid, from the first on."),
                (wanted - _waves(waves.weights), "The result is the loss itself, not its change."),
            ],
            what="The surface",
            rtol=1e-10,
            atol=1e-10,
        )
        _surface_shape(surface, n)
    with cases("grids"):
        grids = [[0.3], [0.0, 0.0], [2, -1, 0], waves.grid]
        surfaces = student.run(
            _SURFACE
            + """
surfaces = [surface_of(Waves(weights), lambda m: m(), pair, g) for g in grids[:3]]
for g in (torch.tensor(grids[3]), torch.tensor(grids[3]).double(), torch.tensor([2, -1, 0])):
    surfaces.append(surface_of(Waves(weights), lambda m: m(), tuple(map(tuple, pair)), g))
""",
            "surfaces",
            grids=grids,
            **waves.inputs,
        )
        exact = torch.tensor(waves.grid, dtype=torch.float32).double().tolist()
        used = [*grids[:3], exact, exact, [2, -1, 0]]
        kinds = [
            "one number",
            "the same number twice",
            "integers",
            "a float32 tensor",
            "a float64 tensor",
            "integers",
        ]
        expect.sequence(surfaces, len(used))
        for surface, grid, kind in zip(surfaces, used, kinds, strict=True):
            _surface_shape(surface, len(grid))
            tolerance = 1e-6 if "tensor" in kind else 1e-10
            hint = f"The losses are wrong for a grid with {kind}."
            expect.close(surface, waves.table(grid=grid), hint, what="The surface", rtol=tolerance, atol=tolerance)
    with cases("calls of loss_fn"):
        calls, enabled, still = student.run(
            _SURFACE
            + _NOTED
            + "loss_surface(Waves(weights), loss_fn, pair, grid)\nenabled = torch.is_grad_enabled()\n"
            + "with torch.no_grad():\n    loss_surface(Waves(weights), lambda m: m(), pair, grid)\n"
            + "    still = torch.is_grad_enabled()",
            ["calls", "enabled", "still"],
            **waves.inputs,
        )
        expect.kind(calls, list)
        expect.that(
            len(calls) == n * n,
            f"Call loss_fn once for each point; for {n * n} points you called it {len(calls)} times.",
        )
        expect.that(not any(calls), "Gradients are recorded while loss_fn runs: use torch.no_grad().")
        expect.that(enabled is True, "Gradients stay disabled after your function: use `with torch.no_grad():`.")
        expect.that(still is False, "Called under torch.no_grad(), your function enables gradients.")
    with cases("shared and frozen parameters"):
        shared, frozen = student.run(
            _SURFACE
            + """
shared = surface_of(Waves(weights, tied=True), lambda m: m(), pair, grid)
frozen = surface_of(Waves(weights).requires_grad_(False), lambda m: m(), pair, grid)
""",
            ["shared", "frozen"],
            **waves.inputs,
        )
        hint = "A parameter that two modules share moves once: go through model.parameters(), which has it once."
        _surface_shape(shared, n)
        expect.close(shared, waves.table(tied=True), hint, what="The surface", rtol=1e-10, atol=1e-10)
        hint = "A frozen parameter (requires_grad=False) is moved too, like any other."
        _surface_shape(frozen, n)
        expect.close(frozen, waves.table(), hint, what="The surface", rtol=1e-10, atol=1e-10)
    with cases("inf and nan"):
        # Of 16 losses, the lowest five become nan and the highest five inf; the limits lie between two of them.
        wanted = waves.table()
        order = wanted.flatten().sort().values
        low, high = float(order[4:6].mean()), float(order[10:12].mean())
        surface = student.run(
            _SURFACE
            + """
def loss_fn(m):
    value = m()
    return torch.full_like(value, float("inf" if value > high else "nan")) if value > high or value < low else value
surface = surface_of(Waves(weights), loss_fn, pair, grid)
""",
            "surface",
            low=low,
            high=high,
            **waves.inputs,
        )
        _surface_shape(surface, n)
        wanted = torch.where(wanted > high, math.inf, torch.where(wanted < low, math.nan, wanted))
        expect.that(
            torch.equal(torch.isnan(surface), torch.isnan(wanted))
            and torch.equal(torch.isposinf(surface), torch.isposinf(wanted)),
            "A loss of inf or nan is a result too: keep it as it is.",
        )
        finite = torch.isfinite(wanted)
        expect.close(surface[finite], wanted[finite], "A loss of inf or nan changes others.", rtol=1e-10, atol=1e-10)
    with cases("the weights afterwards", weight=2):
        _weights_afterwards(student, waves)
    with cases("what the walk does to buffers and modes", weight=2):
        _mixed_points(student, cases)
    with cases("buffers and modes afterwards", weight=2):
        _mixed_afterwards(student, cases)
    with cases("when loss_fn raises", weight=2):
        _raising(student, cases)
    with cases("float32"):
        _single(student, waves)
    with cases("bad directions", weight=2):
        _bad_directions(student, waves)


def _weights_afterwards(student: Student, waves: _Waves) -> None:
    """Expect parameters, their flags and grads, buffers and directions to be what they were."""
    before, after, ids, flags, grads, pair = student.run(
        _SURFACE
        + """
before, after, ids, flags, grads = [], [], True, True, True
for dtype in (torch.float64, torch.float32):
    model = Waves(weights).to(dtype)
    model.list[1].requires_grad_(False)
    model.list[0].grad = torch.full_like(model.list[0], 2.0)
    old, wanted = [id(p) for p in model.parameters()], [p.requires_grad for p in model.parameters()]
    before.append(record(model))
    moved = [[d.to(dtype) for d in direction] for direction in pair]
    loss_surface(model, lambda m: m(), moved, grid)
    after.append(record(model))
    ids = ids and old == [id(p) for p in model.parameters()]
    flags = flags and wanted == [p.requires_grad for p in model.parameters()]
    grads = grads and all(
        p.grad is None if k else p.grad is not None and bool((p.grad == 2).all()) for k, p in enumerate(model.list)
    )
model = Waves(weights)
loss_surface(model, lambda m: m(), pair, grid)
""",
        ["before", "after", "ids", "flags", "grads", "pair"],
        **waves.inputs,
    )
    expect.sequence(before, 2)
    expect.sequence(after, 2)
    for seen, was in zip(after, before, strict=True):
        expect.sequence(seen, len(was))
        for one, other in zip(seen, was, strict=True):
            expect.close(one, other, "The weights are not back where they were.", rtol=1e-3, atol=1e-3)
            expect.close(
                one,
                other,
                "The weights are nearly back, but rounded: keep a copy, since subtracting does not undo adding.",
                **SAME,
            )
    expect.that(ids is True, "A parameter is another object afterwards: change it in place (p.copy_).")
    expect.that(flags is True, "requires_grad of a parameter changed.")
    expect.that(grads is True, "The grad of a parameter changed.")
    expect.sequence(pair, 2)
    for seen, was in zip(pair, (waves.first, waves.second), strict=True):
        expect.sequence(seen, len(was))
        for one, other in zip(seen, was, strict=True):
            expect.close(one, other, "Your function changes a direction: make new tensors.", **SAME)


# A loss that changes buffers and modes before it is computed.
_MOVING = """
modes = []
def loss_fn(m):
    modes.append([k.training for k in m.modules()])
    if modes_too:
        m.train()
        m.drop.eval()
    m(x)
    m.eval() if modes_too else None
    return m(x).square().mean() + m.norm.running_var.sum() + m.norm.num_batches_tracked + m.seen.sum()
"""


def _mixed_points(student: Student, cases: Cases) -> None:
    """Expect every point to find the buffers and modes of the start."""
    inputs = {"seed": cases.integer(0, 2**31), "x": cases.randn(5, 3), "grid": [0.5, -0.7, 0.2]}
    for modes_too in (False, True):
        code = _SURFACE + _MIXED + _MOVING
        surface, modes, start = student.run(
            code
            + """
model = mixed()
model.two.eval()
start = [k.training for k in model.modules()]
surface = surface_of(model, loss_fn, two_directions(model), grid)
""",
            ["surface", "modes", "start"],
            modes_too=modes_too,
            **inputs,
        )
        # By the definition, on the trusted side: a new model for every point.
        wanted = NamespaceStudent({}).run(
            (_SURFACE + _MIXED + _MOVING).replace("loss_surface", "_")
            + """
rows = []
for a in grid:
    rows.append([])
    for b in grid:
        model = mixed()
        model.two.eval()
        with torch.no_grad():
            for p, d1, d2 in zip(model.parameters(), *two_directions(model)):
                p.copy_(p + a * d1 + b * d2)
            rows[-1].append(float(loss_fn(model)))
""",
            "rows",
            modes_too=modes_too,
            **inputs,
        )
        _surface_shape(surface, 3)
        expect.kind(modes, list)
        expect.kind(start, list)
        if modes_too:
            expect.that(
                all(m == start for m in modes),
                "Each call of loss_fn finds the modes that the call before left: put them back before every point.",
            )
        elif modes:
            expect.that(
                modes[0] == start, "loss_fn should find every module in the mode it was in: yours changes modes."
            )
        expect.close(
            surface,
            torch.tensor(wanted, dtype=torch.float64),
            "Each call of loss_fn should find the buffers (running statistics, counters, also those that state_dict() "
            "leaves out) as they were at the start; in yours they drift from point to point.",
            what="The surface",
            rtol=1e-9,
            atol=1e-9,
        )


def _mixed_afterwards(student: Student, cases: Cases) -> None:
    """Expect buffers and modes to be what they were, from several mixtures of modes."""
    for start in (
        "model.train()",
        "model.eval()",
        "model.train(); model.norm.eval()",
        "model.eval(); model.drop.train()",
    ):
        before, after, modes_before, modes_after = student.run(
            _SURFACE
            + _MIXED
            + _MOVING
            + f"""
model = mixed()
{start}
before, modes_before = record(model), [m.training for m in model.modules()]
loss_surface(model, loss_fn, two_directions(model), grid)
after, modes_after = record(model), [m.training for m in model.modules()]
""",
            ["before", "after", "modes_before", "modes_after"],
            modes_too=True,
            seed=cases.integer(0, 2**31),
            x=cases.randn(5, 3),
            grid=[0.4, -0.2],
        )
        expect.kind(modes_after, list)
        expect.that(
            modes_after == modes_before, "Some modules have another mode afterwards: remember the mode of each of them."
        )
        _traceless(before, after, "afterwards")


def _traceless(before: Any, after: Any, when: str) -> None:
    """Expect a model's parameters and buffers to be the same; `before` has all of them."""
    expect.kind(before, list)
    expect.sequence(after, len(before))
    for index, (one, other) in enumerate(zip(after, before, strict=True)):
        # Mixed has eight parameters and seven buffers.
        kind = "A weight" if index < 8 else "A buffer (running statistics, counters)"
        expect.close(one, other, f"{kind} is not what it was {when}: put copies back.", **SAME)


def _raising(student: Student, cases: Cases) -> None:
    """Expect the error of loss_fn to reach the caller, and the model to be as it was."""
    for fails_at in (1, 5):
        kind, before, after, modes, enabled = student.run(
            _SURFACE
            + _MIXED
            + """
class Stumble(Exception):
    pass
count = []
def loss_fn(m):
    count.append(1)
    m.train()
    value = m(x).square().mean()
    if len(count) == fails_at:
        raise Stumble()
    return value
model = mixed()
model.norm.eval()
before, modes = record(model), [m.training for m in model.modules()]
kind = None
try:
    loss_surface(model, loss_fn, two_directions(model), grid)
except Stumble:
    kind = "Stumble"
after, modes = record(model), modes == [m.training for m in model.modules()]
enabled = torch.is_grad_enabled()
""",
            ["kind", "before", "after", "modes", "enabled"],
            fails_at=fails_at,
            seed=cases.integer(0, 2**31),
            x=cases.randn(5, 3),
            grid=[0.4, -0.2, 0.9],
        )
        expect.that(kind == "Stumble", "When loss_fn raises, let the error go on to the caller.")
        _traceless(before, after, "when loss_fn raises (use try and finally)")
        expect.that(modes is True, "When loss_fn raises, put the modes back all the same (finally).")
        expect.that(enabled is True, "When loss_fn raises, gradients stay disabled after yours.")


def _single(student: Student, waves: _Waves) -> None:
    """Expect a float32 model to stay in float32, and its losses to be right."""
    surface, dtypes = student.run(
        _SURFACE
        + """
model = Waves([w.float() for w in weights]).float()
dtypes = []
def loss_fn(m):
    dtypes.extend(str(p.dtype) for p in m.parameters())
    return m()
surface = surface_of(model, loss_fn, [[d.float() for d in direction] for direction in pair], grid)
""",
        ["surface", "dtypes"],
        **waves.inputs,
    )
    _surface_shape(surface, len(waves.grid))
    expect.close(surface, waves.table(), "The losses of a float32 model are wrong.", rtol=1e-4, atol=1e-4)
    expect.kind(dtypes, list)
    expect.that(set(dtypes) <= {"torch.float32"}, "A float32 model should stay in float32 while it is moved.")


def _bad_directions(student: Student, waves: _Waves) -> None:
    """Expect a ValueError, before loss_fn is called, for directions that do not fit."""
    outcomes, calls, kept = student.run(
        _SURFACE
        + """
def change(index, edit):
    changed = [list(pair[0]), list(pair[1])]
    changed[index] = edit(changed[index])
    return changed
tried = [
    change(0, lambda d: d[:-1]),
    change(1, lambda d: d[:-1]),
    change(0, lambda d: d + [torch.zeros(2)]),
    change(1, lambda d: d + [torch.zeros(2)]),
    change(0, lambda d: [torch.zeros(1), *d[1:]]),
    change(1, lambda d: [d[0], torch.zeros(4, 2), *d[2:]]),
    change(1, lambda d: [*d[:-1], torch.zeros(1)]),
    change(0, lambda d: []),
    pair,
]
outcomes, calls, kept = [], [], True
for directions in tried:
    model = Waves(weights)
    before, count = record(model), []
    def loss_fn(m):
        count.append(1)
        return m()
    try:
        loss_surface(model, loss_fn, directions, grid)
        outcomes.append(None)
    except ValueError:
        outcomes.append("ValueError")
    except Exception as error:
        if type(error).__name__ == "NotImplementedError":
            raise
        outcomes.append(type(error).__name__)
    calls.append(len(count))
    kept = kept and all(torch.equal(a, b) for a, b in zip(before, record(model)))
""",
        ["outcomes", "calls", "kept"],
        **waves.inputs,
    )
    few = "A direction with fewer tensors than the model has parameters should raise a ValueError"
    many = "A direction with more tensors than the model has parameters should raise a ValueError"
    shape = (
        "A direction with a tensor of another shape than its parameter should raise a ValueError, even if it broadcasts"
    )
    wanted: list[tuple[str | None, str]] = [("ValueError", few)] * 2 + [("ValueError", many)] * 2
    wanted += [("ValueError", shape)] * 3 + [("ValueError", few), (None, "Directions that fit should raise nothing")]
    _expect_outcomes(outcomes, wanted)
    expect.kind(calls, list)
    expect.that(not any(calls[:-1]), "Look at the directions first: loss_fn is called before the ValueError comes.")
    expect.that(kept is True, "After the ValueError the weights are not what they were.")
