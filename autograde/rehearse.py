"""Run a notebook and its checks in one throw-away process, without a kernel.

This is how ``autograde verify`` tries an answer that is on file: some 50 ms where a kernel takes seconds. It is no
place for a stranger's notebook, which ``autograde grade`` runs in another process.
"""

from __future__ import annotations

import contextlib
import gc
import json
import linecache
import os
import re
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy.random  # noqa: F401 - lazy otherwise: each forked process would load it again
import torch
from nbformat import NotebookNode

from autograde import harness
from autograde.assemble import PAYOFF
from autograde.cases import Check, run_check
from autograde.course import TEST_PREFIX, Assignment, CourseError
from autograde.student import NamespaceStudent, StudentError
from autograde.verdict import settle

_MAGIC = re.compile(r"^[%!].*$", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One code cell: its source, what to call it, and the exercise that it tests ("" for none)."""

    name: str
    source: str
    exercise: str = ""


@dataclass(frozen=True)
class Finding:
    """What one exercise was worth with one seed; the fields are those of an ExerciseResult."""

    exercise: str
    seed: int
    score: float
    max_score: float
    status: str
    hint: str
    fault: str | None


@dataclass(frozen=True)
class Rehearsal:
    """What a notebook was worth.

    Attributes:
        findings: one for each exercise and seed.
        errors: a sentence for each cell, test cells aside, that raised.
        trouble: why there is no more to say ("it took more than 60 s"), or an empty string.
    """

    findings: tuple[Finding, ...] = ()
    errors: tuple[str, ...] = ()
    trouble: str = ""


def steps(notebook: NotebookNode, replace: Mapping[str, str] | None = None) -> list[Step]:
    """Return the code cells to run, in order: all but those tagged ``payoff``.

    Args:
        notebook: without hidden regions.
        replace: sources that take the place of whole cells, by grade_id.
    """
    found = []
    for index, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or PAYOFF in cell.metadata.get("tags", ()):
            continue
        marks = cell.metadata.get("nbgrader", {})
        name = marks.get("grade_id", f"number {index}")
        tests = name.removeprefix(TEST_PREFIX) if marks.get("grade") and not marks.get("solution") else ""
        found.append(Step(name, (replace or {}).get(name, cell.source), tests))
    return found


def rehearse(
    cells: Sequence[Step], checks: Mapping[str, Check], points: Mapping[str, float], seeds: Mapping[str, Sequence[int]]
) -> Rehearsal:
    """Run the cells in order, and each exercise's check, once for each of its seeds, right after its test cell.

    The process's ``__main__`` is replaced by the notebook's, for classes look their module up there.
    """
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    student = NamespaceStudent(vars(module), {s.name: s.source for s in cells})
    findings: list[Finding] = []
    errors: list[str] = []
    for step in cells:
        error = _run(step, vars(module))
        if not step.exercise:
            if error:
                errors.append(f"The cell {step.name!r} raised {error.kind}: {error.message}")
            continue
        for seed in seeds[step.exercise]:
            result = run_check(
                checks[step.exercise], student, exercise=step.exercise, points=points[step.exercise], seed=seed
            )
            result = settle(result, error)
            findings.append(
                Finding(
                    result.exercise,
                    seed,
                    result.score,
                    result.max_score,
                    result.status,
                    result.hint,
                    result.fault,
                )
            )
    return Rehearsal(tuple(findings), tuple(errors))


def work(pipe: Connection, folder: str, cells: Sequence[Step], seeds: Mapping[str, Sequence[int]]) -> None:
    """Rehearse in this process and send what :func:`parse` reads; a process's target."""
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    torch.set_num_threads(1)
    # What was there before the fork is not collected: looking at it would copy all of its memory.
    gc.freeze()
    assignment = Assignment(Path(folder))
    os.chdir(folder)
    sys.path.insert(0, str(Path(folder).parent.parent))
    try:
        points = {e.name: e.points for e in assignment.exercises}
        result = rehearse(cells, assignment.checks, points, seeds)
    except CourseError as error:
        result = Rehearsal(trouble=str(error))
    with contextlib.suppress(BrokenPipeError):
        pipe.send_bytes(json.dumps(asdict(result)).encode())


def parse(data: bytes) -> Rehearsal:
    """Read what :func:`work` sent."""
    tree = json.loads(data)
    return Rehearsal(tuple(Finding(**f) for f in tree["findings"]), tuple(tree["errors"]), tree["trouble"])


def _run(step: Step, namespace: dict[str, Any]) -> StudentError | None:
    """Run one cell as a kernel would, and return what it raised."""
    name = f"<cell {step.name}>"
    # A line magic sets a notebook's looks; there is no notebook here.
    source = _MAGIC.sub("", step.source)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    try:
        exec(compile(source, name, "exec", dont_inherit=True), namespace)
    except BaseException as error:  # SystemExit too: a kernel would live on
        return _student_error(error)
    return None


def _student_error(error: BaseException) -> StudentError:
    told = harness.describe(error)
    return StudentError(told["type"], told["message"], told["line"])
