"""The sample class: made by its script, graded as committed, and usable by nbgrader's own commands afterwards."""

import csv
import filecmp
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
STATUSES = re.compile(r"graded|timeout|killed|missing|rejected: .+")


def script():
    spec = importlib.util.spec_from_file_location("make_submissions", EXAMPLES / "make_submissions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    out = tmp_path_factory.mktemp("grades")
    command = [sys.executable, "-m", "autograde", "grade", EXAMPLES / "submissions", "--out", out]
    # The seed fixes which of two hints comes first; scores must not depend on it.
    done = subprocess.run(
        [*command, "--cell-timeout", "10", "--seed", "1"], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 1, done.stderr
    return out


def test_the_committed_files_are_what_the_script_makes(tmp_path):
    script().make(tmp_path / "class")
    made, kept = tmp_path / "class", EXAMPLES / "submissions"
    assert files(made) == files(kept), "run: python examples/make_submissions.py"
    different = [f for f in files(made) if not filecmp.cmp(made / f, kept / f, shallow=False)]
    assert not different, f"run: python examples/make_submissions.py ({different} are stale)"


def test_the_readme_says_who_shows_what():
    told = re.findall(r"^\| (\w+) \| ", (EXAMPLES / "README.md").read_text(), re.MULTILINE)[1:]
    assert told == sorted(p.name for p in (EXAMPLES / "submissions").iterdir()) and len(told) >= 12


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_grades_are_as_committed(graded):
    seen, expected = table(graded / "grades.csv"), table(EXAMPLES / "expected_grades.csv")
    assert [r for r in seen if r not in expected] == [] and seen == expected
    assert all(STATUSES.fullmatch(r["status"]) for r in seen)


@pytest.mark.slow
def test_every_submission_has_one_status_and_one_page(graded):
    submissions = json.loads((graded / "report.json").read_text())["submissions"]
    keys = [(s["student"], s["assignment"]) for s in submissions]
    students = sorted(p.name for p in (EXAMPLES / "submissions").iterdir())
    assert keys == [(s, a) for s in students for a in ("conditioning", "momentum")]
    assert files(graded / "feedback") == [f"{s}/{a}.html" for s, a in keys]
    assert not [s for s in submissions if s["trouble"] or any(e["fault"] for e in s["exercises"])]
    assert [s["student"] for s in submissions if s["output_dropped"]] == ["margaret"]


@pytest.mark.slow
def test_feedback_gives_nothing_away(graded):
    checks = "".join(p.read_text() for p in ROOT.glob("solutions/*/checks.py"))
    lines = {line.strip() for line in checks.splitlines() if len(line.strip()) > 40 and "cases." in line}
    for page in (graded / "feedback").rglob("*.html"):
        text = page.read_text()
        assert "<script" not in text and "BEGIN SOLUTION" not in text and page.stat().st_size < 3 * 2**20
        assert not [line for line in lines if line in text]


@pytest.mark.slow
def test_nbgraders_own_feedback_and_export_go_on_from_here(graded, tmp_path):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

    def nbgrader(*arguments):
        command = [sys.executable, "-m", "nbgrader", *map(str, arguments)]
        done = subprocess.run(command, cwd=graded, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    nbgrader("generate_feedback", "conditioning", "--student", "ada", "--course-dir", graded)
    page = (graded / "feedback" / "ada" / "conditioning" / "conditioning.html").read_text()
    assert "20.0 / 20.0" in page
    nbgrader("export", f"--CourseDirectory.root={graded}", "--to", tmp_path / "class.csv")
    scores = {(r["student_id"], r["assignment"]): float(r["score"]) for r in table(tmp_path / "class.csv")}
    ours: dict = {}
    for r in table(graded / "grades.csv"):
        key = r["student"], r["assignment"]
        ours[key] = ours.get(key, 0) + float(r["score"])
    assert scores == pytest.approx(ours, abs=1e-3)
