"""Cases, their weights, and what becomes of a check that cannot end."""

from __future__ import annotations

import pytest
import torch

from autograde import expect
from autograde.cases import Cases, ExerciseResult, check, run_check
from autograde.student import NamespaceStudent, StudentError, StudentStopped
from autograde.verdict import settle


def run(function, points: float = 6, seed: int = 1, **names: object) -> ExerciseResult:
    return run_check(check(function), NamespaceStudent(names), exercise="it", points=points, seed=seed)


def test_all_right() -> None:
    def it(student, cases):
        with cases("one"):
            expect.equal(student.call("f"), 1, "no")

    result = run(it, f=lambda: 1)
    assert (result.score, result.max_score, result.status, result.hint, result.fault) == (6, 6, "graded", "", None)
    assert [(c.name, c.weight, c.passed, c.hint) for c in result.cases] == [("one", 1, True, "")]


def test_the_score_is_by_weight_and_the_first_hint_is_read() -> None:
    def it(student, cases):
        with cases("one", weight=2):
            expect.that(True, "no")
        with cases("two"):
            expect.that(False, "the second")
        with cases("three", weight=4):
            student.call("f")

    result = run(it)
    assert result.score == round(6 * 2 / 7, 4)
    assert result.hint == "the second"
    assert [c.passed for c in result.cases] == [True, False, False]
    assert "NameError" in result.cases[2].hint


def test_a_brief_check_ends_at_the_first_case_that_fails() -> None:
    """Whatever fails it: a value, an error of the student's, or the check's own; and whatever the check catches."""

    def it(student, cases):
        with cases("one"):
            pass
        try:
            with cases("two"):
                student.call("f")
        except Exception:
            raise AssertionError("a check cannot catch it") from None
        with cases("three"):
            raise AssertionError("too far")

    for f, hint in ((None, "NameError"), (lambda: 1 / 0, "ZeroDivisionError")):
        names = {} if f is None else {"f": f}
        result = run_check(check(it), NamespaceStudent(names), exercise="it", points=6, seed=1, brief=True)
        assert [c.passed for c in result.cases] == [True, False]
        assert hint in result.hint and result.score < 6 and result.fault is None

    def right(student, cases):
        with cases("one"):
            pass

    assert run_check(check(right), NamespaceStudent({}), exercise="it", points=6, seed=1, brief=True).score == 6


def test_a_stopped_student_gives_no_points() -> None:
    def it(student, cases):
        with cases("one"):
            pass
        with cases("two"):
            raise StudentStopped("timeout", "It took too long.")
        raise AssertionError("no question after that")

    result = run(it)
    assert (result.score, result.status, result.hint, result.fault) == (0, "timeout", "It took too long.", None)


def test_a_case_that_breaks_is_a_fault_and_the_others_go_on() -> None:
    def it(student, cases):
        with cases("one"):
            [][1]
        with cases("two"):
            pass

    result = run(it)
    assert result.score == 3 and "case 'one': IndexError" in result.fault
    assert "could not read" in result.hint


@pytest.mark.parametrize("where", ["outside a case", "no case"])
def test_a_check_that_breaks_gives_no_points_and_says_so(where: str) -> None:
    def it(student, cases):
        if where == "outside a case":
            with cases("one"):
                pass
            raise ValueError("oops")

    result = run(it)
    assert result.score == 0 and "instructor" in result.hint
    assert result.fault == {"outside a case": "ValueError: oops", "no case": "the check has no case"}[where]


def test_draws_come_from_the_seed() -> None:
    def draw(seed: int) -> list:
        cases = Cases(seed)
        return [cases.randn(2).tolist(), cases.uniform(3, 4), cases.integer(1, 3)]

    torch.manual_seed(0)
    first = draw(5)
    torch.manual_seed(1)
    assert first == draw(5) != draw(6)
    cases = Cases(0)
    assert {cases.integer(1, 3) for _ in range(100)} == {1, 2, 3}
    assert all(3 <= cases.uniform(3, 4) < 4 for _ in range(100))
    assert cases.randn(2, 3).shape == (2, 3) and cases.randn(1, dtype=torch.float32).dtype == torch.float32


def test_what_a_check_draws_from_the_global_generator_follows_from_the_seed_and_leaves_no_trace() -> None:
    drawn = []

    def it(student, cases):
        with cases("a layer's first weights"):
            drawn.append(torch.nn.Linear(2, 2).weight.tolist())

    torch.manual_seed(0)
    before = torch.get_rng_state()
    run(it, seed=5)
    torch.rand(3)
    run(it, seed=5), run(it, seed=6)
    assert drawn[0] == drawn[1] != drawn[2]
    torch.set_rng_state(before)
    run(it, seed=7)
    assert torch.equal(torch.get_rng_state(), before)


def result(score: float, hint: str = "") -> ExerciseResult:
    return ExerciseResult("it", score, 6, hint=hint)


@pytest.mark.parametrize(
    ("before", "error", "score", "hint"),
    [
        (result(6), None, 6, ""),
        (result(2, "hidden"), None, 2, "hidden"),
        (result(2, "hidden"), StudentError("AssertionError", "visible"), 0, "hidden"),
        (result(6), StudentError("AssertionError", "visible"), 0, "visible"),
        (result(6), StudentError("AssertionError", "", "assert f()"), 0, "A visible test does not hold: `assert f()`."),
        (result(6), StudentError("AssertionError", ""), 0, "A visible test does not hold."),
        (
            result(6),
            StudentError("KeyError", "'a'", "d['a']"),
            0,
            "Your code raised KeyError: 'a', at your line `d['a']`.",
        ),
    ],
)
def test_visible_tests_are_a_gate(before: ExerciseResult, error: StudentError | None, score: float, hint: str) -> None:
    old = before.score, before.hint
    after = settle(before, error)
    assert (after.score, after.hint) == (score, hint)
    assert (after.exercise, after.max_score, after.status) == ("it", 6, "graded")
    assert (before.score, before.hint) == old
