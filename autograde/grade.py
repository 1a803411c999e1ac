"""``autograde grade``: a class's submissions in, grades and feedback out.

One asyncio process, which is trusted, drives a number of kernels, which are not. A notebook's cells are run in
order, and an exercise's hidden check right after its visible test, so that what is finished keeps its points when a
later cell ends the kernel. Whatever happens with one submission, it gets exactly one status and the others go on.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import platform
import secrets
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import click
import nbformat
import torch

from autograde import console, feedback, gradebook, journal, report
from autograde import sandbox as boxes
from autograde.assemble import Part, Template, imported
from autograde.cases import Check, ExerciseResult, run_check
from autograde.course import Assignment, Course, CourseError
from autograde.host import BUBBLEWRAP, NONE, Host, Limits
from autograde.kernel import Kernel, KernelStudent
from autograde.outcome import GRADED, MISSING, REJECTED, SubmissionResult, nothing, number, worse
from autograde.sandbox import SandboxError
from autograde.student import StudentError, StudentStopped
from autograde.submission import Batch, MisuseError, RejectedError, Submission, find, read
from autograde.turns import Turn, Turns
from autograde.verdict import settle

Value = TypeVar("Value")
#: Longer sentences come from a student's own exception, and say no more.
_LONGEST_HINT = 500


@dataclass(frozen=True)
class Grader:
    """What grading a submission needs besides the submission.

    Attributes:
        templates: the assignments as students receive them, by name.
        checks: the hidden checks by assignment and exercise.
        secret: what the seeds of the checks are drawn from; it never leaves the trusted side.
        host: where kernels are started; it must be entered while submissions are graded.
        turns: what the checks take turns at.
    """

    templates: Mapping[str, Template]
    checks: Mapping[str, Mapping[str, Check]]
    secret: str
    host: Host = field(default_factory=Host)
    turns: Turns = field(default_factory=Turns)

    @classmethod
    def of(cls, course: Course, names: Sequence[str], secret: str, **settings: Any) -> Grader:
        """Return a grader for these assignments of a course.

        Args:
            course: the course.
            names: its assignments.
            secret: what the seeds are drawn from.
            **settings: of the :class:`~autograde.host.Host`.

        Raises:
            CourseError: when an assignment or its checks cannot be read.
        """
        assignments = {name: course.assignment(name) for name in names}
        templates = {name: Template(a) for name, a in assignments.items()}
        packages = _packages(course.root, [m for t in templates.values() for m in t.imports])
        packages.append(Path(__file__).resolve().parent)
        modules = dict.fromkeys(m for t in templates.values() for m in t.preload)
        settings["hidden"] = [course.root, *settings.get("hidden", ())]
        host = Host(packages=packages, modules=list(modules), **settings)
        return cls(templates, {name: a.checks for name, a in assignments.items()}, secret, host)

    def seed(self, submission: Submission, exercise: str) -> int:
        """Return the seed of one check: the same in each run with the same secret, and not to be guessed."""
        words = "\0".join([submission.student, submission.assignment, exercise]).encode()
        digest = hmac.new(self.secret.encode(), words, hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    async def grade(self, submission: Submission) -> SubmissionResult:
        """Grade one submission. Nothing but a cancellation comes out of here as an exception."""
        start = time.monotonic()
        exercises = self.templates[submission.assignment].exercises
        result = SubmissionResult(submission, MISSING, nothing(exercises, "Nothing was handed in."))
        result.notes.extend(submission.notes)
        try:
            await self._grade(submission, result)
        except RejectedError as reason:
            result.status = f"{REJECTED}{reason}"
            result.exercises = nothing(exercises, f"Not graded: {reason}.")
        except Exception as error:
            result.status = f"{REJECTED}internal error ({type(error).__name__})"
            result.exercises = nothing(exercises, "The grader failed here; your instructor has been told.")
            result.trouble = traceback.format_exc()
        result.seconds = time.monotonic() - start
        return result

    async def _grade(self, submission: Submission, result: SubmissionResult) -> None:
        handed = await asyncio.to_thread(read, submission, self.host.limits.file)
        if handed is None:
            return
        result.timestamp, result.digest = handed.timestamp, handed.digest
        template = self.templates[submission.assignment]
        # Before it may be rejected: what was noted about the file explains why.
        result.notes.extend(handed.notes)
        assembled = template.assemble(handed)
        result.notes = list(dict.fromkeys([*result.notes, *assembled.notes]))
        result.assembled, result.status = assembled, GRADED

        found: dict[str, ExerciseResult] = {}
        points = {e.name: e.points for e in template.exercises}
        trouble: dict[str, str] = {}
        files = {f"{submission.assignment}.ipynb": nbformat.writes(assembled.notebook)}
        async with Kernel(self.host, files, template.preload) as kernel:
            student = partial(KernelStudent, kernel, assembled.sources, asyncio.get_running_loop())
            count = 0
            for part in assembled.parts:
                if not part.runs or not part.cell.source.strip():
                    continue
                count += 1
                part.cell.execution_count = count
                stopped = None
                try:
                    end = await kernel.run(part.cell)
                except StudentStopped as stop:
                    stopped, end = stop, None
                for output in part.cell.outputs:
                    if output.output_type == "execute_result":
                        output.execution_count = count
                if end is not None and end.interrupted:
                    seconds = self.host.limits.cell
                    stopped = StudentStopped("timeout", f"It took longer than {seconds:g} s and was stopped.")
                if stopped is not None:
                    result.status = worse(result.status, stopped.status)
                if part.role == "answer" and end is not None and end.error is not None:
                    trouble[part.name] = _answer_trouble(end.error, stopped)
                if part.role == "test" and stopped is None:
                    turn = Turn(self.turns, kernel.excuse)
                    found[part.name] = await self._check(submission, part.name, points, student(turn), turn, end.error)
                    result.status = worse(result.status, found[part.name].status)
                elif stopped is not None and part.name in points and part.role in ("answer", "test"):
                    hint = f"In {part.place}: {stopped}"
                    if part.role == "test" or kernel.stopped:
                        found[part.name] = ExerciseResult(part.name, 0.0, points[part.name], [], stopped.status, hint)
                if kernel.stopped is not None:
                    self._not_reached(result, found, points, part, kernel.stopped)
                    break
            result.dropped = kernel.dropped
        result.exercises = [_told(found[name], trouble.get(name)) for name in points]

    async def _check(
        self,
        submission: Submission,
        exercise: str,
        points: Mapping[str, float],
        student: KernelStudent,
        turn: Turn,
        visible_error: StudentError | None,
    ) -> ExerciseResult:
        """Run one hidden check in a thread, for it waits for the kernel and for its turn."""
        check = self.checks[submission.assignment][exercise]
        seed = self.seed(submission, exercise)

        def work() -> ExerciseResult:
            with turn:
                return run_check(check, student, exercise=exercise, points=points[exercise], seed=seed)

        # The kernel's own limits end every question; this one ends a check that asks none, and lets nobody have a turn.
        most = self.host.limits.total + self.host.limits.cell
        task = asyncio.ensure_future(_in_thread(work))
        try:
            while not task.done() and (left := most - turn.seconds()) > 0:
                await asyncio.wait({task}, timeout=left)
        finally:
            if not task.done():
                task.cancel()
                turn.end()
        if not task.done():
            hint = "The check of this exercise broke; your instructor has been told."
            return ExerciseResult(exercise, 0.0, points[exercise], hint=hint, fault="the check does not end")
        result = task.result()
        return settle(result, visible_error)

    @staticmethod
    def _not_reached(
        result: SubmissionResult,
        found: dict[str, ExerciseResult],
        points: Mapping[str, float],
        part: Part,
        stopped: StudentStopped,
    ) -> None:
        """Give what comes after the kernel's end no points, and say what ended it."""
        cause = "took too long" if stopped.status == "timeout" else "ended the Python process"
        hint = f"Not reached: before it, {part.place} {cause}."
        for name, maximum in points.items():
            found.setdefault(name, ExerciseResult(name, 0.0, maximum, [], stopped.status, hint))


def _packages(root: Path, modules: Sequence[str]) -> list[Path]:
    """Return the course's own packages that these modules are of, and those that they import in turn.

    No other one is shown to students' code: a course may well have a package of tests, or of solutions.
    """
    found: dict[str, Path] = {}
    names = [m.partition(".")[0] for m in modules]
    while names:
        name = names.pop()
        folder = root / name
        if name not in found and (folder / "__init__.py").is_file():
            found[name] = folder
            sources = (p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*.py")))
            names += [m.partition(".")[0] for source in sources for m in imported(source)]
    return [found[name] for name in sorted(found)]


def _answer_trouble(error: StudentError, stopped: StudentStopped | None) -> str:
    """Say what is wrong with an answer cell that raised, or an empty string where its check says it better."""
    if stopped is not None:
        return f"In your answer cell: {stopped}"
    if error.kind == "NotImplementedError":
        return ""
    return f"Your answer cell itself raised {error.kind}{': ' if error.message else ''}{error.message}"


def _told(result: ExerciseResult, trouble: str | None) -> ExerciseResult:
    """Return a result whose hint names the first cause, and is not too long to read."""
    hint = trouble if trouble and result.score == 0 and result.status == GRADED else result.hint
    cases = [replace(c, hint=_short(c.hint)) for c in result.cases]
    return replace(result, hint=_short(hint), cases=cases)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_HINT else text[: _LONGEST_HINT - 1] + "…"


async def _in_thread(work: Callable[[], Value]) -> Value:
    """Run ``work`` in a thread that does not keep the program from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Value] = loop.create_future()

    def settle_future(setter: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            setter(value)

    def run() -> None:
        try:
            value = work()
        except BaseException as error:
            outcome = (future.set_exception, error)
        else:
            outcome = (future.set_result, value)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle_future, *outcome)

    threading.Thread(target=run, daemon=True, name="check").start()
    return await future


async def grade_batch(
    grader: Grader, batch: Batch, jobs: int, done: Callable[[SubmissionResult], None]
) -> list[SubmissionResult]:
    """Grade every submission of a batch, ``jobs`` at a time; ``done`` is called as each one ends."""
    gate = asyncio.Semaphore(jobs)

    async def one(submission: Submission) -> SubmissionResult:
        async with gate:
            result = await grader.grade(submission)
        done(result)
        return result

    # A group, which when it is cancelled ends after the last of its kernels is closed.
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(s)) for s in batch.submissions]
    return [task.result() for task in tasks]


def run(
    course: Course,
    submissions: Path,
    out: Path,
    *,
    assignment: str | None = None,
    jobs: int | None = None,
    limits: Limits | None = None,
    sandbox: str = BUBBLEWRAP,
    gpu: bool = False,
    roster: Path | None = None,
    seed: int | None = None,
    db: str | None = None,
    command_line: Sequence[str] = (),
) -> tuple[list[SubmissionResult], dict[str, Any]]:
    """Grade a folder of submissions and write everything into ``out``.

    A run that was stopped is continued: what it had finished is taken over (see :mod:`autograde.journal`).

    Args:
        course: the course.
        submissions: the folder in nbgrader's layout.
        out: where the files go; what it holds of these submissions is replaced.
        assignment: grade this one alone.
        jobs: how many kernels at a time; the number of cores by default.
        limits: what a submission may use.
        sandbox: ``"bubblewrap"``, or ``"none"`` for submissions that are trusted.
        gpu: whether the student's code may use the GPU; then one submission runs at a time.
        roster: the file that lists the students.
        seed: the secret of the checks' seeds; by default that of the last run into ``out``, or a fresh one.
        db: the URL of the gradebook; by default one in ``out``.
        command_line: how this was started, for the report.

    Returns:
        The results, sorted, and the report.

    Raises:
        MisuseError: when what was asked for cannot be done.
        CourseError: when the course is at fault.
        Stopped: a KeyboardInterrupt, when Ctrl-C, SIGTERM or the terminal's end stopped it, after all was closed.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    if assignment is not None:
        course.assignment(assignment)  # says which there are
    batch = find(submissions, course.assignments, only=assignment, roster=roster)
    host = {"limits": limits or Limits(), "sandbox": sandbox, "gpu": gpu, "hidden": [out, submissions]}
    _possible(sandbox, gpu)
    _make(out, submissions)
    with journal.Signals() as signals, journal.alone(out):
        url = db or gradebook.default_url(out)
        grader = Grader.of(course, batch.assignments, _secret(out, seed), **host)
        about = {
            "grader": {name: _version(name) for name in ("ravines", "nbgrader", "nbclient", "ipykernel", "torch")},
            "python": platform.python_version(),
            "command": list(command_line),
            "started": started.isoformat(timespec="seconds"),
            "secret": grader.secret,
            "sandbox": grader.host.sandbox,
            "gpu": grader.host.gpu,
            "limits": asdict(grader.host.limits),
            "assignments": {n: {e.name: e.points for e in t.exercises} for n, t in grader.templates.items()},
        }
        # All but when, how and of what: each assignment has a key of its own.
        settings = {k: v for k, v in about.items() if k not in ("command", "started", "assignments")}
        entries = journal.Journal(out, course, grader.templates, settings, grader.host.limits.file)
        with grader.host:  # whose warm parent imports while the gradebook is prepared
            _prepare(out, url, [course.assignment(name) for name in batch.assignments])
            taken = entries.load(batch.submissions)
            left = replace(batch, submissions=tuple(s for s in batch.submissions if s.key not in taken))
            _forget(out, left, about)
            _restore(out, taken.values(), grader.templates)
            graded = _grade_all(grader, left, out, 1 if gpu else jobs or _cores(), entries, signals)
        if grader.host.missing:
            names = ", ".join(grader.host.missing)
            console.note(
                f"The notebooks import what is not installed here: {names}. Install it and grade again.", "bad"
            )
        results = sorted([*taken.values(), *graded], key=lambda r: r.submission.key)

        for result, reason in gradebook.store(url, results, batch.students):
            result.trouble = (result.trouble or "") + f"\nThe gradebook did not take it: {reason}"
        report.write(out / "grades.csv", report.grades_csv(results))
        report.write(out / "junit.xml", report.junit_xml(results))
        tree = report.report(results, {**about, "seconds": round(time.monotonic() - clock, 2)})
        report.write(out / "report.json", report.as_json(tree))
        entries.close()
    return results, tree


def _grade_all(
    grader: Grader, batch: Batch, out: Path, jobs: int, entries: journal.Journal, signals: journal.Signals
) -> list[SubmissionResult]:
    """Grade a batch, and put what belongs to each submission where it belongs as soon as it is graded."""
    threads, streams = torch.get_num_threads(), (sys.stdout, sys.stderr)
    torch.set_num_threads(1)  # the cores are the students'
    try:
        with console.progress("Grading", len(batch.submissions)) as tick:

            def done(result: SubmissionResult) -> None:
                _publish(out, result, grader.templates[result.submission.assignment])
                entries.add(result)
                tick("/".join(result.submission.key))

            return signals.drive(grade_batch(grader, batch, jobs, done)) if batch.submissions else []
    finally:
        grader.turns.close()
        torch.set_num_threads(threads)
        sys.stdout, sys.stderr = streams  # which a check that does not end may have replaced


def _prepare(out: Path, url: str, assignments: Sequence[Assignment]) -> None:
    """Prepare the gradebook; a new one in ``out`` is made beside its place, so that a stop leaves a whole one or none.

    Its tables and the mark of nbgrader's version are made seconds apart, and without the mark it cannot be upgraded.
    """
    path = out / "gradebook.db"
    if url != gradebook.default_url(out) or path.exists():
        gradebook.prepare(url, assignments)
        return
    for leftover in out.glob(".gradebook.db*"):
        leftover.unlink()
    beside = out / ".gradebook.db"
    gradebook.prepare(f"sqlite:///{beside.resolve()}", assignments)
    beside.replace(path)


def _restore(out: Path, results: Iterable[SubmissionResult], templates: Mapping[str, Template]) -> None:
    """Write the files of finished submissions again where somebody removed them."""
    for result in results:
        paths = _executed_path(out, result.submission), _feedback_path(out, result.submission)
        if not all(path.is_file() for path in paths):
            _publish(out, result, templates[result.submission.assignment])


def _possible(kind: str, gpu: bool) -> None:
    """Refuse to run what students wrote without the sandbox, or the GPU, that was asked for."""
    if gpu and not any(Path("/dev").glob("nvidia[0-9]*")):
        raise MisuseError("There is no NVIDIA device here (/dev/nvidia0): leave --gpu out, nothing needs it.")
    if kind == BUBBLEWRAP:
        try:
            boxes.check()
        except SandboxError as error:
            raise MisuseError(f"{error}: {boxes.HOW_TO_GET_IT}.") from None


def _make(out: Path, submissions: Path) -> None:
    """Make the folder for the results, where it can do no harm."""
    inside, root = out.resolve(), submissions.resolve()
    if inside == root or root in inside.parents:
        raise MisuseError(f"--out {out} lies in the submissions: give a folder outside of {submissions}.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MisuseError(f"--out {out} cannot be made: {error.strerror}.") from None


def _secret(out: Path, seed: int | None) -> str:
    """Return the secret of this run: the one given, that of the last run into ``out``, or a fresh one."""
    if seed is not None:
        return str(seed)
    try:
        kept = json.loads((out / "report.json").read_text(encoding="utf-8"))["secret"]
    except (OSError, ValueError, KeyError, TypeError):
        kept = None
    return kept if isinstance(kept, str) and kept else secrets.token_hex(16)


def _forget(out: Path, batch: Batch, about: dict[str, Any]) -> None:
    """Remove what an earlier run said of these submissions, so that no old score passes for a new one."""
    for name in ("grades.csv", "junit.xml"):
        (out / name).unlink(missing_ok=True)
    report.write(out / "report.json", report.as_json(report.report([], about)))
    for submission in batch.submissions:
        _feedback_path(out, submission).unlink(missing_ok=True)
        shutil.rmtree(_executed_path(out, submission).parent, ignore_errors=True)


def _publish(out: Path, result: SubmissionResult, template: Template) -> None:
    """Write what belongs to one submission alone."""
    try:
        if result.notebook is not None:
            report.write(_executed_path(out, result.submission), nbformat.writes(result.notebook) + "\n")
        report.write(_feedback_path(out, result.submission), feedback.page(result, template))
    except Exception:  # its grade stands, and the instructor is told
        result.trouble = (result.trouble or "") + traceback.format_exc()


def _executed_path(out: Path, submission: Submission) -> Path:
    name = submission.assignment
    return out / "autograded" / submission.student / name / f"{name}.ipynb"


def _feedback_path(out: Path, submission: Submission) -> Path:
    return out / "feedback" / submission.student / f"{submission.assignment}.html"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _summary(results: Sequence[SubmissionResult], out: Path) -> None:
    """Print one table of students and assignments, and where the files are."""
    assignments = sorted({r.submission.assignment for r in results})
    students: dict[str, dict[str, SubmissionResult]] = {}
    for r in results:
        students.setdefault(r.submission.student, {})[r.submission.assignment] = r
    rows = []
    for student, by_name in students.items():
        cells = [_cell(by_name[a]) if a in by_name else "" for a in assignments]
        rows.append(("plain" if all(r.good for r in by_name.values()) else "warn", [student, *cells]))
    console.table(["student", *assignments], rows)
    for r in results:
        for fault in r.faults:
            console.note(f"{'/'.join(r.submission.key)}: {fault}", "bad")
    bad = sum(not r.good for r in results)
    console.say(
        f"{console.plural(len(results), 'submission')} of {console.plural(len(students), 'student')}"
        + (f", {bad} to look at." if bad else ", no problems.")
    )
    console.say(f"Grades    {out / 'grades.csv'}\nFeedback  {out / 'feedback'}\nDetails   {out / 'report.json'}")


def _cell(result: SubmissionResult) -> str:
    if result.status == MISSING:
        return MISSING
    if result.status.startswith(REJECTED):
        return result.status
    points = f"{number(result.score)}/{number(result.max_score)}"
    return points if result.status == GRADED else f"{points} {result.status}"


_path = click.Path(path_type=Path)


def _size(name: str, default: int, unit: str, text: str) -> Callable[[Any], Any]:
    """Return an option for a limit that is a number of something."""
    return click.option(
        f"--{name}", type=click.IntRange(1), default=default, show_default=True, metavar=unit, help=f"{text}."
    )


@click.command("grade")
@click.argument("submissions", type=_path)
@click.option("--out", required=True, type=_path, help="The folder for grades, report, gradebook and feedback.")
@click.option("--assignment", metavar="NAME", help="Grade this assignment alone.")
@click.option("--jobs", type=click.IntRange(1), help="Kernels at a time; the number of cores by default.")
@click.option(
    "--sandbox",
    type=click.Choice([BUBBLEWRAP, NONE]),
    default=BUBBLEWRAP,
    show_default=True,
    help="Where students' code runs; 'none' only for code that you trust.",
)
@click.option("--gpu", is_flag=True, help="Let students' code use the GPU, one submission at a time.")
@click.option("--cell-timeout", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds for a cell.")
@click.option("--timeout", type=click.FloatRange(1), default=300.0, show_default=True, help="Seconds for a submission.")
@_size("memory", 2048, "MiB", "Memory of a submission")
@_size("processes", 64, "N", "Processes and threads of a submission, beside its kernel's own")
@_size("disk", 256, "MiB", "Files that a submission may write")
@_size("output", 1024, "KiB", "Output of a submission that is kept")
@_size("file", 10, "MiB", "The notebook as handed in")
@click.option("--roster", type=_path, help="A list of the students: nbgrader's CSV, or one name a line.")
@click.option("--seed", type=int, help="What the checks' random inputs come from; kept in report.json otherwise.")
@click.option("--db", metavar="URL", help="The gradebook's database; OUT/gradebook.db by default.")
@click.option("--course", "course_dir", type=_path, help="The course's folder; found from here by default.")
@click.option("--json", "as_json", is_flag=True, help="Print the report, without the secret, instead of the table.")
def command(
    submissions: Path,
    out: Path,
    assignment: str | None,
    jobs: int | None,
    sandbox: str,
    gpu: bool,
    cell_timeout: float,
    timeout: float,
    memory: int,
    processes: int,
    disk: int,
    output: int,
    file: int,
    roster: Path | None,
    seed: int | None,
    db: str | None,
    course_dir: Path | None,
    as_json: bool,
) -> None:
    """Grade the folder SUBMISSIONS, which holds <student>/<assignment>/<assignment>.ipynb.

    Exit status: 0 when every submission was graded or is missing; 1 when one timed out, was killed, was rejected or
    met a fault of the grader; 2 when what was asked for cannot be done.
    """
    try:
        course = Course(course_dir) if course_dir else Course.find()
        results, tree = run(
            course,
            submissions,
            out,
            assignment=assignment,
            jobs=jobs,
            limits=Limits(
                cell=cell_timeout,
                total=timeout,
                memory=memory * 2**20,
                processes=processes,
                disk=disk * 2**20,
                output=output * 2**10,
                file=file * 2**20,
            ),
            sandbox=sandbox,
            gpu=gpu,
            roster=roster,
            seed=seed,
            db=db,
            command_line=["autograde", *sys.argv[1:]],
        )
    except (MisuseError, CourseError) as error:
        console.note(str(error), "bad")
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        console.note("Stopped. What is finished is kept: the same command continues from here.", "warn")
        raise SystemExit(128 + getattr(stop, "number", signal.SIGINT)) from None
    if as_json:
        click.echo(report.as_json({k: v for k, v in tree.items() if k != "secret"}), nl=False)
    else:
        _summary(results, out)
    raise SystemExit(0 if all(r.good for r in results) else 1)
