"""The hidden checks of the assignment `initialization`.

Random weights are tested by their statistics. Each bound below is one that a right answer passes with a probability
of at most about 1e-10 for failing, by the inequality named beside it; together that is below 1e-9 in a case.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.integrate import quad
from scipy.special import erf
from scipy.stats import norm
from torch.nn import functional as F

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import Student

Tensor = torch.Tensor
#: A scale that a known mistake gives, and the hint for its student.
Scales = Sequence[tuple[float, str]]

#: Each one-sided bound on random weights fails a right answer with a probability of at most exp(-RARE) = 2e-11.
RARE = 24.5


def _second_moment(
    f: Callable[[float], float], kinks: Sequence[float] = (), low: float = -12, high: float = 12
) -> float:
    """Return E[f(z)^2] over [low, high], by adaptive quadrature between the kinks."""
    edges = [low, *sorted(kinks), high]
    return sum(
        quad(
            lambda z: f(z) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), a, b, epsabs=0, epsrel=1e-11, limit=200
        )[0]
        for a, b in pairwise(edges)
    )


def _raised(student: Student, calls: Sequence[str], **inputs: Any) -> list[Any]:
    """Return for each call the name of what it raised, or None."""
    code = "import torch\noutcomes = []\n"
    for call in calls:
        code += (
            f"try:\n    {call}\n    outcomes.append(None)\n"
            "except NotImplementedError:\n    raise\n"
            "except Exception as error:\n"
            '    outcomes.append("ValueError" if isinstance(error, ValueError) else type(error).__name__)\n'
        )
    outcomes = student.run(code, "outcomes", **inputs)
    expect.sequence(outcomes, len(calls))
    return outcomes


def _raises(outcome: Any, hint: str) -> None:
    """Expect a ValueError; the sentence says what came in its place."""
    seen = outcome if isinstance(outcome, str) else "nothing"
    expect.that(outcome == "ValueError", f"{hint} should raise a ValueError; yours raised {seen}.")


# --- 1. fan_in_fan_out -----------------------------------------------------------------------------------------------


def _counted(shape: Sequence[int], groups: int) -> tuple[int, int]:
    """Count both fans on a real layer whose weights are all 1: by what an output sees, and by what an input feeds."""
    ones = torch.ones(*shape)
    kernel = shape[2:]
    if not kernel:
        seen = torch.zeros(shape[1], requires_grad=True)
        F.linear(seen, ones)[0].backward()
        fed = F.linear(torch.eye(shape[1])[0], ones)
    else:
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(kernel) - 1]
        seen = torch.zeros(1, shape[1] * groups, *kernel, requires_grad=True)  # just large enough for one output
        convolve(seen, ones, groups=groups)[0, 0].sum().backward()
        middle = torch.zeros(1, shape[1] * groups, *(2 * k - 1 for k in kernel))  # its centre is under every tap once
        middle[(0, 0, *(k - 1 for k in kernel))] = 1
        fed = convolve(middle, ones, groups=groups)
    return int(seen.grad.count_nonzero()), int(fed.count_nonzero())


def _expect_fans(student: Student, shape: Sequence[int], groups: int | None, hint: str, as_size: bool = False) -> None:
    code = "import torch\nresult = fan_in_fan_out(torch.Size(shape) if as_size else tuple(shape)"
    code += ")" if groups is None else ", groups=groups)"
    result = student.run(code, "result", shape=list(shape), groups=groups, as_size=as_size)
    expect.sequence(result, 2)
    for value, what in zip(result, ("The fan-in", "The fan-out"), strict=True):
        if isinstance(value, float):
            raise expect.Unmet(f"{what} is a count: return an integer, with // in place of /.")
        expect.kind(value, int, what)
    g = groups or 1
    fan_in, fan_out = _counted(shape, g)
    kernel, out_channels, per_group = shape[2:], shape[0], shape[1]
    taps = math.prod(kernel)
    swapped = [fan_out, fan_in]
    both = [
        (
            [per_group * taps, out_channels * taps],
            "Your fan-out ignores the groups, as torch.nn.init does: an input feeds its own group's outputs only.",
        ),
        (
            [per_group * taps // g, out_channels * taps // g],
            "The stored shape has in / groups in its second place already: do not divide the fan-in again.",
        ),
        (
            [per_group * taps // g, out_channels * taps],
            "The groups belong to the fan-out: the second entry of the stored shape is in / groups already.",
        ),
        (
            [per_group * taps * g, out_channels * taps],
            "An output sees the inputs of its own group only: do not multiply the fan-in by groups.",
        ),
        ([per_group, out_channels // g], "The kernel is missing: an output sees each channel once per tap."),
        (
            [per_group * taps, out_channels // g],
            "The kernel is missing in the fan-out: an input is under each tap once.",
        ),
        ([per_group, out_channels // g * taps], "The kernel is missing in the fan-in: an output sees all of its taps."),
        (
            [per_group * sum(kernel), out_channels // g * sum(kernel)],
            "A kernel has as many taps as the product of its sizes, not their sum.",
        ),
    ]
    if kernel:
        both += [
            (
                [per_group * side, out_channels // g * side],
                "Every kernel dimension counts, with its own size: multiply all of them.",
            )
            for side in (
                kernel[0],
                kernel[-1],
                kernel[0] ** 2,
                kernel[-1] ** 2,
                kernel[0] * kernel[min(1, len(kernel) - 1)],
            )
        ]
    both.append((swapped, "Return (fan_in, fan_out) in this order; the shape starts with the outputs."))
    # The right answer is no mistake, whatever coincides with it (groups = 1, a square kernel).
    mistakes = [(v, h) for v, h in both if v != [fan_in, fan_out]]
    expect.close([float(min(v, 10**12)) for v in result], [float(fan_in), float(fan_out)], hint, mistakes)


@check
@torch.enable_grad()  # whatever a cell of the student's left behind
def fan_in_fan_out(student: Student, cases: Cases) -> None:
    """Compare with counts on real layers of ones: what an output depends on, and what an input reaches."""

    def sizes(*bounds: tuple[int, int]) -> list[int]:
        while True:  # unlike sizes, so that no mix-up of two of them goes unseen
            drawn = [cases.integer(low, high) for low, high in bounds]
            if len(set(drawn)) == len(drawn):
                return drawn

    with cases("a linear layer"):
        _expect_fans(
            student, sizes((2, 40), (2, 40)), None, "For a linear layer of shape (out, in), the fans are in and out."
        )
    with cases("a convolution"):
        shape = sizes((3, 9), (3, 9), (2, 4), (2, 5))
        _expect_fans(student, shape, None, "A fan is the number of channels times the number of the kernel's taps.")
    with cases("groups", weight=2):
        hint = "With groups, count by hand for two input and two output channels in two groups."
        groups = cases.integer(2, 4)
        per_group, taps = sizes((5, 7), (2, 3))
        _expect_fans(student, [groups * 3, per_group, taps, 4], groups, hint)
        # A depthwise convolution: each output sees one channel.
        channels = cases.integer(5, 9)
        _expect_fans(student, [channels * 2, 1, 3, 2], channels, hint)
    with cases("any number of dimensions"):
        hint = "The kernel may have any number of dimensions: multiply all entries after the second."
        _expect_fans(student, sizes((5, 9), (5, 9), (2, 4)), None, hint)
        _expect_fans(student, sizes((5, 7), (5, 7), (2, 4), (2, 4), (2, 4)), 1, hint)
        shape = [6, 5, 2, 3, 2, 2]  # four dimensions, which no layer of PyTorch has: by the definition
        result = student.run("result = fan_in_fan_out(tuple(shape), groups=3)", "result", shape=shape)
        expect.sequence(result, 2)
        for value, wanted, what in zip(result, (5 * 24, 2 * 24), ("The fan-in", "The fan-out"), strict=True):
            expect.kind(value, int, what)
            expect.that(value == wanted, hint)
    with cases("a size, a tuple, a list"):
        hint = "The result should not depend on whether the shape is a torch.Size, a tuple or a list."
        shape = sizes((5, 9), (5, 9), (2, 4), (2, 4))
        for as_size in (True, False):
            _expect_fans(student, shape, 1, hint, as_size)
        given = list(shape)
        result, after = student.run(
            "given = list(shape)\nresult = fan_in_fan_out(given)\nafter = list(given)", ["result", "after"], shape=given
        )
        expect.equal(after, given, "Your function changes the list that it was given: read it, or copy it first.")
        expect.sequence(result, 2)
        expect.equal(list(result), list(_counted(shape, 1)), hint)
    with cases("what is no weight"):
        outcomes = _raised(
            student,
            [
                "fan_in_fan_out((5,))",
                "fan_in_fan_out(torch.Size([]))",
                "fan_in_fan_out((5, 3, 3), groups=2)",
                "fan_in_fan_out((4, 3), groups=3)",
                "fan_in_fan_out((6, 4), groups=3)",
            ],
        )
        _raises(outcomes[0], "A shape with one entry (a bias)")
        _raises(outcomes[1], "A shape without entries")
        _raises(outcomes[2], "A number of output channels that groups does not divide")
        _raises(outcomes[3], "A number of output channels that groups does not divide")
        # The second entry is per group: 4 and 3 have nothing to do with each other.
        expect.that(outcomes[4] is None, "groups has to divide the first entry of the shape only, not the second.")


# --- 2. gain ---------------------------------------------------------------------------------------------------------

_GAIN = """
import numpy as np
import torch
dtypes, classes = set(), set()
torch.manual_seed(7)
before, before_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()
inner = eval(text)
def fn(z):
    classes.add(type(z).__name__ if not isinstance(z, torch.Tensor) else "Tensor")
    dtypes.add(str(getattr(z, "dtype", None)))
    return inner(z)
result = gain(fn)
again = gain(fn)
classes, dtypes = sorted(classes), sorted(dtypes)
quiet = bool(torch.equal(before, torch.get_rng_state())) and bool((before_numpy == np.random.get_state()[1]).all())
"""


def _expect_gain(
    student: Student,
    text: str,
    moment: float,
    hint: str,
    mistakes: Sequence[tuple[float, str]] = (),
    rtol: float = 2e-6,
    **inputs: Any,
) -> None:
    """Compare the student's gain of the function written in ``text`` with 1 / sqrt(moment)."""
    result = student.run(_GAIN, ["result", "again", "classes", "dtypes", "quiet"], text=text, **inputs)
    value, again, classes, dtypes, quiet = result
    expect.kind(value, float, "The gain")
    wanted = moment**-0.5
    known = [
        (moment, "This is the mean square itself: the gain is 1 over its root."),
        (1 / moment, "The square root is missing: the gain is 1 over the root of the mean square."),
        (moment**0.5, "This is the root of the mean square: the gain is 1 over that."),
        (wanted / (2 * math.pi) ** 0.25, "The density's factor 1 / sqrt(2 pi) is missing."),
        (wanted * (2 * math.pi) ** 0.25, "The density's factor 1 / sqrt(2 pi) counts twice."),
        *mistakes,
    ]
    near = math.isfinite(value) and abs(value / wanted - 1) < 0.05
    rough = (
        "Your gain is near, but not precise: a finer grid, a range up to 12 on both sides, and no random numbers. "
        if near
        else ""
    )
    expect.that(classes != [], "Your function never calls fn: the gain comes from its values, not from its name.")
    expect.that(
        classes == ["Tensor"],
        "Call fn with tensors: it may be an nn.Module or a function of torch, which take nothing else.",
    )
    wrong_dtype = dtypes != ["torch.float64"]
    if near and wrong_dtype:
        raise expect.Unmet("Call fn with float64 tensors: float32 has seven digits, and a long sum loses some of them.")
    expect.close(value, wanted, rough + hint, known, rtol=rtol, atol=0, what="The gain")
    expect.that(
        value == again, "The same function gave two different gains: compute the integral, without random numbers."
    )
    expect.that(quiet is True, "Your function draws from the global random numbers: compute the integral without any.")
    expect.that(not wrong_dtype, "Call fn with float64 tensors.")


@check
@torch.enable_grad()  # whatever a cell of the student's left behind
def gain(student: Student, cases: Cases) -> None:
    """Compare with adaptive quadrature and with closed forms."""
    spread = "It is the second moment that counts, E[f(z)^2], not the variance of f(z)."
    slope = "You took the mean square of the derivative: for this f it is the mean square of f itself."
    with cases("tanh"):
        moment = _second_moment(math.tanh)
        steep = _second_moment(lambda z: 1 / math.cosh(z) ** 2)
        other = _second_moment(lambda z: math.tanh(z / math.sqrt(2)))
        _expect_gain(
            student,
            "torch.tanh",
            moment,
            "Compute the integral of tanh(z)^2 times the normal density.",
            [
                (5 / 3, "5/3 is calculate_gain's rule of thumb for tanh: compute the integral."),
                (steep**-0.5, slope),
                (other**-0.5, "Your density has another variance: that of variance 1 has exp(-z^2 / 2)."),
                (_second_moment(math.tanh, (), -3, 3) ** -0.5, "Your range is too narrow: go to 12 on both sides."),
                (_second_moment(math.tanh, (), -2, 2) ** -0.5, "Your range is too narrow: go to 12 on both sides."),
            ],
        )
    with cases("ReLU and its relatives"):
        hint = "For ReLU, half of the mean square is left."
        variance = 0.5 - 1 / (2 * math.pi)
        _expect_gain(student, "torch.relu", 0.5, hint, [(variance**-0.5, spread)])
        a = cases.uniform(0.05, 0.6)
        _expect_gain(
            student,
            "lambda z: torch.nn.functional.leaky_relu(z, a)",
            (1 + a * a) / 2,
            "Compute the integral for the function that is given: a leaky ReLU has a slope of its own.",
            [
                (math.sqrt(2), "This is ReLU's gain; a leaky ReLU lets some of the rest through."),
                (math.sqrt(2 / (1 + 1e-4)), "You took the slope 0.01: the function that you get knows its own slope."),
                (((1 + a * a) / 2 - (1 - a) ** 2 / (2 * math.pi)) ** -0.5, spread),
            ],
            a=a,
        )
    with cases("smooth functions", weight=2):
        hint = "Compute the integral for the function that is given."
        c = cases.uniform(0.5, 2)
        mean = 0.5
        sigmoid = _second_moment(lambda z: 1 / (1 + math.exp(-c * z)))
        _expect_gain(
            student,
            "lambda z: torch.sigmoid(c * z)",
            sigmoid,
            hint,
            [((sigmoid - mean**2) ** -0.5, spread), (1.0, "1 is calculate_gain's entry for the sigmoid: compute it.")],
            c=c,
        )
        _expect_gain(student, "lambda z: c * z ** 3", 15 * c * c, hint, [((27 * c * c) ** -0.5, slope)], c=c)
        # E[exp(c z)] = exp(c^2 / 2). It grows like e^(c z / 2), and c is below 2: no faster than the text promises.
        _expect_gain(
            student,
            "lambda z: torch.exp(c * z / 2)",
            math.exp(c * c / 2),
            "The tails count for a function that grows: go to 12 on both sides.",
            c=c,
        )
        _expect_gain(
            student, "torch.nn.functional.gelu", _second_moment(lambda z: z * math.erfc(-z / math.sqrt(2)) / 2), hint
        )
        _expect_gain(student, "torch.nn.SiLU()", _second_moment(lambda z: z / (1 + math.exp(-z))), hint)
    with cases("kinks", weight=2):
        hint = "The function may have kinks away from 0: use a rule that does not need a smooth function."
        scale, alpha = 1.0507009873554805, 1.6732632423543772
        _expect_gain(
            student,
            "torch.nn.functional.selu",
            _second_moment(lambda z: scale * (z if z > 0 else alpha * math.expm1(z)), [0]),
            hint,
            [(0.75, "3/4 is calculate_gain's rule of thumb for SELU: compute the integral.")],
        )
        c = cases.uniform(0.4, 1.2)
        _expect_gain(student, "lambda z: torch.relu(z - c)", (1 + c * c) * norm.sf(c) - c * norm.pdf(c), hint, c=c)
        _expect_gain(
            student,
            "lambda z: torch.clamp(z, -c, 1.5 * c)",
            _second_moment(lambda z: min(max(z, -c), 1.5 * c), [-c, 1.5 * c]),
            hint,
            c=c,
        )
        _expect_gain(
            student,
            "lambda z: (z + 2 * c).abs() + 0.3",
            _second_moment(lambda z: abs(z + 2 * c) + 0.3, [-2 * c]),
            hint,
            c=c,
        )
    with cases("jumps"):
        c = cases.uniform(-1, 1)
        hint = "The function may jump: use a rule that does not need a smooth function, and a fine grid."
        _expect_gain(student, "lambda z: (z > c).to(z.dtype)", norm.sf(c), hint, rtol=1e-3, c=c)
        _expect_gain(student, "torch.sign", 1.0, hint, rtol=1e-3)
    with cases("a function that writes into its input"):
        hint = "fn may overwrite what it is given: hand it a copy, or compute the density first."
        _expect_gain(student, "torch.nn.ReLU(inplace=True)", 0.5, hint)
        c = cases.uniform(0.5, 0.9)
        _expect_gain(student, "lambda z: z.mul_(c).add_(1)", 1 + c * c, hint, c=c)
    with cases("no gain"):
        outcomes = _raised(student, ["gain(torch.zeros_like)", "gain(torch.log)", "gain(lambda z: z + float('inf'))"])
        _raises(outcomes[0], "A function that is 0 everywhere")
        _raises(outcomes[1], "A function with nan among its values, such as torch.log,")
        _raises(outcomes[2], "A function with infinite values")


# --- 3 to 5: what random weights have in common ----------------------------------------------------------------------


def _drawn(student: Student, call: str, shape: Sequence[int], seed: int, dtype: torch.dtype, **inputs: Any) -> Tensor:
    """Return w, full of nan before, after a call that sees w and generator."""
    w = student.run(
        "import torch\n"
        'w = torch.full(tuple(shape), float("nan"), dtype=dtype)\n'
        f"generator = torch.Generator().manual_seed(seed)\n{call}\n",
        "w",
        shape=list(shape),
        seed=seed,
        dtype=dtype,
        **inputs,
    )
    expect.shape(w, tuple(shape), "w")
    expect.dtype(w, dtype, "w")
    expect.that(
        not torch.isnan(w).all(),
        "After the call w still holds what was in it: fill w itself, with its in-place methods.",
    )
    expect.that(
        bool(torch.isfinite(w).all()),
        "What was in w before still shows: set every entry, and multiply none of the old ones.",
    )
    return w.double()


def _rules(student: Student, cases: Cases, call: str, seeded: str) -> None:
    """Open the two cases on the four rules; ``call`` sees w, ``seeded`` sees w and generator."""
    with cases("w itself, and nothing for autograd"):
        code = (
            "import torch\n"
            "seen = {}\n"
            "p = torch.nn.Parameter(torch.ones(6, 5))\n"
            "p.grad = torch.full((6, 5), 3.0)\n"
            "address, w = p.data_ptr(), p\n"
            f"result = {call}\n"
            'seen["returned"] = result is p\n'
            'seen["filled"] = not bool((p == 1).all())\n'
            'seen["memory"] = p.data_ptr() == address\n'
            'seen["leaf"] = p.is_leaf and p.requires_grad and p.grad_fn is None\n'
            'seen["grad"] = p.grad is not None and bool((p.grad == 3).all())\n'
            'seen["enabled"] = torch.is_grad_enabled()\n'
            "frozen = torch.nn.Parameter(torch.ones(6, 5), requires_grad=False)\n"
            "w = frozen\n"
            "with torch.no_grad():\n"
            f"    {call}\n"
            '    seen["disabled"] = not torch.is_grad_enabled()\n'
            'seen["frozen"] = not frozen.requires_grad and not bool((frozen == 1).all())\n'
            "base = torch.full((8, 9), 7.0, dtype=torch.float64)\n"
            "w = base[1:7, 2:7]\n"
            f"{call}\n"
            "inside = base[1:7, 2:7].clone()\n"
            "base[1:7, 2:7] = 7.0\n"
            'seen["beside"] = bool((base == 7).all())\n'
            'seen["view"] = not bool((inside == 7).any())\n'
            "turned = torch.full((5, 6), 7.0)\n"
            "w = turned.t()\n"
            f"{call}\n"
            'seen["turned"] = not bool((turned == 7).any())\n'
        )
        seen = student.run(code, "seen")
        expect.kind(seen, dict)
        told = {
            "returned": "Return w itself, the tensor that you were given.",
            "filled": "A parameter keeps its old values: fill w itself, in place.",
            "memory": "w gets new memory: fill the memory that it has, for views of it should see the new values.",
            "leaf": "A parameter is no longer a leaf that requires a gradient: fill it under torch.no_grad().",
            "grad": "Your function changes w.grad: leave it alone.",
            "enabled": "Gradients are off after the call: use `with torch.no_grad():`, which puts them on again.",
            "disabled": "Gradients are on after a call under torch.no_grad(): leave them as they were.",
            "frozen": "A parameter with requires_grad=False should be filled too, and stay as it is otherwise.",
            "view": "When w is a slice of a larger tensor, that tensor should see the new values.",
            "beside": "When w is a slice of a larger tensor, what lies beside it should stay.",
            "turned": "When w is a transposed tensor, all of its entries should be filled.",
        }
        for key, hint in told.items():
            expect.that(seen.get(key) is True, hint)
    with cases("where random numbers come from"):
        first, second = cases.integer(0, 10**6), cases.integer(10**6 + 1, 2 * 10**6)
        code = (
            "import torch\n"
            "def fill(seed):\n"
            "    w = torch.full((12, 30), 7.0, dtype=torch.float64)\n"
            "    generator = torch.Generator().manual_seed(seed)\n"
            f"    {seeded}\n"
            "    return w\n"
            "torch.manual_seed(second)\n"
            "before = torch.get_rng_state()\n"
            "one, same, other = fill(first), fill(first), fill(second)\n"
            "generator = torch.Generator().manual_seed(first)\n"
            "w = torch.empty(12, 30, dtype=torch.float64)\n"
            f"{seeded}\n"
            f"w = torch.empty(12, 30, dtype=torch.float64)\n"
            f"{seeded}\n"
            "next_one = w\n"
            "quiet = bool(torch.equal(before, torch.get_rng_state()))\n"
            "def fill_globally(seed):\n"
            "    if seed is not None:\n"
            "        torch.manual_seed(seed)\n"
            "    w = torch.full((12, 30), 7.0, dtype=torch.float64)\n"
            f"    {call}\n"
            "    return w\n"
            "g_one, g_next = fill_globally(first), fill_globally(None)\n"
            "g_same, g_other = fill_globally(first), fill_globally(second)\n"
            "pairs = [[one, same], [one, other], [one, next_one], [g_one, g_same], [g_one, g_other], [g_one, g_next]]\n"
            "alike = [bool(torch.equal(a, b)) for a, b in pairs]\n"
        )
        alike, quiet = student.run(code, ["alike", "quiet"], first=first, second=second)
        expect.sequence(alike, 6)
        expect.that(
            alike[0] is True, "Two generators with the same seed gave different weights: draw all from `generator`."
        )
        expect.that(alike[1] is False, "Generators with different seeds gave the same weights: draw from `generator`.")
        expect.that(
            alike[2] is False, "A second call with the same generator gave the same weights: never seed or rewind it."
        )
        expect.that(
            quiet is True, "With a generator given, the global one has changed: every draw needs `generator=generator`."
        )
        expect.that(
            alike[4] is False and alike[5] is False,
            "Without a generator the weights are the same each time: draw from the global one, and never seed it.",
        )
        expect.that(
            alike[3] is True,
            "After the same torch.manual_seed the weights differ: without a generator, draw from PyTorch's global one.",
        )


def _centred(values: Tensor, bound: float) -> None:
    """Expect a mean of about 0. Azuma and Hoeffding: a mean of n in [-bound, bound] is above t with exp(-n t^2 / 2)."""
    limit = bound * math.sqrt(2 * RARE / values.numel())
    expect.that(
        abs(values.mean().item()) <= limit,
        "The weights are not centred: their mean should be 0, with both signs alike.",
    )


def _distinct(values: Tensor) -> None:
    """Expect few equal values, and not only zeros: n draws from the 2^24 of float32 have n^2 / 2^25 equal pairs."""
    expect.that(
        values.abs().max().item() > 0,
        "All weights are 0, so that all units are alike and stay so: draw random numbers.",
    )
    distinct = values.flatten().unique().numel()
    expect.that(distinct > 0.9 * values.numel(), "Many entries are equal to each other: draw every one on its own.")


def _independent(values: Tensor) -> None:
    """Expect no tie between neighbours along any dimension.

    The products of neighbours' signs are fair coins, each independent of those before it (Hoeffding).
    """
    hint = "The entries are not independent of each other: draw every one on its own."
    signs = values.sign()
    for d in range(values.dim()):
        n = values.shape[d]
        if n > 1:
            products = signs.narrow(d, 0, n - 1) * signs.narrow(d, 1, n - 1)
            expect.that(abs(products.mean().item()) <= math.sqrt(2 * RARE / products.numel()), hint)


def _follows(values: Tensor, cdf: Callable[[np.ndarray], np.ndarray], hint: str) -> None:
    """Expect values from a distribution: Kolmogorov-Smirnov, with Massart's bound 2 exp(-2 n t^2)."""
    ordered = np.sort(values.flatten().numpy())
    n = len(ordered)
    wanted = cdf(ordered)
    distance = max((np.arange(1, n + 1) / n - wanted).max(), (wanted - np.arange(n) / n).max())
    expect.that(distance <= math.sqrt((RARE + math.log(2)) / (2 * n)), hint)


def _scaled(seen: float, wanted: float, low: float, high: float, hint: str, mistakes: Scales) -> None:
    """Expect seen / wanted between 1 - low and 1 + high; a mistake whose scale lies as near is named."""
    if not wanted * (1 - low) <= seen <= wanted * (1 + high):
        for value, told in mistakes:
            if value * (1 - low) <= seen <= value * (1 + high) and not 0.97 < value / wanted < 1.03:
                raise expect.Unmet(told)
        raise expect.Unmet(hint)


def _expect_uniform(values: Tensor, bound: float, hint: str, mistakes: Scales = ()) -> None:
    """Expect independent draws from U(-bound, bound)."""
    n = values.numel()
    largest = values.abs().max().item()
    _distinct(values)
    _centred(values, max(largest, bound))
    # (w / a)^2 has the mean 1/3 and is in [0, 1]: within 0.05 of it for n >= 5,000 (Hoeffding: 2 exp(-25)).
    ratio = values.square().mean().item() / largest**2
    expect.that(
        ratio > 0.27, "The weights do not look uniform: between -a and a, every value should be as likely as another."
    )
    expect.that(ratio < 0.40, "The weights do not look uniform: too many of them are near the bounds.")
    # All n are below (1 - d) a with probability (1 - d)^n <= exp(-d n).
    _scaled(largest, bound, RARE / n, 1e-5, hint, mistakes)
    _follows(
        values, lambda x: np.clip((x / bound + 1) / 2, 0, 1), "The weights are not spread evenly between -a and a."
    )
    _independent(values)


def _expect_normal(values: Tensor, std: float, hint: str, mistakes: Scales = ()) -> None:
    """Expect independent draws from N(0, std^2)."""
    n = values.numel()
    rms = values.square().mean().sqrt().item()
    _distinct(values)
    # The mean of n is N(0, std^2 / n): beyond 6.8 of its deviations with 1e-11, and rms is right to a few percent.
    expect.that(
        abs(values.mean().item()) <= 7 * rms / math.sqrt(n),
        "The weights are not centred: their mean should be 0, with both signs alike.",
    )
    # All n lie within z with (1 - p)^n <= exp(-p n), where p = 2 (1 - Phi(z)); rms is known to 6%.
    z = norm.isf(RARE / (2 * n))
    expect.that(
        values.abs().max().item() > 0.94 * z * rms,
        "The weights have no tails: a normal distribution is neither uniform nor cut off.",
    )
    # n rms^2 / std^2 is chi-squared (Laurent and Massart 2000): beyond these with exp(-RARE) each.
    low, high = 2 * math.sqrt(RARE / n), 2 * math.sqrt(RARE / n) + 2 * RARE / n
    _scaled(rms, std, 1 - math.sqrt(1 - low), math.sqrt(1 + high) - 1, hint, mistakes)
    _follows(
        values, lambda x: (1 + erf(x / std / math.sqrt(2))) / 2, "The weights do not follow a normal distribution."
    )
    _independent(values)


# --- 3. xavier_uniform_ ----------------------------------------------------------------------------------------------


@check
@torch.enable_grad()  # whatever a cell of the student's left behind
def xavier_uniform_(student: Student, cases: Cases) -> None:
    """Test the bound, the distribution, and the four rules."""
    seed = cases.integer(0, 10**9)

    def bound_mistakes(fan_in: int, fan_out: int, g: float) -> list[tuple[float, str]]:
        both = fan_in + fan_out
        return [
            (math.sqrt(6 / both), "The gain is missing: it multiplies the bound."),
            (g * g * math.sqrt(6 / both), "The gain counts twice: it multiplies the bound once."),
            (math.sqrt(g * 6 / both), "The gain belongs outside the root."),
            (g * math.sqrt(2 / both), "This bound is the standard deviation: the bound is sqrt(3) times as large."),
            (g * math.sqrt(12 / both), "12 is for the whole width of an interval; the bound a is half of that."),
            (g * 6 / both, "The square root is missing in the bound."),
            (g * math.sqrt(6) / both, "The sum of the fans belongs under the root too."),
            (g * math.sqrt(6 / fan_in), "This bound has the fan-in only: Xavier's has the sum of both fans."),
            (g * math.sqrt(6 / fan_out), "This bound has the fan-out only: Xavier's has the sum of both fans."),
            (g * math.sqrt(3 / both), "This bound is smaller by sqrt(2): it has 6 over the sum, or 3 over the mean."),
            (g * math.sqrt(1 / fan_in), "This is the bound that nn.Linear has by default."),
        ]

    with cases("a linear layer"):
        fan_in, fan_out = cases.integer(260, 330), cases.integer(190, 230)
        values = _drawn(student, "xavier_uniform_(w, generator=generator)", (fan_out, fan_in), seed, torch.float64)
        hint = "The largest of many weights shows the bound: it should be near sqrt(6 / (fan_in + fan_out))."
        _expect_uniform(values, math.sqrt(6 / (fan_in + fan_out)), hint, bound_mistakes(fan_in, fan_out, 1.0))
    with cases("a gain"):
        g = cases.uniform(1.3, 2.5)
        fan_in, fan_out = cases.integer(190, 230), cases.integer(260, 330)
        values = _drawn(
            student, "xavier_uniform_(w, gain=g, generator=generator)", (fan_out, fan_in), seed, torch.float64, g=g
        )
        hint = "The gain multiplies the bound of the uniform distribution, once."
        _expect_uniform(values, g * math.sqrt(6 / (fan_in + fan_out)), hint, bound_mistakes(fan_in, fan_out, g))
    with cases("convolutions"):
        hint = "For a convolution, each fan is a number of channels times the number of the kernel's taps."
        for shape in ((60, 33, 7), (40, 25, 5, 3), (20, 14, 3, 4, 2)):
            values = _drawn(student, "xavier_uniform_(w, generator=generator)", shape, seed, torch.float64)
            o, i, taps = shape[0], shape[1], math.prod(shape[2:])
            _expect_uniform(
                values,
                math.sqrt(6 / (taps * (o + i))),
                hint,
                [
                    (math.sqrt(6 / (o + i)), "The kernel is missing in the fans of a convolution."),
                    (math.sqrt(6 / (i * taps + o)), "The kernel is missing in the fan-out of a convolution."),
                    (math.sqrt(6 / (i + o * taps)), "The kernel is missing in the fan-in of a convolution."),
                    (math.sqrt(6 / (shape[2] * (o + i))), "All dimensions of the kernel count, not only the first."),
                    (math.sqrt(6 / (shape[-1] * (o + i))), "All dimensions of the kernel count, not only the last."),
                    (
                        math.sqrt(6 / (o + shape[-1])),
                        "The fans are in the first two dimensions, and the kernel after them.",
                    ),
                ],
            )
    with cases("float32"):
        values = _drawn(student, "xavier_uniform_(w, 2.0, generator)", (180, 300), seed, torch.float32)
        _expect_uniform(values, 2 * math.sqrt(6 / 480), "In float32 the bound is the same.")
    _rules(student, cases, "xavier_uniform_(w)", "xavier_uniform_(w, generator=generator)")


# --- 4. kaiming_normal_ ----------------------------------------------------------------------------------------------


@check
@torch.enable_grad()  # whatever a cell of the student's left behind
def kaiming_normal_(student: Student, cases: Cases) -> None:
    """Test the standard deviation, the distribution, and the four rules."""
    seed = cases.integer(0, 10**9)
    spread = "It is the second moment that counts, E[f(z)^2], not the variance of f(z)."
    square = "normal_ takes the standard deviation, but yours has got the variance: take the square root."

    def std_mistakes(g: float, fan: int, other: int) -> list[tuple[float, str]]:
        return [
            (g * g / fan, square),
            (
                math.sqrt(g / math.sqrt(fan)),
                "The root was taken once too often: the standard deviation is g / sqrt(fan).",
            ),
            (g / math.sqrt(other), "This is the other fan: the shape of w starts with the outputs."),
            (g * math.sqrt(2 / (fan + other)), "This has the sum of both fans, as Xavier's rule: He's takes one."),
            (1 / math.sqrt(fan), "The gain is missing: multiply by g, which depends on the activation."),
            (g * g / math.sqrt(fan), "The gain counts twice: the standard deviation has g, the variance g squared."),
            (1 / g / math.sqrt(fan), "This divides by the gain: an activation that loses signal needs larger weights."),
            (math.sqrt(g) / math.sqrt(fan), "The gain is outside the root of the fan: g / sqrt(fan)."),
            (g / math.sqrt(3 * fan), "This is the spread of a uniform distribution with the bound g / sqrt(fan)."),
        ]

    for mode, name in (("fan_in", "forward"), ("fan_out", "backward")):
        with cases(name):
            n_out = cases.integer(180, 200)
            n_in = round(n_out * cases.uniform(1.72, 1.8))  # there no two of the mistakes have one scale
            fan, other = (n_in, n_out) if mode == "fan_in" else (n_out, n_in)
            call = f'kaiming_normal_(w, "{mode}", generator=generator)'
            values = _drawn(student, call, (n_out, n_in), seed, torch.float64)
            hint = f"With mode {mode} and ReLU, the variance is 2 over that fan; see what yours is for a large w."
            mistakes = std_mistakes(math.sqrt(2), fan, other)
            mistakes.append((math.sqrt(1 / (0.5 - 1 / (2 * math.pi)) / fan), spread))
            if mode == "fan_out":
                mistakes.insert(0, (math.sqrt(2 / n_in), 'mode="fan_out" is ignored: the fan-out is the first entry.'))
            _expect_normal(values, math.sqrt(2 / fan), hint, mistakes)
    with cases("the defaults"):
        values = _drawn(student, "kaiming_normal_(w, generator=generator)", (180, 300), seed, torch.float32)
        hint = "Without a mode and an activation, the rule is that for the fan-in and ReLU."
        _expect_normal(
            values, math.sqrt(2 / 300), hint, [(math.sqrt(2 / 180), "The mode is fan_in unless told otherwise.")]
        )
    with cases("other activations", weight=2):
        a, c = cases.uniform(0.5, 0.9), cases.uniform(0.6, 1.0)
        tanh = _second_moment(math.tanh)
        # (the activation, its second moment, its variance, its mean squared slope)
        tried = [
            ("torch.tanh", tanh, tanh, _second_moment(lambda z: 1 / math.cosh(z) ** 2)),
            ("torch.nn.Identity()", 1.0, 1.0, 1.0),
            (
                "lambda z: torch.where(z > 0, z, a * z)",
                (1 + a * a) / 2,
                (1 + a * a) / 2 - (1 - a) ** 2 / (2 * math.pi),
                (1 + a * a) / 2,
            ),
            ("torch.nn.ReLU(inplace=True)", 0.5, 0.5 - 1 / (2 * math.pi), 0.5),
            (
                "lambda z: torch.relu(z - c)",
                (1 + c * c) * norm.sf(c) - c * norm.pdf(c),
                (1 + c * c) * norm.sf(c) - c * norm.pdf(c) - (norm.pdf(c) - c * norm.sf(c)) ** 2,
                norm.sf(c),
            ),
        ]
        for text, moment, variance, slope in tried:
            call = f"kaiming_normal_(w, nonlinearity={text}, generator=generator)"
            values = _drawn(student, call, (210, 300), seed, torch.float64, a=a, c=c)
            std = math.sqrt(1 / moment / 300)
            hint = "With another activation the standard deviation is g / sqrt(fan), with the g of exercise 2."
            _expect_normal(
                values,
                std,
                hint,
                [
                    (
                        math.sqrt(2 / 300),
                        "The activation is ignored: the 2 in He's rule is for ReLU, others have another g.",
                    ),
                    (5 / 3 / math.sqrt(300), "5/3 is calculate_gain's rule of thumb for tanh: compute the integral."),
                    (1 / math.sqrt(300), "The gain is missing: multiply by g, which depends on the activation."),
                    (math.sqrt(1 / variance / 300), spread),
                    (math.sqrt(1 / slope / 300), "You took the mean square of the derivative: it is that of f itself."),
                    *std_mistakes(moment**-0.5, 300, 210),
                ],
            )
    with cases("convolutions"):
        for mode, shape in (("fan_in", (60, 33, 7)), ("fan_out", (40, 25, 5, 3)), ("fan_in", (24, 14, 3, 4, 2))):
            call = f'kaiming_normal_(w, "{mode}", torch.relu, generator)'
            values = _drawn(student, call, shape, seed, torch.float64)
            channels, taps = shape[1 if mode == "fan_in" else 0], math.prod(shape[2:])
            _expect_normal(
                values,
                math.sqrt(2 / (channels * taps)),
                "For a convolution, each fan is a number of channels times the number of the kernel's taps.",
                [
                    (math.sqrt(2 / channels), "The kernel is missing in the fan of a convolution."),
                    (math.sqrt(2 / (channels * shape[2])), "All dimensions of the kernel count, not only the first."),
                    (math.sqrt(2 / (channels * shape[-1])), "All dimensions of the kernel count, not only the last."),
                    (math.sqrt(2 / (shape[0] + shape[1] - channels) / taps), "This is the other fan: mind the mode."),
                ],
            )
    with cases("a mode that there is not"):
        w = cases.randn(4, 3)
        code = (
            "import torch\n"
            "w, outcomes = given.clone(), []\n"
            'for mode in ("fan_avg", "FAN_IN", "", "fan"):\n'
            "    try:\n"
            "        kaiming_normal_(w, mode=mode)\n"
            "        outcomes.append(None)\n"
            "    except NotImplementedError:\n"
            "        raise\n"
            "    except Exception as error:\n"
            "        outcomes.append('ValueError' if isinstance(error, ValueError) else type(error).__name__)\n"
        )
        outcomes, after = student.run(code, ["outcomes", "w"], given=w)
        expect.sequence(outcomes, 4)
        for outcome in outcomes:
            _raises(outcome, 'Any mode but "fan_in" and "fan_out"')
        expect.close(after, w, "A wrong mode should leave w as it was: look at the mode before you draw.", what="w")
    _rules(student, cases, "kaiming_normal_(w)", "kaiming_normal_(w, generator=generator)")


# --- 5. sparse_init_ -------------------------------------------------------------------------------------------------

#: A normal number drawn in float32 is exactly 0 with a probability of 4e-8 (8 were in 2e8), and they may come in
#: pairs. Of 15,000 the expected number of pairs is 3e-4, and three pairs have a probability below 1e-11.
FORGIVEN = 4


def _expect_counts(draws: Sequence[Tensor], connections: int) -> None:
    """Expect the number of non-zeros in each row, forgiving values that were drawn as exactly 0."""
    masks = torch.stack([w != 0 for w in draws])
    columns = draws[0].shape[1]
    wanted = min(connections, columns)
    counts, by_column = masks.sum(2), masks.sum(1)
    if not (counts == 0).all():
        expect.that(
            not (counts == columns).all() or wanted == columns,
            "Every weight is different from 0: all but the chosen ones in each row should be exactly 0.",
        )
        expect.that(
            not (counts != wanted).any() or not (by_column == by_column[0, 0]).all(),
            "Every column has the same number of non-zeros, as torch.nn.init.sparse_ does it; here every row should.",
        )
        expect.that(
            not ((counts > wanted).any() and (counts < wanted).any())
            or (counts.double().mean() - wanted).abs() > 0.1 * wanted,
            "Rows have the right number of non-zeros only on average: each should have exactly that many.",
        )
        expect.that(
            int((counts < wanted).sum()) <= FORGIVEN or bool((counts > wanted).any()) or not (counts == wanted).any(),
            "Some rows have too few non-zeros: draw their columns without replacement.",
        )
    hint = "Each row should have min(connections, in) weights that are not 0: count them row by row."
    expect.that(bool((counts <= wanted).all()), hint)
    expect.that(int((wanted - counts).sum()) <= FORGIVEN, hint)
    if len(draws) > 2:  # a row that is short in each of three draws is no accident
        expect.that(not bool((counts < wanted).all(0).any()), hint)


@check
@torch.enable_grad()  # whatever a cell of the student's left behind
def sparse_init_(student: Student, cases: Cases) -> None:
    """Test how many, where and how large the non-zeros are, and the four rules."""
    rows, columns, k = 1500, 40, 10
    std = cases.uniform(0.6, 0.8)  # there no two of the mistakes below have one scale

    def draw(shape: tuple[int, int], connections: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        call = "sparse_init_(w, connections, std, generator=generator)"
        seed = cases.integer(0, 10**9)
        return [_drawn(student, call, shape, seed + i, dtype, connections=connections, std=std) for i in range(3)]

    with cases("how many"):
        k_small = cases.integer(12, 18)
        _expect_counts(draw((70, 50), k_small), k_small)
        _expect_counts(draw((30, 90), 1, torch.float32), 1)
    with cases("few inputs"):
        hint = "When a row has fewer entries than connections, all of them are drawn: min(connections, in)."
        for shape, connections in (((40, 9), 15), ((40, 9), 9)):
            with expect.explained(hint):
                draws = draw(shape, connections)
            # Three draws, for one of them may hold a number that was drawn as exactly 0.
            expect.that(bool((torch.stack(draws) != 0).any(0).all()), hint)
    with cases("where", weight=2):
        call = "sparse_init_(w, connections, std, generator=generator)"
        w = _drawn(student, call, (rows, columns), cases.integer(0, 10**9), torch.float64, connections=k, std=std)
        mask = (w != 0).double()
        _expect_counts([w], k)
        same = "Every row has the same columns: draw them anew for each row."
        expect.that(not bool((mask == mask[0]).all()), same)
        # Rows are independent, so a mean over them of what lies between 0 and c is within c sqrt(. / (2 rows)) of its
        # expectation (Hoeffding). A union over 40 columns and 39 distances.
        limit = math.sqrt((RARE + math.log(2 * 79)) / (2 * rows))
        expect.that(
            bool(((mask.mean(0) - k / columns).abs() <= limit).all()),
            "Some columns are chosen more often than others: all sets of columns should be equally likely.",
        )
        for distance in range(1, columns):
            together = (mask * mask.roll(distance, 1)).sum(1).mean().item()
            expect.that(
                abs(together - k * (k - 1) / (columns - 1)) <= k * limit,
                "Columns at certain distances are chosen together too often or never: all sets are equally likely.",
            )
        # Given the row before, what two rows share has the mean k^2 / columns, and is between 0 and k (Azuma).
        shared = (mask[1:] * mask[:-1]).sum(1).mean().item()
        expect.that(
            abs(shared - k * k / columns) <= k * math.sqrt((RARE + math.log(2)) / (2 * (rows - 1))),
            "The columns of a row depend on those of the row before: draw them anew for each row.",
        )
    with cases("how large", weight=2):
        call = "sparse_init_(w, connections, std, generator=generator)"
        w = _drawn(student, call, (rows, columns), cases.integer(0, 10**9), torch.float64, connections=k, std=std)
        values = w[w != 0]
        expect.that(values.numel() > 1000, "Too few weights are different from 0.")
        expect.that(
            values.unique().numel() > 0.9 * values.numel(),
            "Many of the non-zero weights are equal to each other: draw a value for each of them.",
        )
        mistakes = [
            (1.0, "std is ignored: the non-zero weights are std times a standard normal number."),
            (std**2, "The non-zero weights have std as their standard deviation, not as its root."),
            (math.sqrt(std), "std is the standard deviation already: do not take its root."),
            (std / math.sqrt(k), "std is the spread of each non-zero weight: nothing divides it by the connections."),
            (
                std * math.sqrt(2 / k),
                "std is the spread of each non-zero weight: He's factor is for the caller to choose.",
            ),
            (std * math.sqrt(k / columns), "std is the spread of the non-zero weights, not of all of them."),
            (std / math.sqrt(columns), "std is the spread of each non-zero weight: nothing divides it by the width."),
        ]
        _expect_normal(values, std, "The non-zero weights are drawn from N(0, std^2), whatever their number.", mistakes)
        # The largest of each row would pass for normal only if all of a row were drawn: position and size are free.
        full = w[:, : columns // 2].abs().sum().item() / w.abs().sum().item()
        expect.that(0.4 < full < 0.6, "The sizes of the weights depend on their columns: they should not.")
    with cases("what cannot be"):
        outcomes = _raised(
            student,
            [
                "sparse_init_(torch.zeros(4, 5), 0, 1.0)",
                "sparse_init_(torch.zeros(4, 5), -2, 1.0)",
                "sparse_init_(torch.zeros(4), 2, 1.0)",
                "sparse_init_(torch.zeros(4, 5, 3, 3), 2, 1.0)",
            ],
        )
        _raises(outcomes[0], "connections = 0")
        _raises(outcomes[1], "Negative connections")
        _raises(outcomes[2], "A w with one dimension")
        _raises(outcomes[3], "A w with four dimensions")
    # With 40 connections the rows of these small tensors are full, so that each entry shows whether it was drawn.
    _rules(student, cases, "sparse_init_(w, 40, 1.0)", "sparse_init_(w, 7, 1.0, generator=generator)")


# --- 6. initialize ---------------------------------------------------------------------------------------------------

_SET_UP = """
import torch
from torch import nn
def spoil(model):
    # Values that no initialization leaves behind.
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(7)
        for b in model.buffers():
            b.fill_(5)
    return model
def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}
torch.manual_seed(seed)
"""


def _state(student: Student, seed: int, build: str, after: str = "") -> dict[str, Tensor]:
    """Return the state of a model after initialize; every parameter was 7 and every buffer 5 before."""
    code = f"{_SET_UP}{build}\nspoil(model)\ninitialize(model)\n{after}\nstate = state_of(model)"
    state = student.run(code, "state", seed=seed)
    expect.kind(state, dict)
    for name, value in state.items():
        expect.kind(value, torch.Tensor, f"`{name}`")
    return state


def _part(state: dict, name: str, shape: Sequence[int] | None = None) -> Tensor:
    expect.that(name in state, f"The model has lost its `{name}`.")
    if shape is not None:
        expect.shape(state[name], tuple(shape), f"`{name}`")
    return state[name].double()


def _expect_weight(state: dict, name: str, shape: Sequence[int], fan_in: int, hint: str, mistakes: Scales) -> None:
    weight = _part(state, name, shape)
    expect.that(not bool((weight == 7).all()), hint)
    told = "The variance of a weight should be 2 over its fan-in: see what yours is for a wide layer."
    _expect_normal(weight, math.sqrt(2 / fan_in), told, [(2 / fan_in, _VARIANCE), *mistakes])


_VARIANCE = "normal_ takes the standard deviation, but yours has got the variance: take the square root."
_ROOT = "The model may itself be a layer: model.modules() holds the model too, children() does not."
_DEEP = "A layer inside another module was passed over: model.modules() goes to any depth, children() does not."


def _expect_constant(state: dict, name: str, value: float, hint: str) -> None:
    seen = _part(state, name)
    expect.that(bool((seen == value).all()), hint)


@check
@torch.enable_grad()  # whatever a cell of the student's left behind
def initialize(student: Student, cases: Cases) -> None:
    """Test each kind of layer, what must stay, and where the numbers come from."""
    seed = cases.integer(0, 10**9)
    n_in, n_out = cases.integer(190, 230), cases.integer(300, 340)

    def linear_mistakes(i: int, o: int) -> list[tuple[float, str]]:
        return [
            (math.sqrt(2 / o), "The variance has the fan-out: take the fan-in, the second entry of the shape."),
            (math.sqrt(2 / (i + o)), "This is Xavier's variance: for ReLU it is 2 over the fan-in."),
            (math.sqrt(1 / i), "The 2 is missing: a ReLU takes half of the mean square away."),
            (math.sqrt(1 / (3 * i)), "These are PyTorch's default weights: they have a third of the variance 1/n."),
        ]

    with cases("linear layers"):
        state = _state(student, seed, f"model = nn.Sequential(nn.Linear({n_in}, {n_out}))")
        untouched = "The weights of a linear layer stay as they were: set them in place, layer by layer."
        _expect_weight(state, "0.weight", (n_out, n_in), n_in, untouched, linear_mistakes(n_in, n_out))
        _expect_constant(state, "0.bias", 0, "A bias of a linear layer is not 0.")
        state = _state(student, seed, f"model = nn.Linear({n_in}, {n_out})")
        _expect_weight(state, "weight", (n_out, n_in), n_in, _ROOT, linear_mistakes(n_in, n_out))
        _expect_constant(state, "bias", 0, "A bias of a linear layer is not 0.")
        state = _state(
            student,
            seed,
            "class Scaled(nn.Linear):\n    pass\n"
            f"inner = nn.ModuleDict({{'in': nn.Linear({n_in}, 60)}})\n"
            f"model = nn.Sequential(nn.ModuleList([nn.Sequential(nn.ReLU(), inner)]), Scaled({n_in}, 50))",
        )
        _expect_weight(state, "0.0.1.in.weight", (60, n_in), n_in, _DEEP, linear_mistakes(n_in, 60))
        _expect_constant(state, "0.0.1.in.bias", 0, "A bias of a linear layer is not 0.")
        own = "A class made from nn.Linear is a linear layer too: ask with isinstance."
        _expect_weight(state, "1.weight", (50, n_in), n_in, own, linear_mistakes(n_in, 50))
    with cases("convolutions", weight=2):
        state = _state(
            student,
            seed,
            "model = nn.Module()\n"
            "model.one = nn.Conv1d(60, 80, 5)\n"
            "model.two = nn.Conv2d(20, 60, (3, 5))\n"
            "model.three = nn.Conv3d(12, 40, (2, 3, 4))\n"
            "model.grouped = nn.Conv2d(96, 128, 3, groups=4)\n"
            "model.separate = nn.Conv1d(300, 900, 5, groups=300)\n",
        )
        # (name, shape, fan-in, groups)
        for name, shape, groups in (
            ("one", (80, 60, 5), 1),
            ("two", (60, 20, 3, 5), 1),
            ("three", (40, 12, 2, 3, 4), 1),
            ("grouped", (128, 24, 3, 3), 4),
            ("separate", (900, 1, 5), 300),
        ):
            taps, fan_in = math.prod(shape[2:]), math.prod(shape[1:])
            kind = f"nn.Conv{len(shape) - 2}d"
            mistakes = [
                (math.sqrt(2 / shape[1]), "The kernel is missing in the fan-in of a convolution."),
                (
                    math.sqrt(2 / (shape[1] * shape[2] ** 2)),
                    "Kernels need not be square or two-dimensional: multiply all sizes.",
                ),
                (math.sqrt(2 / (shape[1] * shape[2])), "All dimensions of the kernel count, not only the first."),
                (math.sqrt(2 / (shape[1] * shape[-1])), "All dimensions of the kernel count, not only the last."),
                (math.sqrt(2 / (shape[1] * shape[-1] ** 2)), "Kernels need not be square: multiply all sizes."),
                (
                    math.sqrt(2 / (shape[0] * taps)),
                    "The variance has the fan-out: take the fan-in, which starts at the second entry of the shape.",
                ),
                (math.sqrt(1 / fan_in), "The 2 is missing: a ReLU takes half of the mean square away."),
                (
                    math.sqrt(1 / (3 * fan_in)),
                    "These are PyTorch's default weights: they have a third of the variance 1/n.",
                ),
            ]
            if groups > 1:
                mistakes = [
                    (
                        math.sqrt(2 / (fan_in * groups)),
                        "With groups an output sees the channels of its own group only, not all in_channels.",
                    ),
                    (
                        math.sqrt(2 * groups / fan_in),
                        "The second entry of the stored shape is in / groups already: do not divide it again.",
                    ),
                    *mistakes,
                ]
            _expect_weight(state, f"{name}.weight", shape, fan_in, f"{kind} is passed over.", mistakes)
            _expect_constant(state, f"{name}.bias", 0, f"A bias of {kind} is not 0.")
    with cases("batch normalization"):
        for d in (1, 2, 3):
            kind = f"nn.BatchNorm{d}d"
            state = _state(student, seed, f"model = nn.Sequential(nn.Sequential({kind}(6)))")
            name = "0.0."
            _expect_constant(state, name + "weight", 1, f"The weight of {kind} should be 1.")
            _expect_constant(state, name + "bias", 0, f"The bias of {kind} should be 0.")
            _expect_constant(state, name + "running_mean", 0, f"The running_mean of {kind} should be 0.")
            _expect_constant(state, name + "running_var", 1, f"The running_var of {kind} should be 1.")
            _expect_constant(state, name + "num_batches_tracked", 0, f"The num_batches_tracked of {kind} should be 0.")
            for part, wanted in (("running_var", torch.float32), ("num_batches_tracked", torch.int64)):
                expect.dtype(state[name + part], wanted, f"`{part}`")
    with cases("layer normalization"):
        state = _state(student, seed, "model = nn.Sequential(nn.LayerNorm(6), nn.Sequential(nn.LayerNorm((3, 4))))")
        for name in ("0.", "1.0."):
            _expect_constant(state, name + "weight", 1, "The weight of nn.LayerNorm should be 1.")
            _expect_constant(state, name + "bias", 0, "The bias of nn.LayerNorm should be 0.")
    missing = "A layer may lack a part: ask whether it is None before you set it."
    with cases("parts that are not there"), expect.explained(missing):
        state = _state(
            student,
            seed,
            f"model = nn.Sequential(nn.Linear({n_in}, 60, bias=False), nn.Conv2d(30, 40, 3, bias=False),\n"
            "    nn.BatchNorm2d(4, affine=False), nn.BatchNorm1d(4, track_running_stats=False),\n"
            "    nn.LayerNorm(5, elementwise_affine=False), nn.LayerNorm(5, bias=False),\n"
            f"    nn.BatchNorm3d(4, affine=False, track_running_stats=False), nn.Linear({n_in}, 70))",
        )
        _expect_weight(state, "0.weight", (60, n_in), n_in, missing, linear_mistakes(n_in, 60))
        _expect_weight(state, "1.weight", (40, 30, 3, 3), 270, missing, [])
        _expect_constant(state, "2.running_mean", 0, "With affine=False, the running statistics are still set.")
        _expect_constant(state, "2.running_var", 1, "With affine=False, the running statistics are still set.")
        _expect_constant(state, "3.weight", 1, "Without running statistics, the weight and the bias are still set.")
        _expect_constant(state, "3.bias", 0, "Without running statistics, the weight and the bias are still set.")
        _expect_constant(state, "5.weight", 1, "A LayerNorm without a bias still has a weight to be set.")
        _expect_weight(
            state, "7.weight", (70, n_in), n_in, "A layer after those is passed over.", linear_mistakes(n_in, 70)
        )
        _expect_constant(state, "7.bias", 0, "A bias after those is not 0.")
        wanted = {"0.weight", "1.weight", "3.weight", "3.bias", "5.weight", "7.weight", "7.bias"}
        wanted |= {f"2.{p}" for p in ("running_mean", "running_var", "num_batches_tracked")}
        expect.that(set(state) == wanted, "A part that a layer lacks should stay away: yours gives it one.")
    with cases("everything else stays"):
        state = _state(
            student,
            seed,
            "class Odd(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.token = nn.Parameter(torch.zeros(5, 4))\n"
            "        self.weight, self.bias = nn.Parameter(torch.zeros(5, 4)), nn.Parameter(torch.zeros(4))\n"
            '        self.register_buffer("running_mean", torch.zeros(3))\n'
            "model = nn.Sequential(Odd(), nn.Embedding(6, 5), nn.ConvTranspose2d(3, 4, 3),\n"
            "    nn.ConvTranspose1d(3, 4, 3),\n"
            "    nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True, track_running_stats=True), nn.PReLU(3),\n"
            "    nn.Bilinear(3, 4, 5), nn.GRU(3, 4), nn.Linear(3, 4))",
        )
        kinds = ["Odd", "Embedding", "ConvTranspose2d", "ConvTranspose1d", "GroupNorm", "InstanceNorm2d", "PReLU"]
        kinds += ["Bilinear", "GRU"]
        for name, value in state.items():
            number, _, part = str(name).partition(".")
            if number in map(str, range(len(kinds))):
                which = f"nn.{kinds[int(number)]}" if number != "0" else "A module of another kind"
                kept = 5 if "running" in part or "tracked" in part else 7
                expect.that(
                    bool((value == kept).all()), f"{which} should stay as it was: set the named kinds of layers only."
                )
        expect.that(
            not bool((_part(state, "9.weight") == 7).any()), "A linear layer after other modules is passed over."
        )
    with cases("the same parameters"):
        code = (
            "model = nn.Sequential(nn.Linear(8, 8), nn.Conv1d(4, 4, 3).double(), nn.BatchNorm1d(4), nn.LayerNorm(4),\n"
            "    nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)))\n"
            "spoil(model)\n"
            "model[4].weight = model[0].weight\n"
            "model[5].requires_grad_(False)\n"
            "model[2].weight.requires_grad_(False)\n"
            "model[1].eval(); model[5][1].eval()\n"
            "model[0].weight.grad = torch.full((8, 8), 2.0)\n"
            "def facts():\n"
            "    return [[n, id(p), p.requires_grad, str(p.dtype), p.is_leaf] for n, p in model.named_parameters()]\n"
            "def modes():\n"
            "    return [m.training for m in model.modules()]\n"
            "before, modes_before = facts(), modes()\n"
            "optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)\n"
            "initialize(model)\n"
            "after, modes_after, enabled = facts(), modes(), torch.is_grad_enabled()\n"
            "shared = model[4].weight is model[0].weight\n"
            "grad = model[0].weight.grad\n"
            "none = all(p.grad is None for n, p in model.named_parameters() if n != '0.weight')\n"
            "frozen = state_of(model[5])\n"
            "old = model[0].weight.detach().clone()\n"
            "optimizer.step()\n"
            "moved = (model[0].weight.detach() - old)\n"
        )
        names = [
            "before",
            "after",
            "modes_before",
            "modes_after",
            "enabled",
            "shared",
            "grad",
            "none",
            "frozen",
            "moved",
        ]
        got = dict(zip(names, student.run(_SET_UP + code, names, seed=seed), strict=True))
        expect.kind(got["after"], list)
        expect.that(got["shared"] is True, "Two layers shared a weight and no longer do: set it in place.")
        for what, place in (("id", 1), ("requires_grad", 2), ("dtype", 3), ("leaf", 4)):
            hints = {
                "id": "A parameter is a new object, and an optimizer made before trains the old one: set it in place.",
                "requires_grad": "A parameter's requires_grad has changed: leave it as it was.",
                "dtype": "A parameter's dtype has changed: set the values of the tensor that is there.",
                "leaf": "A parameter is no longer a leaf: set it under torch.no_grad().",
            }
            expect.equal([f[place] for f in got["after"]], [f[place] for f in got["before"]], hints[what])
        expect.equal(
            got["modes_after"], got["modes_before"], "A module's `training` has changed: leave each as it was."
        )
        expect.that(got["enabled"] is True, "Gradients are off after the call: use `with torch.no_grad():`.")
        kept = isinstance(got["grad"], torch.Tensor) and torch.equal(got["grad"], torch.full((8, 8), 2.0))
        expect.that(kept, "A parameter's grad has changed: leave it.")
        expect.that(got["none"] is True, "A parameter has a grad that it did not have before.")
        expect.close(
            got["moved"],
            torch.full((8, 8), -2.0),
            "An optimizer made before no longer changes the model's weights: set them in place.",
            what="The step",
            atol=1e-4,
        )
        frozen = got["frozen"]
        expect.kind(frozen, dict)
        told = "A frozen parameter (requires_grad=False) should be set like any other."
        expect.that(not bool((_part(frozen, "0.weight") == 7).any()), told)
        _expect_constant(frozen, "0.bias", 0, told)
        _expect_constant(frozen, "1.weight", 1, told)
    with cases("where random numbers come from"):
        code = (
            "def build(seed):\n"
            "    model = nn.Sequential(nn.Linear(9, 9), nn.Linear(9, 9), nn.Conv1d(9, 9, 1), nn.Conv1d(9, 9, 1))\n"
            "    torch.manual_seed(seed)\n"
            "    initialize(model)\n"
            "    return [p.detach().clone() for p in model.parameters() if p.dim() > 1]\n"
            "one, same, other = build(seed), build(seed), build(seed + 1)\n"
            "twice = bool(torch.equal(one[0], one[1]) or torch.equal(one[2], one[3]))\n"
            "repeats = all(torch.equal(a, b) for a, b in zip(one, same))\n"
            "sticks = any(torch.equal(a, b) for a, b in zip(one, other))\n"
        )
        twice, repeats, sticks = student.run(_SET_UP + code, ["twice", "repeats", "sticks"], seed=seed)
        expect.that(twice is False, "Two layers of one shape got the same weights: never seed between them.")
        expect.that(
            sticks is False, "The weights are the same after another torch.manual_seed: never seed them yourself."
        )
        expect.that(
            repeats is True, "After the same torch.manual_seed the weights differ: draw from the global generator."
        )


# --- 7. signal_profile -----------------------------------------------------------------------------------------------

Step = tuple[str, Callable[[Tensor], Tensor]]


def _rms(values: Tensor) -> float:
    return values.detach().double().square().mean().sqrt().item()


def _chain(steps: Sequence[Step], x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return all outputs of a chain of functions, and the loss's gradients with respect to them."""
    h = x.detach().clone().requires_grad_()
    outputs = []
    for _, function in steps:
        h = function(h)
        outputs.append(h)
    return outputs, list(torch.autograd.grad(h.square().mean(), outputs))


def _profile(student: Student, code: str, count: int | None = None, **inputs: Any) -> list[dict[str, Any]]:
    """Run a snippet that leaves ``profile`` behind, and read it."""
    profile = student.run("import torch\nfrom torch import nn\n" + code, "profile", **inputs)
    return _read(profile, count)


def _read(profile: Any, count: int | None) -> list[dict[str, Any]]:
    expect.kind(profile, (list, tuple))
    for record in profile:
        expect.kind(record, dict, "Each record")
        for key in ("name", "activation", "gradient"):
            expect.that(
                key in record, f'Each record should have the keys "name", "activation" and "gradient"; no "{key}".'
            )
        expect.kind(record["name"], str, "A name")
        for key in ("activation", "gradient"):
            if isinstance(record[key], torch.Tensor):
                raise expect.Unmet(f'A record\'s "{key}" is a tensor: make it a Python float, with item().')
            expect.kind(record[key], float, f'A record\'s "{key}"')
    if count is not None:
        expect.that(
            len(profile) == count,
            f"Your profile has {len(profile)} records: there is one for each call of a module without children, "
            "in the order of the calls.",
        )
    return list(profile)


def _compare(
    profile: list[dict],
    names: Sequence[str],
    activations: Sequence[float],
    gradients: Sequence[float],
    hint: str,
    **more: Any,
) -> None:
    """Compare a profile with names and numbers; ``more`` is mistakes for either, and tolerances."""
    expect.equal(
        [r["name"] for r in profile],
        list(names),
        "The names should be those of named_modules(), in the order in which the leaves are called.",
    )
    tolerance = {"rtol": more.get("rtol", 1e-9), "atol": 0.0}
    expect.close(
        [r["activation"] for r in profile],
        list(activations),
        f"The rms of an output is wrong. {hint}".strip(),
        more.get("activation", ()),
        what="The list of activations",
        **tolerance,
    )
    expect.close(
        [r["gradient"] for r in profile],
        list(gradients),
        f"The rms of a gradient is wrong. {hint}".strip(),
        more.get("gradient", ()),
        what="The list of gradients",
        **tolerance,
    )


_LINEARS = """
def linear(w, b=None):
    layer = nn.Linear(w.shape[1], w.shape[0], bias=b is not None, dtype=w.dtype)
    with torch.no_grad():
        layer.weight.copy_(w)
        if b is not None:
            layer.bias.copy_(b)
    return layer
"""


@check
@torch.enable_grad()  # whatever a cell of the student's left behind
def signal_profile(student: Student, cases: Cases) -> None:
    """Compare with hand-written forward passes whose outputs autograd.grad is asked about."""
    w1, w2, w3 = cases.randn(6, 5), cases.randn(7, 6), cases.randn(3, 7)
    b1, b2 = cases.randn(6), cases.randn(7)
    x = cases.randn(8, 5)
    weights = {"w1": w1, "w2": w2, "w3": w3, "b1": b1, "b2": b2, "x": x}
    deep = (
        f"{_LINEARS}"
        "inner = nn.Sequential(linear(w2, b2), nn.ReLU({inplace}))\n"
        "model = nn.Sequential(linear(w1, b1), nn.Tanh(), inner, linear(w3))\n"
    )
    names = ["0", "1", "2.0", "2.1", "3"]
    steps = [
        ("0", lambda h: h @ w1.T + b1),
        ("1", torch.tanh),
        ("2.0", lambda h: h @ w2.T + b2),
        ("2.1", torch.relu),
        ("3", lambda h: h @ w3.T),
    ]
    outputs, gradients = _chain(steps, x)
    rms_out, rms_grad = [_rms(h) for h in outputs], [_rms(g) for g in gradients]
    sizes = [h.numel() for h in outputs]

    def gradient_of(loss: Callable[[Tensor], Tensor]) -> list[Tensor]:
        h = x.detach().clone().requires_grad_()
        hs = []
        for _, function in steps:
            h = function(h)
            hs.append(h)
        return list(torch.autograd.grad(loss(h), hs))

    def inputs_gradients() -> list[float]:
        start = x.detach().clone().requires_grad_()
        h, hs = start, [start]
        for _, function in steps:
            h = function(h)
            hs.append(h)
        return [_rms(g) for g in torch.autograd.grad(h.square().mean(), hs[:-1])]

    activation_mistakes = [
        ([v * v for v in rms_out], "The root is missing: rms is the root of the mean square."),
        ([h.norm().item() for h in outputs], "This is the norm: divide the sum of squares by the number of entries."),
        ([h.std().item() for h in outputs], "This is the standard deviation: rms does not subtract the mean."),
        (
            [h.std(unbiased=False).item() for h in outputs],
            "This is the standard deviation: rms does not subtract the mean.",
        ),
        ([h.abs().mean().item() for h in outputs], "This is the mean of the absolute values: rms squares first."),
        ([_rms(x), *rms_out[:-1]], "These are the inputs of the leaves: record their outputs."),
        ([h.square().sum(-1).mean().sqrt().item() for h in outputs], "Take the mean over all entries of an output."),
    ]
    gradient_mistakes = [
        ([v * v for v in rms_grad], "The root is missing in the gradient: rms is the root of the mean square."),
        ([g.norm().item() for g in gradients], "The gradient's is the norm: divide by the number of entries."),
        ([g.abs().mean().item() for g in gradients], "This is the mean of the absolute values: rms squares first."),
        ([v * sizes[-1] for v in rms_grad], "The loss is the mean of the squares, and yours is their sum."),
        ([v / 2 for v in rms_grad], "The loss is the mean of the squares, without a half."),
        (
            [_rms(g) for g in gradient_of(lambda h: h.mean())],
            "The loss is the mean of the squared output: square first.",
        ),
        ([_rms(g) for g in gradient_of(lambda h: h.sum())], "The loss is the mean of the squared output, not its sum."),
        (inputs_gradients(), "These are gradients with respect to the leaves' inputs: record those of their outputs."),
        (rms_grad[::-1], "The gradients are in the order of the backward pass: match each with its own call."),
    ]
    with cases("activations and gradients", weight=2):
        profile = _profile(student, deep.format(inplace="") + "profile = signal_profile(model, x)", 5, **weights)
        _compare(profile, names, rms_out, rms_grad, "", activation=activation_mistakes, gradient=gradient_mistakes)
    with cases("the order of calls"):
        code = (
            f"{_LINEARS}"
            "class Turn(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.last, self.unused, self.act = linear(w3), linear(w1), nn.Tanh()\n"
            "        self.middle, self.first = nn.Sequential(linear(w2, b2)), linear(w1, b1)\n"
            "    def forward(self, x):\n"
            "        return self.last(self.act(self.middle(self.act(self.first(x)))))\n"
            "model = Turn()\n"
            "profile = signal_profile(model, x)"
        )
        turned = [steps[0], steps[1], steps[2], ("act", torch.tanh), steps[4]]
        outs, grads = _chain(turned, x)
        expected = ["first", "act", "middle.0", "act", "last"]
        profile = _profile(student, code, 5, **weights)
        hint = "A leaf that is called twice has two records, each with the numbers of its own call."
        _compare(profile, expected, [_rms(h) for h in outs], [_rms(g) for g in grads], hint)
        profile = _profile(student, f"{_LINEARS}profile = signal_profile(linear(w1), x)", 1, **weights)
        h = (x @ w1.T).requires_grad_()
        (g,) = torch.autograd.grad(h.square().mean(), h)
        _compare(profile, [""], [_rms(h)], [_rms(g)], 'A model without children is itself a leaf, with the name "".')
    with cases("skip connections and convolutions"):
        kernel, kernel2 = cases.randn(4, 2, 3, 3), cases.randn(4, 4, 1, 1)
        picture = cases.randn(3, 2, 6, 5)
        code = (
            "class Skip(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.conv, self.act = nn.Conv2d(2, 4, 3, bias=False), nn.ReLU()\n"
            "        self.point, self.pool = nn.Conv2d(4, 4, 1, bias=False), nn.AvgPool2d(2)\n"
            "    def forward(self, x):\n"
            "        h = self.act(self.conv(x))\n"
            "        return self.pool(h + self.point(h))\n"
            "model = Skip().double()\n"
            "model.load_state_dict({'conv.weight': kernel, 'point.weight': kernel2})\n"
            "profile = signal_profile(model, picture)"
        )
        profile = _profile(student, code, 4, kernel=kernel, kernel2=kernel2, picture=picture)
        first = F.conv2d(picture, kernel).requires_grad_()
        second = torch.relu(first)
        third = F.conv2d(second, kernel2)
        fourth = F.avg_pool2d(second + third, 2)
        hs = [first, second, third, fourth]
        gs = torch.autograd.grad(fourth.square().mean(), hs)
        hint = "When an output is used twice, its gradient is the sum over both ways."
        _compare(profile, ["conv", "act", "point", "pool"], [_rms(h) for h in hs], [_rms(g) for g in gs], hint)
    with cases("a gradient for every output"):
        hint = "Every output has a gradient, also when autograd would not record it by itself."
        code = deep.format(inplace="") + "model.requires_grad_(False)\nprofile = signal_profile(model, x)"
        with expect.explained(
            "All parameters may be frozen: let the input that you give the model require a gradient."
        ):
            profile = _profile(student, code, 5, **weights)
        _compare(
            profile,
            names,
            rms_out,
            rms_grad,
            hint,
            gradient=[
                ([0.0] * 5, "With frozen parameters your gradients are 0: let the input require a gradient, on a copy.")
            ],
        )
        code = deep.format(inplace="") + "with torch.no_grad():\n    profile = signal_profile(model, x)"
        with expect.explained("Under torch.no_grad() gradients are off: put them on, with torch.enable_grad()."):
            profile = _profile(student, code, 5, **weights)
        _compare(profile, names, rms_out, rms_grad, "The caller may be under torch.no_grad(): use torch.enable_grad().")
        code = f"{_LINEARS}model = nn.Sequential(nn.Flatten(), nn.Tanh(), linear(w1, b1))\n"
        code += "profile = signal_profile(model, x)"
        with expect.explained("The first leaf may have no parameters: let the input require a gradient, on a copy."):
            profile = _profile(student, code, 3, **weights)
        chain = [("0", lambda h: h * 1), ("1", torch.tanh), ("2", lambda h: h @ w1.T + b1)]
        outs, grads = _chain(chain, x)
        _compare(profile, "012", [_rms(h) for h in outs], [_rms(g) for g in grads], hint)
    with cases("modules that work in place"):
        profile = _profile(
            student, deep.format(inplace="inplace=True") + "profile = signal_profile(model, x)", 5, **weights
        )
        late, late_grad = list(rms_out), list(rms_grad)
        late[2], late_grad[2] = late[3], late_grad[3]
        hint = "A module in place overwrites the output before it: measure in the hook, not after."
        told = "Recorded is what an in-place module left: compute the rms in the hook, before the next module runs."
        told_too = "A gradient asked for after an in-place module is that of its output: register a hook at once."
        _compare(profile, names, rms_out, rms_grad, hint, activation=[(late, told)], gradient=[(late_grad, told_too)])
        code = (
            f"{_LINEARS}"
            "first, second = nn.ReLU(inplace=True), nn.ReLU(inplace=True)\n"
            "model = nn.Sequential(first, nn.Flatten(), linear(w1, b1), second, linear(w2))\n"
            "given = x.clone()\n"
            "profile = signal_profile(model, given)"
        )
        code += "\nprofile = [profile, given]"
        with expect.explained("The first module may work in place: give it a copy of x that is no leaf."):
            profile, after = student.run("import torch\nfrom torch import nn\n" + code, "profile", **weights)
        expect.close(after, x, "x has changed: the first module may work in place, so give the model a copy.", what="x")
        profile = _read(profile, 5)
        chain = [
            ("0", torch.relu),
            ("1", lambda h: h * 1),
            ("2", lambda h: h @ w1.T + b1),
            ("3", torch.relu),
            ("4", lambda h: h @ w2.T),
        ]
        outs, grads = _chain(chain, x)
        _compare(profile, "01234", [_rms(h) for h in outs], [_rms(g) for g in grads], hint)
    with cases("outputs that the loss does not see"):
        code = (
            f"{_LINEARS}"
            "class Aside(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.one, self.aside, self.cut = linear(w1), linear(w1, b1), linear(w1)\n"
            "        self.token, self.own = nn.Parameter(start.clone()), linear(w1)\n"
            "    def forward(self, x):\n"
            "        self.aside(x)\n"
            "        cut = self.cut(x).detach()\n"
            "        return self.one(x) * cut + self.own(self.token)\n"
            "model = Aside()\n"
            "profile = signal_profile(model, x)"
        )
        start = cases.randn(1, 5)
        with expect.explained("The loss may not depend on an output: its gradient is 0.0 then (allow_unused=True)."):
            profile = _profile(student, code, 4, start=start, **weights)
        one, cut = (x @ w1.T).requires_grad_(), x @ w1.T
        own = (start @ w1.T).requires_grad_()
        g_one, g_own = torch.autograd.grad((one * cut + own).square().mean(), [one, own])
        _compare(
            profile,
            ["aside", "cut", "one", "own"],
            [_rms(x @ w1.T + b1), _rms(cut), _rms(one), _rms(own)],
            [0.0, 0.0, _rms(g_one), _rms(g_own)],
            "An output that the loss does not depend on has the gradient 0.0, and no other has.",
            gradient=[
                (
                    [0.0, 0.0, _rms(g_one), 0.0],
                    "An output that comes from a parameter and not from x has a gradient too: follow the parameters.",
                )
            ],
        )
    with cases("tiny signals in float32"):
        tiny = (cases.randn(16, 8) * 1e-27).float()
        mix = (cases.randn(8, 16) / 4).float()
        z = cases.randn(12, 8).float()
        code = (
            f"{_LINEARS}model = nn.Sequential(linear(tiny), nn.ReLU(), linear(mix))\nprofile = signal_profile(model, z)"
        )
        profile = _profile(student, code, 3, tiny=tiny, mix=mix, z=z)
        chain = [("0", lambda h: h @ tiny.double().T), ("1", torch.relu), ("2", lambda h: h @ mix.double().T)]
        outs, grads = _chain(chain, z.double())
        _compare(
            profile,
            "012",
            [_rms(h) for h in outs],
            [_rms(g) for g in grads],
            "Signals of 1e-27 squared are 0 in float32: square in float64.",
            rtol=1e-4,
        )
    with cases("the mode, and one call"):
        code = (
            f"{_LINEARS}"
            "calls = []\n"
            "class Probe(nn.Module):\n"
            "    def forward(self, x):\n"
            "        calls.append(self.training)\n"
            "        return 2 * x\n"
            "def build():\n"
            "    norm = nn.BatchNorm1d(6, dtype=torch.float64)\n"
            "    norm.load_state_dict({'weight': b1 + 3, 'bias': b1, 'running_mean': b1 / 2,\n"
            "                          'running_var': b1 ** 2 + 1, 'num_batches_tracked': torch.tensor(3)})\n"
            "    return nn.Sequential(linear(w1, b1), norm, nn.ReLU(inplace=True), linear(w2), Probe())\n"
            "train, test = build(), build().eval()\n"
            "test[3].train()\n"
            "profile = [signal_profile(train, x), signal_profile(test, x)]\n"
            "modes = [[m.training for m in model.modules()] for model in (train, test)]\n"
            "kept = {k: v.clone() for k, v in test[1].state_dict().items()}\n"
            "profile = [profile, calls, modes, kept]"
        )
        profile, calls, modes, kept = student.run("import torch\nfrom torch import nn\n" + code, "profile", **weights)
        expect.sequence(profile, 2)
        hints = "In training mode BatchNorm uses the batch, otherwise its running statistics: leave the mode alone."
        for one, training in zip(profile, (True, False), strict=True):

            def norm_of(h: Tensor, training: bool = training) -> Tensor:
                mean, var = b1 / 2, b1**2 + 1
                return F.batch_norm(h, mean.clone(), var.clone(), b1 + 3, b1, training=training)

            chain = [steps[0], ("1", norm_of), ("2", torch.relu), ("3", lambda h: h @ w2.T), ("4", lambda h: 2 * h)]
            outs, grads = _chain(chain, x)
            _compare(_read(one, 5), "01234", [_rms(h) for h in outs], [_rms(g) for g in grads], hints)
        expect.equal(calls, [True, False], "Call the model exactly once, and in the mode that it is in.")
        wanted = [[True] * 6, [False, False, False, False, True, False]]
        expect.equal(modes, wanted, "A module's `training` has changed: leave each as it was.")
        expect.kind(kept, dict)
        for key, value in (("running_mean", b1 / 2), ("running_var", b1**2 + 1)):
            expect.close(kept.get(key), value, f"In evaluation mode, BatchNorm's {key} should stay.", what=f"`{key}`")
    with cases("what stays"):
        code = (
            deep.format(inplace="") + "model[0].weight.grad = torch.full_like(model[0].weight, 3.0)\n"
            "model[3].weight.requires_grad_(False)\n"
            "heard = []\n"
            "model[1].register_forward_hook(lambda module, inputs, output: heard.append(1))\n"
            "model[2].register_forward_pre_hook(lambda module, inputs: heard.append(2))\n"
            "KINDS = ['_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks']\n"
            "def hooks():\n"
            "    everywhere = nn.modules.module\n"
            "    shared = [len(getattr(everywhere, '_global' + k)) for k in KINDS]\n"
            "    return [[len(getattr(m, k)) for k in KINDS] for m in model.modules()] + [shared]\n"
            "def facts():\n"
            "    return [[p.requires_grad, p.is_leaf, id(p)] for p in model.parameters()]\n"
            "def forwards():\n"
            "    return [m.__dict__.get('forward') is None for m in model.modules()]\n"
            "before, facts_before, forwards_before = hooks(), facts(), forwards()\n"
            "given = x.clone().requires_grad_()\n"
            "given.grad = torch.full_like(given, 4.0)\n"
            "profile = signal_profile(model, given)\n"
            "signal_profile(model, x.clone())\n"
            "plain = x.clone()\n"
            "signal_profile(model, plain)\n"
            "seen = {'hooks': hooks() == before, 'facts': facts() == facts_before, 'heard': len(heard) == 6,\n"
            "    'forward': forwards() == forwards_before,\n"
            "    'none': all(p.grad is None for n, p in model.named_parameters() if n != '0.weight'),\n"
            "    'old': model[0].weight.grad is not None and bool((model[0].weight.grad == 3).all()),\n"
            "    'x': bool(torch.equal(given, x)) and bool(torch.equal(plain, x)),\n"
            "    'x_grad': given.grad is not None and bool((given.grad == 4).all()) and plain.grad is None,\n"
            "    'x_requires': given.requires_grad and not plain.requires_grad and given.is_leaf,\n"
            "    'enabled': torch.is_grad_enabled()}\n"
            "after = [p.detach().clone() for p in model.parameters()]\n"
            "profile = [profile, seen, after]"
        )
        profile, seen, after = student.run("import torch\nfrom torch import nn\n" + code, "profile", **weights)
        expect.kind(seen, dict)
        told = {
            "none": "A parameter has a grad that it did not have before: use torch.autograd.grad, not backward().",
            "old": "A parameter's old grad has changed: use torch.autograd.grad, not backward().",
            "hooks": "The model's hooks are not those from before: remove yours, and only yours.",
            "heard": "A hook that was there before was not called once in each profile: leave it alone.",
            "forward": "A module's forward is replaced: use hooks, and leave the model as it was.",
            "facts": "A parameter's requires_grad has changed, or the parameter is another object: leave them.",
            "x": "x has changed: give the model a copy.",
            "x_grad": "x.grad has changed: give the model a copy of x.",
            "x_requires": "x.requires_grad has changed: give the model a copy of x.",
            "enabled": "Gradients are off after the call: leave them as they were.",
        }
        for key, hint in told.items():
            expect.that(seen.get(key) is True, hint)
        expect.sequence(after, 5)
        for value, wanted in zip(after, (w1, b1, w2, b2, w3), strict=True):
            expect.close(value, wanted, "A parameter's values have changed: a profile only looks.", what="A parameter")
        _compare(_read(profile, 5), names, rms_out, rms_grad, "x may require a gradient already.")
    with cases("a model that raises"):
        code = (
            f"{_LINEARS}"
            "class Fault(Exception):\n"
            "    pass\n"
            "class Breaks(nn.Module):\n"
            "    def forward(self, x):\n"
            "        raise Fault('on purpose')\n"
            "model = nn.Sequential(linear(w1, b1), nn.ReLU(), Breaks(), linear(w2))\n"
            "outcome = None\n"
            "try:\n"
            "    signal_profile(model, x)\n"
            "except Fault:\n"
            "    outcome = 'passed on'\n"
            "except NotImplementedError:\n"
            "    raise\n"
            "except Exception as error:\n"
            "    outcome = type(error).__name__\n"
            "KINDS = ['_forward_hooks', '_forward_pre_hooks', '_backward_hooks']\n"
            "left = sum(len(getattr(m, kind)) for kind in KINDS for m in model.modules())\n"
            "left += len(nn.modules.module._global_forward_hooks)\n"
            "enabled = torch.is_grad_enabled()\n"
            "profile = [outcome, left, enabled]"
        )
        outcome, left, enabled = student.run("import torch\nfrom torch import nn\n" + code, "profile", **weights)
        expect.equal(outcome, "passed on", "When the model raises, let its error pass on to the caller, as it is.")
        expect.equal(left, 0, "When the model raises, your hooks stay on it: remove them in a `finally`.")
        expect.equal(enabled, True, "After an error gradients are off: leave them as they were.")
