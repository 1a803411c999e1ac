"""The files that hold a run's grades: grades.csv for people, report.json for programs, junit.xml for CI.

Each is written beside its place and then moved there, so that a reader sees the old file or the new one. But for
times, the same run gives the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autograde.outcome import GRADED, MISSING, SubmissionResult, number

COLUMNS = ("student", "assignment", "exercise", "score", "max_score", "status", "hint")
#: How a spreadsheet recognises a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for each file: what a kill leaves of it is written over by the next run.
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(content.encode() if isinstance(content, str) else content)
    beside.replace(path)


def grades_csv(results: Iterable[SubmissionResult]) -> str:
    """Return one row for each exercise of every submission, missing and rejected ones included."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for result in results:
        for exercise in result.exercises:
            words = result.submission.student, result.submission.assignment, exercise.exercise
            points = number(exercise.score), number(exercise.max_score)
            table.writerow([*map(harmless, words), *points, harmless(result.status), harmless(exercise.hint)])
    return text.getvalue()


def harmless(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, on one line."""
    text = " ".join(text.split())
    return f"'{text}" if text.startswith(_FORMULA) else text


def report(results: Iterable[SubmissionResult], about: dict[str, Any]) -> dict[str, Any]:
    """Return all that is known, for the instructor: it names cases and faults, so it is not for students.

    Args:
        results: of every submission, sorted.
        about: what to say of the run itself.
    """
    submissions = [
        {
            "student": r.submission.student,
            "assignment": r.submission.assignment,
            "status": r.status,
            "score": r.score,
            "max_score": r.max_score,
            "seconds": round(r.seconds, 2),
            "sha256": r.digest,
            "timestamp": r.timestamp,
            "output_dropped": r.dropped,
            "notes": r.notes,
            "trouble": r.trouble,
            "exercises": [asdict(e) for e in r.exercises],
        }
        for r in results
    ]
    return {**about, "submissions": submissions}


def as_json(tree: dict[str, Any]) -> str:
    """Write a report."""
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def junit_xml(results: Iterable[SubmissionResult]) -> str:
    """Return a test suite for each submission and a test case for each exercise, failed unless it has full marks."""
    root = ET.Element("testsuites", name="autograde")
    for result in results:
        name = f"{result.submission.student}/{result.submission.assignment}"
        failed = [e for e in result.exercises if e.score < e.max_score]
        broken = result.status not in (GRADED, MISSING)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_xml(name),
            tests=str(len(result.exercises)),
            failures=str(0 if broken else len(failed)),
            errors=str(len(failed) if broken else 0),
            time=f"{result.seconds:.2f}",
        )
        for exercise in result.exercises:
            case = ET.SubElement(suite, "testcase", classname=_xml(name), name=_xml(exercise.exercise))
            if exercise.score < exercise.max_score:
                points = f"{number(exercise.score)} of {number(exercise.max_score)} points"
                message = f"{points} ({result.status}). {exercise.hint}"
                ET.SubElement(case, "error" if broken else "failure", message=_xml(message))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Return text without the characters that XML forbids."""
    return _NO_XML.sub("�", text)
