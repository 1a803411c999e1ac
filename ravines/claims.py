"""The ledger: each claim of the lecture, what is right about it, and what a page measured.

``book/claims.csv`` has one row per claim. A page calls :func:`claim` with what it just computed. The build fails when
the page and the ledger disagree, so neither can drift from the other.
"""

from __future__ import annotations

import csv
import html
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LEDGER = Path(__file__).resolve().parents[1] / "book" / "claims.csv"

#: verdict -> whether the claim holds as said, and whether the page must also show an exception to it.
VERDICTS = {
    "holds": (True, False),
    "holds with a caveat": (True, True),
    "imprecise": (False, True),
    "wrong": (False, True),
}


class ClaimError(Exception):
    """A page and the ledger disagree, or the ledger has no such claim."""


@dataclass(frozen=True)
class Claim:
    """One row of the ledger.

    Attributes:
        id: such as ``"M05"``.
        claim: what the lecture says.
        verdict: one of :data:`VERDICTS`.
        statement: what is right.
        source: paper and equation, or the page that computes it.
        page: the page that checks it.
        not_runnable: why no computation here settles it, with the command that would; empty when one does.
        values: numbers that the page must measure again: name -> (value, relative tolerance).
    """

    id: str
    claim: str
    verdict: str
    statement: str
    source: str
    page: str
    not_runnable: str
    values: Mapping[str, tuple[float, float]]

    @property
    def settled_by(self) -> str:
        """``"a computation"``, ``"a paper"`` or ``"ImageNet"``: what it takes to know."""
        if not self.not_runnable:
            return "a computation"
        return "ImageNet" if "`ravines " in self.not_runnable else "a paper"


@dataclass(frozen=True)
class Card:
    """A claim beside what a page measured; shows itself as a card."""

    claim: Claim
    measured: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        row = self.claim
        kind = row.verdict.split()[0] if row.verdict != "holds with a caveat" else "caveat"
        return {
            "text/html": (
                f'<aside class="claim claim-{kind}" id="claim-{row.id}" aria-label="Claim {row.id}">'
                f'<p class="claim-head"><span class="claim-id">{row.id}</span> '
                f'<span class="claim-verdict">{row.verdict}</span></p>'
                f'<p class="claim-said"><b>The lecture:</b> {html.escape(row.claim)}</p>'
                f"<p><b>What is right:</b> {marked(row.statement)}</p>"
                f'<p class="claim-measured"><b>Measured here:</b> {marked(self.measured)}</p>'
                f"{reach(row)}"
                f'<p class="claim-source">{html.escape(row.source)}</p></aside>'
            ),
            "text/plain": f"{row.id} ({row.verdict}): {row.claim} | measured: {self.measured}",
        }


def marked(text: str) -> str:
    """Return text as HTML, with code where it stands between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))


def reach(row: Claim) -> str:
    """Return a paragraph on why nothing here settles a claim, or an empty string when something does."""
    return f'<p class="claim-reach"><b>Not settled here:</b> {marked(row.not_runnable)}</p>' if row.not_runnable else ""


@cache
def ledger(path: Path = LEDGER) -> dict[str, Claim]:
    """Return the ledger by claim id.

    Raises:
        ClaimError: when a row repeats an id or has an unknown verdict.
    """
    rows: dict[str, Claim] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = {k: (float(v[0]), float(v[1])) for k, v in json.loads(row["values"] or "{}").items()}
            if row["id"] in rows:
                raise ClaimError(f"{path.name} has the claim {row['id']} twice.")
            if row["verdict"] not in VERDICTS:
                raise ClaimError(f"{path.name} gives {row['id']} the unknown verdict {row['verdict']!r}.")
            fields = {k: row[k] for k in ("id", "claim", "verdict", "statement", "source", "page", "not_runnable")}
            rows[row["id"]] = Claim(**fields, values=values)
    return rows


def claim(
    id: str,
    *,
    measured: str,
    holds: bool,
    exception: bool = False,
    values: Mapping[str, float] | None = None,
    path: Path = LEDGER,
) -> Card:
    """Show a claim beside this page's measurement, or fail when the two disagree.

    Args:
        id: the claim's id in the ledger.
        measured: what this page found, in a sentence with its numbers and units.
        holds: whether the claim, as the lecture says it, holds in this measurement.
        exception: whether this page saw the exception that a caveat speaks of.
        values: this page's numbers, by the names in the ledger; each must be within the ledger's tolerance.
        path: the ledger.

    Raises:
        ClaimError: when ``holds`` or ``exception`` contradicts the verdict, or a value is off, missing or unknown.
    """
    rows = ledger(path)
    if id not in rows:
        raise ClaimError(f"{path.name} has no claim {id!r}.")
    row, values = rows[id], dict(values or {})
    said, caveat = VERDICTS[row.verdict]
    if bool(holds) != said:
        raise ClaimError(f"{id}: the ledger says '{row.verdict}', but here the claim {'holds' if holds else 'fails'}.")
    if said and bool(exception) != caveat:
        seen = "an exception was" if exception else "no exception was"
        raise ClaimError(f"{id}: the ledger says '{row.verdict}', but {seen} measured here.")
    if set(values) != set(row.values):
        raise ClaimError(f"{id}: the ledger has the values {sorted(row.values)}, this page {sorted(values)}.")
    for name, (wanted, tolerance) in row.values.items():
        if not math.isclose(values[name], wanted, rel_tol=tolerance, abs_tol=tolerance if wanted == 0 else 0.0):
            raise ClaimError(f"{id}: {name} is {values[name]:g} here, but {wanted:g} in the ledger.")
    return Card(row, measured)
