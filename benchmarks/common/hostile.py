"""Inside the container: a class of hostile submissions, graded by stock nbgrader, and what that did.

Each lane is a class of its own in a world of its own, where also Emmy and Zoe, who are honest, have handed in and been
graded. Zoe is graded once more after what may have done harm. All is copied from the template of :mod:`common.world`.
This imports nothing but the standard library, since it starts in each container anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEMPLATE, WRITABLE, NAME = Path("/template"), Path("/tmp"), "target"
#: Seconds for an honest neighbour that is graded after an attack.
NEIGHBOUR = 45
#: What attacks call the things that they leave behind.
LEFTOVER = "autograde-attack"
#: Text that only the hidden checks hold, and how a gradebook begins.
CODE = ("cases.integer(", "expect.equal(", "SQLite format 3")
_SCORES = """
select s.student_id, g.auto_score, g.manual_score from grade g
join submitted_notebook n on g.notebook_id = n.id join submitted_assignment s on n.assignment_id = s.id
"""
_MOST = 60 * 2**20

Given = dict[str, Any]


def nbgrader(world: Path, *arguments: str, seconds: float, env: Mapping[str, str]) -> tuple[int, str, bool]:
    """Run nbgrader; return its exit code, what it said, and whether it had to be stopped."""
    venv = world / "venv" / "bin"
    path = f"{venv}{os.pathsep}{os.defpath}"  # nbgrader runs `alembic` by name
    env = {**env, "PATH": path, "HOME": str(world / "home"), "TMPDIR": str(world / "tmp")}
    env |= {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    log = world.parent / f"{world.name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(venv / "python"), "-m", "nbgrader", *arguments],
            cwd=world,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        hung = False
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            hung = True
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with log.open("rb") as file:
        said = file.read(_MOST).decode(errors="replace")
    return process.returncode, said, hung


class Lane:
    """One class in one world.

    Args:
        number: which lane it is.
        students: whose submissions are graded, beside those of the honest.
        order: what the container was asked for.
    """

    def __init__(self, number: int, students: Sequence[str], order: Given) -> None:
        self.students, self.secrets, self.env = students, order["secrets"], order["env"]
        source = TEMPLATE / f"lane-{number}"
        self.world = Path(order["root"]) / source.name
        self.world.mkdir(parents=True)
        _copy([p for p in source.iterdir() if p.name != "submissions"], self.world)
        self.handed_in = self.world / "submissions"
        self.handed_in.mkdir()
        _copy([source / "submissions" / s for s in ("emmy", "zoe", *students)], self.handed_in)
        for path, mode in order["modes"].items():
            if path.split("/")[0] in students:
                (self.handed_in / path).chmod(mode)
        self.listeners = Listeners(json.loads((self.world / "world.json").read_text()))
        self.before = self._files()
        self.told: Given = {}

    def work(self, seconds: float, cell: int) -> None:
        """Grade the class, or a student alone, and note what can be seen."""
        start = time.monotonic()
        who = [f"--student={self.students[0]}"] if len(self.students) == 1 else []
        options = [*who, f"--ExecutePreprocessor.timeout={cell}"]
        code, said, hung = nbgrader(self.world, "autograde", NAME, *options, seconds=seconds, env=self.env)
        took = time.monotonic() - start
        finished = "errors on the above failures" in said or "No notebooks were matched" in said
        scores = self._scores()
        after = self._files()
        self.told = {
            "code": code,
            "hung": took if hung else 0,
            "ended": not hung and code != 0 and not (code == 1 and finished),
            "seconds": took,
            "log": said[-1500:],
            "changed": sorted(p for p in self.before | after if self.before.get(p) != after.get(p)),
            "litter": self._litter(),
            "heard": [words.decode("latin-1") for words in self.listeners.heard],
            "students": {s: self._student(s, scores, said) for s in self.students},
            "zoe": scores.get("zoe"),
        }

    def neighbour(self) -> None:
        """Grade Zoe after the attack, if anything is not as it should be."""
        told = self.told
        if len(self.students) == 1 and (told["ended"] or told["changed"]):
            nbgrader(self.world, "autograde", NAME, "--force", "--student=zoe", seconds=NEIGHBOUR, env=self.env)
            graded = (self.world / "out" / "autograded" / "zoe" / NAME / f"{NAME}.ipynb").exists()
            told["zoe"] = (self._scores().get("zoe") or 0.0) if graded else 0.0

    def _student(self, student: str, scores: Mapping[str, float | None], said: str) -> Given:
        executed = self.world / "out" / "autograded" / student / NAME / f"{NAME}.ipynb"
        text, score = "", None
        with contextlib.suppress(OSError), executed.open("rb") as file:
            text, score = file.read(_MOST).decode(errors="replace"), scores.get(student)
        outputs = ""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            outputs = json.dumps([cell.get("outputs") for cell in json.loads(text)["cells"]])
        place = self.handed_in / student / NAME
        failed = f"There was an error processing assignment: {place}\n" in said
        return {
            "score": score,
            "graded": bool(text),
            "traceback": failed and "Traceback" in said,
            "leaks": [n for n, value in self.secrets.items() if value in text] + [c for c in CODE if c in outputs],
        }

    def _scores(self) -> dict[str, float | None]:
        """Return the sum of each student's scores in the gradebook; None where there is none."""
        parts: dict[str, list[float | None]] = {}
        with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
            book = sqlite3.connect(f"file:{self.world}/out/gradebook.db?mode=ro", uri=True)
            book.text_factory = lambda raw: raw.decode(errors="surrogateescape")
            with contextlib.closing(book):
                for student, auto, manual in book.execute(_SCORES):
                    parts.setdefault(student, []).append(auto if manual is None else manual)
        return {s: sum(p or 0.0 for p in ps) if any(p is not None for p in ps) else None for s, ps in parts.items()}

    def _files(self) -> dict[str, str]:
        """Return a hash of all that is the business of others."""
        world = self.world
        site = next((world / "venv" / "lib").glob("*/site-packages"))
        home = [world / "home" / n for n in (".bashrc", ".profile", ".ipython/profile_default/startup/start.py")]
        paths = [*home, world / "out" / "previous.txt", world / "out" / "grades.csv"]
        for top in ("course", "last", "home/.ssh", "home/.config", "out/feedback/emmy", "out/autograded/emmy"):
            paths += (world / top).rglob("*")
        for student in ("emmy", "zoe"):
            paths += (self.handed_in / student).rglob("*")
        paths += [*site.glob("*.pth"), *site.glob("*customize*"), *(site / "autograde").glob("*.py")]
        found = {}
        for path in paths:
            with contextlib.suppress(OSError):
                if path.is_file():
                    found[str(path.relative_to(world))] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found | {"emmy's grade": str(self._scores().get("emmy"))}

    def _litter(self) -> list[str]:
        """Return the attack's files outside of the folders that nbgrader made for its students."""
        tops = [self.world / n for n in ("course", "home", "submissions", "tmp", "last", "out")]
        own = self.world / "out" / "autograded"
        found = []
        for top in tops:
            for folder, folders, files in os.walk(top):
                if Path(folder) == own:
                    folders.clear()
                found += [f"{folder}/{n}" for n in files if n.startswith(LEFTOVER)]
        for top in (WRITABLE, Path("/dev/shm"), Path("/run")):
            found += [str(p) for p in top.glob(f"{LEFTOVER}*")]
        return found[:20]


def _copy(paths: Sequence[Path], into: Path) -> None:
    """Copy links as links, and what is linked to each other so too."""
    done = subprocess.run(["cp", "-a", "--", *paths, into], stderr=subprocess.PIPE, check=False)
    # Only root may make the owner what it was.
    if done.returncode and not all(b"ownership" in line for line in done.stderr.splitlines()):
        raise OSError(done.stderr.decode(errors="replace"))


class Listeners:
    """Servers in the container that an attack may try to reach; they keep what they hear.

    Args:
        words: their addresses, as attackers are told them.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self.heard: list[bytes] = []
        made = {
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(words["TCP"]))),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", int(words["UDP"]))),
            (socket.AF_UNIX, socket.SOCK_STREAM, words["SOCKET"]),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{words['ABSTRACT']}"),
        }
        for family, kind, address in made:
            listener = socket.socket(family, kind)
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            threading.Thread(target=self._listen, args=(listener, kind), daemon=True).start()

    def _listen(self, listener: socket.socket, kind: int) -> None:
        while True:
            with contextlib.suppress(OSError):
                if kind == socket.SOCK_DGRAM:
                    self.heard.append(listener.recv(1000))
                    continue
                caller, _ = listener.accept()
                with caller:
                    caller.settimeout(0.5)
                    self.heard.append(caller.recv(1000))


def _others() -> list[str]:
    """Return the command lines of the processes that are neither the container's own nor gone within a second."""
    for _ in range(10):
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                if int(path.name) not in (1, os.getpid()) and state not in "ZX":
                    found.append((path / "cmdline").read_text(errors="replace").replace("\0", " ")[:200])
        if not found:
            break
        time.sleep(0.1)
    return found


def _clear() -> None:
    """Kill what stayed, so that what comes next has the container to itself."""
    for path in Path("/proc").glob("[0-9]*"):
        if int(path.name) not in (1, os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(int(path.name), signal.SIGKILL)


def main() -> None:
    """Grade what stdin asks for, and print what was seen."""
    order = json.load(sys.stdin)
    lanes = [Lane(number, students, order) for number, students in enumerate(order["lanes"])]
    empty = os.statvfs(WRITABLE)
    threads = [threading.Thread(target=lane.work, args=(order["seconds"], order["cell"])) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left, full = _others(), os.statvfs(WRITABLE)
    shared = os.statvfs("/dev/shm")
    seen = {
        "left": left[:300],
        "disk": (empty.f_bfree - full.f_bfree) * full.f_frsize + (shared.f_blocks - shared.f_bfree) * shared.f_frsize,
        "files": empty.f_ffree - full.f_ffree,
    }
    _clear()
    for lane in lanes:
        lane.neighbour()

    json.dump({**seen, "lanes": [lane.told for lane in lanes]}, sys.stdout)


if __name__ == "__main__":
    main()
