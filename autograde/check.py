"""A student's own run: the visible tests of a notebook, in an ordinary kernel, with a sentence for each failure.

It needs neither the solutions nor the hidden tests, so it says what passes, not what the grade will be. Where the
released notebook is at hand, its test cells are the ones that are run.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbgrader.utils import compute_checksum

from autograde.assemble import PAYOFF
from autograde.course import TEST_PREFIX, Course, CourseError
from autograde.student import StudentError
from autograde.verdict import sentence

KERNEL = "python3"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"Cell In\s?\[(\d+)\], line (\d+)")
# What XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NotebookError(CourseError):
    """A file that is no notebook to check; the text says why."""


@dataclass(frozen=True)
class Visible:
    """How the visible tests of one exercise ended.

    Attributes:
        exercise: its name.
        points: what it is worth.
        state: ``"passed"``, ``"failed"`` or ``"not run"``.
        hint: what to look at; empty when it passed.
    """

    exercise: str
    points: float
    state: str
    hint: str = ""


@dataclass(frozen=True)
class Report:
    """One notebook's run: its exercises in order, and what was noted about its cells."""

    path: str
    assignment: str
    exercises: tuple[Visible, ...]
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all visible tests pass."""
        return all(e.state == "passed" for e in self.exercises)

    def plain(self) -> dict[str, Any]:
        """Return the report as JSON would hold it."""
        return {**asdict(self), "passed": self.good}


@dataclass
class _Plan:
    """The notebook to run: which cell tests and which answers each exercise, and what to note."""

    notebook: NotebookNode
    tests: dict[str, NotebookNode]
    answers: dict[str, NotebookNode]
    notes: list[str] = field(default_factory=list)


def find(paths: Iterable[Path]) -> list[Path]:
    """Return the notebooks that these files and folders name.

    Raises:
        NotebookError: when one does not exist, or a folder holds no notebook.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts and p.is_file())
            if not inside:
                raise NotebookError(f"The folder {path} holds no notebook (*.ipynb).")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise NotebookError(f"There is no file {path}.")
    return list(dict.fromkeys(found))


def read(path: Path) -> NotebookNode:
    """Read a notebook.

    Raises:
        NotebookError: when it cannot be read, or is no notebook.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotebookError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        tree = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        what = "is empty" if not data.strip() else "is not JSON"
        raise NotebookError(f"{path} {what}: open it in Jupyter, or take a fresh copy of the assignment.") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("nbformat"), int) or "metadata" not in tree:
        raise NotebookError(f"{path} is JSON, but not a notebook: give an .ipynb file that Jupyter wrote.")
    try:
        notebook = nbformat.reads(json.dumps(tree), as_version=4)
        nbformat.validate(notebook, relax_add_props=True)
    except Exception as error:  # the converter raises whatever the file makes it raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NotebookError(f"{path} is a damaged notebook ({reason[:120]}): take a fresh copy.") from None
    return notebook


def check(paths: Iterable[Path], course: Course | None = None, *, cell_timeout: float = 60) -> list[Report]:
    """Run the visible tests of notebooks.

    Args:
        paths: notebooks, and folders of notebooks.
        course: where the released notebooks are; found upwards from each notebook when None, if there is one.
        cell_timeout: seconds that one cell may take.

    Raises:
        NotebookError: when there is nothing to check in one of them; nothing is run then.
    """
    notebooks = [(path, read(path)) for path in find(paths)]
    graded = [(path, notebook) for path, notebook in notebooks if _marked(notebook, grade=True)]
    if not graded:
        name = notebooks[0][0] if len(notebooks) == 1 else "None of these notebooks"
        raise NotebookError(f"{name} has no graded exercise: give the notebook of an assignment.")
    reports = []
    for path, notebook in graded:
        released = _released(path, notebook, course)
        plan = _plan(notebook, released)
        reports.append(_run(path, plan, cell_timeout))
    return reports


def _marked(notebook: NotebookNode, **wanted: bool) -> dict[str, NotebookNode]:
    """Return the cells whose nbgrader marks are these, by grade_id; of two with one grade_id, the last."""
    cells = {}
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader")
        if not isinstance(marks, dict) or not isinstance(marks.get("grade_id"), str):
            continue
        role = {"grade": bool(marks.get("grade") and not marks.get("solution")), "solution": marks.get("solution")}
        if all(bool(role[key]) == value for key, value in wanted.items()):
            cells[marks["grade_id"]] = cell
    return cells


def _released(path: Path, notebook: NotebookNode, course: Course | None) -> NotebookNode | None:
    """Return the released version of a notebook, if a course has it.

    A student may work in the released file itself. Then it is made anew from the source, where that is at hand.
    """
    if course is None:
        try:
            course = Course.find(path.parent)
        except CourseError:
            return None
    tests = set(_marked(notebook, grade=True))
    names = sorted(course.assignments, key=lambda name: name != path.stem)
    for name in names:
        file = course.notebooks / name / f"{name}.ipynb"
        if file.is_file() and not file.samefile(path):
            candidate = read(file)
        else:
            from autograde.release import student_notebook

            candidate = student_notebook(course.assignments[name])
        # A renamed file is known by its exercises.
        if name == path.stem or tests & set(_marked(candidate, grade=True)):
            return candidate
    return None


def _plan(notebook: NotebookNode, released: NotebookNode | None) -> _Plan:
    """Decide what to run: the student's cells, with the released test cells in place of theirs."""
    notebook = copy.deepcopy(notebook)
    mine = _marked(notebook, grade=True)
    notes = [f"The cell `{name}` is there more than once: the last one counts." for name in _twice(notebook)]
    # Of two test cells with one name, the last is run.
    notebook.cells = [c for c in notebook.cells if _name(c) not in mine or mine[_name(c)] is c]
    answers = _marked(notebook, solution=True)
    if released is None:
        for name, cell in mine.items():
            marks = cell.metadata.nbgrader
            if marks.get("checksum") and marks["checksum"] != compute_checksum(cell):
                notes.append(f"The test cell `{name}` was edited; the grade will come from the original one.")
        return _Plan(notebook, mine, answers, notes)
    tests = {}
    for name, original in _marked(released, grade=True).items():
        if name in mine:
            cell = mine[name]
            if cell.source.strip() != original.source.strip() or cell.cell_type != original.cell_type:
                notes.append(f"The test cell `{name}` was edited; the original one was run.")
                cell.source, cell.cell_type = original.source, original.cell_type
            cell.metadata.nbgrader = copy.deepcopy(original.metadata.nbgrader)
        else:
            notes.append(f"The test cell `{name}` is missing; the original one was run.")
            cell = copy.deepcopy(original)
            places = [i for i, c in enumerate(notebook.cells) if _name(c) == name.removeprefix(TEST_PREFIX)]
            notebook.cells.insert(places[-1] + 1 if places else len(notebook.cells), cell)
        tests[name] = cell
    for name in mine:
        if name not in tests:
            notes.append(f"The test cell `{name}` is none of this assignment; it does not count.")
    return _Plan(notebook, tests, answers, notes)


def _twice(notebook: NotebookNode) -> list[str]:
    names = [_name(c) for c in notebook.cells if _name(c)]
    return sorted({n for n in names if names.count(n) > 1})


def _name(cell: NotebookNode) -> str:
    marks = cell.metadata.get("nbgrader")
    name = marks.get("grade_id") if isinstance(marks, dict) else None
    return name if isinstance(name, str) else ""


def _run(path: Path, plan: _Plan, cell_timeout: float) -> Report:
    errors, stopped = _execute(path, plan.notebook, cell_timeout)
    exercises = []
    for name, cell in plan.tests.items():
        exercise = name.removeprefix(TEST_PREFIX)
        answer = plan.answers.get(exercise)
        points = cell.metadata.nbgrader.get("points", 0)
        points = float(points) if isinstance(points, (int, float)) else 0.0
        error = errors.get(id(cell))
        if cell.cell_type != "code" or (error is None and cell.get("execution_count")):
            state, hint = "passed", ""
        elif error is None:
            state, hint = "not run", stopped
        else:
            # The test of an answer that could not even be defined fails for the answer's reason.
            state, hint = "failed", errors.get(id(answer), error)
        exercises.append(Visible(exercise, points, state, hint))
    return Report(str(path), path.stem, tuple(exercises), tuple(plan.notes))


def _execute(path: Path, notebook: NotebookNode, timeout: float) -> tuple[dict[int, str], str]:
    """Run the notebook's cells in place; return a sentence on each that failed (by id()), and why it stopped."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name=KERNEL,
        allow_errors=True,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent.resolve())}},
    )
    client.log.disabled = True  # what happens is in the report
    errors: dict[int, str] = {}
    sources: dict[int, str] = {}
    stopped = ""
    with client.setup_kernel(stderr=subprocess.DEVNULL):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code" or PAYOFF in cell.metadata.get("tags", ()):
                continue
            cell.metadata.pop("tags", None)  # a tag must neither skip a test nor expect its failure
            where = f"the cell `{_name(cell)}`" if _name(cell) else f"cell number {index + 1}"
            try:
                client.execute_cell(cell, index)
            except CellTimeoutError:
                errors[id(cell)] = f"This took more than {timeout:g} s: look for a loop that does not end."
                if not _interrupt(client):
                    stopped = f"The notebook hangs in {where}: look there for an endless loop."
                    break
                continue
            except DeadKernelError:
                stopped = f"The kernel died in {where}: look there for what ends it or fills the memory."
                errors[id(cell)] = stopped
                break
            sources[cell.execution_count or 0] = cell.source
            for output in cell.outputs:
                if output.output_type == "error":
                    errors[id(cell)] = sentence(_error(output, sources))
    return errors, stopped


def _interrupt(client: NotebookClient) -> bool:
    """Interrupt the kernel and say whether it answers again."""
    try:
        run_sync(client.km.interrupt_kernel)()
        run_sync(client.kc.wait_for_ready)(timeout=5)
    except Exception:  # a kernel that is stuck or gone fails in many ways
        return False
    return True


def _error(output: NotebookNode, sources: dict[int, str]) -> StudentError:
    """Return what a cell raised, with the line of the notebook that it came from."""
    line = None
    frames = _FRAME.findall(_ANSI.sub("", "\n".join(output.traceback)))
    if frames:
        cell, number = (int(n) for n in frames[-1])
        lines = sources.get(cell, "").splitlines()
        line = lines[number - 1].strip()[:200] if 0 < number <= len(lines) else None
    message = output.evalue.strip().splitlines()
    return StudentError(output.ename, message[0][:300] if message else "", line or None)


# What a machine reads


def junit(reports: Iterable[Report]) -> str:
    """Return the reports as JUnit XML: a suite for each notebook, a case for each exercise."""
    root = ET.Element("testsuites", name="autograde check")
    for report in reports:
        counts = {state: sum(e.state == state for e in report.exercises) for state in ("failed", "not run")}
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_xml(report.assignment),
            tests=str(len(report.exercises)),
            failures=str(counts["failed"]),
            errors=str(counts["not run"]),
            skipped="0",
        )
        for e in report.exercises:
            case = ET.SubElement(suite, "testcase", classname=_xml(report.assignment), name=_xml(e.exercise))
            if e.state != "passed":
                ET.SubElement(case, "failure" if e.state == "failed" else "error", message=_xml(e.hint))
        if report.notes:
            ET.SubElement(suite, "system-out").text = _xml("\n".join(report.notes))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def summary(reports: Iterable[Report]) -> str:
    """Return the reports as Markdown, for a job's summary page."""
    lines: list[str] = []
    for report in reports:
        passed = sum(e.state == "passed" for e in report.exercises)
        lines += [f"### {_markdown(report.assignment)}: {passed} of {len(report.exercises)} visible tests pass", ""]
        lines += ["| Exercise | Points | Visible tests | What to look at |", "| --- | ---: | --- | --- |"]
        for e in report.exercises:
            mark = {"passed": "✅", "failed": "❌", "not run": "⬜"}[e.state]
            lines.append(f"| {_markdown(e.exercise)} | {e.points:g} | {mark} {e.state} | {_markdown(e.hint)} |")
        lines += ["", *(f"- {_markdown(note)}" for note in report.notes), ""]
    return "\n".join(lines) + "\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _markdown(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, in a table's cell; back-quoted code stays code."""
    text = text.replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return re.sub(r"([*_\[\]#~])", r"\\\1", text) if "`" not in text else text
