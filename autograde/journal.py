"""What a run of ``autograde grade`` has finished, so that a run that was stopped can be continued.

While a run goes on, the folder ``OUT/.unfinished`` has one file for each submission that is graded. It is written after
that submission's feedback and notebook, so that where it is, they are. However a run is stopped, the next one into the
same folder takes over what it would find again: the same file, graded by the same checks, secret, settings and code.
A run that comes to its end removes the folder, so the one after it grades everything anew.

Here is also what stopping needs besides: one run at a time in a folder, and signals that end a run in good order.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import nbformat

from autograde import console, report
from autograde.assemble import Assembled, Part, Template
from autograde.cases import CaseResult, ExerciseResult
from autograde.course import Assignment, Course
from autograde.outcome import SubmissionResult
from autograde.submission import MAX_FILE_BYTES, MisuseError, Submission, read

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

Value = TypeVar("Value")
#: Entries of any other format are not read. Raise it when their form or their meaning changes.
FORMAT = 1
FOLDER, LOCK = ".unfinished", ".lock"
#: What a journal is called from the moment on from which it is not to be believed.
_DISCARDED = ".finished"
#: Ctrl-C, what a system sends to end a process, and the end of the terminal.
_SIGNALS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))


class Journal:
    """The finished submissions of one run.

    Args:
        out: the folder that the run writes into.
        course: the course.
        templates: the assignments that are graded, by name.
        settings: whatever else decides a result (secret, limits, versions); values that JSON can hold.
        largest: bytes that a notebook may have.
    """

    def __init__(
        self,
        out: Path,
        course: Course,
        templates: Mapping[str, Template],
        settings: Mapping[str, Any],
        largest: int = MAX_FILE_BYTES,
    ) -> None:
        self._folder, self._discarded = out / FOLDER, out / _DISCARDED
        self._templates, self._largest = templates, largest
        common = [FORMAT, settings, _code(course.root)]
        self._keys = {name: _key(common, course.assignment(name)) for name in templates}

    def load(self, submissions: Sequence[Submission]) -> dict[tuple[str, str], SubmissionResult]:
        """Return the results to take over, by the submission's key, and remove the entries that do not fit this run."""
        shutil.rmtree(self._discarded, ignore_errors=True)
        taken, stale = {}, 0
        for submission in submissions:
            path = self._path(submission)
            if not path.is_file():
                continue
            try:
                taken[submission.key] = self._rebuild(json.loads(path.read_bytes()), submission)
            except Exception:  # whatever is wrong with an entry: to grade its submission again is always right
                stale += 1
                path.unlink(missing_ok=True)
        if taken:
            were = "was" if len(taken) == 1 else "were"
            many = console.plural(len(submissions), "submission")
            console.note(f"Continuing: {len(taken)} of {many} {were} finished by the run that was stopped.")
        elif stale:
            console.note("The run that was stopped had other settings, checks or files: all is graded again.")
        return taken

    def add(self, result: SubmissionResult) -> None:
        """Note that a submission is finished. Call this when its own files are written.

        What no kernel has run costs nothing to find again, and where the grader was at fault it should try again.
        """
        if result.assembled is None or result.faults:
            return
        submission = result.submission
        entry = {
            "format": FORMAT,
            "key": self._keys[submission.assignment],
            "submission": submission.key,
            "status": result.status,
            "exercises": [asdict(e) for e in result.exercises],
            "notes": result.notes,
            "notebook": result.assembled.notebook,
            "dropped": result.dropped,
            "timestamp": result.timestamp,
            "digest": result.digest,
            "seconds": result.seconds,
        }
        # Without its entry a submission is graded again after a stop; nothing else is lost.
        with contextlib.suppress(OSError, TypeError, ValueError):
            report.write(self._path(submission), json.dumps(entry))

    def close(self) -> None:
        """Remove the journal of a run that has written all its files."""
        shutil.rmtree(self._discarded, ignore_errors=True)
        # Renamed first: a kill in the middle leaves the whole journal, or none that is believed.
        with contextlib.suppress(FileNotFoundError):
            self._folder.rename(self._discarded)
        shutil.rmtree(self._discarded, ignore_errors=True)

    def _path(self, submission: Submission) -> Path:
        # Names are the students'; a hash of them is a file name everywhere.
        name = hashlib.sha256("\0".join(submission.key).encode()).hexdigest()[:32]
        return self._folder / f"{name}.json"

    def _rebuild(self, entry: dict[str, Any], submission: Submission) -> SubmissionResult:
        """Return the result that an entry holds.

        Raises:
            ValueError: when it is not what grading the submission now would give.
        """
        template = self._templates[submission.assignment]
        handed = read(submission, self._largest)
        if handed is None:
            raise ValueError("nothing is handed in any more")
        # Only the run is spared: what is in the notebook and what there is to note is found anew.
        assembled = template.assemble(handed)
        notes = list(dict.fromkeys([*submission.notes, *handed.notes, *assembled.notes]))
        notebook = nbformat.from_dict(entry["notebook"])
        exercises = [
            ExerciseResult(**{**e, "cases": [CaseResult(**c) for c in e["cases"]]}) for e in entry["exercises"]
        ]
        expected = [
            (entry["format"], FORMAT),
            (entry["key"], self._keys[submission.assignment]),
            (tuple(entry["submission"]), submission.key),
            (entry["digest"], handed.digest),
            (entry["timestamp"], handed.timestamp),
            # After these come the notes of the run itself.
            (entry["notes"][: len(notes)], notes),
            ([(e.exercise, e.max_score) for e in exercises], [(e.name, e.points) for e in template.exercises]),
            ([(c.id, c.source) for c in notebook.cells], [(p.cell.id, p.cell.source) for p in assembled.parts]),
        ]
        if any(seen != wanted for seen, wanted in expected):
            raise ValueError("the entry is of another run or another file")
        parts = [Part(cell, p.role, p.name) for cell, p in zip(notebook.cells, assembled.parts, strict=True)]
        return SubmissionResult(
            submission,
            entry["status"],
            exercises,
            entry["notes"],
            Assembled(notebook, parts, assembled.notes),
            entry["dropped"],
            entry["timestamp"],
            entry["digest"],
            entry["seconds"],
        )


def _key(common: Sequence[Any], assignment: Assignment) -> str:
    """Return what two runs have in common when they would give the same result for the same file."""
    # What several checks share stands beside the assignments.
    files = [assignment.folder / "checks.py", *sorted(assignment.folder.parent.glob("*.py"))]
    checks = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    words = [*common, nbformat.writes(assignment.source), checks]
    return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()


def _code(root: Path) -> str:
    """Return a hash of the grader's code and of the course's packages, which checks and answers import."""
    digest = hashlib.sha256()
    packages = {Path(__file__).resolve().parent, *(p.resolve().parent for p in root.glob("*/__init__.py"))}
    for package in sorted(packages):
        for path in sorted(package.rglob("*")):
            if path.suffix in (".py", ".j2") and path.is_file():
                name = path.relative_to(package.parent).as_posix()
                digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep any other run out of ``out`` while the body runs. The system ends the lock when the process ends, however.

    Raises:
        MisuseError: when another run is at work there, or nothing can be written there.
    """
    path = out / LOCK
    descriptor = _locked(path) if fcntl else None
    try:
        yield
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)  # while it is held: see below
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Return a file that this process has locked, or None where files cannot be locked."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise MisuseError(f"--out {path.parent} cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise MisuseError(
                f"Another run of autograde grade is writing into {path.parent}: "
                "wait until it has ended, or give another --out."
            ) from None
        except OSError:  # some network file systems
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        # The run before may have removed the file between the two calls above; then the lock is of no file.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


class Stopped(KeyboardInterrupt):
    """A signal asked the run to stop.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """While this is entered, each signal that ends a run stops it in good order, as Ctrl-C does: by :class:`Stopped`.

    Only the first one counts. What runs after it cleans up, and another would interrupt that.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._cancel: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        """Take over the signals, but those that are ignored (as ``nohup`` does)."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (None, signal.SIG_IGN):
                    self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def drive(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run a coroutine to its end, as ``asyncio.run`` does; the first signal cancels it.

        Raises:
            Stopped: when a signal came, after the coroutine has ended.
        """

        async def main() -> Value:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            # Through the loop, which may be asleep.
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            try:
                return await work
            finally:
                self._cancel = None

        try:
            value = asyncio.run(main())
        except asyncio.CancelledError:
            if self._number is None:
                raise
        finally:
            work.close()  # where the signal came before its first step
        if self._number is not None:  # also when it came too late to cancel anything
            raise Stopped(self._number)
        return value

    def _stop(self, number: int, _frame: object) -> None:
        if self._number is not None:
            return
        self._number = number
        if self._cancel is None:
            raise Stopped(number)
        self._cancel()
