"""Networks by name: torchvision's, or those that a Python file or a notebook defines.

    load("torchvision:resnet50")
    load("solutions/resnet/resnet.py:resnet50")
    load("notebooks/resnet/resnet.ipynb:resnet50")      a student's own

Of a file only what the network needs is run: its class, and the imports, functions and constants that this refers to.
Experiments, asserts and pictures in the same notebook are not.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import inspect
import json
import linecache
import symtable
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import nn


class ModelError(ValueError):
    """A network cannot be found, read or made; the message says where and what to do."""


def load(spec: str) -> Callable[..., nn.Module]:
    """Return what makes a network: a class or a function.

    Args:
        spec: ``torchvision:NAME``, ``FILE.py:NAME`` or ``FILE.ipynb:NAME``.

    Raises:
        ModelError: when there is no such file or network, or the file cannot be read.
    """
    place, colon, name = spec.rpartition(":")
    if not colon or not place or not name:
        raise ModelError(
            f"{spec!r} names no network: write torchvision:resnet50, or FILE:NAME such as "
            "solutions/resnet/resnet.py:resnet50."
        )
    return _torchvision(name) if place == "torchvision" else _from_file(Path(place), name)


def make(spec: str, **settings: Any) -> nn.Module:
    """Make a network.

    Args:
        spec: as for :func:`load`.
        **settings: such as ``num_classes``; those that are None, or that the network does not take and that are
            ``num_classes=1000``, are left out.

    Raises:
        ModelError: also when the network does not take a setting, is not written yet, or raises.
    """
    maker = load(spec)
    given = {key: value for key, value in settings.items() if value is not None}
    taken = _parameters(maker)
    for key in list(given):
        if taken is not None and key not in taken:
            if (key, given[key]) == ("num_classes", 1000):
                del given[key]
                continue
            raise ModelError(f"{spec} takes no {key}. It takes: {', '.join(taken) or 'nothing'}.")
    try:
        network = maker(**given)
    except NotImplementedError:
        raise ModelError(f"{spec} is not written yet: fill in its cell, save the notebook, and try again.") from None
    except Exception as error:
        line = _line_of(error)
        where = f", at the line `{line}`" if line else ""
        raise ModelError(f"{spec} cannot be made: {type(error).__name__}: {error}{where}.") from error
    if not isinstance(network, nn.Module):
        raise ModelError(f"{spec} gives {type(network).__name__}, which is no network (torch.nn.Module).")
    return network


def _torchvision(name: str) -> Callable[..., nn.Module]:
    from torchvision import models  # slow to import, and not always needed

    known = models.list_models(models)
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(near)}?" if near else f" It has {len(known)}, such as resnet50 and vgg16."
        raise ModelError(f"torchvision has no classification network {name!r}.{hint}")
    builder = models.get_model_builder(name)

    def maker(num_classes: int = 1000, **settings: Any) -> nn.Module:
        if name in ("googlenet", "inception_v3"):
            # Without this, torchvision draws their weights from scipy, for minutes, and warns that it will stop.
            settings.setdefault("init_weights", False)
        return builder(weights=None, num_classes=num_classes, **settings)

    maker.__name__ = name
    return maker


def _parameters(maker: Callable[..., Any]) -> list[str] | None:
    """Return the names that may be given, or None when any may."""
    try:
        parameters = inspect.signature(maker).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


# What a name needs ------------------------------------------------------------------------------------------------


def _from_file(path: Path, name: str) -> Callable[..., nn.Module]:
    """Run what ``name`` needs of a file, and return its value."""
    statements = list(_statements(path))
    bound: dict[str, list[int]] = {}
    for i, (_, statement) in enumerate(statements):
        for found in _binds(statement):
            bound.setdefault(found, []).append(i)
    if name not in bound:
        near = difflib.get_close_matches(name, bound, n=3, cutoff=0.5)
        raise ModelError(f"{path} defines no {name}.{f' Did you mean {near[0]}?' if near else ''}")

    needed: set[int] = set()
    todo = [name]
    while todo:
        for i in bound.pop(todo.pop(), []):
            if i not in needed:
                needed.add(i)
                todo += _uses(statements[i][1])
    namespace: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    for i in sorted(needed):
        where, statement = statements[i]
        try:
            exec(compile(ast.Module([statement], []), where, "exec"), namespace)
        except Exception as error:
            line = _line_of(error) or ast.unparse(statement).splitlines()[0]
            raise ModelError(
                f"{path}: {name} needs the line `{line}`, which raises {type(error).__name__}: {error}."
            ) from error
    value = namespace[name]
    if not callable(value):
        raise ModelError(f"{path}: {name} is {type(value).__name__}, not a class or function that makes a network.")
    return value


def _statements(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the top-level statements of a file, each with the name under which tracebacks find its source.

    Of a notebook IPython's commands, and a cell that is no Python, are left out.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not text in UTF-8.") from None
    if path.suffix == ".ipynb":
        try:
            cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
            sources = [_without_magics("".join(c["source"])) for c in cells]
        except (ValueError, KeyError, TypeError):
            raise ModelError(f"{path} is no Jupyter notebook.") from None
    else:
        sources = [text]
    for number, source in enumerate(sources):
        where = f"<{path}, code cell {number + 1}>" if path.suffix == ".ipynb" else str(path)
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:
            if path.suffix == ".ipynb":
                continue
            raise ModelError(f"{path} is no Python: {error}.") from None
        if path.suffix == ".ipynb":
            linecache.cache[where] = (len(source), None, source.splitlines(keepends=True), where)
        for statement in tree.body:
            yield where, statement


def _without_magics(source: str) -> str:
    """Return a cell's source with an empty line for each command of IPython's (``%timeit``, ``!pip``)."""
    if source.lstrip().startswith("%%"):
        return ""
    return "\n".join("" if line.startswith(("%", "!")) else line for line in source.split("\n"))


def _binds(statement: ast.stmt) -> set[str]:
    """Return the names that a top-level statement gives a value; a bare expression or an assert gives none."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(a.asname or a.name).split(".")[0] for a in statement.names}
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if isinstance(statement, (ast.If, ast.Try)):
        return set().union(*(_binds(s) for s in ast.walk(statement) if isinstance(s, ast.stmt) and s is not statement))
    return set()


def _uses(statement: ast.stmt) -> set[str]:
    """Return the names of the module that a statement reads, itself or in functions and classes inside of it."""

    def read(table: symtable.SymbolTable, top: bool) -> Iterator[str]:
        for symbol in table.get_symbols():
            # A function's own x is not the x of some experiment above it.
            if symbol.is_referenced() and (top or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from read(child, False)

    names = set(read(symtable.symtable(ast.unparse(statement), "<statement>", "exec"), True))
    if isinstance(statement, ast.AugAssign):
        names |= _binds(statement)
    return names - set(dir(builtins))


def _line_of(error: BaseException) -> str:
    """Return the last line of a file of the user's that an error came through."""
    line, trace = "", error.__traceback__
    while trace:
        where = trace.tb_frame.f_code.co_filename
        if where.startswith("<") or not ("site-packages" in where or "ravines/models" in where.replace("\\", "/")):
            line = linecache.getline(where, trace.tb_lineno).strip() or line
        trace = trace.tb_next
    return line
