"""How a check is written: a function of a student and its cases.

    @check
    def condition_number(student, cases):
        with cases("a ravine", weight=2):
            hessian = torch.diag(torch.tensor([1.0, 50.0]))
            expect.close(student.call("condition_number", hessian), 50.0, "Divide the largest by the smallest.")

A case passes unless something in it fails an expectation. What the student's code raises is the case's
failure too, told as a sentence. A check names its inputs' randomness through ``cases``, whose seed the student's
side never sees.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from autograde.expect import Unmet
from autograde.student import Student, StudentError, StudentStopped

Check = Callable[[Student, "Cases"], None]


def check(function: Check) -> Check:
    """Mark ``function`` as the check of the exercise of the same name."""
    function.__autograde_check__ = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True)
class CaseResult:
    """One named case: its weight, whether it passed, and the sentence to the student if it did not."""

    name: str
    weight: float
    passed: bool
    hint: str = ""


@dataclass
class ExerciseResult:
    """What one exercise was worth.

    Attributes:
        exercise: its name.
        score: points, rounded to four places.
        max_score: the points it could give.
        cases: the cases that ran, in order.
        status: ``"graded"``, or ``"timeout"`` or ``"killed"`` when the student's process stopped here.
        hint: the one sentence to read first; empty when all is right.
        fault: what went wrong in the check itself, for the instructor; None when nothing did.
    """

    exercise: str
    score: float
    max_score: float
    cases: list[CaseResult] = field(default_factory=list)
    status: str = "graded"
    hint: str = ""
    fault: str | None = None


class Decided(BaseException):
    """A case has failed, and no more is wanted than that; no ``except Exception`` of a check should stop it."""


class Cases:
    """The cases of one exercise, as they run. Call it to open one: ``with cases("name", weight=2): ...``.

    Args:
        seed: this run's secret seed.
        brief: end the check with :class:`Decided` once a case has failed.

    Attributes:
        generator: a CPU generator with this run's secret seed.
        results: the finished cases.
    """

    def __init__(self, seed: int, brief: bool = False) -> None:
        self.brief = brief
        self.generator = torch.Generator().manual_seed(seed)
        self.results: list[CaseResult] = []
        self.fault: str | None = None

    @contextlib.contextmanager
    def __call__(self, name: str, weight: float = 1.0) -> Iterator[None]:
        """Open a case. A failure ends the case, not the check; the cases after it still run."""
        try:
            yield
        except (Unmet, StudentError) as failure:
            hint = failure.sentence() if isinstance(failure, StudentError) else str(failure)
            self.results.append(CaseResult(name, weight, False, hint))
        except StudentStopped as stop:
            self.results.append(CaseResult(name, weight, False, str(stop)))
            raise
        except Exception as error:  # the check met a value it had not thought of: not the student's traceback
            self.fault = f"case {name!r}: {type(error).__name__}: {error}"
            hint = "What came back has a form that the check could not read: compare it with the docstring."
            self.results.append(CaseResult(name, weight, False, hint))
        else:
            self.results.append(CaseResult(name, weight, True))
        if self.brief and not self.results[-1].passed:
            raise Decided

    def randn(self, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """Draw a standard normal tensor of this shape (none: a single number), from the secret seed."""
        return torch.randn(shape, generator=self.generator, dtype=dtype)

    def uniform(self, low: float, high: float) -> float:
        """Draw one number between ``low`` and ``high``, from the secret seed."""
        return low + (high - low) * torch.rand((), generator=self.generator, dtype=torch.float64).item()

    def integer(self, low: int, high: int) -> int:
        """Draw one integer, ``low`` and ``high`` included, from the secret seed."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))


def run_check(
    check: Check, student: Student, *, exercise: str, points: float, seed: int, brief: bool = False
) -> ExerciseResult:
    """Run one check and weigh its cases; a brief one ends at the first that fails, whose hint the student would read.

    The score is ``points`` times the weight of the passed cases over the weight of all that ran. A check that
    stops before its end (the student's process is gone, or the check itself broke) gives no points, for the
    weight of what did not run is not known. What the check draws from PyTorch's global generator, such as a layer's
    first weights, follows from the seed too, and the generator is left as it was.
    """
    cases = Cases(seed, brief)
    status, hint, fault = "graded", "", None
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            check(student, cases)
    except Decided:
        pass
    except StudentStopped as stop:
        status, hint = stop.status, str(stop)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
        hint = "The check of this exercise broke; your instructor has been told."
    if not cases.results and not hint:
        fault, hint = (
            "the check has no case",
            "The check of this exercise broke; your instructor has been told.",
        )
    total = sum(c.weight for c in cases.results)
    right = sum(c.weight for c in cases.results if c.passed)
    score = 0.0 if hint else round(points * right / total, 4)
    hint = hint or next((c.hint for c in cases.results if not c.passed), "")
    return ExerciseResult(exercise, score, points, cases.results, status, hint, fault or cases.fault)
