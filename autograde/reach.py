"""Which exercises an answer can change, besides its own.

An answer binds names. A later cell, or a check, that uses none of them cannot tell this answer from another one, and
need not be run again for it. What is looked at is the source: names, and words in strings, for a check asks for a
student's names in strings. Where an answer does more than bind names, as in ``torch.relu = None``, it may reach
everything. Names that a test cell leaves behind are not followed: no answer may build on them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from functools import cache

from autograde.rehearse import Step

_BINDS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


def reached(above: Sequence[Step], cells: Sequence[Step], reference: str, checks: str) -> tuple[set[str], set[str]]:
    """Return the exercises after the first cell that an answer in it can change, and those that it surely may.

    The first are all of them. The others are reached by names that the answer alone binds; what is reached by the
    reference's names only, a trial can clear: see :func:`autograde.rehearse.work`.

    Args:
        above: the cells before the answer.
        cells: the answer and the cells after it, with the reference's answers.
        reference: the reference's answer for the first cell.
        checks: the source of the assignment's hidden checks.
    """
    later = {step.exercise for step in cells if step.exercise}
    own, theirs = bound(above, cells[0].source), bound(above, reference)
    if own is None or theirs is None:
        return later, later
    found, only = (_followed(names, cells, checks, _known(above)) for names in (own | theirs, own - theirs))
    # A cell in between that does more than bind names may leave anything behind, in a trial too.
    return (later, later) if found is None else (found, later if only is None else only)


def bound(above: Sequence[Step], source: str) -> frozenset[str] | None:
    """Return the names that an answer binds below these cells; None where it may do more than that."""
    return _bound(source, _known(above))


def _known(above: Sequence[Step]) -> frozenset[str]:
    """Return the imports of these cells."""
    return frozenset().union(*(_imports(step.source) for step in above))


def _followed(names: frozenset[str], cells: Sequence[Step], checks: str, known: frozenset[str]) -> set[str] | None:
    """Return the exercises that names reach, by way of cells in between, too; None where one of these may do more."""
    touched = set(names)
    asked = _words_of_checks(checks)
    found: set[str] = set()
    for step in cells[1:]:
        uses = _words(step.source) & touched
        if step.exercise:  # its own answer stands above, and has joined what is touched
            if uses or asked.get(step.exercise, touched) & touched:
                found.add(step.exercise)
        elif uses:
            more = _bound(step.source, known)
            if more is None:
                return None
            touched |= more
    return found


@cache
def _imports(source: str) -> frozenset[str]:
    """Return the import statements of a cell, each written in one way."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a magic, or an answer that is wrong in this way
        return frozenset()
    return frozenset(ast.unparse(node) for node in body if isinstance(node, _IMPORTS))


@cache
def _bound(source: str, known: frozenset[str]) -> frozenset[str] | None:
    """Return the names that a cell binds; None where it may do more than that."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return None
    names: set[str] = set()
    for node in body:
        if isinstance(node, _BINDS):
            if any(not isinstance(d, (ast.Name, ast.Attribute)) for d in node.decorator_list):
                return None
            names.add(node.name)
        elif isinstance(node, _IMPORTS):
            if ast.unparse(node) not in known:
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = _targets(node)
            # A value that is computed by a call may do something beside.
            if targets is None or (node.value and any(isinstance(n, ast.Call) for n in ast.walk(node.value))):
                return None
            names |= targets
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return None
    return frozenset(names)


def _targets(node: ast.Assign | ast.AnnAssign) -> set[str] | None:
    """Return the names that an assignment binds; None where it changes something that is there."""
    found: set[str] = set()
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
        if not all(isinstance(part, ast.Name) for part in parts):
            return None
        found |= {part.id for part in parts}
    return found


@cache
def _words(source: str) -> frozenset[str]:
    """Return every word of a source, in code or in a string; comments do not run."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return frozenset(re.findall(r"\w+", source))
    return frozenset(re.findall(r"\w+", ast.unparse(tree)))


@cache
def _words_of_checks(source: str) -> Mapping[str, set[str]]:
    """Return, for each name of a module of checks, its words and those of all that it uses of the module."""
    own: dict[str, set[str]] = {}
    always: set[str] = set()  # of statements that are neither definitions nor assignments
    for node in ast.parse(source).body:
        words = set(re.findall(r"\w+", ast.unparse(node)))
        if isinstance(node, _BINDS):
            names = {node.name}
        else:
            names = _targets(node) if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if names is None and not isinstance(node, _IMPORTS):
            always |= words
        for name in names or ():
            own[name] = own.get(name, set()) | words
    found = {}
    for exercise in own:
        words, waiting = set(always), [exercise]
        seen = {exercise}
        while waiting:
            new = own[waiting.pop()]
            words |= new
            more = [name for name in new if name in own and name not in seen]
            seen |= set(more)
            waiting += more
        found[exercise] = words
    return found
