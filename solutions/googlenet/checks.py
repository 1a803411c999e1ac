"""The hidden checks of the assignment `googlenet`.

Pools are compared with PyTorch's, counts with PyTorch's own layers on the meta device. The module and the head are
compared in float64 with networks made here of PyTorch's layers, which get the same weights. The paper's network is made
of simple stand-ins for modules and heads, so that it is cheap and hangs on no other answer; torchvision's is compared
with torchvision.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models.googlenet import BasicConv2d

from autograde import expect, networks
from autograde.cases import Cases, check
from autograde.shapes import on_meta
from autograde.student import ReferenceStudent, Student, StudentError

#: Float64 arithmetic in another order differs by less than this; every mistake differs by more.
EXACT = {"rtol": 1e-8, "atol": 1e-9}
SAME = {"rtol": 0.0, "atol": 0.0}

#: Table 1 of the paper: in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj.
ROWS = {
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


class _Beside(Student):
    """A student beside whose names there is some code of the check's."""

    def __init__(self, student: Student, code: str) -> None:
        self._student, self._code = student, dedent(code)

    def exchange(self, request: bytes) -> bytes:
        return self._student.exchange(request)

    def source(self, name: str) -> str:
        return self._student.source(name)

    def run(self, code: str, returns: str | Sequence[str] = (), **inputs: Any) -> Any:
        return self._student.run(self._code + dedent(code), returns, **inputs)


def _compare_state(student: Student, make: str, wanted: Mapping[str, Sequence[int]]) -> None:
    """Expect a network with these parameters and buffers and no more, made of nothing of torchvision's."""
    code = """
        from autograde.shapes import on_meta
        network = on_meta(lambda: {make})
        names = [[name, list(value.shape)] for name, value in network.state_dict().items()]
        homes = sorted({kind.__module__ for m in network.modules() for kind in type(m).__mro__})
    """
    names, homes = student.run(dedent(code).replace("{make}", make), ["names", "homes"])
    expect.kind(names, list, "The state dict")
    found = {str(name): tuple(shape) for name, shape in names}
    missing, spare = [n for n in wanted if n not in found], [n for n in found if n not in wanted]

    def some(names: list[str]) -> str:
        return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")

    biases = [n for n in missing if n.endswith(".bias") and n.removesuffix("bias") + "weight" in found]
    expect.that(not biases, f"A bias is missing: there should be {some(biases)}.")
    expect.that(not missing, f"By the text there are {some(missing)}, and your network does not have them.")
    expect.that(not spare, f"Your network has {some(spare)}, which the text does not name.")
    for name, right in wanted.items():
        seen = found[name]
        expect.that(seen == tuple(right), f"{name} should have the shape {tuple(right)}, not {seen}.")
    foreign = [home for home in homes if isinstance(home, str) and home.split(".")[0] == "torchvision"]
    expect.that(not foreign, f"Build the network yourself, from torch.nn: yours uses {some(foreign)}.")


def _shapes(network: Callable[[], nn.Module]) -> dict[str, list[int]]:
    """Return the names and shapes in the state dict of a network made on the meta device."""
    return {name: list(value.shape) for name, value in on_meta(network).state_dict().items()}


#: What known mistakes give, computed when it is asked for, each with the hint for its student.
Mistakes = Iterable[tuple[Callable[[], Any], str]]


def _compare(
    seen: Any, wanted: torch.Tensor, hint: str, mistakes: Mistakes, what: str, tolerance: Mapping[str, float] = EXACT
) -> None:
    """Expect a tensor; ask what known mistakes give only when it is another one, one after the other."""
    try:
        expect.close(seen, wanted, hint, what=what, **tolerance)
    except expect.Unmet:
        for make, known in mistakes:
            with contextlib.suppress(StudentError):  # a mistake that is an error for these images is not this one
                expect.no_mistake(seen, [(make(), known)])
        raise
    for make, _ in mistakes if ReferenceStudent.ahead else ():
        with contextlib.suppress(StudentError):
            make()


# What a network made on the meta device keeps outside of its state dict (ImageNet's means, say) has no numbers there.
_FILLED = """
def filled(network, make, dtype):
    def missing(module):
        kept = {**module._buffers, **vars(module)}
        return [name for name, value in kept.items() if isinstance(value, torch.Tensor) and value.is_meta]
    if any(missing(module) for module in network.modules()):
        for module, own in zip(network.modules(), make().modules()):
            for name in missing(module):
                setattr(module, name, getattr(own, name).to(dtype))
    return network
"""

# Runs a network in training mode, in which the last layers give what enters them, plus 1: their weights are the
# identity. All other weights are positive and the same in a layer, so nothing that enters is 0 but what was dropped.
_DROPPED = """
import torch
from torch import nn
from autograde.shapes import on_meta
network = on_meta(lambda: {make})
state = {}
for name, like in network.state_dict().items():
    part = name.rsplit(".", 1)[-1]
    if name.removesuffix("." + part) in last:
        state[name] = torch.eye(1024) if part == "weight" else torch.ones(1024)
    elif like.dim() > 1:
        state[name] = torch.full((), 1 / like[0].numel()).expand(like.shape)
    else:
        state[name] = torch.ones(like.shape)
network.load_state_dict(state, strict=True, assign=True)
given = images.clone()
with torch.no_grad():
    outputs = network.train()(given)
outputs = [v - 1 for v in ([outputs] if isinstance(outputs, torch.Tensor) else outputs) if v is not None]
kept = torch.equal(given, images)
"""


def _dropped(student: Student, make: str, images: torch.Tensor, last: Sequence[str]) -> tuple[list, bool]:
    """Run a network whose last layers, of these names, have 1,024 inputs and outputs.

    Returns:
        What enters these layers, and whether its input kept its values.
    """
    code = _DROPPED.replace("{make}", make)
    outputs, kept = student.run(code, ["outputs", "kept"], images=images, last=list(last))
    expect.kind(outputs, list, "What the network returns in training mode")
    return outputs, kept is True


def _compare_dropout(
    outputs: Sequence[Any], expected: Sequence[tuple[float, str]], whole: Sequence[torch.Tensor] | None = None
) -> None:
    """Expect what enters each last layer in training to be dropped at a rate, and the rest to be scaled.

    With 4,000 numbers or more, a right rate is off by more than 6 standard deviations in one of 10^9 runs; a rate that
    is wrong by 0.1 is off by more than 10.

    Args:
        outputs: what enters the last layers.
        expected: for each its rate, and where that is.
        whole: what a network without dropout gives; without it the scale is not looked at.
    """
    expect.sequence(outputs, len(expected), "What the network returns in training mode")
    for number, (given, (p, where)) in enumerate(zip(outputs, expected, strict=True)):
        expect.kind(given, torch.Tensor, "A network's output")
        expect.that(given.dim() == 2 and given.shape[1] == 1024, "A network's output has a column for each class.")
        dropped = given == 0
        share = dropped.double().mean().item()
        expect.that(share > 0, f"In training nothing is dropped {where}.")
        hint = f"In training {share:.0%} of the numbers {where} are dropped; it should be {p:.0%}."
        expect.that(abs(share - p) < 6 * math.sqrt(p * (1 - p) / given.numel()), hint)
        if whole is not None:
            full = whole[number]
            expect.shape(given, tuple(full.shape), "A network's output")
            hint = f"What is not dropped {where} is divided by 1 - p, so that its mean stays."
            kept = {"what": "What is kept", "rtol": 1e-3, "atol": 1e-4}
            expect.close(given[~dropped], full[~dropped] / (1 - p), hint, **kept)


# --- 1. and 2. global_average_pool, global_max_pool ------------------------------------------------------------------


def _compare_pool(
    student: Student, cases: Cases, name: str, pool: Callable, mistakes: Callable[[torch.Tensor], list], hint: str
) -> None:
    """Expect a pooling to give the right numbers for any shape, strides and dtype, and the right gradient."""
    with cases("one number for each map", weight=2):
        x = cases.randn(3, 4, 6, 5) - 0.3
        expect.close(student.call(name, x), pool(x), hint, mistakes(x), **EXACT)
    with cases("other sizes"):
        for size in ((2, 3, 7, 7), (5, 2, 1, 9), (2, 4, 13, 1), (3, 2, 20, 31)):
            x = cases.randn(*size)
            known = mistakes(x) if 1 not in size else []
            expect.close(student.call(name, x), pool(x), f"For maps of {size[2]} x {size[3]}: {hint}", known, **EXACT)
    with cases("one of something"):
        for size in ((1, 3, 4, 4), (3, 1, 4, 4), (1, 1, 5, 5), (2, 3, 1, 1), (1, 1, 1, 1)):
            x = cases.randn(*size)
            seen = student.call(name, x)
            expect.shape(seen, size[:2], f"The result for {size}")
            expect.close(seen, pool(x), hint, **EXACT)
    with cases("other strides"):
        x = cases.randn(2, 3, 4, 5)
        code = f"""
            import torch
            results = [{name}(v) for v in (
                x.transpose(2, 3), x.to(memory_format=torch.channels_last), x[:, 1:, ::2], x.transpose(0, 1)
            )]
        """
        results = student.run(dedent(code), "results", x=x)
        expect.sequence(results, 4)
        for seen, given in zip(results, (x, x, x[:, 1:, ::2], x.transpose(0, 1)), strict=True):
            expect.close(seen, pool(given), f"x need not be contiguous. {hint}", **EXACT)
    with cases("gradient and input"):
        x, weight = cases.randn(2, 3, 4, 5), cases.randn(2, 3)
        code = f"""
            x = start.clone().requires_grad_()
            ({name}(x) * weight).sum().backward()
            grad = x.grad
            start_after = start.clone()
            {name}(start_after).add_(1.0)
        """
        grad, after = student.run(dedent(code), ["grad", "start_after"], start=x, weight=weight)
        leaf = x.clone().requires_grad_()
        (pool(leaf) * weight).sum().backward()
        expect.that(grad is not None, "No gradient comes through: compute with tensors that autograd follows.")
        expect.close(grad, leaf.grad, "The gradient is wrong: each map has its own.", what="The gradient", **EXACT)
        expect.close(after, x, "Your function changes its input, or returns a part of it: make a new tensor.", **SAME)
    with cases("other dtypes"):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            x = cases.randn(2, 3, 6, 6).to(dtype)
            seen = student.call(name, x)
            expect.dtype(seen, dtype)
            expect.close(seen, pool(x.double()), hint)


@check
def global_average_pool(student: Student, cases: Cases) -> None:
    """Compare with torch.nn.functional.adaptive_avg_pool2d in float64."""

    def pool(x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def mistakes(x: torch.Tensor) -> list[tuple[torch.Tensor, str]]:
        right = pool(x)
        return [
            (x.sum((2, 3)), "Divide the sum by the number of pixels."),
            (right[..., None, None], "The result has the shape (N, C): the last two dimensions go."),
            (x.amax((2, 3)), "The mean, not the maximum."),
            (x.flatten(2).median(2).values, "The mean, not the median."),
            (x.mean((1, 2)), "The mean is over the pixels, dimensions 2 and 3; the channels stay."),
            (x.mean((1, 2, 3)), "The channels stay: each map has its own mean."),
            (x.mean((0, 2, 3)), "The images stay: each map has its own mean."),
            (x.sum((2, 3)) / x.shape[2], "The number of pixels is H * W."),
            (x.sum((2, 3)) / x.shape[3], "The number of pixels is H * W."),
            (x.sum((2, 3)) / x.shape[2] ** 2, "The number of pixels is H * W: height and width may differ."),
            (x.mean(3), "The mean is over rows and columns, both."),
            (x.mean(2), "The mean is over rows and columns, both."),
        ]

    _compare_pool(student, cases, "global_average_pool", pool, mistakes, "The mean of all H * W numbers of a map.")
    with cases("float16 does not overflow"):
        x = (200 + 10 * cases.randn(2, 3, 56, 56)).half()
        seen = student.call("global_average_pool", x)
        hint = "The sum of a map can be larger than the largest float16: take the mean, not a sum and a division."
        expect.dtype(seen, torch.float16)
        expect.close(seen, pool(x.double()), hint)


@check
def global_max_pool(student: Student, cases: Cases) -> None:
    """Compare with torch.nn.functional.adaptive_max_pool2d in float64."""

    def pool(x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_max_pool2d(x, 1).flatten(1)

    def mistakes(x: torch.Tensor) -> list[tuple[torch.Tensor, str]]:
        right = pool(x)
        return [
            (right[..., None, None], "The result has the shape (N, C): the last two dimensions go."),
            (x.mean((2, 3)), "The maximum, not the mean."),
            (x.amin((2, 3)), "The largest number, not the smallest."),
            (x.abs().amax((2, 3)), "The largest number, not the largest absolute value."),
            (x.amax((1, 2)), "The maximum is over the pixels, dimensions 2 and 3; the channels stay."),
            (x.amax((1, 2, 3)), "The channels stay: each map has its own maximum."),
            (x.amax(3), "The maximum is over rows and columns, both."),
            (x.amax(2), "The maximum is over rows and columns, both."),
            (x.flatten(2).argmax(2).to(x), "Return the largest number, not its place."),
            (x.amax(3).mean(2), "The maximum is over rows and columns, both: there is no mean."),
        ]

    _compare_pool(student, cases, "global_max_pool", pool, mistakes, "The largest of all H * W numbers of a map.")
    with cases("negative and infinite numbers"):
        x = -1 - cases.randn(2, 3, 4, 5).abs()
        hint = "Where all numbers are negative, the largest is negative, too."
        expect.close(student.call("global_max_pool", x), pool(x), hint, **EXACT)
        x[0, 0] = -math.inf
        x[1, 2, 1, 1] = math.inf
        hint = "Infinite numbers are larger or smaller than all others."
        expect.close(student.call("global_max_pool", x), x.amax((2, 3)), hint, **EXACT)
    with cases("nan"):
        x = cases.randn(2, 3, 4, 5)
        x[0, 1, 2, 3] = x[1, 0, 0, 0] = x[1, 2, 3, 4] = math.nan
        right = x.amax((2, 3))
        seen = student.call("global_max_pool", x)
        expect.shape(seen, (2, 3))
        expect.that(
            torch.equal(torch.isnan(seen), torch.isnan(right)), "A map with a nan gives nan, and no other does."
        )
        expect.close(seen, right, "The maps without a nan keep their maximum.", **EXACT)


# --- 3. reduction_savings --------------------------------------------------------------------------------------------


def _by_layers(
    i: int, a: int, b_red: int, b: int, c_red: int, c: int, d: int, height: int, width: int, **spoilt: Any
) -> dict[str, dict[str, int]]:
    """Count with PyTorch's layers on the meta device; or as a known mistake counts."""
    bias, big = spoilt.get("bias", False), spoilt.get("big", 5)
    modules = {
        "naive": [(1, i, a), (3, i, b), (big, i, c), *spoilt.get("naive", lambda *channels: [])(i, d)],
        "reduced": [
            (1, i, a),
            (1, i, b_red),
            (3, i if "unreduced" in spoilt else b_red, b),
            (1, i, c_red),
            (big, i if "unreduced" in spoilt else c_red, c),
            *([] if "no projection" in spoilt else [(1, i, d)]),
        ],
    }
    if "no reductions" in spoilt:
        modules["reduced"] = [modules["reduced"][k] for k in (0, 2, 4, 5)]
    channels = {"naive": spoilt.get("channels", a + b + c + i), "reduced": a + b + c + d}
    result = {}
    for kind, convolutions in modules.items():
        weights = macs = 0
        for kernel, before, after in convolutions:
            with torch.device("meta"):
                layer = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=bias)
                out = layer(torch.empty(1, before, height, width))
            weights += sum(p.numel() for p in layer.parameters())
            macs += out.numel() * layer.weight[0].numel()
        result[kind] = {"weights": weights, "macs": macs, "out_channels": channels[kind]}
    return result


@check
def reduction_savings(student: Student, cases: Cases) -> None:
    """Compare with PyTorch's layers, counted on the meta device."""

    def mistakes(row: Sequence[int], right: dict) -> list[tuple[dict, str]]:
        i, a, _, b, _, c, d, height, width = row

        def times(factor: float, key: str = "macs") -> dict:
            return {kind: {**counts, key: int(counts[key] * factor)} for kind, counts in right.items()}

        def having(**channels: int) -> dict:
            return {kind: {**counts, "out_channels": channels[kind]} for kind, counts in right.items()}

        naive, reduced = right["naive"]["out_channels"], right["reduced"]["out_channels"]
        plus = [
            (kind, {**counts, "macs": counts["macs"] + counts["out_channels"] * height * width})
            for kind, counts in right.items()
        ]
        return [
            (_by_layers(*row, bias=True), "Biases do not count: weights alone."),
            (times(2), "A multiply-accumulate counts once: yours are two for each."),
            (times(1 / width), "MACs: every weight is used at each of the H * W pixels."),
            (times(1 / height), "MACs: every weight is used at each of the H * W pixels."),
            (times(height / width), "MACs: height times width, which may differ."),
            (times(width / height), "MACs: height times width, which may differ."),
            (dict(plus), "MACs are multiplications with their additions: what else is added does not count."),
            ({"naive": right["reduced"], "reduced": right["naive"]}, "You have taken one module for the other."),
            (_by_layers(*row, **{"no projection": 1}), "The projection after the pooling is missing in the reduced."),
            (_by_layers(*row, **{"unreduced": 1}), "In the reduced module the 3x3 and 5x5 read the reduced maps."),
            (_by_layers(*row, **{"no reductions": 1}), "The weights of the 1x1 reductions count, too."),
            (_by_layers(*row, big=3), "The large kernel is 5x5, not 3x3."),
            (_by_layers(*row, naive=lambda i, d: [(1, i, d)]), "The naive module has no projection after its pooling."),
            (_by_layers(*row, naive=lambda i, d: [(3, i, i)]), "A pooling has no weights."),
            (
                _by_layers(*row, naive=lambda i, d: [(1, i, d)], channels=a + b + c + d),
                "The naive module has no projection after its pooling.",
            ),
            (
                having(naive=a + b + c + d, reduced=reduced),
                "The naive module's pooling keeps all in_channels, and they are in the concatenation.",
            ),
            (having(naive=a + b + c, reduced=reduced), "The naive module's pooling keeps all in_channels."),
            (
                having(naive=naive, reduced=a + b + c + i),
                "In the reduced module the pooling's channels are projected: pool_proj come out.",
            ),
            (having(naive=naive, reduced=a + b + c), "The projection's channels come out of the reduced module, too."),
        ]

    def compare(row: Sequence[int], hint: str) -> None:
        names = ["in_channels", "ch1x1", "ch3x3red", "ch3x3", "ch5x5red", "ch5x5", "pool_proj", "height", "width"]
        right = _by_layers(*row)
        seen = student.call("reduction_savings", **dict(zip(names, row, strict=True)))
        expect.kind(seen, dict)
        for kind in ("naive", "reduced"):
            expect.that(kind in seen, f"The dict should have the key {kind!r}.")
            counts = seen[kind]
            expect.kind(counts, dict, f"What {kind!r} holds")
            for key in ("weights", "macs", "out_channels"):
                expect.that(key in counts, f"The dict of {kind!r} should have the key {key!r}.")
                whole = type(counts[key]) is int
                expect.that(whole, f"{key!r} of {kind!r} should be of type int, not {type(counts[key]).__name__}.")
        expect.equal(sorted(seen), ["naive", "reduced"], "The dict should have the keys 'naive' and 'reduced' alone.")
        for kind, counts in right.items():
            hint_keys = f"The dict of {kind!r} should have three keys alone."
            expect.equal(sorted(seen[kind]), sorted(counts), hint_keys)
        if seen != right:
            for value, known in mistakes(row, right):
                expect.that(seen != value or value == right, known)
            for kind, counts in right.items():
                for key in counts:
                    expect.that(seen[kind][key] == counts[key], f"{hint} Look at {key!r} of {kind!r}.")

    def drawn(*size: int) -> list[int]:
        # Seven different numbers, so that no mistake gives the right counts.
        numbers = (3 + torch.randperm(40, generator=cases.generator))[:7].tolist()
        return [*numbers, *size]

    with cases("random modules", weight=2):
        for size in ((7, 7), (5, 11), (12, 4)):
            compare(drawn(*size), "Sum over the convolutions of each module.")
    with cases("the paper's modules"):
        for name, side in (("3a", 28), ("4e", 14), ("5b", 7)):
            compare([*ROWS[name], side, side], f"For module {name} a count is wrong.")
    with cases("one pixel"):
        compare(drawn(1, 1), "At one pixel there are as many MACs as weights.")
    with cases("large numbers"):
        row = [10**6 + cases.integer(1, 99), *(10**5 + cases.integer(1, 99) for _ in range(6)), 9973, 7919]
        compare(row, "Compute with integers, which are exact: no floats.")


# --- 4. Inception ----------------------------------------------------------------------------------------------------


class _Inception(nn.Module):
    """The module of the paper's Figure 2b, or one with a known mistake in it."""

    def __init__(self, i: int, a: int, b_red: int, b: int, c_red: int, c: int, d: int, **spoilt: Any) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(i, a, 1)
        self.conv3x3red, self.conv3x3 = nn.Conv2d(i, b_red, 1), nn.Conv2d(b_red, b, 3, padding=1)
        self.conv5x5red, self.conv5x5 = nn.Conv2d(i, c_red, 1), nn.Conv2d(c_red, c, 5, padding=2)
        self.pool_proj = nn.Conv2d(i, d, 1)
        self.spoilt = spoilt

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        linear = self.spoilt.get("linear", ())
        act = self.spoilt.get("act", torch.relu)

        def unit(name: str, x: torch.Tensor) -> torch.Tensor:
            x = getattr(self, name)(x)
            return x if name in linear else act(x)

        x = x.relu() if "relu first" in self.spoilt else x
        pool = self.spoilt.get("pool", lambda x: F.max_pool2d(x, 3, 1, 1))
        branches = [
            unit("conv1x1", x),
            unit("conv3x3", unit("conv3x3red", x)),
            unit("conv5x5", unit("conv5x5red", x)),
            unit("pool_proj", pool(x)),
        ]
        if "projected first" in self.spoilt:
            branches[3] = pool(unit("pool_proj", x))
        return torch.cat([branches[k] for k in self.spoilt.get("order", range(4))], 1)


_CONVOLUTIONS = ("conv1x1", "conv3x3red", "conv3x3", "conv5x5red", "conv5x5", "pool_proj")
_MODULE_MISTAKES: list[tuple[dict[str, Any], str]] = [
    *(({"order": order}, "The branches are concatenated in the order 1x1, 3x3, 5x5, pool.")
      for order in ((0, 2, 1, 3), (3, 0, 1, 2), (1, 2, 0, 3), (3, 2, 1, 0), (1, 2, 3, 0), (0, 3, 1, 2))),
    ({"linear": _CONVOLUTIONS}, "The ReLU after each of the six convolutions is missing."),
    ({"linear": ("conv3x3red", "conv5x5red")}, "The ReLU after the 1x1 reductions is missing."),
    ({"linear": ("conv1x1", "conv3x3", "conv5x5", "pool_proj")}, "The ReLU at the end of the branches is missing."),
    *(({"linear": (name,)}, f"The ReLU after {name} is missing.") for name in _CONVOLUTIONS),
    ({"pool": lambda x: F.avg_pool2d(x, 3, 1, 1)}, "The pooling takes the maximum, not the mean."),
    ({"pool": lambda x: x}, "The pooling before pool_proj is missing."),
    ({"pool": lambda x: F.max_pool2d(F.pad(x, (1,) * 4), 3, 1)}, "Zeros outside of the image are in your maximum."),
    ({"pool": lambda x: F.max_pool2d(x, 5, 1, 2)}, "The pooling has a kernel of 3, not of 5."),
    ({"projected first": True}, "The pooling comes before its projection."),
    ({"relu first": True}, "The input has no ReLU of its own: it goes into the branches as it is."),
    ({"act": torch.tanh}, "The activation is the ReLU."),
]  # fmt: skip

_RUN_MODULE = """
import torch
module = Inception(*settings).to(given.dtype)
module.load_state_dict(state, strict=True)
module.train(training)
x = given.clone().requires_grad_()
out = module(x)
(out * weight).sum().backward()
grads = {name: p.grad for name, p in module.named_parameters()}
grads["x"] = x.grad
kept = given.clone()
with torch.no_grad():
    module(kept)
out = out.detach()
"""


def _drawn_state(network: nn.Module, cases: Cases) -> dict[str, torch.Tensor]:
    """Give a network weights from the cases, and return them."""
    state = {
        name: cases.randn(*value.shape) / math.sqrt(max(value[0].numel(), 1)) + (0.1 if value.dim() == 1 else 0.0)
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    return state


@check
def Inception(student: Student, cases: Cases) -> None:
    """Compare with a module of PyTorch's layers that has the same weights."""
    settings = [5, 4, 3, 6, 2, 7, 8]
    hint = "With the same weights your module gives other numbers: look at kernels, padding and the order of layers."

    def run(settings: list[int], x: torch.Tensor, training: bool = True) -> tuple:
        reference = _Inception(*settings).double()
        state = _drawn_state(reference, cases)
        leaf = x.clone().requires_grad_()
        wanted = reference(leaf)
        weight = cases.randn(*wanted.shape)
        (wanted * weight).sum().backward()
        inputs = {"settings": settings, "state": state, "given": x, "weight": weight, "training": training}
        out, grads, kept = student.run(_RUN_MODULE, ["out", "grads", "kept"], **inputs)

        def spoilt(found: dict[str, Any]) -> torch.Tensor:
            module = _Inception(*settings, **found).double()
            module.load_state_dict(state)
            return module(x).detach()

        mistakes = ((functools.partial(spoilt, found), known) for found, known in _MODULE_MISTAKES)
        expect.shape(out, tuple(wanted.shape), "The module's output")
        _compare(out, wanted.detach(), hint, mistakes, "The module's output")
        return reference, leaf, grads, kept

    with cases("names and shapes"):
        for row in (settings, ROWS["4b"]):
            _compare_state(student, f"Inception{tuple(row)}", _shapes(lambda row=row: _Inception(*row)))
    with cases("the output", weight=3):
        run(settings, cases.randn(2, 5, 9, 7))
    with cases("negative images, other sizes"):
        run(settings, -1 - cases.randn(1, 5, 6, 6).abs())
        run([2, 3, 4, 1, 5, 2, 1], cases.randn(3, 2, 8, 12), training=False)
        run([3, 1, 2, 2, 1, 3, 2], cases.randn(1, 3, 1, 1))
        run([3, 1, 2, 2, 1, 3, 2], cases.randn(2, 3, 2, 5))
    with cases("gradients"):
        reference, leaf, grads, kept = run(settings, cases.randn(2, 5, 6, 5))
        expect.kind(grads, dict, "The gradients")
        wanted = {**{name: p.grad for name, p in reference.named_parameters()}, "x": leaf.grad}
        for name, right in wanted.items():
            seen = grads.get(name)
            expect.that(seen is not None, f"No gradient comes to {name}: nothing may be detached.")
            expect.close(seen, right, f"The gradient of {name} is wrong: nothing may be detached.", **EXACT)
        expect.close(kept, leaf.detach(), "Your module changes its input: make new tensors.", **SAME)


# --- 5. AuxiliaryHead ------------------------------------------------------------------------------------------------


class _Head(nn.Module):
    """The auxiliary classifier of the paper's section 5 without its dropout, or one with a known mistake in it."""

    def __init__(self, in_channels: int, num_classes: int, **spoilt: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 128, 1)
        self.fc1, self.fc2 = nn.Linear(2048, 1024), nn.Linear(1024, num_classes)
        self.spoilt = spoilt

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def relu(x: torch.Tensor, where: str) -> torch.Tensor:
            return x if where in self.spoilt.get("linear", ()) else x.relu()

        pool = self.spoilt.get("pool", lambda x: F.avg_pool2d(x, 5, 3))
        x = pool(relu(self.conv(x), "conv")) if "pooled last" in self.spoilt else relu(self.conv(pool(x)), "conv")
        x = x.movedim(1, -1).flatten(1) if "pixels" in self.spoilt else x.flatten(1)
        x = self.fc2(relu(self.fc1(x), "fc1"))
        return self.spoilt.get("end", lambda x: x)(x)


_HEAD_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"pool": lambda x: F.max_pool2d(x, 5, 3)}, "The pooling takes the mean, not the maximum."),
    (
        {"pool": lambda x: F.adaptive_avg_pool2d(x, 4)},
        "The pooling has a kernel of 5 and a stride of 3: adaptive pooling to 4 x 4 takes other windows.",
    ),
    ({"pool": lambda x: x[..., 2:13:3, 2:13:3]}, "The pooling takes the mean of 5 x 5 pixels."),
    ({"pool": lambda x: F.avg_pool2d(x, 3, 3)}, "The pooling has a kernel of 5 and a stride of 3."),
    ({"pool": lambda x: F.avg_pool2d(x, 4, 3)}, "The pooling has a kernel of 5 and a stride of 3."),
    ({"pooled last": True}, "The pooling comes first, then the convolution and its ReLU."),
    ({"linear": ("conv",)}, "The ReLU after the convolution is missing."),
    ({"linear": ("fc1",)}, "The ReLU after fc1 is missing."),
    ({"linear": ("conv", "fc1")}, "The ReLUs after the convolution and fc1 are missing."),
    ({"pixels": True}, "Flatten channel by channel, as flatten(1) does."),
    ({"end": lambda x: x.softmax(1)}, "Return logits: the softmax belongs to the loss."),
    ({"end": lambda x: x.log_softmax(1)}, "Return logits: the softmax belongs to the loss."),
    ({"end": torch.relu}, "No ReLU stands after the last layer: logits may be negative."),
]


@check
def AuxiliaryHead(student: Student, cases: Cases) -> None:
    """Compare with a head of PyTorch's layers that has the same weights."""
    seed, classes = cases.integer(0, 2**30), cases.integer(4, 9)
    images = [cases.randn(3, 6, 14, 14)]
    make = f"AuxiliaryHead(6, {classes})"

    def reference(**spoilt: Any) -> torch.Tensor:
        theirs = networks.of("head", 6, classes, *spoilt.items(), Network=lambda: _Head(6, classes, **spoilt))
        return networks.by_name(theirs, "Network()", images, seed).outputs[0]

    with cases("names and shapes"):
        for row in ((6, classes), (512, 1000)):
            _compare_state(student, f"AuxiliaryHead{row}", _shapes(lambda row=row: _Head(*row)))
    with cases("its logits", weight=3):
        # Dropout stays on here: in evaluation mode it does nothing.
        (seen,) = networks.by_name(student, make, images, seed, dropout=True).outputs
        wanted = reference()
        hint = "With the same weights your head gives other logits in evaluation mode."
        expect.shape(seen, tuple(wanted.shape), "The logits")
        mistakes = ((functools.partial(reference, **spoilt), known) for spoilt, known in _HEAD_MISTAKES)
        _compare(seen, wanted, hint, mistakes, "The logits")
    with cases("dropout"):
        theirs = networks.of("head", 4, 1024, Network=lambda: _Head(4, 1024))
        positive = cases.randn(6, 4, 14, 14, dtype=torch.float32).abs() + 0.1
        whole, _ = _dropped(theirs, "Network()", positive, ["fc2"])
        seen, kept = _dropped(student, "AuxiliaryHead(4, 1024)", positive, ["fc2"])
        _compare_dropout(seen, [(0.7, "between the ReLU after fc1 and fc2")], whole)
        expect.that(kept, "Your head changes its input: make new tensors.")
    with cases("gradients"):
        code = f"""
            import torch
            head = {make}.train()
            x = images.clone().requires_grad_()
            head(x).square().sum().backward()
            there = {{name: p.grad is not None for name, p in head.named_parameters()}}
            there["x"] = x.grad is not None and bool(x.grad.abs().max() > 0)
        """
        there = student.run(dedent(code), "there", images=images[0].float())
        expect.kind(there, dict)
        lost = [name for name, found in there.items() if found is not True]
        expect.that(not lost, f"No gradient comes to {', '.join(lost)}: nothing may be detached.")


# --- 6. GoogLeNet ----------------------------------------------------------------------------------------------------

# Stand-ins for modules and heads. The module turns channels round and mixes neighbouring pixels, so that it matters
# where it stands; it costs next to nothing.
_STAND_INS = """
import torch
from torch import nn
class StandIn(nn.Module):
    def __init__(self, in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj):
        super().__init__()
        self.row = [in_channels, ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj]
        self.weight = nn.Parameter(torch.ones(ch1x1 + ch3x3 + ch5x5 + pool_proj))
        self.bias = nn.Parameter(torch.zeros(len(self.weight)))
    def forward(self, x):
        if x.shape[1] != self.row[0]:
            raise ValueError(f"a module for {self.row[0]} channels got {x.shape[1]}")
        x = 0.6 * nn.functional.avg_pool2d(x, 3, 1, 1) + 0.4 * x
        x = x[:, (7 * torch.arange(len(self.weight), device=x.device) + 3) % x.shape[1]]
        return (x * self.weight[:, None, None] + self.bias[:, None, None]).relu()
class StandInHead(nn.Module):
    ran = []
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.arguments = [in_channels, num_classes]
        self.fc = nn.Linear(in_channels, num_classes)
    def forward(self, x):
        StandInHead.ran.append(len(x))
        return self.fc(x.amax((2, 3)) + x.mean((2, 3)))
"""
_BLOCKS = "blocks=(StandIn, StandInHead)"


class _GoogLeNet(nn.Module):
    """The network of the paper's Table 1 without its dropout, or one with a known mistake in it."""

    def __init__(
        self, num_classes: int, aux: bool, blocks: tuple[type[nn.Module], type[nn.Module]], **spoilt: Any
    ) -> None:
        super().__init__()
        module, head = blocks
        self.conv1, self.conv2 = nn.Conv2d(3, 64, 7, 2, 3), nn.Conv2d(64, 64, 1)
        self.conv3 = nn.Conv2d(64, 192, 3, padding=1)
        for name, row in ROWS.items():
            self.add_module(f"inception{name}", module(*row))
        if aux:
            self.aux1, self.aux2 = head(512, num_classes), head(528, num_classes)
        self.aux, self.spoilt = aux, spoilt
        self.fc = nn.Linear(1024, num_classes)

    def forward(self, x: torch.Tensor) -> Any:
        spoilt = self.spoilt
        pool = spoilt.get("pool", nn.MaxPool2d(3, 2, ceil_mode=True))
        norms: Sequence[bool] = spoilt.get("norms", (True, True))
        norm = spoilt.get("norm", nn.LocalResponseNorm(5))

        def then(x: torch.Tensor, parts: str) -> torch.Tensor:
            for part in parts:
                use = {"r": torch.relu, "p": pool, "1": norm if norms[0] else None, "2": norm if norms[1] else None}
                x = use[part](x) if use[part] is not None else x
            return x

        x = then(self.conv1(x), spoilt.get("after1", "rp1"))
        x = then(self.conv2(x), spoilt.get("after2", "r"))
        x = then(self.conv3(x), spoilt.get("after3", "r2p"))
        heads: dict[str, torch.Tensor] = {}
        where = spoilt.get("heads", ("4a", "4d"))
        pooled = spoilt.get("pooled", ("3b", "4e"))
        for name in ROWS:
            x = getattr(self, f"inception{name}")(x)
            x = pool(x) if name in pooled and spoilt.get("head last") else x
            for number, place in enumerate(where, 1):
                if name == place and self.aux and self.training:
                    heads[f"aux{number}"] = getattr(self, f"aux{number}")(x)
            x = pool(x) if name in pooled and not spoilt.get("head last") else x
        x = spoilt.get("end", lambda x: x.mean((2, 3)))(x)
        logits = spoilt.get("last", lambda x: x)(self.fc(x))
        return (logits, heads["aux1"], heads["aux2"]) if heads else logits


_UP = "The max pools round sizes up: ceil_mode=True."
_NETWORK_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"pool": nn.MaxPool2d(3, 2)}, _UP),
    ({"pool": nn.MaxPool2d(3, 2, 1)}, "The max pools have no padding: they round sizes up."),
    ({"pool": nn.MaxPool2d(3, 2, 1, ceil_mode=True)}, "The max pools have no padding."),
    ({"pool": nn.MaxPool2d(2, 2, ceil_mode=True)}, "The max pools have a kernel of 3."),
    ({"pool": nn.MaxPool2d(2, 2)}, "The max pools have a kernel of 3."),
    ({"pool": nn.AvgPool2d(3, 2, ceil_mode=True)}, "The pools between the stages take the maximum, not the mean."),
    ({"norms": (False, False)}, "The normalization (LRN) is missing: once after the first pool, once after conv3."),
    ({"norms": (True, False)}, "The normalization (LRN) after conv3 is missing."),
    ({"norms": (False, True)}, "The normalization (LRN) after the first pool is missing."),
    ({"norm": nn.LocalResponseNorm(5, alpha=5e-4)}, "The normalization has PyTorch's defaults: alpha is 1e-4."),
    ({"norm": nn.LocalResponseNorm(5, k=2.0)}, "The normalization has PyTorch's defaults: k is 1."),
    ({"norm": nn.LocalResponseNorm(5, alpha=5e-4, k=2.0)}, "The normalization has PyTorch's defaults, not AlexNet's."),
    ({"norm": nn.LocalResponseNorm(2)}, "The normalization has a size of 5."),
    ({"after1": "r1p"}, "The first normalization comes after the pool, not before it."),
    ({"after3": "rp2"}, "The second normalization comes before the pool, not after it."),
    ({"after1": "r1p", "after3": "rp2"}, "First pool, then LRN after conv1; first LRN, then pool after conv3."),
    ({"after1": "p1"}, "The ReLU after conv1 is missing."),
    ({"after2": ""}, "The ReLU after conv2 is missing."),
    ({"after3": "2p"}, "The ReLU after conv3 is missing."),
    ({"after1": "p1", "after2": "", "after3": "2p"}, "The ReLU after conv1, conv2 and conv3 is missing."),
    ({"after1": "r1"}, "The max pool after conv1 is missing."),
    ({"after3": "r2"}, "The max pool after conv3 is missing."),
    ({"pooled": ("4e",)}, "The max pool after inception3b is missing."),
    ({"pooled": ("3b",)}, "The max pool after inception4e is missing."),
    ({"pooled": ("3a", "4e")}, "The second stage ends after inception3b: the pool comes there."),
    ({"pooled": ("3b", "4d")}, "The max pool comes after inception4e, not before it."),
    ({"pooled": ("3b", "5a")}, "The max pool comes after inception4e, not after inception5a."),
    ({"end": lambda x: x.amax((2, 3))}, "At the end the pooling is the global average, not the maximum."),
    ({"end": lambda x: x.sum((2, 3))}, "At the end the pooling is the global average, not the sum."),
    ({"end": lambda x: x.mean((2, 3)).relu().square()}, "Nothing stands between the global average and fc."),
    ({"last": lambda x: x.softmax(1)}, "Return logits: the softmax belongs to the loss."),
    ({"last": torch.relu}, "No ReLU stands after the last layer: logits may be negative."),
]
_HEADS_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"heads": ("4b", "4d")}, "aux1 looks at the output of inception4a, not of inception4b."),
    ({"heads": ("4c", "4d")}, "aux1 looks at the output of inception4a, not of inception4c."),
]


def _reference(num_classes: int, aux: bool, **spoilt: Any) -> Student:
    """Return one who has written the paper's network, with stand-ins, or one with a known mistake in it."""

    def make(blocks: tuple[type[nn.Module], type[nn.Module]]) -> nn.Module:
        return _GoogLeNet(num_classes, aux, blocks, **spoilt)

    return _Beside(networks.of("paper", num_classes, aux, *spoilt.items(), make=make, Network=None), _STAND_INS)


@check
def GoogLeNet(student: Student, cases: Cases) -> None:
    """Compare with a network of PyTorch's layers that has the same stand-ins and weights."""
    student = _Beside(student, _STAND_INS)
    seed, classes = cases.integer(0, 2**30), cases.integer(4, 9)
    # Large numbers, so that the normalization can be seen; sizes that make rounding matter.
    images = [60 * cases.randn(2, 3, 76, 68)]
    made = f"GoogLeNet({classes}, aux={{aux}}, {_BLOCKS})"
    ours = f"make({_BLOCKS})"

    def run(aux: bool, training: bool) -> Any:
        # In evaluation mode dropout stays on: there it does nothing.
        make = made.format(aux=aux)
        return networks.by_name(student, make, images, seed, training=training, dropout=not training).outputs[0]

    def wanted(aux: bool, training: bool, **spoilt: Any) -> Any:
        theirs = _reference(classes, aux, **spoilt)
        return networks.by_name(theirs, ours, images, seed, training=training).outputs[0]

    def compare(seen: Any, right: torch.Tensor) -> None:
        hint = "With the same weights your network gives other logits than the network of the table."
        expect.kind(seen, torch.Tensor, "What comes out without heads, or in evaluation mode,")
        expect.shape(seen, tuple(right.shape), "The logits")

        known = ((functools.partial(wanted, False, False, **spoilt), text) for spoilt, text in _NETWORK_MISTAKES)
        _compare(seen, right, hint, known, "The logits")

    with cases("names and shapes"):
        for aux in (True, False):
            state = networks.state_shapes(_reference(classes, aux), ours)
            _compare_state(student, made.format(aux=aux), state)
    with cases("the modules and heads"):
        code = f"""
            from autograde.shapes import on_meta
            network = on_meta(lambda: GoogLeNet(7, {_BLOCKS}))
            rows = {{name: m.row for name, m in network.named_modules() if isinstance(m, StandIn)}}
            arguments = [[name, m.arguments] for name, m in network.named_modules() if isinstance(m, StandInHead)]
        """
        rows, arguments = student.run(code, ["rows", "arguments"])
        expect.kind(rows, dict)
        for name, row in ROWS.items():
            hint = f"inception{name} should be made with the numbers of its row, MODULES[{name!r}]."
            expect.equal(rows.get(f"inception{name}"), list(row), hint)
        hint = "The heads should be made with (512, num_classes) and (528, num_classes)."
        expect.equal(sorted(arguments), [["aux1", [512, 7]], ["aux2", [528, 7]]], hint)
    with cases("logits in evaluation mode", weight=3):
        compare(run(False, False), wanted(False, False))
    with cases("heads in training", weight=2):
        one, three = run(True, True), wanted(True, True)
        hint = "In training mode with heads a tuple of three comes out: logits, those of aux1, those of aux2."
        expect.that(isinstance(one, (list, tuple)) and len(one) == 3, hint)
        order = "The order in the tuple is logits, those of aux1, those of aux2."
        for seen, right in zip(one, three, strict=True):
            expect.shape(seen, tuple(right.shape), "The logits")
            expect.no_mistake(seen, [(other, order) for other in three if other is not right])
        compare(one[0], three[0])
        for number in (1, 2):
            known: list[tuple[Callable[[], Any], str]] = [
                (three[number].softmax(1).clone, "The heads give logits: no softmax here."),
                ((0.3 * three[number]).clone, "The heads' logits come out as they are: 0.3 belongs into the loss."),
                *(
                    (lambda spoilt=spoilt, number=number: wanted(True, True, **spoilt)[number], text)
                    for spoilt, text in _HEADS_MISTAKES
                ),
            ]
            hint = f"The logits of aux{number} are wrong: it looks at the output of inception4{'ad'[number - 1]}."
            _compare(one[number], three[number], hint, known, f"The logits of aux{number}")
    with cases("one tensor or three"):
        code = f"""
            network, without = GoogLeNet(5, {_BLOCKS}).eval(), GoogLeNet(5, aux=False, {_BLOCKS})
            with torch.no_grad():
                logits, alone = network(torch.ones(1, 3, 32, 32)), without(torch.ones(1, 3, 32, 32))
            ran, evaluated, trained = len(StandInHead.ran), torch.is_tensor(logits), torch.is_tensor(alone)
        """
        ran, evaluated, trained = student.run(code, ["ran", "evaluated", "trained"])
        expect.that(evaluated is True, "In evaluation mode the logits alone come out, with heads, too.")
        expect.equal(ran, 0, "In evaluation mode the heads are not run.")
        expect.that(trained is True, "Without heads the logits alone come out, in training mode, too.")
    with cases("dropout"):
        # Everything is positive here, so that only dropout makes zeros.
        positive = cases.randn(6, 3, 32, 32, dtype=torch.float32).abs() + 0.1
        whole, _ = _dropped(_reference(1024, False), ours, positive, ["fc"])
        seen, kept = _dropped(student, f"GoogLeNet(1024, aux=False, {_BLOCKS})", positive, ["fc"])
        _compare_dropout(seen, [(0.4, "before fc")], whole)
        expect.that(kept, "Your network changes the images that it is given: make new tensors.")
    with cases("gradients"):
        code = f"""
            network = GoogLeNet(5, {_BLOCKS}).train()
            outputs = network(images.float())
            weights = [network.conv1.weight, network.inception3a.weight]
            reach = []
            for output in outputs:
                grads = torch.autograd.grad(output.square().sum(), weights, retain_graph=True, allow_unused=True)
                reach.append(all(g is not None and bool(g.abs().max() > 0) for g in grads))
            trained = all(p.requires_grad for p in network.parameters())
        """
        reach, trained = student.run(code, ["reach", "trained"], images=images[0][:1, :, :32, :32])
        expect.sequence(reach, 3)
        for what, found in zip(("the logits", "aux1", "aux2"), reach, strict=True):
            expect.that(found is True, f"The gradient of {what} does not reach conv1: nothing may be detached.")
        expect.that(trained is True, "All parameters should be trained: requires_grad is True.")
    with cases("your own blocks"):
        # Only where the two exercises before are answered: this one does not hang on them.
        code = """
            from autograde.shapes import on_meta
            try:
                with torch.device("meta"):
                    Inception(4, 1, 1, 1, 1, 1, 1), AuxiliaryHead(4, 2)
                answered = True
            except Exception:
                answered = False
            found = [9, 2]
            if answered:
                parts = list(on_meta(lambda: GoogLeNet(3)).modules())
                found = [sum(isinstance(m, Inception) for m in parts), sum(isinstance(m, AuxiliaryHead) for m in parts)]
        """
        hint = "Without blocks the network should have nine of your Inception modules and two of your heads."
        expect.equal(student.run(code, "found"), [9, 2], hint)
    _compare_loss(student, cases)


def _compare_loss(student: Student, cases: Cases) -> None:
    """Compare googlenet_loss with a weighted sum of cross-entropies."""
    z = [cases.randn(6, 5) * scale for scale in (1.0, 2.0, 0.5)]
    targets = torch.tensor([cases.integer(0, 4) for _ in range(6)])
    ce = [F.cross_entropy(one, targets) for one in z]
    right = ce[0] + 0.3 * (ce[1] + ce[2])
    with cases("the loss of three", weight=2):
        code = """
            import torch
            leaves = [one.clone().requires_grad_() for one in z]
            loss = googlenet_loss(tuple(leaves), targets)
            loss.backward()
            grads = [one.grad for one in leaves]
            loss = loss.detach()
        """
        loss, grads = student.run(dedent(code), ["loss", "grads"], z=z, targets=targets)
        hint = "The loss is the cross-entropy of the logits, plus 0.3 times that of each head."
        mean = z[0] + 0.3 * (z[1] + z[2])
        total = [F.cross_entropy(one, targets, reduction="sum") for one in z]
        known = [
            (ce[0] + ce[1] + ce[2], "The heads' losses count 0.3, not 1."),
            (ce[0], "The heads' losses are missing."),
            (ce[0] + 0.3 * ce[1], "Both heads' losses count: the second is missing."),
            (ce[0] + 0.3 * ce[2], "Both heads' losses count: the first is missing."),
            (ce[0] + 0.15 * (ce[1] + ce[2]), "Each head counts 0.3, not both together."),
            (0.3 * (ce[0] + ce[1] + ce[2]), "The loss of the logits counts 1, not 0.3."),
            (0.3 * (ce[0] + ce[1]) + ce[2], "The first of the three is the network's own: it counts 1."),
            (0.3 * ce[0] + ce[1] + ce[2], "The heads count 0.3, the logits 1, not the other way round."),
            (0.7 * ce[0] + 0.3 * (ce[1] + ce[2]), "The loss of the logits counts 1: the heads are added to it."),
            (0.4 * ce[0] + 0.3 * (ce[1] + ce[2]), "The loss of the logits counts 1: the heads are added to it."),
            (right / 1.6, "The losses are added, not averaged."),
            (right / 3, "The losses are added, not averaged."),
            (total[0] + 0.3 * (total[1] + total[2]), "The mean over the examples, not the sum."),
            (F.cross_entropy(mean, targets), "Add the losses, not the logits."),
        ]
        expect.close(loss, right, hint, known, what="The loss", **EXACT)
        leaves = [one.clone().requires_grad_() for one in z]
        parts = [F.cross_entropy(one, targets) for one in leaves]
        (parts[0] + 0.3 * (parts[1] + parts[2])).backward()
        expect.sequence(grads, 3)
        for seen, leaf in zip(grads, leaves, strict=True):
            expect.that(seen is not None, "No gradient comes to some of the three: nothing may be detached.")
            expect.close(seen, leaf.grad, "The gradient of the loss is wrong: nothing may be detached.", **EXACT)
    with cases("the loss of logits alone"):
        seen = student.run("loss = googlenet_loss(z, targets)", "loss", z=z[0], targets=targets)
        hint = "Given logits alone (a tensor), the loss is their cross-entropy."
        expect.close(seen, ce[0], hint, [(1.6 * ce[0], hint)], what="The loss", **EXACT)
        three = z[0][:3], targets[:3]
        hint = "Three rows of logits are not three outputs: ask whether you got a tensor."
        with expect.explained(hint):
            seen = student.run("loss = googlenet_loss(z, targets)", "loss", z=three[0], targets=three[1])
        expect.close(seen, F.cross_entropy(*three), hint, what="The loss", **EXACT)


# --- 7. TorchvisionGoogLeNet -----------------------------------------------------------------------------------------


# Runs a network with numbers that come from a seed and the layers' names. What is compared is how the parts hang
# together, so a convolution or linear layer is a cheap one here: each output mixes two inputs, and a kernel is a mean.
# The layers named in `last` give what they get, plus 1; then everything is positive, so that only dropout makes zeros.
_WIRED = (
    _FILLED
    + """
import zlib
import torch
from torch import nn
from autograde.shapes import on_meta
pool = 2 * torch.rand(2**15, generator=torch.Generator().manual_seed(seed), dtype=images.dtype) - 1
def drawn(name, *shape):
    start = zlib.crc32(name.encode()) % 2**14
    return pool[start : start + torch.Size(shape).numel()].reshape(shape)
def stand_in(layer, name):
    outs, ins = layer.weight.shape[:2]
    places, (scale, other, shift) = torch.arange(outs), drawn(name, 3, outs)
    scale, other, shift = 1 + 0.5 * scale, 0 if lift else other, 0.3 * shift + lift
    def forward(x):
        if x.shape[1] != ins:
            raise ValueError(f"{name} takes {ins} channels, and got {x.shape[1]}")
        if name in last:
            return x + 1
        one, two = x[:, (7 * places + 3) % ins], x[:, (11 * places + 5) % ins]
        if isinstance(layer, nn.Linear):
            return one * scale + two * other + shift
        if layer.dilation != (1, 1) or layer.padding_mode != "zeros":
            raise ValueError(f"{name} should have neither a dilation nor another padding_mode")
        kernel, padding = layer.kernel_size, layer.padding
        if isinstance(padding, str):
            padding = [k // 2 if padding == "same" else 0 for k in kernel]
        mixed = one * scale[:, None, None] + two * (other + torch.zeros(outs))[:, None, None]
        if kernel != (1, 1) or layer.stride != (1, 1) or tuple(padding) != (0, 0):
            mixed = nn.functional.avg_pool2d(mixed, kernel, layer.stride, padding)
        return mixed
    return forward
def wired(make):
    network = on_meta(make)
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.forward = stand_in(module, name)
        elif isinstance(module, nn.BatchNorm2d):
            for kept in (module._parameters, module._buffers):
                for part, like in kept.items():
                    if like is not None and like.dim() == 0:
                        kept[part] = torch.full_like(like, 3, device="cpu")
                    elif like is not None:
                        value = 0.3 * drawn(f"{name}.{part}", *like.shape) + (part in ("weight", "running_var"))
                        value = value + (lift or 0.5) * (part == "bias")
                        kept[part] = nn.Parameter(value) if kept is module._parameters else value
    return filled(network, make, images.dtype)
lift = 4.0 if last else 0.0
make = lambda: {make}
network, kept, given = wired(make), nn.functional.dropout, images.clone()
statistics = dict(sorted((name, b) for name, b in network.named_buffers() if name.split(".")[-2:-1] == ["bn"]))
def one_vector():
    return torch.cat([torch.zeros(0, dtype=torch.float64), *(b.double().flatten() for b in statistics.values())])
if not training:
    parts = buffers.split([b.numel() for b in statistics.values()])
    for b, value in zip(statistics.values(), parts):
        b.copy_(value.reshape(b.shape))
before = one_vector()
if training and not last:
    nn.functional.dropout = lambda input, p=0.5, training=True, inplace=False: input
try:
    with torch.set_grad_enabled(graph):
        outputs = network.train(training)(given)
finally:
    nn.functional.dropout = kept
same = torch.equal(given, images)
single = isinstance(outputs, torch.Tensor)
outputs = [v - (1 if last else 0) for v in ([outputs] if single else outputs) if v is not None]
after = one_vector()
batch, sizes = 10 * after - 9 * before, [[name, b.numel()] for name, b in statistics.items()]
names = list(network.state_dict())
reach = []
for v in outputs if graph else []:
    try:
        (grad,) = torch.autograd.grad(v.square().sum(), [network.conv1.bn.weight], retain_graph=True, allow_unused=True)
        reach.append("" if grad is not None and bool(grad.abs().max() > 0) else "it does not reach conv1")
    except (RuntimeError, AttributeError) as error:
        reach.append(str(error)[:200])
"""
)
# Makes a network whose heads complain when they are run.
_ALARM = """
def alarmed(network):
    def complain(module, given):
        raise RuntimeError("in evaluation mode the heads are not run")
    for head in (network.aux1, network.aux2):
        head.register_forward_pre_hook(complain)
    return network
"""


@dataclass(frozen=True)
class _Wired:
    """What a network gives with the layers of `_WIRED`.

    Attributes:
        outputs: one for each tensor that comes out.
        single: whether it was a tensor, not a tuple.
        kept: whether its input kept its values.
        buffers: running statistics after the run, one after the other, ordered by their names.
        sizes: these names, each with how many numbers it has.
        batch: the statistics of the batch, which moved the running ones by a tenth.
        names: those in its state dict.
        reach: for each output, what is wrong with its gradient, or an empty string.
    """

    outputs: list[torch.Tensor]
    single: bool
    kept: bool
    buffers: torch.Tensor
    sizes: list[list]
    batch: torch.Tensor
    names: list[str]
    reach: list[str]


def _wired(
    student: Student,
    make: str,
    images: torch.Tensor,
    seed: int,
    buffers: torch.Tensor | None = None,
    last: Sequence[str] = (),
    *,
    graph: bool = False,
) -> _Wired:
    """Run a network with cheap layers.

    Args:
        student: in whose process it runs.
        make: an expression that makes it.
        images: what it gets.
        seed: for its numbers.
        buffers: running statistics for a run in evaluation mode; without them it runs in training mode.
        last: names of layers that give what they get; then dropout works in training mode, too.
        graph: whether to look at gradients.
    """
    training = buffers is None
    inputs = {"images": images, "seed": seed, "buffers": torch.zeros(0) if training else buffers, "training": training}
    returns = ["outputs", "single", "same", "after", "sizes", "batch", "names", "reach"]
    code = _WIRED.replace("{make}", make)
    found = student.run(code, returns, **inputs, last=list(last), graph=graph)
    outputs, single, same, after, sizes, batch, names, reach = found
    expect.kind(outputs, list, "What comes out of the network")
    expect.kind(after, torch.Tensor, "The running statistics")
    expect.kind(sizes, list, "The names of the running statistics")
    expect.kind(names, list, "The names in the state dict")
    expect.kind(reach, list, "The gradients")
    return _Wired(outputs, single is True, same is True, after, sizes, batch, names, reach)


def _same(network: nn.Module) -> None:
    """Leave a network as it is."""


def _made(spoil: Callable[[nn.Module], Any] = _same, **settings: Any) -> Callable[[], nn.Module]:
    """Return what makes torchvision's network, or that with a known mistake in it."""

    def make() -> nn.Module:
        network = torchvision.models.GoogLeNet(**{"init_weights": False, **settings})
        spoil(network)
        return network

    return make


def _eps(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5


def _floor(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d):
            module.ceil_mode = False


def _normalized(network: nn.Module) -> None:
    network.maxpool1 = nn.Sequential(network.maxpool1, nn.LocalResponseNorm(5))
    network.maxpool2 = nn.Sequential(nn.LocalResponseNorm(5), network.maxpool2)


def _average(network: nn.Module) -> None:
    for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        getattr(network, f"inception{name}").branch4[0] = nn.AvgPool2d(3, 1, 1)


def _reordered(network: nn.Module) -> None:
    for name in ROWS:
        module = getattr(network, f"inception{name}")

        def forward(x: torch.Tensor, m: nn.Module = module) -> list[torch.Tensor]:
            return [m.branch1(x), m.branch3(x), m.branch2(x), m.branch4(x)]

        module._forward = forward


def _units(forward: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> Callable[[nn.Module], None]:
    """Return what makes the units of a network (convolution, normalization, ReLU) work in another way."""

    def spoil(network: nn.Module) -> None:
        for module in network.modules():
            if isinstance(module, BasicConv2d):
                module.forward = functools.partial(forward, module)

    return spoil


def _set(**parts: Any) -> Callable[[nn.Module], None]:
    def spoil(network: nn.Module) -> None:
        for name, part in parts.items():
            setattr(network, name, part)

    return spoil


_MINE = "TorchvisionGoogLeNet"
_CHANGED: list[tuple[Callable[[nn.Module], Any], str]] = [
    (_eps, "The batch normalizations have eps=0.001."),
    (_set(maxpool4=nn.MaxPool2d(3, 2, ceil_mode=True)), "The max pool before inception5a has a kernel of 2."),
    (_floor, "The max pools round sizes up: ceil_mode=True."),
    (_set(maxpool4=nn.MaxPool2d(2, 2)), "The max pool before inception5a rounds up, too."),
    (
        lambda network: [_set(**{f"maxpool{i}": nn.MaxPool2d(2, 2, ceil_mode=True)})(network) for i in range(1, 5)],
        "Only the max pool before inception5a has a kernel of 2; the others have 3.",
    ),
    (_normalized, "There is no local response normalization here."),
    (_average, "The pooling in branch4 takes the maximum."),
    (_reordered, "The branches are concatenated in the order 1, 2, 3, 4."),
    (_set(avgpool=nn.AdaptiveMaxPool2d(1)), "At the end the pooling is the global average."),
    (_units(lambda m, x: m.bn(m.conv(x).relu())), "The normalization comes before the ReLU, not after it."),
    (_units(lambda m, x: m.bn(m.conv(x))), "The ReLU after each normalization is missing."),
]


#: ImageNet's means and standard deviations.
_MU = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
_SIGMA = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]


def _transformed(change: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable:
    """Return what makes a network change its input in another way, from x, sigma and mu."""
    return _set(_transform_input=lambda x: change(x, _SIGMA, _MU))


_TRANSFORMS: list[tuple[Callable[[nn.Module], Any], str]] = [
    (_set(transform_input=False), "With transform_input=True the input changes first; yours stays as it was."),
    (
        _transformed(lambda x, sigma, mu: x * sigma + mu),
        "The pixels p come back from x * sigma + mu; then follow minus 0.5, divided by 0.5.",
    ),
    (_transformed(lambda x, sigma, mu: (x - mu) / sigma), "The input is normalized already: undo that."),
    (_transformed(lambda x, sigma, mu: (x - 0.5) / 0.5), "Undo the normalization first: p is x * sigma + mu."),
    (_transformed(lambda x, sigma, mu: x * sigma / 0.5 + mu - 0.5), "Divide mu - 0.5 by 0.5, too."),
    (_transformed(lambda x, sigma, mu: x * sigma + (mu - 0.5) / 0.5), "Divide sigma by 0.5, too."),
    (_transformed(lambda x, sigma, mu: x * sigma / 0.5 - (mu - 0.5) / 0.5), "mu - 0.5 is added, not subtracted."),
    (
        _transformed(lambda x, sigma, mu: x * sigma.flip(0) / 0.5 + (mu.flip(0) - 0.5) / 0.5),
        "The three channels are in the order red, green, blue.",
    ),
    (
        _transformed(lambda x, sigma, mu: x * sigma.mean() / 0.5 + (mu.mean() - 0.5) / 0.5),
        "Each channel has its own sigma and mu.",
    ),
]


def _heads(pool: Callable[[torch.Tensor], torch.Tensor], linear: bool = False) -> Callable[[nn.Module], None]:
    """Return what makes the heads of a network pool in another way, or go without their ReLU after fc1."""

    def spoil(network: nn.Module) -> None:
        for head in (network.aux1, network.aux2):

            def forward(x: torch.Tensor, head: nn.Module = head) -> torch.Tensor:
                x = head.fc1(head.conv(pool(x)).flatten(1))
                return head.fc2(x if linear else x.relu())

            head.forward = forward

    return spoil


_HEADS_CHANGED: list[tuple[Callable[[nn.Module], Any], str]] = [
    (_heads(lambda x: F.adaptive_max_pool2d(x, 4)), "The heads' pooling takes the mean, not the maximum."),
    (_heads(lambda x: F.interpolate(x, (4, 4))), "The heads' pooling takes the mean of what a window covers."),
    (_heads(lambda x: F.adaptive_avg_pool2d(x, 4), linear=True), "The ReLU after fc1 in the heads is missing."),
]


@functools.cache
def _their_state() -> dict[str, list[int]]:
    """Return the names and shapes in torchvision's state dict."""
    return _shapes(lambda: torchvision.models.GoogLeNet(init_weights=False))


@check
def TorchvisionGoogLeNet(student: Student, cases: Cases) -> None:
    """Compare with torchvision.models.googlenet: names, logits and running statistics with the same numbers."""
    seed, classes = cases.integer(0, 2**30), cases.integer(4, 9)
    # With 80 pixels the heads see 5: there is something to be pooled to 4. Both sizes make rounding matter.
    images = cases.randn(2, 3, 80, 49)

    def theirs(spoil: Callable[[nn.Module], Any] = _same, **settings: Any) -> _Wired:
        """What torchvision's network gives in training, or that with a known mistake in it."""
        network = _made(spoil, num_classes=classes, **settings)
        own = networks.of("torchvision", spoil, classes, *settings.items(), Network=network)
        return _wired(own, "Network()", images, seed)

    named = whole = False
    with cases("its state dict", weight=2):
        _compare_state(student, f"{_MINE}()", _their_state())
        named = True
    right = theirs()
    with cases("training mode", weight=3):
        seen = _wired(student, f"{_MINE}(num_classes={classes})", images, seed)
        names = "logits, those of aux2, those of aux1"
        hint = f"In training mode with heads a tuple of three comes out: {names}."
        expect.that(len(seen.outputs) == 3 and not seen.single, hint)
        order = f"The order in the tuple is torchvision's: {names}."
        for number in range(3):
            expect.kind(seen.outputs[number], torch.Tensor, "Each of the three")
            expect.shape(seen.outputs[number], tuple(right.outputs[number].shape), "The logits")
            others = [(right.outputs[k], order) for k in range(3) if k != number]
            expect.no_mistake(seen.outputs[number], others)
        for number, name in enumerate(("the network", "aux2", "aux1")):
            logits = right.outputs[number]

            def spoilt(spoil: Callable[[nn.Module], Any], number: int = number, **settings: Any) -> torch.Tensor:
                return theirs(spoil, **settings).outputs[number]

            known: list[tuple[Callable[[], Any], str]] = [
                (logits.softmax(1).clone, "Return logits: the softmax belongs to the loss."),
                (logits.relu().clone, "No ReLU stands after the last layer."),
                *(
                    (functools.partial(spoilt, spoil), text)
                    for spoil, text in [*_CHANGED, *_HEADS_CHANGED]
                    if number or (spoil, text) in _CHANGED
                ),
                (
                    functools.partial(spoilt, _same, transform_input=True),
                    "Without transform_input=True the input stays as it is.",
                ),
            ]
            hint = f"With the same weights the logits of {name} are not torchvision's in training mode."
            _compare(seen.outputs[number], logits, hint, known if named else (), f"The logits of {name}")
        expect.equal(seen.sizes, right.sizes, "The running statistics have other names or sizes than torchvision's.")
        sizes = [size for _, size in right.sizes]
        for (name, _), own, value in zip(
            right.sizes, seen.buffers.split(sizes), right.buffers.split(sizes), strict=True
        ):
            hint = f"After a batch in training mode {name} is not torchvision's: leave the defaults of nn.BatchNorm2d."
            expect.that(torch.allclose(own, value, **EXACT), hint)
        whole = True
    with cases("evaluation mode, transform_input", weight=2):
        # What the transform should make the images of the training from.
        before = (images - (_MU - 0.5) / 0.5) * 0.5 / _SIGMA
        alarmed = _Beside(student, _ALARM)
        seen = _wired(alarmed, f"alarmed({_MINE}({classes}, transform_input=True))", before, seed, right.batch)
        hint = "With the same weights your network gives other logits than torchvision's in evaluation mode."
        expect.that(seen.single, "In evaluation mode the logits alone come out, with heads, too.")

        def evaluated(spoil: Callable[[nn.Module], Any]) -> torch.Tensor:
            network = _made(spoil, num_classes=classes, transform_input=True)
            other = networks.of("torchvision", spoil, classes, "transformed", Network=network)
            return _wired(other, "Network()", before, seed, right.batch).outputs[0]

        known = [(functools.partial(evaluated, spoil), text) for spoil, text in _TRANSFORMS]
        # mu and sigma may be float32 numbers.
        rough = {"rtol": 1e-4, "atol": 1e-4}
        _compare(seen.outputs[0], evaluated(_same), hint, known if whole else (), "The logits", rough)
    small, last = images[:, :, :40, :40].repeat(2, 1, 1, 1) + cases.randn(4, 1, 1, 1), ["fc", "aux1.fc2", "aux2.fc2"]
    dropped = None
    with cases("dropout"):
        dropped = seen = _wired(student, f"{_MINE}(1024, dropout_aux=0.35)", small, seed, last=last, graph=True)
        rates = [(0.2, "before fc"), (0.35, "before fc2 of aux2"), (0.35, "before fc2 of aux1")]
        _compare_dropout(seen.outputs, rates)
    with cases("gradients"):
        hint = "There is no gradient to look at before dropout works."
        expect.that(dropped is not None and len(dropped.reach) == 3, hint)
        for name, text in zip(("the logits", "aux2", "aux1"), dropped.reach, strict=True):
            expect.that(text == "", f"The gradient of {name} cannot be computed: {text}. Detach and overwrite nothing.")
    with cases("without heads"):
        make = f"{_MINE}(1024, aux_logits=False, transform_input=True, dropout=0.5)"
        seen = _wired(student, make, small, seed, last=last)
        expect.that(seen.single, "Without heads the logits alone come out, in training mode, too.")
        trunk = [name for name in _their_state() if not name.startswith("aux")]
        expect.equal(sorted(seen.names), sorted(trunk), "With aux_logits=False the heads, and they alone, are missing.")
        _compare_dropout(seen.outputs, [(0.5, "before fc")])
        expect.that(seen.kept, "Your network changes the images that it is given: make new tensors.")
    with cases("defaults"):
        code = f"""
            import inspect
            given = inspect.signature({_MINE}).parameters
            defaults = {{name: p.default for name, p in given.items() if isinstance(p.default, (bool, int, float))}}
        """
        defaults = student.run(dedent(code), "defaults")
        expect.kind(defaults, dict)
        usual = {"num_classes": 1000, "aux_logits": True, "transform_input": False, "dropout": 0.2, "dropout_aux": 0.7}
        for name, value in usual.items():
            hint = f"The default of {name} should be {value}, as in the cell that you were given."
            expect.that(defaults.get(name, value) == value, hint)
