"""One exercise's verdict from its two parts: the visible tests, and the hidden cases.

The visible tests are a gate, as in stock nbgrader: when they fail, the exercise gives no points, whatever the
hidden cases say. ``autograde grade`` and ``autograde verify`` both settle here, so that they agree.
"""

from __future__ import annotations

from dataclasses import replace

from autograde.cases import ExerciseResult
from autograde.student import StudentError


def settle(result: ExerciseResult, visible_error: StudentError | None) -> ExerciseResult:
    """Return the verdict on an exercise whose visible test cell ended as given.

    Args:
        result: what the hidden cases found (:func:`autograde.cases.run_check`).
        visible_error: what the visible test cell raised, or None when it passed.

    Returns:
        ``result`` itself when the visible tests passed. Otherwise a copy with the score 0, whose hint is that of the
        first failing case, or the visible failure's sentence when no case fails.
    """
    if visible_error is None:
        return result
    return replace(result, score=0.0, hint=result.hint or sentence(visible_error))


def sentence(error: StudentError) -> str:
    """Say in one sentence, to the student, how a visible test failed.

    The message of an assert is written for the student, so it stands alone.
    """
    if error.kind != "AssertionError":
        return error.sentence()
    if error.message:
        return error.message
    return f"A visible test does not hold: `{error.line}`." if error.line else "A visible test does not hold."
