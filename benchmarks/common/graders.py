"""The graders that are compared, each as the commands that its users type."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from nbgrader.api import Gradebook

from autograde.cases import run_check
from autograde.release import text
from autograde.student import NamespaceStudent
from common.measure import Sampler, Usage, run
from common.workload import Scores, Workload

OTTER_TEST = """OK_FORMAT = False
from pathlib import Path

from otter.test_files import test_case

from autograde.cases import run_check
from autograde.course import Course
from autograde.student import NamespaceStudent

name = {name!r}
done = []


def passed(env, index):
    exec({visible!r}, env)
    if not done:
        check = Course(Path({root!r})).assignment({assignment!r}).checks[{name!r}]
        done.append(run_check(check, NamespaceStudent(env), exercise={name!r}, points=1.0, seed=0))
    assert done[0].cases[index].passed, done[0].cases[index].hint

"""
OTTER_CASE = """
@test_case(points={points}, hidden=True)
def case_{index}(env):
    passed(env, {index})

"""


class Autograde:
    """``autograde grade``, the whole command.

    Args:
        workload: what is graded.
        sandbox: the value of its option ``--sandbox``, or None to leave the option out.
    """

    def __init__(self, workload: Workload, sandbox: str | None = None) -> None:
        self.workload = workload
        self.options = ["--sandbox", sandbox] if sandbox else []
        self.runs = 0

    def grade(
        self, count: int, jobs: int, sampler: Sampler | None = None, last_cell: str = "", again: bool = False
    ) -> tuple[Usage, Scores, Scores]:
        """Grade ``count`` submissions; return what it took, the scores, and the right ones.

        The results go to a new folder, or ``again`` to that of the run before, whose gradebook is there already.
        """
        self.runs += not again
        root = self.workload.root
        submissions, out = root / "submitted", root / f"out-{self.runs}"
        right = self.workload.hand_in(submissions, count, last_cell)
        command = [sys.executable, "-m", "autograde", "grade", submissions, "--out", out, "--course", root]
        usage = run([*command, "--jobs", str(jobs), *self.options], root, sampler=sampler)
        with (out / "grades.csv").open(newline="", encoding="utf-8") as file:
            scores = {(r["student"], r["exercise"]): float(r["score"]) for r in csv.DictReader(file)}
        self.report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        return usage, scores, right


class Nbgrader:
    """Stock nbgrader: ``autograde`` over the whole class, ``generate_feedback`` after it.

    Args:
        workload: what is graded.
        count: how many submissions.
    """

    def __init__(self, workload: Workload, count: int) -> None:
        self.workload = workload
        self.right = workload.hand_in(workload.root / "examples" / "submissions", count)
        source = workload.root / "_build" / "nbgrader" / "source" / workload.name / f"{workload.name}.ipynb"
        source.parent.mkdir(parents=True)
        source.write_text(text(workload.assignment.source), encoding="utf-8")
        self._run("generate_assignment")

    def autograde(self) -> Usage:
        """Grade the class, one submission after another as nbgrader does."""
        return self._run("autograde")

    def feedback(self) -> Usage:
        """Make the feedback on what was graded."""
        return self._run("generate_feedback")

    def one(self, sampler: Sampler | None = None) -> Usage:
        """Grade the first student once more."""
        return self._run("autograde", "--force", "--student", min(self.right)[0], sampler=sampler)

    def scores(self) -> Scores:
        """Return what is in nbgrader's gradebook."""
        name = self.workload.name
        tests = {e.test_id: e.name for e in self.workload.assignment.exercises}
        with Gradebook(f"sqlite:///{self.workload.root / '_build' / 'nbgrader' / 'gradebook.db'}") as book:
            return {
                (student, exercise): book.find_grade(test, name, name, student).auto_score
                for student in sorted({s for s, _ in self.right})
                for test, exercise in tests.items()
            }

    def _run(self, action: str, *options: str, sampler: Sampler | None = None) -> Usage:
        command = [sys.executable, "-m", "nbgrader", action, self.workload.name, *options]
        # nbgrader runs `alembic` by name.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return run(command, self.workload.root, env={"PATH": path}, sampler=sampler)


class Otter:
    """otter-grader: ``otter run`` for each submission, as its grading container does. Each case is a test case of its.

    Args:
        workload: what is graded.
        count: how many submissions.
    """

    def __init__(self, workload: Workload, count: int) -> None:
        self.workload, self.folder = workload, workload.root / "otter"
        self.right = workload.hand_in(self.folder / "submitted", count)
        self.found: dict[tuple[str, str], float] = {}
        with zipfile.ZipFile(self.folder / "autograder.zip", "w") as archive:
            archive.writestr("otter_config.json", "{}")
            for name, source in self._tests().items():
                archive.writestr(f"tests/{name}.py", source)

    @staticmethod
    def installed() -> bool:
        """Say whether it is there."""
        return importlib.util.find_spec("otter") is not None

    def grade(self) -> list[Usage]:
        """Grade the class, one submission after another; return what each took."""
        usages = []
        for student in sorted({s for s, _ in self.right}):
            notebook = self.folder / "submitted" / student / self.workload.name / f"{self.workload.name}.ipynb"
            command = [sys.executable, "-m", "otter", "run", "--no-logo", "-a", self.folder / "autograder.zip"]
            usages.append(run([*command, "-o", self.folder, notebook], self.folder))
            tests = json.loads((self.folder / "results.json").read_text(encoding="utf-8"))["tests"]
            points: dict[str, float] = {}
            for test in tests:
                name = test["name"].split()[0]
                points[name] = points.get(name, 0.0) + (test.get("score") or 0.0)
            self.found.update({(s, e): points[e] for s, e in self.right if s == student})
        return usages

    def _tests(self) -> dict[str, str]:
        assignment, tests = self.workload.assignment, {}
        namespace: dict[str, object] = {}
        cells: Mapping[str, str] = {
            c.metadata.nbgrader.grade_id: c.source for c in assignment.source.cells if "nbgrader" in c.metadata
        }
        for source in cells.values():
            exec(source.partition("### BEGIN HIDDEN TESTS")[0], namespace)
        for e in assignment.exercises:
            # The reference passes every case: from it come their number and weights.
            check = assignment.checks[e.name]
            cases = run_check(check, NamespaceStudent(namespace), exercise=e.name, points=e.points, seed=0).cases
            visible = cells[e.test_id].partition("### BEGIN HIDDEN TESTS")[0]
            words = {"name": e.name, "root": str(self.workload.root), "assignment": assignment.name, "visible": visible}
            share = e.points / sum(c.weight for c in cases)
            bodies = [OTTER_CASE.format(index=i, points=c.weight * share) for i, c in enumerate(cases)]
            tests[e.name] = OTTER_TEST.format(**words) + "".join(bodies)
        return tests
