"""Run the book's pages with images that are some millionths brighter, and say which of them no longer hold.

A processor of another make rounds differently, and training makes a difference of the last digit large. Images that are
scaled by 1 + K / 1,000,000 do the same here. What a page asserts, and every verdict that it computes, must stand then:
otherwise the book does not build on a reader's machine. Nothing is kept of these runs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
import yaml
from jupyter_cache.readers import get_reader
from run_pages import READER, ROOT, pages, run

#: Runs before a page's first cell.
SCALED = """
from ravines import data as _data

_exact = _data.fashion_mnist


def _scaled(*args, **kwargs):
    images, labels = _exact(*args, **kwargs)
    return images * (1 + {k} * 1e-6), labels


_data.fashion_mnist = _scaled
"""


def brighter(page: Path, k: int, aliases: dict[str, str]) -> nbformat.NotebookNode:
    """Return a page as a notebook whose images are scaled by 1 + k 1e-6."""
    notebook = get_reader(READER)(str(page))
    kernel = notebook.metadata["kernelspec"]
    kernel["name"] = aliases.get(kernel["name"], kernel["name"])
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SCALED.format(k=k)))
    return notebook


def main(arguments: list[str] | None = None) -> int:
    """Run the pages; return 1 when one of them does not hold."""
    parser = argparse.ArgumentParser(prog="python tools/other_rounding.py", description=__doc__)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="such as vgg (default: all that use Fashion-MNIST)")
    parser.add_argument("--tries", type=int, default=2, metavar="N", help="K = 1 to N (default: 2)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many pages at once (default: one a core)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder with _config.yml (default: this course)")
    options = parser.parse_args(arguments)
    if options.tries < 1 or options.jobs < 1:
        parser.error("--tries and --jobs should be at least 1")

    found = {p.stem: p for p in pages(options.root) if "fashion_mnist" in p.read_text(encoding="utf-8")}
    unknown = sorted(set(options.pages) - set(found))
    if unknown:
        parser.error(f"no page that uses Fashion-MNIST is called {', '.join(unknown)}; there are {', '.join(found)}")
    config = yaml.safe_load((options.root / "_config.yml").read_text(encoding="utf-8"))
    aliases, timeout = config["sphinx"]["config"].get("nb_kernel_rgx_aliases", {}), config["execute"]["timeout"]

    todo = [(k, name) for k in range(1, options.tries + 1) for name in options.pages or found]
    began, fell = time.monotonic(), 0
    with ProcessPoolExecutor(min(options.jobs, len(todo)) or 1) as pool:
        running = {}
        for k, name in todo:
            page = found[name]
            running[pool.submit(run, brighter(page, k, aliases), str(page.parent), timeout)] = k, name
        for done, future in enumerate(as_completed(running), start=1):
            k, name = running[future]
            _, seconds, error = future.result()
            fell += bool(error)
            error = re.sub(r"\x1b\[[0-9;]*m", "", error).strip()  # without IPython's colours
            said = f"does not hold:\n{error}" if error else f"holds ({seconds:.0f} s)"
            print(f"[{done}/{len(todo)}] {name}, images times {1 + k * 1e-6:.6f}: {said}", flush=True)
    print(f"{fell} of {len(todo)} do not hold; {time.monotonic() - began:.0f} s", flush=True)
    return 1 if fell else 0


if __name__ == "__main__":
    sys.exit(main())
