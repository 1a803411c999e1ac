"""The catalogue of hostile and broken submissions, each with what must come out when it is graded."""

from __future__ import annotations

from attacks import escaping, malformed, score, spying, stalling
from attacks.base import FAMILIES, Attack

CATALOGUE: tuple[Attack, ...] = (
    *score.attack,
    *spying.attack,
    *stalling.attack,
    *escaping.attack,
    *malformed.attack,
)

__all__ = ["CATALOGUE", "FAMILIES", "Attack"]
