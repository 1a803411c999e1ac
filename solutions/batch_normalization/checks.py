"""The hidden checks of the assignment `batch_normalization`.

What is expected comes from PyTorch's own batch normalization in float64: the same snippet runs beside the student's
class and beside PyTorch's, and every output, gradient and buffer is compared. While the student's code runs, each
call of a function of PyTorch's is seen, so an answer that uses PyTorch's normalization is found under whatever name.
"""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from textwrap import dedent, indent
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import ReferenceStudent, Student, StudentError

#: Float64 arithmetic in another order differs by less than this; every mistake differs by more.
EXACT = {"rtol": 1e-9, "atol": 1e-10}
#: 1 / num_batches_tracked is a tensor in float32 in some right answers.
SHARE = {"rtol": 1e-6, "atol": 1e-7}
#: A result in float32 of numbers around 1.
ROUNDED = {"rtol": 1e-4, "atol": 1e-4}

REFERENCE = ReferenceStudent({"BatchNorm1d": nn.BatchNorm1d, "BatchNorm2d": nn.BatchNorm2d})

# --- What all exercises share ----------------------------------------------------------------------------------------

# A mode of PyTorch's that sees each call of one of its functions, whatever name the student's cell has for it, and from
# which module it was called. Where the gradient is to be written by hand, nothing may be kept for a way back either.
_WATCH = """
import contextlib
import sys
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
found = []
class Watch(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = str(getattr(function, "__name__", ""))
        if any(part in name for part in operations):
            found.append("operation")
        frame = sys._getframe(1) if modules else None
        while frame is not None and not found:
            if str(frame.f_globals.get("__name__", "")).startswith(tuple(modules)):
                found.append("module")
            frame = frame.f_back
        return function(*args, **(kwargs or {}))
def noted(value):
    found.append("module")
    return value
def watch():
    stack = contextlib.ExitStack()
    stack.enter_context(Watch())
    if by_hand:
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(noted, lambda value: value))
    return stack
def look_at(kind):
    homes = tuple("torch.nn.modules." + name for name in ("batchnorm", "instancenorm", "normalization"))
    found.extend("class" for k in getattr(kind, "__mro__", ()) if k.__module__ in homes)
def kept(value):
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
def state(module):
    return {name: kept(value) for name, value in module.state_dict().items()}
"""
_NORMALIZATIONS = ["batch_norm", "layer_norm", "group_norm", "instance_norm"]
_OWN = "Your answer uses a normalization of PyTorch's: compute mean and variance yourself."
_GRADIENTS = ["torch._functorch"]
_BY_HAND = "Your answer uses autograd: write the gradient by hand, from the formula that you derived."
_FOLDING = ["torch.nn.utils.fusion"]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: for tensors as small as here, more of them wait for each other 20 times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _watched(
    student: Student,
    code: str,
    returns: Sequence[str],
    *,
    operations: Sequence[str] = _NORMALIZATIONS,
    modules: Sequence[str] = (),
    told: str = _OWN,
    **inputs: Any,
) -> tuple:
    """Run a snippet and return what it leaves behind, unless something that is not allowed was used in it.

    Args:
        student: whose names the snippet sees.
        code: the snippet.
        returns: names to bring back.
        operations: parts of names of PyTorch's operations that are not allowed.
        modules: beginnings of names of Python modules that may ask for no operation.
        told: the hint when one of these modules did.
        **inputs: by value.
    """
    code = _WATCH + "with watch():\n" + indent(dedent(code).strip(), "    ")
    *values, found = student.run(
        code,
        [*returns, "found"],
        operations=list(operations),
        modules=list(modules),
        by_hand=told == _BY_HAND,
        **inputs,
    )
    expect.kind(found, list)
    expect.that("module" not in found, told)
    expect.that(not found, _OWN)
    return tuple(values)


def _per_feature(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return a (d,) tensor ready to meet x."""
    return values.reshape(1, -1, *[1] * (x.dim() - 2))


def _over(x: torch.Tensor) -> tuple[int, ...]:
    """Return the dimensions that are averaged over."""
    return (0, *range(2, x.dim()))


def _scaled(x_hat: torch.Tensor, gamma: torch.Tensor | None, beta: torch.Tensor | None) -> torch.Tensor:
    if gamma is not None:
        x_hat = x_hat * _per_feature(gamma, x_hat)
    return x_hat if beta is None else x_hat + _per_feature(beta, x_hat)


def _with_statistics(x: torch.Tensor, eps: float, dims: Sequence[int], *, correction: int = 0) -> torch.Tensor:
    """Normalize x over these dimensions."""
    var, mean = torch.var_mean(x, tuple(dims), keepdim=True, correction=correction)
    return (x - mean) / (var + eps).sqrt()


def _wrong_normalizations(
    x: torch.Tensor, gamma: torch.Tensor | None, beta: torch.Tensor | None, eps: float
) -> list[tuple[torch.Tensor, str]]:
    """Return the results of the usual mistakes, each with its hint."""
    dims = _over(x)
    var, mean = torch.var_mean(x, dims, keepdim=True, correction=0)
    right = (x - mean) / (var + eps).sqrt()
    m = x.numel() // x.shape[1]
    found = [
        ((x - mean) / (var * m / (m - 1) + eps).sqrt(), "To normalize, divide by m, not by m - 1 (correction=0)."),
        ((x - mean) / (var.sqrt() + eps), "eps is added to the variance, inside of the root, not to the root."),
        ((x - mean) / ((var * m / (m - 1)).sqrt() + eps), "eps belongs inside of the root, and the variance biased."),
        ((x - mean) / var.sqrt(), "eps is missing: it is added to the variance."),
        ((x - mean) / (var + eps), "The root is missing: divide by the standard deviation."),
        ((x - mean) / (var + eps**2).sqrt(), "eps is added to the variance as it is, not squared."),
        (x / (var + eps).sqrt(), "The mean is not subtracted."),
        (x - mean, "You do not divide by the standard deviation."),
        (
            _with_statistics(x, eps, range(x.dim())),
            "This is one mean for all features: each feature has its own.",
        ),
        (
            _with_statistics(x, eps, range(1, x.dim())),
            "The statistics are those of each sample: take them over the batch, for each feature.",
        ),
    ]
    if x.dim() > 2:
        found += [
            (
                _with_statistics(x, eps, (0,)),
                "Each position has its own statistics in yours: average over samples and positions.",
            ),
            (
                _with_statistics(x, eps, range(2, x.dim())),
                "Each sample has its own statistics in yours: average over samples and positions.",
            ),
            (
                _with_statistics(x, eps, tuple(range(x.dim() - 1))),
                "The features are in dimension 1, not in the last one.",
            ),
        ]
    pairs = [(_scaled(value, gamma, beta), hint) for value, hint in found]
    if gamma is not None and beta is not None:
        pairs += [
            (right, "gamma and beta are missing: y is gamma * x_hat + beta."),
            (_scaled(right, gamma, None), "beta is missing: it is added last."),
            (_scaled(right, None, beta), "gamma is missing: it multiplies x_hat."),
            (_scaled(right, beta, gamma), "gamma scales and beta shifts: yours are the other way round."),
            (
                _with_statistics(_scaled(x, gamma, beta), eps, dims),
                "gamma and beta come after the normalization, which otherwise removes them again.",
            ),
            (
                _per_feature(gamma, x) * (right + _per_feature(beta, x)),
                "beta is added after the multiplication with gamma.",
            ),
        ]
    return pairs


def _batch(cases: Cases, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Draw a batch whose features have means and spreads of their own, so that eps and every factor are seen."""
    x = cases.randn(*shape)
    scale = _per_feature(cases.randn(shape[1]).abs() * 0.8 + 0.3, x)
    return (x * scale + _per_feature(cases.randn(shape[1]) * 2, x)).to(dtype)


def _scales(cases: Cases, count: int) -> torch.Tensor:
    """Draw factors away from 0 and 1, of both signs."""
    draw = cases.randn(count)
    return draw.sign() * (draw.abs() + 0.4)


def _expect_outcomes(outcomes: Any, wanted: Sequence[tuple[str | None, str]]) -> None:
    """Expect each try to have raised what it should, by name, or nothing."""
    expect.sequence(outcomes, len(wanted))
    for outcome, (name, hint) in zip(outcomes, wanted, strict=True):
        expect.equal(outcome, name, f"{hint}; yours raised {outcome if isinstance(outcome, str) else 'nothing'}.")


# --- 1. batch_norm_forward -------------------------------------------------------------------------------------------


def _forward(student: Student, x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float) -> tuple:
    """Return y and the three parts of the cache."""
    (result,) = _watched(
        student, "result = batch_norm_forward(x, gamma, beta, eps)", ["result"], x=x, gamma=gamma, beta=beta, eps=eps
    )
    expect.sequence(result, 2)
    expect.sequence(result[1], 3, "The cache")
    return (result[0], *result[1])


@check
def batch_norm_forward(student: Student, cases: Cases) -> None:
    """Compare result, cache and gradients with PyTorch's batch normalization in float64."""
    eps = cases.uniform(0.1, 0.3)
    with cases("a batch of rows", weight=2):
        x, gamma, beta = _batch(cases, 5, 4), _scales(cases, 4), cases.randn(4)
        y, *_ = _forward(student, x, gamma, beta, eps)
        expect.close(
            y,
            F.batch_norm(x, None, None, gamma, beta, True, 0.0, eps),
            "y should be gamma * (x - mean) / sqrt(variance + eps) + beta, with mean and variance of each column.",
            _wrong_normalizations(x, gamma, beta, eps),
            what="y",
            **EXACT,
        )
    with cases("positions", weight=2):
        # In the last one all dimensions are alike, so that a wrong one is not seen by its size.
        for shape in ((4, 3, 5), (3, 2, 4, 5), (3, 3, 3, 3)):
            x, gamma, beta = _batch(cases, *shape), _scales(cases, shape[1]), cases.randn(shape[1])
            y, *_ = _forward(student, x, gamma, beta, eps)
            expect.close(
                y,
                F.batch_norm(x, None, None, gamma, beta, True, 0.0, eps),
                f"For x of shape {shape}, each feature has one mean and one variance, over samples and positions.",
                [
                    *_wrong_normalizations(x, gamma, beta, eps),
                    *(
                        [
                            (
                                F.batch_norm(x, None, None, None, None, True, 0.0, eps) * gamma + beta,
                                "gamma and beta meet the last dimension in yours: give them the shape (1, d, 1, 1).",
                            )
                        ]
                        if shape[-1] == shape[1]
                        else []
                    ),
                ],
                what="y",
                **EXACT,
            )
    with cases("the cache"):
        for shape in ((5, 4), (3, 4, 6), (3, 2, 4, 5)):
            x, gamma, beta = _batch(cases, *shape), _scales(cases, shape[1]), cases.randn(shape[1])
            _, x_hat, scale, std = _forward(student, x, gamma, beta, eps)
            var = x.var(_over(x), correction=0)
            m = x.numel() // shape[1]
            expect.close(
                x_hat,
                F.batch_norm(x, None, None, None, None, True, 0.0, eps),
                "The first of the cache is x_hat: normalized, but without gamma and beta.",
                [
                    (F.batch_norm(x, None, None, gamma, beta, True, 0.0, eps), "x_hat is y before gamma and beta."),
                    (x, "The first of the cache is x_hat, not x."),
                    (x - x.mean(_over(x), keepdim=True), "x_hat is divided by std, too."),
                ],
                what="The first of the cache",
                **EXACT,
            )
            expect.close(
                scale,
                gamma,
                "The second of the cache is gamma, as it was given.",
                [((var + eps).sqrt(), "The order of the cache is (x_hat, gamma, std).")],
                what="The second of the cache",
                **EXACT,
            )
            expect.close(
                std,
                (var + eps).sqrt(),
                "The third of the cache is std = sqrt(variance + eps), for each feature.",
                [
                    (var, "The third of the cache is std, a root, and not the variance."),
                    (var + eps, "The third of the cache is std, the root of this."),
                    (var.sqrt(), "std has eps in it: the root of variance + eps."),
                    (1 / (var + eps).sqrt(), "The third of the cache is std, not its inverse."),
                    ((var * m / (m - 1) + eps).sqrt(), "std is that of the biased variance: divide by m."),
                ],
                what="The third of the cache",
                **EXACT,
            )
    with cases("a constant feature"):
        for shape in ((8, 3), (4, 3, 2), (1, 3), (1, 3, 1, 1)):
            x = _batch(cases, *shape)
            # A short binary fraction: its mean is exact.
            x[:, 1] = cases.integer(1, 40) / 4
            gamma, beta = _scales(cases, 3), cases.randn(3)
            y, x_hat, _, std = _forward(student, x, gamma, beta, 1e-5)
            hint = "A feature that is constant in the batch gives beta: no nan, no inf."
            expect.close(y, _or_beta(x, gamma, beta), hint, what="y")
            expect.that(
                bool(torch.isfinite(torch.as_tensor(x_hat)).all() and torch.isfinite(torch.as_tensor(std)).all()), hint
            )
    with cases("inputs keep their values"):
        x, gamma, beta = _batch(cases, 4, 3, 2), _scales(cases, 3), cases.randn(3)
        after, again = _watched(
            student,
            """
            given = [v.clone() for v in (x, gamma, beta)]
            batch_norm_forward(*given, eps)
            after = [kept(v) for v in given]
            given = [v.clone() for v in (x, gamma, beta)]
            y, _ = batch_norm_forward(*given, eps)
            y += 1
            again = [kept(v) for v in given]
            """,
            ["after", "again"],
            x=x,
            gamma=gamma,
            beta=beta,
            eps=eps,
        )
        for seen in (after, again):
            expect.sequence(seen, 3)
            for one, was in zip(seen, (x, gamma, beta), strict=True):
                expect.close(one, was, "Your function changes an input: make new tensors, without `-=` or `mul_`.")
    with cases("gradients"), expect.explained("Gradients should flow from y to x, gamma and beta."):
        for shape in ((5, 3), (3, 2, 4, 2)):
            values = _batch(cases, *shape), _scales(cases, shape[1]), cases.randn(shape[1])
            up = cases.randn(*shape)
            (grads,) = _watched(
                student,
                """
                leaves = [v.requires_grad_() for v in (x, gamma, beta)]
                y = batch_norm_forward(*leaves, eps)[0]
                grads = list(torch.autograd.grad(y, leaves, up, allow_unused=True))
                """,
                ["grads"],
                **dict(zip(("x", "gamma", "beta"), values, strict=True)),
                up=up,
                eps=eps,
            )
            x, gamma, beta = leaves = [v.clone().requires_grad_() for v in values]
            wanted = torch.autograd.grad(F.batch_norm(x, None, None, gamma, beta, True, 0.0, eps), leaves, up)
            x, gamma = x.detach(), gamma.detach()
            expect.sequence(grads, 3, "The gradients")
            for grad, name in zip(grads, ("x", "gamma", "beta"), strict=True):
                expect.that(grad is not None, f"No gradient comes back to {name}: detach nothing.")
            std = _per_feature((x.var(_over(x), correction=0) + eps).sqrt(), x)
            factor, x_hat = _per_feature(gamma, x) / std, (x - x.mean(_over(x), keepdim=True)) / std
            through_mean = up.mean(_over(x), keepdim=True)
            through_var = x_hat * (up * x_hat).mean(_over(x), keepdim=True)
            expect.close(
                grads[0],
                wanted[0],
                "The gradient of x is wrong: it flows directly, and through mean and variance.",
                [
                    (factor * up, "Mean and variance are detached in yours: the gradient flows through both."),
                    (factor * (up - through_mean), "The variance is detached in yours: the gradient flows through it."),
                    (factor * (up - through_var), "The mean is detached in yours: the gradient flows through it."),
                ],
                what="The gradient of x",
                **EXACT,
            )
            for grad, other, name in zip(grads[1:], wanted[1:], ("gamma", "beta"), strict=True):
                expect.close(grad, other, f"The gradient of {name} is wrong.", what=f"The gradient of {name}", **EXACT)
    with cases("rounding in float32"):
        # The mean of 256 values around 10,000 is right to about 1e-3 in float32, whatever the order of the sum. The
        # squares are right to 8 only, so that a variance from them is anything from 0 (or below) to 10.
        x = (10_000 + cases.randn(256, 3)).float()
        y, *_ = _forward(student, x, torch.ones(3), torch.zeros(3), 1e-5)
        expect.close(
            y,
            F.batch_norm(x.double(), None, None, training=True),
            "Around 10,000 the digits are lost: subtract the mean first, then square.",
            what="y",
            rtol=2e-2,
            atol=2e-2,
        )
    with cases("shapes and dtypes"):
        wide = _batch(cases, 6, 5, 8)
        views = [wide.transpose(1, 2), wide[:, ::2], wide[::2, :, 3], wide[:, :, None].expand(6, 5, 3, 8)]
        for x in (*views, *(v.float() for v in views), _batch(cases, 2, 1)):
            d = x.shape[1]
            gamma, beta = _scales(cases, d).to(x.dtype), cases.randn(d, dtype=x.dtype)
            # Inputs cross as copies in order: the view is made on the other side.
            code = """
            result = batch_norm_forward(x.transpose(0, 1).contiguous().transpose(0, 1), gamma, beta, eps)
            """
            (result,) = _watched(student, code, ["result"], x=x, gamma=gamma, beta=beta, eps=eps)
            expect.sequence(result, 2)
            expect.sequence(result[1], 3, "The cache")
            y, (x_hat, scale, std) = result
            hint = f"The definition is the same for x of shape {tuple(x.shape)} in {x.dtype}, also as a view."
            for seen, what in ((y, "y"), (x_hat, "x_hat"), (scale, "gamma in the cache"), (std, "std")):
                expect.dtype(seen, x.dtype, what)
            for seen, wanted, what in (
                (y, F.batch_norm(x.double(), None, None, gamma.double(), beta.double(), True, 0.0, eps), "y"),
                (x_hat, F.batch_norm(x.double(), None, None, None, None, True, 0.0, eps), "x_hat"),
                (std, (x.double().var(_over(x), correction=0) + eps).sqrt(), "std"),
            ):
                tolerance = EXACT if x.dtype is torch.float64 else ROUNDED
                expect.close(seen, wanted, hint, what=what, **tolerance)


def _or_beta(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """Normalize, also one value for each feature, which PyTorch refuses."""
    if x.numel() == x.shape[1]:
        return _per_feature(beta, x).expand_as(x)
    return F.batch_norm(x, None, None, gamma, beta, True, 0.0, 1e-5)


# --- 2. batch_norm_backward ------------------------------------------------------------------------------------------


def _backward(student: Student, dy: torch.Tensor, cache: Sequence[torch.Tensor]) -> tuple:
    """Return dx, dgamma and dbeta of the student's, made without autograd."""
    try:
        (result,) = _watched(
            student,
            "result = batch_norm_backward(dy, tuple(cache))",
            ["result"],
            modules=_GRADIENTS,
            told=_BY_HAND,
            dy=dy,
            cache=list(cache),
        )
    except StudentError as error:
        # PyTorch says so, where torch.func meets the hooks of `watch`.
        expect.that("saved tensor hooks" not in error.message, _BY_HAND)
        expect.that("does not require grad" not in error.message, _BY_HAND)
        raise
    expect.sequence(result, 3)
    return tuple(result)


class _Backward:
    """A batch, what comes from above, and the gradients of all, from autograd in float64."""

    def __init__(self, cases: Cases, *shape: int) -> None:
        self.eps = cases.uniform(0.1, 0.3)
        x, gamma = _batch(cases, *shape), _scales(cases, shape[1])
        self.dy = cases.randn(*shape) + _per_feature(cases.randn(shape[1]), x)
        leaves = [v.clone().requires_grad_() for v in (x, gamma, cases.randn(shape[1]))]
        y = F.batch_norm(leaves[0], None, None, *leaves[1:], True, 0.0, self.eps)
        self.dx, self.dgamma, self.dbeta = torch.autograd.grad(y, leaves, self.dy)
        std = (x.var(_over(x), correction=0) + self.eps).sqrt()
        self.cache = (x - x.mean(_over(x), keepdim=True)) / _per_feature(std, x), gamma, std
        self.n, self.m = shape[0], x.numel() // shape[1]

    def mistakes(self) -> list[tuple[torch.Tensor, str]]:
        """Return the usual wrong dx, each with its hint."""
        dy, (x_hat, gamma, std), m = self.dy, self.cache, self.m
        gamma, std = _per_feature(gamma, dy), _per_feature(std, dy)
        dims = _over(dy)
        mean, along = dy.mean(dims, keepdim=True), x_hat * (dy * x_hat).mean(dims, keepdim=True)
        factor = gamma / std
        found = [
            (factor * dy, "Mean and variance depend on x too: this is the gradient when both are held fixed."),
            (factor * (dy - mean), "The way through the variance is missing in dx."),
            (factor * (dy - along), "The way through the mean is missing in dx."),
            (factor * (dy - m * mean - m * along), "dx takes means over the batch, where yours takes sums."),
            (factor * (dy - mean - m * along), "The way through the variance needs a mean over the batch, not a sum."),
            (factor * (dy - m * mean - along), "The way through the mean needs a mean over the batch, not a sum."),
            ((dy - mean - along) / std, "gamma is missing in dx."),
            (gamma * (dy - mean - along), "std is missing in dx: x_hat is (x - mean) / std."),
            (factor / std * (dy - mean - along), "dx is divided by std once."),
            (factor * (dy + mean + along), "The ways through mean and variance have a minus sign."),
            (factor * (dy - mean + along), "The way through the variance has a minus sign in the end."),
            (factor * (dy + mean - along), "The way through the mean has a minus sign in the end."),
            (-factor * (dy - mean - along), "dx has the wrong sign."),
            (factor * (dy - mean - along / 2), "The square in the variance gives a 2, which cancels the root's 1/2."),
            (factor * (dy - mean - 2 * along), "The 2 of the square cancels the 1/2 of the root."),
            (
                factor * (dy - mean - x_hat * (dy).mean(dims, keepdim=True)),
                "The mean that x_hat is multiplied with is that of dy * x_hat.",
            ),
            (
                factor * (dy - mean - (dy * x_hat).mean(dims, keepdim=True)),
                "The way through the variance is different for each sample: x_hat multiplies it.",
            ),
            (
                factor * (dy - mean - along / std),
                "Check std in the way through the variance: with x_hat in place of x - mean, none is left there.",
            ),
            (
                factor * (dy - mean - along / std**2),
                "Check std in the way through the variance: with x_hat in place of x - mean, none is left there.",
            ),
            (
                factor * (dy - mean - along * std),
                "Check std in the way through the variance: with x_hat in place of x - mean, none is left there.",
            ),
            (gamma * std * (dy - mean - along), "std divides: x_hat is (x - mean) / std."),
            (dy - mean - along, "gamma and std are missing in dx."),
            (factor * gamma * (dy - mean - along), "gamma enters dx once."),
        ]
        if m > 1:
            found += [
                (factor * (dy - mean - along * m / (m - 1)), "The variance is the biased one: divide by m throughout."),
                (factor * (dy - (mean + along) * m / (m - 1)), "Both means divide by m, not by m - 1."),
            ]
        if dy.dim() > 2:
            found += [
                (
                    factor * (dy - (mean + along) * m / self.n),
                    "m is the number of samples times positions, not of samples alone.",
                ),
                (
                    factor * (dy - dy.mean(0, keepdim=True) - x_hat * (dy * x_hat).mean(0, keepdim=True)),
                    "The means in dx are over samples and positions together.",
                ),
            ]
        if dy.dim() == 2:
            found += [
                (
                    factor * (dy - dy.mean(1, keepdim=True) - x_hat * (dy * x_hat).mean(1, keepdim=True)),
                    "The means in dx are over the samples, for each feature.",
                )
            ]
        return found

    def expect_dx(self, dx: Any, hint: str) -> None:
        """Expect the right dx."""
        expect.close(dx, self.dx, hint, self.mistakes(), what="dx", **EXACT)

    def expect_parameters(self, dgamma: Any, dbeta: Any) -> None:
        """Expect the right dgamma and dbeta."""
        dy, (x_hat, gamma, std), m, dims = self.dy, self.cache, self.m, _over(self.dy)
        expect.close(
            dbeta,
            self.dbeta,
            "dbeta is the sum of dy over samples and positions, for each feature.",
            [
                (self.dbeta / m, "dbeta is a sum over the batch, not a mean: beta is added to every value."),
                (self.dgamma, "The order is (dx, dgamma, dbeta): dgamma and dbeta are exchanged in yours."),
                (dy.sum(), "There is one dbeta for each feature."),
                (gamma * self.dbeta, "gamma does not enter dbeta: beta is added after it."),
            ],
            what="dbeta",
            **EXACT,
        )
        expect.close(
            dgamma,
            self.dgamma,
            "dgamma is the sum of dy * x_hat over samples and positions, for each feature.",
            [
                (self.dgamma / m, "dgamma is a sum over the batch, not a mean."),
                (self.dbeta, "gamma multiplies x_hat, so x_hat enters dgamma."),
                (gamma * self.dgamma, "dgamma does not contain gamma: y = gamma * x_hat + beta."),
                (std * self.dgamma, "gamma multiplies x_hat, not x - mean: do not multiply by std in dgamma."),
                (self.dgamma / std, "gamma multiplies x_hat: do not divide by std again in dgamma."),
                ((dy * _scaled(x_hat, gamma, None)).sum(dims), "dgamma does not contain gamma."),
                ((dy * x_hat).sum(), "There is one dgamma for each feature."),
                (-self.dgamma, "dgamma has the wrong sign."),
                (self.dx.sum(dims), "dgamma comes from dy, not from dx."),
            ],
            what="dgamma",
            **EXACT,
        )


@check
def batch_norm_backward(student: Student, cases: Cases) -> None:
    """Compare with autograd of PyTorch's batch normalization in float64."""
    with cases("dx of a batch of rows", weight=3):
        given = _Backward(cases, 6, 4)
        dx, _, _ = _backward(student, given.dy, given.cache)
        given.expect_dx(dx, "dx is wrong for a batch of rows: go through the three ways again.")
    with cases("dgamma and dbeta", weight=2):
        for shape in ((6, 4), (3, 4, 5), (3, 2, 4, 2)):
            given = _Backward(cases, *shape)
            _, dgamma, dbeta = _backward(student, given.dy, given.cache)
            given.expect_parameters(dgamma, dbeta)
    with cases("dx with positions", weight=2):
        for shape in ((4, 3, 5), (3, 2, 4, 5), (3, 3, 3, 3)):
            given = _Backward(cases, *shape)
            dx, _, _ = _backward(student, given.dy, given.cache)
            given.expect_dx(dx, f"dx is wrong for dy of shape {shape}: m counts samples and positions.")
    with cases("the same for all"):
        for shape in ((5, 3), (2, 3, 4, 2)):
            given = _Backward(cases, *shape)
            above = cases.randn(shape[1])
            dy = _per_feature(above, given.dy).expand(shape).clone()
            dx, _, _ = _backward(student, dy, given.cache)
            expect.close(
                dx,
                torch.zeros_like(dy),
                "A dy that is the same for all values of a feature gives dx = 0: shifting the feature changes nothing.",
                what="dx",
                atol=1e-10,
            )
    with cases("one row"):
        dy, gamma = cases.randn(1, 4), _scales(cases, 4)
        cache = torch.zeros_like(dy), gamma, torch.full((4,), 0.1, dtype=dy.dtype)
        dx, dgamma, dbeta = _backward(student, dy, cache)
        expect.close(dx, torch.zeros_like(dy), "A single row is its own mean: y is beta, and dx is 0.", what="dx")
        expect.close(dgamma, torch.zeros(4), "For a single row x_hat is 0, and so is dgamma.", what="dgamma")
        expect.close(dbeta, dy[0], "For a single row dbeta is dy itself.", what="dbeta")
    with cases("inputs keep their values"):
        for shape in ((5, 3), (3, 3, 2, 2)):
            given = _Backward(cases, *shape)
            (after,) = _watched(
                student,
                """
                given, saved = dy.clone(), tuple(v.clone() for v in cache)
                batch_norm_backward(given, saved)
                after = [kept(given), *(kept(v) for v in saved)]
                """,
                ["after"],
                dy=given.dy,
                cache=list(given.cache),
            )
            expect.sequence(after, 4)
            for seen, was in zip(after, (given.dy, *given.cache), strict=True):
                expect.close(
                    seen, was, "Your function changes dy or the cache: make new tensors, without `-=` or `mul_`."
                )
    with cases("shapes and dtypes"):
        for shape in ((7, 1), (5, 3), (2, 3, 4), (2, 3, 4, 3)):
            for dtype in (torch.float32, torch.float64):
                given = _Backward(cases, *shape)
                cache = [v.to(dtype) for v in given.cache]
                result = _backward(student, given.dy.to(dtype), cache)
                wanted = given.dx, given.dgamma, given.dbeta
                for seen, other, what in zip(result, wanted, ("dx", "dgamma", "dbeta"), strict=True):
                    expect.dtype(seen, dtype, what)
                    hint = f"{what} is wrong for dy of shape {shape} in {dtype}."
                    tolerance = EXACT if dtype is torch.float64 else ROUNDED
                    expect.close(seen, other, hint, what=what, **tolerance)
    with cases("views"), expect.explained("dy and x_hat may be views, as expand and transpose make them."):
        given = _Backward(cases, 4, 3, 2, 5)
        results = _watched(
            student,
            """
            x_hat, gamma, std = cache
            turned = dy.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
            x_hat = x_hat.transpose(1, 3).contiguous().transpose(1, 3)
            first = [kept(v) for v in batch_norm_backward(turned, (x_hat, gamma, std))]
            ones = torch.ones((), dtype=dy.dtype).expand(dy.shape)
            second = [kept(v) for v in batch_norm_backward(ones, (x_hat, gamma, std))]
            """,
            ["first", "second"],
            modules=_GRADIENTS,
            told=_BY_HAND,
            dy=given.dy,
            cache=list(given.cache),
        )
        for result in results:
            expect.sequence(result, 3)
        hint = "Your answer depends on how dy or x_hat lies in memory: use reshape in place of view."
        for seen, other, what in zip(
            results[0], (given.dx, given.dgamma, given.dbeta), ("dx", "dgamma", "dbeta"), strict=True
        ):
            expect.close(seen, other, hint, what=what, **EXACT)
        zeros = torch.zeros(3, dtype=torch.float64)
        for seen, other, what in zip(
            results[1], (torch.zeros_like(given.dy), zeros, zeros + given.m), ("dx", "dgamma", "dbeta"), strict=True
        ):
            expect.close(seen, other, hint, what=what, rtol=1e-9, atol=1e-9)


# --- 3. and 4. BatchNorm1d, BatchNorm2d ------------------------------------------------------------------------------

_KEYS = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


class _Layer:
    """One of the two classes, beside PyTorch's.

    Args:
        student: whose class is judged.
        name: of the class.
        shapes: of inputs with three channels; the last one has positions.
        single: the shape of one value for each of three channels.
        refused: shapes that no mode takes, with three channels expected.
    """

    def __init__(
        self,
        student: Student,
        name: str,
        shapes: Sequence[tuple[int, ...]],
        single: Sequence[tuple[int, ...]],
        refused: Sequence[tuple[int, ...]],
    ) -> None:
        self.student, self.name = student, name
        self.shapes, self.single, self.refused = shapes, single, refused

    def run(self, code: str, returns: Sequence[str], **inputs: Any) -> tuple:
        """Run a snippet, in which the class is `Norm`, beside the student's."""
        code = f"Norm = {self.name}\nlook_at(Norm)\n{dedent(code).strip()}"
        return _watched(self.student, code, returns, **inputs)

    def both(self, code: str, returns: Sequence[str], **inputs: Any) -> tuple[tuple, tuple]:
        """Run a snippet beside the student's class and beside PyTorch's."""
        seen = self.run(code, returns, **inputs)
        code = f"{_WATCH}\nNorm = {self.name}\n{dedent(code).strip()}"
        wanted = REFERENCE.run(code, list(returns), operations=[], modules=[], by_hand=False, **inputs)
        return seen, wanted


def _values(actual: Any, wanted: Sequence[Any], hint: str, what: str = "The result", **tolerance: float) -> None:
    """Expect a list of tensors, or of None."""
    expect.sequence(actual, len(wanted), f"{what}s" if what == "The result" else what)
    for one, other in zip(actual, wanted, strict=True):
        if other is None:
            expect.that(one is None, hint)
            continue
        expect.dtype(one, other.dtype, what)
        expect.close(one, other, hint, what=what, **(tolerance or EXACT))


def _state(actual: Any, wanted: dict[str, torch.Tensor], hint: str, **tolerance: float) -> None:
    """Expect the same state: names in order, shapes, dtypes and values."""
    expect.kind(actual, dict, "state_dict()")
    names = [name for name in actual if isinstance(name, str)]
    missing = [name for name in wanted if name not in names]
    extra = [name for name in names if name not in wanted]
    expect.that(
        not missing,
        f"state_dict() has no {', '.join(missing)}: register parameters and buffers under PyTorch's names.",
    )
    expect.that(not extra, f"state_dict() holds more than it should: {', '.join(extra)[:100]}.")
    expect.that(names == list(wanted), f"The order in state_dict() should be {', '.join(wanted)}.")
    for name, value in wanted.items():
        expect.dtype(actual[name], value.dtype, name)
        expect.close(actual[name], value, f"{hint} Look at {name}.", what=name, **(tolerance or EXACT))


def _at_the_start(layer: _Layer, cases: Cases) -> None:
    count = cases.integer(2, 6)
    code = """
    module = Norm(count)
    kind = isinstance(module, nn.Module)
    first = state(module)
    parameters = [name for name, _ in module.named_parameters()]
    buffers = [name for name, _ in module.named_buffers()]
    other = Norm(count, eps=0.01, momentum=0.3, affine=False, track_running_stats=False)
    settings = [[m.num_features, m.eps, m.momentum, m.affine, m.track_running_stats] for m in (module, other)]
    settings.append(Norm(count, momentum=None).momentum)
    shown = list(Norm(count, 0.01, 0.3, False, False).state_dict())
    free = [value.requires_grad for value in module.parameters()]
    """
    returns = ["kind", "first", "parameters", "buffers", "settings", "shown", "free"]
    seen, wanted = layer.both(code, returns, count=count)
    expect.that(seen[0] is True, "The class should be an nn.Module.")
    for values, others, what in ((seen[2], wanted[2], "parameters"), (seen[3], wanted[3], "buffers")):
        expect.kind(values, list)
        lacking = [name for name in others if name not in values]
        expect.that(
            not lacking,
            f"{' and '.join(lacking)} should be among the {what}: nn.Parameter for what is learned, "
            "register_buffer for what is kept.",
        )
        expect.that(values == others, f"The {what} should be {', '.join(others)}, in this order, and no others.")
    _state(seen[1], wanted[1], "A new module starts with ones, zeros, zeros, ones and 0.")
    expect.that(seen[6] == [True, True], "weight and bias are learned: they require gradients.")
    expect.equal(
        seen[4],
        wanted[4],
        "The settings should be kept under their own names, with PyTorch's defaults: num_features, eps, momentum, "
        "affine, track_running_stats.",
    )
    expect.equal(seen[5], [], "With affine=False and track_running_stats=False the state_dict() is empty.")


_PREPARED = """
def prepared(count, **settings):
    module = Norm(count, **settings).double()
    with torch.no_grad():
        if module.weight is not None:
            module.weight.copy_(gamma)
            module.bias.copy_(beta)
        if module.running_mean is not None:
            module.running_mean.copy_(mean)
            module.running_var.copy_(var)
    return module
"""


def _drawn(cases: Cases, count: int = 3) -> dict[str, torch.Tensor]:
    """Draw a module's parameters and running statistics."""
    return {
        "gamma": _scales(cases, count),
        "beta": cases.randn(count),
        "mean": cases.randn(count),
        "var": cases.randn(count).abs() + 0.4,
    }


def _training(layer: _Layer, cases: Cases) -> None:
    eps = cases.uniform(0.1, 0.3)
    for shape in layer.shapes:
        x, drawn = _batch(cases, *shape), _drawn(cases)
        code = _PREPARED + "out = kept(prepared(3, eps=eps)(x.clone()))"
        (out,), (wanted,) = layer.both(code, ["out"], x=x, eps=eps, **drawn)
        gamma, beta = drawn["gamma"], drawn["beta"]
        mean, var = (_per_feature(drawn[k], x) for k in ("mean", "var"))
        used = "In training mode the batch's own statistics normalize, and not the running ones."
        # The running statistics after this batch, as one would use who updates them first.
        late_mean = 0.9 * mean + 0.1 * x.mean(_over(x), keepdim=True)
        late_var = 0.9 * var + 0.1 * x.var(_over(x), keepdim=True)
        expect.close(
            out,
            wanted,
            f"In training mode, x of shape {shape} is not normalized as it should be.",
            [
                *_wrong_normalizations(x, gamma, beta, eps),
                (_scaled((x - mean) / (var + eps).sqrt(), gamma, beta), used),
                (_scaled((x - late_mean) / (late_var + eps).sqrt(), gamma, beta), used),
                (x, "In training mode nothing is normalized."),
            ],
            **EXACT,
        )


def _one_batch(layer: _Layer, cases: Cases) -> None:
    for shape in layer.shapes:
        for momentum in (0.1, cases.uniform(0.2, 0.4)):
            x, drawn = _batch(cases, *shape), _drawn(cases)
            code = _PREPARED + "module = prepared(3, momentum=momentum)\nmodule(x.clone())\nafter = state(module)"
            (after,), (wanted,) = layer.both(code, ["after"], x=x, momentum=momentum, **drawn)
            dims, m = _over(x), x.numel() // 3
            biased, unbiased = x.var(dims, correction=0), x.var(dims)
            old, keep = drawn["var"], 1 - momentum
            expect.kind(after, dict, "state_dict()")
            expect.that(set(_KEYS) <= set(after), "state_dict() should still hold the three buffers after a batch.")
            if shape[0] > 1 and m > shape[0]:
                few = (
                    keep * old + momentum * biased * shape[0] / (shape[0] - 1),
                    "m in m / (m - 1) counts samples times positions, not samples alone.",
                )
            else:
                few = (old * 0, "running_var should not be 0.")
            expect.close(
                after["running_mean"],
                wanted["running_mean"],
                "After one batch running_mean is (1 - momentum) * old + momentum * mean.",
                [
                    (
                        keep * x.mean(dims) + momentum * drawn["mean"],
                        "momentum is the weight of the new batch, and 1 - momentum that of the old: not the other way.",
                    ),
                    (drawn["mean"], "In training mode running_mean should be updated: it did not change."),
                    (x.mean(dims), "running_mean is replaced in yours: it moves by the share momentum."),
                    (drawn["mean"] + momentum * x.mean(dims), "The old running_mean is multiplied by 1 - momentum."),
                ],
                what="running_mean",
                **EXACT,
            )
            expect.close(
                after["running_var"],
                wanted["running_var"],
                "After one batch running_var is (1 - momentum) * old + momentum * m / (m - 1) * variance.",
                [
                    few,
                    (
                        keep * old + momentum * biased,
                        "running_var takes the unbiased variance: m / (m - 1) times that which normalizes.",
                    ),
                    (keep * old + momentum * (biased + 1e-5), "eps does not enter running_var."),
                    (keep * old + momentum * (unbiased + 1e-5), "eps does not enter running_var."),
                    (keep * old + momentum * unbiased.sqrt(), "running_var is a variance, not a standard deviation."),
                    (keep * old + momentum * biased.sqrt(), "running_var is a variance, not a standard deviation."),
                    (
                        keep * unbiased + momentum * old,
                        "momentum is the weight of the new batch, and 1 - momentum that of the old: not the other way.",
                    ),
                    (old, "In training mode running_var should be updated: it did not change."),
                    (unbiased, "running_var is replaced in yours: it moves by the share momentum."),
                    (keep * old + momentum * biased * (m - 1) / m, "Multiply by m / (m - 1), not by its inverse."),
                ],
                what="running_var",
                **EXACT,
            )
            expect.dtype(after["num_batches_tracked"], torch.int64, "num_batches_tracked")
            expect.close(
                after["num_batches_tracked"],
                wanted["num_batches_tracked"],
                "num_batches_tracked goes up by one with each batch in training mode.",
                what="num_batches_tracked",
            )
            _state(after, wanted, "After one batch the state is not as it should be.")


def _many_steps(layer: _Layer, cases: Cases) -> None:
    modes = [True, True, False, True, False, False, True, True, False]
    xs = [_batch(cases, *layer.shapes[i % len(layer.shapes)]) for i in range(len(modes))]
    code = (
        _PREPARED
        + """
module, other = prepared(3), prepared(3, momentum=0.3)
model = nn.Sequential(nn.Sequential(module), other)
outs, states = [], []
for x, mode in zip(xs, modes):
    model.train(mode)
    outs.append(kept(module(x.clone())))
    states.append(state(module))
    other(x.clone() * 2 + 1)
states.append(state(other))
# The mode decides, and nothing else: not whether gradients are recorded.
model.train()
with torch.no_grad():
    outs.append(kept(module(xs[0].clone())))
states.append(state(module))
model.eval()
outs.append(kept(module(xs[0].clone().requires_grad_())))
states.append(state(module))
"""
    )
    (outs, states), (wanted, wanted_states) = layer.both(code, ["outs", "states"], xs=xs, modes=modes, **_drawn(cases))
    expect.sequence(states, len(wanted_states), "The states")
    hints = [
        "After training and eval modes in turn, the state is not as it should be."
        if mode
        else "In eval mode no buffer changes."
        for mode in modes
    ]
    hints += [
        "Two layers with different inputs should each have statistics of their own.",
        "In training mode the buffers are updated under torch.no_grad() too: self.training alone decides.",
        "In eval mode no buffer changes, also when the input requires gradients.",
    ]
    for one, other, hint in zip(states, wanted_states, hints, strict=True):
        _state(one, other, hint)
    _values(outs, wanted, "Over several steps in both modes the results are not those of PyTorch's layer.")


def _evaluation(layer: _Layer, cases: Cases) -> None:
    eps = cases.uniform(0.1, 0.3)
    for shape in (*layer.shapes, *layer.single):
        x, drawn = _batch(cases, *shape), _drawn(cases)
        code = (
            _PREPARED
            + """
module = prepared(3, eps=eps)
model = nn.Sequential(nn.Sequential(module)).eval()
before = state(module)
out = kept(model(x.clone()))
after = state(module)
"""
        )
        (out, before, after), (wanted, _, _) = layer.both(code, ["out", "before", "after"], x=x, eps=eps, **drawn)
        gamma, beta = drawn["gamma"], drawn["beta"]
        mean, var = (_per_feature(drawn[k], x) for k in ("mean", "var"))
        own = _scaled(_with_statistics(x, eps, _over(x)), gamma, beta)
        right = (x - mean) / (var + eps).sqrt()
        expect.close(
            out,
            wanted,
            "In eval mode the running statistics normalize.",
            [
                (own, "In eval mode the batch's statistics normalize in yours: use the running ones."),
                (
                    _scaled((x - mean) / (var.sqrt() + eps), gamma, beta),
                    "In eval mode too, eps is added to the variance, inside of the root.",
                ),
                (_scaled((x - mean) / var.sqrt(), gamma, beta), "In eval mode eps is missing."),
                (_scaled((x - mean) / (var + eps), gamma, beta), "In eval mode the root is missing."),
                (_scaled((x - mean) / var, gamma, beta), "In eval mode the root is missing, and eps."),
                (right, "In eval mode weight and bias are missing."),
                (x, "In eval mode nothing is normalized: use the running statistics."),
                (
                    _scaled((x - mean) / (_with_m(var, x) + eps).sqrt(), gamma, beta),
                    "running_var is used as it is in eval mode.",
                ),
            ],
            **EXACT,
        )
        expect.kind(before, dict)
        _state(after, before, "In eval mode no buffer changes.")


def _with_m(var: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    m = x.numel() // x.shape[1]
    return var * (m - 1) / m


def _momenta(layer: _Layer, cases: Cases) -> None:
    xs = [_batch(cases, *layer.shapes[i % len(layer.shapes)]) for i in range(4)]
    code = _PREPARED + (
        """
module = prepared(3, momentum=momentum)
states = []
for x in xs:
    module(x.clone())
    states.append(state(module))
"""
    )
    drawn = _drawn(cases)
    (states,), (wanted,) = layer.both(code, ["states"], xs=xs, momentum=None, **drawn)
    expect.sequence(states, len(wanted), "The states")
    means = [x.mean(_over(x)) for x in xs]
    for number, (one, other) in enumerate(zip(states, wanted, strict=True), start=1):
        expect.kind(one, dict, "state_dict()")
        kept = (0.9 * drawn["mean"] + 0.1 * means[0]) if number == 1 else None
        plus = (drawn["mean"] + means[0]) / 2 if number == 1 else None
        expect.close(
            one.get("running_mean"),
            other["running_mean"],
            "With momentum=None the factor is 1 / num_batches_tracked, this batch included: running_mean is the mean "
            "of all batches' means.",
            [
                *(
                    [(kept, "momentum=None does not mean 0.1: the factor is 1 / num_batches_tracked.")]
                    if number == 1
                    else []
                ),
                *(
                    [(plus, "With momentum=None, the first batch has the factor 1: count it first, then divide.")]
                    if number == 1
                    else []
                ),
            ],
            what="running_mean",
            **SHARE,
        )
        _state(
            one,
            other,
            "With momentum=None the factor is 1 / num_batches_tracked, for both running statistics.",
            **SHARE,
        )
    for momentum in (0, 0.0, 1, 1.0):
        (states,), (wanted,) = layer.both(code, ["states"], xs=xs, momentum=momentum, **drawn)
        expect.sequence(states, len(wanted), "The states")
        hint = (
            "momentum=0 means 0, not None: the running statistics stay, and the batches are counted."
            if momentum == 0
            else "momentum=1 means that the running statistics are those of the last batch."
        )
        for one, other in zip(states, wanted, strict=True):
            _state(one, other, hint)


def _settings_change(layer: _Layer, cases: Cases) -> None:
    xs = [_batch(cases, *layer.shapes[0]) for _ in range(4)]
    code = _PREPARED + (
        """
module = prepared(3)
outs, states = [], []
for x, momentum, eps in zip(xs, [0.1, 0.5, None, 0.2], [0.1, 0.2, 0.3, 0.01]):
    module.momentum, module.eps = momentum, eps
    outs.append(kept(module(x.clone())))
    states.append(state(module))
module.eval()
module.eps = 0.25
outs.append(kept(module(xs[0].clone())))
"""
    )
    (outs, states), (wanted, wanted_states) = layer.both(code, ["outs", "states"], xs=xs, **_drawn(cases))
    expect.sequence(states, len(wanted_states), "The states")
    for one, other in zip(states, wanted_states, strict=True):
        hint = "When self.momentum is changed later, the next call should follow: read it in each call."
        _state(one, other, hint, **SHARE)
    hint = "When self.eps is changed later, the next call should follow: read it in each call."
    _values(outs, wanted, hint, **SHARE)


def _switches(layer: _Layer, cases: Cases) -> None:
    xs = [_batch(cases, *shape) for shape in layer.shapes]
    code = _PREPARED + (
        """
module = prepared(3, track_running_stats=track, affine=affine)
names = list(module.state_dict())
outs, states = [], []
for mode in (True, False, True):
    module.train(mode)
    for x in xs:
        outs.append(kept(module(x.clone())))
        states.append(state(module))
nothing = [module.running_mean, module.running_var, module.num_batches_tracked] if not track else [None] * 3
nothing += [module.weight, module.bias] if not affine else [None] * 2
nothing = [v is None for v in nothing]
"""
    )
    for track, affine in ((False, True), (True, False), (False, False)):
        hint = "With " + " and ".join(
            [*(["track_running_stats=False"] if not track else []), *(["affine=False"] if not affine else [])]
        )
        with expect.explained(f"{hint} your layer should work too."):
            seen, wanted = layer.both(
                code, ["names", "outs", "states", "nothing"], xs=xs, track=track, affine=affine, **_drawn(cases)
            )
        names, outs, states, nothing = seen
        kept = ", ".join(wanted[0]) or "empty"
        expect.that(nothing == [True] * 5, f"{hint}, these parameters or buffers should be None, but there.")
        expect.equal(names, wanted[0], f"{hint}, the state_dict() should be: {kept}.")
        _values(
            outs,
            wanted[1],
            f"{hint}, the results in training and eval mode are not those of PyTorch's layer."
            + ("" if track else " The batch's statistics normalize in both modes."),
        )
        expect.sequence(states, len(wanted[2]), "The states")
        for one, other in zip(states, wanted[2], strict=True):
            _state(one, other, f"{hint}, the state is not as it should be.")


def _refusals(layer: _Layer, cases: Cases) -> None:
    code = _PREPARED + (
        """
import math
module = prepared(3)
before = state(module)
outcomes, changed = [], []
def attempt(module, shape, mode):
    module.train(mode)
    was = state(module)
    values = torch.arange(float(math.prod(shape)), dtype=torch.float64)
    try:
        module(values.reshape(shape))
        outcomes.append(None)
    except NotImplementedError:
        raise
    except Exception as error:
        outcomes.append("ValueError" if isinstance(error, ValueError) else type(error).__name__)
    now = state(module)
    changed.append(any(not torch.equal(now[k], was[k]) for k in was))
for shape in refused:
    attempt(module, shape, True)
    attempt(module, shape, False)
for shape in single:
    attempt(module, shape, True)
for shape in single:
    attempt(module, shape, False)
none = prepared(3, track_running_stats=False)
for shape in single:
    attempt(none, shape, True)
    attempt(none, shape, False)
free = Norm(3, affine=False, track_running_stats=False).double()
attempt(free, refused[-1], True)
"""
    )
    outcomes, changed = layer.run(
        code,
        ["outcomes", "changed"],
        refused=[list(s) for s in layer.refused],
        single=[list(s) for s in layer.single],
        **_drawn(cases),
    )
    wanted = []
    for shape in layer.refused:
        for mode in ("training", "eval"):
            wanted.append(
                ("ValueError", f"With 3 channels, an x of shape {shape} should raise a ValueError, in {mode} mode")
            )
    for shape in layer.single:
        wanted.append(
            ("ValueError", f"One value for each channel (shape {shape}) should raise a ValueError in training mode")
        )
    for shape in layer.single:
        wanted.append((None, f"In eval mode one value for each channel (shape {shape}) is fine: raise nothing"))
    for shape in layer.single:
        for mode in ("training", "eval"):
            wanted.append(
                (
                    "ValueError",
                    f"With track_running_stats=False, one value for each channel (shape {shape}) should raise a "
                    f"ValueError in {mode} mode too",
                )
            )
    wanted.append(
        ("ValueError", "A wrong number of channels should raise a ValueError without parameters and buffers too")
    )
    _expect_outcomes(outcomes, wanted)
    expect.sequence(changed, len(wanted))
    for flag, (outcome, _) in zip(changed, wanted, strict=True):
        expect.that(
            flag is False,
            "An input that is refused should change no buffer: look before you count and update."
            if outcome
            else "In eval mode no buffer changes.",
        )


def _gradients(layer: _Layer, cases: Cases) -> None:
    code = _PREPARED + (
        """
module = prepared(3, momentum=momentum)
weights = [module.weight, module.bias]
outs, grads, graph = [], [], []
given = []
for mode in (True, True, False, True):
    module.train(mode)
    leaf = x.clone().requires_grad_()
    out = module(leaf * 1.5)
    grads.append([kept(g) for g in torch.autograd.grad(out, [leaf, *weights], up, allow_unused=True)])
    outs.append(kept(out))
    buffers = [module.running_mean, module.running_var, module.num_batches_tracked]
    graph.append(any(b.requires_grad or b.grad_fn is not None for b in buffers))
    graph.append(any(isinstance(b, nn.Parameter) for b in buffers))
import copy
twin = copy.deepcopy(module)
"""
    )
    for momentum in (0.1, None):
        for shape in layer.shapes:
            x, up, drawn = _batch(cases, *shape), cases.randn(*shape), _drawn(cases)
            try:
                seen, wanted = layer.both(code, ["outs", "grads", "graph"], x=x, up=up, momentum=momentum, **drawn)
            except StudentError as error:
                held = ("second time", "deepcopy", "does not require grad")
                if any(words in error.message for words in held):
                    expect.that(
                        "does not require grad" in error.message,  # of what is differentiated
                        "The buffers belong to a graph in yours: a second step goes back into the first. Update them "
                        "under torch.no_grad(), or with detached statistics.",
                    )
                    expect.that(False, "The result belongs to no graph: gradients should flow to x, weight and bias.")
                raise
            outs, grads, graph = seen
            expect.sequence(graph, len(wanted[2]))
            expect.that(
                True not in graph,
                "The buffers require gradients or belong to a graph in yours: update them under torch.no_grad(), or "
                "with detached statistics.",
            )
            expect.sequence(grads, len(wanted[1]), "The gradients")
            modes = ("training", "training", "eval", "training")
            for one, other, mode in zip(grads, wanted[1], modes, strict=True):
                expect.sequence(one, 3, "The gradients")
                for grad, right, name in zip(one, other, ("x", "weight", "bias"), strict=True):
                    expect.that(grad is not None, f"In {mode} mode no gradient comes back to {name}.")
                    mistakes = []
                    if name == "x" and mode == "training":
                        std = (x * 1.5).var(_over(x), correction=0).add(1e-5).sqrt()
                        factor = 1.5 * _per_feature(drawn["gamma"] / std, x)
                        centered = x - x.mean(_over(x), keepdim=True)
                        x_hat = centered * 1.5 / _per_feature(std, x)
                        through_var = x_hat * (up * x_hat).mean(_over(x), keepdim=True)
                        through_mean = up.mean(_over(x), keepdim=True)
                        cut = "are detached in yours: in training mode the gradient flows through them."
                        mistakes = [
                            (factor * up, f"Mean and variance {cut}"),
                            (factor * (up - through_mean), "The variance is detached: the gradient flows through it."),
                            (factor * (up - through_var), "The mean is detached: the gradient flows through it."),
                        ]
                    expect.close(
                        grad,
                        right,
                        f"In {mode} mode the gradient of {name} is not that of PyTorch's layer.",
                        mistakes,
                        what=f"The gradient of {name}",
                        **SHARE,
                    )
            _values(
                outs, wanted[0], "While gradients are recorded, the results are not those of PyTorch's layer.", **SHARE
            )


def _exchange(layer: _Layer, cases: Cases) -> None:
    theirs = getattr(nn, layer.name)
    for momentum in (0.1, None):
        saved = theirs(3, momentum=momentum).double()
        for shape in layer.shapes:
            saved(_batch(cases, *shape))
        with torch.no_grad():
            saved.weight.copy_(_scales(cases, 3))
            saved.bias.copy_(cases.randn(3))
        given = {name: value.clone() for name, value in saved.state_dict().items()}
        xs = [_batch(cases, *layer.shapes[i % len(layer.shapes)]) for i in range(3)]
        with expect.explained(f"A state of nn.{layer.name} should load with strict=True."):
            code = """
            module = Norm(3, momentum=momentum).double()
            module.load_state_dict(saved, strict=True)
            loaded = state(module)
            module.eval()
            calm = kept(module(xs[0].clone()))
            module.train()
            outs = [kept(module(x.clone())) for x in xs]
            after = state(module)
            # Into a second one, through what the first wrote.
            other = Norm(3, momentum=momentum).double()
            other.load_state_dict(module.state_dict(), strict=True)
            outs.append(kept(other.eval()(xs[1].clone())))
            kinds = [name for name, value in other.named_parameters()] + [name for name, value in other.named_buffers()]
            """
            loaded, calm, outs, after, kinds = layer.run(
                code, ["loaded", "calm", "outs", "after", "kinds"], saved=given, xs=xs, momentum=momentum
            )
        _state(loaded, given, f"A state of nn.{layer.name} was loaded, and is not all there.")
        there = copy.deepcopy(saved)
        wanted_calm = there.eval()(xs[0]).detach()
        there.train()
        wanted = [there(x).detach() for x in xs]
        final = {name: value.clone() for name, value in there.state_dict().items()}
        wanted.append(there.eval()(xs[1]).detach())
        _values([calm], [wanted_calm], f"With a state of nn.{layer.name}, eval mode gives other results.", **SHARE)
        _state(after, final, f"Training does not go on from a state of nn.{layer.name} as it should.", **SHARE)
        _values(outs, wanted, f"Training does not go on from a state of nn.{layer.name} as it should.", **SHARE)
        expect.that(kinds == _KEYS, "After loading, parameters and buffers should be what they were.")
        back = theirs(3).double()
        back.load_state_dict(after, strict=True)  # cannot fail: `_state` has compared names, shapes and dtypes


def _half(layer: _Layer, cases: Cases) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        x = (_batch(cases, 16, *layer.shapes[-1][1:]) + 3).to(dtype)
        with expect.explained(f"A module in float32 should take an x in {dtype}."):
            out, calm, after, graded = layer.run(
                """
                module = Norm(3)
                leaf = x.clone().requires_grad_()
                out = module(leaf)
                out.sum().backward()
                graded = leaf.grad is not None
                after = state(module)
                out = kept(out)
                calm = kept(module.eval()(x.clone()))
                """,
                ["out", "calm", "after", "graded"],
                x=x,
            )
        exact = x.double()
        reference = getattr(nn, layer.name)(3).double()
        wanted = reference(exact).detach()
        state = {
            name: value if name == "num_batches_tracked" else value.float()
            for name, value in reference.state_dict().items()
        }
        expect.kind(after, dict, "state_dict()")
        # Statistics in bfloat16 have an error of 2^-9, relative, which is 20 times this tolerance; those in float16
        # have one of 2^-12 when all else is right. Sums in float32 are right to 1e-6.
        for name, value in state.items():
            expect.that(name in after, f"state_dict() should hold {name}.")
            expect.dtype(after[name], value.dtype, name)
        hint = f"For x in {dtype} the statistics should be computed in float32: convert x first."
        _state(after, state, hint, rtol=2e-5, atol=2e-6)
        for one, other, mode in (
            (out, wanted, "training"),
            (calm, reference.eval()(exact).detach(), "eval"),
        ):
            expect.dtype(one, dtype, f"The result in {mode} mode")
            expect.close(one, other, f"In {mode} mode the result for x in {dtype} is not close.")
        expect.that(graded is True, f"For x in {dtype} no gradient comes back to x.")


def _dtypes(layer: _Layer, cases: Cases) -> None:
    for dtype in (torch.float32, torch.float64):
        x = _batch(cases, *layer.shapes[-1], dtype=dtype)
        code = """
        module = Norm(3).to(dtype)
        outs = [kept(module(x.clone())), kept(module(x.clone()))]
        outs.append(kept(module.eval()(x.clone())))
        after = state(module)
        """
        (outs, after), (wanted, state) = layer.both(code, ["outs", "after"], x=x, dtype=dtype)
        tolerance = EXACT if dtype is torch.float64 else ROUNDED
        _values(outs, wanted, f"In {dtype} the results are not those of PyTorch's layer.", **tolerance)
        _state(after, state, f"In {dtype} the state is not as it should be.", **tolerance)
    # See the case "rounding in float32" of exercise 1.
    shape = (256, *layer.shapes[-1][1:])
    x = (10_000 + cases.randn(*shape)).float()
    out, after = layer.run("module = Norm(3)\nout = kept(module(x))\nafter = state(module)", ["out", "after"], x=x)
    hint = "Around 10,000 float32 loses the digits: subtract the mean first, then square."
    expect.close(out, F.batch_norm(x.double(), None, None, training=True), hint, rtol=2e-2, atol=2e-2)
    expect.kind(after, dict, "state_dict()")
    wanted = 0.9 + 0.1 * x.double().var(_over(x))
    expect.close(after.get("running_var"), wanted, hint, what="running_var", rtol=1e-3, atol=1e-3)


def _left_alone(layer: _Layer, cases: Cases) -> None:
    for shape in layer.shapes:
        x = _batch(cases, *shape)
        code = _PREPARED + (
            """
after = []
for affine in (True, False):
    for mode in (True, False):
        given = x.clone()
        out = prepared(3, affine=affine).train(mode)(given)
        after.append(kept(given))
"""
        )
        (after,) = layer.run(code, ["after"], x=x, **_drawn(cases))
        hint = "Your layer changes its input: make new tensors, without `-=` or `mul_` on x."
        _values(after, [x] * 4, hint, "The input")
        code = _PREPARED + (
            """
outs = []
for mode in (True, False):
    module = prepared(3).train(mode)
    turned = x.transpose(0, 1).contiguous().transpose(0, 1)
    outs.append(kept(module(turned)))
    if x.dim() == 4:
        outs.append(kept(module(x.contiguous(memory_format=torch.channels_last))))
    outs.append(kept(module(x[::2])))
    outs.append(kept(module(x[:1].expand(4, *x.shape[1:]) + 0 * x[0])))
    outs.append(kept(module(x[-1:].expand(4, *x.shape[1:]))))
"""
        )
        with expect.explained("An x that is a view, or channels_last, is an input as any other."):
            (outs,), (wanted,) = layer.both(code, ["outs"], x=x, **_drawn(cases))
        _values(outs, wanted, "Your layer depends on how x lies in memory.", rtol=1e-7, atol=1e-8)


def _check_layer(layer: _Layer, cases: Cases) -> None:
    """Run all cases on one of the two layers."""
    with cases("at the start"):
        _at_the_start(layer, cases)
    with cases("training mode", weight=3):
        _training(layer, cases)
    with cases("the running statistics", weight=3):
        _one_batch(layer, cases)
    with cases("eval mode", weight=2):
        _evaluation(layer, cases)
    with cases("many steps in both modes", weight=2):
        _many_steps(layer, cases)
    with cases("momentum=None, 0 and 1"), expect.explained("momentum may be None, 0 and 1."):
        _momenta(layer, cases)
    with cases("the input"):
        _left_alone(layer, cases)
    with cases("gradients", weight=2):
        _gradients(layer, cases)
    with cases("without running statistics, without scale and shift"):
        _switches(layer, cases)
    with cases("inputs that are refused"):
        _refusals(layer, cases)
    with cases("states to PyTorch and back"):
        _exchange(layer, cases)
    with cases("settings that change"):
        _settings_change(layer, cases)
    with cases("float32 and float64"):
        _dtypes(layer, cases)
    with cases("half precision"):
        _half(layer, cases)


@check
def BatchNorm1d(student: Student, cases: Cases) -> None:
    """Compare results, gradients and every buffer with torch.nn.BatchNorm1d in float64."""
    layer = _Layer(
        student,
        "BatchNorm1d",
        shapes=[(6, 3), (4, 3, 5), (1, 3, 4)],
        single=[(1, 3), (1, 3, 1)],
        refused=[(3,), (2, 3, 2, 2), (2, 3, 1, 1, 1), (3, 4), (4, 2, 3), (4, 1), (4, 6, 2)],
    )
    with _one_thread():
        _check_layer(layer, cases)


@check
def BatchNorm2d(student: Student, cases: Cases) -> None:
    """Compare results, gradients and every buffer with torch.nn.BatchNorm2d in float64."""
    layer = _Layer(
        student,
        "BatchNorm2d",
        shapes=[(4, 3, 2, 5), (3, 3, 3, 3), (1, 3, 4, 2), (5, 3, 1, 1)],
        single=[(1, 3, 1, 1)],
        refused=[(3,), (4, 3), (4, 3, 5), (3, 4, 5), (2, 3, 2, 2, 2), (3, 4, 3, 3), (3, 1, 2, 2), (3, 6, 2, 2)],
    )
    with _one_thread():
        _check_layer(layer, cases)


# --- 5. fold_batch_norm ----------------------------------------------------------------------------------------------

_FOLD = """
def build():
    conv = nn.Conv2d(**conv_settings).to(dtype)
    conv.load_state_dict(conv_state)
    bn = nn.BatchNorm2d(**bn_settings).to(dtype)
    bn.load_state_dict(bn_state)
    return conv.train(modes[0]), bn.train(modes[1])
conv, bn = build()
"""


class _Fold:
    """A convolution and a batch normalization, and what folding them should give."""

    def __init__(
        self, cases: Cases, conv: dict[str, Any], *, affine: bool = True, dtype: torch.dtype = torch.float64
    ) -> None:
        conv = {"in_channels": 3, "out_channels": 4, "kernel_size": 3, **conv}
        bn = {"num_features": conv["out_channels"], "eps": cases.uniform(0.1, 0.3), "affine": affine}
        self.conv, self.bn = nn.Conv2d(**conv).double(), nn.BatchNorm2d(**bn).double()
        drawn = _drawn(cases, conv["out_channels"])
        with torch.no_grad():
            for parameter in self.conv.parameters():
                parameter.copy_(cases.randn(*parameter.shape).to(dtype))
            if affine:
                self.bn.weight.copy_(drawn["gamma"].to(dtype))
                self.bn.bias.copy_(drawn["beta"].to(dtype))
            self.bn.running_mean.copy_(drawn["mean"].to(dtype))
            self.bn.running_var.copy_(drawn["var"].to(dtype))
        self.dtype = dtype
        self.x = cases.randn(2, conv["in_channels"], 9, 8).to(dtype)
        self.inputs = {
            "conv_settings": conv,
            "bn_settings": bn,
            "conv_state": {k: v.to(dtype) for k, v in self.conv.state_dict().items()},
            "bn_state": {
                k: v.to(dtype) if v.is_floating_point() else v.clone() for k, v in self.bn.state_dict().items()
            },
            "dtype": dtype,
        }
        with torch.no_grad():
            self.out = self.bn.eval()(self.conv(self.x.double()))

    def parts(self) -> tuple[torch.Tensor, ...]:
        """Return weight and bias of the convolution, gamma, beta, mean, variance and eps, in float64."""
        weight = self.conv.weight.detach()
        zeros, ones = weight.new_zeros(len(weight)), weight.new_ones(len(weight))
        bias = zeros if self.conv.bias is None else self.conv.bias.detach()
        gamma = ones if self.bn.weight is None else self.bn.weight.detach()
        beta = zeros if self.bn.bias is None else self.bn.bias.detach()
        return weight, bias, gamma, beta, self.bn.running_mean, self.bn.running_var, self.bn.eps

    def judge(self, student: Student, hint: str, modes: Sequence[bool] = (True, False)) -> None:
        """Expect the right weight, bias and outputs, of a convolution that belongs to no graph."""
        kind, weight, bias, kinds, outs = _folds(
            student,
            _FOLD
            + """
folded = fold_batch_norm(conv, bn)
kind = isinstance(folded, nn.Conv2d)
weight, bias, kinds, outs = None, None, [], []
if kind:
    weight, bias = kept(folded.weight), kept(folded.bias)
    kinds = [isinstance(v, nn.Parameter) and v.is_leaf for v in (folded.weight, folded.bias)]
    # As a model would have it, in both modes.
    if bias is not None and weight.dtype == bias.dtype == dtype:
        outs = [kept(folded(x)), kept(nn.Sequential(folded).eval()(x))]
""",
            ["kind", "weight", "bias", "kinds", "outs"],
            modes=list(modes),
            x=self.x,
            **self.inputs,
        )
        expect.that(kind is True, "The result should be one nn.Conv2d.")
        expect.that(bias is not None, "The new convolution needs a bias, also when the old one has none.")
        expect.that(kinds == [True, True], "Weight and bias of the result should be nn.Parameters without a graph.")
        old, b, gamma, beta, mean, var, eps = self.parts()
        root = (var + eps).sqrt()
        scale = gamma / root
        tolerance = EXACT if self.dtype is torch.float64 else ROUNDED

        def times(factor: torch.Tensor) -> torch.Tensor:
            return old * factor.reshape(-1, 1, 1, 1)

        mistakes = [
            (old, "The weights did not change: multiply each output channel by gamma / sqrt(running_var + eps)."),
            (times(gamma / var.sqrt()), "eps is missing: the root is that of running_var + eps."),
            (times(gamma / (var.sqrt() + eps)), "eps is added to running_var, inside of the root."),
            (times(gamma / (var + eps)), "The root is missing: gamma is divided by sqrt(running_var + eps)."),
            (times(gamma / var), "The root is missing, and eps: gamma is divided by sqrt(running_var + eps)."),
            (times(1 / root), "gamma is missing in the weights."),
            (times(gamma), "The running variance is missing in the weights."),
            (times(gamma * root), "Divide gamma by the root of running_var + eps."),
        ]
        if old.shape[0] == old.shape[1]:
            mistakes += [
                (
                    old * scale.reshape(1, -1, 1, 1),
                    "The factor belongs to the output channel, dimension 0 of the weight, not to the input channel.",
                ),
            ]
        if old.shape[-1] == len(scale):
            mistakes += [(old * scale, "The factor belongs to dimension 0 of the weight: reshape it to (-1, 1, 1, 1).")]
        expect.dtype(weight, self.dtype, "The weight")
        expect.dtype(bias, self.dtype, "The bias")
        expect.close(weight, old * scale.reshape(-1, 1, 1, 1), hint, mistakes, what="The weight", **tolerance)
        expect.close(
            bias,
            (b - mean) * scale + beta,
            f"The bias is wrong. {hint}",
            [
                (beta - mean * scale, "The bias of conv is lost: batch normalization scales it too."),
                (b + beta - mean * scale, "The bias of conv is scaled too: (b - running_mean) * factor + beta."),
                ((b - mean) * scale, "beta is missing in the bias."),
                (b - mean * scale + beta, "The bias of conv is scaled too: (b - running_mean) * factor + beta."),
                (b * scale + beta, "The running mean is missing in the bias."),
                ((b + mean) * scale + beta, "The running mean is subtracted in the bias."),
                ((b - mean) * gamma + beta, "The running variance is missing in the bias."),
                ((b - mean) / root + beta, "gamma is missing in the bias."),
                ((b - mean + beta) * scale, "beta is added last, and not scaled."),
                (b * scale - mean + beta, "The running mean is scaled too: (b - running_mean) * factor + beta."),
                (b, "The bias did not change: it is (b - running_mean) * factor + beta."),
                (beta, "The bias is not beta alone: (b - running_mean) * factor + beta."),
            ],
            what="The bias",
            **tolerance,
        )
        expect.sequence(outs, 2, "The outputs")
        for out in outs:
            expect.dtype(out, self.dtype, "The output")
            expect.close(
                out,
                self.out,
                "Weight and bias are right, but the output is not: stride, padding, dilation, groups and padding mode "
                "should be those of conv.",
                what="The output",
                **(EXACT if self.dtype is torch.float64 else {"rtol": 1e-3, "atol": 1e-3}),
            )


def _folds(student: Student, code: str, returns: Sequence[str], **inputs: Any) -> tuple:
    """Run a snippet; the batch normalization itself may be called, PyTorch's folding may not."""
    told = "Your answer uses PyTorch's own folding: compute weight and bias yourself."
    return _watched(student, code, returns, operations=[], modules=_FOLDING, told=told, **inputs)


_FACTOR = "Each output channel of the weight is multiplied by gamma / sqrt(running_var + eps)."


@check
def fold_batch_norm(student: Student, cases: Cases) -> None:
    """Compare weight, bias and output with a convolution followed by a batch normalization in eval mode."""
    with cases("a convolution with bias", weight=2):
        _Fold(cases, {}).judge(student, _FACTOR)
    with cases("as many channels in as out"):
        _Fold(cases, {"in_channels": 4}).judge(student, _FACTOR)
        _Fold(cases, {"in_channels": 4, "kernel_size": 4}).judge(student, _FACTOR)
    with cases("a convolution without bias", weight=2):
        _Fold(cases, {"bias": False}).judge(student, "Without a bias, that of conv counts as 0.")
    with cases("groups"), expect.explained("conv may have groups: take them over."):
        for groups in ({"in_channels": 4, "groups": 2}, {"in_channels": 4, "groups": 4, "bias": False}):
            _Fold(cases, groups).judge(student, f"With groups={groups['groups']}: {_FACTOR}")
        _Fold(cases, {"in_channels": 2, "out_channels": 6, "groups": 2}).judge(student, f"With groups=2: {_FACTOR}")
    with cases("stride, padding, dilation"), expect.explained("Take over stride, padding, dilation and padding mode."):
        for settings in (
            {"stride": (2, 1), "kernel_size": (3, 2), "padding": (1, 0)},
            {"padding": 2, "dilation": (1, 2), "bias": False},
            {"padding": "same", "dilation": 2},
            {"padding": (2, 1), "padding_mode": "circular"},
            {"padding": 1, "padding_mode": "reflect", "stride": 2},
            {"padding": "same", "padding_mode": "replicate"},
        ):
            shown = ", ".join(f"{k}={v!r}" for k, v in settings.items())
            _Fold(cases, settings).judge(student, f"With {shown}: {_FACTOR}")
    with cases("affine=False"), expect.explained("With affine=False, bn.weight and bn.bias are None."):
        for settings in ({}, {"bias": False}):
            _Fold(cases, settings, affine=False).judge(student, "With affine=False, gamma counts as 1 and beta as 0.")
    with cases("bn in training mode"):
        _Fold(cases, {}).judge(student, "Fold the running statistics, whatever mode bn is in.", (False, True))
    with cases("nothing else changes"):
        _unchanged(student, cases)
    with cases("dtypes"):
        for dtype in (torch.float32, torch.float64):
            for settings in ({}, {"bias": False, "in_channels": 2, "groups": 2}):
                _Fold(cases, settings, dtype=dtype).judge(student, f"In {dtype}: {_FACTOR}")
    with cases("not possible"):
        given = _Fold(cases, {})
        (outcomes,) = _folds(
            student,
            _FOLD
            + """
outcomes = []
tried = [
    (conv, nn.BatchNorm2d(4, track_running_stats=False).to(dtype)),
    (conv, nn.BatchNorm2d(4, track_running_stats=False, affine=False).to(dtype).eval()),
    (conv, nn.BatchNorm2d(3).to(dtype)),
    (conv, nn.BatchNorm2d(1, affine=False).to(dtype)),
    (nn.Conv2d(4, 1, 1).to(dtype), nn.BatchNorm2d(4).to(dtype)),
    (conv, bn),
]
for one, other in tried:
    try:
        fold_batch_norm(one, other)
        outcomes.append(None)
    except NotImplementedError:
        raise
    except Exception as error:
        outcomes.append("ValueError" if isinstance(error, ValueError) else type(error).__name__)
""",
            ["outcomes"],
            modes=[True, True],
            **given.inputs,
        )
        none = "A bn without running statistics should raise a ValueError"
        other = "A bn with another number of channels than conv gives should raise a ValueError"
        _expect_outcomes(
            outcomes,
            [
                *[("ValueError", none)] * 2,
                *[("ValueError", other)] * 3,
                (None, "A bn that fits should raise nothing"),
            ],
        )


def _unchanged(student: Student, cases: Cases) -> None:
    """Expect conv and bn to keep values, modes and what they are, also when the result is changed."""
    for settings, affine in (({}, True), ({"bias": False}, True), ({"in_channels": 4, "groups": 4}, False)):
        for modes in ((True, True), (False, False), (False, True), (True, False)):
            given = _Fold(cases, settings, affine=affine)
            same, after, later, shown, flags = _folds(
                student,
                _FOLD
                + """
parts = [*conv.parameters(), *bn.parameters(), *bn.buffers()]
folded = fold_batch_norm(conv, bn)
same = folded is conv
after = [state(conv), state(bn)]
shown = [conv.training, bn.training]
flags = all(v.requires_grad and v.grad is None for m in (conv, bn) for v in m.parameters())
now = [*conv.parameters(), *bn.parameters(), *bn.buffers()]
flags = flags and len(now) == len(parts) and all(a is b for a, b in zip(now, parts))
with torch.no_grad():
    for value in folded.parameters():
        value += 1
later = [state(conv), state(bn)]
""",
                ["same", "after", "later", "shown", "flags"],
                modes=list(modes),
                **given.inputs,
            )
            expect.that(same is False, "Return a new convolution: yours is conv itself.")
            wanted = [given.inputs["conv_state"], given.inputs["bn_state"]]
            for states, hint in (
                (after, "Your function changes conv or bn: fold into a copy."),
                (later, "The result shares memory with conv or bn: when its weights change, theirs do too."),
            ):
                expect.sequence(states, 2)
                for one, other in zip(states, wanted, strict=True):
                    expect.kind(one, dict)
                    expect.that(list(one) == list(other), "Your function adds to conv or bn, or takes from it.")
                    for name, value in other.items():
                        expect.close(one[name], value, hint, what=name, rtol=0, atol=0)
            expect.that(
                shown == list(modes), "conv and bn should keep their modes: your function calls train() or eval()."
            )
            expect.that(flags is True, "conv and bn should keep their own parameters and buffers, as they were.")
