"""Grades in nbgrader's gradebook: its own tools read them, and what a person wrote there stays."""

import copy
import shutil
from pathlib import Path

import handin
import pytest
from handin import template
from nbgrader.api import Gradebook

from autograde import gradebook
from autograde.cases import ExerciseResult
from autograde.course import Assignment
from autograde.outcome import SubmissionResult, nothing
from autograde.submission import MisuseError, Submission


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The folder of a gradebook that was prepared once, for that takes seconds."""
    folder = tmp_path_factory.mktemp("prepared")
    gradebook.prepare(gradebook.default_url(folder), [handin.assignment()])
    return folder


@pytest.fixture
def url(prepared, tmp_path):
    shutil.copy(prepared / "gradebook.db", tmp_path)
    return gradebook.default_url(tmp_path)


def result(score=4.0, hint="", status="graded", student="ada", timestamp="2030-01-02 03:04:05 UTC"):
    exercises = [ExerciseResult("double", 2.0, 2.0), ExerciseResult("half", score, 4.0, hint=hint)]
    return SubmissionResult(Submission(student, "sums", Path()), status, exercises, timestamp=timestamp)


def store(url, *results):
    return gradebook.store(url, results, {"ada": {"first_name": "Ada", "last_name": "Lovelace"}, "carl": {}})


def test_cells_as_nbgrader_saves_them(url):
    with Gradebook(url) as book:
        notebook = book.find_notebook("sums", "sums")
        assert {c.name: c.max_score for c in notebook.grade_cells} == {"test_double": 2, "test_half": 4}
        assert {c.name for c in notebook.solution_cells} == {"double", "half"}
        sources = {c.name: c for c in notebook.source_cells}
        assert set(sources) == {"imports", "double", "test_double", "half", "test_half"}
        # As in nbgrader's own gradebook, which puts the hidden tests back from here.
        assert "HIDDEN TESTS" in sources["test_half"].source and sources["test_half"].locked
        released = handin.cell(template().notebook, "half")
        assert sources["half"].source == released.source
        assert sources["half"].checksum == released.metadata.nbgrader.checksum


def test_scores_comments_and_times(url):
    assert store(url, result(3.0, "Divide by two."), result(0.0, student="carl", timestamp="gibberish")) == []
    with Gradebook(url) as book:
        ada = book.find_submission("sums", "ada")
        assert (ada.score, ada.max_score, ada.student.last_name) == (5, 6, "Lovelace")
        assert ada.timestamp.isoformat() == "2030-01-02T03:04:05" and not ada.needs_manual_grade
        assert book.find_comment("half", "sums", "sums", "ada").comment == "Divide by two."
        assert book.find_comment("double", "sums", "sums", "ada").comment is None
        book.update_or_create_assignment("sums", duedate="2030-01-01 03:04:05 UTC")
        assert book.find_submission("sums", "ada").total_seconds_late == 86400
        assert book.find_submission("sums", "carl").timestamp is None


def test_a_second_run_updates_and_leaves_what_a_person_wrote(url):
    store(url, result(1.0, "Divide by two."))
    with Gradebook(url) as book:
        book.find_grade("test_double", "sums", "sums", "ada").manual_score = 1.5
        book.find_comment("half", "sums", "sums", "ada").manual_comment = "Come and see me."
        book.db.commit()
    gradebook.prepare(url, [handin.assignment()])
    store(url, result(4.0))
    with Gradebook(url) as book:
        double, half = (book.find_grade(f"test_{n}", "sums", "sums", "ada") for n in ("double", "half"))
        assert (double.score, double.auto_score, double.needs_manual_grade) == (1.5, 2.0, True)
        assert (half.score, half.needs_manual_grade) == (4.0, False)
        assert book.find_comment("half", "sums", "sums", "ada").comment == "Come and see me."


def test_missing_and_rejected_keep_no_old_score(url):
    store(url, result(4.0), result(4.0, student="carl"))
    zero = nothing(template().exercises, "Nothing was handed in.")
    missing, rejected = result(status="missing"), result(student="carl", status="rejected: x")
    missing.exercises = rejected.exercises = zero
    store(url, missing, rejected)
    with Gradebook(url) as book:
        assert [book.find_submission("sums", s).score for s in ("ada", "carl")] == [0, 0]
    absent = result(student="sofia", status="missing")
    assert gradebook.store(url, [absent], {"sofia": {}}) == []
    with Gradebook(url) as book:
        assert book.find_student("sofia").score == 0 and not book.student_submissions("sofia")


def test_one_that_cannot_be_stored_stops_nobody(url):
    stranger = result(student="nobody")  # no such student in the gradebook
    failed = store(url, stranger, result(3.0))
    assert [r for r, _ in failed] == [stranger] and "nobody" in failed[0][1]
    with Gradebook(url) as book:
        assert book.find_submission("sums", "ada").score == 5


def test_a_changed_assignment_needs_a_new_gradebook(url, tmp_path):
    store(url, result())
    changed = copy.copy(handin.assignment())
    source = copy.deepcopy(changed.source)
    source.cells.remove(handin.cell(source, "test_half"))
    changed.__dict__["source"] = source
    with pytest.raises(MisuseError, match="take a new --out"):
        gradebook.prepare(url, [changed])


def test_a_database_that_cannot_be_opened(tmp_path):
    for url in ("nosuch://ada:secret@host/db", f"sqlite:///{tmp_path}/no/such/folder.db"):
        with pytest.raises(MisuseError, match="cannot be opened") as error:
            gradebook.prepare(url, [Assignment(handin.assignment().folder)])
        assert "secret" not in str(error.value)
