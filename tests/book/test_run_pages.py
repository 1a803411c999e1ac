"""Pages run side by side: their outputs are what the build finds in its cache."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# {title}

```{{code-cell}} python3
{code}
```
"""
# Each run leaves a line: what is not run again leaves none.
COUNT = "with open('{name}.runs', 'a') as file:\n    file.write('x')\nprint(6 * 7)"


@pytest.fixture
def course(tmp_path):
    """A book of two pages that run, one that fails and one without code."""
    (tmp_path / "book").mkdir()
    for name in ("one", "two", "bad"):
        code = COUNT.format(name=name) + ("\n1 / 0" if name == "bad" else "")
        (tmp_path / "book" / f"{name}.md").write_text(HEADER.format(title=name, code=code))
    (tmp_path / "book" / "index.md").write_text("# Index\n")
    chapters = "".join(f"      - file: book/{name}\n" for name in ("one", "bad", "two"))
    (tmp_path / "_toc.yml").write_text(
        f"format: jb-book\nroot: book/index\nparts:\n  - caption: Part\n    chapters:\n{chapters}"
    )
    (tmp_path / "_config.yml").write_text(
        "title: Toy\nauthor: Us\nonly_build_toc_files: true\n"
        "execute: {execute_notebooks: cache, timeout: 60, run_in_temp: false}\n"
        "sphinx: {config: {nb_kernel_rgx_aliases: {python3: warm}}}\n"
    )
    return tmp_path


def run(course, *more):
    command = [sys.executable, str(ROOT / "tools/run_pages.py"), "--root", str(course), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


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
