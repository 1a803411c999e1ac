"""Make the sample class: what students hand in, good and bad, one file for each case a grader must survive.

    python examples/make_submissions.py [FOLDER]

The notebooks are the released ones with answers put in: the reference's from ``solutions/``, and right and wrong ones
from ``variants.py``. The same sources give the same bytes; a test compares them with what is committed. Who shows
what stands in ``README.md``.
"""

from __future__ import annotations

import copy
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograde.course import Assignment, Course
from autograde.release import student_notebook, text

HERE = Path(__file__).resolve().parent
CONDITIONING, MOMENTUM = "conditioning", "momentum"
BOTH = (CONDITIONING, MOMENTUM)

Edit = Callable[[NotebookNode], None]


class Desk:
    """Where one assignment is filled in."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.exercises = [e.name for e in assignment.exercises]
        self.blank = student_notebook(assignment)
        self.reference = {
            c.metadata.nbgrader.grade_id: _without_markers(c.source)
            for c in assignment.source.cells
            if c.metadata.get("nbgrader", {}).get("solution")
        }

    def variant(self, exercise: str, name: str) -> str:
        """Return an answer on file by its name."""
        found = {v.name: v.code for v in self.assignment.variants.VARIANTS[exercise]}
        return found[name]

    def first_right(self, exercise: str) -> str:
        """Return the first right answer on file, in a style other than the reference's."""
        return next(v.code for v in self.assignment.variants.VARIANTS[exercise] if v.right)

    def fill(self, answers: Mapping[str, str], *edits: Edit) -> NotebookNode:
        """Return the released notebook with these answers, and then edited."""
        notebook = copy.deepcopy(self.blank)
        for name, code in answers.items():
            cell(notebook, name).source = code
        for edit in edits:
            edit(notebook)
        return notebook


def cell(notebook: NotebookNode, grade_id: str) -> NotebookNode:
    """Return the cell with this grade_id."""
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def after(notebook: NotebookNode, grade_id: str, source: str, **metadata: object) -> None:
    """Put a code cell of the student's own below the cell with this grade_id."""
    new = nbformat.v4.new_code_cell(source, metadata=metadata)
    new.id = f"own-{sum(c.id.startswith('own-') for c in notebook.cells)}"
    notebook.cells.insert(notebook.cells.index(cell(notebook, grade_id)) + 1, new)


def delete(grade_id: str) -> Edit:
    """Return an edit that deletes a cell."""
    return lambda notebook: notebook.cells.remove(cell(notebook, grade_id))


def rewrite(grade_id: str, source: str) -> Edit:
    """Return an edit that writes a cell anew."""

    def edit(notebook: NotebookNode) -> None:
        cell(notebook, grade_id).source = source

    return edit


def make(folder: Path) -> None:
    """Write the sample class into ``folder``, which is emptied first."""
    course = Course(HERE.parent)
    desks = {name: Desk(course.assignment(name)) for name in BOTH}
    ravine, ball = desks[CONDITIONING], desks[MOMENTUM]
    if folder.exists():
        shutil.rmtree(folder)

    def hand_in(student: str, assignment: str, content: NotebookNode | str, name: str | None = None) -> None:
        path = folder / student / assignment / (name or f"{assignment}.ipynb")
        path.parent.mkdir(parents=True)
        path.write_text(content if isinstance(content, str) else text(content), encoding="utf-8")

    for name, desk in desks.items():
        hand_in("ada", name, desk.fill(desk.reference))
        hand_in("alan", name, desk.fill({}))
        half = desk.exercises[: len(desk.exercises) // 2]
        hand_in("barbara", name, desk.fill({e: desk.reference[e] for e in half}))
        hand_in("dorothy", name, desk.fill({e: desk.first_right(e) for e in desk.exercises}))

    signed = {"condition_number": ravine.variant("condition_number", "signed eigenvalues")}
    hand_in("carl", CONDITIONING, ravine.fill({**ravine.reference, **signed}))
    uphill = {e: ball.variant(e, "uphill") for e in ("momentum_step", "nesterov_step")}
    hand_in("carl", MOMENTUM, ball.fill({**ball.reference, **uphill}))

    endless = "def nesterov_step(w, v, grad_fn, lr, beta):\n    while True:\n        w = w - lr * grad_fn(w)\n"
    hand_in("edsger", MOMENTUM, ball.fill({**ball.reference, "nesterov_step": endless}))

    crash = f"import os\n\n\n{ravine.reference['newton_step']}\n\n\nos._exit(0)"
    hand_in("emmy", CONDITIONING, ravine.fill({**ravine.reference, "newton_step": crash}))

    wrong = {"newton_step": ravine.variant("newton_step", "a gradient step")}
    hand_in("grace", CONDITIONING, ravine.fill({**ravine.reference, **wrong}, delete("test_newton_step")))

    cheat = {"momentum_schedule": "def momentum_schedule(t, mu_max):\n    return mu_max"}
    edited = rewrite("test_momentum_schedule", "assert True")
    hand_in("hedy", MOMENTUM, ball.fill({**ball.reference, **cheat}, edited))

    def pasted(notebook: NotebookNode) -> None:
        original = cell(notebook, "best_gradient_descent")
        second = copy.deepcopy(original)
        second.id, second.source = "pasted", ravine.reference["best_gradient_descent"]
        notebook.cells.insert(notebook.cells.index(original) + 1, second)

    first_try = {"best_gradient_descent": ravine.variant("best_gradient_descent", "1 / lambda_max")}
    hand_in("john", CONDITIONING, ravine.fill({**ravine.reference, **first_try}, pasted))

    hand_in("katherine", MOMENTUM, ball.fill(ball.reference), "momentum (1).ipynb")

    merge = text(ravine.fill(ravine.reference)).splitlines(keepends=True)
    merge[3:3] = ["<<<<<<< HEAD\n", "=======\n", ">>>>>>> laptop\n"]
    hand_in("linus", CONDITIONING, "".join(merge))

    def loud(notebook: NotebookNode) -> None:
        after(notebook, "test_momentum_step", 'for line in range(200_000):\n    print("step", line, "-" * 100)')

    hand_in("margaret", MOMENTUM, ball.fill(ball.reference, loud))

    def untidy(notebook: NotebookNode) -> None:
        test = cell(notebook, "test_condition_number")
        test.metadata.nbgrader["points"] = 300
        test.metadata["tags"] = ["skip-execution"]
        page = 'from IPython.display import HTML\n\nHTML("<script>alert(1)</script><b>a table</b>")'
        after(notebook, "test_condition_number", page)
        after(notebook, "imports", "plt.plot([1, 2])  # I forgot the import", tags=["skip-execution"])

    hand_in("niklaus", CONDITIONING, ravine.fill(ravine.reference, untidy))

    (folder / "sofia").mkdir()
    (folder / "sofia" / "notes.txt").write_text("I was ill this week; may I hand in later?\n")


def _without_markers(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if " SOLUTION" not in line or "###" not in line)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "submissions")
