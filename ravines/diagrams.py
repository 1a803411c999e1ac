"""Networks as pictures and tables: a column of boxes from the image down to the logits, a table that a phone can read.

plots.figure(lambda ax: columns(ax, {"LeNet-5": boxes, "AlexNet": others}), alt="...")
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from ravines import plots

#: What a box is -> its colour: one colour for each kind of layer, on every page.
COLORS = {
    "convolution": plots.SKY,
    "pooling": plots.RED,
    "normalization": plots.YELLOW,
    "fully connected": plots.GREEN,
    "other": "#D9D9D9",
}


@dataclass(frozen=True)
class Box:
    """One layer in a column.

    Attributes:
        label: what stands in the box, such as ``"3x3, 64"``.
        kind: a key of :data:`COLORS`.
        size: its width from 0 to 1; pages say what it means, such as the logarithm of the channels.
        shortcut: how many boxes above this one a shortcut begins that ends behind this box; 0 for none.
        dashed: whether that shortcut changes the shape.
    """

    label: str
    kind: str = "convolution"
    size: float = 1.0
    shortcut: int = 0
    dashed: bool = False


def columns(axes: Axes, networks: Mapping[str, Sequence[Box]], *, fontsize: float = 6.0) -> None:
    """Draw networks beside one another, each a column of boxes that is read from top to bottom.

    Args:
        axes: where to draw; its frame and ticks are removed.
        networks: a title for each column, and its boxes.
        fontsize: of the labels, in points.

    Raises:
        ValueError: when a box is of an unknown kind, or a shortcut begins above the first box.
    """
    for k, (title, boxes) in enumerate(networks.items()):
        middle = 1.35 * k
        for i, box in enumerate(boxes):
            if box.kind not in COLORS:
                raise ValueError(f"{box.kind!r} is no kind of box; use one of {', '.join(COLORS)}.")
            if box.shortcut > i:
                raise ValueError(f"The shortcut that ends behind {box.label!r} begins above the first box of {title}.")
            width = 0.3 + 0.7 * box.size
            axes.add_patch(
                Rectangle((middle - width / 2, -i - 0.78), width, 0.78, facecolor=COLORS[box.kind], edgecolor="white")
            )
            axes.text(middle, -i - 0.4, box.label, ha="center", va="center", fontsize=fontsize)
            if i:
                axes.plot([middle, middle], [-i, -i + 0.22], color=plots.GREY, linewidth=0.8, zorder=0)
            if box.shortcut:
                axes.add_patch(
                    FancyArrowPatch(
                        (middle + width / 2, -(i - box.shortcut) - 0.5),
                        (middle + width / 2, -i - 0.5),
                        connectionstyle="arc3,rad=-0.35",
                        arrowstyle="-|>",
                        mutation_scale=5,
                        linewidth=0.8,
                        linestyle="--" if box.dashed else "-",
                        color=plots.BLACK,
                        clip_on=False,
                    )
                )
        axes.text(middle, 0.45, title, ha="center", va="bottom", fontsize=fontsize + 3, fontweight="bold")
    longest = max(len(boxes) for boxes in networks.values())
    axes.set(xlim=(-0.6, 1.35 * (len(networks) - 1) + 0.75), ylim=(-longest - 0.2, 1.6))
    axes.set_axis_off()


@dataclass(frozen=True)
class Table:
    """A table that shows itself in a notebook or page, and scrolls sideways where the screen is narrow."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.header)
        body = "".join(
            "<tr>"
            + f'<th scope="row">{html.escape(row[0])}</th>'
            + "".join(f'<td class="{_align(cell)}">{html.escape(cell)}</td>' for cell in row[1:])
            + "</tr>"
            for row in self.rows
        )
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        plain = [
            "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in (self.header, *self.rows)
        ]
        return {
            "text/html": (
                f'<div class="wide"><table class="network">{caption}<thead><tr>{head}</tr></thead>'
                f"<tbody>{body}</tbody></table></div>"
            ),
            "text/plain": "\n".join(plain),
        }


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "") -> Table:
    """Return a table; whole numbers get commas between their thousands.

    Args:
        header: the names of the columns, with units.
        rows: one sequence of numbers and texts for each row; the first is its name.
        caption: text above the table.

    Raises:
        ValueError: when a row has another number of cells than the header.
    """
    made = []
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"The header has {len(header)} columns, and the row {tuple(row)!r} has {len(row)}.")
        made.append(tuple(f"{v:,}" if isinstance(v, int) and not isinstance(v, bool) else str(v) for v in row))
    return Table(tuple(header), tuple(made), caption)


def _align(cell: str) -> str:
    """Return the class of a cell: numbers stand on the right, so that their digits are below one another."""
    return "number" if cell[:1].isdigit() or cell[:1] in "-+." else "text"
