"""Hand-ins that are broken, misplaced or strangely named, mostly by accident. Each gets one status and one reason."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import nbformat

from attacks.assignment import NAME, WRONG
from attacks.base import Family, cell, insert, notebook, put
from autograde.release import text

attack = Family("malformed")
FILE = f"{NAME}.ipynb"

# What is no notebook


@attack.folder("an empty file", "Hands in a file without a byte.", 0, status="rejected: an empty file")
def _(folder: Path) -> None:
    put(folder, b"")


@attack.folder("a file of spaces", "Hands in white space.", 0, status="rejected: an empty file")
def _(folder: Path) -> None:
    put(folder, b" \n" * 1000)


@attack.folder("no JSON", "Hands in plain Python under a notebook's name.", 0, status=r"rejected: not JSON, line 1")
def _(folder: Path) -> None:
    put(folder, "def double(x):\n    return 2 * x\n")


@attack.folder("half a file", "Hands in a notebook whose upload broke off.", 0, status=r"rejected: not JSON, line \d+")
def _(folder: Path) -> None:
    whole = text(notebook())
    put(folder, whole[: len(whole) // 2])


@attack.folder(
    "merge markers",
    "Hands in a notebook with git's marks of a conflict in its JSON.",
    0,
    status=r"rejected: not JSON \(git's merge markers are in it\)",
)
def _(folder: Path) -> None:
    lines = text(notebook()).split("\n")
    mine = ["<<<<<<< HEAD", lines[5], "=======", lines[5], ">>>>>>> laptop"]
    put(folder, "\n".join([*lines[:5], *mine, *lines[6:]]))


@attack.notebook(
    "merge markers in an answer", "Leaves git's marks in an answer cell: that exercise pays, the others do not.", 8
)
def _(filled: nbformat.NotebookNode) -> None:
    answer = cell(filled, "double")
    answer.source = f"<<<<<<< HEAD\n{answer.source}=======\n{WRONG['double']}>>>>>>> laptop"


@attack.folder(
    "deep JSON",
    "Hands in lists nested a hundred thousand deep.",
    0,
    status=r"rejected: not JSON \(nested too deep\)",
)
def _(folder: Path) -> None:
    put(folder, '{"nbformat": 4, "cells": ' + "[" * 100_000 + "]" * 100_000 + "}")


@attack.folder("deep metadata", "Nests the metadata of a good notebook as deep as JSON can be read.", 10)
def _(folder: Path) -> None:
    filled = json.loads(text(notebook()))
    filled["metadata"]["deep"] = "DEEP"
    put(folder, json.dumps(filled).replace('"DEEP"', "[" * 200 + "]" * 200))


@attack.folder("a list", "Hands in JSON that is no notebook.", 0, status="rejected: not a notebook")
def _(folder: Path) -> None:
    put(folder, "[1, 2, 3]")


@attack.folder("a number too long", "Claims a format whose number takes long to read.", 0, status="rejected: not .*")
def _(folder: Path) -> None:
    put(folder, '{"nbformat": ' + "9" * 1_000_000 + ', "cells": []}')


@attack.folder("no cells", "Hands in a notebook without a cell.", 0, status=f"rejected: no answer cell .* {NAME}")
def _(folder: Path) -> None:
    put(folder, nbformat.v4.new_notebook())


@attack.folder(
    "cells that are none",
    "Hands in a notebook whose cells are numbers, and whose sources are objects.",
    0,
    status=f"rejected: no answer cell of the assignment {NAME}",
    hint="things that are no cells were left out",
)
def _(folder: Path) -> None:
    put(folder, json.dumps({"nbformat": 4, "cells": [1, None, "x", {"cell_type": "code", "source": {"a": 1}}]}))


@attack.folder("a zip under its name", "Hands in a zip file.", 0, status=f"rejected: no notebook, only {NAME}.zip")
def _(folder: Path) -> None:
    put(folder, _zip(), f"{NAME}.zip")


@attack.folder("a zip for a notebook", "Hands in a zip file under a notebook's name.", 0, status="rejected: not JSON.*")
def _(folder: Path) -> None:
    put(folder, _zip())


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(FILE, text(notebook()))
    return packed.getvalue()


@attack.folder("a hundred megabytes", "Hands in a file of 100 MB, all a hole.", 0, status="rejected: larger than .*")
def _(folder: Path) -> None:
    with (folder / FILE).open("wb") as file:
        file.truncate(100_000_000)


# As another tool wrote it


@attack.folder("format 3", "Hands in a right notebook in the format of 2013.", 10, hint="of the old format 3")
def _(folder: Path) -> None:
    put(folder, nbformat.writes(nbformat.convert(notebook(), 3), version=3))


@attack.folder(
    "format 5", "Claims a format that does not exist yet.", 0, status="rejected: not a notebook of format 4, but 5"
)
def _(folder: Path) -> None:
    put(folder, json.dumps({**notebook(), "nbformat": 5}))


@attack.folder(
    "unknown cell types", "Adds cells of types that no tool knows to a right notebook.", 10, hint="were left out"
)
def _(folder: Path) -> None:
    filled = json.loads(text(notebook()))
    filled["cells"][1:1] = [{"cell_type": t, "source": "x", "metadata": {}} for t in ("heading", "hologram", 7)]
    put(folder, json.dumps(filled))


def _commented() -> str:
    """Return a right notebook with an answer that holds a letter which is not ASCII."""
    filled = notebook()
    cell(filled, "double").source = "# Élan\n" + cell(filled, "double").source
    return text(filled)


@attack.folder(
    "Latin-1",
    "Hands in a notebook in the character set of an old editor.",
    0,
    status=r"rejected: not JSON \(not UTF-8 text\)",
)
def _(folder: Path) -> None:
    put(folder, _commented().encode("latin-1"))


@attack.folder(
    "UTF-16", "Hands in a notebook in two bytes a letter.", 0, status=r"rejected: not JSON \(not UTF-8 text\)"
)
def _(folder: Path) -> None:
    put(folder, _commented().encode("utf-16"))


@attack.folder("a byte order mark", "Hands in a right notebook with a mark before its first byte.", 10)
def _(folder: Path) -> None:
    put(folder, b"\xef\xbb\xbf" + _commented().encode())


@attack.folder("lines of another system", "Hands in a right notebook whose lines, also of code, end in CR LF.", 10)
def _(folder: Path) -> None:
    filled = notebook()
    for found in filled.cells:
        found.source = found.source.replace("\n", "\r\n")
    put(folder, text(filled).replace("\n", "\r\n"))


@attack.folder("NUL bytes", "Ends in NUL bytes, as after a crash of the disk.", 0, status="rejected: not JSON.*")
def _(folder: Path) -> None:
    put(folder, text(notebook()).encode() + bytes(512))


@attack.folder("a NUL in the code", "Has a NUL and a lone surrogate in the comments of a right answer.", 10)
def _(folder: Path) -> None:
    filled = notebook()
    cell(filled, "double").source += "\n# \0 NUL"
    put(folder, text(filled).replace("NUL", "\\ud800"))


@attack.notebook("control characters", "Has the codes of a terminal in its code and prints them.", 10)
def _(filled: nbformat.NotebookNode) -> None:
    insert(filled, "test_double", nbformat.v4.new_code_cell("print('\\x1b]0;title\\x07\\x1b[2J\\x00\\x08\\u202e')"))


@attack.notebook("one cell of megabytes", "Has a cell of three million characters.", 10)
def _(filled: nbformat.NotebookNode) -> None:
    insert(filled, "test_double", nbformat.v4.new_code_cell("x = '" + "y" * 3_000_000 + "'"))


@attack.notebook("thousands of cells", "Has three thousand empty cells between two exercises.", 10)
def _(filled: nbformat.NotebookNode) -> None:
    insert(filled, "test_double", *(nbformat.v4.new_code_cell("") for _ in range(3000)))


@attack.notebook("a page with a script", "Has text and output that would run in the instructor's browser.", 10)
def _(filled: nbformat.NotebookNode) -> None:
    script = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    page = f"from IPython.display import HTML, Javascript, display\nprint({script!r})\ndisplay(HTML({script!r}))"
    insert(filled, "test_double", nbformat.v4.new_markdown_cell(script), nbformat.v4.new_code_cell(page))


# In another place, under another name


@attack.folder("renamed", "Hands in a right notebook under a name of its own.", 10, hint=f"it should be {NAME}.ipynb.")
def _(folder: Path) -> None:
    put(folder, notebook(), "final version (2).ipynb")


@attack.folder(
    "two notebooks",
    "Hands in two notebooks, neither of which has the assignment's name.",
    0,
    status=f"rejected: 2 notebooks, and none is called {NAME}.ipynb",
)
def _(folder: Path) -> None:
    put(folder, notebook(), "first.ipynb")
    put(folder, notebook(), "second.ipynb")


@attack.folder("a copy beside it", "Has a wrong copy beside the right notebook.", 10, hint="were not looked at")
def _(folder: Path) -> None:
    put(folder, notebook())
    put(folder, notebook(WRONG), f"{NAME}-Copy1.ipynb")


@attack.folder(
    "another assignment",
    "Hands in the notebook of another assignment.",
    0,
    status=f"rejected: no answer cell of the assignment {NAME}",
)
def _(folder: Path) -> None:
    filled = notebook()
    for found in filled.cells:
        if "nbgrader" in found.metadata:
            found.metadata.nbgrader.grade_id += "_of_last_week"
    put(folder, filled)


@attack.folder("a folder too deep", "Hands in a folder in a folder.", 0, status=f"rejected: no notebook, only {NAME}/")
def _(folder: Path) -> None:
    (folder / NAME).mkdir()
    put(folder / NAME, notebook())


@attack.folder(
    "a folder too few",
    "Hands in the notebook without the assignment's folder.",
    0,
    status=f"rejected: {NAME}.ipynb is not in the folder {NAME}",
)
def _(folder: Path) -> None:
    folder.rmdir()
    put(folder.parent, notebook())


@attack.folder(
    "a file for a folder",
    "Hands in the notebook under the name of its folder.",
    0,
    status=f"rejected: {NAME} is a file, not a folder",
)
def _(folder: Path) -> None:
    folder.rmdir()
    put(folder.parent, notebook(), NAME)


@attack.folder(
    "a folder for a file", "Hands in a folder named like the notebook.", 0, status="rejected: a folder, not a file"
)
def _(folder: Path) -> None:
    (folder / FILE).mkdir()
    put(folder / FILE, notebook())


@attack.folder("an empty folder", "Hands in a folder with nothing in it.", 0, status="missing")
def _(folder: Path) -> None:
    pass


@attack.folder("only what a system leaves", "Hands in hidden files and nothing else.", 0, status="missing")
def _(folder: Path) -> None:
    put(folder, b"\0", ".DS_Store")
    (folder / ".ipynb_checkpoints").mkdir()
    put(folder / ".ipynb_checkpoints", notebook(), f"{NAME}-checkpoint.ipynb")


# Who may read everything, as root may, reads these two as well and finds right answers.
@attack.folder(
    "an unreadable file",
    "Hands in a notebook that only its owner may read.",
    None,
    status=r"rejected: unreadable \(Permission denied\)|graded",
)
def _(folder: Path) -> None:
    put(folder, notebook()).chmod(0)


@attack.folder(
    "an unreadable folder",
    "Hands in a folder that only its owner may open.",
    None,
    status=r"rejected: unreadable \(Permission denied\)|graded",
)
def _(folder: Path) -> None:
    put(folder, notebook())
    folder.chmod(0)


# Names of students: each hands in right answers

for name, student in {
    "spaces in a name": " ada  lovelace ",
    "quotes in a name": """o'hara "the" `great`""",
    "lines in a name": "two\nlines\r\tand more",
    "letters of the world": "Åsa Öberg-Нуль-数学-🙂",
    "letters in two ways": "re\u0301ne\u0301e",
    "bytes in a name": "bad-\udcff\udcfe",
    "a formula for a name": "=HYPERLINK(1)+cmd|' !A0",
    "an option for a name": "--help",
    "a tag for a name": "<img src=x onerror=alert(1)>",
    "a template for a name": "{{ 7 * 7 }}{% raw %}${HOME}$(id);%s%n",
    "dots for a name": "emmy..",
    "a backslash in a name": "emmy\\..\\grace",
    "right to left": "\u202eymme",
    "a long name": "n" * 255,
}.items():

    @attack.folder(name, "Has a name that breaks what is careless with names.", 10, student=student)
    def _(folder: Path) -> None:
        put(folder, notebook())
