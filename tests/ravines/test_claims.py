"""The ledger helper must agree, disagree and refuse as it says."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest

from ravines.claims import VERDICTS, ClaimError, claim, ledger
from ravines.cli import main

HEADER = "id,section,claim,verdict,statement,source,page,not_runnable,values\n"


@pytest.fixture
def path(tmp_path):
    def write(verdict, values="{}", id="T01", reason=""):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        quoted = json.dumps(json.loads(values)).replace('"', '""')
        file.write_text(
            HEADER + f'{id},s,water is wet,{verdict},it is,nobody,page,"{reason}","{quoted}"\n', encoding="utf-8"
        )
        return file

    return write


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("exception", [True, False])
def test_agrees_only_with_its_verdict(path, verdict, holds, exception):
    # By the definition of the words: "holds" allows no exception, a caveat needs one, the others fail as said.
    agrees = {
        "holds": holds and not exception,
        "holds with a caveat": holds and exception,
        "imprecise": not holds,
        "wrong": not holds,
    }[verdict]
    arguments = {"measured": "37 of 37", "holds": holds, "exception": exception, "path": path(verdict)}
    if agrees:
        card = claim("T01", **arguments)._repr_mimebundle_()
        assert "37 of 37" in card["text/html"] and verdict in card["text/html"] and "water is wet" in card["text/html"]
    else:
        with pytest.raises(ClaimError, match="T01"):
            claim("T01", **arguments)


@pytest.mark.parametrize(
    ("measured", "ok"),
    [
        ({"steps": 100, "gap": 0.0}, True),
        ({"steps": 101, "gap": 0.0}, True),
        ({"steps": 102.1, "gap": 0.0}, False),
        ({"steps": float("nan"), "gap": 0.0}, False),
        ({"steps": 100, "gap": 0.01}, False),
        ({"steps": 100}, False),
        ({"steps": 100, "gap": 0.0, "more": 1}, False),
    ],
)
def test_values_must_be_those_of_the_ledger(path, measured, ok):
    file = path("holds", '{"steps": [100, 0.02], "gap": [0, 1e-6]}')
    if ok:
        claim("T01", measured="m", holds=True, values=measured, path=file)
    else:
        with pytest.raises(ClaimError, match="T01"):
            claim("T01", measured="m", holds=True, values=measured, path=file)


def test_an_unknown_claim_or_verdict_is_an_error(path):
    with pytest.raises(ClaimError, match="no claim 'T99'"):
        claim("T99", measured="m", holds=True, path=path("holds"))
    with pytest.raises(ClaimError, match="unknown verdict 'maybe'"):
        ledger(path("maybe"))


def test_what_students_write_cannot_become_html(path):
    html = claim("T01", measured="<script>x</script>", holds=True, path=path("holds"))._repr_mimebundle_()["text/html"]
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_a_claim_that_nothing_here_settles_says_so_and_shows_its_command(path):
    (row,) = ledger(path("holds")).values()
    assert row.settled_by == "a computation"
    reasons = {"a paper": "A name: the paper settles it.", "ImageNet": "Ask it: `ravines count <x>`."}
    for kind, reason in reasons.items():
        file = path("holds", reason=reason)
        assert ledger(file)["T01"].settled_by == kind
        shown = claim("T01", measured="see `this`", holds=True, path=file)._repr_mimebundle_()["text/html"]
        assert "Not settled here" in shown and "<code>this</code>" in shown
    assert "<code>ravines count &lt;x&gt;</code>" in shown


def test_every_claim_of_the_lecture_is_there_and_every_command_can_be_given():
    """Ids run on within their letter; a command is one that ``ravines`` understands."""
    rows = ledger()
    families = {}
    for id in rows:
        letter, number = re.fullmatch(r"([A-Z]+)(\d+)", id).groups()
        families.setdefault(letter, []).append(int(number))
    for letter, numbers in families.items():
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), letter
    commands = [c for row in rows.values() for c in re.findall(r"`ravines ([^`]+)`", row.not_runnable)]
    assert commands
    for command in commands:
        name, *words = shlex.split(command)
        context = main.commands[name].make_context(name, words)
        assert context.params["model"].startswith("torchvision:") and context.params["data"] == "imagenet:PATH", command


def test_the_ledger_has_the_claims_that_were_found_in_the_lecture():
    found = Path(__file__).resolve().parents[3] / "shared" / "facts" / "claims.csv"
    if not found.is_file():
        pytest.skip("only where the lecture's claims stand beside the project")
    with found.open(newline="", encoding="utf-8") as file:
        assert {row["id"] for row in csv.DictReader(file)} == set(ledger())


def test_the_projects_ledger_is_complete():
    rows = ledger()
    assert {"C01", "C05", "M01", "M05", "S03"} <= set(rows)
    for row in rows.values():
        assert row.claim and row.statement and row.source and row.page, row.id
        settled = "computed on the page" in row.source or row.not_runnable
        assert settled, f"{row.id} says neither that its page computes it nor why that cannot be"
        assert "checks.py" not in row.source and "exp1.py" not in row.source, row.id
