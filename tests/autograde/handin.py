"""Hand-ins of the toy course (see ``toy.py``), for the tests of ``autograde grade``."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
import toy
from nbformat import NotebookNode

from autograde.assemble import Template
from autograde.course import Assignment, Course
from autograde.release import student_notebook, text
from autograde.submission import Handed, Submission, read


@functools.cache
def assignment() -> Assignment:
    """Return the toy assignment."""
    root = toy.make(Path(tempfile.mkdtemp()))
    found = Course(root).assignment("sums")
    _ = found.source, found.checks
    return found


@functools.cache
def template() -> Template:
    """Return the toy assignment as students receive it."""
    return Template(assignment())


def cell(notebook: NotebookNode, grade_id: str) -> NotebookNode:
    """Return the cell with this grade_id."""
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def notebook(
    answers: Mapping[str, str] | None = None, edit: Callable[[NotebookNode], None] | None = None
) -> NotebookNode:
    """Return the released notebook with these answers, edited; by default the right ones."""
    filled = copy.deepcopy(student_notebook(assignment()))
    for name, code in ({"double": toy.DOUBLE, "half": toy.HALF} if answers is None else answers).items():
        cell(filled, name).source = code
    if edit:
        edit(filled)
    return filled


def below(grade_id: str, *cells: NotebookNode) -> Callable[[NotebookNode], None]:
    """Return an edit that puts cells below the one with this grade_id."""

    def edit(notebook: NotebookNode) -> None:
        at = notebook.cells.index(cell(notebook, grade_id)) + 1
        notebook.cells[at:at] = cells

    return edit


def code(source: str, **metadata: object) -> NotebookNode:
    """Return a code cell."""
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def put(folder: Path, student: str, content: NotebookNode | str | bytes, name: str = "sums.ipynb") -> Submission:
    """Hand in: write ``folder/student/sums/name``."""
    path = folder / student / "sums" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, NotebookNode):
        content = text(content)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Submission(student, "sums", path.parent)


def handed(folder: Path, content: NotebookNode | str | bytes, name: str = "sums.ipynb") -> Handed:
    """Hand in as ada and read it."""
    found = read(put(folder, "ada", content, name))
    assert found is not None
    return found
