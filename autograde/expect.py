"""Expectations: comparisons on the trusted side whose failure is a sentence to the student.

The hint given to an expectation says what to look at. What the expectation adds (a wrong shape, a wrong type, a
nan) says what was seen. Neither says the expected value.
"""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from autograde.student import StudentError

#: Values that a known mistake gives, each with the hint for its student.
Mistakes = Iterable[tuple[Any, str]]


class Unmet(Exception):
    """An expectation that was not met; its text is the sentence the student reads."""


def that(condition: bool, hint: str) -> None:
    """Expect ``condition``."""
    if not condition:
        raise Unmet(hint)


def kind(value: Any, types: type | tuple[type, ...], what: str = "The result") -> None:
    """Expect ``value`` to be of one of these types (bool does not count as a number)."""
    allowed = types if isinstance(types, tuple) else (types,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        names = " or ".join(_type_name(t) for t in allowed)
        raise Unmet(f"{what} should be {names}, but it is {_type_name(type(value))}.")


def sequence(value: Any, length: int, what: str = "The result") -> None:
    """Expect a tuple or list of ``length`` values."""
    if not isinstance(value, (tuple, list)):
        raise Unmet(f"{what} should be a tuple of {length} values, but it is {_type_name(type(value))}.")
    if len(value) != length:
        raise Unmet(f"{what} should hold {length} values, but it holds {len(value)}.")


def equal(actual: Any, expected: Any, hint: str) -> None:
    """Expect the same plain value (string, integer, None, list or dict of those), type included."""
    try:
        same = type(actual) is type(expected) and bool(actual == expected)
    except (RuntimeError, ValueError):  # a list that holds tensors or arrays has no one truth
        same = False
    if not same:
        raise Unmet(hint)


def close(
    actual: Any,
    expected: Any,
    hint: str,
    mistakes: Mistakes = (),
    *,
    what: str = "The result",
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Expect a number or tensor of the same shape and nearly the same values.

    Numbers and tensors without dimensions are alike. The tolerance follows the coarser dtype of the two:
    1e-9 for float64, 2e-4 for float32, 2e-2 for half precision, relative to each value and, absolutely, to the
    largest one (to 1 where all are 0); ``rtol`` and ``atol`` override it. A wrong answer that equals a known mistake
    fails with that mistake's own hint.
    """
    try:
        _close(actual, expected, hint, what, rtol, atol)
    except Unmet:
        no_mistake(actual, mistakes)
        raise


def no_mistake(actual: Any, mistakes: Mistakes) -> None:
    """Expect that ``actual`` is none of these values, each with the hint for the mistake that gives it."""
    for value, hint in mistakes:
        with contextlib.suppress(Unmet):
            _close(actual, value, hint, "The result", 1e-5, None)
            break
    else:
        return
    raise Unmet(hint)


def number(value: Any, what: str = "The result") -> None:
    """Expect a real number, or a real tensor without dimensions."""
    if not (isinstance(value, torch.Tensor) and value.dim() == 0 and not value.is_complex()):
        kind(value, (float, int), what)


@contextlib.contextmanager
def explained(hint: str) -> Iterator[None]:
    """Put ``hint`` before what the student's code raises here; an answer not yet written says so by itself."""
    try:
        yield
    except StudentError as error:
        unanswered = error.kind == "NotImplementedError"
        raise Unmet(error.sentence() if unanswered else f"{hint} {error.sentence()}") from None


def _close(actual: Any, expected: Any, hint: str, what: str, rtol: float | None, atol: float | None) -> None:
    seen, wanted = _as_tensor(actual, what), _as_tensor(expected, "The expected value")
    if seen.shape != wanted.shape:
        raise Unmet(
            f"{what} should have the shape {tuple(wanted.shape)}, but it has {tuple(seen.shape)}."
            if wanted.dim() or seen.dim()
            else hint
        )
    base = max(_tolerance(seen.dtype), _tolerance(wanted.dtype))
    exact = torch.complex128 if seen.is_complex() or wanted.is_complex() else torch.float64
    seen, wanted = seen.to(exact), wanted.to(exact)
    if torch.isnan(seen).any() and not torch.isnan(wanted).any():
        raise Unmet(f"{what} contains nan. {hint}")
    if atol is None:
        finite = wanted.abs()[torch.isfinite(wanted.abs())]
        largest = float(finite.max()) if finite.numel() else 0.0
        atol = base * (largest or 1.0)
    if not torch.allclose(seen, wanted, rtol=base if rtol is None else rtol, atol=atol, equal_nan=True):
        raise Unmet(hint)


def shape(value: Any, wanted: tuple[int, ...], what: str = "The result") -> None:
    """Expect a tensor of this shape."""
    tensor = _as_tensor(value, what)
    if tuple(tensor.shape) != tuple(wanted):
        raise Unmet(f"{what} should have the shape {tuple(wanted)}, but it has {tuple(tensor.shape)}.")


def dtype(value: Any, wanted: torch.dtype, what: str = "The result") -> None:
    """Expect a tensor of this dtype."""
    kind(value, torch.Tensor, what)
    if value.dtype != wanted:
        raise Unmet(f"{what} should keep the dtype {wanted}, but it is {value.dtype}.")


def _as_tensor(value: Any, what: str) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, numbers.Number) and not isinstance(value, bool):
        return _as_vector([value], what)[0]
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, numbers.Number) for v in value):
        return _as_vector(value, what)
    raise Unmet(f"{what} should be a number or a tensor, but it is {_type_name(type(value))}.")


def _as_vector(values: Sequence[complex], what: str) -> torch.Tensor:
    kind = torch.complex128 if any(isinstance(v, complex) for v in values) else torch.float64
    try:
        return torch.tensor(values, dtype=kind)
    except (OverflowError, RuntimeError):
        raise Unmet(f"{what} is too large for a float64 number.") from None


def _tolerance(dtype: torch.dtype) -> float:
    if dtype in (torch.float16, torch.bfloat16):
        return 2e-2
    return 2e-4 if dtype in (torch.float32, torch.complex64) else 1e-9


def _type_name(kind: type) -> str:
    names = {
        type(None): "None",
        torch.Tensor: "a tensor",
        np.ndarray: "a numpy array",
        int: "an integer",
        float: "a number",
        str: "a string",
        dict: "a dict",
        tuple: "a tuple",
        list: "a list",
        bool: "True or False",
        complex: "a complex number",
    }
    return names.get(kind, f"a {kind.__name__}")
