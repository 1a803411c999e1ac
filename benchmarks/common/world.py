"""The world of a hostile class, for containers to copy: a course, its gradebook, the submissions, secrets around them.

Attackers are given all that they could find out, paths included. So the world lies at the same path on the machine and
in the container, where it is a copy.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

import autograde
from autograde.course import Course
from autograde.release import text
from common.catalogue import NAME, SECRETS, VARIABLE, Attack, assignment, insert, notebook, put
from common.hostile import nbgrader

#: How many classes there may be in one container.
LANES = 4
#: Where listeners in the container listen; it has a network of its own.
_PORT = 20011
CONFIG = """
from pathlib import Path

c = get_config()
root = Path(__file__).resolve().parent
c.CourseDirectory.root = str(root)
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "release"
c.CourseDirectory.submitted_directory = "submissions"
c.CourseDirectory.autograded_directory = "out/autograded"
c.CourseDirectory.feedback_directory = "out/feedback"
c.CourseDirectory.db_url = f"sqlite:///{root}/out/gradebook.db"
"""


ENV = {VARIABLE: SECRETS["environment"]}


@dataclass
class Template:
    """What containers copy.

    Attributes:
        root: the folder; in the container too.
        modes: files and folders of students that are readable here and must not be there, with their modes.
    """

    root: Path
    modes: dict[str, int] = field(default_factory=dict)

    def order(self) -> dict[str, Any]:
        """Return what is the same in each order to a container."""
        return {"root": str(self.root), "modes": self.modes, "secrets": SECRETS, "env": ENV}


def make(root: Path, attacks: Iterable[Attack]) -> Template:
    """Write the template into an empty folder, all attacks handed in; the only code that runs here is honest."""
    root.chmod(0o755)
    first, made = root / "lane-0", Template(root)
    _first(first)
    for number in range(LANES):
        world = root / f"lane-{number}"
        if number:
            shutil.copytree(first, world, symlinks=True)
    for number in range(LANES):
        world, port = root / f"lane-{number}", str(_PORT + number)
        words = {"TCP": port, "UDP": port, "SOCKET": str(world / "listener.sock"), "ABSTRACT": f"listener-{number}"}
        (world / "world.json").write_text(json.dumps(words))
        for attack in attacks:
            folder = world / "submissions" / attack.student / NAME
            folder.mkdir(parents=True)
            attack.build(folder)
        _open(world, made.modes)
    return made


def _open(world: Path, modes: dict[str, int]) -> None:
    """Let everybody read all of it, and note what was closed; a device becomes a pipe, as for those who make none."""
    handed_in = world / "submissions"
    for folder, folders, files in os.walk(world):
        for name in (*folders, *files):
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISCHR(mode):
                path.unlink()
                os.mkfifo(path)
            elif not stat.S_ISLNK(mode) and not mode & stat.S_IROTH:
                if handed_in in path.parents:
                    modes[str(path.relative_to(handed_in))] = stat.S_IMODE(mode)
                path.chmod(stat.S_IMODE(mode) | (0o755 if path.is_dir() else 0o644))


def _first(world: Path) -> None:
    """Write the course, its gradebook, what is secret around them, and two honest submissions, graded."""
    assignment.make(world / "course")
    (world / "solutions").symlink_to("course/solutions")
    shutil.copy(world / "course" / "_toc.yml", world)
    (world / "nbgrader_config.py").write_text(CONFIG)
    home = world / "home"
    for name in (".ssh", ".config/autostart", ".ipython/profile_default/startup"):
        (home / name).mkdir(parents=True)
    (home / ".ssh" / "key").write_text(SECRETS["home"])
    for name in (".bashrc", ".profile", ".ipython/profile_default/startup/start.py"):
        (home / name).write_text("# as it was\n")
    for name in ("tmp", "last", "out", "release", f"source/{NAME}"):
        (world / name).mkdir(parents=True)
    (world / "last" / "gradebook.db").write_text(SECRETS["gradebook"])
    (world / "last" / "report.json").write_text(json.dumps({"secret": SECRETS["previous"]}))
    (world / "out" / "previous.txt").write_text(SECRETS["previous"])
    (world / "out" / "grades.csv").write_text("student,score\nemmy,10\n")
    _source(world)
    for student, words in (("emmy", f"# {SECRETS['classmate']}"), ("zoe", "# nothing of note")):
        place = world / "submissions" / student / NAME
        place.mkdir(parents=True)
        put(
            place,
            notebook(edit=lambda filled, words=words: insert(filled, "test_double", nbformat.v4.new_code_cell(words))),
        )
    _environment_of(world)
    for action, *options in (("generate_assignment",), ("autograde",), ("generate_feedback",)):
        code, said, _ = nbgrader(world, action, NAME, *options, seconds=300, env=ENV)
        if code:
            raise RuntimeError(f"nbgrader {action} ended with {code}:\n{said[-2000:]}")


def _source(world: Path) -> None:
    source = Course(world / "course").assignment(NAME).source
    (world / "source" / NAME / f"{NAME}.ipynb").write_text(text(source), encoding="utf-8")


def _environment_of(world: Path) -> None:
    """Make the Python environment of whoever grades, who may write to it: links to this one, and our package."""
    here, there = Path(sys.prefix), world / "venv"
    inner = Path("lib") / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (there / inner).mkdir(parents=True)
    shutil.copy(here / "pyvenv.cfg", there)
    for name in ("bin", "share", "etc", "include"):
        if (here / name).exists():
            (there / name).symlink_to(here / name)
    (there / "bin").unlink()
    (there / "bin").mkdir()
    for path in (here / "bin").iterdir():
        target = Path(sys._base_executable).resolve() if path.name.startswith("python") else path
        (there / "bin" / path.name).symlink_to(target)
    for path in (here / inner).iterdir():
        if not path.name.startswith("__editable__"):
            (there / inner / path.name).symlink_to(path)
    shutil.copytree(Path(autograde.__file__).parent, there / inner / "autograde")
