"""The ledger helper must agree, disagree and refuse as it says."""

import json

import pytest

from ravines.claims import VERDICTS, ClaimError, claim, ledger

HEADER = "id,section,claim,verdict,statement,source,page,values\n"


@pytest.fixture
def path(tmp_path):
    def write(verdict, values="{}", id="T01"):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        quoted = json.dumps(json.loads(values)).replace('"', '""')
        file.write_text(HEADER + f'{id},s,water is wet,{verdict},it is,nobody,page,"{quoted}"\n', encoding="utf-8")
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


def test_the_projects_ledger_is_complete():
    rows = ledger()
    assert {"C01", "C05", "M01", "M05", "S03"} <= set(rows)
    for row in rows.values():
        assert row.claim and row.statement and row.source and row.page, row.id
        assert "checks.py" not in row.source and "exp1.py" not in row.source, row.id
