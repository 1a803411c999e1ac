"""Classes to grade: a light PyTorch assignment made here, or one of this course's, with the scores that are right."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograde.course import Assignment, Course
from autograde.release import student_notebook, text

ROOT = Path(__file__).resolve().parents[2]
#: Students of the sample class whose notebooks any grader can read: all right, blank, half, one mistake, own style.
HONEST = ("ada", "alan", "barbara", "carl", "dorothy")
#: Scores by student and exercise.
Scores = Mapping[tuple[str, str], float]

HEADER = """
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Light

# %% nbgrader={"grade_id": "imports", "locked": true}
import torch
"""
EXERCISE = """

# %% [markdown]
# ## {name}


# %% nbgrader={{"grade_id": "{name}", "solution": true}}
### BEGIN SOLUTION
{answer}
### END SOLUTION

# %% nbgrader={{"grade_id": "test_{name}", "grade": true, "points": {points}}}
{test}
### BEGIN HIDDEN TESTS
import autograde.stock

autograde.stock.score("light", "{name}", globals())
### END HIDDEN TESTS
"""
#: The points and the visible test of each exercise of the light assignment.
EXERCISES = {
    "center": (2, 'assert center(torch.tensor([1.0, 3.0])).tolist() == [-1.0, 1.0], "Subtract the mean."'),
    "mse": (3, 'assert mse(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])) == 2.0, "Square, then average."'),
    "relu": (4, 'assert relu(torch.tensor([0.0, 2.0])).tolist() == [0.0, 2.0], "What is positive stays."'),
}
CHECKS = """
import torch

from autograde import expect
from autograde.cases import check


@check
def center(student, cases):
    with cases("a vector"):
        x = cases.randn(6)
        expect.close(student.call("center", x), x - x.mean(), "Subtract the mean.")
    with cases("a matrix"):
        x = cases.randn(5, 3)
        expect.close(student.call("center", x), x - x.mean(dim=0), "Each column has a mean of its own.")


@check
def mse(student, cases):
    for shape in [(4,), (3, 2)]:
        with cases(f"{len(shape)} dimensions"):
            a, b = cases.randn(*shape), cases.randn(*shape)
            expect.close(student.call("mse", a, b), ((a - b) ** 2).mean(), "Average the squares.")


@check
def relu(student, cases):
    with cases("positive numbers"):
        x = cases.randn(5).abs()
        expect.close(student.call("relu", x), x, "What is positive stays.")
    with cases("negative numbers", weight=3):
        x = -cases.randn(5).abs()
        expect.close(student.call("relu", x), torch.zeros(5, dtype=x.dtype), "What is negative becomes 0.")
"""
CENTER = "def center(x):\n    return x - x.mean(dim=0)"
MSE = "def mse(a, b):\n    return ((a - b) ** 2).mean()"
RELU = "def relu(x):\n    return x.clamp(min=0)"
LOOP = """def mse(a, b):
    total = 0.0
    for x, y in zip(a.flatten(), b.flatten()):
        total = total + (x - y) ** 2
    return total / a.numel()"""
#: Answers to center, mse and relu (None: not written), and the points that each deserves.
STYLES: Sequence[tuple[tuple[str | None, ...], tuple[float, ...]]] = [
    ((CENTER, MSE, RELU), (2, 3, 4)),
    (("center = lambda x: x - x.sum(0) / len(x)", LOOP, RELU), (2, 3, 4)),
    (
        (CENTER, "mse = torch.nn.functional.mse_loss", "def relu(x):\n    return torch.where(x > 0, x, 0 * x)"),
        (2, 3, 4),
    ),
    (("def center(x):\n    return x - x.mean()", MSE, "def relu(x):\n    return x.abs()"), (1, 3, 1)),
    ((None, None, None), (0, 0, 0)),
    (("def center(x):\n    return x.center()", MSE, "def relu(x):\n    x.clamp(min=0)"), (0, 3, 0)),
    ((CENTER, "def mse(a, b):\n    return ((a - b) ** 2).sum()", RELU), (2, 0, 4)),
    ((CENTER, None, "print('relu is next')"), (2, 0, 0)),
]


@dataclass(frozen=True)
class Workload:
    """One assignment and what its students hand in, in a course's folder.

    Attributes:
        root: the course.
        assignment: its assignment.
        styles: the notebooks that students hand in, in turn, each with the scores by exercise that are right.
    """

    root: Path
    assignment: Assignment
    styles: Sequence[tuple[NotebookNode, Mapping[str, float]]]

    @property
    def name(self) -> str:
        """The assignment's name."""
        return self.assignment.name

    def hand_in(self, folder: Path, count: int, last_cell: str = "") -> Scores:
        """Write ``count`` submissions into ``folder``, emptied first; return the right scores.

        Args:
            folder: in nbgrader's layout.
            count: how many.
            last_cell: a cell of the student's own, after all others.
        """
        shutil.rmtree(folder, ignore_errors=True)
        scores = {}
        for index in range(count):
            notebook, right = self.styles[index % len(self.styles)]
            if last_cell:
                notebook = copy.deepcopy(notebook)
                notebook.cells.append(nbformat.v4.new_code_cell(last_cell, id="last"))
            student = f"student-{index:03d}"
            path = folder / student / self.name / f"{self.name}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(text(notebook), encoding="utf-8")
            scores.update({(student, exercise): score for exercise, score in right.items()})
        return scores


def light(root: Path) -> Workload:
    """Make a course with one assignment whose cells take milliseconds."""
    folder = root / "solutions" / "light"
    folder.mkdir(parents=True)
    answers = dict(zip(EXERCISES, STYLES[0][0], strict=True))
    exercises = [EXERCISE.format(name=n, answer=answers[n], points=p, test=t) for n, (p, t) in EXERCISES.items()]
    (folder / "light.py").write_text((HEADER + "".join(exercises)).lstrip())
    (folder / "checks.py").write_text(CHECKS)
    assignment = _course(root).assignment("light")
    blank = student_notebook(assignment)
    return Workload(root, assignment, [(_filled(blank, a), dict(zip(EXERCISES, s, strict=True))) for a, s in STYLES])


def real(root: Path, name: str) -> Workload:
    """Make a course around an assignment of this one, with the honest students of its sample class."""
    (root / "solutions").symlink_to(ROOT / "solutions")
    with (ROOT / "examples" / "expected_grades.csv").open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["assignment"] == name]
    styles = []
    for student in HONEST:
        path = ROOT / "examples" / "submissions" / student / name / f"{name}.ipynb"
        right = {r["exercise"]: float(r["score"]) for r in rows if r["student"] == student}
        styles.append((nbformat.read(path, as_version=4), right))
    return Workload(root, _course(root).assignment(name), styles)


def _course(root: Path) -> Course:
    (root / "_toc.yml").write_text("format: jb-book\n")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    return Course(root)


def _filled(blank: NotebookNode, answers: Sequence[str | None]) -> NotebookNode:
    notebook = copy.deepcopy(blank)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        answer = answers[list(EXERCISES).index(name)] if name in EXERCISES else None
        if answer is not None:
            cell.source = answer
    return notebook


def plain_cpu_s(folder: Path) -> float:
    """Return the CPU that the cells of one submission take in a plain Python process, on average over a folder."""
    command, env = [sys.executable, __file__, str(folder)], {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _main(folder: Path) -> None:
    """Run every notebook's cells twice, and print what the second time took: by then all is imported."""
    notebooks = [nbformat.read(path, as_version=4) for path in sorted(folder.rglob("*.ipynb"))]
    seconds = 0.0
    for again in (False, True):
        for notebook in notebooks:
            namespace: dict[str, object] = {"__name__": "__main__"}
            start = time.process_time()
            for cell in notebook.cells:
                if cell.cell_type == "code" and "payoff" not in cell.metadata.get("tags", []):
                    # What a wrong answer raises or prints is its own affair.
                    with contextlib.suppress(Exception), contextlib.redirect_stdout(io.StringIO()):
                        exec(cell.source, namespace)
            seconds += again * (time.process_time() - start)
    print(json.dumps(seconds / len(notebooks)))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
