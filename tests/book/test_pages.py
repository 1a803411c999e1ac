"""The pages as text: headers, claims, assignments, words."""

import ast
import re
import shlex
from pathlib import Path

import jupytext
import pytest
import yaml

from ravines.claims import ledger
from ravines.cli import main

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"


def toc_pages():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]
    return [ROOT / f"{file}.md" for file in files]


#: Pages that run, and those of them that teach: an appendix has no claims, assignment and experiment.
EXECUTED = [path for path in toc_pages() if "```{code-cell}" in path.read_text(encoding="utf-8")]
CHAPTERS = [path for path in EXECUTED if path.stem not in ("grading", "claims", "reproductions")]
by_name = pytest.mark.parametrize("page", CHAPTERS, ids=lambda p: p.stem)
when_run = pytest.mark.parametrize("page", EXECUTED, ids=lambda p: p.stem)


def cells(page):
    return [c for c in jupytext.read(page).cells if c.cell_type == "code"]


def calls(page, name):
    """Every call of a function by name on a page, as its syntax tree."""
    for cell in cells(page):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                yield node


def test_there_are_chapters_and_the_contents_list_every_page():
    chapters = {"conditioning", "momentum", "input_normalization", "initialization", "dropout"}
    chapters |= {"batch_normalization", "layer_normalization", "residual_connections", "adam", "weight_decay"}
    chapters |= {"alexnet", "vgg", "googlenet", "resnet", "comparison", "imagenet"}
    assert chapters <= {page.stem for page in CHAPTERS}
    assert set(toc_pages()) == set(BOOK.glob("*.md"))


@when_run
def test_a_page_has_the_header_without_which_it_is_not_run(page):
    metadata = jupytext.read(page).metadata
    assert metadata["kernelspec"]["name"] == "python3"
    assert metadata["jupytext"]["text_representation"]["format_name"] == "myst"


@by_name
def test_a_page_checks_exactly_its_claims_of_the_ledger(page):
    checked = [ast.literal_eval(call.args[0]) for call in calls(page, "claim")]
    assert len(checked) == len(set(checked))
    assert set(checked) == {row.id for row in ledger().values() if row.page == page.stem}
    assert checked, "a chapter without a claim"


def test_every_claim_of_the_ledger_is_checked_on_exactly_one_page():
    """Those that no computation settles too: their page does the arithmetic with what is published."""
    checked = [ast.literal_eval(call.args[0]) for page in EXECUTED for call in calls(page, "claim")]
    assert sorted(checked) == sorted(ledger())


def test_the_totals_of_the_ledger_are_counted():
    """Its text has no number but those that its cells have glued in."""
    text = "\n".join(c.source for c in jupytext.read(BOOK / "claims.md").cells if c.cell_type == "markdown")
    glued = set(re.findall(r"\{glue:text\}`(\w+)`", text))
    assert {"claims", "holds", "caveat", "imprecise", "wrong", "computed", "by_papers", "by_imagenet"} <= glued
    assert not re.search(r"\d", text)


def test_every_command_of_ravines_on_a_page_can_be_given():
    """Its options exist, and their values are of the right kind; "..." stands for what was said before."""
    found = []
    for page in toc_pages():
        text = page.read_text(encoding="utf-8")
        lines = re.findall(r"^(?: {4})?(?:torchrun .* -m )?ravines (train|evaluate|count) (.+)$", text, re.M)
        lines += re.findall(r"`ravines\s(train|evaluate|count)\s(torchvision:[^`]+)`", text)
        for name, words in lines:
            found.append(f"{page.stem}: {name} {words}")
            if not words.endswith("..."):
                main.commands[name].make_context(name, shlex.split(words))
    assert {"alexnet", "vgg", "resnet", "comparison", "imagenet", "reproductions"} <= {f.split(":")[0] for f in found}


@by_name
def test_what_a_claim_says_is_computed(page):
    """The measured sentence has a computed part, and neither verdict is a typed constant."""
    for call in calls(page, "claim"):
        given = {k.arg: k.value for k in call.keywords}
        names = {n.id for n in ast.walk(given["measured"]) if isinstance(n, ast.Name)}
        assert names, f"{ast.unparse(call.args[0])}: measured is typed, not computed"
        for argument in ("holds", "exception"):
            typed = isinstance(given.get(argument), ast.Constant)
            assert not typed, f"{ast.unparse(call.args[0])}: {argument} is typed"


@when_run
def test_every_glued_name_is_defined_and_used(page):
    text = page.read_text(encoding="utf-8")
    defined = [ast.literal_eval(call.args[0]) for call in calls(page, "glue")]
    used = re.findall(r"\{glue:[a-z]+\}`([a-z_0-9]+)", text)
    assert sorted(set(defined)) == sorted(set(used))
    assert len(defined) == len(set(defined))


@by_name
def test_figures_come_with_alt_text_only(page):
    """Figures are drawn by ravines.plots.figure, which refuses a figure without alt text."""
    source = "\n".join(cell.source for cell in cells(page))
    assert "plt.show" not in source and "pyplot" not in source
    drawn = list(calls(page, "plots.figure"))
    assert len(drawn) >= 3
    for call in drawn:
        assert {"alt", "caption"} <= {k.arg for k in call.keywords}


@by_name
def test_a_page_ends_with_its_assignment_and_where_to_read_on(page):
    ending = page.read_text(encoding="utf-8").split("## What you can do now")[1]
    assert f"notebooks/{page.stem}/{page.stem}.ipynb" in ending
    assert (ROOT / "notebooks" / page.stem / f"{page.stem}.ipynb").is_file()
    assert "**Read on.**" in ending and "{cite:t}" in ending


@by_name
def test_an_experiment_has_at_least_three_seeds(page):
    source = "\n".join(cell.source for cell in cells(page))
    assert re.search(r"range\(([3-9]|\d\d)\)|seeds = \((\d+, ){2,}", source.replace("for seed in ", ""))


def test_every_citation_is_in_the_references_and_the_other_way_round():
    text = "".join(page.read_text(encoding="utf-8") for page in toc_pages())
    cited = {key.strip() for keys in re.findall(r"\{cite(?::[a-z]+)?\}`([^`]+)`", text) for key in keys.split(",")}
    known = set(re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.M))
    assert cited == known


def test_an_image_in_markdown_has_alt_text():
    for page in [*toc_pages(), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for alt in re.findall(r"!\[([^\]]*)\]\(", page.read_text(encoding="utf-8")):
            assert len(alt) > 30, f"{page.name}: {alt!r}"
