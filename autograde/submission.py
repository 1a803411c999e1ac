"""Finding submissions and reading them.

Submissions lie as nbgrader collects them: ``<student>/<assignment>/<assignment>.ipynb``. Everything read here was
written by students, so nothing is followed (links), nothing is unbounded (size), and of a notebook only four things
are taken from each cell: its type, its source, its grade_id and its tags. What cannot be read is *rejected*, with a
reason; it never stops the others.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v3.rwbase import rejoin_lines

MAX_FILE_BYTES = 10 * 2**20
#: Folders beside the students' that file managers and archives leave behind.
_NO_STUDENT = ("__MACOSX", "__pycache__", "lost+found", ".ipynb_checkpoints", ".git")
_CELL_TYPES = ("code", "markdown", "raw")


class MisuseError(Exception):
    """What was asked for cannot be done; the text is one sentence that says why and what to do."""


class RejectedError(Exception):
    """A submission that cannot be graded; the text is the reason, in a few words."""


@dataclass(frozen=True)
class Submission:
    """One student's hand-in of one assignment, whether or not it is there.

    Attributes:
        student: the student's name, always printable.
        assignment: the assignment's name.
        folder: ``SUBMISSIONS/<student>/<assignment>``.
        notes: what the search for it noted.
    """

    student: str
    assignment: str
    folder: Path
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What submissions are sorted by."""
        return self.student, self.assignment


@dataclass(frozen=True)
class HandedCell:
    """One cell as the student handed it in."""

    cell_type: str
    source: str
    grade_id: str | None = None
    cell_id: str | None = None
    tags: tuple[str, ...] = ()
    marks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Handed:
    """A notebook as the student handed it in, and what there is to note about the file."""

    cells: tuple[HandedCell, ...]
    notes: tuple[str, ...] = ()
    timestamp: str | None = None
    digest: str = ""


@dataclass(frozen=True)
class Batch:
    """The submissions to grade, sorted, and what is known of the students by name."""

    submissions: tuple[Submission, ...]
    assignments: tuple[str, ...]
    students: Mapping[str, Mapping[str, str]]


def find(folder: Path, known: Iterable[str], *, only: str | None = None, roster: Path | None = None) -> Batch:
    """Find the submissions in a folder in nbgrader's layout.

    Args:
        folder: the folder that holds one folder for each student.
        known: the names of the course's assignments.
        only: grade this assignment alone; else each one that any student handed in.
        roster: a file that lists the students (see :func:`read_roster`); those without a folder are missing.

    Raises:
        MisuseError: when the folder does not exist, is no folder, is empty or holds no submission.
    """
    known = sorted(known)
    if not folder.exists():
        raise MisuseError(f"There is no folder {folder}: give the one that holds <student>/<assignment>/.")
    if not folder.is_dir():
        raise MisuseError(f"{folder} is a file: give the folder that holds <student>/<assignment>/.")
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise MisuseError(f"The folder {folder} cannot be read: {error.strerror}.") from None
    if not entries:
        raise MisuseError(f"The folder {folder} is empty: put <student>/<assignment>/<assignment>.ipynb in it.")
    people = [p for p in entries if p.is_dir() and p.name not in _NO_STUDENT]
    # A folder of a tool's, unless there is a hand-in in it.
    people = [p for p in people if not p.name.startswith(".") or any(_handed(p, a) for a in known)]
    listed = read_roster(roster) if roster else {}
    paths = {printable(p.name): p for p in people} | {name: folder / name for name in listed if "/" not in name}

    wanted = [only] if only else [a for a in known if any(_handed(path, a) for path in paths.values())]
    if people and all(p.name in known for p in people):
        raise MisuseError(
            f"{folder} looks like one student's folder: give the folder above it, "
            "which holds <student>/<assignment>/<assignment>.ipynb."
        )
    if not any(_handed(path, a) for path in paths.values() for a in wanted):
        names = only or ", ".join(known) or "none"
        raise MisuseError(
            f"The folder {folder} holds no submission: none of its folders has "
            f"<assignment>/<assignment>.ipynb for an assignment of this course ({names})."
        )
    submissions = []
    for student, path in paths.items():
        notes = ("This student is not on the roster.",) if listed and student not in listed else ()
        submissions += [Submission(student, a, path / a, notes) for a in wanted]
    students = {name: listed.get(name, {}) for name in sorted(paths)}
    return Batch(tuple(sorted(submissions, key=lambda s: s.key)), tuple(wanted), students)


def read_roster(path: Path) -> dict[str, dict[str, str]]:
    """Read the students' names: nbgrader's CSV (columns id, first_name, last_name, email), or one name a line.

    Raises:
        MisuseError: when the file cannot be read or lists nobody.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(f"The roster {path} cannot be read: {error}.") from None
    rows = list(csv.reader(text.splitlines()))
    if rows and "id" in [c.strip() for c in rows[0]]:
        header = [c.strip() for c in rows[0]]
        records = [dict(zip(header, (c.strip() for c in row), strict=False)) for row in rows[1:] if any(row)]
    else:
        records = [{"id": row[0].strip()} for row in rows if row and not row[0].startswith("#")]
    kept = ("first_name", "last_name", "email")
    students = {r["id"]: {k: r[k] for k in kept if r.get(k)} for r in records if r.get("id")}
    if not students:
        raise MisuseError(f"The roster {path} lists no student.")
    return students


def read(submission: Submission, limit: int = MAX_FILE_BYTES) -> Handed | None:
    """Read a submission's notebook, of at most ``limit`` bytes; None when nothing was handed in.

    Raises:
        RejectedError: when there is something, but no notebook that can be graded.
    """
    for folder in (submission.folder.parent, submission.folder):
        if folder.is_symlink():
            raise RejectedError(f"the folder {printable(folder.name)} is a symbolic link")
    path, notes = _candidate(submission)
    if path is None:
        return None
    data = _bytes(path, limit)
    cells, more = _cells(data)
    timestamp = _timestamp(submission.folder)
    return Handed(cells, (*notes, *more), timestamp, hashlib.sha256(data).hexdigest())


def printable(text: str) -> str:
    """Return ``text`` with what cannot be written as UTF-8, and control characters, as escapes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _handed(student: Path, assignment: str) -> bool:
    """Whether a student's folder holds anything for an assignment."""
    return os.path.lexists(student / assignment) or os.path.lexists(student / f"{assignment}.ipynb")


def _candidate(submission: Submission) -> tuple[Path | None, list[str]]:
    """Return the one file to read, and what to note about the choice."""
    folder, name = submission.folder, f"{submission.assignment}.ipynb"
    if not os.path.lexists(folder):
        if os.path.lexists(folder.parent / name):
            raise RejectedError(f"{name} is not in the folder {submission.assignment}")
        return None, []
    if not folder.is_dir():
        raise RejectedError(f"{submission.assignment} is a file, not a folder")
    try:
        entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    except OSError as error:
        raise RejectedError(f"unreadable ({error.strerror})") from None
    notebooks = [e for e in entries if e.suffix.lower() == ".ipynb"]
    exact = [e for e in notebooks if e.name == name]
    if exact:
        others = ", ".join(printable(e.name) for e in notebooks if e.name != name)
        return exact[0], [f"Other notebooks in the folder were not looked at: {others}."] if others else []
    if len(notebooks) > 1:
        raise RejectedError(f"{len(notebooks)} notebooks, and none is called {name}")
    if notebooks:
        return notebooks[0], [f"The file is called {printable(notebooks[0].name)}; it should be {name}."]
    rest = [e for e in entries if e.name != "timestamp.txt"]
    if rest:
        shown = ", ".join(printable(e.name) + ("/" if e.is_dir() else "") for e in rest[:3])
        raise RejectedError(f"no notebook, only {shown}{' and more' if len(rest) > 3 else ''}")
    return None, []


def _bytes(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """Read a plain file of bounded size, following no link and waiting for no pipe."""
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise RejectedError("a symbolic link")
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise RejectedError(f"unreadable ({error.strerror})") from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise RejectedError("a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise RejectedError("not a plain file")
        if status.st_size > limit:
            raise RejectedError(f"larger than {limit >> 20} MiB")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise RejectedError(f"unreadable ({error.strerror})") from None
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise RejectedError(f"larger than {limit >> 20} MiB")
    return data


def _cells(data: bytes) -> tuple[tuple[HandedCell, ...], list[str]]:
    """Take the cells out of a notebook's bytes."""
    if not data.strip():
        raise RejectedError("an empty file")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise RejectedError("not JSON (not UTF-8 text)") from None
    except RecursionError:
        raise RejectedError("not JSON (nested too deep)") from None
    except ValueError as error:
        if b"\n<<<<<<< " in data and b"\n>>>>>>> " in data:
            raise RejectedError("not JSON (git's merge markers are in it)") from None
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise RejectedError(f"not JSON{line}") from None
    if not isinstance(notebook, dict) or type(notebook.get("nbformat")) is not int:
        raise RejectedError("not a notebook")
    notes = []
    if notebook["nbformat"] == 3:
        try:
            notebook = nbformat.convert(rejoin_lines(nbformat.from_dict(notebook)), 4)
        except Exception:  # the converter raises whatever the file makes it raise
            raise RejectedError("not a notebook (a broken one of format 3)") from None
        notes.append("The notebook is of the old format 3; it was converted.")
    elif notebook["nbformat"] != 4:
        raise RejectedError(f"not a notebook of format 4, but {notebook['nbformat']}")
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise RejectedError("not a notebook (it has no list of cells)")
    taken = [_cell(c) for c in cells]
    strange = sum(1 for c in taken if c is None)
    if strange:
        notes.append(
            f"{strange} {'thing that is no cell was' if strange == 1 else 'things that are no cells were'} left out."
        )
    return tuple(c for c in taken if c is not None), notes


def _cell(cell: Any) -> HandedCell | None:
    """Take what is needed from one cell; None when it is none."""
    if not isinstance(cell, dict) or cell.get("cell_type") not in _CELL_TYPES:
        return None
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    # A lone surrogate is legal JSON, but can be sent to no kernel and written to no file.
    source = source.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\0", "\ufffd")
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    marks = metadata.get("nbgrader")
    marks = marks if isinstance(marks, dict) else {}
    grade_id, cell_id, tags = marks.get("grade_id"), cell.get("id"), metadata.get("tags")
    return HandedCell(
        cell["cell_type"],
        source,
        printable(grade_id)[:100] if isinstance(grade_id, str) and grade_id else None,
        cell_id if isinstance(cell_id, str) else None,
        tuple(t for t in tags if isinstance(t, str)) if isinstance(tags, list) else (),
        marks,
    )


def _timestamp(folder: Path) -> str | None:
    """Return what nbgrader's timestamp.txt says, if there is one."""
    path = folder / "timestamp.txt"
    if not os.path.lexists(path):
        return None
    try:
        return printable(_bytes(path, 1000).decode("utf-8", "replace").strip()) or None
    except RejectedError:
        return None
