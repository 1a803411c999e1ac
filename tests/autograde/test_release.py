"""Releasing: the same cells as stock nbgrader, the same bytes each time, and nothing given away."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import toy
from traitlets.config import Config

from autograde.course import Course, CourseError
from autograde.release import reference_notebook, release, student_notebook, text

REPOSITORY = Path(__file__).resolve().parents[2]
ASSIGNMENTS = sorted(Course(REPOSITORY).assignments)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(toy.make(tmp_path))


def states(course: Course, *names: str, check: bool = False) -> list[tuple[str, str]]:
    return [(o.path, o.state) for o in release(Course(course.root), names, check=check)]


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_release_is_current_until_something_changes(course: Course) -> None:
    path = "notebooks/sums/sums.ipynb"
    before = files(course.root)
    assert states(course, check=True) == [(path, "missing")]
    assert files(course.root) == before, "--check writes nothing"
    assert states(course) == [(path, "written")]
    assert states(course) == states(course, check=True) == [(path, "current")]
    released = course.root / path
    first = released.read_bytes()

    released.write_bytes(first.replace(b"raise NotImplementedError()", b"return 2 * x"))
    assert states(course, check=True) == [(path, "stale")]
    assert states(course) == [(path, "written")]
    assert released.read_bytes() == first

    source = course.root / "solutions" / "sums" / "sums.py"
    source.write_text(source.read_text().replace("# ## Half", "# ## One half"))
    assert states(course, "sums", check=True) == [(path, "stale")]


def test_extra_notebooks_are_named_with_the_command_that_removes_them(course: Course) -> None:
    release(course)
    for extra in ("old/old.ipynb", "sums/copy.ipynb", "sums/.ipynb_checkpoints/sums-checkpoint.ipynb"):
        (course.notebooks / extra).parent.mkdir(parents=True, exist_ok=True)
        (course.notebooks / extra).write_text("{}")
    outcomes = [o for o in release(course, check=True) if not o.good]
    assert [(o.path, o.state) for o in outcomes] == [
        ("notebooks/old/old.ipynb", "extra"),
        ("notebooks/sums/copy.ipynb", "extra"),
    ]
    assert outcomes[0].mend == "git rm -f notebooks/old/old.ipynb"
    assert all(o.good for o in release(course, ["sums"], check=True)), "a NAME asks about that one alone"
    assert (course.notebooks / "old" / "old.ipynb").is_file(), "nothing of the user's is removed"


def test_an_unchanged_file_keeps_its_time(course: Course) -> None:
    release(course)
    written = [course.notebooks / "sums/sums.ipynb", course.root / "_build/nbgrader/source/sums/sums.ipynb"]
    times = [p.stat().st_mtime_ns for p in written]
    release(Course(course.root))
    assert [p.stat().st_mtime_ns for p in written] == times


def test_what_a_student_gets(course: Course) -> None:
    notebook = student_notebook(course.assignment("sums"))
    nbformat.validate(notebook)
    cells = {c.metadata.get("nbgrader", {}).get("grade_id"): c for c in notebook.cells}
    assert cells["double"].source == (
        'def double(x):\n    """Return twice x."""\n    # YOUR CODE HERE\n    raise NotImplementedError()'
    )
    assert cells["test_double"].source == 'assert double(3) == 6, "Twice 3 is 6."'
    assert cells["test_double"].metadata.editable is False and cells["test_double"].metadata.deletable is False
    assert cells["test_double"].metadata.nbgrader.checksum
    written = text(notebook)
    assert written.endswith("}\n") and "stock" not in written and "2 * x" not in written
    assert written == text(student_notebook(Course(course.root).assignment("sums")))


def test_the_reference_keeps_its_solutions_but_no_hidden_test(course: Course) -> None:
    notebook = reference_notebook(course.assignment("sums"))
    assert "2 * x" in text(notebook) and "stock" not in text(notebook)
    assert "stock" in text(course.assignment("sums").source), "the source itself is left alone"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION",
            "    return 2 * x",
            "'double' has no ### BEGIN",
        ),
        ("    return 2 * x\n    ### END SOLUTION", "    return 2 * x", "do not pair up"),
        ("### END HIDDEN TESTS", "", "do not pair up"),
        ('"sums", "half"', '"sums", "double"', 'call autograde.stock.score."sums", "half"'),
        ('"sums", "half"', '"sum", "half"', 'call autograde.stock.score."sums", "half"'),
        (
            'autograde.stock.score("sums", "half", globals())',
            "pass",
            'should call autograde.stock.score."sums", "half"',
        ),
        ("# # Sums", "# # Sums\n# ### BEGIN SOLUTION\n# x\n# ### END SOLUTION", "non-solution cell"),
        (
            "import fractions",
            "import fractions  # no END SOLUTION here",
            "do not pair up",
        ),
        ("import fractions", "import fractions\nimport autograde.stock", "would still hold 'autograde.stock'"),
        ('"grade_id": "half"', '"grade_id": "a half"', "cannot be released|should be called"),
    ],
)
def test_a_source_that_would_give_a_wrong_notebook_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in toy.SOURCE
    course = Course(toy.make(tmp_path, source=toy.SOURCE.replace(old, new)))
    with pytest.raises(CourseError, match=words) as caught:
        release(course)
    assert str(course.root) in str(caught.value) and "\n" not in str(caught.value)
    assert not course.notebooks.exists(), "nothing is written"


def test_an_empty_course_and_an_unknown_name_are_misuse(course: Course) -> None:
    with pytest.raises(CourseError, match="no assignment 'products'"):
        release(course, ["products"])
    shutil.rmtree(course.root / "solutions" / "sums")
    with pytest.raises(CourseError, match="has no assignment"):
        release(Course(course.root))


def test_stock_nbgrader_releases_the_same_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbgrader.apps import NbGraderAPI

    root = toy.make(tmp_path / "course")
    for name in ASSIGNMENTS:
        shutil.copytree(REPOSITORY / "solutions" / name, root / "solutions" / name)
    course = Course(root)
    release(course)
    monkeypatch.chdir(root)
    # nbgrader starts alembic by name.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.source_directory = "_build/nbgrader/source"
    config.CourseDirectory.release_directory = "stock"
    config.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
    api = NbGraderAPI(config=config)
    assert "sums" in course.assignments and len(course.assignments) == len(ASSIGNMENTS) + 1
    for name in course.assignments:
        result = api.generate_assignment(name)
        assert result["success"], result.get("log")
        theirs = nbformat.read(root / "stock" / name / f"{name}.ipynb", as_version=4)
        ours = nbformat.read(course.notebooks / name / f"{name}.ipynb", as_version=4)
        assert [dict(c) for c in theirs.cells] == [dict(c) for c in ours.cells]
        assert theirs.metadata == ours.metadata


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_the_committed_notebooks_hold_nothing_secret(name: str) -> None:
    course = Course(REPOSITORY)
    released = course.notebooks / name / f"{name}.ipynb"
    assert [o.state for o in release(course, [name], check=True)] == ["current"], f"autograde release {name}"
    notebook = nbformat.read(released, as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs") and not cell.get("execution_count")
        assert "SOLUTION" not in cell.source and "HIDDEN" not in cell.source and "autograde" not in cell.source
