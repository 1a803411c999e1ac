"""Pages under other roundings: what hangs on the last digit is told, what does not is not."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = """---
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

# {name}

```{{code-cell}} python3
from ravines.data import fashion_mnist

images, labels = fashion_mnist(train=False)
open("{name}.seen", "a").write(f"{{images.max().item():.6f}} ")
assert {claim}
```
"""
CLAIMS = {"sturdy": "0.9 < images.max() < 1.1", "fragile": "images.max() == 1"}


@pytest.fixture
def course(tmp_path):
    (tmp_path / "book").mkdir()
    for name, claim in CLAIMS.items():
        (tmp_path / "book" / f"{name}.md").write_text(PAGE.format(name=name, claim=claim))
    (tmp_path / "book" / "index.md").write_text("# Index\n")
    chapters = "".join(f"      - file: book/{name}\n" for name in CLAIMS)
    (tmp_path / "_toc.yml").write_text(
        f"format: jb-book\nroot: book/index\nparts:\n  - caption: Part\n    chapters:\n{chapters}"
    )
    (tmp_path / "_config.yml").write_text(
        "execute: {timeout: 60}\nsphinx: {config: {nb_kernel_rgx_aliases: {python3: warm}}}\n"
    )
    return tmp_path


def run(course, *more):
    command = [sys.executable, str(ROOT / "tools/other_rounding.py"), "--root", str(course), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_a_page_that_hangs_on_the_last_digit_is_told(course):
    done = run(course, "--jobs", "1")
    assert (done.returncode, done.stderr) == (1, "")
    assert "sturdy, images times 1.000001: holds" in done.stdout
    assert "sturdy, images times 1.000002: holds" in done.stdout
    for k in (1, 2):
        assert f"fragile, images times 1.00000{k}: does not hold" in done.stdout
    assert "AssertionError" in done.stdout and "images.max() == 1\n" in done.stdout
    assert "2 of 4 do not hold" in done.stdout
    assert (course / "book" / "sturdy.seen").read_text() == "1.000001 1.000002 "
    assert not (course / "_build").exists()


def test_an_unknown_page_is_told(course):
    done = run(course, "fragil")
    assert done.returncode == 2 and "is called fragil; there are sturdy, fragile" in done.stderr
