"""The command line: ``autograde release | check | grade | verify | doctor``.

Every command ends with 0 (good), 1 (it found problems) or 2 (it was asked for what cannot be done). Each body imports
what it needs, so that help is there at once.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autograde import parent

#: Part of a check of web addresses that no notebook needs; jsonschema does without it, and saves two seconds.
sys.modules.setdefault("rfc3987_syntax", None)

if TYPE_CHECKING:
    from autograde.check import Report
    from autograde.course import Course

#: Commands that live in a module of their own: where, and what ``autograde --help`` says of them.
LAZY = {"grade": ("autograde.grade:command", "Grade a folder of submissions: points, feedback, gradebook.")}
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
COURSE = click.option(
    "--course",
    "course_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The course's folder. Default: found upwards from the current one.",
)


class Misuse(click.ClickException):
    """One sentence on stderr, and exit code 2."""

    exit_code = 2


class Commands(click.Group):
    """A group that imports a lazy command when it is run, and tells a course's error in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all commands, in alphabetical order."""
        return sorted({*super().list_commands(ctx), *LAZY})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported if need be."""
        if cmd_name not in LAZY:
            return super().get_command(ctx, cmd_name)
        if sys.argv[1:2] == ["grade"] and len(sys.argv) > 2 and not {"-h", "--help"} & set(sys.argv):
            parent.start_early()
        module, _, attribute = LAZY[cmd_name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, LAZY[name][1] if name in LAZY else self.commands[name].get_short_help_str(limit=100))
                    for name in self.list_commands(ctx)
                ]
            )

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what is wrong with a course or a file is the user's to read, not a traceback."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Looked up, not imported: a command that never read a course cannot raise its error.
            course = sys.modules.get("autograde.course")
            if course is not None and isinstance(error, course.CourseError):
                raise Misuse(str(error)) from None
            raise


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ravines", prog_name="autograde")
def main() -> None:
    """Release, check, grade and verify the assignments of a course.

    \b
    A student:      autograde check momentum.ipynb
    An instructor:  autograde grade submitted --out grades
    An author:      autograde release && autograde verify

    Exit code: 0 good, 1 problems found, 2 it cannot be done.
    """


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--check", is_flag=True, help="Write nothing; end with 1 when a notebook is stale, missing or extra.")
@COURSE
def release(names: tuple[str, ...], check: bool, course_dir: Path | None) -> None:
    """Make the students' notebooks from solutions/.

    Without a NAME, all of them. The source notebooks for stock nbgrader are made too, in _build/nbgrader/source.

    \b
    Example:  autograde release momentum
              autograde release --check
    """
    from autograde import console
    from autograde.release import release as run

    outcomes = run(_course(course_dir), names, check=check)
    bad = [o for o in outcomes if not o.good]
    for outcome in outcomes:
        if outcome.good:
            console.say(f"{outcome.path}: {outcome.state}")
        else:
            console.say(f"{outcome.path}: {outcome.state}; mend it with: {outcome.mend}", "bad")
    if check and bad:
        sys.exit(1)


@main.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--jobs", "-j", type=click.IntRange(1), help="Processes at once. Default: one for each core.")
@click.option("--seed", type=int, default=0, show_default=True, help="Where the checks' seeds are drawn from.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Seeds to try each check with.")
@click.option(
    "--right-seeds",
    type=click.IntRange(1),
    help="Seeds to try right answers with, if more: shows a check that fails one right answer in a hundred.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    help="Seconds for one answer, all seeds together.",
)
@click.option("--kernel", is_flag=True, help="Grade the reference and the blank notebook in real kernels too.")
@JSON
@COURSE
def verify(
    names: tuple[str, ...],
    jobs: int | None,
    seed: int,
    seeds: int,
    right_seeds: int | None,
    timeout: float,
    kernel: bool,
    as_json: bool,
    course_dir: Path | None,
) -> None:
    """Test the tests: run every answer on file against the checks.

    The reference must get full marks, the untouched notebook 0, each right variant full marks, and each wrong
    variant must lose points on its own exercise only, with its hint as the first thing its student reads.

    \b
    Example:  autograde verify
              autograde verify momentum --seeds 10 --json
              autograde verify momentum --seeds 1 --right-seeds 200 --timeout 600
    """
    from autograde import console
    from autograde.verify import verify as run

    course = _course(course_dir)
    options = {"jobs": jobs, "seed": seed, "seeds": seeds, "timeout": timeout, "kernel": kernel}
    rows = run(course, names, **options, right_seeds=right_seeds, progress=console.progress)
    bad = [r for r in rows if not r.good]
    if as_json:
        _json({"rows": [r.plain() for r in rows], "as_expected": len(rows) - len(bad), "not": len(bad), "seed": seed})
    else:
        columns = ("", "assignment", "exercise", "variant", "kind", "expected", "got", "hint")
        table = [
            (
                "plain" if r.good else "bad",
                ("" if r.good else "✗", r.assignment, r.exercise, r.variant, r.kind, r.expected, r.got, r.hint),
            )
            for r in rows
        ]
        console.table(columns, table)
        for r in bad:
            console.say(f"✗ {r.assignment}, {r.exercise}, {r.variant}: {r.problem}", "bad")
        count = console.plural(len(rows) - len(bad), "row")
        console.say(f"{count} as expected, {len(bad)} not", "bad" if bad else "good")
    sys.exit(1 if bad else 0)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="NOTEBOOK...")
@click.option(
    "--cell-timeout",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    help="Seconds that one cell may take.",
)
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit XML.")
@click.option(
    "--summary",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Append a Markdown table, as GitHub's job summary takes it.",
)
@JSON
@COURSE
def check(
    paths: tuple[Path, ...],
    cell_timeout: float,
    junit: Path | None,
    summary: Path | None,
    as_json: bool,
    course_dir: Path | None,
) -> None:
    """Run the visible tests of your notebook, and say what to look at.

    NOTEBOOK is a file or a folder of notebooks; it is run, not changed. The hidden tests are not part of this: they
    try your answers on other inputs when they are graded.

    \b
    Example:  autograde check notebooks/momentum/momentum.ipynb
              autograde check . --junit report.xml
    """
    from autograde import check as checking
    from autograde import console
    from autograde.course import Course, CourseError

    course = Course(course_dir) if course_dir else None
    if course is None:
        try:
            course = Course.find()
        except CourseError:
            course = None  # then perhaps the notebook lies in one
    reports = checking.check(paths, course, cell_timeout=cell_timeout)
    try:
        if junit:
            junit.parent.mkdir(parents=True, exist_ok=True)
            junit.write_text(checking.junit(reports), encoding="utf-8")
        if summary:
            summary.parent.mkdir(parents=True, exist_ok=True)
            with summary.open("a", encoding="utf-8") as file:
                file.write(checking.summary(reports))
    except OSError as error:
        raise Misuse(f"{error.filename} cannot be written: {error.strerror}.") from None
    if as_json:
        _json({"notebooks": [r.plain() for r in reports], "passed": all(r.good for r in reports)})
    else:
        for report in reports:
            _print_report(report)
            console.say("")
    sys.exit(0 if all(r.good for r in reports) else 1)


@main.command()
@JSON
@COURSE
def doctor(as_json: bool, course_dir: Path | None) -> None:
    """Say what is here, what is missing, and how to get it.

    Ends with 1 when something is missing that a command needs.

    \b
    Example:  autograde doctor
              autograde doctor --json
    """
    from autograde import console
    from autograde.doctor import doctor as run

    root = course_dir
    if root is None:
        here = Path.cwd()
        root = next(
            (p for p in (here, *here.parents) if (p / "solutions").is_dir() and (p / "_toc.yml").is_file()), None
        )
    elif not root.is_dir():
        raise Misuse(f"There is no folder {root}.")
    findings = list(run(root))
    missing = [f for f in findings if f.state == "missing"]
    if as_json:
        _json({"findings": [f.plain() for f in findings], "missing": len(missing)})
    else:
        style = {"ok": "plain", "absent": "warn", "missing": "bad"}
        console.table(
            ("", "what", "found", "how to get it"),
            [(style[f.state], (f.state, f.what, f.found, f.mend)) for f in findings],
        )
        text = f"{console.plural(len(missing), 'thing')} missing" if missing else "Nothing that is needed is missing."
        console.say(text, "bad" if missing else "good")
    sys.exit(1 if missing else 0)


def _course(folder: Path | None) -> Course:
    from autograde.course import Course

    return Course(folder) if folder else Course.find()


def _print_report(report: Report) -> None:
    from autograde import console

    style = {"passed": "good", "failed": "bad", "not run": "warn"}
    rows = [(style[e.state], (e.exercise, f"{e.points:g}", e.state, e.hint)) for e in report.exercises]
    console.table(("exercise", "points", "visible tests", "what to look at"), rows, title=report.path)
    for note in report.notes:
        console.say(f"Note: {note}", "warn")
    passed = sum(e.state == "passed" for e in report.exercises)
    text = f"{passed} of {console.plural(len(report.exercises), 'visible test')} pass."
    if report.good:
        text += " Hidden tests try your answers on other inputs when they are graded."
    console.say(text, "good" if report.good else "bad")


def _json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
