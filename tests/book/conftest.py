"""The built book, for the tests that look at it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def html():
    """The rendered book. `make test` builds it before; to run these tests alone, run `make book` first."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").is_file():
        pytest.fail("There is no built book in _build/html: run `make book` first.")
    return folder
