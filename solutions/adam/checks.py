"""The hidden checks of the assignment `adam`.

Steps are compared with their formulas, written here once more in float64, and whole runs with PyTorch's optimizers.
The same snippet runs beside the student's `Adam` and beside `torch.optim.Adam`. Each comparison knows the usual
mistakes, so that a student who made one of them reads about that one.
"""

from collections.abc import Sequence
from fractions import Fraction
from textwrap import dedent
from typing import Any

import torch

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import ReferenceStudent, Student

#: Float64 arithmetic in another order differs by less than this in a step; every mistake differs by more.
EXACT = {"rtol": 1e-11, "atol": 1e-12}
#: Over many steps of Adam such differences grow, where a gradient is near 0.
LONG = {"rtol": 1e-8, "atol": 1e-9}

REFERENCE = ReferenceStudent({"Adam": torch.optim.Adam})

_INSIDE = "Epsilon is inside of the root: take the root first, then add epsilon."
_UPHILL = "The step goes downhill: subtract it from the weights."
_NO_RATE = "The learning rate is missing in the step."
_ORDER = "Return the results in the order of the text: the new weights come first."
_IN_PLACE = "Your function changes a tensor that it was given: make new ones, without `+=` or `mul_` on the inputs."


def _compare_all(
    actual: Any, expected: Sequence[Any], hint: str, what: str, tolerance: dict[str, float] = LONG
) -> None:
    """Expect each of a list of tensors or numbers."""
    expect.sequence(actual, len(expected), what)
    for one, wanted in zip(actual, expected, strict=True):
        expect.close(one, wanted, hint, what=what, **tolerance)


# --- 1. bias_correction ----------------------------------------------------------------------------------------------


@check
def bias_correction(student: Student, cases: Cases) -> None:
    """Compare with an exact sum of fractions, at both ends of both ranges."""
    beta, step = cases.uniform(0.3, 0.7), cases.integer(4, 7)

    def mistakes(beta: float, step: int) -> list[tuple[float, str]]:
        right = 1 - beta**step
        return [
            (1 / right, "Return the number by which Adam divides, not one divided by it."),
            (1 - beta ** (step - 1), "After `step` updates the power is `step`: yours is one less."),
            (1 - beta ** (step + 1), "After `step` updates the power is `step`: yours is one more."),
            (beta**step, "That is what is missing in the average: subtract it from 1."),
            (1 - beta * step, "beta is taken to the power of step, not multiplied by it."),
            (1 - beta, "The step does not enter: after more updates more of the average is there."),
            (1 - step**beta, "It is beta to the power of step, not the other way round."),
        ]

    with cases("a few updates", weight=2):
        for at in (3, step):
            result = student.call("bias_correction", beta, at)
            expect.number(result)
            wanted = float(1 - Fraction(beta) ** at)
            expect.close(
                result, wanted, "The weights (1 - beta) * beta^k of k < step add up to it.", mistakes(beta, at)
            )
    with cases("the first update"):
        for first in (beta, 0.0, 0.9, 0.999):
            wanted = float(1 - Fraction(first))
            hint = "After the first update there is one gradient in the average, with the weight 1 - beta."
            expect.close(student.call("bias_correction", first, 1), wanted, hint, mistakes(first, 1)[:1])
    with cases("long averages"):
        # Far above the rounding of 1 - beta^step, which is about 1e-16 / (1 - beta^step).
        for slow, at in ((0.999, 1000), (0.9999, 7), (1 - 1e-6, 100_000), (0.5, 2000)):
            wanted = float(1 - Fraction(slow) ** at) if at < 3000 else 1 - slow**at
            hint = "It should hold for every beta below 1 and for many steps, up to 1 in the end."
            expect.close(student.call("bias_correction", slow, at), wanted, hint, rtol=1e-8)
    with cases("a step that is none"):
        tried = [(0.9, 0), (0.9, -3), (0.0, 0)]
        for outcome in _errors(student, "bias_correction(*given)", tried):
            hint = "A step below 1 should raise a ValueError: with step 0 Adam would divide by 0."
            expect.that(outcome == "ValueError", f"{hint} Yours raised {outcome or 'nothing'}.")
    with cases("a beta that is none"):
        tried = [(1.0, 3), (1.5, 1), (-0.1, 2)]
        for outcome in _errors(student, "bias_correction(*given)", tried):
            hint = "A beta below 0, of 1 or above should raise a ValueError."
            expect.that(outcome == "ValueError", f"{hint} Yours raised {outcome or 'nothing'}.")
    with cases("beta 0"):
        hint = "beta = 0 is allowed: then nothing is missing from the average, at any step."
        expect.close(student.call("bias_correction", 0.0, 5), 1.0, hint)


def _errors(student: Student, call: str, tried: Sequence[Any]) -> list:
    """Return the name of the error that each call raises, None where there is none."""
    outcomes = student.run(
        "outcomes = []\n"
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


# --- 2. rmsprop_step -------------------------------------------------------------------------------------------------


def _keeps_inputs(student: Student, call: str, inputs: dict[str, torch.Tensor]) -> None:
    """Expect the tensors to be after the call what they were before."""
    names = ", ".join(inputs)
    after = student.run(f"{call}\nafter = [{names}]", "after", **inputs)
    expect.sequence(after, len(inputs))
    for seen, was in zip(after, inputs.values(), strict=True):
        expect.close(seen, was, _IN_PLACE, what="An input")


def _descent(student: Student, call: str, state: str, optimizer: Any, cases: Cases, **settings: Any) -> None:
    """Follow a function that makes single steps over 60 of them, beside an optimizer of PyTorch's."""
    curvature, start = cases.randn(6).exp(), cases.randn(6)
    path = student.run(
        f"import torch\nw, path = start.clone(), []\n{state}\nfor i in range(1, 61):\n    grad = curvature * w\n"
        f"    {call}\n    path.append(torch.as_tensor(w).clone())",
        "path",
        start=start,
        curvature=curvature,
        **settings,
    )
    p = start.clone().requires_grad_()
    theirs, wanted = optimizer([p]), []
    for _ in range(60):
        p.grad = curvature * p.detach()
        theirs.step()
        wanted.append(p.detach().clone())
    hint = "Single steps are not enough: over 60 steps, with what each hands to the next, you leave PyTorch's path."
    _compare_all(path, wanted, hint, "The weights")


@check
def rmsprop_step(student: Student, cases: Cases) -> None:
    """Compare steps with the formula, and a whole descent with torch.optim.RMSprop."""
    lr, beta, eps = cases.uniform(0.05, 0.2), cases.uniform(0.6, 0.8), cases.uniform(0.1, 0.3)
    w, grad, s = cases.randn(5), cases.randn(5), cases.randn(5).square() + 0.1
    grad[0], grad[1] = -grad[0].abs(), grad[1].abs()  # else no check could tell it from its absolute value
    new = beta * s + (1 - beta) * grad**2

    def step(w: Any, grad: Any, s: Any, eps: float = eps) -> list:
        result = student.call("rmsprop_step", w, grad, s, lr, beta, eps)
        expect.sequence(result, 2)
        return result

    with cases("the average"):
        expect.close(
            step(w, grad, s)[1],
            new,
            "The new s is beta times the old one, plus (1 - beta) times the squared gradient.",
            [
                ((1 - beta) * s + beta * grad**2, "beta is the part of the average that stays: you have it reversed."),
                (s + (1 - beta) * grad**2, "The old average is multiplied by beta: in yours it stays whole."),
                (beta * s + grad**2, "The squared gradient is multiplied by 1 - beta: s is an average, not a sum."),
                (s + grad**2, "s is a running average, not a sum: that is Adagrad."),
                (beta * s + (1 - beta) * grad, "The gradient is squared in the average."),
                (beta * s + (1 - beta) * grad.abs(), "The gradient is squared in the average, not its absolute value."),
                (beta * s + (1 - beta) * (grad**2).mean(), "Each weight has its own average: take no mean over them."),
                (s, "s comes back as it was: return the new average."),
                (new.sqrt(), "Return s itself, not its root."),
                (w - lr * grad / (new.sqrt() + eps), _ORDER),
            ],
            what="s",
            **EXACT,
        )
    with cases("the step", weight=2):
        moved = step(w, grad, s)[0]
        expect.close(
            moved,
            w - lr * grad / (new.sqrt() + eps),
            "The step is lr times the gradient, divided by the root of the new s plus epsilon.",
            [
                (w - lr * grad / (new + eps).sqrt(), _INSIDE),
                (w - lr * grad / (s.sqrt() + eps), "The step uses the old s: compute the new average first."),
                (w - lr * grad / (new + eps), "Divide by the root of s, not by s."),
                (w - lr * grad / new.sqrt(), "Epsilon is missing below the gradient."),
                (w - lr * new.sqrt() / (new.sqrt() + eps), "The gradient itself, with its sign, is above the line."),
                (w + lr * grad / (new.sqrt() + eps), _UPHILL),
                (w - grad / (new.sqrt() + eps), _NO_RATE),
                (
                    w - lr * grad / ((new / (1 - beta)).sqrt() + eps),
                    "RMSProp has no correction of s: divide by the average as it is.",
                ),
                (w - lr * (1 - beta) * grad / (new.sqrt() + eps), "Only s is an average; the gradient enters whole."),
                (w, "The weights come back as they were."),
            ],
            what="The weights",
            **EXACT,
        )
    with cases("a small gradient"):
        small = 1e-7 * grad
        moved = step(w, small, torch.zeros_like(s), 1e-8)[0]
        at_zero = (1 - beta) * small**2
        expect.close(
            moved - w,
            -lr * small / (at_zero.sqrt() + 1e-8),
            "With gradients of 1e-7 and an epsilon of 1e-8 the step is still nearly as long as with large ones.",
            [(-lr * small / (at_zero + 1e-8).sqrt(), _INSIDE)],
            what="The step",
            rtol=1e-6,
        )
        still, _ = step(w, torch.zeros_like(w), torch.zeros_like(s), 1e-8)
        expect.close(still, w, "A weight without any gradient stays where it is.", what="The weights")
    with cases("a whole descent", weight=2):
        _descent(
            student,
            "w, s = rmsprop_step(w, grad, s, lr, beta, 1e-6)",
            "s = torch.zeros_like(w)",
            lambda p: torch.optim.RMSprop(p, lr=lr, alpha=beta, eps=1e-6),
            cases,
            lr=lr,
            beta=beta,
        )
    with cases("inputs keep their values"):
        _keeps_inputs(student, "rmsprop_step(w, grad, s, 0.1, 0.9, 1e-8)", {"w": w, "grad": grad, "s": s})
    with cases("shapes and dtypes"):
        for dtype, shape in ((torch.float32, (2, 1, 3)), (torch.float32, ()), (torch.float64, (1,))):
            w, grad = cases.randn(*shape, dtype=dtype), cases.randn(*shape, dtype=dtype)
            s = cases.randn(*shape, dtype=dtype).square()
            new = beta * s + (1 - beta) * grad**2
            for seen, wanted in zip(step(w, grad, s), (w - lr * grad / (new.sqrt() + eps), new), strict=True):
                expect.dtype(seen, dtype)
                expect.close(
                    seen, wanted, f"The same formulas hold for a tensor of shape {shape} in {dtype}.", atol=1e-5
                )


# --- 3. adam_step ----------------------------------------------------------------------------------------------------


def _moved(m: Any, s: Any, i: int, lr: float, betas: tuple[float, float], eps: float) -> torch.Tensor:
    """Return what a step with these averages subtracts from the weights."""
    return lr * (m / (1 - betas[0] ** i)) / ((s / (1 - betas[1] ** i)).sqrt() + eps)


@check
def adam_step(student: Student, cases: Cases) -> None:
    """Compare steps with Algorithm 1, and a whole descent with torch.optim.Adam."""
    lr, eps = cases.uniform(0.05, 0.2), cases.uniform(0.1, 0.3)
    b1, b2 = betas = (cases.uniform(0.3, 0.5), cases.uniform(0.7, 0.8))
    w, grad, m, s = cases.randn(5), cases.randn(5), cases.randn(5), cases.randn(5).square() + 0.1
    grad[0], grad[1] = -grad[0].abs(), grad[1].abs()  # else no check could tell it from its absolute value
    i = cases.integer(3, 5)
    m1, s1 = b1 * m + (1 - b1) * grad, b2 * s + (1 - b2) * grad**2

    def step(w: Any, grad: Any, m: Any, s: Any, i: int, betas: tuple = betas, eps: float = eps) -> list:
        result = student.call("adam_step", w, grad, m, s, i, lr, betas, eps)
        expect.sequence(result, 3)
        return result

    with cases("the average of gradients"):
        expect.close(
            step(w, grad, m, s, i)[1],
            m1,
            "The new m is beta1 times the old one, plus (1 - beta1) times the gradient.",
            [
                (
                    m1 / (1 - b1**i),
                    "m is returned without the correction: the next step goes on with the plain average.",
                ),
                ((1 - b1) * m + b1 * grad, "beta1 is the part of m that stays: you have it reversed."),
                (b1 * m + grad, "The gradient is multiplied by 1 - beta1: m is an average, not a sum."),
                (b2 * m + (1 - b2) * grad, "m takes the first of the two betas."),
                (m, "m comes back as it was: return the new average."),
                (s1, "Return (w, m, s) in this order: yours has s in the place of m."),
            ],
            what="m",
            **EXACT,
        )
    with cases("the average of squares"):
        expect.close(
            step(w, grad, m, s, i)[2],
            s1,
            "The new s is beta2 times the old one, plus (1 - beta2) times the squared gradient.",
            [
                (
                    s1 / (1 - b2**i),
                    "s is returned without the correction: the next step goes on with the plain average.",
                ),
                ((1 - b2) * s + b2 * grad**2, "beta2 is the part of s that stays: you have it reversed."),
                (b2 * s + grad**2, "The squared gradient is multiplied by 1 - beta2: s is an average, not a sum."),
                (b1 * s + (1 - b1) * grad**2, "s takes the second of the two betas."),
                (b2 * s + (1 - b2) * grad, "The gradient is squared in s."),
                (b2 * s + (1 - b2) * grad.abs(), "The gradient is squared in s; that is its absolute value."),
                (b2 * s + (1 - b2) * m1**2, "s averages the squares of the gradient, not of m."),
                (b2 * s + (1 - b2) * (grad**2).mean(), "Each weight has its own s: take no mean over the weights."),
                (b2 * s + (1 - b2) * (grad - m1) ** 2, "s is uncentered: no mean is subtracted before squaring."),
                (s, "s comes back as it was: return the new average."),
            ],
            what="s",
            **EXACT,
        )
    with cases("the first step"):
        zero = torch.zeros_like(w)
        new = step(w, grad, zero, zero, 1)[0]
        g = (1 - b1) * grad
        root = ((1 - b2) * grad**2).sqrt()
        expect.close(
            new,
            w - lr * grad / (grad.abs() + eps),
            "In the first step m-hat is the gradient and the root of s-hat its absolute value.",
            [
                (
                    w - lr * g / (root + eps),
                    "Neither average is corrected: divide m by 1 - beta1^step and s by 1 - beta2^step.",
                ),
                (w - lr * grad / (root + eps), "s is not corrected: divide it by 1 - beta2^step."),
                (w - lr * g / (grad.abs() + eps), "m is not corrected: divide it by 1 - beta1^step."),
                (w - lr * grad / (grad**2 + eps).sqrt(), _INSIDE),
                (w + lr * grad / (grad.abs() + eps), _UPHILL),
                (w - grad / (grad.abs() + eps), _NO_RATE),
            ],
            what="The weights",
            **EXACT,
        )
    with cases("a later step", weight=2):
        new = step(w, grad, m, s, i)[0]

        def after(m: Any = m1, s: Any = s1, c1: int = i, c2: int = i) -> torch.Tensor:
            return w - lr * (m / (1 - b1**c1)) / ((s / (1 - b2**c2)).sqrt() + eps)

        h1, h2 = m1 / (1 - b1**i), s1 / (1 - b2**i)
        expect.close(
            new,
            after(),
            "The step is lr times m-hat, divided by the root of s-hat plus epsilon.",
            [
                (
                    w - lr * m1 / (s1.sqrt() + eps),
                    "Neither average is corrected: divide m by 1 - beta1^step and s by 1 - beta2^step.",
                ),
                (w - lr * h1 / (s1.sqrt() + eps), "s is not corrected: divide it by 1 - beta2^step."),
                (w - lr * m1 / (h2.sqrt() + eps), "m is not corrected: divide it by 1 - beta1^step."),
                (w - lr * h1 / (h2 + eps).sqrt(), _INSIDE),
                (
                    w - lr * h1 / ((s1.sqrt() + eps) / (1 - b2**i) ** 0.5),
                    "Correct s before you add epsilon: yours is scaled too.",
                ),
                (after(c1=1, c2=1), "The correction takes beta to the power of step; yours is that of the first step."),
                (after(c1=i - 1, c2=i - 1), "step is the number of this step: its power is step, not step - 1."),
                (after(c1=i + 1, c2=i + 1), "step is the number of this step: its power is step, not step + 1."),
                (
                    w - lr * (m1 / (1 - b2**i)) / ((s1 / (1 - b1**i)).sqrt() + eps),
                    "The betas are swapped in the corrections.",
                ),
                (
                    w - lr * (m1 / (1 - b1 * i)) / ((s1 / (1 - b2 * i)).abs().sqrt() + eps),
                    "The corrections take powers of beta, not beta times step.",
                ),
                (after(m=m), "The step uses the old m: compute the new average first."),
                (after(s=s), "The step uses the old s: compute the new average first."),
                (w - lr * grad / (h2.sqrt() + eps), "The step uses the gradient itself: m-hat takes its place."),
                (w - lr * h1 / (h2 + eps), "Divide by the root of s-hat, not by s-hat."),
                (w - lr * h1 / h2.sqrt(), "Epsilon is missing below m-hat."),
                (w - lr * h1 / (h2.sum().sqrt() + eps), "Each weight is divided by its own root, not by that of all."),
                (w - lr * h1 / (h2.mean().sqrt() + eps), "Each weight is divided by its own root, not by a mean."),
                (w + lr * h1 / (h2.sqrt() + eps), _UPHILL),
                (w - h1 / (h2.sqrt() + eps), _NO_RATE),
                (w, "The weights come back as they were."),
            ],
            what="The weights",
            **EXACT,
        )
    with cases("small gradients"):
        small, zero = 1e-6 * grad, torch.zeros_like(w)
        usual = (0.9, 0.999)
        new = step(w, small, zero, zero, 1, usual, 1e-8)[0]
        expect.close(
            new - w,
            -lr * small / (small.abs() + 1e-8),
            "With gradients of 1e-6 and an epsilon of 1e-8 the step is still nearly the learning rate.",
            [(-lr * small / (small**2 + 1e-8).sqrt(), _INSIDE)],
            what="The step",
            rtol=1e-6,
        )
        new = step(w, zero, zero, zero, 1, usual, 1e-8)[0]
        expect.close(new, w, "A weight without any gradient stays where it is.", what="The weights")
    with cases("a whole descent", weight=2):
        _descent(
            student,
            "w, m, s = adam_step(w, grad, m, s, i, lr, betas, 1e-6)",
            "m, s = torch.zeros_like(w), torch.zeros_like(w)",
            lambda p: torch.optim.Adam(p, lr=lr, betas=betas, eps=1e-6),
            cases,
            lr=lr,
            betas=betas,
        )
    with cases("inputs keep their values"):
        inputs = {"w": w, "grad": grad, "m": m, "s": s}
        _keeps_inputs(student, "adam_step(w, grad, m, s, 2, 0.1, (0.9, 0.999), 1e-8)", inputs)
    with cases("shapes and dtypes"):
        for dtype, shape in ((torch.float32, (2, 1, 3)), (torch.float32, ()), (torch.float64, (1,))):
            w, grad, m = (cases.randn(*shape, dtype=dtype) for _ in range(3))
            s = cases.randn(*shape, dtype=dtype).square()
            m1, s1 = b1 * m + (1 - b1) * grad, b2 * s + (1 - b2) * grad**2
            wanted = w - _moved(m1, s1, 2, lr, betas, eps), m1, s1
            for seen, value in zip(step(w, grad, m, s, 2), wanted, strict=True):
                expect.dtype(seen, dtype)
                expect.close(
                    seen, value, f"The same formulas hold for a tensor of shape {shape} in {dtype}.", atol=1e-5
                )


# --- 4. Adam ---------------------------------------------------------------------------------------------------------

_BEGIN = """
import math
import torch
from torch.overrides import TorchFunctionMode
params = [w.clone().requires_grad_() for w in weights]
path, calls = [], []
def kept(p, name="exp_avg"):
    value = optimizer.state.get(p, {}).get(name)
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
def count(p):
    value = kept(p, "step")
    return float(value) if isinstance(value, (int, float, torch.Tensor)) else value
def state():
    return [kept(p, name) for p in params for name in ("exp_avg", "exp_avg_sq")] + [count(p) for p in params]
def backward():
    # A quadratic with a ravine, in which every parameter feels every other. Its minimum moves, so that no gradient
    # dies away: Adam would divide by the root of nothing, and blow up differences of rounding.
    calls.append(None)
    target = 1 + 0.5 * math.sin(len(calls))
    loss = sum((h * (p - target) ** 2).sum() for h, p in zip(curvatures, params))
    loss = loss + 0.1 * sum(p.sum() for p in params) ** 2
    loss.backward()
    return loss.detach()
def train(steps):
    for _ in range(steps):
        optimizer.zero_grad()
        backward()
        optimizer.step()
        path.extend(p.detach().clone() for p in params)
"""
_GIVEN = """
optimizer = Adam(params, **settings)
states = []
for gradients in rounds:
    for p, g in zip(params, gradients):
        p.grad = g.clone()
    optimizer.step()
    path.extend(p.detach().clone() for p in params)
    states.extend([kept(p), kept(p, "exp_avg_sq"), count(p)] for p in params)
leaves = all(p.is_leaf and p.requires_grad for p in params)
"""
# Which optimizers of PyTorch's a snippet makes or runs, other than the class that was written.
_OWN = """
own = [c.__name__ for c in Adam.__mro__ if c.__module__.startswith("torch.optim") and c is not torch.optim.Optimizer]
made = torch.optim.Optimizer.__init__
def watched(self, *args, **kwargs):
    if type(self).__module__.startswith("torch.optim"):
        own.append(type(self).__name__)
    return made(self, *args, **kwargs)
class Watch(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if "adam" in getattr(function, "__name__", ""):
            own.append(function.__name__)
        return function(*args, **(kwargs or {}))
def standing_in(name):
    own.append(name)
    raise RuntimeError("this step is PyTorch's own")
import torch.optim.adam as theirs
names = ("adam", "_single_tensor_adam", "_multi_tensor_adam", "_fused_adam")
functions = {name: getattr(theirs, name) for name in names}
torch.optim.Optimizer.__init__ = watched
for name in names:
    setattr(theirs, name, lambda *args, name=name, **kwargs: standing_in(name))
try:
    with Watch():
        optimizer = Adam(params, lr=lr)
        train(2)
except Exception:
    if not own:
        raise
finally:
    torch.optim.Optimizer.__init__ = made
    for name, function in functions.items():
        setattr(theirs, name, function)
"""
_NAMES = 'Keep the state in self.state[p] under PyTorch\'s names: "step", "exp_avg", "exp_avg_sq".'


class _Quadratic:
    """Four parameters of unlike shapes, and what a snippet needs to train them."""

    def __init__(self, cases: Cases) -> None:
        shapes = (3,), (2, 2), (), (3,)
        self.weights = [cases.randn(*shape) for shape in shapes]
        self.curvatures = [(cases.randn(*shape) / 2).exp() for shape in shapes]

    def both(self, student: Student, code: str, returns: Sequence[str], **inputs: Any) -> tuple[Any, Any]:
        """Run a snippet beside the student's Adam and beside PyTorch's; return what each leaves behind."""
        inputs = {"weights": self.weights, "curvatures": self.curvatures, **inputs}
        return student.run(_BEGIN + code, returns, **inputs), REFERENCE.run(_BEGIN + code, returns, **inputs)

    def compare(self, student: Student, code: str, hint: str, **inputs: Any) -> None:
        """Expect the same path and the same state as PyTorch's after a snippet, which ends with a training."""
        code = f"{dedent(code).strip()}\nlast = state()"
        (path, last), (wanted, wanted_last) = self.both(student, code, ["path", "last"], **inputs)
        _compare_all(path, wanted, hint, "The parameter")
        expect.sequence(last, len(wanted_last), "The state")
        for seen, value in zip(last, wanted_last, strict=True):
            if value is None:
                expect.that(seen is None, "A parameter that never had a gradient should have no state.")
            else:
                expect.that(seen is not None, _NAMES)
                expect.close(
                    seen, value, f"The parameters are right, but not the state. {hint}", what="The state", **LONG
                )


def _given(student: Student, weights: list, rounds: list, **settings: Any) -> tuple[Any, Any, Any]:
    """Step with given gradients; return all weights, the states, and whether the parameters are still leaves."""
    values = student.run(
        _BEGIN + _GIVEN,
        ["path", "states", "leaves"],
        weights=weights,
        curvatures=[],
        rounds=rounds,
        settings=settings,
    )
    for value in values[:2]:
        expect.sequence(value, len(weights) * len(rounds))
    for kept in values[1]:
        expect.sequence(kept, 3)
    return values


def _first_steps(student: Student, cases: Cases) -> None:
    """Two steps of one parameter with given gradients, which tell most mistakes in the arithmetic apart."""
    lr, eps = cases.uniform(0.05, 0.1), cases.uniform(0.1, 0.3)
    b1, b2 = betas = (cases.uniform(0.3, 0.5), cases.uniform(0.7, 0.8))
    w, g1, g2 = (cases.randn(4) for _ in range(3))
    m1, s1 = (1 - b1) * g1, (1 - b2) * g1**2
    m2, s2 = b1 * m1 + (1 - b1) * g2, b2 * s1 + (1 - b2) * g2**2

    def first(m: Any, s: Any, i: int = 1) -> torch.Tensor:
        return _moved(m, s, i, lr, betas, eps)

    with cases("the first step"):
        path, states, leaves = _given(student, [w], [[g1]], lr=lr, betas=betas, eps=eps)
        expect.close(
            path[0],
            w - first(m1, s1),
            "The first step is lr times the gradient, divided by its absolute value plus epsilon.",
            [
                (w, "The parameter did not change: change it in place; `p = ...` only gives a new tensor the name p."),
                (w + first(m1, s1), _UPHILL),
                (w - lr * m1 / (s1.sqrt() + eps), "The averages are not corrected in the first step."),
                (w - lr * g1 / (s1.sqrt() + eps), "s is not corrected in the first step."),
                (w - lr * m1 / (g1.abs() + eps), "m is not corrected in the first step."),
                (w - lr * g1 / (g1**2 + eps).sqrt(), _INSIDE),
                (w - first(m1, s1, 2), "In the first step the powers in the correction are 1: yours are 2."),
                (w - first(m1, s1) / lr, _NO_RATE),
            ],
            what="The parameter",
            **EXACT,
        )
        expect.that(
            leaves is True,
            "After a step the parameters should be the same leaf tensors: change them in place under torch.no_grad().",
        )
        seen_m, seen_s, seen_step = states[0]
        expect.that(seen_m is not None and seen_s is not None and seen_step is not None, _NAMES)
        expect.close(seen_m, m1, 'After the first step "exp_avg" is (1 - beta1) times the gradient.', what="m", **EXACT)
        expect.close(
            seen_s, s1, 'After the first step "exp_avg_sq" is (1 - beta2) times its square.', what="s", **EXACT
        )
        expect.close(seen_step, 1.0, 'After the first step "step" is 1.', what="The count of steps")
    with cases("the second step"):
        path, states, _ = _given(student, [w], [[g1], [g2]], lr=lr, betas=betas, eps=eps)
        before = w - first(m1, s1)
        expect.close(
            path[1],
            before - first(m2, s2, 2),
            "The second step is wrong: it goes on with the averages of the first, and its powers are 2.",
            [
                (
                    before - first(m2, s2, 1),
                    "The powers in the correction do not grow: count the steps of the parameter.",
                ),
                (
                    before - first((1 - b1) * g2, (1 - b2) * g2**2, 1),
                    "The averages begin anew at each step: keep them.",
                ),
                (
                    before - first(m1, s1, 2),
                    "The second step uses the averages of the first: update them before you step.",
                ),
                (before - first(m2, s1, 2), "The step uses the old s: update it first."),
                (before - first(m1, s2, 2), "The step uses the old m: update it first."),
                (
                    before - first(b1 * g1 + (1 - b1) * g2, b2 * g1**2 + (1 - b2) * g2**2, 2),
                    "The corrected averages are kept: keep the plain ones, and correct a copy.",
                ),
                (before - first(m2, s2, 3), "The count of steps grows too fast."),
            ],
            what="The parameter",
            **EXACT,
        )
        hint = "The state after the second step is wrong: keep the plain averages, without the correction."
        _compare_all(states[1], [m2, s2, 2.0], hint, "The state", EXACT)


@check
def Adam(student: Student, cases: Cases) -> None:
    """Compare parameters and state with torch.optim.Adam in float64, one promise of the text in each case."""
    lr = cases.uniform(0.02, 0.05)
    betas = (cases.uniform(0.8, 0.9), cases.uniform(0.95, 0.99))
    inputs = {"lr": lr, "betas": betas}
    usual = "optimizer = Adam(params, lr=lr, betas=betas)\n"
    quadratic = _Quadratic(cases)

    with cases("your own arithmetic"), expect.explained("Two steps with your Adam failed."):
        own = student.run(_BEGIN + _OWN, "own", weights=quadratic.weights, curvatures=quadratic.curvatures, lr=lr)
        hint = "Your class leaves the work to an optimizer of PyTorch's: write the step yourself."
        expect.that(type(own) is list and not own, hint)

    _first_steps(student, cases)

    with cases("200 steps", weight=3):
        hint = "Over 200 steps on four parameters of unlike shapes you leave the path of torch.optim.Adam."
        quadratic.compare(student, usual + "train(200)", hint, **inputs)
        quadratic.compare(student, "optimizer = Adam(params)\ntrain(20)", f"{hint} (With the default settings.)")

    with cases("a count for each parameter"), expect.explained("Skip a parameter whose gradient is None."):
        code = """
            optimizer = Adam(params, lr=lr, betas=betas)
            for i in range(12):
                optimizer.zero_grad()
                backward()
                params[2].grad = None
                if i % 3 != 1:
                    params[1].grad = None
                optimizer.step()
                path.extend(p.detach().clone() for p in params)
        """
        hint = "A parameter without a gradient is skipped whole: no update, and its own count of steps stands still."
        quadratic.compare(student, code, hint, **inputs)

    with cases("gradients that are zero"):
        code = """
            optimizer = Adam(params, lr=lr, betas=betas)
            train(3)
            for i in range(4):
                for p in params:
                    p.grad = torch.zeros_like(p)
                optimizer.step()
                path.extend(p.detach().clone() for p in params)
            train(3)
        """
        hint = "A gradient of zeros is a gradient: the averages shrink, the old m moves the weights, the step counts."
        quadratic.compare(student, code, hint, **inputs)

    with cases("schedulers", weight=2):
        code = """
            optimizer = Adam(params, lr=lr, betas=betas)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3)
            for _ in range(12):
                train(1)
                scheduler.step()
        """
        hint = 'A scheduler changes group["lr"] and your step does not follow: read it from the group in each step.'
        quadratic.compare(student, code, hint, **inputs)
        code = """
            optimizer = Adam(params, lr=lr, betas=betas)
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2 * lr, total_steps=20)
            for _ in range(20):
                train(1)
                scheduler.step()
        """
        hint = 'OneCycleLR changes group["betas"] and your step does not follow: read them from the group in each step.'
        quadratic.compare(student, code, hint, **inputs)

    with cases("amsgrad", weight=2):
        shrinking = [[f * cases.randn(4)] for f in (3.0, 0.1, 0.1, 2.0, 0.1)]
        _amsgrad(student, cases.randn(4), shrinking, lr=lr)
        hint = "With amsgrad=True you leave the path of torch.optim.Adam."
        quadratic.compare(
            student, "optimizer = Adam(params, amsgrad=True, lr=lr, betas=betas)\ntrain(200)", hint, **inputs
        )

    with cases("parameter groups"):
        code = """
            groups = [{"params": [params[0]], "lr": 2 * lr, "betas": (0.5, 0.6)}, {"params": [params[1]], "eps": 0.1}]
            optimizer = Adam(groups, lr=lr, betas=betas)
            train(5)
            optimizer.add_param_group({"params": params[2:], "lr": lr / 2, "amsgrad": True})
            train(10)
        """
        hint = "Every group has its own settings: read lr, betas, eps, amsgrad and maximize from the parameter's group."
        quadratic.compare(student, code, hint, **inputs)

    with cases("maximize"):
        w, g1, g2 = (cases.randn(4) for _ in range(3))
        path, states, _ = _given(student, [w], [[g1], [g2]], lr=lr, maximize=True)
        wanted, wanted_states, _ = _given(REFERENCE, [w], [[g1], [g2]], lr=lr, maximize=True)
        plain, _, _ = _given(REFERENCE, [w], [[g1], [g2]], lr=lr)
        expect.close(
            path[0],
            wanted[0],
            "With maximize=True a step goes uphill.",
            [(plain[0], "maximize=True changes nothing in your step: it should go uphill.")],
            what="The parameter",
            **EXACT,
        )
        _compare_all(path, wanted, "With maximize=True the second step is wrong.", "The parameter")
        for kept, value in zip(states, wanted_states, strict=True):
            expect.close(
                kept[0], value[0], "With maximize=True the averages are of -grad, not of grad.", what="m", **EXACT
            )

    with cases("gradients are left alone"):
        code = """
            optimizer = Adam(params, lr=lr, betas=betas, maximize=uphill)
            grads = []
            for _ in range(4):
                optimizer.zero_grad(set_to_none=False)
                backward()
                optimizer.step()
                path.extend(p.detach().clone() for p in params)
                grads.extend(p.grad.clone() for p in params)
        """
        for uphill in (False, True):
            (path, grads), (wanted, wanted_grads) = quadratic.both(
                student, dedent(code), ["path", "grads"], uphill=uphill, **inputs
            )
            expect.sequence(grads, len(wanted_grads), "The gradients")
            hint = "Your step changes p.grad: compute with it, but leave it as it was."
            _compare_all(grads[:4], wanted_grads[:4], hint, "A gradient")
            hint = "A tensor of your state is p.grad itself, so zero_grad(set_to_none=False) clears it: keep a copy."
            _compare_all(path, wanted, hint, "The parameter")
            _compare_all(grads, wanted_grads, "Your step changes p.grad: leave it as it was.", "A gradient")

    with cases("state_dict round trip"):
        code = """
            import io
            optimizer = Adam(params, lr=lr, betas=betas, amsgrad=True)
            train(6)
            for p in params:  # a gradient so large that from here on the average shrinks below its maximum
                p.grad.mul_(50)
            optimizer.step()
            file = io.BytesIO()
            torch.save(optimizer.state_dict(), file)
            file.seek(0)
            params = [p.detach().clone().requires_grad_() for p in params]
            optimizer = Adam(params, lr=1.0, betas=(0.1, 0.2), amsgrad=True)
            optimizer.load_state_dict(torch.load(file))
            train(6)
        """
        hint = (
            "After load_state_dict, training goes on otherwise than without a break: a step needs more than is saved."
        )
        quadratic.compare(student, code, hint, **inputs)

    _checkpoints(student, cases, quadratic, inputs)

    with cases("a closure"):
        code = """
            optimizer = Adam(params, lr=lr, betas=betas)
            enabled = []
            def closure():
                enabled.append(torch.is_grad_enabled())
                with torch.enable_grad():
                    optimizer.zero_grad()
                    return backward()
            result = optimizer.step(closure)
            path.extend(p.detach().clone() for p in params)
        """
        (path, enabled, result), (wanted, _, wanted_result) = quadratic.both(
            student, dedent(code), ["path", "enabled", "result"], **inputs
        )
        expect.kind(enabled, list)
        expect.that(len(enabled) == 1, f"Call the closure once in a step; yours called it {len(enabled)} times.")
        expect.that(enabled[0] is True, "Call the closure with gradients enabled: put it under torch.enable_grad().")
        expect.that(result is not None, "step(closure) should return the loss that the closure returned.")
        expect.close(result, wanted_result, "step(closure) should return the loss that the closure returned.")
        _compare_all(path, wanted, "Call the closure before the update: it computes the gradients.", "The parameter")

    with cases("bad settings"):
        bad = [{"lr": -0.1}, {"eps": -1e-8}, {"betas": (1.0, 0.999)}, {"betas": (0.9, 1.0)}, {"betas": (-0.1, 0.9)}]
        good = [{"lr": 0.0}, {"betas": (0.0, 0.0)}, {"eps": 0.0}, {"amsgrad": True, "maximize": True}]
        outcomes = _errors(student, "Adam([torch.zeros(2, requires_grad=True)], **given)", bad + good)
        for given, outcome in zip(bad, outcomes[: len(bad)], strict=True):
            hint = f"The settings {given} should raise a ValueError; yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)
        for given, outcome in zip(good, outcomes[len(bad) :], strict=True):
            expect.that(outcome is None, f"The settings {given} are allowed; yours raised {outcome}.")

    with cases("a network in float32"):
        code = (
            "import torch\n"
            "network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))\n"
            "optimizer = Adam(network.parameters(), lr=0.01)\n"
            "for _ in range(20):\n"
            "    optimizer.zero_grad()\n"
            "    (network(x) - y).square().mean().backward()\n"
            "    optimizer.step()\n"
            "params = [p.detach() for p in network.parameters()]\n"
            'averages = [optimizer.state[p].get("exp_avg") for p in network.parameters()]\n'
            "graphs = [bool(getattr(a, 'requires_grad', False)) for a in averages]"
        )
        x, y = cases.randn(16, 3, dtype=torch.float32), cases.randn(16, 1, dtype=torch.float32)
        *values, graphs = student.run(code, ["params", "averages", "graphs"], x=x, y=y)
        *wanted_values, _ = REFERENCE.run(code, ["params", "averages", "graphs"], x=x, y=y)
        for seen, wanted, what in zip(values, wanted_values, ("The parameter", "m"), strict=True):
            expect.sequence(seen, len(wanted))
            for one, other in zip(seen, wanted, strict=True):
                expect.dtype(one, torch.float32, what)
                expect.close(
                    one, other, "On a small network in float32 you leave the path of torch.optim.Adam.", atol=2e-4
                )
        expect.that(graphs == [False] * 4, "Your averages carry an autograd graph: update them under torch.no_grad().")


def _amsgrad(student: Student, w: torch.Tensor, rounds: list, lr: float) -> None:
    """Steps whose gradients shrink, so that the largest average so far is not the last."""
    settings = {"lr": lr, "betas": (0.5, 0.6), "eps": 0.1}
    path, states, _ = _given(student, [w], rounds, amsgrad=True, **settings)
    wanted, _, _ = _given(REFERENCE, [w], rounds, amsgrad=True, **settings)
    plain, _, _ = _given(REFERENCE, [w], rounds, **settings)

    def spoilt(root: Any) -> torch.Tensor:
        """Return the last weights when the root of a step is computed otherwise from the list of all s so far."""
        p, m, averages = w, torch.zeros_like(w), [torch.zeros_like(w)]
        for i, (g,) in enumerate(rounds, 1):
            m = 0.5 * m + 0.5 * g
            averages.append(0.6 * averages[-1] + 0.4 * g**2)
            p = p - lr * (m / (1 - 0.5**i)) / (root(averages, i) + 0.1)
        return p

    def largest(values: list) -> torch.Tensor:
        return torch.stack(values).amax(0)

    expect.close(
        path[-1],
        wanted[-1],
        "With amsgrad=True the largest s so far takes the place of s, number by number, and is then corrected.",
        [
            (plain[-1], "amsgrad=True changes nothing in your step: divide by the largest s so far."),
            (
                spoilt(lambda a, i: largest([v / (1 - 0.6**k) for k, v in enumerate(a) if k]).sqrt()),
                "You keep the largest corrected average: PyTorch keeps the largest plain one.",
            ),
            (spoilt(lambda a, i: largest(a).sqrt()), "The largest s is not corrected: divide it by 1 - beta2^step."),
            (
                spoilt(lambda a, i: (torch.maximum(a[-1], a[-2]) / (1 - 0.6**i)).sqrt()),
                "The maximum is over all steps so far, not over the last two: keep it.",
            ),
        ],
        what="The parameter",
        **EXACT,
    )
    hint = 'With amsgrad=True "exp_avg_sq" goes on as without: keep the maximum in "max_exp_avg_sq".'
    _, reference, _ = _given(REFERENCE, [w], rounds, amsgrad=True, **settings)
    for kept, value in zip(states, reference, strict=True):
        expect.that(kept[1] is not None, _NAMES)
        expect.close(kept[1], value[1], hint, what="s", **EXACT)


def _checkpoints(student: Student, cases: Cases, quadratic: _Quadratic, inputs: dict[str, Any]) -> None:
    """Checkpoints that PyTorch's Adam wrote, and ones that it must be able to read."""
    after = "optimizer.load_state_dict(saved)\ntrain(6)"
    half = {"weights": quadratic.weights, "curvatures": quadratic.curvatures, **inputs}
    for amsgrad in (False, True):
        begin = (
            f"optimizer = Adam(params, lr=lr, betas=betas, amsgrad={amsgrad})\ntrain(6)\nsaved = optimizer.state_dict()"
        )
        name = " with amsgrad" if amsgrad else ""
        with (
            cases(f"a checkpoint of torch.optim.Adam{name}"),
            expect.explained(
                "A checkpoint that torch.optim.Adam wrote does not go on: use PyTorch's names for the state."
            ),
        ):
            saved = REFERENCE.run(_BEGIN + begin, "saved", **half)
            for value in saved["state"].values():
                expect.that(value["step"].dtype == torch.float32, "PyTorch's checkpoints have changed.")
            code = f"optimizer = Adam(params, lr=1.0, betas=(0.1, 0.2))\n{after}"
            hint = (
                "A checkpoint that torch.optim.Adam wrote does not go on as it should: its groups have all settings, "
                "its step is a float32 tensor (make a number of it), and the names are PyTorch's."
            )
            quadratic.compare(student, code, hint, saved=saved)
        with cases(f"a checkpoint for torch.optim.Adam{name}"):
            saved = student.run(_BEGIN + begin, "saved", **half)
            expect.kind(saved, dict, "state_dict()")
            optimizer = REFERENCE.run(_BEGIN + begin, "saved", **half)
            hint = (
                "torch.optim.Adam cannot go on from your checkpoint: its state needs PyTorch's names, its groups lr, "
                "betas, eps, weight_decay (0), amsgrad and maximize."
            )
            code = _BEGIN + f"optimizer = Adam(params, lr=1.0)\n{after}"
            wanted = REFERENCE.run(code, "path", saved=optimizer, **half)
            try:
                path = REFERENCE.run(code, "path", saved=saved, **half)
            except Exception as error:  # whatever PyTorch makes of what a student saved
                raise expect.Unmet(f"{hint} It says: {type(error).__name__}.") from None
            _compare_all(path, wanted, hint, "The parameter")
