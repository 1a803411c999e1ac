"""The book as built: what a page shows is what a second run computes, links lead somewhere, figures have alt text."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from jupyter_cache import get_cache

from tests.book.test_pages import CHAPTERS, EXECUTED, ROOT

SANITIZE = """
[a time, which no two runs share]
regex: \\b\\d+(\\.\\d+)? (ms|s) of time\\b
replace: TIME

[a difference of float64 rounding, of which no digit is certain: the pages assert its bound]
regex: \\b(\\d(\\.\\d+)?e-1[2-6]|0(\\.0+)?e\\+00)\\b
replace: ROUNDING
"""


class Page(HTMLParser):
    """The links, anchors, images and text of a page."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.links, self.ids, self.images, self.text, self._skip = [], set(), [], [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.add(attributes["id"])
        for name in ("href", "src"):
            if name in attributes and tag != "link":
                self.links.append(attributes[name])
        if tag == "img":
            self.images.append(attributes)
        self._skip += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._skip -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._skip:
            self.text.append(data)


@pytest.fixture(scope="session")
def pages(html):
    return {path: Page(path) for path in sorted(html.glob("book/*.html"))}


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
def test_a_second_run_gives_the_published_outputs(html, tmp_path):
    """All pages in one run, whose kernels are forked from one warm parent."""
    notebooks = [executed(page, tmp_path) for page in EXECUTED]
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


def test_every_page_is_built(pages):
    names = {path.stem for path in pages}
    assert {page.stem for page in CHAPTERS} | {"index", "students", "instructors", "grading", "references"} <= names


def test_no_page_shows_an_error_or_a_warning(pages):
    for path, page in pages.items():
        text = " ".join(page.text)
        assert "Traceback (most recent call last)" not in text, path.name
        assert not re.search(r"\b\w+Warning:", text), path.name
        assert "glue:" not in text, f"{path.name} shows an unresolved number"


def test_every_image_has_alt_text(pages):
    for path, page in pages.items():
        for image in page.images:
            is_logo = "logo" in image.get("class", "")
            assert is_logo or len(image.get("alt", "")) > 30, f"{path.name}: {image.get('alt')!r}"


def test_every_chapter_shows_its_figures_and_claims(pages):
    from tests.book.test_pages import calls

    for source in CHAPTERS:
        built = next(page for path, page in pages.items() if path.stem == source.stem)
        figures = [i for i in built.images if i.get("src", "").startswith("data:image/png")]
        assert len(figures) == len(list(calls(source, "plots.figure"))), source.name
        shown = {i.removeprefix("claim-") for i in built.ids if i.startswith("claim-")}
        assert shown == {c.args[0].value for c in calls(source, "claim")}, source.name


def test_every_link_inside_the_book_leads_somewhere(pages, html):
    checked = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name} links to {link}, which is not there"
            if parts.fragment and target in pages and parts.fragment not in pages[target].ids:
                pytest.fail(f"{path.name} links to {link}, but {target.name} has no such place")
            checked += 1
    assert checked > 50


def test_a_page_loads_nothing_from_elsewhere(html):
    """A page must be whole without the network: scripts, styles, fonts and pictures are files of the book."""
    pages = list(html.glob("book/*.html"))
    assert pages
    for path in pages:
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)\b[^>]*\bsrc="([^"]+)"', text)
        loaded += re.findall(r'<link\b[^>]*\bhref="([^"]+)"', text)
        assert len(loaded) > 5
        hosts = {urlsplit(url).netloc for url in loaded} - {""}
        assert not hosts, f"{path.name} loads from {hosts}"
