"""Where a course keeps its assignments, and how one is read.

A course is a folder with ``solutions/<name>/`` holding ``<name>.py`` (the assignment with its solution, a
jupytext py:percent notebook), ``checks.py`` and ``variants.py``; ``notebooks/<name>/<name>.ipynb`` is the released
version. In the assignment each exercise is a solution cell and, after it, its test cell:

    # %% nbgrader={"grade_id": "condition_number", "solution": true}
    # %% nbgrader={"grade_id": "test_condition_number", "grade": true, "points": 3}

Keys of nbgrader's metadata that are left out are filled in here, with the values that role needs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import jupytext
from nbformat import NotebookNode

from autograde.cases import Check

TEST_PREFIX = "test_"
_LANGUAGE = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


class CourseError(Exception):
    """Something in the course is missing or contradicts itself; the text says what and where."""


@dataclass(frozen=True)
class Exercise:
    """One graded exercise: its name, its points, and the text of its heading."""

    name: str
    points: float

    @property
    def test_id(self) -> str:
        """The grade_id of the exercise's test cell."""
        return TEST_PREFIX + self.name


class Assignment:
    """One assignment of a course.

    Args:
        folder: ``solutions/<name>``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name

    @property
    def path(self) -> Path:
        """The assignment's source."""
        return self.folder / f"{self.name}.py"

    @cached_property
    def source(self) -> NotebookNode:
        """The source notebook, solutions and hidden tests included, with complete nbgrader metadata."""
        try:
            notebook = jupytext.read(self.path, fmt="py:percent")
        except OSError as error:
            raise CourseError(f"{self.path} cannot be read: {error.strerror}.") from None
        notebook.metadata = NotebookNode(_LANGUAGE)
        notebook.nbformat, notebook.nbformat_minor = 4, 5
        seen: set[str] = set()
        for index, cell in enumerate(notebook.cells):
            # How jupytext remembers blank lines is of no use to a student.
            for key in ("lines_to_next_cell", "lines_to_end_of_cell_marker"):
                cell.metadata.pop(key, None)
            marks = cell.metadata.get("nbgrader")
            if marks is not None:
                _complete(marks, cell, self.path)
                if marks["grade_id"] in seen:
                    raise CourseError(f"{self.path} has two cells with the grade_id {marks['grade_id']!r}.")
                seen.add(marks["grade_id"])
            # A cell's id must be the same each time, or the released notebook would change with every release.
            key = marks["grade_id"] if marks else f"{index}:{cell.source}"
            cell.id = hashlib.sha256(f"{self.name}/{key}".encode()).hexdigest()[:8]
        return notebook

    @cached_property
    def exercises(self) -> list[Exercise]:
        """The graded exercises, in order."""
        marks = [c.metadata.nbgrader for c in self.source.cells if "nbgrader" in c.metadata]
        solutions = {m.grade_id for m in marks if m.solution}
        exercises = []
        for m in marks:
            if not m.grade or m.solution:
                continue
            name = m.grade_id.removeprefix(TEST_PREFIX)
            if name == m.grade_id or name not in solutions:
                raise CourseError(
                    f"{self.path}: the test cell {m.grade_id!r} should be called {TEST_PREFIX}<exercise>, "
                    "after a solution cell with the grade_id <exercise>."
                )
            exercises.append(Exercise(name, float(m.points)))
        return exercises

    @cached_property
    def checks(self) -> dict[str, Check]:
        """The hidden checks by exercise; exactly one for each."""
        module = self._module("checks")
        found = {n: f for n, f in vars(module).items() if getattr(f, "__autograde_check__", False)}
        wanted = [e.name for e in self.exercises]
        for name in wanted:
            if name not in found:
                raise CourseError(f"{self.folder / 'checks.py'} has no check for the exercise {name!r}.")
        for name in found:
            if name not in wanted:
                raise CourseError(f"{self.folder / 'checks.py'} checks {name!r}, which is no exercise.")
        return found

    @cached_property
    def variants(self) -> ModuleType:
        """The module with the right and wrong answers on file (see :mod:`autograde.verify`)."""
        return self._module("variants")

    def _module(self, part: str) -> ModuleType:
        path = self.folder / f"{part}.py"
        if not path.is_file():
            raise CourseError(f"{path} is missing.")
        name = f"_autograde_course.{self.name}.{part}"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up there
        # The course's own packages are found from its root, wherever the command was started.
        root = str(self.folder.parent.parent)
        sys.path.insert(0, root)
        try:
            spec.loader.exec_module(module)
        except CourseError:
            raise
        except Exception as error:
            raise CourseError(f"{path} cannot be imported: {type(error).__name__}: {error}.") from error
        finally:
            sys.path.remove(root)
        return module


class Course:
    """A course's folder.

    Args:
        root: the folder that holds ``solutions/``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not (self.root / "solutions").is_dir():
            raise CourseError(f"{root} is no course: it has no folder solutions/.")

    @classmethod
    def find(cls, start: Path | None = None) -> Course:
        """Return the course that holds ``start`` (default: the current folder)."""
        start = (start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            if (folder / "solutions").is_dir() and (folder / "_toc.yml").is_file():
                return cls(folder)
        raise CourseError(f"No course holds {start}: run this inside one, or name it with --course DIR.")

    @property
    def notebooks(self) -> Path:
        """Where the released notebooks are."""
        return self.root / "notebooks"

    @cached_property
    def assignments(self) -> dict[str, Assignment]:
        """The assignments by name, in alphabetical order."""
        folders = sorted(p.parent for p in (self.root / "solutions").glob("*/*.py") if p.stem == p.parent.name)
        return {folder.name: Assignment(folder) for folder in folders}

    def assignment(self, name: str) -> Assignment:
        """Return one assignment by name."""
        if name not in self.assignments:
            raise CourseError(f"There is no assignment {name!r}; there are: {', '.join(self.assignments) or 'none'}.")
        return self.assignments[name]


def _complete(marks: dict, cell: NotebookNode, path: Path) -> None:
    """Fill in the keys of nbgrader's metadata that the source leaves out."""
    if "grade_id" not in marks:
        raise CourseError(f"{path} has a cell with nbgrader metadata but no grade_id.")
    marks.setdefault("solution", False)
    marks.setdefault("grade", False)
    marks.setdefault("task", False)
    marks.setdefault("locked", not marks["solution"])
    marks.setdefault("schema_version", 3)
    marks["cell_type"] = cell.cell_type
    if marks["grade"] and "points" not in marks:
        raise CourseError(f"{path}: the test cell {marks['grade_id']!r} has no points.")
