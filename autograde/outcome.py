"""What became of one submission: what every file that ``autograde grade`` writes is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nbformat import NotebookNode

from autograde.assemble import Assembled
from autograde.cases import ExerciseResult
from autograde.course import Exercise
from autograde.submission import Submission

GRADED, TIMEOUT, KILLED, MISSING, REJECTED = "graded", "timeout", "killed", "missing", "rejected: "
#: Which of two statuses a submission gets when both happened.
_GRAVITY = (GRADED, TIMEOUT, KILLED)


@dataclass
class SubmissionResult:
    """One submission's result.

    Attributes:
        submission: whose and of what.
        status: exactly one of ``graded``, ``timeout``, ``killed``, ``rejected: <reason>`` and ``missing``.
        exercises: one result for each exercise of the assignment, in its order.
        notes: sentences to the student about the notebook, such as which test cell was restored.
        assembled: the notebook that was run, outputs included; None when none was.
        dropped: whether outputs were left out because there were too many.
        timestamp: what nbgrader's timestamp.txt says.
        digest: SHA-256 of the file that was graded.
        seconds: how long it took.
        trouble: a traceback of the grader's own, for the instructor; None when all went well.
    """

    submission: Submission
    status: str
    exercises: list[ExerciseResult]
    notes: list[str] = field(default_factory=list)
    assembled: Assembled | None = None
    dropped: bool = False
    timestamp: str | None = None
    digest: str = ""
    seconds: float = 0.0
    trouble: str | None = None

    @property
    def score(self) -> float:
        """The points of all exercises."""
        return round(sum(e.score for e in self.exercises), 4)

    @property
    def max_score(self) -> float:
        """The points that there were."""
        return round(sum(e.max_score for e in self.exercises), 4)

    @property
    def notebook(self) -> NotebookNode | None:
        """The executed notebook, if there is one."""
        return self.assembled.notebook if self.assembled else None

    @property
    def faults(self) -> list[str]:
        """What went wrong on the grader's side, for the instructor."""
        faults = [f"{e.exercise}: {e.fault}" for e in self.exercises if e.fault]
        return faults + ([self.trouble.strip().splitlines()[-1]] if self.trouble else [])

    @property
    def good(self) -> bool:
        """Whether the instructor need not look at it: graded or missing, and no fault of the grader."""
        return self.status in (GRADED, MISSING) and not self.faults


def worse(first: str, second: str) -> str:
    """Return the graver of two statuses among graded, timeout and killed."""
    return max(first, second, key=_GRAVITY.index)


def nothing(exercises: Sequence[Exercise], hint: str) -> list[ExerciseResult]:
    """Return no points for each exercise, with one hint for all."""
    return [ExerciseResult(e.name, 0.0, e.points, hint=hint) for e in exercises]


def number(score: float) -> str:
    """Write points without zeros that say nothing: ``3``, ``2.5``, ``0.6667``."""
    return f"{score:.4f}".rstrip("0").rstrip(".") or "0"
