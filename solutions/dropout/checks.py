"""The hidden checks of the assignment `dropout`.

A mask is random, so what is checked is mostly exact anyway: what a kept element was multiplied by, that a gradient
passed through the same mask, which modes modules are in. The few statistical bounds are Hoeffding's, for a right answer
fails one of them with a probability below 1e-10; `_share_bound` and `_together_bound` say how.
"""

import math
from collections.abc import Sequence
from textwrap import dedent, indent
from typing import Any

import torch

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import Student

#: A mask in float32 times an input in float64 is right too.
FACTOR = {"rtol": 1e-6, "atol": 1e-6}
#: A small constant inside the logarithm, or a computation in float32, is right too.
PROBABILITY = {"rtol": 1e-5, "atol": 1e-5}

FLOATS = (torch.float32, torch.float64, torch.bfloat16)

# --- What the three dropouts share -----------------------------------------------------------------------------------

# A mode of PyTorch's that sees each call of one of its functions, whatever name the student's cell has for it.
_WATCH = """
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
pytorchs_own = []
class Watch(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if "dropout" in name:
            pytorchs_own.append(name)
        return function(*args, **(kwargs or {}))
def kept(value):
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
"""


def _watched(student: Student, code: str, returns: Sequence[str], **inputs: Any) -> tuple:
    """Run a snippet and return what it leaves behind, unless a dropout of PyTorch's was called in it."""
    code = _WATCH + "with Watch():\n" + indent(dedent(code).strip(), "    ")
    *values, calls = student.run(code, [*returns, "pytorchs_own"], **inputs)
    expect.that(
        type(calls) is list and not calls,
        "Your answer calls a dropout of PyTorch's: draw the mask yourself, with torch.rand or torch.bernoulli.",
    )
    return tuple(values)


def _share_bound(n: int) -> float:
    """Return how far the mean of n independent draws from [0, 1] may be from its expectation.

    Hoeffding: P(|mean - expectation| > t) <= 2 exp(-2 n t^2). That is 1e-11 at t = sqrt(ln(2e11) / (2 n)) =
    3.61 / sqrt(n).
    """
    return math.sqrt(math.log(2e11) / (2 * n))


def _together_bound(n: int) -> float:
    """Return how far the mean of n independent draws from [-1/2, 1/2], of expectation 0, may be from 0.

    Such a draw, plus 1/2, is one from [0, 1]: the same bound, 1e-11.
    """
    return _share_bound(n)


def _together(dropped: torch.Tensor, dim: int, cases: Cases) -> bool:
    """Return whether elements that lie along a dimension go together, or avoid each other, more than by chance.

    Elements a, b are neighbours, or half of the dimension apart; c, d are another such pair, drawn at random; no
    element is used twice. When all four are independent, (a - c)(b - d) / 2 has the expectation 0, whatever p is. When
    a = b always, it is p (1 - p), at least 0.18 for the p used here; when never both are dropped, it is -p^2, below
    -0.06. The bound is 0.029 for 24 x 64 x 40 draws.
    """
    flat = dropped.double().movedim(dim, 0).flatten(1)
    count = len(flat) // 2 * 2
    pairs = (flat[0:count:2], flat[1:count:2]), (flat[: count // 2], flat[count // 2 : count])
    for a, b in pairs:
        a, b = a.flatten(), b.flatten()
        order = torch.randperm(len(a), generator=cases.generator)
        half = len(a) // 2
        one, other = order[:half], order[half : 2 * half]
        covariance = ((a[one] - a[other]) * (b[one] - b[other]) / 2).mean().item()
        if abs(covariance) > _together_bound(half):
            return True
    return False


def _drawn_one_by_one(dropped: torch.Tensor, names: Sequence[str], cases: Cases, unit: str = "element") -> None:
    """Expect a boolean mask whose dimensions have these names to be independent draws.

    The two extremes are found exactly: all slices along a dimension are the same, or all have the same number of
    dropped elements. The second is asked of 20 slices or more of at least 40 draws, with p from 0.2 to 0.8. No count of
    such draws has a probability above 0.16, so for a right answer all are alike with one below 0.16^19 = 1e-15.
    """
    if dropped.any() and not dropped.all():
        for dim, name in enumerate(names):
            first = dropped.select(dim, 0).unsqueeze(dim)
            expect.that(
                not torch.equal(dropped, first.expand_as(dropped)),
                f"All {name} are dropped alike: draw a new mask in each call."
                if name == "calls"
                else f"All {name} are dropped alike: every {unit} should be drawn on its own.",
            )
        for dim, name in enumerate(names):
            slices = dropped.movedim(dim, 0).flatten(1)
            # Two slices of n draws are the same with probability (p^2 + (1 - p)^2)^n: below 1e-90 for n = 480 or more.
            expect.that(
                len(torch.unique(slices, dim=0)) == len(slices),
                f"Some {name} are dropped alike: every {unit} should be drawn on its own, in each call.",
            )
            counts = dropped.movedim(dim, 0).flatten(1).sum(1)
            expect.that(
                len(counts) < 20 or not (counts == counts[0]).all(),
                f"You always drop the same number of {unit}s: each should be drawn on its own, so the number varies.",
            )
    for dim in range(dropped.dim()):
        expect.that(
            not _together(dropped, dim, cases),
            f"Some {unit}s are dropped together more or less often than by chance: every {unit} should be drawn on its "
            "own.",
        )


def _dropped_share(dropped: torch.Tensor, p: float, meaning: str) -> None:
    """Expect about the share p of independent draws to be dropped; p is away from 0.5."""
    bound = _share_bound(dropped.numel())
    share = dropped.double().mean().item()
    expect.that(share > 0, "In training mode nothing is dropped.")
    expect.that(share < 1, "In training mode everything is dropped.")
    if abs(share - p) > bound:
        expect.that(abs(share - (1 - p)) > bound, meaning)
        expect.that(abs(share - 0.5) > bound, "Half of it is dropped whatever the probability is: use the one given.")
    expect.that(abs(share - p) <= bound, "The share that is dropped does not fit the probability: look at the mask.")


def _expect_factor(
    out: torch.Tensor, x: torch.Tensor, factor: float, hint: str, mistakes: Sequence[tuple[float, str]]
) -> None:
    """Expect every element that is not 0 to be x times one factor; x has no zeros."""
    factors = (out / x)[out != 0]
    like = torch.ones_like(factors)
    expect.close(
        factors,
        factor * like,
        hint,
        [(value * like, text) for value, text in mistakes],
        what="The factor of what stays",
        **FACTOR,
    )


def _away_from_zero(cases: Cases, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Draw a tensor without zeros, of both signs."""
    draw = cases.randn(*shape)
    return (draw.sign() * (draw.abs() + 0.5)).to(dtype)


def _all_like(values: Any, count: int, x: torch.Tensor, what: str = "The result") -> torch.Tensor:
    """Expect a list of tensors like x, without nan, and return them stacked."""
    expect.sequence(values, count)
    for value in values:
        expect.dtype(value, x.dtype, what)
        expect.shape(value, tuple(x.shape), what)
        expect.that(bool(torch.isfinite(value).all()), f"{what} contains nan or inf.")
    return torch.stack(list(values))


def _mixed_inputs(cases: Cases, shapes: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
    """Return inputs of each shape and dtype."""
    return [_away_from_zero(cases, *shape, dtype=dtype) for dtype in FLOATS for shape in shapes]


def _each_stays_or_goes(outs: Any, xs: Sequence[torch.Tensor], factor: float, hint: str) -> None:
    """Expect each result to be like its input, and each element to be 0 or its factor times the input's."""
    expect.sequence(outs, len(xs), "The results")
    for out, x in zip(outs, xs, strict=True):
        expect.dtype(out, x.dtype)
        expect.shape(out, tuple(x.shape))
        tolerance = 2e-2 if x.dtype is torch.bfloat16 else 1e-5
        expect.close(
            out,
            torch.where(out == 0, torch.zeros_like(x), (x.double() * factor).to(x.dtype)),
            f"{hint} Look at an input of shape {tuple(x.shape)} in {x.dtype}.",
            rtol=tolerance,
            atol=tolerance,
        )


# --- 1. dropout_classic ----------------------------------------------------------------------------------------------

_STAYS = "p_keep is the probability that an element stays; you drop with it."


@check
def dropout_classic(student: Student, cases: Cases) -> None:
    """Compare with the definition: which factors occur, where the random numbers come from, what is left alone."""
    p_keep = cases.uniform(0.62, 0.7)
    x = _away_from_zero(cases, 64, 40)
    with cases("the mask in training"):
        (outs,) = _watched(
            student,
            """
            torch.default_generator.manual_seed(seed)
            outs = [kept(dropout_classic(x.clone(), p_keep, True)) for _ in range(24)]
            """,
            ["outs"],
            x=x,
            p_keep=p_keep,
            seed=cases.integer(0, 2**31),
        )
        dropped = _all_like(outs, 24, x) == 0
        _drawn_one_by_one(dropped, ("calls", "rows", "columns"), cases)
        _dropped_share(dropped, 1 - p_keep, _STAYS)
    with cases("the values in training"):
        out = student.call("dropout_classic", x, p_keep, True)
        out = _all_like([out], 1, x)
        expect.that(bool((out != 0).any()), "In training everything is dropped.")
        _expect_factor(
            out,
            x,
            1.0,
            "In training, what stays is x itself.",
            [
                (1 / p_keep, "In training nothing is rescaled here: the scaling by p_keep is at inference."),
                (p_keep, "In training p_keep enters the mask only: what stays is not multiplied by it."),
                (1 / (1 - p_keep), "In training nothing is rescaled here: the scaling is at inference."),
                (1 - p_keep, "In training nothing is rescaled here: the scaling is at inference."),
            ],
        )
    with cases("inference"):
        out, plain, drew = student.run(
            """
import torch
generator = torch.Generator().manual_seed(5)
before = torch.get_rng_state(), generator.get_state()
out = dropout_classic(x.clone(), p_keep, False, generator)
plain = dropout_classic(x.clone(), p_keep, False)
after = torch.get_rng_state(), generator.get_state()
drew = not all(torch.equal(b, a) for b, a in zip(before, after))
""",
            ["out", "plain", "drew"],
            x=x,
            p_keep=p_keep,
        )
        expect.dtype(out, x.dtype)
        expect.close(
            out,
            p_keep * x,
            "At inference every element is multiplied by p_keep, and none is dropped.",
            [
                (x, "At inference every element is multiplied by p_keep: the mean should be that of training."),
                (x / p_keep, "At inference you divide by p_keep: in training less comes through, not more."),
                ((1 - p_keep) * x, "At inference the factor is the probability that an element stays."),
                (p_keep**2 * x, "At inference p_keep enters once."),
            ],
            **FACTOR,
        )
        expect.dtype(plain, x.dtype)
        expect.close(plain, p_keep * x, "At inference a generator should make no difference.", **FACTOR)
        expect.that(drew is False, "At inference no random number is drawn, from neither generator.")
    with cases("the generator", weight=2):
        same, others, untouched, moved, repeats, unlike = student.run(
            """
import torch
def masked(generator=None):
    return dropout_classic(x.clone(), p_keep, True, generator).detach().clone()
def seeded(number):
    return torch.Generator().manual_seed(number)
torch.default_generator.manual_seed(seed)
before = torch.get_rng_state()
first = masked(seeded(seed))
one = seeded(seed)
same = torch.equal(first, masked(one))
moved = not torch.equal(first, masked(one))
untouched = torch.equal(before, torch.get_rng_state())
torch.default_generator.manual_seed(seed + 7)
same = same and torch.equal(first, masked(seeded(seed)))
others = torch.equal(first, masked(seeded(seed + 1)))
torch.manual_seed(seed)
again = masked()
unlike = not torch.equal(again, masked())
torch.manual_seed(seed)
repeats = torch.equal(again, masked())
""",
            ["same", "others", "untouched", "moved", "repeats", "unlike"],
            x=x,
            p_keep=p_keep,
            seed=cases.integer(0, 2**31),
        )
        expect.that(
            same is True, "Two generators with the same seed give different masks in yours: draw all from `generator`."
        )
        expect.that(
            untouched is True,
            "With a generator given, PyTorch's global generator should be left alone: yours draws from it or seeds it.",
        )
        expect.that(
            moved is True, "Two calls with one generator give the same mask: it should move on, do not reseed it."
        )
        expect.that(others is False, "Generators with different seeds give the same mask in yours.")
        expect.that(unlike is True, "Without a generator, each call needs a new mask: set no seed inside.")
        expect.that(
            repeats is True,
            "Without a generator, torch.manual_seed should repeat a mask: draw from PyTorch's global generator.",
        )
    with cases("a new tensor"):
        after, shared = student.run(
            """
import torch
after, shared = [], []
for keep, training in ((p_keep, True), (p_keep, False), (1.0, True), (1.0, False)):
    given = x.clone()
    out = dropout_classic(given, keep, training)
    after.append(given.clone())
    out += 1
    shared.append(not torch.equal(given, after[-1]))
""",
            ["after", "shared"],
            x=x,
            p_keep=p_keep,
        )
        hint = "Your function changes x: make a new tensor, without `*=`, `mul_` or `x[mask] = 0` on the input."
        for seen in _all_like(after, 4, x, "x, after the call,"):
            expect.close(seen, x, hint)
        expect.that(
            shared == [False] * 4,
            "The result should be a new tensor: yours is x itself, also with p_keep=1 that is not asked for.",
        )
    with cases("the gradient"):
        up = _away_from_zero(cases, 64, 40)
        out, grad, calm = student.run(
            """
import torch
w = x.clone().requires_grad_()
out = dropout_classic(w, p_keep, True)
out.backward(up)
grad = w.grad
w = x.clone().requires_grad_()
dropout_classic(w, p_keep, False).backward(up)
calm = w.grad
""",
            ["out", "grad", "calm"],
            x=x,
            up=up,
            p_keep=p_keep,
        )
        out = _all_like([out], 1, x)[0]
        hint = "The gradient passes where an element stayed, and is 0 where it was dropped."
        expect.close(grad, up * (out / x), hint, [(up, "Dropped elements get a gradient in yours.")], **FACTOR)
        expect.close(calm, p_keep * up, "At inference the gradient is multiplied by p_keep too.", **FACTOR)
    with cases("shapes and dtypes"):
        xs = _mixed_inputs(cases, ((), (7,), (0, 3), (2, 3, 4, 5)))
        outs, calm, slanted = student.run(
            """
import torch
outs = [dropout_classic(x, p_keep, True, torch.Generator().manual_seed(i)) for i, x in enumerate(xs)]
calm = [dropout_classic(x, p_keep, False) for x in xs]
x = xs[-1]
slanted = [dropout_classic(v, p_keep, True) for v in (x.transpose(0, 3), x[:, ::2])]
""",
            ["outs", "calm", "slanted"],
            xs=xs,
            p_keep=p_keep,
        )
        hint = "In training each element is kept or becomes 0."
        _each_stays_or_goes(outs, xs, 1.0, hint)
        _each_stays_or_goes(slanted, [xs[-1].transpose(0, 3), xs[-1][:, ::2]], 1.0, hint)
        _each_stays_or_goes(calm, xs, p_keep, "At inference every element is multiplied by p_keep.")
        for out in calm:
            expect.that(bool((out != 0).all()), "At inference nothing is dropped.")
    with cases("p_keep at its ends"):
        wide = [_away_from_zero(cases, 64, 64, dtype=dtype) for dtype in FLOATS]
        outs, outcomes = student.run(
            """
import torch
outs = [dropout_classic(x, 1.0, True) for x in wide]
outcomes = []
for keep in tried:
    for training in (True, False):
        try:
            dropout_classic(wide[0], keep, training)
            outcomes.append(None)
        except ValueError:
            outcomes.append("ValueError")
        except Exception as error:
            outcomes.append(type(error).__name__)
""",
            ["outs", "outcomes"],
            wide=wide,
            tried=[0.0, -0.1, 1.1, 0.01],
        )
        expect.sequence(outs, len(wide))
        for out, given in zip(outs, wide, strict=True):
            expect.dtype(out, given.dtype)
            hint = f"With p_keep=1 every element stays, in {given.dtype} too (torch.rand can give 0, but not 1)."
            expect.close(out, given, hint, **FACTOR)
        _expect_outcomes(
            outcomes,
            [
                ("ValueError", "p_keep=0 should raise a ValueError, in training"),
                ("ValueError", "p_keep=0 should raise a ValueError, at inference too"),
                ("ValueError", "A negative p_keep should raise a ValueError, in training"),
                ("ValueError", "A negative p_keep should raise a ValueError, at inference too"),
                ("ValueError", "p_keep above 1 should raise a ValueError, in training"),
                ("ValueError", "p_keep above 1 should raise a ValueError, at inference too"),
                (None, "A small p_keep above 0 is allowed: it should raise nothing"),
                (None, "A small p_keep above 0 is allowed: it should raise nothing"),
            ],
        )


def _expect_outcomes(outcomes: Any, wanted: Sequence[tuple[str | None, str]]) -> None:
    """Expect each try to have raised what it should, by name, or nothing."""
    expect.sequence(outcomes, len(wanted))
    for outcome, (name, hint) in zip(outcomes, wanted, strict=True):
        expect.equal(outcome, name, f"{hint}; yours raised {outcome if isinstance(outcome, str) else 'nothing'}.")


# --- 2. and 3. Dropout, Dropout2d ------------------------------------------------------------------------------------

_DROPS = "p is the probability that something is dropped, PyTorch's way: in yours it is the one that it stays."
_RESCALE = "In training, what stays is multiplied by 1 / (1 - p)."


def _kept_factor(out: torch.Tensor, x: torch.Tensor, p: float) -> None:
    """Expect what is not 0 to be x / (1 - p)."""
    _expect_factor(
        out,
        x,
        1 / (1 - p),
        _RESCALE,
        [
            (1.0, "In training nothing is rescaled in yours: what stays is multiplied by 1 / (1 - p)."),
            (1 - p, "What stays is divided by 1 - p in training; you multiply by it."),
            (1 / p, "What stays is divided by 1 - p in training, the probability that it stays; you divide by p."),
            (1 / (1 - p) ** 2, "You divide by 1 - p twice."),
            (1 + p, "What stays is divided by 1 - p in training; 1 + p is only near it when p is small."),
        ],
    )


def _modes(student: Student, name: str, x: torch.Tensor, p: float) -> None:
    """Expect a module to drop in training mode and only there, and to do nothing at all in eval mode."""
    train, evaluate, drew = _watched(
        student,
        f"""
        module = {name}(p)
        model = nn.Sequential(nn.Identity(), nn.Sequential(module))
        w = x.clone().requires_grad_() * 1
        train = [kept(model(x.clone())), kept(model(w))]
        with torch.no_grad():
            train.append(kept(model(x.clone())))
        model.eval()
        before = torch.get_rng_state()
        w = x.clone().requires_grad_() * 1
        evaluate = [kept(model(x)), kept(model(w))]
        with torch.no_grad():
            evaluate.append(kept(model(x)))
        drew = not torch.equal(before, torch.get_rng_state())
        model.train()
        train.append(kept(model(x.clone())))
        module.training = False
        evaluate.append(kept(model(x)))
        module.train()
        train.append(kept(module(x.clone())))
        """,
        ["train", "evaluate", "drew"],
        x=x,
        p=p,
    )
    train, evaluate = _all_like(train, 5, x), _all_like(evaluate, 4, x)
    hint = "In eval mode the result is x: nothing is dropped."
    for out in evaluate[:2]:
        if not torch.equal(out, x):
            expect.that(not (out == 0).any(), "In eval mode yours still drops: ask self.training.")
        expect.close(
            out,
            x,
            hint,
            [
                ((1 - p) * x, "In eval mode nothing is scaled in this form: the scaling is all in training."),
                (p * x, "In eval mode nothing is scaled in this form: the scaling is all in training."),
                (x / (1 - p), "In eval mode nothing is scaled in this form: the scaling is all in training."),
            ],
            **FACTOR,
        )
    kinds = (
        "for an input without requires_grad",
        "for an input with requires_grad",
        "under torch.no_grad()",
        "after model.eval() and model.train()",
        "after module.train()",
    )
    for out, kind in zip(train, kinds, strict=True):
        dropped = bool((out == 0).any()) and not torch.equal(out, x)
        expect.that(dropped, f"In training mode you drop nothing {kind}: self.training alone decides.")
    for out in evaluate:
        expect.close(out, x, f"{hint} self.training alone decides.", **FACTOR)
    expect.that(drew is False, "In eval mode no random number is drawn.")


def _randomness(student: Student, name: str, x: torch.Tensor, cases: Cases) -> None:
    """Expect masks from PyTorch's global generator, and none kept."""
    repeats, unlike, fixed, shared = _watched(
        student,
        f"""
        module, other = {name}(0.5), {name}(0.5)
        torch.manual_seed(seed)
        first, second, third = kept(module(x.clone())), kept(module(x.clone())), kept(other(x.clone()))
        torch.manual_seed(seed)
        repeats = torch.equal(first, kept(module(x.clone()))) and torch.equal(second, kept(module(x.clone())))
        fixed = torch.equal(first, second)
        shared = torch.equal(first, third) or torch.equal(second, third)
        torch.manual_seed(seed + 1)
        unlike = not torch.equal(first, kept(module(x.clone())))
        """,
        ["repeats", "unlike", "fixed", "shared"],
        x=x,
        seed=cases.integer(0, 2**31),
    )
    expect.that(fixed is False, "Two calls of one module have the same mask: draw a new one in each call, set no seed.")
    expect.that(shared is False, "Two modules have the same masks: draw from the global generator, and set no seed.")
    expect.that(
        repeats is True,
        "After torch.manual_seed with the same seed the masks should repeat: draw from PyTorch's global generator.",
    )
    expect.that(unlike is True, "Another seed gives the same mask in yours: set no seed, and keep no mask.")


def _gradient(student: Student, name: str, x: torch.Tensor, up: torch.Tensor, p: float) -> None:
    """Expect the gradient to pass through the mask of the forward pass, or unchanged in eval mode."""
    (out, grad, calm), hint = (
        _watched(
            student,
            f"""
        module = {name}(p)
        w = x.clone().requires_grad_()
        out = module(w * 1)
        out.backward(up)
        out, grad = kept(out), w.grad
        w = x.clone().requires_grad_()
        module.eval()(w * 1).backward(up)
        calm = w.grad
        """,
            ["out", "grad", "calm"],
            x=x,
            up=up,
            p=p,
        ),
        "The gradient passes through the same mask as the values, scale included.",
    )
    out = _all_like([out], 1, x)[0]
    expect.that(grad is not None, "No gradient comes back to the input: the result should belong to its graph.")
    expect.close(
        grad,
        up * (out / x),
        hint,
        [
            (up, "Dropped elements get a gradient in yours: it should pass through the mask."),
            (up * (out != 0), "The gradient is not scaled by 1 / (1 - p) in yours, but the values are."),
        ],
        **FACTOR,
    )
    expect.close(calm, up, "In eval mode the gradient passes unchanged.", **FACTOR)


def _edges(student: Student, name: str, cases: Cases, shape: tuple[int, ...]) -> None:
    """Expect p = 0 to change nothing and p = 1 to give zeros, in every dtype, and a gradient of zeros."""
    xs = [_away_from_zero(cases, *shape, dtype=dtype) for dtype in FLOATS]
    none, whole, calm, grads = _watched(
        student,
        f"""
        whole = [kept({name}(p=0.0)(x)) for x in xs]
        none, grads = [], []
        for x in xs:
            w = x.clone().requires_grad_()
            out = {name}(p=1.0)(w)
            none.append(kept(out))
            if out.requires_grad:
                out.sum().backward()
            grads.append(w.grad)
        calm = [kept({name}(p=1.0).eval()(x)) for x in xs]
        """,
        ["none", "whole", "calm", "grads"],
        xs=xs,
    )
    for values, what in (
        (none, "With p=1 the result"),
        (whole, "With p=0 the result"),
        (calm, "In eval mode the result"),
    ):
        expect.sequence(values, len(xs), what)
        for value, x in zip(values, xs, strict=True):
            expect.dtype(value, x.dtype, what)
    rare = "torch.rand can give 0, but not 1: think about < and <="
    for value, x in zip(none, xs, strict=True):
        expect.close(value, torch.zeros_like(x), f"With p=1 everything is dropped, in {x.dtype} too ({rare}).")
    for value, x in zip(whole, xs, strict=True):
        expect.close(value, x, f"With p=0 nothing changes, in {x.dtype} too ({rare}).", **FACTOR)
    for value, x in zip(calm, xs, strict=True):
        expect.close(value, x, "With p=1 in eval mode the result is x all the same.", **FACTOR)
    expect.sequence(grads, len(xs), "The gradients")
    for grad, x in zip(grads, xs, strict=True):
        hint = "With p=1 the gradient is zero, but it is there: the result should belong to the graph of its input."
        expect.that(grad is not None, hint)
        expect.close(grad, torch.zeros_like(x), hint)


def _leaves_alone(student: Student, name: str, x: torch.Tensor, p: float) -> None:
    """Expect the input to keep its values, and the module to have no state but p."""
    after, states, parameters, kind, shown = _watched(
        student,
        f"""
        module = {name}(p)
        after, states = [], [list(module.state_dict())]
        for chosen in (module, {name}(1.0), {name}(0.0)):
            for mode in (True, False):
                given = x.clone()
                chosen.train(mode)(given)
                after.append(given)
        states.append(list(module.state_dict()))
        parameters = len(list(module.parameters()))
        kind = isinstance(module, nn.Module)
        shown = [module.p, {name}().p]
        """,
        ["after", "states", "parameters", "kind", "shown"],
        x=x,
        p=p,
    )
    for seen in _all_like(after, 6, x, "x, after the call,"):
        expect.close(
            seen, x, "Your module changes its input: make a new tensor, without `*=`, `mul_` or `x[mask] = 0`."
        )
    expect.that(kind is True, "The class should be an nn.Module.")
    expect.that(
        states == [[], []] and parameters == 0,
        "The module should have no parameters and an empty state_dict(): keep p as a plain number, and no mask.",
    )
    expect.sequence(shown, 2)
    for value, wanted in zip(shown, (p, 0.5), strict=True):
        expect.number(value, "self.p")
        expect.close(value, wanted, "self.p should be the p that was given, and 0.5 when none was.", **FACTOR)


def _settings(student: Student, name: str) -> None:
    """Expect a ValueError for p outside of 0 to 1."""
    (outcomes,) = _watched(
        student,
        f"""
        outcomes = []
        for p in tried:
            try:
                {name}(p)
                outcomes.append(None)
            except ValueError:
                outcomes.append("ValueError")
            except Exception as error:
                outcomes.append(type(error).__name__)
        """,
        ["outcomes"],
        tried=[-0.1, 1.1, 0.0, 1.0],
    )
    _expect_outcomes(
        outcomes,
        [
            ("ValueError", "A negative p should raise a ValueError in the constructor"),
            ("ValueError", "p above 1 should raise a ValueError in the constructor"),
            (None, "p=0 is allowed: it should raise nothing"),
            (None, "p=1 is allowed: it should raise nothing"),
        ],
    )


def _device(student: Student, name: str, shape: tuple[int, ...]) -> None:
    """Expect the mask where the input is, on PyTorch's `meta` device, which has shapes but no values.

    A few right answers need values (a mask as an index, say). For those, and only those, the default device becomes
    `meta` instead, and the input stays on the CPU: a mask without a device would then be on the wrong one.
    """
    (device,) = _watched(
        student,
        f"""
        module = {name}(0.5)
        try:
            device = module(torch.empty(shape, device="meta")).device.type
        except NotImplementedError as error:
            device = "values" if str(error) else "empty"
        except RuntimeError as error:
            device = "values" if "on meta tensors" in str(error) else "other"
        if device == "empty":
            raise NotImplementedError()
        if device == "values":
            with torch.device("meta"):
                device = "meta" if module(torch.ones(shape, device="cpu")).device.type == "cpu" else "other"
        """,
        ["device"],
        shape=list(shape),
    )
    expect.that(
        device == "meta",
        "The mask should be on the input's device: on a GPU yours fails. Use torch.rand_like, or device=x.device.",
    )


def _shapes(student: Student, name: str, cases: Cases, shapes: Sequence[tuple[int, ...]], p: float) -> None:
    """Expect each element to stay or go in inputs of these shapes and of every dtype, also in views of the last one."""
    xs = _mixed_inputs(cases, shapes)
    outs, calm, slanted = _watched(
        student,
        f"""
        module = {name}(p)
        outs = [kept(module(x)) for x in xs]
        slanted = [kept(module(v)) for v in (xs[-1].transpose(0, 3), xs[-1][:, ::2])]
        module.eval()
        calm = [kept(module(x)) for x in xs]
        """,
        ["outs", "calm", "slanted"],
        xs=xs,
        p=p,
    )
    _each_stays_or_goes(outs, xs, 1 / (1 - p), _RESCALE)
    _each_stays_or_goes(slanted, [xs[-1].transpose(0, 3), xs[-1][:, ::2]], 1 / (1 - p), _RESCALE)
    _each_stays_or_goes(calm, xs, 1.0, "In eval mode the result is x.")


@check
def Dropout(student: Student, cases: Cases) -> None:
    """Check masks, values, moments, modes, gradients and edges against the definition."""
    p = cases.uniform(0.25, 0.33)
    x = _away_from_zero(cases, 64, 40)
    seed = cases.integer(0, 2**31)
    code = """
        torch.default_generator.manual_seed(seed)
        module = Dropout(p)
        outs = [kept(module(x.clone())) for _ in range(count)]
        """
    with cases("which elements are dropped", weight=2):
        (outs,) = _watched(student, code, ["outs"], x=x, p=p, count=24, seed=seed)
        dropped = _all_like(outs, 24, x) == 0
        _drawn_one_by_one(dropped, ("calls", "samples", "elements of a sample"), cases)
        _dropped_share(dropped, p, _DROPS)
    with cases("feature maps"):
        maps = _away_from_zero(cases, 24, 10, 8, 6)
        (outs,) = _watched(student, code, ["outs"], x=maps, p=p, count=4, seed=seed)
        dropped = _all_like(outs, 4, maps) == 0
        for one in dropped:
            names = ("samples", "channels", "rows of a channel", "columns of a channel")
            _drawn_one_by_one(one, names, cases)
        _dropped_share(dropped, p, _DROPS)
    with cases("the factor of what stays"):
        (outs,) = _watched(student, code, ["outs"], x=x, p=p, count=2, seed=seed)
        outs = _all_like(outs, 2, x)
        expect.that(bool((outs != 0).any()), "In training mode everything is dropped.")
        _kept_factor(outs, x.expand_as(outs), p)
    with cases("mean and variance"):
        # 20,000 rows of one sample. The mean of a column's mask is within t of 1 - p (4 columns: 4e-11), so its mean is
        # within t / (1 - p) of x, relative to x, and its variance, m (1 - m) / (1 - p)^2 for the mean m of the mask,
        # within (t + t^2) / (1 - p)^2 of p / (1 - p): t = 0.026, while p / (1 - p) is above 0.33.
        few = _away_from_zero(cases, 4)
        (outs,) = _watched(student, code, ["outs"], x=few.repeat(20_000, 1), p=p, count=1, seed=seed)
        out = _all_like(outs, 1, few.repeat(20_000, 1))[0]
        t = _share_bound(len(out))
        mean, variance = (out / few).mean(0), (out / few).var(0, correction=0)
        expect.that(
            bool(((mean - 1).abs() <= t / (1 - p)).all()),
            "Over many draws the mean of the result should be x: look at the scale and at the mask together.",
        )
        expect.that(
            bool(((variance - p / (1 - p)).abs() <= (t + t * t) / (1 - p) ** 2).all()),
            "Over many draws the variance of the result should be x^2 p / (1 - p): yours has the mean of x only.",
        )
    with cases("what is left alone"):
        _leaves_alone(student, "Dropout", x, p)
    with cases("train and eval", weight=2):
        _modes(student, "Dropout", x, p)
    with cases("random numbers"):
        _randomness(student, "Dropout", x, cases)
    with cases("the gradient"):
        _gradient(student, "Dropout", x, _away_from_zero(cases, 64, 40), p)
    with cases("p = 0 and p = 1"):
        _edges(student, "Dropout", cases, (64, 64))
    with cases("p changes"):
        rarely, often = _watched(
            student,
            """
            module = Dropout(0.5)
            module(x)
            module.p = low
            rarely = kept(module(x))
            module.p = 0.9
            often = kept(module(x))
            """,
            ["rarely", "often"],
            x=x,
            low=p / 3,
        )
        for out, chosen in ((rarely, p / 3), (often, 0.9)):
            out = _all_like([out], 1, x)
            share = (out == 0).double().mean().item()
            # 2,560 elements: a bound of 0.072.
            hint = "When self.p is changed later, the next call should follow: read it in each call, mask and scale."
            expect.that(abs(share - chosen) <= _share_bound(x.numel()), hint)
            _expect_factor(out, x, 1 / (1 - chosen), hint, [])
    with cases("shapes and dtypes"):
        _shapes(student, "Dropout", cases, ((), (7,), (0, 3), (2, 3, 4, 5)), p)
    with cases("the device"):
        _device(student, "Dropout", (4, 5))
    with cases("bad settings"):
        _settings(student, "Dropout")


@check
def Dropout2d(student: Student, cases: Cases) -> None:
    """Check that channels go whole, each drawn on its own, and all that exercise 2 asks for."""
    p = cases.uniform(0.25, 0.33)
    maps = _away_from_zero(cases, 40, 48, 2, 3)
    seed = cases.integer(0, 2**31)
    code = """
        torch.default_generator.manual_seed(seed)
        module = Dropout2d(p)
        outs = [kept(module(x.clone())) for _ in range(24)]
        """
    with cases("whole channels", weight=3):
        (outs,) = _watched(student, code, ["outs"], x=maps, p=p, seed=seed)
        dropped = _all_like(outs, 24, maps) == 0
        part = dropped.any(-1).any(-1) & ~dropped.all(-1).all(-1)
        expect.that(not part.any(), "Some channels are dropped in part: a channel goes whole, or stays whole.")
        # 24 x 40 x 48 draws.
        _drawn_one_by_one(dropped[..., 0, 0], ("calls", "samples", "channels of a sample"), cases, "channel")
        _dropped_share(dropped[..., 0, 0], p, _DROPS)
    with cases("the factor of what stays"):
        (outs,) = _watched(student, code, ["outs"], x=maps, p=p, seed=seed)
        outs = _all_like(outs, 24, maps)
        expect.that(bool((outs != 0).any()), "In training mode everything is dropped.")
        _kept_factor(outs, maps.expand_as(outs), p)
    with cases("what is left alone"):
        _leaves_alone(student, "Dropout2d", maps, p)
    with cases("train and eval"):
        _modes(student, "Dropout2d", maps, p)
    with cases("random numbers"):
        _randomness(student, "Dropout2d", maps, cases)
    with cases("the gradient"):
        _gradient(student, "Dropout2d", maps, _away_from_zero(cases, 40, 48, 2, 3), p)
    with cases("p = 0 and p = 1"):
        # 4,096 channels: in bfloat16, one number in 256 is 0.
        _edges(student, "Dropout2d", cases, (64, 64, 1, 2))
    with cases("p changes"):
        (often,) = _watched(
            student,
            "module = Dropout2d(0.5)\nmodule(x)\nmodule.p = 0.9\noften = kept(module(x))",
            ["often"],
            x=maps,
        )
        out = _all_like([often], 1, maps)
        hint = "When self.p is changed later, the next call should follow: read it in each call, mask and scale."
        # 1,920 channels: a bound of 0.083.
        share = (out[..., 0, 0] == 0).double().mean().item()
        expect.that(abs(share - 0.9) <= _share_bound(40 * 48), hint)
        _expect_factor(out, maps, 10.0, hint, [])
    with cases("shapes and dtypes"):
        _shapes(student, "Dropout2d", cases, ((1, 1, 1, 1), (0, 3, 2, 2), (3, 2, 5, 1), (2, 3, 4, 5)), p)
    with cases("the device"):
        _device(student, "Dropout2d", (4, 5, 2, 2))
    with cases("bad settings"):
        _settings(student, "Dropout2d")
    with cases("four dimensions"):
        (outcomes,) = _watched(
            student,
            """
            outcomes = []
            for shape in ((6,), (4, 5), (3, 4, 5), (2, 3, 2, 2, 2)):
                for mode in (True, False):
                    try:
                        Dropout2d(0.3).train(mode)(torch.ones(shape))
                        outcomes.append(None)
                    except ValueError:
                        outcomes.append("ValueError")
                    except Exception as error:
                        outcomes.append(type(error).__name__)
            """,
            ["outcomes"],
        )
        _expect_outcomes(
            outcomes,
            [
                ("ValueError", f"An input with {n} dimension{'s' * (n > 1)} should raise a ValueError, in {mode} mode")
                for n in (1, 2, 3, 5)
                for mode in ("training", "eval")
            ],
        )


# --- 4. monte_carlo_predict ------------------------------------------------------------------------------------------

# What happens during a pass is written into lists outside of the model, so that a copy of the model writes there too.
_MODELS = """
import itertools
import torch
from torch import nn
turn = itertools.count()
seen, given, enabled, modes = [], [], [], []
class Watched(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def forward(self, x):
        given.append(x.detach().clone())
        enabled.append(torch.is_grad_enabled())
        modes.append(["the model", self.training])
        out = self.inner(x)
        seen.append(out.detach().clone())
        return out
class Given(nn.Module):
    # Gives the logits of a list, one after the other.
    def forward(self, x):
        return logits[next(turn) % len(logits)].clone()
def note(name):
    return lambda module, inputs: modes.append([name, module.training])
def noted(module, name):
    module.register_forward_pre_hook(note(name))
    return module
def network(inner=()):
    torch.manual_seed(seed)
    drop = noted(nn.Dropout(0.5), "nn.Dropout")
    norm = noted(nn.BatchNorm1d(24), "nn.BatchNorm1d")
    layers = [nn.Linear(6, 24), norm, nn.Tanh(), nn.Sequential(nn.Sequential(drop), *inner), nn.Linear(24, 4)]
    model = Watched(nn.Sequential(*layers)).double()
    with torch.no_grad():
        norm.running_mean += 0.3
        norm.running_var *= 1.7
        layers[-1].weight *= 4
    return model
def back(values):
    if not isinstance(values, (tuple, list)):
        return values
    return [v.detach().clone() if isinstance(v, torch.Tensor) else v for v in values]
"""
_SAMPLED = """
model = network()
result = back(monte_carlo_predict(model, x, samples))
"""


def _sampled(student: Student, samples: int, **inputs: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Run the passes on a network; return mean, entropy, and the logits of each pass (samples, n, classes)."""
    result, seen = student.run(_MODELS + _SAMPLED, ["result", "seen"], samples=samples, **inputs)
    expect.sequence(result, 2)
    return result[0], result[1], _passes(seen, samples)


def _passes(seen: Any, samples: int) -> torch.Tensor:
    expect.kind(seen, list)
    expect.that(
        len(seen) == samples,
        f"Call the model once for each of the samples; with samples={samples} it was called {len(seen)} times.",
    )
    for logits in seen:
        expect.kind(logits, torch.Tensor, "What your passes give the model")
        expect.that(
            logits.shape == seen[0].shape and bool(torch.isfinite(logits).all()),
            "Give the model x, whole, in each pass.",
        )
    return torch.stack(seen).double()


def _entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Return the entropy in nats along the last dimension, by its definition on the classes that occur."""
    rows = probabilities.double().reshape(-1, probabilities.shape[-1]).tolist()
    values = [math.fsum(-q * math.log(q) for q in row if q > 0) for row in rows]
    return torch.tensor(values, dtype=torch.float64).reshape(probabilities.shape[:-1])


@check
def monte_carlo_predict(student: Student, cases: Cases) -> None:
    """Watch the passes from inside the model, and compare with the definition on the logits that they gave."""
    x = cases.randn(5, 6)
    inputs = {"x": x, "seed": cases.integer(0, 2**31)}
    samples = cases.integer(6, 9)

    with cases("the passes"):
        for count in (samples, 1):
            given, seen = student.run(
                _MODELS + "model = network()\nmonte_carlo_predict(model, x, samples)",
                ["given", "seen"],
                samples=count,
                **inputs,
            )
            _passes(seen, count)
            expect.sequence(given, count)
            for one in given:
                expect.close(one, x, "Give the model x as it is in each pass.", what="What your passes give the model")

    with cases("modes during the passes", weight=2):
        started = ["train", "eval"]
        for start in started:
            (modes,) = student.run(
                _MODELS + f"model = network().{start}()\nmonte_carlo_predict(model, x, 2)", ["modes"], **inputs
            )
            _expect_modes(
                modes,
                on={
                    "nn.Dropout": "Dropout is in eval mode during your passes, so all of them give the same: put it in "
                    "training mode, at whatever depth it is."
                },
                off={
                    "nn.BatchNorm1d": "Batch normalization is in training mode during your passes: only dropout should "
                    "be.",
                    "the model": "Only dropout modules should be in training mode during the passes, and the model "
                    "itself is not one.",
                },
            )

    with cases("new masks"):
        first, second = student.run(
            _MODELS
            + "model = network()\nmonte_carlo_predict(model, x, samples)\n"
            + "first, seen[:] = list(seen), []\nmonte_carlo_predict(model, x, samples)\nsecond = list(seen)",
            ["first", "second"],
            samples=samples,
            **inputs,
        )
        first, second = _passes(first, samples), _passes(second, samples)
        # Two masks of 5 x 24 elements are the same with probability 2^-120, and no element is 0 before.
        for one, other in ((a, b) for a in range(samples) for b in range(a)):
            expect.that(
                not torch.equal(first[one], first[other]),
                "Two of your passes give the same logits: each pass needs a new mask, so set no seed.",
            )
        expect.that(
            not torch.equal(first, second),
            "A second call of your function gives the same passes as the first: set no seed in it.",
        )

    with cases("the mean", weight=2):
        mean, _, logits = _sampled(student, samples, **inputs)
        expected = logits.softmax(-1).mean(0)
        averaged = logits.mean(0)
        expect.close(
            mean,
            expected,
            "The mean should be that of the softmax probabilities over all passes.",
            [
                (
                    averaged.softmax(-1),
                    "Average the probabilities: you average the logits and take the softmax of that.",
                ),
                (averaged, "The mean is one of probabilities: the softmax of the logits is missing."),
                (samples * expected, "The sum over the passes is not divided by their number."),
                (logits[-1].softmax(-1), "This is the last pass alone: take the mean over all passes."),
                (logits[0].softmax(-1), "This is the first pass alone: take the mean over all passes."),
                (logits.log_softmax(-1).mean(0), "This averages log-probabilities: average the probabilities."),
                (logits.log_softmax(-1).mean(0).exp(), "This averages log-probabilities: average the probabilities."),
                (logits.softmax(0).mean(0), "The softmax is over the classes, not over the passes."),
                (logits.softmax(1).mean(0), "The softmax is over the classes, not over the samples of the batch."),
                (logits.sigmoid().mean(0), "The classes exclude each other: softmax, not sigmoid."),
                (expected * samples / (samples - 1), "Divide by the number of passes, not by one less."),
                (expected * samples / (samples + 1), "Divide by the number of passes, not by one more."),
            ],
            what="The mean",
            **PROBABILITY,
        )

    with cases("the entropy", weight=2):
        _, entropy, logits = _sampled(student, samples, **inputs)
        each = logits.softmax(-1)
        expected = _entropy(each.mean(0))
        inner = _entropy(each).mean(0)
        expect.close(
            entropy,
            expected,
            "The entropy should be that of your mean probabilities, summed over the classes.",
            [
                (inner, "This is the mean of the passes' entropies: take the entropy of the mean probabilities."),
                (expected - inner, "This is the mutual information: the predictive entropy subtracts nothing."),
                (-expected, "An entropy is not negative: it is minus the sum of p ln p."),
                (expected / math.log(2), "This entropy is in bits: in nats, the logarithm is the natural one."),
                (expected / math.log(10), "The logarithm should be the natural one, not that to base 10."),
                (expected / math.log(4), "Do not divide by the logarithm of the number of classes."),
                (expected / 4, "Sum over the classes, do not take the mean."),
                (
                    _entropy(logits.mean(0).softmax(-1)),
                    "Take the entropy of the mean of the probabilities, not of logits.",
                ),
                (_entropy(each[-1]), "This is the entropy of the last pass: take that of the mean probabilities."),
                (expected.mean(), "There is one entropy for each sample of the batch: sum over the classes only."),
                (expected.sum(), "There is one entropy for each sample of the batch: sum over the classes only."),
                (1 - each.mean(0).amax(-1), "This is one minus the largest probability, not the entropy."),
            ],
            what="The entropy",
            **PROBABILITY,
        )

    with cases("PyTorch's dropout modules"):
        (modes,) = student.run(
            _MODELS
            + """
kinds = {
    "nn.Dropout": (3, 4), "nn.Dropout1d": (3, 4, 5), "nn.Dropout2d": (3, 4, 5, 5), "nn.Dropout3d": (3, 4, 5, 5, 5),
    "nn.AlphaDropout": (3, 4), "nn.FeatureAlphaDropout": (3, 4, 5),
}
class Many(nn.Module):
    def __init__(self):
        super().__init__()
        self.all = nn.ModuleList(noted(getattr(nn, name[3:])(0.5), name) for name in kinds)
    def forward(self, x):
        for drop, shape in zip(self.all, kinds.values()):
            drop(torch.ones(shape))
        return x
for start in (True, False):
    monte_carlo_predict(Many().train(start), x, 1)
""",
            ["modes"],
            **inputs,
        )
        names = "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"
        _expect_modes(modes, on={f"nn.{n}": f"nn.{n} should be in training mode during the passes." for n in names})

    with cases("subclasses, and names that only sound like it"):
        (modes,) = student.run(
            _MODELS
            + """
class Quiet(nn.AlphaDropout):
    def forward(self, x):
        modes.append(["a subclass", self.training])
        return x
class Dropout(nn.Module):
    def forward(self, x):
        modes.append(["a name", self.training])
        return x
class DropoutLike(Dropout):
    pass
# Batch normalization inside of a dropout module: the module is in training mode, what is inside is not.
class Around(nn.Dropout):
    def __init__(self):
        super().__init__()
        self.norm = noted(nn.BatchNorm1d(6), "a module inside")
    def forward(self, x):
        modes.append(["a subclass", self.training])
        return self.norm(x)
monte_carlo_predict(nn.Sequential(Quiet(), DropoutLike(), Dropout()), x, 1)
monte_carlo_predict(Around().double(), x, 1)
monte_carlo_predict(Quiet().eval(), x, 1)
""",
            ["modes"],
            **inputs,
        )
        _expect_modes(
            modes,
            on={
                "a subclass": "A subclass of a dropout, the model itself perhaps, stays in eval mode: go through "
                "model.modules() with isinstance."
            },
            off={
                "a name": "A module is no dropout because of its class's name: use isinstance.",
                "a module inside": "A module inside of a dropout module is in training mode: change one at a time "
                "(m.training), since m.train() changes all inside.",
            },
        )

    with cases("your own dropout modules"):
        # Subclasses with a forward and modes of their own, so that nothing of exercises 2 and 3 is judged again. When
        # one of the two is no module at all, there is nothing to find in a model.
        modes, there = student.run(
            _MODELS
            + """
def spy(base, name):
    class Spy(base):
        train, eval = nn.Module.train, nn.Module.eval
        def __init__(self):
            nn.Module.__init__(self)
        def forward(self, x):
            modes.append([name, self.training])
            return x
    return Spy()
own = {"Dropout": Dropout, "Dropout2d": Dropout2d}
there = [name for name, kind in own.items() if isinstance(kind, type) and issubclass(kind, nn.Module)]
for start in (True, False):
    model = nn.Sequential(nn.Identity(), nn.Sequential(*(spy(own[name], name) for name in there)))
    monte_carlo_predict(model.train(start), x, 1)
""",
            ["modes", "there"],
            **inputs,
        )
        expect.kind(there, list)
        _expect_modes(
            modes,
            on={
                name: f"The class {name} of this notebook should be in training mode during the passes too."
                for name in ("Dropout", "Dropout2d")
                if name in there
            },
        )

    with cases("modes afterwards", weight=2):
        _modes_afterwards(student, cases, inputs)

    with cases("when the model raises"):
        raised, before, after, enabled = student.run(
            _MODELS
            + """
class Stumble(Exception):
    pass
class Stumbling(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.passes = network(), 0
    def forward(self, x):
        passes.append(1)
        if len(passes) % 2 == 0:
            raise Stumble()
        return self.inner(x)
raised, before, after, passes = [], [], [], []
for start in (True, False):
    model = Stumbling().train(start)
    model.inner.inner[1].training = not start
    before.append([m.training for m in model.modules()])
    try:
        monte_carlo_predict(model, x, 4)
        raised.append(False)
    except Stumble:
        raised.append(True)
    after.append([m.training for m in model.modules()])
enabled = torch.is_grad_enabled()
""",
            ["raised", "before", "after", "enabled"],
            **inputs,
        )
        expect.that(raised == [True, True], "When the model raises, let the error go on to the caller.")
        expect.that(after == before, "When the model raises in a pass, put the modes back all the same (finally).")
        expect.that(enabled is True, "When the model raises in a pass, gradients stay disabled after yours.")

    with cases("gradients"):
        graph, enabled, after, still, grads, wanted = student.run(
            _MODELS
            + """
model = network()
model(x).square().sum().backward()
before = [p.grad.clone() for p in model.parameters()]
frozen = next(model.parameters())
frozen.requires_grad_(False)
enabled.clear()
result = monte_carlo_predict(model, x.clone().requires_grad_(), samples)
graph = [v.requires_grad for v in result]
after = torch.is_grad_enabled()
grads = all(torch.equal(p.grad, b) for p, b in zip(model.parameters(), before))
with torch.no_grad():
    monte_carlo_predict(model, x, 2)
    still = torch.is_grad_enabled()
wanted = [p.requires_grad for p in model.parameters()]
""",
            ["graph", "enabled", "after", "still", "grads", "wanted"],
            samples=samples,
            **inputs,
        )
        expect.kind(enabled, list)
        expect.that(
            bool(enabled) and all(e is False for e in enabled),
            "Gradients are recorded during your passes: run them under torch.no_grad().",
        )
        expect.that(graph == [False, False], "The results should belong to no graph.")
        expect.that(after is True, "Gradients stay disabled after your function: use `with torch.no_grad():`.")
        expect.that(
            still is False,
            "Called under torch.no_grad(), your function enables gradients: use `with torch.no_grad():`.",
        )
        expect.that(grads is True, "Your function changes the grad of a parameter.")
        expect.kind(wanted, list)
        expect.that(
            bool(wanted) and wanted[0] is False and all(w is True for w in wanted[1:]),
            "Your function changes requires_grad of the model's parameters: leave it as it was.",
        )

    with cases("parameters, buffers and x"):
        before, after, x_after, batches = student.run(
            _MODELS
            + """
model = network()
model.train()
model(x)
norm = model.inner[1]
before = {k: v.clone() for k, v in model.state_dict().items()}
given_x = x.clone()
monte_carlo_predict(model, given_x, samples)
after = model.state_dict()
batches = [int(before["inner.1.num_batches_tracked"]), int(norm.num_batches_tracked)]
""",
            ["before", "after", "given_x", "batches"],
            samples=samples,
            **inputs,
        )
        expect.kind(before, dict)
        expect.kind(after, dict)
        expect.that(
            type(batches) is list and len(batches) == 2 and batches[0] == batches[1],
            "Batch normalization counted your passes as training (num_batches_tracked): keep it in eval mode.",
        )
        expect.that(set(before) == set(after), "Your function adds to the model, or takes from it.")
        for name, value in before.items():
            kind = "running statistics" if "running" in str(name) else "parameters or buffers"
            expect.close(after[name], value, f"Your function changes the model's {kind}.", rtol=0, atol=0)
        expect.close(x_after, x, "Your function changes x.", rtol=0, atol=0)

    with cases("a probability of exactly 0"):
        for dtype in (torch.float64, torch.float32):
            logits = [cases.randn(4, 3, dtype=dtype) for _ in range(3)]
            for one in logits:
                one[0] = torch.tensor([0.0, -2000.0, -3000.0], dtype=dtype)
                one[1, 2] = -2000.0
                one[2, 0] = -math.inf
            result = student.run(
                _MODELS + "result = back(monte_carlo_predict(Given(), x, 3))", "result", logits=logits, **inputs
            )
            expect.sequence(result, 2)
            expected = torch.stack(logits).double().softmax(-1).mean(0)
            hint = "A probability of exactly 0 adds 0 to the entropy."
            expect.close(result[0], expected, f"{hint} The mean is wrong there too.", what="The mean", **PROBABILITY)
            expect.close(result[1], _entropy(expected), hint, what="The entropy", **PROBABILITY)

    with cases("shapes and dtypes"):
        for dtype, n, classes in ((torch.float32, 1, 3), (torch.float32, 4, 2), (torch.float64, 3, 7)):
            logits = [3 * cases.randn(n, classes, dtype=dtype) for _ in range(4)]
            result = student.run(
                _MODELS + "result = back(monte_carlo_predict(Given(), x, 4))", "result", logits=logits, **inputs
            )
            expect.sequence(result, 2)
            expected = torch.stack(logits).double().softmax(-1).mean(0)
            for value, wanted, what in zip(
                result, (expected, _entropy(expected)), ("The mean", "The entropy"), strict=True
            ):
                expect.dtype(value, dtype, what)
                hint = f"{what} is wrong for logits of shape {(n, classes)} in {dtype}."
                expect.close(value, wanted, hint, what=what, **PROBABILITY)

    with cases("bad settings"):
        outcomes, before, after = student.run(
            _MODELS
            + """
model = network()
before = [m.training for m in model.modules()]
outcomes = []
for samples in (0, -1, 1):
    try:
        monte_carlo_predict(model, x, samples)
        outcomes.append(None)
    except ValueError:
        outcomes.append("ValueError")
    except Exception as error:
        outcomes.append(type(error).__name__)
after = [m.training for m in model.modules()]
""",
            ["outcomes", "before", "after"],
            **inputs,
        )
        _expect_outcomes(
            outcomes,
            [
                ("ValueError", "samples=0 should raise a ValueError"),
                ("ValueError", "A negative samples should raise a ValueError"),
                (None, "samples=1 is allowed: it should raise nothing"),
            ],
        )
        expect.that(
            after == before, "After the ValueError for samples below 1, every module should have its mode of before."
        )


def _expect_modes(modes: Any, on: dict[str, str] | None = None, off: dict[str, str] | None = None) -> None:
    """Expect modules to have been in training mode (on) or not (off), each with its hint, and each to have been run."""
    expect.kind(modes, list)
    for wanted, hints in ((True, on or {}), (False, off or {})):
        for name, hint in hints.items():
            found = [m[1] for m in modes if isinstance(m, list) and len(m) == 2 and m[0] == name]
            expect.that(bool(found), "The model was not run at all.")
            expect.that(all(mode is wanted for mode in found), hint)


def _modes_afterwards(student: Student, cases: Cases, inputs: dict[str, Any]) -> None:
    """Expect each module's mode to be what it was: all in training, none, and mixtures."""
    size = 13  # modules in the network below
    patterns = [[False] * size, [True] * size]
    for root in (True, False, True, False):
        mixed = [cases.uniform(0, 1) < 0.5 for _ in range(size)]
        patterns.append([root, *mixed[1:-2], not root, root])
    starts, ends = student.run(
        _MODELS
        + """
starts, ends = [], []
for pattern in patterns:
    model = network([nn.Dropout(0.2), nn.Sequential(nn.Dropout2d(0.2), nn.Identity())])
    model.inner[3][2][0].forward = lambda x: x
    modules = list(model.modules())
    for module, mode in zip(modules, pattern):
        module.training = mode
    starts.append([m.training for m in modules])
    monte_carlo_predict(model, x, 2)
    ends.append([m.training for m in modules])
""",
        ["starts", "ends"],
        patterns=patterns,
        **inputs,
    )
    expect.sequence(starts, len(patterns))
    expect.sequence(ends, len(patterns))
    hints = (
        ("A model in eval mode is not all in eval mode after your function: put every module back into its own mode."),
        ("A model in training mode is not all in training mode after your function: put every module back."),
    )
    mixed = "When modes are mixed, some modules have another mode after your function: remember each module's own."
    for number, (before, after) in enumerate(zip(starts, ends, strict=True)):
        expect.kind(after, list)
        if number == 0 and after != before and True in after and False in after:
            expect.that(
                False, "Dropout is still in training mode after your function, in a model that was in eval mode."
            )
        expect.that(after == before, hints[number] if number < 2 else mixed)
