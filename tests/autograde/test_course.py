"""Reading a course, and one sentence for each way in which it contradicts itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy

from autograde.course import Course, CourseError, Exercise


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(toy.make(tmp_path))


def test_a_course_is_found_upwards(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = course.root / "a" / "b"
    inside.mkdir(parents=True)
    assert Course.find(inside).root == course.root
    monkeypatch.chdir(inside)
    assert Course.find().root == course.root


def test_no_course(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="has no folder solutions/"):
        Course(tmp_path)
    with pytest.raises(CourseError, match="--course DIR"):
        Course.find(tmp_path)


def test_assignments_and_exercises(course: Course) -> None:
    (course.root / "solutions" / "empty").mkdir()
    assert list(course.assignments) == ["sums"]
    assert course.assignment("sums").exercises == [Exercise("double", 2), Exercise("half", 4)]
    assert list(course.assignment("sums").checks) == ["double", "half"]
    with pytest.raises(CourseError, match="no assignment 'sum'; there are: sums"):
        course.assignment("sum")


def test_the_source_has_complete_marks_and_stable_ids(course: Course) -> None:
    cells = {
        c.metadata.nbgrader.grade_id: c for c in course.assignment("sums").source.cells if "nbgrader" in c.metadata
    }
    assert cells["imports"].metadata.nbgrader == {
        "grade_id": "imports",
        "solution": False,
        "grade": False,
        "task": False,
        "locked": True,
        "schema_version": 3,
        "cell_type": "code",
    }
    assert cells["double"].metadata.nbgrader.solution and not cells["double"].metadata.nbgrader.locked
    again = Course(course.root).assignment("sums").source
    assert [c.id for c in again.cells] == [c.id for c in course.assignment("sums").source.cells]
    assert len({c.id for c in again.cells}) == len(again.cells)
    assert not any("lines_to_next_cell" in c.metadata for c in again.cells)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"grade_id": "half"', '"grade_id": "double"', "two cells with the grade_id 'double'"),
        ('"grade_id": "imports", ', "", "no grade_id"),
        (', "points": 4', "", "'test_half' has no points"),
        ('"grade_id": "test_half"', '"grade_id": "half_test"', "'half_test' should be called test_<exercise>"),
        ('"grade_id": "test_half"', '"grade_id": "test_third"', "'test_third' should be called test_<exercise>"),
    ],
)
def test_a_source_that_contradicts_itself(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in toy.SOURCE
    assignment = Course(toy.make(tmp_path, source=toy.SOURCE.replace(old, new))).assignment("sums")
    with pytest.raises(CourseError, match=words):
        _ = assignment.exercises


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        (toy.CHECKS.replace("def half(", "def third("), "no check for the exercise 'half'"),
        (toy.CHECKS + "\n\n@check\ndef third(student, cases): pass\n", "'third', which is no exercise"),
        ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError"),
        ("def f(:", "cannot be imported: SyntaxError"),
    ],
)
def test_checks_that_do_not_fit(tmp_path: Path, checks: str, words: str) -> None:
    assignment = Course(toy.make(tmp_path, checks=checks)).assignment("sums")
    with pytest.raises(CourseError, match=words):
        _ = assignment.checks


def test_missing_parts(course: Course) -> None:
    assignment = course.assignment("sums")
    (assignment.folder / "checks.py").unlink()
    with pytest.raises(CourseError, match=r"checks\.py is missing"):
        _ = assignment.checks


def test_checks_may_import_from_the_root_and_hold_dataclasses(tmp_path: Path) -> None:
    helper = "from __future__ import annotations\nfrom dataclasses import dataclass\nimport toy_helper\n"
    (tmp_path / "toy_helper.py").write_text("x = 1\n")
    thing = "\n\n@dataclass\nclass Thing:\n    x: int = toy_helper.x\n"
    course = Course(toy.make(tmp_path, checks=helper + toy.CHECKS + thing))
    assert set(course.assignment("sums").checks) == {"double", "half"}
