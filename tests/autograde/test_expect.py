"""What an expectation accepts, and the sentence when it is not met."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from autograde import expect
from autograde.expect import Unmet
from autograde.student import StudentError


def said(expectation, *args, **kwargs) -> str:
    """Return the sentence of an expectation that is not met."""
    with pytest.raises(Unmet) as caught:
        expectation(*args, **kwargs)
    return str(caught.value)


def test_that() -> None:
    expect.that(True, "a hint")
    assert said(expect.that, False, "a hint") == "a hint"


def test_kind() -> None:
    expect.kind(1.0, (float, int))
    expect.kind(True, bool)
    assert said(expect.kind, True, (float, int), "The rate") == (
        "The rate should be a number or an integer, but it is True or False."
    )
    assert said(expect.kind, None, torch.Tensor) == "The result should be a tensor, but it is None."


def test_sequence() -> None:
    expect.sequence((1, 2), 2)
    expect.sequence([1, 2], 2)
    assert "holds 3" in said(expect.sequence, (1, 2, 3), 2)
    assert "but it is a tensor" in said(expect.sequence, torch.ones(2), 2)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [("saddle", "saddle"), (math.inf, math.inf), (3, 3), (None, None), ([1, "a"], [1, "a"]), ({"a": 1}, {"a": 1})],
)
def test_equal(actual: object, expected: object) -> None:
    expect.equal(actual, expected, "hint")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1.0, 1),
        (True, 1),
        ("Saddle", "saddle"),
        ([torch.ones(2)], [1]),
        ([np.ones(2)], [1]),
        (torch.ones(2), 1),
        (None, 0),
    ],
    ids=repr,
)
def test_not_equal(actual: object, expected: object) -> None:
    assert said(expect.equal, actual, expected, "hint") == "hint"


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1.0, 1.0 + 1e-12),
        (1, 1.0),
        (torch.tensor(2.0), 2.0),
        (np.float64(2.0), 2.0),
        (np.ones(2), torch.ones(2)),
        ([1.0, 2.0], torch.tensor([1.0, 2.0])),
        ([1.0, 2j], torch.tensor([1.0, 2j])),
        (torch.tensor([1.0 + 1e-5]), torch.tensor([1.0], dtype=torch.float64)),
        (torch.tensor([1e-14, 1.0], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)),
        (math.inf, math.inf),
        (torch.tensor([math.nan]), torch.tensor([math.nan])),
        (torch.ones(0), torch.ones(0)),
        (torch.tensor([True]), torch.tensor([1])),
    ],
    ids=repr,
)
def test_close(actual: object, expected: object) -> None:
    expect.close(actual, expected, "hint")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1.0, 1.0 + 1e-6),
        (math.inf, -math.inf),
        (1e300, math.inf),
        (0.0, 1e-12),
        (torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0])),
        (torch.tensor([1.0 + 1e-3]), torch.tensor([1.0])),
        (1j, 1.0),
    ],
    ids=repr,
)
def test_not_close(actual: object, expected: object) -> None:
    assert said(expect.close, actual, expected, "hint") == "hint"


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (torch.ones(2, 1), torch.ones(2), "should have the shape (2,), but it has (2, 1)"),
        (torch.ones(1), 1.0, "should have the shape (), but it has (1,)"),
        (None, 1.0, "should be a number or a tensor, but it is None"),
        ("1.0", 1.0, "but it is a string"),
        (True, 1.0, "but it is True or False"),
        ([], torch.ones(0), "but it is a list"),
        ([torch.ones(1)], torch.ones(1), "but it is a list"),
        (10**400, 1.0, "too large"),
        ([1, 10**400], torch.ones(2), "too large"),
        (math.nan, 1.0, "The result contains nan. hint"),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_not_close_says_what_was_seen(actual: object, expected: object, words: str) -> None:
    assert words in said(expect.close, actual, expected, "hint")


def test_close_tolerances_can_be_set() -> None:
    expect.close(1.05, 1.0, "hint", rtol=0.1)
    expect.close(torch.tensor([0.05]), torch.tensor([0.0]), "hint", atol=0.1, rtol=0)
    said(expect.close, 1.05, 1.0, "hint", rtol=0.01)
    said(expect.close, torch.tensor([0.2]), torch.tensor([0.0]), "hint", atol=0.1, rtol=0)


def test_shape_and_dtype() -> None:
    expect.shape(torch.ones(2, 3), (2, 3))
    expect.shape(1.5, ())
    assert "(2, 3), but it has (3, 2)" in said(expect.shape, torch.ones(3, 2), (2, 3))
    expect.dtype(torch.ones(1, dtype=torch.float64), torch.float64)
    assert "torch.float64, but it is torch.float32" in said(expect.dtype, torch.ones(1), torch.float64)
    assert "but it is a number" in said(expect.dtype, 1.0, torch.float64)


def test_a_known_mistake_is_told_by_its_own_hint() -> None:
    wanted, doubled = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0])
    mistakes = [(-wanted, "The sign is wrong."), (doubled, "Halve it.")]
    expect.close(wanted, wanted, "other", mistakes)
    assert said(expect.close, -wanted, wanted, "other", mistakes) == "The sign is wrong."
    assert said(expect.close, doubled * (1 + 1e-6), wanted, "other", mistakes) == "Halve it."
    assert said(expect.close, wanted + 0.1, wanted, "other", mistakes) == "other"
    # What equals both is right: a mistake is looked for only once the right value is ruled out.
    expect.close(0.0, 0.0, "other", [(0.0, "never")])
    expect.no_mistake(wanted, mistakes)
    assert said(expect.no_mistake, doubled, mistakes) == "Halve it."


def test_zero_has_a_tolerance_too() -> None:
    expect.close(1e-12, 0.0, "not zero")
    expect.close(torch.full((3,), 1e-12, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), "not zero")
    assert said(expect.close, 1e-6, 0.0, "not zero") == "not zero"


@pytest.mark.parametrize("value", [1, 1.5, torch.tensor(2.0), torch.tensor(3)])
def test_a_number_may_be_a_tensor_without_dimensions(value: object) -> None:
    expect.number(value)


@pytest.mark.parametrize("value", [True, "1", None, [1.0], torch.ones(1), torch.tensor(1j), 1j])
def test_what_is_no_number(value: object) -> None:
    assert "should be" in said(expect.number, value)


def test_an_error_is_explained_unless_nothing_is_written() -> None:
    def run(kind: str) -> None:
        with expect.explained("Look at the names."):
            raise StudentError(kind, "momentum")

    assert said(run, "KeyError") == "Look at the names. Your code raised KeyError: momentum."
    assert said(run, "NotImplementedError").startswith("Nothing is written here yet")
