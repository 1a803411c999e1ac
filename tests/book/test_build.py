"""The book as built: every page is there, links lead somewhere, figures have alt text."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.book.test_pages import CHAPTERS


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


def test_every_page_is_built(pages):
    names = {path.stem for path in pages}
    assert {page.stem for page in CHAPTERS} | {
        "index",
        "claims",
        "reproductions",
        "students",
        "instructors",
        "grading",
        "references",
    } <= names


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
