"""A student's own run: every state a notebook may be in, in as few kernels as can be."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import toy

from autograde import check as checking
from autograde.check import NotebookError, Report, Visible, check
from autograde.course import Course
from autograde.release import student_notebook, text

NOTHING = "Nothing is written here yet: replace `raise NotImplementedError()` with your answer."


@pytest.fixture
def course(tmp_path: Path) -> Course:
    course = Course(toy.make(tmp_path / "course"))
    released = course.notebooks / "sums" / "sums.ipynb"
    released.parent.mkdir(parents=True)
    released.write_text(text(student_notebook(course.assignment("sums"))))
    return course


def hand_in(course: Course, path: Path, change: Callable[[dict], None], **answers: str) -> Path:
    """Write a student's notebook: the released one with answers, and with a change to its cells by grade_id."""
    notebook = nbformat.read(course.notebooks / "sums" / "sums.ipynb", as_version=4)
    cells = {c.metadata.get("nbgrader", {}).get("grade_id"): c for c in notebook.cells}
    for name, source in answers.items():
        cells[name].source = source
    change({"all": notebook.cells, **cells})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def states(report: Report) -> dict[str, tuple[str, str]]:
    return {e.exercise: (e.state, e.hint) for e in report.exercises}


def test_right_and_blank(course: Course, tmp_path: Path) -> None:
    right = hand_in(course, tmp_path / "ada" / "sums.ipynb", lambda c: None, double=toy.DOUBLE, half=toy.HALF)
    before = right.read_bytes()
    blank = course.notebooks / "sums" / "sums.ipynb"
    first, second = check([right, blank], course)
    assert first.exercises == (Visible("double", 2, "passed"), Visible("half", 4, "passed"))
    assert first.good and first.notes == () and first.assignment == "sums"
    assert states(second) == {"double": ("failed", NOTHING), "half": ("failed", NOTHING)}
    assert not second.good and second.notes == ()
    assert right.read_bytes() == before, "the notebook is run, not changed"


def test_failures_are_told_in_the_students_words(course: Course, tmp_path: Path) -> None:
    double = "def double(x):\n    y = x + 1\n    return y"
    half = "def half(x):\n    table = {}\n    return table[x]"
    path = hand_in(course, tmp_path / "sums.ipynb", lambda c: None, double=double, half=half)
    (report,) = check([path], course)
    assert states(report) == {
        "double": ("failed", "Twice 3 is 6."),
        "half": ("failed", "Your code raised KeyError: 8, at your line `return table[x]`."),
    }


def test_an_answer_that_cannot_be_defined(course: Course, tmp_path: Path) -> None:
    path = hand_in(
        course, tmp_path / "sums.ipynb", lambda c: None, double="def double(x:\n    return 1", half="half = 3("
    )
    (report,) = check([path], course)
    for state, hint in states(report).values():
        assert state == "failed" and "SyntaxError" in hint, hint


def test_edited_deleted_doubled_and_tagged_cells(course: Course, tmp_path: Path) -> None:
    def change(cells: dict) -> None:
        cells["test_double"].source = "pass"
        cells["test_double"].metadata.tags = ["skip-execution"]
        cells["all"].remove(cells["test_half"])
        cells["all"].append(nbformat.from_dict({**cells["double"], "source": "def double(x): return 7", "id": "copy"}))

    path = hand_in(course, tmp_path / "renamed.ipynb", change, double=toy.DOUBLE, half="def half(x): return x")
    (report,) = check([path], course)
    assert states(report) == {"double": ("passed", ""), "half": ("failed", "Half of 8 is 4.")}
    assert report.notes == (
        "The cell `double` is there more than once: the last one counts.",
        "The test cell `test_double` was edited; the original one was run.",
        "The test cell `test_half` is missing; the original one was run.",
    )


def test_without_a_course_an_edit_is_seen_by_its_checksum(course: Course, tmp_path: Path) -> None:
    def change(cells: dict) -> None:
        cells["test_double"].source = "assert double(3)"

    path = hand_in(course, tmp_path / "elsewhere" / "sums.ipynb", change, double=toy.DOUBLE, half=toy.HALF)
    (report,) = check([path], None)
    assert report.good
    assert report.notes == ("The test cell `test_double` was edited; the grade will come from the original one.",)


def test_working_in_the_released_file_itself(course: Course) -> None:
    def change(cells: dict) -> None:
        cells["test_double"].source = "pass"

    path = hand_in(course, course.notebooks / "sums" / "sums.ipynb", change, half=toy.HALF)
    (report,) = check([path])
    assert states(report) == {"double": ("failed", NOTHING), "half": ("passed", "")}
    assert len(report.notes) == 1 and "was edited" in report.notes[0]


def test_loops_and_a_dying_kernel(course: Course, tmp_path: Path) -> None:
    loop = hand_in(
        course,
        tmp_path / "a" / "sums.ipynb",
        lambda c: None,
        double="def double(x):\n    while True: pass",
        half=toy.HALF,
    )
    dies = hand_in(
        course, tmp_path / "b" / "sums.ipynb", lambda c: None, double="import os\nos._exit(1)", half=toy.HALF
    )
    stuck = "import signal\ndef double(x):\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n    while True: pass"
    hangs = hand_in(course, tmp_path / "c" / "sums.ipynb", lambda c: None, double=stuck, half=toy.HALF)
    first, second, third = check([loop, dies, hangs], course, cell_timeout=2)
    assert states(first) == {
        "double": ("failed", "This took more than 2 s: look for a loop that does not end."),
        "half": ("passed", ""),
    }
    assert {s for s, _ in states(second).values()} == {"not run"}
    assert "The kernel died in the cell `double`" in states(second)["half"][1]
    assert states(third)["double"][0] == "failed"
    assert states(third)["half"] == (
        "not run",
        "The notebook hangs in the cell `test_double`: look there for an endless loop.",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no file"),
        (b"", "is empty"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "not a notebook"),
        (b'{"a": 1}', "not a notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}', "damaged notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}', "damaged notebook"),
        (b'{"nbformat": 99, "nbformat_minor": 5, "metadata": {}, "cells": []}', "damaged notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}', "no graded exercise"),
    ],
)
def test_what_is_no_notebook_is_one_sentence(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotebookError, match=words) as caught:
        check([path])
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="holds no notebook"):
        check([tmp_path])
    for name in ("b/b.ipynb", "a.ipynb", ".ipynb_checkpoints/a-checkpoint.ipynb", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert checking.find([tmp_path, tmp_path / "a.ipynb"]) == [tmp_path / "a.ipynb", tmp_path / "b" / "b.ipynb"]


HOSTILE = "</td>|<script>\x00\x1b[31m *bold* `code`\ud800"


def test_what_a_machine_reads_survives_any_text() -> None:
    report = Report(
        "x.ipynb",
        "x",
        (
            Visible("good", 1, "passed"),
            Visible("bad", 2.5, "failed", HOSTILE),
            Visible("late", 1, "not run", "it stopped"),
        ),
        ("a <note>",),
    )
    suite = ET.fromstring(checking.junit([report]).encode("utf-8", "replace"))[0]
    assert suite.attrib | {"tests": "3", "failures": "1", "errors": "1"} == suite.attrib
    cases = {c.get("name"): c for c in suite.iter("testcase")}
    assert len(cases["good"]) == 0 and cases["late"].find("error").get("message") == "it stopped"
    assert "<script>" in cases["bad"].find("failure").get("message")

    summary = checking.summary([report])
    lines = summary.splitlines()
    assert lines[0] == "### x: 1 of 3 visible tests pass"
    assert "<script>" not in summary and "a <note>" not in summary
    assert all(line.replace("\\|", "").count("|") == 5 for line in lines if line.startswith("|"))
    json.dumps(report.plain())
