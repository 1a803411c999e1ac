"""Stock nbgrader gives honest submissions the same scores, exercise by exercise."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograde.course import Course
from autograde.release import text

ROOT = Path(__file__).resolve().parents[2]
#: Blank, half right, another style; and every answer of the reference.
HONEST = [("conditioning", s) for s in ("alan", "barbara", "dorothy")] + [("momentum", "ada")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_honest_submissions_get_the_same_scores(tmp_path):
    # A course around nbgrader's folders: the hidden region finds the checks upwards from where the notebook runs.
    (tmp_path / "solutions").symlink_to(ROOT / "solutions")
    (tmp_path / "_toc.yml").write_text("format: jb-book\n")
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

    def nbgrader(*arguments):
        command = [sys.executable, "-m", "nbgrader", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    with (ROOT / "examples" / "expected_grades.csv").open(newline="") as file:
        ours = {(r["assignment"], r["student"], r["exercise"]): float(r["score"]) for r in csv.DictReader(file)}
    course = Course(ROOT)
    for name in sorted({a for a, _ in HONEST}):
        source = tmp_path / "_build" / "nbgrader" / "source" / name / f"{name}.ipynb"
        source.parent.mkdir(parents=True)
        source.write_text(text(course.assignment(name).source))
        for student in (s for a, s in HONEST if a == name):
            folder = Path(student) / name
            shutil.copytree(ROOT / "examples" / "submissions" / folder, tmp_path / "examples" / "submissions" / folder)
        nbgrader("generate_assignment", name)
        nbgrader("autograde", name)
    with Gradebook(f"sqlite:///{tmp_path / '_build' / 'nbgrader' / 'gradebook.db'}") as book:
        theirs = {
            (name, student, e.name): book.find_grade(e.test_id, name, name, student).auto_score
            for name, student in HONEST
            for e in course.assignment(name).exercises
        }
    assert theirs == pytest.approx({key: ours[key] for key in theirs}, abs=1e-4)
