"""The student's notebooks, made from ``solutions/`` by nbgrader's own preprocessors.

What students get is generated, committed and never edited by hand: the same source gives the same bytes, so that
``autograde release --check`` can say which committed notebook is stale.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.nbgraderformat import ValidationError
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
)

from autograde.course import TEST_PREFIX, Assignment, Course, CourseError

#: nbgrader's GenerateAssignment, in its order, without SaveCells (its database) and the two steps that do nothing
#: here (a header and footer, and its own test templates).
_RELEASE = (
    LockCells,
    ClearSolutions,
    ClearOutput,
    CheckCellMetadata,
    ComputeChecksums,
    ClearHiddenTests,
    ClearMarkScheme,
    ComputeChecksums,
    CheckCellMetadata,
)
_SECRET = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)")
_HIDDEN = re.compile(r"BEGIN HIDDEN TESTS.*?END HIDDEN TESTS", re.DOTALL)
_SCORE = re.compile(r"""score\(\s*(["'])(?P<assignment>.+?)\1\s*,\s*(["'])(?P<exercise>.+?)\3\s*,""")


@dataclass(frozen=True)
class Outcome:
    """What became of one released notebook.

    Attributes:
        path: the notebook, relative to the course.
        state: ``"current"``, ``"written"``, ``"stale"``, ``"missing"`` or ``"extra"``.
        mend: the command that mends it, or an empty string.
    """

    path: str
    state: str
    mend: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in ("current", "written")


def student_notebook(assignment: Assignment) -> NotebookNode:
    """Return the released version of an assignment.

    Raises:
        CourseError: when the source contradicts itself, or something of the solution would remain.
    """
    _inspect_source(assignment)
    notebook = _apply(assignment, _RELEASE)
    _inspect_released(assignment, notebook)
    return notebook


def reference_notebook(assignment: Assignment) -> NotebookNode:
    """Return the assignment with its solutions, without the hidden regions of its test cells.

    Raises:
        CourseError: when a hidden region has no end.
    """
    return _apply(assignment, (ClearOutput, ClearHiddenTests))


def text(notebook: NotebookNode) -> str:
    """Return a notebook's file, the same for the same notebook."""
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def release(course: Course, names: Iterable[str] = (), *, check: bool = False) -> list[Outcome]:
    """Release assignments into ``notebooks/``, and put their sources where stock nbgrader looks for them.

    Args:
        course: the course.
        names: which assignments; all when empty.
        check: write nothing, only say what is stale, missing or extra.

    Raises:
        CourseError: when an assignment cannot be released; nothing is written then.
    """
    names = list(names)
    chosen = [course.assignment(name) for name in names] or list(course.assignments.values())
    if not chosen:
        raise CourseError(f"{course.root / 'solutions'} has no assignment: expected <name>/<name>.py in it.")
    # All of them before the first is written: a course is released whole or not at all.
    files: list[tuple[str, Path, str]] = []
    for assignment in chosen:
        name = assignment.name
        files.append((name, course.notebooks / name / f"{name}.ipynb", text(student_notebook(assignment))))
    outcomes = [_put(course, name, path, content, check) for name, path, content in files]
    if not check:
        for assignment in chosen:
            source = course.root / "_build" / "nbgrader" / "source" / assignment.name / f"{assignment.name}.ipynb"
            _write(source, text(assignment.source))
    if not names:
        outcomes += _extras(course)
    return outcomes


def _put(course: Course, name: str, path: Path, content: str, check: bool) -> Outcome:
    shown = path.relative_to(course.root).as_posix()
    old = path.read_bytes() if path.is_file() else None
    if old == content.encode():
        return Outcome(shown, "current")
    if check:
        return Outcome(shown, "missing" if old is None else "stale", f"autograde release {name}")
    _write(path, content)
    return Outcome(shown, "written")


def _write(path: Path, content: str) -> None:
    data = content.encode()
    if path.is_file() and path.read_bytes() == data:
        return  # keep its time: nothing that depends on it is out of date
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise CourseError(f"{path} cannot be written: {error.strerror}.") from None


def _extras(course: Course) -> list[Outcome]:
    known = {course.notebooks / name / f"{name}.ipynb" for name in course.assignments}
    found = (p for p in course.notebooks.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    paths = [p.relative_to(course.root).as_posix() for p in sorted(set(found) - known)]
    return [Outcome(path, "extra", f"git rm -f {path}") for path in paths]


def _apply(assignment: Assignment, steps: Iterable[Callable]) -> NotebookNode:
    notebook, resources = copy.deepcopy(assignment.source), {}
    try:
        for step in steps:
            notebook, resources = step().preprocess(notebook, resources)
    except (RuntimeError, ValueError, ValidationError) as error:
        raise CourseError(f"{assignment.path} cannot be released: {str(error).strip().rstrip('.')}.") from None
    return notebook


def _inspect_source(assignment: Assignment) -> None:
    """Refuse a source that would give a wrong notebook."""
    _ = assignment.exercises  # says when a test cell has no solution cell
    for cell in assignment.source.cells:
        marks = cell.metadata.get("nbgrader")
        name = marks["grade_id"] if marks else cell.source.strip().partition("\n")[0][:40]
        found = _SECRET.findall(cell.source)
        wanted = [(edge, what) for _, what in found[::2] for edge in ("BEGIN", "END")]
        if found != wanted:  # nbgrader drops a stray END line without a word
            raise CourseError(f"{assignment.path}: the BEGIN and END marks in the cell {name!r} do not pair up.")
        if marks is None:
            continue
        if marks["solution"] and "BEGIN SOLUTION" not in cell.source:
            raise CourseError(
                f"{assignment.path}: the solution cell {name!r} has no ### BEGIN SOLUTION ... ### END SOLUTION, "
                "so the student would lose the whole cell."
            )
        if not marks["grade"] or marks["solution"]:
            continue
        hidden = _HIDDEN.search(cell.source)
        call = _SCORE.search(hidden.group()) if hidden else None
        wanted = assignment.name, name.removeprefix(TEST_PREFIX)
        if call is None or (call["assignment"], call["exercise"]) != wanted:
            raise CourseError(
                f"{assignment.path}: the hidden region of {name!r} should call "
                f'autograde.stock.score("{wanted[0]}", "{wanted[1]}", globals()).'
            )


def _inspect_released(assignment: Assignment, notebook: NotebookNode) -> None:
    """Refuse a notebook that would give something away."""
    for index, cell in enumerate(notebook.cells, start=1):
        name = cell.metadata.get("nbgrader", {}).get("grade_id", f"number {index}")
        found = _SECRET.search(cell.source)
        if found or "autograde.stock" in cell.source:
            what = found.group() if found else "autograde.stock"
            raise CourseError(f"{assignment.path}: the released cell {name!r} would still hold {what!r}.")
        if cell.get("outputs") or cell.get("execution_count"):
            raise CourseError(f"{assignment.path}: the released cell {name!r} would still hold an output.")
