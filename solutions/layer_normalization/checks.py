"""The hidden checks of the assignment `layer_normalization`.

Values and gradients are compared with PyTorch's own normalizations in float64, which the answers may not call, and
RMSNorm with its formula in NumPy. Each comparison knows the usual mistakes: over the wrong numbers, the unbiased
variance, eps in the wrong place, one scale for all features. Nothing here is random but the inputs.
"""

from collections.abc import Callable, Sequence
from textwrap import dedent, indent
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from autograde import expect
from autograde.cases import Cases, check
from autograde.student import Student

#: Where a case is about the right numbers, float32 inside is right too; `dtypes` asks for the digits.
LOOSE = {"rtol": 1e-5, "atol": 1e-5}
#: Float64 arithmetic in another order differs by less than this, float32 by more.
EXACT = {"rtol": 1e-10, "atol": 1e-10}
#: Float32 in another order. Samples around 0, a variance near 1.
SINGLE = {"rtol": 1e-4, "atol": 1e-5}

FLOAT = torch.float64
HALVES = (torch.bfloat16, torch.float16)

Mistakes = list[tuple[torch.Tensor, str]]

# --- What the exercises share ----------------------------------------------------------------------------------------

# A mode of PyTorch's that sees each call of one of its functions, whatever name the student's cell has for it, and
# each tensor that autograd follows.
_WATCH = """
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
pytorchs_own, by_autograd = [], []
class Watch(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if any(kind + "_norm" in name for kind in ("layer", "group", "rms", "batch", "instance")):
            pytorchs_own.append(name)
        result = function(*args, **(kwargs or {}))
        followed = isinstance(result, torch.Tensor) and (
            result.requires_grad or torch._C._functorch.is_gradtrackingtensor(result)
        )
        if followed or name in ("backward", "grad", "requires_grad_"):
            by_autograd.append(name)
        return result
def kept(value):
    return value.detach().clone() if isinstance(value, torch.Tensor) else value
"""
_OWN = (
    "Your answer calls a normalization of PyTorch's: compute the mean and the variance yourself, with mean, var, sum "
    "or a loop."
)


def _watched(student: Student, code: str, returns: Sequence[str], *, by_hand: bool = False, **inputs: Any) -> tuple:
    """Run a snippet and return what it leaves behind, unless a normalization of PyTorch's was called in it.

    With `by_hand`, autograd may not follow a tensor either.
    """
    code = _WATCH + "with Watch():\n" + indent(dedent(code).strip(), "    ")
    *values, calls, followed = student.run(code, [*returns, "pytorchs_own", "by_autograd"], **inputs)
    expect.that(type(calls) is list and not calls, _OWN)
    expect.that(
        not by_hand or (type(followed) is list and not followed),
        "Your answer lets autograd compute the gradient: this once, compute it by hand.",
    )
    return tuple(values)


def _compare(
    out: Any, expected: torch.Tensor, hint: str, mistakes: Mistakes = (), what: str = "The result", **tolerance: Any
) -> None:
    """Expect a tensor of the dtype, shape and values of `expected`."""
    expect.that(out is not None, f"{what} is None: does your answer end with a `return`?")
    expect.dtype(out, expected.dtype, what)
    expect.close(out, expected, hint, mistakes, what=what, **(tolerance or LOOSE))


def _outcomes(outcomes: Any, wanted: Sequence[tuple[str | None, str]]) -> None:
    """Expect each try to have raised what it should, by name, or nothing."""
    expect.sequence(outcomes, len(wanted))
    for outcome, (name, hint) in zip(outcomes, wanted, strict=True):
        seen = outcome if isinstance(outcome, str) and len(outcome) < 80 else "nothing"
        expect.equal(outcome, name, f"{hint}; yours raised {seen}.")


def _unchanged(after: Any, before: Sequence[torch.Tensor]) -> None:
    """Expect the inputs to be what they were."""
    expect.sequence(after, len(before))
    for seen, was in zip(after, before, strict=True):
        hint = "Your answer changes a tensor that it was given: no `-=`, `/=`, `sub_` or `div_` on the inputs."
        expect.close(seen, was, hint, what="An input, after the call,", rtol=0, atol=0)


def _gradients(
    grads: Any, expected: Sequence[torch.Tensor], names: Sequence[str], mistakes: Sequence[Mistakes]
) -> None:
    """Expect the gradients that autograd gave for the inputs of these names."""
    expect.sequence(grads, len(expected))
    for grad, wanted, name, known in zip(grads, expected, names, mistakes, strict=True):
        expect.that(
            grad is not None, f"No gradient comes back to {name}: do not detach it, and do not copy its values."
        )
        _compare(
            grad, wanted, f"The gradient for {name} is not that of the formula.", known, f"The gradient for {name}"
        )


def _half(out: Any, x: torch.Tensor, scaled: torch.Tensor, beta: torch.Tensor | None, once: bool) -> None:
    """Expect a result in half precision that was computed in float32, or better, and rounded.

    `scaled` and `beta` are the parts of the sum, in float64. bfloat16 rounds by at most 2^-8 = 0.39 %, float16 by less.
    With a scale and a shift, rounding after each of the last operations is right too; without, there is but one
    (`once`). In half precision all through, errors are larger: see the inputs.
    """
    expect.that(out is not None, "The result is None: does your answer end with a `return`?")
    expect.dtype(out, x.dtype)
    expect.shape(out, tuple(x.shape))
    shift = torch.zeros_like(scaled) if beta is None else beta.double().expand_as(scaled)
    bound = 0.0041 * scaled.abs() + 1e-4 if once else 0.015 * (scaled.abs() + shift.abs()) + 1e-3
    hint = f"In {x.dtype} the result is too coarse, or overflows: compute in float32, and round at the end."
    expect.that(bool(((out.double() - scaled - shift).abs() <= bound).all()), hint)


def _half_inputs(cases: Cases, *shape: int) -> list[torch.Tensor]:
    """Return samples that half precision is not enough for.

    In bfloat16, numbers around 200 are 1 apart, a third of the standard deviation, so that a mean rounded to bfloat16
    is wrong by up to a sixth of it. In float16, the square of the values, and their variance, is above the largest
    number, 65,504.
    """
    coarse = (3 * cases.randn(*shape) + cases.uniform(150, 250)).to(torch.bfloat16)
    large = (500 * cases.randn(*shape) + cases.uniform(-200, 200)).to(torch.float16)
    return [coarse, large]


# --- 1. and 3. layer_norm, LayerNorm ---------------------------------------------------------------------------------

# Both are asked through one function, so that both have the same cases.
_APPLY = {
    "layer_norm": """
def apply(x, shape, gamma, beta, eps):
    return kept(layer_norm(x, shape, gamma, beta, eps))
""",
    "LayerNorm": """
def filled(shape, gamma, beta, eps):
    module = LayerNorm(shape, eps=eps, elementwise_affine=gamma is not None, bias=beta is not None)
    if gamma is not None:
        module = module.to(gamma.dtype)
        with torch.no_grad():
            module.weight.copy_(gamma)
            if beta is not None:
                module.bias.copy_(beta)
    return module
def apply(x, shape, gamma, beta, eps):
    return kept(filled(shape, gamma, beta, eps)(x))
""",
}
_NAMES = {"layer_norm": ("gamma", "beta"), "LayerNorm": ("weight", "bias")}


def _true_layer(
    x: torch.Tensor, shape: Sequence[int], gamma: torch.Tensor | None, beta: torch.Tensor | None, eps: float
) -> torch.Tensor:
    """Return PyTorch's layer normalization in float64."""
    gamma, beta = (None if v is None else v.double() for v in (gamma, beta))
    return F.layer_norm(x.double(), tuple(shape), gamma, beta, eps)


def _normalized(x: torch.Tensor, dims: Sequence[int], eps: float, correction: int = 0) -> torch.Tensor:
    """Return x normalized over any dimensions, by the formula: what the mistakes are made of."""
    dims = tuple(dims)
    return (x - x.mean(dims, keepdim=True)) / torch.sqrt(x.var(dims, correction=correction, keepdim=True) + eps)


def _layer_mistakes(
    x: torch.Tensor, k: int, gamma: torch.Tensor, beta: torch.Tensor, eps: float, names: tuple[str, str]
) -> Mistakes:
    """Return what usual mistakes give for layer normalization over the last k dimensions."""
    g, b = names
    dims = tuple(range(-k, 0))
    every = tuple(range(x.dim()))
    mean, var = x.mean(dims, keepdim=True), x.var(dims, correction=0, keepdim=True)
    hat = (x - mean) / torch.sqrt(var + eps)
    rms = torch.sqrt((x**2).mean(dims, keepdim=True) + eps)
    values: Mistakes = [
        (x, "Your answer gives x back as it is: nothing is normalized."),
        (hat, f"{g} and {b} have no effect in yours: multiply by the one, then add the other."),
        (hat * gamma, f"{b} has no effect in yours: add it at the end."),
        (hat + beta, f"{g} has no effect in yours: multiply by it before {b} is added."),
        ((hat + beta) * gamma, f"{b} is added after the multiplication by {g}, not before."),
        (hat * gamma.mean() + beta.mean(), f"{g} and {b} have an entry for each feature: do not take one for all."),
        (hat * gamma.flatten()[0] + beta.flatten()[0], f"{g} and {b} have an entry for each feature: use them all."),
        (hat * (1 + gamma) + beta, f"The scale is {g} itself, not 1 + {g}."),
        (hat * gamma - beta, f"{b} is added, not subtracted."),
        (-hat * gamma + beta, "Subtract the mean from x, not x from the mean."),
        (_normalized(x * gamma + beta, dims, eps), f"Normalize first: {g} and {b} come after it."),
    ]
    wrong_hats = [
        (
            _normalized(x, [0], eps),
            "Your mean is over the samples: that is batch normalization. Take it over features.",
        ),
        (_normalized(x, every, eps), "You take one mean over all samples together: each sample has its own."),
        (_normalized(x, dims, eps, 1), "You divide the variance by d - 1: here it is d (correction=0)."),
        ((x - mean) / (var.sqrt() + eps), "eps is added to the variance, inside of the root, not to the root."),
        ((x - mean) / var.sqrt(), "eps has no effect in yours: add it to the variance, inside of the root."),
        (_normalized(x, dims, 1e-5), "The eps that is given has no effect in yours: add it to the variance."),
        (_normalized(x, dims, eps**2), "eps is added as it is, not its square."),
        ((x - mean) / torch.sqrt(x.var(dims, correction=1, keepdim=True)), "eps is missing, and d - 1 should be d."),
        ((x - mean) / (x.std(dims, keepdim=True) + eps), "eps stands inside of the root, and d - 1 should be d."),
        ((x - mean) / (var + eps), "You divide by the variance: take its root, eps included."),
        (x - mean, "The mean is subtracted, but nothing is divided by the standard deviation."),
        (x / torch.sqrt(var + eps), "The mean is not subtracted in yours."),
        (x - mean / torch.sqrt(var + eps), "Put brackets around x - mean: the whole difference is divided."),
        (x / rms, "This is RMSNorm: subtract the mean first, and divide by the standard deviation."),
        ((x - mean) / rms, "Your root is that of the mean square of x: subtract the mean before you square."),
        (
            (x - mean) / torch.sqrt(((x - mean) ** 2).sum(dims, keepdim=True) + eps),
            "The variance is the mean of the squares, and yours is their sum.",
        ),
    ]
    if x.dim() > 2:
        wrong_hats += [
            (_normalized(x, every[1:], eps), "You always take all dimensions but the first: normalized_shape decides."),
            (_normalized(x, every[:-1], eps), "You take the mean over the samples: take it over the features."),
            (_normalized(x, [1], eps), "You take the mean over one dimension in the middle: normalized_shape decides."),
        ]
    if k > 1:
        wrong_hats.append(
            (_normalized(x, [-1], eps), "You take the mean over the last dimension alone: normalized_shape has more.")
        )
        wrong_hats.append(
            (_normalized(x, every[:k], eps), "You take the first dimensions: those of normalized_shape are the last.")
        )
    return values + [(h * gamma + beta, hint) for h, hint in wrong_hats] + wrong_hats


def _samples(cases: Cases, *shape: int) -> torch.Tensor:
    """Draw samples whose means differ, along each dimension, and whose variance is not far from eps."""
    x = 0.7 * cases.randn(*shape)
    for dim, size in enumerate(shape):
        along = [1] * len(shape)
        along[dim] = size
        x = x + 0.6 * cases.randn(*along)
    return x + 1.5


def _layer_values(student: Student, cases: Cases, name: str) -> None:
    """The cases that a function and a module of layer normalization share."""
    eps = cases.uniform(0.1, 0.3)
    code = _APPLY[name] + "out = apply(x, shape, gamma, beta, eps)"

    def ask(x: torch.Tensor, shape: Any, gamma: Any, beta: Any, eps: float = eps, look: str = "") -> Any:
        with expect.explained(look or f"Look at an x of shape {tuple(x.shape)} with normalized_shape={shape}."):
            (out,) = _watched(student, code, ["out"], x=x, shape=shape, gamma=gamma, beta=beta, eps=eps)
        return out

    def affine(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
        return cases.randn(*shape) + 0.5, cases.randn(*shape)

    with cases("rows of features", weight=3):
        x, (gamma, beta) = _samples(cases, 7, 5), affine(5)
        _compare(
            ask(x, (5,), gamma, beta),
            _true_layer(x, (5,), gamma, beta, eps),
            "Each sample is normalized by its own mean and variance, over its features, then scaled and shifted.",
            _layer_mistakes(x, 1, gamma, beta, eps, _NAMES[name]),
        )
        # As many samples as features: a mean along the wrong dimension fits, and so does a gamma along it.
        x, (gamma, beta) = _samples(cases, 5, 5), affine(5)
        hint = "When there are as many samples as features, yours mixes them up: name the dimension, keep it (keepdim)."
        _compare(
            ask(x, (5,), gamma, beta),
            _true_layer(x, (5,), gamma, beta, eps),
            hint,
            _layer_mistakes(x, 1, gamma, beta, eps, _NAMES[name]),
        )
    with cases("inputs keep their values"):
        for dtype in (FLOAT, torch.float32):
            before = [v.to(dtype) for v in (_samples(cases, 4, 6), *affine(6))]
            (after,) = _watched(
                student,
                _APPLY[name] + "apply(x, (6,), gamma, beta, 1e-5)\nafter = [x, gamma, beta]",
                ["after"],
                x=before[0],
                gamma=before[1],
                beta=before[2],
            )
            _unchanged(after, before)
    with cases("several normalized dimensions", weight=2):
        for shape, k in (((3, 2, 4, 5), 2), ((4, 4, 4), 2), ((2, 3, 2, 4), 3)):
            x, (gamma, beta) = _samples(cases, *shape), affine(*shape[-k:])
            _compare(
                ask(x, shape[-k:], gamma, beta),
                _true_layer(x, shape[-k:], gamma, beta, eps),
                f"For x of shape {shape}, normalized_shape={shape[-k:]} means one mean over all of the last {k} "
                "dimensions.",
                _layer_mistakes(x, k, gamma, beta, eps, _NAMES[name]),
            )
    forms = "normalized_shape may be an int, a tuple, a list or a torch.Size."
    with cases("forms of normalized_shape"), expect.explained(forms):
        for shape, k, made in (((3, 5), 1, "[5, (5,), [5], torch.Size([5])]"), ((3, 4, 5), 2, "[[4, 5], x[0].shape]")):
            x, (gamma, beta) = _samples(cases, *shape), affine(*shape[-k:])
            outs, forms_after = _watched(
                student,
                f"""
                {indent(_APPLY[name], " " * 16).strip()}
                forms = {made}
                outs = [apply(x, form, gamma, beta, eps) for form in forms]
                forms_after = [form if isinstance(form, int) else list(form) for form in forms]
                """,
                ["outs", "forms_after"],
                x=x,
                gamma=gamma,
                beta=beta,
                eps=eps,
            )
            count = 4 if k == 1 else 2
            expect.sequence(outs, count)
            for out in outs:
                _compare(out, _true_layer(x, shape[-k:], gamma, beta, eps), forms)
            wanted = [5, [5], [5], [5]] if k == 1 else [[4, 5], [4, 5]]
            expect.equal(forms_after, wanted, "Your answer changes the list that was given as normalized_shape.")
    with cases("no scale, no shift"):
        x, (gamma, beta) = _samples(cases, 4, 6), affine(6)
        for g, b in ((None, None), (gamma, None), (None, beta)):
            if name == "LayerNorm" and g is None and b is not None:
                continue
            first, second = _NAMES[name]
            left = " and ".join(n for n, v in ((first, g), (second, b)) if v is None)
            out = ask(x, (6,), g, b, look=f"Without {left}, leave it out.")
            _compare(out, _true_layer(x, (6,), g, b, eps), f"Without {left}, only that part is left out.")
    with cases("dimensions in front", weight=2):
        for shape, k in (
            ((5,), 1),
            ((4, 5), 2),
            ((1, 5), 1),
            ((2, 3, 5), 1),
            ((2, 3, 4, 5), 1),
            ((0, 5), 1),
            ((2, 0, 5), 1),
            ((0, 4, 5), 2),
            ((3, 1), 1),
        ):
            x, (gamma, beta) = _samples(cases, *shape), affine(*shape[-k:])
            hint = f"Look at an x of shape {shape} with normalized_shape={shape[-k:]}."
            out = ask(x, shape[-k:], gamma, beta)
            known = _layer_mistakes(x, k, gamma, beta, eps, _NAMES[name]) if x.numel() > 5 else []
            _compare(out, _true_layer(x, shape[-k:], gamma, beta, eps), hint, known)
    with cases("constant samples and small ones"):
        x = 0.01 * cases.randn(6, 8) + torch.tensor([[0.0], [0.0], [2.5], [-3.0], [40.0], [0.25]])
        x[3:] = x[3:].mean(1, keepdim=True).round()
        x[0] = 0
        gamma, beta = affine(8)
        for small in (1e-5, 1e-3):
            hint = "A constant sample has variance 0 and gives the shift: eps, inside of the root, prevents 0 / 0."
            # Float32 is right here too: it knows 2.5 to 1e-7, so those samples, divided by 0.01, to 1e-5.
            expected = _true_layer(x, (8,), gamma, beta, small)
            _compare(ask(x, (8,), gamma, beta, small), expected, hint, rtol=1e-3, atol=1e-3)
    with cases("large means"):
        x = (cases.randn(64, 32) + 1e4).float()
        gamma, beta = torch.ones(32), torch.zeros(32)
        hint = (
            "In float32, with a mean of 10,000, the digits are lost: subtract the mean first, then square (not the "
            "mean of squares minus the square of the mean)."
        )
        # The mean itself is rounded: by 0.0005 after one rounding, by at most 0.016 after 32 of them.
        expected = _true_layer(x, (32,), gamma, beta, 1e-5).float()
        _compare(ask(x, (32,), gamma, beta, 1e-5), expected, hint, rtol=0.0, atol=0.05)
    with cases("float32 and float64"):
        for dtype, tolerance in ((FLOAT, EXACT), (torch.float32, SINGLE)):
            x = cases.randn(5, 6).to(dtype)
            gamma, beta = (v.to(dtype) for v in affine(6))
            hint = f"In {dtype} the result has fewer right digits than it should: do not convert x to another dtype."
            _compare(ask(x, (6,), gamma, beta), _true_layer(x, (6,), gamma, beta, eps).to(dtype), hint, **tolerance)
    with cases("half precision"):
        for x in _half_inputs(cases, 16, 24):
            for own in (torch.float32, x.dtype):
                gamma, beta = (cases.randn(24) + 0.5).to(own), (0.3 * cases.randn(24)).to(own)
                scaled = _true_layer(x, (24,), gamma, None, 1e-5)
                look = f"Look at an x in {x.dtype} with {' and '.join(_NAMES[name])} in {own}."
                out = ask(x, (24,), gamma, beta, 1e-5, look)
                _half(out, x, scaled, beta, once=False)
            out = ask(x, (24,), None, None, 1e-5, f"Look at an x in {x.dtype} without {' and '.join(_NAMES[name])}.")
            _half(out, x, _true_layer(x, (24,), None, None, 1e-5), None, once=True)
    with cases("memory"):
        whole = _samples(cases, 5, 6, 4)
        hint = "x need not be contiguous in memory: take reshape or flatten where you have view."
        for view, shape in (("whole.transpose(0, 2)", (6, 5)), ("whole[:, ::2]", (4,)), ("whole.T", (6, 5))):
            x = {"whole.T": whole.permute(2, 1, 0), "whole[:, ::2]": whole[:, ::2]}.get(view, whole.transpose(0, 2))
            gamma, beta = affine(*shape)
            view = view.replace("whole.T", "whole.permute(2, 1, 0)")
            with expect.explained(hint):
                (out,) = _watched(
                    student,
                    _APPLY[name] + f"out = apply({view}, shape, gamma, beta, eps)",
                    ["out"],
                    whole=whole,
                    shape=shape,
                    gamma=gamma,
                    beta=beta,
                    eps=eps,
                )
            _compare(out, _true_layer(x, shape, gamma, beta, eps), hint)
    with cases("shapes that do not fit"):
        tried = [
            ((4, 6), (5,), False),
            ((4, 6), (4,), False),
            ((4, 6), (1,), False),
            ((4, 6), (6, 1), False),
            ((6,), (4, 6), False),
            ((2, 4, 6), (6, 4), False),
            ((2, 4, 6), (2, 4), False),
            ((2, 4, 6), (4, 5), False),
            ((2, 4, 6), (3, 6), False),
            ((2, 3, 4, 6), (12, 6), False),
            ((4, 6), (4, 6), True),
            ((4, 1), (1,), True),
        ]
        (outcomes,) = _watched(
            student,
            _APPLY[name]
            + """
outcomes = []
for x_shape, shape, _ in tried:
    try:
        apply(torch.ones(x_shape), shape, None, None, 1e-5)
        outcomes.append(None)
    except ValueError as error:
        outcomes.append("ValueError" if str(error).strip() else "a ValueError that says nothing")
    except Exception as error:
        outcomes.append(type(error).__name__)
""",
            ["outcomes"],
            tried=[list(t) for t in tried],
        )
        _outcomes(
            outcomes,
            [
                (None, f"normalized_shape={shape} fits x of shape {x}: nothing should be raised")
                if fits
                else ("ValueError", f"normalized_shape={shape} with x of shape {x} should raise a ValueError")
                for x, shape, fits in tried
            ],
        )


def _true_gradients(
    forward: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor], up: torch.Tensor
) -> list[torch.Tensor]:
    """Return the gradients of the inputs, by autograd."""
    leaves = [v.clone().requires_grad_() for v in inputs]
    return list(torch.autograd.grad(forward(*leaves), leaves, up))


def _layer_gradient_mistakes(x: torch.Tensor, gamma: torch.Tensor, up: torch.Tensor, eps: float) -> list[Mistakes]:
    """Return gradients for x that come from a mean or a variance cut off from the graph."""
    std = torch.sqrt(x.var(-1, correction=0, keepdim=True) + eps)
    g, hat = up * gamma, (x - x.mean(-1, keepdim=True)) / std
    whole = "Mean and variance depend on x too: do not detach them, and do not compute them under torch.no_grad()."
    known = [
        (g / std, whole),
        ((g - g.mean(-1, keepdim=True)) / std, whole),
        ((g - hat * (g * hat).mean(-1, keepdim=True)) / std, whole),
    ]
    return [known, [], []]


@check
def layer_norm(student: Student, cases: Cases) -> None:
    """Compare values and gradients with PyTorch's layer normalization in float64."""
    _layer_values(student, cases, "layer_norm")
    with cases("the defaults"):
        x = 0.01 * cases.randn(4, 6)
        (out,) = _watched(student, "out = kept(layer_norm(x, 6))", ["out"], x=x)
        hint = "Without further arguments, gamma and beta are None, and eps is 1e-5."
        _compare(out, _true_layer(x, (6,), None, None, 1e-5), hint)
    eps = cases.uniform(0.1, 0.3)
    with cases("the gradients"):
        x, gamma, beta, up = _samples(cases, 4, 6), cases.randn(6), cases.randn(6), cases.randn(4, 6)
        (grads,) = _watched(
            student,
            """
            leaves = [v.clone().requires_grad_() for v in (x, gamma, beta)]
            out = layer_norm(leaves[0] * 1, (6,), leaves[1], leaves[2], eps)
            if out.requires_grad:
                out.backward(up)
            grads = [v.grad for v in leaves]
            """,
            ["grads"],
            x=x,
            gamma=gamma,
            beta=beta,
            up=up,
            eps=eps,
        )
        wanted = _true_gradients(lambda a, g, b: F.layer_norm(a, (6,), g, b, eps), (x, gamma, beta), up)
        _gradients(grads, wanted, ("x", "gamma", "beta"), _layer_gradient_mistakes(x, gamma, up, eps))


# --- 2. layer_norm_backward ------------------------------------------------------------------------------------------


def _forward(cases: Cases, *shape: int, eps: float) -> tuple[torch.Tensor, torch.Tensor, tuple, list[torch.Tensor]]:
    """Draw a forward pass: x, dy, the cache, and the true gradients for x, gamma and beta."""
    d = shape[-1]
    x, gamma, beta, dy = (
        0.7 * cases.randn(*shape) + 1,
        cases.randn(d) + 0.5,
        cases.randn(d),
        cases.randn(*shape) + 0.3,
    )
    centred = x - x.mean(-1, keepdim=True)
    std = torch.sqrt((centred**2).mean(-1, keepdim=True) + eps)  # var() warns where there are no samples
    cache = (centred / std, gamma, std)
    wanted = _true_gradients(lambda a, g, b: F.layer_norm(a, (d,), g, b, eps), (x, gamma, beta), dy)
    return x, dy, cache, wanted


def _backward(student: Student, dy: torch.Tensor, cache: tuple) -> Sequence[Any]:
    (result,) = _watched(
        student, "result = layer_norm_backward(dy, cache)", ["result"], by_hand=True, dy=dy, cache=cache
    )
    expect.that(result is not None, "The result is None: does your function end with `return dx, dgamma, dbeta`?")
    expect.sequence(result, 3)
    return result


def _dx_mistakes(dy: torch.Tensor, cache: tuple, wanted: Sequence[torch.Tensor]) -> Mistakes:
    """Return what usual mistakes give for dx."""
    hat, gamma, std = cache
    g = dy * gamma

    def mean(v: torch.Tensor, dim: Any = -1) -> torch.Tensor:
        return v.mean(dim, keepdim=True)

    d = hat.shape[-1]
    lead = tuple(range(hat.dim() - 1))
    every = tuple(range(hat.dim()))
    sums = (g - d * mean(g) - hat * d * mean(g * hat)) / std
    var = mean(hat**2) * std**2  # without eps
    return [
        (wanted[1], "Return (dx, dgamma, dbeta) in this order."),
        (wanted[2], "Return (dx, dgamma, dbeta) in this order."),
        (dy, "Your dx is dy: the way back through the normalization is missing."),
        (
            (g - mean(g, lead) - hat * mean(g * hat, lead)) / std,
            "Your means are over the samples: that is batch normalization's gradient. Take them over the features.",
        ),
        ((g - mean(g, every) - hat * mean(g * hat, every)) / std, "Your means mix the samples: each has its own."),
        (
            gamma * (dy - mean(dy) - hat * mean(dy * hat)) / std,
            "gamma belongs inside of the means: it differs from feature to feature, so it cannot be taken out.",
        ),
        ((dy - mean(dy) - hat * mean(dy * hat)) / std, "gamma is missing in your dx: it multiplies dy first."),
        (
            (g - mean(dy) - hat * mean(dy * hat)) / std,
            "gamma is missing inside of your two means: it multiplies dy, before everything else.",
        ),
        (g / std, "Your dx takes mean and variance for constants: every feature moves them, and so all others."),
        ((g - mean(g)) / std, "The way through the variance is missing in your dx: every feature moves it."),
        ((g - hat * mean(g * hat)) / std, "The way through the mean is missing in your dx: every feature moves it."),
        (sums, "Your dx has sums where it should have means over the features: the 1/d is missing."),
        (sums / d, "Your dx has sums over the features where means belong, and then divides everything by d."),
        (
            (g - mean(g) - hat * mean(g * hat) * d / (d - 1)) / std,
            "The variance was divided by d, not by d - 1: its part of dx is a mean over d features too.",
        ),
        ((g - mean(g) + hat * mean(g * hat)) / std, "A sign is wrong: both means are subtracted."),
        ((g + mean(g) - hat * mean(g * hat)) / std, "A sign is wrong: both means are subtracted."),
        ((g - mean(g) - mean(g * hat)) / std, "The second mean is multiplied by x_hat before it is subtracted."),
        ((g - mean(g) - hat * mean(g)) / std, "The second mean is that of dy * gamma * x_hat."),
        (
            (g - mean(g) - hat * mean(g) * mean(hat)) / std,
            "The second mean is that of the product, not the product of the means.",
        ),
        ((g - mean(g) - hat * mean(g * hat)) * std, "Divide by std: you multiply by it."),
        (g - mean(g) - hat * mean(g * hat), "The division by std is missing in your dx."),
        ((g - mean(g) - hat * mean(g * hat)) / std**2, "std is the root already: divide by it, not by its square."),
        ((g - mean(g) - hat * mean(g * hat)) / std.sqrt(), "std is the root already: do not take another."),
        ((g - mean(g) - hat * mean(g * hat)) / var.sqrt(), "std is given with eps inside: divide by that one."),
        (
            (g - mean(g) - hat * mean(g * hat) / mean(hat**2)) / std,
            "Because of eps the mean of x_hat squared is below 1, and you need not divide by it: use x_hat as it is.",
        ),
    ]


@check
def layer_norm_backward(student: Student, cases: Cases) -> None:
    """Compare with autograd of PyTorch's layer normalization in float64, with an eps that is not small."""
    eps = cases.uniform(0.1, 0.3)
    x, dy, cache, wanted = _forward(cases, 6, 5, eps=eps)
    hat, gamma, _ = cache
    with cases("dx", weight=3):
        result = _backward(student, dy, cache)
        hint = "dx is not the gradient for x: write down how x_hat changes when one feature of x does."
        _compare(result[0], wanted[0], hint, _dx_mistakes(dy, cache, wanted), "dx")
        square = _forward(cases, 5, 5, eps=eps)
        hint = "With as many samples as features dx is wrong: name the dimension of each mean, and keep it (keepdim)."
        result = _backward(student, square[1], square[2])
        _compare(result[0], square[3][0], hint, _dx_mistakes(square[1], square[2], square[3]), "dx")
    with cases("inputs keep their values"):
        for shape in ((4, 5), (1, 5), (5,)):
            _, up, kept, _ = _forward(cases, *shape, eps=eps)
            after, shared = _watched(
                student,
                """
                result = layer_norm_backward(dy, cache)
                after = [v.clone() for v in (dy, *cache)]
                for v in result:
                    v += 1
                shared = not all(torch.equal(a, b) for a, b in zip(after, (dy, *cache)))
                """,
                ["after", "shared"],
                by_hand=True,
                dy=up,
                cache=kept,
            )
            _unchanged(after, [up, *kept])
            expect.that(shared is False, "A result is dy itself, or a view of it, in yours: return new tensors.")
    with cases("dgamma"):
        result = _backward(student, dy, cache)
        product = dy * hat
        known = [
            (product, "dgamma is not summed: gamma is used by every sample, so its gradient is a sum over samples."),
            (product.mean(0), "dgamma is a sum over the samples, not a mean: the mean is in the loss, if anywhere."),
            (product.sum(-1), "Your dgamma is summed over the features: sum over the samples."),
            (product.sum(), "dgamma has an entry for each feature: sum over the samples only."),
            (product.sum(0) * gamma, "gamma itself is no factor of dgamma."),
            ((product.sum(0, keepdim=True)), "dgamma has the shape of gamma: sum without keepdim."),
            (wanted[2], "Return (dx, dgamma, dbeta) in this order: this is dbeta."),
            ((dy * x).sum(0), "dgamma has x_hat as its factor, not x."),
        ]
        _compare(result[1], wanted[1], "dgamma is the sum of dy * x_hat over all samples.", known, "dgamma")
    with cases("dbeta"):
        result = _backward(student, dy, cache)
        known = [
            (dy, "dbeta is not summed: beta is used by every sample, so its gradient is a sum over samples."),
            (dy.mean(0), "dbeta is a sum over the samples, not a mean."),
            (dy.sum(-1), "Your dbeta is summed over the features: sum over the samples."),
            (dy.sum(), "dbeta has an entry for each feature: sum over the samples only."),
            ((dy * gamma).sum(0), "beta is added after gamma has multiplied: gamma is no factor of dbeta."),
            (dy.sum(0, keepdim=True), "dbeta has the shape of beta: sum without keepdim."),
            (wanted[1], "Return (dx, dgamma, dbeta) in this order: this is dgamma."),
        ]
        _compare(result[2], wanted[2], "dbeta is the sum of dy over all samples.", known, "dbeta")
    with cases("dimensions in front", weight=2):
        for shape in ((2, 3, 5), (2, 3, 2, 4), (1, 5), (5,), (3, 1)):
            _, up, kept, expected = _forward(cases, *shape, eps=eps)
            hint = f"Look at a dy of shape {shape}."
            with expect.explained(hint):
                result = _backward(student, up, kept)
            for seen, right, what in zip(result, expected, ("dx", "dgamma", "dbeta"), strict=True):
                more = (
                    "all means are over the last dimension."
                    if what == "dx"
                    else "the sum is over all dimensions but the last, and over none where there are none."
                )
                _compare(seen, right, f"{hint} For {what}, {more}", what=f"For a dy of shape {shape}, {what}")
    with cases("no samples"):
        for shape in ((0, 5), (2, 0, 5)):
            _, up, kept, expected = _forward(cases, *shape, eps=eps)
            hint = f"Look at a dy of shape {shape}: dx is as empty, and the two sums over no samples are zeros."
            with expect.explained(hint):
                result = _backward(student, up, kept)
            for seen, right, what in zip(result, expected, ("dx", "dgamma", "dbeta"), strict=True):
                _compare(seen, right, hint, what=what)
    with cases("constant samples"):
        up = cases.randn(3, 5)
        kept = (torch.zeros(3, 5, dtype=FLOAT), cases.randn(5), torch.full((3, 1), 0.01, dtype=FLOAT))
        constant = torch.full((3, 5), 2.0, dtype=FLOAT)
        expected = _true_gradients(lambda a, g: F.layer_norm(a, (5,), g, None, 1e-4), (constant, kept[1]), up)
        result = _backward(student, up, kept)
        hint = "For a constant sample x_hat is 0, and only the way through the mean is left: no other division by it."
        _compare(result[0], expected[0], hint, what="dx")
        _compare(result[1], expected[1], hint, what="dgamma")
    with cases("float32 and float64"):
        for dtype, tolerance in ((FLOAT, EXACT), (torch.float32, SINGLE)):
            _, up, kept, expected = _forward(cases, 4, 6, eps=eps)
            result = _backward(student, up.to(dtype), tuple(v.to(dtype) for v in kept))
            for seen, right, what in zip(result, expected, ("dx", "dgamma", "dbeta"), strict=True):
                hint = f"In {dtype}, {what} has fewer right digits than it should: convert nothing to another dtype."
                _compare(seen, right.to(dtype), hint, what=what, **tolerance)
    with cases("memory"):
        _, up, kept, expected = _forward(cases, 3, 4, 5, eps=eps)
        hint = "dy and x_hat need not be contiguous in memory: take reshape or flatten where you have view."
        with expect.explained(hint):
            (result,) = _watched(
                student,
                """
                def other(v):
                    return v.transpose(0, 1).contiguous().transpose(0, 1)
                result = layer_norm_backward(other(dy), (other(cache[0]), cache[1], other(cache[2])))
                """,
                ["result"],
                by_hand=True,
                dy=up,
                cache=kept,
            )
        expect.sequence(result, 3)
        for seen, right, what in zip(result, expected, ("dx", "dgamma", "dbeta"), strict=True):
            _compare(seen, right, hint, what=what)


# --- 3. LayerNorm ----------------------------------------------------------------------------------------------------


@check
def LayerNorm(student: Student, cases: Cases) -> None:
    """Compare with torch.nn.LayerNorm: parameters, state, values, gradients."""
    eps = cases.uniform(0.1, 0.3)
    with cases("a module of your own"):
        has_init, is_module, has_forward = student.run(
            """
from torch import nn
has_init = isinstance(LayerNorm, type) and LayerNorm.__init__ is not nn.Module.__init__
is_module = isinstance(LayerNorm, type) and issubclass(LayerNorm, nn.Module)
has_forward = is_module and LayerNorm.forward is not nn.Module.forward
""",
            ["has_init", "is_module", "has_forward"],
        )
        expect.that(is_module is True, "LayerNorm should be a class, a subclass of nn.Module.")
        expect.that(has_init is True, "Your class has no constructor: write __init__.")
        expect.that(has_forward is True, "Your class does not compute anything yet: write forward.")
        inherited, inside = student.run(
            """
from torch import nn
norms = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)
modules = list(LayerNorm(4).modules())
inherited = isinstance(modules[0], norms)
inside = any(isinstance(m, norms) for m in modules[1:])
""",
            ["inherited", "inside"],
        )
        expect.that(inherited is False, "Your class inherits from a normalization of PyTorch's: start from nn.Module.")
        expect.that(inside is False, "Inside of your module is a normalization of PyTorch's: write it yourself.")
    with cases("parameters", weight=2):
        _parameters(student)
    _layer_values(student, cases, "LayerNorm")
    with cases("training and eval mode"):
        x, late = _samples(cases, 6, 5), _samples(cases, 6, 5) + 3
        outs, others, before, after = _watched(
            student,
            """
            module = LayerNorm(5, eps=eps).double()
            before = {k: v.clone() for k, v in module.state_dict().items()}
            outs = [kept(module(x)), kept(module(x))]
            others = [kept(module(late))]
            outs.append(kept(module(x)))
            module.eval()
            outs.append(kept(module(x)))
            others.append(kept(module(late)))
            with torch.no_grad():
                outs.append(kept(module(x)))
            outs.append(kept(module.train()(x)))
            after = {k: v.clone() for k, v in module.state_dict().items()}
            """,
            ["outs", "others", "before", "after"],
            x=x,
            late=late,
            eps=eps,
        )
        expect.sequence(outs, 6)
        expected = _true_layer(x, (5,), None, None, eps)
        for number, out in enumerate(outs):
            mode = "eval" if number in (3, 4) else "training"
            hint = f"In {mode} mode the result is another: both modes compute the same, from the sample alone."
            if number in (1, 2):
                hint = "A second call gives another result: no call should leave a trace in the module."
            _compare(out, expected, hint)
        expect.sequence(others, 2)
        for out in others:
            hint = "Other samples in a later call are normalized by what an earlier call left: compute it in each call."
            _compare(out, _true_layer(late, (5,), None, None, eps), hint)
        expect.kind(before, dict)
        expect.kind(after, dict)
        hint = "A call changes what state_dict() holds: layer normalization keeps no running statistics."
        expect.that(set(before) == set(after), hint)
        for key, value in before.items():
            expect.close(after[key], value, hint, rtol=0, atol=0)
    with cases("one sample among others"):
        x = _samples(cases, 6, 5)
        outs, crowd, poisoned = _watched(
            student,
            """
            module = LayerNorm(5, eps=eps).double()
            outs = [kept(module(row[None])) for row in x]
            crowd = kept(module(torch.cat([x, 100 * x + 7])))[: len(x)]
            given = x.clone()
            given[0] = float("nan")
            poisoned = kept(module(given))[1:]
            """,
            ["outs", "crowd", "poisoned"],
            x=x,
            eps=eps,
        )
        expected = _true_layer(x, (5,), None, None, eps)
        expect.sequence(outs, 6)
        for out, row in zip(outs, expected, strict=True):
            _compare(out, row[None], "A batch of one should give what the sample gives among others.")
        hint = "The result for a sample changes with the others in its batch: take the mean of each sample alone."
        _compare(crowd, expected, hint)
        _compare(poisoned, expected[1:], f"A nan in one sample reaches the others. {hint}")
    with cases("the state of nn.LayerNorm"):
        x = cases.randn(3, 2, 4)
        weight, bias = cases.randn(2, 4, dtype=torch.float32), cases.randn(2, 4, dtype=torch.float32)
        taken, given, errors = _watched(
            student,
            """
            taken, given, errors = [], [], []
            def fill(module):
                with torch.no_grad():
                    for name, value in (("weight", weight), ("bias", bias)):
                        if getattr(module, name) is not None:
                            getattr(module, name).copy_(value)
                return module
            for settings in ({}, {"bias": False}, {"elementwise_affine": False}):
                theirs = fill(nn.LayerNorm((2, 4), **settings))
                try:
                    mine = LayerNorm((2, 4), **settings)
                    mine(x.float())
                    mine.load_state_dict(theirs.state_dict())
                    taken.append(kept(mine(x.float())))
                    fresh = nn.LayerNorm((2, 4), **settings)
                    fresh.load_state_dict(fill(LayerNorm((2, 4), **settings)).state_dict())
                    given.append([kept(p) for p in fresh.parameters()])
                    errors.append(None)
                except NotImplementedError:
                    raise
                except (RuntimeError, KeyError) as error:
                    errors.append(str(settings))
            """,
            ["taken", "given", "errors"],
            x=x,
            weight=weight,
            bias=bias,
        )
        names = (
            "Your state_dict() does not fit that of nn.LayerNorm: it has `weight` and `bias`, where they are learned."
        )
        expect.equal(errors, [None] * 3, names)
        expect.sequence(taken, 3)
        for out, (w, b) in zip(taken, ((weight, bias), (weight, None), (None, None)), strict=True):
            hint = (
                "After load_state_dict the result does not follow: compute with self.weight and self.bias themselves."
            )
            _compare(out, _true_layer(x.float(), (2, 4), w, b, 1e-5).float(), hint, **SINGLE)
        expect.sequence(given, 3)
        for values, wanted in zip(given, ([weight, bias], [weight], []), strict=True):
            expect.sequence(values, len(wanted))
            for value, right in zip(values, wanted, strict=True):
                expect.close(value, right, names, rtol=0, atol=0)
    with cases("copies and conversions"):
        x, weight, bias = _samples(cases, 4, 6), cases.randn(6), cases.randn(6)
        first, second, third, double, kinds = _watched(
            student,
            """
            import copy
            module = LayerNorm(6, eps=eps).double()
            module(x)
            twin = copy.deepcopy(module)
            with torch.no_grad():
                module.weight.copy_(weight)
                module.bias.copy_(bias)
            first, second = kept(module(x)), kept(twin(x))
            again = copy.deepcopy(module)
            with torch.no_grad():
                module.weight.zero_()
            third = kept(again(x))
            kinds = [p.dtype for p in module.parameters()]
            single = LayerNorm(6, eps=eps)
            with torch.no_grad():
                single.weight.copy_(weight)
            single(x.float())
            double = kept(single.double()(x))
            """,
            ["first", "second", "third", "double", "kinds"],
            x=x,
            weight=weight,
            bias=bias,
            eps=eps,
        )
        ones, zeros = torch.ones(6), torch.zeros(6)
        hint = "A deep copy and its original share something: keep nothing but the parameters and plain settings."
        _compare(first, _true_layer(x, (6,), weight, bias, eps), hint)
        _compare(second, _true_layer(x, (6,), ones, zeros, eps), hint)
        _compare(third, _true_layer(x, (6,), weight, bias, eps), hint)
        expect.that(kinds == [FLOAT] * 2, "After .double() the parameters should be float64: are they nn.Parameters?")
        hint = "After .double() the result should be computed in float64, with the same weight and bias."
        _compare(double, _true_layer(x, (6,), weight.float(), zeros, eps), hint, **EXACT)
    with cases("the gradients"):
        x, weight, bias, up = _samples(cases, 4, 6), cases.randn(6), cases.randn(6), cases.randn(4, 6)
        (grads,) = _watched(
            student,
            _APPLY["LayerNorm"]
            + """
module = filled((6,), weight, bias, eps)
leaf = x.clone().requires_grad_()
out = module(leaf * 1)
if out.requires_grad:
    out.backward(up)
grads = [leaf.grad, module.weight.grad, module.bias.grad]
""",
            ["grads"],
            x=x,
            weight=weight,
            bias=bias,
            up=up,
            eps=eps,
        )
        wanted = _true_gradients(lambda a, g, b: F.layer_norm(a, (6,), g, b, eps), (x, weight, bias), up)
        _gradients(grads, wanted, ("x", "weight", "bias"), _layer_gradient_mistakes(x, weight, up, eps))


def _parameters(student: Student) -> None:
    """Expect parameters, names, shapes, starting values and settings as nn.LayerNorm has them."""
    (seen,) = _watched(
        student,
        """
        def look(module):
            return {
                "names": [name for name, _ in module.named_parameters()],
                "values": [kept(p) for _, p in module.named_parameters()],
                "learned": [p.requires_grad for p in module.parameters()],
                "buffers": [name for name, _ in module.named_buffers()],
                "state": list(module.state_dict()),
                "there": [hasattr(module, "weight"), hasattr(module, "bias")],
                "none": [getattr(module, "weight", 0) is None, getattr(module, "bias", 0) is None],
                "shape": getattr(module, "normalized_shape", None),
                "eps": getattr(module, "eps", None),
            }
        seen = [
            look(LayerNorm(6)),
            look(LayerNorm([2, 3], 0.25)),
            look(LayerNorm(torch.Size([4]), bias=False)),
            look(LayerNorm((2, 3), elementwise_affine=False)),
            look(LayerNorm((5,), 1e-3, False, True)),
        ]
        """,
        ["seen"],
    )
    wanted = [
        ("LayerNorm(6)", (6,), 1e-5, ["weight", "bias"]),
        ("LayerNorm([2, 3], 0.25)", (2, 3), 0.25, ["weight", "bias"]),
        ("LayerNorm(torch.Size([4]), bias=False)", (4,), 1e-5, ["weight"]),
        ("LayerNorm((2, 3), elementwise_affine=False)", (2, 3), 1e-5, []),
        ("LayerNorm((5,), 1e-3, False, True)", (5,), 1e-3, []),
    ]
    expect.sequence(seen, len(wanted))
    for found, (call, shape, eps, names) in zip(seen, wanted, strict=True):
        expect.kind(found, dict)
        learned = " and ".join(names) or "nothing"
        expect.equal(found["buffers"], [], f"{call} has a buffer in yours: nothing but parameters is kept.")
        expect.that(
            type(found["names"]) is list and sorted(map(str, found["names"])) == sorted(names),
            f"{call} should learn {learned}: nn.Parameters of these names, and no others.",
        )
        expect.that(
            type(found["state"]) is list and sorted(map(str, found["state"])) == sorted(names),
            f"state_dict() of {call} should hold {learned}, and no more.",
        )
        expect.equal(found["learned"], [True] * len(names), "The parameters should require grad: they are learned.")
        expect.equal(found["there"], [True, True], f"{call} should have self.weight and self.bias, None where off.")
        off = ["weight" not in names, "bias" not in names]
        expect.equal(found["none"], off, f"In {call}, self.weight and self.bias are None where nothing is learned.")
        values = dict(zip(found["names"], found["values"], strict=True))
        for name in names:
            start = torch.ones(shape) if name == "weight" else torch.zeros(shape)
            expect.dtype(values[name], torch.float32, f"self.{name}")
            expect.shape(values[name], shape, f"self.{name} of {call}")
            expect.close(values[name], start, "At the start weight is ones and bias is zeros.", rtol=0, atol=0)
        # A torch.Size, which is a tuple, arrives as a tuple.
        expect.equal(found["shape"], shape, f"{call}: keep normalized_shape as a tuple in self.normalized_shape.")
        expect.number(found["eps"], "self.eps")
        expect.close(found["eps"], eps, f"{call}: keep eps in self.eps.", **LOOSE)


# --- 4. group_norm ---------------------------------------------------------------------------------------------------


def _true_group(x: torch.Tensor, groups: int, gamma: Any, beta: Any, eps: float) -> torch.Tensor:
    """Return PyTorch's group normalization in float64."""
    gamma, beta = (None if v is None else v.double() for v in (gamma, beta))
    return F.group_norm(x.double(), groups, gamma, beta, eps)


def _group_mistakes(x: torch.Tensor, groups: int, gamma: torch.Tensor, beta: torch.Tensor, eps: float) -> Mistakes:
    """Return what usual mistakes give for group normalization."""
    n, c = x.shape[:2]
    size = c // groups
    each = (1, c) + (1,) * (x.dim() - 2)
    g, b = gamma.view(each), beta.view(each)
    parts = x.reshape(n, groups, size, -1)
    mean, var = parts.mean((2, 3), keepdim=True), parts.var((2, 3), correction=0, keepdim=True)

    def back(v: torch.Tensor) -> torch.Tensor:
        return v.reshape(x.shape)

    hat = back((parts - mean) / torch.sqrt(var + eps))
    mixed = x.reshape(n, size, groups, -1)
    group_of = torch.arange(c) // size
    values: Mistakes = [
        (x, "Your function gives x back as it is: nothing is normalized."),
        (hat, "gamma and beta have no effect in yours: multiply by the one, then add the other."),
        (hat * g, "beta has no effect in yours: add it at the end."),
        (hat + b, "gamma has no effect in yours: multiply by it before beta is added."),
        ((hat + b) * g, "beta is added after the multiplication by gamma, not before."),
        (
            hat * gamma[group_of].view(each) + beta[group_of].view(each),
            "gamma and beta have an entry for each channel, not for each group.",
        ),
        (hat * gamma.mean() + beta.mean(), "gamma and beta have an entry for each channel: do not take one for all."),
        (_true_group(x * g + b, groups, None, None, eps), "Normalize first: gamma and beta come after it."),
    ]
    if x.shape[-1] == c and x.dim() > 2:
        values.append(
            (hat * gamma + beta, "Your gamma and beta lie along the last dimension: channels are the second.")
        )
    hats = [
        (
            back(_normalized(mixed, (1, 3), eps)),
            "A group is made of neighbouring channels: yours takes every groups-th channel.",
        ),
        (
            back(_normalized(x.reshape(n, size, groups, -1), (2, 3), eps)),
            "There are `groups` groups of c / groups channels: yours are c / groups groups of `groups` channels.",
        ),
        (back(_normalized(parts, (0, 2, 3), eps)), "Your mean is over the samples of the batch too: each has its own."),
        (back(_normalized(parts, (2,), eps)), "Your mean is for each position: take it over the positions too."),
        (_true_group(x, 1, None, None, eps), "You take one mean for all groups: each group has its own."),
        (back(_normalized(parts, (3,), eps)), "You take a mean for each channel: take it over the group's channels."),
        (_normalized(x, (0, *range(2, x.dim())), eps), "This is batch normalization: take the mean of each sample."),
        (_normalized(x, (-1,), eps), "Your mean is over the last dimension alone: it is over channels and positions."),
        (
            back(_normalized(parts, (2, 3), eps, 1)),
            "You divide the variance by the count less one: divide by the count.",
        ),
        (
            back((parts - mean) / (var.sqrt() + eps)),
            "eps is added to the variance, inside of the root, not to the root.",
        ),
        (back((parts - mean) / var.sqrt()), "eps has no effect in yours: add it to the variance, inside of the root."),
        (
            back(_normalized(parts, (2, 3), 1e-5)),
            "The eps that is given has no effect in yours: add it to the variance.",
        ),
        (back((parts - mean) / (var + eps)), "You divide by the variance: take its root, eps included."),
        (back(parts - mean), "The mean is subtracted, but nothing is divided by the standard deviation."),
        (back(parts / torch.sqrt(var + eps)), "The mean is not subtracted in yours."),
        (
            back((parts - mean) / torch.sqrt((parts**2).mean((2, 3), keepdim=True) + eps)),
            "Your root is that of the mean square of x: subtract the mean before you square.",
        ),
    ]
    # The last dimension as the channels: only where it divides, and where gamma fits.
    return values + [(h * g + b, hint) for h, hint in hats] + hats


def _group(student: Student, x: torch.Tensor, groups: int, gamma: Any, beta: Any, eps: float) -> Any:
    code = "out = kept(group_norm(x, groups, gamma, beta, eps))"
    return _watched(student, code, ["out"], x=x, groups=groups, gamma=gamma, beta=beta, eps=eps)[0]


@check
def group_norm(student: Student, cases: Cases) -> None:
    """Compare values and gradients with PyTorch's group normalization in float64."""
    eps = cases.uniform(0.1, 0.3)

    def affine(c: int) -> tuple[torch.Tensor, torch.Tensor]:
        return cases.randn(c) + 0.5, cases.randn(c)

    with cases("feature maps", weight=3):
        # The second has channels, height and width of one size; in the third, groups and channels per group agree.
        for shape, groups in (((3, 6, 4, 5), 2), ((2, 6, 6, 6), 3), ((2, 4, 3, 2), 2)):
            x, (gamma, beta) = _samples(cases, *shape), affine(shape[1])
            _compare(
                _group(student, x, groups, gamma, beta, eps),
                _true_group(x, groups, gamma, beta, eps),
                f"For x of shape {shape} and {groups} groups: each sample has one mean and one variance for each "
                "group, over its channels and all positions.",
                _group_mistakes(x, groups, gamma, beta, eps),
            )
    with cases("inputs keep their values"):
        for dtype in (FLOAT, torch.float32):
            before = [v.to(dtype) for v in (_samples(cases, 3, 4, 2, 5), *affine(4))]
            (after,) = _watched(
                student,
                "group_norm(x, 2, gamma, beta, 1e-5)\nafter = [x, gamma, beta]",
                ["after"],
                x=before[0],
                gamma=before[1],
                beta=before[2],
            )
            _unchanged(after, before)
    with cases("other numbers of dimensions", weight=2):
        for shape, groups in (
            ((4, 6), 2),
            ((6, 6), 3),
            ((3, 6, 5), 3),
            ((4, 8, 8), 2),
            ((2, 4, 2, 3, 2), 2),
            ((1, 4), 2),
        ):
            x, (gamma, beta) = _samples(cases, *shape), affine(shape[1])
            hint = f"Look at x of shape {shape} with {groups} groups."
            with expect.explained(hint):
                out = _group(student, x, groups, gamma, beta, eps)
            known = _group_mistakes(x, groups, gamma, beta, eps)
            _compare(out, _true_group(x, groups, gamma, beta, eps), hint, known)
    with cases("one group, and as many as channels"):
        x, (gamma, beta) = _samples(cases, 3, 4, 5), affine(4)
        hint = (
            "With groups=1 all channels and positions of a sample share one mean; gamma still has one for each channel."
        )
        _compare(_group(student, x, 1, gamma, beta, eps), _true_group(x, 1, gamma, beta, eps), hint)
        hint = "With as many groups as channels each channel has its own mean, over its positions."
        _compare(_group(student, x, 4, gamma, beta, eps), _true_group(x, 4, gamma, beta, eps), hint)
        x = _samples(cases, 3, 4)
        hint = "With as many groups as channels and no positions, a group is one number: what is left of it is beta."
        _compare(_group(student, x, 4, gamma, beta, eps), beta.expand(3, 4), hint)
    with cases("no scale, no shift"):
        x, (gamma, beta) = _samples(cases, 2, 4, 3), affine(4)
        for g, b in ((None, None), (gamma, None), (None, beta)):
            left = " and ".join(n for n, v in (("gamma", g), ("beta", b)) if v is None)
            with expect.explained(f"Without {left}, leave it out."):
                out = _group(student, x, 2, g, b, eps)
            _compare(out, _true_group(x, 2, g, b, eps), f"Without {left}, only that part is left out.")
        x = 0.01 * x
        (out,) = _watched(student, "out = kept(group_norm(x, 2))", ["out"], x=x)
        _compare(out, _true_group(x, 2, None, None, 1e-5), "Without further arguments eps is 1e-5, and nothing scales.")
    with cases("constant groups"):
        x = 0.01 * cases.randn(3, 4, 6)
        x[0, :2], x[1] = 3.0, -2.0
        gamma, beta = affine(4)
        for small in (1e-5, 1e-3):
            hint = "A constant group has variance 0 and gives beta: eps, inside of the root, prevents 0 / 0."
            _compare(_group(student, x, 2, gamma, beta, small), _true_group(x, 2, gamma, beta, small), hint)
    with cases("large means"):
        x = (cases.randn(16, 4, 4, 4) + 1e4).float()
        hint = (
            "In float32, with a mean of 10,000, the digits are lost: subtract the mean first, then square (not the "
            "mean of squares minus the square of the mean)."
        )
        # As in layer normalization: 32 numbers for each mean.
        out = _group(student, x, 2, torch.ones(4), torch.zeros(4), 1e-5)
        _compare(out, _true_group(x, 2, None, None, 1e-5).float(), hint, rtol=0.0, atol=0.05)
    with cases("float32 and float64"):
        for dtype, tolerance in ((FLOAT, EXACT), (torch.float32, SINGLE)):
            x = cases.randn(2, 4, 5).to(dtype)
            gamma, beta = (v.to(dtype) for v in affine(4))
            hint = f"In {dtype} the result has fewer right digits than it should: do not convert x to another dtype."
            out = _group(student, x, 2, gamma, beta, eps)
            _compare(out, _true_group(x, 2, gamma, beta, eps).to(dtype), hint, **tolerance)
    with cases("memory"):
        hint = "x may lie in memory in any order: take reshape or flatten where you have view."
        for shape, order in (
            ((2, 4, 3, 5), "x.contiguous(memory_format=torch.channels_last)"),
            ((2, 4, 3), "x.transpose(1, 2).contiguous().transpose(1, 2)"),
            ((4, 6), "x.T.contiguous().T"),
            ((3, 4, 2, 3), "x.transpose(0, 1).contiguous().transpose(0, 1)"),
            ((3, 4, 6), "torch.cat([x, x], 1)[:, :4]"),
            ((3, 4, 2, 5), "x.transpose(2, 3).contiguous().transpose(2, 3)"),
            ((2, 4, 3, 3), "torch.cat([x, x], 3)[..., :3]"),
        ):
            x, (gamma, beta) = _samples(cases, *shape), affine(shape[1])
            with expect.explained(hint):
                (out,) = _watched(
                    student,
                    f"x = {order}\nout = kept(group_norm(x, 2, gamma, beta, eps))",
                    ["out"],
                    x=x,
                    gamma=gamma,
                    beta=beta,
                    eps=eps,
                )
            _compare(out, _true_group(x, 2, gamma, beta, eps), hint)
    with cases("bad settings"):
        tried = [(6, 4), (6, 5), (6, 12), (6, 0), (6, -1), (6, -2), (6, 7), (6, 6), (6, 3), (1, 1), (1, 2)]
        (outcomes,) = _watched(
            student,
            """
            outcomes = []
            for channels, groups in tried:
                try:
                    group_norm(torch.ones(2, channels, 4), groups)
                    outcomes.append(None)
                except ValueError:
                    outcomes.append("ValueError")
                except Exception as error:
                    outcomes.append(type(error).__name__)
            """,
            ["outcomes"],
            tried=[list(t) for t in tried],
        )
        _outcomes(
            outcomes,
            [
                (None, f"{groups} groups of {c} channels are possible: nothing should be raised")
                if groups > 0 and c % groups == 0
                else ("ValueError", f"groups={groups} with {c} channels should raise a ValueError")
                for c, groups in tried
            ],
        )
    with cases("the gradients"):
        x, (gamma, beta), up = _samples(cases, 3, 4, 5), affine(4), cases.randn(3, 4, 5)
        (grads,) = _watched(
            student,
            """
            leaves = [v.clone().requires_grad_() for v in (x, gamma, beta)]
            out = group_norm(leaves[0] * 1, 2, leaves[1], leaves[2], eps)
            if out.requires_grad:
                out.backward(up)
            grads = [v.grad for v in leaves]
            """,
            ["grads"],
            x=x,
            gamma=gamma,
            beta=beta,
            up=up,
            eps=eps,
        )
        wanted = _true_gradients(lambda a, g, b: F.group_norm(a, 2, g, b, eps), (x, gamma, beta), up)
        std = torch.sqrt(x.reshape(3, 2, -1).var(-1, correction=0, keepdim=True) + eps)
        alone = ((up * gamma.view(4, 1)).reshape(3, 2, -1) / std).reshape(x.shape)
        whole = "Mean and variance depend on x too: do not detach them, and do not compute them under torch.no_grad()."
        _gradients(grads, wanted, ("x", "gamma", "beta"), [[(alone, whole)], [], []])


# --- 5. rms_norm -----------------------------------------------------------------------------------------------------


def _true_rms(x: torch.Tensor, gamma: torch.Tensor | None, eps: float) -> torch.Tensor:
    """Return RMSNorm in float64, by the formula in NumPy."""
    values = x.double().numpy()
    out = values / np.sqrt((values * values).mean(axis=-1, keepdims=True) + eps)
    return torch.from_numpy(out if gamma is None else out * gamma.double().numpy())


def _rms_mistakes(x: torch.Tensor, gamma: torch.Tensor, eps: float) -> Mistakes:
    """Return what usual mistakes give for RMSNorm."""
    square = x**2
    mean_square = square.mean(-1, keepdim=True)
    mean, std = x.mean(-1, keepdim=True), torch.sqrt(x.var(-1, correction=0, keepdim=True) + eps)
    every = tuple(range(x.dim()))
    hat = x / torch.sqrt(mean_square + eps)
    hats = [
        ((x - mean) / std, "This is layer normalization: RMSNorm subtracts no mean, also not under the root."),
        (
            x / std,
            "You divide by the standard deviation: under the root is the mean of the squares, nothing subtracted.",
        ),
        ((x - mean) / torch.sqrt(mean_square + eps), "RMSNorm subtracts no mean: the features stay uncentred."),
        (
            x / torch.sqrt(x.var(-1, correction=1, keepdim=True) + eps),
            "You divide by the standard deviation: under the root is the mean of the squares, nothing subtracted.",
        ),
        (
            x / torch.sqrt(square.sum(-1, keepdim=True) + eps),
            "Under the root is the mean of the squares; yours is their sum: you divide by the length.",
        ),
        (
            x / square.sum(-1, keepdim=True).sqrt(),
            "Under the root is the mean of the squares, with eps; yours is a sum.",
        ),
        (x / (mean_square.sqrt() + eps), "eps is added to the mean square, inside of the root, not to the root."),
        (x / mean_square.sqrt(), "eps has no effect in yours: add it to the mean square, inside of the root."),
        (
            x / torch.sqrt(mean_square + 1e-5),
            "The eps that is given has no effect in yours: add it to the mean square.",
        ),
        (
            x / torch.sqrt(mean_square + 1e-6),
            "The eps that is given has no effect in yours: add it to the mean square.",
        ),
        (x / (mean_square + eps), "The root is missing: you divide by the mean square."),
        (x * torch.sqrt(mean_square + eps), "Divide by the root mean square: you multiply by it."),
        (
            x / torch.sqrt(square.mean(0, keepdim=True) + eps),
            "Your mean is over the samples: take it over the features.",
        ),
        (x / torch.sqrt(square.mean(every) + eps), "You take one mean over all samples together: each has its own."),
        (x / torch.sqrt(mean**2 + eps), "Square first, then take the mean: yours is the square of the mean."),
        (x / torch.sqrt(x.abs().mean(-1, keepdim=True) + eps), "The mean is that of the squares, not of the amounts."),
    ]
    if x.dim() > 2:
        hats.append(
            (
                x / torch.sqrt(square.mean(every[1:], keepdim=True) + eps),
                "You take the mean over all dimensions but the first: it is over the last one alone.",
            )
        )
    values: Mistakes = [
        (x, "Your function gives x back as it is: nothing is normalized."),
        (x * gamma, "Your function only scales by gamma: nothing is normalized."),
        (hat, "gamma has no effect in yours: multiply by it."),
        (hat * (1 + gamma), "The scale is gamma itself, not 1 + gamma."),
        (hat + gamma, "gamma multiplies: you add it."),
        (hat / gamma, "gamma multiplies: you divide by it."),
        (hat * gamma.mean(), "gamma has an entry for each feature: do not take one for all."),
        (_true_rms(x * gamma, None, eps), "Normalize first: gamma comes after it."),
    ]
    return values + [(h * gamma, hint) for h, hint in hats] + hats


@check
def rms_norm(student: Student, cases: Cases) -> None:
    """Compare with the formula in NumPy, and gradients with PyTorch's RMSNorm."""
    eps = cases.uniform(0.1, 0.3)

    def ask(x: torch.Tensor, gamma: Any, eps: float = eps) -> Any:
        return _watched(student, "out = kept(rms_norm(x, gamma, eps))", ["out"], x=x, gamma=gamma, eps=eps)[0]

    with cases("rows of features", weight=3):
        hints = (
            "Divide each sample by the root of the mean of its squared features, then multiply by gamma.",
            "When there are as many samples as features, yours mixes them up: name the dimension, keep it (keepdim).",
        )
        for shape, hint in zip(((7, 5), (5, 5)), hints, strict=True):
            x, gamma = _samples(cases, *shape), cases.randn(5) + 0.5
            _compare(ask(x, gamma), _true_rms(x, gamma, eps), hint, _rms_mistakes(x, gamma, eps))
    with cases("inputs keep their values"):
        for dtype in (FLOAT, torch.float32):
            before = [v.to(dtype) for v in (_samples(cases, 4, 6), cases.randn(6))]
            (after,) = _watched(
                student,
                "rms_norm(x, gamma, 1e-5)\nafter = [x, gamma]",
                ["after"],
                x=before[0],
                gamma=before[1],
            )
            _unchanged(after, before)
    with cases("dimensions in front", weight=2):
        for shape in ((5,), (1, 5), (2, 3, 5), (4, 4, 4), (2, 3, 2, 4), (3, 1), (0, 5), (2, 0, 5)):
            x, gamma = _samples(cases, *shape), cases.randn(shape[-1]) + 0.5
            hint = f"Look at an x of shape {shape}: the mean is over the last dimension, and the shape stays."
            with expect.explained(hint):
                out = ask(x, gamma)
            _compare(out, _true_rms(x, gamma, eps), hint, _rms_mistakes(x, gamma, eps) if x.numel() > 5 else [])
    with cases("no scale"), expect.explained("Without gamma, leave it out."):
        x = _samples(cases, 4, 6)
        _compare(ask(x, None), _true_rms(x, None, eps), "Without gamma, only the scale is left out.")
        x = 0.01 * x
        (out,) = _watched(student, "out = kept(rms_norm(x))", ["out"], x=x)
        _compare(out, _true_rms(x, None, 1e-5), "Without further arguments gamma is None, and eps is 1e-5.")
    with cases("zeros and small samples"):
        x, gamma = 0.01 * cases.randn(5, 8), cases.randn(8)
        x[1] = 0
        for small in (1e-5, 1e-3):
            hint = "A sample of zeros gives zeros, and eps stands inside of the root: look at small samples."
            _compare(ask(x, gamma, small), _true_rms(x, gamma, small), hint)
    with cases("float32 and float64"):
        for dtype, tolerance in ((FLOAT, EXACT), (torch.float32, SINGLE)):
            x, gamma = cases.randn(5, 6).to(dtype), cases.randn(6).to(dtype)
            hint = f"In {dtype} the result has fewer right digits than it should: do not convert x to another dtype."
            _compare(ask(x, gamma), _true_rms(x, gamma, eps).to(dtype), hint, **tolerance)
    with cases("half precision"):
        # Squares overflow in float16. In bfloat16 a rounded mean, root and quotient are off by up to 1 %, which the one
        # rounding that is allowed without gamma is not.
        for x in _half_inputs(cases, 16, 24):
            for own in (torch.float32, x.dtype, None):
                gamma = None if own is None else (cases.randn(24) + 0.5).to(own)
                with expect.explained(f"Look at an x in {x.dtype}, with gamma in {own or 'no dtype: None'}."):
                    out = ask(x, gamma, 1e-5)
                _half(out, x, _true_rms(x, gamma, 1e-5), None, once=own is None)
    with cases("memory"):
        whole = _samples(cases, 4, 3, 5)
        gamma = cases.randn(4)
        hint = "x need not be contiguous in memory: take reshape where you have view."
        with expect.explained(hint):
            (out,) = _watched(
                student,
                "out = kept(rms_norm(whole.permute(2, 1, 0), gamma, eps))",
                ["out"],
                whole=whole,
                gamma=gamma,
                eps=eps,
            )
        _compare(out, _true_rms(whole.permute(2, 1, 0), gamma, eps), hint)
    with cases("the gradients"):
        x, gamma, up = _samples(cases, 4, 6), cases.randn(6), cases.randn(4, 6)
        (grads,) = _watched(
            student,
            """
            leaves = [v.clone().requires_grad_() for v in (x, gamma)]
            out = rms_norm(leaves[0] * 1, leaves[1], eps)
            if out.requires_grad:
                out.backward(up)
            grads = [v.grad for v in leaves]
            """,
            ["grads"],
            x=x,
            gamma=gamma,
            up=up,
            eps=eps,
        )
        wanted = _true_gradients(lambda a, g: F.rms_norm(a, (6,), g, eps), (x, gamma), up)
        alone = up * gamma / torch.sqrt((x**2).mean(-1, keepdim=True) + eps)
        whole = "The mean square depends on x too: do not detach it, and do not compute it under torch.no_grad()."
        _gradients(grads, wanted, ("x", "gamma"), [[(alone, whole)], []])
