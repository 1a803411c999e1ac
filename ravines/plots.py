"""One look for every figure, and figures that a screen reader and a phone can read.

A figure is a function that draws on axes. :func:`figure` runs it twice, once for a desk (panels side by side) and once
for a phone (panels below one another), and the page shows the one that fits.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by people who do not see red and green alike.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#222222",
    "#8A8A8A",
)
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=CYCLE),
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "image.cmap": "viridis",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 170,
}

_SCREEN_WIDTH, _PHONE_WIDTH = 7.4, 4.2  # inches


@dataclass(frozen=True)
class Picture:
    """A drawn figure: shows itself in a notebook or page, and carries its alt text."""

    screen: bytes
    phone: bytes
    alt: str
    caption: str = ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        def source(png: bytes) -> str:
            return "data:image/png;base64," + base64.b64encode(png).decode()

        caption = f"<figcaption>{self.caption}</figcaption>" if self.caption else ""
        return {
            "text/html": (
                '<figure class="ravines-figure"><picture>'
                f'<source media="(max-width: 640px)" srcset="{source(self.phone)}">'
                f'<img src="{source(self.screen)}" alt="{html.escape(self.alt, quote=True)}">'
                f"</picture>{caption}</figure>"
            ),
            "text/plain": f"Figure: {self.alt}",
        }


def figure(
    draw: Callable[..., None],
    *,
    alt: str,
    caption: str = "",
    panels: int = 1,
    columns: int | None = None,
    phone_columns: int = 1,
    height: float = 3.1,
    phone_height: float | None = None,
    widths: Sequence[float] | None = None,
) -> Picture:
    """Draw a figure for desk and phone.

    Args:
        draw: called as ``draw(*axes)`` with one axes per panel; called once for each of the two layouts.
        alt: what the figure says, for those who do not see it. Required: a figure without it is an error.
        caption: HTML below the figure.
        panels: how many axes to make.
        columns: panels side by side on a desk (default: all).
        phone_columns: panels side by side on a phone; more than one only for small pictures without labels.
        height: of one panel, in inches.
        phone_height: of one panel on a phone, in inches (default: ``height``, but 3 at most).
        widths: relative widths of the columns on a desk.

    Raises:
        ValueError: when ``alt`` is shorter than a sentence.
    """
    if len(alt.strip()) < 30:
        raise ValueError("A figure needs alt text that says its message in a sentence.")
    columns = columns or panels
    layouts = (
        (_SCREEN_WIDTH, height, columns, widths),
        (_PHONE_WIDTH, phone_height or min(height, 3.0), phone_columns, None),
    )
    drawn = []
    for width, panel_height, n_columns, ratios in layouts:
        n_rows = -(-panels // n_columns)
        with mpl.rc_context(STYLE):
            fig = Figure(figsize=(width, panel_height * n_rows))
            axes = fig.subplots(n_rows, n_columns, squeeze=False, width_ratios=ratios).ravel()
            draw(*axes[:panels])
            for unused in axes[panels:]:
                unused.set_axis_off()
            buffer = io.BytesIO()
            fig.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
            drawn.append(buffer.getvalue())
    return Picture(drawn[0], drawn[1], " ".join(alt.split()), caption)


def band(axes: Axes, x: np.ndarray, runs: np.ndarray, *, label: str = "", color: str | None = None, **line) -> None:
    """Draw several runs as their median line and the range from the lowest to the highest.

    Args:
        axes: where to draw.
        x: shape (steps,).
        runs: shape (seeds, steps).
        label: for the legend.
        color: of line and band.
        **line: further options of the line.
    """
    runs = np.asarray(runs, dtype=float)
    (drawn,) = axes.plot(x, np.median(runs, axis=0), label=label, color=color, **line)
    axes.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=drawn.get_color(), alpha=0.18, linewidth=0)


def path(axes: Axes, points: np.ndarray, *, color: str, label: str = "", size: float = 3.0) -> None:
    """Draw the steps of an optimizer in a plane.

    Args:
        axes: where to draw.
        points: shape (steps, 2); the first is marked by a ring.
        color: of the path.
        label: for the legend.
        size: of the dots, in points.
    """
    points = np.asarray(points)
    axes.plot(points[:, 0], points[:, 1], "-o", color=color, markersize=size, linewidth=1.2, label=label, zorder=3)
    axes.plot(*points[0], "o", color="white", markeredgecolor=color, markersize=7, markeredgewidth=1.6, zorder=4)


def contours(
    axes: Axes,
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: tuple[float, float],
    y: tuple[float, float],
    levels: int | Sequence[float] = 12,
) -> None:
    """Draw the level lines of a function of two variables in grey, and mark the origin.

    Args:
        axes: where to draw.
        function: of two arrays of equal shape.
        x: the horizontal range.
        y: the vertical range.
        levels: how many, or which.
    """
    grid_x, grid_y = np.meshgrid(np.linspace(*x, 201), np.linspace(*y, 201))
    axes.contour(grid_x, grid_y, function(grid_x, grid_y), levels=levels, colors="#BDBDBD", linewidths=0.8, zorder=1)
    axes.plot(0, 0, "+", color=BLACK, markersize=9, zorder=2)
    axes.grid(False)
    axes.set(xlim=x, ylim=y)
