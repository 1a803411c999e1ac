"""The catalogue of hostile and broken hand-ins, graded as one class: everyone gets what is due, and nothing gets out.

The class is graded once as whoever runs the tests, and once more as an ordinary user where that is root.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import site
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from attacks import CATALOGUE, FAMILIES, Attack, assignment
from attacks.assignment import NAME, POINTS, SECRETS, VARIABLE
from attacks.base import insert, notebook, put
from nbformat.v4 import new_code_cell

from autograde.cases import Cases
from autograde.grade import Grader
from autograde.submission import Submission, printable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
#: The secret of the checks' seeds: long, so that it is nowhere by chance.
SEED = 740_182_936_550_217_483
#: Who is nobody on most machines.
ORDINARY = 65531
HONEST = ("aaron", "emmy", "grace", "zoe")
#: What attacks call the things that they leave behind.
LEFTOVER = "autograde-attack"
#: Two batches: of each name, the folder of the class, that of the results, and how many are graded at a time.
BATCHES = {"submissions": ("out", 2), "alone": ("out-alone", 4)}


@dataclass
class Machine:
    """What a run must leave as it was."""

    processes: dict[int, str]
    mounts: list[str]
    sockets: set[str]
    files: dict[str, str]


@dataclass
class Run:
    """The catalogue, graded.

    Attributes:
        root: whether the grader ran as root.
        world: the folder that holds the course, the classes, the results and the grader's home.
        results: what the reports say, by student.
        before: the machine before.
        after: the machine after.
        heard: what the listeners heard.
        said: what the grader printed on stderr.
        seconds: how long each batch took.
    """

    root: bool
    world: Path
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: Machine | None = None
    after: Machine | None = None
    heard: list[bytes] = field(default_factory=list)
    said: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    def given(self, attack: Attack) -> dict[str, str]:
        """Return all that the attacker gets to see: feedback, the executed notebook and the rows of the grades."""
        out = self.world / BATCHES[_batch(attack)][0]
        student = printable(attack.student)
        found = {"feedback": out / "feedback" / student / f"{NAME}.html"}
        executed = out / "autograded" / student / NAME / f"{NAME}.ipynb"
        if executed.exists():
            found["notebook"] = executed
        # The rows of everybody are no more than those of one.
        found["grades"] = out / "grades.csv"
        return {name: path.read_text() for name, path in found.items()}


@pytest.fixture(scope="module", params=["as we are", "an ordinary user"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """The whole catalogue, graded."""
    ordinary = request.param == "an ordinary user"
    if ordinary and os.geteuid() != 0:
        pytest.skip("the tests do not run as root, so the grader ran as an ordinary user already")
    if not sys.platform.startswith("linux") or not shutil.which("bwrap"):
        pytest.skip("the sandbox needs Linux and bubblewrap")
    if ordinary and not shutil.which("setpriv"):
        pytest.skip("becoming an ordinary user needs setpriv")
    # Not pytest's folder, which is closed to other users.
    world = Path(tempfile.mkdtemp(prefix="catalogue-")).resolve()
    result = Run(os.geteuid() == 0 and not ordinary, world)
    try:
        _grade(result, ordinary)
        yield result
    finally:
        _clear(world)


def _grade(run: Run, ordinary: bool) -> None:
    world = run.world
    world.chmod(0o755)
    with Listeners(world) as listeners, Subreaper() as reaper:
        _make_world(world, listeners.words)
        if ordinary:
            for path in [world, *world.rglob("*")]:
                os.chown(path, ORDINARY, ORDINARY, follow_symlinks=False)
        run.before = _machine(world, {})
        known, before = reaper.descendants(), _as_ordinary() if ordinary else []
        for batch, (out, jobs) in BATCHES.items():
            start = time.monotonic()
            done = subprocess.run(
                [*before, *_command(world, batch, out, jobs)],
                cwd=world / "home",
                env=_environment(world),
                capture_output=True,
                text=True,
                start_new_session=True,
                timeout=280,
            )
            run.seconds[batch] = time.monotonic() - start
            assert done.returncode in (0, 1), (done.returncode, done.stderr[-5000:])
            run.said += done.stderr
            tree = json.loads(done.stdout)
            run.results |= {f"{batch}/{s['student']}": s for s in tree["submissions"]}
        run.after = _machine(world, reaper.left(known))
        reaper.end(run.after.processes)
        run.heard = listeners.heard


def _command(world: Path, batch: str, out: str, jobs: int) -> list[str]:
    limits = {"cell-timeout": 5, "timeout": 16, "memory": 1024, "seed": SEED, "jobs": jobs}
    options = [word for name, value in limits.items() for word in (f"--{name}", str(value))]
    paths = [str(world / batch), "--out", str(world / out), "--course", str(world / "course")]
    return [sys.executable, "-m", "autograde", "grade", *paths, "--json", *options]


def _environment(world: Path) -> dict[str, str]:
    kept = {k: os.environ[k] for k in ("PATH", "LANG", "PYTHONPATH") if k in os.environ}
    home = {"HOME": str(world / "home"), "TMPDIR": str(world / "tmp")}
    return kept | home | {VARIABLE: SECRETS["environment"], "PYTHONDONTWRITEBYTECODE": "1"}


def _as_ordinary() -> list[str]:
    """Return what to put before a command that an ordinary user shall run, who may read this Python."""
    user = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", "--"]
    needed = sorted({Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT})
    closed = sorted({_closed(path) for path in needed} - {None})
    if not closed:
        return user
    # Python lies in a home that is closed to others: in a mount namespace of its own, an open folder is in its place.
    view = ["bwrap", "--dev-bind", "/", "/", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    for top in closed:
        view += ["--tmpfs", str(top), "--chmod", "0755", str(top)]
        for path in needed:
            if top in path.parents:
                for folder in reversed([p for p in path.parents if top in p.parents]):
                    view += ["--perms", "0755", "--dir", str(folder)]
                view += ["--ro-bind", str(path), str(path)]
    return [*view, *user]


def _closed(path: Path) -> Path | None:
    """Return the first folder on the way to a path that others may not enter."""
    ways = [*reversed(path.parents), path]
    return next((p for p in ways if not p.stat().st_mode & stat.S_IXOTH), None)


def _make_world(world: Path, words: dict[str, str]) -> None:
    """Write the course, the classes, the grader's home and what an earlier run left, with a secret in each."""
    assignment.make(world / "course")
    (world / "tmp").mkdir()
    home = world / "home"
    for name in (".ssh", ".config/autostart", ".ipython/profile_default/startup"):
        (home / name).mkdir(parents=True)
    (home / ".ssh" / "key").write_text(SECRETS["home"])
    for name in (".bashrc", ".profile", ".ipython/profile_default/startup/start.py"):
        (home / name).write_text("# as it was\n")
    last = world / "last"
    last.mkdir()
    (last / "gradebook.db").write_text(SECRETS["gradebook"])
    (last / "report.json").write_text(json.dumps({"secret": SECRETS["previous"]}))
    (world / "world.json").write_text(json.dumps(words))
    for batch, (out, _) in BATCHES.items():
        (world / out).mkdir()
        (world / out / "previous.txt").write_text(SECRETS["previous"])
        for student in HONEST:
            _honest(world / batch / student / NAME, student)
        for attack in CATALOGUE:
            if _batch(attack) == batch:
                folder = world / batch / attack.student / NAME
                folder.mkdir(parents=True)
                attack.build(folder)


def _honest(folder: Path, student: str) -> None:
    """Hand in right answers. Grace prints, warns and writes to stderr on the way; Emmy's notebook holds a secret."""
    loud = (
        "import sys, warnings\nprint('so far', 1)\nwarnings.warn('careful')\nprint('careful', file=sys.stderr)\n1 / 0"
    )
    own = {"emmy": f"# {SECRETS['classmate']}", "grace": loud}.get(student, "# nothing of note")
    folder.mkdir(parents=True)
    put(folder, notebook(edit=lambda filled: insert(filled, "test_double", new_code_cell(own))))


def _batch(attack: Attack) -> str:
    return "alone" if attack.alone else "submissions"


def _clear(world: Path) -> None:
    """Remove the world, and what an attack that got out left on the machine."""
    for folder, folders, _ in os.walk(world):
        for name in folders:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(world, ignore_errors=True)
    for folder in _start_up_folders():
        for path in folder.glob(f"{LEFTOVER}*"):
            path.unlink()


# What a run must leave as it was


class Subreaper:
    """While it is entered, processes whose parent ends become this process's children, so that none gets lost."""

    def __enter__(self) -> Subreaper:
        self._set(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._set(0)

    @staticmethod
    def _set(value: int) -> None:
        ctypes.CDLL(None).prctl(36, value, 0, 0, 0)

    @staticmethod
    def descendants() -> set[int]:
        """Return the processes below this one that are alive."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                words = entry.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if words[0] not in "ZX":
                parents[int(entry.parent.name)] = int(words[1])
        found = {os.getpid()}
        while True:
            more = {p for p, parent in parents.items() if parent in found} - found
            if not more:
                return found - {os.getpid()}
            found |= more

    @staticmethod
    def end(processes: Iterable[int]) -> None:
        """Kill what was left behind."""
        for process in processes:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)

    def left(self, known: set[int]) -> dict[int, str]:
        """Return the processes that have come since and do not end within two seconds, with their names."""
        for _ in range(20):
            more = self.descendants() - known
            if not more:
                break
            time.sleep(0.1)
        return {
            p: Path(f"/proc/{p}/cmdline").read_text().replace("\0", " ") for p in more if Path(f"/proc/{p}").exists()
        }


def _machine(world: Path, processes: dict[int, str]) -> Machine:
    sockets = {
        line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()[1:] if len(line.split()) > 7
    }
    mounts = sorted(Path("/proc/self/mountinfo").read_text().splitlines())
    return Machine(processes, mounts, {s for s in sockets if str(world) in s or LEFTOVER in s}, _files(world))


def _start_up_folders() -> list[Path]:
    """Return the folders from which every Python here runs what it finds."""
    folders = {*site.getsitepackages(), sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), sys.base_prefix}
    return [Path(f) for f in sorted(folders) if Path(f).is_dir()]


def _files(world: Path) -> dict[str, str]:
    """Return a hash of everything that a run has no business with."""
    found = {}
    for part in ("course", "home", "tmp", "last", "world.json", *BATCHES):
        top = world / part
        for path in [top, *sorted(top.rglob("*"))] if top.is_dir() else [top]:
            found[os.fsencode(path).decode("latin-1")] = _look(path)
    for folder in _start_up_folders():
        names = [*folder.glob("*.pth"), *folder.glob("*customize*"), *folder.glob(f"{LEFTOVER}*")]
        found |= {str(path): _look(path) for path in sorted(names) if path.is_file()}
    for name in ("values", "harness", "student"):
        path = Path(importlib.util.find_spec(f"autograde.{name}").origin)
        found[str(path)] = _look(path)
    for top in ("/dev/shm", "/tmp", "/var/tmp", Path.home(), "/home"):
        found |= {str(path): "left behind" for path in Path(top).glob(f"{LEFTOVER}*")}
    return found


def _look(path: Path) -> str:
    """Return what a file holds and how it may be used; of what is no plain file, only the latter."""
    status = path.lstat()
    look = f"{stat.filemode(status.st_mode)} {status.st_uid} {status.st_nlink}"
    if path.is_symlink():
        return f"{look} {path.readlink()}"
    if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
        return look
    return f"{look} {hashlib.sha256(path.read_bytes()).hexdigest()}"


class Listeners:
    """Servers on this machine that an attack may try to reach; they keep what they hear, and speak to nobody."""

    def __init__(self, world: Path) -> None:
        self.heard: list[bytes] = []
        path, name = str(world / "listener.sock"), f"listener-{world.name}"
        self._sockets = {
            "TCP": self._open(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "UDP": self._open(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "SOCKET": self._open(socket.AF_UNIX, socket.SOCK_STREAM, path),
            "ABSTRACT": self._open(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}"),
        }
        Path(path).chmod(0o777)
        ports = {name: str(self._sockets[name].getsockname()[1]) for name in ("TCP", "UDP")}
        self.words = {**ports, "SOCKET": path, "ABSTRACT": name}

    @staticmethod
    def _open(family: int, kind: int, address: Any) -> socket.socket:
        made = socket.socket(family, kind)
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen()
        made.settimeout(0.1)
        return made

    def __enter__(self) -> Listeners:
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._listen, args=(s,)) for s in self._sockets.values()]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _listen(self, listener: socket.socket) -> None:
        with listener:
            while not self._ended.is_set():
                try:
                    if listener.type == socket.SOCK_DGRAM:
                        self.heard.append(listener.recv(1000))
                        continue
                    caller, _ = listener.accept()
                    self.heard.append(b"a caller")
                    with caller:
                        caller.settimeout(0.5)
                        self.heard.append(caller.recv(1000))
                except TimeoutError:
                    pass
                except OSError as error:
                    self.heard.append(repr(error).encode())


# What must come out


def test_the_catalogue_is_in_order():
    assert len({a.name for a in CATALOGUE}) == len({a.student for a in CATALOGUE}) == len(CATALOGUE) > 100
    assert {a.family for a in CATALOGUE} == set(FAMILIES)
    for attack in CATALOGUE:
        assert attack.aim.endswith(".") and attack.student not in HONEST
        assert attack.score is None or 0 <= attack.score <= sum(POINTS.values())
    assert not any(
        secret in Path(p).read_text() for secret in SECRETS.values() for p in Path(__file__).parent.rglob("*.py")
    )


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda a: a.name.replace(" ", "-"))
def test_an_attack_gets_what_is_due(run: Run, attack: Attack):
    found = run.results[f"{_batch(attack)}/{printable(attack.student)}"]
    hints = [*found["notes"], *(e["hint"] for e in found["exercises"])]
    seen = found["score"], found["status"], hints
    assert re.fullmatch(attack.status, found["status"]), seen
    assert attack.score is None or found["score"] == attack.score, seen
    assert any(attack.hint in hint for hint in hints), seen
    assert found["trouble"] is None and not any(e["fault"] for e in found["exercises"]), found
    if attack.name.startswith("an unreadable"):
        # Root may read everything.
        assert (found["status"], found["score"]) == (("graded", 10) if run.root else (found["status"], 0))
        assert run.root or found["status"].startswith("rejected: unreadable")


@pytest.mark.parametrize("attack", CATALOGUE, ids=lambda a: a.name.replace(" ", "-"))
def test_an_attack_learns_nothing(run: Run, attack: Attack):
    given = run.given(attack)
    secret = {f"the secret {name}": value for name, value in SECRETS.items()}
    secret |= {"the run's secret": str(SEED), "a check's code": "cases.integer(", "a comparison": "expect.equal("}
    found = run.results[f"{_batch(attack)}/{printable(attack.student)}"]
    grader = Grader({}, {}, str(SEED))
    submission = Submission(printable(attack.student), NAME, Path())
    for exercise in found["exercises"]:
        name = exercise["exercise"]
        secret[f"the seed of {name}"] = str(grader.seed(submission, name))
        if name == "double" and exercise["score"] == 0:
            cases = Cases(grader.seed(submission, name))
            for number in range(2):
                secret[f"the expected value {number}"] = str(2 * cases.integer(10**11, 10**12))
    for place, text in given.items():
        told = [what for what, value in secret.items() if value in text]
        assert not told, f"{place} tells {told}"


def test_honest_students_have_full_marks(run: Run):
    for batch in BATCHES:
        for student in HONEST:
            found = run.results[f"{batch}/{student}"]
            assert (found["score"], found["status"]) == (10, "graded"), found
    seen = (run.world / "out" / "feedback" / "grace" / f"{NAME}.html").read_text()
    assert "so far 1" in seen and "ZeroDivisionError" in seen


def test_pages_hold_no_page_of_a_student(run: Run):
    for out, _ in BATCHES.values():
        for path in (run.world / out / "feedback").rglob("*.html"):
            page = path.read_text()
            assert "<script" not in page and "<img src=x" not in page, path.parent.name


def test_a_backdated_hand_in_says_so_and_no_more(run: Run):
    assert run.results["submissions/backdate"]["timestamp"] == "1970-01-01 00:00:00 UTC"


def test_nothing_was_heard(run: Run):
    assert run.heard == []


def test_the_machine_is_as_it_was(run: Run):
    assert run.after.processes == {}
    assert run.after.mounts == run.before.mounts
    assert run.after.sockets == run.before.sockets
    before, after = run.before.files, run.after.files
    changed = {p: (before.get(p), after.get(p)) for p in before | after if before.get(p) != after.get(p)}
    assert not changed, changed
    assert list((run.world / "tmp").iterdir()) == []


def test_the_grader_says_nothing_of_its_own(run: Run):
    assert "Traceback" not in run.said, run.said[-5000:]
