"""How fast, and in how much memory, a class is graded: stock nbgrader, otter-grader and ``autograde grade``.

    python benchmarks/grading.py --help

The figures go to ``results/grading.json``.
A wrong score ends the benchmark: the speed of a wrong grader is worth nothing.
"""

from __future__ import annotations

import json
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import click
from common import measure, profiling, workload
from common.graders import Autograde, Nbgrader, Otter
from common.measure import Sampler, Usage
from common.workload import Scores, Workload

from autograde import console

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("torch", "nbgrader", "nbclient", "ipykernel", "jupyter_client")
#: At least this many times nbgrader's submissions per minute, and at most this much memory for one more at a time.
RATIO, MEMORY_MB = 40.0, 120.0
#: How many submissions at a time the memory is measured with, and what keeps them there at the same time.
JOBS, SLEEP = (1, 2, 4, 8), "import time\n\ntime.sleep(3)"

Tick = Callable[[str], None]
Figures = dict[str, Any]


class WrongScoresError(Exception):
    """A grader gave scores that are not the right ones; the text lists them."""


def must_agree(grader: str, scores: Scores, right: Scores) -> None:
    """Compare a grader's scores with the right ones, which all graders share.

    Raises:
        WrongScoresError: when one differs.
    """
    wrong = [
        f"{grader}, {student}, {exercise}: {scores.get((student, exercise))} instead of {score:g}"
        for (student, exercise), score in right.items()
        if abs((scores.get((student, exercise)) or 0.0) - score) > 1e-4
    ]
    if wrong or scores.keys() != right.keys():
        raise WrongScoresError("\n".join(wrong) or f"{grader} graded other exercises than were handed in.")


def spread(values: Sequence[float]) -> Figures:
    """Return the median, the smallest and the largest value."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def slope(points: Mapping[int, float]) -> float:
    """Return the slope of the least-squares line through these points."""
    return statistics.linear_regression(list(points), list(points.values())).slope if len(points) > 1 else float("nan")


def cpu(count: int, usages: Sequence[Usage], cells: float) -> Figures:
    """Return the CPU of a submission, medians over runs, by each way of measuring it."""

    def median(name: str) -> float | None:
        values = [getattr(u, name) for u in usages]
        return None if None in values else statistics.median(values) / count

    return {
        "cpu_s_per_submission": median("cpu_s"),
        "cpu_beyond_cells_s_per_submission": median("cpu_s") - cells,
        "cpu_by_control_group_s_per_submission": median("group_cpu_s"),
        "cpu_by_reaped_processes_s_per_submission": median("reaped_cpu_s"),
        "cpu_of_whole_machine_s_per_submission": median("system_cpu_s"),
    }


def with_nbgrader(work: Workload, count: int, whole: int, cells: float, tick: Tick) -> Figures:
    """Measure stock nbgrader on ``count`` submissions; what a class of ``whole`` takes follows from it.

    A further submission's time is the difference to a run with one. That run is slowed by the sampler, so that the
    difference is rather too small: in nbgrader's favour.
    """
    stock = Nbgrader(work, count)
    tick("nbgrader: class")
    graded = stock.autograde()
    must_agree("nbgrader", stock.scores(), stock.right)
    tick("nbgrader: feedback")
    feedback = stock.feedback()
    tick("nbgrader: memory")
    sampler = Sampler()
    one = stock.one(sampler)
    further = (graded.wall_s - one.wall_s) / (count - 1)
    in_class = (graded.wall_s + (whole - count) * further) / whole
    told = feedback.wall_s / count
    return {
        "submissions_measured": count,
        "wall_s": graded.wall_s,
        "feedback_wall_s": feedback.wall_s,
        "wall_s_per_submission_measured": graded.wall_s / count,
        "wall_s_per_further_submission": further,
        "feedback_s_per_submission": told,
        "class_size_for_throughput": whole,
        "submissions_per_minute": 60 / in_class,
        "submissions_per_minute_with_feedback": 60 / (in_class + told),
        **cpu(count, [graded], cells),
        "cpu_s_per_further_submission": (graded.cpu_s - one.cpu_s) / (count - 1),
        "feedback_cpu_s_per_submission": feedback.cpu_s / count,
        "peak_pss_mb": one.peak_pss_mb,
        "peak_processes": one.peak_processes,
        "samples": one.samples,
    }


def with_otter(work: Workload, count: int, cells: float, tick: Tick) -> Figures | None:
    """Measure otter-grader, if it is installed."""
    tick("otter-grader")
    if not Otter.installed():
        return None
    otter = Otter(work, count)
    usages = otter.grade()
    must_agree("otter-grader", otter.found, otter.right)
    return {
        "version": metadata.version("otter-grader"),
        "submissions_measured": count,
        "wall_s_per_submission": spread([u.wall_s for u in usages]),
        "submissions_per_minute": 60 / statistics.mean(u.wall_s for u in usages),
        **cpu(1, usages, cells),
    }


def with_autograde(
    work: Workload, count: int, jobs: int, repeat: int, cells: float, tick: Tick, sandbox: str | None = None
) -> Figures:
    """Measure ``autograde grade`` on classes of two sizes, and once more with the sampler."""
    grader, few = Autograde(work, sandbox), max(1, count // 4)

    def one(size: int, sampler: Sampler | None = None) -> Usage:
        tick(f"autograde: {size} submissions")
        usage, scores, right = grader.grade(size, jobs, sampler)
        must_agree("autograde", scores, right)
        return usage

    small = [one(few) for _ in range(repeat)]
    large = [one(count) for _ in range(repeat)]
    sampled = one(count, Sampler())
    wall, wall_few = (statistics.median(u.wall_s for u in usages) for usages in (large, small))
    cpu_further = statistics.median(u.cpu_s for u in large) - statistics.median(u.cpu_s for u in small)
    return {
        "submissions_measured": count,
        "submissions_measured_small": few,
        "jobs": jobs,
        "sandbox": grader.report.get("sandbox"),
        "repeat": repeat,
        "wall_s": spread([u.wall_s for u in large]),
        "wall_small_s": spread([u.wall_s for u in small]),
        "wall_s_per_submission": wall / count,
        "wall_s_per_further_submission": (wall - wall_few) / (count - few),
        "submissions_per_minute": 60 * count / wall,
        **cpu(count, large, cells),
        "cpu_s_per_further_submission": cpu_further / (count - few),
        "cpu_beyond_cells_s_per_further_submission": cpu_further / (count - few) - cells,
        "sampled_run_wall_s": sampled.wall_s,
        "sampled_run_cpu_by_samples_s_per_submission": sampled.sampled_cpu_s / count,
        "sampled_run_cpu_s_per_submission": sampled.cpu_s / count,
        "sampled_run_peak_pss_mb": sampled.peak_pss_mb,
        "samples": sampled.samples,
    }


def memory(work: Workload, tick: Tick, most: int, sandbox: str | None = None) -> Figures:
    """Measure the memory with 1, 2, 4 and 8 submissions at a time, each of which ends with three seconds' sleep.

    Medians while all of them are there: the peak lies in the start, when PyTorch is imported twice.
    """
    grader, peaks, own, counts, rates = Autograde(work, sandbox), {}, {}, {}, {}
    tick("memory: first run")
    grader.grade(1, 1)
    for jobs in [j for j in JOBS if j <= max(2, most)]:
        tick(f"memory: {jobs} at a time")
        usage, scores, right = grader.grade(max(4, jobs), jobs, Sampler(), SLEEP, again=True)
        must_agree("autograde", scores, right)
        peaks[jobs], own[jobs] = usage.full_pss_mb, usage.full_anonymous_pss_mb
        counts[jobs], rates[jobs] = usage.peak_processes, usage.samples / usage.wall_s
    return {
        "pss_mb_by_jobs": peaks,
        "anonymous_pss_mb_by_jobs": own,
        "peak_processes_by_jobs": counts,
        "samples_per_s_by_jobs": rates,
        "pss_mb_per_further_concurrent_submission": slope(peaks),
        "anonymous_pss_mb_per_further_concurrent_submission": slope(own),
    }


def ratios(ours: Figures, stock: Figures | None, otter: Figures | None) -> Figures:
    """Return how many times as many submissions per minute ``autograde grade`` grades, its feedback included."""
    rate = ours["submissions_per_minute"]
    found: Figures = {}
    if stock:
        found["to_nbgrader_autograde"] = rate / stock["submissions_per_minute"]
        found["to_nbgrader_autograde_and_feedback"] = rate / stock["submissions_per_minute_with_feedback"]
        further = stock["wall_s_per_further_submission"] / ours["wall_s_per_further_submission"]
        found["to_nbgrader_autograde_by_further_submission"] = further
    if otter:
        found["to_otter"] = rate / otter["submissions_per_minute"]
    return found


def goals(ratio: Figures, peak: Figures) -> list[Figures]:
    """Return what was aimed at, what was measured, and whether that is enough."""
    speed, more = ratio.get("to_nbgrader_autograde"), peak["pss_mb_per_further_concurrent_submission"]
    return [
        {
            "goal": "submissions per minute, times nbgrader's without feedback",
            "at_least": RATIO,
            "measured": speed,
            "met": None if speed is None else speed >= RATIO,
        },
        {
            "goal": "PSS of one further concurrent submission, MB",
            "at_most": MEMORY_MB,
            "measured": more,
            "met": more <= MEMORY_MB,
        },
    ]


def show(found: Figures) -> None:
    """Print the figures as tables."""
    ours, stock, otter = (found[name] for name in ("autograde", "nbgrader", "otter"))

    def row(name: str, figures: Figures, note: str, rate: str = "submissions_per_minute") -> tuple[str, list[str]]:
        seconds, size = 60 / figures[rate], figures.get("peak_pss_mb")
        spent = figures["cpu_s_per_submission"], figures["cpu_beyond_cells_s_per_submission"]
        words = [f"{figures[rate]:.1f}", f"{seconds:.2f}", *(f"{s:.2f}" for s in spent)]
        return "plain", [name, *words, f"{size:.0f}" if size else "", note]

    rows = []
    if stock:
        note = f"from {stock['submissions_measured']} submissions, for a class of {stock['class_size_for_throughput']}"
        rows.append(row("nbgrader autograde", stock, note))
        rows.append(
            row("  and generate_feedback", stock, "CPU without feedback", "submissions_per_minute_with_feedback")
        )
    if otter:
        rows.append(row("otter run", otter, f"from {otter['submissions_measured']} submissions"))
    else:
        rows.append(
            ("plain", ["otter-grader", *[""] * 5, "not installed" if found["otter_asked"] else "not asked for"])
        )
    wall, sampled = ours["wall_s"], {"peak_pss_mb": ours["sampled_run_peak_pss_mb"]}
    note = f"{ours['submissions_measured']} in {wall['median']:.1f} s ({wall['min']:.1f} to {wall['max']:.1f})"
    rows.append(row(f"autograde grade, {ours['jobs']} jobs", {**ours, **sampled}, f"{note}, feedback included"))
    columns = ("", "per minute", "s each", "CPU s each", "beyond cells", "peak PSS MB", "")
    console.table(columns, rows, title=f"Assignment {found['assignment']}: all scores agree")
    console.say(
        f"autograde, a further submission: {1000 * ours['wall_s_per_further_submission']:.0f} ms of time, "
        f"{1000 * ours['cpu_s_per_further_submission']:.0f} ms of CPU "
        f"(its own cells: {1000 * found['cells_cpu_s_per_submission']:.0f} ms)"
    )
    peaks = ", ".join(f"{jobs}: {mb:.0f}" for jobs, mb in found["memory"]["pss_mb_by_jobs"].items())
    console.say(f"autograde, PSS in MB by submissions at a time: {peaks}")
    for name, times in found["ratio"].items():
        console.say(f"autograde {name.replace('_', ' ')}: {times:.1f} times as many per minute")
    for goal in found["goals"]:
        wanted = f"at least {goal['at_least']:g}" if "at_least" in goal else f"at most {goal['at_most']:g}"
        state = {True: "met", False: "not met", None: "not measured"}[goal["met"]]
        value = "" if goal["measured"] is None else f", measured {goal['measured']:.1f}"
        console.say(f"Goal: {goal['goal']}, {wanted}{value}: {state}", "good" if goal["met"] else "warn")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--submissions", type=click.IntRange(2), default=40, show_default=True, help="Size of the class.")
@click.option(
    "--assignment",
    type=click.Choice(["light", "conditioning", "momentum"]),
    default="light",
    show_default=True,
    help="light is made here; the others are this course's, with its sample students.",
)
@click.option(
    "--nbgrader",
    "stock",
    type=click.IntRange(0),
    default=8,
    show_default=True,
    help="How many submissions go through nbgrader and otter-grader; 0 leaves both out, else at least 2.",
)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="autograde's submissions at a time.")
@click.option(
    "--repeat", type=click.IntRange(1), default=3, show_default=True, help="Runs of autograde; medians count."
)
@click.option("--sandbox", metavar="KIND", help="Passed on to autograde grade; its default otherwise.")
@click.option("--profile", is_flag=True, help="Only say where autograde's time goes; into grading-profile.txt.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=RESULTS,
    metavar="DIR",
    help="Where the results go: benchmarks/results by default.",
)
def main(
    submissions: int,
    assignment: str,
    stock: int,
    jobs: int,
    repeat: int,
    sandbox: str | None,
    profile: bool,
    out: Path,
) -> None:
    """Grade one class with stock nbgrader, with otter-grader if it is installed, and with autograde grade.

    Measured are submissions per minute, CPU seconds per submission beyond what the student's own cells take in a
    plain Python process, and memory (PSS, of all processes). nbgrader is slow, so only some submissions go
    through it; its figures are for the class size nevertheless, start-up counted once. Every score of every grader
    must be the right one. Let nothing else run meanwhile.

    \b
    A look:         python benchmarks/grading.py --submissions 8 --nbgrader 2 --repeat 1
    For the record: python benchmarks/grading.py
    What is slow:   python benchmarks/grading.py --profile

    Exit code: 0 measured, whether or not the goals are met; 1 a score is wrong or a command failed.
    """
    if stock == 1:
        raise click.BadParameter(
            "One submission says nothing about a class: 0, or at least 2.", param_hint="--nbgrader"
        )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        root = Path(folder).resolve()
        work = workload.light(root) if assignment == "light" else workload.real(root, assignment)
        try:
            if profile:
                rows, text = profiling.report(work, submissions)
                (out / "grading-profile.txt").write_text(text, encoding="utf-8")
                table = [("plain", [name, str(calls), f"{ms:.0f}", f"{each:.1f}"]) for name, calls, ms, each in rows]
                console.table(("stage", "calls", "ms", "median ms"), table, title="One submission at a time")
                return
            found = benchmark(work, submissions, min(stock, submissions), jobs, repeat, sandbox)
        except (WrongScoresError, measure.CommandError) as error:
            console.note(str(error), "bad")
            raise SystemExit(1) from None
    (out / "grading.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    show(found)


def benchmark(work: Workload, count: int, stock: int, jobs: int, repeat: int, sandbox: str | None = None) -> Figures:
    """Run all of it, one after another, and return every figure.

    Raises:
        WrongScoresError: when a grader's score is not the right one.
        CommandError: when a grader fails.
    """
    started, about = datetime.now(UTC), measure.device()
    steps = 2 * repeat + 2 + len([j for j in JOBS if j <= max(2, count)]) + (4 if stock else 0)
    with console.progress("Measuring", steps) as tick:
        work.hand_in(work.root / "cells", min(count, len(work.styles)))
        cells = workload.plain_cpu_s(work.root / "cells")
        theirs = with_nbgrader(work, stock, count, cells, tick) if stock else None
        otter = with_otter(work, stock, cells, tick) if stock else None
        ours = with_autograde(work, count, jobs, repeat, cells, tick, sandbox)
        peak = memory(work, tick, count, sandbox)
    ratio = ratios(ours, theirs, otter)
    return _rounded(
        {
            "date": started.isoformat(timespec="seconds"),
            "command": shlex.join(["python", "benchmarks/grading.py", *sys.argv[1:]]),
            "device": about,
            "versions": {"python": sys.version.split()[0], **{name: metadata.version(name) for name in PACKAGES}},
            "assignment": work.name,
            "submissions": count,
            "cells_cpu_s_per_submission": cells,
            "nbgrader": theirs,
            "otter": otter,
            "otter_asked": stock > 0,
            "autograde": ours,
            "memory": peak,
            "ratio": ratio,
            "goals": goals(ratio, peak),
        }
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
