"""A run that is stopped, in whatever way, and the one that continues it: the same files as if nothing had happened."""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import handin
import psutil
import pytest
import toy
from click.testing import CliRunner
from handin import below, code, notebook
from nbformat import v4

from autograde import grade, journal
from autograde.cases import CaseResult, ExerciseResult
from autograde.course import Course
from autograde.journal import Journal, Signals, Stopped, alone
from autograde.outcome import SubmissionResult, nothing
from autograde.submission import MisuseError, read

ROOT = Path(__file__).resolve().parents[2]
#: A name of 32 random hexadecimal digits, as nbgrader gives to rows.
ROW = re.compile("[0-9a-f]{32}")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return toy.make(tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    """A class of eight: six notebooks to run, one that is none, and one student who handed in nothing."""
    folder = tmp_path_factory.mktemp("class")
    nap = below("double", code("import time\ntime.sleep(0.3)"))
    slow = below("half", code("time.sleep(99)"))
    noisy = below(
        "double",
        code("import sys, warnings; print('careful', file=sys.stderr); warnings.warn('old')"),
        code("def f(): return open('nowhere')\nf()"),
        code("f, object, double"),
        code("import os; print(os.getcwd())"),
    )
    handin.put(folder, "ada", notebook(edit=noisy))
    handin.put(folder, "carl", notebook({"double": toy.DOUBLE, "half": "def half(x): return x // 2"}, nap))
    handin.put(folder, "edsger", notebook({"double": toy.DOUBLE, "half": "import time\n" + toy.HALF}, slow))
    handin.put(folder, "emmy", notebook({"double": toy.DOUBLE, "half": "import os\nos._exit(1)"}))
    handin.put(folder, "grace", notebook(edit=nap))
    (folder / "grace" / "sums" / "timestamp.txt").write_text("some day")
    handin.put(folder, "=cmd()", notebook({"double": "def double(x) return 1", "half": toy.HALF}), "a.ipynb")
    handin.put(folder, "linus", "{broken")
    (folder / "sofia").mkdir()
    return folder


def command(course, folder, out):
    words = ["grade", folder, "--out", out, "--course", course, "--seed", "1", "--jobs", "2", "--cell-timeout", "3"]
    return [sys.executable, "-m", "autograde", *map(str, words)]


def finish(course, folder, out):
    done = subprocess.run(command(course, folder, out), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, course, handed_in):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert "Continuing" not in finish(course, handed_in, out)
    return out


def tables(path):
    with contextlib.closing(sqlite3.connect(path)) as book:
        book.row_factory = sqlite3.Row
        names = [row[0] for row in book.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [dict(row) for row in book.execute(f"SELECT * FROM {name}")] for name in names}


def gradebook_words(path):
    """Return what a gradebook says, with each random id replaced by what it stands for."""
    found, by_id = tables(path), {}
    for rows in found.values():
        for row in rows:
            by_id.setdefault(row.get("id"), {}).update(row)

    def tell(row):
        kept = {k: v for k, v in row.items() if k != "timestamp" and not (k == "id" and ROW.fullmatch(v))}
        return sorted(
            (k, tell(by_id[v]) if k != "id" and isinstance(v, str) and ROW.fullmatch(v) and v in by_id else v)
            for k, v in kept.items()
        )

    return {name: sorted(map(repr, map(tell, rows))) for name, rows in found.items()}


def everything(out):
    """Return all that a run has written, but for times."""
    files = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    files["gradebook.db"] = gradebook_words(out / "gradebook.db")
    files["junit.xml"] = re.sub(rb' time="[^"]*"', b"", files["junit.xml"])
    report = files["report.json"] = json.loads(files["report.json"])
    for times in (report, *report["submissions"]):
        del times["seconds"]
    del report["started"], report["command"]
    return files


def same(out, other):
    one, two = everything(out), everything(other)
    assert list(one) and sorted(one) == sorted(two)
    for name, content in one.items():
        assert content == two[name], name


@pytest.mark.slow
def test_two_runs_give_the_same_bytes(tmp_path, course, handed_in, undisturbed):
    finish(course, handed_in, tmp_path / "out")
    same(tmp_path / "out", undisturbed)
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {"autograded", "feedback", "gradebook.db", "grades.csv", "junit.xml", "report.json"}
    statuses = [s["status"] for s in everything(undisturbed)["report.json"]["submissions"]]
    assert statuses[:6] == ["graded", "graded", "graded", "timeout", "killed", "graded"]


@pytest.mark.slow
def test_killed_at_any_moment_and_continued(tmp_path, course, handed_in, undisturbed):
    out, luck = tmp_path / "out", random.Random(0)
    folder, before = out / journal.FOLDER, {}
    # Early, in the middle, and when all are graded and the gradebook is being written.
    for count, wait in ((1, luck.uniform(0, 0.3)), (4, luck.uniform(0, 0.3)), (6, 0.02)):
        run = subprocess.Popen(command(course, handed_in, out), cwd=ROOT, stderr=subprocess.PIPE, text=True)
        while len(list(folder.glob("*.json"))) < count and run.poll() is None:
            time.sleep(0.005)
        time.sleep(wait)
        run.kill()
        told = run.communicate()[1]
        assert run.returncode == -signal.SIGKILL, told
        assert not before or f"Continuing: {len(before)} of 8 submissions" in told
        now = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob("*.json")}
        assert len(now) >= count and before.items() <= now.items()
        assert json.loads((out / "report.json").read_text())["submissions"] == []
        before = now
    removed = out / "feedback" / "ada" / "sums.html"
    removed.unlink()
    assert "Continuing: 6 of 8 submissions were finished by the run that was stopped." in finish(course, handed_in, out)
    same(out, undisturbed)
    took = {round(json.loads(content)["seconds"], 2) for _, content in before.values()}
    assert took <= {s["seconds"] for s in json.loads((out / "report.json").read_text())["submissions"]}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_process_and_no_folder(tmp_path, course, number, status):
    handin.put(tmp_path / "in", "ada", notebook())
    for student in ("carl", "emmy", "grace"):
        handin.put(tmp_path / "in", student, notebook(edit=below("half", code("import time; time.sleep(99)"))))
    # Not below tmp_path: the path of a socket is short.
    with tempfile.TemporaryDirectory() as scratch:
        run = subprocess.Popen(
            [*command(course, tmp_path / "in", tmp_path / "out")[:-1], "90"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": scratch},
            stderr=subprocess.PIPE,
            text=True,
            # Who starts the tests in the background may have it ignored, and what is ignored stays so.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        while not list((tmp_path / "out").glob(f"{journal.FOLDER}/*.json")) and run.poll() is None:
            time.sleep(0.05)
        time.sleep(0.5)
        children = psutil.Process(run.pid).children(recursive=True)
        assert children and list(Path(scratch).iterdir())
        run.send_signal(number)
        time.sleep(0.02)  # who is impatient presses Ctrl-C again
        run.send_signal(number)
        told = run.communicate(timeout=60)[1]
        assert run.returncode == status, told
        assert "What is finished is kept" in told and "Traceback" not in told
        _, alive = psutil.wait_procs(children, timeout=5)
        assert alive == [] and list(Path(scratch).iterdir()) == []
    assert [json.loads(p.read_text())["submission"][0] for p in (tmp_path / "out" / journal.FOLDER).iterdir()] == [
        "ada"
    ]
    assert not (tmp_path / "out" / journal.LOCK).exists()


@pytest.mark.slow
def test_the_end_of_a_run_may_be_repeated(tmp_path, course, monkeypatch):
    def invoke():
        words = [tmp_path / "in", "--out", tmp_path / "out", "--course", course]
        return CliRunner().invoke(grade.command, [str(w) for w in words])

    def stopped(self):
        raise Stopped(signal.SIGTERM)

    handin.put(tmp_path / "in", "ada", notebook())
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "close", stopped)
        assert invoke().exit_code == 143
    files, rows = everything(tmp_path / "out"), tables(tmp_path / "out" / "gradebook.db")
    kept = next((tmp_path / "out" / journal.FOLDER).iterdir()).relative_to(tmp_path / "out").as_posix()
    monkeypatch.setattr(grade, "Kernel", None)
    result = invoke()
    assert result.exit_code == 0 and "Continuing: 1 of 1 submission was finished" in result.stderr
    assert {**everything(tmp_path / "out"), kept: files[kept]} == files
    assert tables(tmp_path / "out" / "gradebook.db") == rows
    # That run is finished: the next one takes nothing over.
    again = invoke()
    assert again.exit_code == 1 and "Continuing" not in again.stderr and "internal error" in again.output


def finished(folder):
    """Return the result of a submission as it is when it was run, and where the submission lies."""
    submission = handin.put(folder / "in", "ada\x1b/..", notebook(edit=below("half", code("print('é\\n')"))))
    submission = replace(submission, student="ada", notes=("This student is not on the roster.",))
    (submission.folder / "timestamp.txt").write_text("2030-01-02 03:04:05 UTC")
    given = read(submission)
    assembled = handin.template().assemble(given)
    own = next(p for p in assembled.parts if p.role == "own")
    own.cell.execution_count = 3
    own.cell.outputs = [
        v4.new_output("stream", text="é\n\n\ud800"),
        v4.new_output("execute_result", {"text/plain": "1"}, execution_count=3),
    ]
    exercises = [
        ExerciseResult("double", 1 / 3, 2.0, [CaseResult("a", 1, True), CaseResult("b", 2.5, False, "no")], hint="no"),
        ExerciseResult("half", 0.0, 4.0, [], "timeout", "In a cell"),
    ]
    notes = ["This student is not on the roster.", *given.notes, *assembled.notes, "A note of the run's."]
    return SubmissionResult(
        submission, "timeout", exercises, notes, assembled, True, given.timestamp, given.digest, seconds=1.25
    )


def make(tmp_path, course, **settings):
    root = Course(course)
    return Journal(tmp_path / "out", root, {"sums": handin.template()}, {"secret": "s", **settings})


def test_an_entry_gives_back_the_result(tmp_path, course):
    result = finished(tmp_path)
    make(tmp_path, course).add(result)
    taken = make(tmp_path, course).load([result.submission])
    assert taken == {("ada", "sums"): result}
    again = taken["ada", "sums"]
    assert again.notebook.cells == [p.cell for p in again.assembled.parts]
    assert all(a is b.cell for a, b in zip(again.notebook.cells, again.assembled.parts, strict=True))
    assert again.assembled.sources == result.assembled.sources
    assert grade.nbformat.writes(again.notebook) == grade.nbformat.writes(result.notebook)


def entry_of(tmp_path):
    (path,) = (tmp_path / "out" / journal.FOLDER).glob("*")
    return path


def edit_entry(tmp_path, **values):
    path = entry_of(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


CHANGES = {
    "half written": lambda tmp, _: entry_of(tmp).write_bytes(entry_of(tmp).read_bytes()[:-20]),
    "empty": lambda tmp, _: entry_of(tmp).write_bytes(b""),
    "no entry": lambda tmp, _: entry_of(tmp).write_text("[1]"),
    "another format": lambda tmp, _: edit_entry(tmp, format=journal.FORMAT + 1),
    "another key": lambda tmp, _: edit_entry(tmp, key="0"),
    "another student": lambda tmp, _: edit_entry(tmp, submission=["carl", "sums"]),
    "another exercise": lambda tmp, _: edit_entry(tmp, exercises=[]),
    "a strange exercise": lambda tmp, _: edit_entry(tmp, exercises=[{"cases": []}]),
    "handed in again": lambda _, s: handin.put(s.folder.parents[1], s.folder.parent.name, notebook()),
    "handed in again, broken": lambda _, s: handin.put(s.folder.parents[1], s.folder.parent.name, "{"),
    "renamed": lambda _, s: (s.folder / "sums.ipynb").rename(s.folder / "a.ipynb"),
    "taken back": lambda _, s: (s.folder / "sums.ipynb").unlink(),
    "another time": lambda _, s: (s.folder / "timestamp.txt").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_entry_that_differs_is_not_believed(tmp_path, course, change, capsys):
    result = finished(tmp_path)
    make(tmp_path, course).add(result)
    change(tmp_path, result.submission)
    assert make(tmp_path, course).load([result.submission]) == {}
    assert list((tmp_path / "out" / journal.FOLDER).iterdir()) == []
    assert "all is graded again" in capsys.readouterr().err


def test_settings_checks_source_and_code_are_part_of_the_key(tmp_path):
    root = toy.make(tmp_path / "course")
    result = finished(tmp_path)
    found = lambda **settings: len(make(tmp_path, root, **settings).load([result.submission]))  # noqa: E731

    def noted(change):
        make(tmp_path, root).add(result)
        assert found() == 1
        change()
        return found()

    assert noted(lambda: None) == 1
    assert noted(lambda: found(secret="t")) == 0
    assert noted(lambda: found(limits={"cell": 1.0})) == 0
    folder = root / "solutions" / "sums"
    assert noted(lambda: (folder / "variants.py").write_text("")) == 1
    assert noted(lambda: (folder / "checks.py").write_text(toy.CHECKS + "\n")) == 0
    assert noted(lambda: (folder.parent / "shared.py").write_text("x = 1")) == 0
    assert noted(lambda: (folder / "sums.py").write_text((folder / "sums.py").read_text() + "\n# %%\n1\n")) == 0
    (root / "helpers").mkdir()
    (root / "helpers" / "__init__.py").write_text("")
    assert noted(lambda: (root / "helpers" / "more.py").write_text("x = 1")) == 0


def test_a_roster_that_changes_a_note_counts(tmp_path, course):
    result = finished(tmp_path)
    make(tmp_path, course).add(result)
    assert make(tmp_path, course).load([replace(result.submission, notes=("Another.",))]) == {}


def test_what_the_grader_failed_at_or_did_not_run_is_not_noted(tmp_path, course):
    result = finished(tmp_path)
    broken = replace(result.exercises[0], fault="KeyError")
    rejected = replace(result, assembled=None, status="rejected: x", exercises=nothing(handin.template().exercises, ""))
    for other in (replace(result, trouble="a traceback"), replace(result, exercises=[broken]), rejected):
        make(tmp_path, course).add(other)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_costs_the_entry_alone(tmp_path, course):
    (tmp_path / "out").write_text("no folder")
    make(tmp_path, course).add(finished(tmp_path))


def test_a_finished_journal_is_gone_and_its_remains_are_not_believed(tmp_path, course):
    result, out = finished(tmp_path), tmp_path / "out"
    entries = make(tmp_path, course)
    entries.close()
    entries.add(result)
    (out / journal.FOLDER).rename(out / ".finished")  # killed after the first of two steps
    assert make(tmp_path, course).load([result.submission]) == {} and list(out.iterdir()) == []
    entries.add(result)
    entries.close()
    assert list(out.iterdir()) == []


@pytest.mark.skipif(journal.fcntl is None, reason="files cannot be locked here")
def test_one_run_at_a_time(tmp_path, course):
    lock = tmp_path / journal.LOCK
    lock.write_text("")  # left behind by a run that was killed
    words = r"^Another run of autograde grade is writing into .*\.$"
    with alone(tmp_path), pytest.raises(MisuseError, match=words), alone(tmp_path):
        raise AssertionError
    assert not lock.exists()
    (tmp_path / "in").mkdir()
    handin.put(tmp_path / "in", "ada", notebook())
    with alone(tmp_path):
        words = [tmp_path / "in", "--out", tmp_path, "--course", course]
        result = CliRunner().invoke(grade.command, [str(w) for w in words])
    assert result.exit_code == 2 and "Another run" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.skipif(journal.fcntl is None, reason="files cannot be locked here")
def test_a_folder_that_cannot_be_written_is_misuse(tmp_path):
    (tmp_path / journal.LOCK).mkdir()
    with pytest.raises(MisuseError, match=r"cannot be written: .*\.$"), alone(tmp_path):
        raise AssertionError


@pytest.mark.skipif(journal.fcntl is None, reason="files cannot be locked here")
def test_a_lock_that_the_file_system_has_not(tmp_path, monkeypatch):
    def none(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(journal.fcntl, "flock", none)
    with alone(tmp_path):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_once(number, request):
    was = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, was))
    closed = []

    async def kernel(name):
        try:
            await asyncio.sleep(30)
        finally:
            for _ in range(3):
                os.kill(os.getpid(), number)
                await asyncio.sleep(0.02)
            closed.append(name)

    async def work():
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), number)
        async with asyncio.TaskGroup() as group:
            for name in "ab":
                group.create_task(kernel(name))

    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(Stopped) as stop, Signals() as signals:
        try:
            signals.drive(work())
        finally:
            os.kill(os.getpid(), number)  # while the rest is closed
            closed.append("all")
    assert stop.value.number == number and sorted(closed) == ["a", "all", "b"]
    with pytest.raises(Stopped), Signals():
        os.kill(os.getpid(), number)
        time.sleep(1)
    assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_signal_that_comes_with_the_result_still_stops():
    async def work():
        os.kill(os.getpid(), signal.SIGTERM)
        return 1

    with pytest.raises(Stopped), Signals() as signals:
        signals.drive(work())


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_a_signal_a_run_is_any_other():
    async def value():
        return 7

    async def cancelled():
        raise asyncio.CancelledError

    assert Signals().drive(value()) == 7
    with pytest.raises(asyncio.CancelledError):
        Signals().drive(cancelled())
