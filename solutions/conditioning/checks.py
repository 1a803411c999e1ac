"""The hidden checks of the assignment `conditioning`.

Expected values come from how a matrix was made, from NumPy or SciPy, or from a Hessian worked out on paper. Where a
known mistake gives a value of its own, that value is recognised first, so that its hint is about the mistake.
"""

import math
from typing import Any

import numpy as np
import torch
from scipy.optimize import linprog

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import Student, StudentError


def _symmetric(eigenvalues: list[float], cases: Cases) -> torch.Tensor:
    """Return a symmetric matrix with these eigenvalues and random eigenvectors."""
    basis, _ = torch.linalg.qr(cases.randn(len(eigenvalues), len(eigenvalues)))
    matrix = basis @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ basis.T
    return (matrix + matrix.T) / 2


# --- classify_critical_point


def _classify(student: Student, hessian: torch.Tensor, word: str, hint: str) -> None:
    answer = student.call("classify_critical_point", hessian)
    expect.kind(answer, str)
    allowed = ("minimum", "maximum", "saddle", "degenerate")
    expect.that(answer in allowed, "Return one of the four words of the text, letter by letter, in lower case.")
    expect.equal(answer, word, hint)


@check
def classify_critical_point(student: Student, cases: Cases) -> None:
    """Compare with the eigenvalues that each matrix was made from."""
    with cases("bowls and hills", weight=2):
        for dtype in (torch.float64, torch.float32):
            bends = [cases.uniform(1, 9) for _ in range(4)]
            bowl = _symmetric(bends, cases).to(dtype)
            hint = "Positive eigenvalues bend the loss up, negative ones down: read which of the two is a minimum."
            _classify(student, bowl, "minimum", hint)
            _classify(student, -bowl, "maximum", hint)
    with cases("a saddle that the diagonal hides"):
        a, b = cases.uniform(1, 2), cases.uniform(3, 4)
        hessian = torch.tensor([[a, b], [b, a]], dtype=torch.float64)
        hint = "Look at the eigenvalues, not at the entries on the diagonal: a Hessian is rarely diagonal."
        _classify(student, hessian, "saddle", hint)
    with cases("a saddle in three dimensions"):
        hessian = _symmetric([-cases.uniform(1, 2), -cases.uniform(1, 2), cases.uniform(6, 9)], cases)
        hint = "A determinant and a trace decide only for two weights: look at the sign of each eigenvalue."
        _classify(student, hessian, "saddle", hint)
    with cases("a saddle with a flat direction"):
        hessian = torch.diag(torch.tensor([cases.uniform(1, 5), 0.0, -cases.uniform(1, 5)], dtype=torch.float64))
        hint = "Rule 1 comes before rule 2: with one way up and one way down it is a saddle, flat directions or not."
        _classify(student, hessian, "saddle", hint)
    rounding = "A zero eigenvalue comes out of the computer as a tiny number of either sign: use the text's tolerance."
    with cases("nearly flat"):
        valley = torch.diag(torch.tensor([cases.uniform(1, 5), 1e-8], dtype=torch.float64))
        _classify(student, valley, "degenerate", rounding)
        hint = "The tolerance uses the largest absolute value, which on a hill belongs to the lowest eigenvalue."
        _classify(student, -valley, "degenerate", hint)
    with cases("a zero with rounding errors", weight=2):
        for sign in (1, -1) * 4:
            hessian = sign * _symmetric([0.0, cases.uniform(1, 3), cases.uniform(3, 9), cases.uniform(9, 20)], cases)
            _classify(student, hessian, "degenerate", rounding)
    with cases("the tolerance is relative", weight=2):
        hint = "The tolerance is relative to the largest absolute eigenvalue, so the scale of the loss must not matter."
        for scale in (1e-9, 1e9):
            _classify(student, scale * _symmetric([cases.uniform(1, 2), 5.0], cases), "minimum", hint)
            nearly = torch.diag(torch.tensor([1e-8, cases.uniform(1, 5)], dtype=torch.float64))
            _classify(student, scale * nearly, "degenerate", hint)
    with cases("a narrow ravine"):
        hint = "An eigenvalue that is small, but above the text's tolerance, does not count as zero."
        narrow = torch.diag(torch.tensor([1e-4, cases.uniform(1, 5)], dtype=torch.float64))
        _classify(student, narrow, "minimum", hint)
    with cases("a plain"):
        hint = "In the zero matrix every eigenvalue counts as zero: is your comparison with the tolerance strict?"
        _classify(student, torch.zeros(3, 3), "degenerate", hint)


# --- condition_number


@check
def condition_number(student: Student, cases: Cases) -> None:
    """Compare with NumPy's 2-norm condition number, which comes from singular values, not eigenvalues."""
    with cases("a round bowl"):
        bowl = cases.uniform(2, 9) * torch.eye(cases.integer(3, 6), dtype=torch.float64)
        kappa = student.call("condition_number", bowl)
        expect.number(kappa, "The condition number")
        hint = "A round bowl has condition number 1, however steep it is: take a ratio of two eigenvalues."
        expect.close(kappa, 1.0, hint)
    with cases("a rotated ravine", weight=2):
        hessian = _symmetric([2.0, 0.5, cases.uniform(20, 90)], cases)
        right = np.linalg.cond(hessian.numpy(), 2)
        kappa = student.call("condition_number", hessian)
        expect.number(kappa, "The condition number")
        diagonal = hessian.diagonal().abs()
        entries = "Use the eigenvalues, not the entries on the diagonal: a Hessian is rarely diagonal."
        mistakes = [
            (1 / right, "A condition number is never below 1: the largest eigenvalue goes on top."),
            (right**2, "This is the square of the condition number: is it the eigenvalues of H that you compare?"),
            (round(right), "Do not round the condition number."),
            (diagonal.max() / diagonal.min(), entries),
        ]
        hint = "Divide the largest absolute eigenvalue by the smallest, in the precision of the input."
        expect.close(kappa, right, hint, mistakes)
    with cases("a saddle"):
        hessian = _symmetric([-cases.uniform(5, 9), 0.25, 3.0], cases)
        hint = "Take absolute values of the eigenvalues before the largest and the smallest."
        expect.close(student.call("condition_number", hessian), np.linalg.cond(hessian.numpy(), 2), hint)
    with cases("a very steep ravine"):
        hessian = torch.diag(torch.tensor([1.0, cases.uniform(1, 9) * 1e-9, 0.1], dtype=torch.float64))
        hint = "A tiny eigenvalue is not 0: only an eigenvalue of exactly 0 makes the condition number infinite."
        expect.close(student.call("condition_number", hessian), np.linalg.cond(hessian.numpy(), 2), hint)
    with cases("a flat direction"):
        flat = torch.diag(torch.tensor([0.0, cases.uniform(1, 5)], dtype=torch.float64))
        expect.close(student.call("condition_number", flat), math.inf, "An eigenvalue of exactly 0 gives math.inf.")
    with cases("float32"):
        hessian = _symmetric([1.0, 2.0, 3.0, cases.uniform(5, 9)], cases).to(torch.float32)
        right = np.linalg.cond(hessian.double().numpy(), 2)
        hint = "The answer for a float32 Hessian should agree with the one for the same Hessian in float64."
        expect.close(student.call("condition_number", hessian), right, hint, rtol=1e-4)


# --- best_gradient_descent


def _best(low: float, high: float) -> tuple[float, float]:
    """Minimise the rate over the learning rate as a linear program: t >= |1 - lr * lambda| at both ends."""
    ratio = low / high  # in units of 1 / high, so that the program is well scaled
    rows, bounds = [[-ratio, -1], [-1, -1], [ratio, -1], [1, -1]], [-1, -1, 1, 1]
    lr, rate = linprog([0, 1], A_ub=rows, b_ub=bounds, bounds=[(0, None), (0, None)], method="highs").x
    return lr / high, rate


@check
def best_gradient_descent(student: Student, cases: Cases) -> None:
    """Compare with a linear program that minimises the worst factor."""
    low, high = cases.uniform(0.2, 0.9), cases.uniform(5, 20)
    lr, rate = _best(low, high)
    kappa = high / low

    def best(lambda_min: float, lambda_max: float) -> tuple[Any, Any]:
        answer = student.call("best_gradient_descent", lambda_min, lambda_max)
        expect.sequence(answer, 2)
        expect.number(answer[0], "The learning rate")
        expect.number(answer[1], "The rate")
        return tuple(answer)

    with cases("the learning rate", weight=2):
        answer = best(low, high)
        edge = "With 2/lambda_max the steepest direction never shrinks: that is the limit, not the best."
        safe = "With 1/lambda_max nothing bounces, but a larger learning rate helps the flat direction more."
        mistakes = [
            (rate, "The learning rate comes first and the rate second."),
            (2 / high, edge),
            (1 / high, safe),
            (lr / 2, "You are off by a factor: put your learning rate into both terms of the maximum."),
            (1 / math.sqrt(low * high), "The geometric mean of the eigenvalues is not where the two terms meet."),
            (4 / (math.sqrt(low) + math.sqrt(high)) ** 2, "That is the learning rate for momentum, not for this."),
        ]
        hint = "At the best learning rate |1 - lr * lambda| is the same for the smallest and the largest eigenvalue."
        expect.close(answer[0], lr, hint, mistakes, what="The learning rate", rtol=1e-7)
    with cases("the rate", weight=2):
        answer = best(low, high)
        root = math.sqrt(kappa)
        floor = kappa // 1
        mistakes = [
            (rate**2, "That is the factor on the loss; the rate is the factor on the error of the weights."),
            ((root - 1) / (root + 1), "That is the rate with momentum; plain gradient descent is slower."),
            (1 - 1 / kappa, "That is the rate of the learning rate 1/lambda_max, not of the best one."),
            ((floor - 1) / (floor + 1), "The condition number need not be an integer: divide with / and not with //."),
        ]
        hint = "The rate is |1 - lr * lambda| in the slowest direction, with the learning rate that you return."
        expect.close(answer[1], rate, hint, mistakes, what="The rate", rtol=1e-7)
    with cases("other ravines"):
        hint = "The answer holds for one ravine and not for another: use lambda_min and lambda_max throughout."
        for low, high in ((cases.uniform(1e-4, 9e-4), 0.5), (3.0, cases.uniform(3e3, 3e4))):
            for seen, wanted in zip(best(low, high), _best(low, high), strict=True):
                expect.close(seen, wanted, hint, rtol=1e-6)
    with cases("a round bowl"):
        bend = cases.uniform(0.5, 5)
        lr, rate = best(bend, bend)
        hint = "When both eigenvalues are equal, one step of gradient descent reaches the minimum."
        expect.close(lr, 1 / bend, hint)
        expect.close(rate, 0.0, hint, atol=1e-6)


# --- newton_step


@check
def newton_step(student: Student, cases: Cases) -> None:
    """On a quadratic loss the step lands on its critical point, which is known, for each kind of critical point."""

    def problem(
        eigenvalues: list[float], dtype: torch.dtype = torch.float64
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        hessian = _symmetric(eigenvalues, cases)
        w, target = cases.randn(len(eigenvalues)), cases.randn(len(eigenvalues))
        return w.to(dtype), (hessian @ (w - target)).to(dtype), hessian.to(dtype), target

    def step(*arguments: torch.Tensor) -> torch.Tensor:
        answer = student.call("newton_step", *arguments)
        expect.kind(answer, torch.Tensor)
        return answer

    with cases("a bowl", weight=3):
        w, grad, hessian, target = problem([1.5, cases.uniform(2, 3), 7.0, cases.uniform(20, 40)])
        answer = step(w, grad, hessian)
        only = "Return the new weights, not the step or the direction alone."
        mistakes = [
            (2 * w - target, "The sign is wrong: the step goes against the gradient."),
            (w - target, only),
            (target - w, only),
            (w - hessian @ grad, "You multiplied by the Hessian: a steep direction needs a shorter step."),
            (w - grad / hessian.diagonal(), "The diagonal is not the whole Hessian: solve with the full matrix."),
            (w - grad, "That is a gradient step: the Hessian is not in it."),
        ]
        expect.close(answer, target, "On a quadratic loss, one step lands on the critical point exactly.", mistakes)
    with cases("the inputs stay"):
        w, grad, hessian, target = problem([1.0, 3.0, cases.uniform(5, 9)])
        names = ["w", "grad", "hessian", "answer"]
        code = "answer = newton_step(w, grad, hessian)"
        *seen, answer = student.run(code, returns=names, w=w, grad=grad, hessian=hessian)
        for name, before, after in zip(("w", "grad", "hessian"), (w, grad, hessian), seen, strict=True):
            hint = f"Your function changed `{name}`: do not work in place, return a new tensor."
            expect.close(after, before, hint, rtol=0.0, atol=0.0)
        expect.close(answer, target, "On a quadratic loss, one step lands on the critical point exactly.")
    with cases("a saddle"):
        w, grad, hessian, target = problem([-cases.uniform(2, 4), 0.5, 3.0])
        answer = step(w, grad, hessian)
        values, vectors = np.linalg.eigh(hessian.numpy())
        away = w.numpy() - vectors @ ((vectors.T @ grad.numpy()) / np.abs(values))
        flipped = "Use the eigenvalues with their signs: Newton's step goes to a saddle point too."
        hint = "Newton's step lands on the critical point when that is a saddle, too."
        expect.close(answer, target, hint, [(away, flipped)])
    with cases("a ravine"):
        w, grad, hessian, target = problem([cases.uniform(1, 2) * 1e-5, 1.0, cases.uniform(5, 9)])
        hint = "Solve with the Hessian as it is: add nothing to it, drop no small eigenvalue, keep the precision."
        expect.close(step(w, grad, hessian), target, hint, rtol=1e-6, atol=1e-6)
    with cases("float32, many weights"):
        w, grad, hessian, target = problem([cases.uniform(1, 9) for _ in range(60)], torch.float32)
        answer = step(w, grad, hessian)
        expect.dtype(answer, torch.float32)
        expect.close(answer, target, "The step is wrong when there are many weights.", rtol=1e-3, atol=1e-3)
    with cases("one weight"):
        w, grad, hessian, target = problem([cases.uniform(2, 9)])
        expect.close(step(w, grad, hessian), target, "With a single weight the shapes are (1,), (1,) and (1, 1).")


# --- hessian_vector_product

_TANGLED = """
import torch
def loss_fn(w):
    return torch.logsumexp(rows @ w, 0) + slope @ w
result = hessian_vector_product(loss_fn, w, v)
"""

_QUADRATIC = """
def loss_fn(w):
    return (w @ (matrix @ w)) / 2 + slope @ w
result = hessian_vector_product(loss_fn, w, v)
"""

# The loss of a chain of many weights. The mode around the call sees every operation of PyTorch, backward ones too: a
# product needs a few dozen, a Hessian needs some for each of its rows, or one huge matrix.
_CHAIN = """
import math
from torch.utils._python_dispatch import TorchDispatchMode

class DenseHessian(Exception):
    pass

class Watch(TorchDispatchMode):
    seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        Watch.seen += 1
        numbers = [a for a in args if type(a) is int]
        lists = [a for a in args if isinstance(a, (list, tuple)) and a and all(type(n) is int for n in a)]
        sizes = [math.prod(a) for a in lists]
        if "eye" in str(func):
            sizes.append(numbers[0] ** 2)
        if Watch.seen > 1000 or any(size > 100 * len(w) for size in sizes):
            raise DenseHessian
        return func(*args, **(kwargs or {}))

def loss_fn(w):
    return (w**4).sum() / 12 + ((w[1:] - w[:-1]) ** 2).sum() / 2

with Watch():
    result = hessian_vector_product(loss_fn, w, v)
"""

_STATE = """
def loss_fn(w):
    return (w**3).sum() / 6
w = w.requires_grad_(leaf)
result = hessian_vector_product(loss_fn, w, v)
attached = bool(getattr(result, "requires_grad", False))
flag, touched = w.requires_grad, w.grad is not None
"""

_NO_GRAPH = (
    "The way from the weights to the second derivative is cut: `w` must require grad before the loss is computed, and "
    "the first gradient must keep its graph."
)
_TWICE = "Differentiate the gradient along v: the result differs from the Hessian times v."


def _hvp(student: Student, code: str, **inputs: Any) -> torch.Tensor:
    """Return the student's product; tell a cut graph by its own hint."""
    try:
        answer = student.run(code, returns="result", **inputs)
    except StudentError as error:
        if error.kind == "RuntimeError" and ("grad_fn" in error.message or "require grad" in error.message):
            raise expect.Unmet(_NO_GRAPH) from None
        raise
    expect.kind(answer, torch.Tensor)
    return answer


@check
def hessian_vector_product(student: Student, cases: Cases) -> None:
    """Compare with Hessians worked out on paper, in NumPy."""

    def tangled(w: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient and the Hessian of log(sum(exp(rows @ w))) at w."""
        scores = np.exp(rows @ w - (rows @ w).max())
        p = scores / scores.sum()
        return rows.T @ p, rows.T @ (np.diag(p) - np.outer(p, p)) @ rows

    with cases("a curved loss", weight=3):
        n = cases.integer(5, 8)
        rows, w, v = cases.randn(12, n), cases.randn(n), cases.randn(n)
        slope = 1e4 * cases.randn(n)  # adds nothing to the Hessian, but drowns the digits of a finite difference
        answer = _hvp(student, _TANGLED, rows=rows, slope=slope, w=w, v=v)
        gradient, hessian = tangled(w.numpy(), rows.numpy())
        gradient = gradient + slope.numpy()
        point = "The Hessian belongs to the point w, and v is only the direction: you have the two mixed up."
        origin = "The Hessian belongs to the point w, not to the origin."
        by_w = "Multiply the gradient by v, which is constant, and not by w."
        mistakes = [
            (gradient * v.numpy(), "That is the gradient times v: differentiate once more."),
            (gradient, "That is the gradient: differentiate once more, along v."),
            (hessian.sum(1) * v.numpy(), "Multiply the gradient by v before you differentiate it again, not after."),
            (hessian.diagonal() * v.numpy(), "You have the diagonal alone: every pair of weights counts."),
            (hessian @ w.numpy(), "Multiply the gradient by v, and not by w."),
            (tangled(v.numpy(), rows.numpy())[1] @ w.numpy(), point),
            (tangled(v.numpy(), rows.numpy())[1] @ v.numpy(), point),
            (tangled(0 * w.numpy(), rows.numpy())[1] @ v.numpy(), origin),
        ]
        if isinstance(answer, torch.Tensor) and answer.shape == w.shape:
            # The slope is so large that this can hardly be told from the gradient alone: look at what is added to it.
            expect.no_mistake(answer - torch.from_numpy(gradient), [(hessian @ w.numpy(), by_w)])
        expect.no_mistake(answer, mistakes)
        right = hessian @ v.numpy()
        expect.shape(answer, (n,))
        off = float(np.linalg.norm(answer.double().numpy() - right) / np.linalg.norm(right))
        if 1e-9 < off < 0.05:
            lost = "Digits are lost: the product must be exact, not a difference of two gradients, in w's own dtype."
            expect.close(answer, right, lost, rtol=1e-9, atol=1e-9 * float(np.abs(right).max()))
        expect.close(answer, right, _TWICE)
    with cases("a quadratic loss"):
        n = cases.integer(3, 9)
        matrix = _symmetric([cases.uniform(-9, 9) for _ in range(n)], cases)
        w, v, slope = cases.randn(n), cases.randn(n), cases.randn(n)
        answer = _hvp(student, _QUADRATIC, matrix=matrix, slope=slope, w=w, v=v)
        expect.close(answer, matrix.numpy() @ v.numpy(), _TWICE)
    with cases("float32"):
        n = cases.integer(3, 9)
        matrix = _symmetric([cases.uniform(1, 9) for _ in range(n)], cases)
        w, v, slope = cases.randn(n), cases.randn(n), cases.randn(n)
        inputs = {"matrix": matrix, "slope": slope, "w": w, "v": v}
        answer = _hvp(student, _QUADRATIC, **{name: value.float() for name, value in inputs.items()})
        expect.dtype(answer, torch.float32)
        expect.close(answer, matrix.numpy() @ v.numpy(), _TWICE)
    with cases("200,000 weights", weight=2):
        n = 200_000
        w, v = cases.randn(n), cases.randn(n)
        try:
            answer = _hvp(student, _CHAIN, w=w, v=v)
        except StudentError as error:
            expect.that(
                error.kind not in ("DenseHessian", "MemoryError", "OutOfMemoryError")
                and "allocate" not in error.message,
                "Your code builds the n x n Hessian or goes through its rows: multiply by v, then differentiate again.",
            )
            raise
        stretch = np.diff(v.numpy())
        right = w.numpy() ** 2 * v.numpy() - np.append(stretch, 0) + np.insert(stretch, 0, 0)
        expect.close(answer, right, _TWICE)
    with cases("a linear loss"):
        n = cases.integer(3, 9)
        hint = "When the gradient does not depend on w, autograd has nothing to differentiate: return zeros then."
        bend = np.zeros(n)
        bend[0] = 2.0
        losses = [
            ("slope @ w", 0 * bend),
            ("(rows @ w).relu().sum()", 0 * bend),
            ("slope @ w + w[0] ** 2", bend),
        ]
        inputs = {"rows": cases.randn(7, n), "slope": cases.randn(n), "w": cases.randn(n), "v": cases.randn(n)}
        for loss, diagonal in losses:
            code = f"def loss_fn(w): return {loss}\nresult = hessian_vector_product(loss_fn, w, v)"
            try:
                answer = student.run(code, "result", **inputs)
            except StudentError as error:
                expect.that(error.kind not in ("RuntimeError", "TypeError", "AttributeError"), hint)
                raise
            expect.that(isinstance(answer, torch.Tensor), hint)
            expect.close(answer, diagonal * inputs["v"].numpy(), hint, atol=1e-12)
    with cases("weights that require grad"):
        n = cases.integer(3, 9)
        w, v = cases.randn(n), cases.randn(n)
        answer, attached = student.run(_STATE, returns=["result", "attached"], w=w, v=v, leaf=True)
        expect.kind(answer, torch.Tensor)
        expect.close(answer, w.numpy() * v.numpy(), "The result is wrong when `w` comes with requires_grad.")
        expect.that(attached is False, "The result still carries a graph: detach it, also when `w` requires grad.")
    with cases("w stays as it was"):
        n = cases.integer(3, 9)
        for leaf in (False, True):
            w, v = cases.randn(n), cases.randn(n)
            names = ["w", "flag", "touched", "result"]
            after, flag, touched, answer = student.run(_STATE, returns=names, w=w, v=v, leaf=leaf)
            expect.close(after, w, "Your function changed the values of `w`.", rtol=0.0, atol=0.0)
            expect.that(touched is False, "Your function left something in `w.grad`: use torch.autograd.grad.")
            expect.that(flag is leaf, "Your function switched `w.requires_grad`: work on w.detach() instead.")
            expect.close(answer, w.numpy() * v.numpy(), _TWICE)


# --- power_iteration

_POWER = """
import torch
calls = 0
def hvp(v):
    global calls
    calls += 1
    if calls > 20 * (steps + dim):
        raise RuntimeError("hvp was called far more often than steps + 1 times")
    return matrix.to(v.dtype) @ v
torch.manual_seed(elsewhere)
answer = power_iteration(hvp, dim, steps, torch.Generator().manual_seed(seed))
"""


def _power(
    student: Student, cases: Cases, matrix: torch.Tensor, steps: int, *, seed: int | None = None
) -> tuple[Any, np.ndarray, int]:
    """Return the student's eigenvalue and eigenvector, both finite, and how often hvp was called."""
    dim = len(matrix)
    answer, calls = student.run(
        _POWER,
        returns=["answer", "calls"],
        matrix=matrix,
        dim=dim,
        steps=steps,
        seed=cases.integer(0, 10**9) if seed is None else seed,
        elsewhere=cases.integer(0, 10**9),
    )
    expect.sequence(answer, 2)
    value, vector = answer
    swapped = isinstance(vector, (float, int)) or (isinstance(vector, torch.Tensor) and vector.dim() == 0)
    expect.that(not swapped, "The eigenvalue comes first and the eigenvector second.")
    expect.number(value, "The eigenvalue")
    expect.kind(vector, torch.Tensor, "The eigenvector")
    expect.shape(vector, (dim,), "The eigenvector")
    vector = vector.detach().double().numpy()
    hint = "The numbers overflow or turn into 0/0: bring v back to length 1 in every step."
    expect.that(bool(np.isfinite(vector).all()) and math.isfinite(float(value)), hint)
    return value, vector, calls


def _along(vector: np.ndarray, wanted: np.ndarray) -> float:
    """Return the cosine of the angle between two directions, without its sign."""
    return float(abs(vector @ wanted) / max(float(np.linalg.norm(vector) * np.linalg.norm(wanted)), 1e-300))


@check
def power_iteration(student: Student, cases: Cases) -> None:
    """Compare with the eigenvalues that each matrix was made from, and NumPy's eigenvectors."""

    def spectrum(top: float, second: float, size: int) -> list[float]:
        """Return `top`, `second`, and smaller ones of both signs."""
        return [top, second, *(cases.uniform(-second, second) * 0.9 for _ in range(size - 2))]

    top = cases.uniform(6, 9)
    bowl = _symmetric(spectrum(top, 3.0, cases.integer(20, 30)), cases)
    with cases("the eigenvalue", weight=2):
        value, _, _ = _power(student, cases, bowl, 80)
        hint = "The eigenvalue is v @ hvp(v) with v of length 1, once v has settled."
        expect.close(value, top, hint, what="The eigenvalue", rtol=2e-4)
    with cases("the eigenvector", weight=2):
        _, vector, _ = _power(student, cases, bowl, 80)
        expect.close(float(np.linalg.norm(vector)), 1.0, "The eigenvector should have the length 1.", rtol=1e-4)
        hint = "The eigenvector does not point along the direction that the matrix stretches the most."
        expect.that(_along(vector, np.linalg.eigh(bowl.numpy())[1][:, -1]) > 1 - 1e-6, hint)
    with cases("a negative eigenvalue", weight=2):
        hill = _symmetric(spectrum(-top, 3.0, cases.integer(20, 30)), cases)
        value, vector, _ = _power(student, cases, hill, 80)
        hint = "The sign is lost: a length is never negative, the Rayleigh quotient has the sign."
        largest = "The eigenvalue is the one with the largest absolute value."
        expect.close(value, -top, largest, [(top, hint)], rtol=2e-4)
        hint = "The eigenvector of a negative eigenvalue is wrong: v changes its sign in each step, and that is fine."
        expect.that(_along(vector, np.linalg.eigh(hill.numpy())[1][:, 0]) > 1 - 1e-6, hint)
    with cases("large and small curvature"):
        hint = "The answer should not depend on the scale of the loss: bring v back to length 1 in every step."
        for scale in (1e3, 1e-3):
            value, _, _ = _power(student, cases, scale * bowl, 150)
            expect.close(value, scale * top, hint, rtol=2e-4)
    with cases("the price"):
        few, more = (_power(student, cases, bowl, steps)[2] for steps in (5, 9))
        expect.that(type(few) is int and type(more) is int, "Call hvp once in each step.")
        hint = "One call for each weight builds the whole matrix: a network has too many weights for that."
        expect.that(not few == more == len(bowl), hint)
        expect.that(few != more, "The number of products should follow `steps`, but it is always the same.")
        hint = "Your function calls hvp more than steps + 1 times: keep each product and use it twice."
        expect.that(few <= 6 and more <= 10, hint)
    with cases("a random start"):
        # The dominant direction is orthogonal to (1, 1, ..., 1) and to all axes but two.
        n = 12
        skew = torch.zeros(n, dtype=torch.float64)
        first = cases.integer(1, n - 2)
        skew[first], skew[first + 1] = 0.5**0.5, -(0.5**0.5)
        matrix = torch.eye(n, dtype=torch.float64) + 4 * torch.outer(skew, skew)
        value, vector, _ = _power(student, cases, matrix, 20)
        hint = "A fixed start can miss the direction altogether: start from a random vector."
        expect.close(value, 5.0, hint, rtol=2e-4)
        expect.that(_along(vector, skew.numpy()) > 1 - 1e-5, hint)
    with cases("the generator"):
        seed = cases.integer(0, 10**9)
        one, again, other = (_power(student, cases, bowl, 1, seed=s)[1] for s in (seed, seed, seed + 1))
        hint = "Draw the start with `generator=generator`, so that the same generator gives the same result."
        expect.that(bool(np.allclose(one, again, atol=1e-5)), hint)
        hint = "Another generator must give another start: use the one you are given as it is, and do not seed it."
        expect.that(not np.allclose(one, other, atol=1e-3), hint)
    with cases("many steps"):
        close_by = _symmetric([1.0, 0.98, 0.5, 0.3, -0.2], cases)
        # With 800 steps, one start in 23,000 is so nearly orthogonal to the right direction that it is not there yet.
        # 0.98**1500 leaves 7e-14 of the second direction, too much for one in 3 * 10**10 only.
        _, vector, _ = _power(student, cases, close_by, 1500)
        hint = "Take all the `steps`: with two eigenvalues close together the vector settles slowly."
        expect.that(_along(vector, np.linalg.eigh(close_by.numpy())[1][:, -1]) > 1 - 1e-6, hint)
    with cases("a flat loss"):
        hint = "When every product is zero, do not divide by its length: v is an eigenvector with eigenvalue 0."
        try:
            value, vector, _ = _power(student, cases, torch.zeros(4, 4, dtype=torch.float64), 10)
        except expect.Unmet as unmet:
            raise expect.Unmet(hint if "0/0" in str(unmet) else str(unmet)) from None
        except StudentError as error:
            expect.that(error.kind != "ZeroDivisionError", hint)
            raise
        expect.close(value, 0.0, hint, atol=1e-12)
        expect.close(float(np.linalg.norm(vector)), 1.0, hint, rtol=1e-4)
