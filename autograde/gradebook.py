"""Grades into nbgrader's gradebook, so that its formgrader, feedback and export go on from here.

This is the one module that writes the database. It does what nbgrader's own autograder does with it: it sets the
automatic scores and comments, leaves what a person wrote, and flags a grade for another look when a person had set it.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import nbgrader
from nbgrader import api, utils
from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
    SaveCells,
)
from sqlalchemy import text
from sqlalchemy.exc import SAWarning, SQLAlchemyError

from autograde.course import TEST_PREFIX, Assignment
from autograde.outcome import MISSING, SubmissionResult
from autograde.submission import MisuseError

#: What nbgrader's GenerateAssignment does up to the step that saves the cells.
_SAVE = (LockCells, ClearSolutions, ClearOutput, CheckCellMetadata, ComputeChecksums, SaveCells)


def default_url(out: Path) -> str:
    """Return the URL of the gradebook in a folder, where nbgrader looks for it."""
    return f"sqlite:///{(out / 'gradebook.db').resolve()}"


def prepare(url: str, assignments: Iterable[Assignment]) -> None:
    """Put the assignments with their cells into the gradebook; existing ones are brought up to date.

    Raises:
        MisuseError: when the database cannot be opened, or holds grades of an assignment with other cells.
    """
    try:
        for assignment in assignments:
            with _alembic(), Gradebook(url) as gradebook:
                gradebook.update_or_create_assignment(assignment.name)
            notebook = copy.deepcopy(assignment.source)
            resources = {
                "nbgrader": {
                    "notebook": assignment.name,
                    "assignment": assignment.name,
                    "student": ".",
                    "db_url": url,
                }
            }
            for step in _SAVE:
                notebook, resources = step().preprocess(notebook, resources)
    except RuntimeError as error:
        reason = str(error).strip().rstrip(".")
        raise MisuseError(f"{reason}: take a new --out (or --db) for the changed assignment.") from None
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise MisuseError(f"The gradebook {_safe(url)} cannot be opened: {str(error).splitlines()[0]}.") from None


def store(
    url: str, results: Iterable[SubmissionResult], students: Mapping[str, Mapping[str, str]]
) -> list[tuple[SubmissionResult, str]]:
    """Put the results into the gradebook, in order.

    Args:
        url: the gradebook's.
        results: of submissions whose assignments were prepared.
        students: each student's first_name, last_name and email, as far as they are known.

    Returns:
        The results that could not be stored, each with the reason.
    """
    failed = []
    with warnings.catch_warnings(), Gradebook(url) as gradebook, _fast(gradebook):
        # About how nbgrader builds a submission; nothing that can be changed here.
        warnings.simplefilter("ignore", SAWarning)
        for student, known in students.items():
            try:
                gradebook.update_or_create_student(student, **known)
            except (SQLAlchemyError, ValueError):
                gradebook.db.rollback()  # each of the student's submissions says so below
        for result in results:
            try:
                _store(gradebook, result)
            except (SQLAlchemyError, ValueError) as error:
                gradebook.db.rollback()
                failed.append((result, str(error).splitlines()[0]))
    return failed


@contextlib.contextmanager
def _alembic() -> Iterator[None]:
    """Have alembic asked as a library for the version of the tables.

    nbgrader runs the program of that name, which takes a second and must be on the path.
    """

    def version() -> str:
        from alembic.script import ScriptDirectory

        return ScriptDirectory(str(Path(nbgrader.__file__).parent / "alembic")).get_current_head()

    asked, api.get_alembic_version = api.get_alembic_version, version
    try:
        yield
    finally:
        api.get_alembic_version = asked


@contextlib.contextmanager
def _fast(gradebook: Gradebook) -> Iterator[None]:
    """Write a SQLite database ahead to a log meanwhile: each of nbgrader's many commits would wait for the disk.

    What is committed survives the end of this process at any moment, as before.
    """
    sqlite = gradebook.engine.dialect.name == "sqlite"
    try:
        if sqlite:
            _pragma(gradebook, "journal_mode=WAL")
            _pragma(gradebook, "synchronous=NORMAL")
        yield
    finally:
        if sqlite:
            gradebook.db.rollback()
            _pragma(gradebook, "journal_mode=DELETE")


def _pragma(gradebook: Gradebook, setting: str) -> None:
    gradebook.db.execute(text(f"PRAGMA {setting}"))
    gradebook.db.commit()


def _store(gradebook: Gradebook, result: SubmissionResult) -> None:
    student, name = result.submission.student, result.submission.assignment
    if result.status == MISSING:
        try:
            submission = gradebook.find_submission(name, student)
        except MissingEntry:
            return
        submission.timestamp = None
    else:
        submission = gradebook.update_or_create_submission(name, student, timestamp=_time(result))
    _grade(submission, result)
    gradebook.db.commit()


def _grade(submission: SubmittedAssignment, result: SubmissionResult) -> None:
    """Set the automatic scores and comments of one submission, every one of them."""
    scores = {TEST_PREFIX + e.exercise: e.score for e in result.exercises}
    hints = {e.exercise: e.hint for e in result.exercises}
    cells = result.notebook.cells if result.notebook else []
    marked = {c.metadata.nbgrader.grade_id: c for c in cells if "nbgrader" in c.metadata}
    for notebook in submission.notebooks:
        for grade in notebook.grades:
            if grade.name in scores:
                grade.auto_score = scores[grade.name]
            elif grade.name in marked:  # an answer that a person grades
                grade.auto_score, _ = utils.determine_grade(marked[grade.name])
            else:
                grade.auto_score = 0.0
            grade.needs_manual_grade = grade.manual_score is not None or grade.auto_score is None
        for comment in notebook.comments:
            comment.auto_comment = hints.get(comment.name) or None


def _time(result: SubmissionResult) -> object:
    """Return when the notebook was handed in, if nbgrader's timestamp says so in a way that can be read."""
    try:
        return utils.parse_utc(result.timestamp)
    except (ValueError, OverflowError, TypeError, AttributeError):
        result.notes.append("timestamp.txt cannot be read; the gradebook holds no time.")
        return None


def _safe(url: str) -> str:
    """Return a database URL without its password."""
    head, at, tail = url.rpartition("@")
    return f"{head.rsplit(':', 1)[0]}:***{at}{tail}" if at else url
