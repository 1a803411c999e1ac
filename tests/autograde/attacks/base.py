"""What an attack is, and how a module of them is written: the hostile cell first, what must come out beside it.

    attack = Family("score")
    attack.cells(
        "patch round", "Makes round return full marks.", 8, double=\"\"\"
        import builtins
        builtins.round = lambda *_: 2.0
        def double(x):
            return x
        \"\"\"
    )

An answer that is not given is the right one, so the points that must come out are those of the honest answers.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import nbformat
from nbformat import NotebookNode

from attacks.assignment import NAME, RIGHT, VARIABLE, template
from autograde.release import text

Build = Callable[[Path], None]
Edit = Callable[[NotebookNode], None]
FAMILIES = ("score", "spying", "stalling", "escaping", "malformed")


@dataclass(frozen=True)
class Attack:
    """One hostile or broken hand-in, and what must come out.

    Attributes:
        name: a few words, unique.
        family: one of ``FAMILIES``.
        aim: one sentence for an instructor: what this hand-in tries.
        build: writes the hand-in into ``SUBMISSIONS/<student>/<assignment>/``, which exists and is empty.
        score: the points that must come out; None where they are not said.
        status: a regular expression that the whole status must match.
        hint: what some exercise's hint, or a note, must hold.
        alone: takes seconds or disturbs its neighbours, so it is graded in a batch of such ones.
        student: the folder's name.
    """

    name: str
    family: str
    aim: str
    build: Build
    score: float | None
    status: str = "graded"
    hint: str = ""
    alone: bool = False
    student: str = ""


class Family(list[Attack]):
    """The attacks of one family, in the order in which they are written down.

    Args:
        name: one of ``FAMILIES``.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def folder(self, name: str, aim: str, score: float | None, **expected: Any) -> Callable[[Build], Build]:
        """Add the attack whose hand-in the decorated function writes."""

        def add(build: Build) -> Build:
            student = expected.pop("student", "") or re.sub(r"\W+", "-", name.lower()).strip("-")
            self.append(Attack(name, self.name, aim, build, score, student=student, **expected))
            return build

        return add

    def notebook(
        self, name: str, aim: str, score: float | None, answers: Mapping[str, str] | None = None, **expected: Any
    ) -> Callable[[Edit], Edit]:
        """Add the attack whose notebook, with these answers, the decorated function edits."""

        def add(edit: Edit) -> Edit:
            self.folder(name, aim, score, **expected)(lambda folder: put(folder, notebook(answers or {}, edit, folder)))
            return edit

        return add

    def cells(
        self,
        name: str,
        aim: str,
        score: float | None,
        *,
        below: Mapping[str, str] | None = None,
        double: str | None = None,
        scale: str | None = None,
        noise: str | None = None,
        **expected: Any,
    ) -> None:
        """Add the attack whose notebook holds these answers, and cells of its own below those with a grade_id."""
        given = {"double": double, "scale": scale, "noise": noise}
        answers = {k: v for k, v in given.items() if v is not None}

        def build(folder: Path) -> None:
            def edit(filled: NotebookNode) -> None:
                for grade_id, source in (below or {}).items():
                    insert(filled, grade_id, nbformat.v4.new_code_cell(fill(source, folder)))

            put(folder, notebook(answers, edit, folder))

        self.folder(name, aim, score, **expected)(build)


def fill(source: str, folder: Path) -> str:
    """Return a cell's source with its ``$WORDS`` filled in: attackers are given all they could find out.

    ``$WORLD`` is the folder above the submissions. A file ``world.json`` there may name more, such as ports.
    """
    world = folder.parents[2]
    listed = world / "world.json"
    words = {"WORLD": str(world), "CLASS": str(folder.parents[1]), "VARIABLE": VARIABLE}
    words |= {"TCP": "9", "UDP": "9", "ABSTRACT": "nobody", "SOCKET": "nobody"}
    if listed.is_file():
        words |= json.loads(listed.read_text())
    source = dedent(source).strip()
    for word, value in words.items():
        source = source.replace(f"${word}", value)
    return source


def notebook(
    answers: Mapping[str, str] | None = None, edit: Edit | None = None, folder: Path | None = None
) -> NotebookNode:
    """Return the released notebook with the right answers, but for those given, edited."""
    filled = copy.deepcopy(template().notebook)
    for name, source in {**RIGHT, **(answers or {})}.items():
        cell(filled, name).source = fill(source, folder) if folder else dedent(source).strip()
    if edit:
        edit(filled)
    return filled


def cell(filled: NotebookNode, grade_id: str) -> NotebookNode:
    """Return the cell with this grade_id."""
    return next(c for c in filled.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def insert(filled: NotebookNode, grade_id: str, *cells: NotebookNode) -> None:
    """Put cells below the one with this grade_id."""
    at = filled.cells.index(cell(filled, grade_id)) + 1
    filled.cells[at:at] = cells


def put(folder: Path, content: NotebookNode | str | bytes, name: str = f"{NAME}.ipynb") -> Path:
    """Write ``folder/name``, and return its path."""
    if isinstance(content, NotebookNode):
        content = text(content)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
