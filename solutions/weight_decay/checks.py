"""The hidden checks of the assignment `weight_decay`.

Steps are compared with their formulas, written here once more in float64, and whole runs with PyTorch's optimizers.
The same snippet runs beside the student's `AdamW` and beside `torch.optim.AdamW`. The groups of parameters are
compared with what is known of models made here, and the effective learning rate with the direction of a real step.
"""

import math
from collections.abc import Sequence
from textwrap import dedent
from typing import Any

import torch

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import ReferenceStudent, Student

#: Float64 arithmetic in another order differs by less than this in a step; every mistake differs by more.
EXACT = {"rtol": 1e-11, "atol": 1e-12}
#: Over many steps of Adam such differences grow.
LONG = {"rtol": 1e-8, "atol": 1e-9}

REFERENCE = ReferenceStudent({"AdamW": torch.optim.AdamW})

_INSIDE = "Epsilon is inside of the root: take the root first, then add epsilon."
_UPHILL = "The step goes downhill: subtract it from the weights."
_GROWS = "The decay makes the weights grow: it shrinks them."
_NO_RATE = "The decay is lambda alone: the learning rate multiplies it."
_NO_DECAY = "weight_decay changes nothing in your step."
_IN_PLACE = "Your function changes a tensor that it was given: make new ones, without `+=` or `mul_` on the inputs."


def _mixed(cases: Cases, size: int) -> torch.Tensor:
    """Draw weights of both signs: among positive ones |w| and w are the same."""
    w = cases.randn(size)
    w[0], w[1] = w[0].abs(), -w[1].abs()
    return w


def _compare_all(
    actual: Any, expected: Sequence[Any], hint: str, what: str, tolerance: dict[str, float] = LONG
) -> None:
    """Expect each of a list of tensors or numbers."""
    expect.sequence(actual, len(expected), what)
    for one, wanted in zip(actual, expected, strict=True):
        expect.close(one, wanted, hint, what=what, **tolerance)


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


def _keeps_inputs(student: Student, call: str, inputs: dict[str, torch.Tensor]) -> None:
    """Expect the tensors to be after the call what they were before."""
    names = ", ".join(inputs)
    after = student.run(f"{call}\nafter = [{names}]", "after", **inputs)
    expect.sequence(after, len(inputs))
    for seen, was in zip(after, inputs.values(), strict=True):
        expect.close(seen, was, _IN_PLACE, what="An input")


def _descent(student: Student, call: str, state: str, optimizer: Any, cases: Cases, **settings: Any) -> None:
    """Follow a function that makes single steps over 60 of them, beside an optimizer of PyTorch's.

    The minimum moves, so that no gradient dies away: Adam would divide by the root of nothing.
    """
    curvature, start = cases.randn(6).exp(), cases.randn(6)
    path = student.run(
        f"import math\nimport torch\nw, path = start.clone(), []\n{state}\nfor i in range(1, 61):\n"
        "    grad = curvature * (w - math.sin(i))\n"
        f"    {call}\n    path.append(torch.as_tensor(w).clone())",
        "path",
        start=start,
        curvature=curvature,
        **settings,
    )
    p = start.clone().requires_grad_()
    theirs, wanted = optimizer([p]), []
    for i in range(1, 61):
        p.grad = curvature * (p.detach() - math.sin(i))
        theirs.step()
        wanted.append(p.detach().clone())
    hint = "Single steps are not enough: over 60 steps, with what each hands to the next, you leave PyTorch's path."
    _compare_all(path, wanted, hint, "The weights")


# --- 1. sgd_step_with_decay ------------------------------------------------------------------------------------------


@check
def sgd_step_with_decay(student: Student, cases: Cases) -> None:
    """Compare steps with the formula, and a whole descent with torch.optim.SGD."""
    lr, beta, decay = cases.uniform(0.05, 0.2), cases.uniform(0.6, 0.8), cases.uniform(0.3, 0.6)
    w, v, grad = _mixed(cases, 5), cases.randn(5), cases.randn(5)
    new = beta * v - lr * grad - lr * decay * w

    def step(w: Any, v: Any, grad: Any, decay: float = decay) -> list:
        result = student.call("sgd_step_with_decay", w, v, grad, lr, beta, decay)
        expect.sequence(result, 2)
        return result

    with cases("the step", weight=2):
        plain = beta * v - lr * grad
        expect.close(
            step(w, v, grad)[1],
            new,
            "The new step is beta times the old one, minus lr times the gradient, minus lr times lambda times w.",
            [
                (plain, f"{_NO_DECAY} In this formula the decay is a part of v."),
                (plain - decay * w, _NO_RATE),
                (plain + lr * decay * w, _GROWS),
                (plain - lr * decay, "The decay is lambda times w, not lambda alone."),
                (
                    plain - 2 * lr * decay * w,
                    "The decay is twice too large: the gradient of lambda/2 |w|^2 is lambda w.",
                ),
                (plain - lr * decay / 2 * w, "The decay is half of what it should be: lambda w, not lambda/2 w."),
                (plain - lr * decay * (w + plain), "The decay is of the weights before the step, not after it."),
                (plain - lr * decay * grad, "The decay is of the weights, not of the gradient."),
                (plain - lr * decay * v, "The decay is of the weights, not of the step."),
                (plain - lr * decay * w.abs(), "The decay pulls towards 0 from both sides: use w with its sign."),
                (plain - lr * decay * w.sign(), "The decay is in proportion to w: that is the penalty |w| (L1)."),
                ((1 - lr * decay) * v - lr * grad, "The decay shrinks the weights, not the step before."),
                (beta * (v - lr * decay * w) - lr * grad, "Only the step before is multiplied by beta, not the decay."),
                (-lr * grad - lr * decay * w, "The step before is lost: beta * v is part of the new step."),
                (w + new, "Return (w, v) in this order: the weights first."),
                (beta * v + lr * grad + lr * decay * w, "The step goes downhill: both enter with a minus sign."),
                (v - lr * grad - lr * decay * w, "The step before is multiplied by beta."),
            ],
            what="The step",
            **EXACT,
        )
    with cases("the weights"):
        expect.close(
            step(w, v, grad)[0],
            w + new,
            "The new weights are w + v, with the new v.",
            [
                (w + v, "The weights moved by the old step: add the new one."),
                ((1 - lr * decay) * w + new, "The decay counts twice: it is in v already."),
                (w - new, "v already points downhill: add it to w, do not subtract it."),
                (w, "The weights come back as they were."),
            ],
            what="The weights",
            **EXACT,
        )
    with cases("no gradient"):
        still, _ = step(w, torch.zeros_like(v), torch.zeros_like(w))
        hint = "Without a gradient and from rest, weights still decay, by lr * lambda * w."
        expect.close(still, w - lr * decay * w, hint, what="The weights", **EXACT)
        free, _ = step(w, v, grad, 0.0)
        expect.close(free, w + beta * v - lr * grad, "With weight_decay=0 it is a plain step with momentum.", **EXACT)
    with cases("a whole descent", weight=2):
        _descent(
            student,
            "w, v = sgd_step_with_decay(w, v, grad, lr, beta, decay)",
            "v = torch.zeros_like(w)",
            lambda p: torch.optim.SGD(p, lr=lr / 4, momentum=beta, weight_decay=decay),
            cases,
            lr=lr / 4,
            beta=beta,
            decay=decay,
        )
    with cases("inputs keep their values"):
        _keeps_inputs(student, "sgd_step_with_decay(w, v, grad, 0.1, 0.9, 0.2)", {"w": w, "v": v, "grad": grad})
    with cases("shapes and dtypes"):
        for dtype, shape in ((torch.float32, (2, 1, 3)), (torch.float32, ()), (torch.float64, (1,))):
            w, v, grad = (cases.randn(*shape, dtype=dtype) for _ in range(3))
            new = beta * v - lr * grad - lr * decay * w
            for seen, wanted in zip(step(w, v, grad), (w + new, new), strict=True):
                expect.dtype(seen, dtype)
                expect.close(
                    seen, wanted, f"The same formulas hold for a tensor of shape {shape} in {dtype}.", atol=1e-5
                )


# --- 2. adam_l2_step, 3. adamw_step ----------------------------------------------------------------------------------


class _Setting:
    """Numbers for a step of either kind, and what it should give."""

    def __init__(self, cases: Cases, *, decoupled: bool) -> None:
        self.lr, self.eps, self.decay = cases.uniform(0.05, 0.2), cases.uniform(0.1, 0.3), cases.uniform(0.6, 1.2)
        self.betas = (cases.uniform(0.3, 0.5), cases.uniform(0.7, 0.8))
        self.w, (self.grad, self.m, self.s) = _mixed(cases, 5), (cases.randn(5) for _ in range(3))
        self.s, self.i, self.decoupled = self.s.square() + 0.1, cases.integer(3, 5), decoupled

    def averages(self, of_m: torch.Tensor, of_s: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the new m and s when these gradients enter them."""
        b1, b2 = self.betas
        return b1 * self.m + (1 - b1) * of_m, b2 * self.s + (1 - b2) * of_s**2

    def move(self, m: torch.Tensor, s: torch.Tensor, *, inside: bool = False, corrected: bool = True) -> torch.Tensor:
        """Return what these averages subtract from the weights, decay not counted."""
        if corrected:
            m, s = m / (1 - self.betas[0] ** self.i), s / (1 - self.betas[1] ** self.i)
        return self.lr * m / ((s + self.eps).sqrt() if inside else s.sqrt() + self.eps)

    def call(self, student: Student) -> list:
        """Return what the student's function gives."""
        name = "adamw_step" if self.decoupled else "adam_l2_step"
        numbers = (self.i, self.lr, self.betas, self.eps, self.decay)
        result = student.call(name, self.w, self.grad, self.m, self.s, *numbers)
        expect.sequence(result, 3)
        return result


def _averages(student: Student, cases: Cases, setting: _Setting) -> None:
    """Compare m and s; whether the decay belongs into them is what the two exercises differ in."""
    g, whole = setting.grad, setting.grad + setting.decay * setting.w
    seen, other = (g, whole) if setting.decoupled else (whole, g)
    out = "The decay is in the gradient: here the averages are of the gradient alone."
    pull = setting.decay * setting.w
    penalties = [
        (other, "The penalty is missing: add lambda times w to the gradient before it enters the averages."),
        (g - pull, "The penalty has the wrong sign: add lambda times w."),
        (g + setting.lr * pull, "The penalty is lambda times w, without the learning rate."),
        (g + 2 * pull, "The gradient of lambda/2 |w|^2 is lambda w, not 2 lambda w."),
        (g + pull / 2, "The gradient of lambda/2 |w|^2 is lambda w, not lambda/2 w."),
        (g + setting.decay, "The penalty's gradient is lambda times w, not lambda alone."),
    ]
    m, s = setting.averages(seen, seen)
    b1, b2 = setting.betas
    with cases("the average of gradients"):
        expect.close(
            setting.call(student)[1],
            m,
            "The new m is beta1 times the old one, plus (1 - beta1) times the gradient of the text.",
            [
                *(
                    (setting.averages(spoilt, seen)[0], out if setting.decoupled else hint)
                    for spoilt, hint in penalties
                ),
                (
                    m / (1 - b1**setting.i),
                    "m is returned without the correction: the next step goes on with the plain average.",
                ),
                ((1 - b1) * setting.m + b1 * seen, "beta1 is the part of m that stays: you have it reversed."),
                (
                    b1 * setting.m + (1 - b1) * g + pull,
                    out
                    if setting.decoupled
                    else "The penalty is a part of the gradient: it enters m with the factor 1 - beta1.",
                ),
                (setting.m, "m comes back as it was: return the new average."),
                (s, "Return (w, m, s) in this order: yours has s in the place of m."),
            ],
            what="m",
            **EXACT,
        )
    with cases("the average of squares"):
        expect.close(
            setting.call(student)[2],
            s,
            "The new s is beta2 times the old one, plus (1 - beta2) times the square of the text's gradient.",
            [
                (
                    setting.averages(seen, other)[1],
                    "The decay is in s: here the averages are of the gradient alone."
                    if setting.decoupled
                    else "The penalty is missing in s: both averages see the same gradient.",
                ),
                (
                    b2 * setting.s + (1 - b2) * (g**2 + pull**2),
                    "Add the penalty to the gradient first, then square the sum.",
                ),
                (
                    s / (1 - b2**setting.i),
                    "s is returned without the correction: the next step goes on with the plain average.",
                ),
                ((1 - b2) * setting.s + b2 * seen**2, "beta2 is the part of s that stays: you have it reversed."),
                (setting.s, "s comes back as it was: return the new average."),
            ],
            what="s",
            **EXACT,
        )


def _rest(student: Student, cases: Cases, setting: _Setting, optimizer: Any) -> None:
    """Compare whole descents, and what is the same for both kinds of step."""
    name = "adamw_step" if setting.decoupled else "adam_l2_step"
    with cases("a whole descent", weight=2):
        _descent(
            student,
            f"w, m, s = {name}(w, grad, m, s, i, lr, betas, 1e-6, decay)",
            "m, s = torch.zeros_like(w), torch.zeros_like(w)",
            lambda p: optimizer(p, lr=setting.lr, betas=setting.betas, eps=1e-6, weight_decay=setting.decay),
            cases,
            lr=setting.lr,
            betas=setting.betas,
            decay=setting.decay,
        )
    with cases("inputs keep their values"):
        inputs = {"w": setting.w, "grad": setting.grad, "m": setting.m, "s": setting.s}
        _keeps_inputs(student, f"{name}(w, grad, m, s, 2, 0.1, (0.9, 0.999), 1e-8, 0.3)", inputs)
    with cases("shapes and dtypes"):
        for dtype, shape in ((torch.float32, (2, 1, 3)), (torch.float32, ()), (torch.float64, (1,))):
            other = _Setting(cases, decoupled=setting.decoupled)
            other.w, other.grad, other.m = (cases.randn(*shape, dtype=dtype) for _ in range(3))
            other.s = cases.randn(*shape, dtype=dtype).square()
            g = other.grad if other.decoupled else other.grad + other.decay * other.w
            m, s = other.averages(g, g)
            shrunk = other.w * (1 - other.lr * other.decay) if other.decoupled else other.w
            for seen, wanted in zip(other.call(student), (shrunk - other.move(m, s), m, s), strict=True):
                expect.dtype(seen, dtype)
                expect.close(
                    seen, wanted, f"The same formulas hold for a tensor of shape {shape} in {dtype}.", atol=1e-5
                )


@check
def adam_l2_step(student: Student, cases: Cases) -> None:
    """Compare steps with the formulas, and a whole descent with torch.optim.Adam and its weight_decay."""
    setting = _Setting(cases, decoupled=False)
    _averages(student, cases, setting)
    w, g = setting.w, setting.grad + setting.decay * setting.w
    m, s = setting.averages(g, g)
    plain = setting.averages(setting.grad, setting.grad)
    with cases("the step", weight=2):
        expect.close(
            setting.call(student)[0],
            w - setting.move(m, s),
            "The step is lr times m-hat, divided by the root of s-hat plus epsilon.",
            [
                (w - setting.move(*plain), _NO_DECAY),
                (
                    w - setting.move(*plain) - setting.lr * setting.decay * w,
                    "That is a decoupled decay (exercise 3): here it is in the gradient.",
                ),
                (
                    w - setting.move(m, s) - setting.lr * setting.decay * w,
                    "The decay counts twice: it is in the gradient already.",
                ),
                (w - setting.move(m, s, inside=True), _INSIDE),
                (
                    w - setting.move(m, s, corrected=False),
                    "The averages are not corrected: divide them by 1 - beta^step.",
                ),
                (w + setting.move(m, s), _UPHILL),
                (w - setting.move(m, s) / setting.lr, "The learning rate is missing in the step."),
                (w, "The weights come back as they were."),
            ],
            what="The weights",
            **EXACT,
        )
    _rest(student, cases, setting, torch.optim.Adam)


@check
def adamw_step(student: Student, cases: Cases) -> None:
    """Compare steps with the formulas, and a whole descent with torch.optim.AdamW."""
    setting = _Setting(cases, decoupled=True)
    _averages(student, cases, setting)
    w, lr, decay = setting.w, setting.lr, setting.decay
    m, s = setting.averages(setting.grad, setting.grad)
    move = setting.move(m, s)
    root = move / (lr * m / (1 - setting.betas[0] ** setting.i))  # 1 / (sqrt(s_hat) + eps)
    with cases("the step", weight=2):
        expect.close(
            setting.call(student)[0],
            w - move - lr * decay * w,
            "The new weights are w minus Adam's step minus lr times lambda times w.",
            [
                (w - move, _NO_DECAY),
                (w - move - decay * w, _NO_RATE),
                (w - move + lr * decay * w, _GROWS),
                (
                    (w - move) * (1 - lr * decay),
                    "The decay is of the weights before the step: yours shrinks the step too.",
                ),
                (w - move - lr**2 * decay * w, "The learning rate multiplies the decay once, not twice."),
                (w - move - lr * decay * w * root, "The decay is outside of the division: not over the root of s-hat."),
                (w - move - lr * decay, "The decay is lambda times w, not lambda alone."),
                (w - move - 2 * lr * decay * w, "The decay is twice too large."),
                (w - move - lr * decay / 2 * w, "The decay is half of what it should be: lambda w, not lambda/2 w."),
                (w - move - lr * decay * w.sign(), "The decay is in proportion to w."),
                (w - setting.move(m, s, inside=True) - lr * decay * w, _INSIDE),
                (
                    w - setting.move(m, s, corrected=False) - lr * decay * w,
                    "The averages are not corrected: divide them by 1 - beta^step.",
                ),
                (w + move - lr * decay * w, _UPHILL),
                (w, "The weights come back as they were."),
            ],
            what="The weights",
            **EXACT,
        )
    with cases("small gradients"):
        grad, zero = 1e-6 * setting.grad, torch.zeros_like(w)
        result = student.call("adamw_step", w, grad, zero, zero, 1, lr, (0.9, 0.999), 1e-8, 0.0)
        expect.sequence(result, 3)
        expect.close(
            result[0] - w,
            -lr * grad / (grad.abs() + 1e-8),
            "With gradients of 1e-6 and an epsilon of 1e-8 the step is still nearly the learning rate.",
            [(-lr * grad / (grad**2 + 1e-8).sqrt(), _INSIDE)],
            what="The step",
            rtol=1e-6,
        )
    _rest(student, cases, setting, torch.optim.AdamW)


# --- 4. AdamW --------------------------------------------------------------------------------------------------------

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
optimizer = AdamW(params, **settings)
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
own = [c.__name__ for c in AdamW.__mro__ if c.__module__.startswith("torch.optim") and c is not torch.optim.Optimizer]
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
        optimizer = AdamW(params, lr=lr)
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
        """Run a snippet beside the student's AdamW and beside PyTorch's; return what each leaves behind."""
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
    lr, eps, decay = cases.uniform(0.05, 0.1), cases.uniform(0.1, 0.3), cases.uniform(0.6, 1.2)
    b1, b2 = betas = (cases.uniform(0.3, 0.5), cases.uniform(0.7, 0.8))
    settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": decay}
    w, g1, g2 = _mixed(cases, 4), cases.randn(4), cases.randn(4)

    def moved(m: Any, s: Any, i: int = 1) -> torch.Tensor:
        return lr * (m / (1 - b1**i)) / ((s / (1 - b2**i)).sqrt() + eps)

    m1, s1 = (1 - b1) * g1, (1 - b2) * g1**2
    m2, s2 = b1 * m1 + (1 - b1) * g2, b2 * s1 + (1 - b2) * g2**2
    shrunk, whole = (1 - lr * decay) * w, g1 + decay * w
    with cases("the first step", weight=2):
        path, states, leaves = _given(student, [w], [[g1]], **settings)
        expect.close(
            path[0],
            shrunk - moved(m1, s1),
            "The first step shrinks the weights by 1 - lr * lambda, and moves them by lr against the gradient.",
            [
                (w, "The parameter did not change: change it in place; `p = ...` only gives a new tensor the name p."),
                (w - moved(m1, s1), _NO_DECAY),
                (
                    w - moved((1 - b1) * whole, (1 - b2) * whole**2),
                    "The decay is in the gradient (L2): it stays outside of both averages.",
                ),
                (
                    w - moved((1 - b1) * whole, s1),
                    "The decay is in m, or divided like m: it stays outside of the averages and of the division.",
                ),
                (w - moved(m1, s1) - decay * w, _NO_RATE),
                (w - moved(m1, s1) + lr * decay * w, _GROWS),
                (
                    (w - moved(m1, s1)) * (1 - lr * decay),
                    "The decay is of the weights before the step: yours shrinks the step too.",
                ),
                (w - moved(m1, s1) - lr**2 * decay * w, "The learning rate multiplies the decay once, not twice."),
                (w - moved(m1, s1) - lr * decay / 2 * w, "The decay is half of what it should be."),
                (w - moved(m1, s1) - 2 * lr * decay * w, "The decay counts twice."),
                (w - moved(m1, s1) - lr * decay * w.sign(), "The decay is in proportion to w."),
                (shrunk + moved(m1, s1), _UPHILL),
                (shrunk - lr * m1 / (s1.sqrt() + eps), "The averages are not corrected in the first step."),
                (shrunk - lr * g1 / (s1.sqrt() + eps), "s is not corrected in the first step."),
                (shrunk - lr * m1 / (g1.abs() + eps), "m is not corrected in the first step."),
                (shrunk - lr * g1 / (g1**2 + eps).sqrt(), _INSIDE),
                (shrunk - moved(m1, s1, 2), "In the first step the powers in the correction are 1: yours are 2."),
                (shrunk - moved(m1, s1) / lr, "The learning rate is missing in the step."),
                (shrunk, "Only the decay happens: the gradient moves the weights too."),
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
        path, states, _ = _given(student, [w], [[g1], [g2]], **settings)
        before = shrunk - moved(m1, s1)
        start = (1 - lr * decay) * before
        expect.close(
            path[1],
            start - moved(m2, s2, 2),
            "The second step is wrong: it goes on with the averages of the first, and its powers are 2.",
            [
                (start - moved(m2, s2, 1), "The powers in the correction do not grow: count the parameter's steps."),
                (start - moved((1 - b1) * g2, (1 - b2) * g2**2), "The averages begin anew at each step: keep them."),
                (
                    start - moved(m1, s1, 2),
                    "The second step uses the averages of the first: update them before you step.",
                ),
                (
                    start - moved(b1 * g1 + (1 - b1) * g2, b2 * g1**2 + (1 - b2) * g2**2, 2),
                    "The corrected averages are kept: keep the plain ones, and correct a copy.",
                ),
                (before - moved(m2, s2, 2), "The decay happens in the first step only: it is part of every step."),
                (
                    before - lr * decay * w - moved(m2, s2, 2),
                    "The decay is of the weights at the start: take those of now.",
                ),
            ],
            what="The parameter",
            **EXACT,
        )
        hint = "The state after the second step is wrong: keep the plain averages, without the correction."
        _compare_all(states[1], [m2, s2, 2.0], hint, "The state", EXACT)


@check
def AdamW(student: Student, cases: Cases) -> None:
    """Compare parameters and state with torch.optim.AdamW in float64, one promise of the text in each case."""
    lr = cases.uniform(0.02, 0.05)
    betas = (cases.uniform(0.8, 0.9), cases.uniform(0.95, 0.99))
    inputs = {"lr": lr, "betas": betas, "decay": cases.uniform(0.5, 1.0)}
    usual = "optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)\n"
    quadratic = _Quadratic(cases)

    with cases("your own arithmetic"), expect.explained("Two steps with your AdamW failed."):
        own = student.run(_BEGIN + _OWN, "own", weights=quadratic.weights, curvatures=quadratic.curvatures, lr=lr)
        hint = "Your class leaves the work to an optimizer of PyTorch's: write the step yourself."
        expect.that(type(own) is list and not own, hint)

    _first_steps(student, cases)

    with cases("200 steps", weight=3):
        hint = "Over 200 steps on four parameters of unlike shapes you leave the path of torch.optim.AdamW."
        quadratic.compare(student, usual + "train(200)", hint, **inputs)
        quadratic.compare(student, "optimizer = AdamW(params)\ntrain(20)", f"{hint} (With the default settings.)")

    with cases("a count for each parameter"), expect.explained("Skip a parameter whose gradient is None."):
        code = """
            optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)
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
            optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)
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
            optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3)
            for _ in range(12):
                train(1)
                scheduler.step()
        """
        hint = 'A scheduler changes group["lr"] and your step does not follow: read it from the group in each step.'
        quadratic.compare(student, code, hint, **inputs)
        code = """
            optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)
            scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2 * lr, total_steps=20)
            for _ in range(20):
                train(1)
                scheduler.step()
        """
        hint = 'OneCycleLR changes group["betas"] and your step does not follow: read them from the group in each step.'
        quadratic.compare(student, code, hint, **inputs)

    with cases("the decay and the learning rate"):
        code = """
            optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)
            train(3)
            optimizer.param_groups[0]["lr"] = 0.0
            train(2)
            optimizer.param_groups[0].update(lr=lr / 3, weight_decay=decay / 2)
            train(3)
        """
        hint = "lr and weight_decay may change between steps, and with lr=0 nothing decays: read both from the group."
        quadratic.compare(student, code, hint, **inputs)

    with cases("parameter groups"):
        code = """
            groups = [{"params": [params[0]], "lr": 2 * lr, "betas": (0.5, 0.6)},
                      {"params": [params[1]], "eps": 0.1, "weight_decay": 0.0}]
            optimizer = AdamW(groups, lr=lr, betas=betas, weight_decay=decay)
            train(5)
            optimizer.add_param_group({"params": params[2:], "lr": lr / 2, "weight_decay": 3 * decay})
            train(10)
        """
        hint = "Every group has its own settings: read them all from the parameter's group."
        quadratic.compare(student, code, hint, **inputs)

    with cases("maximize"):
        w, g1, g2 = (cases.randn(4) for _ in range(3))
        settings = {"lr": lr, "weight_decay": 1.0}
        path, states, _ = _given(student, [w], [[g1], [g2]], maximize=True, **settings)
        wanted, wanted_states, _ = _given(REFERENCE, [w], [[g1], [g2]], maximize=True, **settings)
        plain, _, _ = _given(REFERENCE, [w], [[g1], [g2]], **settings)
        expect.close(
            path[0],
            wanted[0],
            "With maximize=True a step goes uphill.",
            [
                (plain[0], "maximize=True changes nothing in your step: it should go uphill."),
                (2 * w - plain[0], "maximize=True turns the decay round too: it should still shrink the weights."),
            ],
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
            optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay, maximize=uphill)
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
            optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)
            train(6)
            file = io.BytesIO()
            torch.save(optimizer.state_dict(), file)
            file.seek(0)
            params = [p.detach().clone().requires_grad_() for p in params]
            optimizer = AdamW(params, lr=1.0, betas=(0.1, 0.2), weight_decay=0.1)
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
            optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)
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
        bad = [
            {"lr": -0.1},
            {"eps": -1e-8},
            {"weight_decay": -0.01},
            {"betas": (1.0, 0.999)},
            {"betas": (0.9, 1.0)},
            {"betas": (-0.1, 0.9)},
        ]
        good = [{"lr": 0.0}, {"betas": (0.0, 0.0)}, {"eps": 0.0}, {"weight_decay": 0.0, "maximize": True}]
        outcomes = _errors(student, "AdamW([torch.zeros(2, requires_grad=True)], **given)", bad + good)
        for given, outcome in zip(bad, outcomes[: len(bad)], strict=True):
            hint = f"The settings {given} should raise a ValueError; yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)
        for given, outcome in zip(good, outcomes[len(bad) :], strict=True):
            expect.that(outcome is None, f"The settings {given} are allowed; yours raised {outcome}.")

    with cases("a network in float32"):
        code = (
            "import torch\n"
            "network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))\n"
            "optimizer = AdamW(network.parameters(), lr=0.01)\n"
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
                    one, other, "On a small network in float32 you leave the path of torch.optim.AdamW.", atol=2e-4
                )
        expect.that(graphs == [False] * 4, "Your averages carry an autograd graph: update them under torch.no_grad().")


def _checkpoints(student: Student, cases: Cases, quadratic: _Quadratic, inputs: dict[str, Any]) -> None:
    """Checkpoints that PyTorch's AdamW wrote, and ones that it must be able to read."""
    after = "optimizer.load_state_dict(saved)\ntrain(6)"
    half = {"weights": quadratic.weights, "curvatures": quadratic.curvatures, **inputs}
    begin = (
        "optimizer = AdamW(params, lr=lr, betas=betas, weight_decay=decay)\ntrain(6)\nsaved = optimizer.state_dict()"
    )
    with (
        cases("a checkpoint of torch.optim.AdamW"),
        expect.explained(
            "A checkpoint that torch.optim.AdamW wrote does not go on: use PyTorch's names for the state."
        ),
    ):
        saved = REFERENCE.run(_BEGIN + begin, "saved", **half)
        for value in saved["state"].values():
            expect.that(value["step"].dtype == torch.float32, "PyTorch's checkpoints have changed.")
        code = f"optimizer = AdamW(params, lr=1.0, betas=(0.1, 0.2))\n{after}"
        hint = (
            "A checkpoint that torch.optim.AdamW wrote does not go on as it should: its groups have all settings, "
            "its step is a float32 tensor (make a number of it), and the names are PyTorch's."
        )
        quadratic.compare(student, code, hint, saved=saved)
    with cases("a checkpoint for torch.optim.AdamW"):
        saved = student.run(_BEGIN + begin, "saved", **half)
        expect.kind(saved, dict, "state_dict()")
        optimizer = REFERENCE.run(_BEGIN + begin, "saved", **half)
        hint = (
            "torch.optim.AdamW cannot go on from your checkpoint: its state needs PyTorch's names, its groups lr, "
            "betas, eps, weight_decay and maximize."
        )
        code = _BEGIN + f"optimizer = AdamW(params, lr=1.0)\n{after}"
        wanted = REFERENCE.run(code, "path", saved=optimizer, **half)
        try:
            path = REFERENCE.run(code, "path", saved=saved, **half)
        except Exception as error:  # whatever PyTorch makes of what a student saved
            raise expect.Unmet(f"{hint} It says: {type(error).__name__}.") from None
        _compare_all(path, wanted, hint, "The parameter")


# --- 5. decay_parameter_groups ---------------------------------------------------------------------------------------

# Models are made in the snippet, for a module cannot be handed over. `order` gives every parameter its place in
# model.parameters(); a parameter that is not there would be -1.
_GROUPS = """
import torch
from torch import nn
{model}
before = {name: p.detach().clone() for name, p in model.named_parameters()}
flags = [p.requires_grad for p in model.parameters()]
modes = [module.training for module in model.modules()]
groups = decay_parameter_groups(model, decay)
form = [type(groups).__name__, len(groups), [type(group).__name__ for group in groups]]
places = {id(p): k for k, p in enumerate(model.parameters())}
lists = [type(group["params"]) in (list, tuple) for group in groups]
seen = [[places.get(id(p), -1) for p in group["params"]] if given else [] for given, group in zip(lists, groups)]
keys = [sorted(map(str, group)) for group in groups]
decays = [group["weight_decay"] for group in groups]
names = [name for name, _ in model.named_parameters()]
same = list(before) == names and all(torch.equal(p.detach(), before[name]) for name, p in model.named_parameters())
same = same and flags == [p.requires_grad for p in model.parameters()]
same = same and modes == [module.training for module in model.modules()]
ran = None
if all(lists):
    try:
        torch.optim.SGD([dict(group) for group in groups], lr=0.1)
        ran = True
    except Exception as error:
        ran = type(error).__name__
"""

# name: (weight, code that makes `model`, the names of the parameters that do not decay, hints by parameter)
_MODELS: dict[str, tuple[int, str, set[str], str]] = {
    "a normalization that has a number for a name": (
        2,
        """
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False),
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)),
            nn.Flatten(),
            nn.Linear(4, 2),
        )
        """,
        {"1.0.bias", "1.1.weight", "1.1.bias", "3.bias"},
        "Neither a bias decays nor what a normalization owns: ask for a module's class (isinstance), not for its name.",
    ),
    "all the normalizations": (
        2,
        """
        model = nn.Module()
        model.batch = nn.ModuleList([nn.BatchNorm1d(3), nn.BatchNorm3d(3), nn.SyncBatchNorm(3)])
        model.rest = nn.ModuleDict({"a": nn.LayerNorm(4), "b": nn.GroupNorm(1, 4), "c": nn.RMSNorm(4),
                                    "d": nn.InstanceNorm2d(4, affine=True), "e": nn.InstanceNorm1d(4)})
        model.normal = nn.Linear(2, 2)
        """,
        {
            *(f"batch.{k}.{name}" for k in range(3) for name in ("weight", "bias")),
            *(f"rest.{k}.{name}" for k in ("a", "b", "d") for name in ("weight", "bias")),
            "rest.c.weight",
            "normal.bias",
        },
        "Every class in NORMALIZATIONS counts, and only those: batch, layer, group, instance and RMS normalization.",
    ),
    "a subclass of a normalization": (
        1,
        """
        class Scaled(nn.LayerNorm):
            def __init__(self, size):
                super().__init__(size)
                self.gain = nn.Parameter(torch.ones(size, size))
        model = nn.Sequential(nn.Linear(3, 3), Scaled(3))
        """,
        {"0.bias", "1.weight", "1.bias", "1.gain"},
        "A subclass of a normalization is one, and all that it owns stays without decay: use isinstance, not type().",
    ),
    "vectors that are neither": (
        2,
        """
        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.ones(5))
                self.temperature = nn.Parameter(torch.tensor(1.0))
                self.norm_weight = nn.Parameter(torch.ones(5))
                self.debiased = nn.Linear(5, 5)
                self.alpha = nn.PReLU(5)
        model = Model()
        """,
        {"debiased.bias"},
        "The rule does not ask for the shape, nor for names other than bias in a parameter's own name: a vector "
        "`scale` decays, and so does the weight of a layer called `debiased`.",
    ),
    "other layers": (
        1,
        """
        model = nn.ModuleDict({
            "words": nn.Embedding(7, 4),
            "reads": nn.LSTM(4, 3, num_layers=2, bidirectional=True),
            "looks": nn.MultiheadAttention(4, 2),
            "grows": nn.ConvTranspose2d(3, 2, 3),
            "pairs": nn.Bilinear(2, 3, 4),
        })
        """,
        {
            *(f"reads.bias_{which}h_l{k}{back}" for which in "ih" for k in (0, 1) for back in ("", "_reverse")),
            "looks.in_proj_bias",
            "looks.out_proj.bias",
            "grows.bias",
            "pairs.bias",
        },
        "A bias is a parameter whose own name contains `bias`: an LSTM has bias_ih_l0, attention in_proj_bias; "
        "embeddings and all other weights decay.",
    ),
    "shared parameters": (
        2,
        """
        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.words = nn.Embedding(6, 3)
                self.out = nn.Linear(3, 6)
                self.out.weight = self.words.weight
                self.again = self.out
                self.wide = nn.Linear(3, 1, bias=False)
                self.norm = nn.LayerNorm((1, 3), bias=False)
                self.norm.weight = self.wide.weight
        model = Model()
        """,
        {"out.bias", "wide.weight"},
        "A shared parameter is listed once, and does not decay when one of its owners says so: ask every owner "
        "(named_parameters leaves out what it has met before, unless remove_duplicate=False).",
    ),
    "frozen parameters": (
        1,
        """
        model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
        for p in model[0].parameters():
            p.requires_grad_(False)
        model[1].weight.requires_grad_(False)
        model.eval()
        """,
        {"0.bias", "1.weight", "1.bias", "2.bias"},
        "Frozen parameters are sorted too: they may be thawed later.",
    ),
    "a model that owns its parameters itself": (
        1,
        """
        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(3, 2))
                self.bias = nn.Parameter(torch.ones(3))
                self.inner = nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(2, 2))))
        model = Model()
        """,
        {"bias", "inner.0.0.0.bias"},
        "Parameters may be owned by the model itself, or by modules deep inside of it: model.modules() gives all.",
    ),
    "a normalization alone": (
        1,
        "model = nn.BatchNorm2d(3)",
        {"weight", "bias"},
        "The model itself may be a normalization; the first group is then empty, and still there.",
    ),
    "nothing to leave out": (
        1,
        "model = nn.Linear(3, 2, bias=False)",
        set(),
        "There are always two groups; the second may have an empty list.",
    ),
}
_DOUBLE = "A parameter appears more than once in your groups: list each once, also one that modules share."
_LOST = "A parameter of the model is in neither of your groups: every one belongs into one of them."


def _groups(student: Student, model: str, decay: float) -> dict[str, Any]:
    """Run the student's function on a model that the snippet makes; return what came back."""
    returns = ["form", "lists", "seen", "keys", "decays", "names", "same", "ran"]
    code = _GROUPS.replace("{model}", dedent(model).strip())
    values = student.run(code, returns, decay=decay)
    return dict(zip(returns, values, strict=True))


@check
def decay_parameter_groups(student: Student, cases: Cases) -> None:
    """Compare the groups of models whose parameters without decay are known by name."""
    decay = cases.uniform(0.01, 0.2)
    form = "Return a list of two dicts with the keys params and weight_decay, and lists of parameters."
    for what, (weight, model, left_out, hint) in _MODELS.items():
        with cases(what, weight=weight), expect.explained(form):
            found = _groups(student, model, decay)
            expect.that(found["form"] == ["list", 2, ["dict", "dict"]], form)
            expect.that(found["keys"] == [["params", "weight_decay"]] * 2, form)
            expect.that(
                found["lists"] == [True, True],
                "The parameters should be lists: a generator is empty after it was read once.",
            )
            expect.sequence(found["decays"], 2)
            first, second = found["decays"]
            expect.close(
                first,
                decay,
                "The first group has the weight_decay that was given.",
                [(0.0, "The groups are the other way round: first the one that decays, then the one with 0.")],
                what="weight_decay",
            )
            expect.close(second, 0.0, "The second group has a weight_decay of 0.", what="weight_decay")
            names, seen = found["names"], found["seen"]
            expect.kind(names, list)
            expect.sequence(seen, 2)
            places = [*seen[0], *seen[1]]
            expect.that(-1 not in places, "Your groups hold a tensor that is no parameter of the model: copy nothing.")
            expect.that(len(set(places)) == len(places), _DOUBLE)
            wanted = [k for k, name in enumerate(names) if name not in left_out]
            others = [k for k, name in enumerate(names) if name in left_out]
            too_many = [names[k] for k in seen[0] if k in others]
            too_few = [names[k] for k in seen[1] if k in wanted]
            expect.that(not too_many, f"{', '.join(too_many)} should not decay. {hint}")
            expect.that(not too_few, f"{', '.join(too_few)} should decay. {hint}")
            missing = [names[k] for k in range(len(names)) if k not in places]
            expect.that(not missing, f"{_LOST} Missing: {', '.join(missing)}. {hint}")
            expect.that(seen == [wanted, others], "Within a group the order is that of model.parameters().")
            expect.that(found["same"] is True, "Your function changes the model: it should only sort its parameters.")
            expect.that(found["ran"] is True, "torch.optim.SGD does not take your groups.")
    with cases("decay of 0 and below"):
        outcomes = _errors(
            student, "import torch; decay_parameter_groups(torch.nn.Linear(2, 2), given)", [-0.1, -1e-9, 0.0, 2.0]
        )
        expect.that(outcomes[:2] == ["ValueError"] * 2, "A negative weight_decay should raise a ValueError.")
        expect.that(outcomes[2:] == [None, None], "A weight_decay of 0 or above 1 is allowed.")


# --- 6. effective_learning_rate --------------------------------------------------------------------------------------


def _direction_loss(w: torch.Tensor, towards: torch.Tensor, bend: torch.Tensor) -> torch.Tensor:
    """A loss of the direction of w only: what a network with a normalization behind w computes."""
    unit = (w / w.norm()).flatten()
    return (unit - towards).square().sum() + (bend @ unit).sin().sum()


def _direction_of_a_step(w: torch.Tensor, lr: float, decay: float, towards: torch.Tensor, bend: torch.Tensor) -> Any:
    """Return the direction of w after a step of torch.optim.SGD."""
    p = w.double().clone().requires_grad_()
    optimizer = torch.optim.SGD([p], lr=lr, weight_decay=decay)
    _direction_loss(p, towards, bend).backward()
    optimizer.step()
    return p.detach() / p.detach().norm()


@check
def effective_learning_rate(student: Student, cases: Cases) -> None:
    """Compare the rate with the formula, and steps at this rate from the unit sphere with real ones."""
    lr, decay = cases.uniform(0.2, 0.4), cases.uniform(0.5, 1.0)

    def rate(w: torch.Tensor, lr: float = lr, decay: float = decay) -> Any:
        result = student.call("effective_learning_rate", w, lr, decay)
        expect.number(result)
        return result

    w = cases.randn(3, 4)
    squared = w.square().sum()
    shrink = 1 - lr * decay
    with cases("the formula", weight=2):
        expect.close(
            rate(w),
            lr / (shrink * squared),
            "The rate is lr, divided by 1 - lr * lambda and by the squared length of w.",
            [
                (lr / squared, "The decay is missing: it shrinks w, so the same step turns it further."),
                (
                    lr / (shrink * squared.sqrt()),
                    "Divide by the squared length: once for the gradient, once for the step.",
                ),
                (lr / squared.sqrt(), "Divide by the squared length, and by 1 - lr * lambda."),
                (lr * shrink / squared, "Divide by 1 - lr * lambda: the shorter w, the more a step turns it."),
                (lr * squared / shrink, "Divide by the squared length: long weights turn slowly."),
                (lr / ((1 - decay) * squared), "w shrinks by 1 - lr * lambda, not by 1 - lambda."),
                (lr / ((1 + lr * decay) * squared), "The decay makes w shorter: 1 - lr * lambda."),
                (lr / (shrink**2 * squared), "1 - lr * lambda counts once: the gradient is taken before the decay."),
                (lr / (shrink * w.square().mean()), "The squared length is the sum of the squares, not their mean."),
                (
                    lr / (shrink * w.sum() ** 2),
                    "The squared length is the sum of the squares, not the square of the sum.",
                ),
                (
                    lr / (shrink * w.abs().sum() ** 2),
                    "The length is the root of the sum of squares, not of absolute values.",
                ),
                (
                    lr / (shrink * torch.linalg.matrix_norm(w, 2) ** 2),
                    "The length is that of all numbers (Frobenius), not the largest singular value.",
                ),
                (1 / (shrink * squared), "The learning rate is missing."),
            ],
            what="The rate",
            **EXACT,
        )
    with cases("a step of torch.optim.SGD", weight=2):
        towards, bend = cases.randn(12), cases.randn(5, 12)
        for scale in (0.3, 1.0, 4.0):
            start = scale * w
            unit = (start / start.norm()).requires_grad_()
            _direction_loss(unit, towards, bend).backward()
            turned = unit.detach() - rate(start) * unit.grad
            expect.close(
                turned / turned.norm(),
                _direction_of_a_step(start, lr, decay, towards, bend),
                f"From weights of length {start.norm():.2f}, a plain step with your rate from w / |w| goes "
                "elsewhere than a step with decay from w.",
                what="The direction",
                **EXACT,
            )
    with cases("without decay"):
        expect.close(
            rate(w, decay=0.0), lr / squared, "Without decay the rate is lr / |w|^2.", what="The rate", **EXACT
        )
        expect.close(rate(w, lr=0.0), 0.0, "With a learning rate of 0 nothing turns: the rate is 0.", what="The rate")
    with cases("shapes"):
        for shape in ((), (1,), (7,), (2, 3, 2, 2)):
            w = cases.randn(*shape)
            wanted = lr / (shrink * w.square().sum())
            hint = f"w may have any shape; its length is that of all its numbers together. Here it has {shape}."
            expect.close(rate(w), wanted, hint, what="The rate", **EXACT)
    with cases("dtypes"):
        for dtype, scale in (
            (torch.float32, 1.0),
            (torch.float16, 30.0),
            (torch.bfloat16, 1.0),
            (torch.float32, 1e-25),
        ):
            w = (scale * cases.randn(40)).to(dtype)
            wanted = lr / (shrink * w.double().square().sum())
            hint = "Compute in float64 (w.double()): the squares of small or large numbers leave float16 and float32."
            expect.close(rate(w), wanted, hint, what="The rate", rtol=1e-11, atol=0.0)
    with cases("a number, and no graph"):
        w = cases.randn(3)
        code = (
            "import torch\nw = start.clone().requires_grad_()\nresult = effective_learning_rate(w, 0.1, 0.1)\n"
            "kind = type(result).__name__\nsame = bool(torch.equal(w.detach(), start)) and w.grad is None"
        )
        kind, same = student.run(code, ["kind", "same"], start=w)
        expect.that(kind == "float", f"Return a Python number (float); yours is of type {kind}. `.item()` makes one.")
        expect.that(same is True, "Your function changes w: it should only measure it.")
    with cases("no such rate"):
        bad = [
            ([0.0, 0.0], 0.1, 0.1, "weights that are all zeros"),
            ([1.0, 2.0], -0.1, 0.1, "a negative lr"),
            ([1.0, 2.0], 0.1, -0.1, "a negative weight_decay"),
            ([1.0, 2.0], 0.5, 2.0, "lr * weight_decay = 1"),
            ([1.0, 2.0], 1.0, 3.0, "lr * weight_decay = 3"),
            ([1.0, 2.0], -1.0, -0.5, "a negative lr and weight_decay"),
        ]
        call = "effective_learning_rate(torch.tensor(given[0]), given[1], given[2])"
        outcomes = _errors(student, f"import torch; {call}", [list(one[:3]) for one in bad] + [[[1.0], 0.9, 1.1]])
        for (*_, what), outcome in zip(bad, outcomes, strict=False):
            hint = f"There is no such rate for {what}: raise a ValueError. Yours raised {outcome or 'nothing'}."
            expect.that(outcome == "ValueError", hint)
        expect.that(outcomes[-1] is None, "With lr = 0.9 and weight_decay = 1.1 there is a rate: raise nothing.")
