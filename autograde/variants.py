"""Answers on file: what the checks of an assignment must accept and reject.

``solutions/<name>/variants.py`` holds ``VARIANTS``, a dict from each exercise to its variants. A variant's code takes
the place of the whole solution cell. ``autograde verify`` runs each one: a right one must keep full marks, a wrong
one must lose points on its own exercise only, and the student must read its hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent, indent

#: How many of each an exercise needs, and how short a hint on file may be before it says nothing.
MIN_WRONG, MIN_RIGHT, MIN_HINT = 6, 3, 12


@dataclass(frozen=True)
class Variant:
    """One answer on file.

    Attributes:
        name: what is special about it, in a few words.
        code: the solution cell's source.
        hint: for a wrong answer, the words that the student must read; None for a right one.
    """

    name: str
    code: str
    hint: str | None = None

    @property
    def right(self) -> bool:
        """Whether the checks must accept it."""
        return self.hint is None


def right(name: str, code: str) -> Variant:
    """Put a right answer on file."""
    return Variant(name, dedent(code).strip("\n"))


def wrong(name: str, code: str, *, hint: str) -> Variant:
    """Put a wrong answer on file, with words of the hint that its student must read."""
    if len(hint) < MIN_HINT:
        raise ValueError(f"The hint of {name!r} is too short to tell it from another: {hint!r}.")
    return Variant(name, dedent(code).strip("\n"), hint)


def filled(template: str, usual: Mapping[str, str], parts: Mapping[str, str]) -> str:
    """Fill in a template whose parts a variant replaces, so that it shows only what is special about it.

    Args:
        template: code with the names of parts in braces; a part that has a line for itself may have several lines,
            which are indented like that line.
        usual: every part, by name.
        parts: those of the variant.

    Raises:
        KeyError: for a part that `usual` does not have.
    """
    unknown = sorted(set(parts) - set(usual))
    if unknown:
        raise KeyError(f"no such part: {', '.join(unknown)}")
    lines = []
    for line in template.strip("\n").split("\n"):
        for name, part in {**usual, **parts}.items():
            marker = "{" + name + "}"
            if line.strip() == marker:
                line = indent(part.strip("\n"), line[: len(line) - len(line.lstrip())])
            else:
                line = line.replace(marker, part)
        lines.append(line)
    return "\n".join(lines) + "\n"
