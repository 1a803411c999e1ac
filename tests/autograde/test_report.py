"""The files of a run: what a spreadsheet, a program and a CI page are given."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from autograde import report
from autograde.cases import CaseResult, ExerciseResult
from autograde.outcome import SubmissionResult, number, worse
from autograde.submission import Submission


def result(student="ada", status="graded", score=1.0, hint="", **kwargs):
    exercise = ExerciseResult("half", score, 3.0, [CaseResult("a case", 1.0, score == 3.0, hint)], hint=hint)
    return SubmissionResult(Submission(student, "sums", Path()), status, [exercise], **kwargs)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1"])
def test_no_cell_is_a_formula(text):
    table = list(csv.reader(io.StringIO(report.grades_csv([result(student=text, hint=text, status=text)]))))
    assert table[0] == list(report.COLUMNS) and len(table) == 2
    for value in (table[1][0], table[1][5], table[1][6]):
        assert value[0] == "'" and value[1] in "=+-@"
    assert table[1][3:5] == ["1", "3"]


def test_a_row_is_one_line():
    assert report.grades_csv([result(hint='two\nlines, "quoted"')]).count("\n") == 2


def test_junit_survives_any_character():
    text = report.junit_xml([result(student="\x00\x1b&<", hint="\ud7ff \x0b <b>", score=0)])
    root = ET.fromstring(text)
    assert root.find("testsuite").get("failures") == "1"
    assert "0 of 3 points (graded)." in root.find(".//failure").get("message")


def test_the_report_is_json_of_plain_values():
    tree = report.report([result(notes=["a note"], trouble="x")], {"secret": "s"})
    again = json.loads(report.as_json(tree))
    assert again == tree and again["submissions"][0]["exercises"][0]["cases"][0]["name"] == "a case"


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a" / "grades.csv"
    report.write(path, "old")

    def full(self, data):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError):
        report.write(path, "new")
    assert path.read_text() == "old"


def test_numbers_and_statuses():
    assert [number(x) for x in (3.0, 2.5, 2 / 3, 0.0, 100.0)] == ["3", "2.5", "0.6667", "0", "100"]
    assert worse("graded", "timeout") == "timeout" and worse("killed", "timeout") == "killed"
    assert result().good and result(status="missing").good and not result(status="rejected: x").good
    broken = result()
    broken.exercises[0].fault = "KeyError"
    assert not broken.good and broken.faults == ["half: KeyError"]
