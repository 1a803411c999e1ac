"""Finding and reading submissions: every malformed file is rejected with its reason, and none stops the others."""

import json
import os

import handin
import pytest

from autograde import submission
from autograde.submission import MisuseError, RejectedError, Submission, find, printable, read, read_roster

KNOWN = ["products", "sums"]
GOOD = '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}'


def keys(batch):
    return [s.key for s in batch.submissions]


def test_nothing_to_grade_is_one_clear_sentence(tmp_path):
    for make, words in [
        (lambda p: None, "There is no folder"),
        (lambda p: p.write_text("x"), "is a file"),
        (lambda p: p.mkdir(), "is empty"),
        (lambda p: (p / "ada").mkdir(parents=True), "holds no submission"),
    ]:
        folder = tmp_path / words.replace(" ", "-")
        make(folder)
        with pytest.raises(MisuseError, match=words) as error:
            find(folder, KNOWN)
        assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_junk_is_no_submission(tmp_path):
    (tmp_path / "ada" / "holiday").mkdir(parents=True)
    (tmp_path / "ada" / "holiday" / "beach.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(MisuseError, match="holds no submission"):
        find(tmp_path, KNOWN)


def test_one_students_folder_is_recognised(tmp_path):
    handin.put(tmp_path, "ada", GOOD)
    with pytest.raises(MisuseError, match="one student's folder: give the folder above"):
        find(tmp_path / "ada", KNOWN)


def test_everybody_gets_every_assignment_that_anybody_handed_in(tmp_path):
    handin.put(tmp_path, "ada", GOOD)
    (tmp_path / "blaise").mkdir()
    for no_student in (".git", "__MACOSX"):
        (tmp_path / no_student).mkdir()
    assert keys(find(tmp_path, KNOWN)) == [("ada", "sums"), ("blaise", "sums")]
    with pytest.raises(MisuseError, match="products"):
        find(tmp_path, KNOWN, only="products")


def test_the_roster_adds_who_handed_in_nothing(tmp_path):
    handin.put(tmp_path / "in", "ada", GOOD)
    handin.put(tmp_path / "in", "guest", GOOD)
    roster = tmp_path / "class.csv"
    roster.write_text("id,first_name,last_name,email\nada,Ada,Lovelace,\ncarl,Carl,Gauss,c@example.org\n")
    batch = find(tmp_path / "in", KNOWN, roster=roster)
    assert keys(batch) == [("ada", "sums"), ("carl", "sums"), ("guest", "sums")]
    assert batch.students["carl"] == {"first_name": "Carl", "last_name": "Gauss", "email": "c@example.org"}
    assert batch.students["ada"] == {"first_name": "Ada", "last_name": "Lovelace"}
    assert "not on the roster" in batch.submissions[2].notes[0] and not batch.submissions[0].notes
    roster.write_text("# the class\nada\ncarl\n")
    assert list(read_roster(roster)) == ["ada", "carl"]
    roster.write_text("id\n")
    with pytest.raises(MisuseError, match="lists no student"):
        read_roster(roster)
    with pytest.raises(MisuseError, match="cannot be read"):
        read_roster(tmp_path / "none.csv")


def test_names_are_printable(tmp_path):
    for name in ("café".encode(), b"bad\xff", b"two\nlines", b'a "b" c'):
        (tmp_path / os.fsdecode(name) / "sums").mkdir(parents=True)
    students = [s.student for s in find(tmp_path, KNOWN).submissions]
    assert students == sorted(["café", "bad\\udcff", "two\\nlines", 'a "b" c'])
    assert printable("\x1b[31m") == "\\x1b[31m"


DEEP = '{"nbformat": 4, "cells": ' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b" \n", "an empty file"),
        (b"{broken", "not JSON, line 1"),
        (GOOD.replace("{}", "{},").encode() + b"\0", "not JSON, line 1"),
        (b"PK\x03\x04zip", "not JSON"),
        ("{}\n<<<<<<< HEAD\n=======\n>>>>>>> laptop\n", r"not JSON \(git's merge markers"),
        ('{"name": "Élan"}'.encode("latin-1"), "not JSON .not UTF-8"),
        (DEEP, "not JSON .nested too deep"),
        (b"[]", "not a notebook"),
        (b"{}", "not a notebook"),
        (b'"text"', "not a notebook"),
        (b'{"nbformat": 4}', "not a notebook"),
        (b'{"nbformat": 4, "cells": {}}', "not a notebook"),
        (b'{"nbformat": 5, "cells": []}', "not a notebook of format 4, but 5"),
        (b'{"nbformat": true, "cells": []}', "not a notebook"),
        (b'{"nbformat": 3, "worksheets": [1]}', "not a notebook"),
        (b"x" * (submission.MAX_FILE_BYTES + 1), "larger than 10 MiB"),
    ],
)
def test_what_is_no_notebook_is_rejected(tmp_path, content, reason):
    handed = handin.put(tmp_path, "ada", content)
    with pytest.raises(RejectedError, match=f"^{reason}"):
        read(handed)


def test_strange_bytes_that_are_a_notebook_are_read(tmp_path):
    cells = [
        {"cell_type": "code", "source": ["a = 1\r\n", "b = 2"], "metadata": {"nbgrader": {"grade_id": "double"}}},
        {"cell_type": "code", "source": "\ud800 and \0", "metadata": []},
        {"cell_type": "heading", "source": "no such type"},
        {"cell_type": "code", "source": 7},
        "no cell",
    ]
    content = json.dumps({"nbformat": 4, "cells": cells})
    handed = handin.handed(tmp_path, b"\xef\xbb\xbf" + content.encode())
    assert [c.source for c in handed.cells] == ["a = 1\nb = 2", "? and \ufffd"]
    assert handed.cells[0].grade_id == "double" and handed.cells[1].grade_id is None
    assert handed.notes == ("3 things that are no cells were left out.",)


def test_the_old_format_is_converted(tmp_path):
    cell = {
        "cell_type": "code",
        "input": "a = 1",
        "language": "python",
        "outputs": [],
        "metadata": {},
        "collapsed": False,
    }
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": [cell]}]}
    handed = handin.handed(tmp_path, json.dumps(old))
    assert handed.cells[0].source == "a = 1" and "old format 3" in handed.notes[0]


def test_what_lies_in_the_folder_instead(tmp_path):
    def reason(student):
        with pytest.raises(RejectedError) as error:
            read(Submission(student, "sums", tmp_path / student / "sums"))
        return str(error.value)

    handin.put(tmp_path, "zip", b"PK", "sums.zip")
    assert reason("zip") == "no notebook, only sums.zip"
    handin.put(tmp_path, "two", GOOD, "a.ipynb")
    handin.put(tmp_path, "two", GOOD, "b.ipynb")
    assert reason("two") == "2 notebooks, and none is called sums.ipynb"
    (tmp_path / "dir" / "sums" / "sums.ipynb").mkdir(parents=True)
    assert reason("dir") == "a folder, not a file"
    handin.put(tmp_path, "nested/sums", GOOD)
    assert reason("nested") == "no notebook, only sums/"
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "sums.ipynb").write_text(GOOD)
    assert reason("flat") == "sums.ipynb is not in the folder sums"
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "sums").write_text(GOOD)
    assert reason("file") == "sums is a file, not a folder"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_no_link_is_followed_and_no_pipe_is_waited_for(tmp_path):
    secret = handin.put(tmp_path, "ada", GOOD).folder
    for student, what in (("notebook", "file"), ("folder", "assignment"), ("person", "student"), ("pipe", "pipe")):
        handed = Submission(student, "sums", tmp_path / student / "sums")
        if what == "student":
            (tmp_path / student).symlink_to(tmp_path / "ada")
        else:
            (tmp_path / student).mkdir()
        if what == "assignment":
            handed.folder.symlink_to(secret)
        elif what in ("file", "pipe"):
            handed.folder.mkdir()
            path = handed.folder / "sums.ipynb"
            path.symlink_to(secret / "sums.ipynb") if what == "file" else os.mkfifo(path)
        with pytest.raises(RejectedError, match="not a plain file" if what == "pipe" else "symbolic link"):
            read(handed)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root can read everything")
def test_unreadable_is_rejected(tmp_path):
    handed = handin.put(tmp_path, "ada", GOOD)
    (handed.folder / "sums.ipynb").chmod(0)
    with pytest.raises(RejectedError, match="unreadable"):
        read(handed)


def test_the_name_and_the_time(tmp_path):
    handed = handin.put(tmp_path, "ada", GOOD, "sums (1).ipynb")
    (handed.folder / "timestamp.txt").write_text("2030-01-02 03:04:05 UTC\n")
    found = read(handed)
    assert "sums (1).ipynb; it should be sums.ipynb" in found.notes[0]
    assert found.timestamp == "2030-01-02 03:04:05 UTC" and len(found.digest) == 64
    handin.put(tmp_path, "ada", GOOD)
    found = read(handed)
    assert found.notes == ("Other notebooks in the folder were not looked at: sums (1).ipynb.",)


def test_nothing_handed_in_is_no_rejection(tmp_path):
    assert read(Submission("ada", "sums", tmp_path / "ada" / "sums")) is None
    (tmp_path / "ada" / "sums").mkdir(parents=True)
    (tmp_path / "ada" / "sums" / ".DS_Store").write_bytes(b"x")
    assert read(Submission("ada", "sums", tmp_path / "ada" / "sums")) is None
