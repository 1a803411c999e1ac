"""Large pages: fewer of them for a fork to copy, and the same content."""

import subprocess
import sys

import pytest

CODE = """
import mmap, re
from pathlib import Path

def large():
    return int(re.search(r"AnonHugePages: +(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1]) * 1024

size = 16 * 2**20
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE)
content = bytes(range(256)) * (size // 256)
memory.write(content)
before = large()
from autograde.large_pages import collapse
print(collapse() >= size - 2 * 2**21, large() - before >= size - 2 * 2**21, memory[:] == content)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has them")
def test_memory_that_has_been_written_is_put_into_large_pages():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=False)
    made, seen, kept = done.stdout.split()
    # A kernel before 6.1, or one that must not, leaves all as it is; never does it say what is not so.
    assert (done.stderr, kept) == ("", "True")
    assert made == seen


def test_where_there_are_none_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    from autograde import large_pages  # importing it asks, too

    assert large_pages.collapse() == 0
