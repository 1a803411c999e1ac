"""Pages run side by side: their outputs are what the build finds in its cache."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.book.toy_book import run_tool, write_book

# Each run leaves a line: what is not run again leaves none.
COUNT = "with open('{name}.runs', 'a') as file:\n    file.write('x')\nprint(6 * 7)"


@pytest.fixture
def course(tmp_path):
    """A book of two pages that run, one that fails and one without code."""
    pages = {name: COUNT.format(name=name) for name in ("one", "bad", "two")}
    return write_book(tmp_path, pages | {"bad": pages["bad"] + "\n1 / 0"})


def run(course, *more):
    return run_tool("run_pages.py", course, *more)


def runs(course, name):
    file = course / "book" / f"{name}.runs"
    return len(file.read_text()) if file.exists() else 0


@pytest.mark.slow
def test_the_build_finds_what_was_run_and_runs_what_failed(course):
    done = run(course, "--jobs", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "[3/3]" in done.stdout and "bad: failed" in done.stdout and "3 pages in" in done.stdout
    assert [runs(course, name) for name in ("one", "two", "bad")] == [1, 1, 1]

    build = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(course)]
    built = subprocess.run(build, capture_output=True, text=True, timeout=240, check=False)
    assert [runs(course, name) for name in ("one", "two", "bad")] == [1, 1, 2], built.stderr[-2000:]
    assert ">42\n" in (course / "_build/html/book/one.html").read_text()

    # Only what has changed, and what failed, is run again.
    two = course / "book" / "two.md"
    two.write_text(two.read_text().replace("6 * 7", "6 * 8"))
    # A page that gets no kernel costs no other page.
    bad = course / "book" / "bad.md"
    bad.write_text(bad.read_text().replace("name: python3", "name: no_such_kernel"))
    done = run(course)
    assert (done.returncode, done.stderr) == (0, "")
    assert [runs(course, name) for name in ("one", "two", "bad")] == [1, 2, 2]
    assert "one:" not in done.stdout and "bad: failed: NoSuchKernel" in done.stdout
    assert "[1/1] bad: failed" in run(course).stdout


def test_no_jobs_is_said(course):
    done = run(course, "--jobs", "0")
    assert done.returncode == 2 and "--jobs should be at least 1, but it is 0" in done.stderr
