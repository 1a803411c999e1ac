"""The pages in a real browser: equations are set, the interactive figure lives, nothing is wider than a phone."""

import re
import shutil
import subprocess

import pytest

from ravines.claims import ledger
from tests.book.test_pages import CHAPTERS, toc_pages

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = 390  # CSS pixels

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here; `autograde doctor` says how to get it"
)

#: Opens a page as wide as a phone and writes down how wide it turns out, and what sticks out of it.
WRAPPER = """<iframe id="page" src="{url}" style="width: {width}px; height: 900px; border: 0"></iframe>
<script>
const frame = document.getElementById("page");
frame.addEventListener("load", () => setTimeout(() => {{
  const root = frame.contentDocument.documentElement;
  document.body.dataset.width = root.scrollWidth;
  document.body.dataset.text = frame.contentDocument.querySelectorAll("article p").length;
}}, 4000));
</script>"""

#: Opens the ledger, fills its form in four ways, and writes down what it says it shows.
SEARCH = """<iframe id="page" src="{url}" style="width: 900px; height: 900px"></iframe>
<script>
const frame = document.getElementById("page");
frame.addEventListener("load", () => setTimeout(() => {
  const form = frame.contentDocument.querySelector(".ledger-search");
  const said = () => form.querySelector("output").textContent;
  const fill = (words, verdict, settled = "") => {
    form.words.value = words;
    form.verdict.value = verdict;
    form.settled.value = settled;
    form.dispatchEvent(new Event("input"));
    return said();
  };
  const found = [said(), fill("momentum", ""), fill("", "wrong"), fill("", "", "ImageNet"), fill("no such words", "")];
  document.body.dataset.found = found.join(";");
}, 4000));
</script>"""


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """Open a file in headless Chromium and return the page as it is after its scripts have run."""
    profile = tmp_path_factory.mktemp("profile")

    def run(path):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
        options += ["--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files"]
        options += [f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--dump-dom", path.as_uri()]
        done = subprocess.run([CHROMIUM, *options], capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    return run


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda p: p.stem)
def test_equations_are_set_without_the_network(page, html, browse):
    dom = browse(html / "book" / f"{page.stem}.html")
    displayed = page.read_text(encoding="utf-8").count("\n$$\n") // 2
    assert displayed >= 2
    assert len(re.findall(r'<mjx-container[^>]*display="true"', dom)) >= displayed
    assert "<mjx-merror" not in dom and "data-mjx-error" not in dom


@pytest.mark.parametrize("page", [p for p in toc_pages() if 'class="ravine"' in p.read_text()], ids=lambda p: p.stem)
def test_the_interactive_figure_lives(page, html, browse):
    dom = browse(html / "book" / f"{page.stem}.html")
    momentum = page.read_text(encoding="utf-8").count('data-method="momentum"')
    plain = page.read_text(encoding="utf-8").count('data-method="gd"')
    assert dom.count('type="range"') == 3 * momentum + 2 * plain
    # It computes: the readout, the path, and what a screen reader hears of each slider and picture.
    assert dom.count("Each step multiplies the error by about") == momentum + plain
    assert len(re.findall(r'class="ravine-dot"', dom)) > 20
    assert dom.count("aria-valuetext=") == 3 * momentum + 2 * plain
    assert len(re.findall(r'<svg[^>]*role="img"[^>]*aria-label="[^"]{20,}"', dom)) == 3 * momentum + 2 * plain


@pytest.mark.parametrize("page", [p for p in toc_pages() if "Landscape(" in p.read_text()], ids=lambda p: p.stem)
def test_the_surfaces_are_drawn_and_can_be_turned(page, html, browse):
    dom = browse(html / "book" / f"{page.stem}.html")
    patches = re.findall(r'<canvas[^>]*aria-label="Loss surface, [^"]*turned by 30 degrees[^"]* (\d+) patches"', dom)
    assert len(patches) == 2 and all(int(n) > 1000 for n in patches)
    assert len(re.findall(r'<input id="landscape-1-(?:turn|tilt)"[^>]*type="range"[^>]*aria-valuetext', dom)) == 2
    assert "This figure turns with JavaScript" not in dom


def test_the_ledger_can_be_searched(html, browse, tmp_path):
    """Its own script, driven through its own form: words, a verdict, what settles it, and nothing that is there."""
    wrapper = tmp_path / "search.html"
    url = (html / "book" / "claims.html").as_uri()
    wrapper.write_text(SEARCH.replace("{url}", url), encoding="utf-8")
    found = re.search(r'data-found="([^"]*)"', browse(wrapper))
    assert found, "the page did not open"
    everything, words, wrong, imagenet, nothing = found[1].split(";")
    rows = list(ledger().values())
    about = sum(
        "momentum" in f"{r.claim} {r.statement} {r.source} {r.not_runnable}".lower() or r.page == "momentum"
        for r in rows
    )
    verdicts = sum(r.verdict == "wrong" for r in rows)
    assert everything == f"{len(rows)} of {len(rows)} claims"
    assert words == f"{about} of {len(rows)} claims" and 0 < about < len(rows)
    assert wrong == f"{verdicts} of {len(rows)} claims" and 0 < verdicts < len(rows)
    assert imagenet == f"{sum(r.settled_by == 'ImageNet' for r in rows)} of {len(rows)} claims" != everything
    assert nothing == f"0 of {len(rows)} claims"


@pytest.mark.parametrize("page", toc_pages(), ids=lambda p: p.stem)
def test_nothing_is_wider_than_a_phone(page, html, browse, tmp_path):
    wrapper = tmp_path / "phone.html"
    url = (html / "book" / f"{page.stem}.html").as_uri()
    wrapper.write_text(WRAPPER.format(url=url, width=PHONE), encoding="utf-8")
    dom = browse(wrapper)
    measured = re.search(r'data-width="(\d+)" data-text="(\d+)"', dom)
    assert measured, "the page did not open"
    assert int(measured[2]) > 0 or page.stem == "references"
    assert int(measured[1]) <= PHONE
