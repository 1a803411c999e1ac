"""A small book to try the tools for pages on."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

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

# {title}

```{{code-cell}} python3
{code}
```
"""
CONFIG = """title: Toy
author: Us
only_build_toc_files: true
execute: {execute_notebooks: cache, timeout: 60, run_in_temp: false}
sphinx: {config: {nb_kernel_rgx_aliases: {python3: warm}}}
"""


def write_book(folder: Path, pages: Mapping[str, str]) -> Path:
    """Write a book of an index without code and these pages, each with one code cell; return its folder."""
    (folder / "book").mkdir()
    for name, code in pages.items():
        (folder / "book" / f"{name}.md").write_text(PAGE.format(title=name, code=code))
    (folder / "book" / "index.md").write_text("# Index\n")
    chapters = "".join(f"      - file: book/{name}\n" for name in pages)
    (folder / "_toc.yml").write_text(
        f"format: jb-book\nroot: book/index\nparts:\n  - caption: Part\n    chapters:\n{chapters}"
    )
    (folder / "_config.yml").write_text(CONFIG)
    return folder


def run_tool(name: str, book: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run tools/NAME on a book."""
    command = [sys.executable, str(ROOT / "tools" / name), "--root", str(book), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
