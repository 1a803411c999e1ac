"""Surfaces that a reader can turn in a page; the drawing is done by `book/_static/landscape.js`."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Landscape:
    """Surfaces for a page; as text it says its alt text.

    Attributes:
        surfaces: name -> heights, rows of one length; nan or infinite heights become holes.
        label: what the height is.
        alt: what is seen, for those who do not see it or have no JavaScript.
    """

    surfaces: Mapping[str, Sequence[Sequence[float]]] = field(repr=False)
    label: str
    alt: str

    def __post_init__(self) -> None:
        """Refuse a figure without alt text, and what is not a grid (ValueError)."""
        if len(self.alt.strip()) < 30:
            raise ValueError("A figure needs alt text that says its message in a sentence.")
        for name, grid in self.surfaces.items():
            if len(grid) < 2 or len({len(row) for row in grid}) != 1 or len(grid[0]) < 2:
                raise ValueError(f"The surface {name!r} must be a grid of at least 2 x 2 heights.")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        def height(value: float) -> float | None:
            return round(float(value), 3) if math.isfinite(value) else None

        data = {name: [[height(v) for v in row] for row in grid] for name, grid in self.surfaces.items()}
        return {
            "text/html": (
                f'<div class="landscape" data-surfaces="{html.escape(json.dumps(data), quote=True)}" '
                f'data-label="{html.escape(self.label, quote=True)}">{html.escape(self.alt)} '
                "This figure turns with JavaScript.</div>"
            ),
            "text/plain": f"Figure: {self.alt}",
        }
