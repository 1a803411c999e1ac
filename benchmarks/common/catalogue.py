"""The catalogue of hostile submissions, which lies among the tests, for the benchmark that runs it elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# First, for a script next to this folder is called attacks as well.
sys.path.insert(0, str(ROOT / "tests" / "autograde"))

from attacks import CATALOGUE, FAMILIES, Attack, assignment  # noqa: E402
from attacks.base import insert, notebook, put  # noqa: E402

NAME, SECRETS, VARIABLE = assignment.NAME, assignment.SECRETS, assignment.VARIABLE
BY_STUDENT = {attack.student: attack for attack in CATALOGUE}

__all__ = [
    "BY_STUDENT",
    "CATALOGUE",
    "FAMILIES",
    "NAME",
    "ROOT",
    "SECRETS",
    "VARIABLE",
    "Attack",
    "assignment",
    "insert",
    "notebook",
    "put",
]
