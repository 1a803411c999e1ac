"""From the source and a student's notebook to the notebook that is run.

Everything that decides comes from the source: which cells there are, their order, their tests, their points.
From the student come the answers, taken by grade_id, and the cells of their own. What a student changed beyond that
changes nothing; it is noted, so that nobody wonders why an edit had no effect.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import nbformat
from nbformat import NotebookNode

from autograde.course import TEST_PREFIX, Assignment
from autograde.release import student_notebook
from autograde.submission import Handed, HandedCell, RejectedError

#: A cell with this tag in the source shows the student a result and is worth nothing: the grader does not run it.
PAYOFF = "payoff"
_SKIP = "skip-execution"


@dataclass
class Part:
    """One cell of the notebook that is run.

    Attributes:
        cell: the notebook's cell, whose outputs the run fills in.
        role: ``"answer"``, ``"test"``, ``"locked"``, ``"own"`` (the student's), ``"text"`` or ``"payoff"``.
        name: the exercise of an answer or a test, else the grade_id, else an empty string.
    """

    cell: NotebookNode
    role: str
    name: str = ""

    @property
    def runs(self) -> bool:
        """Whether the grader runs this cell."""
        return self.cell.cell_type == "code" and self.role != "payoff"

    @property
    def place(self) -> str:
        """What to call the cell when speaking to the student."""
        names = {
            "answer": f"your answer cell of `{self.name}`",
            "test": f"the visible test of `{self.name}`",
            "locked": f"the cell `{self.name}`",
        }
        return names.get(self.role, "a cell of your own")


@dataclass
class Assembled:
    """The notebook that is run, its parts, and what to note."""

    notebook: NotebookNode
    parts: list[Part]
    notes: list[str] = field(default_factory=list)

    @property
    def sources(self) -> dict[str, str]:
        """The source of each answer, by exercise."""
        return {p.name: p.cell.source for p in self.parts if p.role == "answer"}


class Template:
    """An assignment as a student receives it, to put answers into.

    Args:
        assignment: the assignment, with its solutions; neither they nor the hidden tests are kept.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.name = assignment.name
        self.exercises = assignment.exercises
        self.notebook = student_notebook(assignment)
        cells = self.notebook.cells
        self.known = {_grade_id(c): c for c in cells if _grade_id(c)}
        self.order = list(self.known)
        self.answers = [i for i, c in self.known.items() if c.metadata.nbgrader.solution]
        self.tests = {e.test_id for e in self.exercises}
        self.titles = dict(_titles(cells))
        headings = (line for c in cells if c.cell_type == "markdown" for line in c.source.splitlines())
        self.title = next((line[2:].strip() for line in headings if line.startswith("# ")), self.name)
        # The source's own cells without a grade_id, by id and by text: in a student's notebook they are the course's,
        # not the student's.
        plain = [c for c in cells if not _grade_id(c)]
        self._plain_ids = {c.id: c for c in plain}
        self._plain_sources = {(c.cell_type, c.source.strip()): c for c in plain}

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that no cell of a student's should pay for: what the notebook imports, and what that imports late.

        PyTorch imports its compiler with the first optimizer or functional transform: some four seconds.
        """
        late = ("torch._dynamo",) if any(name.split(".")[0] == "torch" for name in self.imports) else ()
        return self.imports + late

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules that the released notebook imports, by their full names."""
        code = [c.source for c in self.notebook.cells if c.cell_type == "code"]
        return tuple(dict.fromkeys(name for source in code for name in imported(source)))

    def assemble(self, handed: Handed) -> Assembled:
        """Put a student's answers and own cells into the notebook.

        Raises:
            RejectedError: when the notebook holds no answer cell of this assignment.
        """
        notes = list(handed.notes)
        winners = {c.grade_id: i for i, c in enumerate(handed.cells) if c.grade_id in self.known}
        if not any(grade_id in winners for grade_id in self.answers):
            raise RejectedError(f"no answer cell of the assignment {self.name}")
        own: dict[str | None, list[Part]] = {None: []}
        before: str | None = None
        for index, cell in enumerate(handed.cells):
            if cell.grade_id in self.known and winners[cell.grade_id] == index:
                before = cell.grade_id
                continue
            part, note = self._own(cell, index)
            own.setdefault(before, []).append(part)
            notes += [note] if note else []
            if cell.grade_id in self.known:
                notes.append(f"The cell `{cell.grade_id}` is there more than once; the last one counts.")

        parts = list(own[None])
        for grade_id in self.order:
            given = handed.cells[winners[grade_id]] if grade_id in winners else None
            part, more = self._known(grade_id, given)
            parts += [part, *own.get(grade_id, [])]
            notes += more
        notebook = nbformat.from_dict({**self.notebook, "cells": []})
        notebook.cells = [p.cell for p in parts]
        return Assembled(notebook, parts, list(dict.fromkeys(notes)))

    def _known(self, grade_id: str, given: HandedCell | None) -> tuple[Part, list[str]]:
        """Return the cell with this grade_id, and what to note about the student's version of it."""
        cell = copy.deepcopy(self.known[grade_id])
        marks = cell.metadata.nbgrader
        answer = bool(marks.solution)
        name = grade_id.removeprefix(TEST_PREFIX) if grade_id in self.tests else grade_id
        what = f"test cell of `{name}`" if grade_id in self.tests else f"cell `{grade_id}`"
        notes = []
        if given is None:
            notes.append(
                f"The answer cell of `{name}` is missing." if answer else f"The {what} was missing; it is back."
            )
        else:
            if given.cell_type != cell.cell_type:
                notes.append(f"The {what} had the type {given.cell_type}; it is {cell.cell_type} again.")
            if answer:
                cell.source = given.source
            elif given.source.strip() != cell.source.strip():
                notes.append(f"The {what} was edited; it is as it was.")
            if marks.grade and _number(given.marks.get("points")) != _number(marks.points):
                notes.append(f"The points of `{name}` were changed; they are as they were.")
            elif any(bool(given.marks.get(k)) != bool(marks[k]) for k in ("grade", "solution", "locked")):
                notes.append(f"The marks of the {what} were changed; they are as they were.")
            if _SKIP in given.tags:
                notes.append(f"The tag {_SKIP} on the {what} has no effect.")
        if PAYOFF in cell.metadata.get("tags", []):
            role = "payoff"
        elif answer:
            role = "answer"
        elif grade_id in self.tests:
            role = "test"
        else:
            role = "locked" if cell.cell_type == "code" else "text"
        return Part(cell, role, name), notes

    def _own(self, cell: HandedCell, index: int) -> tuple[Part, str | None]:
        """Return a cell that has no place in the source, as an ordinary one, and what to note about it."""
        origin = self._plain_sources.get((cell.cell_type, cell.source.strip())) or self._plain_ids.get(cell.cell_id)
        same = origin is not None and origin.source.strip() == cell.source.strip()
        source = cell.source
        if cell.cell_type == "markdown" and not same:
            # The instructor reads this page logged in: a student's HTML must stay text there.
            source = source.replace("<", "&lt;")
        new = {
            "code": nbformat.v4.new_code_cell,
            "markdown": nbformat.v4.new_markdown_cell,
            "raw": nbformat.v4.new_raw_cell,
        }[cell.cell_type](source)
        # Neither random, which would differ from run to run, nor the student's, which may not be unique.
        new.id = hashlib.sha256(f"{self.name}/own/{index}".encode()).hexdigest()[:8]
        note = None
        if cell.grade_id and cell.grade_id not in self.known:
            note = f"The cell `{cell.grade_id}` is none of this assignment; it was taken as one of your own."
        elif _SKIP in cell.tags:
            note = f"The tag {_SKIP} on a cell of your own has no effect."
        if cell.cell_type != "code":
            return Part(new, "text"), note
        payoff = origin is not None and PAYOFF in origin.metadata.get("tags", [])
        return Part(new, "payoff" if payoff else "own"), note


def imported(source: str) -> list[str]:
    """Return the modules that Python code imports, by their full names; none of code that cannot be parsed."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic, perhaps
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return names


def _titles(cells: list[NotebookNode]) -> Iterator[tuple[str, str]]:
    """Yield each grade_id with the last heading above it."""
    title = ""
    for cell in cells:
        if cell.cell_type == "markdown":
            headings = [line.lstrip("#").strip() for line in cell.source.splitlines() if line.startswith("#")]
            title = headings[-1] if headings else title
        elif _grade_id(cell):
            yield _grade_id(cell), title


def _grade_id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
