"""Stock nbgrader gives honest submissions the same scores, exercise by exercise; and what right answers are shown."""

import contextlib
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config.loader import PyFileConfigLoader

from autograde.course import Course
from autograde.release import reference_notebook, text

ROOT = Path(__file__).resolve().parents[2]
#: Blank, half right, another style; and every answer of the reference.
HONEST = [("conditioning", s) for s in ("alan", "barbara", "dorothy")] + [("momentum", "ada")]
COURSE = Course(ROOT)


def workplace(folder):
    """Make a course for stock nbgrader in a folder, and return what runs its commands there."""
    # A course around nbgrader's folders: the hidden region finds the checks upwards from where the notebook runs.
    (folder / "solutions").symlink_to(ROOT / "solutions")
    (folder / "_toc.yml").write_text("format: jb-book\n")
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

    def nbgrader(*arguments):
        command = [sys.executable, "-m", "nbgrader", *arguments]
        environment = {**os.environ, "PATH": path, "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    return nbgrader


def put_source(folder, name):
    """Put an assignment's source where stock nbgrader looks for it."""
    source = folder / "_build" / "nbgrader" / "source" / name / f"{name}.ipynb"
    source.parent.mkdir(parents=True)
    source.write_text(text(COURSE.assignment(name).source))


def scores(folder, keys):
    """Return what stock nbgrader gave, by assignment, student and exercise."""
    with Gradebook(f"sqlite:///{folder / '_build' / 'nbgrader' / 'gradebook.db'}") as book:
        return {
            (name, student, e.name): book.find_grade(e.test_id, name, name, student).auto_score
            for name, student in keys
            for e in COURSE.assignment(name).exercises
        }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_honest_submissions_get_the_same_scores(tmp_path):
    nbgrader = workplace(tmp_path)
    with (ROOT / "examples" / "expected_grades.csv").open(newline="") as file:
        ours = {(r["assignment"], r["student"], r["exercise"]): float(r["score"]) for r in csv.DictReader(file)}
    for name in sorted({a for a, _ in HONEST}):
        put_source(tmp_path, name)
        for student in (s for a, s in HONEST if a == name):
            folder = Path(student) / name
            shutil.copytree(ROOT / "examples" / "submissions" / folder, tmp_path / "examples" / "submissions" / folder)
        nbgrader("generate_assignment", name)
        nbgrader("autograde", name)
    theirs = scores(tmp_path, HONEST)
    assert theirs == pytest.approx({key: ours[key] for key in theirs}, abs=1e-4)


@pytest.fixture(scope="session")
def one_course(tmp_path_factory):
    """A course for all references of this process: nbgrader asks alembic, 2 s long, once for each new gradebook."""
    folder = tmp_path_factory.mktemp("stock")
    workplace(folder)
    return folder


@contextlib.contextmanager
def nbgrader_here(folder):
    """Stock nbgrader in this process, which imports it once, with forked kernels: they have imported PyTorch already.

    The test above has its command line and its own kernels.
    """
    before = dict(os.environ)
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        config = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()  # sets variables, too
        config.ExecutePreprocessor.skip_cells_with_tag = ""
        config.ExecutePreprocessor.kernel_name = "warm"
        yield NbGraderAPI(config=config)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("name", sorted(COURSE.assignments))
def test_the_reference_gets_full_marks_from_stock_nbgrader_and_its_reward_works(name, one_course):
    """In one run of the notebook. The payoff cells, which grading leaves out, are run, too."""
    put_source(one_course, name)
    handed_in = one_course / "examples" / "submissions" / "ada" / name / f"{name}.ipynb"
    handed_in.parent.mkdir(parents=True)
    handed_in.write_text(text(reference_notebook(COURSE.assignment(name))))
    with nbgrader_here(one_course) as nbgrader:
        for done in (nbgrader.generate_assignment(name), nbgrader.autograde(name, "ada")):
            assert done["success"], done.get("error", "")[-3000:]
    exercises = COURSE.assignment(name).exercises
    assert scores(one_course, [(name, "ada")]) == {(name, "ada", e.name): e.points for e in exercises}
    executed = one_course / "_build" / "nbgrader" / "autograded" / "ada" / name / f"{name}.ipynb"
    cells = [c for c in nbformat.read(executed, 4).cells if c.cell_type == "code"]
    assert [o.evalue for c in cells for o in c.outputs if o.output_type == "error"] == []
    rewards = [c.outputs for c in cells if "payoff" in c.metadata.get("tags", [])]
    shown = [o for outputs in rewards for o in outputs if o.output_type in ("display_data", "execute_result")]
    assert any("image/png" in o.data or "data:image/png" in o.data.get("text/html", "") for o in shown)
    printed = "".join(o.get("text", "") for outputs in rewards for o in outputs if o.output_type == "stream")
    assert "Finish exercise" not in printed
