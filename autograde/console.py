"""What the commands print: tables and results on stdout, progress and messages on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

#: How wide a table is where no terminal says how wide it may be: a file, a pipe, a log.
FILE_WIDTH = 160
STYLES = {"good": "green", "bad": "bold red", "warn": "yellow", "plain": ""}


def out() -> Console:
    """Return a console on the current stdout."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=FILE_WIDTH, no_color=True)
    return console


def table(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[object]]], title: str | None = None) -> None:
    """Print a table on stdout.

    Args:
        columns: the headings.
        rows: for each row a style of ``STYLES`` and its cells; the style colours the row's first cell and last but
            no meaning rests on it.
        title: a line above the table.
    """
    grid = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for style, cells in rows:
        # Text, not markup: a student's square brackets are only brackets.
        grid.add_row(*(Text(str(cell)) for cell in cells), style=STYLES[style])
    out().print(grid)


def say(text: str, style: str = "plain") -> None:
    """Print one line on stdout."""
    out().print(Text(text, style=STYLES[style]), soft_wrap=True)


def note(text: str, style: str = "plain") -> None:
    """Print one line on stderr."""
    Console(file=sys.stderr, highlight=False).print(Text(text, style=STYLES[style]), soft_wrap=True)


@contextlib.contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show a progress bar on stderr while the body runs; on a terminal only.

    Yields:
        A function to call when one of the ``total`` is done, with a word on which.
    """
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # Without a refresh thread: this process may fork.
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, auto_refresh=False) as bar:
        task = bar.add_task(label, total=total)
        bar.refresh()

        def done(which: str) -> None:
            bar.update(task, advance=1, description=f"{label} {which}"[:60], refresh=True)

        yield done


def plural(count: int, word: str) -> str:
    """Return ``"1 row"`` or ``"2 rows"``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
