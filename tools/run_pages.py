"""Run the book's pages side by side and keep their outputs, so that the build finds them in its cache.

Jupyter Book runs pages one after another; each uses one core. This runs several at once, in the same kernel, and writes
to the same cache. A page whose outputs are there already is left alone. A page that fails is left to the build, which
runs it again and shows the error.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution

ROOT = Path(__file__).resolve().parents[1]
READER = {"name": "myst_nb_md", "type": "plugin"}


def pages(root: Path) -> list[Path]:
    """Return the pages of the contents that have code cells, in their order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]
    found = [root / f"{file}.md" for file in files]
    return [path for path in found if path.is_file() and "```{code-cell}" in path.read_text(encoding="utf-8")]


def run(notebook: nbformat.NotebookNode, folder: str, timeout: int) -> tuple[nbformat.NotebookNode, float, str]:
    """Run a notebook; return it with its outputs, the seconds it took, and its error (empty: none)."""
    try:
        result = single_nb_execution(notebook, cwd=folder, timeout=timeout, allow_errors=False)
    except Exception as error:  # no kernel, or one that died: no reason to lose the other pages
        return notebook, 0.0, f"{type(error).__name__}: {error}"
    return result.nb, result.time, "" if result.err is None else str(result.err)


def main(arguments: list[str] | None = None) -> int:
    """Run what the cache lacks; return 0, also when a page failed."""
    parser = argparse.ArgumentParser(prog="python tools/run_pages.py", description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many pages at once (default: one a core)")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder with _config.yml (default: this course)")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs should be at least 1, but it is {options.jobs}")

    config = yaml.safe_load((options.root / "_config.yml").read_text(encoding="utf-8"))
    aliases = config["sphinx"]["config"].get("nb_kernel_rgx_aliases", {})
    cache = get_cache(str(options.root / "_build" / ".jupyter_cache"))
    todo = []
    for page in pages(options.root):
        record = cache.add_nb_to_project(str(page), read_data=READER)
        notebook = cache.get_project_notebook(record.pk).nb
        kernel = notebook.metadata["kernelspec"]
        kernel["name"] = aliases.get(kernel["name"], kernel["name"])
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            todo.append((page, record.uri, notebook))

    began, done = time.monotonic(), 0
    with ProcessPoolExecutor(min(options.jobs, len(todo)) or 1) as pool:
        timeout = config["execute"]["timeout"]
        running = {pool.submit(run, nb, str(page.parent), timeout): (page, uri) for page, uri, nb in todo}
        for future in as_completed(running):
            page, uri = running[future]
            notebook, seconds, error = future.result()
            done += 1
            said = f"failed: {error.strip().splitlines()[-1]}" if error else f"{seconds:.0f} s"
            print(f"[{done}/{len(todo)}] {page.stem}: {said}", flush=True)
            if not error:
                bundle = CacheBundleIn(notebook, uri, data={"execution_seconds": seconds})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if todo:
        print(f"{len(todo)} pages in {time.monotonic() - began:.0f} s, {options.jobs} at a time", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
