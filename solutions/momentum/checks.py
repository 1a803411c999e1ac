"""The hidden checks of the assignment `momentum`.

Optimizers are compared with PyTorch's: the same snippet runs beside the student's `SGD` and beside
`torch.optim.SGD`, in float64, from the same inputs. Each comparison knows the usual mistakes, so that a student who
made one of them reads about that one.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import ReferenceStudent, Student

#: Float64 arithmetic in another order differs by less than this; every mistake differs by more.
EXACT = {"rtol": 1e-12, "atol": 1e-12}
#: An answer computed in float32 is right too where a number is asked for.
NUMBER = {"rtol": 1e-5, "atol": 1e-6}

REFERENCE = ReferenceStudent({"SGD": torch.optim.SGD})


def _compare_all(actual: Any, expected: Sequence[Any], hint: str, what: str) -> None:
    """Expect each of a list of tensors, to the last bits of float64."""
    expect.sequence(actual, len(expected), what)
    for one, wanted in zip(actual, expected, strict=True):
        expect.close(one, wanted, hint, what=what, **EXACT)


def _keeps_inputs(student: Student, cases: Cases, call: str) -> None:
    """Expect w, v and grad to be after the call what they were before."""
    before = [cases.randn(3) for _ in range(3)]
    w, v, grad = before
    after = student.run(f"{call}\nafter = [w, v, grad]", returns="after", w=w, v=v, grad=grad)
    expect.sequence(after, 3)
    hint = "Your function changes a tensor that it was given: make new ones, without `+=` or `mul_` on the inputs."
    for seen, was in zip(after, before, strict=True):
        expect.close(seen, was, hint, what="An input")


# --- 1. momentum_step ------------------------------------------------------------------------------------------------


_DESCENT = """
import torch
w, v, path, steps = start.clone(), 0 * start, [], []
for _ in range(40):
    w, v = momentum_step(w, v, curvature * w, lr, beta)
    path.append(torch.as_tensor(w).clone())
    steps.append(torch.as_tensor(v).clone())
"""


@check
def momentum_step(student: Student, cases: Cases) -> None:
    """Compare single steps with the definition, and a whole descent with torch.optim.SGD."""
    lr, beta = cases.uniform(0.02, 0.08), cases.uniform(0.6, 0.9)
    with cases("from rest"):
        w, grad = cases.randn(4), cases.randn(4)
        result = student.call("momentum_step", w, torch.zeros_like(w), grad, lr, beta)
        expect.sequence(result, 2)
        new_w, new_v = result
        expected = -lr * grad
        expect.close(
            new_v,
            expected,
            "When the step before is zero, the new step is -lr * grad.",
            [
                (w + expected, "Return (w, v) in this order: the weights first."),
                (lr * grad, "The step goes downhill: the gradient enters with a minus sign."),
                ((1 - beta) * expected, "Gradients are added up, not averaged: nothing multiplies lr * grad."),
                ((1 - beta) * -grad, "Gradients are added up, not averaged, and the learning rate is missing."),
                (beta * expected, "Only the step before is multiplied by beta, not the new gradient."),
                (-grad, "The learning rate is missing: it multiplies the gradient inside v."),
                (grad, "This v has neither the learning rate nor the minus sign: here, both are inside v."),
            ],
            what="The step",
        )
        expect.close(
            new_w,
            w + expected,
            "The new weights are w + v, with the new v.",
            [
                (w, "The weights moved by the old step: compute the new v first, then add that one to w."),
                (w - expected, "v already points downhill: add it to w, do not subtract it."),
                (w + lr * expected, "The learning rate is already inside v: do not multiply v by it again."),
            ],
            what="The weights",
        )
    with cases("an earlier step"):
        w, v, grad = cases.randn(2, 3), cases.randn(2, 3), cases.randn(2, 3)
        result = student.call("momentum_step", w, v, grad, lr, beta)
        expect.sequence(result, 2)
        new_w, new_v = result
        expected = beta * v - lr * grad
        expect.close(
            new_v,
            expected,
            "The step before enters as beta * v, and the gradient as -lr * grad.",
            [
                (v - lr * grad, "The step before is multiplied by beta; here it goes on at full length."),
                (-lr * grad, "The step before is lost: beta * v is part of the new step."),
                (lr * beta * v - lr * grad, "The learning rate multiplies the gradient only, not the step before."),
                ((1 - beta) * v - lr * grad, "beta is the part of the step before that stays, not the part lost."),
            ],
            what="The step",
        )
        expect.close(
            new_w,
            w + expected,
            "The new weights are w + v, with the new v.",
            [
                (w + v, "The weights moved by the old step: compute the new v first, then add that one to w."),
                (w - lr * grad, "The weights moved by the gradient alone: add the whole new step v."),
                (w + beta * expected, "Momentum enters v once: add v itself to w, not beta * v."),
            ],
            what="The weights",
        )
    with cases("a whole descent", weight=2):
        curvature, start = cases.randn(5).exp(), cases.randn(5)
        path, steps = student.run(
            _DESCENT,
            returns=["path", "steps"],
            curvature=curvature,
            start=start,
            lr=lr,
            beta=beta,
        )
        p = start.clone().requires_grad_()
        optimizer = torch.optim.SGD([p], lr=lr, momentum=beta)
        wanted_path, wanted_steps = [], []
        for _ in range(40):
            p.grad = curvature * p.detach()
            optimizer.step()
            wanted_path.append(p.detach().clone())
            wanted_steps.append(-lr * optimizer.state[p]["momentum_buffer"])
        hint = "Single steps are not enough: over 40 steps, w and v should follow the two equations."
        _compare_all(path, wanted_path, hint, "The weights")
        _compare_all(steps, wanted_steps, hint, "The step")
    with cases("inputs keep their values"):
        _keeps_inputs(student, cases, "momentum_step(w, v, grad, 0.1, 0.9)")
    with cases("shapes and dtypes"):
        for dtype, shape in ((torch.float32, (2, 1, 3)), (torch.float32, ()), (torch.float64, (1,))):
            w, v, grad = (cases.randn(*shape, dtype=dtype) for _ in range(3))
            result = student.call("momentum_step", w, v, grad, lr, beta)
            expect.sequence(result, 2)
            hint = f"The same two equations hold for a tensor of shape {shape} in {dtype}."
            for seen, wanted in zip(result, (w + beta * v - lr * grad, beta * v - lr * grad), strict=True):
                expect.dtype(seen, dtype)
                expect.close(seen, wanted, hint, atol=1e-5)


# --- 2. nesterov_step ------------------------------------------------------------------------------------------------

_NESTEROV = """
points = []
def grad_fn(point):
    points.append(torch.as_tensor(point).detach().clone())
    return torch.tanh(matrix @ point)
w, v, path, steps = w.clone(), v.clone(), [], []
for _ in range(count):
    w, v = nesterov_step(w, v, grad_fn, lr, beta)
    path.append(torch.as_tensor(w).clone())
    steps.append(torch.as_tensor(v).clone())
"""


def _nesterov(student: Student, count: int, **inputs: Any) -> tuple[list, list, list]:
    points, path, steps = student.run(
        "import torch\n" + _NESTEROV, returns=["points", "path", "steps"], count=count, **inputs
    )
    expect.kind(points, list)
    expect.that(
        len(points) == count,
        f"Call grad_fn exactly once in each step; in {count} of yours it was called {len(points)} times.",
    )
    expect.sequence(path, count)
    expect.sequence(steps, count)
    return points, path, steps


@check
def nesterov_step(student: Student, cases: Cases) -> None:
    """Compare one step with the definition, and a descent with torch.optim.SGD, which keeps the look-ahead point."""
    lr, beta = cases.uniform(0.02, 0.08), cases.uniform(0.6, 0.9)
    matrix, w, v = cases.randn(4, 4), cases.randn(4), cases.randn(4)
    inputs = {"matrix": matrix, "w": w, "v": v, "lr": lr, "beta": beta}
    with cases("one call"):
        _nesterov(student, 1, **inputs)
    with cases("the point asked"):
        points, _, _ = _nesterov(student, 1, **inputs)
        expect.close(
            points[0],
            w + beta * v,
            "Ask for the gradient at the look-ahead point w + beta * v.",
            [
                (w, "You ask for the gradient at w: that is the step of exercise 1. Look ahead first."),
                (w + v, "You look a whole old step ahead: the ball will only roll by beta times that."),
                (w - beta * v, "You look back, not ahead: v already points the way the ball moves."),
                (beta * v, "The look-ahead point starts at w: you asked at the step alone."),
            ],
            what="The point given to grad_fn",
        )
    with cases("the step", weight=2):
        points, path, steps = _nesterov(student, 1, **inputs)
        # From the student's own point on, so that a wrong point costs its case only.
        expect.shape(points[0], (4,), "The point given to grad_fn")
        expect.dtype(points[0], w.dtype, "The point given to grad_fn")
        grad = torch.tanh(matrix @ points[0])
        expected = beta * v - lr * grad
        expect.close(
            steps[0],
            expected,
            "The new step is beta * v - lr * gradient, with the gradient from grad_fn.",
            [
                (w + expected, "Return (w, v) in this order: the weights first."),
                (beta * v + lr * grad, "The step goes downhill: the gradient enters with a minus sign."),
                (v - lr * grad, "The step before is multiplied by beta in the new step too."),
                (-lr * grad, "The step before is lost: beta * v is part of the new step."),
                (beta * v - (1 - beta) * lr * grad, "Gradients are added up: nothing multiplies lr * gradient."),
                (beta * (beta * v) - lr * grad, "The look-ahead changed v itself: beta multiplies the old v once."),
            ],
            what="The step",
        )
        expect.close(
            path[0],
            w + expected,
            "The new weights are w + v, with the new v.",
            [
                (w + v, "The weights moved by the old step: compute the new v first, then add that one to w."),
                (
                    w + beta * v + expected,
                    "You added the step to the look-ahead point, so beta * v counts twice: start from w.",
                ),
                (w - lr * grad, "The weights moved by the gradient alone: add the whole new step v."),
                (w - expected, "v already points downhill: add it to w, do not subtract it."),
            ],
            what="The weights",
        )
    with cases("a whole descent", weight=2):
        curvature = cases.randn(4, 4)
        curvature = curvature @ curvature.T / 4 + torch.eye(4, dtype=torch.float64)
        rest = {**inputs, "matrix": curvature, "v": torch.zeros_like(w)}
        _, path, steps = _nesterov(student, 40, **rest)
        p = w.clone().requires_grad_()
        optimizer = torch.optim.SGD([p], lr=lr, momentum=beta, nesterov=True)
        wanted_path, wanted_steps = [], []
        for _ in range(40):
            p.grad = torch.tanh(curvature @ p.detach())
            optimizer.step()
            step = -lr * optimizer.state[p]["momentum_buffer"]
            wanted_steps.append(step)
            wanted_path.append(p.detach() - beta * step)
        hint = "Over 40 steps, w and v should follow the two equations; look at what one step hands to the next."
        _compare_all(path, wanted_path, hint, "The weights")
        _compare_all(steps, wanted_steps, hint, "The step")
    with cases("inputs keep their values"):
        _keeps_inputs(student, cases, "nesterov_step(w, v, lambda point: grad, 0.1, 0.9)")
    with cases("shapes and dtypes"):
        for dtype, shape in ((torch.float32, (2, 1, 3)), (torch.float32, ()), (torch.float64, (1,))):
            w, v = cases.randn(*shape, dtype=dtype), cases.randn(*shape, dtype=dtype)
            result = student.run(
                "result = nesterov_step(w, v, lambda point: 3 * point, 0.1, 0.8)", returns="result", w=w, v=v
            )
            expect.sequence(result, 2)
            step = 0.8 * v - 0.1 * 3 * (w + 0.8 * v)
            for seen, wanted in zip(result, (w + step, step), strict=True):
                expect.dtype(seen, dtype)
                expect.close(
                    seen, wanted, f"The same equations hold for a tensor of shape {shape} in {dtype}.", atol=1e-5
                )


# --- 3. best_heavy_ball ----------------------------------------------------------------------------------------------


def _rate(lr: float, beta: float, curvatures: np.ndarray) -> float:
    """Return the largest absolute eigenvalue of the iteration matrices, computed numerically."""
    matrices = np.zeros((len(curvatures), 2, 2))
    matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 0] = 1 + beta - lr * curvatures, -beta, 1
    return float(np.abs(np.linalg.eigvals(matrices)).max())


def _fastest(low: float, high: float) -> tuple[float, float, float]:
    """Find the best (lr, beta, rate) by numerical minimisation: no formula of the exercise is used."""
    curvatures = np.linspace(low, high, 5)

    def best_lr(beta: float) -> Any:
        limit = 2 * (1 + beta) / high  # above it the steepest direction grows
        return minimize_scalar(
            lambda lr: _rate(lr, beta, curvatures), bounds=(0, limit), method="bounded", options={"xatol": 1e-12}
        )

    outer = minimize_scalar(
        lambda beta: best_lr(beta).fun, bounds=(0, 1), method="bounded", options={"xatol": 1e-11, "maxiter": 200}
    )
    return float(best_lr(outer.x).x), float(outer.x), float(outer.fun)


def _settings(student: Student, low: float, high: float) -> Sequence[Any]:
    result = student.call("best_heavy_ball", low, high)
    expect.sequence(result, 3)
    return result


@check
def best_heavy_ball(student: Student, cases: Cases) -> None:
    """Compare with a numerical minimisation of the spectral radius of the iteration matrices."""
    with cases("a ravine", weight=2):
        low, high = 1.0, cases.uniform(20, 80)
        lr, beta, rate = _settings(student, low, high)
        best_lr, best_beta, best_rate = _fastest(low, high)
        kappa = high / low
        expect.close(
            rate,
            best_rate,
            "The rate is the largest absolute eigenvalue of the matrix at your lr and beta; it should be sqrt(beta).",
            [
                (-best_rate, "A rate is never negative: see which of the two square roots is the larger."),
                (
                    best_beta,
                    "This rate is squared once too often: the distance falls by sqrt(beta) per step, not beta.",
                ),
                (
                    (kappa - 1) / (kappa + 1),
                    "This is the rate of gradient descent: the heavy ball depends on square roots of the curvatures.",
                ),
                (best_lr, "Return (lr, beta, rate) in this order."),
                (1 - best_rate, "The rate is what is left of the distance after a step, not what is gained."),
            ],
            what="The rate",
            **NUMBER,
        )
        expect.close(
            beta,
            best_beta,
            "Your beta is not the smallest whose range holds both ends: solve the two equations again.",
            [
                (best_lr, "Return (lr, beta, rate) in this order."),
                (best_rate, "Your equations give sqrt(beta): square it to have beta."),
                (best_rate**4, "You squared beta once too often."),
                (((kappa - 1) / (kappa + 1)) ** 2, "Take square roots of the curvatures before you combine them."),
                ((kappa - 1) / (kappa + 1), "Take square roots of the curvatures before you combine them."),
                (0.0, "With beta = 0 this is gradient descent: a heavy ball does better."),
            ],
            what="beta",
            **NUMBER,
        )
        expect.close(
            lr,
            best_lr,
            "Your lr does not fit the two equations together with your beta: put both in and see.",
            [
                (
                    2 / (low + high),
                    "This is the best learning rate of gradient descent; with momentum, another is best.",
                ),
                (
                    4 / (low + high),
                    "In lr the sum of the square roots is squared, which is not the sum of the curvatures.",
                ),
                (2 / (low**0.5 + high**0.5), "Your equations give the square root of lr: square it."),
                (4 / (low**0.5 + high**0.5), "Square the whole of 2 over the sum of the roots, not the 2 alone."),
                (1 / high, "1 / lambda_max is a safe learning rate, but not the best with momentum."),
            ],
            what="lr",
            **NUMBER,
        )
    with cases("other units", weight=2):
        low = cases.uniform(0.02, 0.4)
        high = low * cases.uniform(5, 40)
        lr, beta, rate = _settings(student, low, high)
        best_lr, best_beta, best_rate = _fastest(low, high)
        hint = "Beta and the rate depend on the ratio of the curvatures only; here lambda_min is not 1."
        expect.close(rate, best_rate, hint, what="The rate", **NUMBER)
        expect.close(beta, best_beta, hint, what="beta", **NUMBER)
        expect.close(
            lr,
            best_lr,
            "Twice the curvatures need half the lr: yours does not follow when lambda_min is not 1.",
            what="lr",
            **NUMBER,
        )
    with cases("a round bowl"):
        curvature = cases.uniform(0.5, 3)
        lr, beta, rate = _settings(student, curvature, curvature)
        hint = "When both curvatures are equal, plain gradient descent arrives in one step: look at what yours gives."
        # One step from anywhere, by the definition: w - lr * curvature * w = 0.
        expect.close(lr, 1 / curvature, hint, what="lr", **NUMBER)
        expect.close(beta, 0.0, hint, what="beta", **NUMBER)
        expect.close(rate, 0.0, hint, what="The rate", **NUMBER)
    with cases("a steep ravine"):
        low, high = 1e-2, cases.uniform(50, 100)
        lr, beta, rate = _settings(student, low, high)
        hint = "With a condition number of several thousand your settings are no longer the best."
        for seen, wanted, what in zip((lr, beta, rate), _fastest(low, high), ("lr", "beta", "The rate"), strict=True):
            expect.close(seen, wanted, hint, what=what, **NUMBER)


# --- 4. momentum_schedule --------------------------------------------------------------------------------------------


def _mu(t: int, limit: float) -> float:
    """Return the schedule by its closed form in exact fractions: 1 - 1 / (2 (n + 1)) on stair n."""
    return min(float(1 - Fraction(1, 2 * (t // 250 + 1))), limit)


@check
def momentum_schedule(student: Student, cases: Cases) -> None:
    """Compare with the closed form without logarithms."""
    with cases("the first 250 updates"):
        for t in (0, 249, cases.integer(150, 248), cases.integer(1, 120)):
            expect.close(
                student.call("momentum_schedule", t, 0.999),
                _mu(t, 0.999),
                "The momentum stays the same for the first 250 updates, t = 0 to 249: round t / 250 down.",
                [
                    (0.999, "This is the larger of the two numbers: min takes the smaller."),
                    (0.0, "Look at the exponent at t = 0: it is -1 - log2(1), not 0."),
                    (0.75, "Round t / 250 down, never up, and start to count at t = 0."),
                ],
                **NUMBER,
            )
    with cases("the stairs", weight=2):
        for t in (250, 500, 1000, cases.integer(2, 40) * 250, cases.integer(2000, 9000)):
            stair = t // 250 + 1
            expect.close(
                student.call("momentum_schedule", t, 0.999),
                _mu(t, 0.999),
                "A stair after the first has the wrong height: go through the exponent, -1 - log2(floor(t / 250) + 1).",
                [
                    (1 - 2 ** (-1 - np.log(stair)), "The logarithm has base 2; yours is the natural one."),
                    (1 - 2 ** (-1 - np.log10(stair)), "The logarithm has base 2; yours has base 10."),
                    (
                        1 - 2**-1 - np.log2(stair),
                        "The logarithm belongs to the exponent: put brackets around -1 - log2(...).",
                    ),
                    (1 - 2 ** (-1 + np.log2(stair)), "The logarithm is subtracted in the exponent: momentum grows."),
                    (_mu(t - 250, 1), "The stairs come too late: t = 250 is already on the second one."),
                    (0.5, "The momentum should grow: t / 250 has to enter the logarithm."),
                ],
                **NUMBER,
            )
    with cases("the limit", weight=2):
        for t, limit in ((cases.integer(3000, 9000), 0.9), (12_250, 0.99), (750_000, 0.999), (600, 0.0)):
            expect.close(
                student.call("momentum_schedule", t, limit),
                _mu(t, limit),
                "The momentum never passes mu_max: see what your function gives for a late t, and for a small mu_max.",
                [(_mu(t, 1), "The momentum passes mu_max: take the smaller of the two numbers.")],
                **NUMBER,
            )


# --- 5. SGD ----------------------------------------------------------------------------------------------------------

_BEGIN = """
import torch
params = [w.clone().requires_grad_() for w in weights]
def buffer_of(p):
    return optimizer.state.get(p, {}).get("momentum_buffer")
def backward():
    # A quadratic with a ravine, in which every parameter feels every other.
    loss = sum((h * (p - 1) ** 2).sum() for h, p in zip(curvatures, params))
    loss = loss + 0.1 * sum(p.sum() for p in params) ** 2
    loss.backward()
    return loss.detach()
def train(steps):
    for _ in range(steps):
        optimizer.zero_grad()
        backward()
        optimizer.step()
        path.extend(p.detach().clone() for p in params)
path = []
"""
_FIXED = """
optimizer = SGD(params, **settings)
buffers = []
for gradients in rounds:
    for p, g in zip(params, gradients):
        p.grad = g.clone()
    optimizer.step()
    path.extend(p.detach().clone() for p in params)
    buffers.extend(None if buffer_of(p) is None else buffer_of(p).clone() for p in params)
leaves = all(p.is_leaf and p.requires_grad for p in params)
"""
_NO_BUFFER = 'Keep each buffer in self.state[p]["momentum_buffer"]: that is what state_dict() saves.'


class _Quadratic:
    """Three parameters of unlike shapes, and what a snippet needs to train them."""

    def __init__(self, cases: Cases) -> None:
        shapes = (3,), (2, 2), ()
        self.weights = [cases.randn(*shape) for shape in shapes]
        self.curvatures = [(cases.randn(*shape) / 2).exp() for shape in shapes]

    def both(self, student: Student, code: str, returns: Sequence[str], **inputs: Any) -> tuple[Any, Any]:
        """Run a snippet beside the student's SGD and beside PyTorch's; return what each leaves behind."""
        inputs = {"weights": self.weights, "curvatures": self.curvatures, **inputs}
        return student.run(_BEGIN + code, returns, **inputs), REFERENCE.run(_BEGIN + code, returns, **inputs)


def _fixed(student: Student, weights: list, rounds: list, **settings: Any) -> tuple[Any, Any, Any]:
    """Step with given gradients; return all weights, all buffers, and whether the parameters are still leaves."""
    values = student.run(
        _BEGIN + _FIXED,
        ["path", "buffers", "leaves"],
        weights=weights,
        curvatures=[],
        rounds=rounds,
        settings=settings,
    )
    for value in values[:2]:
        expect.sequence(value, len(weights) * len(rounds))
    return values


@check
def SGD(student: Student, cases: Cases) -> None:
    """Compare parameters and buffers with torch.optim.SGD in float64, one promise of the text in each case."""
    lr, beta = cases.uniform(0.02, 0.05), cases.uniform(0.6, 0.9)
    w, g1, g2, g3 = (cases.randn(4) for _ in range(4))

    with cases("plain gradient descent"):
        path, _, leaves = _fixed(student, [w], [[g1], [g2]], lr=lr)
        expect.close(
            path[0],
            w - lr * g1,
            "Without momentum a step is p - lr * p.grad.",
            [
                (w, "The parameter did not change: change it in place; `p = ...` only gives a new tensor the name p."),
                (w + lr * g1, "The step goes downhill: subtract lr times the gradient."),
                (w - g1, "The learning rate is missing in the step."),
            ],
            what="The parameter",
            **EXACT,
        )
        expect.close(
            path[1],
            w - lr * g1 - lr * g2,
            "The second step without momentum is wrong: only the new gradient counts.",
            [(w - lr * g1 - lr * (g1 + g2), "With momentum=0 no earlier gradient counts: do not add them up.")],
            what="The parameter",
            **EXACT,
        )
        expect.that(
            leaves is True,
            "After a step the parameters should be the same leaf tensors: change them in place under torch.no_grad().",
        )

    with cases("the buffer, step by step"):
        path, buffers, _ = _fixed(student, [w], [[g1], [g2]], lr=lr, momentum=beta)
        expect.that(buffers[0] is not None, _NO_BUFFER)
        outside = "The learning rate is outside the buffer in PyTorch: the buffer adds up gradients only."
        average = "The buffer is a sum, not an average: the new gradient enters whole, without 1 - momentum."
        expect.close(
            buffers[0],
            g1,
            "The first buffer is the first gradient.",
            [
                (lr * g1, outside),
                (-lr * g1, outside),
                ((1 - beta) * g1, average),
                (-g1, "The buffer adds up the gradients as they are; the minus sign is in the step."),
                (torch.zeros(4), "The first buffer is still zero: add the gradient to it before the step."),
            ],
            what="The momentum buffer",
            **EXACT,
        )
        second = beta * g1 + g2
        expect.close(
            buffers[1],
            second,
            "The new buffer is momentum times the old one, plus the new gradient.",
            [
                (g1 + g2, "The old buffer is multiplied by momentum before the new gradient is added."),
                (beta * g1 + (1 - beta) * g2, average),
                (g2, "The old buffer is lost: keep it from one step to the next."),
                (g1, "The buffer stays as the first step left it: store the new one."),
                (beta * (g1 + g2), "Only the old buffer is multiplied by momentum, not the new gradient."),
            ],
            what="The momentum buffer",
            **EXACT,
        )
        expect.close(
            path[1],
            w - lr * g1 - lr * second,
            "The buffers are right but the steps are not: a step is p - lr * buffer.",
            [
                (w - lr * g1, "The step uses the old buffer: update the buffer first."),
                (w - lr * g1 - lr * g1, "The step uses the old buffer: update the buffer first."),
                (w - lr * g1 - lr * g2, "The buffer is kept but not used: a step is p - lr * buffer."),
                (w + lr * g1 + lr * second, "The step goes downhill: subtract lr times the buffer."),
            ],
            what="The parameter",
            **EXACT,
        )

    with cases("a buffer for each parameter"):
        others = [cases.randn(4) for _ in range(3)]
        rounds = [[g1, others[1]], [g2, others[2]], [g3, g1]]
        path, buffers, _ = _fixed(student, [w, others[0]], rounds, lr=lr, momentum=beta)
        expect.that(all(b is not None for b in buffers), _NO_BUFFER)
        wanted, wanted_buffers, _ = _fixed(REFERENCE, [w, others[0]], rounds, lr=lr, momentum=beta)
        hint = (
            "Each parameter needs a buffer of its own: with two parameters of one shape, their gradients mix in yours."
        )
        _compare_all(buffers, wanted_buffers, hint, "The momentum buffer")
        _compare_all(path, wanted, hint, "The parameter")

    with cases("many steps", weight=2):
        quadratic = _Quadratic(cases)
        (path, buffers), (wanted, wanted_buffers) = quadratic.both(
            student,
            "optimizer = SGD(params, lr=lr, momentum=beta)\ntrain(60)\nbuffers = [buffer_of(p) for p in params]",
            ["path", "buffers"],
            lr=lr,
            beta=beta,
        )
        hint = "Over 60 steps on three parameters of unlike shapes you leave the path of torch.optim.SGD."
        _compare_all(path, wanted, hint, "The parameter")
        _compare_all(buffers, wanted_buffers, hint, "The momentum buffer")

    with cases("Nesterov, step by step"):
        path, buffers, _ = _fixed(student, [w], [[g1], [g2]], lr=lr, momentum=beta, nesterov=True)
        expect.that(buffers[1] is not None, _NO_BUFFER)
        b1, b2 = g1, beta * g1 + g2

        def after(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return w - lr * first - lr * second

        expect.close(
            path[1],
            after(g1 + beta * b1, g2 + beta * b2),
            "Nesterov's step is lr * (grad + momentum * buffer), with the new buffer.",
            [
                # With the old buffer, grad + momentum * buffer is the new buffer: the step without Nesterov.
                (
                    after(b1, b2),
                    "nesterov=True changes nothing in your step: add momentum times the new buffer, not the old one.",
                ),
                (
                    after(beta * b1, beta * b2),
                    "The gradient itself is missing in Nesterov's step: grad + momentum * buffer.",
                ),
                (
                    after(b1 + beta * g1, b2 + beta * g2),
                    "In Nesterov's step momentum multiplies the buffer, not the grad.",
                ),
                (
                    after(b1 + beta * b1, b2 + beta * b2),
                    "Nesterov's step adds momentum * buffer to the grad, not to the buffer.",
                ),
                (after(g1 + b1, g2 + b2), "In Nesterov's step the buffer is multiplied by momentum."),
            ],
            what="The parameter",
            **EXACT,
        )
        expect.close(
            buffers[1],
            b2,
            "With nesterov=True the buffer is the same as without: only the step differs.",
            what="The momentum buffer",
            **EXACT,
        )

    with cases("Nesterov, many steps"):
        quadratic = _Quadratic(cases)
        (path, buffers, grads), (wanted, wanted_buffers, wanted_grads) = quadratic.both(
            student,
            "optimizer = SGD(params, lr=lr, momentum=beta, nesterov=True)\ntrain(60)\n"
            "buffers = [buffer_of(p) for p in params]\n"
            "grads = [p.grad for p in params]",
            ["path", "buffers", "grads"],
            lr=lr,
            beta=beta,
        )
        hint = "With nesterov=True, over 60 steps, you leave the path of torch.optim.SGD."
        _compare_all(path, wanted, hint, "The parameter")
        _compare_all(buffers, wanted_buffers, hint, "The momentum buffer")

        hint = "Your step changes p.grad: compute with it, but leave it as it was."
        _compare_all(grads, wanted_grads, hint, "A gradient")

    with cases("settings that change between steps"):
        quadratic = _Quadratic(cases)
        (path, last), (wanted, _) = quadratic.both(
            student,
            "optimizer = SGD(params, lr=lr, momentum=beta)\n"
            "scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3)\n"
            "for _ in range(12):\n"
            "    train(1)\n"
            "    scheduler.step()\n"
            'last = optimizer.param_groups[0]["lr"]',
            ["path", "last"],
            lr=lr,
            beta=beta,
        )
        _compare_all(
            path,
            wanted,
            'A scheduler changes group["lr"] and your step does not follow: read it from the group in each step.',
            "The parameter",
        )
        expect.close(last, lr * 0.3**4, 'Leave group["lr"] to the scheduler: a step should not change it.')
        (path,), (wanted,) = quadratic.both(
            student,
            "optimizer = SGD(params, lr=lr, momentum=0.5)\n"
            "for mu in (0.5, 0.75, 0.9):\n"
            '    optimizer.param_groups[0]["momentum"] = mu\n'
            "    train(4)",
            ["path"],
            lr=lr,
        )
        _compare_all(
            path,
            wanted,
            'Your step does not follow a change of group["momentum"]: read it from the group in each step too.',
            "The parameter",
        )

    with cases("parameter groups"):
        quadratic = _Quadratic(cases)
        (path, buffers), (wanted, wanted_buffers) = quadratic.both(
            student,
            'groups = [{"params": [params[0]], "lr": 2 * lr, "momentum": 0.5}, {"params": [params[1]]}]\n'
            "optimizer = SGD(groups, lr=lr, momentum=beta, nesterov=True)\n"
            "train(5)\n"
            'optimizer.add_param_group({"params": params[2:], "lr": lr / 2, "nesterov": False})\n'
            "train(10)\n"
            "buffers = [buffer_of(p) for p in params]",
            ["path", "buffers"],
            lr=lr,
            beta=beta,
        )
        hint = "Every group has its own lr, momentum and nesterov: read them from the group whose parameter you change."
        _compare_all(path, wanted, hint, "The parameter")
        _compare_all(buffers, wanted_buffers, hint, "The momentum buffer")

    with cases("parameters without a gradient"), expect.explained("Skip a parameter whose gradient is None."):
        quadratic = _Quadratic(cases)
        (path, moved, buffers), (wanted, _, wanted_buffers) = quadratic.both(
            student,
            "optimizer = SGD(params, lr=lr, momentum=beta)\n"
            "for i in range(4):\n"
            "    optimizer.zero_grad()\n"
            "    backward()\n"
            "    params[2].grad = None\n"
            "    if i > 1:\n"
            "        params[1].grad = None\n"
            "        before = params[1].detach().clone()\n"
            "    optimizer.step()\n"
            "    path.extend(p.detach().clone() for p in params)\n"
            "moved = (params[1].detach() - before).abs().max()\n"
            "buffers = [buffer_of(p) for p in params]",
            ["path", "moved", "buffers"],
            lr=lr,
            beta=beta,
        )
        expect.close(
            moved,
            0.0,
            "A parameter whose gradient is None is skipped: its old buffer must not move it either.",
            **EXACT,
        )
        hint = "When some gradients are None, skip those parameters, and only those, whole: step and buffer."
        _compare_all(path, wanted, hint, "The parameter")
        expect.sequence(buffers, 3)
        _compare_all(buffers[:2], wanted_buffers[:2], hint, "The momentum buffer")
        expect.that(buffers[2] is None, "A parameter that never had a gradient should have no buffer.")

    with cases("gradients are left alone"):
        quadratic = _Quadratic(cases)
        (path, grads, buffers), (wanted, wanted_grads, wanted_buffers) = quadratic.both(
            student,
            "optimizer = SGD(params, lr=lr, momentum=beta)\n"
            "grads = []\n"
            "for _ in range(4):\n"
            "    optimizer.zero_grad(set_to_none=False)\n"
            "    backward()\n"
            "    optimizer.step()\n"
            "    path.extend(p.detach().clone() for p in params)\n"
            "    grads.extend(p.grad.clone() for p in params)\n"
            "buffers = [buffer_of(p) for p in params]",
            ["path", "grads", "buffers"],
            lr=lr,
            beta=beta,
        )
        # Steps before the gradients: where the buffer is the gradient's tensor, both are wrong from the second on.
        expect.sequence(grads, len(wanted_grads), "The gradients")
        _compare_all(
            grads[:3],
            wanted_grads[:3],
            "Your step changes p.grad: compute with it, but leave it as it was.",
            "A gradient",
        )
        hint = (
            "Your buffer is the tensor p.grad itself, so zero_grad(set_to_none=False) clears it: keep a copy (clone)."
        )
        _compare_all(path, wanted, hint, "The parameter")
        _compare_all(buffers, wanted_buffers, hint, "The momentum buffer")
        _compare_all(grads, wanted_grads, "Your step changes p.grad: leave it as it was.", "A gradient")

    with cases("state_dict round trip"):
        quadratic = _Quadratic(cases)
        (path, buffers), (wanted, wanted_buffers) = quadratic.both(
            student,
            "import io\n"
            "optimizer = SGD(params, lr=lr, momentum=beta)\n"
            "train(6)\n"
            "file = io.BytesIO()\n"
            "torch.save(optimizer.state_dict(), file)\n"
            "file.seek(0)\n"
            "params = [p.detach().clone().requires_grad_() for p in params]\n"
            "optimizer = SGD(params, lr=1.0, momentum=0.1)\n"
            "optimizer.load_state_dict(torch.load(file))\n"
            "train(6)\n"
            "buffers = [buffer_of(p) for p in params]",
            ["path", "buffers"],
            lr=lr,
            beta=beta,
        )
        expect.sequence(path, len(wanted))
        _compare_all(path[:18], wanted[:18], "The steps before the checkpoint are wrong already.", "The parameter")
        hint = (
            "After load_state_dict, training goes on otherwise than without a break: a step needs more than is saved."
        )
        _compare_all(path, wanted, hint, "The parameter")
        _compare_all(buffers, wanted_buffers, hint, "The momentum buffer")

    names = 'Use the names "lr", "momentum", "nesterov" and "momentum_buffer": PyTorch\'s checkpoints do.'
    with cases("a checkpoint of torch.optim.SGD"), expect.explained(names):
        quadratic = _Quadratic(cases)
        saved = REFERENCE.run(
            _BEGIN + "optimizer = SGD(params, lr=lr, momentum=beta)\ntrain(6)\nsaved = optimizer.state_dict()",
            "saved",
            weights=quadratic.weights,
            curvatures=quadratic.curvatures,
            lr=lr,
            beta=beta,
        )
        (path, buffers), (wanted, wanted_buffers) = quadratic.both(
            student,
            "optimizer = SGD(params, lr=1.0, momentum=0.1)\n"
            "optimizer.load_state_dict(saved)\n"
            "train(6)\n"
            "buffers = [buffer_of(p) for p in params]",
            ["path", "buffers"],
            saved=saved,
        )
        hint = "A checkpoint that torch.optim.SGD wrote does not go on as it should: use the same names as PyTorch."
        _compare_all(path, wanted, hint, "The parameter")
        _compare_all(buffers, wanted_buffers, hint, "The momentum buffer")

    with cases("a closure"):
        quadratic = _Quadratic(cases)
        (path, enabled, result), (wanted, _, wanted_result) = quadratic.both(
            student,
            "optimizer = SGD(params, lr=lr, momentum=beta)\n"
            "enabled = []\n"
            "def closure():\n"
            "    enabled.append(torch.is_grad_enabled())\n"
            "    with torch.enable_grad():\n"
            "        optimizer.zero_grad()\n"
            "        return backward()\n"
            "result = optimizer.step(closure)\n"
            "path.extend(p.detach().clone() for p in params)",
            ["path", "enabled", "result"],
            lr=lr,
            beta=beta,
        )
        expect.kind(enabled, list)
        expect.that(len(enabled) == 1, f"Call the closure once in a step; yours called it {len(enabled)} times.")
        expect.that(enabled[0] is True, "Call the closure with gradients enabled: put it under torch.enable_grad().")
        expect.that(result is not None, "step(closure) should return the loss that the closure returned.")
        expect.close(result, wanted_result, "step(closure) should return the loss that the closure returned.")
        _compare_all(path, wanted, "Call the closure before the update: it computes the gradients.", "The parameter")

    with cases("bad settings"):
        tried = [
            ({"lr": -0.1}, "ValueError", "A negative lr should raise a ValueError"),
            ({"lr": 0.1, "momentum": -0.9}, "ValueError", "A negative momentum should raise a ValueError"),
            ({"lr": 0.1, "nesterov": True}, "ValueError", "nesterov=True without momentum should raise a ValueError"),
            ({"lr": 0.0}, None, "lr=0 is allowed: a warm-up starts there. It should raise nothing"),
            ({"lr": 0.1, "momentum": 0.9, "nesterov": True}, None, "nesterov=True with momentum should raise nothing"),
        ]
        outcomes = student.run(
            "import torch\n"
            "outcomes = []\n"
            "for settings in tried:\n"
            "    try:\n"
            "        SGD([torch.zeros(2, requires_grad=True)], **settings)\n"
            "        outcomes.append(None)\n"
            "    except ValueError:\n"
            '        outcomes.append("ValueError")\n'
            "    except Exception as error:\n"
            "        outcomes.append(type(error).__name__)\n",
            "outcomes",
            tried=[settings for settings, _, _ in tried],
        )
        expect.sequence(outcomes, len(tried))
        for outcome, (_, wanted, hint) in zip(outcomes, tried, strict=True):
            expect.equal(outcome, wanted, f"{hint}; yours raised {outcome if isinstance(outcome, str) else 'nothing'}.")

    with cases("a network in float32"):
        code = (
            "import torch\n"
            "network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))\n"
            "optimizer = SGD(network.parameters(), lr=0.05, momentum=0.9)\n"
            "for _ in range(20):\n"
            "    optimizer.zero_grad()\n"
            "    (network(x) - y).square().mean().backward()\n"
            "    optimizer.step()\n"
            "params = [p.detach() for p in network.parameters()]\n"
            'buffers = [optimizer.state[p].get("momentum_buffer") for p in network.parameters()]'
        )
        x, y = cases.randn(16, 3, dtype=torch.float32), cases.randn(16, 1, dtype=torch.float32)
        values = student.run(code, ["params", "buffers"], x=x, y=y)
        for seen, wanted, what in zip(
            values,
            REFERENCE.run(code, ["params", "buffers"], x=x, y=y),
            ("The parameter", "The momentum buffer"),
            strict=True,
        ):
            expect.sequence(seen, len(wanted))
            for one, other in zip(seen, wanted, strict=True):
                expect.dtype(one, torch.float32, what)
                expect.close(
                    one, other, "On a small network in float32 you leave the path of torch.optim.SGD.", atol=1e-4
                )
