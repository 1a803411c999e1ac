"""The tests of the tests: what is on file for an assignment, run against its checks.

The reference must have full marks and the untouched student notebook none; a right variant must keep full marks
everywhere; a wrong one must lose points on its own exercise only, with the hint on file as the first thing that its
student reads. Each is tried with several seeds, in a process of its own.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import hashlib
import importlib.util
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from multiprocessing import connection, forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from autograde import rehearse
from autograde.course import Assignment, Course, CourseError
from autograde.reach import bound, reached
from autograde.rehearse import Branch, Finding, Rehearsal, Step
from autograde.release import reference_notebook, student_notebook, text
from autograde.variants import MIN_RIGHT, MIN_WRONG, Variant

#: Each process computes with one thread; processes are what runs at once. None sees a GPU: a trunk that has used one
#: could not be forked.
_QUIET = {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
    "PYTHONWARNINGS": "ignore",
}

#: The kinds of answers that must get full marks.
_RIGHT = ("reference", "right")

#: What PyTorch imports only when these are first used: four seconds that each process would pay again.
_SLOW = {"torch._dynamo", "torch._decomp.decompositions_for_jvp"}
_SLOW_USERS = ("torch.optim", "torch.func", "torch.compile", "functional")
#: What the server that this process forks from was told to import.
_preloaded: set[str] = set()


@dataclass(frozen=True)
class Row:
    """One answer on file and what became of it.

    Attributes:
        assignment: its assignment.
        exercise: its exercise.
        variant: its name.
        kind: ``"reference"``, ``"blank"``, ``"right"``, ``"wrong"``, or ``"file"`` for what is wrong with the file.
        expected: the points it must get, such as ``"3/3"`` or ``"< 3"``.
        got: the points it got; over all seeds, where they differ.
        hint: what its student reads first.
        problem: why the row is not as expected; empty when it is.
    """

    assignment: str
    exercise: str
    variant: str
    kind: str
    expected: str
    got: str = ""
    hint: str = ""
    problem: str = ""

    @property
    def good(self) -> bool:
        """Whether the row is as expected."""
        return not self.problem

    def plain(self) -> dict[str, Any]:
        """Return the row as JSON would hold it."""
        return {**asdict(self), "as_expected": self.good}


@dataclass(frozen=True)
class _Task:
    """One notebook to rehearse: for one variant, or for all exercises of the reference or the blank notebook.

    Attributes:
        trunk: the cells above the variant's answer.
        cells: the answer and the cells after it; of the reference and the blank notebook, all cells.
        reach: the exercises that it may change: its own, and those after it in the notebook that it can reach.
        doubtful: those of them that only the names of the reference's answer reach.
    """

    assignment: Assignment
    trunk: tuple[Step, ...]
    cells: tuple[Step, ...]
    kind: str
    exercise: str = ""
    variant: Variant | None = None
    reach: tuple[str, ...] = ()
    doubtful: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        return f"{self.assignment.name}/{self.exercise or self.kind}"


def verify(
    course: Course,
    names: Iterable[str] = (),
    *,
    jobs: int | None = None,
    seed: int = 0,
    seeds: int = 3,
    right_seeds: int | None = None,
    timeout: float = 60,
    kernel: bool = False,
    progress: Callable[[str, int], contextlib.AbstractContextManager[Callable[[str], None]]] | None = None,
) -> list[Row]:
    """Try everything on file, and return one row for each variant and, of the two notebooks, each exercise.

    A variant's own exercise is checked with every seed; those after it that it can reach, whose answers are the
    reference's, with one; those before it, which are over before its cell is run, not at all. A wrong one's check goes
    to its end with the first seed, and with the others to the first case that fails, which gives the hint.

    Args:
        course: the course.
        names: which assignments; all when empty.
        jobs: how many processes at once; by default one for each core.
        seed: where the checks' seeds are drawn from; the same one gives the same seeds.
        seeds: how many seeds each check is run with.
        right_seeds: how many it is run with for the reference and right variants, if more: a check that one student in
            a hundred fails with a right answer shows only then.
        timeout: seconds that one notebook may take, all seeds together.
        kernel: grade the reference and the blank notebook too, as ``autograde grade`` does, in real kernels.
        progress: shows how far it is, as :func:`autograde.console.progress` does.

    Raises:
        CourseError: when an assignment cannot be read.
    """
    chosen = [course.assignment(name) for name in names] or list(course.assignments.values())
    rows: list[Row] = []
    tasks: list[_Task] = []
    for assignment in chosen:
        _ = assignment.checks  # says what is missing before anything is run
        rows += _file_problems(assignment)
        tasks += _tasks(assignment)
    counts = {kind: max(seeds, right_seeds or 0) if kind in _RIGHT else seeds for kind in (*_RIGHT, "blank", "wrong")}
    most = max(counts.values())
    drawn = {a.name: {e.name: _seeds(seed, a.name, e.name, most) for e in a.exercises} for a in chosen}
    with (progress or _no_progress)("verify", len(tasks)) as done:
        results = _run(tasks, drawn, counts, jobs or len(os.sched_getaffinity(0)), timeout, done)
    for task, result in zip(tasks, results, strict=True):
        rows += _rows(task, result)
    if kernel:
        rows += _in_kernels(course, chosen, jobs or len(os.sched_getaffinity(0)), seed)
    order = {a.name: [e.name for e in a.exercises] for a in chosen}
    kinds = ["file", "reference", "blank", "right", "wrong"]

    def place(row: Row) -> tuple:
        exercises = order[row.assignment]
        number = exercises.index(row.exercise) if row.exercise in exercises else len(exercises)
        return [a.name for a in chosen].index(row.assignment), number, kinds.index(row.kind)

    return sorted(rows, key=place)


# What is on file


def _file_problems(assignment: Assignment) -> list[Row]:
    """Say what is wrong with ``variants.py`` itself."""
    rows = []
    variants = _variants(assignment)
    names = [e.name for e in assignment.exercises]

    def problem(exercise: str, expected: str, got: str, text: str) -> None:
        rows.append(Row(assignment.name, exercise, "variants.py", "file", expected, got, problem=text))

    for exercise in names:
        found = variants.get(exercise, [])
        for right, least, word in ((False, MIN_WRONG, "wrong"), (True, MIN_RIGHT, "right")):
            count = sum(v.right is right for v in found)
            if count < least:
                problem(exercise, f">= {least}", str(count), f"there are {count} {word} variants, {least} are needed")
        for name in sorted({v.name for v in found if sum(w.name == v.name for w in found) > 1}):
            problem(exercise, "one", "more", f"two variants are called {name!r}")
    for exercise in variants:
        if exercise not in names:
            problem(exercise, "an exercise", "none", f"{exercise!r} is no exercise of this assignment")
    return rows


def _variants(assignment: Assignment) -> dict[str, list[Variant]]:
    path = assignment.folder / "variants.py"
    variants = getattr(assignment.variants, "VARIANTS", None)
    if not isinstance(variants, dict) or not all(
        isinstance(v, (list, tuple)) and all(isinstance(x, Variant) for x in v) for v in variants.values()
    ):
        raise CourseError(
            f"{path} should hold VARIANTS, a dict from each exercise to a list of right(...), wrong(...)."
        )
    return {name: list(found) for name, found in variants.items()}


def _tasks(assignment: Assignment) -> list[_Task]:
    reference, blank = reference_notebook(assignment), student_notebook(assignment)
    cells, everything = tuple(rehearse.steps(reference)), tuple(e.name for e in assignment.exercises)
    tasks = [
        _Task(assignment, (), cells, "reference", reach=everything),
        _Task(assignment, (), tuple(rehearse.steps(blank)), "blank", reach=everything),
    ]
    checks = (assignment.folder / "checks.py").read_text(encoding="utf-8")
    for exercise in assignment.exercises:
        at = [step.name for step in cells].index(exercise.name)
        for variant in _variants(assignment).get(exercise.name, []):
            kind = "right" if variant.right else "wrong"
            rest = (replace(cells[at], source=variant.code), *cells[at + 1 :])
            also, surely = reached(cells[:at], rest, cells[at].source, checks)
            reach = tuple(name for name in everything if name == exercise.name or name in also)
            last = max(i for i, step in enumerate(rest) if step.exercise in reach)
            doubtful = frozenset(reach) - surely - {exercise.name}
            tasks.append(_Task(assignment, cells[:at], rest[: last + 1], kind, exercise.name, variant, reach, doubtful))
    return tasks


def _seeds(seed: int, assignment: str, exercise: str, count: int) -> list[int]:
    texts = (f"{seed}/{assignment}/{exercise}/{k}" for k in range(count))
    return [int.from_bytes(hashlib.sha256(t.encode()).digest()[:8]) >> 1 for t in texts]


def _asked(task: _Task, seeds: Mapping[str, Sequence[int]], count: int) -> dict[str, Sequence[int]]:
    """Return `count` seeds to run each check with: for a variant, the exercises that come after it need only one."""
    counts = dict.fromkeys(task.reach, 1 if task.exercise else count) | {task.exercise: count}
    return {name: s[: counts.get(name, 0)] for name, s in seeds.items()}


# What became of it


def _rows(task: _Task, result: Rehearsal) -> list[Row]:
    name = task.assignment.name
    reach = [e for e in task.reach if e not in result.unreached]
    by_exercise = {e: [f for f in result.findings if f.exercise == e] for e in reach}
    points = {e.name: e.points for e in task.assignment.exercises}
    own = [task.exercise] if task.variant else list(by_exercise)
    rows = []
    for exercise in own:
        top = f"{points[exercise]:g}"
        expected = {"blank": f"0/{top}", "wrong": f"< {top}"}.get(task.kind, f"{top}/{top}")
        variant = task.variant.name if task.variant else f"the {task.kind} notebook"
        found = by_exercise[exercise]
        hint = next((f.hint for f in found if f.hint), "")
        problem = result.trouble or _problem(task, exercise, by_exercise, result.errors)
        rows.append(Row(name, exercise, variant, task.kind, expected, _span(found, top), hint, problem))
    return rows


def _problem(task: _Task, exercise: str, by_exercise: Mapping[str, Sequence[Finding]], errors: Sequence[str]) -> str:
    """Say why an exercise is not as expected, or return an empty string."""
    for name, found in by_exercise.items():
        if not found:
            return f"{name} was not checked"
        for f in found:
            if f.fault:
                return f"the check of {name} broke (seed {f.seed}): {f.fault}"
            if f.status != "graded":
                return f"{name} ended as {f.status}"
    for f in by_exercise[exercise]:
        if task.kind == "blank" and f.score != 0:
            return f"nothing is written, but it gets {f.score:g} (seed {f.seed})"
        if task.kind in _RIGHT and f.score != f.max_score:
            return f"a right answer gets {f.score:g} (seed {f.seed}): {f.hint}"
        if task.kind == "wrong" and f.score >= f.max_score:
            return f"a wrong answer loses nothing (seed {f.seed})"
        if task.variant and task.variant.hint is not None and task.variant.hint not in f.hint:
            return f"its student should read {task.variant.hint!r}, but reads (seed {f.seed}): {f.hint}"
    if task.variant:
        for name, found in by_exercise.items():
            for f in found:
                if name != exercise and f.score != f.max_score:
                    return f"it loses points on {name} too (seed {f.seed}): {f.hint}"
    if task.kind in _RIGHT and errors:
        return errors[0]
    return ""


def _span(found: Sequence[Finding], top: str) -> str:
    if not found:
        return "-"
    scores = [f.score for f in found if f.whole]
    low, high = min(scores), max(scores)
    return f"{low:g}/{top}" if low == high else f"{low:g} to {high:g}/{top}"


# Running

#: How many answers to one exercise are tried one after another, before another process may take the others.
_ROW = 24
#: For so many wrong answers it is worth it to ask ahead what all known mistakes give.
_MANY = 8


@dataclass
class _Running:
    """A process that tries some tasks, whose cells above the answer are the same, one after another."""

    waiting: list[int]
    process: BaseProcess
    pipe: connection.Connection
    deadline: float


def _run(
    tasks: Sequence[_Task],
    seeds: Mapping[str, Mapping[str, Sequence[int]]],
    counts: Mapping[str, int],
    jobs: int,
    timeout: float,
    done: Callable[[str], None],
) -> list[Rehearsal]:
    """Rehearse each task in a process of its own, some at once, with as many seeds as its kind of answer gets.

    A process that hangs or dies is a result too.
    """
    context = _server(_imported({task.assignment.name: task.assignment for task in tasks}.values()))
    results: list[Rehearsal | None] = [None] * len(tasks)
    rows = list(reversed(_alike(tasks)))
    running: list[_Running] = []

    def right(task: _Task, reach: Set[str], wrong: int) -> Branch | None:
        """Return how the right notebook goes on where answers are tried, `wrong` of them wrong ones."""
        if not task.variant:
            return None
        cells = next(t.cells for t in tasks if t.kind == "reference" and t.assignment is task.assignment)
        last = max(i for i, cell in enumerate(cells) if cell.exercise in reach)
        also = replace(task, reach=tuple(reach))
        names = bound(task.trunk, cells[len(task.trunk)].source) or frozenset()
        ahead = task.exercise if wrong >= _MANY else ""
        asked = _asked(also, seeds[task.assignment.name], counts["right"])
        return Branch(cells[len(task.trunk) : last + 1], asked, names=names, ahead=ahead)

    def start() -> None:
        row = rows.pop()
        first = tasks[row[0]]
        ours, theirs = context.Pipe(duplex=False)
        branches = [
            Branch(
                tasks[i].cells,
                _asked(tasks[i], seeds[first.assignment.name], counts[tasks[i].kind]),
                brief=tasks[i].kind == "wrong",
                doubtful=tasks[i].doubtful,
            )
            for i in row
        ]
        reach = {name for i in row for name in tasks[i].reach}
        reference = right(first, reach, sum(branch.brief for branch in branches))
        arguments = theirs, str(first.assignment.folder), first.trunk, reference, branches, timeout
        process = context.Process(target=rehearse.work, args=arguments)
        process.start()
        theirs.close()
        # It ends its branches itself when they take too long; it has as long again for the cells above them.
        running.append(_Running(list(row), process, ours, time.monotonic() + 2 * timeout + 5))

    def answers(run: _Running) -> Iterator[Rehearsal]:
        """Yield what has come, or why nothing more will come."""
        ended = not run.process.is_alive()
        # It may have answered before it ended; so ask for its answers after asking whether it lives.
        while run.waiting and run.pipe.poll():
            try:
                yield rehearse.parse(run.pipe.recv_bytes())
            except (EOFError, OSError, ValueError):
                run.process.join(5)
                ended = True
                break
            run.deadline = time.monotonic() + timeout + 5
        if ended:
            yield from [Rehearsal(trouble=f"its process died ({rehearse.ending(run.process)})")] * len(run.waiting)
        elif time.monotonic() > run.deadline:
            yield from [Rehearsal(trouble=f"the cells above it took more than {timeout:g} s")] * len(run.waiting)

    try:
        while rows or running:
            while rows and len(running) < jobs:
                start()
            patience = max(0.0, min(r.deadline for r in running) - time.monotonic())
            connection.wait([x for r in running for x in (r.pipe, r.process.sentinel)], patience + 0.01)
            for run in list(running):
                for result in answers(run):
                    index = run.waiting.pop(0)
                    results[index] = result
                    done(tasks[index].label)
                if not run.waiting:
                    running.remove(run)
                    _end(run)
    finally:
        for run in running:
            _end(run)
    return [r for r in results if r is not None]


def _alike(tasks: Sequence[_Task]) -> list[list[int]]:
    """Return the tasks' numbers in rows: answers to one exercise, which share the cells above them."""
    rows: dict[tuple, list[int]] = {}
    for index, task in enumerate(tasks):
        rows.setdefault((task.label, task.kind if not task.variant else ""), []).append(index)
    return [row[k : k + _ROW] for row in rows.values() for k in range(0, len(row), _ROW)]


def _end(run: _Running) -> None:
    run.process.kill()
    run.process.join()
    run.process.close()
    run.pipe.close()


def preload(course: Course) -> None:
    """Import what any notebook of a course imports, once for all calls of :func:`verify` in this process.

    Without it, a call that needs more than those before it imports PyTorch and all the rest anew.
    """
    _server(_imported(course.assignments.values()))


def _imported(assignments: Iterable[Assignment]) -> set[str]:
    """Return the modules that notebooks and checks import, and those that PyTorch imports on their behalf."""
    wanted: set[str] = set()
    for assignment in assignments:
        sources = [cell.source for cell in rehearse.steps(reference_notebook(assignment))]
        sources.append((assignment.folder / "checks.py").read_text(encoding="utf-8"))
        wanted |= _imports(sources)
        if any(name in source for source in sources for name in _SLOW_USERS):
            wanted |= _SLOW
    return wanted


def _server(modules: Set[str]) -> multiprocessing.context.ForkServerContext:
    """Start the server that all processes are forked from, with these modules already imported."""
    context = multiprocessing.get_context("forkserver")
    wanted = {"torch", "autograde.rehearse", "autograde.cli", *modules}  # each process imports the command it came from
    if not wanted <= _preloaded:
        # A server that runs already (an earlier `verify` in this process) preloads nothing more: start another.
        _preloaded.update(wanted)
        forkserver._forkserver._stop()
    context.set_forkserver_preload([*sorted(_preloaded), "autograde.large_pages"])
    before = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update(_QUIET)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    # Once the server has answered, all is imported, and no variant's time goes into that.
    first = context.Process(target=time.sleep, args=(0,), daemon=True)
    first.start()
    first.join()
    return context


def _imports(sources: Sequence[str]) -> set[str]:
    """Return the modules that sources import and that can be imported here."""
    names: set[str] = set()
    for source in sources:
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    # What is imported from a package may be a module of it; a server passes over what is not.
                    names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in names if _installed(name)}


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _in_kernels(course: Course, chosen: Sequence[Assignment], jobs: int, seed: int) -> list[Row]:
    """Grade the reference and the blank notebook as two students' submissions."""
    from autograde.grade import Grader, grade_batch
    from autograde.submission import find

    made = {"reference": reference_notebook, "blank": student_notebook}
    rows = []
    with tempfile.TemporaryDirectory(prefix="autograde-") as folder:
        for assignment in chosen:
            for student, make in made.items():
                path = Path(folder) / student / assignment.name / f"{assignment.name}.ipynb"
                path.parent.mkdir(parents=True)
                path.write_text(text(make(assignment)), encoding="utf-8")
        grader = Grader.of(course, [a.name for a in chosen], str(seed))
        with grader.host:
            results = asyncio.run(grade_batch(grader, find(Path(folder), grader.templates), jobs, lambda _: None))
    for result in results:
        kind, name = result.submission.student, result.submission.assignment
        for e in result.exercises:
            wanted = 0.0 if kind == "blank" else e.max_score
            problem = "" if e.score == wanted else f"in a kernel it gets {e.score:g}: {e.hint}"
            if result.status != "graded":
                problem = f"in a kernel it ended as {result.status}"
            problem = next(iter(result.faults), problem)
            got, expected = f"{e.score:g}/{e.max_score:g}", f"{wanted:g}/{e.max_score:g}"
            rows.append(Row(name, e.exercise, f"the {kind}, in a kernel", kind, expected, got, e.hint, problem))
    return rows


@contextlib.contextmanager
def _no_progress(_label: str, _total: int) -> Iterator[Callable[[str], None]]:
    yield lambda _done: None
