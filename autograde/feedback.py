"""The page that a student reads: points, what passed, what to look at, and their own code with its output.

It says nothing of the hidden checks but the names and hints of their cases. What the student's code put out is
shown as text or as a picture; whatever else it is, it cannot run here, and the page loads nothing from elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, Template
from markupsafe import Markup, escape
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from autograde import assemble
from autograde.cases import ExerciseResult
from autograde.outcome import GRADED, KILLED, MISSING, REJECTED, TIMEOUT, SubmissionResult, number

#: Longer code is shown without colours, and very long code not to its end.
_COLOURED, _LONGEST = 20_000, 200_000
_PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_STATUS = {
    GRADED: "",
    TIMEOUT: "Some of your code took too long and was stopped.",
    KILLED: "Your code ended its own Python process. What was finished before that keeps its points.",
    MISSING: "Nothing was handed in.",
}


def page(result: SubmissionResult, template: assemble.Template) -> str:
    """Return the feedback on one submission, as HTML."""
    parts = result.assembled.parts if result.assembled else []
    answers = {p.name: p.cell for p in parts if p.role == "answer"}
    tests = {p.name: p.cell for p in parts if p.role == "test"}
    own = [p.cell for p in parts if p.role == "own" and p.cell.source.strip()]
    notes = list(result.notes)
    if result.dropped:
        notes.append("Your notebook printed more than is kept; the rest was left out. This costs no points.")
    if result.status.startswith(REJECTED):
        reason = result.status.removeprefix(REJECTED)
        status = f"Your hand-in could not be graded: {reason}. Hand it in again."
        if result.trouble:
            status = "Your hand-in could not be graded, because the grader failed. Your instructor has been told."
    else:
        status = _STATUS[result.status]
    return _template().render(
        title=template.title,
        student=result.submission.student,
        score=number(result.score),
        max_score=number(result.max_score),
        percent=_percent(result.score, result.max_score),
        status=status,
        notes=notes,
        exercises=[_exercise(e, template, answers, tests) for e in result.exercises],
        own=[{"code": _code(c.source), "outputs": _outputs(c)} for c in own],
        code_style=_code_style(),
    )


def _exercise(
    result: ExerciseResult,
    template: assemble.Template,
    answers: dict[str, NotebookNode],
    tests: dict[str, NotebookNode],
) -> dict[str, Any]:
    name = result.exercise
    told = {c.hint for c in result.cases if not c.passed}
    # Once is enough: a hint stands beside its case, or above them all when it is all of theirs.
    alike = len(told) == 1 and sum(not c.passed for c in result.cases) > 1
    # The gate of autograde.verdict: cases passed, and still no points.
    gated = result.score == 0 and result.status == GRADED and any(c.passed for c in result.cases)
    return {
        "name": name,
        "title": template.titles.get(name, ""),
        "score": number(result.score),
        "max_score": number(result.max_score),
        "percent": _percent(result.score, result.max_score),
        "hint": result.hint if alike or result.hint not in told else "",
        "gated": gated and not result.fault,
        "cases": [replace(c, hint="") for c in result.cases] if alike else result.cases,
        "code": _code(answers[name].source) if name in answers else "",
        "outputs": _outputs(answers[name]) if name in answers else [],
        "test_outputs": _outputs(tests[name]) if name in tests else [],
    }


def _outputs(cell: NotebookNode) -> list[dict[str, Any]]:
    """Return a cell's outputs as text and pictures."""
    shown: list[dict[str, Any]] = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            shown.append({"text": _overwritten(output.text)})
        elif output.output_type == "error":
            trace = "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
            shown.append({"text": trace, "error": True})
        else:
            pictures = [(kind, output.data[kind]) for kind in _PICTURES if kind in output.data]
            safe = next((_picture(kind, data) for kind, data in pictures if _picture(kind, data)), None)
            shown.append({"image": safe} if safe else {"text": output.data.get("text/plain", "")})
    return [item for item in shown if item.get("image") or item["text"].strip()]


def _picture(kind: str, data: str) -> str | None:
    """Return a picture as a data URL, if it is one."""
    try:
        decoded = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    if not decoded.startswith(_PICTURES[kind]):
        return None
    return f"data:{kind};base64,{base64.b64encode(decoded).decode()}"


def _overwritten(text: str) -> str:
    """Return text as a terminal would leave it: of a line that is written over, the last state."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _code(source: str) -> Markup:
    """Return Python as coloured HTML."""
    if len(source) > _LONGEST:
        source = source[:_LONGEST] + "\n# ... (cut here: the cell is very long)"
    if len(source) > _COLOURED:
        return Markup('<pre class="code" tabindex="0">{}</pre>').format(escape(source))
    formatter = HtmlFormatter(nowrap=True)
    # Pygments escapes what it colours.
    coloured = Markup(highlight(source, PythonLexer(), formatter))
    return Markup('<pre class="code" tabindex="0">{}</pre>').format(coloured)


def _sentence(text: str) -> Markup:
    """Return a sentence with its `names` as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _percent(score: float, max_score: float) -> str:
    return f"{100 * score / max_score if max_score else 0:.0f}"


@cache
def _template() -> Template:
    text = resources.files("autograde").joinpath("feedback.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True)
    environment.filters["sentence"] = _sentence
    return environment.from_string(text)


@cache
def _code_style() -> Markup:
    """Return the colours of code, for light and dark pages."""

    def rules(style: str) -> str:
        lines = HtmlFormatter(style=style).get_style_defs(".code").splitlines()
        # The page sets the background.
        return "\n".join(line for line in lines if line.startswith(".code .") and ".hll" not in line)

    return Markup(f"{rules('default')}\n@media (prefers-color-scheme: dark) {{\n{rules('github-dark')}\n}}")
