"""A class of the toy course, graded: one status for each hand-in, whatever happens, and files that agree."""

import asyncio
import csv
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import handin
import nbformat
import pytest
import torch
import toy
from click.testing import CliRunner
from handin import below, code, notebook

from autograde import expect, grade, kernel
from autograde.course import Course
from autograde.grade import Grader, command, grade_batch
from autograde.host import NONE, Host, Limits
from autograde.student import NamespaceStudent
from autograde.submission import Batch, Submission, find
from autograde.turns import Turn

STAMP = "2030-01-02 03:04:05 UTC"


def invoke(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return toy.make(tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="module")
def graded(tmp_path_factory, course):
    """A class of six, graded once."""
    root = tmp_path_factory.mktemp("class")
    page = "from IPython.display import HTML\nHTML('<script>alert(1)</script>')"
    noisy = below("double", code("import sys; print('careful', file=sys.stderr)"), code(page), code("1 / 0"))
    put = handin.put
    put(root / "in", "ada", notebook(edit=noisy))
    (root / "in" / "ada" / "sums" / "timestamp.txt").write_text(STAMP)
    put(root / "in", "emmy", notebook({"double": toy.DOUBLE, "half": "import os\nos._exit(1)"}))
    put(root / "in", "edsger", notebook({"double": "def double(x):\n    while True: pass", "half": toy.HALF}))
    put(
        root / "in",
        "=cmd()",
        notebook({"double": "def double(x) return 1", "half": "def half(x): return x // 2"}),
        "a.ipynb",
    )
    put(root / "in", "linus", "{broken")
    (root / "in" / "sofia").mkdir()
    result = invoke(root / "in", "--out", root / "out", "--course", course, "--cell-timeout", "4", "--seed", "1")
    return result, root / "out"


def rows(out: Path):
    with (out / "grades.csv").open(newline="") as file:
        return {(r["student"], r["exercise"]): r for r in csv.DictReader(file)}


def test_each_gets_one_status_and_what_was_finished_counts(graded):
    result, out = graded
    assert result.exit_code == 1, result.output
    seen = {key: (r["score"], r["max_score"], r["status"]) for key, r in rows(out).items()}
    assert seen == {
        ("ada", "double"): ("2", "2", "graded"),
        ("ada", "half"): ("4", "4", "graded"),
        ("edsger", "double"): ("0", "2", "timeout"),
        ("edsger", "half"): ("4", "4", "timeout"),
        ("emmy", "double"): ("2", "2", "killed"),
        ("emmy", "half"): ("0", "4", "killed"),
        ("'=cmd()", "double"): ("0", "2", "graded"),
        ("'=cmd()", "half"): ("0", "4", "graded"),
        ("linus", "double"): ("0", "2", "rejected: not JSON, line 1"),
        ("linus", "half"): ("0", "4", "rejected: not JSON, line 1"),
        ("sofia", "double"): ("0", "2", "missing"),
        ("sofia", "half"): ("0", "4", "missing"),
    }


def test_hints_name_the_cause(graded):
    hints = {key: r["hint"] for key, r in rows(graded[1]).items()}
    assert hints["ada", "half"] == ""
    assert hints["edsger", "double"].startswith("In the visible test of `double`: It took longer than 4 s")
    assert hints["emmy", "half"].startswith("In your answer cell of `half`: Your code ended the Python process")
    assert hints["'=cmd()", "double"].startswith("Your answer cell itself raised SyntaxError")
    assert hints["'=cmd()", "half"] == "Divide by two."
    assert hints["linus", "half"] == "Not graded: not JSON, line 1."


def test_the_table_and_where_the_files_are(graded):
    output = graded[0].output
    assert "ada" in output and "6/6" in output and "4/6 timeout" in output and "rejected: not JSON" in output
    assert "6 submissions of 6 students, 3 to look at." in output and "grades.csv" in output


def test_the_report_tells_the_instructor_everything(graded):
    tree = json.loads((graded[1] / "report.json").read_text())
    assert (
        tree["secret"] == "1"
        and tree["limits"]["cell"] == 4
        and tree["assignments"] == {"sums": {"double": 2, "half": 4}}
    )
    found = {s["student"]: s for s in tree["submissions"]}
    assert list(found) == sorted(found) and found["ada"]["timestamp"] == STAMP
    assert found["=cmd()"]["notes"] == ["The file is called a.ipynb; it should be sums.ipynb."]
    assert [c["passed"] for c in found["ada"]["exercises"][1]["cases"]] == [True, True]
    assert found["ada"]["exercises"][1]["cases"][0]["weight"] == 3


def test_junit_has_a_case_for_each_exercise(graded):
    suites = {s.get("name"): s for s in ET.parse(graded[1] / "junit.xml").getroot()}
    assert suites["ada/sums"].get("failures") == "0" and suites["=cmd()/sums"].get("failures") == "2"
    assert suites["emmy/sums"].get("errors") == "1" and len(suites["sofia/sums"].findall("testcase/failure")) == 2


def test_the_executed_notebook_is_kept_without_what_could_run_in_a_page(graded):
    executed = nbformat.read(graded[1] / "autograded" / "ada" / "sums" / "sums.ipynb", as_version=4)
    nbformat.validate(executed)
    outputs = [o for c in executed.cells for o in c.get("outputs", [])]
    assert {k for o in outputs for k in o.get("data", {})} == {"text/plain"}
    assert [o.output_type for o in outputs] == ["stream", "execute_result", "error"]
    assert not (graded[1] / "autograded" / "linus").exists()


def test_feedback_is_there_for_each_and_says_nothing_hidden(graded):
    pages = {p.parent.name: p.read_text() for p in (graded[1] / "feedback").glob("*/sums.html")}
    assert set(pages) == {"=cmd()", "ada", "edsger", "emmy", "linus", "sofia"}
    for page in pages.values():
        assert "cases.integer" not in page and "autograde.stock" not in page and "<script" not in page


def test_again_gives_the_same_bytes_and_keeps_the_secret(tmp_path, course):
    handin.put(tmp_path / "in", "ada", notebook({"double": "def double(x): return {x}", "half": toy.HALF}))
    seen = []
    for _ in range(2):
        result = invoke(tmp_path / "in", "--out", tmp_path / "out", "--course", course, "--json")
        assert result.exit_code == 0 and "secret" not in json.loads(result.output)
        files = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file() and p.suffix != ".db"}
        tree = json.loads(files.pop(tmp_path / "out" / "report.json"))
        for times in (tree, *tree["submissions"]):
            del times["seconds"]
        del tree["started"]
        assert len(tree["secret"]) == 32
        junit = files.pop(tmp_path / "out" / "junit.xml")
        seen.append((files, tree, [e.attrib for e in ET.fromstring(junit).iter() if e.attrib.pop("time", 1)]))
    assert seen[0] == seen[1] and len(seen[0][0]) == 3

    # Nothing of an old hand-in passes for a new one's.
    handin.put(tmp_path / "in", "ada", "{broken")
    assert invoke(tmp_path / "in", "--out", tmp_path / "out", "--course", course).exit_code == 1
    assert not (tmp_path / "out" / "autograded" / "ada" / "sums").exists()
    assert {r["score"] for r in rows(tmp_path / "out").values()} == {"0"}


def test_a_fault_of_the_grader_stops_nobody_else(tmp_path, course, monkeypatch):
    class Broken:
        def __init__(self, *_):
            raise OSError("no sockets left")

    monkeypatch.setattr(grade, "Kernel", Broken)
    handin.put(tmp_path / "in", "ada", notebook())
    (tmp_path / "in" / "sofia").mkdir()
    result = invoke(tmp_path / "in", "--out", tmp_path / "out", "--course", course)
    assert result.exit_code == 1
    found = {s["student"]: s for s in json.loads((tmp_path / "out" / "report.json").read_text())["submissions"]}
    assert (
        found["ada"]["status"] == "rejected: internal error (OSError)" and "no sockets left" in found["ada"]["trouble"]
    )
    assert found["sofia"]["status"] == "missing"
    assert "no sockets left" not in (tmp_path / "out" / "feedback" / "ada" / "sums.html").read_text()


def test_seeds_differ_by_person_and_exercise_and_repeat():
    grader, other = Grader({}, {}, "a"), Grader({}, {}, "b")
    ada, carl = (Submission(s, "sums", Path()) for s in ("ada", "carl"))
    seeds = [grader.seed(ada, "half"), grader.seed(carl, "half"), grader.seed(ada, "double"), other.seed(ada, "half")]
    assert len(set(seeds)) == 4 and seeds[0] == Grader({}, {}, "a").seed(ada, "half")
    assert all(0 <= s < 2**63 for s in seeds)


def test_students_see_the_packages_that_their_notebook_imports_and_no_other(tmp_path):
    files = {"tools": "import helpers.deep", "helpers": "", "tests": "the_answer = 42", "solutions": "import tests"}
    for name, text in files.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    (tmp_path / "helpers" / "deep.py").write_text("import torch")
    assert [p.name for p in grade._packages(tmp_path, ["torch.nn", "tools.hammer"])] == ["helpers", "tools"]


def test_as_many_at_a_time_as_asked(monkeypatch):
    now, most = 0, 0

    async def slow(self, submission):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return submission

    monkeypatch.setattr(Grader, "grade", slow)
    batch = Batch(tuple(Submission(str(i), "sums", Path()) for i in range(9)), ("sums",), {})
    results = asyncio.run(grade_batch(Grader({}, {}, "a"), batch, 3, lambda _: None))
    assert most == 3 and [r.student for r in results] == [str(i) for i in range(9)]


def test_checks_at_the_same_time_do_not_spoil_each_others_comparisons(course, tmp_path):
    # The seed and sys.stdout belong to the whole process: two checks that compare at once would share them.
    reference = NamespaceStudent({})
    code = "import time, torch\ndrawn = torch.rand(2)\ntime.sleep(0.05)\ndrawn = torch.cat([drawn, torch.rand(2)])"
    wanted, stdout, overlapping, most = reference.run(code, "drawn"), sys.stdout, 0, 0

    async def counted(self, request, exchange=kernel.Kernel.exchange):
        nonlocal overlapping, most
        overlapping += 1
        most = max(most, overlapping)
        try:
            return await exchange(self, request)
        finally:
            overlapping -= 1

    def compare(student, cases):
        own = torch.Generator().manual_seed(cases.generator.initial_seed())
        for number in range(3):
            with cases(f"draw {number}"):
                student.run("import time\ntime.sleep(0.5)")
                expect.equal(torch.rand(()).item(), torch.rand((), generator=own).item(), "A draw of its own.")
                expect.equal(reference.run(code, "drawn").tolist(), wanted.tolist(), "Another check has drawn.")

    for student in ("ada", "emmy", "edsger"):
        handin.put(tmp_path, student, notebook())
    found = Course(course)
    grader = Grader.of(found, ["sums"], "a", limits=Limits(), sandbox=NONE)
    grader = replace(grader, checks={"sums": {"double": compare, "half": compare}})
    with grader.host, pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel.Kernel, "exchange", counted)
        results = asyncio.run(grade_batch(grader, find(tmp_path, found.assignments), 3, lambda _: None))
    assert {e.hint for r in results for e in r.exercises} == {""} and [r.score for r in results] == [6.0] * 3
    assert most > 1, "students answer at the same time"
    assert sys.stdout is stdout


def test_what_the_notebooks_import_and_is_not_installed_is_the_instructors_to_know(tmp_path):
    source = toy.SOURCE.replace("import fractions", "try:\n    import no_such_module\nexcept ImportError:\n    pass")
    lacking = toy.make(tmp_path / "course", source=source)
    handin.put(tmp_path / "in", "ada", notebook())
    result = invoke(tmp_path / "in", "--out", tmp_path / "out", "--course", lacking)
    assert result.exit_code == 0 and "import what is not installed here: no_such_module." in result.stderr


def test_two_copies_of_the_grader_are_refused(course, tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(grade.__file__).parent, tmp_path / "copy" / "autograde", ignore=ignored)
    handin.put(tmp_path / "in", "ada", notebook())
    words = ["grade", tmp_path / "in", "--out", tmp_path / "out", "--course", course]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "copy")}
    done = subprocess.run(
        [sys.executable, "-m", "autograde", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and "imports another autograde. Leave PYTHONPATH out" in " ".join(done.stderr.split())


def test_a_check_that_does_not_end_is_a_fault_not_a_hang(course):
    import time

    grader = Grader(
        {"sums": handin.template()},
        {"sums": {"half": lambda student, cases: time.sleep(5)}},
        "a",
        Host(Limits(cell=0.1, total=0.1)),
    )
    turn = Turn(grader.turns)
    result = asyncio.run(grader._check(Submission("ada", "sums", Path()), "half", {"half": 4.0}, None, turn, None))
    assert result.fault == "the check does not end" and result.score == 0
    with Turn(grader.turns):
        assert turn.seconds() == 0  # others go on, while it is still at it


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "There is no folder"),
        (["file"], "is a file"),
        (["empty"], "is empty"),
        (["junk"], "holds no submission"),
        (["in/ada"], "looks like one student's folder"),
        (["in", "--assignment", "products"], "There is no assignment 'products'; there are: sums"),
        (["in", "--roster", "nowhere"], "cannot be read"),
        (["in", "--db", "nosuch://x"], "cannot be opened"),
        (["in", "--course", "empty"], "is no course"),
        (["in", "--out", "in/out"], "lies in the submissions"),
        (["in", "--out", "file"], "cannot be made"),
    ],
)
def test_misuse_is_one_sentence(tmp_path, course, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grade, "Kernel", None)
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk" / "ada").mkdir(parents=True)
    handin.put(tmp_path / "in", "ada", notebook())
    options = [] if "--course" in arguments else ["--course", course]
    out = [] if "--out" in arguments else ["--out", "out"]
    result = invoke(*arguments, *out, *options)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split()) and "Traceback" not in result.stderr
    assert not (tmp_path / "out" / "grades.csv").exists()


def test_the_course_is_found_from_here(tmp_path, course, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "No course holds" in invoke("in", "--out", "out").stderr
    assert Course.find(course / "solutions").root == course.resolve()
    assert kernel.REPLY_MIME not in kernel.SHOWN
