"""What a page shows is what a second run computes."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from jupyter_cache import get_cache

from tests.book.test_pages import EXECUTED, ROOT

SANITIZE = """
[a time, which no two runs share]
regex: \\b\\d+(\\.\\d+)? (ms|s) of time\\b
replace: TIME

[a difference of float64 rounding, of which no digit is certain: the pages assert its bound]
regex: \\b(\\d(\\.\\d+)?e-1[2-6]|0(\\.0+)?e\\+00)\\b
replace: ROUNDING
"""


def executed(page, folder):
    """Write the executed notebook that a published page was made from; fail when the page has changed since."""
    cache = get_cache(str(ROOT / "_build" / ".jupyter_cache"))
    notebook = cache.get_project_notebook(cache.get_project_record(str(page)).pk).nb
    notebook.metadata["kernelspec"]["name"] = "warm"  # as _config.yml has it
    try:
        record = cache.match_cache_notebook(notebook)
    except KeyError:
        pytest.fail(f"{page.name} has changed since the book was built: run `make book`.")
    target = folder / f"{page.stem}.ipynb"
    nbformat.write(cache.get_cache_bundle(record.pk).nb, target)
    return target


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("half", [0, 1])
def test_a_second_run_gives_the_published_outputs(half, html, tmp_path):
    """Half of the pages in one run, whose kernels are forked from one warm parent; the halves may run side by side."""
    notebooks = [executed(page, tmp_path) for page in EXECUTED[half::2]]
    sanitize = tmp_path / "sanitize.cfg"
    sanitize.write_text(SANITIZE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-sanitize-with", str(sanitize), "-q"]
    command += ["--nbval-kernel-name", "warm", "-p", "no:xdist"]
    command += ["-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", os.devnull, *map(str, notebooks)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    # Every code cell was run and compared.
    count = sum(c.cell_type == "code" for n in notebooks for c in nbformat.read(n, 4).cells)
    assert re.search(rf"\b{count} passed", done.stdout), done.stdout[-500:]
