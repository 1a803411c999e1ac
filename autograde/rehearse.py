"""Run a notebook and its checks in throw-away processes, without a kernel.

This is how ``autograde verify`` tries an answer that is on file: some 50 ms where a kernel takes seconds. It is no
place for a stranger's notebook, which ``autograde grade`` runs in another process.

Answers to one exercise share the cells above it. So one process, the trunk, runs those once, and each answer goes on
from there in a fork of it, a branch.
"""

from __future__ import annotations

import contextlib
import gc
import json
import linecache
import multiprocessing
import os
import random
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy.random  # lazy otherwise: each forked process would load it again
import torch
from nbformat import NotebookNode

from autograde import harness, sandbox
from autograde.assemble import PAYOFF
from autograde.cases import Check, run_check
from autograde.course import TEST_PREFIX, Assignment, CourseError
from autograde.student import NamespaceStudent, ReferenceStudent, StudentError
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
    """What one exercise was worth with one seed; the fields are those of an ExerciseResult.

    Where ``whole`` is false the check ended at the first case that failed, and the score is only known to be lower
    than the most.
    """

    exercise: str
    seed: int
    score: float
    max_score: float
    status: str
    hint: str
    fault: str | None
    whole: bool = True


@dataclass(frozen=True)
class Rehearsal:
    """What a notebook was worth.

    Attributes:
        findings: one for each exercise and seed.
        errors: a sentence for each cell, test cells aside, that raised.
        unreached: the doubtful exercises that turned out not to use the answer, and were not checked.
        trouble: why there is no more to say ("it took more than 60 s"), or an empty string.
    """

    findings: tuple[Finding, ...] = ()
    errors: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()
    trouble: str = ""


def steps(notebook: NotebookNode) -> list[Step]:
    """Return the code cells to run, in order: all but those tagged ``payoff``; the notebook has no hidden regions."""
    found = []
    for index, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or PAYOFF in cell.metadata.get("tags", ()):
            continue
        marks = cell.metadata.get("nbgrader", {})
        name = marks.get("grade_id", f"number {index}")
        tests = name.removeprefix(TEST_PREFIX) if marks.get("grade") and not marks.get("solution") else ""
        found.append(Step(name, cell.source, tests))
    return found


@dataclass(frozen=True)
class Branch:
    """How one notebook goes on from where a trunk has come to.

    Attributes:
        cells: to run.
        seeds: of each exercise's check.
        brief: whether a check with another than the first of its seeds may end at the first case that fails.
        names: of the reference: what its answer binds.
        ahead: of the reference: the exercise whose check should ask what known mistakes give, for those who come.
        doubtful: exercises that only the reference's names reach, if they are used at all.
    """

    cells: Sequence[Step]
    seeds: Mapping[str, Sequence[int]]
    brief: bool = False
    names: frozenset[str] = frozenset()
    ahead: str = ""
    doubtful: frozenset[str] = frozenset()

    def without(self, exercises: Set[str]) -> Branch:
        """Return the branch without the test cells and checks of these exercises, and what comes after the last."""
        seeds = {name: s for name, s in self.seeds.items() if name not in exercises}
        cells = [step for step in self.cells if step.exercise not in exercises]
        last = max(i for i, step in enumerate(cells) if seeds.get(step.exercise))
        return replace(self, cells=cells[: last + 1], seeds=seeds)


class _Notebook:
    """A notebook that is run cell by cell in this process, whose ``__main__`` becomes the notebook's."""

    def __init__(self) -> None:
        # Classes look their module up there.
        self.module = sys.modules["__main__"] = types.ModuleType("__main__")
        self.sources: dict[str, str] = {}
        self.errors: list[str] = []

    def run(self, step: Step) -> StudentError | None:
        """Run one cell as a kernel would, and return what it raised."""
        self.sources[step.name] = step.source
        error = _run(step, vars(self.module))
        if error and not step.exercise:
            self.errors.append(f"The cell {step.name!r} raised {error.kind}: {error.message}")
        return error

    def rehearse(self, branch: Branch, checks: Mapping[str, Check], points: Mapping[str, float]) -> Rehearsal:
        """Run the cells in order, and each exercise's check, once for each of its seeds, right after its test cell."""
        self.sources |= {step.name: step.source for step in branch.cells}
        student = NamespaceStudent(vars(self.module), self.sources)
        findings: list[Finding] = []
        for step in branch.cells:
            error = self.run(step)
            ReferenceStudent.ahead = bool(step.exercise) and step.exercise == branch.ahead
            for k, seed in enumerate(branch.seeds.get(step.exercise, ())):
                brief = branch.brief and k > 0
                result = run_check(
                    checks[step.exercise],
                    student,
                    exercise=step.exercise,
                    points=points[step.exercise],
                    seed=seed,
                    brief=brief,
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
                        whole=not brief or result.score == result.max_score,
                    )
                )
        ReferenceStudent.ahead = False
        return Rehearsal(tuple(findings), tuple(self.errors))


def work(
    pipe: Connection,
    folder: str,
    trunk: Sequence[Step],
    reference: Branch | None,
    branches: Sequence[Branch],
    timeout: float,
) -> None:
    """Run the trunk and each branch after it, and send what :func:`parse` reads for each; a process's target.

    Args:
        pipe: where the answers go, in the order of the branches.
        folder: the assignment's.
        trunk: the cells that all branches share.
        reference: how the right notebook goes on. It is run in the trunk first, so that each branch finds what the
            checks and PyTorch make once and keep. Then it is run with its answer's names spoilt: an exercise that
            keeps full marks uses none of them, and is not checked again for an answer that binds only these.
        branches: how each goes on.
        timeout: seconds that a branch may take.
    """
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    torch.set_num_threads(1)
    # A fork has no GPU. PyTorch would note each seed, with a traceback, for one that may still turn up.
    for device in (torch.cuda, torch.xpu, torch.mtia):
        device.manual_seed_all = _nothing
    # What was there before a fork is not collected: looking at it would copy all of its memory.
    gc.freeze()
    assignment = Assignment(Path(folder))
    os.chdir(folder)
    sys.path.insert(0, str(Path(folder).parent.parent))
    try:
        points, checks = {e.name: e.points for e in assignment.exercises}, assignment.checks
    except CourseError as error:
        for _ in branches:
            _send(pipe, Rehearsal(trouble=str(error)))
        return
    notebook = _Notebook()
    for step in trunk:
        notebook.run(step)
    if reference:
        ReferenceStudent.remember()
        with _aside(notebook) as copy:
            copy.rehearse(reference, checks, points)
    doubtful = frozenset().union(*(branch.doubtful for branch in branches))
    unused = _unused(notebook, reference, doubtful, checks, points) if reference and doubtful else set()
    gc.freeze()
    for branch in branches:
        unreached = tuple(sorted(unused & branch.doubtful))
        left = branch.without(set(unreached))
        _send(
            pipe,
            replace(_forked(lambda left=left: notebook.rehearse(left, checks, points), timeout), unreached=unreached),
        )


class _Used(Exception):
    """A name was used that is not to be used."""


class _Spoilt:
    """What stands for a name: any use of it raises."""

    def _raise(self, *_args: Any, **_kwargs: Any) -> Any:
        raise _Used

    __call__ = __getattr__ = __instancecheck__ = __subclasscheck__ = __bool__ = __eq__ = __repr__ = _raise
    __hash__ = _raise  # type: ignore[assignment]


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """What stands for a name, too: a check may have something else at hand where a name raises."""


def _unused(
    notebook: _Notebook,
    reference: Branch,
    exercises: Set[str],
    checks: Mapping[str, Check],
    points: Mapping[str, float],
) -> set[str]:
    """Return those of the exercises that keep full marks where the names of the reference's answer are spoilt."""
    unused = set(exercises)
    seeds = {name: reference.seeds[name][:1] for name in exercises}
    for spoilt in (_Spoilt(), _nothing):
        with _aside(notebook) as copy:
            vars(copy.module).update(dict.fromkeys(reference.names, spoilt))
            found = copy.rehearse(Branch(reference.cells[1:], seeds), checks, points).findings
        unused &= {f.exercise for f in found if f.status == "graded" and f.score == f.max_score and not f.fault}
    return unused


@contextlib.contextmanager
def _aside(notebook: _Notebook) -> Iterator[_Notebook]:
    """Go on with a copy of a notebook's names; after that, ``__main__`` and the random states are as they were."""
    states = random.getstate(), numpy.random.get_state(), torch.random.get_rng_state()
    copy = _Notebook()
    vars(copy.module).update(vars(notebook.module))
    copy.sources.update(notebook.sources)
    try:
        yield copy
    finally:
        sys.modules["__main__"] = notebook.module
        random.setstate(states[0])
        numpy.random.set_state(states[1])
        torch.random.set_rng_state(states[2])


def _forked(run: Callable[[], Rehearsal], timeout: float) -> Rehearsal:
    """Return what ``run`` returns in a fork of this process. One that hangs or dies is a result too."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def branch() -> None:
        if sys.platform == "linux":
            sandbox.end_with_parent()
        _send(theirs, run())

    process = context.Process(target=branch)
    process.start()
    theirs.close()
    wait([ours], timeout)
    try:
        if not ours.poll():
            return Rehearsal(trouble=f"it took more than {timeout:g} s")
        return parse(ours.recv_bytes())
    except (EOFError, OSError, ValueError):
        process.join(5)
        return Rehearsal(trouble=f"its process died ({ending(process)})")
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()


def ending(process: BaseProcess) -> str:
    """Say how a process ended."""
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _send(pipe: Connection, result: Rehearsal) -> None:
    with contextlib.suppress(BrokenPipeError):
        pipe.send_bytes(json.dumps(asdict(result)).encode())


def parse(data: bytes) -> Rehearsal:
    """Read one answer of :func:`work`."""
    tree = json.loads(data)
    findings = tuple(Finding(**f) for f in tree["findings"])
    return Rehearsal(findings, tuple(tree["errors"]), tuple(tree["unreached"]), tree["trouble"])


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
